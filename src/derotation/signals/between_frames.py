"""The angle between frames of which only one angle each is known.

A cubic spline follows smooth motion far better than straight lines do, but swings where the sample
stops or jumps. So it is cut there: each stretch of motion has its own spline, which leaves a rest
without any slope.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["between_frames"]

NDFloat = NDArray[np.float64]

# Straight pieces that stand for one interval's cubic.
PIECES = 16
# Two intervals in a row that turn by less (degrees) are rest.
STILL_DEG = 0.05
# An interval that turns by so many times what its neighbors do, and by so much more (degrees), is a
# jump.
JUMP_TIMES, JUMP_DEG = 3.0, 1.0
# How a spline ends where the sample goes on turning, and where it rests.
_END: Mapping[bool, Literal["not-a-knot", "clamped"]] = {False: "not-a-knot", True: "clamped"}
# A cubic takes four knots.
MIN_KNOTS = 4


def between_frames(
    time: NDFloat, angle: NDFloat, known: NDArray[np.bool_], begin: float, end: float
) -> tuple[NDFloat, NDFloat, NDArray[np.bool_]]:
    """Put knots between those of the frames, so that straight lines follow the motion.

    Parameters
    ----------
    time, angle : ndarray of shape (n,)
        One knot per frame, times ascending; degrees, unwrapped; n >= 2.
    known : ndarray of bool, shape (n - 1,)
        Intervals within which the angle is known.
    begin, end : float
        Times before the first knot and after the last one up to which the motion goes on.

    Returns
    -------
    time, angle : ndarray of shape (m,)
        The knots given, those between them, and one at either end.
    known : ndarray of bool, shape (m - 1,)
        As before.

    Notes
    -----
    Intervals at rest and jumps stay straight. The error for smooth motion is of the fourth order in
    the time between frames, not of the second; where the sample sets off between two frames it is
    bounded by how far a frame turns, as it has to be.
    """
    # Slow to load, and few sessions have such a table.
    from scipy.interpolate import CubicSpline

    step = np.diff(angle)
    still, jump = _rests(step), _jumps(step)
    left, right = step / np.diff(time), step / np.diff(time)
    cut = still | jump | ~known
    bend = np.zeros(2)
    for first, last in _stretches(cut):
        inside = slice(first, last + 1)
        at, turned = time[inside], angle[inside]
        if len(at) < MIN_KNOTS:
            continue
        from_rest = first > 0 and bool(still[first - 1])
        to_rest = last < len(step) and bool(still[last])
        spline = CubicSpline(at, turned, bc_type=(_END[from_rest], _END[to_rest]))
        slope = spline(at, 1)
        left[first:last], right[first:last] = slope[:-1], slope[1:]
        if first == 0:
            bend[0] = spline(at[0], 2)
        if last == len(step):
            bend[1] = spline(at[-1], 2)
    dense_time, dense_angle = _filled(time, angle, left, right)
    first_angle = _beyond(angle[0], left[0], bend[0], begin - time[0])
    last_angle = _beyond(angle[-1], right[-1], bend[1], end - time[-1])
    dense_time = np.concatenate([[begin], dense_time, [end]])
    dense_angle = np.concatenate([[first_angle], dense_angle, [last_angle]])
    inner = np.repeat(known, PIECES)
    return dense_time, dense_angle, np.concatenate([known[:1], inner, known[-1:]])


def _beyond(angle: float, slope: float, bend: float, away: float) -> float:
    """Go on from an end along a parabola."""
    return float(angle + slope * away + bend * away**2 / 2)


def _rests(step: NDFloat) -> NDArray[np.bool_]:
    """Mark intervals at rest: one alone may be the top of a swing."""
    small = np.abs(step) < STILL_DEG
    padded = np.pad(small, 1)
    return small & (padded[:-2] | padded[2:])


def _jumps(step: NDFloat) -> NDArray[np.bool_]:
    size = np.pad(np.abs(step), 1, mode="edge")
    if len(step) < 2:
        return np.zeros(len(step), np.bool_)
    neighbors = np.maximum(size[:-2], size[2:])
    neighbors[0], neighbors[-1] = size[2], size[-3]
    return np.asarray(size[1:-1] > JUMP_TIMES * neighbors + JUMP_DEG)


def _stretches(cut: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Give first and last knot of each stretch of intervals that are not cut."""
    edges = np.diff(np.concatenate([[0], (~cut).astype(np.int8), [0]]))
    firsts, lasts = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    yield from zip(firsts.tolist(), lasts.tolist(), strict=True)


def _filled(
    time: NDFloat, angle: NDFloat, left: NDFloat, right: NDFloat
) -> tuple[NDFloat, NDFloat]:
    """Evaluate the cubic of each interval at evenly spaced times."""
    share = np.arange(PIECES) / PIECES
    length, step = np.diff(time), np.diff(angle)
    before = (length * left - step)[:, None]
    after = (step - length * right)[:, None]
    swing = share * (1 - share) * (before * (1 - share) + after * share)
    dense_time = time[:-1, None] + share * length[:, None]
    dense_angle = angle[:-1, None] + share * step[:, None] + swing
    return np.append(dense_time, time[-1]), np.append(dense_angle, angle[-1])
