"""One TIFF file of a movie: what it says about itself, and whether it belongs to the others."""

import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from derotation.errors import MovieError
from derotation.io.file_set import check_tables_alike
from derotation.io.isolated import call_isolated
from derotation.io.layout import PageGrid, read_grid
from derotation.io.metadata import MovieMetadata
from derotation.io.scanimage import ScanImageHeader, parse_header
from derotation.io.tiff_page_table import read_page_table
from derotation.io.tiff_pages import PageReader, PageTable

__all__ = [
    "MovieFile",
    "check_alike",
    "decode_first_page",
    "read_file",
    "try_file",
    "try_first_page",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MovieFile:
    """One file of a movie and what it says about itself."""

    table: PageTable
    grid: PageGrid | None
    header: ScanImageHeader | None
    n_before: int = 0
    """Pages of files that are missing between this one and the one before."""

    @property
    def metadata(self) -> MovieMetadata:
        """What the file says about the recording."""
        if self.grid is not None:
            return self.grid.metadata
        return self.header.metadata if self.header is not None else MovieMetadata(source="plain")

    @property
    def channels(self) -> tuple[int, ...] | None:
        """Channels in the file, if it says."""
        return self.grid.channels if self.grid is not None else self.metadata.channels_saved


def read_file(table: PageTable) -> MovieFile:
    """Read everything about a file but its pixels."""
    try_first_page(table)
    # A description by another program means that ScanImage's header is only a copy.
    grid = read_grid(table)
    header = None
    if grid is None:
        header = parse_header(table.software, table.description, table.artist)
    return MovieFile(table=table, grid=grid, header=header)


def try_first_page(table: PageTable) -> None:
    """Let a missing codec, or damage, show now and not within the work."""
    if table.offsets is not None:
        return
    if importlib.util.find_spec("imagecodecs") is None:
        decode_first_page(table)
    else:
        # Its codecs are written in C, and may crash.
        call_isolated(try_file, table.path, error=MovieError, what="a TIFF")


def try_file(path: Path) -> None:
    """Decode the first page of a file; called where a crash of the library does no harm."""
    decode_first_page(read_page_table(path, describe=False))


def decode_first_page(table: PageTable) -> None:
    """Decode the first page of a file and forget it."""
    with PageReader(table) as reader:
        reader.read_into(
            np.zeros(1, dtype=np.int64), np.empty((1, *table.shape), dtype=table.dtype)
        )


def check_alike(first: MovieFile, other: MovieFile) -> None:
    """Compare a file with the first one of its movie."""
    check_tables_alike(first.table, other.table)
    facts: list[tuple[str, object, object]] = [
        ("kind of file", first.metadata.source, other.metadata.source),
        ("channels", first.channels or (1,), other.channels or (1,)),
        ("number of planes", first.metadata.n_planes or 1, other.metadata.n_planes or 1),
        ("lines per frame", first.metadata.lines_per_frame, other.metadata.lines_per_frame),
        ("bidirectional scanning", first.metadata.bidirectional, other.metadata.bidirectional),
    ]
    for name, expected, found in facts:
        if expected != found:
            raise _unlike(first, other, name, expected, found)
    measured = [
        ("frame rate", first.metadata.frame_rate, other.metadata.frame_rate),
        ("pixel size", first.metadata.pixel_size_um, other.metadata.pixel_size_um),
    ]
    for name, wanted, there in measured:
        # Measured rates of resonant scanners differ a little from file to file.
        if (
            wanted is not None
            and there is not None
            and not math.isclose(wanted, there, rel_tol=0.01)
        ):
            raise _unlike(first, other, name, wanted, there)


def _unlike(
    first: MovieFile, other: MovieFile, name: str, expected: object, found: object
) -> MovieError:
    """Return the error about a file that does not belong to the others."""
    return MovieError(
        f"{other.table.path} has {name} {found}, but {first.table.path} has {expected}; all files "
        "of a movie must be alike. Check which files the glob matches."
    )
