"""How the motor turned within one rotation, told from its ticks.

A rotation goes from standstill to standstill. Between ticks the angle is interpolated by a cubic
whose slopes are those of parabolas through three neighbors, limited so that it never turns back:
exact for constant acceleration. When the motor set off and when it stopped is told from the
outermost ticks at either end, since under constant acceleration the root of the angle grows
evenly: ``sqrt(angle)`` is a straight line that meets zero at the start.
"""

import numpy as np
from numpy.typing import NDArray

NDFloat = NDArray[np.float64]


def standstill(time: NDFloat, away: NDFloat) -> float:
    """Tell when a motor set off (or, with time running backward, when it stopped).

    Parameters
    ----------
    time : ndarray of shape (2,) or (3,)
        Times of the outermost ticks, the outer one first.
    away : ndarray of the same shape
        How far the motor is from standstill at each of them, degrees, rising, at least 0.

    Returns
    -------
    float
        In the unit of the times; that of the outermost tick if it comes at standstill.

    Notes
    -----
    A motor that speeds up evenly gives the parabola through the first two ticks. One that turns
    evenly by then has sped up somewhere before the first tick; half of that is assumed. The
    third tick tells how much there is of either.
    """
    if away[0] <= 0:
        return float(time[0])
    root = np.sqrt(away)
    parabola = time[0] - (time[1] - time[0]) * root[0] / (root[1] - root[0])
    if len(time) < 3:
        return float(parabola)
    speed = np.diff(away) / np.diff(time)
    even = time[0] - 1.5 * away[0] / speed[0]
    gain_expected = (root[1] + root[2]) / (root[0] + root[1]) - 1
    share = np.clip((speed[1] / speed[0] - 1) / gain_expected, 0.0, 1.0)
    return float(share * parabola + (1 - share) * even)


def parabolic_slopes(x: NDFloat, y: NDFloat) -> NDFloat:
    """Give the slope at each knot of the parabola through it and its neighbors.

    Slopes are limited to three times the lesser of the adjoining secants, within which a cubic
    through rising knots never falls (Fritsch and Carlson 1980). The outermost slopes are those
    of the outermost parabolas.
    """
    secant = np.diff(y) / np.diff(x)
    if len(x) == 2:
        return np.repeat(secant, 2)
    left, right = np.diff(x)[:-1], np.diff(x)[1:]
    inner = (right * secant[:-1] + left * secant[1:]) / (left + right)
    first = 2 * secant[0] - inner[0]
    last = 2 * secant[-1] - inner[-1]
    slope = np.concatenate([[first], inner, [last]])
    limit = 3 * np.concatenate([secant[:1], np.minimum(secant[:-1], secant[1:]), secant[-1:]])
    return np.asarray(np.clip(slope, 0.0, limit))


def evaluate(x: NDFloat, y: NDFloat, slope: NDFloat, at: NDFloat) -> NDFloat:
    """Evaluate the cubic through knots with given slopes, within the range of the knots."""
    interval = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    return evaluate_within(x, y, slope, interval, at)


def evaluate_within(
    x: NDFloat, y: NDFloat, slope: NDFloat, interval: NDArray[np.intp], at: NDFloat
) -> NDFloat:
    """Evaluate the cubic at places whose intervals are known; those without length are skipped."""
    i = interval
    h = x[i + 1] - x[i]
    h = np.where(h > 0, h, 1.0)
    t = (at - x[i]) / h
    rise = y[i + 1] - y[i]
    a = h * slope[i] - rise
    b = rise - h * slope[i + 1]
    return np.asarray(y[i] + t * rise + t * (1 - t) * (a * (1 - t) + b * t))


def invert(x: NDFloat, y: NDFloat, slope: NDFloat, values: NDFloat) -> NDFloat:
    """Tell where the cubic through rising knots takes given values, to rounding, by bisection."""
    i = np.clip(np.searchsorted(y, values, side="right") - 1, 0, len(x) - 2)
    low, high = x[i], x[i + 1]
    for _ in range(50):
        middle = (low + high) / 2
        below = evaluate(x, y, slope, middle) < values
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)


def knots(
    time: NDFloat, turned: NDFloat, total: float, earliest: float, latest: float
) -> tuple[NDFloat, NDFloat, NDFloat]:
    """Put together the knots of one rotation, from standstill to standstill.

    Parameters
    ----------
    time : ndarray of shape (n,)
        Times of the ticks, ascending, n >= 2.
    turned : ndarray of shape (n,)
        Degrees turned at each tick, ascending and positive.
    total : float
        Degrees turned when the rotation is over, at least those of the last tick.
    earliest, latest : float
        Limits for the start and the end of the motion.

    Returns
    -------
    time, turned, slope : ndarray of shape (m,)
        Knots, the first one at 0 degrees, the last one at `total`.
    """
    start = standstill(time[:3], turned[:3])
    stop = -standstill(-time[:-4:-1], total - turned[:-4:-1])
    start, cut_start = max(start, earliest), start < earliest
    stop, cut_stop = min(stop, latest), stop > latest
    if start < time[0]:
        time, turned = np.append(start, time), np.append(0.0, turned)
    if stop > time[-1] and total > turned[-1]:
        time, turned = np.append(time, stop), np.append(turned, total)
    slope = parabolic_slopes(time, turned)
    if not cut_start:
        slope[0] = 0.0
    if not cut_stop:
        slope[-1] = 0.0
    return time, turned, slope
