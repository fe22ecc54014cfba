"""The compiled loop that counts the edges of a quadrature encoder."""

import numpy as np
from numpy.typing import NDArray

from derotation.numerics.compiling import njit

NDFloat = NDArray[np.float64]


@njit(cache=True, nogil=True)
def followed(
    edge: NDArray[np.int64],
    channel: NDArray[np.int64],
    level: NDArray[np.int64],
    begin: tuple[int, int],
    states: NDArray[np.int64],
) -> tuple[NDFloat, NDFloat, int, int]:
    """Count up and down; returns times and places passed, the last count, and missed edges."""
    n = edge.size
    time, place = np.empty(2 * n), np.empty(2 * n)
    high_a, high_b = begin
    state = states[high_a, high_b]
    count, direction, n_missed, m = 0, 1, 0, 0
    i = 0
    while i < n:
        at = edge[i]
        while i < n and edge[i] == at:
            if channel[i] == 0:
                high_a = level[i]
            else:
                high_b = level[i]
            i += 1
        new = states[high_a, high_b]
        step = (new - state) % 4
        state = new
        if step == 0:
            continue
        if step == 2:
            n_missed += 1
            for k in range(2):
                time[m] = at - 0.5 + 0.5 * k
                place[m] = count + 0.5 * direction
                count += direction
                m += 1
            continue
        direction = 1 if step == 1 else -1
        time[m] = at
        place[m] = count + 0.5 * direction
        count += direction
        m += 1
    return time[:m], place[:m], count, n_missed
