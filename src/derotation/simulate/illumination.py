"""Light that is fixed in the microscope's frame."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from derotation.numerics.degrees import wrapped
from derotation.simulate.parameters import RecordingParameters

__all__ = ["plan_illumination"]


def plan_illumination(p: RecordingParameters) -> NDArray[np.float64]:
    """Brightness of the light at each raw pixel, at most 1."""
    height, width = p.shape
    rows, columns = np.mgrid[:height, :width]
    # From the middle of the field, in units of its width and height.
    x = (columns - 0.5 * (width - 1)) / width
    y = (rows - 0.5 * (height - 1)) / height
    # How much is missing (in terms of the logarithm).
    match p.illumination:
        case "even":
            return np.ones(p.shape)
        case "uneven":
            # Brightest a little off the middle, about half as bright in the far corner.
            missing = ((x + 0.05) ** 2 + (y - 0.1) ** 2) / (2 * 0.6**2)
        case "gradient":
            missing = math.cos(math.radians(30)) * x + math.sin(math.radians(30)) * y
        case "shadow":
            missing = np.exp(-((x - 0.2) ** 2 + (y + 0.15) ** 2) / (2 * 0.13**2))
        case "sector":
            away = np.abs(wrapped(np.degrees(np.arctan2(y, x)) - 35.0))
            missing = (
                1 / (1 + np.exp((away - 30.0) / 6.0)) / (1 + np.exp((0.15 - np.hypot(x, y)) / 0.03))
            )
    if p.illumination == "uneven" and p.illumination_strength is None:
        return np.asarray(np.exp(-missing))
    strength = 0.5 if p.illumination_strength is None else p.illumination_strength
    missing = (missing - missing.min()) / np.ptp(missing)
    return np.asarray((1 - strength) ** missing)
