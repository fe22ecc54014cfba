"""Modules whose documented names are shorter than their places: both can be imported.

``import derotation.angles`` gives the very module ``derotation.signals.angles``. One table and one
finder do for all of them, so that no folder holds files that are only doors.
"""

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["MOVED", "install"]

#: Documented name and place of each module, both below ``derotation``.
MOVED = {
    "analysis.bayesian_optimization": "calibration.center_by_blobs",
    "analysis.blob_detection": "images.blobs",
    "analysis.fit_ellipse": "images.ellipses",
    "analysis.mean_images": "images.mean_images",
    "analysis.metrics": "images.ptd",
    "angles": "signals.angles",
    "center": "calibration.center",
    "check": "cohort.check",
    "cluster": "jobs.cluster",
    "cohort.failure_cause": "cohort.signal_failure",
    "config": "cohort.config",
    "dark_angles": "light.dark_angles",
    "derotate": "maps.resample",
    "discover": "cohort.discover",
    "events": "signals.events",
    "fingerprint": "jobs.fingerprint",
    "illumination": "light.illumination",
    "lag": "calibration.lag",
    "mosaic.groups": "cohort.groups",
    "offset": "images.offset",
    "plane": "calibration.plane",
    "sample_sheet": "cohort.sample_sheet",
    "seen": "io.seen",
    "statistics": "streaming.statistics",
    "steps.logs": "jobs.logs",
    "transforms": "maps.transforms",
    "wobble": "calibration.wobble",
}
#: Modules of derotation 0.1 that have no place here, and what does their work.
GONE = {
    "derotate_batch": "the workflow derotates all sessions of a sample sheet",
    "sample_data": "derotation.simulate makes recordings whose truth is known",
    "load_data": "derotation.io.signals and derotation.io.stimulus read signals and tables",
    "load_data.custom_data_loaders": (
        "derotation.io.signals.open_signals and derotation.io.stimulus.read_stimulus read them"
    ),
}
#: The same for what was in modules that have a place here.
GONE_FROM = {
    "analysis.bayesian_optimization": {
        "BO_for_derotation": "find_center_bayesian of this module, or center_method: bayesian",
    },
    "analysis.mean_images": {
        "calculate_mean_images": "mean_images_of_derotated or mean_images_at_rest of this module",
    },
}
_PACKAGE = __package__ or "derotation"


class _Alias(Loader):
    """Loads a module under its documented name: the module itself, not a copy."""

    def __init__(self, place: str, gone: Mapping[str, str]) -> None:
        self._place = place
        self._gone = gone
        self._own: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._place)
        self._own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just written the alias into it.
        module.__spec__ = self._own
        if self._gone:
            module.__dict__["__getattr__"] = self._ask

    def _ask(self, name: str) -> object:
        """Answer for a name that the module does not have."""
        if name in self._gone:
            # An AttributeError would be said again without its reason by "from ... import ...".
            msg = f"{self._place} has no {name}, as derotation 0.1 had; use {self._gone[name]}"
            raise ImportError(msg)
        msg = f"module {self._place!r} has no attribute {name!r}"
        raise AttributeError(msg)


class _Finder(MetaPathFinder):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{_PACKAGE}."):
            return None
        name = fullname.removeprefix(f"{_PACKAGE}.")
        if name in GONE:
            msg = f"there is no {fullname}, as derotation 0.1 had it; {GONE[name]}"
            raise ModuleNotFoundError(msg, name=fullname)
        place = MOVED.get(name)
        if place is None:
            return None
        return ModuleSpec(fullname, _Alias(f"{_PACKAGE}.{place}", GONE_FROM.get(name, {})))


def install() -> None:
    """Let the documented names be imported; a second call does nothing."""
    if not any(type(finder).__qualname__ == _Finder.__qualname__ for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
