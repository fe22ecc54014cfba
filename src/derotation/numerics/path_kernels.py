"""Compiled loops of the smoother of paths. Nothing in here checks anything.

The state of a path in one direction of space is (slow displacement, quick displacement, its
velocity, and two for each wave: its displacement, and that a quarter of a period apart). What turns
into what from one time to the next is either alone (the slow one) or one of a pair, so that a
transition is told by two numbers per variable: how much stays of itself, and how much comes from
its partner. Displacements add up: the first and each second one from there on.
"""

import math

import numpy as np

from derotation.numerics.compiling import njit


@njit(cache=True, nogil=True)
def filter_path(time, value, variance, loose, size, constant, walk, waves, ahead, spread, seen):
    """Kalman's filter for a Matern process (3/2) plus a random walk and waves, in one direction.

    time, value, variance (n): what was measured; an infinite variance tells nothing. loose (n):
    variance (px^2) by which the slow part may have jumped just before. size (px), constant (s),
    walk (px^2 per second): the parameters. waves (w, 3): frequency (Hz), size (px), and for how
    long each keeps its phase (s). ahead (n, 3 + 2 w), spread (n, 3 + 2 w, 3 + 2 w): the state as
    predicted, written to; seen (n, 2): how far the measurement lies from the prediction, and the
    variance of that. Returns the logarithm of the likelihood.
    """
    rate = math.sqrt(3.0) / constant
    d = 3 + 2 * waves.shape[0]
    steady = np.zeros(d)
    steady[1], steady[2] = size**2, (rate * size) ** 2
    for w in range(waves.shape[0]):
        steady[3 + 2 * w] = steady[4 + 2 * w] = waves[w, 1] ** 2
    state, old, cov = np.zeros(d), np.zeros(d), np.zeros((d, d))
    for i in range(d):
        cov[i, i] = steady[i]
    cov[0, 0] = 1e4
    own, other, across, moved = np.zeros(d), np.zeros(d), np.zeros(d), np.zeros((d, d))
    likelihood, begun, last = 0.0, False, -1.0
    for k in range(time.shape[0]):
        if k:
            dt = time[k] - time[k - 1]
            if dt != last:
                _transition(own, other, rate, waves, dt)
                last = dt
            old[:] = state
            for i in range(d):
                state[i] = own[i] * old[i] + other[i] * old[_partner(i)]
            _propagate(cov, own, other, steady, moved)
            cov[0, 0] += walk * dt + loose[k]
        ahead[k] = state
        spread[k] = cov
        total, away = variance[k], value[k]
        for i in range(d):
            across[i] = cov[i, 0]
            for j in range(1, d, 2):
                across[i] += cov[i, j]
            if _shown(i):
                total += across[i]
                away -= state[i]
        seen[k, 0], seen[k, 1] = away, total
        if not math.isfinite(total):
            continue
        if begun:  # the first one only tells where the sample is
            likelihood -= 0.5 * (math.log(total) + away * away / total)
        begun = True
        for i in range(d):
            state[i] += across[i] * away / total
            for j in range(d):
                cov[i, j] -= across[i] * across[j] / total
    return likelihood


@njit(cache=True, nogil=True)
def path_likelihood(time, value, variance, loose, ends, size, constant, walk, waves, scale):
    """Add up what `filter_path` says in one direction for some stretches of places.

    value, variance (n): what was measured; the variances are multiplied by scale. ends (s, 2):
    where each stretch begins and ends. The others as for `filter_path`.
    """
    longest = 0
    for s in range(ends.shape[0]):
        longest = max(longest, ends[s, 1] - ends[s, 0])
    d = 3 + 2 * waves.shape[0]
    scaled = np.empty(longest)
    ahead, spread, seen = np.empty((longest, d)), np.empty((longest, d, d)), np.empty((longest, 2))
    likelihood = 0.0
    for s in range(ends.shape[0]):
        first, last = ends[s, 0], ends[s, 1]
        for k in range(last - first):
            scaled[k] = scale * variance[first + k]
        likelihood += filter_path(
            time[first:last], value[first:last], scaled[: last - first], loose[first:last],
            size, constant, walk, waves, ahead, spread, seen,
        )  # fmt: skip
    return likelihood


@njit(cache=True, nogil=True)
def _partner(i):
    """Tell the other one of a pair; the first variable is alone."""
    return i if i == 0 else i + 1 if i % 2 else i - 1


