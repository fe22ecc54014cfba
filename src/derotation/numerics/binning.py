"""Smaller pictures."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["binned"]


def binned(images: NDArray[Any], factor: int) -> NDArray[Any]:
    """Average squares of pixels.

    Parameters
    ----------
    images : ndarray of shape (..., y, x)
        Numbers or marks; NaN makes its square NaN.
    factor : int
        Width of a square. Rows and columns that are left over are dropped.

    Returns
    -------
    ndarray of shape (..., y // factor, x // factor)
        float32, or float64 for input that needs it. Exactly 1 where all pixels are marked.
    """
    kind = np.result_type(images.dtype, np.float32)
    height, width = (n // factor * factor for n in images.shape[-2:])
    # Sums of whole pictures, first of rows, which lie together: a mean over two axes of a reshaped
    # array takes several times as long.
    rows = images[..., :height:factor, :width].astype(kind)
    for y in range(1, factor):
        rows += images[..., y:height:factor, :width]
    total = rows[..., ::factor].copy()
    for x in range(1, factor):
        total += rows[..., x::factor]
    total /= kind.type(factor**2)
    return np.asarray(total)
