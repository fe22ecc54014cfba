"""Compiled loops that sum up frames as they pass by: mean images, and likeness to a reference.

Each call owns some rows of all frames of a chunk, so that callers run several side by side in
threads, and the sums of a row stay in the processor's cache while the frames pass (measured: 0.5
against 3.5 ms for a frame of 512 x 512, raw and derotated, by whole frames in NumPy).
Nothing here checks anything.
"""

import numpy as np

from derotation.numerics.compiling import njit

# Columns of the sums per frame: pixels seen; of those that are compared with the reference: their
# number, sum and sum of squares, those of the reference, and the sum of products.
SEEN, N, F, FF, R, RR, FR = range(7)
N_SUMS = 7


# Sums may be taken in any order (vector instructions: 3 times faster); NaN has to survive.
@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def add_rows(
    frames, seen, group, segment, reference, compared, first, last,
    total, count, segment_total, segment_count, sums,
):  # fmt: skip
    """Add the rows `first` to `last` of frames (n, y, x) to the sums of their groups.

    seen (n, y, x): pixels that hold something; of length 0 if all do. group (n): the number of
    the sum, -1 for none. segment (n): the same for smaller pictures of squares of pixels; `first`
    and `last` are multiples of their side. reference, compared (y, x): the picture to compare with,
    and where. total, count (groups, y, x), segment_total, segment_count (segments, y', x') and sums
    (n, N_SUMS) are added to. Without segments nothing is added to theirs.
    """
    n, height, width = frames.shape
    all_seen = seen.shape[0] == 0
    values, known = np.empty(width), np.empty(width)
    n_segments, small_height, small_width = segment_total.shape
    side = height // small_height if small_height else 1
    run, run_count = np.zeros(width), np.zeros(width)
    for y in range(first, last):
        expected, where = reference[y], compared[y]
        for f in range(n):
            row = frames[f, y]
            if all_seen:
                for x in range(width):
                    known[x] = 1.0 if np.isfinite(row[x]) else 0.0
            else:
                there = seen[f, y]
                for x in range(width):
                    known[x] = 1.0 if there[x] and np.isfinite(row[x]) else 0.0
            for x in range(width):
                values[x] = np.float64(row[x]) if known[x] > 0.0 else 0.0
            if group[f] >= 0:
                own, own_count = total[group[f], y], count[group[f], y]
                for x in range(width):
                    own[x] += values[x]
                for x in range(width):
                    own_count[x] += np.int32(known[x])
            k = segment[f] if n_segments else -1
            if k >= 0:
                for x in range(width):
                    run[x] += values[x]
                for x in range(width):
                    run_count[x] += known[x]
                # Squares are summed up once for all frames of a segment that follow each other.
                if f == n - 1 or segment[f + 1] != k:
                    if y // side < small_height:
                        short, short_count = (
                            segment_total[k, y // side],
                            segment_count[k, y // side],
                        )
                        for x in range(small_width):
                            for i in range(x * side, (x + 1) * side):
                                short[x] += run[i]
                                short_count[x] += np.int32(run_count[i])
                    run[:] = 0.0
                    run_count[:] = 0.0
            n_seen = s_n = s_f = s_ff = s_r = s_rr = s_fr = 0.0
            for x in range(width):
                n_seen += known[x]
                weight = known[x] * where[x]
                value = weight * values[x]
                picture = weight * expected[x]
                s_n += weight
                s_f += value
                s_ff += value * values[x]
                s_r += picture
                s_rr += picture * expected[x]
                s_fr += value * expected[x]
            own_sums = sums[f]
            own_sums[0] += n_seen
            own_sums[1] += s_n
            own_sums[2] += s_f
            own_sums[3] += s_ff
            own_sums[4] += s_r
            own_sums[5] += s_rr
            own_sums[6] += s_fr
