"""Memory of arrays that lie in files: what was looked at stays, until it is let go of."""

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["release"]


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
