"""Memory of arrays that lie in files: what was looked at stays, until it is let go of."""

import mmap
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["in_file", "is_large_in_file", "release", "rows_of"]

# Frames here and there are read so many at a time: the system reads what lies around them, too.
ROWS_AT_A_TIME = 8
# Smaller tables may lie in memory, even if there are several.
LARGE_BYTES = 64e6


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
        mapped = _map_of(array)
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


def _map_of(array: NDArray[Any]) -> mmap.mmap | None:
    """Give the map in which an array lies; None for another kind, of which changes may be lost."""
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return owner if isinstance(owner, mmap.mmap) and memoryview(owner).readonly else None


def rows_of(
    table: NDArray[Any], which: slice | Sequence[int] | NDArray[np.integer[Any]] | NDArray[np.bool_]
) -> NDArray[Any]:
    """Choose rows of a table that may lie in a file, without keeping what lies between them.

    Parameters
    ----------
    table : ndarray of shape (n, ...)
    which : slice or sequence of int or bool
        A slice gives a view, which whoever asked for it lets go of (:func:`release`).

    Returns
    -------
    ndarray of shape (k, ...)
    """
    if isinstance(which, slice):
        return table[which]
    numbers = np.asarray(which)
    if numbers.dtype == np.bool_:
        numbers = np.flatnonzero(numbers)
    rows = np.empty((len(numbers), *table.shape[1:]), table.dtype)
    for first in range(0, len(numbers), ROWS_AT_A_TIME):
        some = slice(first, first + ROWS_AT_A_TIME)
        rows[some] = table[numbers[some]]
        release(table)
    return rows


def is_large_in_file(table: NDArray[Any]) -> bool:
    """Tell whether a table lies in a file that is mapped, and is so large that it should."""
    return table.nbytes > LARGE_BYTES and _map_of(table) is not None


def in_file(parts: Iterable[NDArray[Any]], n_rows: int) -> NDArray[Any]:
    """Put rows one behind the other in a file without a name, which is gone with the array.

    Parameters
    ----------
    parts : iterable of ndarray of shape (k, ...)
        Of one type; not empty.
    n_rows : int
        How many there are together.

    Returns
    -------
    ndarray of shape (n_rows, ...)
        For reading only.

    Raises
    ------
    OSError
        If there is no room for it.
    """
    with tempfile.TemporaryFile(prefix="derotation-") as file:
        for part in parts:
            file.write(np.ascontiguousarray(part).data)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.ndarray((n_rows, *part.shape[1:]), part.dtype, buffer=mapped)
