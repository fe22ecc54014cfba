"""Something told of each row of a long table, without a copy of the whole table."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.numerics.pages import in_file, is_large_in_file, release

__all__ = ["by_rows"]

# Values worked on at a time. An hour's table of lines has tens of millions of them.
VALUES_AT_A_TIME = 1 << 18


def by_rows(
    tell: Callable[..., NDArray[Any]], *tables: NDArray[Any], beside: bool = False
) -> NDArray[Any]:
    """Apply a function to some rows at a time, and put what it gives together.

    Parameters
    ----------
    tell : callable
        Takes the same rows of each table, shape (k, ...), and gives an array of shape (k, ...);
        what it tells of a row must not depend on other rows.
    *tables : ndarray of shape (n, ...)
        Of equal length; there may be no rows.
    beside : bool
        What is told is as large as the tables: put it into a file, too, if the first of them lies
        in one and is large.

    Returns
    -------
    ndarray of shape (n, ...)
        The same as ``tell(*tables)``.
    """
    n_rows = len(tables[0])
    if beside and is_large_in_file(tables[0]):
        # Without room on the disk, there may be some in memory.
        with contextlib.suppress(OSError):
            return in_file(_parts(tell, tables), n_rows)
    told: NDArray[Any] | None = None
    first = 0
    for part in _parts(tell, tables):
        if told is None:
            told = np.empty((n_rows, *part.shape[1:]), part.dtype)
        told[first : first + len(part)] = part
        first += len(part)
    assert told is not None
    return told


def _parts(
    tell: Callable[..., NDArray[Any]], tables: tuple[NDArray[Any], ...]
) -> Iterator[NDArray[Any]]:
    """Apply a function to some rows at a time, and let go of them."""
    n_rows = len(tables[0])
    step = max(VALUES_AT_A_TIME * n_rows // max(tables[0].size, 1), 1)
    for first in range(0, max(n_rows, 1), step):
        yield tell(*(table[first : first + step] for table in tables))
        release(*tables)
