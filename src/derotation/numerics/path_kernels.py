"""Compiled loops of the smoother of paths. Nothing in here checks anything."""

import math

import numpy as np

from derotation.numerics.compiling import njit


@njit(cache=True, nogil=True)
def filter_path(time, value, variance, loose, size, constant, walk, ahead, spread, seen):
    """Kalman's filter for a Matern process (3/2) plus a random walk, in one direction of space.

    The state is (quick displacement, its velocity, slow displacement). time, value, variance (n):
    what was measured; an infinite variance tells nothing. loose (n): variance (px^2) by which the
    slow part may have jumped just before. size (px), constant (s), walk (px^2 per second): the
    parameters. ahead (n, 3), spread (n, 3, 3): the state as predicted, written to; seen (n, 2): how
    far the measurement lies from the prediction, and the variance of that. Returns the logarithm of
    the likelihood.
    """
    state, cov = _begin(size, constant)
    return _filter_part(
        time, value, variance, loose, 0, time.shape[0],
        size, constant, walk, state, cov, ahead, spread, seen,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _begin(size, constant):
    """Give the state before anything was measured, and its covariance."""
    rate = math.sqrt(3.0) / constant
    state, cov = np.zeros(3), np.zeros((3, 3))
    cov[0, 0], cov[1, 1], cov[2, 2] = size**2, (rate * size) ** 2, 1e4
    return state, cov


@njit(cache=True, nogil=True)
def _filter_part(
    time, value, variance, loose, first, stop, size, constant, walk, state, cov, ahead, spread, seen
):
    """Filter the times from `first` to `stop`, going on from a state (3) and its covariance (3, 3).

    These two are written to; so are ahead, spread and seen, from their beginnings on.
    """
    rate = math.sqrt(3.0) / constant
    likelihood, begun = 0.0, False
    step, moved = np.zeros((3, 3)), np.zeros((3, 3))
    for k in range(first, stop):
        if k:
            dt = time[k] - time[k - 1]
            _transition(step, rate, dt)
            old = state.copy()
            for i in range(3):
                state[i] = step[i, 0] * old[0] + step[i, 1] * old[1] + step[i, 2] * old[2]
            _propagate(cov, step, moved, size, rate, walk * dt + loose[k])
        ahead[k - first] = state
        spread[k - first] = cov
        total = cov[0, 0] + 2 * cov[0, 2] + cov[2, 2] + variance[k]
        away = value[k] - state[0] - state[2]
        seen[k - first, 0], seen[k - first, 1] = away, total
        if not math.isfinite(total):
            continue
        if begun:  # the first one only tells where the sample is
            likelihood -= 0.5 * (math.log(total) + away * away / total)
        begun = True
        for i in range(3):
            moved[0, i] = cov[i, 0] + cov[i, 2]
        for i in range(3):
            state[i] += moved[0, i] * away / total
            for j in range(3):
                cov[i, j] -= moved[0, i] * moved[0, j] / total
    return likelihood


@njit(cache=True, nogil=True)
def path_likelihood(time, values, variances, loose, ends, size, constant, walk, scale):
    """Add up what `filter_path` says along x and y for some stretches of places.

    values, variances (n, 2): what was measured; the variances are multiplied by scale. ends (s, 2):
    where each stretch begins and ends. The others as for `filter_path`.
    """
    longest = 0
    for s in range(ends.shape[0]):
        longest = max(longest, ends[s, 1] - ends[s, 0])
    value, variance = np.empty(longest), np.empty(longest)
    ahead, spread, seen = np.empty((longest, 3)), np.empty((longest, 3, 3)), np.empty((longest, 2))
    likelihood = 0.0
    for s in range(ends.shape[0]):
        first, n = ends[s, 0], ends[s, 1] - ends[s, 0]
        for axis in range(2):
            for k in range(n):
                value[k] = values[first + k, axis]
                variance[k] = scale * variances[first + k, axis]
            likelihood += filter_path(
                time[first : first + n], value[:n], variance[:n], loose[first : first + n],
                size, constant, walk, ahead, spread, seen,
            )  # fmt: skip
    return likelihood


@njit(cache=True, nogil=True)
def _transition(step, rate, dt):
    decay = math.exp(-rate * dt)
    step[0, 0], step[0, 1] = decay * (1 + rate * dt), decay * dt
    step[1, 0], step[1, 1] = -decay * rate * rate * dt, decay * (1 - rate * dt)
    step[2, 2] = 1.0


@njit(cache=True, nogil=True)
def _propagate(cov, step, moved, size, rate, walked):
    """Carry a covariance ahead: F (P - P0) F' + P0, with the stationary one P0 of the process."""
    cov[0, 0] -= size**2
    cov[1, 1] -= (rate * size) ** 2
    for i in range(3):
        for j in range(3):
            moved[i, j] = step[i, 0] * cov[0, j] + step[i, 1] * cov[1, j] + step[i, 2] * cov[2, j]
    for i in range(3):
        for j in range(3):
            cov[i, j] = (
                moved[i, 0] * step[j, 0] + moved[i, 1] * step[j, 1] + moved[i, 2] * step[j, 2]
            )
    cov[0, 0] += size**2
    cov[1, 1] += (rate * size) ** 2
    cov[2, 2] += walked


@njit(cache=True, nogil=True)
def smooth_path(time, value, variance, loose, size, constant, walk, at_once, place, uncertain):
    """Find the most likely path: filter the measurements as `filter_path` does, then go backwards.

    (Bryson and Frazier's form of the smoother.) What the filter says of each time is more than ten
    numbers, so it is kept for so many times at once only: on the way back it is told again from
    states that were kept between them. place, uncertain (n): the displacement at each time and its
    variance, written to. The others as for `filter_path`.
    """
    n = time.shape[0]
    n_parts = (n + at_once - 1) // at_once
    ahead, spread = np.empty((at_once, 3)), np.empty((at_once, 3, 3))
    seen = np.empty((at_once, 2))
    states, covs = np.empty((n_parts, 3)), np.empty((n_parts, 3, 3))
    state, cov = _begin(size, constant)
    for part in range(n_parts):
        first = part * at_once
        states[part], covs[part] = state, cov
        _filter_part(
            time, value, variance, loose, first, min(first + at_once, n),
            size, constant, walk, state, cov, ahead, spread, seen,
        )  # fmt: skip
    adjoint, matrix = np.zeros(3), np.zeros((3, 3))
    for part in range(n_parts - 1, -1, -1):
        first = part * at_once
        stop = min(first + at_once, n)
        _filter_part(
            time, value, variance, loose, first, stop,
            size, constant, walk, states[part], covs[part], ahead, spread, seen,
        )  # fmt: skip
        _smooth_part(
            time, first, stop, constant, ahead, spread, seen, adjoint, matrix, place, uncertain
        )


@njit(cache=True, nogil=True)
def _smooth_part(
    time, first, stop, constant, ahead, spread, seen, adjoint, matrix, place, uncertain
):
    """Go backwards from `stop` to `first`; adjoint (3) and matrix (3, 3) are written to."""
    rate = math.sqrt(3.0) / constant
    step, keep = np.zeros((3, 3)), np.zeros((3, 3))
    told = np.array([1.0, 0.0, 1.0])
    for k in range(stop - 1, first - 1, -1):
        cov = spread[k - first]
        away, total = seen[k - first, 0], seen[k - first, 1]
        if math.isfinite(total):
            gain = np.array([cov[i, 0] + cov[i, 2] for i in range(3)]) / total
            for i in range(3):
                for j in range(3):
                    keep[i, j] = (1.0 if i == j else 0.0) - gain[i] * told[j]
            new, older = np.zeros(3), np.zeros((3, 3))
            for i in range(3):
                for j in range(3):
                    new[i] += keep[j, i] * adjoint[j]
                new[i] -= told[i] * away / total
            for i in range(3):
                for j in range(3):
                    sum_ = 0.0
                    for p in range(3):
                        for q in range(3):
                            sum_ += keep[p, i] * matrix[p, q] * keep[q, j]
                    older[i, j] = sum_ + told[i] * told[j] / total
            adjoint[:], matrix[:] = new, older
        here = ahead[k - first, 0] + ahead[k - first, 2]
        row = np.array([cov[0, i] + cov[2, i] for i in range(3)])
        var = row[0] + row[2]
        for i in range(3):
            here -= row[i] * adjoint[i]
            for j in range(3):
                var -= row[i] * matrix[i, j] * row[j]
        place[k], uncertain[k] = here, max(var, 0.0)
        if k:
            _transition(step, rate, time[k] - time[k - 1])
            new, older = np.zeros(3), np.zeros((3, 3))
            for i in range(3):
                for j in range(3):
                    new[i] += step[j, i] * adjoint[j]
                    sum_ = 0.0
                    for p in range(3):
                        for q in range(3):
                            sum_ += step[p, i] * matrix[p, q] * step[q, j]
                    older[i, j] = sum_
            adjoint[:], matrix[:] = new, older
