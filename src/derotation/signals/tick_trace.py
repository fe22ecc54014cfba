"""The angle over time as the motor's ticks tell it: the angle source ``ticks``."""

import numpy as np
from numpy.typing import NDArray

from derotation.numerics.degrees import is_whole_turn
from derotation.signals import motor
from derotation.signals.events import Events
from derotation.signals.trace import AngleFlag, AngleTrace

__all__ = ["trace_of_ticks"]

NDFloat = NDArray[np.float64]

# The motor may have set off this long before rotation-on says so, and stop this much later (s).
LATENCY_S = 0.02


def trace_of_ticks(events: Events, direction_sign: int = 1) -> AngleTrace:
    """Give the angle at any time, told by the ticks of each rotation.

    Parameters
    ----------
    events : Events
        The events of the recording.
    direction_sign : {1, -1}
        -1 for a rig whose direction is wired the other way round.

    Returns
    -------
    AngleTrace
        Within a rotation a monotone cubic through the ticks (see ``derotation/signals/motor.py``).
        Rotations of whole turns return to the angle from which they began, others add up. A
        rotation that is unusable, but has come around, counts as having turned as far as it should
        have; after one that was lost the angle is not known, unless the movie shows it.
    """
    first = np.searchsorted(events.tick_rotation, np.arange(events.n_rotations + 1))
    chain = _Chain(events.n_rotations)
    base, stop = 0.0, -np.inf
    for k in range(events.n_rotations):
        own = slice(first[k], first[k + 1])
        following = events.rotation_start[k + 1] if k + 1 < events.n_rotations else np.inf
        limits = _limits(events, k, stop, float(following))
        total = float(events.rotation_turned[k])
        sign = -int(events.rotation_direction[k]) * direction_sign
        time, turned = events.tick_time[own], events.tick_angle[own]
        lost = float(events.rotation_lost[k])
        if np.isfinite(lost):
            chain.add_lost(k, time, turned, base, sign, limits[0], lost)
            seen = float(events.rotation_seen_to_turn[k])
            if not np.isfinite(seen):
                return chain.ended()
            chain.add_unusable(k, np.array([chain.stop, limits[1]]), base + sign * seen)
            base, stop = base + sign * seen, chain.stop
            chain.end_at(base)
            continue
        if events.rotation_usable[k]:
            knots = motor.knots(time, turned, total, *limits)
            inserted = np.isin(knots[0], time[events.tick_inserted[own]])
            chain.add(k, knots, base, sign, inserted)
        else:
            chain.add_unusable(k, _unusable_span(events, k), base)
        after = (
            base if total > 0 and bool(is_whole_turn(np.asarray(total))) else base + sign * total
        )
        chain.end_at(after)
        base, stop = after, chain.stop
    return chain.trace()


class _Chain:
    """Collects the knots of one rotation after the other."""

    def __init__(self, n_rotations: int) -> None:
        self.time: list[NDFloat] = []
        self.angle: list[NDFloat] = []
        self.slope: list[NDFloat] = []
        self.state: list[NDArray[np.uint8]] = []
        self.rotation: list[NDArray[np.int32]] = []
        self.outside = [int(AngleFlag.AT_REST), int(AngleFlag.AT_REST)]
        self.rest = 0.0
        self.stop = -np.inf

    def add(
        self,
        k: int,
        knots: tuple[NDFloat, NDFloat, NDFloat],
        base: float,
        sign: int,
        inserted: NDArray[np.bool_],
    ) -> None:
        """Add a rotation of which the ticks tell the angle."""
        time, turned, slope = knots
        bits = np.full(len(time) - 1, AngleFlag.ROTATING, np.uint8)
        bits[inserted[:-1] | inserted[1:]] |= np.uint8(AngleFlag.TICKS_REPAIRED)
        self._append(k, time, base + sign * turned, sign * slope, bits)

    def add_unusable(self, k: int, span: NDFloat, base: float) -> None:
        """Add a rotation of which nothing tells the angle."""
        if not np.isfinite(span[0]) and not self.time:
            self.outside[0] = int(AngleFlag.UNUSABLE)
        if not np.isfinite(span[1]):
            self.outside[1] = int(AngleFlag.UNUSABLE)
        span = np.clip(span, max(self.stop, -1e15), 1e15)
        bits = np.array([AngleFlag.UNUSABLE], np.uint8)
        self._append(k, span, np.full(2, base), np.zeros(2), bits)

    def add_lost(
        self,
        k: int,
        time: NDFloat,
        turned: NDFloat,
        base: float,
        sign: int,
        earliest: float,
        lost: float,
    ) -> None:
        """Add a rotation up to the tick after which nothing tells the angle any more."""
        if len(time) > 2:
            knots = motor.knots(time, turned, float(turned[-1]), earliest, lost)
            self.add(k, knots, base, sign, np.zeros(len(knots[0]), np.bool_))
        else:
            at = max(min(earliest, lost), self.stop)
            bits = np.array([AngleFlag.UNUSABLE], np.uint8)
            self._append(k, np.array([at, at]), np.full(2, base), np.zeros(2), bits)

    def _append(
        self, k: int, time: NDFloat, angle: NDFloat, slope: NDFloat, bits: NDArray[np.uint8]
    ) -> None:
        if self.time:  # the rest before, which a knot of its own ends
            self.state += [np.array([AngleFlag.AT_REST], np.uint8), bits[:1]]
            self.rotation += [np.array([-1], np.int32), np.array([k], np.int32)]
            self.time.append(time[:1])
            self.angle.append(angle[:1])
            self.slope.append(np.zeros(1))
        self.time.append(time)
        self.angle.append(angle)
        self.slope.append(slope)
        self.state.append(bits)
        self.rotation.append(np.full(len(bits), k, np.int32))
        self.stop = float(time[-1])

    def end_at(self, angle: float) -> None:
        """Say at which angle the sample rests after the last rotation."""
        self.time.append(self.time[-1][-1:])
        self.angle.append(np.array([angle]))
        self.slope.append(np.zeros(1))
        self.state.append(self.state[-1][-1:])
        self.rotation.append(self.rotation[-1][-1:])

    def ended(self) -> AngleTrace:
        """Put together what is known: after the last knot nothing is."""
        self.outside[1] = int(AngleFlag.UNUSABLE)
        return self.trace()

    def trace(self) -> AngleTrace:
        """Put everything together."""
        none = np.zeros(0)
        return AngleTrace(
            time=np.concatenate([none, *self.time]),
            angle=np.concatenate([none, *self.angle]),
            slope=np.concatenate([none, *self.slope]),
            state=np.concatenate([np.zeros(0, np.uint8), *self.state]),
            rotation=np.concatenate([np.zeros(0, np.int32), *self.rotation]),
            outside=(self.outside[0], self.outside[1]),
        )


def _limits(events: Events, k: int, stop: float, following: float) -> tuple[float, float]:
    """Tell when a rotation may have begun and ended."""
    latency = LATENCY_S * events.sampling_rate
    earliest = max(float(events.rotation_start[k]) - latency, stop)
    return earliest, min(float(events.rotation_end[k]) + latency, following)


def _unusable_span(events: Events, k: int) -> NDFloat:
    """Tell from when to when the angle is not known because of rotation `k`.

    All that lies beyond the edge of the recording, if the recording is cut within it.
    """
    latency = LATENCY_S * events.sampling_rate
    start, end = float(events.rotation_start[k]), float(events.rotation_end[k])
    return np.array(
        [
            start - latency if start > 0 else -np.inf,
            end + latency if end < events.n_samples else np.inf,
        ]
    )
