"""Frames that lie in a file without any description: ThorImage's `.raw`, Scanbox's `.sbx`."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from derotation.errors import MovieError
from derotation.io.source import fill

__all__ = ["RawFrames"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawFrames:
    """Frames of one size one after the other; a page is one channel of one frame."""

    path: Path
    """The file."""
    shape: tuple[int, int]
    """Height and width in pixels."""
    n_pages: int
    """Number of whole pages."""
    stored: np.dtype[Any]
    """Type of the pixels in the file."""
    n_interleaved: int = 1
    """Channels whose values take turns from pixel to pixel."""
    inverted: bool = False
    """Whether the largest value means no light."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, in the byte order of this machine."""
        return self.stored.newbyteorder("=")

    @property
    def page_bytes(self) -> int:
        """Bytes of one page."""
        return self.shape[0] * self.shape[1] * self.stored.itemsize

    def reader(self) -> "_RawReader":
        """Open the file for reading."""
        return _RawReader(self)


class _RawReader:
    """Reads pages of one open file."""

    def __init__(self, source: RawFrames) -> None:
        self._source = source

    def __enter__(self) -> Self:
        try:
            self._stream = io.FileIO(os.fspath(self._source.path), "rb")
        except OSError as error:
            raise MovieError(f"{self._source.path} cannot be opened ({error.strerror}).") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def read_into(self, pages: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Read pages, by their numbers from 0, into `out` (n, height, width)."""
        source = self._source
        n = source.n_interleaved
        frame = np.empty((*source.shape, n), source.stored)
        for page, target in zip(pages, out, strict=True):
            self._fill(int(page) // n, frame)
            target[...] = frame[..., int(page) % n]
        if source.inverted:
            np.subtract(np.iinfo(source.dtype).max, out, out=out)

    def _fill(self, number: int, frame: NDArray[Any]) -> None:
        """Read one frame with all channels that are interleaved in it."""
        view = frame.data.cast("B")
        try:
            done = fill(self._stream, number * frame.nbytes, view)
        except OSError as error:
            raise MovieError(
                f"{self._source.path}: frame {number + 1} cannot be read ({error.strerror})."
            ) from error
        if done < len(view):
            raise MovieError(
                f"{self._source.path} has become shorter while it was read: frame {number + 1} is "
                "not whole."
            )
