"""Products of long, narrow matrices, on one thread.

BLAS shares them among threads that wait for each other by spinning: beside other cells that are
studied at the same time, or on a busy computer, that took six times the computing.
"""

import numpy as np
from numpy.typing import NDArray

from derotation.cells.kernels import multiply_across, multiply_along

__all__ = ["across", "along"]

NDFloat = NDArray[np.float64]


def across(first: NDFloat, second: NDFloat) -> NDFloat:
    """Give ``first.T @ second``: sums over samples, (n, k) and (n, m) or (n,) to (k, m) or (k,)."""
    values = _columns(second)
    found = np.zeros((first.shape[1], values.shape[1]))
    multiply_across(np.ascontiguousarray(first), values, found)
    return found if second.ndim == 2 else found[:, 0]


def along(columns: NDFloat, weights: NDFloat) -> NDFloat:
    """Give ``columns @ weights``: sums of columns, (n, k) and (k, m) or (k,) to (n, m) or (n,)."""
    values = _columns(weights)
    found = np.zeros((len(columns), values.shape[1]))
    multiply_along(np.ascontiguousarray(columns), values, found)
    return found if weights.ndim == 2 else found[:, 0]


def _columns(values: NDFloat) -> NDFloat:
    return np.ascontiguousarray(values if values.ndim == 2 else values[:, np.newaxis])
