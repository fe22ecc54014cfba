"""When an output pixel was seen: the equation of its time, solved for a row of pixels."""

import numpy as np

from derotation.maps.kernels.compiling import FUSED, compiled

# A solution may lie outside its segment by this much (lines) before it is solved again: far less
# than the maps of neighboring segments differ in.
OVERSHOOT = 0.01
MAX_SEGMENT_CHANGES = 16
# In single precision only each fourth pixel of a row is solved, and places between them are
# interpolated, if the maps of a frame bend by less than this from line to line (px in a corner,
# third difference); it errs by less than half of it then, as the largest errors of angles do.
STRIDE = 4
MAX_BEND = 0.02
# ... and if no place moves further than this from line to line (px).
MAX_STEP = 0.6


@compiled
def columns_of_row(n_columns, smooth, kind_of):
    """Give the columns that are solved, counted from the middle, as precise as the array `kind_of`.

    All of them; or, for smooth maps, each fourth, with one before and two behind the row.
    """
    step = STRIDE if smooth else 1
    n = (n_columns - 1) // STRIDE + 4 if smooth else n_columns
    start = -0.5 * (n_columns - 1) - (STRIDE if smooth else 0)
    columns = np.empty(n, kind_of.dtype)
    for i in range(n):
        columns[i] = start + step * i
    return columns


@compiled
def is_smooth(inverse, width, single):
    """Tell whether places may be interpolated between columns without more error than allowed.

    The maps of a frame are linear between lines. Where they bend abruptly, the third differences
    from line to line say by how much; at corners of the picture it is most.
    """
    if not single or width < 2 * STRIDE:
        return False
    n_lines = inverse.shape[0]
    for j in range(n_lines - 3):
        for k in range(2):
            a, b, c = 0.0, 0.0, 0.0
            for m, weight in ((0, 1.0), (1, -3.0), (2, 3.0), (3, -1.0)):
                a += weight * inverse[j + m, k, 0]
                b += weight * inverse[j + m, k, 1]
                c += weight * inverse[j + m, k, 2]
            middle = c + 0.5 * (a * (width - 1) + b * (n_lines - 1))
            bent = abs(middle) + 0.5 * (abs(a) * (width - 1) + abs(b) * (n_lines - 1))
            if not bent <= MAX_BEND:
                return False
    # So fast that lines nearly fold over each other, times are no smooth functions of the place.
    for j in range(n_lines - 1):
        a = inverse[j + 1, 1, 0] - inverse[j, 1, 0]
        b = inverse[j + 1, 1, 1] - inverse[j, 1, 1]
        c = inverse[j + 1, 1, 2] - inverse[j, 1, 2]
        middle = c + 0.5 * (a * (width - 1) + b * (n_lines - 1))
        if not abs(middle) + 0.5 * (abs(a) * (width - 1) + abs(b) * (n_lines - 1)) <= MAX_STEP:
            return False
    return True


