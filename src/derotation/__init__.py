"""Line-by-line derotation of recordings made with a line-scanning microscope."""

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from derotation import _moved
from derotation_installation import refuse_mixture

if TYPE_CHECKING:
    from derotation.derotate_by_line import derotate_recording

__all__ = ["__version__", "derotate_recording"]

try:
    __version__ = version("derotation-workflow")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

refuse_mixture()
_moved.install()


def __getattr__(name: str) -> Any:
    # Looked up when it is asked for: ``import derotation`` alone compiles and loads nothing.
    if name == "derotate_recording":
        return importlib.import_module("derotation.derotate_by_line").derotate_recording
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
