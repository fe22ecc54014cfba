"""Modules whose documented names are shorter than their places: both can be imported.

``import derotation.angles`` gives the very module ``derotation.signals.angles``. One table and one
finder do for all of them, so that no folder holds files that are only doors.
"""

import importlib
import sys
from collections.abc import Sequence
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
_PACKAGE = __package__ or "derotation"


class _Alias(Loader):
    """Loads a module under its documented name: the module itself, not a copy."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._own: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._place)
        self._own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just written the alias into it.
        module.__spec__ = self._own


class _Finder(MetaPathFinder):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        place = MOVED.get(fullname.removeprefix(f"{_PACKAGE}."))
        if place is None or not fullname.startswith(f"{_PACKAGE}."):
            return None
        return ModuleSpec(fullname, _Alias(f"{_PACKAGE}.{place}"))


def install() -> None:
    """Let the documented names be imported; a second call does nothing."""
    if not any(type(finder).__qualname__ == _Finder.__qualname__ for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
