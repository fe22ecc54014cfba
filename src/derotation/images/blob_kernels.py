"""Compiled loops by which blobs are found. Nothing in here checks anything.

Beyond its borders a picture is mirrored; the pixels at the border are repeated.
"""

from derotation.numerics.compiling import njit
from derotation.numerics.picture_kernels import SUMS, _mirrored


@njit(cache=True, nogil=True)
def box_mean(image, size, sums, row, out):
    """Average an image (y, x) over squares of size pixels; an even one reaches further up and left.

    sums (x) and row (x + 2 size), 64 bits: written to. out (y, x).
    """
    height, width = image.shape
    before = size // 2
    after = size - before - 1
    for x in range(width):
        sums[x] = 0.0
    for t in range(-before, after + 1):
        source = image[_mirrored(t, height)]
        for x in range(width):
            sums[x] += source[x]
    share = 1.0 / (size * size)
    for y in range(height):
        for x in range(width):
            row[size + x] = sums[x]
        for t in range(size):
            row[size - 1 - t] = sums[_mirrored(-1 - t, width)]
            row[size + width + t] = sums[_mirrored(width + t, width)]
        total = 0.0
        for t in range(size - before, size + after + 1):
            total += row[t]
        kept = out[y]
        for x in range(width):
            kept[x] = total * share
            total += row[size + x + after + 1] - row[size + x - before]
        leaves, enters = (
            image[_mirrored(y - before, height)],
            image[_mirrored(y + after + 1, height)],
        )
        for x in range(width):
            sums[x] += enters[x] - leaves[x]


@njit(cache=True, nogil=True, fastmath=SUMS)
def laplacian(image, taps, bends, rows, out):
    """Convolve an image (y, x) with the negative Laplacian of a Gaussian.

    taps, bends (r + 1): the halves of a Gaussian and of its second derivative from the middle on.
    rows (2, x + 2 r): written to. out (y, x).
    """
    height, width = image.shape
    reach = taps.shape[0] - 1
    smooth, bent = rows[0], rows[1]
    inner, inner_bent = smooth[reach : reach + width], bent[reach : reach + width]
    for y in range(height):
        own = image[y]
        for x in range(width):
            inner[x] = taps[0] * own[x]
            inner_bent[x] = bends[0] * own[x]
        for t in range(1, reach + 1):
            above, below = image[_mirrored(y - t, height)], image[_mirrored(y + t, height)]
            tap, bend = taps[t], bends[t]
            for x in range(width):
                both = above[x] + below[x]
                inner[x] += tap * both
                inner_bent[x] += bend * both
        for t in range(1, reach + 1):
            left, right = _mirrored(-t, width), _mirrored(width - 1 + t, width)
            smooth[reach - t], bent[reach - t] = inner[left], inner_bent[left]
            smooth[reach + width - 1 + t] = inner[right]
            bent[reach + width - 1 + t] = inner_bent[right]
        kept = out[y]
        for x in range(width):
            kept[x] = -(bends[0] * inner[x] + taps[0] * inner_bent[x])
        for t in range(1, reach + 1):
            tap, bend = taps[t], bends[t]
            left, right = smooth[reach - t :], smooth[reach + t :]
            left_bent, right_bent = bent[reach - t :], bent[reach + t :]
            for x in range(width):
                kept[x] -= bend * (left[x] + right[x]) + tap * (left_bent[x] + right_bent[x])


@njit(cache=True, nogil=True)
def local_maxima(responses, threshold, out):
    """Find what no neighbor in scale, y and x exceeds, and is above a threshold.

    responses (scale, y, x); out (n, 3): written to; returns how many there are, which may be more
    than n.
    """
    n_scales, height, width = responses.shape
    found = 0
    for s in range(n_scales):
        for y in range(height):
            for x in range(width):
                here = responses[s, y, x]
                if not here > threshold:
                    continue
                highest = True
                for i in range(max(s - 1, 0), min(s + 2, n_scales)):
                    for j in range(max(y - 1, 0), min(y + 2, height)):
                        for k in range(max(x - 1, 0), min(x + 2, width)):
                            if responses[i, j, k] > here:
                                highest = False
                if highest:
                    if found < out.shape[0]:
                        out[found, 0], out[found, 1], out[found, 2] = s, y, x
                    found += 1
    return found
