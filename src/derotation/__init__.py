"""Line-by-line derotation of recordings made with a line-scanning microscope."""

from importlib.metadata import PackageNotFoundError, version

from derotation import _moved

__all__ = ["__version__"]

try:
    __version__ = version("derotation-workflow")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

_moved.install()
