"""Look up the pixels of frames whose odd lines were scanned from right to left.

The recorded picture is two pictures that interleave, each smooth in itself: every pixel is looked
up in both, and interpolated between the even and the odd line on its two sides.
"""

import numpy as np

from derotation.maps.kernels.blending import blend_four
from derotation.maps.kernels.compiling import FUSED, compiled
from derotation.maps.kernels.pixels import (
    EDGE,
    MORE,
    edge_of,
    keys_weights,
    note_seen,
    pad_frame,
    store_rows,
)
from derotation.maps.kernels.solve import (
    BLOCK,
    begin_rows,
    is_smooth,
    places_of_rows,
    prepare_lines,
)


@compiled
def _along_line(frame, pitch, line, x, cubic):
    """Interpolate one line at x in [0, W - 1]; linear from what is known beside a NaN."""
    left = int(x)
    w = x - left
    k = np.uint32((line + 1) * pitch + left + 1)
    if cubic:
        a, b, c, d = keys_weights(w, np.float64)
        value = a * frame[k - np.uint32(1)] + b * frame[k]
        value += c * frame[k + np.uint32(1)] + d * frame[k + np.uint32(2)]
        if not np.isnan(value):
            return value
    first, second = frame[k], frame[k + np.uint32(1)]
    if w == 0.0 or np.isnan(second):
        return float(first)
    if np.isnan(first):
        return float(second)
    return first + w * (second - first)


@compiled
def _between(value, other, w):
    """Interpolate from `value` (w = 0) to `other` (w = 1); one of them where the other is NaN."""
    if w <= 0.0 or np.isnan(other):
        return value if w < 1.0 else other
    if w >= 1.0 or np.isnan(value):
        return other
    return value + w * (other - value)


@compiled
def _across_lines(frame, pitch, n_lines, first, y, x, cubic):
    """Interpolate between line `first` and the next, which were scanned in opposite directions.

    Each line saw the pixel at a column and at a distance of its own: even lines at (y[0], x[0]),
    odd ones at (y[1], x[1]). Across the lines the samples are therefore unevenly spaced, and the
    cubic is the one through four of them (Lagrange).
    """
    if cubic and first >= 1 and first + 2 < n_lines:
        # Places of the four lines, seen from the pixel.
        a = first - 1 - y[(first - 1) % 2]
        b = first - y[first % 2]
        c = first + 1 - y[(first + 1) % 2]
        d = first + 2 - y[(first + 2) % 2]
        x_b, x_c = x[first % 2], x[(first + 1) % 2]
        total = (
            b
            * c
            * d
            / ((b - a) * (c - a) * (d - a))
            * _along_line(frame, pitch, first - 1, x_c, True)
            + a
            * c
            * d
            / ((a - b) * (c - b) * (d - b))
            * _along_line(frame, pitch, first, x_b, True)
            + a
            * b
            * d
            / ((a - c) * (b - c) * (d - c))
            * _along_line(frame, pitch, first + 1, x_c, True)
            + a
            * b
            * c
            / ((a - d) * (b - d) * (c - d))
            * _along_line(frame, pitch, first + 2, x_b, True)
        )
        if np.isfinite(total):
            return total
    second = min(first + 1, n_lines - 1)
    above, below = y[first % 2] - first, second - y[second % 2]
    w = above / (above + below) if above + below > 0.0 else 0.0
    upper = _along_line(frame, pitch, first, x[first % 2], cubic)
    lower = _along_line(frame, pitch, second, x[second % 2], cubic)
    return _between(upper, lower, w)


@compiled
def _line_above(y, last_line):
    """Find the line at or above a pixel that even lines see at y[0] and odd ones at y[1].

    -1 where the pixel lies above the first or below the last line, or nowhere (NaN).
    """
    middle = 0.5 * (y[0] + y[1])
    if not -1.0 <= middle <= last_line + 1.0:
        return -1
    line = min(max(int(np.floor(middle)), 0), last_line)
    while line < last_line and y[(line + 1) % 2] >= line + 1:
        line += 1
    while line >= 0 and y[line % 2] < line - EDGE:
        line -= 1
    if line == last_line and y[line % 2] > line + EDGE:
        return -1
    return line


