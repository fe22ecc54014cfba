"""Memory of arrays that lie in files: what was looked at stays, until it is let go of."""

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["release", "rows_of"]

# Frames here and there are read so many at a time: the system reads what lies around them, too.
ROWS_AT_A_TIME = 8


def release(*arrays: NDArray[Any]) -> None:
    """Let go of what was read from files that are mapped; it is read again when needed.

    Whoever goes through a long recording calls it from time to time, since a page that was looked
    at otherwise stays in memory as long as there is room.

    Parameters
    ----------
    *arrays : ndarray
        Nothing happens to those that do not lie in a file that is mapped for reading only.
    """
    for array in arrays:
        owner: object = array
        while isinstance(owner, np.ndarray):
            owner = owner.base
        # Changes to a map of another kind could be lost.
        if (
            isinstance(owner, mmap.mmap)
            and memoryview(owner).readonly
            and hasattr(mmap, "MADV_DONTNEED")
        ):
            owner.madvise(mmap.MADV_DONTNEED)


def rows_of(
    table: NDArray[Any], which: slice | NDArray[np.integer[Any]] | NDArray[np.bool_]
) -> NDArray[Any]:
    """Choose rows of a table that may lie in a file, without keeping what lies between them.

    Parameters
    ----------
    table : ndarray of shape (n, ...)
    which : slice or ndarray
        A slice gives a view, which whoever asked for it lets go of (:func:`release`).

    Returns
    -------
    ndarray of shape (k, ...)
    """
    if isinstance(which, slice):
        return table[which]
    numbers = np.flatnonzero(which) if which.dtype == np.bool_ else which
    rows = np.empty((len(numbers), *table.shape[1:]), table.dtype)
    for first in range(0, len(numbers), ROWS_AT_A_TIME):
        some = slice(first, first + ROWS_AT_A_TIME)
        rows[some] = table[numbers[some]]
        release(table)
    return rows
