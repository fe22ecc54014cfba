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
    rate = math.sqrt(3.0) / constant
    state, cov = np.zeros(3), np.zeros((3, 3))
    cov[0, 0], cov[1, 1], cov[2, 2] = size**2, (rate * size) ** 2, 1e4
    likelihood, begun = 0.0, False
    step, moved = np.zeros((3, 3)), np.zeros((3, 3))
    for k in range(time.shape[0]):
        if k:
            dt = time[k] - time[k - 1]
            _transition(step, rate, dt)
            old = state.copy()
            for i in range(3):
                state[i] = step[i, 0] * old[0] + step[i, 1] * old[1] + step[i, 2] * old[2]
            _propagate(cov, step, moved, size, rate, walk * dt + loose[k])
        ahead[k] = state
        spread[k] = cov
        total = cov[0, 0] + 2 * cov[0, 2] + cov[2, 2] + variance[k]
        away = value[k] - state[0] - state[2]
        seen[k, 0], seen[k, 1] = away, total
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
def smooth_path(time, variance, constant, ahead, spread, seen, place, uncertain):
    """Go backwards over what `filter_path` found (Bryson and Frazier's form of the smoother).

    place, uncertain (n): the displacement at each time and its variance, written to.
    """
    rate = math.sqrt(3.0) / constant
    adjoint, matrix = np.zeros(3), np.zeros((3, 3))
    step, keep = np.zeros((3, 3)), np.zeros((3, 3))
    told = np.array([1.0, 0.0, 1.0])
    for k in range(time.shape[0] - 1, -1, -1):
        cov = spread[k]
        if math.isfinite(seen[k, 1]):
            gain = np.array([cov[i, 0] + cov[i, 2] for i in range(3)]) / seen[k, 1]
            for i in range(3):
                for j in range(3):
                    keep[i, j] = (1.0 if i == j else 0.0) - gain[i] * told[j]
            new, older = np.zeros(3), np.zeros((3, 3))
            for i in range(3):
                for j in range(3):
                    new[i] += keep[j, i] * adjoint[j]
                new[i] -= told[i] * seen[k, 0] / seen[k, 1]
            for i in range(3):
                for j in range(3):
                    total = 0.0
                    for p in range(3):
                        for q in range(3):
                            total += keep[p, i] * matrix[p, q] * keep[q, j]
                    older[i, j] = total + told[i] * told[j] / seen[k, 1]
            adjoint, matrix = new, older
        here = ahead[k, 0] + ahead[k, 2]
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
                    total = 0.0
                    for p in range(3):
                        for q in range(3):
                            total += step[p, i] * matrix[p, q] * step[q, j]
                    older[i, j] = total
            adjoint, matrix = new, older
