"""Faults of the motor and its encoder that a rotation's pulses show before they are numbered."""

import numpy as np
from numpy.typing import NDArray

from derotation.signals.ticks import cruise_speed

__all__ = ["debounced", "lost_from", "ringing_after", "stalled_from"]

NDFloat = NDArray[np.float64]

# The shortest possible time between two ticks is that of a motor so many times faster than asked.
FASTEST = 1.5
# A motor stands still after an interval that is this many times longer than all that follow.
STANDSTILL_RATIO = 2.5
# So many ticks, or this part of a rotation, may ring when the motor stops.
MAX_RINGING = 30
MAX_RINGING_PART = 0.05
# Missing ticks were lost here and there, rather than at a stall, if the longest stretch without
# ticks holds at most this part of them.
MAX_IN_ONE_GAP = 0.25
# Ticks on either side of a gap from which the speed there is told, and how well they agree if the
# motor turned on meanwhile.
SPEED_TICKS = 4
SAME_SPEED = 0.25
# A rotation that lasted this part of the time that it takes was not cut short.
WHOLE_DURATION = 0.9


def debounced(times: NDFloat, shortest: float) -> NDArray[np.bool_]:
    """Mark the pulses that follow another sooner than any motor turns.

    Parameters
    ----------
    times : ndarray of shape (n,)
        Pulses, samples, ascending.
    shortest : float
        The shortest time between two ticks, samples.

    Returns
    -------
    ndarray of bool, shape (n,)
        True for each pulse less than `shortest` after the last one that is kept.
    """
    from derotation.signals import tick_kernels

    return tick_kernels.marked(np.ascontiguousarray(times, np.float64), float(shortest))


def ringing_after(ticks: NDFloat, expected: int | None) -> int:
    """Count the last pulses that come when the motor has stopped and its shaft still swings.

    Parameters
    ----------
    ticks : ndarray of shape (n,)
        Ticks of one rotation, ascending.
    expected : int or None
        Ticks of a whole rotation, if known.

    Returns
    -------
    int
        Number of pulses at the end that are no ticks.

    Notes
    -----
    Towards standstill each interval is longer than the one before. What follows a long interval
    in much shorter ones is ringing, if the ticks before are as many as expected (or, where that
    is not known, if it is over soon).
    """
    n = len(ticks)
    most = max(MAX_RINGING, int(MAX_RINGING_PART * (expected or 0)))
    if n < 8 or (expected is not None and n <= expected):
        return 0
    intervals = np.diff(ticks)
    first = max(n - 1 - most, 2)
    # The longest interval that follows each one.
    following = np.maximum.accumulate(intervals[::-1])[::-1]
    best = 0
    for k in range(first, n - 2):
        stops = intervals[k] > STANDSTILL_RATIO * following[k + 1]
        slower = intervals[k] > intervals[k - 1] > intervals[k - 2]
        n_before = k + 2
        enough = expected is None or abs(n_before - expected) <= max(2, 0.01 * expected)
        if stops and slower and enough:
            best = n - n_before
            break
    if best == 0 and expected is not None and _stops_at(intervals, expected, n):
        return n - expected
    return best


def _stops_at(intervals: NDFloat, expected: int, n: int) -> bool:
    """Tell whether the pulses after the expected ones lose the motor's rhythm at once."""
    if not 0 < n - expected <= MAX_RINGING or expected < 8:
        return False
    usual = float(np.median(intervals[expected - 6 : expected - 1]))
    return bool(intervals[expected - 1] > STANDSTILL_RATIO * usual)


def lost_from(
    ticks: NDFloat, expected: int | None, start: float, stop: float, planned: float | None = None
) -> float:
    """Tell from when on the angle is not known, of a rotation that lacks many ticks.

    Parameters
    ----------
    ticks : ndarray of shape (n,)
        Its ticks, samples.
    expected : int or None
        Ticks of a whole rotation.
    start, stop : float
        When rotation-on rose and fell.
    planned : float, optional
        How long the rotation takes at the speed asked for, samples; default: at the speed at which
        its ticks came.

    Returns
    -------
    float
        The last tick before the longest stretch without any; `start` if there are hardly any;
        infinite if the motor has come around: ticks were lost here and there, or in a gap on both
        sides of which it was under way.
    """
    n = len(ticks)
    speed = cruise_speed(ticks)
    if n < 8 or not speed > 0:
        return float(start)
    if expected is None or n >= expected:
        return float("inf")  # pulses too many do not say that it stopped
    stretches = np.diff(np.append(ticks, max(stop, ticks[-1]))) * speed
    longest = int(np.argmax(stretches))
    whole = expected / speed if planned is None else planned
    lasted = ticks[-1] - ticks[0] > WHOLE_DURATION * whole
    scattered = stretches[longest] <= max(MAX_IN_ONE_GAP * (expected - n), 10)
    if lasted and (scattered or _turned_on(ticks, longest, speed)):
        return float("inf")
    return float(ticks[longest])


def stalled_from(time: NDFloat, inserted: NDArray[np.bool_], least: float) -> float:
    """Tell from when on a rotation may have stalled, though few of its ticks are missing.

    Parameters
    ----------
    time : ndarray of shape (n,)
        All ticks of the rotation, samples.
    inserted : ndarray of bool, shape (n,)
        Those that were missing.
    least : float
        Ticks that have to be missing in a row.

    Returns
    -------
    float
        The last tick before the first gap in which the motor may have stood still; else infinite.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inserted.astype(np.int8), [0]])))
    seen = time[~inserted]
    if len(seen) < 2 * SPEED_TICKS:
        return float("inf")
    speed = cruise_speed(seen)
    for first, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if stop - first <= least or first == 0:
            continue
        last = int(np.count_nonzero(~inserted[:first])) - 1
        if not _turned_on(seen, last, speed):
            return float(seen[last])
    return float("inf")


def _turned_on(ticks: NDFloat, last: int, speed: float) -> bool:
    """Tell whether ticks go on after a gap as fast as before: a motor cannot start so suddenly."""
    if last < SPEED_TICKS or last + 1 + SPEED_TICKS >= len(ticks):
        return False
    before = SPEED_TICKS / (ticks[last] - ticks[last - SPEED_TICKS])
    after = SPEED_TICKS / (ticks[last + 1 + SPEED_TICKS] - ticks[last + 1])
    return bool(min(before, after) > 0.3 * speed and abs(after / before - 1) < SAME_SPEED)
