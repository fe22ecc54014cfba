"""The ticks of one rotation: which pulses are ticks, and which tick each of them is."""

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.signals import motor

NDFloat = NDArray[np.float64]
# Fewest and most ticks that fit into a place, the uncertainty of that, and what each tick costs.
_Place = tuple[float, float, float, float]

# Uncertainty of the time of a pulse, in samples.
JITTER = 0.5
# Ticks over which the acceleration is followed.
MIN_TRACK = 10
# Intervals at either end from which steep ramps are told.
N_STEEP = 5
# Explanations of the pulses that are tried, until the ticks add up: the uncertainty of the
# acceleration once it is known, as a part of it; what leaving out a pulse costs; what the
# explanation counts against those before it. First jerk-limited ramps are understood, then as
# little as even ramps allow, then all pulses are taken for ticks.
TRIES = ((0.35, 5.0, 0.0), (0.1, 5.0, 3.0), (0.35, 1e9, 3.0))
# What leaving out the outermost tick counts, against other ways to make the ticks add up.
COST_SURPLUS = 5.0
# Where no interval differs more than this from the next, and ticks are as many as expected, there
# is nothing to be mended.
REGULAR = 1.6
# An interval this many times longer than one beside it may hold any number of missing ticks; those
# next to standstill are up to 3.8 times as long.
GAP = 5.0
# So many ticks from one pulse to the next are told from the speed on both sides, not by rhythm.
LONG_STEP = 4
# Variation of the speed from tick to tick that is ordinary for a motor and its encoder.
RIPPLE = 0.08
# Ticks at either end from which the acceleration is told.
N_RAMP_TICKS = 20
# Ticks on one side of a gap from which the speed at its edge is told.
N_EDGE_TICKS = 10
# An adjustment of the numbering that costs more than this is not made.
MAX_COST = 18.0
# Ticks that may be missing elsewhere if a gap is taken for a pause.
MAX_PAUSE_MISFIT = 2
# Uncertainty of how many ticks the outermost interval holds.
OUTERMOST_SIGMA = 0.3
# A tick missing there is less likely than one missing where a gap says so.
COST_OUTERMOST = 3.0
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
    1. The rhythm tells pulses too many and ticks missing (:mod:`derotation.signals.tick_kernels`).
    2. How many ticks are missing in long gaps is told from the speed on both sides.
    3. If the sum is not as expected, the difference is put where it is the least unlikely: in a
       long gap, before the first tick or after the last one (where an evenly accelerating motor
       would have stood still). What fits nowhere is reported as `unexplained`.
    """
    if len(times) == expected and _is_regular(times):
        return TickTrain(
            time=times,
            number=np.arange(1, len(times) + 1),
            inserted=np.zeros(len(times), np.bool_),
            duplicated=np.zeros(0),
            unexplained=0,
        )
    bounced = _bounced(times)
    clean = times[~bounced]
    best: _Explanation | None = None
    for trust, cost_dropped, prior in TRIES:
        found = _explain(clean, trust, cost_dropped, expected, earliest, latest)
        if best is None or found.cost + prior < best.cost:
            best = found
        if best.cost == 0:
            break
    assert best is not None  # for the type checker
    if best.cost > 0 and expected in (len(times), len(clean)):
        # As many as expected, and no rhythm that says otherwise without being bent.
        bounced &= len(times) != expected
        best = _Explanation(
            ticks=times[~bounced],
            number=np.arange(1, expected + 1),
            last=expected,
            extra=np.zeros(0),
            unexplained=0,
            cost=0.0,
        )
    extra = np.sort(np.concatenate([times[bounced], best.extra]))
    time, inserted = _with_missing(best, earliest, latest)
    return TickTrain(
        time=time,
        number=np.arange(1, len(time) + 1),
        inserted=inserted,
        duplicated=extra,
        unexplained=best.unexplained,
    )


def _is_regular(times: NDFloat) -> bool:
    """Tell whether no interval is much longer or shorter than the one before it."""
    if len(times) < 8:
        return False
    ratio = np.diff(times)[1:] / np.diff(times)[:-1]
    ratio = np.maximum(ratio, 1 / ratio)
    return bool(max(ratio[0], ratio[-1]) < GAP and ratio[1:-1].max() < REGULAR)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Explanation:
    """One way to understand the pulses of a rotation."""

    ticks: NDFloat
    """Times of the pulses that are ticks."""
    number: NDArray[np.int64]
    """Which ticks they are."""
    last: int
    """Number of the last tick, which may be missing."""
    extra: NDFloat
    """Pulses that are none."""
    unexplained: int
    """Ticks that are expected and have no place."""
    cost: float
    """How far the rhythm had to be bent to reach the expected number of ticks."""


def _explain(
    times: NDFloat,
    trust: float,
    cost_dropped: float,
    expected: int | None,
    earliest: float,
    latest: float,
) -> _Explanation:
    """Understand pulses by their rhythm and by the number of ticks that are expected."""
    is_tick, step = _by_rhythm(times, trust, cost_dropped)
    ticks, steps = times[is_tick], step[is_tick][1:]
    extra = times[~is_tick]
    number = _numbers(_fill_gaps(ticks, steps))
    if expected is None or number[-1] == expected:
        return _Explanation(
            ticks=ticks, number=number, last=int(number[-1]), extra=extra, unexplained=0, cost=0.0
        )
    n_first, n_last = _outer_surplus(ticks, number, expected, earliest, latest)
    kept = slice(n_first, len(ticks) - n_last)
    extra = np.concatenate([extra, ticks[:n_first], ticks[len(ticks) - n_last :]])
    ticks, steps = ticks[kept], steps[n_first : len(steps) - n_last]
    number, unexplained, cost = _settle(ticks, steps, expected, earliest, latest)
    return _Explanation(
        ticks=ticks,
        number=number,
        last=expected - unexplained,
        extra=extra,
        unexplained=unexplained,
        cost=cost + COST_SURPLUS * (n_first + n_last),
    )


def cruise_speed(times: NDFloat) -> float:
    """Give the speed at which a rotation mostly turns, in ticks per sample; NaN if unknown."""
    window = min(20, len(times) // 4)
    if window < 1:
        return float("nan")
    speeds = window / (times[window:] - times[:-window])
    return float(np.quantile(speeds, 0.9, method="lower"))


def _by_rhythm(
    times: NDFloat, trust: float, cost_dropped: float
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Tell ticks from pulses too many, and the steps between ticks where rhythm tells them.

    The search is done twice: first knowing only how strong the motor's acceleration can be, then
    with what the first result says of it at each moment, which settles the first and last ticks,
    where intervals change most.
    """
    from derotation.signals import tick_kernels

    is_tick = np.ones(len(times), np.bool_)
    step = np.zeros(len(times), np.int64)
    if len(times) < 4:
        step[1:] = 1
        return is_tick, step
    local = _local_median(np.diff(times))
    strength = _ramp_acceleration(times)
    expected, uncertainty = np.zeros(len(local)), np.full(len(local), strength)
    tick_kernels.number_ticks(
        times, local, expected, uncertainty, JITTER, RIPPLE, cost_dropped, step, is_tick
    )
    if np.count_nonzero(is_tick) > 2 * MIN_TRACK:
        expected = _acceleration(times[is_tick], step[is_tick][1:], times)
        _steep_ends(times, expected, 0.5 * strength)
        known = np.abs(expected) > 0.5 * strength
        uncertainty[known] = trust * np.abs(expected[known])
        tick_kernels.number_ticks(
            times, local, expected, uncertainty, JITTER, RIPPLE, cost_dropped, step, is_tick
        )
    _mark_gaps(times, is_tick, step)
    return is_tick, step


