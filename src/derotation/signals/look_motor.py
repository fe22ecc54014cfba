"""What the motor does, told by its ticks and by rotation-on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from derotation.signals.look_kinds import ChannelLook
from derotation.signals.look_pulses import ChannelPulses
from derotation.signals.rotation_table import unevenness

__all__ = ["MOST_STEP_TICKS", "MotorLook", "look_at_motor", "usual_count"]

# A gap between ticks so many times as long as those beside it is a rest.
REST = 6.0
# Rotations turn alike, and steps do, if their ticks differ by less than this part, or so many.
ALIKE, ALIKE_TICKS = 0.02, 2
# Rotations with fewer ticks are the steps of an incremental session.
MOST_STEP_TICKS = 150
# Ticks of a whole turn as encoders and motors have them; a count this close to one means it.
USUAL_TICKS = (
    100, 180, 200, 256, 360, 400, 500, 512, 720, 800, 900, 1000, 1024, 1200, 1440, 1600, 1800, 2000,
    2048, 2400, 2500, 3000, 3200, 3600, 4000, 4096, 4800, 5000, 6400, 7200, 8000, 8192, 9000, 10000,
    12800, 16384, 18000, 20000, 25600, 36000, 51200,
)  # fmt: skip
NEAR = 0.012
# More of the intervals than this differ from their neighbors if ticks are missing or doubled.
UNEVEN = 0.05
# Ticks over which a speed is measured.
CRUISE_TICKS = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MotorLook:
    """What the ticks say about the motor."""

    protocol: Literal["full", "incremental", "free"]
    """The protocol that they look like."""
    whole_ticks: NDArray[np.int64]
    """Ticks of each rotation-on that was seen whole."""
    whole_intervals: NDArray[np.float64]
    """Its usual time from tick to tick at its full speed, samples."""
    n_first: int
    """How many of these are the recording's first, none of which was missed."""
    step_ticks: int | None
    """Ticks of one step, if they come in equal steps with rests between them."""
    has_gate: bool
    """Whether a channel says when the motor turns."""
    is_even: bool
    """Whether ticks follow each other evenly, so that none are missing or doubled."""

    @property
    def turn_ticks(self) -> int | None:
        """Ticks of one rotation, if all that were seen whole have about as many."""
        found = self.whole_ticks
        if not len(found):
            return None
        usual = float(np.median(found))
        alike = np.abs(found - usual) <= max(ALIKE * usual, ALIKE_TICKS)
        return round(usual) if alike.mean() >= 0.75 else None


def usual_count(n: int) -> int:
    """Give the count that motors have nearest to `n`; `n` itself if none is near."""
    nearest = min(USUAL_TICKS, key=lambda usual: abs(usual / n - 1))
    return nearest if abs(nearest / n - 1) < NEAR else n


def look_at_motor(channels: Sequence[ChannelLook]) -> MotorLook | None:
    """Tell from ticks and rotation-on what the motor does."""
    ticks = next((c.pulses for c in channels if c.kind == "rotation_ticks"), None)
    if ticks is None:
        return None
    gate = next((c.pulses for c in channels if c.kind == "rotation_on"), None)
    turns: list[tuple[bool, NDArray[np.int64]]] = []
    for k, stretch in enumerate(ticks.stretches):
        rises = ticks.rises(k)
        if gate is None:
            # Without a gate a rest parts rotations; those at the ends may have been cut.
            parts = _bursts(rises)
            turns += [(0 < i < len(parts) - 1, part) for i, part in enumerate(parts)]
            continue
        for start, stop in _open_times(gate, k, ticks):
            own = rises[(rises >= start) & (rises < stop)]
            turns.append((start > stretch[0] and stop < stretch[1], own))
    turns = [(whole, own) for whole, own in turns if len(own) > 1]
    steps = [burst for _, own in turns for burst in _bursts(own)[1:-1]] if gate else []
    step_ticks = _alike([len(step) for step in steps], least=2)
    whole = [own for is_whole, own in turns if is_whole and len(own) >= 4]
    intervals = np.array([_cruise(own) for own in whole])
    motor = MotorLook(
        protocol="full",
        whole_ticks=np.array([len(own) for own in whole], np.int64),
        whole_intervals=intervals,
        n_first=_n_first(turns, stretches_end=ticks.stretches[0][1]),
        step_ticks=step_ticks,
        has_gate=gate is not None,
        is_even=not whole or float(np.median([unevenness(own) for own in whole])) < UNEVEN,
    )
    if step_ticks is not None:
        return replace(motor, protocol="incremental")
    n = motor.turn_ticks
    alike = len(whole) >= 4 and np.ptp(intervals) <= 0.1 * np.median(intervals)
    if n is not None and n <= MOST_STEP_TICKS and alike:
        return replace(motor, protocol="incremental", step_ticks=n)
    if gate is None and (n is None or len(whole) < 2):
        return replace(motor, protocol="free")
    return motor


def _n_first(turns: Sequence[tuple[bool, NDArray[np.int64]]], stretches_end: int) -> int:
    """Count the rotations at the begin of the file that were seen whole, one after the other."""
    n = 0
    for whole, own in turns:
        if not whole or len(own) < 4 or own[0] >= stretches_end:
            break
        n += 1
    return n


def _open_times(gate: ChannelPulses, k: int, ticks: ChannelPulses) -> list[tuple[int, int]]:
    """List the times of a stretch in which rotation-on says that the motor turns."""
    start, stop = gate.start[k], gate.stop[k]
    rises = ticks.rises(k)
    at = np.searchsorted(start, rises, side="right") - 1
    high = (at >= 0) & (rises < stop[np.maximum(at, 0)]) if len(start) else np.zeros(len(rises))
    if np.mean(high) >= 0.5 or not len(rises):
        return list(zip(start.tolist(), stop.tolist(), strict=True))
    # Active low.
    first, last = gate.stretches[k]
    edges = [first, *np.column_stack([start, stop]).ravel().tolist(), last]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]


def _bursts(ticks: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Cut ticks where there is a rest: a gap much longer than those on both sides of it."""
    gaps = np.diff(ticks).astype(float)
    if len(gaps) < 3:
        return [ticks]
    beside = np.maximum(np.append(gaps[1:], 0), np.insert(gaps[:-1], 0, 0))
    return np.split(ticks, np.flatnonzero(gaps > REST * beside) + 1)


def _alike(counts: Sequence[int], least: int) -> int | None:
    """Give the usual count, if most are about that."""
    if len(counts) < least:
        return None
    usual = float(np.median(counts))
    near = np.abs(np.array(counts) - usual) <= max(ALIKE * usual, 1)
    return round(usual) if usual >= 2 and near.mean() >= 0.75 else None


def _cruise(ticks: NDArray[np.int64]) -> float:
    """Time from tick to tick at full speed: of the inner half, which has no ramps."""
    # Over several ticks, since few samples lie between two.
    step = min(CRUISE_TICKS, len(ticks) - 1)
    gaps = (ticks[step:] - ticks[:-step]) / step
    quarter = len(gaps) // 4
    return float(np.median(gaps[quarter : len(gaps) - quarter]))
