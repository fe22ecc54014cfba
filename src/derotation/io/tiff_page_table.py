"""Where the pages of a TIFF lie, and whether the file is whole.

The chain of pages is walked once, so that uncompressed pages can afterwards be read straight from
their offsets, and so that a file that was cut off is known before any work begins. All that is
remembered of a page are two offsets: memory hardly depends on the length of a movie. Nothing that
a file says about its sizes is believed before it was compared with the bytes that are there.
"""

import itertools
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from derotation.errors import MovieError
from derotation.io.tiff_description import declared_pages
from derotation.io.tiff_directories import (
    ARTIST,
    BITS,
    COMPRESSION,
    COPY_ADVICE,
    DEPTH,
    DESCRIPTION,
    FILL_ORDER,
    HEIGHT,
    INTEGER_TYPES,
    METAMORPH,
    PREDICTOR,
    RATIONAL,
    SAMPLE_FORMAT,
    SAMPLES,
    STRIP_COUNTS,
    STRIP_OFFSETS,
    SUBFILE_TYPE,
    TILE_COUNTS,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_WIDTH,
    WIDTH,
    X_RESOLUTION,
    Directories,
    Tags,
    opened,
)
from derotation.io.tiff_pages import PageTable

# Value of each of these where a page leaves the tag out. All pages must agree on them.
UNIFORM_TAGS = {
    WIDTH: 0,
    HEIGHT: 0,
    BITS: 1,
    COMPRESSION: 1,
    FILL_ORDER: 1,
    SAMPLES: 1,
    PREDICTOR: 1,
    SAMPLE_FORMAT: 1,
    TILE_WIDTH: 0,
    TILE_HEIGHT: 0,
    DEPTH: 1,
}
UNIFORM_NAMES = {
    WIDTH: "width",
    HEIGHT: "height",
    BITS: "bits per pixel",
    COMPRESSION: "compression",
    FILL_ORDER: "bit order",
    SAMPLES: "samples per pixel",
    PREDICTOR: "predictor",
    SAMPLE_FORMAT: "sample format",
    TILE_WIDTH: "tile width",
    TILE_HEIGHT: "tile height",
    DEPTH: "depth",
}
KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}
# Far more than any line-scanning microscope records in a frame: larger ones are a damaged size.
MOST_PAGE_BYTES = 2**28


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
    with opened(path) as stream:
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
    with opened(path) as stream:
        walker = _Walker(path, stream)
        _, tags = walker.first()
        return walker.software(tags), walker.text(tags, DESCRIPTION)


