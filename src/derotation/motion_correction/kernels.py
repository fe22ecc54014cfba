"""Compiled loops of the motion's estimate. Nothing in here checks anything."""

import math

import numpy as np
from numba import njit

# Pixels that differ by more than so many standard deviations count for less (Cauchy's weights).
CAUCHY = 3.0
# A part of the picture may be so much darker or brighter than the reference, compared with others.
LEAST_GAIN, MOST_GAIN = 0.1, 10.0
# Gradients tell no more than the direction of a displacement larger than this (small pixels).
LONGEST_STEP = 1.5


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


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def smooth_frame(image, taps, work, out):
    """Convolve an image (y, x) with symmetric taps (2 r + 1) along y and x; edges are repeated.

    work (y, x + 2 r) is written to.
    """
    height, width = image.shape
    r = taps.shape[0] // 2
    for y in range(height):
        row = work[y, r : r + width]
        row[:] = 0.0
        for t in range(-r, r + 1):
            other = image[min(max(y + t, 0), height - 1)]
            tap = taps[t + r]
            for x in range(width):
                row[x] += tap * other[x]
        for x in range(r):
            work[y, x] = row[0]
            work[y, r + width + x] = row[width - 1]
    for y in range(height):
        row = out[y]
        row[:] = 0.0
        for t in range(2 * r + 1):
            other = work[y, t : t + width]
            tap = taps[t]
            for x in range(width):
                row[x] += tap * other[x]


