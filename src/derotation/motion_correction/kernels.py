"""Compiled loops of the motion's estimate. Nothing in here checks anything."""

import math

import numpy as np

from derotation.numerics.compiling import njit

# Pixels that differ by more than so many standard deviations count for less (Cauchy's weights).
CAUCHY = 3.0
# A part of the picture may be so much darker or brighter than the reference, compared with others.
LEAST_GAIN, MOST_GAIN = 0.1, 10.0
# Gradients tell no more than the direction of a displacement larger than this (small pixels).
LONGEST_STEP = 1.5
# After a step shorter than this (small pixels), another one would change nothing.
SETTLED = 0.1
# So many pixels are compared for each number that is sought.
MIN_PIXELS = 16

# Sums may be taken in any order, so that several are taken at once.
FAST = {"reassoc", "contract", "nsz"}


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


@njit(cache=True, nogil=True, fastmath=FAST)
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
def erode(there, reach):
    """Unmark pixels (y, x) that have an unmarked one, or the border, within a reach, in place."""
    height, width = there.shape
    for y in range(height):
        last = -1
        row = there[y]
        for x in range(width):
            if not row[x]:
                row[max(last + 1, x - reach) : x] = False
                last = x
            elif x - last <= reach and last >= 0:
                row[x] = False
    for x in range(width):
        last = -1
        for y in range(height):
            if not there[y, x]:
                there[max(last + 1, y - reach) : y, x] = False
                last = y
            elif y - last <= reach and last >= 0:
                there[y, x] = False
    there[:reach] = there[height - reach :] = False
    there[:, :reach] = there[:, width - reach :] = False


@njit(cache=True, nogil=True)
def prepare_frames(frames, seen, taps, reach, out):
    """Smooth derotated frames (n, y, x); what was not seen holds the mean meanwhile.

    seen (n, y, x), where pixels were seen, becomes where no unseen one is within reach. out (n, y,
    x) is written to.
    """
    n, height, width = frames.shape
    work = np.empty((height, width + taps.shape[0] - 1), np.float32)
    filled = np.empty((height, width), np.float32)
    for f in range(n):
        total, count = 0.0, 0
        for y in range(height):
            for x in range(width):
                seen[f, y, x] = seen[f, y, x] and math.isfinite(frames[f, y, x])
                if seen[f, y, x]:
                    total += frames[f, y, x]
                    count += 1
        if count == height * width:
            smooth_frame(frames[f], taps, work, out[f])
            continue
        usual = np.float32(total / max(count, 1))
        for y in range(height):
            for x in range(width):
                filled[y, x] = frames[f, y, x] if seen[f, y, x] else usual
        smooth_frame(filled, taps, work, out[f])
        erode(seen[f], reach)


@njit(cache=True, nogil=True, error_model="numpy")
def _look(frame, usable, places, shift_x, shift_y, inverse_sd, value, there):
    """Interpolate a frame at displaced pixels, in units of the noise; tells how many are usable.

    value (k) and there (k; 1 or 0) are written to.
    """
    height, width = frame.shape
    column, row = math.floor(shift_x), math.floor(shift_y)
    fx, fy = np.float32(shift_x - column), np.float32(shift_y - row)
    m = 0
    for k in range(places.shape[0]):
        y, x = places[k, 0] + row, places[k, 1] + column
        value[k] = there[k] = 0.0
        if not (0 <= y < height - 1 and 0 <= x < width - 1):
            continue
        if not (usable[y, x] and usable[y + 1, x + 1]):
            continue
        above = frame[y, x] + fx * (frame[y, x + 1] - frame[y, x])
        below = frame[y + 1, x] + fx * (frame[y + 1, x + 1] - frame[y + 1, x])
        value[k] = (above + fy * (below - above)) * inverse_sd[k]
        there[k] = 1.0
        m += 1
    return m


