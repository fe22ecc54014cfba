"""The ticks of one rotation: which pulses are ticks, and which tick each of them is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation import _labels, _motion

NDFloat = NDArray[np.float64]

# Variation of the speed from tick to tick that is ordinary for a motor and its encoder.
RIPPLE = 0.08
# Ticks at either end from which the acceleration is told.
N_RAMP_TICKS = 20
# Ticks on one side of a gap from which the speed at its edge is told.
N_EDGE_TICKS = 10
# An adjustment of the numbering that costs more than this is not made.
MAX_COST = 18.0
# A tick at either end is left out if that brings the motor's start this much nearer (ticks).
MIN_GAIN = 0.3
# Pulses closer than this part of the local interval are one pulse that bounced.
MIN_INTERVAL = 0.15
# Uncertainty of how many ticks are missing before the first tick or after the last one.
END_SIGMA = 0.4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TickTrain:
    """The numbered ticks of one rotation."""

    time: NDFloat
    """Samples, shape (n,), ascending."""
    number: NDArray[np.int64]
    """1, 2, ... n: how many increments the motor has turned."""
    inserted: NDArray[np.bool_]
    """Ticks that were missing, shape (n,)."""
    duplicated: NDFloat
    """Times of pulses that were too many."""
    unexplained: int
    """Ticks that should have been found (negative: too many), without a place where they miss."""


def number_rotation(
    times: NDFloat, expected: int | None, earliest: float, latest: float
) -> TickTrain:
    """Give numbers to the ticks of one rotation.

    Parameters
    ----------
    times : ndarray of shape (n,)
        Pulses of the encoder, in samples, ascending, n >= 2.
    expected : int or None
        Ticks of a whole rotation, if known.
    earliest, latest : float
        Limits of the motion, in samples.

    Returns
    -------
    TickTrain
        With all numbers from 1 to the last one.

    Notes
    -----
    1. The rhythm tells pulses too many and ticks missing (:mod:`derotation._labels`).
    2. How many ticks are missing in long gaps is told from the speed on both sides.
    3. If the sum is not as expected, the difference is put where it is the least unlikely: in a
       long gap, before the first tick or after the last one (where an evenly accelerating motor
       would have stood still). What fits nowhere is reported as `unexplained`.
    """
    bounced = _bounced(times)
    clean = times[~bounced]
    is_tick, step = _by_rhythm(clean)
    extra = np.concatenate([times[bounced], clean[~is_tick]])
    ticks, steps = clean[is_tick], step[is_tick][1:]
    number = _numbers(_fill_gaps(ticks, steps))
    unexplained = 0
    if expected is not None and number[-1] != expected:
        n_first, n_last = _outer_surplus(ticks, number, expected, earliest, latest)
        kept = slice(n_first, len(ticks) - n_last)
        extra = np.concatenate([extra, ticks[:n_first], ticks[len(ticks) - n_last :]])
        ticks, steps = ticks[kept], steps[n_first : len(steps) - n_last]
        number, unexplained = _settle(ticks, steps, expected, earliest, latest)
    return _with_missing(ticks, number, expected, extra, unexplained, earliest, latest)


def cruise_speed(times: NDFloat) -> float:
    """Give the speed at which a rotation mostly turns, in ticks per sample; NaN if unknown."""
    window = min(20, len(times) // 4)
    if window < 1:
        return float("nan")
    speeds = window / (times[window:] - times[:-window])
    return float(np.quantile(speeds, 0.9, method="lower"))


def _by_rhythm(times: NDFloat) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Tell ticks from pulses too many, and the steps between ticks where rhythm tells them."""
    is_tick = np.ones(len(times), np.bool_)
    step = np.zeros(len(times), np.int64)
    if len(times) < 4:
        step[1:] = 1
        return is_tick, step
    intervals = np.diff(times)
    _labels.number_ticks(
        times,
        _local_median(intervals),
        _ramp_acceleration(times),
        0.5,
        RIPPLE,
        step,
        is_tick,
    )
    return is_tick, step


