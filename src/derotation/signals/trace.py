"""The angle as a function of time, whatever told it: what all angle sources hand over."""

import enum
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.signals import motor

__all__ = [
    "AngleFlag",
    "AngleTrace",
    "MeasuredAngle",
    "Segments",
    "find_segments",
    "trace_of_knots",
]

NDFloat = NDArray[np.float64]

# A sample rests if it turns by less than this within that time (degrees, s), and longer than that.
REST_DEGREES = 0.05
REST_WINDOW_S = 0.1
MIN_REST_S = 0.2
# The grid on which rests are looked for (s).
GRID_S = 0.02


class AngleFlag(enum.IntFlag):
    """What is to be known about the angle of a line; bits of `Angles.flags`."""

    AT_REST = 1
    """The motor stands still."""
    ROTATING = 2
    """The motor turns."""
    TICKS_REPAIRED = 4
    """A tick next to this line was missing and has been inserted."""
    LINE_REPAIRED = 8
    """The time of the line was computed, not measured."""
    EXTRAPOLATED = 16
    """The line lies outside the analog recording."""
    UNUSABLE = 32
    """The angle of the line is not known: it is NaN."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AngleTrace:
    """The angle at any time, between knots; times in samples, ascending.

    Two knots at the same time are a jump, over the end of a whole turn.
    """

    time: NDFloat
    """Shape (n,)."""
    angle: NDFloat
    """Degrees at the knots, with their sign, shape (n,)."""
    slope: NDFloat | None
    """Degrees per sample at the knots, of a cubic between them; None: straight lines."""
    state: NDArray[np.uint8]
    """Bits of :class:`AngleFlag` of each interval, shape (n - 1,)."""
    rotation: NDArray[np.int32]
    """Rotation that each interval belongs to, -1 at rest, shape (n - 1,)."""
    outside: tuple[int, int]
    """Bits before the first knot and after the last one, where the angle is theirs."""

    def at(self, time: ArrayLike) -> tuple[NDFloat, NDArray[np.uint8], NDArray[np.int32]]:
        """Tell the angle at some times.

        Parameters
        ----------
        time : array_like of shape (m,)
            Samples.

        Returns
        -------
        angle : ndarray of shape (m,)
            Degrees; NaN where it is not known.
        state : ndarray of uint8, shape (m,)
            Bits of :class:`AngleFlag`.
        rotation : ndarray of int32, shape (m,)
            Rotation at each time, -1 at rest.
        """
        at = np.asarray(time, np.float64)
        n = len(self.time)
        if n == 0:
            rest = np.full(at.shape, self.outside[0], np.uint8)
            return self._blanked(np.zeros(at.shape), rest), rest, np.full(at.shape, -1, np.int32)
        interval = np.searchsorted(self.time, at, side="right") - 1
        before, after = interval < 0, interval >= n - 1
        inside = np.clip(interval, 0, max(n - 2, 0))
        if n > 1:
            angle = self._between(inside, at)
            state, rotation = self.state[inside], self.rotation[inside]
        else:
            angle = np.full(at.shape, self.angle[0])
            state, rotation = np.zeros(at.shape, np.uint8), np.full(at.shape, -1, np.int32)
        angle = np.where(before, self.angle[0], np.where(after, self.angle[-1], angle))
        first, last = (np.uint8(bits) for bits in self.outside)
        state = np.where(before, first, np.where(after, last, state)).astype(np.uint8)
        rotation = np.where(before | after, np.int32(-1), rotation)
        return self._blanked(angle, state), state, rotation

    def _between(self, interval: NDArray[np.intp], at: NDFloat) -> NDFloat:
        """Interpolate within given intervals; a jump is the later knot's."""
        x, y = self.time, self.angle
        if self.slope is not None:
            return motor.evaluate_within(x, y, self.slope, interval, at)
        share = (at - x[interval]) / np.maximum(x[interval + 1] - x[interval], 1e-9)
        return np.asarray(y[interval] + np.clip(share, 0, 1) * (y[interval + 1] - y[interval]))

    @staticmethod
    def _blanked(angle: NDFloat, state: NDArray[np.uint8]) -> NDFloat:
        return np.where(state & np.uint8(AngleFlag.UNUSABLE), np.nan, angle)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredAngle:
    """What a source that measures the angle (not one that counts ticks) says."""

    time: NDFloat
    """Samples, ascending, shape (n,)."""
    angle: NDFloat
    """Degrees as measured, unwrapped, shape (n,)."""
    known: NDArray[np.bool_]
    """Intervals between two times within which the angle is known, shape (n - 1,)."""
    resolution: float
    """Degrees by which it may change at rest."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segments:
    """When a sample turned, told from its angle alone; times in samples."""

    start: NDFloat
    """Shape (n_rotations,)."""
    stop: NDFloat
    """Same shape."""
    before: NDFloat
    """Angle at rest before each rotation, degrees."""
    after: NDFloat
    """Angle at rest after it."""
    speed: NDFloat
    """Degrees per second at which it mostly turned, positive."""


def find_segments(
    time: NDFloat, angle: NDFloat, sampling_rate: float, resolution: float = 0.0
) -> Segments:
    """Find rests, and rotations between them, in an angle over time.

    Parameters
    ----------
    time, angle : ndarray of shape (n,)
        Samples, ascending; degrees, unwrapped.
    sampling_rate : float
        Hz.
    resolution : float
        Degrees that the angle may change by at rest.

    Returns
    -------
    Segments
        A rotation lasts from rest to rest, in whatever directions it turns.
    """
    none = np.zeros(0)
    if len(time) < 2 or time[-1] - time[0] < 2 * GRID_S * sampling_rate:
        return Segments(start=none, stop=none, before=none, after=none, speed=none)
    step = GRID_S * sampling_rate
    grid = np.arange(time[0], time[-1] + step / 2, step)
    on_grid = np.interp(grid, time, angle)
    half = max(1, round(REST_WINDOW_S / GRID_S / 2))
    padded = np.pad(on_grid, half, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    moving = np.ptp(windows, axis=1) > REST_DEGREES + resolution
    most = 2 * REST_DEGREES + 1.5 * resolution
    moving = _without_brief_rests(moving, on_grid, round(MIN_REST_S / GRID_S), most)
    edges = np.diff(np.concatenate([[0], moving.astype(np.int8), [0]]))
    first, last = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    ends = np.append(first, len(grid))
    begins = np.concatenate([[0], last])
    # Rest k lies before rotation k.
    rest = [
        float(np.median(on_grid[a:b])) if b > a else float(on_grid[min(a, len(grid) - 1)])
        for a, b in zip(begins, ends, strict=True)
    ]
    rate = np.abs(np.gradient(on_grid, GRID_S))
    speed = [float(np.quantile(rate[a:b], 0.9)) for a, b in zip(first, last, strict=True)]
    return Segments(
        start=grid[first],
        stop=grid[np.minimum(last, len(grid) - 1)],
        before=np.array(rest[:-1]),
        after=np.array(rest[1:]),
        speed=np.array(speed),
    )


def _without_brief_rests(
    moving: NDArray[np.bool_], angle: NDFloat, least: int, most: float
) -> NDArray[np.bool_]:
    """Count rests as motion that are shorter than `least`, or turn slowly by more than `most`.

    Those at an end may be short.
    """
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(moving)) + 1, [len(moving)]])
    filled = moving.copy()
    for k, (a, b) in enumerate(itertools.pairwise(bounds.tolist())):
        at_end = k == 0 or k == len(bounds) - 2
        if not moving[a] and ((b - a < least and not at_end) or np.ptp(angle[a:b]) > most):
            filled[a:b] = True
    return filled


def trace_of_knots(
    time: NDFloat,
    angle: NDFloat,
    known: NDArray[np.bool_],
    segments: Segments,
    *,
    sign: int,
    zero: float,
) -> AngleTrace:
    """Make a trace of measured angles, which stands still at rests and starts anew after turns.

    Parameters
    ----------
    time, angle : ndarray of shape (n,)
        Samples, ascending; degrees, unwrapped.
    known : ndarray of bool, shape (n - 1,)
        Intervals between knots within which the angle is known.
    segments : Segments
        Rests and rotations.
    sign : {1, -1}
        The angle of a line is the measured one times this.
    zero : float
        The measured angle at which the angle of a line is 0, degrees.

    Returns
    -------
    AngleTrace
        At rest the angle is that of the whole rest. Rests at whole turns from the first one are at
        the angle of that one, so that the angle jumps back by whole turns when a rotation ends.
    """
    pieces_time, pieces_angle, state, rotation = [], [], [], []
    rests = np.append(segments.before, segments.after[-1:]) if len(segments.start) else None
    whole = 0.0
    if rests is None:
        still = float(np.median(angle)) if len(angle) else 0.0
        return _resting(time, known, sign * (still - zero))
    bounds = [-np.inf, *segments.stop.tolist()]
    ends = [*segments.start.tolist(), np.inf]
    for k, (begin, end) in enumerate(zip(bounds, ends, strict=True)):
        begin, end = max(begin, float(time[0])), min(end, float(time[-1]))
        whole = 360 * float(np.round((rests[k] - zero) / 360))
        level = sign * (rests[k] - whole - zero)
        if end > begin:
            own = _with_gaps(time, known, begin, end)
            pieces_time.append(own)
            pieces_angle.append(np.full(len(own), level))
            state.append(_bits(time, known, own, AngleFlag.AT_REST))
            rotation.append(np.full(len(own) - 1, -1, np.int32))
        if k == len(segments.start):
            break
        start, stop = segments.start[k], segments.stop[k]
        inside = slice(*np.searchsorted(time, (start, stop), side="right"))
        own = np.concatenate([[start], time[inside], [stop]])
        turned = np.interp(own, time, angle)
        pieces_time.append(own)
        pieces_angle.append(sign * (turned - whole - zero))
        state.append(_bits(time, known, own, AngleFlag.ROTATING))
        rotation.append(np.full(len(own) - 1, k, np.int32))
    return _chained(pieces_time, pieces_angle, state, rotation)


def _with_gaps(time: NDFloat, known: NDArray[np.bool_], begin: float, end: float) -> NDFloat:
    """Give begin and end of a rest, and of what is not known within it."""
    edges = np.unique(np.concatenate([time[:-1][~known], time[1:][~known]]))
    return np.concatenate([[begin], edges[(edges > begin) & (edges < end)], [end]])


def _bits(
    time: NDFloat, known: NDArray[np.bool_], own: NDFloat, bit: AngleFlag
) -> NDArray[np.uint8]:
    """Mark the intervals between some times by a bit, and those that are not known."""
    at = np.clip(np.searchsorted(time, (own[:-1] + own[1:]) / 2) - 1, 0, len(known) - 1)
    return np.where(known[at], bit, AngleFlag.UNUSABLE).astype(np.uint8)


def _resting(time: NDFloat, known: NDArray[np.bool_], angle: float) -> AngleTrace:
    own, state = np.zeros(2), np.array([AngleFlag.AT_REST], np.uint8)
    if len(time) > 1:
        own = _with_gaps(time, known, float(time[0]), float(time[-1]))
        state = _bits(time, known, own, AngleFlag.AT_REST)
    return AngleTrace(
        time=own,
        angle=np.full(len(own), angle),
        slope=None,
        state=state,
        rotation=np.full(len(own) - 1, -1, np.int32),
        outside=(int(AngleFlag.AT_REST), int(AngleFlag.AT_REST)),
    )


def _chained(
    time: list[NDFloat],
    angle: list[NDFloat],
    state: list[NDArray[np.uint8]],
    rotation: list[NDArray[np.int32]],
) -> AngleTrace:
    """Put pieces together; the intervals between them have no length."""
    joint_state, joint_rotation = [state[0]], [rotation[0]]
    for own, which in zip(state[1:], rotation[1:], strict=True):
        joint_state += [own[:1], own]
        joint_rotation += [which[:1], which]
    # Beyond the ends of what was measured the sample may have gone on turning.
    ends = [
        int(AngleFlag.AT_REST if bits & AngleFlag.AT_REST else AngleFlag.UNUSABLE)
        for bits in (int(state[0][0]), int(state[-1][-1]))
    ]
    return AngleTrace(
        time=np.concatenate(time),
        angle=np.concatenate(angle),
        slope=None,
        state=np.concatenate(joint_state),
        rotation=np.concatenate(joint_rotation),
        outside=(ends[0], ends[1]),
    )
