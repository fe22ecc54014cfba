"""When an output pixel was seen: the equation of its time, solved for a row of pixels."""

import numpy as np

from derotation.maps.kernels.compiling import compiled

# A solution may lie outside its segment by this much (lines) before it is solved again: far less
# than the maps of neighboring segments differ in.
OVERSHOOT = 0.01
MAX_SEGMENT_CHANGES = 16


@compiled
def prepare_lines(inverse, slope, offset, middle, forms):
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


@compiled
def _at_row(forms, y_out, at):
    """Evaluate the parts of the forms that do not depend on the output column; at (4, lines)."""
    for k in range(4):
        along_y, constant, row = forms[1, k], forms[2, k], at[k]
        for j in range(row.shape[0]):
            row[j] = along_y[j] * y_out + constant[j]


@compiled(error_model="numpy")
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


@compiled
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


@compiled(error_model="numpy")
def _within_segment(along_x, at, i, j):
    return (along_x[2, j] * i + at[2, j]) / (at[3, j] - along_x[3, j] * i)


@compiled
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


@compiled
def _search_segment(along_x, at, i, last_segment):
    """Find the segment in whose time the pixel of column i was seen by trying all of them."""
    best, best_distance = 0, np.inf
    for j in range(last_segment + 1):
        t = _within_segment(along_x, at, i, j)
        distance = max(-t, t - 1.0, 0.0)
        if distance < best_distance:
            best, best_distance = j, distance
    return best


@compiled
def _first_segments(along_x, at, last_segment, segment):
    """Find the segments of the first row of pixels, each from its neighbor on the left."""
    segment[0] = _search_segment(along_x, at, 0, last_segment)
    for i in range(1, segment.shape[0]):
        segment[i] = _walk_to_segment(along_x, at, i, segment[i - 1], last_segment)


@compiled
def _correct_segments(along_x, at, t, last_segment, segment):
    for i in range(segment.shape[0]):
        if not 0.0 <= t[i] <= 1.0:
            segment[i] = _walk_to_segment(along_x, at, i, segment[i], last_segment)


@compiled
def times_of_row(forms, y_out, at, segments, t, x, times):
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