@compiled
def _pick_lines(y_even, y_odd, x_even, x_odd, slope, offset, phase, n_lines, width, line):
    """Find the line at or above each pixel of a bidirectional scan, or -1.

    y and x: when and where even lines and odd ones see each pixel; left as the row and column at
    which these lines hold it. Does what :func:`_line_above` does where one step from the line in
    the middle of both is enough, and marks the others by -2. Returns how many they are.
    """
    kind = y_even.dtype.type
    edge, zero, half, one, two = edge_of(y_even), kind(0.0), kind(0.5), kind(1.0), kind(2.0)
    last, x_last = np.int32(n_lines - 1), kind(width - 1)
    y_last, x_end, x_beyond = kind(last), x_last + edge, x_last + half
    late = kind(offset - slope * 0.5 * (width - 1))
    late_odd = kind(offset + slope * (0.5 * (width - 1) - phase))
    slope, phase = kind(slope), kind(phase)
    n_unsure = np.int32(0)
    for i in range(line.shape[0]):
        even, odd = x_even[i], x_odd[i]
        at_even, at_odd = y_even[i] - late - slope * even, y_odd[i] - late_odd + slope * odd
        held = odd + phase
        # The edge is where the line that sees the pixel ends, between both directions.
        across = half * (even + odd)
        between = half * (at_even + at_odd)
        inside = (across >= -edge) & (across <= x_end)
        inside &= (even >= -half) & (even <= x_beyond) & (held >= -half) & (held <= x_beyond)
        inside &= (between >= -one) & (between <= y_last + one)
        start = between if inside else zero
        start = start if start > zero else zero
        first = np.int32(start if start < y_last else y_last)
        here = kind(first)
        is_odd = np.int32(first & np.int32(1)) == np.int32(1)
        y_here, y_next = (at_odd, at_even) if is_odd else (at_even, at_odd)
        up = (here < y_last) & (y_next >= here + one)
        down = (not up) & (y_here < here - edge)
        # Numba adds 32 bits and 32 bits to 64: half as many at once.
        found = np.int32(first + np.int32(up) - np.int32(down))
        unsure = up & (here + one < y_last) & (y_here >= here + two)
        unsure |= down & (found >= np.int32(0)) & (y_next < here - one - edge)
        unsure &= inside
        y_found = y_next if up else y_here
        inside &= not ((found == last) & (y_found > y_last + edge))
        line[i] = np.int32(-2) if unsure else (found if inside else np.int32(-1))
        n_unsure = np.int32(n_unsure + np.int32(unsure))
        y_even[i], y_odd[i] = at_even, at_odd
        x_even[i] = min(max(even, zero), x_last)
        x_odd[i] = min(max(held, zero), x_last)
    return n_unsure


@compiled
def _search_lines(y_even, y_odd, n_lines, line):
    """Find the lines that :func:`_pick_lines` left open."""
    here = np.empty(2)
    for i in range(line.shape[0]):
        if line[i] == -2:
            here[0], here[1] = y_even[i], y_odd[i]
            line[i] = _line_above(here, n_lines - 1)


@compiled
def _bend_lines(padded, bends):
    """Write how lines of a padded frame bend between two samples, in x and in y.

    As in :func:`bend_cells`, but along each line alone, and across it from the lines of the same
    direction (0 where one is missing): minus half the second derivative.
    """
    height, width = padded.shape[0] - MORE, padded.shape[1] - MORE
    quarter, sixteenth = padded.dtype.type(0.25), padded.dtype.type(0.0625)
    for j in range(1, height + 1):
        here, in_x, in_y = padded[j], bends[0, j], bends[1, j]
        for i in range(1, width + 1):
            in_x[i] = quarter * (here[i] + here[i + 1] - here[i - 1] - here[i + 2])
        if 3 <= j <= height - 2:
            above, below = padded[j - 2], padded[j + 2]
            for i in range(1, width + 1):
                ends = above[i] + above[i + 1] + below[i] + below[i + 1]
                in_y[i] = sixteenth * (here[i] + here[i] + here[i + 1] + here[i + 1] - ends)
        else:
            in_y[:] = 0.0


@compiled(error_model="numpy", fastmath=FUSED)
def _look_beside(
    line, n_lines, pitch, x_even, x_odd, y_even, y_odd, upper, lower, in_upper, in_lower, w, apart
):
    """Find the samples of both lines beside each pixel.

    Written are the flat indices of the samples on the left in the upper and the lower line, how far
    the pixel lies between these and the next, how far it lies from the upper line (0) to the lower
    (1), and how far they are apart.
    """
    kind = y_even.dtype.type
    zero, one, unit = kind(0.0), kind(1.0), np.int32(1)
    last, pitch, first = np.int32(n_lines - 1), np.int32(pitch), np.int32(pitch + 1)
    for i in range(line.shape[0]):
        # What is found for a pixel outside the picture is not used.
        here = line[i] if line[i] > np.int32(0) else np.int32(0)
        is_odd = np.int32(here & unit) == unit
        # The last line has nothing below it: it is its own neighbor.
        is_last = here == last
        second = here if is_last else np.int32(here + unit)
        # Read before it is chosen among them, or the compiler gathers.
        at_x, at_y, other_x, other_y = x_even[i], y_even[i], x_odd[i], y_odd[i]
        x_upper, y_upper = (other_x, other_y) if is_odd else (at_x, at_y)
        x_other, y_other = (at_x, at_y) if is_odd else (other_x, other_y)
        x_lower, y_lower = (x_upper, y_upper) if is_last else (x_other, y_other)
        left_upper, left_lower = np.int32(x_upper), np.int32(x_lower)
        upper[i] = np.int32(np.int32(here * pitch + left_upper) + first)
        lower[i] = np.int32(np.int32(second * pitch + left_lower) + first)
        in_upper[i], in_lower[i] = x_upper - kind(left_upper), x_lower - kind(left_lower)
        above = y_upper - kind(here)
        total = above + kind(second) - y_lower
        between = above / total if total > zero else zero
        w[i], apart[i] = min(max(between, zero), one), total


