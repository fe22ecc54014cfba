"""Where the pages of a TIFF lie, and reading some of them.

The chain of pages is walked once, so that a file that was cut off is refused before any work
begins, and so that uncompressed pages can afterwards be read straight from their offsets. All
that is remembered of a page are two offsets: memory hardly depends on the length of a movie.
"""

import io
import itertools
import json
import os
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from derotation.errors import MovieError

if TYPE_CHECKING:
    import tifffile

# TIFF tags that are needed, by their number in the standard.
_SUBFILE_TYPE = 254
_WIDTH, _HEIGHT, _BITS, _COMPRESSION = 256, 257, 258, 259
_FILL_ORDER, _SAMPLES, _PREDICTOR, _SAMPLE_FORMAT = 266, 277, 317, 339
_STRIP_OFFSETS, _STRIP_COUNTS = 273, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325

# Value of each of these where a page leaves the tag out. All pages must agree on them.
_UNIFORM_TAGS = {
    _WIDTH: 0,
    _HEIGHT: 0,
    _BITS: 1,
    _COMPRESSION: 1,
    _FILL_ORDER: 1,
    _SAMPLES: 1,
    _PREDICTOR: 1,
    _SAMPLE_FORMAT: 1,
    _TILE_WIDTH: 0,
    _TILE_HEIGHT: 0,
}
_UNIFORM_NAMES = {
    _WIDTH: "width",
    _HEIGHT: "height",
    _BITS: "bits per pixel",
    _COMPRESSION: "compression",
    _FILL_ORDER: "bit order",
    _SAMPLES: "samples per pixel",
    _PREDICTOR: "predictor",
    _SAMPLE_FORMAT: "sample format",
    _TILE_WIDTH: "tile width",
    _TILE_HEIGHT: "tile height",
}

# Bytes of a value and its code for struct, by the type's number in the standard.
_INTEGER_TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}

# A directory of pages is read with one call unless it has more tags than fit in here.
_DIRECTORY_BYTES = 1024

_SCANIMAGE_MAGIC = 117637889

