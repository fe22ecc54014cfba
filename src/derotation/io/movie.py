"""Movies, read lazily, a chunk of frames at a time."""

import contextlib
import glob
import importlib.util
import itertools
import logging
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import ConfigError, InputError, MovieError
from derotation.io.file_set import FileSet, check_tables_alike, note_other_files, ome_set
from derotation.io.files import natural_sort
from derotation.io.hdf5_movie import SUFFIXES, open_hdf5_movie
from derotation.io.isolated import call_isolated
from derotation.io.layout import PageGrid, read_grid
from derotation.io.metadata import MovieMetadata
from derotation.io.ome import is_ome, stub_target
from derotation.io.prairie import open_prairie, prairie_metadata
from derotation.io.recordings import (
    Recording,
    holds_recordings,
    prairie_of_files,
    recording_at,
    recording_files,
)
from derotation.io.scanbox import open_scanbox
from derotation.io.scanimage import ScanImageHeader, VolumeLayout, frame_number, parse_header
from derotation.io.series import SeriesNames, read_series
from derotation.io.source import FrameReader, FrameSource
from derotation.io.thor import open_thor, thor_metadata
from derotation.io.tiff_pages import PageReader, PageTable, read_first_page, read_page_table

__all__ = [
    "Movie",
    "MovieMetadata",
    "is_recording",
    "movie_files",
    "open_movie",
    "recording_metadata",
]

logger = logging.getLogger(__name__)

# Large enough that a disk streams, small enough that several copies fit anywhere.
#: What may have been done to pictures after they were scanned.
UNDO = ("transpose", "flip_rows", "flip_columns")
_CHUNK_BYTES = 2**26

# More than any microscope records at once: such a stack of pages must be a movie.
_MOST_PLANES = 64
_MOST_CHANNELS = 4

# A name up to its last number, that number, and the rest: file_00001_00002.tif.
_LAST_NUMBER = re.compile(r"(.*?)(\d+)(\D*)")

# ImageJ names a projection after the stack that it was made of.
_PROJECTION = re.compile(r"(?:AVG|MAX|MIN|SUM|STD|MED)_(.+)")


