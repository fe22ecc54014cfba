"""What both ways of looking pixels up share: samples in, weights, pixels out."""

import numpy as np

from derotation.maps.kernels.compiling import compiled

# A sample that lies outside the picture by rounding only still counts as seen (px): with places in
# double precision, and in single precision, whose error is 1e-4 px in a picture of 512 x 512 px and
# grows with its size.
EDGE = 1e-6
EDGE_SINGLE = 1e-3


# A padded frame has more lines and columns than the frame, see `pad_frame`.
BEFORE, MORE = 1, 3


def padded_shape(height: int, width: int) -> tuple[int, int]:
    """Give the shape of a buffer for frames of a height and a width, see :func:`pad_frame`."""
    return height + MORE, width + MORE


@compiled
def edge_of(places):
    """Give the distance beyond the outermost samples that counts as none."""
    return places.dtype.type(EDGE if places.itemsize == 8 else EDGE_SINGLE)


@compiled
def pad_frame(samples, work):
    """Copy a frame (H, W) to `work`: one line and column more before, two behind.

    They repeat the outermost samples, so that no interpolation has to ask where the frame ends.
    """
    height, width = samples.shape
    for j in range(work.shape[0]):
        line, padded = samples[min(max(j - BEFORE, 0), height - 1)], work[j]
        for i in range(width):
            padded[i + 1] = line[i]
        padded[0] = line[0]
        padded[width + 1] = padded[width + 2] = line[width - 1]


@compiled
def bend_cells(padded, bends):
    """Write how a cell of 2 x 2 samples of a padded frame bends in x and in y.

    bends (2, lines, columns), as many as those of padded, for x and y.
    Between four samples in a row the parabola that is right for quadratic scenes lies above the
    straight line by ``w (1 - w)`` times what is written: a quarter of the sum of both second
    differences with reversed sign, here the mean of both lines (and both columns).
    """
    height, width = padded.shape[0] - MORE, padded.shape[1] - MORE
    eighth = padded.dtype.type(0.125)
    for j in range(1, height + 1):
        above, here, following, below = padded[j - 1], padded[j], padded[j + 1], padded[j + 2]
        in_x, in_y = bends[0, j], bends[1, j]
        for i in range(1, width + 1):
            inner = here[i] + here[i + 1] + following[i] + following[i + 1]
            sides = here[i - 1] + here[i + 2] + following[i - 1] + following[i + 2]
            ends = above[i] + above[i + 1] + below[i] + below[i + 1]
            in_x[i] = eighth * (inner - sides)
            in_y[i] = eighth * (inner - ends)


# The type is given: numba takes what is multiplied by a plain number for double precision.
@compiled(inline="always")
def keys_weights(w, kind):
    """Weigh four samples at -1, 0, 1, 2 for a place at w in [0, 1] (Keys 1981, a = -1/2)."""
    w2, half = w * w, kind(0.5)
    w3 = w2 * w
    return (
        w2 - half * (w3 + w),
        kind(1.5) * w3 - kind(2.5) * w2 + kind(1.0),
        kind(2.0) * w2 - kind(1.5) * w3 + half * w,
        half * (w3 - w2),
    )


@compiled
def store_rows(values, index, low, high, integer, blank, out, f, y):
    """Write the pixels that were seen (index >= 0), rounded and clipped for an integer output.

    values and index (rows, columns) are those of frame f of `out` from row y on.
    """
    kind = values.dtype.type
    half, low, high = kind(0.5), kind(low), kind(high)
    for r in range(values.shape[0]):
        if integer:
            for i in range(values.shape[1]):
                value = min(max(np.floor(values[r, i] + half), low), high)
                out[f, y + r, i] = np.int64(value) if index[r, i] >= 0 else np.int64(blank)
        else:
            for i in range(values.shape[1]):
                out[f, y + r, i] = values[r, i] if index[r, i] >= 0 else blank


@compiled
def note_seen(index, seen, f, y):
    """Mark the pixels of some rows that were seen."""
    for r in range(index.shape[0]):
        for i in range(index.shape[1]):
            seen[f, y + r, i] = index[r, i] >= 0