@compiled(fastmath=FUSED)
def _sample_linear_bidirectional(frame, upper, lower, in_upper, in_lower, w, values):
    """Interpolate along both lines beside a pixel, each at its own column, then between them."""
    right = np.uint32(1)
    for i in range(values.shape[0]):
        k, m = np.uint32(upper[i]), np.uint32(lower[i])
        at_upper = frame[k] + in_upper[i] * (frame[k + right] - frame[k])
        at_lower = frame[m] + in_lower[i] * (frame[m + right] - frame[m])
        values[i] = at_upper + w[i] * (at_lower - at_upper)


@compiled(fastmath=FUSED)
def _sample_quadratic_bidirectional(
    frame, bend_x, bend_y, upper, lower, in_upper, in_lower, w, apart, values
):
    """Interpolate by parabolas along both lines beside a pixel, then between them."""
    right = np.uint32(1)
    for i in range(values.shape[0]):
        k, m, x, y = np.uint32(upper[i]), np.uint32(lower[i]), in_upper[i], in_lower[i]
        at_upper = frame[k] + x * (frame[k + right] - frame[k]) + (x - x * x) * bend_x[k]
        at_lower = frame[m] + y * (frame[m + right] - frame[m]) + (y - y * y) * bend_x[m]
        across = bend_y[k] + w[i] * (bend_y[m] - bend_y[k])
        bend = (w[i] - w[i] * w[i]) * apart[i] * apart[i]
        values[i] = at_upper + w[i] * (at_lower - at_upper) + bend * across


@compiled(error_model="numpy", fastmath=FUSED)
def _sample_cubic_bidirectional(frame, pitch, n_lines, line, x_even, x_odd, y_even, y_odd, values):
    """Interpolate by the cubics along and across four lines, see :func:`_across_lines`.

    Leaves NaN where there are no four lines.
    """
    kind, step, pitch = x_even.dtype.type, np.uint32(2 * pitch), np.int32(pitch)
    one, two = kind(1.0), kind(2.0)
    for i in range(line.shape[0]):
        first = line[i]
        if first < 1 or first + 2 >= n_lines:
            values[i] = np.nan
            continue
        is_odd = (first & np.int32(1)) == 1
        x_b, x_c = (x_odd[i], x_even[i]) if is_odd else (x_even[i], x_odd[i])
        y_b, y_c = (y_odd[i], y_even[i]) if is_odd else (y_even[i], y_odd[i])
        left_b, left_c = np.int32(x_b), np.int32(x_c)
        # Places of the four lines, seen from the pixel; every other line has the same direction.
        b, c = kind(first) - y_b, kind(first) + one - y_c
        a, d = c - two, b + two
        k_a = np.uint32(first * pitch + left_c)
        k_b = np.uint32((first + 1) * pitch + left_b)
        in_a = b * c * d / ((a - b) * (a - d) * two)
        in_c = -a * b * d / ((b - c) * (d - c) * two)
        weights = keys_weights(x_c - kind(left_c), kind)
        p, q, r, s = blend_four(frame, k_a, step, (in_a, in_c))
        value = weights[0] * p + weights[1] * q + weights[2] * r + weights[3] * s
        in_b = a * c * d / ((a - b) * (c - b) * two)
        in_d = -a * b * c / ((a - d) * (c - d) * two)
        weights = keys_weights(x_b - kind(left_b), kind)
        p, q, r, s = blend_four(frame, k_b, step, (in_b, in_d))
        values[i] = value + weights[0] * p + weights[1] * q + weights[2] * r + weights[3] * s


