"""Center, plane, wobble and lag: what does not change within a session, with its uncertainty."""

from derotation.calibration.calibration import Calibration, Corrected

__all__ = ["Calibration", "Corrected"]
