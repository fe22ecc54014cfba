"""When an output pixel was seen: the equation of its time, solved for rows of pixels."""

from typing import Any, NamedTuple

import numpy as np

from derotation.maps.kernels.compiling import FUSED, compiled

# Rows are worked on in blocks: what is handed from loop to loop stays in the processor's nearest
# caches, and what a call costs (references to arrays are counted: 30 % of the time, when each row
# was handed over alone) is shared by some.
BLOCK = 16
# A solution may lie outside its segment by this much (lines) before it is solved again: far less
# than the maps of neighboring segments differ in.
OVERSHOOT = 0.01
MAX_SEGMENT_CHANGES = 16
# In single precision only each fourth pixel of each fourth row is solved, and places between them
# are interpolated, if the maps of a frame bend by less than this from line to line (px in a corner,
# third difference); it errs by less than that where it is worst, and by a fifteenth of it (rms).
# Angles that are told by ticks bend by up to 0.09 px, since the moment of a tick is known to a
# sample of the signals. A motor does not: measured against true angles, places between which is
# interpolated are nearer to the truth than those that follow each bend.
STRIDE = 4
MAX_BEND = 0.1
# ... and if no place moves further than this from line to line (px; it errs by 0.005 px then).
MAX_STEP = 0.75
# Cubic interpolation between nodes at -1, 0, 1, 2, for places at 0, 1/4, 1/2, 3/4.
WEIGHTS = np.array(
    [[0, 128, 0, 0], [-7, 105, 35, -5], [-8, 72, 72, -8], [-5, 35, 105, -7]], np.float32
) / np.float32(128)


class Rows(NamedTuple):
    """What solving the rows of a frame, from top to bottom, needs and remembers."""

    smooth: Any
    """Whether only nodes are solved, each fourth column of each fourth row."""
    columns: Any
    """The columns that are solved, counted from the middle, (n,)."""
    segment: Any
    """The segment between two lines that is predicted for each of them in the next row, (n,)."""
    above: Any
    """When the row above was seen, (n,)."""
    at: Any
    """Scratch: the lines' forms at a row, (4, lines)."""
    t: Any
    """Scratch: times within segments, (n,)."""
    nodes_u: Any
    """When nodes were seen, (rows, n), from one row of them before the first row of the frame."""
    nodes_x: Any
    """At which recorded column."""


@compiled
def begin_rows(forms, n_rows, n_columns, smooth):
    """Prepare what :func:`places_of_rows` needs to go through the rows of a frame.

    forms, see :func:`prepare_lines`, which also says how precise all is.
    """
    kind = forms.dtype
    step = STRIDE if smooth else 1
    # One node before and two behind.
    n = (n_columns - 1) // STRIDE + 4 if smooth else n_columns
    n_nodes = (n_rows - 1) // STRIDE + 4 if smooth else 0
    columns, above, t = np.empty(n, kind), np.empty(n, kind), np.empty(n, kind)
    start = -0.5 * (n_columns - 1) - (STRIDE if smooth else 0)
    for i in range(n):
        columns[i] = start + step * i
    segment, at = np.empty(n, np.int32), np.empty((4, forms.shape[2]), kind)
    nodes_u, nodes_x = np.empty((n_nodes, n), kind), np.empty((n_nodes, n), kind)
    rows = Rows(smooth, columns, segment, above, at, t, nodes_u, nodes_x)
    _first_row(forms, -STRIDE if smooth else 0, rows)
    if smooth:
        _solve_rows(forms, -STRIDE, STRIDE, rows, nodes_u, nodes_x)
    return rows


@compiled
def places_of_rows(forms, y_out, rows, u, x):
    """Find when each pixel of the next rows was seen (u), and at which recorded column (x).

    y_out: the first of them; rows, see :func:`begin_rows`; u and x (rows, columns).
    """
    if rows.smooth:
        _between_nodes(rows.nodes_u, y_out, rows.t, u)
        _between_nodes(rows.nodes_x, y_out, rows.t, x)
    else:
        _solve_rows(forms, y_out, 1, rows, u, x)


