"""Fewer of many."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["thinned"]


def thinned(numbers: NDArray[np.integer], n: int | None) -> NDArray[np.int64]:
    """Keep at most so many, evenly spread from the first to the last.

    Parameters
    ----------
    numbers : ndarray of shape (m,)
        Numbers of frames, for instance.
    n : int or None
        How many to keep; None: all.

    Returns
    -------
    ndarray of shape (min(m, n),)
        In the same order.
    """
    if n is not None and len(numbers) > n:
        numbers = numbers[np.linspace(0, len(numbers) - 1, n).round().astype(np.int64)]
    return numbers.astype(np.int64)
