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

# A path is smoothed backwards over blocks of so many places, whose states are found a second time:
# those of all at once would be a large table.
BLOCK = 4096


@njit(cache=True, nogil=True)
def foresee_path(time, value, variance, loose, size, constant, walk, waves, seen):
    """Kalman's filter for a Matern process (3/2) plus a random walk and waves, in one direction.

    time, value, variance (n): what was measured; an infinite variance tells nothing. loose (n):
    variance (px^2) by which the slow part may have jumped just before. size (px), constant (s),
    walk (px^2 per second): the parameters. waves (w, 3): frequency (Hz), size (px), and for how
    long each keeps its phase (s). seen (n, 2): how far each measurement lies from what those before
    foresaw, and the variance of that, written to. Returns the logarithm of the likelihood.
    """
    steady = _steady(size, constant, waves)
    d = steady.shape[0]
    state, cov = np.zeros(d), _unknown(steady)
    own, other, across = np.zeros(d), np.zeros(d), np.zeros(d)
    old, moved = np.zeros(d), np.zeros((d, d))
    likelihood, begun, last = 0.0, False, -1.0
    for k in range(time.shape[0]):
        if k:
            dt = time[k] - time[k - 1]
            if dt != last:
                _transition(own, other, constant, waves, dt)
                last = dt
            _carry(state, cov, own, other, steady, walk * dt + loose[k], old, moved)
        total = _shown_variance(cov, across) + variance[k]
        away = value[k] - _shown_sum(state)
        seen[k, 0], seen[k, 1] = away, total
        if not math.isfinite(total):
            continue
        if begun:  # the first one only tells where the sample is
            likelihood -= 0.5 * (math.log(total) + away * away / total)
        begun = True
        _learn(state, cov, across, away, total)
    return likelihood


@njit(cache=True, nogil=True)
def path_likelihood(time, value, variance, loose, ends, size, constant, walk, waves, scale):
    """Add up what `foresee_path` says in one direction for some stretches of places.

    value, variance (n): what was measured; the variances are multiplied by scale. ends (s, 2):
    where each stretch begins and ends. The others as for `foresee_path`.
    """
    longest = 0
    for s in range(ends.shape[0]):
        longest = max(longest, ends[s, 1] - ends[s, 0])
    scaled, seen = np.empty(longest), np.empty((longest, 2))
    likelihood = 0.0
    for s in range(ends.shape[0]):
        first, last = ends[s, 0], ends[s, 1]
        for k in range(last - first):
            scaled[k] = scale * variance[first + k]
        likelihood += foresee_path(
            time[first:last], value[first:last], scaled[: last - first], loose[first:last],
            size, constant, walk, waves, seen,
        )  # fmt: skip
    return likelihood


@njit(cache=True, nogil=True)
def smooth_path(time, value, variance, loose, size, constant, walk, waves, place, uncertain):
    """Find the most likely path (Bryson and Frazier's form of the smoother).

    place, uncertain (n): the displacement at each time and its variance, written to. The others as
    for `foresee_path`.
    """
    steady = _steady(size, constant, waves)
    n, d = time.shape[0], steady.shape[0]
    n_blocks = (n + BLOCK - 1) // BLOCK
    state, cov = np.zeros(d), _unknown(steady)
    # What is known at the beginning of each block, from all places before.
    states, covs = np.empty((n_blocks, d)), np.empty((n_blocks, d, d))
    ahead, spread, seen = np.empty((BLOCK, d)), np.empty((BLOCK, d, d)), np.empty((BLOCK, 2))
    for b in range(n_blocks):
        states[b], covs[b] = state, cov
        _filter_block(
            time, value, variance, loose, b, constant, walk, waves, steady, state, cov,
            ahead, spread, seen,
        )  # fmt: skip
    adjoint, matrix = np.zeros(d), np.zeros((d, d))
    for b in range(n_blocks - 1, -1, -1):
        if b < n_blocks - 1:
            state[:], cov[:] = states[b], covs[b]
            _filter_block(
                time, value, variance, loose, b, constant, walk, waves, steady, state, cov,
                ahead, spread, seen,
            )  # fmt: skip
        _smooth_block(
            time, b, constant, waves, ahead, spread, seen, adjoint, matrix, place, uncertain
        )


@njit(cache=True, nogil=True)
def _filter_block(
    time, value, variance, loose, block, constant, walk, waves, steady, state, cov,
    ahead, spread, seen,
):  # fmt: skip
    """Filter the places of a block, from what is known (state, cov) to what is known after it.

    ahead (BLOCK, d), spread (BLOCK, d, d), seen (BLOCK, 2): what was foreseen of each, written to.
    """
    d = steady.shape[0]
    own, other, across = np.zeros(d), np.zeros(d), np.zeros(d)
    old, moved = np.zeros(d), np.zeros((d, d))
    first, last = block * BLOCK, -1.0
    for k in range(first, min(first + BLOCK, time.shape[0])):
        if k:
            dt = time[k] - time[k - 1]
            if dt != last:
                _transition(own, other, constant, waves, dt)
                last = dt
            _carry(state, cov, own, other, steady, walk * dt + loose[k], old, moved)
        ahead[k - first] = state
        spread[k - first] = cov
        total = _shown_variance(cov, across) + variance[k]
        away = value[k] - _shown_sum(state)
        seen[k - first, 0], seen[k - first, 1] = away, total
        if math.isfinite(total):
            _learn(state, cov, across, away, total)