@njit(cache=True, nogil=True)
def measure_frame(
    frame, usable, line, places, parts, images, variance, start, n_bands, rounds, out, information
):
    """Find by how much a frame is displaced against the reference, in each band of its lines.

    frame (y, x): derotated and smoothed. usable (y, x): where it can be compared. line (y, x): by
    which part of the frame's time each pixel was seen, 0 to 1. places (k, 2): the pixels (y, x) of
    the reference that are compared, those of each part of the picture together; parts (p + 1):
    where each begins. images (k, 3): what stands there, and its slopes along x and y; variance (k):
    how large the noise is in comparison. start (2): displacement (x, y) to begin with. out
    (bands, 2) and information (bands, 2, 2) are written to; returned are the frame's brightness in
    units of the reference's, its correlation with the reference at the displacement found, and the
    number of pixels.

    Each part of the picture has a brightness and a background of its own, which are eliminated:
    cells become active, leave the focus and bleach, and none of that is a displacement.
    """
    height, width = frame.shape
    n, n_parts = places.shape[0], parts.shape[0] - 1
    value, weight = np.empty(n), np.ones(n)
    band, kept = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    gains = np.ones(n_parts)
    most = 2 * n_bands
    # Of each part: brightness and background without displacement, and how they go with it.
    offset, slope = np.zeros((n_parts, 2)), np.zeros((n_parts, 2, most))
    shift_x, shift_y = start[0], start[1]
    m, noise = 0, 1.0
    for turn in range(rounds):
        last = turn == rounds - 1
        own = most if last else 2
        column, row = math.floor(shift_x), math.floor(shift_y)
        fx, fy = shift_x - column, shift_y - row
        m = 0
        for k in range(n):
            y, x = places[k, 0] + row, places[k, 1] + column
            kept[k] = (
                y >= 0
                and x >= 0
                and y + 1 < height
                and x + 1 < width
                and usable[y, x]
                and usable[y + 1, x + 1]
            )
            if not kept[k]:
                continue
            value[k] = (1 - fy) * ((1 - fx) * frame[y, x] + fx * frame[y, x + 1]) + fy * (
                (1 - fx) * frame[y + 1, x] + fx * frame[y + 1, x + 1]
            )
            if last:
                band[k] = min(max(int(line[y, x] * n_bands), 0), n_bands - 1)
            m += 1
        if m < 16 * own:
            out[:] = np.nan
            information[:] = 0.0
            return np.nan, np.nan, m
        normal, right = np.zeros((own, own)), np.zeros((own, 1 + own))
        cross, pull = np.zeros((2, own)), np.zeros(own)
        for p in range(n_parts):
            a00 = a01 = a11 = r0 = r1 = 0.0
            cross[:] = 0.0
            gain = gains[p]
            for k in range(parts[p], parts[p + 1]):
                if not kept[k]:
                    continue
                w, light, b = weight[k] / variance[k], images[k, 0], 2 * band[k]
                gx, gy, v = gain * images[k, 1], gain * images[k, 2], value[k]
                a00 += w * light * light
                a01 += w * light
                a11 += w
                r0 += w * light * v
                r1 += w * v
                cross[0, b] += w * light * gx
                cross[0, b + 1] += w * light * gy
                cross[1, b] += w * gx
                cross[1, b + 1] += w * gy
                normal[b, b] += w * gx * gx
                normal[b, b + 1] += w * gx * gy
                normal[b + 1, b + 1] += w * gy * gy
                right[b, 0] += w * gx * v
                right[b + 1, 0] += w * gy * v
            # A little is known beforehand: else an even part would have any brightness.
            a00 += 1e-9 * (a00 + 1.0)
            a11 += 1e-9 * (a11 + 1.0)
            below = a00 * a11 - a01 * a01
            if not (below > 1e-12 * a00 * a11):
                a01, below = 0.0, a00 * a11
            offset[p, 0] = (a11 * r0 - a01 * r1) / below
            offset[p, 1] = (a00 * r1 - a01 * r0) / below
            for i in range(own):
                slope[p, 0, i] = (a11 * cross[0, i] - a01 * cross[1, i]) / below
                slope[p, 1, i] = (a00 * cross[1, i] - a01 * cross[0, i]) / below
            for i in range(own):
                right[i, 0] -= cross[0, i] * offset[p, 0] + cross[1, i] * offset[p, 1]
                for j in range(i, own):
                    normal[i, j] -= cross[0, i] * slope[p, 0, j] + cross[1, i] * slope[p, 1, j]
        for i in range(own):
            right[i, 1 + i] = 1.0
            for j in range(i):
                normal[i, j] = normal[j, i]
            # A band of which nothing was seen.
            if normal[i, i] <= 0.0:
                normal[i, i] = 1e-12
        found = _solve(normal, right)
        for i in range(own):
            pull[i] = found[i, 0]
        if not np.isfinite(pull).all():
            out[:] = np.nan
            information[:] = 0.0
            return np.nan, np.nan, m
        # Noise by the mean deviation, and pixels that differ much count for less.
        spread = 0.0
        for again in range(2):
            noise, total = 0.0, 0.0
            usual = max(1.2533 * spread / m, 1e-30)
            for p in range(n_parts):
                bright, dark = offset[p, 0], offset[p, 1]
                for i in range(own):
                    bright -= slope[p, 0, i] * pull[i]
                    dark -= slope[p, 1, i] * pull[i]
                for k in range(parts[p], parts[p + 1]):
                    if not kept[k]:
                        continue
                    b = 2 * band[k]
                    moved = gains[p] * (pull[b] * images[k, 1] + pull[b + 1] * images[k, 2])
                    rest = value[k] - bright * images[k, 0] - dark - moved
                    rest /= math.sqrt(variance[k])
                    if again == 0:
                        spread += abs(rest)
                    else:
                        if not last:
                            weight[k] = 1.0 / (1.0 + (rest / (CAUCHY * usual)) ** 2)
                        noise += weight[k] * rest * rest
                        total += weight[k]
                if again == 1 and not last:
                    gains[p] = bright
            noise /= max(total, 1e-30)
        if not last:
            usual_gain = np.median(gains)
            if not (usual_gain > 0.0):
                out[:] = np.nan
                information[:] = 0.0
                return usual_gain, 0.0, m
            for p in range(n_parts):
                gains[p] = min(max(gains[p], LEAST_GAIN * usual_gain), MOST_GAIN * usual_gain)
            step_x, step_y = -pull[0], -pull[1]
            length = math.hypot(step_x, step_y)
            if length > LONGEST_STEP:
                step_x, step_y = step_x * LONGEST_STEP / length, step_y * LONGEST_STEP / length
            shift_x += step_x
            shift_y += step_y
            continue
        for b in range(n_bands):
            i = 2 * b
            a, c, o = found[i, 1 + i], found[i + 1, 2 + i], found[i, 2 + i]
            if normal[i, i] <= 1e-12 or not (a > 0.0 and a * c - o * o > 0.0):
                out[b] = np.nan
                information[b] = 0.0
                continue
            out[b, 0], out[b, 1] = shift_x - pull[i], shift_y - pull[i + 1]
            scale = 1.0 / (max(noise, 1e-30) * (a * c - o * o))
            information[b, 0, 0], information[b, 1, 1] = c * scale, a * scale
            information[b, 0, 1] = information[b, 1, 0] = -o * scale
    s = sv = sr = svv = srr = svr = 0.0
    for k in range(n):
        if not kept[k]:
            continue
        w, v, light = 1.0 / variance[k], value[k], images[k, 0]
        s += w
        sv += w * v
        sr += w * light
        svv += w * v * v
        srr += w * light * light
        svr += w * v * light
    below = (svv - sv * sv / s) * (srr - sr * sr / s)
    correlation = (svr - sv * sr / s) / math.sqrt(max(below, 1e-300))
    return np.median(gains), correlation, m


@njit(cache=True, nogil=True)
def measure_frames(
    frames, usable, lines, places, parts, images, variance, starts, n_bands, rounds,
    out, information, gain, correlation, share,
):  # fmt: skip
    """Measure each of some frames, see `measure_frame`; share (n): part of the pixels compared."""
    for f in range(frames.shape[0]):
        gain[f], correlation[f], n = measure_frame(
            frames[f], usable[f], lines[f], places, parts, images, variance, starts[f], n_bands,
            rounds, out[f], information[f],
        )  # fmt: skip
        share[f] = n / max(places.shape[0], 1)
