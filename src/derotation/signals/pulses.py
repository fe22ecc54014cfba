"""From analog channels to pulses, in two passes over the file and in bounded memory."""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from derotation.errors import SignalError
from derotation.io.signals import AnalogSignals
from derotation.signals.levels import GrowingHistogram, Levels, find_levels, quantile

logger = logging.getLogger(__name__)

CHUNK_SAMPLES = 1 << 21

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
    parts: dict[str, list[NDArray[np.int64]]] = {role: [] for role in levels}
    found = np.empty(min(CHUNK_SAMPLES, signals.n_samples), np.int64)
    for role, first, chunk in _chunks(signals, tuple(levels), "edges"):
        rise_at, fall_at, threshold = raw_levels[role]
        if role not in states:
            high = int(chunk[0] >= threshold)
            states[role] = np.array([high, 0, high], np.int64)
            if high:
                parts[role].append(np.zeros(1, dtype))
        n = edges.find_edges(chunk, first, rise_at, fall_at, threshold, states[role], found)
        if n:
            parts[role].append(found[:n].astype(dtype))
    return {role: np.concatenate([np.zeros(0, dtype), *parts.pop(role)]) for role in levels}


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
