"""Where a channel's two voltage levels are, told from the histogram of all its samples."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Enough to resolve the noise of a 20 V range with 5 mV steps even when half of the bins are empty.
N_BINS = 8192
# Two levels lie further apart than this many times the noise about the commoner one. One level
# with normal noise, cut into two, comes to 2.3; a sine to 3.9.
MIN_SEPARATION = 5.0
# Less than this is no logic signal, whatever the noise (V).
MIN_AMPLITUDE_V = 0.2
# A few samples at either end may be sparks.
MAX_TRIMMED_SAMPLES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """The two levels of a channel, in volts, and where they are told apart."""

    low: float
    """Level between pulses."""
    high: float
    """Level of pulses."""
    noise: float
    """Standard deviation about the commoner level."""
    threshold: float
    """Where an edge is put."""
    rise_at: float
    """What a rising signal has to reach for a pulse to begin."""
    fall_at: float
    """What a falling signal has to reach for a pulse to end."""


class GrowingHistogram:
    """Counts of values whose range is not known beforehand; bins widen as values come in."""

    def __init__(self) -> None:
        self.counts = np.zeros(N_BINS, np.int64)
        self.n_bad = 0
        self.first_bad = -1
        self._origin = 0.0
        self._width = 0.0

    @property
    def centers(self) -> NDArray[np.float64]:
        """Middle of each bin."""
        return np.asarray(self._origin + (np.arange(N_BINS) + 0.5) * self._width)

    def add(self, chunk: NDArray[np.float32], first_sample: int) -> None:
        """Count the values of a chunk that begins at `first_sample` of the recording."""
        from derotation.signals import edges

        least, greatest, n_bad, first_bad = edges.summarize(chunk)
        if n_bad and not self.n_bad:
            self.first_bad = first_sample + int(first_bad)
        self.n_bad += int(n_bad)
        if least <= greatest:
            self._cover(float(least), float(greatest))
            edges.fill_histogram(chunk, self._origin, self._width, self.counts)

    def _cover(self, least: float, greatest: float) -> None:
        """Widen the bins, two into one, until they hold both values."""
        if self._width == 0.0:
            span = max(greatest - least, 1e-6 * max(abs(least), abs(greatest)), 1e-9)
            self._width = 2 * span / N_BINS
            self._origin = least - 0.5 * span
        while least < self._origin or greatest >= self._origin + N_BINS * self._width:
            pairs = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts[:] = 0
            if least < self._origin:
                self._origin -= N_BINS * self._width
                self.counts[N_BINS // 2 :] = pairs
            else:
                self.counts[: N_BINS // 2] = pairs
            self._width *= 2


def find_levels(
    counts: NDArray[np.int64], volts: NDArray[np.float64], threshold: float | None
) -> Levels | None:
    """Tell the two levels of a channel and where to tell them apart.

    Parameters
    ----------
    counts : ndarray of shape (n,)
        Histogram of all samples.
    volts : ndarray of shape (n,)
        Voltage of each bin, ascending.
    threshold : float or None
        A threshold that the user asked for, in volts.

    Returns
    -------
    Levels or None
        None if there is only one level: a flat line, or nothing but noise.

    Notes
    -----
    The split is moved to the middle between the medians of both sides until it stays, beginning
    in the middle of the range: so pulses that are very rare still count as a side of their own.
    """
    total = np.cumsum(counts)
    if threshold is not None:
        asked = int(np.searchsorted(volts, threshold))
        if asked == 0 or total[asked - 1] == 0 or total[asked - 1] == total[-1]:
            return None
        return _with_hysteresis(counts, volts, asked, threshold)
    split = _two_sides(total, volts)
    if split is None:
        return None
    levels = _with_hysteresis(counts, volts, split, None)
    amplitude = levels.high - levels.low
    if amplitude < max(MIN_AMPLITUDE_V, MIN_SEPARATION * levels.noise):
        return None
    return levels


def quantile(counts: NDArray[np.int64], volts: NDArray[np.float64], fraction: float) -> float:
    """Give a quantile of a histogram, to the bin."""
    total = np.cumsum(counts)
    return float(volts[min(np.searchsorted(total, fraction * total[-1]), len(volts) - 1)])


def _two_sides(total: NDArray[np.int64], volts: NDArray[np.float64]) -> int | None:
    """Find the first bin of the upper side; None if all samples are in one bin."""
    trimmed = min(MAX_TRIMMED_SAMPLES, int(total[-1]) // 10_000)
    first = int(np.searchsorted(total, trimmed, side="right"))
    last = int(np.searchsorted(total, total[-1] - trimmed, side="left"))
    if first >= last:
        return None
    split = int(np.searchsorted(volts, (volts[first] + volts[last]) / 2, side="right"))
    for _ in range(100):
        below = np.searchsorted(total, total[split - 1] / 2)
        above = np.searchsorted(total, (total[split - 1] + total[-1]) / 2)
        moved = int(np.searchsorted(volts, (volts[below] + volts[above]) / 2, side="right"))
        moved = min(max(moved, first + 1), last)
        if moved == split:
            break
        split = moved
    return split


def _with_hysteresis(
    counts: NDArray[np.int64], volts: NDArray[np.float64], split: int, threshold: float | None
) -> Levels:
    """Describe both sides of a split."""
    low = quantile(counts[:split], volts[:split], 0.5)
    high = quantile(counts[split:], volts[split:], 0.5)
    common = slice(split) if 2 * counts[:split].sum() >= counts.sum() else slice(split, None)
    spread = quantile(counts[common], volts[common], 0.84) - quantile(
        counts[common], volts[common], 0.16
    )
    noise = spread / 2
    amplitude = high - low
    middle = (low + high) / 2 if threshold is None else threshold
    # Wide enough for the noise, narrow enough for pulses that a filter has rounded.
    band = min(0.2 * amplitude, max(0.05 * amplitude, 3 * noise))
    return Levels(
        low=low,
        high=high,
        noise=noise,
        threshold=middle,
        rise_at=middle + min(band, 0.5 * max(high - middle, 0.0)),
        fall_at=middle - min(band, 0.5 * max(middle - low, 0.0)),
    )
