"""Discs about the center of rotation: the part of the picture that stays in it while it turns."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["disc", "seen_radius"]


def disc(
    shape: tuple[int, int], center: Sequence[float], diameter: float | None
) -> NDArray[np.bool_]:
    """Mark the pixels (y, x) within a disc about a center (x, y); all of them without a diameter.

    Parameters
    ----------
    shape : tuple of int
        Height and width.
    center : sequence of float
        (x, y) in pixels.
    diameter : float or None
        Pixels.

    Returns
    -------
    ndarray of bool, shape (height, width)
    """
    if diameter is None:
        return np.ones(shape, np.bool_)
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((x - center[0]) ** 2 + (y - center[1]) ** 2 <= (diameter / 2) ** 2)


def seen_radius(center: ArrayLike, shape: tuple[int, ...]) -> float:
    """Give the radius (px, at least 1) of the disc about a center (x, y) that every frame sees.

    Parameters
    ----------
    center : array_like of shape (2,)
        (x, y) in pixels.
    shape : tuple of int
        (..., height, width).
    """
    (x, y), (height, width) = np.asarray(center, np.float64), shape[-2:]
    return max(float(min(x, y, width - 1 - x, height - 1 - y)), 1.0)