@compiled
def _mend_bidirectional(frame, pitch, n_lines, line, x_even, x_odd, y_even, y_odd, cubic, values):
    """Redo pixels beside a NaN or the edge from what is known; give up (-1) where nothing is."""
    n_lost = 0
    y_here, x_here = np.empty(2), np.empty(2)
    for i in range(line.shape[0]):
        if line[i] >= 0 and np.isnan(values[i]):
            y_here[0], y_here[1] = y_even[i], y_odd[i]
            x_here[0], x_here[1] = x_even[i], x_odd[i]
            values[i] = _across_lines(frame, pitch, n_lines, line[i], y_here, x_here, cubic)
            if np.isnan(values[i]):
                line[i] = -1
                n_lost += 1
    return n_lost


@compiled
def inverse_frames_bidirectional(
    frames,
    inverse,
    which,
    slope,
    offset,
    phase,
    order,
    missing,
    work,
    low,
    high,
    integer,
    blank,
    out,
    counts,
    seen,
):
    """Resample like :func:`inverse_frames` where odd lines were scanned from right to left.

    phase: what odd lines recorded lies so many pixels further right than it should.
    """
    n_lines, width = frames.shape[1:]
    n_rows, n_columns = out.shape[1:]
    kind, single = work.dtype, work.itemsize == 4
    forms, forms_odd = np.empty((3, 4, n_lines), kind), np.empty((3, 4, n_lines), kind)
    all_y, all_x = np.empty((2, BLOCK, n_columns), kind), np.empty((2, BLOCK, n_columns), kind)
    all_line = np.empty((BLOCK, n_columns), np.int32)
    all_values = np.zeros((BLOCK, n_columns), kind)
    beside, parts = np.empty((2, all_line.size), np.int32), np.empty((4, all_line.size), kind)
    flat, pitch = work.reshape(-1), work.shape[1]
    bends = np.zeros((2, work.shape[0], work.shape[1]) if order == 2 else (2, 0, 0), kind)
    bend_x, bend_y = bends[0].reshape(-1), bends[1].reshape(-1)
    for f in which:
        pad_frame(frames[f], work)
        if order == 2:
            _bend_lines(work, bends)
        middle = 0.5 * (width - 1)
        prepare_lines(inverse[f], slope, offset, middle, n_columns, forms)
        prepare_lines(inverse[f], -slope, offset, middle - phase, n_columns, forms_odd)
        smooth = is_smooth(inverse[f], width, single)
        rows = begin_rows(forms, n_rows, n_columns, smooth)
        rows_odd = begin_rows(forms_odd, n_rows, n_columns, smooth)
        count = 0
        for y_out in range(0, n_rows, BLOCK):
            # The last block may be lower. What is done pixel by pixel needs no rows.
            n = min(BLOCK, n_rows - y_out)
            # As times that are given first, see `_pick_lines`.
            places_of_rows(forms, y_out, rows, all_y[0, :n], all_x[0, :n])
            places_of_rows(forms_odd, y_out, rows_odd, all_y[1, :n], all_x[1, :n])
            y, y_odd = all_y[0, :n].reshape(-1), all_y[1, :n].reshape(-1)
            x, x_odd = all_x[0, :n].reshape(-1), all_x[1, :n].reshape(-1)
            line, values = all_line[:n].reshape(-1), all_values[:n].reshape(-1)
            if _pick_lines(y, y_odd, x, x_odd, slope, offset, phase, n_lines, width, line) > 0:
                _search_lines(y, y_odd, n_lines, line)
            if order == 3:
                _sample_cubic_bidirectional(flat, pitch, n_lines, line, x, x_odd, y, y_odd, values)
            else:
                upper, lower = beside[0, : line.shape[0]], beside[1, : line.shape[0]]
                in_upper, in_lower = parts[0, : line.shape[0]], parts[1, : line.shape[0]]
                w, apart = parts[2, : line.shape[0]], parts[3, : line.shape[0]]
                _look_beside(
                    line, n_lines, pitch, x, x_odd, y, y_odd,
                    upper, lower, in_upper, in_lower, w, apart,
                )  # fmt: skip
                if order == 2:
                    _sample_quadratic_bidirectional(
                        flat, bend_x, bend_y, upper, lower, in_upper, in_lower, w, apart, values
                    )
                else:
                    _sample_linear_bidirectional(flat, upper, lower, in_upper, in_lower, w, values)
            count += np.sum(line >= 0)
            if order == 3 or missing:
                count -= _mend_bidirectional(
                    flat, pitch, n_lines, line, x, x_odd, y, y_odd, order == 3, values
                )
            store_rows(all_values[:n], all_line[:n], low, high, integer, blank, out, f, y_out)
            if seen.shape[0] > 0:
                note_seen(all_line[:n], seen, f, y_out)
        counts[f] = count
