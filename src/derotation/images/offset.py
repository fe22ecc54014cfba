"""What the detector gives where there is no light."""

import statistics
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.io.movie import Movie
from derotation.numerics.gaussian import smoothed_along

__all__ = ["estimate_pmt_offset", "lit_frames"]

MAX_FRAMES = 100
FRAMES_AT_ONCE = 10
# The darkest pixels of the field, where samples without any photon are most frequent.
DARK_FRACTION = 0.02
BINS = 512
# Peaks of the histogram are smoothed by this part of its spread below the median (cells that pass
# by reach far above it); single photons stay apart.
SMOOTHING = 0.06
# A lower peak counts as the one without photons from this part of the highest peak on.
MIN_PEAK = 0.05
# Frames darker than this part of the brightest ones are no picture of the sample.
MIN_BRIGHTNESS = 0.3
# Unless light fades steadily: a frame may be so much darker than so many lit ones next to it, down
# to this part of the brightest ones.
MIN_STEADY, N_STEADY, MIN_FADED = 0.7, 10, 0.05


def estimate_pmt_offset(movie: Movie | NDArray[Any]) -> float:
    """Estimate the counts that mean "0 photons" from the dark pixels of a movie.

    Parameters
    ----------
    movie : Movie or ndarray of shape (frame, y, x)
        Up to 100 frames are read, spread over its whole length.

    Returns
    -------
    float
        The lowest peak in the distribution of what the darkest 2 % of the pixels recorded; a
        whole number for an integer movie. Where even the darkest pixels nearly always see
        photons, it lies higher than the true offset, at their most frequent value.
    """
    n_frames = movie.shape[0]
    read = movie.__getitem__ if isinstance(movie, np.ndarray) else movie.read
    chosen = np.unique(np.linspace(0, n_frames - 1, min(n_frames, MAX_FRAMES)).astype(int))
    total = np.zeros(movie.shape[1:])
    for block in _blocks(chosen):
        total += np.nan_to_num(read(block).astype(np.float64)).sum(axis=0)
    n_dark = max(int(DARK_FRACTION * total.size), 16)
    dark = np.argpartition(total.ravel(), min(n_dark, total.size - 1))[:n_dark]
    values = np.concatenate(
        [read(block).reshape(len(block), -1)[:, dark].ravel() for block in _blocks(chosen)]
    ).astype(np.float64)
    offset = _lowest_peak(values[np.isfinite(values)], movie.dtype.kind in "iu")
    return float(round(offset)) if movie.dtype.kind in "iu" else offset


def lit_frames(brightness: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell frames that show the sample from those recorded without light.

    Parameters
    ----------
    brightness : ndarray of shape (frame,)
        Brightness above the detector's offset, in any unit, in the order of time; NaN where it is
        not known.

    Returns
    -------
    ndarray of bool of shape (frame,)
        Frames at least 0.3 times as bright as the brightest ones (their 95th percentile), and
        darker ones, where the brightness falls (or rises) steadily to theirs: bleached ones.
    """
    known = np.isfinite(brightness)
    if not known.any():
        return known
    bright = np.quantile(brightness[known], 0.95)
    values = np.nan_to_num(brightness)
    lit = known & (values >= MIN_BRIGHTNESS * max(bright, 0.0))
    if lit.all() or bright <= 0:
        return np.asarray(lit)
    faded = known & (values >= MIN_FADED * bright)
    backwards = _steady(values[::-1], lit[::-1], faded[::-1])[::-1]
    return np.asarray(_steady(values, lit, faded) | backwards)


def _steady(
    values: NDArray[np.float64], lit: NDArray[np.bool_], faded: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Follow the brightness from lit frames on, as far as it changes steadily."""
    found = lit.copy()
    last: deque[float] = deque(maxlen=N_STEADY)
    for k in np.flatnonzero(faded).tolist():
        found[k] |= bool(last) and values[k] >= MIN_STEADY * statistics.median(last)
        if found[k]:
            last.append(float(values[k]))
    return found


def _blocks(numbers: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return np.array_split(numbers, -(-len(numbers) // FRAMES_AT_ONCE))


def _lowest_peak(values: NDArray[np.float64], integer: bool) -> float:
    if values.size == 0:
        return 0.0
    low, high = np.quantile(values, [0.0005, 0.995])
    if high <= low:
        return float(low)
    if integer and high - low < BINS:
        edges = np.arange(np.floor(low) - 0.5, np.ceil(high) + 1.5)
    else:
        edges = np.linspace(low, high, BINS + 1)
    counts, _ = np.histogram(values, edges)
    step = edges[1] - edges[0]
    spread = np.median(values) - np.quantile(values, 0.16)
    smooth = smoothed_along(counts, max(SMOOTHING * spread / step, 0.5), border="zero")
    inner = np.concatenate([[0.0], smooth, [0.0]])
    peaks = np.flatnonzero((inner[1:-1] >= inner[:-2]) & (inner[1:-1] > inner[2:]))
    tall = peaks[smooth[peaks] >= MIN_PEAK * smooth.max()]
    return float((edges[tall[0]] + edges[tall[0] + 1]) / 2)