def _acceleration(ticks: NDFloat, steps: NDArray[np.int64], times: NDFloat) -> NDFloat:
    """Follow the acceleration through a rotation: for each interval of `times`, ticks/sample².

    Medians over many pairs of intervals, so that a few wrong steps do not matter.
    """
    told = steps > 0
    speed = steps[told] / np.diff(ticks)[told]
    middle = (ticks[1:] + ticks[:-1])[told] / 2
    lag = MIN_TRACK // 2
    change = (speed[lag:] - speed[:-lag]) / (middle[lag:] - middle[:-lag])
    smooth = _local_median(change, lag)
    at = (middle[lag:] + middle[:-lag]) / 2
    wanted = (times[1:] + times[:-1]) / 2
    # The nearest value also beyond the first and last one: a ramp goes on to its end.
    return np.asarray(np.interp(wanted, at, smooth))


def _steep_ends(times: NDFloat, acceleration: NDFloat, least: float) -> None:
    """Fill in the acceleration of the outermost intervals where ramps are too short to follow.

    The square of the speed grows by twice the acceleration from tick to tick, whichever ticks these
    are; of all pairs of intervals the median is taken. What is less than `least` is no ramp.
    """
    n = N_STEEP
    if len(times) < 2 * n + 2:
        return
    top = 1.0 / np.quantile(_local_median(np.diff(times)), 0.1)
    first, second = np.triu_indices(n, 1)
    for outer, sign in ((times[: n + 1], 1.0), (-times[: -n - 2 : -1], -1.0)):
        square = np.diff(outer) ** -2.0
        found = float(np.median((square[second] - square[first]) / (2.0 * (second - first))))
        still = float(square[-1] - square[-3]) / 4.0  # zero where the ramp is over by then
        flat = square - 2.0 * found * np.arange(n)
        n_odd = np.count_nonzero(np.abs(flat - np.median(flat)) > 0.15 * square.max())
        outermost = slice(n) if sign > 0 else slice(-n, None)
        followed = sign * float(np.median(acceleration[outermost]))
        is_followed = followed > 0 and top**2 / (2 * followed) > 3 * MIN_TRACK
        if not is_followed and found > least and still > 0.5 * found and n_odd < 2:
            acceleration[outermost] = sign * found


