"""Recordings in many files of which one place says what each file holds.

Opening takes time in proportion to the number of files: the description is read once, and of each
file only the few bytes that say where its pixels lie.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from derotation.errors import MovieError
from derotation.io.files import natural_sort, visible
from derotation.io.layout import ome_metadata, whole_times
from derotation.io.metadata import MovieMetadata
from derotation.io.ome import OmeImage, is_ome, read_ome, stub_target
from derotation.io.series import SeriesNames, read_series
from derotation.io.source import FrameSource
from derotation.io.tiff_page_table import read_description, read_page_table
from derotation.io.tiff_pages import PageTable

__all__ = [
    "FileSet",
    "check_tables_alike",
    "file_set",
    "note_other_files",
    "ome_set",
    "read_tables",
]

# Companions of other programs are small; this one is read whole.
_MOST_COMPANION_BYTES = 2**30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileSet:
    """A recording whose pages are known by time, plane and channel."""

    sources: Sequence[FrameSource]
    """The files."""
    times: NDArray[np.int64]
    """Number, from 0, of each time of which all planes and channels are there, ascending."""
    file: NDArray[np.int64]
    """Index in `sources` of each page, shape (n_times, n_planes, n_channels)."""
    page: NDArray[np.int64]
    """Number of the page in its file, of the same shape."""
    channels: tuple[int, ...]
    """Numbers of the channels."""
    metadata: MovieMetadata
    """What the files say besides."""
    n_recorded: int
    """Times that were recorded from the first one in the files on, as far as is known."""
    clock_stride: int
    """Frames of the clock from one time to the next: all planes, and those of the flyback."""
    both_ways: bool = False
    """Whether times of odd numbers went through the planes from the last to the first."""
    notes: tuple[str, ...] = ()
    """What a person should know, in plain words."""


def file_set(
    sources: Sequence[FrameSource],
    places: NDArray[np.int64],
    where: NDArray[np.int64],
    *,
    channels: Sequence[int],
    metadata: MovieMetadata,
    n_more: int = 0,
    clock_stride: int | None = None,
    both_ways: bool = False,
    notes: Sequence[str] = (),
) -> FileSet:
    """Put the pages of files in order, and count the times that are not whole.

    Parameters
    ----------
    sources
        The files.
    places
        File and page of each page, shape (n, 2).
    where
        Its time, plane and channel, shape (n, 3).
    channels
        Number of each channel that occurs in `where`, in its order.
    metadata
        What the files say besides.
    n_more
        Times recorded after the last one of `where`.
    clock_stride
        Frames of the clock from one time to the next; the number of planes by default.
    both_ways
        Whether times of odd numbers went through the planes from the last to the first.
    notes
        What is known already.

    Raises
    ------
    MovieError
        If no time is whole.
    """
    notes = list(notes)
    path = sources[0].path
    there = np.unique(where[:, 0])
    times, grid = whole_times(places, where)
    if not len(times):
        raise MovieError(
            f"{path}: none of {len(there)} times has a page of every plane and channel; are "
            "files missing?"
        )
    if len(times) < len(there):
        notes.append(
            f"{len(there) - len(times)} of {len(there)} times lack pages of some plane or channel "
            "and were left out."
        )
    if times[0] > 0:
        notes.append(
            f"The files begin with time {times[0] + 1} of the recording: times 1 to {times[0]} "
            "are missing; the frame clock was taken to begin with the files."
        )
    gaps = np.flatnonzero(np.diff(times) > 1)
    if len(gaps):
        n_missing = int((np.diff(times)[gaps] - 1).sum())
        notes.append(
            f"{n_missing} times are missing between the files, the first after time "
            f"{times[gaps[0]] + 1}; the frame clock was taken to have counted them."
        )
    last = int(there[-1]) + n_more
    return FileSet(
        sources=sources,
        times=times,
        file=grid[..., 0],
        page=grid[..., 1],
        channels=tuple(channels),
        metadata=metadata,
        n_recorded=last - int(times[0]) + 1,
        clock_stride=clock_stride or grid.shape[1],
        both_ways=both_ways,
        notes=tuple(notes),
    )


def read_tables(paths: Sequence[Path], first: PageTable | None = None) -> list[PageTable]:
    """Read where the pages of many files lie; a last file that was cut off may be missing.

    Parameters
    ----------
    paths
        The files, in order.
    first
        What is already known of the first one.

    Raises
    ------
    MovieError
        If a file but the last cannot be read, or if the files are not alike.
    """
    tables = [first or read_page_table(paths[0])]
    for path in paths[1:]:
        try:
            tables.append(read_page_table(path, describe=False))
        except MovieError:
            # The recording was stopped while this file was written.
            if path != paths[-1] or not path.exists():
                raise
            break
        check_tables_alike(tables[0], tables[-1])
    return tables


def check_tables_alike(first: FrameSource, other: FrameSource) -> None:
    """Refuse files whose images differ in size or type."""
    for name, wanted, found in (
        ("height x width", _size(first), _size(other)),
        ("pixel type", first.dtype, other.dtype),
    ):
        if wanted != found:
            raise MovieError(
                f"{other.path} has {name} {found}, but {first.path} has {wanted}; all files of a "
                "movie must be alike. Check which files the glob matches."
            )


def _size(source: FrameSource) -> str:
    return f"{source.shape[0]} x {source.shape[1]}"


def ome_set(first: PageTable, paths: Sequence[Path]) -> FileSet | None:
    """Arrange the files of a recording in OME-TIFF by one description of all of them.

    Parameters
    ----------
    first
        Pages of the first file.
    paths
        All files, in natural order.

    Returns
    -------
    FileSet or None
        None if each file describes itself.

    Raises
    ------
    MovieError
        If the files cannot be read, are not alike, or do not belong to the recording.
    """
    image, notes = _description(first)
    if image is not None:
        _refuse_strangers(image, paths)
    if image is not None and not image.names(paths[-1].name) and len(paths) > 1:
        text = read_description(paths[-1])
        if text and not stub_target(text):
            return None
    tables = read_tables(paths, first)
    n_more = len(paths) - len(tables)
    if n_more:
        notes.append(
            f"{paths[-1].name} is cut off or empty and was left out; its frame was taken to have "
            "been recorded."
        )
    placed = None if image is None else _by_name(tables, image)
    if placed is None:
        placed = _in_order(tables, image, notes, read_series([t.path for t in tables]))
    places, where = placed
    n_planes = len(np.unique(where[:, 1]))
    metadata = (
        MovieMetadata(source="ome", n_planes=1, software=first.software or None)
        if image is None
        else ome_metadata(image, first.software, n_planes)
    )
    channels = [int(channel) + 1 for channel in np.unique(where[:, 2])]
    return file_set(
        tables, places, where, channels=channels, metadata=metadata, n_more=n_more, notes=notes
    )


def _description(first: PageTable) -> tuple[OmeImage | None, list[str]]:
    """Read the description of the recording, wherever the first file says that it is."""
    text, path = first.description, first.path
    target = stub_target(text)
    if target is None:
        return read_ome(text, path), []
    companion = path.with_name(Path(target.replace("\\", "/")).name)
    if not companion.is_file():
        return None, [
            f"The files say that they are described in {companion.name}, which is not there; their "
            "pages were taken for frames in the order of the files' names."
        ]
    if companion.suffix.lower() in (".tif", ".tiff"):
        text = read_description(companion)
    elif companion.stat().st_size < _MOST_COMPANION_BYTES:
        text = companion.read_text(encoding="utf-8-sig", errors="replace")
    if not is_ome(text) or stub_target(text):
        raise MovieError(
            f"{companion}, in which {path.name} says that the recording is described, holds no OME "
            "description; copy it again."
        )
    return read_ome(text, companion), []


def note_other_files(table: PageTable) -> list[str]:
    """Say that a file which was given alone is one of several that its description names."""
    if "FileName" not in table.description or not is_ome(table.description):
        return []
    image = read_ome(table.description, table.path)
    if not image.names(table.path.name):
        return []
    others = [
        path.name for path in visible(table.path.parent, "*.tif", "*.tiff")
        if path != table.path and image.names(path.name)
    ]  # fmt: skip
    if not others:
        return []
    return [
        f"{table.path.name} is one of {len(others) + 1} files of one recording, as its OME "
        f"description says; only this one was read. For all of them write a pattern that matches "
        f"{natural_sort(others)[0]}, too, into the sheet's column movie."
    ]


def _refuse_strangers(image: OmeImage, paths: Sequence[Path]) -> None:
    """Refuse files beside several that one description names: those of another recording."""
    strangers = [path for path in paths if not image.names(path.name)]
    if strangers and len(paths) - len(strangers) > 1:
        named = next(path for path in paths if image.names(path.name))
        raise MovieError(
            f"{strangers[0]} is not part of the recording that the OME description of {named.name} "
            "speaks of; check which files the pattern in the sheet's column movie matches."
        )


def _by_name(
    tables: Sequence[PageTable], image: OmeImage
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Place the pages of files that the description names; None if it names none of them."""
    named = [image.names(table.path.name) for table in tables]
    if not any(named):
        return None
    if not all(named):
        stranger = tables[named.index(False)].path
        raise MovieError(
            f"{stranger} is not part of the recording that the OME description of "
            f"{tables[named.index(True)].path.name} speaks of; check which files the glob matches."
        )
    places, where = [], []
    for number, table in enumerate(tables):
        pages, at = image.pages(table.path.name, table.n_pages)
        places.append(np.stack([np.full_like(pages, number), pages], axis=1))
        where.append(at)
    return np.concatenate(places), np.concatenate(where)


def _in_order(
    tables: Sequence[PageTable], image: OmeImage | None, notes: list[str], series: SeriesNames
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Place the pages of files in the order of their names."""
    n_pages = [table.n_pages for table in tables]
    file = np.repeat(np.arange(len(tables), dtype=np.int64), n_pages)
    page = np.concatenate([np.arange(n, dtype=np.int64) for n in n_pages])
    lost = series.missing_pages([table.path for table in tables], n_pages)
    count = np.arange(len(file), dtype=np.int64) + np.repeat(np.cumsum(lost), n_pages)
    # Holes in what is counted are noted with the times.
    notes += series.notes
    if image is None or image.n_pages <= count[-1]:
        where = np.stack([count, np.zeros_like(count), np.zeros_like(count)], axis=1)
    else:
        where = image.where(count)
        notes.append(
            f"The OME description of {tables[0].path.name} does not name the other files; their "
            f"pages were taken in the order of the files' names (dimension order {image.order})."
        )
    return np.stack([file, page], axis=1), where