@njit(cache=True, nogil=True, error_model="numpy")
def _bands(rows, places, shift_x, shift_y, height, n_bands, band, seen_in):
    """Tell in which line and band of lines each displaced pixel was seen.

    band (k) and seen_in (k), the line, are written to.

    rows (knots, 3): the row (a x + b y + c) at which a place was recorded, for lines evenly spread
    over the frame, from its first to its last.
    """
    knots = rows.shape[0]
    for k in range(places.shape[0]):
        y, x = places[k, 0] + shift_y, places[k, 1] + shift_x
        knot, line = (knots - 1) // 2, 0.0
        # The line that saw it tells the map, and the map the line.
        for _ in range(3):
            line = min(rows[knot, 0] * x + rows[knot, 1] * y + rows[knot, 2], height - 1.0)
            if not (line >= 0.0):  # or not known
                line = 0.0
            knot = int(line * (knots - 1) / (height - 1) + 0.5)
        band[k] = int((line + 0.5) * n_bands / height)
        seen_in[k] = line


@njit(cache=True, nogil=True, fastmath=FAST)
def _sums(columns, value, weight, begin, end):
    """Sum the products that the normal equations of a part of the picture need."""
    light, across, along, one = columns[0], columns[1], columns[2], columns[3]
    zero = np.float32(0.0)
    ll, lo, oo, lv, ov, lx, ly = zero, zero, zero, zero, zero, zero, zero
    ox, oy, xx, xy, yy, xv, yv = zero, zero, zero, zero, zero, zero, zero
    for k in range(begin, end):
        w = weight[k]
        wl, wo, wx, wy = w * light[k], w * one[k], w * across[k], w * along[k]
        ll += wl * light[k]
        lo += wl * one[k]
        oo += wo * one[k]
        lv += wl * value[k]
        ov += wo * value[k]
        lx += wl * across[k]
        ly += wl * along[k]
        ox += wo * across[k]
        oy += wo * along[k]
        xx += wx * across[k]
        xy += wx * along[k]
        yy += wy * along[k]
        xv += wx * value[k]
        yv += wy * value[k]
    return ll, lo, oo, lv, ov, lx, ly, ox, oy, xx, xy, yy, xv, yv


@njit(cache=True, nogil=True, fastmath=FAST)
def _ends(band, begin, end):
    """Give the first and the last band of a part of the picture."""
    first, last = band[begin], band[begin]
    for k in range(begin, end):
        first, last = min(first, band[k]), max(last, band[k])
    return first, last


@njit(cache=True, nogil=True, error_model="numpy")
def _add_part(p, columns, value, weight, band, parts, gain, offset, slope, normal, right, own):
    """Add part p of the picture to the normal equations, without its brightness and background.

    own (k): room for the weights of a band. offset (p, 2): brightness and background without
    displacement; slope (p, 2, 2 bands): how they go with it; both are written to.
    """
    begin, end = parts[p], parts[p + 1]
    first, last = _ends(band, begin, end)
    a00 = a01 = a11 = r0 = r1 = 0.0
    for b in range(first, last + 1):
        if first != last:
            for k in range(begin, end):
                own[k] = weight[k] if band[k] == b else np.float32(0.0)
        ll, lo, oo, lv, ov, lx, ly, ox, oy, xx, xy, yy, xv, yv = _sums(
            columns, value, weight if first == last else own, begin, end
        )
        a00, a01, a11, r0, r1 = a00 + ll, a01 + lo, a11 + oo, r0 + lv, r1 + ov
        i, j = 2 * b, 2 * b + 1
        slope[p, 0, i], slope[p, 0, j] = gain * lx, gain * ly
        slope[p, 1, i], slope[p, 1, j] = gain * ox, gain * oy
        normal[i, i] += gain * gain * xx
        normal[i, j] += gain * gain * xy
        normal[j, j] += gain * gain * yy
        right[i, 0] += gain * xv
        right[j, 0] += gain * yv
    # A little is known beforehand: else an even part would have any brightness.
    a00 += 1e-9 * (a00 + 1.0)
    a11 += 1e-9 * (a11 + 1.0)
    below = a00 * a11 - a01 * a01
    if not (below > 1e-6 * a00 * a11):
        a01, below = 0.0, a00 * a11
    bright, dark = (a11 * r0 - a01 * r1) / below, (a00 * r1 - a01 * r0) / below
    offset[p, 0], offset[p, 1] = bright, dark
    for i in range(2 * first, 2 * last + 2):
        light, one = slope[p, 0, i], slope[p, 1, i]
        right[i, 0] -= light * bright + one * dark
        slope[p, 0, i], slope[p, 1, i] = (
            (a11 * light - a01 * one) / below,
            (a00 * one - a01 * light) / below,
        )
        for j in range(i, 2 * last + 2):
            other_light, other_one = slope[p, 0, j], slope[p, 1, j]
            if j == i:
                other_light, other_one = light, one
            normal[i, j] -= other_light * slope[p, 0, i] + other_one * slope[p, 1, i]


