"""The top of a parabola through three neighbors."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["top_offset"]


def top_offset(before: ArrayLike, here: ArrayLike, after: ArrayLike) -> NDArray[Any]:
    """Tell how far from the middle one of three neighbors a parabola through them is highest.

    Parameters
    ----------
    before, here, after : array_like
        Values at -1, 0 and 1, of the same shape.

    Returns
    -------
    ndarray
        Offsets; 0 where the parabola has no top. Between -0.5 and 0.5 where `here` is the largest.
    """
    before, here, after = np.asarray(before), np.asarray(here), np.asarray(after)
    bend = before - 2 * here + after
    has_top = bend < 0
    offset = 0.5 * (before - after) / np.where(has_top, bend, 1.0)
    return np.asarray(np.where(has_top, offset, 0.0))
