"""Compiled loops of the motion's estimate. Nothing in here checks anything."""

import math

import numpy as np
from numba import njit

# Regressors of a frame: the reference, 1, the reference times x and y (light may fall off
# unevenly), and its two slopes.
N_LIGHT = 4
N_REGRESSORS = 6
# Pixels that differ by more than so many standard deviations count for less (Cauchy's weights).
CAUCHY = 3.0


@njit(cache=True, nogil=True)
def _solve(matrix, right):
    """Solve a small symmetric system; the last columns of `right` may be the identity."""
    n, m = right.shape
    a, b = matrix.copy(), right.copy()
    for k in range(n):
        pivot = k
        for i in range(k + 1, n):
            if abs(a[i, k]) > abs(a[pivot, k]):
                pivot = i
        if abs(a[pivot, k]) < 1e-300:
            b[:] = np.nan
            return b
        for j in range(n):
            a[k, j], a[pivot, j] = a[pivot, j], a[k, j]
        for j in range(m):
            b[k, j], b[pivot, j] = b[pivot, j], b[k, j]
        for i in range(n):
            if i == k:
                continue
            factor = a[i, k] / a[k, k]
            if factor != 0.0:
                for j in range(k, n):
                    a[i, j] -= factor * a[k, j]
                for j in range(m):
                    b[i, j] -= factor * b[k, j]
    for k in range(n):
        for j in range(m):
            b[k, j] /= a[k, k]
    return b


