"""Where a function of few variables is lowest.

SciPy does the same to the last bit; but to load its ``optimize`` takes a job longer than to search.
"""

import math
from collections.abc import Callable, Sequence

__all__ = ["lowest_by_simplex", "lowest_within"]

# The value of a function, and where.
Corner = tuple[float, list[float]]

# Of the first simplex: corners differ from the start by this part of a coordinate, or by so much
# where it is 0.
CORNER, CORNER_AT_0 = 0.05, 0.00025
# The smallest steps of a search along a line: the square root of what floats resolve.
RESOLVED = math.sqrt(2.2e-16)
GOLDEN = 0.5 * (3.0 - math.sqrt(5.0))


def lowest_by_simplex(
    function: Callable[[list[float]], float],
    start: Sequence[float],
    *,
    xtol: float,
    ftol: float,
    most_calls: int,
) -> tuple[list[float], float]:
    """Find a minimum of a function of several variables, without its derivatives.

    Parameters
    ----------
    function : callable
        Takes a list of n numbers, which it must leave as they are.
    start : sequence of float
        Where the search begins.
    xtol, ftol : float
        It ends when the corners of the simplex differ by no more than both, in each coordinate and
        in the function's value.
    most_calls : int
        It ends in any case after so many calls of the function.

    Returns
    -------
    place : list of float
    value : float

    References
    ----------
    .. [1] J. A. Nelder, R. Mead, "A simplex method for function minimization", Comput. J. 7,
       308-313 (1965), doi:10.1093/comjnl/7.4.308
    """
    corners: list[Corner] = []
    try:
        first = [float(x) for x in start]
        valued = _Counted(function, most_calls)
        corners.append(valued(first))
        for k, x in enumerate(first):
            moved = (1 + CORNER) * x if x else CORNER_AT_0
            corners.append(valued([*first[:k], moved, *first[k + 1 :]]))
        corners.sort(key=_value)
        while not _close(corners, xtol, ftol):
            _improve(corners, valued)
            corners.sort(key=_value)
    except _EnoughError:
        pass
    value, place = min(corners, key=_value)
    return place, value


class _EnoughError(Exception):
    """The function was called as often as it may be."""


class _Counted:
    """Makes corners, as long as the function may be called."""

    def __init__(self, function: Callable[[list[float]], float], most_calls: int) -> None:
        self._function, self._left = function, most_calls

    def __call__(self, place: list[float]) -> Corner:
        if not self._left:
            raise _EnoughError
        self._left -= 1
        return self._function(place), place


def _improve(corners: list[Corner], valued: _Counted) -> None:
    """Move the worst corner, or else all towards the best one."""
    best, worst = corners[0], corners[-1]
    others = [place for _, place in corners[:-1]]
    middle = [_sum(xs) / len(others) for xs in zip(*others, strict=True)]
    mirrored = valued(_along(middle, worst[1], 1.0))
    if mirrored[0] < best[0]:
        farther = valued(_along(middle, worst[1], 2.0))
        corners[-1] = min(mirrored, farther, key=_value)
        return
    if mirrored[0] < corners[-2][0]:
        corners[-1] = mirrored
        return
    # Half as far, on the better side.
    outside = mirrored[0] < worst[0]
    nearer = valued(_along(middle, worst[1], 0.5 if outside else -0.5))
    if nearer[0] <= mirrored[0] if outside else nearer[0] < worst[0]:
        corners[-1] = nearer
        return
    for k, (_, place) in enumerate(corners[1:], start=1):
        corners[k] = valued([b + 0.5 * (x - b) for b, x in zip(best[1], place, strict=True)])


def _value(corner: Corner) -> float:
    return corner[0]


def _sum(values: Sequence[float]) -> float:
    """Add one after the other (from Python 3.12 on, `sum` is more exact than that)."""
    total = values[0]
    for value in values[1:]:
        total += value
    return total


def _along(middle: list[float], worst: list[float], step: float) -> list[float]:
    """Go from the middle away from the worst corner, by so many times their distance."""
    return [(1 + step) * m - step * w for m, w in zip(middle, worst, strict=True)]


def _close(corners: list[Corner], xtol: float, ftol: float) -> bool:
    value, place = corners[0]
    return all(
        abs(value - own) <= ftol
        and all(abs(a - b) <= xtol for a, b in zip(own_place, place, strict=True))
        for own, own_place in corners[1:]
    )


def lowest_within(
    function: Callable[[float], float], low: float, high: float, *, xtol: float = 1e-5
) -> float:
    """Find a minimum of a function of one variable between two bounds.

    Parameters
    ----------
    function : callable
    low, high : float
    xtol : float
        How exactly.

    Returns
    -------
    float
        Where it is.

    References
    ----------
    .. [1] R. P. Brent, "Algorithms for minimization without derivatives", Prentice-Hall (1973),
       chapter 5.
    """
    # The three lowest places so far, the lowest first.
    x = second = third = low + GOLDEN * (high - low)
    fx = f_second = f_third = function(x)
    step = last = 0.0
    while True:
        middle = 0.5 * (low + high)
        least = RESOLVED * abs(x) + xtol / 3.0
        if abs(x - middle) <= 2 * least - 0.5 * (high - low):
            return x
        before, last = last, step
        p, q = _top_of_parabola(x, second, third, fx, f_second, f_third)
        if abs(before) > least and _is_safe(p, q, before, low - x, high - x):
            step = p / q
            if x + step - low < 2 * least or high - (x + step) < 2 * least:
                step = math.copysign(least, middle - x)
        else:
            last = low - x if x >= middle else high - x
            step = GOLDEN * last
        new = x + math.copysign(max(abs(step), least), step)
        f_new = function(new)
        if f_new <= fx:
            low, high = (x, high) if new >= x else (low, x)
            third, f_third = second, f_second
            second, f_second = x, fx
            x, fx = new, f_new
            continue
        low, high = (new, high) if new < x else (low, new)
        if f_new <= f_second or second == x:
            third, f_third = second, f_second
            second, f_second = new, f_new
        elif f_new <= f_third or third in (x, second):
            third, f_third = new, f_new


def _top_of_parabola(
    x: float, second: float, third: float, fx: float, f_second: float, f_third: float
) -> tuple[float, float]:
    """Tell how far from x the parabola through three places is lowest, as a fraction."""
    r = (x - second) * (fx - f_third)
    q = (x - third) * (fx - f_second)
    p = (x - third) * q - (x - second) * r
    q = 2.0 * (q - r)
    return (-p if q > 0.0 else p), abs(q)


def _is_safe(p: float, q: float, before: float, low: float, high: float) -> bool:
    """Tell whether a step of p / q is shorter than half the last but one, and within bounds."""
    return abs(p) < abs(0.5 * q * before) and p > q * low and p < q * high
