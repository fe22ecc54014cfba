"""Compiled loops over the pixels of regions; nothing here checks anything."""

import numpy as np

from derotation.numerics.compiling import njit

# Columns of the sums: weight that was seen; weighted brightness, expected brightness, and place.
WEIGHT, VALUE, EXPECTED, X, Y = range(5)
N_SUMS = 5


@njit(cache=True, nogil=True)
def add_up(frames, seen, offset, start, place, weight, expected, width, sums):
    """Sum up the seen pixels of each region in each frame.

    frames, seen (n, pixels of a frame); start (regions + 1), place, weight (pixels of all regions):
    see :class:`derotation.cells.rois.Rois`; expected (pixels of all regions): mean brightness above
    the offset; width: of a frame. sums (n, regions, N_SUMS) is written.
    """
    for f in range(frames.shape[0]):
        values, known = frames[f], seen[f]
        for k in range(len(start) - 1):
            total, value, mean, x, y = 0.0, 0.0, 0.0, 0.0, 0.0
            for i in range(start[k], start[k + 1]):
                p = place[i]
                if known[p]:
                    w = weight[i]
                    total += w
                    value += w * (values[p] - offset)
                    mean += w * expected[i]
                    x += w * (p % width)
                    y += w * (p // width)
            sums[f, k, 0], sums[f, k, 1], sums[f, k, 2] = total, value, mean
            sums[f, k, 3], sums[f, k, 4] = x, y


@njit(cache=True, nogil=True)
def between_lines(values, frame, when, period, out):
    """Interpolate what is known at lines (frame, line) to times within frames.

    frame (n): number of the frame of each row of when (n, p), in lines of the frame; it may lie a
    little before the first or after the last line. period: the values are the same after so much
    (360 for angles), or 0. out (n, p) is written: NaN where a line is not known.
    """
    last = values.shape[1] - 2
    for f in range(when.shape[0]):
        row = values[frame[f]]
        for i in range(when.shape[1]):
            u = when[f, i]
            if not np.isfinite(u):
                out[f, i] = np.nan
                continue
            j = min(max(int(np.floor(u)), 0), last)
            step = row[j + 1] - row[j]
            if period > 0:
                step -= period * np.round(step / period)
            out[f, i] = row[j] + (u - j) * step


# Sums may be taken in any order (vector instructions); nothing here is NaN.
@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def add_shifted(columns, moved, edges, shifts, sums):
    """Sum up products of columns and a trace whose blocks are shifted circularly.

    columns (samples, n), moved (samples); edges (blocks + 1): first samples of blocks; shifts
    (blocks, m). sums (m, n) is added to.
    """
    n = columns.shape[1]
    longest = 0
    for b in range(len(edges) - 1):
        longest = max(longest, edges[b + 1] - edges[b])
    table = np.zeros((longest, n))
    for b in range(len(edges) - 1):
        first, length = edges[b], edges[b + 1] - edges[b]
        table[:length] = 0.0
        for s in range(length):
            for i in range(length):
                k = i - s if i >= s else i - s + length
                value = moved[first + k]
                for c in range(n):
                    table[s, c] += columns[first + i, c] * value
        for m in range(shifts.shape[1]):
            s = shifts[b, m]
            for c in range(n):
                sums[m, c] += table[s, c]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def multiply_across(first, second, out):
    """Add first.T @ second to out: (n, k), (n, m), (k, m)."""
    for i in range(first.shape[0]):
        for j in range(first.shape[1]):
            value = first[i, j]
            for k in range(second.shape[1]):
                out[j, k] += value * second[i, k]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def multiply_along(columns, weights, out):
    """Add columns @ weights to out: (n, k), (k, m), (n, m)."""
    for i in range(columns.shape[0]):
        for j in range(columns.shape[1]):
            value = columns[i, j]
            for k in range(weights.shape[1]):
                out[i, k] += value * weights[j, k]
