"""Compiled search for the numbering of a rotation's ticks that makes the motor move smoothest.

Each pulse is either a tick or a pulse too many, and between two ticks there may be others that
are missing. All such explanations are compared by dynamic programming: a state is (this pulse is a
tick, that many pulses before it are not, the previous tick is k ticks back). Its cost counts what
is missing and what is too many, and how far the motor's speed jumps from one interval to the next,
against what its acceleration and the jitter of the pulses allow. See
:mod:`derotation.signals.ticks`.
"""

import numpy as np
from numpy.typing import NDArray

from derotation.numerics.compiling import njit

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

MAX_DROPPED = 3  # pulses in a row that are no ticks
MAX_STEP = 6  # ticks from one pulse to the next that are told by rhythm alone
N_STATES = (MAX_DROPPED + 1) * (MAX_STEP + 1)

# Costs: about minus the logarithm of how often each happens on a rig that is not quite well.
COST_MISSING = 4.0
COST_MISSING_MORE = 1.0  # each further one in the same gap
COST_GAP = 10.0  # a gap of unknown length
MAX_COST_JUMP = 12.0  # a jump of the speed that nothing explains
# How long the outermost interval with k ticks can be, in intervals of a single tick beside it: from
# k, if the motor turns evenly, to slope * k + offset, if it speeds up evenly. A motor comes to rest
# at its last tick, but is under way at its first one.
STOP_SLOPE, STOP_OFFSET = 2.02, 0.45
START_SLOPE, START_OFFSET = 1.47, 0.05


@njit(cache=True, nogil=True)
def _beyond(ratio: float, k: int, slope: float, offset: float) -> float:
    """Tell how far an outermost interval is from what k ticks can take."""
    return max(0.0, k - ratio, ratio - slope * k - offset)


@njit(cache=True, nogil=True)
def _longest_part(times: Floats, j: int, i: int) -> int:
    """Find the longest interval between the pulses j and i.

    With pulses left out in between, it tells what the motor may do: beside a hole a pulse would be
    left out only because it brings laxer limits.
    """
    part = i - 1
    for m in range(j, i - 1):
        if times[m + 1] - times[m] > times[part + 1] - times[part]:
            part = m
    return part


@njit(cache=True, nogil=True)
def _cost_of_missing(k: int) -> float:
    """Tell what it costs that the previous tick is k ticks back; 0: nobody knows how many."""
    if k == 0:
        return COST_GAP
    if k == 1:
        return 0.0
    return COST_MISSING + (k - 2) * COST_MISSING_MORE


@njit(cache=True, nogil=True)
def _cheapest_end(cost: Floats, first: Floats, cost_dropped: float) -> tuple[int, int]:
    """Find the last tick and its state with which all pulses cost least; -1: it is the only one."""
    n = first.size
    best, best_cost, end = -1, np.inf, n - 1
    for i in range(max(0, n - 1 - MAX_DROPPED), n):
        after = (n - 1 - i) * cost_dropped
        if first[i] + after < best_cost:
            best_cost, end, best = first[i] + after, i, -1
        for state in range(N_STATES):
            if cost[i, state] + after < best_cost:
                best_cost, end, best = cost[i, state] + after, i, state
    return end, best


@njit(cache=True, nogil=True)
def _trace_back(back: Integers, last: int, state: int, step: Integers, is_tick: Booleans) -> None:
    """Follow the cheapest states from the last tick to the first one."""
    is_tick[:] = False
    step[:] = 0
    i = last
    is_tick[i] = True
    while state >= 0:
        step[i] = state % (MAX_STEP + 1)
        before = back[i, state]
        i = i - 1 - state // (MAX_STEP + 1)
        is_tick[i] = True
        state = before


@njit(cache=True, nogil=True)
def number_ticks(
    times: Floats,
    local_interval: Floats,
    acceleration: Floats,
    uncertainty: Floats,
    jitter: float,
    ripple: float,
    cost_dropped: float,
    step: Integers,
    is_tick: Booleans,
) -> None:
    """Find the cheapest explanation of the pulses of one rotation.

    `times` (n, samples, ascending). For each interval between pulses (n - 1): `local_interval`, the
    usual one thereabouts, and the `acceleration` to be expected with its `uncertainty`, in
    ticks/sample². `jitter` of a pulse in samples; `ripple`, the relative variation of the speed
    from tick to tick; `cost_dropped`, what leaving out a pulse costs. Fills `is_tick` (n, bool) and
    `step` (n, int64): ticks since the previous one, 0 where that cannot be told by rhythm (and for
    the first tick).
    """
    n = times.size
    width = MAX_STEP + 1
    cost = np.full((n, N_STATES), np.inf)
    back = np.full((n, N_STATES), -1, np.int64)
    cheapest = np.full(n, np.inf)  # of all states of a pulse
    first = np.full(n, np.inf)  # cost of being the first tick
    for i in range(min(n, MAX_DROPPED + 1)):
        first[i] = i * cost_dropped
    for i in range(1, n):
        for dropped in range(min(MAX_DROPPED, i - 1) + 1):
            j = i - 1 - dropped
            interval = times[i] - times[j]
            part = _longest_part(times, j, i)
            is_gap = interval > 3.0 * local_interval[part]
            for k in range(width):
                if k == 0 and not is_gap:
                    continue
                state = dropped * width + k
                own = dropped * cost_dropped + _cost_of_missing(k)
                # No speed is known before the first interval, so no jump is counted there.
                cost[i, state] = own + first[j]
                for before in range(N_STATES if j > 0 else 0):
                    # What came before matters for one jump only, so this cannot win.
                    if cost[j, before] > cheapest[j] + MAX_COST_JUMP:
                        continue
                    total = own + cost[j, before]
                    k_before = before % width
                    if k > 0 and k_before > 0:
                        h = j - 1 - before // width
                        previous = times[j] - times[h]
                        speed = k_before / previous
                        lever = 0.5 * interval * (interval + previous)
                        allowed = ripple**2 + 3.0 * (jitter * max(speed, k / interval)) ** 2
                        jump = k - speed * interval - acceleration[part] * lever
                        if abs(acceleration[part]) > uncertainty[part]:
                            allowed += (uncertainty[part] * lever) ** 2
                        elif i == n - 1:
                            jump = _beyond(speed * interval, k, STOP_SLOPE, STOP_OFFSET)
                        elif h == 0:
                            jump = _beyond(
                                k * previous / interval, k_before, START_SLOPE, START_OFFSET
                            )
                        else:
                            allowed += (uncertainty[part] * lever) ** 2
                        total += min(jump**2 / (2.0 * allowed), MAX_COST_JUMP)
                    if total < cost[i, state]:
                        cost[i, state] = total
                        back[i, state] = before
                cheapest[i] = min(cheapest[i], cost[i, state])
    last, state = _cheapest_end(cost, first, cost_dropped)
    _trace_back(back, last, state, step, is_tick)


@njit(cache=True, nogil=True)
def marked(times: NDArray[np.float64], shortest: float) -> NDArray[np.bool_]:
    """Mark the pulses that come sooner than `shortest` after the last one that is not marked."""
    found = np.zeros(times.size, np.bool_)
    kept = 0
    for i in range(1, times.size):
        if times[i] - times[kept] < shortest:
            found[i] = True
        else:
            kept = i
    return found
