"""Compiled loops over the pixels of pictures that are compared. Nothing in here checks anything."""

import numpy as np

from derotation.numerics.compiling import njit

# Sums may be taken in another order, so that several pixels are added at once.
SUMS = {"reassoc", "contract"}
# Pixels that are weighted at once, so that they stay in the processor's nearest cache.
BLOCK = 256


@njit(cache=True, nogil=True)
def _mirrored(place, n):
    """Reflect a place beyond the ends of n pixels; the end itself is repeated."""
    place %= 2 * n
    return 2 * n - 1 - place if place >= n else place


@njit(cache=True, nogil=True, fastmath=SUMS)
def smooth_thinned(image, taps, stride, row, out):
    """Convolve an image (y, x) with symmetric taps, and keep each stride-th pixel of y and x.

    taps (r + 1): from the middle on. row (x + 2 r): written to. out: ceil(y / stride) by
    ceil(x / stride) pixels.
    """
    height, width = image.shape
    reach = taps.shape[0] - 1
    for j in range(out.shape[0]):
        y = j * stride
        inner = row[reach : reach + width]
        inner[:] = taps[0] * image[y]
        for t in range(1, reach + 1):
            above, below = image[_mirrored(y - t, height)], image[_mirrored(y + t, height)]
            tap = taps[t]
            for x in range(width):
                inner[x] += tap * (above[x] + below[x])
        for t in range(1, reach + 1):
            row[reach - t] = inner[_mirrored(-t, width)]
            row[reach + width - 1 + t] = inner[_mirrored(width - 1 + t, width)]
        kept = out[j]
        if stride == 1:
            for x in range(width):
                kept[x] = taps[0] * inner[x]
            for t in range(1, reach + 1):
                tap, left, right = taps[t], row[reach - t :], row[reach + t :]
                for x in range(width):
                    kept[x] += tap * (left[x] + right[x])
        else:
            for i in range(out.shape[1]):
                x = reach + i * stride
                total = taps[0] * row[x]
                for t in range(1, reach + 1):
                    total += taps[t] * (row[x - t] + row[x + t])
                kept[i] = total


@njit(cache=True, nogil=True, fastmath=SUMS)
def weighted_products(a, weight, b, out):
    """Sum a weight b over pixels: out[i, j] = sum over n of a[i, n] weight[n] b[j, n].

    a (k, n), weight (n), b (m, n); out (k, m) of 64 bits, to which it is written.
    """
    k, m, n = a.shape[0], b.shape[0], weight.shape[0]
    weighted, other = np.empty((k, BLOCK)), np.empty((m, BLOCK))
    out[:] = 0.0
    for first in range(0, n, BLOCK):
        size = min(BLOCK, n - first)
        own = weight[first : first + size]
        for i in range(k):
            source, kept = a[i, first : first + size], weighted[i]
            for p in range(size):
                kept[p] = source[p] * own[p]
        for j in range(m):
            source, kept = b[j, first : first + size], other[j]
            for p in range(size):
                kept[p] = source[p]
        for i in range(k):
            one = weighted[i]
            for j in range(m):
                two = other[j]
                total = 0.0
                for p in range(size):
                    total += one[p] * two[p]
                out[i, j] += total


@njit(cache=True, nogil=True, fastmath=SUMS)
def normal_equations(known, weight, target, normal, moment):
    """Sum regressors (k, n), weighted (n), times each other into normal (k, k), of 64 bits.

    And times a target (n) into moment (k).
    """
    k, n = known.shape
    own, weighted = np.empty((k + 1, BLOCK)), np.empty((k, BLOCK))
    normal[:] = 0.0
    moment[:] = 0.0
    for first in range(0, n, BLOCK):
        size = min(BLOCK, n - first)
        part = weight[first : first + size]
        for i in range(k):
            source, here, times = known[i, first : first + size], own[i], weighted[i]
            for p in range(size):
                here[p] = source[p]
                times[p] = source[p] * part[p]
        wanted, last = target[first : first + size], own[k]
        for p in range(size):
            last[p] = wanted[p]
        for i in range(k):
            one = weighted[i]
            for j in range(i, k + 1):
                two = own[j]
                total = 0.0
                for p in range(size):
                    total += one[p] * two[p]
                if j < k:
                    normal[i, j] += total
                else:
                    moment[i] += total
    for i in range(k):
        for j in range(i):
            normal[i, j] = normal[j, i]


@njit(cache=True, nogil=True, fastmath=SUMS)
def left_over(known, solution, target, rest):
    """Take from a target (n) what regressors (k, n) times a solution (k) explain; into rest (n)."""
    n = target.shape[0]
    for first in range(0, n, BLOCK):
        size = min(BLOCK, n - first)
        own = rest[first : first + size]
        source = target[first : first + size]
        for p in range(size):
            own[p] = source[p]
        for i in range(known.shape[0]):
            part, factor = known[i, first : first + size], solution[i]
            for p in range(size):
                own[p] -= factor * part[p]