class Movie:
    """One plane and channel of a recording, read from disk when looked at.

    Made by :func:`open_movie`; a context manager. A file is open only while it is read.

    Parameters
    ----------
    sources
        The files.
    frame_file, frame_page
        File and page of each frame, shape (n_frames,).
    clock_index
        Frame of the clock in which each frame was recorded, shape (n_frames,).
    n_clock_frames
        Frames that the clock counted from the first to the last one in the files.
    metadata
        What the files say about the recording.
    channel, plane
        What was chosen, both counted from 1 (for ScanImage the microscope's channel number).
    n_planes
        Planes per volume.
    notes
        Everything that a person should know about how the files were understood.
    choose
        Gives the movie of another channel and plane of the same files.
    """

    def __init__(
        self,
        *,
        sources: Sequence[FrameSource],
        frame_file: NDArray[np.int64],
        frame_page: NDArray[np.int64],
        clock_index: NDArray[np.int64],
        n_clock_frames: int,
        metadata: MovieMetadata,
        channel: int,
        plane: int,
        n_planes: int,
        choose: "Callable[[int, int], Movie]",
        notes: Sequence[str] = (),
    ) -> None:
        self._sources = tuple(sources)
        self._frame_file = frame_file
        self._frame_page = frame_page
        self._clock_index = clock_index
        self._clock_index.flags.writeable = False
        self._n_clock_frames = n_clock_frames
        self._metadata = metadata
        self._channel = channel
        self._plane = plane
        self._n_planes = n_planes
        self._notes = tuple(notes)
        self._choose = choose
        self._undo: tuple[str, ...] = ()
        self._closed = False

    def __repr__(self) -> str:
        return (
            f"Movie('{self.paths[0]}'{', ...' if len(self.paths) > 1 else ''}, "
            f"shape={self.shape}, dtype={self.dtype}, source='{self.metadata.source}')"
        )

    def __len__(self) -> int:
        return len(self._frame_page)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Refuse to be read from now on."""
        self._closed = True

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, in the order of the recording."""
        return tuple(source.path for source in self._sources)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, height and width in pixels."""
        height, width = self._sources[0].shape
        exchanged = self._undo.count("transpose") % 2
        return (len(self), width, height) if exchanged else (len(self), height, width)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, in the byte order of this machine."""
        return self._sources[0].dtype

    @property
    def metadata(self) -> MovieMetadata:
        """What the files say about the recording."""
        return self._metadata

    @property
    def channel(self) -> int:
        """The channel that is read: ScanImage's own number, else counted from 1."""
        return self._channel

    @property
    def plane(self) -> int:
        """The plane that is read, counted from 1."""
        return self._plane

    @property
    def n_planes(self) -> int:
        """Planes per volume, without discarded ones."""
        return self._n_planes

    @property
    def channels(self) -> tuple[int, ...]:
        """All channels that the files hold, by the same numbers as `channel`."""
        return self._metadata.channels_saved or (self._channel,)

    def part(self, *, channel: int | None = None, plane: int | None = None) -> "Movie":
        """Give another channel or plane of the same recording, without opening its files again.

        Parameters
        ----------
        channel, plane
            What to read instead, counted as in :func:`open_movie`; None: as this movie does.

        Returns
        -------
        Movie
            To be closed for itself.

        Raises
        ------
        MovieError
            If the files hold no such channel or plane.
        """
        part = self._choose(
            self._channel if channel is None else channel,
            self._plane if plane is None else plane,
        )
        part._undo = self._undo
        return part

    @property
    def n_clock_frames(self) -> int:
        """Frames that the frame clock should have counted: all planes, flyback included."""
        return self._n_clock_frames

    @property
    def clock_index(self) -> NDArray[np.int64]:
        """Frame of the clock, from 0, in which each frame was recorded, shape (n_frames,)."""
        return self._clock_index

    @property
    def file_of_frame(self) -> NDArray[np.int64]:
        """Number, from 0, of the file in `paths` that holds each frame, shape (n_frames,)."""
        return self._frame_file

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about how the files were understood, in plain words."""
        return self._notes

    def add_note(self, note: str) -> None:
        """Add what a person should know, found by whoever looked at the frames."""
        self._notes = (*self._notes, note)

    @property
    def frames_per_chunk(self) -> int:
        """Default number of frames in a chunk, about 64 MB."""
        return max(1, _CHUNK_BYTES // max(1, self._sources[0].page_bytes))

    def chunks(self, frames_per_chunk: int | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
        """Read the whole movie piece by piece.

        Parameters
        ----------
        frames_per_chunk
            Number of frames in a piece; about 64 MB by default.

        Yields
        ------
        start : int
            Index of the first frame.
        block : ndarray of shape (n, height, width)
            A new array each time, in the movie's dtype.

        Raises
        ------
        InputError
            If `frames_per_chunk` is less than 1.
        MovieError
            If a page cannot be read, or if the movie is closed.
        """
        size = self.frames_per_chunk if frames_per_chunk is None else frames_per_chunk
        if size < 1:
            raise InputError(f"frames_per_chunk is {size}; it must be at least 1.")
        with _OpenFile(self._sources) as source:
            for start in range(0, len(self), size):
                frames = np.arange(start, min(start + size, len(self)))
                yield start, self._read(frames, source)

    def read(self, indices: ArrayLike | slice | SupportsIndex) -> NDArray[Any]:
        """Read some frames.

        Parameters
        ----------
        indices
            Indices of frames from 0, in any order, or a slice of them; one index is a movie of
            one frame.

        Returns
        -------
        ndarray of shape (n, height, width)
            The frames in the order asked for, in the movie's dtype.

        Raises
        ------
        InputError
            If an index is not one of the movie's.
        MovieError
            If a page cannot be read, or if the movie is closed.
        """
        if isinstance(indices, slice):
            frames = np.arange(len(self))[indices]
        else:
            frames = np.atleast_1d(np.asarray(indices))
        if frames.size == 0:
            return np.empty((0, *self.shape[1:]), dtype=self.dtype)
        if frames.ndim != 1 or frames.dtype.kind not in "iu":
            raise InputError(f"frames are chosen by whole numbers, not by {indices!r}.")
        if frames.min() < 0 or frames.max() >= len(self):
            raise InputError(
                f"frame {frames.max() if frames.max() >= len(self) else frames.min()} of "
                f"{self.paths[0]} was asked for; there are frames 0 to {len(self) - 1}."
            )
        with _OpenFile(self._sources) as source:
            return self._read(frames, source)

    def _read(self, frames: NDArray[Any], source: "_OpenFile") -> NDArray[Any]:
        """Read frames, opening one file after the other."""
        if self._closed:
            raise MovieError(f"{self.paths[0]} has been closed; open the movie again.")
        block = np.empty((len(frames), *self._sources[0].shape), dtype=self.dtype)
        files = self._frame_file[frames]
        edges = [0, *(np.flatnonzero(np.diff(files)) + 1).tolist(), len(frames)]
        for first, last in itertools.pairwise(edges):
            pages = self._frame_page[frames[first:last]]
            source.reader(int(files[first])).read_into(pages, block[first:last])
        if block.dtype.kind == "f":
            # What is infinite was not recorded either, and is marked like the rest of that.
            block[np.isinf(block)] = np.nan
        return _undone(block, self._undo)


def _undone(block: NDArray[Any], undo: Sequence[str]) -> NDArray[Any]:
    """Give frames as they were scanned."""
    for what in undo:
        match what:
            case "transpose":
                block = block.swapaxes(1, 2)
            case "flip_rows":
                block = block[:, ::-1]
            case "flip_columns":
                block = block[:, :, ::-1]
    return np.ascontiguousarray(block)


class _OpenFile:
    """Keeps at most one of several files open."""

    def __init__(self, sources: Sequence[FrameSource]) -> None:
        self._sources = sources
        self._stack = contextlib.ExitStack()
        self._index: int | None = None
        self._reader: FrameReader | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def reader(self, index: int) -> FrameReader:
        """Return the reader of one of the files."""
        if self._reader is None or self._index != index:
            self._stack.close()
            self._reader = self._stack.enter_context(self._sources[index].reader())
            self._index = index
        return self._reader


def open_movie(
    pattern: str | os.PathLike[str],
    *,
    channel: int | None = None,
    plane: int | None = None,
    n_planes: int | None = None,
    n_channels: int | None = None,
    dataset: str | None = None,
    undo: Sequence[str] = (),
) -> Movie:
    """Open a movie without reading its pixels.

    Parameters
    ----------
    pattern
        A TIFF file (plain, ImageJ, OME, BigTIFF or ScanImage), or a glob of files that make one
        movie in natural order; a folder as Prairie View or ThorImage write it; a `.sbx` of
        Scanbox; an HDF5 or NWB file. A name that holds glob characters is taken literally.
    channel
        The channel to read: in ScanImage files the microscope's channel number, in others
        counted from 1. Needed where there are several.
    plane
        The plane to read, counted from 1. Needed where there are several.
    n_planes
        Planes per volume, where the files do not say, or say it wrongly.
    n_channels
        Channels whose pages take turns, where the files do not say, or say it wrongly.
    dataset
        Where the frames are in an HDF5 or NWB file that holds several movies.
    undo
        What was done to the pictures after they were scanned, undone in this order when frames are
        read: of "transpose" (rows and columns were exchanged), "flip_rows", "flip_columns".

    Returns
    -------
    Movie
        The movie. Its `notes` say how the files were understood wherever that is not obvious.

    Raises
    ------
    ConfigError
        If there is something else to undo.
    MovieError
        If nothing matches, if a file is missing, unreadable, cut off or no movie, if files do
        not belong together, or if channel or plane are missing or not there. The message names
        the file and says what to do.
    """
    if not set(undo) <= set(UNDO):
        raise ConfigError(f"movie.undo is {list(undo)}; allowed are {', '.join(UNDO)}.")
    asked = _Asked(channel=channel, plane=plane, n_planes=n_planes, n_channels=n_channels)
    recording = recording_at(Path(pattern))
    if recording is not None and asked.channel is None:
        # A file of one channel means that channel.
        asked = replace(asked, channel=recording.channel)
    found = _described(Path(pattern), dataset, recording)
    if found is None:
        movie = _open_tiffs(_find_files(pattern), asked)
    else:
        if isinstance(found.sources[0], PageTable):
            _try_first_page(found.sources[0])
        movie = _movie_of_set(found, asked)
    movie = _with_gaps_noted(movie)
    movie._undo = tuple(undo)
    for note in movie.notes:
        logger.info("%s: %s", pattern, note)
    return movie


def _described(path: Path, dataset: str | None, recording: Recording | None) -> FileSet | None:
    """Open a recording that is no glob of TIFFs; None if it is one."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES and path.is_file():
        return open_hdf5_movie(path, dataset)
    if suffix == ".sbx" and path.is_file():
        return open_scanbox(path)
    if recording is None:
        return None
    if recording.program == "thor":
        return open_thor(recording.description, recording.raw)
    return open_prairie(recording.description)


