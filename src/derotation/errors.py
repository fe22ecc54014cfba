"""Errors that say what was found, what was expected and what to do.

Every class derives from :class:`DerotationError`, so that a caller can catch all of them, and from
the builtin that it stands for, so that generic code keeps working.
"""

from derotation_installation import refuse_mixture

# Here too and not only in __init__: that one may be replaced by another distribution's, while all
# that is ours comes by here.
refuse_mixture()


class DerotationError(Exception):
    """Base of all errors raised on purpose by this package."""


class InputError(DerotationError, ValueError):
    """A file, a table or an argument does not hold what it should."""


class ConfigError(InputError):
    """The configuration or the sample sheet is not valid."""


class MovieError(InputError):
    """A movie cannot be read, or contradicts the configuration or the clocks."""


class SignalError(InputError):
    """The analog signals cannot be turned into events that agree with the movie."""


class AngleError(DerotationError, ValueError):
    """The angle of the sample cannot be told from the movie."""


class CenterError(DerotationError, ValueError):
    """The center of rotation cannot be estimated from this recording."""


class DetectionFailedError(DerotationError, ValueError):
    """The movement between two images cannot be found, or none that was found can be trusted."""


#: What is said where a package is needed that is not installed.
ROIFILE_MISSING = "the package roifile is not installed: pip install 'derotation-workflow[rois]'"
PYNWB_MISSING = "the package pynwb is not installed: pip install 'derotation-workflow[nwb]'"
