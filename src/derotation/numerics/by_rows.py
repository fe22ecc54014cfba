"""Something told of each row of a long table, without a copy of the whole table."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.numerics.pages import release

__all__ = ["by_rows"]

# Values worked on at a time. An hour's table of lines has tens of millions of them.
VALUES_AT_A_TIME = 1 << 18


def by_rows(tell: Callable[..., NDArray[Any]], *tables: NDArray[Any]) -> NDArray[Any]:
    """Apply a function to some rows at a time, and put what it gives together.

    Parameters
    ----------
    tell : callable
        Takes the same rows of each table, shape (k, ...), and gives an array of shape (k, ...);
        what it tells of a row must not depend on other rows.
    *tables : ndarray of shape (n, ...)
        Of equal length; there may be no rows.

    Returns
    -------
    ndarray of shape (n, ...)
        The same as ``tell(*tables)``.
    """
    n_rows = len(tables[0])
    step = max(VALUES_AT_A_TIME * n_rows // max(tables[0].size, 1), 1)
    told: NDArray[Any] | None = None
    for first in range(0, max(n_rows, 1), step):
        part = tell(*(table[first : first + step] for table in tables))
        if told is None:
            told = np.empty((n_rows, *part.shape[1:]), part.dtype)
        told[first : first + step] = part
        release(*tables)
    assert told is not None
    return told
