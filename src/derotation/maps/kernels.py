"""Compiled loops that resample frames through one affine map per line.

Plain functions in :mod:`derotation.maps.resample` check and prepare what comes in here; nothing in
this module checks anything. All kernels release the interpreter's lock and own whole frames, so
callers run them side by side in threads.

Time within a frame is counted in lines: ``u = j`` is the moment to which the map of line j belongs
(by default the middle of the line). Sample x of line j is recorded at

    u = j + offset + sign_j * slope * (x - (W - 1) / 2),   slope = line_duty / W,

with sign_j = -1 for odd lines of a bidirectional scan. Between two lines the maps are interpolated
linearly in u, and beyond the first and last line they are extrapolated.

Inverse direction: an output pixel was seen at time u at the recorded place x(u), y(u) given by the
inverse map of that time, and it was the line's turn only if

    w(u) = y(u) + offset + sign * slope * (x(u) - (W - 1) / 2)  equals  u.

Within the segment between lines j and j + 1 both sides are linear in u, so one division solves it
exactly: t = (w_j - j) / (1 - (w_j+1 - w_j)), u = j + t. What remains is to know the segment, and
extrapolating from the two rows of pixels above predicts that nearly always. Where lines fold over
each other (faster than one pixel per line) a pixel has several solutions; the one that continues
the solution of the pixel above wins.

A row of pixels goes through several short loops over buffers instead of one long one, because the
compiler turns all but two of them into vector instructions (measured: 0.26 against 1.3 ms for a
frame of 256 x 256).
"""

import numpy as np
from numba import njit

# A sample that lies outside the picture by rounding only still counts as seen (px).
EDGE = 1e-6
# A solution may lie outside its segment by this much (lines) before it is solved again: far less
# than the maps of neighboring segments differ in.
OVERSHOOT = 0.01
MAX_SEGMENT_CHANGES = 16


@njit(cache=True, nogil=True)
def _prepare_lines(inverse, slope, offset, middle, forms):
    """Write what each line says about an output pixel (X, Y) as forms a X + b Y + c.

    inverse (lines, 2, 3); forms (3, 4, lines): for a, b and c the recorded column x of the pixel
    at the line's time, its increase to the next line, w - j, and 1 - (the increase of w); the
    fourth with reversed sign in X, see `_solve_row`.
    """
    n_lines = inverse.shape[0]
    last_segment = max(n_lines - 2, 0)
    for k in range(3):
        form = forms[k]
        for j in range(n_lines):
            form[0, j] = inverse[j, 0, k]
            form[2, j] = inverse[j, 1, k] + slope * inverse[j, 0, k]
        for j in range(n_lines):
            this = min(j, last_segment)
            form[1, j] = form[0, this + 1] - form[0, this]
            form[3, j] = form[2, this + 1] - form[2, this]
    for j in range(n_lines):
        forms[1, 3, j] = -forms[1, 3, j]
        forms[2, 3, j] = 1.0 - forms[2, 3, j]
        forms[2, 2, j] += offset - slope * middle - j