@njit(cache=True, nogil=True)
def _solved(normal, right):
    """Solve the normal equations: the numbers sought, and then their covariance, side by side."""
    n = normal.shape[0]
    for i in range(n):
        right[i, 1 + i] = 1.0
        for j in range(i):
            normal[i, j] = normal[j, i]
        # A band of which nothing was seen.
        if normal[i, i] <= 0.0:
            normal[i, i] = 1e-12
    return _solve(normal, right)


@njit(cache=True, nogil=True, fastmath=FAST)
def _mean_lines(columns, weight, band, seen_in, lines):
    """Write the line (bands) at which the pixels of each band, by what they tell, were seen."""
    total = np.zeros(lines.shape[0])
    lines[:] = 0.0
    for k in range(band.shape[0]):
        told = weight[k] * (columns[1, k] ** 2 + columns[2, k] ** 2)
        lines[band[k]] += told * seen_in[k]
        total[band[k]] += told
    for b in range(lines.shape[0]):
        lines[b] = lines[b] / total[b] if total[b] > 0.0 else np.nan


@njit(cache=True, nogil=True, fastmath=FAST)
def _left_of_part(columns, value, there, band, begin, end, bright, dark, pull, left):
    """Write what is left of a part's pixels to left (k); gives the sum of its absolute values."""
    total = np.float32(0.0)
    for k in range(begin, end):
        b = 2 * band[k]
        own = value[k] - bright * columns[0, k] - dark * columns[3, k]
        own = (own - pull[b] * columns[1, k] - pull[b + 1] * columns[2, k]) * there[k]
        left[k] = own
        total += abs(own)
    return total


@njit(cache=True, nogil=True, fastmath=FAST)
def _reweighted(left, there, usual, weight):
    """Let pixels count for less that differ by more than usual; weight (k) is written to."""
    inverse = np.float32(1.0 / (CAUCHY * usual))
    for k in range(left.shape[0]):
        away = left[k] * inverse
        weight[k] = there[k] / (np.float32(1.0) + away * away)


@njit(cache=True, nogil=True, fastmath=FAST)
def _noise(left, weight):
    """Give the weighted mean of squares."""
    noise, total = np.float32(0.0), np.float32(0.0)
    for k in range(left.shape[0]):
        noise += weight[k] * left[k] * left[k]
        total += weight[k]
    return noise / max(total, np.float32(1e-30))


@njit(cache=True, nogil=True, fastmath=FAST)
def _correlation(columns, value, there):
    """Correlate a frame with the reference, pixels weighted by their noise."""
    zero = np.float32(0.0)
    s, sv, sr, svv, srr, svr = zero, zero, zero, zero, zero, zero
    for k in range(value.shape[0]):
        one, v, light = columns[3, k] * there[k], value[k], columns[0, k] * there[k]
        s += one * one
        sv += one * v
        sr += one * light
        svv += v * v
        srr += light * light
        svr += v * light
    below = (svv - sv * sv / s) * (srr - sr * sr / s)
    return (svr - sv * sr / s) / math.sqrt(max(below, 1e-30))


@njit(cache=True, nogil=True)
def _write_bands(normal, found, noise, shift_x, shift_y, out, information):
    """Write the displacement of each band (bands, 2), and its information (bands, 2, 2)."""
    for b in range(out.shape[0]):
        i = 2 * b
        a, c, o = found[i, 1 + i], found[i + 1, 2 + i], found[i, 2 + i]
        if normal[i, i] <= 1e-12 or not (a > 0.0 and a * c - o * o > 0.0):
            continue
        out[b, 0], out[b, 1] = shift_x - found[i, 0], shift_y - found[i + 1, 0]
        scale = 1.0 / (max(noise, 1e-30) * (a * c - o * o))
        information[b, 0, 0], information[b, 1, 1] = c * scale, a * scale
        information[b, 0, 1] = information[b, 1, 0] = -o * scale


