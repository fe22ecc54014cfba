"""Opening movies, whatever program wrote them; frames are read a chunk at a time."""

import glob
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from derotation.errors import ConfigError, MovieError
from derotation.io.file_set import FileSet
from derotation.io.file_set_movie import movie_of_set
from derotation.io.files import natural_sort
from derotation.io.hdf5_movie import SUFFIXES, open_hdf5_movie
from derotation.io.lazy_movie import UNDO, Movie
from derotation.io.metadata import MovieMetadata
from derotation.io.plane_and_channel import Asked
from derotation.io.prairie import open_prairie, prairie_metadata
from derotation.io.recordings import Recording, holds_recordings, recording_at, recording_files
from derotation.io.scanbox import open_scanbox
from derotation.io.scanimage import parse_header
from derotation.io.thor import open_thor, thor_metadata
from derotation.io.tiff_file import read_file, try_first_page
from derotation.io.tiff_movie import open_tiffs
from derotation.io.tiff_page_table import read_first_page, read_page_table
from derotation.io.tiff_pages import PageTable

__all__ = [
    "Movie",
    "MovieMetadata",
    "is_recording",
    "movie_files",
    "open_movie",
    "recording_metadata",
]

logger = logging.getLogger(__name__)


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
    asked = Asked(channel=channel, plane=plane, n_planes=n_planes, n_channels=n_channels)
    recording = recording_at(Path(pattern))
    if recording is not None and asked.channel is None:
        # A file of one channel means that channel.
        asked = replace(asked, channel=recording.channel)
    found = _described(Path(pattern), dataset, recording)
    if found is None:
        movie = open_tiffs(_find_files(pattern), asked)
    else:
        if isinstance(found.sources[0], PageTable):
            try_first_page(found.sources[0])
        movie = movie_of_set(found, asked)
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
    return read_file(read_page_table(path)).metadata


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
