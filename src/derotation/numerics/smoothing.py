"""Smooth pictures by a Gaussian, and keep only as many pixels as are needed afterwards."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["smoothed"]

# Taps reach so many standard deviations far, as those of scipy.ndimage do.
TRUNCATE = 4.0


def smoothed(
    image: NDArray[Any], sigma: float, stride: int = 1, *, truncate: float = TRUNCATE
) -> NDArray[np.float32]:
    """Convolve a picture with a Gaussian, and keep each `stride`-th row and column.

    What :func:`scipy.ndimage.gaussian_filter` gives, in 32 bits and several times faster, since
    pixels that are not kept are not computed.

    Parameters
    ----------
    image : ndarray of shape (y, x)
    sigma : float
        Standard deviation, pixels.
    stride : int
        1: all pixels are kept.
    truncate : float
        How many standard deviations the Gaussian reaches.

    Returns
    -------
    ndarray of shape (ceil(y / stride), ceil(x / stride))
        Beyond its borders the picture is mirrored.
    """
    from derotation.numerics.picture_kernels import smooth_thinned

    height, width = image.shape
    taps = _taps(sigma, truncate)
    row = np.empty(width + 2 * (len(taps) - 1), np.float32)
    out = np.empty((-(-height // stride), -(-width // stride)), np.float32)
    smooth_thinned(np.ascontiguousarray(image, np.float32), taps, stride, row, out)
    return out


@lru_cache(maxsize=16)
def _taps(sigma: float, truncate: float) -> NDArray[np.float32]:
    """Make the half of a Gaussian, from its middle on, that sums up to 1 with the other half."""
    half = np.exp(-0.5 * (np.arange(int(truncate * sigma + 0.5) + 1) / sigma) ** 2)
    return np.asarray(half / (2 * half.sum() - half[0]), np.float32)