@njit(cache=True, nogil=True)
def measure_frame(
    frame, usable, rows, places, parts, columns, start, rounds, out, information, lines
):
    """Find by how much a frame is displaced against the reference, in each band of its lines.

    frame (y, x): derotated and smoothed. usable (y, x): where it can be compared. rows (knots, 3):
    where in the frame places were recorded, see `_bands`. places (k, 2): the pixels (y, x) of the
    reference that are compared, those of each part of the picture together; parts (p + 1): where
    each begins. columns (4, k), each in units of the noise there: the light, its slopes along x
    and y, and 1. start (2): displacement (x, y) to begin with. out (bands, 2), information
    (bands, 2, 2) and lines (bands), at which that was seen, are written to; returned are the
    frame's brightness in units of the reference's, its correlation with the reference at the
    displacement found, and the number of pixels.

    Each part of the picture has a brightness and a background of its own, which are eliminated:
    cells become active, leave the focus and bleach, and none of that is a displacement.
    """
    n, n_parts, most = places.shape[0], parts.shape[0] - 1, 2 * out.shape[0]
    value, there, left = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    weight, room = np.ones(n, np.float32), np.empty(n, np.float32)
    band, seen_in = np.zeros(n, np.int32), np.zeros(n, np.float32)
    gains, offset, slope = np.ones(n_parts), np.zeros((n_parts, 2)), np.zeros((n_parts, 2, most))
    shift_x, shift_y, usual_gain = start[0], start[1], 1.0
    out[:], information[:], lines[:] = np.nan, 0.0, np.nan
    m, turn = 0, 0
    while True:
        last = turn == rounds - 1
        own = most if last else 2
        m = _look(frame, usable, places, shift_x, shift_y, columns[3], value, there)
        # Turned, much of a picture that is narrow or off the center has left the field of view.
        if m < max(min(MIN_PIXELS * own, n // 8), 2 * MIN_PIXELS):
            return np.nan, np.nan, m
        if last:
            _bands(rows, places, shift_x, shift_y, frame.shape[0], out.shape[0], band, seen_in)
        weight *= there
        normal, right = np.zeros((own, own)), np.zeros((own, 1 + own))
        for p in range(n_parts):
            _add_part(
                p, columns, value, weight, band, parts, gains[p], offset, slope, normal, right, room
            )
        found = _solved(normal, right)
        pull = np.ascontiguousarray(found[:, 0])
        if not np.isfinite(pull).all():
            return np.nan, np.nan, m
        moved, spread = np.empty(own, np.float32), 0.0
        for p in range(n_parts):
            bright, dark = offset[p, 0], offset[p, 1]
            for i in range(own):
                bright -= slope[p, 0, i] * pull[i]
                dark -= slope[p, 1, i] * pull[i]
                moved[i] = gains[p] * pull[i]
            spread += _left_of_part(
                columns, value, there, band, parts[p], parts[p + 1], np.float32(bright),
                np.float32(dark), moved, left,
            )  # fmt: skip
            if not last:
                gains[p] = bright
        if last:
            _write_bands(normal, found, _noise(left, weight), shift_x, shift_y, out, information)
            _mean_lines(columns, weight, band, seen_in, lines)
            return usual_gain, _correlation(columns, value, there), m
        # The mean deviation tells the noise.
        _reweighted(left, there, max(1.2533 * spread / m, 1e-30), weight)
        usual_gain = np.median(gains)
        if not (usual_gain > 0.0):
            return usual_gain, 0.0, m
        gains = np.minimum(np.maximum(gains, LEAST_GAIN * usual_gain), MOST_GAIN * usual_gain)
        length = math.hypot(pull[0], pull[1])
        part = min(1.0, LONGEST_STEP / max(length, 1e-30))
        shift_x, shift_y = shift_x - part * pull[0], shift_y - part * pull[1]
        turn = rounds - 1 if length < SETTLED else turn + 1


@njit(cache=True, nogil=True)
def measure_frames(
    frames, usable, rows, places, parts, columns, starts, rounds, out, information, lines, gain,
    correlation, share,
):  # fmt: skip
    """Measure each of some frames, see `measure_frame`; share (n): part of the pixels compared."""
    for f in range(frames.shape[0]):
        gain[f], correlation[f], n = measure_frame(
            frames[f], usable[f], rows[f], places, parts, columns, starts[f], rounds, out[f],
            information[f], lines[f],
        )  # fmt: skip
        share[f] = n / max(places.shape[0], 1)