@njit(cache=True, nogil=True)
def measure_frame(
    frame, usable, line, places, regressors, variance, start, n_bands, rounds, out, information
):
    """Find by how much a frame is displaced against the reference, in each band of its lines.

    frame (y, x): derotated and smoothed. usable (y, x): where it can be compared. line (y, x): by
    which part of the frame's time each pixel was seen, 0 to 1. places (k, 2): the pixels (y, x) of
    the reference that are compared; regressors (k, 6), variance (k): what stands there, and how
    large the noise is in comparison. start (2): displacement (x, y) to begin with. out (bands, 2)
    and information (bands, 2, 2) are written to; returned are the frame's brightness in units of
    the reference's, its correlation with the reference at the displacement found, and the number
    of pixels.
    """
    height, width = frame.shape
    n = places.shape[0]
    value, weight, band = np.empty(n), np.ones(n), np.empty(n, np.int64)
    kept = np.empty(n, np.int64)
    size = N_LIGHT + 2 * n_bands
    normal = np.zeros((size, size))
    right = np.zeros((size, 1 + size))
    shift_x, shift_y = start[0], start[1]
    gain, correlation, m = np.nan, np.nan, 0
    for turn in range(rounds):
        last = turn == rounds - 1
        m = 0
        column, row = math.floor(shift_x), math.floor(shift_y)
        fx, fy = shift_x - column, shift_y - row
        for k in range(n):
            y, x = places[k, 0] + row, places[k, 1] + column
            if y < 0 or x < 0 or y + 1 >= height or x + 1 >= width:
                continue
            if not (usable[y, x] and usable[y + 1, x + 1]):
                continue
            value[m] = (1 - fy) * ((1 - fx) * frame[y, x] + fx * frame[y, x + 1]) + fy * (
                (1 - fx) * frame[y + 1, x] + fx * frame[y + 1, x + 1]
            )
            band[m] = min(max(int(line[y, x] * n_bands), 0), n_bands - 1) if last else 0
            weight[m] = weight[k] if turn else 1.0
            kept[m] = k
            m += 1
        own = N_LIGHT + 2 * (n_bands if last else 1)
        if m < 8 * own:
            out[:] = np.nan
            information[:] = 0.0
            return np.nan, np.nan, m
        for again in range(2):
            normal[:] = 0.0
            right[:] = 0.0
            for i in range(m):
                g = regressors[kept[i]]
                w = weight[i] / variance[kept[i]]
                first = N_LIGHT + 2 * band[i]
                for p in range(N_LIGHT):
                    wg = w * g[p]
                    for q in range(p, N_LIGHT):
                        normal[p, q] += wg * g[q]
                    normal[p, first] += wg * g[4]
                    normal[p, first + 1] += wg * g[5]
                    right[p, 0] += wg * value[i]
                normal[first, first] += w * g[4] * g[4]
                normal[first, first + 1] += w * g[4] * g[5]
                normal[first + 1, first + 1] += w * g[5] * g[5]
                right[first, 0] += w * g[4] * value[i]
                right[first + 1, 0] += w * g[5] * value[i]
            for p in range(own):
                right[p, 1 + p] = 1.0
                for q in range(p):
                    normal[p, q] = normal[q, p]
                # A band of which nothing was seen.
                if normal[p, p] == 0.0:
                    normal[p, p] = 1.0
            found = _solve(normal[:own, :own], right[:own, : 1 + own])
            spread, total = 0.0, 0.0
            for i in range(m):
                g = regressors[kept[i]]
                first = N_LIGHT + 2 * band[i]
                fitted = found[first, 0] * g[4] + found[first + 1, 0] * g[5]
                for p in range(N_LIGHT):
                    fitted += found[p, 0] * g[p]
                rest = value[i] - fitted
                spread += abs(rest) / math.sqrt(variance[kept[i]])
            usual = max(1.2533 * spread / m, 1e-30)
            noise = 0.0
            for i in range(m):
                g = regressors[kept[i]]
                first = N_LIGHT + 2 * band[i]
                fitted = found[first, 0] * g[4] + found[first + 1, 0] * g[5]
                for p in range(N_LIGHT):
                    fitted += found[p, 0] * g[p]
                rest = (value[i] - fitted) / math.sqrt(variance[kept[i]])
                w = 1.0 / (1.0 + (rest / (CAUCHY * usual)) ** 2)
                noise += w * rest * rest
                total += w
                if again == 0 or not last:
                    weight[i] = w
            noise /= max(total, 1e-30)
            if again == 1 or not last:
                break
        gain = found[0, 0]
        if not (gain > 0.0) or not math.isfinite(gain):
            out[:] = np.nan
            information[:] = 0.0
            return gain, np.nan, m
        if not last:
            step_x, step_y = -found[4, 0] / gain, -found[5, 0] / gain
            length = math.hypot(step_x, step_y)
            if length > 1.5:  # gradients tell no more than the direction of a larger one
                step_x, step_y = step_x * 1.5 / length, step_y * 1.5 / length
            shift_x += step_x
            shift_y += step_y
            # Weights belong to pixels of the reference, not to their place among those kept.
            for i in range(m - 1, -1, -1):
                weight[kept[i]] = weight[i]
            continue
        for b in range(n_bands):
            first = N_LIGHT + 2 * b
            if normal[first, first] == 1.0 and right[first, 0] == 0.0:
                out[b] = np.nan
                information[b] = 0.0
                continue
            out[b, 0] = shift_x - found[first, 0] / gain
            out[b, 1] = shift_y - found[first + 1, 0] / gain
            a, c = found[first, 1 + first], found[first + 1, 2 + first]
            o = found[first, 2 + first]
            scale = gain * gain / max(noise, 1e-30) / (a * c - o * o)
            information[b, 0, 0], information[b, 1, 1] = c * scale, a * scale
            information[b, 0, 1] = information[b, 1, 0] = -o * scale
        s = sv = sr = svv = srr = svr = 0.0
        for i in range(m):
            g = regressors[kept[i]]
            w = 1.0 / variance[kept[i]]
            s += w
            sv += w * value[i]
            sr += w * g[0]
            svv += w * value[i] * value[i]
            srr += w * g[0] * g[0]
            svr += w * value[i] * g[0]
        below = (svv - sv * sv / s) * (srr - sr * sr / s)
        correlation = (svr - sv * sr / s) / math.sqrt(max(below, 1e-300))
    return gain, correlation, m


@njit(cache=True, nogil=True)
def measure_frames(
    frames, usable, lines, places, regressors, variance, starts, n_bands, rounds,
    out, information, gain, correlation, share,
):  # fmt: skip
    """Measure each of some frames, see `measure_frame`; share (n): part of the pixels compared."""
    for f in range(frames.shape[0]):
        gain[f], correlation[f], n = measure_frame(
            frames[f], usable[f], lines[f], places, regressors, variance, starts[f], n_bands,
            rounds, out[f], information[f],
        )  # fmt: skip
        share[f] = n / max(places.shape[0], 1)


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
            cov[i, j] = moved[i, 0] * step[j, 0] + moved[i, 1] * step[j, 1] + moved[i, 2] * step[j, 2]
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