_COPY_ADVICE = (
    "Copy the file again from its source; if the recording itself was cut off, save its whole "
    "frames as a new TIFF."
)


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
    """Number of pages."""
    description: str
    """The first page's ImageDescription."""
    software: str
    """The first page's Software tag, or ScanImage's static header."""
    x_resolution: float | None
    """Pixels per unit of length in a row, if the first page says."""
    notes: tuple[str, ...]
    """What is unusual about the file, in plain words."""

    @property
    def page_bytes(self) -> int:
        """Bytes of one page once decoded."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize


def read_page_table(path: Path) -> PageTable:
    """Walk through the pages of a TIFF file.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    PageTable
        Where its pages are.

    Raises
    ------
    MovieError
        If the file is missing, unreadable, no TIFF, cut off, or if its pages are not images of
        real numbers of one size and type.
    """
    _check_readable(path)
    import tifffile

    try:
        with tifffile.TiffFile(path) as tif:
            page = tif.pages.first
            _check_kind(path, tif, page)
            walker = _Walker(path, tif, page)
            return walker.table()
    except MovieError:
        raise
    except (tifffile.TiffFileError, OSError, ValueError, IndexError, struct.error) as error:
        raise MovieError(
            f"{path} cannot be read as a TIFF ({error}). It may be cut off or damaged. "
            f"{_COPY_ADVICE}"
        ) from error


def read_first_page(path: Path) -> tuple[str, str]:
    """Read what a TIFF file says about itself, without walking through its pages.

    Returns
    -------
    software, description : str
        The Software tag, or ScanImage's static header, and the ImageDescription of the first page.

    Raises
    ------
    MovieError
        If the file is missing, unreadable or no TIFF.
    """
    _check_readable(path)
    import tifffile

    try:
        with tifffile.TiffFile(path) as tif, path.open("rb") as stream:
            page = tif.pages.first
            return page.software or _static_header(stream, tif.byteorder), page.description
    except (tifffile.TiffFileError, OSError, ValueError, IndexError, struct.error) as error:
        raise MovieError(
            f"{path} cannot be read as a TIFF ({error}). It may be cut off or damaged. "
            f"{_COPY_ADVICE}"
        ) from error


def _check_readable(path: Path) -> None:
    """Refuse what is not a TIFF file at all, before a library finds obscure words for it."""
    if path.is_dir():
        raise MovieError(
            f"{path} is a folder; give a TIFF file, or all TIFF files of the folder as "
            f"{path / '*.tif'}."
        )
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
            n_bytes = stream.seek(0, os.SEEK_END)
    except FileNotFoundError:
        raise MovieError(f"{path} does not exist; check the path of the movie.") from None
    except OSError as error:
        raise MovieError(f"{path} cannot be opened ({error.strerror}).") from error
    if not head:
        raise MovieError(f"{path} is empty (0 bytes). {_COPY_ADVICE}")
    if head[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        raise MovieError(f"{path} is not a TIFF file (it begins with {head[:4]!r}).")
    place = head[8:16] if b"+" in head[:4] else head[4:8]
    first_page = int.from_bytes(place, "little" if head[:2] == b"II" else "big")
    # Some programs write the pages' directories behind the pixels.
    if first_page >= n_bytes:
        raise MovieError(
            f"{path} is cut off: 0 whole pages found; the first is described at byte "
            f"{first_page}, but the file ends at byte {n_bytes}. {_COPY_ADVICE}"
        )


def _check_kind(path: Path, tif: "tifffile.TiffFile", page: Any) -> None:
    """Refuse images that are not of one real number per pixel."""
    if tif.is_stk:
        raise MovieError(
            f"{path} is a MetaMorph stack, whose planes are not read here; save it as an "
            "ordinary or an ImageJ TIFF."
        )
    if page.samplesperpixel != 1:
        raise MovieError(
            f"{path} has {page.samplesperpixel} values per pixel, like a color (RGB) image; save "
            "each channel as pages of its own (in Fiji: Image > Type > 16-bit)."
        )
    dtype = page.dtype
    if dtype is None or dtype.kind not in "uif" or page.bitspersample == 1:
        found = "1-bit" if page.bitspersample == 1 else str(dtype)
        raise MovieError(
            f"{path} has {found} pixels; a movie needs real numbers (8- to 64-bit integers or "
            "floats)."
        )
    if len(page.shape) != 2:
        raise MovieError(f"{path} has pages of shape {page.shape}; two dimensions were expected.")


class _Walker:
    """Follows the chain of directories of one file."""

    def __init__(self, path: Path, tif: "tifffile.TiffFile", page: Any) -> None:
        self._path = path
        self._page = page
        self._order = tif.byteorder
        self._big = tif.is_bigtiff
        self._size = path.stat().st_size
        self._shape = (int(page.shape[0]), int(page.shape[1]))
        self._dtype = np.dtype(page.dtype).newbyteorder("=")
        self._page_bytes = self._shape[0] * self._shape[1] * self._dtype.itemsize
        # In these pages the pixels lie on disk as they will lie in memory.
        self._plain = (
            page.compression == 1
            and page.predictor == 1
            and page.fillorder == 1
            and not page.is_tiled
            and page.bitspersample == self._dtype.itemsize * 8
        )
        self._description = page.description
        self._notes: list[str] = []

    def table(self) -> PageTable:
        """Walk and return the table."""
        directories: list[int] = []
        offsets: list[int] = []
        reduced = 0
        with self._path.open("rb") as stream:
            software = self._page.software or _static_header(stream, self._order)
            for offset, tags in self._directories(stream):
                if directories and self._value(tags, _SUBFILE_TYPE, 0) & 1:
                    reduced += 1
                    continue
                self._check_uniform(tags, len(directories))
                directories.append(offset)
                offsets.append(self._data_offset(stream, tags, len(directories)))
        if not directories:
            raise MovieError(f"{self._path} holds no page.")
        if reduced:
            self._notes.append(f"{self._path.name}: {reduced} reduced pages (previews) left out.")
        # One page in pieces is enough to need decoding; the others may then be decoded as well.
        direct = self._plain and min(offsets) >= 0
        pages = np.asarray(offsets, dtype=np.int64) if direct else None
        if direct and len(offsets) == 1:
            pages = self._contiguous_pages(offsets[0])
        return PageTable(
            path=self._path,
            shape=self._shape,
            dtype=self._dtype,
            swapped=self._dtype.itemsize > 1 and not np.dtype(self._order + "i2").isnative,
            directories=np.asarray(directories, dtype=np.int64),
            offsets=pages,
            n_pages=len(directories) if pages is None else len(pages),
            description=self._description,
            software=software,
            x_resolution=_x_resolution(self._page),
            notes=tuple(self._notes),
        )

    def _directories(self, stream: io.BufferedReader) -> Iterator[tuple[int, dict[int, bytes]]]:
        """Yield offset and raw tags of each directory in the chain."""
        count_format = self._order + ("Q" if self._big else "H")
        next_format = self._order + ("Q" if self._big else "I")
        count_bytes, next_bytes = struct.calcsize(count_format), struct.calcsize(next_format)
        entry_bytes = 20 if self._big else 12
        stream.seek(8 if self._big else 4)
        (offset,) = struct.unpack(next_format, stream.read(next_bytes))
        n_found = 0
        milestone, until = -1, 1
        while offset:
            if offset + count_bytes > self._size:
                raise self._cut_off(n_found, f"page {n_found + 1} should begin at byte {offset}")
            stream.seek(offset)
            block = stream.read(_DIRECTORY_BYTES)
            (n_tags,) = struct.unpack_from(count_format, block)
            n_bytes = count_bytes + n_tags * entry_bytes + next_bytes
            if offset + n_bytes > self._size:
                raise self._cut_off(n_found, f"page {n_found + 1} begins at byte {offset}")
            if n_bytes > len(block):
                block += stream.read(n_bytes - len(block))
            entries = (
                block[start : start + entry_bytes]
                for start in range(count_bytes, n_bytes - next_bytes, entry_bytes)
            )
            yield offset, {struct.unpack_from(self._order + "H", e)[0]: e for e in entries}
            n_found += 1
            # A damaged chain may bite its own tail; this notices without a list of all offsets.
            if n_found == until:
                milestone, until = offset, until * 2
            (offset,) = struct.unpack_from(next_format, block, n_bytes - next_bytes)
            if offset == milestone:
                raise MovieError(
                    f"{self._path} is damaged: after page {n_found} its pages begin again. "
                    f"{_COPY_ADVICE}"
                )

    def _value(self, tags: dict[int, bytes], tag: int, default: int) -> int:
        """Return the first value of an integer tag that lies inside its entry."""
        entry = tags.get(tag)
        if entry is None:
            return default
        (kind,) = struct.unpack_from(self._order + "H", entry, 2)
        if kind not in _INTEGER_TYPES:
            return default
        start = 12 if self._big else 8
        return int(struct.unpack_from(self._order + _INTEGER_TYPES[kind], entry, start)[0])

    def _values(
        self, stream: io.BufferedReader, tags: dict[int, bytes], tag: int, n_found: int
    ) -> tuple[int, ...]:
        """Return all values of an integer tag, wherever they lie."""
        entry = tags.get(tag)
        if entry is None:
            return ()
        (kind,) = struct.unpack_from(self._order + "H", entry, 2)
        wide = "Q" if self._big else "I"
        (count,) = struct.unpack_from(self._order + wide, entry, 4)
        start = 12 if self._big else 8
        if kind not in _INTEGER_TYPES or count == 0:
            return ()
        values_format = f"{self._order}{count}{_INTEGER_TYPES[kind]}"
        n_bytes = struct.calcsize(values_format)
        if n_bytes <= len(entry) - start:
            return struct.unpack_from(values_format, entry, start)
        (place,) = struct.unpack_from(self._order + wide, entry, start)
        if place + n_bytes > self._size:
            raise self._cut_off(n_found, f"page {n_found + 1} is described at byte {place}")
        stream.seek(place)
        return struct.unpack(values_format, stream.read(n_bytes))

    def _check_uniform(self, tags: dict[int, bytes], index: int) -> None:
        """Compare a page's size and type with the first page's."""
        current = {tag: tags.get(tag) for tag in _UNIFORM_TAGS}
        if index == 0:
            self._first_raw = current
            self._first = {
                tag: self._value(tags, tag, default) for tag, default in _UNIFORM_TAGS.items()
            }
            return
        if current == self._first_raw:
            return
        for tag, default in _UNIFORM_TAGS.items():
            found = self._value(tags, tag, default)
            if found != self._first[tag]:
                raise MovieError(
                    f"{self._path}: page {index + 1} has {_UNIFORM_NAMES[tag]} {found}, the first "
                    f"page {self._first[tag]}; all pages of a movie must be alike."
                )

    def _data_offset(self, stream: io.BufferedReader, tags: dict[int, bytes], number: int) -> int:
        """Return where the pixels of a page begin, or -1 if they do not lie in one piece.

        Raises
        ------
        MovieError
            If they reach beyond the end of the file.
        """
        tiled = _TILE_OFFSETS in tags
        starts = self._values(stream, tags, _TILE_OFFSETS if tiled else _STRIP_OFFSETS, number - 1)
        counts = self._values(stream, tags, _TILE_COUNTS if tiled else _STRIP_COUNTS, number - 1)
        if not starts:
            raise MovieError(f"{self._path}: page {number} has no pixels. {_COPY_ADVICE}")
        adjacent = len(starts) == 1 or all(
            starts[i] + counts[i] == starts[i + 1] for i in range(min(len(starts), len(counts)) - 1)
        )
        if self._plain and adjacent:
            # Byte counts are not to be trusted here: they overflow in stacks above 4 GB.
            end = starts[0] + self._page_bytes
        else:
            end = max(
                (start + count for start, count in zip(starts, counts, strict=False)),
                default=max(starts),
            )
        if end > self._size:
            raise self._cut_off(number - 1, f"page {number} should reach to byte {end}")
        return starts[0] if self._plain and adjacent else -1

    def _contiguous_pages(self, start: int) -> NDArray[np.int64]:
        """Return the pages of a stack that lies behind a single directory.

        ImageJ writes stacks above 4 GB in this way, tifffile if asked to.
        """
        n_pages = declared_pages(self._description, self._shape) or 1
        end = start + n_pages * self._page_bytes
        if end > self._size:
            found = (self._size - start) // self._page_bytes
            raise self._cut_off(found, f"the last page should reach to byte {end}")
        offsets: NDArray[np.int64] = start + self._page_bytes * np.arange(n_pages, dtype=np.int64)
        return offsets

    def _cut_off(self, n_found: int, what: str) -> MovieError:
        """Return the error about a truncated file."""
        expected = declared_pages(self._description, self._shape)
        pages = f"{n_found} whole pages" + (f" of {expected}" if expected else "")
        return MovieError(
            f"{self._path} is cut off: {pages} found; {what}, but the file ends at byte "
            f"{self._size}. {_COPY_ADVICE}"
        )


def _static_header(stream: io.BufferedReader, order: str) -> str:
    """Return the text that ScanImage puts in front of a BigTIFF's first page, or nothing."""
    stream.seek(16)
    head = stream.read(16)
    if len(head) < 16:
        return ""
    magic, _, n_bytes, _ = struct.unpack(f"{order}4I", head)
    if magic != _SCANIMAGE_MAGIC:
        return ""
    return stream.read(n_bytes).rstrip(b"\0").decode("utf-8", errors="replace")