def _mark_gaps(times: NDFloat, is_tick: NDArray[np.bool_], step: NDArray[np.int64]) -> None:
    """Set steps to 0 that rhythm cannot tell.

    Those that it took for one tick because the motor might just have paused, and long ones: over
    these a strong motor might change its speed so much that one tick more or less hardly shows.
    """
    step[step >= LONG_STEP] = 0
    index = np.flatnonzero(is_tick)
    intervals = np.diff(times[index])
    if len(intervals) < 3:
        return
    beside = np.minimum(np.append(np.inf, intervals[:-1]), np.append(intervals[1:], np.inf))
    wide = (intervals > GAP * beside) & (step[index[1:]] <= 1)
    step[index[1:][wide]] = 0


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
    count = np.concatenate([[0], np.cumsum(np.maximum(steps, 1))])
    for order, gap in enumerate(gaps):
        before = slice(max(int(bounds[order]), gap + 1 - N_EDGE_TICKS), gap + 1)
        after = slice(gap + 1, min(int(bounds[order + 2]), gap + 1 + N_EDGE_TICKS))
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


def _missing_before(
    ticks: NDFloat, number: NDArray[np.int64], limit: float, n: int = 8
) -> tuple[float, float]:
    """Tell how few and how many ticks may be missing before the first of some ticks.

    A parabola through the first ticks is followed back to its vertex, where the motor stood
    still. If `limit` comes before that, the motor had reached its speed within the first tick,
    which takes up to twice as long as a tick at full speed.
    """
    n = min(n, len(ticks))
    if n < 3:
        return 0.0, 0.0
    t = ticks[:n] - ticks[0]
    scale = t[-1]
    c, b, a = np.polynomial.polynomial.polyfit(t / scale, number[:n].astype(np.float64), 2)
    begin = (limit - ticks[0]) / scale
    vertex = -b / (2 * a) if a > 1e-9 else -np.inf
    at = min(max(vertex, begin), 0.0)
    most = -float(c + b * at + a * at * at)
    return (most, most) if vertex >= begin else (min(most, max(most - 1.0, 0.0)), most)


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
    _, lead = _missing_before(ticks, number - number[0] + 1, earliest)
    _, trail = _missing_before(-ticks[::-1], number[-1] - number[::-1], -latest)
    return abs(lead), abs(trail)