@njit(cache=True, nogil=True)
def _at_row(forms, y_out, at):
    """Evaluate the parts of the forms that do not depend on the output column; at (4, lines)."""
    for k in range(4):
        along_y, constant, row = forms[1, k], forms[2, k], at[k]
        for j in range(row.shape[0]):
            row[j] = along_y[j] * y_out + constant[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _solve_row(along_x, at, segment, t, x):
    """Solve each pixel of a row within the segment that is given for it."""
    x_slope, dx_slope, w_slope, dw_slope = along_x[0], along_x[1], along_x[2], along_x[3]
    x_at, dx_at, w_at, dw_at = at[0], at[1], at[2], at[3]
    for i in range(t.shape[0]):
        j = np.uint32(segment[i])
        column = np.float64(i)
        when = (w_slope[j] * column + w_at[j]) / (dw_at[j] - dw_slope[j] * column)
        t[i] = when
        x[i] = x_slope[j] * column + x_at[j] + when * (dx_slope[j] * column + dx_at[j])


@njit(cache=True, nogil=True)
def _advance(segment, t, u_above, last_segment, u, following):
    """Turn positions within segments into times, and predict the segments of the row below.

    The times of this row and the one above are extrapolated. Returns how many pixels were solved
    outside their segment, so that the row has to be done again.
    """
    last = np.float64(last_segment)
    n_outside = 0
    for i in range(u.shape[0]):
        here = np.float64(segment[i])
        time = here + t[i]
        outside = (t[i] < -OVERSHOOT) & (here > 0.0)
        outside |= (t[i] > 1.0 + OVERSHOOT) & (here < last)
        n_outside += np.int64(outside)
        predicted = 2.0 * time - u_above[i]
        # In this form NaN becomes 0.
        predicted = predicted if predicted > 0.0 else 0.0
        predicted = predicted if predicted < last else last
        following[i] = np.int32(predicted)
        u[i] = time
    return n_outside


@njit(cache=True, nogil=True, error_model="numpy")
def _within_segment(along_x, at, i, j):
    return (along_x[2, j] * i + at[2, j]) / (at[3, j] - along_x[3, j] * i)


@njit(cache=True, nogil=True)
def _walk_to_segment(along_x, at, i, j, last_segment):
    """Go from segment j to the one in whose time the pixel of column i was seen."""
    for _ in range(MAX_SEGMENT_CHANGES):
        t = _within_segment(along_x, at, i, j)
        if not (t < 0.0 or t > 1.0):  # also when it is NaN: no way to go on from there
            return j
        far = 2.0 * last_segment + 2.0
        step = int(np.floor(min(max(t, -far), far)))
        following = min(max(j + step, 0), last_segment)
        if following == j:
            return j
        j = following
    return j


@njit(cache=True, nogil=True)
def _search_segment(along_x, at, i, last_segment):
    """Find the segment in whose time the pixel of column i was seen by trying all of them."""
    best, best_distance = 0, np.inf
    for j in range(last_segment + 1):
        t = _within_segment(along_x, at, i, j)
        distance = max(-t, t - 1.0, 0.0)
        if distance < best_distance:
            best, best_distance = j, distance
    return best


@njit(cache=True, nogil=True)
def _first_segments(along_x, at, last_segment, segment):
    """Find the segments of the first row of pixels, each from its neighbor on the left."""
    segment[0] = _search_segment(along_x, at, 0, last_segment)
    for i in range(1, segment.shape[0]):
        segment[i] = _walk_to_segment(along_x, at, i, segment[i - 1], last_segment)


@njit(cache=True, nogil=True)
def _correct_segments(along_x, at, t, last_segment, segment):
    for i in range(segment.shape[0]):
        if not 0.0 <= t[i] <= 1.0:
            segment[i] = _walk_to_segment(along_x, at, i, segment[i], last_segment)


@njit(cache=True, nogil=True)
def _times_of_row(forms, y_out, at, segments, t, x, times):
    """Solve an output row: the time u and the recorded column x of each pixel.

    segments and times (2, columns) hold this row and the next or the one above by turns; the times
    of this row are left in ``times[y_out % 2]``.
    """
    last_segment = forms.shape[2] - 2
    here, there = y_out % 2, 1 - y_out % 2
    segment, following, u, u_above = segments[here], segments[there], times[here], times[there]
    _at_row(forms, y_out, at)
    if y_out == 0:
        _first_segments(forms[0], at, last_segment, segment)
    _solve_row(forms[0], at, segment, t, x)
    if y_out == 0:
        for i in range(t.shape[0]):
            u_above[i] = segment[i] + t[i]
    if _advance(segment, t, u_above, last_segment, u, following) > 0:
        _correct_segments(forms[0], at, t, last_segment, segment)
        _solve_row(forms[0], at, segment, t, x)
        _advance(segment, t, u_above, last_segment, u, following)


@njit(cache=True, nogil=True)
def pad_frame(samples, work):
    """Copy a frame (H, W) to `work` (H + 3, W + 3): one line and column more before, two behind.

    They repeat the outermost samples, so that no interpolation has to ask where the frame ends.
    """
    height, width = samples.shape
    for j in range(height + 3):
        line, padded = samples[min(max(j - 1, 0), height - 1)], work[j]
        for i in range(width):
            padded[i + 1] = line[i]
        padded[0] = line[0]
        padded[width + 1] = padded[width + 2] = line[width - 1]


@njit(cache=True, nogil=True)
def _locate(u, x, slope, offset, height, width, index, wx, wy):
    """Turn times and columns into places in a padded frame: flat index at the top left, weights.

    The index is -1 where the pixel was outside the picture. Returns how many were inside.
    """
    x_last, y_last = width - 1.0, height - 1.0
    middle = 0.5 * x_last
    pitch = np.int32(width + 3)
    n_inside = 0
    for i in range(u.shape[0]):
        column = x[i]
        line = u[i] - offset - slope * (column - middle)
        inside = (column >= -EDGE) & (column <= x_last + EDGE)
        inside &= (line >= -EDGE) & (line <= y_last + EDGE)
        left = np.int32(column) if inside else np.int32(0)
        top = np.int32(line) if inside else np.int32(0)
        wx[i], wy[i] = column - left, line - top
        index[i] = (top + 1) * pitch + left + 1 if inside else np.int32(-1)
        n_inside += np.int64(inside)
    return n_inside


@njit(cache=True, nogil=True)
def _sample_linear(frame, pitch, index, wx, wy, values):
    """Interpolate bilinearly; frame is flat, its lines `pitch` samples apart."""
    right, below = np.uint32(1), np.uint32(pitch)
    for i in range(index.shape[0]):
        if index[i] >= 0:
            k = np.uint32(index[i])
            top = frame[k] + wx[i] * (frame[k + right] - frame[k])
            k += below
            bottom = frame[k] + wx[i] * (frame[k + right] - frame[k])
            values[i] = top + wy[i] * (bottom - top)


@njit(cache=True, nogil=True, inline="always")
def _keys_weights(w):
    """Weigh four samples at -1, 0, 1, 2 for a place at w in [0, 1] (Keys 1981, a = -1/2)."""
    w2 = w * w
    w3 = w2 * w
    return (
        -0.5 * w3 + w2 - 0.5 * w,
        1.5 * w3 - 2.5 * w2 + 1.0,
        -1.5 * w3 + 2.0 * w2 + 0.5 * w,
        0.5 * w3 - 0.5 * w2,
    )


@njit(cache=True, nogil=True, inline="always")
def _cubic_along_line(frame, k, weights):
    """Interpolate between the samples k and k + 1 of a flat frame."""
    return (
        weights[0] * frame[k - np.uint32(1)]
        + weights[1] * frame[k]
        + weights[2] * frame[k + np.uint32(1)]
        + weights[3] * frame[k + np.uint32(2)]
    )


@njit(cache=True, nogil=True)
def _sample_cubic(frame, pitch, index, wx, wy, values):
    """Interpolate by cubic convolution in 4 x 4 samples; frame is flat."""
    pitch = np.uint32(pitch)
    for i in range(index.shape[0]):
        if index[i] >= 0:
            k = np.uint32(index[i]) - pitch
            in_x, in_y = _keys_weights(wx[i]), _keys_weights(wy[i])
            total = in_y[0] * _cubic_along_line(frame, k, in_x)
            total += in_y[1] * _cubic_along_line(frame, k + pitch, in_x)
            total += in_y[2] * _cubic_along_line(frame, k + pitch + pitch, in_x)
            total += in_y[3] * _cubic_along_line(frame, k + pitch + pitch + pitch, in_x)
            values[i] = total


@njit(cache=True, nogil=True)
def _known_neighbors(frame, pitch, index, wx, wy):
    """Interpolate bilinearly from the samples that are not NaN; NaN if none of them has weight."""
    total, weights = 0.0, 0.0
    for dy in range(2):
        for dx in range(2):
            weight = (wy if dy else 1.0 - wy) * (wx if dx else 1.0 - wx)
            sample = frame[index + dy * pitch + dx]
            if weight > 0.0 and not np.isnan(sample):
                total += weight * sample
                weights += weight
    return total / weights if weights > 0.0 else np.nan


@njit(cache=True, nogil=True)
def _mend_missing(frame, pitch, index, wx, wy, values):
    """Redo pixels beside a NaN from what is known; give up (-1) where nothing is."""
    n_lost = 0
    for i in range(index.shape[0]):
        if index[i] >= 0 and np.isnan(values[i]):
            values[i] = _known_neighbors(frame, pitch, index[i], wx[i], wy[i])
            if np.isnan(values[i]):
                index[i] = -1
                n_lost += 1
    return n_lost


@njit(cache=True, nogil=True)
def _store_row(values, index, low, high, integer, blank, out):
    """Write the pixels that were seen (index >= 0), rounded and clipped for an integer output."""
    if integer:
        for i in range(out.shape[0]):
            value = min(max(np.floor(values[i] + 0.5), low), high)
            out[i] = np.int64(value) if index[i] >= 0 else np.int64(blank)
    else:
        for i in range(out.shape[0]):
            out[i] = values[i] if index[i] >= 0 else blank


@njit(cache=True, nogil=True)
def _note_seen(index, seen):
    for i in range(index.shape[0]):
        seen[i] = index[i] >= 0


@njit(cache=True, nogil=True)
def inverse_frames(
    frames,
    inverse,
    which,
    slope,
    offset,
    cubic,
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
    """Resample the frames `which`, scanned in one direction, by the inverse maps of their lines.

    frames (n, H, W); inverse (n, H, 2, 3), output to recorded positions; missing: the samples may
    be NaN; work (H + 3, W + 3), a float buffer as precise as the samples need; low, high: the range
    of an `integer` output; out (n, Hout, Wout); counts (n,) of the pixels that were seen; seen, a
    mask shaped like out, or of shape (0, 0, 0) if nobody wants it.
    """
    n_lines, width = frames.shape[1:]
    n_columns = out.shape[2]
    forms, at = np.empty((3, 4, n_lines)), np.empty((4, n_lines))
    segments, index = np.empty((2, n_columns), np.int32), np.empty(n_columns, np.int32)
    t, x, times = np.empty(n_columns), np.empty(n_columns), np.empty((2, n_columns))
    wx, wy = np.empty(n_columns, work.dtype), np.empty(n_columns, work.dtype)
    values = np.zeros(n_columns, work.dtype)
    flat, pitch = work.reshape(-1), width + 3
    for f in which:
        pad_frame(frames[f], work)
        _prepare_lines(inverse[f], slope, offset, 0.5 * (width - 1), forms)
        count = 0
        for y_out in range(out.shape[1]):
            _times_of_row(forms, y_out, at, segments, t, x, times)
            u = times[y_out % 2]
            count += _locate(u, x, slope, offset, n_lines, width, index, wx, wy)
            if cubic:
                _sample_cubic(flat, pitch, index, wx, wy, values)
            else:
                _sample_linear(flat, pitch, index, wx, wy, values)
            if missing:
                count -= _mend_missing(flat, pitch, index, wx, wy, values)
            _store_row(values, index, low, high, integer, blank, out[f, y_out])
            if seen.shape[0] > 0:
                _note_seen(index, seen[f, y_out])
        counts[f] = count


@njit(cache=True, nogil=True)
def _along_line(frame, pitch, line, x, cubic):
    """Interpolate one line at x in [0, W - 1]; linear from what is known beside a NaN."""
    left = int(x)
    w = x - left
    k = np.uint32((line + 1) * pitch + left + 1)
    if cubic:
        value = _cubic_along_line(frame, k, _keys_weights(w))
        if not np.isnan(value):
            return value
    first, second = frame[k], frame[k + np.uint32(1)]
    if w == 0.0 or np.isnan(second):
        return float(first)
    if np.isnan(first):
        return float(second)
    return first + w * (second - first)


@njit(cache=True, nogil=True)
def _between(value, other, w):
    """Interpolate from `value` (w = 0) to `other` (w = 1); one of them where the other is NaN."""
    if w <= 0.0 or np.isnan(other):
        return value if w < 1.0 else other
    if w >= 1.0 or np.isnan(value):
        return other
    return value + w * (other - value)


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _pick_lines(u, x, slope, offset, n_lines, width, y, line):
    """Find the line at or above each pixel of a row of a bidirectional scan, or -1.

    u, x and y (2, columns): when and where even lines (0) and odd ones (1) see the pixel. Does what
    :func:`_line_above` does where one step from the line in the middle of both is enough, and
    marks the others by -2. Returns how many those are.
    """
    x_last, middle = width - 1.0, 0.5 * (width - 1)
    last = np.int32(n_lines - 1)
    y_last = np.float64(last)
    u_even, u_odd, x_even, x_odd, y_even, y_odd = u[0], u[1], x[0], x[1], y[0], y[1]
    n_unsure = 0
    for i in range(line.shape[0]):
        even, odd = x_even[i], x_odd[i]
        at_even = u_even[i] - offset - slope * (even - middle)
        at_odd = u_odd[i] - offset + slope * (odd - middle)
        # The edge is where the line that sees the pixel ends, between both directions.
        across = 0.5 * (even + odd)
        between = 0.5 * (at_even + at_odd)
        inside = (across >= -EDGE) & (across <= x_last + EDGE)
        inside &= (even >= -0.5) & (even <= x_last + 0.5) & (odd >= -0.5) & (odd <= x_last + 0.5)
        inside &= (between >= -1.0) & (between <= y_last + 1.0)
        start = between if inside else 0.0
        start = start if start > 0.0 else 0.0
        first = np.int32(start if start < y_last else y_last)
        here = np.float64(first)
        is_odd = (first & np.int32(1)) == 1
        y_here, y_next = (at_odd, at_even) if is_odd else (at_even, at_odd)
        up = (here < y_last) & (y_next >= here + 1.0)
        down = (not up) & (y_here < here - EDGE)
        found = first + np.int32(up) - np.int32(down)
        unsure = up & (here + 1.0 < y_last) & (y_here >= here + 2.0)
        unsure |= down & (found >= 0) & (y_next < here - 1.0 - EDGE)
        unsure &= inside
        y_found = y_next if up else y_here
        inside &= not ((found == last) & (y_found > y_last + EDGE))
        line[i] = np.int32(-2) if unsure else (found if inside else np.int32(-1))
        n_unsure += np.int64(unsure)
        y_even[i], y_odd[i] = at_even, at_odd
        x_even[i] = min(max(even, 0.0), x_last)
        x_odd[i] = min(max(odd, 0.0), x_last)
    return n_unsure


@njit(cache=True, nogil=True)
def _search_lines(y, n_lines, line):
    """Find the lines that :func:`_pick_lines` left open."""
    here = np.empty(2)
    for i in range(line.shape[0]):
        if line[i] == -2:
            here[0], here[1] = y[0, i], y[1, i]
            line[i] = _line_above(here, n_lines - 1)


@njit(cache=True, nogil=True)
def _sample_linear_bidirectional(frame, pitch, n_lines, line, x, y, values):
    """Interpolate along both lines beside a pixel, each at its own column, then between them."""
    last = np.int32(n_lines - 1)
    for i in range(line.shape[0]):
        first = line[i]
        if first >= 0:
            way = first & np.int32(1)
            # The last line has nothing below it: it is its own neighbor.
            is_last = first == last
            other = way if is_last else 1 - way
            second = first if is_last else first + np.int32(1)
            above, below = y[way, i] - first, second - y[other, i]
            total = above + below
            w = above / total if total > 0.0 else 0.0
            w = min(max(w, 0.0), 1.0)
            upper = _lerp_along_line(frame, pitch, first, x[way, i])
            lower = _lerp_along_line(frame, pitch, second, x[other, i])
            values[i] = upper + w * (lower - upper)


@njit(cache=True, nogil=True, inline="always")
def _lerp_along_line(frame, pitch, line, x):
    left = np.int32(x)
    k = np.uint32((line + np.int32(1)) * np.int32(pitch) + left + np.int32(1))
    return frame[k] + (x - left) * (frame[k + np.uint32(1)] - frame[k])


@njit(cache=True, nogil=True)
def _sample_cubic_bidirectional(frame, pitch, n_lines, line, x, y, values):
    """Interpolate by the cubics along and across four lines, see :func:`_across_lines`.

    Leaves NaN where there are no four lines.
    """
    step = np.uint32(pitch)
    for i in range(line.shape[0]):
        first = line[i]
        if first < 0:
            continue
        if first < 1 or first + 2 >= n_lines:
            values[i] = np.nan
            continue
        way = first & np.int32(1)
        x_b, x_c = x[way, i], x[1 - way, i]
        left_b, left_c = np.int32(x_b), np.int32(x_c)
        in_b, in_c = _keys_weights(x_b - left_b), _keys_weights(x_c - left_c)
        # Places of the four lines, seen from the pixel; every other line has the same direction.
        b, c = first - y[way, i], first + 1 - y[1 - way, i]
        a, d = c - 2.0, b + 2.0
        above = np.uint32(first * np.int32(pitch) + np.int32(1))
        k_c, k_b = above + np.uint32(left_c), above + step + np.uint32(left_b)
        total = b * c * d / ((a - b) * (a - d) * 2.0) * _cubic_along_line(frame, k_c, in_c)
        total += a * c * d / ((a - b) * (c - b) * 2.0) * _cubic_along_line(frame, k_b, in_b)
        k_c, k_b = k_c + step + step, k_b + step + step
        total -= a * b * d / ((b - c) * (d - c) * 2.0) * _cubic_along_line(frame, k_c, in_c)
        total -= a * b * c / ((a - d) * (c - d) * 2.0) * _cubic_along_line(frame, k_b, in_b)
        values[i] = total


@njit(cache=True, nogil=True)
def _mend_bidirectional(frame, pitch, n_lines, line, x, y, cubic, values):
    """Redo pixels beside a NaN or the edge from what is known; give up (-1) where nothing is."""
    n_lost = 0
    y_here, x_here = np.empty(2), np.empty(2)
    for i in range(line.shape[0]):
        if line[i] >= 0 and np.isnan(values[i]):
            for way in range(2):
                y_here[way], x_here[way] = y[way, i], x[way, i]
            values[i] = _across_lines(frame, pitch, n_lines, line[i], y_here, x_here, cubic)
            if np.isnan(values[i]):
                line[i] = -1
                n_lost += 1
    return n_lost


@njit(cache=True, nogil=True)
def inverse_frames_bidirectional(
    frames,
    inverse,
    which,
    slope,
    offset,
    cubic,
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

    The recorded picture is then two pictures that interleave, each smooth in itself; every pixel is
    looked up in both, and interpolated between the even and the odd line on its two sides.
    """
    n_lines, width = frames.shape[1:]
    n_columns = out.shape[2]
    forms, at = np.empty((2, 3, 4, n_lines)), np.empty((4, n_lines))
    segments, t = np.empty((2, 2, n_columns), np.int32), np.empty(n_columns)
    x, y, times = np.empty((2, n_columns)), np.empty((2, n_columns)), np.empty((2, 2, n_columns))
    line, values = np.empty(n_columns, np.int32), np.zeros(n_columns, work.dtype)
    flat, pitch = work.reshape(-1), width + 3
    for f in which:
        pad_frame(frames[f], work)
        for way in range(2):
            direction = slope * (1 - 2 * way)
            _prepare_lines(inverse[f], direction, offset, 0.5 * (width - 1), forms[way])
        count = 0
        for y_out in range(out.shape[1]):
            for way in range(2):
                _times_of_row(forms[way], y_out, at, segments[way], t, x[way], times[:, way])
            if _pick_lines(times[y_out % 2], x, slope, offset, n_lines, width, y, line) > 0:
                _search_lines(y, n_lines, line)
            if cubic:
                _sample_cubic_bidirectional(flat, pitch, n_lines, line, x, y, values)
            else:
                _sample_linear_bidirectional(flat, pitch, n_lines, line, x, y, values)
            count += np.sum(line >= 0)
            if cubic or missing:
                count -= _mend_bidirectional(flat, pitch, n_lines, line, x, y, cubic, values)
            _store_row(values, line, low, high, integer, blank, out[f, y_out])
            if seen.shape[0] > 0:
                _note_seen(line, seen[f, y_out])
        counts[f] = count


@njit(cache=True, nogil=True)
def _round_places(x0, x1, x2, y0, y1, y2, start, stop, height, width, pitch, place):
    """Round the places x0 + x1 i + x2 i^2 (y likewise) to flat indices; height * pitch: none."""
    nowhere, width, height = np.int32(height * pitch), np.int32(width), np.int32(height)
    pitch = np.int32(pitch)
    for i in range(start, stop):
        column = np.float64(i)
        x = np.int32(np.floor(x0 + 0.5 + column * (x1 + column * x2)))
        y = np.int32(np.floor(y0 + 0.5 + column * (y1 + column * y2)))
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        place[i] = y * pitch + x if inside else nowhere


@njit(cache=True, nogil=True)
def _neighbor(j, last, earlier):
    """Pick the line towards which the map of line j changes; the only neighbor at the ends."""
    if (earlier and j > 0) or j == last:
        return max(j - 1, 0)
    return j + 1


@njit(cache=True, nogil=True)
def _places_of_part(maps, f, j, earlier, slope, offset, start, stop, height, width, pitch, place):
    """Find where the samples start to stop of a line belong, recorded before or after its time."""
    k = _neighbor(j, maps.shape[1] - 1, earlier)
    towards = np.float64(k - j)
    p, q = towards * (offset - slope * 0.5 * (place.shape[0] - 1)), towards * slope
    x1, x0 = maps[f, j, 0, 0], maps[f, j, 0, 1] * j + maps[f, j, 0, 2]
    y1, y0 = maps[f, j, 1, 0], maps[f, j, 1, 1] * j + maps[f, j, 1, 2]
    dx1, dx0 = maps[f, k, 0, 0] - x1, maps[f, k, 0, 1] * j + maps[f, k, 0, 2] - x0
    dy1, dy0 = maps[f, k, 1, 0] - y1, maps[f, k, 1, 1] * j + maps[f, k, 1, 2] - y0
    _round_places(
        x0 + p * dx0, x1 + p * dx1 + q * dx0, q * dx1,
        y0 + p * dy0, y1 + p * dy1 + q * dy0, q * dy1,
        start, stop, height, width, pitch, place,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _places_of_line(maps, f, j, slope, offset, height, width, pitch, place):
    """Find where the samples of line j of frame f belong, each by the map of its own time.

    Samples before the line's own time take the map between this line and the one before, later
    ones the map towards the one after; either way the place is quadratic in the column.
    """
    n = place.shape[0]
    if slope == 0.0:
        _places_of_part(maps, f, j, offset < 0.0, slope, offset, 0, n, height, width, pitch, place)
        return
    change = int(min(max(np.ceil(0.5 * (n - 1) - offset / slope), 0.0), float(n)))
    for start, stop, earlier in ((0, change, slope > 0.0), (change, n, slope < 0.0)):
        _places_of_part(
            maps, f, j, earlier, slope, offset, start, stop, height, width, pitch, place
        )


@njit(cache=True, nogil=True)
def place_line(frames, maps, f, j, slope, offset, shape, place, image):
    """Put the samples of line j of frame f at their rounded places; the last one to come stays.

    maps (n, lines, 2, 3) takes recorded to output positions; place (W,) is scratch; image is a flat
    float buffer, rows of some pitch and one more sample, where those without a place go. Lines
    whose map is NaN are left out.
    """
    height, width = shape
    nowhere = np.uint32(image.shape[0] - 1)
    pitch = (image.shape[0] - 1) // height
    if np.isnan(maps[f, j].sum()):
        return
    _places_of_line(maps, f, j, slope, offset, height, width, pitch, place)
    for i in range(place.shape[0]):
        sample = frames[f, j, i]
        image[nowhere if np.isnan(sample) else np.uint32(place[i])] = sample


@njit(cache=True, nogil=True)
def finish_image(image, blank, out):
    """Copy what was placed (not NaN) to `out` (Hout, Wout), the rest is blank; count the placed."""
    height, width = out.shape
    pitch = (image.shape[0] - 1) // height
    n_placed = 0
    for y in range(height):
        row = image[y * pitch : y * pitch + width]
        for x in range(width):
            placed = not np.isnan(row[x])
            out[y, x] = row[x] if placed else blank
            n_placed += np.int64(placed)
    return n_placed


@njit(cache=True, nogil=True)
def _note_placed(image, seen):
    height, width = seen.shape
    pitch = (image.shape[0] - 1) // height
    for y in range(height):
        for x in range(width):
            seen[y, x] = not np.isnan(image[y * pitch + x])


@njit(cache=True, nogil=True)
def forward_frames(
    frames, maps, which, slope, offset, bidirectional, work, blank, out, counts, seen
):
    """Put every sample of the frames `which` at its rounded place.

    Arguments as in :func:`inverse_frames`, but for maps (n, H, 2, 3) from recorded to output
    positions, and work, which is the image of :func:`place_line`.
    """
    shape = out.shape[1:]
    place = np.empty(frames.shape[2], np.int32)
    for f in which:
        work[:] = np.nan
        for j in range(frames.shape[1]):
            way = -slope if bidirectional and j % 2 else slope
            place_line(frames, maps, f, j, way, offset, shape, place, work)
        counts[f] = finish_image(work, blank, out[f])
        if seen.shape[0] > 0:
            _note_placed(work, seen[f])
