"""From analog channels to pulses, in two passes over the file and in bounded memory."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from tqdm import tqdm

from derotation.errors import SignalError
from derotation.io.signals import AnalogSignals
from derotation.numerics.integers import clipped
from derotation.signals.levels import GrowingHistogram, Levels, find_levels, quantile

logger = logging.getLogger(__name__)

CHUNK_SAMPLES = 1 << 21
# So many pulses are compared at a time. Times between them up to this (samples) are counted.
PULSES_AT_A_TIME, MOST_COUNTED = 1 << 18, 1 << 16
# Room for this part more is made when a list of edges is full.
GROWTH = 8

NOTHING_FOUND = {
    "line_clock": "no lines",
    "frame_clock": "no frames",
    "rotation_on": "no rotation",
    "rotation_ticks": "no ticks",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pulses:
    """The pulses of one channel."""

    role: str
    """What the channel is for."""
    start: NDArray[np.int64]
    """First sample of each pulse, shape (n,), ascending."""
    stop: NDArray[np.int64]
    """First sample after each pulse, shape (n,)."""
    levels: Levels
    """The channel's levels."""
    begins_high: bool
    """The first pulse had begun before the recording did."""
    ends_high: bool
    """The last pulse goes on beyond the end of the recording."""

    def __len__(self) -> int:
        return len(self.start)

    @property
    def usual_length(self) -> float:
        """Median time for which a pulse lasts, samples; of at least one pulse."""
        return _median(self.lengths)

    def lengths(self) -> Iterator[NDArray[np.int64]]:
        """Tell how long the pulses last, samples, some at a time."""
        for some in _parts(len(self)):
            yield self.stop[some] - self.start[some]

    @property
    def usual_gap(self) -> float:
        """Median time from the end of a pulse to the next one, samples; of at least two pulses."""
        start, stop = self.start[1:], self.stop[:-1]
        return _median(lambda: (start[some] - stop[some] for some in _parts(len(start))))


def usual_interval(start: NDArray[np.int64]) -> float:
    """Give the median time from one pulse to the next, samples; infinite for a single pulse."""
    return _median(lambda: intervals(start)) if len(start) > 1 else float("inf")


