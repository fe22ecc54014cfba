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
    # Sums of whole pictures: a mean over two axes of a reshaped array takes several times as long.
    across = np.zeros((*images.shape[:-1], width // factor), kind)
    for x in range(factor):
        across += images[..., x:width:factor]
    total = np.zeros((*images.shape[:-2], height // factor, width // factor), kind)
    for y in range(factor):
        total += across[..., y:height:factor, :]
    return np.asarray(total / kind.type(factor**2))