def _x_resolution(page: Any) -> float | None:
    """Return the pixels per unit of length along a row."""
    tag = page.tags.get("XResolution")
    try:
        numerator, denominator = tag.value
        return float(numerator) / float(denominator)
    except (AttributeError, TypeError, ValueError, ZeroDivisionError):
        return None


def declared_pages(description: str, shape: tuple[int, int]) -> int | None:
    """Return the number of pages that a description speaks of.

    Parameters
    ----------
    description
        The first page's ImageDescription.
    shape
        Height and width of a page.

    Returns
    -------
    int or None
        None if it says nothing about that.
    """
    if description.startswith("ImageJ="):
        match = re.search(r"^images=(\d+)", description, flags=re.MULTILINE)
        return int(match.group(1)) if match else None
    if description.startswith("{"):
        stack = shaped_description(description)
        n_pixels = shape[0] * shape[1]
        if stack and n_pixels:
            return int(np.prod(stack["shape"], dtype=np.int64)) // n_pixels
    return None


def shaped_description(description: str) -> dict[str, Any] | None:
    """Return the JSON object that tifffile writes as a description, if it is one.

    Parameters
    ----------
    description
        The first page's ImageDescription.

    Returns
    -------
    dict or None
        An object with at least a list of integers under ``shape``.
    """
    if not description.startswith("{"):
        return None
    try:
        content = json.loads(description)
    except json.JSONDecodeError:
        return None
    shape = content.get("shape")
    if not isinstance(shape, list) or not all(isinstance(size, int) for size in shape):
        return None
    return dict(content)


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
            if self.table.offsets is not None:
                # Unbuffered: whole pages go straight into the array.
                self._stream = io.FileIO(os.fspath(self.table.path), "rb")
            else:
                import tifffile

                self._tif = tifffile.TiffFile(self.table.path)
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
            self._stream.seek(offset)
            done = 0
            while done < len(view):
                n_read = self._stream.readinto(view[done:])
                if not n_read:
                    raise MovieError(
                        f"{self.table.path} has become shorter while it was read: it ends within "
                        f"page {page + 1 + done // self.table.page_bytes} of "
                        f"{self.table.n_pages}. {_COPY_ADVICE}"
                    )
                done += n_read
        except OSError as error:
            raise MovieError(
                f"{self.table.path}: page {page + 1} cannot be read ({error.strerror})."
            ) from error

    def _decode(self, page: int) -> NDArray[Any]:
        """Return one page that is compressed, tiled or in pieces."""
        try:
            return np.asarray(self._tiff_page(page).asarray())
        except MovieError:
            raise
        except Exception as error:
            # Codecs raise whatever they like.
            advice = (
                "Install it (pip install imagecodecs), or save the movie without compression."
                if "imagecodecs" in str(error)
                else f"The file may be damaged. {_COPY_ADVICE}"
            )
            raise MovieError(
                f"{self.table.path}: page {page + 1} cannot be decoded ({error}). {advice}"
            ) from error

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
        for page in pages:
            yield str(self._tiff_page(page).description)