@njit(cache=True, nogil=True)
def _shown(i):
    """Tell whether a variable of the state is a displacement."""
    return i == 0 or i % 2 == 1


@njit(cache=True, nogil=True)
def _transition(own, other, rate, waves, dt):
    decay = math.exp(-rate * dt)
    own[0], other[0] = 1.0, 0.0
    own[1], other[1] = decay * (1 + rate * dt), decay * dt
    own[2], other[2] = decay * (1 - rate * dt), -decay * rate * rate * dt
    for w in range(waves.shape[0]):
        kept = math.exp(-dt / waves[w, 2])
        turned = 2 * math.pi * waves[w, 0] * dt
        own[3 + 2 * w] = own[4 + 2 * w] = kept * math.cos(turned)
        other[3 + 2 * w] = kept * math.sin(turned)
        other[4 + 2 * w] = -other[3 + 2 * w]


@njit(cache=True, nogil=True)
def _propagate(cov, own, other, steady, moved):
    """Carry a covariance ahead: F (P - P0) F' + P0, with the stationary one P0 of the process."""
    d = own.shape[0]
    for i in range(d):
        cov[i, i] -= steady[i]
    for i in range(d):
        p = _partner(i)
        for j in range(d):
            moved[i, j] = own[i] * cov[i, j] + other[i] * cov[p, j]
    for i in range(d):
        for j in range(d):
            cov[i, j] = moved[i, j] * own[j] + moved[i, _partner(j)] * other[j]
        cov[i, i] += steady[i]


@njit(cache=True, nogil=True)
def _keep(matrix, gain, out):
    """Multiply with what a measurement leaves as it was: matrix (I - gain h'), h telling what is
    shown. 1 - gain is taken first, since the gain of what is not known at all is nearly 1."""
    d = gain.shape[0]
    for i in range(d):
        for j in range(d):
            out[i, j] = matrix[i, j]
            if _shown(j):
                out[i, j] *= 1 - gain[j]
                for q in range(d):
                    if q != j:
                        out[i, j] -= matrix[i, q] * gain[q]


@njit(cache=True, nogil=True)
def smooth_path(time, constant, waves, ahead, spread, seen, place, uncertain):
    """Go backwards over what `filter_path` found (Bryson and Frazier's form of the smoother).

    place, uncertain (n): the displacement at each time and its variance, written to.
    """
    rate = math.sqrt(3.0) / constant
    d = ahead.shape[1]
    adjoint, matrix = np.zeros(d), np.zeros((d, d))
    old, moved = np.zeros(d), np.zeros((d, d))
    own, other, across = np.zeros(d), np.zeros(d), np.zeros(d)
    last = -1.0
    for k in range(time.shape[0] - 1, -1, -1):
        cov = spread[k]
        here, var = 0.0, 0.0
        for i in range(d):
            across[i] = cov[i, 0]
            for j in range(1, d, 2):
                across[i] += cov[i, j]
            if _shown(i):
                here += ahead[k, i]
                var += across[i]
        total = seen[k, 1]
        if math.isfinite(total):
            pull = 0.0
            for i in range(d):
                across[i] /= total
                pull += across[i] * adjoint[i]
            for i in range(d):
                if _shown(i):
                    adjoint[i] -= pull + seen[k, 0] / total
            _keep(matrix, across, moved)
            for i in range(d):
                for j in range(d):
                    matrix[i, j] = moved[j, i]
            _keep(matrix, across, moved)
            for i in range(d):
                across[i] *= total
                for j in range(d):
                    matrix[i, j] = moved[i, j] + (1 / total if _shown(i) and _shown(j) else 0.0)
        for i in range(d):
            here -= across[i] * adjoint[i]
            for j in range(d):
                var -= across[i] * matrix[i, j] * across[j]
        place[k], uncertain[k] = here, max(var, 0.0)
        if k:
            dt = time[k] - time[k - 1]
            if dt != last:
                _transition(own, other, rate, waves, dt)
                last = dt
            # The transposed transition: what a variable gave to its partner.
            old[:] = adjoint
            for i in range(d):
                p = _partner(i)
                gave = 0.0 if p == i else other[p]
                adjoint[i] = own[i] * old[i] + gave * old[p]
                for j in range(d):
                    moved[i, j] = own[i] * matrix[i, j] + gave * matrix[p, j]
            for i in range(d):
                for j in range(d):
                    p = _partner(j)
                    gave = 0.0 if p == j else other[p]
                    matrix[i, j] = own[j] * moved[i, j] + gave * moved[i, p]
