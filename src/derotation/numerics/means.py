"""Means of what is not known everywhere."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["mean_of_known"]


def mean_of_known(
    total: NDArray[np.float64],
    count: NDArray[np.integer] | NDArray[np.float64],
    otherwise: float = float("nan"),
) -> NDArray[np.float64]:
    """Divide sums by how many were known.

    Parameters
    ----------
    total : ndarray
        Sums of what was known.
    count : ndarray of the same shape
        How many that were, or the sum of their weights.
    otherwise : float
        What stands where nothing was known.

    Returns
    -------
    ndarray of the same shape
    """
    mean = np.full(total.shape, otherwise, np.float64)
    np.divide(total, count, out=mean, where=count > 0)
    return mean
