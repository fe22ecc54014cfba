"""Look up the pixels of frames that were scanned in one direction."""

import numpy as np

from derotation.maps.kernels.blending import blend_four, blend_two
from derotation.maps.kernels.compiling import FUSED, compiled
from derotation.maps.kernels.pixels import (
    MORE,
    bend_cells,
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


@compiled(fastmath=FUSED)
def _locate(u, x, slope, offset, height, width, index, wx, wy):
    """Turn times and columns into places in a padded frame: flat index at the top left, weights.

    The index is -1 where the pixel was outside the picture. Returns how many were inside.
    """
    kind = u.dtype.type
    zero, edge, x_last, y_last = kind(0.0), edge_of(u), kind(width - 1), kind(height - 1)
    x_end, y_end = x_last + edge, y_last + edge
    slope, late = kind(slope), kind(offset - slope * 0.5 * (width - 1))
    pitch, first = np.int32(width + MORE), np.int32(width + MORE + 1)
    n_inside = np.int32(0)
    for i in range(index.shape[0]):
        column = x[i]
        line = u[i] - late - slope * column
        inside = (column >= -edge) & (column <= x_end) & (line >= -edge) & (line <= y_end)
        column, line = column if inside else zero, line if inside else zero
        left, top = np.int32(column), np.int32(line)
        wx[i], wy[i] = column - kind(left), line - kind(top)
        # Numba adds 32 bits and 32 bits to 64: half as many at once.
        place = np.int32(np.int32(top * pitch + left) + first)
        index[i] = place if inside else np.int32(-1)
        n_inside = np.int32(n_inside + np.int32(inside))
    return n_inside


@compiled(fastmath=FUSED)
def _sample_linear(frame, pitch, index, wx, wy, values):
    """Interpolate bilinearly; frame is flat, its lines `pitch` samples apart."""
    pitch, one = np.uint32(pitch), wx.dtype.type(1.0)
    for i in range(index.shape[0]):
        # What is read for a pixel outside the picture is not used.
        k = np.uint32(max(index[i], np.int32(0)))
        left, right = blend_two(frame, k, pitch, (one - wy[i], wy[i]))
        values[i] = left + wx[i] * (right - left)


@compiled(fastmath=FUSED)
def _sample_quadratic(frame, bend_x, bend_y, pitch, index, wx, wy, values):
    """Interpolate by parabolas in x and y, see :func:`bend_cells`; all arrays are flat."""
    pitch, one = np.uint32(pitch), wx.dtype.type(1.0)
    for i in range(index.shape[0]):
        k, x, y = np.uint32(max(index[i], np.int32(0))), wx[i], wy[i]
        at_left, at_right = blend_two(frame, k, pitch, (one - y, y))
        bend = (x - x * x) * bend_x[k] + (y - y * y) * bend_y[k]
        values[i] = at_left + x * (at_right - at_left) + bend


@compiled(fastmath=FUSED)
def _sample_cubic(frame, pitch, index, wx, wy, values):
    """Interpolate by cubic convolution in 4 x 4 samples; frame is flat."""
    kind, before, pitch = wx.dtype.type, np.int32(pitch + 1), np.uint32(pitch)
    for i in range(index.shape[0]):
        k = np.uint32(max(index[i], before) - before)
        a, b, c, d = keys_weights(wx[i], kind)
        p, q, r, s = blend_four(frame, k, pitch, keys_weights(wy[i], kind))
        values[i] = a * p + b * q + c * r + d * s


@compiled
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


@compiled
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


@compiled
def inverse_frames(
    frames,
    inverse,
    which,
    slope,
    offset,
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
    """Resample the frames `which`, scanned in one direction, by the inverse maps of their lines.

    frames (n, H, W); inverse (n, H, 2, 3), output to recorded positions; order: 1 linear, 2
    quadratic, 3 cubic; missing: the samples may be NaN; work, a float buffer for a padded frame
    (:func:`padded_shape`), as precise as the samples need; low, high: the range of an `integer`
    output; out (n, Hout, Wout); counts (n,) of the pixels that were seen; seen, a mask shaped like
    out, or of shape (0, 0, 0) if nobody wants it.
    """
    n_lines, width = frames.shape[1:]
    n_rows, n_columns = out.shape[1:]
    kind, single = work.dtype, work.itemsize == 4
    forms, block = np.empty((3, 4, n_lines), kind), (BLOCK, n_columns)
    all_u, all_x, all_index = (
        np.empty(block, kind),
        np.empty(block, kind),
        np.empty(block, np.int32),
    )
    all_wx, all_wy, all_values = np.empty(block, kind), np.empty(block, kind), np.zeros(block, kind)
    flat, pitch = work.reshape(-1), work.shape[1]
    bends = np.zeros((2, work.shape[0], work.shape[1]) if order == 2 else (2, 0, 0), kind)
    bend_x, bend_y = bends[0].reshape(-1), bends[1].reshape(-1)
    for f in which:
        pad_frame(frames[f], work)
        if order == 2:
            bend_cells(work, bends)
        prepare_lines(inverse[f], slope, offset, 0.5 * (width - 1), n_columns, forms)
        rows = begin_rows(forms, n_rows, n_columns, is_smooth(inverse[f], width, single))
        count = 0
        for y_out in range(0, n_rows, BLOCK):
            # The last block may be lower. What is done pixel by pixel needs no rows.
            n = min(BLOCK, n_rows - y_out)
            u, x, wx, wy = all_u[:n], all_x[:n], all_wx[:n].reshape(-1), all_wy[:n].reshape(-1)
            index, values = all_index[:n].reshape(-1), all_values[:n].reshape(-1)
            places_of_rows(forms, y_out, rows, u, x)
            count += _locate(
                u.reshape(-1), x.reshape(-1), slope, offset, n_lines, width, index, wx, wy
            )
            if order == 3:
                _sample_cubic(flat, pitch, index, wx, wy, values)
            elif order == 2:
                _sample_quadratic(flat, bend_x, bend_y, pitch, index, wx, wy, values)
            else:
                _sample_linear(flat, pitch, index, wx, wy, values)
            if missing:
                count -= _mend_missing(flat, pitch, index, wx, wy, values)
            store_rows(all_values[:n], all_index[:n], low, high, integer, blank, out, f, y_out)
            if seen.shape[0] > 0:
                note_seen(all_index[:n], seen, f, y_out)
        counts[f] = count
