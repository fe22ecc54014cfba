"""What a file of frames offers to the movie, whatever its format."""

import io
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["FrameReader", "FrameSource", "fill"]


class FrameReader(Protocol):
    """Reads frames of one open file."""

    def read_into(self, pages: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Read pages, by their numbers from 0, into `out` (n, height, width)."""


class FrameSource(Protocol):
    """One file of frames, closed until it is read."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, in the byte order of this machine."""

    @property
    def n_pages(self) -> int:
        """Number of whole pages."""

    @property
    def page_bytes(self) -> int:
        """Bytes of one page once decoded."""

    def reader(self) -> AbstractContextManager[FrameReader]:
        """Open the file for reading."""


def fill(stream: io.FileIO, offset: int, view: memoryview) -> int:
    """Fill a buffer from the bytes of an unbuffered file at an offset.

    Returns
    -------
    int
        Bytes read: fewer than the buffer has if the file ends before.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    stream.seek(offset)
    done = 0
    while done < len(view):
        n_read = stream.readinto(view[done:])
        if not n_read:
            break
        done += n_read
    return done
