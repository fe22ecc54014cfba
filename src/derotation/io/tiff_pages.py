"""Where the pages of a TIFF lie, and reading some of them.

The chain of pages is walked once, so that uncompressed pages can afterwards be read straight from
their offsets, and so that a file that was cut off is known before any work begins. All that is
remembered of a page are two offsets: memory hardly depends on the length of a movie. Nothing that
a file says about its sizes is believed before it was compared with the bytes that are there.
"""

import io
import itertools
import json
import math
import os
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from derotation.errors import MovieError
from derotation.io.source import fill

if TYPE_CHECKING:
    import tifffile

# TIFF tags that are needed, by their number in the standard.
_SUBFILE_TYPE = 254
_WIDTH, _HEIGHT, _BITS, _COMPRESSION = 256, 257, 258, 259
_FILL_ORDER, _DESCRIPTION, _SAMPLES = 266, 270, 277
_X_RESOLUTION, _SOFTWARE, _ARTIST, _PREDICTOR, _SAMPLE_FORMAT = 282, 305, 315, 317, 339
_STRIP_OFFSETS, _STRIP_COUNTS = 273, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325
_DEPTH, _METAMORPH = 32997, 33629

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
    _DEPTH: 1,
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
    _DEPTH: "depth",
}

# Code for struct of a type of integers, by the type's number in the standard.
_INTEGER_TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_TEXT_TYPES = (1, 2, 7)
_RATIONAL = 5
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}

# A directory of pages is read with one call unless it has more tags than fit in here.
_DIRECTORY_BYTES = 1024

_SCANIMAGE_MAGIC = 117637889

# Far more than any line-scanning microscope records in a frame: larger ones are a damaged size.
_MOST_PAGE_BYTES = 2**28
# A description of a million planes has a tenth of this.
_MOST_TEXT_BYTES = 2**30

_COPY_ADVICE = "Copy the file again from its source, or record the session again."


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


def read_page_table(path: Path, *, describe: bool = True) -> PageTable:
    """Walk through the pages of a TIFF file.

    Parameters
    ----------
    path
        The file.
    describe
        Whether to read the description, which may be as long as the recording has frames.

    Returns
    -------
    PageTable
        Where its pages are. Of a file that was cut off those that are whole.

    Raises
    ------
    MovieError
        If the file is missing, unreadable, no TIFF, without a whole page, or if its pages are not
        images of real numbers of one size and type.
    """
    with _opened(path) as stream:
        return _Walker(path, stream).table(describe=describe)


def read_description(path: Path) -> str:
    """Return the ImageDescription of the first page of a TIFF file, empty if there is none."""
    return read_first_page(path)[1]


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
    with _opened(path) as stream:
        walker = _Walker(path, stream)
        _, tags = walker.first()
        return walker.software(tags), walker.text(tags, _DESCRIPTION)


