"""The pages of one TIFF file: where they lie, and reading some of them."""

import io
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from derotation.errors import MovieError
from derotation.io.source import fill
from derotation.io.tiff_directories import COPY_ADVICE, Directories, opened

if TYPE_CHECKING:
    import tifffile


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PageTable:
    """What is known of the pages of one TIFF file without their pixels."""

    path: Path
    """The file."""
    shape: tuple[int, int]
    """Height and width of each page in pixels."""
    dtype: np.dtype[Any]
    """Type of the pixels, in the byte order of this machine."""
    swapped: bool
    """Whether the file has the other byte order."""
    directories: NDArray[np.int64]
    """Offset of each page's directory, shape (n_directories,); a single one may stand for all."""
    offsets: NDArray[np.int64] | None
    """Offset of each page's pixels, shape (n_pages,), or None if pages must be decoded."""
    n_pages: int
    """Number of whole pages."""
    n_recorded: int
    """Pages that were recorded as far as the file tells: more than there are if it is cut off."""
    cut: str | None
    """How it shows that the file was cut off, in plain words; None if it is whole."""
    description: str
    """The first page's ImageDescription; empty where it was not asked for."""
    software: str
    """The first page's Software tag, or ScanImage's static header."""
    artist: str
    """The first page's Artist tag, in which ScanImage lists the regions that it scans."""
    x_resolution: float | None
    """Pixels per unit of length in a row, if the first page says."""
    notes: tuple[str, ...]
    """What is unusual about the file, in plain words."""

    @property
    def page_bytes(self) -> int:
        """Bytes of one page once decoded."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def reader(self) -> "PageReader":
        """Return a reader of the file's pages, to be used in a ``with``."""
        return PageReader(self)


class PageReader:
    """Reads pages of one file; a context manager that holds one open file.

    Parameters
    ----------
    table
        The file's pages.
    """

    def __init__(self, table: PageTable) -> None:
        self.table = table
        self._stream: io.FileIO | None = None
        self._tif: tifffile.TiffFile | None = None

    def __enter__(self) -> Self:
        try:
            # Unbuffered: whole pages go straight into the array.
            self._stream = io.FileIO(os.fspath(self.table.path), "rb")
        except OSError as error:
            raise MovieError(
                f"{self.table.path} cannot be opened any more ({error.strerror})."
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
        if self._tif is not None:
            self._tif.close()

    def read_into(self, pages: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Read pages.

        Parameters
        ----------
        pages
            Numbers of the pages, from 0, shape (n,).
        out
            Where they go: C-contiguous, shape (n, height, width), in the table's dtype.

        Raises
        ------
        MovieError
            If a page cannot be read or decoded; names file and page.
        """
        if self.table.offsets is not None:
            self._read_directly(self.table.offsets[pages], pages, out)
        else:
            for page, frame in zip(pages, out, strict=True):
                frame[...] = self._decode(int(page))

    def _read_directly(
        self, offsets: NDArray[np.int64], pages: NDArray[np.int64], out: NDArray[Any]
    ) -> None:
        """Read pages that lie on disk as they are, neighbours in one go."""
        breaks = np.flatnonzero(np.diff(offsets) != self.table.page_bytes) + 1
        edges = [0, *breaks.tolist(), len(offsets)]
        for first, last in itertools.pairwise(edges):
            if first < last:
                self._read_run(int(offsets[first]), int(pages[first]), out[first:last])
        if self.table.swapped:
            out.byteswap(inplace=True)

    def _read_run(self, offset: int, page: int, out: NDArray[Any]) -> None:
        """Fill an array from the bytes at an offset."""
        if self._stream is None:
            raise MovieError(f"{self.table.path} is not open.")
        view = out.data.cast("B")
        try:
            done = fill(self._stream, offset, view)
        except OSError as error:
            raise MovieError(
                f"{self.table.path}: page {page + 1} cannot be read ({error.strerror})."
            ) from error
        if done < len(view):
            raise MovieError(
                f"{self.table.path} has become shorter while it was read: it ends within page "
                f"{page + 1 + done // self.table.page_bytes} of {self.table.n_pages}. "
                f"{COPY_ADVICE}"
            )

    def _decode(self, page: int) -> NDArray[Any]:
        """Return one page that is compressed, tiled or in pieces."""
        try:
            decoded = np.asarray(self._tiff_page(page).asarray())
        except Exception as error:
            # Codecs raise whatever they like.
            advice = (
                "Install it (pip install imagecodecs), or save the movie without compression."
                if "imagecodecs" in str(error)
                else f"The file may be damaged. {COPY_ADVICE}"
            )
            raise MovieError(
                f"{self.table.path}: page {page + 1} cannot be decoded ({error}). {advice}"
            ) from error
        if decoded.shape != self.table.shape or decoded.dtype != self.table.dtype:
            raise MovieError(
                f"{self.table.path}: page {page + 1} was decoded to {decoded.shape} pixels of "
                f"{decoded.dtype}; {self.table.shape} of {self.table.dtype} were expected. The "
                f"file may be damaged. {COPY_ADVICE}"
            )
        return decoded

    def _tiff_page(self, page: int) -> Any:
        """Return tifffile's view of one page, found by its offset and not kept.

        tifffile's own list of pages would be walked from the start for each file that is opened.
        """
        import tifffile

        if self._tif is None:
            self._tif = tifffile.TiffFile(self.table.path)
        self._tif.filehandle.seek(int(self.table.directories[page]))
        return tifffile.TiffPage(self._tif, index=page)

    def descriptions(self, pages: Sequence[int]) -> Iterator[str]:
        """Yield the ImageDescription of pages.

        Parameters
        ----------
        pages
            Numbers of the pages, from 0.

        Yields
        ------
        str
            The text, empty where there is none.
        """
        with opened(self.table.path) as stream:
            directories = Directories(self.table.path, stream)
            for page in pages:
                if page < len(self.table.directories):
                    yield directories.description_at(int(self.table.directories[page]))
                else:
                    yield ""
