"""Smoothing along lines, without SciPy: jobs that need no more of it do not load it."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["smoothed_along"]

# The Gaussian is cut off at so many standard deviations.
REACH = 4.0
# Lines worked on at once, so that they stay in the processor's cache.
LINES = 64


def smoothed_along(
    values: ArrayLike, sd: float, *, border: Literal["symmetric", "zero"] = "symmetric"
) -> NDArray[np.float64]:
    """Convolve the last axis with a Gaussian.

    Parameters
    ----------
    values : array_like of shape (..., n)
    sd : float
        Standard deviation of the Gaussian in samples.
    border : {"symmetric", "zero"}
        What lies beyond the ends: the values mirrored, the last ones twice, or nothing.

    Returns
    -------
    ndarray of float64
        Of the same shape, to the last bit what ``scipy.ndimage.gaussian_filter1d`` gives with the
        modes "reflect" and "constant".
    """
    lines = np.asarray(values, np.float64)
    n, reach = lines.shape[-1], int(REACH * sd + 0.5)
    weights = np.exp(-0.5 / (sd * sd) * np.arange(-reach, reach + 1) ** 2)
    weights = weights / weights.sum()
    flat = lines.reshape(-1, n)
    smooth = np.empty_like(flat)
    for first in range(0, len(flat), LINES):
        _convolve(flat[first : first + LINES], weights, border, smooth[first : first + LINES])
    return smooth.reshape(lines.shape)


def _convolve(
    lines: NDArray[np.float64], weights: NDArray[np.float64], border: str, out: NDArray[np.float64]
) -> None:
    """Add up what lies left and right of each sample, the farthest first."""
    n, reach = lines.shape[1], len(weights) // 2
    beyond = ((0, 0), (reach, reach))
    wide = np.pad(lines, beyond, mode="constant" if border == "zero" else "symmetric")
    np.multiply(lines, weights[reach], out=out)
    both = np.empty_like(out)
    for away in range(reach, 0, -1):
        left, right = reach - away, reach + away
        np.add(wide[:, left : left + n], wide[:, right : right + n], out=both)
        both *= weights[left]
        out += both