def is_recording(folder: Path) -> bool:
    """Tell whether a folder holds what Prairie View or ThorImage wrote, one recording or several.

    Parameters
    ----------
    folder
        An existing folder.

    Returns
    -------
    bool
    """
    return holds_recordings(folder)


def movie_files(pattern: str | os.PathLike[str]) -> list[Path]:
    """List the files of a movie, those that describe it included, without opening any.

    Parameters
    ----------
    pattern
        As for :func:`open_movie`.

    Returns
    -------
    list of Path
        In natural order; nothing if no file matches a glob. A path that is neither a glob nor the
        folder of a recording stands there even if nothing exists at it yet.
    """
    path = Path(pattern)
    files = recording_files(path)
    if files is not None:
        return files
    if path.suffix.lower() == ".sbx" and os.path.exists(path.with_suffix(".mat")):  # noqa: PTH110
        return [path, path.with_suffix(".mat")]
    if not glob.has_magic(str(pattern)) or os.path.exists(path):  # noqa: PTH110
        return [path]
    found = (Path(name) for name in glob.glob(str(pattern), recursive=True))  # noqa: PTH207
    return natural_sort(file for file in found if file.is_file())


def _with_gaps_noted(movie: Movie) -> Movie:
    """Say where a movie of floats has no values; its first frame tells, as gaps hardly change."""
    if movie.dtype.kind != "f":
        return movie
    missing = np.isnan(movie.read(0)[0])
    if missing.any():
        columns, rows = np.flatnonzero(missing.all(axis=0)), np.flatnonzero(missing.all(axis=1))
        whole = [
            f"{name}s {_ranges(found)}" for name, found in (("column", columns), ("row", rows))
            if 0 < len(found) < missing.size
        ]  # fmt: skip
        movie.add_note(
            f"{np.count_nonzero(missing)} of {missing.size} pixels of the first frame are NaN or "
            f"infinite{' (' + ', '.join(whole) + ')' if whole else ''}; such pixels count as never "
            "recorded."
        )
    return movie


