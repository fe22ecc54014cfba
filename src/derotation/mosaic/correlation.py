"""Two pictures, of which not all is known, correlated at all shifts at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["Part", "correlate"]

Floats = NDArray[np.float64]


class Part(NamedTuple):
    """The part of a tile in which its neighbor may lie."""

    values: NDArray[np.float32]
    """0 where nothing is known, (y, x)."""
    known: NDArray[np.float32]
    """1 where something is known, else 0."""
    start: list[int]
    """Row and column of its first value in the tile."""


def correlate(a: Part, b: Part, offset: NDArray[np.int64], steps: int) -> tuple[Floats, Floats]:
    """Correlate two parts at each shift by up to `steps` from an offset, where both are known.

    Returns
    -------
    likeness : ndarray of shape (2 steps + 1, 2 steps + 1)
        Pearson's correlation; -1 where nothing varies.
    n : ndarray of the same shape
        Values that both know.
    """
    size = [
        fft.next_fast_len(max(m, n) + 2 * steps, real=True)
        for m, n in zip(a.values.shape, b.values.shape, strict=True)
    ]
    spectra_a, spectra_b = (
        [fft.rfft2(x, s=size) for x in (part.known, part.values, part.values * part.values)]
        for part in (a, b)
    )
    pairs = [(0, 0), (1, 0), (0, 1), (2, 0), (0, 2), (1, 1)]
    places = [np.arange(-steps, steps + 1) + int(o) for o in offset]
    chosen = np.ix_(*(place % n for place, n in zip(places, size, strict=True)))
    n, sum_a, sum_b, sum_aa, sum_bb, sum_ab = (
        fft.irfft2(spectra_a[i] * np.conj(spectra_b[j]), s=size)[chosen].astype(np.float64)
        for i, j in pairs
    )
    n = np.rint(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = sum_ab - sum_a * sum_b / n
        variances = (sum_aa - sum_a**2 / n) * (sum_bb - sum_b**2 / n)
        likeness = covariance / np.sqrt(variances)
    scale = float(np.max(sum_aa)) * float(np.max(sum_bb))
    likeness[~(variances > 1e-12 * scale) | ~np.isfinite(likeness)] = -1.0
    return likeness, n