@njit(cache=True, nogil=True)
def _smooth_block(
    time, block, constant, waves, ahead, spread, seen, adjoint, matrix, place, uncertain
):
    """Go backwards over a block; adjoint (d), matrix (d, d): what the places after it say."""
    d = adjoint.shape[0]
    own, other, across = np.zeros(d), np.zeros(d), np.zeros(d)
    old, moved = np.zeros(d), np.zeros((d, d))
    first, last = block * BLOCK, -1.0
    for k in range(min(first + BLOCK, time.shape[0]) - 1, first - 1, -1):
        cov = spread[k - first]
        var = _shown_variance(cov, across)
        here, away, total = _shown_sum(ahead[k - first]), seen[k - first, 0], seen[k - first, 1]
        if math.isfinite(total):
            pull = away / total
            for i in range(d):
                across[i] /= total
                pull += across[i] * adjoint[i]
            for i in range(d):
                if _shown(i):
                    adjoint[i] -= pull
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
                _transition(own, other, constant, waves, dt)
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


@njit(cache=True, nogil=True)
def _steady(size, constant, waves):
    """Give the variances of the state in the long run; 0 for the slow part, which has none."""
    steady = np.zeros(3 + 2 * waves.shape[0])
    steady[1], steady[2] = size**2, 3 * (size / constant) ** 2
    for w in range(waves.shape[0]):
        steady[3 + 2 * w] = steady[4 + 2 * w] = waves[w, 1] ** 2
    return steady


@njit(cache=True, nogil=True)
def _unknown(steady):
    """Give the covariance of the state before anything was measured."""
    cov = np.zeros((steady.shape[0], steady.shape[0]))
    for i in range(steady.shape[0]):
        cov[i, i] = steady[i]
    cov[0, 0] = 1e4
    return cov


@njit(cache=True, nogil=True)
def _partner(i):
    """Tell the other one of a pair; the first variable is alone."""
    return i if i == 0 else i + 1 if i % 2 else i - 1


@njit(cache=True, nogil=True)
def _shown(i):
    """Tell whether a variable of the state is a displacement."""
    return i == 0 or i % 2 == 1


@njit(cache=True, nogil=True)
def _shown_sum(state):
    """Add up the displacements of a state."""
    total = state[0]
    for i in range(1, state.shape[0], 2):
        total += state[i]
    return total


@njit(cache=True, nogil=True)
def _shown_variance(cov, across):
    """Give the variance of that sum; across (d): its covariance with the state, written to."""
    d, total = cov.shape[0], 0.0
    for i in range(d):
        across[i] = cov[i, 0]
        for j in range(1, d, 2):
            across[i] += cov[i, j]
        if _shown(i):
            total += across[i]
    return total


@njit(cache=True, nogil=True)
def _learn(state, cov, across, away, total):
    """Take a measurement into account that lies so far from what was foreseen."""
    d = state.shape[0]
    for i in range(d):
        state[i] += across[i] * away / total
        for j in range(d):
            cov[i, j] -= across[i] * across[j] / total


@njit(cache=True, nogil=True)
def _transition(own, other, constant, waves, dt):
    rate = math.sqrt(3.0) / constant
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
def _carry(state, cov, own, other, steady, walked, old, moved):
    """Carry a state ahead, and its covariance: F (P - P0) F' + P0, P0 that of the long run."""
    d = own.shape[0]
    old[:] = state
    for i in range(d):
        cov[i, i] -= steady[i]
    for i in range(d):
        p = _partner(i)
        state[i] = own[i] * old[i] + other[i] * old[p]
        for j in range(d):
            moved[i, j] = own[i] * cov[i, j] + other[i] * cov[p, j]
    for i in range(d):
        for j in range(d):
            cov[i, j] = moved[i, j] * own[j] + moved[i, _partner(j)] * other[j]
        cov[i, i] += steady[i]
    cov[0, 0] += walked


@njit(cache=True, nogil=True)
def _keep(matrix, gain, out):
    """Multiply with what a measurement leaves as it was: matrix (I - gain h'), h: what is shown.

    1 - gain is taken first, since the gain of what is not known at all is nearly 1.
    """
    d = gain.shape[0]
    for i in range(d):
        for j in range(d):
            out[i, j] = matrix[i, j]
            if _shown(j):
                out[i, j] *= 1 - gain[j]
                for q in range(d):
                    if q != j:
                        out[i, j] -= matrix[i, q] * gain[q]
