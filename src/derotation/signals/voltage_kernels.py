"""The compiled loop that reads a channel of voltages once."""

import numpy as np
from numpy.typing import NDArray

from derotation.numerics.compiling import njit

NDFloat = NDArray[np.float64]


@njit(cache=True, nogil=True)
def block_statistics(chunk: NDArray[np.float32], size: int) -> tuple[NDFloat, NDFloat, NDFloat]:
    """Mean, range, and half the mean squared difference of neighbors, of each whole block."""
    n = chunk.size // size
    mean, spread, noise = np.empty(n), np.empty(n), np.empty(n)
    for k in range(n):
        low = high = float(chunk[k * size])
        total, square = 0.0, 0.0
        for i in range(k * size, (k + 1) * size):
            value = float(chunk[i])
            total += value
            low, high = min(low, value), max(high, value)
            if i > k * size:
                square += (value - float(chunk[i - 1])) ** 2
        mean[k] = total / size
        spread[k] = high - low
        noise[k] = 0.5 * square / max(size - 1, 1)
    return mean, spread, noise