def _ranges(numbers: NDArray[np.int64]) -> str:
    """Write whole numbers down, counted from 0, as ranges."""
    breaks = np.flatnonzero(np.diff(numbers) > 1)
    firsts = numbers[np.concatenate([[0], breaks + 1])]
    lasts = numbers[np.concatenate([breaks, [len(numbers) - 1]])]
    shown = [f"{a}" if a == b else f"{a} to {b}" for a, b in zip(firsts, lasts, strict=True)]
    return ", ".join(shown[:5]) + (", ..." if len(shown) > 5 else "")


def _open_tiffs(paths: list[Path], asked: "_Asked") -> Movie:
    """Open TIFF files that make one movie."""
    _refuse_projections(paths)
    first = read_page_table(paths[0])
    description = prairie_of_files(paths)
    if description is not None:
        _try_first_page(first)
        return _movie_of_set(open_prairie(description, {path.name for path in paths}), asked)
    if is_ome(first.description) and (len(paths) > 1 or stub_target(first.description)):
        _try_first_page(first)
        found = ome_set(first, paths)
        if found is not None:
            return _movie_of_set(found, asked)
    series = read_series(paths)
    known = note_other_files(first) if len(paths) == 1 else []
    files = [_read_file(first), *(_read_file(read_page_table(path)) for path in paths[1:])]
    files = _settle_grids(files, asked)
    for file in files[1:]:
        _check_alike(files[0], file)
    known += _series_notes(files, series)
    return _arrange(_with_missing_files(files, series), asked, known)


def _with_missing_files(files: list["_File"], series: SeriesNames) -> list["_File"]:
    """Note for each file how many pages are missing before it, where frames have no numbers."""
    if files[0].header is not None:
        return files
    missing = series.missing_pages(*_lengths(files))
    return [replace(file, n_before=n) for file, n in zip(files, missing, strict=True)]


def _series_notes(files: list["_File"], series: SeriesNames) -> list[str]:
    """Say what the names of the files tell; ScanImage's frames have numbers that tell more."""
    if files[0].header is not None:
        return []
    return [*series.notes, *series.missing_note(*_lengths(files))]


def _lengths(files: list["_File"]) -> tuple[list[Path], list[int]]:
    return [file.table.path for file in files], [file.table.n_pages for file in files]


def _refuse_projections(paths: Sequence[Path]) -> None:
    """Refuse a mean image that ImageJ wrote beside a movie: it would count as a frame of it."""
    names = {path.name for path in paths}
    for path in paths:
        match = _PROJECTION.match(path.name)
        if match and match[1] in names:
            raise MovieError(
                f"{path} is a projection of {match[1]} (a mean image, say) and no part of the "
                "movie; move it elsewhere, or narrow the pattern in the sheet's column 'movie'."
            )


def recording_metadata(path: str | os.PathLike[str]) -> MovieMetadata:
    """Read what a file says about how it was recorded, without opening it as a movie.

    Parameters
    ----------
    path
        A file of a movie, or its folder. Of one by ScanImage only the first page is looked at,
        however long it is.

    Returns
    -------
    MovieMetadata
        What the file says.

    Raises
    ------
    MovieError
        If the file is missing or cannot be read.
    """
    path = Path(path)
    recording = recording_at(path)
    if recording is not None:
        read = thor_metadata if recording.program == "thor" else prairie_metadata
        return read(recording.description)
    found = _described(path, None, None)
    if found is not None:
        return found.metadata
    header = parse_header(*read_first_page(path))
    if header is not None:
        return header.metadata
    return _read_file(read_page_table(path)).metadata


