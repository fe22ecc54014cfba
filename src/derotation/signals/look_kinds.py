"""What each channel of a recording is, told by its pulses alone.

The line clock comes a fixed number of times per pulse of the frame clock, locked to it; the two
channels of an encoder change in turns; rotation-on is high (or low) while the ticks come.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from derotation.signals.look_pulses import ChannelPulses

__all__ = ["KIND_WORDS", "ChannelLook", "ClocksLook", "Kind", "find_kinds"]

#: What a channel may be; the names are those of the roles, where there is one.
Kind = Literal[
    "line_clock",
    "frame_clock",
    "rotation_on",
    "rotation_ticks",
    "direction",
    "quadrature_a",
    "quadrature_b",
    "angle_voltage",
    "camera",
    "empty",
    "unknown",
]
#: How kinds are called.
KIND_WORDS: dict[Kind, str] = {
    "line_clock": "line clock",
    "frame_clock": "frame clock",
    "rotation_on": "rotation on",
    "rotation_ticks": "ticks",
    "direction": "direction",
    "quadrature_a": "encoder A",
    "quadrature_b": "encoder B",
    "angle_voltage": "angle, as a voltage",
    "camera": "camera, or another clock",
    "empty": "empty",
    "unknown": "unknown",
}

# Frames that have the usual number of lines, and lines that come at the usual time in a frame.
ALIKE, LOCKED = 0.8, 0.8
# A clock's intervals are as long as usual; of two that fit each other so many are enough, since the
# scanner may have run at other rates before.
CLOCK_STEADY, PAIR_STEADY = 0.85, 0.5
# So few frames tell nothing (one less with a line clock), nor do so few ticks.
MIN_FRAMES, MIN_TICKS = 4, 10
# Pulses in a channel's high (or low) time, if it says when the motor turns.
INSIDE = 0.9
# Neighboring edges that are of the other channel, in an encoder's pair.
IN_TURNS = 0.9
# An encoder's channels are apart by at least this part of a period.
APART = 0.05
# Lines melt into each other where this part of the time is high, with gaps of so few samples.
MELTED_DUTY, HIDDEN_GAP = 0.6, 2
# A gap this many times the usual interval interrupts a clock.
PAUSE = 3.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChannelLook:
    """One channel of a file."""

    number: int
    """Its number, from 1."""
    name: str | None
    """What the file calls it."""
    kind: Kind
    """What it is, by its pulses."""
    pulses: ChannelPulses
    """Levels and pulses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClocksLook:
    """What the clocks count."""

    line_interval: float | None = None
    """From line to line, samples; None if no line clock was found."""
    frame_interval: float | None = None
    """From frame to frame, samples."""
    lines_per_frame: int | None = None
    """Pulses of the line clock per frame."""


def find_kinds(
    channels: Sequence[ChannelPulses],
    n_rows: int | None = None,
    frame_channel: int | None = None,
) -> tuple[list[Kind], ClocksLook]:
    """Tell what each channel is.

    Parameters
    ----------
    channels : sequence of ChannelPulses
        In the file's order.
    n_rows : int, optional
        Rows of the movie's frames: which clock counts lines where several may.
    frame_channel : int, optional
        The channel, from 0, that is the frame clock if its pulses leave that open.

    Returns
    -------
    kinds : list of Kind
        One per channel.
    clocks : ClocksLook
    """
    kinds: list[Kind] = ["unknown"] * len(channels)
    for k, channel in enumerate(channels):
        if channel.is_wave:
            kinds[k] = "angle_voltage"
        elif not channel.n_pulses:
            kinds[k] = "empty"
    left = [k for k, channel in enumerate(channels) if channel.n_pulses]
    clocks = _find_clocks(channels, left, kinds, n_rows, frame_channel)
    left = [k for k in left if kinds[k] == "unknown"]
    pair = _find_quadrature(channels, left)
    if pair:
        kinds[pair[0]], kinds[pair[1]] = "quadrature_a", "quadrature_b"
        left = [k for k in left if k not in pair]
    _find_motor(channels, left, kinds)
    return kinds, clocks