def _bounced(times: NDFloat) -> NDArray[np.bool_]:
    """Mark pulses that follow another so soon that no motor turns that fast: a bouncing switch."""
    marked = np.zeros(len(times), np.bool_)
    if len(times) > 4:
        intervals = np.diff(times)
        marked[1:] = intervals < MIN_INTERVAL * _local_median(intervals)
    return marked


def _local_median(intervals: NDFloat, half: int = 5) -> NDFloat:
    """Median of each interval and its neighbors."""
    padded = np.pad(intervals, half, mode="reflect" if len(intervals) > half else "edge")
    return np.asarray(
        np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    )


def _ramp_acceleration(times: NDFloat) -> float:
    """Tell how fast the motor speeds up or slows down, in ticks per squared sample.

    From standstill, ``speed² = 2 acceleration * ticks``.
    """
    n = min(N_RAMP_TICKS, len(times) // 2)
    ticks = np.arange(n - 1) + 0.5
    starting = (1 / np.diff(times[:n])) ** 2 / (2 * (ticks + 1))
    stopping = (1 / np.diff(times[::-1][:n])) ** 2 / (2 * ticks)
    return float(np.median(np.concatenate([starting, stopping])))


def _edge_speed(ticks: NDFloat, number: NDArray[np.int64]) -> float:
    """Speed at the last of some ticks, from a parabola through them, ticks per sample."""
    if len(ticks) < 2:
        return float("nan")
    t = ticks - ticks[-1]
    degree = 2 if len(ticks) >= 5 else 1
    scale = -t[0]
    fit = np.polynomial.polynomial.polyfit(t / scale, number - number[-1], degree)
    return max(float(fit[1] / scale), 0.0)


def _gap_estimates(ticks: NDFloat, steps: NDArray[np.int64]) -> dict[int, float]:
    """Estimate, as a real number, the ticks from each long gap's first edge to its second."""
    gaps = np.flatnonzero(steps == 0)
    bounds = np.concatenate([[0], gaps + 1, [len(ticks)]])
    estimates = {}
    for order, gap in enumerate(gaps):
        before = slice(max(int(bounds[order]), gap + 1 - N_EDGE_TICKS), gap + 1)
        after = slice(gap + 1, min(int(bounds[order + 2]), gap + 1 + N_EDGE_TICKS))
        count = np.concatenate([[0], np.cumsum(np.maximum(steps, 1))])
        speeds = np.array(
            [
                _edge_speed(ticks[before], count[before]),
                _edge_speed(-ticks[after][::-1], -count[after][::-1]),
            ]
        )
        speed = np.nanmean(speeds) if np.isfinite(speeds).any() else 0.0
        estimates[int(gap)] = float(speed * (ticks[gap + 1] - ticks[gap]))
    return estimates


def _fill_gaps(ticks: NDFloat, steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Replace steps that rhythm did not tell by the nearest whole number."""
    filled = steps.copy()
    for gap, estimate in _gap_estimates(ticks, steps).items():
        filled[gap] = max(1, round(estimate))
    return filled


def _offset_at_standstill(
    ticks: NDFloat, number: NDArray[np.int64], limit: float, n: int = 8
) -> float:
    """Tell which number a tick at standstill would have, before the first of some ticks.

    A parabola through the first ticks is followed back to its vertex, or to `limit` if that comes
    first. 0 if no tick is missing before the first one; -2 if two are.
    """
    n = min(n, len(ticks))
    if n < 3:
        return 0.0
    t = ticks[:n] - ticks[0]
    scale = t[-1]
    c, b, a = np.polynomial.polynomial.polyfit(t / scale, number[:n].astype(np.float64), 2)
    begin = (limit - ticks[0]) / scale
    vertex = -b / (2 * a) if a > 1e-9 else -np.inf
    at = min(max(vertex, begin), 0.0)
    return float(c + b * at + a * at * at)


def _outer_surplus(
    ticks: NDFloat, number: NDArray[np.int64], expected: int, earliest: float, latest: float
) -> tuple[int, int]:
    """Count the first and last ticks that come before the motor set off, or after it stopped.

    Only as many as there are too many; and only if without them the motor's start (or stop) fits
    better.
    """
    first, last = 0, len(ticks)
    while number[last - 1] - number[first] + 1 > expected and last - first > 4:
        gains = []
        for skip_first in (1, 0):
            with_it = _misfits(ticks[first:last], number[first:last], earliest, latest)
            inner = slice(first + skip_first, last - 1 + skip_first)
            without = _misfits(ticks[inner], number[inner], earliest, latest)
            end = 0 if skip_first else 1
            gains.append(with_it[end] - without[end])
        if max(gains) < MIN_GAIN:
            break
        if gains[0] >= gains[1]:
            first += 1
        else:
            last -= 1
    return first, len(ticks) - last


def _misfits(
    ticks: NDFloat, number: NDArray[np.int64], earliest: float, latest: float
) -> tuple[float, float]:
    """Tell by how many ticks the motor's start and stop are off, from either end's ramp."""
    lead = _offset_at_standstill(ticks, number - number[0] + 1, earliest)
    trail = _offset_at_standstill(-ticks[::-1], number[-1] - number[::-1], -latest)
    return abs(lead), abs(trail)


def _settle(
    ticks: NDFloat,
    steps: NDArray[np.int64],
    expected: int,
    earliest: float,
    latest: float,
) -> tuple[NDArray[np.int64], int]:
    """Put the difference to the expected number of ticks where it is the least unlikely.

    Returns the numbers of the ticks and what could not be settled.
    """
    filled = _fill_gaps(ticks, steps)
    number = _numbers(filled)
    missing = expected - int(number[-1])
    if missing == 0:
        return number, 0
    lead = -_offset_at_standstill(ticks, number, earliest)
    trail = -_offset_at_standstill(-ticks[::-1], number[-1] - number[::-1], -latest)
    places: list[tuple[float, float]] = [(lead, END_SIGMA), (trail, END_SIGMA)]
    estimates = _gap_estimates(ticks, steps)
    for gap, estimate in estimates.items():
        places.append((estimate - float(filled[gap]), 0.2 + 0.05 * estimate))
    shares, cost = _share_out(missing, places, [0, 0, *(1 - int(filled[gap]) for gap in estimates)])
    if cost > MAX_COST:
        return number, missing
    for gap, share in zip(estimates, shares[2:], strict=True):
        filled[gap] += share
    return _numbers(filled) + shares[0], 0


def _numbers(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count ticks from 1 on by the steps between them."""
    return np.concatenate([[1], 1 + np.cumsum(steps)])


def _share_out(
    missing: int, places: list[tuple[float, float]], least: list[int]
) -> tuple[list[int], float]:
    """Share ticks out over places so that the sum of ((share - wanted) / sigma)² is least.

    `places` are (wanted, sigma); a share is at least that of `least`. Shares are moved one tick at
    a time, each time where it costs least: exact, since each place's cost is convex.
    """
    shares = [max(0, low) for low in least]

    def cost(place: int, share: int) -> float:
        wanted, sigma = places[place]
        return ((share - wanted) / sigma) ** 2

    sign = 1 if missing > 0 else -1
    for _ in range(abs(missing)):
        options = [
            (cost(p, shares[p] + sign) - cost(p, shares[p]), p)
            for p in range(len(places))
            if shares[p] + sign >= least[p]
        ]
        if not options:
            return shares, float("inf")
        shares[min(options)[1]] += sign
    return shares, sum(cost(p, share) - cost(p, 0) for p, share in enumerate(shares))


def _with_missing(
    ticks: NDFloat,
    number: NDArray[np.int64],
    expected: int | None,
    extra: NDFloat,
    unexplained: int,
    earliest: float,
    latest: float,
) -> TickTrain:
    """Add the missing ticks, each at the time at which the motor would have come by."""
    last = int(number[-1]) if expected is None else expected - unexplained
    every = np.arange(1, last + 1)
    inserted = ~np.isin(every, number)
    time = np.empty(last)
    time[number - 1] = ticks
    if inserted.any():
        at, turned, slope = _motion.knots(
            ticks, number.astype(np.float64), float(last), earliest, latest
        )
        time[inserted] = _motion.invert(at, turned, slope, every[inserted].astype(np.float64))
    return TickTrain(
        time=time,
        number=every,
        inserted=inserted,
        duplicated=np.sort(extra),
        unexplained=unexplained,
    )