def _find_files(pattern: str | os.PathLike[str]) -> list[Path]:
    """Return the files that a path or a glob stands for."""
    text = os.fspath(pattern)
    path = Path(text)
    if path.exists() or not glob.has_magic(text):
        # read_page_table has the words for what is missing, a folder, or no TIFF.
        return [path]
    # Path.glob wants the part without magic split off, and refuses absolute patterns.
    found = [Path(name) for name in glob.glob(text, recursive=True)]  # noqa: PTH207
    files = natural_sort(name for name in found if name.is_file())
    if not files:
        folder = path.parent
        place = "" if glob.has_magic(str(folder)) or folder.is_dir() else f" ({folder} is missing)"
        raise MovieError(f"no file matches {text}{place}; check the path of the movie.")
    return files


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _File:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the caller asked for."""

    channel: int | None
    plane: int | None
    n_planes: int | None
    n_channels: int | None

    def __post_init__(self) -> None:
        for name in ("channel", "plane", "n_planes", "n_channels"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise MovieError(f"movie.{name} is {value}; it is counted from 1.")


def _read_file(table: PageTable) -> _File:
    """Read everything about a file but its pixels."""
    _try_first_page(table)
    # A description by another program means that ScanImage's header is only a copy.
    grid = read_grid(table)
    header = None
    if grid is None:
        header = parse_header(table.software, table.description, table.artist)
    return _File(table=table, grid=grid, header=header)


def _try_first_page(table: PageTable) -> None:
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


def _check_alike(first: _File, other: _File) -> None:
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


def _unlike(first: _File, other: _File, name: str, expected: object, found: object) -> MovieError:
    """Return the error about a file that does not belong to the others."""
    return MovieError(
        f"{other.table.path} has {name} {found}, but {first.table.path} has {expected}; all files "
        "of a movie must be alike. Check which files the glob matches."
    )


def _settle_grids(files: list[_File], asked: _Asked) -> list[_File]:
    """Resolve what descriptions leave open, or file under the wrong name."""
    equal_stacks = len(files) > 1 and len({_n_pages_of_grid(file) for file in files}) == 1
    settled = []
    for file in files:
        grid = file.grid
        if grid is not None and grid.unclear:
            if asked.n_planes is None and asked.n_channels is None:
                raise MovieError(
                    f"{file.table.path}: {grid.unclear}. Say how many planes there are "
                    "(movie.n_planes, 1 for a plain movie), or save the file with its axes."
                )
            grid = None
        elif grid is not None:
            grid = _settle_single_time(file, grid, asked, may_be_volume=equal_stacks)
        settled.append(replace(file, grid=grid))
    return settled


def _n_pages_of_grid(file: _File) -> int | None:
    """Return how many pages a file arranges, or None if it does not."""
    return None if file.grid is None else int(file.grid.pages.size)


def _settle_single_time(
    file: _File, grid: PageGrid, asked: _Asked, *, may_be_volume: bool
) -> PageGrid:
    """Find out whether the only time of a file is a volume, or a movie under a wrong name.

    Programs like to file any stack of pages as slices or as channels.
    """
    n_times, n_planes, n_channels = grid.pages.shape
    note = f"{file.table.path.name}: the description speaks of {{}} at one time; they were taken "
    note += "for the frames of a movie."
    if n_times > 1:
        return grid
    if n_planes > 1 and asked.plane is None and asked.n_planes is None:
        # Equal stacks, one per file, may be the volumes of a movie if they are as small as such.
        if may_be_volume and n_planes <= _MOST_PLANES:
            raise MovieError(
                f"{file.table.path} and the other files hold {n_planes} slices at one time; if "
                "these are planes, say which one to read with movie.plane; if they are frames, set "
                "movie.n_planes to 1."
            )
        return grid.as_times(note.format(f"{n_planes} slices"))
    single = n_planes == 1 and asked.channel is None and asked.n_channels is None
    if single and n_channels > _MOST_CHANNELS:
        return grid.as_times(note.format(f"{n_channels} channels"))
    return grid


def _arrange(files: list[_File], asked: _Asked, known: Sequence[str] = ()) -> Movie:
    """Find the pages of the wanted channel and plane."""
    first = files[0]
    if first.header is not None and first.header.problem is not None:
        raise MovieError(f"{first.table.path}: {first.header.problem}.")
    notes = [*known, *(note for file in files for note in _pages_notes(file))]
    _check_cut_files(files)
    notes += [note for file in files if file.grid is not None for note in file.grid.notes]
    channels = _channels(first, asked, notes)
    channel = _choose(first.table.path, "channel", channels, asked.channel)
    volumes = _volumes(first, asked, notes)
    plane = _choose(first.table.path, "plane", tuple(range(1, volumes.n_planes + 1)), asked.plane)
    index = channels.index(channel)
    wanted_shape = (volumes.n_planes, len(channels))
    as_stated = all(f.grid is not None and f.grid.pages.shape[1:] == wanted_shape for f in files)
    if as_stated:
        frames = _from_grids(files, plane - 1, index)
    else:
        frames = _from_turns(files, plane - 1, index, volumes, len(channels), notes)
    if not len(frames.page):
        raise MovieError(
            f"{first.table.path}: {sum(file.table.n_pages for file in files)} pages make no whole "
            f"frame of {len(channels)} channels and {volumes.n_planes} planes."
        )
    if first.header is not None:
        _note_header(first, frames.n_clock, notes)
    metadata = replace(
        first.metadata,
        frame_rate=_frame_rate(first, volumes),
        frames_written=frames.n_clock,
        channels_saved=channels if first.channels or asked.n_channels else None,
        n_planes=volumes.n_planes if first.metadata.n_planes or asked.n_planes else None,
    )
    return Movie(
        sources=[file.table for file in files],
        frame_file=frames.file,
        frame_page=frames.page,
        clock_index=frames.clock,
        n_clock_frames=frames.n_clock,
        metadata=metadata,
        channel=channel,
        plane=plane,
        n_planes=volumes.n_planes,
        notes=notes,
        choose=lambda c, p: _arrange(files, replace(asked, channel=c, plane=p), known),
    )


def _pages_notes(file: _File) -> list[str]:
    """Say what is unusual about the pages of a file."""
    table = file.table
    notes = list(table.notes)
    if table.cut is None and file.grid is None and table.n_recorded > table.n_pages:
        notes.append(
            f"{table.path.name}: the description speaks of {table.n_recorded} pages, but the file "
            f"links {table.n_pages}; these were used. Was the recording interrupted, or the file "
            "not copied whole?"
        )
    return notes


def _check_cut_files(files: list[_File]) -> None:
    """Refuse a file that was cut off in the middle of a movie whose frames have no numbers."""
    for file in files[:-1]:
        if file.table.cut is not None and file.header is None:
            raise MovieError(
                f"{file.table.path} is cut off ({file.table.cut}), and other files follow, so that "
                "it is not known how many frames are missing; copy the file again from its source."
            )


def _movie_of_set(found: FileSet, asked: _Asked) -> Movie:
    """Take the frames of one plane and channel out of a recording that says where they are."""
    notes = list(found.notes)
    file, page, times, channels = found.file, found.page, found.times, found.channels
    metadata, n_recorded, stride = found.metadata, found.n_recorded, found.clock_stride
    stated = file.shape[1:]
    wanted = (asked.n_planes or stated[0], asked.n_channels or stated[1])
    if wanted != stated:
        notes.append(
            f"The files say that they hold {stated[0]} planes and {stated[1]} channels; "
            f"n_planes = {wanted[0]} and n_channels = {wanted[1]} were asked for and used."
        )
        n_used = file.size // math.prod(wanted) * math.prod(wanted)
        file, page = (a.ravel()[:n_used].reshape(-1, *wanted) for a in (file, page))
        times, n_recorded = np.arange(len(file), dtype=np.int64), len(file)
        stride = wanted[0]
        channels = tuple(range(1, wanted[1] + 1))
        if metadata.frame_rate is not None:
            rate = metadata.frame_rate * wanted[0] / stated[0]
            metadata = replace(metadata, frame_rate=rate)
    path, n_planes = found.sources[0].path, wanted[0]
    channel = _choose(path, "channel", channels, asked.channel)
    plane = _choose(path, "plane", tuple(range(1, n_planes + 1)), asked.plane)
    index = channels.index(channel)
    n_clock = n_recorded * stride
    return Movie(
        sources=found.sources,
        frame_file=np.ascontiguousarray(file[:, plane - 1, index]),
        frame_page=np.ascontiguousarray(page[:, plane - 1, index]),
        clock_index=_clock_of(found, times, stride, plane, n_planes),
        n_clock_frames=n_clock,
        metadata=replace(
            metadata, frames_written=n_clock, channels_saved=channels, n_planes=n_planes
        ),
        channel=channel,
        plane=plane,
        n_planes=n_planes,
        notes=notes,
        choose=lambda c, p: _movie_of_set(found, replace(asked, channel=c, plane=p)),
    )


def _clock_of(
    found: FileSet, times: NDArray[np.int64], stride: int, plane: int, n_planes: int
) -> NDArray[np.int64]:
    """Return the frame of the clock in which a plane, counted from 1, was recorded at each time."""
    slot = np.full(len(times), plane - 1, dtype=np.int64)
    if found.both_ways and n_planes == found.file.shape[1]:
        slot[times % 2 == 1] = n_planes - plane
    return np.asarray((times - times[0]) * stride + slot)


def _channels(first: _File, asked: _Asked, notes: list[str]) -> tuple[int, ...]:
    """Return the channels whose pages take turns."""
    stated = first.channels
    if asked.n_channels is None or (stated and len(stated) == asked.n_channels):
        return stated or (1,)
    if stated:
        notes.append(
            f"The file says that it holds {len(stated)} channels; n_channels = "
            f"{asked.n_channels} was asked for and used, and channels are counted from 1."
        )
    return tuple(range(1, asked.n_channels + 1))


def _volumes(first: _File, asked: _Asked, notes: list[str]) -> VolumeLayout:
    """Return the order of the planes."""
    stated = VolumeLayout()
    if first.grid is not None:
        n_stated = first.grid.n_planes
        stated = VolumeLayout(n_planes=n_stated, frames_per_volume=n_stated)
    elif first.header is not None:
        stated = first.header.volumes
    if asked.n_planes is None or asked.n_planes == stated.n_planes:
        return stated
    if first.grid is not None or first.header is not None:
        notes.append(
            f"The file says that it holds {stated.n_planes} planes; n_planes = {asked.n_planes} "
            "was asked for and used."
        )
    return VolumeLayout(n_planes=asked.n_planes, frames_per_volume=asked.n_planes)


def _frame_rate(first: _File, volumes: VolumeLayout) -> float | None:
    """Return the rate of the frame clock for the number of planes that is used.

    ScanImage states the rate of frames. Others state the time between volumes, which was turned
    into the rate of frames by the number of planes that the file speaks of.
    """
    rate = first.metadata.frame_rate
    if rate is None or first.grid is None:
        return rate
    return rate * volumes.n_planes / first.grid.n_planes


def _choose(path: Path, what: str, there: tuple[int, ...], asked: int | None) -> int:
    """Return the channel or plane to read."""
    listed = ", ".join(map(str, there))
    if asked is None:
        if len(there) > 1:
            raise MovieError(
                f"{path} holds {len(there)} {what}s ({listed}); say which one to read "
                f"with movie.{what}."
            )
        return there[0]
    if asked not in there:
        raise MovieError(f"{path}: movie.{what} is {asked}, but the file holds {what} {listed}.")
    return asked


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Frames:
    """Where the frames of a movie are, and when the clock counted them."""

    file: NDArray[np.int64]
    page: NDArray[np.int64]
    clock: NDArray[np.int64]
    n_clock: int


def _from_grids(files: list[_File], plane: int, channel: int) -> _Frames:
    """Take the frames of one plane and channel where files say what each page is."""
    pages, numbers, clocks = [], [], []
    n_clock = 0
    for number, file in enumerate(files):
        if file.grid is None:
            continue
        n_times, n_planes, _ = file.grid.pages.shape
        n_clock += -(-file.n_before // file.grid.pages[0].size) * n_planes if n_times else 0
        pages.append(file.grid.pages[:, plane, channel])
        numbers.append(np.full(n_times, number, dtype=np.int64))
        clocks.append(n_clock + plane + n_planes * np.arange(n_times, dtype=np.int64))
        n_clock += n_times * n_planes
        n_missing = file.table.n_recorded - file.table.n_pages
        n_clock += -(-n_missing // file.grid.pages[0].size) * n_planes if n_times else 0
    return _Frames(
        file=np.concatenate(numbers),
        page=np.concatenate(pages),
        clock=np.concatenate(clocks),
        n_clock=n_clock,
    )


def _from_turns(
    files: list[_File],
    plane: int,
    channel: int,
    volumes: VolumeLayout,
    n_channels: int,
    notes: list[str],
) -> _Frames:
    """Take the frames of one plane and channel where pages take turns: channels, then planes.

    A volume may begin in one file and end in the next; the channels of a frame may not.
    """
    n_frames = [file.table.n_pages // n_channels for file in files]
    for file in files:
        rest = file.table.n_pages % n_channels
        if rest:
            notes.append(
                f"{file.table.path.name}: {file.table.n_pages} pages are no multiple of "
                f"{n_channels} channels; the last {rest} were left out."
            )
    number, clock = _frame_numbers(files, n_frames, n_channels, notes)
    file_index = np.repeat(np.arange(len(files), dtype=np.int64), n_frames)
    local = np.concatenate([np.arange(n, dtype=np.int64) for n in n_frames])
    n_clock = int(clock[-1]) + 1 if len(clock) else 0
    # A frame of which only some channels, or a part of the page, were written was counted as well.
    last = files[-1].table
    n_clock += -(-last.n_recorded // n_channels) - last.n_pages // n_channels
    kept = np.ones(len(number), dtype=bool)
    if volumes.n_planes > 1 and len(number):
        stride = volumes.frames_per_volume
        volume, slot = np.divmod(number, stride)
        kept = slot // volumes.repeats == plane
        # The first and the last volume may be incomplete; of those between none is cut.
        begin, end = -(-int(number[0]) // stride), (int(number[-1]) + 1) // stride
        whole = (volume >= begin) & (volume < end)
        if not whole.all():
            notes.append(
                f"{np.count_nonzero(~whole)} of {len(number)} frames belong to a volume of "
                f"{stride} frames that was not finished, and were left out."
            )
        kept &= whole
    return _Frames(
        file=file_index[kept],
        page=local[kept] * n_channels + channel,
        clock=clock[kept],
        n_clock=n_clock,
    )


def _frame_numbers(
    files: list[_File], n_frames: list[int], n_channels: int, notes: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return number and clock frame, both from 0, of each frame in all files.

    ScanImage numbers its frames, so that lost ones and missing files show. Only the first and
    the last number of each file are read unless these do not agree with its length.
    """
    header = files[0].header
    n_counted = [
        max(n, file.table.n_recorded // n_channels) for n, file in zip(n_frames, files, strict=True)
    ]
    before_each = np.array([file.n_before // n_channels for file in files], np.int64)
    begins = np.cumsum([0, *n_counted[:-1]]) + np.cumsum(before_each)
    in_order = np.concatenate(
        [begin + np.arange(n, dtype=np.int64) for begin, n in zip(begins, n_frames, strict=True)]
    )
    if header is None or not all(n_frames):
        return in_order, in_order.copy()
    numbers, clocks = [], []
    next_clock, next_number = 0, None
    before: Path | None = None
    for file, n in zip(files, n_frames, strict=True):
        own = _own_numbers(file, n, n_channels, notes)
        if own is None:
            return in_order, in_order.copy()
        first, last = int(own[0]), int(own[-1])
        missing = 0
        if next_number is None:
            if first > 0:
                lost = _names_between(None, file.table.path)
                notes.append(
                    f"{file.table.path.name} begins with frame {first + 1} of the recording: "
                    f"frames 1 to {first} are missing{f' ({lost})' if lost else ''}. The frame "
                    "clock was taken to begin with the files; if it counted those frames, add the "
                    "files that are missing."
                )
        elif first < next_number:
            notes.append(
                f"{file.table.path.name}: frame numbers begin again; it was taken for recorded "
                "right after the file before it."
            )
        elif first > next_number:
            missing = first - next_number
            lost = _names_between(before, file.table.path)
            notes.append(
                f"{missing} frames are missing before {file.table.path.name} (it begins with "
                f"frame {first + 1}{f'; {lost}' if lost else ''}); the frame clock was taken to "
                "have counted them."
            )
        next_clock += missing
        numbers.append(own)
        clocks.append(own - first + next_clock)
        next_clock += last - first + 1
        next_number, before = last + 1, file.table.path
    number = np.concatenate(numbers)
    if (np.diff(number) < 1).any():
        # Several recordings in a row: each begins with a whole volume.
        number = np.concatenate(clocks)
    return number, np.concatenate(clocks)


def _names_between(before: Path | None, after: Path) -> str:
    """Name the files that are missing between two, by the last number in their names.

    Counted from 1 where there is no file before; nothing if the names do not tell.
    """
    match = _LAST_NUMBER.fullmatch(after.name)
    if match is None:
        return ""
    first = 1
    if before is not None:
        other = _LAST_NUMBER.fullmatch(before.name)
        if other is None or (other[1], other[3]) != (match[1], match[3]):
            return ""
        first = int(other[2]) + 1
    numbers = range(first, int(match[2]))
    names = [f"{match[1]}{number:0{len(match[2])}d}{match[3]}" for number in numbers[:3]]
    if not names:
        return ""
    shown = ", ".join(names) + (f" and {len(numbers) - 3} more" if len(numbers) > 3 else "")
    return f"{shown} {'is' if len(numbers) == 1 else 'are'} not there"


def _own_numbers(
    file: _File, n_frames: int, n_channels: int, notes: list[str]
) -> NDArray[np.int64] | None:
    """Return the numbers of a file's frames, from 0, or None if it has none."""
    with PageReader(file.table) as reader:
        ends = [
            frame_number(text) for text in reader.descriptions([0, (n_frames - 1) * n_channels])
        ]
        first, last = ends
        if first is None or last is None or first < 1:
            return None
        if last - first + 1 == n_frames:
            return np.arange(first - 1, last, dtype=np.int64)
        pages = range(0, n_frames * n_channels, n_channels)
        found = [frame_number(text) for text in reader.descriptions(pages)]
    numbers = np.asarray([-1 if number is None else number - 1 for number in found], np.int64)
    steps = np.diff(numbers)
    if (numbers < 0).any() or (steps < 1).any():
        notes.append(
            f"{file.table.path.name}: frame numbers do not rise steadily; pages were counted."
        )
        return None
    gaps = np.flatnonzero(steps > 1)
    notes.append(
        f"{file.table.path.name}: {int(steps[gaps].sum()) - len(gaps)} frames are missing at "
        f"{len(gaps)} places (the first after frame {numbers[gaps[0]] + 1}); the frame clock was "
        "taken to have counted them."
    )
    return numbers


def _note_header(first: _File, n_clock: int, notes: list[str]) -> None:
    """Record where a ScanImage header and the pages do not agree."""
    header = first.header
    if header is None:
        return
    notes += header.notes
    lines = header.metadata.lines_per_frame
    if lines is not None and lines != first.table.shape[0]:
        notes.append(
            f"The header says {lines} lines per frame, but images are {first.table.shape[0]} "
            "pixels high."
        )
    if header.frames_planned is not None and n_clock < header.frames_planned:
        notes.append(f"The header planned {header.frames_planned} frames, {n_clock} were written.")