def intervals(start: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Tell the times from one pulse to the next, samples, some at a time."""
    for some in _parts(len(start) - 1):
        yield np.diff(start[some.start : some.stop + 1])


def _parts(n: int) -> Iterator[slice]:
    """Divide n pulses: an hour has tens of millions of them."""
    for first in range(0, n, PULSES_AT_A_TIME):
        yield slice(first, min(first + PULSES_AT_A_TIME, n))


def _median(times: Callable[[], Iterator[NDArray[np.int64]]]) -> float:
    """Give the median of times, which are told part by part; negative ones count as 0."""
    counts = np.zeros(MOST_COUNTED + 1, np.int64)
    for some in times():
        counts += np.bincount(np.clip(some, 0, MOST_COUNTED), minlength=len(counts))
    up_to = np.cumsum(counts)
    # The one in the middle, or the two.
    middle = np.searchsorted(up_to, [(up_to[-1] - 1) // 2, up_to[-1] // 2], side="right")
    if middle[1] < MOST_COUNTED:
        return float(middle.mean())
    return float(np.median(np.concatenate(list(times()))))


def begun_before(start: NDArray[Any], at: ArrayLike) -> NDArray[np.intp]:
    """Count the pulses that begin before some times, samples; as many numbers as times.

    NumPy's own search would turn the starts, which may be tens of millions of integers, into floats
    first.
    """
    times = np.asarray(at)
    if start.dtype.kind in "iu" and times.dtype.kind == "f":
        times = clipped(np.ceil(times), start.dtype)
    return np.searchsorted(start, times)


def mean_near(times: Iterable[NDArray[np.int64]], center: float, within: float) -> float:
    """Average the times, samples, that lie within some distance of a center; NaN if none does.

    Exactly: they are integers, and told part by part.
    """
    total, n = 0, 0
    for some in times:
        near = some[np.abs(some - center) <= within]
        total, n = total + int(near.sum(dtype=np.int64)), n + len(near)
    return total / n if n else float("nan")


def find_pulses(
    signals: AnalogSignals,
    roles: Iterable[str],
    thresholds: Mapping[str, float | None],
    sampling_rate: float,
    may_be_flat: Collection[str] = (),
) -> dict[str, Pulses]:
    """Find the pulses of several channels.

    Parameters
    ----------
    signals : AnalogSignals
        The recording.
    roles : iterable of str
        The channels to look at.
    thresholds : mapping of str to float or None
        Volts above which a channel is high; None or missing: told from the signal.
    sampling_rate : float
        Hz, for messages.
    may_be_flat : collection of str
        Channels that have no pulses if they show one level only; not both clocks.

    Returns
    -------
    dict of str to Pulses

    Raises
    ------
    SignalError
        If samples are not finite, or another channel shows one level only.
    """
    roles = tuple(roles)
    histograms = _read_histograms(signals, roles)
    for role in roles:
        _check_finite(signals, role, histograms[role], sampling_rate)
    levels = {
        role: _levels(
            signals, role, histograms[role], thresholds.get(role), flat=role in may_be_flat
        )
        for role in roles
    }
    clocks = [role for role in ("line_clock", "frame_clock") if role in roles]
    if clocks and all(np.isinf(levels[role].threshold) for role in clocks):
        _levels(signals, clocks[0], histograms[clocks[0]], thresholds.get(clocks[0]))
    edges = _read_edges(signals, levels)
    return {role: _pulses(role, edges[role], levels[role], signals.n_samples) for role in roles}


def _read_histograms(signals: AnalogSignals, roles: tuple[str, ...]) -> dict[str, GrowingHistogram]:
    """Count all values of the channels."""
    histograms = {role: GrowingHistogram() for role in roles}
    for role, first, chunk in _chunks(signals, roles, "levels"):
        histograms[role].add(chunk, first)
    return histograms


def _chunks(
    signals: AnalogSignals, roles: tuple[str, ...], what: str
) -> Iterator[tuple[str, int, NDArray[np.float32]]]:
    """Yield (role, first sample, samples) of a stretch of every channel, then of the next one.

    Channels may lie interleaved in the file, so all are read from a stretch before the next.
    The samples are in the file's units and valid until the next ones are asked for.
    """
    views = {role: signals.raw(role) for role in roles}
    buffer = np.empty(min(CHUNK_SAMPLES, signals.n_samples), np.float32)
    starts = range(0, signals.n_samples, CHUNK_SAMPLES)
    for first in tqdm(starts, desc=f"Reading signals: {what}", unit="chunk", disable=None):
        for role, view in views.items():
            stretch = view[first : first + CHUNK_SAMPLES]
            chunk = buffer[: stretch.size]
            with np.errstate(over="ignore"):  # too large for float32 is reported as infinite
                np.copyto(chunk, stretch, casting="unsafe")
            yield role, first, chunk
        signals.release()


def _check_finite(
    signals: AnalogSignals, role: str, histogram: GrowingHistogram, sampling_rate: float
) -> None:
    """Refuse a channel with samples that are no numbers."""
    if histogram.n_bad:
        raise SignalError(
            f"{signals.path}: channel {role} holds {histogram.n_bad} NaN or infinite samples, the "
            f"first at {histogram.first_bad / sampling_rate:.6g} s (sample {histogram.first_bad})"
            "; every sample must be a number. Repair the recording or export it again."
        )


def _levels(
    signals: AnalogSignals,
    role: str,
    histogram: GrowingHistogram,
    threshold: float | None,
    *,
    flat: bool = False,
) -> Levels:
    """Tell the levels of a channel in volts, or say why there are none."""
    gain, offset = signals.scale(role)
    volts = gain * histogram.centers + offset
    levels = find_levels(histogram.counts, volts, threshold)
    if levels is not None:
        logger.info(
            "%s: low %.3g V, high %.3g V, noise %.2g V, threshold %.3g V",
            role, levels.low, levels.high, levels.noise, levels.threshold,
        )  # fmt: skip
        return levels
    middle = quantile(histogram.counts, volts, 0.5)
    occupied = volts[histogram.counts > 0]
    if role == "frame_clock" and threshold is None and middle > 1.0:
        # High all the time: frames follow each other without a gap, within the whole recording.
        return Levels(low=0.0, high=middle, noise=0.0, threshold=0.5, rise_at=0.5, fall_at=0.5)
    if flat and threshold is None:
        logger.warning("%s shows one level only, %.3g V: it has no pulses.", role, middle)
        return _flat_levels(middle)
    asked = "" if threshold is None else f", never on both sides of the threshold {threshold:g} V"
    nothing = NOTHING_FOUND.get(role, "no pulses")
    raise SignalError(
        f"{signals.path}: {nothing}: channel {role} shows one level only, "
        f"{middle:.3g} V ({occupied[0]:.3g} to {occupied[-1]:.3g} V){asked}. Expected are pulses "
        "between two levels. Check signals.channel_order and signals.channel_names, the cable, "
        f"and signals.thresholds.{role}."
    )


def _flat_levels(volts: float) -> Levels:
    """Give levels that no sample reaches."""
    return Levels(
        low=volts, high=volts, noise=0.0, threshold=np.inf, rise_at=np.inf, fall_at=-np.inf
    )


def no_pulses(role: str) -> Pulses:
    """Give what a channel that is not there has."""
    none = np.zeros(0, np.int64)
    return Pulses(
        role=role,
        start=none,
        stop=none,
        levels=_flat_levels(0.0),
        begins_high=False,
        ends_high=False,
    )


def always(role: str, *, high: bool, n_samples: int) -> Pulses:
    """Give what a channel has that keeps one level throughout the recording."""
    if not high:
        return no_pulses(role)
    return Pulses(
        role=role,
        start=np.zeros(1, np.int64),
        stop=np.full(1, n_samples, np.int64),
        levels=_flat_levels(0.0),
        begins_high=True,
        ends_high=True,
    )


def _read_edges(
    signals: AnalogSignals, levels: Mapping[str, Levels]
) -> dict[str, NDArray[np.int64]]:
    """Find all edges of the channels: rises and falls in turns, beginning with a rise."""
    dtype = np.int32 if signals.n_samples < 2**31 - 1 else np.int64
    from derotation.signals import edges

    raw_levels = {role: _in_raw_units(signals, role, found) for role, found in levels.items()}
    states: dict[str, NDArray[np.int64]] = {}
    every = {role: _Growing(dtype) for role in levels}
    found = np.empty(min(CHUNK_SAMPLES, signals.n_samples), np.int64)
    for role, first, chunk in _chunks(signals, tuple(levels), "edges"):
        rise_at, fall_at, threshold = raw_levels[role]
        if role not in states:
            high = int(chunk[0] >= threshold)
            states[role] = np.array([high, 0, high], np.int64)
            if high:
                every[role].add(np.zeros(1, dtype))
        n = edges.find_edges(chunk, first, rise_at, fall_at, threshold, states[role], found)
        every[role].add(found[:n])
    return {role: own.whole() for role, own in every.items()}


class _Growing:
    """Numbers put one behind the other, without a moment at which there are two copies of them."""

    def __init__(self, dtype: DTypeLike) -> None:
        self._numbers, self._n = np.empty(0, dtype), 0

    def add(self, more: NDArray[np.int64]) -> None:
        """Put some more behind those that are there."""
        n = self._n + len(more)
        if n > len(self._numbers):
            # Nobody else knows the array; where it is large, its pages are moved, not copied.
            self._numbers.resize(n + n // GROWTH, refcheck=False)
        self._numbers[self._n : n] = more
        self._n = n

    def whole(self) -> NDArray[np.int64]:
        """Give all of them; no more can be added."""
        self._numbers.resize(self._n, refcheck=False)
        return self._numbers


def _in_raw_units(signals: AnalogSignals, role: str, levels: Levels) -> tuple[float, float, float]:
    """Convert the three levels that matter from volts to the file's units."""
    gain, offset = signals.scale(role)
    rise_at, fall_at, threshold = (
        (volts - offset) / gain for volts in (levels.rise_at, levels.fall_at, levels.threshold)
    )
    return rise_at, fall_at, threshold


def _pulses(role: str, edges: NDArray[np.int64], levels: Levels, n_samples: int) -> Pulses:
    """Pair rises with falls."""
    ends_high = len(edges) % 2 == 1
    if ends_high:
        edges = np.append(edges, edges.dtype.type(n_samples))
    return Pulses(
        role=role,
        start=edges[::2],
        stop=edges[1::2],
        levels=levels,
        begins_high=len(edges) > 0 and edges[0] == 0,
        ends_high=ends_high,
    )
