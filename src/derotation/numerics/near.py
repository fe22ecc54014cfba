"""Places that lie near each other."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["near_pairs"]


def near_pairs(positions: NDArray[np.float64], reach: float) -> NDArray[np.intp]:
    """Find all pairs of places that lie within `reach`.

    Parameters
    ----------
    positions : ndarray of shape (n, 2)
    reach : float
        In the same unit.

    Returns
    -------
    ndarray of int of shape (m, 2)
        The lower number of each pair first; ascending.

    Notes
    -----
    Some hundred places are compared faster than the trees of SciPy are loaded.
    """
    order = np.argsort(positions[:, 0], kind="stable")
    x, y = positions[order].T
    # Behind each place, those that are near along x.
    here = np.arange(len(x))
    n_behind = np.searchsorted(x, x + reach, side="right") - here - 1
    first = np.repeat(here, n_behind)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(n_behind) - n_behind, n_behind)
    near = (x[second] - x[first]) ** 2 + (y[second] - y[first]) ** 2 <= reach**2
    pairs = np.sort(np.stack([order[first[near]], order[second[near]]], axis=1), axis=1)
    return np.asarray(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))])
