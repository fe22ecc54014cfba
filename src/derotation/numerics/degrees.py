"""Angles on the circle, degrees."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["cosine", "is_whole_turn", "sine", "wrapped"]


def wrapped(angles: ArrayLike) -> NDArray[np.float64]:
    """Give the same directions as angles from -180 up to, but not including, 180 degrees.

    Parameters
    ----------
    angles : array_like
        Degrees; NaN stays NaN. For the angle between two directions: their difference.

    Returns
    -------
    ndarray of float64
        Same shape.
    """
    return np.asarray(np.mod(np.asarray(angles, np.float64) + 180.0, 360.0) - 180.0)


def cosine(angles: ArrayLike) -> Any:
    """Give the cosine of angles in degrees, exact at multiples of 90 degrees."""
    from scipy.special import cosdg  # slow to import, and checks of a cohort do without

    return cosdg(np.asarray(angles, np.float64))


def sine(angles: ArrayLike) -> Any:
    """Give the sine of angles in degrees, exact at multiples of 90 degrees."""
    from scipy.special import sindg

    return sindg(np.asarray(angles, np.float64))


def is_whole_turn(angles: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which angles (degrees) show the sample as at angle 0; NaN does not."""
    return np.asarray(np.mod(angles, 360.0) == 0)