def _settle(
    ticks: NDFloat,
    steps: NDArray[np.int64],
    expected: int,
    earliest: float,
    latest: float,
) -> tuple[NDArray[np.int64], int, float]:
    """Put the difference to the expected number of ticks where it is the least unlikely.

    Returns the numbers of the ticks, what could not be settled, and how unlikely it is.
    """
    filled = _fill_gaps(ticks, steps)
    _try_pauses(filled, steps, expected)
    number = _numbers(filled)
    missing = expected - int(number[-1])
    if missing == 0:
        return number, 0, 0.0
    lead = _missing_before(ticks, number, earliest)
    trail = _missing_before(-ticks[::-1], number[-1] - number[::-1], -latest)
    places: list[_Place] = [(*lead, END_SIGMA, 0.0), (*trail, END_SIGMA, 0.0)]
    steps_adjusted: list[int] = []
    for gap, estimate in _gap_estimates(ticks, steps).items():
        wanted = estimate - float(filled[gap])
        places.append((wanted, wanted, 0.3 + 0.12 * estimate, 0.0))
        steps_adjusted.append(gap)
    # The intervals next to standstill are long even where nothing is missing.
    for step, fewest, most in _outermost(ticks, filled):
        if step not in steps_adjusted:
            limits = fewest - filled[step], most - filled[step]
            places.append((*limits, OUTERMOST_SIGMA, COST_OUTERMOST))
            steps_adjusted.append(step)
    least = [0, 0, *(1 - int(filled[step]) for step in steps_adjusted)]
    shares, cost = _share_out(missing, places, least)
    if cost > MAX_COST:
        return number, missing, cost
    for step, share in zip(steps_adjusted, shares[2:], strict=True):
        filled[step] += share
    return _numbers(filled) + shares[0], 0, max(cost, 0.0)


def _outermost(ticks: NDFloat, steps: NDArray[np.int64]) -> list[tuple[int, float, float]]:
    """Give the first and the last step, and how few and how many ticks they may hold."""
    from derotation.signals import tick_kernels

    if len(steps) < 4:
        return []
    unit = np.diff(ticks) / steps
    first = float(unit[0] * steps[0] / unit[1])
    last = float(unit[-1] * steps[-1] / unit[-2])
    places = []
    for step, ratio, slope, offset in (
        (0, first, tick_kernels.START_SLOPE, tick_kernels.START_OFFSET),
        (len(steps) - 1, last, tick_kernels.STOP_SLOPE, tick_kernels.STOP_OFFSET),
    ):
        places.append((step, (ratio - offset) / slope, ratio))
    return places


def _try_pauses(filled: NDArray[np.int64], steps: NDArray[np.int64], expected: int) -> None:
    """Take a gap for a pause of the motor if that makes the ticks add up."""
    for gap in np.flatnonzero((steps == 0) & (filled > 1)):
        surplus = int(filled.sum()) + 1 - expected
        if abs(surplus - (filled[gap] - 1)) <= MAX_PAUSE_MISFIT < abs(surplus):
            filled[gap] = 1


def _numbers(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count ticks from 1 on by the steps between them."""
    return np.concatenate([[1], 1 + np.cumsum(steps)])


def _share_out(missing: int, places: list[_Place], least: list[int]) -> tuple[list[int], float]:
    """Share ticks out over places so that the sum of (distance from what fits / sigma)² is least.

    A share is at least that of `least`. Shares are moved one tick at a time, each time where it
    costs least: exact, since each place's cost is convex.
    """
    shares = [max(0, low) for low in least]

    def cost(place: int, share: int) -> float:
        low, high, sigma, each = places[place]
        return (max(low - share, share - high, 0.0) / sigma) ** 2 + each * abs(share)

    sign = 1 if missing > 0 else -1

    def step(place: int) -> tuple[float, int]:
        """Tell what the next tick costs at a place."""
        share = shares[place]
        return cost(place, share + sign) - cost(place, share), place

    def has_room(place: int) -> bool:
        return shares[place] + sign >= least[place]

    options = [step(place) for place in range(len(places)) if has_room(place)]
    heapq.heapify(options)
    for _ in range(abs(missing)):
        if not options:
            return shares, float("inf")
        _, place = heapq.heappop(options)
        shares[place] += sign
        if has_room(place):
            heapq.heappush(options, step(place))
    return shares, sum(cost(p, share) - cost(p, 0) for p, share in enumerate(shares))


def _with_missing(
    found: _Explanation, earliest: float, latest: float
) -> tuple[NDFloat, NDArray[np.bool_]]:
    """Give the times of all ticks and which of them were missing.

    A missing tick is put at the time at which the motor came by.
    """
    every = np.arange(1, found.last + 1)
    inserted = ~np.isin(every, found.number)
    time = np.empty(found.last)
    time[found.number - 1] = found.ticks
    if inserted.any():
        at, turned, slope = motor.knots(
            found.ticks, found.number.astype(np.float64), float(found.last), earliest, latest
        )
        time[inserted] = motor.invert(at, turned, slope, every[inserted].astype(np.float64))
    return time, inserted
