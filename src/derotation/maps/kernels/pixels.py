"""What both ways of looking pixels up share: samples in, weights, pixels out."""

import numpy as np

from derotation.maps.kernels.compiling import compiled

# A sample that lies outside the picture by rounding only still counts as seen (px).
EDGE = 1e-6


@compiled
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


@compiled(inline="always")
def keys_weights(w):
    """Weigh four samples at -1, 0, 1, 2 for a place at w in [0, 1] (Keys 1981, a = -1/2)."""
    w2 = w * w
    w3 = w2 * w
    return (
        -0.5 * w3 + w2 - 0.5 * w,
        1.5 * w3 - 2.5 * w2 + 1.0,
        -1.5 * w3 + 2.0 * w2 + 0.5 * w,
        0.5 * w3 - 0.5 * w2,
    )


@compiled(inline="always")
def cubic_along_line(frame, k, weights):
    """Interpolate between the samples k and k + 1 of a flat frame."""
    return (
        weights[0] * frame[k - np.uint32(1)]
        + weights[1] * frame[k]
        + weights[2] * frame[k + np.uint32(1)]
        + weights[3] * frame[k + np.uint32(2)]
    )


@compiled
def store_row(values, index, low, high, integer, blank, out):
    """Write the pixels that were seen (index >= 0), rounded and clipped for an integer output."""
    if integer:
        for i in range(out.shape[0]):
            value = min(max(np.floor(values[i] + 0.5), low), high)
            out[i] = np.int64(value) if index[i] >= 0 else np.int64(blank)
    else:
        for i in range(out.shape[0]):
            out[i] = values[i] if index[i] >= 0 else blank


@compiled
def note_seen(index, seen):
    """Mark the pixels of a row that were seen."""
    for i in range(index.shape[0]):
        seen[i] = index[i] >= 0