@compiled(fastmath=FUSED)
def between_columns(nodes, out):
    """Interpolate by the cubic through four of each fourth column's values; exact at these."""
    kind = out.dtype.type
    far, near, half = kind(-7 / 128), kind(105 / 128), kind(9 / 16)
    beyond, other, outside = kind(-5 / 128), kind(35 / 128), kind(-1 / 16)
    for b in range(out.shape[0] // STRIDE):
        before, left, right, behind = nodes[b], nodes[b + 1], nodes[b + 2], nodes[b + 3]
        out[STRIDE * b] = left
        out[STRIDE * b + 1] = far * before + near * left + other * right + beyond * behind
        out[STRIDE * b + 2] = outside * (before + behind) + half * (left + right)
        out[STRIDE * b + 3] = beyond * before + other * left + near * right + far * behind


@compiled
def prepare_lines(inverse, slope, offset, middle, n_columns, forms):
    """Write what each line says about an output pixel (X, Y) as forms a X + b Y + c.

    inverse (lines, 2, 3); X is counted from the middle of the `n_columns` columns of the output, so
    that it stays small; forms (3, 4, lines): for a, b and c the recorded column x of the pixel at
    the line's time, its increase to the next line, w - j, and 1 - (the increase of w); the fourth
    with reversed sign in X, see `_solve_row`.
    """
    n_lines = inverse.shape[0]
    last_segment = max(n_lines - 2, 0)
    x_middle = 0.5 * (n_columns - 1)
    for j in range(n_lines):
        this = min(j, last_segment)
        for k in range(3):
            x, dx = inverse[j, 0, k], inverse[this + 1, 0, k] - inverse[this, 0, k]
            w = inverse[j, 1, k] + slope * x
            dw = inverse[this + 1, 1, k] - inverse[this, 1, k] + slope * dx
            if k == 0:
                x_along, dx_along, w_along, dw_along = x, dx, w, dw
            elif k == 2:
                x, dx = x + x_along * x_middle, dx + dx_along * x_middle
                w = w + w_along * x_middle + offset - slope * middle - j
                dw = dw + dw_along * x_middle - 1.0
            forms[k, 0, j], forms[k, 1, j], forms[k, 2, j] = x, dx, w
            forms[k, 3, j] = dw if k == 0 else -dw


@compiled(fastmath=FUSED)
def _at_row(forms, y_out, at):
    """Evaluate the parts of the forms that do not depend on the output column; at (4, lines)."""
    y = at.dtype.type(y_out)
    for k in range(4):
        for j in range(at.shape[1]):
            at[k, j] = forms[1, k, j] * y + forms[2, k, j]


@compiled(error_model="numpy", fastmath=FUSED)
def _solve_row(forms, at, columns, segment, t, x):
    """Solve each pixel of a row within the segment that is given for it."""
    for i in range(t.shape[0]):
        j = np.uint32(segment[i])
        column = columns[i]
        when = (forms[0, 2, j] * column + at[2, j]) / (at[3, j] - forms[0, 3, j] * column)
        t[i] = when
        change = forms[0, 1, j] * column + at[1, j]
        x[i] = forms[0, 0, j] * column + at[0, j] + when * change


@compiled
def _advance(segment, t, u_above, last_segment, u, following):
    """Turn positions within segments into times, and predict the segments of the row below.

    The times of this row and the one above are extrapolated. Returns how many pixels were solved
    outside their segment, so that the row has to be done again.
    """
    kind = t.dtype.type
    zero, two, low, high = kind(0.0), kind(2.0), kind(-OVERSHOOT), kind(1.0 + OVERSHOOT)
    last = kind(last_segment)
    n_outside = np.int32(0)
    for i in range(u.shape[0]):
        here = kind(segment[i])
        time = here + t[i]
        outside = ((t[i] < low) & (here > zero)) | ((t[i] > high) & (here < last))
        n_outside += np.int32(outside)
        predicted = two * time - u_above[i]
        # In this form NaN becomes 0.
        predicted = predicted if predicted > zero else zero
        predicted = predicted if predicted < last else last
        following[i] = np.int32(predicted)
        u[i] = time
    return n_outside


@compiled(error_model="numpy")
def _within_segment(forms, at, column, j):
    return (forms[0, 2, j] * column + at[2, j]) / (at[3, j] - forms[0, 3, j] * column)


@compiled
def _walk_to_segment(forms, at, column, j, last_segment):
    """Go from segment j to the one in whose time the pixel of a column was seen."""
    for _ in range(MAX_SEGMENT_CHANGES):
        t = _within_segment(forms, at, column, j)
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
def _search_segment(forms, at, column, last_segment):
    """Find the segment in whose time the pixel of a column was seen by trying all of them."""
    best, best_distance = 0, np.inf
    for j in range(last_segment + 1):
        t = _within_segment(forms, at, column, j)
        distance = max(-t, t - 1.0, 0.0)
        if distance < best_distance:
            best, best_distance = j, distance
    return best


@compiled
def _first_segments(forms, at, columns, last_segment, segment):
    """Find the segments of the first row of pixels, each from its neighbor on the left."""
    segment[0] = _search_segment(forms, at, columns[0], last_segment)
    for i in range(1, segment.shape[0]):
        segment[i] = _walk_to_segment(forms, at, columns[i], segment[i - 1], last_segment)


@compiled
def _correct_segments(forms, at, columns, t, last_segment, segment):
    for i in range(segment.shape[0]):
        if not 0.0 <= t[i] <= 1.0:
            segment[i] = _walk_to_segment(forms, at, columns[i], segment[i], last_segment)


@compiled
def times_of_row(forms, at, y_out, columns, segment, following, t, x, u, u_above):
    """Solve an output row: when each of the columns was seen (u), and at which recorded column (x).

    forms, see :func:`prepare_lines`; at (4, lines) and t are scratch; segment holds the
    prediction for this row, and `following` gets that for the next one; u_above: the row above.

    Rows are handed over one by one, not as parts of larger arrays: to make such a view takes as
    long as ten pixels, since its references are counted.
    """
    last_segment = forms.shape[2] - 2
    _at_row(forms, y_out, at)
    if y_out == 0:
        _first_segments(forms, at, columns, last_segment, segment)
    _solve_row(forms, at, columns, segment, t, x)
    if y_out == 0:
        for i in range(t.shape[0]):
            u_above[i] = segment[i] + t[i]
    if _advance(segment, t, u_above, last_segment, u, following) > 0:
        _correct_segments(forms, at, columns, t, last_segment, segment)
        _solve_row(forms, at, columns, segment, t, x)
        _advance(segment, t, u_above, last_segment, u, following)


@compiled
def places_of_row(
    forms, at, y_out, smooth, columns, segment, following, t, x, u, u_above, all_x, all_u
):
    """Do what :func:`times_of_row` does for all columns, of which only some may be solved.

    all_x and all_u are as long as the row, up to the next multiple of four.
    """
    times_of_row(forms, at, y_out, columns, segment, following, t, x, u, u_above)
    if smooth:
        between_columns(u, all_u)
        between_columns(x, all_x)
    else:
        for i in range(u.shape[0]):
            all_u[i], all_x[i] = u[i], x[i]


@compiled
def whole_row(n_columns):
    """Give the length of a row up to the next multiple of four."""
    return (n_columns + STRIDE - 1) // STRIDE * STRIDE