class _Walker(Directories):
    """Checks the pages of one open file and notes where they lie."""

    def table(self, *, describe: bool) -> PageTable:
        """Walk and return the table."""
        _, tags = self.first()
        self._take_kind(tags)
        description = self.text(tags, DESCRIPTION) if describe else ""
        self._declared = declared_pages(description, self._shape)
        directories: list[int] = []
        offsets: list[int] = []
        reduced = 0
        for offset, tags in self._directories():
            if directories and self._value(tags, SUBFILE_TYPE, 0) & 1:
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
                f"{COPY_ADVICE}"
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
            artist=self.text(self._first, ARTIST),
            x_resolution=self._x_resolution(self._first),
            notes=tuple(notes),
        )

    def _x_resolution(self, tags: Tags) -> float | None:
        """Return the pixels per unit of length along a row."""
        entry = tags.get(X_RESOLUTION)
        if entry is None or self._kind_and_count(entry) != (RATIONAL, 1):
            return None
        raw = self._raw(entry, 8)
        numerator, denominator = struct.unpack(self._order + "2I", raw) if raw else (0, 0)
        return numerator / denominator if numerator and denominator else None

    def _take_kind(self, tags: Tags) -> None:
        """Take size and type of the pixels; refuse images that are not of one real number each."""
        path = self._path
        self._first = tags
        first = {tag: self._value(tags, tag, default) for tag, default in UNIFORM_TAGS.items()}
        self._uniform = first
        if METAMORPH in tags:
            raise MovieError(
                f"{path} is a MetaMorph stack, whose planes are not read here; save it as an "
                "ordinary or an ImageJ TIFF."
            )
        if first[SAMPLES] != 1:
            raise MovieError(
                f"{path} has {first[SAMPLES]} values per pixel, like a color (RGB) image; save "
                "each channel as pages of its own (in Fiji: Image > Type > 16-bit)."
            )
        bits, kind = first[BITS], KINDS.get(first[SAMPLE_FORMAT])
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
        self._shape = (first[HEIGHT], first[WIDTH])
        self._dtype = np.dtype(f"{kind}{wide}")
        self._page_bytes = self._shape[0] * self._shape[1] * self._dtype.itemsize
        if first[DEPTH] != 1:
            raise MovieError(
                f"{path} has pages of depth {first[DEPTH]}; two dimensions were expected."
            )
        tile_bytes = first[TILE_WIDTH] * first[TILE_HEIGHT] * self._dtype.itemsize
        if not 0 < self._page_bytes <= MOST_PAGE_BYTES or tile_bytes > MOST_PAGE_BYTES:
            raise MovieError(
                f"{path} is damaged or not complete: its first page says that it is "
                f"{self._shape[1]} pixels wide and {self._shape[0]} high. {COPY_ADVICE}"
            )
        # In these pages the pixels lie on disk as they will lie in memory.
        self._plain = (
            first[COMPRESSION] == 1
            and first[PREDICTOR] == 1
            and first[FILL_ORDER] == 1
            and TILE_OFFSETS not in tags
            and bits == self._dtype.itemsize * 8
        )

    def _of_declared(self) -> str:
        return f" of {self._declared}" if self._declared else ""

    def _values(self, tags: Tags, tag: int) -> tuple[int, ...] | None:
        """Return all values of an integer tag, wherever they lie; None if beyond the end."""
        entry = tags.get(tag)
        if entry is None:
            return ()
        kind, count = self._kind_and_count(entry)
        if kind not in INTEGER_TYPES or count == 0:
            return ()
        if count > self._shape[0] * self._shape[1]:
            raise MovieError(
                f"{self._path} is damaged: a page of {self._shape[1]} x {self._shape[0]} pixels "
                f"cannot lie in {count} pieces. {COPY_ADVICE}"
            )
        size = struct.calcsize(self._order + INTEGER_TYPES[kind])
        raw = self._raw(entry, count * size)
        if raw is None:
            return None
        return struct.unpack(f"{self._order}{count}{INTEGER_TYPES[kind]}", raw)

    def _check_uniform(self, tags: Tags, number: int) -> None:
        """Compare a page's size and type with the first page's."""
        first = self._first
        if all(tags.get(tag) == first.get(tag) for tag in UNIFORM_TAGS):
            return
        for tag, default in UNIFORM_TAGS.items():
            found = self._value(tags, tag, default)
            if found != self._uniform[tag]:
                raise MovieError(
                    f"{self._path}: page {number} has {UNIFORM_NAMES[tag]} {found}, the first "
                    f"page {self._uniform[tag]}; all pages of a movie must be alike."
                )

    def _data_offset(self, tags: Tags, number: int) -> int | None:
        """Return where the pixels of a page begin, or -1 if they do not lie in one piece.

        None if they reach beyond the end of the file.
        """
        tiled = TILE_OFFSETS in tags
        starts = self._values(tags, TILE_OFFSETS if tiled else STRIP_OFFSETS)
        counts = self._values(tags, TILE_COUNTS if tiled else STRIP_COUNTS)
        if starts is None or counts is None:
            self._end(f"page {number} is described behind its end")
            return None
        if not starts or (not counts and not self._plain):
            raise MovieError(f"{self._path}: page {number} has no pixels. {COPY_ADVICE}")
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