class _opened:  # noqa: N801
    """Opens a file, and turns what reading it raises into errors that name it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> BinaryIO:
        path = self._path
        if path.is_dir():
            raise MovieError(
                f"{path} is a folder; give a TIFF file, or all TIFF files of the folder as "
                f"{path / '*.tif'}."
            )
        try:
            self._stream = path.open("rb")
        except FileNotFoundError:
            raise MovieError(f"{path} does not exist; check the path of the movie.") from None
        except (OSError, ValueError) as error:
            # ValueError: a name that holds a zero byte.
            why = getattr(error, "strerror", None) or error
            raise MovieError(f"{path} cannot be opened ({why}).") from error
        return self._stream

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()
        if isinstance(error, OSError | struct.error):
            why = getattr(error, "strerror", None) or error
            raise MovieError(
                f"{self._path} cannot be read as a TIFF ({why}). It may be cut off or damaged. "
                f"{_COPY_ADVICE}"
            ) from error


Tags = dict[int, bytes]


class _Walker:
    """Follows the chain of directories of one open file."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream
        self._size = os.fstat(stream.fileno()).st_size
        head = stream.read(16)
        if not head:
            raise MovieError(f"{path} is empty (0 bytes). {_COPY_ADVICE}")
        if head[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            raise MovieError(f"{path} is not a TIFF file (it begins with {head[:4]!r}).")
        self._order = "<" if head[:2] == b"II" else ">"
        self._big = b"+" in head[:4]
        # struct's codes for a count of tags, for an offset, and where a tag's value lies.
        self._count = self._order + ("Q" if self._big else "H")
        self._wide = self._order + ("Q" if self._big else "I")
        self._value_at = 12 if self._big else 8
        self._start = int(
            struct.unpack_from(self._wide, head.ljust(16, b"\0"), self._value_at - 4)[0]
        )
        if not 0 < self._start < self._size:
            # Some programs write the pages' directories behind the pixels.
            raise MovieError(
                f"{path} is cut off: 0 whole pages found; the first is described at byte "
                f"{self._start}, but the file ends at byte {self._size}. {_COPY_ADVICE}"
            )
        self._cut: str | None = None
        # Where the directory should be that is missing; 0 if none is.
        self._broken_at = 0

    def description_at(self, offset: int) -> str:
        """Return the ImageDescription of the page whose directory begins at an offset."""
        for _, tags in self._directories(offset):
            return self.text(tags, _DESCRIPTION)
        return ""

    def first(self) -> tuple[int, Tags]:
        """Return offset and tags of the first directory."""
        for found in self._directories():
            return found
        raise MovieError(f"{self._path} holds no page ({self._cut or 'no tags'}). {_COPY_ADVICE}")

    def table(self, *, describe: bool) -> PageTable:
        """Walk and return the table."""
        _, tags = self.first()
        self._take_kind(tags)
        description = self.text(tags, _DESCRIPTION) if describe else ""
        self._declared = declared_pages(description, self._shape)
        directories: list[int] = []
        offsets: list[int] = []
        reduced = 0
        for offset, tags in self._directories():
            if directories and self._value(tags, _SUBFILE_TYPE, 0) & 1:
                reduced += 1
                continue
            number = len(directories) + 1
            self._check_uniform(tags, number)
            place = self._data_offset(tags, number)
            if place is None:
                break
            directories.append(offset)
            offsets.append(place)
        notes = []
        if reduced:
            notes.append(f"{self._path.name}: {reduced} reduced pages (previews) left out.")
        # One page in pieces is enough to need decoding; the others may then be decoded as well.
        direct = self._plain and bool(offsets) and min(offsets) >= 0
        pages = np.asarray(offsets, dtype=np.int64) if direct else None
        if direct and ((len(offsets) == 1 and self._cut is None) or self._pixels_go_on(offsets)):
            pages = self._contiguous_pages(offsets[0])
        n_pages = len(directories) if pages is None else len(pages)
        if not n_pages:
            raise MovieError(
                f"{self._path} is cut off: 0 whole pages{self._of_declared()} found; {self._cut}. "
                f"{_COPY_ADVICE}"
            )
        # The page that was being written when the file ended was recorded, too.
        is_short = self._cut is not None and n_pages != self._declared
        n_recorded = max(n_pages + is_short, self._declared or 0)
        if self._cut is not None:
            notes.append(
                f"{self._path.name} is cut off: {n_pages} whole pages{self._of_declared()} found "
                f"and used; {self._cut}. If this is not how the recording ended, copy the file "
                "again."
            )
        return PageTable(
            path=self._path,
            shape=self._shape,
            dtype=self._dtype,
            swapped=self._dtype.itemsize > 1 and not np.dtype(self._order + "i2").isnative,
            directories=np.asarray(directories, dtype=np.int64),
            offsets=pages,
            n_pages=n_pages,
            n_recorded=n_recorded,
            cut=self._cut,
            description=description,
            software=self.software(self._first),
            artist=self.text(self._first, _ARTIST),
            x_resolution=self._x_resolution(self._first),
            notes=tuple(notes),
        )

    def software(self, tags: Tags) -> str:
        """Return the Software tag, or the text that ScanImage puts before a BigTIFF's pages."""
        return self.text(tags, _SOFTWARE) or self._static_header()

    def text(self, tags: Tags, tag: int) -> str:
        """Return the text of a tag, empty if there is none."""
        entry = tags.get(tag)
        if entry is None:
            return ""
        kind, count = self._kind_and_count(entry)
        if kind not in _TEXT_TYPES or not count:
            return ""
        raw = self._raw(entry, count)
        if raw is None:
            return ""
        raw = raw.rstrip(b"\0 \r\n\t")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("cp1252", errors="replace")

    def _raw(self, entry: bytes, n_bytes: int) -> bytes | None:
        """Return the bytes of a tag's value; None if they cannot be there."""
        if n_bytes <= len(entry) - self._value_at:
            return entry[self._value_at : self._value_at + n_bytes]
        (place,) = struct.unpack_from(self._wide, entry, self._value_at)
        if n_bytes > _MOST_TEXT_BYTES or place + n_bytes > self._size:
            return None
        self._stream.seek(place)
        raw = self._stream.read(n_bytes)
        return raw if len(raw) == n_bytes else None

    def _kind_and_count(self, entry: bytes) -> tuple[int, int]:
        """Return the type of a tag's values and their number."""
        (kind,) = struct.unpack_from(self._order + "H", entry, 2)
        (count,) = struct.unpack_from(self._wide, entry, 4)
        return int(kind), int(count)

    def _static_header(self) -> str:
        """Return the text that ScanImage puts in front of a BigTIFF's first page, or nothing."""
        if not self._big:
            return ""
        self._stream.seek(16)
        head = self._stream.read(16)
        if len(head) < 16:
            return ""
        magic, _, n_bytes, _ = struct.unpack(f"{self._order}4I", head)
        if magic != _SCANIMAGE_MAGIC or n_bytes > self._size:
            return ""
        return self._stream.read(n_bytes).rstrip(b"\0").decode("utf-8", errors="replace")

    def _x_resolution(self, tags: Tags) -> float | None:
        """Return the pixels per unit of length along a row."""
        entry = tags.get(_X_RESOLUTION)
        if entry is None or self._kind_and_count(entry) != (_RATIONAL, 1):
            return None
        raw = self._raw(entry, 8)
        numerator, denominator = struct.unpack(self._order + "2I", raw) if raw else (0, 0)
        return numerator / denominator if numerator and denominator else None

    def _take_kind(self, tags: Tags) -> None:
        """Take size and type of the pixels; refuse images that are not of one real number each."""
        path = self._path
        self._first = tags
        first = {tag: self._value(tags, tag, default) for tag, default in _UNIFORM_TAGS.items()}
        self._uniform = first
        if _METAMORPH in tags:
            raise MovieError(
                f"{path} is a MetaMorph stack, whose planes are not read here; save it as an "
                "ordinary or an ImageJ TIFF."
            )
        if first[_SAMPLES] != 1:
            raise MovieError(
                f"{path} has {first[_SAMPLES]} values per pixel, like a color (RGB) image; save "
                "each channel as pages of its own (in Fiji: Image > Type > 16-bit)."
            )
        bits, kind = first[_BITS], _KINDS.get(first[_SAMPLE_FORMAT])
        if kind == "f":
            wide = {16: 2, 32: 4}.get(bits)
        else:
            wide = next((n for n in (1, 2, 4) if 1 < bits <= 8 * n), None)
        if kind is None or wide is None:
            name = {"u": f"uint{bits}", "i": f"int{bits}", "f": f"float{bits}"}.get(kind or "")
            if (kind, bits) == ("f", 64):
                wide = 8
            else:
                found = "1-bit" if bits == 1 else name or f"complex ({bits}-bit)"
                raise MovieError(
                    f"{path} has {found} pixels; a movie needs real numbers (integers of up to 32 "
                    "bits, or floats). Save it as a 16-bit or 32-bit TIFF."
                )
        self._shape = (first[_HEIGHT], first[_WIDTH])
        self._dtype = np.dtype(f"{kind}{wide}")
        self._page_bytes = self._shape[0] * self._shape[1] * self._dtype.itemsize
        if first[_DEPTH] != 1:
            raise MovieError(
                f"{path} has pages of depth {first[_DEPTH]}; two dimensions were expected."
            )
        tile_bytes = first[_TILE_WIDTH] * first[_TILE_HEIGHT] * self._dtype.itemsize
        if not 0 < self._page_bytes <= _MOST_PAGE_BYTES or tile_bytes > _MOST_PAGE_BYTES:
            raise MovieError(
                f"{path} is damaged or not complete: its first page says that it is "
                f"{self._shape[1]} pixels wide and {self._shape[0]} high. {_COPY_ADVICE}"
            )
        # In these pages the pixels lie on disk as they will lie in memory.
        self._plain = (
            first[_COMPRESSION] == 1
            and first[_PREDICTOR] == 1
            and first[_FILL_ORDER] == 1
            and _TILE_OFFSETS not in tags
            and bits == self._dtype.itemsize * 8
        )

    def _directories(self, start: int | None = None) -> Iterator[tuple[int, Tags]]:
        """Yield offset and raw tags of each directory; stop where the file was cut off."""
        self._cut = None
        count_bytes, next_bytes = struct.calcsize(self._count), struct.calcsize(self._wide)
        entry_bytes = 20 if self._big else 12
        tag_code = struct.Struct(self._order + "H")
        offset, n_found = self._start if start is None else start, 0
        milestone, until = -1, 1
        while offset:
            if offset + count_bytes > self._size:
                self._broken_at = offset
                self._end(f"page {n_found + 1} should begin at byte {offset}")
                return
            self._stream.seek(offset)
            block = self._stream.read(_DIRECTORY_BYTES)
            (n_tags,) = struct.unpack_from(self._count, block)
            n_bytes = count_bytes + n_tags * entry_bytes + next_bytes
            if offset + n_bytes > self._size:
                self._broken_at = offset
                self._end(f"page {n_found + 1} begins at byte {offset}")
                return
            if n_tags == 0:
                self._cut = (
                    f"where page {n_found + 1} should begin, at byte {offset} of {self._size}, "
                    "there is nothing but zeros: the file is not complete"
                )
                return
            if n_bytes > len(block):
                block += self._stream.read(n_bytes - len(block))
            entries = (
                block[start : start + entry_bytes]
                for start in range(count_bytes, n_bytes - next_bytes, entry_bytes)
            )
            yield offset, {tag_code.unpack_from(entry)[0]: entry for entry in entries}
            n_found += 1
            # A damaged chain may bite its own tail; this notices without a list of all offsets.
            if n_found == until:
                milestone, until = offset, until * 2
            (offset,) = struct.unpack_from(self._wide, block, n_bytes - next_bytes)
            if offset == milestone:
                raise MovieError(
                    f"{self._path} is damaged: after page {n_found} its pages begin again. "
                    f"{_COPY_ADVICE}"
                )

    def _end(self, what: str) -> None:
        """Remember that the file ends too early."""
        self._cut = f"{what}, but the file ends at byte {self._size}"

    def _of_declared(self) -> str:
        return f" of {self._declared}" if self._declared else ""

    def _value(self, tags: Tags, tag: int, default: int) -> int:
        """Return the first value of an integer tag that lies inside its entry."""
        entry = tags.get(tag)
        if entry is None:
            return default
        (kind,) = struct.unpack_from(self._order + "H", entry, 2)
        if kind not in _INTEGER_TYPES:
            return default
        return int(struct.unpack_from(self._order + _INTEGER_TYPES[kind], entry, self._value_at)[0])

    def _values(self, tags: Tags, tag: int) -> tuple[int, ...] | None:
        """Return all values of an integer tag, wherever they lie; None if beyond the end."""
        entry = tags.get(tag)
        if entry is None:
            return ()
        kind, count = self._kind_and_count(entry)
        if kind not in _INTEGER_TYPES or count == 0:
            return ()
        if count > self._shape[0] * self._shape[1]:
            raise MovieError(
                f"{self._path} is damaged: a page of {self._shape[1]} x {self._shape[0]} pixels "
                f"cannot lie in {count} pieces. {_COPY_ADVICE}"
            )
        size = struct.calcsize(self._order + _INTEGER_TYPES[kind])
        raw = self._raw(entry, count * size)
        if raw is None:
            return None
        return struct.unpack(f"{self._order}{count}{_INTEGER_TYPES[kind]}", raw)

    def _check_uniform(self, tags: Tags, number: int) -> None:
        """Compare a page's size and type with the first page's."""
        first = self._first
        if all(tags.get(tag) == first.get(tag) for tag in _UNIFORM_TAGS):
            return
        for tag, default in _UNIFORM_TAGS.items():
            found = self._value(tags, tag, default)
            if found != self._uniform[tag]:
                raise MovieError(
                    f"{self._path}: page {number} has {_UNIFORM_NAMES[tag]} {found}, the first "
                    f"page {self._uniform[tag]}; all pages of a movie must be alike."
                )

    def _data_offset(self, tags: Tags, number: int) -> int | None:
        """Return where the pixels of a page begin, or -1 if they do not lie in one piece.

        None if they reach beyond the end of the file.
        """
        tiled = _TILE_OFFSETS in tags
        starts = self._values(tags, _TILE_OFFSETS if tiled else _STRIP_OFFSETS)
        counts = self._values(tags, _TILE_COUNTS if tiled else _STRIP_COUNTS)
        if starts is None or counts is None:
            self._end(f"page {number} is described behind its end")
            return None
        if not starts or (not counts and not self._plain):
            raise MovieError(f"{self._path}: page {number} has no pixels. {_COPY_ADVICE}")
        adjacent = len(starts) == 1 or all(
            starts[i] + counts[i] == starts[i + 1] for i in range(min(len(starts), len(counts)) - 1)
        )
        if self._plain and adjacent:
            # Byte counts are not to be trusted here: they overflow in stacks above 4 GB.
            end = starts[0] + self._page_bytes
        else:
            end = max(start + count for start, count in zip(starts, counts, strict=False))
        if end > self._size:
            self._end(f"page {number} should reach to byte {end}")
            return None
        return starts[0] if self._plain and adjacent else -1

    def _pixels_go_on(self, offsets: list[int]) -> bool:
        """Tell whether only directories are missing that lay behind all pixels.

        Programs that write a whole stack at once put them there.
        """
        if self._cut is None or self._declared is None or self._declared <= len(offsets):
            return False
        in_one_piece = all(b - a == self._page_bytes for a, b in itertools.pairwise(offsets))
        return in_one_piece and self._broken_at >= offsets[0] + self._declared * self._page_bytes

    def _contiguous_pages(self, start: int) -> NDArray[np.int64]:
        """Return the pages of a stack that lies behind a single directory.

        ImageJ writes stacks above 4 GB in this way, tifffile if asked to.
        """
        declared = self._declared or 1
        end = start + declared * self._page_bytes
        n_pages = declared
        if end > self._size:
            n_pages = max(0, self._size - start) // self._page_bytes
            self._end(f"the last page should reach to byte {end}")
        offsets: NDArray[np.int64] = start + self._page_bytes * np.arange(n_pages, dtype=np.int64)
        return offsets


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
        match = re.search(r"^images=(\d{1,18})\s*$", description, flags=re.MULTILINE)
        return int(match.group(1)) if match else None
    if description.startswith("{"):
        stack = shaped_description(description)
        n_pixels = shape[0] * shape[1]
        if stack and n_pixels and min(stack["shape"]) > 0:
            return int(math.prod(stack["shape"])) // n_pixels
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
    except (ValueError, RecursionError):
        return None
    shape = content.get("shape")
    if not isinstance(shape, list) or not 2 <= len(shape) <= 16:
        return None
    if not all(type(size) is int and abs(size) < 2**48 for size in shape):
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
                f"{_COPY_ADVICE}"
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
                else f"The file may be damaged. {_COPY_ADVICE}"
            )
            raise MovieError(
                f"{self.table.path}: page {page + 1} cannot be decoded ({error}). {advice}"
            ) from error
        if decoded.shape != self.table.shape or decoded.dtype != self.table.dtype:
            raise MovieError(
                f"{self.table.path}: page {page + 1} was decoded to {decoded.shape} pixels of "
                f"{decoded.dtype}; {self.table.shape} of {self.table.dtype} were expected. The "
                f"file may be damaged. {_COPY_ADVICE}"
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
        with _opened(self.table.path) as stream:
            walker = _Walker(self.table.path, stream)
            for page in pages:
                if page < len(self.table.directories):
                    yield walker.description_at(int(self.table.directories[page]))
                else:
                    yield ""