def _find_clocks(
    channels: Sequence[ChannelPulses],
    left: Sequence[int],
    kinds: list[Kind],
    n_rows: int | None,
    frame_channel: int | None,
) -> ClocksLook:
    """Find the line clock and the frame clock."""
    pairs = []
    for line in left:
        for frame in left:
            n = _lines_per_frame(channels[line], channels[frame]) if line != frame else None
            if n is not None:
                pairs.append((line, frame, n))
    fitting = [pair for pair in pairs if n_rows is not None and pair[2] in (n_rows, n_rows // 2)]
    if not fitting:
        melted = _find_melted(channels, left, kinds)
        if melted is not None:
            return melted
    if pairs:
        line, frame, n = max(fitting or pairs, key=lambda pair: _pair_rank(channels, *pair))
        kinds[line], kinds[frame] = "line_clock", "frame_clock"
        return ClocksLook(
            line_interval=channels[line].interval,
            frame_interval=channels[frame].interval,
            lines_per_frame=n,
        )
    for k in left:
        found = _lines_between_gaps(channels[k])
        if found and (n_rows is None or abs(found[0] - n_rows) <= 0.1 * n_rows):
            kinds[k] = "line_clock"
            return ClocksLook(
                line_interval=channels[k].interval,
                frame_interval=found[1],
                lines_per_frame=found[0],
            )
    return _frame_clock_alone(channels, left, kinds, frame_channel)


def _pair_rank(
    channels: Sequence[ChannelPulses], line: int, frame: int, n: int
) -> tuple[int, bool, int]:
    """Prefer more frames; of as many, a clock that is high while lines are scanned."""
    interval = channels[frame].interval
    return -round(50 * np.log(interval)), _inside(channels[frame], channels[line]) > INSIDE, n


def _find_melted(
    channels: Sequence[ChannelPulses], left: Sequence[int], kinds: list[Kind]
) -> ClocksLook | None:
    """Find a line clock whose gaps are too short to be seen, and the clock of its frames."""
    for k in left:
        interval = _frames_of_melted_lines(channels[k])
        if interval is None:
            continue
        kinds[k] = "line_clock"
        alike = [
            other for other in left
            if other != k and abs(channels[other].interval / interval - 1) < 0.01
        ]  # fmt: skip
        if not alike:
            return ClocksLook(frame_interval=interval)
        frame = max(alike, key=lambda other: _inside(channels[other], channels[k]))
        kinds[frame] = "frame_clock"
        n = _lines_per_frame(channels[k], channels[frame])
        return ClocksLook(
            line_interval=channels[k].interval if n else None,
            frame_interval=interval,
            lines_per_frame=n,
        )
    return None


def _frames_of_melted_lines(line: ChannelPulses) -> float | None:
    """Tell the time of a frame where gaps between lines are too short to be seen; else None."""
    if line.n_pulses < 2 * MIN_FRAMES or line.duty < MELTED_DUTY:
        return None
    gaps, times = [], []
    for start, stop in zip(line.start, line.stop, strict=True):
        low = start[1:] - stop[:-1]
        gaps.append(low)
        # Only the longer one, from a frame's last line to the next frame, comes regularly.
        times.append(np.diff(start[1:][low > HIDDEN_GAP]))
    every, found = np.concatenate(gaps), np.concatenate(times)
    if np.median(every) > HIDDEN_GAP or len(found) < MIN_FRAMES:
        return None
    usual = float(np.median(found))
    alike = np.abs(found - usual) <= max(0.02 * usual, 2)
    return usual if alike.mean() >= ALIKE else None


def _lines_per_frame(line: ChannelPulses, frame: ChannelPulses) -> int | None:
    """Count the pulses of one channel per pulse of another; None if they are not those clocks."""
    if line.n_pulses < 2 * frame.n_pulses or frame.n_pulses < MIN_FRAMES - 1:
        return None
    usual, short = frame.interval, line.interval
    if min(frame.steady, line.steady) < PAIR_STEADY or not short < usual:
        return None
    counts, delays = [], []
    for k in range(len(frame.stretches)):
        frames, lines = frame.rises(k), line.rises(k)
        if len(frames) < 2 or not len(lines):
            continue
        whole = np.abs(np.diff(frames) / usual - 1) < 0.1
        # A line that begins with its frame may come a sample earlier.
        first = np.searchsorted(lines, frames - 0.3 * short)
        counts.append(np.diff(first)[whole])
        at = lines[np.minimum(first[:-1], len(lines) - 1)]
        delays.append((at - frames[:-1])[whole])
    every = np.concatenate([np.empty(0), *counts])
    if len(every) < MIN_FRAMES - 2:
        return None
    n = int(np.median(every))
    delay = np.concatenate(delays)
    locked = np.mean(np.abs(delay - np.median(delay)) < max(0.15 * short, 2.0))
    return n if n >= 2 and np.mean(every == n) >= ALIKE and locked >= LOCKED else None


def _lines_between_gaps(line: ChannelPulses) -> tuple[int, float] | None:
    """Count lines from flyback to flyback, and the time of a frame; None if nothing repeats."""
    if line.n_pulses < 4 * MIN_FRAMES or line.steady < CLOCK_STEADY:
        return None
    counts, times = [], []
    for k in range(len(line.stretches)):
        rises = line.rises(k)
        if len(rises) < 3:
            continue
        gaps = np.flatnonzero(np.diff(rises) > 1.15 * line.interval + 1)
        counts.append(np.diff(gaps))
        times.append(np.diff(rises[gaps]))
    every = np.concatenate([np.empty(0), *counts])
    if len(every) < MIN_FRAMES - 1:
        return None
    n = int(np.median(every))
    alike = every == n
    if n < 4 or alike.mean() < ALIKE:
        return None
    return n, float(np.median(np.concatenate(times)[alike]))


def _frame_clock_alone(
    channels: Sequence[ChannelPulses],
    left: Sequence[int],
    kinds: list[Kind],
    frame_channel: int | None,
) -> ClocksLook:
    """Take the slowest steady channel that never pauses, and gates no ticks, for a frame clock."""
    bursts = [channels[k] for k in left if _pauses(channels[k])]
    steady = [
        k for k in left
        if channels[k].n_pulses >= MIN_FRAMES and channels[k].steady >= 0.95
        and not _pauses(channels[k]) and not any(_gates(channels[k], b) for b in bursts)
        and not any(_gates(channels[other], channels[k]) for other in left if other != k)
    ]  # fmt: skip
    if not steady:
        return ClocksLook()
    slowest = max(steady, key=lambda k: channels[k].interval)
    chosen = frame_channel if frame_channel in steady else slowest
    interval = channels[chosen if chosen is not None else slowest].interval
    for k in steady:
        # The frame clock may be wired to several channels.
        if abs(channels[k].interval / interval - 1) < 0.01:
            kinds[k] = "frame_clock"
    return ClocksLook(frame_interval=interval)


def _pauses(channel: ChannelPulses) -> bool:
    found = channel.intervals()
    return bool(len(found) and found.max() > PAUSE * np.median(found))


def _find_quadrature(
    channels: Sequence[ChannelPulses], left: Sequence[int]
) -> tuple[int, int] | None:
    """Find two channels whose edges come in turns, a part of a period apart."""
    for i, first in enumerate(left):
        for second in left[i + 1 :]:
            a, b = channels[first], channels[second]
            if min(a.n_pulses, b.n_pulses) < MIN_TICKS:
                continue
            if abs(a.n_pulses - b.n_pulses) > 0.05 * a.n_pulses + 3:
                continue
            if _edges_take_turns(a, b):
                return first, second
    return None


def _edges_take_turns(a: ChannelPulses, b: ChannelPulses) -> bool:
    turns, apart = [], []
    for k in range(len(a.stretches)):
        times = [np.concatenate([c.start[k], c.stop[k]]) for c in (a, b)]
        edges = np.concatenate(times)
        owner = np.repeat([0, 1], [len(t) for t in times])
        order = np.argsort(edges, kind="stable")
        edges, owner = edges[order], owner[order]
        if len(edges) < 4:
            continue
        turns.append(np.diff(owner) != 0)
        apart.append(np.diff(edges))
    if not turns:
        return False
    period = np.nanmedian([a.interval, b.interval])
    in_turns = np.concatenate(turns)
    return bool(
        in_turns.mean() > IN_TURNS and np.median(np.concatenate(apart)[in_turns]) > APART * period
    )


def _find_motor(channels: Sequence[ChannelPulses], left: Sequence[int], kinds: list[Kind]) -> None:
    """Find ticks, rotation-on and direction among what is neither a clock nor an encoder."""
    if not left:
        return
    many = [k for k in left if channels[k].n_pulses >= MIN_TICKS]
    slow = list(left)
    found: tuple[int, int] | None = None
    for tick in sorted(many, key=lambda k: -channels[k].n_pulses):
        gates = [k for k in slow if k != tick and _gates(channels[k], channels[tick])]
        if gates:
            # Of several the one that is high for the shortest time tells most.
            found = tick, min(gates, key=lambda k: _open_share(channels[k], channels[tick]))
            break
    if found:
        kinds[found[0]], kinds[found[1]] = "rotation_ticks", "rotation_on"
        rest = [k for k in left if k not in found]
    else:
        bursts = [k for k in many if _pauses(channels[k]) or channels[k].steady < CLOCK_STEADY]
        if bursts:
            kinds[max(bursts, key=lambda k: channels[k].n_pulses)] = "rotation_ticks"
        rest = [k for k in left if kinds[k] == "unknown"]
    ticks = next((channels[k] for k in left if kinds[k] == "rotation_ticks"), None)
    for k in rest:
        channel = channels[k]
        steady = channel.n_pulses >= MIN_TICKS and channel.steady > 0.9
        if steady:
            kinds[k] = "camera"
        elif ticks is not None and found and channel.n_pulses < MIN_TICKS:
            kinds[k] = "direction"
    slow_ones = [k for k in rest if kinds[k] == "unknown" and channels[k].n_pulses < MIN_TICKS]
    if ticks is None and len(slow_ones) == 1:
        kinds[slow_ones[0]] = "rotation_on"


def _inside(gate: ChannelPulses, ticks: ChannelPulses) -> float:
    """Part of the ticks that come while a channel is high."""
    n = 0
    for k in range(len(ticks.stretches)):
        rises, start = ticks.rises(k), gate.start[k]
        if not len(start):
            continue
        at = np.searchsorted(start, rises, side="right") - 1
        n += int(np.count_nonzero((at >= 0) & (rises < gate.stop[k][np.maximum(at, 0)])))
    total = sum(len(ticks.rises(k)) for k in range(len(ticks.stretches)))
    return n / max(total, 1)


def _gates(gate: ChannelPulses, ticks: ChannelPulses) -> bool:
    """Tell whether a channel is high (or low) just when the ticks come."""
    if not gate.n_pulses or gate.n_pulses > ticks.n_pulses / 4:
        return False
    inside = _inside(gate, ticks)
    if not (inside >= INSIDE or inside <= 1 - INSIDE):
        return False
    # Far more of the ticks than of the time.
    return _open_share(gate, ticks) < 0.8 or inside > 0.99


def _open_share(gate: ChannelPulses, ticks: ChannelPulses) -> float:
    """Part of the time for which a channel has the level that it has while the ticks come."""
    return gate.duty if _inside(gate, ticks) >= 0.5 else 1 - gate.duty
