"""The largest upright rectangle in a mask."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["largest_rectangle"]


def largest_rectangle(
    inside: NDArray[np.bool_],
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Find the largest upright rectangle of which every pixel is marked.

    Parameters
    ----------
    inside : ndarray of bool, shape (y, x)

    Returns
    -------
    tuple of two pairs, or None
        First and behind the last row, first and behind the last column; None if nothing is marked.

    Notes
    -----
    Row by row, with the heights of the marked columns that end there: the largest rectangle under
    such a skyline is found with a stack of rising steps, so that the whole takes time in proportion
    to the number of pixels.
    """
    best, found = 0, None
    height = np.zeros(inside.shape[1] + 1, np.int64)
    for row, marked in enumerate(inside):
        height[:-1] = (height[:-1] + 1) * marked
        # A rectangle that could go on below is not the largest; nor is one in a row whose tallest
        # columns, side by side, would not be.
        goes_on = row + 1 < len(inside) and not np.any(marked & ~inside[row + 1])
        if goes_on or height.max() * np.count_nonzero(marked) <= best:
            continue
        steps: list[tuple[int, int]] = []
        for column, here in enumerate(height.tolist()):
            start = column
            while steps and steps[-1][1] >= here:
                start, tall = steps.pop()
                if tall * (column - start) > best:
                    best = tall * (column - start)
                    found = ((row + 1 - tall, row + 1), (start, column))
            steps.append((start, here))
    return found
