"""Levels and pulses of channels of which nobody has said what they are for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.io.channels import Stretch
from derotation.signals.levels import GrowingHistogram, Levels, find_levels, quantile

__all__ = ["ChannelPulses", "look_at_pulses"]

# A wave, other than pulses, spends this part of its time between its levels, and so many samples
# at each crossing.
WAVE_SHARE, WAVE_SAMPLES = 0.02, 12
# Logic has less spread about a level than this part of the distance to the other.
WAVE_SPREAD = 0.08
# The middle between the levels, as a part of their distance from the lower one.
MIDDLE = (0.15, 0.85)
# From sample to sample a wave moves by less than this part of its range; noise by a tenth.
SMOOTH = 0.03
# Less than this is no signal (V).
MIN_RANGE_V = 0.2
# Intervals that differ from the usual one by less than this part of it, or so many samples.
STEADY, STEADY_SAMPLES = 0.05, 1.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChannelPulses:
    """What a channel does in the stretches that were read; times in samples of the whole file."""

    low: float
    """Lower level, V; the least value of a wave."""
    high: float
    """Upper level, V; the same as `low` if there is one level only."""
    is_wave: bool
    """Whether it goes through all voltages instead of having two levels."""
    n_bad: int
    """Samples that are no finite numbers."""
    start: tuple[NDArray[np.int64], ...]
    """First sample of each pulse, one array per stretch; that of the stretch for one cut by it."""
    stop: tuple[NDArray[np.int64], ...]
    """First sample after each pulse."""
    stretches: tuple[Stretch, ...]
    """What was read."""

    @property
    def n_pulses(self) -> int:
        """Pulses in all stretches."""
        return sum(map(len, self.start))

    @property
    def n_samples(self) -> int:
        """Samples of all stretches."""
        return sum(stop - start for start, stop in self.stretches)

    @property
    def duty(self) -> float:
        """Part of the time for which the channel is high."""
        high = sum(int((b - a).sum()) for a, b in zip(self.start, self.stop, strict=True))
        return high / self.n_samples

    def rises(self, k: int) -> NDArray[np.int64]:
        """Give the pulses of a stretch whose begin was seen."""
        start = self.start[k]
        return start[start > self.stretches[k][0]]

    def intervals(self) -> NDArray[np.int64]:
        """Give the times from one pulse to the next, of all stretches."""
        return np.concatenate([np.diff(self.rises(k)) for k in range(len(self.stretches))])

    @property
    def interval(self) -> float:
        """The usual time from one pulse to the next; NaN where there are not two."""
        found = self.intervals()
        return float(np.median(found)) if len(found) else float("nan")

    @property
    def steady(self) -> float:
        """Part of the intervals that are as long as usual."""
        found = self.intervals()
        if not len(found):
            return 0.0
        usual = float(np.median(found))
        return float(np.mean(np.abs(found - usual) <= max(STEADY * usual, STEADY_SAMPLES)))

    @property
    def width(self) -> float:
        """The usual duration of a pulse; NaN where no whole one was seen."""
        found = [
            (stop - start)[(start > first) & (stop < last)]
            for start, stop, (first, last) in zip(
                self.start, self.stop, self.stretches, strict=True
            )
        ]
        widths = np.concatenate(found)
        return float(np.median(widths)) if len(widths) else float("nan")


def look_at_pulses(
    blocks: Sequence[NDArray[np.float32]], stretches: Sequence[Stretch]
) -> ChannelPulses:
    """Tell levels and pulses of one channel.

    Parameters
    ----------
    blocks : sequence of ndarray of shape (n,)
        Volts of each stretch, contiguous.
    stretches : sequence of (int, int)
        Where these lie in the file.

    Returns
    -------
    ChannelPulses
    """
    histogram = GrowingHistogram()
    for block, (first, _) in zip(blocks, stretches, strict=True):
        histogram.add(block, first)
    n_good = int(histogram.counts.sum())
    if not n_good:
        return _flat(0.0, 0.0, histogram.n_bad, stretches)
    volts = histogram.centers
    levels = find_levels(histogram.counts, volts, None)
    least, greatest = (quantile(histogram.counts, volts, part) for part in (1e-4, 1 - 1e-4))
    if levels is None:
        waves = greatest - least >= MIN_RANGE_V and _is_smooth(blocks, greatest - least)
        if not waves:
            middle = quantile(histogram.counts, volts, 0.5)
            return _flat(middle, middle, histogram.n_bad, stretches)
        return _flat(least, greatest, histogram.n_bad, stretches, is_wave=True)
    starts, stops = zip(
        *(_pulses(block, levels, where) for block, where in zip(blocks, stretches, strict=True)),
        strict=True,
    )
    at = [levels.low + part * (levels.high - levels.low) for part in MIDDLE]
    between = int(histogram.counts[(volts > at[0]) & (volts < at[1])].sum())
    n_edges = 2 * sum(map(len, starts)) + 1
    passes = between > max(WAVE_SHARE * n_good, WAVE_SAMPLES * n_edges)
    # A wave that starts anew after a turn may jump over the middle; but its ends are no levels.
    spreads = levels.noise > WAVE_SPREAD * (levels.high - levels.low)
    if (passes and _is_smooth(blocks, greatest - least)) or (
        spreads and _is_smooth(blocks, 4 * levels.noise)
    ):
        return _flat(least, greatest, histogram.n_bad, stretches, is_wave=True)
    return ChannelPulses(
        low=levels.low,
        high=levels.high,
        is_wave=False,
        n_bad=histogram.n_bad,
        start=tuple(starts),
        stop=tuple(stops),
        stretches=tuple(stretches),
    )


def _flat(
    low: float, high: float, n_bad: int, stretches: Sequence[Stretch], *, is_wave: bool = False
) -> ChannelPulses:
    none = tuple(np.empty(0, np.int64) for _ in stretches)
    return ChannelPulses(
        low=low,
        high=high,
        is_wave=is_wave,
        n_bad=n_bad,
        start=none,
        stop=none,
        stretches=tuple(stretches),
    )


def _is_smooth(blocks: Sequence[NDArray[np.float32]], span: float) -> bool:
    """Tell a wave from noise: neighboring samples are close to each other."""
    steps = [np.median(np.abs(np.diff(block[np.isfinite(block)]))) for block in blocks
             if np.count_nonzero(np.isfinite(block)) > 1]  # fmt: skip
    return bool(steps) and float(np.median(steps)) < SMOOTH * span


def _pulses(
    block: NDArray[np.float32], levels: Levels, where: Stretch
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the pulses of one stretch."""
    from derotation.signals import edges

    first, last = where
    high = int(block[0] >= levels.threshold)
    state = np.array([high, first, high], np.int64)
    found = np.empty(len(block), np.int64)
    n = edges.find_edges(
        block, first, levels.rise_at, levels.fall_at, levels.threshold, state, found
    )
    times = found[:n]
    if high:
        times = np.concatenate([[first], times])
    if len(times) % 2:
        times = np.concatenate([times, [last]])
    return times[::2].copy(), times[1::2].copy()
