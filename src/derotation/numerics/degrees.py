"""Angles on the circle, degrees."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["cosine", "cosine_and_sine", "is_whole_turn", "sine", "wrapped"]

# A degree in radians.
DEGREE = 1.74532925199432957692e-2
# With x the square of an angle (radians): (1 - cosine) / x, and (sine / angle - 1) / x.
COSINE = (
    1.13678171382044553091e-11, -2.08758833757683644217e-9, 2.75573155429816611547e-7,
    -2.48015872936186303776e-5, 1.38888888888806666760e-3, -4.16666666666666348141e-2,
    4.99999999999999999798e-1,
)  # fmt: skip
SINE = (
    1.58962301572218447952e-10, -2.50507477628503540135e-8, 2.75573136213856773549e-6,
    -1.98412698295895384658e-4, 8.33333333332211858862e-3, -1.66666666666666307295e-1,
)  # fmt: skip


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


def cosine(angles: ArrayLike) -> NDArray[np.float64]:
    """Give the cosine of angles in degrees, exact at multiples of 90 degrees."""
    return cosine_and_sine(angles)[0]


def sine(angles: ArrayLike) -> NDArray[np.float64]:
    """Give the sine of angles in degrees, exact at multiples of 90 degrees."""
    return cosine_and_sine(angles)[1]


def cosine_and_sine(angles: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give cosine and sine of angles in degrees, exact at multiples of 90 degrees.

    Parameters
    ----------
    angles : array_like
        Degrees; NaN stays NaN.

    Returns
    -------
    cosine, sine : ndarray of float64
        Same shape; to the last bit what ``scipy.special`` gives as ``cosdg`` and ``sindg``, which
        takes a job longer to load than to compute.

    Notes
    -----
    From the nearest multiple of 90 degrees, an exact difference, with the polynomials that the
    library Cephes [1]_ has for angles of up to 45 degrees.

    References
    ----------
    .. [1] S. L. Moshier, "Methods and Programs for Mathematical Functions", Ellis Horwood (1989).
    """
    turned = np.asarray(angles, np.float64)
    away = np.abs(turned)
    # Eighths of a turn, always an even number of them.
    eighths = 2 * np.floor((np.floor(away / 45.0) + 1) / 2)
    quarter = eighths / 2 - 4 * np.floor(eighths / 8)
    rest = (away - 45.0 * eighths) * DEGREE
    squared = rest * rest
    along = 1.0 - squared * _polynomial(squared, COSINE)
    across = rest + rest * (squared * _polynomial(squared, SINE))
    swapped = (quarter == 1) | (quarter == 3)
    cos = np.where(swapped, across, along)
    sin = np.where(swapped, along, across)
    cos = np.where((quarter == 1) | (quarter == 2), -cos, cos)
    sin = np.where((quarter >= 2) != (turned < 0), -sin, sin)
    return cos, sin


def _polynomial(x: NDArray[np.float64], factors: tuple[float, ...]) -> NDArray[np.float64]:
    total = x * factors[0] + factors[1]
    for factor in factors[2:]:
        total = total * x + factor
    return np.asarray(total)


def is_whole_turn(angles: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which angles (degrees) show the sample as at angle 0; NaN does not."""
    return np.asarray(np.mod(angles, 360.0) == 0)