@compiled(fastmath=FUSED)
def _between_nodes(nodes, y_out, along, out):
    """Interpolate rows by the cubics through 4 x 4 nodes; exact at these. along is scratch."""
    n, width = nodes.shape[1], out.shape[1]
    a, b, c, d = WEIGHTS[1]
    e, f = WEIGHTS[2, 0], WEIGHTS[2, 1]
    for r in range(out.shape[0]):
        row, part = (y_out + r) // STRIDE, (y_out + r) % STRIDE
        before, here, following, behind = WEIGHTS[part]
        for i in range(n):
            along[i] = (
                before * nodes[row, i]
                + here * nodes[row + 1, i]
                + following * nodes[row + 2, i]
                + behind * nodes[row + 3, i]
            )
        for k in range(width // STRIDE):
            i, p, q, s, t = STRIDE * k, along[k], along[k + 1], along[k + 2], along[k + 3]
            out[r, i] = q
            out[r, i + 1] = a * p + b * q + c * s + d * t
            out[r, i + 2] = e * (p + t) + f * (q + s)
            out[r, i + 3] = d * p + c * q + b * s + a * t
        for i in range(width - width % STRIDE, width):
            k, (before, here, following, behind) = i // STRIDE, WEIGHTS[i % STRIDE]
            out[r, i] = (
                before * along[k]
                + here * along[k + 1]
                + following * along[k + 2]
                + behind * along[k + 3]
            )


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
def _solve_row(forms, at, columns, segment, t, r, x):
    """Solve each pixel of a row within the segment that is given for it."""
    for i in range(t.shape[0]):
        j = np.uint32(segment[i])
        column = columns[i]
        when = (forms[0, 2, j] * column + at[2, j]) / (at[3, j] - forms[0, 3, j] * column)
        t[i] = when
        change = forms[0, 1, j] * column + at[1, j]
        x[r, i] = forms[0, 0, j] * column + at[0, j] + when * change


@compiled
def _count_outside(segment, t, last_segment):
    """Count the pixels that were solved outside their segment."""
    kind = t.dtype.type
    zero, low, high, last = kind(0.0), kind(-OVERSHOOT), kind(1.0 + OVERSHOOT), kind(last_segment)
    n_outside = np.int32(0)
    for i in range(t.shape[0]):
        here = kind(segment[i])
        outside = ((t[i] < low) & (here > zero)) | ((t[i] > high) & (here < last))
        n_outside = np.int32(n_outside + np.int32(outside))
    return n_outside


@compiled
def _advance(segment, t, above, last_segment, r, u):
    """Turn positions within segments into times, and predict the segments of the row below.

    The times of this row and the one above are extrapolated.
    """
    kind = t.dtype.type
    zero, two, last = kind(0.0), kind(2.0), kind(last_segment)
    for i in range(t.shape[0]):
        time = kind(segment[i]) + t[i]
        predicted = two * time - above[i]
        # In this form NaN becomes 0.
        predicted = predicted if predicted > zero else zero
        predicted = predicted if predicted < last else last
        segment[i] = np.int32(predicted)
        above[i] = time
        u[r, i] = time


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
def _first_row(forms, y_out, rows):
    """Find the segments of the first row of pixels, each from its neighbor on the left."""
    at, columns, segment, last_segment = rows.at, rows.columns, rows.segment, forms.shape[2] - 2
    _at_row(forms, y_out, at)
    segment[0] = _search_segment(forms, at, columns[0], last_segment)
    for i in range(1, segment.shape[0]):
        segment[i] = _walk_to_segment(forms, at, columns[i], segment[i - 1], last_segment)
    for i in range(segment.shape[0]):
        rows.above[i] = segment[i] + _within_segment(forms, at, columns[i], segment[i])


@compiled(error_model="numpy")
def _correct_row(forms, at, columns, last_segment, segment, t, r, x):
    """Find the right segments of the pixels that were solved outside theirs."""
    for i in range(t.shape[0]):
        if not 0.0 <= t[i] <= 1.0:
            j = _walk_to_segment(forms, at, columns[i], segment[i], last_segment)
            when = _within_segment(forms, at, columns[i], j)
            segment[i], t[i] = j, when
            change = forms[0, 1, j] * columns[i] + at[1, j]
            x[r, i] = forms[0, 0, j] * columns[i] + at[0, j] + when * change


@compiled
def _solve_rows(forms, y_out, step, rows, u, x):
    """Solve the output rows y_out, y_out + step, ...: when each of the columns was seen, and where.

    The loops over a row take whole arrays, not views of a row: to make such a view takes as long
    as ten pixels, since its references are counted.
    """
    at, columns, segment, t = rows.at, rows.columns, rows.segment, rows.t
    last_segment = forms.shape[2] - 2
    for r in range(u.shape[0]):
        _at_row(forms, y_out + r * step, at)
        _solve_row(forms, at, columns, segment, t, r, x)
        if _count_outside(segment, t, last_segment) > 0:
            _correct_row(forms, at, columns, last_segment, segment, t, r, x)
        _advance(segment, t, rows.above, last_segment, r, u)
