"""Compiled loops that read a channel once: its histogram, and the edges of its pulses.

Plain functions in :mod:`derotation.signals.pulses` check and prepare what comes in here. All loops
take contiguous float32 chunks, so that each is compiled once whatever the file's number type.
"""

import numpy as np
from numpy.typing import NDArray

from derotation.numerics.compiling import njit

Chunk = NDArray[np.float32]
Integers = NDArray[np.int64]


@njit(cache=True, nogil=True)
def summarize(chunk: Chunk) -> tuple[float, float, int, int]:
    """Give the least and the greatest finite value, how many are not finite, and the first such.

    The first is -1 if all are finite; least > greatest if none is.
    """
    least, greatest = np.inf, -np.inf
    n_bad, first_bad = 0, -1
    for i in range(chunk.size):
        value = chunk[i]
        if not np.isfinite(value):
            if n_bad == 0:
                first_bad = i
            n_bad += 1
            continue
        if value < least:
            least = value
        if value > greatest:
            greatest = value
    return least, greatest, n_bad, first_bad


@njit(cache=True, nogil=True)
def fill_histogram(chunk: Chunk, origin: float, width: float, counts: Integers) -> None:
    """Count the finite values of `chunk` into bins of `width` that begin at `origin`.

    The caller has seen to it that the bins hold all of them; rounding may put the greatest one
    just beyond the last bin, which counts it too.
    """
    last = counts.size - 1
    scale = 1.0 / width
    for i in range(chunk.size):
        value = chunk[i]
        if np.isfinite(value):
            place = int((value - origin) * scale)
            counts[min(max(place, 0), last)] += 1


@njit(cache=True, nogil=True)
def find_edges(
    chunk: Chunk,
    offset: int,
    rise_at: float,
    fall_at: float,
    threshold: float,
    state: Integers,
    edges: Integers,
) -> int:
    """Find where the signal of one chunk changes its level, with hysteresis.

    A level has changed once the signal reaches `rise_at` (from low) or `fall_at` (from high); the
    edge is put where `threshold` was last crossed before that, so that neither noise nor a slow
    edge moves it. An edge is the first sample on its new side.

    Parameters are: the chunk; the number of its first sample; three levels in the chunk's units;
    `state` (int64: is high, candidate sample, was above the threshold), kept from chunk to chunk;
    `edges` to write to, rises and falls taking turns. Returns the number of edges written.
    """
    high, candidate, above = state[0] == 1, state[1], state[2] == 1
    n = 0
    for i in range(chunk.size):
        value = chunk[i]
        now_above = value >= threshold
        if now_above != above:
            above = now_above
            if above != high:
                candidate = offset + i
        if high:
            if value <= fall_at:
                high = False
                edges[n] = candidate
                n += 1
        elif value >= rise_at:
            high = True
            edges[n] = candidate
            n += 1
    state[0], state[1], state[2] = high, candidate, above
    return n


@njit(cache=True, nogil=True)
def mark_crowded(times: Integers, period: float) -> NDArray[np.bool_]:
    """Mark pulses that come much sooner after another than the period of a clock allows.

    Of two pulses closer than half a period the one that fits its other neighbors worse is marked,
    the later one if both fit alike. Returns a boolean array.
    """
    n = times.size
    marked = np.zeros(n, np.bool_)
    before, previous = -1, 0  # the last two that are kept
    for i in range(1, n):
        if times[i] - times[previous] >= 0.5 * period:
            before, previous = previous, i
            continue
        # Compared with the kept neighbor before the pair and the next one after it.
        misfit_old, misfit_new = np.inf, np.inf
        if before >= 0:
            misfit_old = abs(times[previous] - times[before] - period)
            misfit_new = abs(times[i] - times[before] - period)
        if i + 1 < n:
            misfit_old = min(misfit_old, abs(times[i + 1] - times[previous] - period))
            misfit_new = min(misfit_new, abs(times[i + 1] - times[i] - period))
        if misfit_new < misfit_old:
            marked[previous] = True
            previous = i
        else:
            marked[i] = True
    return marked
