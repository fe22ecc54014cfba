"""The movement between sessions of a field of view: detect, score and apply it."""

from derotation.errors import DetectionFailedError
from derotation.movement.carry import update_calibration
from derotation.movement.correction import MovementCorrection
from derotation.movement.detect import detect_movement, phase_correlation_movement
from derotation.movement.manual import manual_movement

__all__ = [
    "DetectionFailedError",
    "MovementCorrection",
    "detect_movement",
    "manual_movement",
    "phase_correlation_movement",
    "update_calibration",
]
