"""TIFF files that make one movie."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from derotation.errors import MovieError
from derotation.io.file_set import note_other_files, ome_set
from derotation.io.file_set_movie import movie_of_set
from derotation.io.layout import PageGrid
from derotation.io.lazy_movie import Movie
from derotation.io.ome import is_ome, stub_target
from derotation.io.plane_and_channel import Asked, choose
from derotation.io.prairie import open_prairie
from derotation.io.recordings import prairie_of_files
from derotation.io.scanimage import VolumeLayout
from derotation.io.series import SeriesNames, read_series
from derotation.io.tiff_file import MovieFile, check_alike, read_file, try_first_page
from derotation.io.tiff_frames import frames_from_grids, frames_from_turns
from derotation.io.tiff_page_table import read_page_table

__all__ = ["open_tiffs"]

# More than any microscope records at once: such a stack of pages must be a movie.
_MOST_PLANES = 64
_MOST_CHANNELS = 4
# ImageJ names a projection after the stack that it was made of.
_PROJECTION = re.compile(r"(?:AVG|MAX|MIN|SUM|STD|MED)_(.+)")


def open_tiffs(paths: list[Path], asked: Asked) -> Movie:
    """Open TIFF files that make one movie."""
    _refuse_projections(paths)
    first = read_page_table(paths[0])
    description = prairie_of_files(paths)
    if description is not None:
        try_first_page(first)
        return movie_of_set(open_prairie(description, {path.name for path in paths}), asked)
    if is_ome(first.description) and (len(paths) > 1 or stub_target(first.description)):
        try_first_page(first)
        found = ome_set(first, paths)
        if found is not None:
            return movie_of_set(found, asked)
    series = read_series(paths)
    known = note_other_files(first) if len(paths) == 1 else []
    files = [read_file(first), *(read_file(read_page_table(path)) for path in paths[1:])]
    files = _settle_grids(files, asked)
    for file in files[1:]:
        check_alike(files[0], file)
    known += _series_notes(files, series)
    return _arrange(_with_missing_files(files, series), asked, known)


def _with_missing_files(files: list[MovieFile], series: SeriesNames) -> list[MovieFile]:
    """Note for each file how many pages are missing before it, where frames have no numbers."""
    if files[0].header is not None:
        return files
    missing = series.missing_pages(*_lengths(files))
    return [replace(file, n_before=n) for file, n in zip(files, missing, strict=True)]


def _series_notes(files: list[MovieFile], series: SeriesNames) -> list[str]:
    """Say what the names of the files tell; ScanImage's frames have numbers that tell more."""
    if files[0].header is not None:
        return []
    return [*series.notes, *series.missing_note(*_lengths(files))]


def _lengths(files: list[MovieFile]) -> tuple[list[Path], list[int]]:
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


def _settle_grids(files: list[MovieFile], asked: Asked) -> list[MovieFile]:
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


def _n_pages_of_grid(file: MovieFile) -> int | None:
    """Return how many pages a file arranges, or None if it does not."""
    return None if file.grid is None else int(file.grid.pages.size)


def _settle_single_time(
    file: MovieFile, grid: PageGrid, asked: Asked, *, may_be_volume: bool
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


def _arrange(files: list[MovieFile], asked: Asked, known: Sequence[str] = ()) -> Movie:
    """Find the pages of the wanted channel and plane."""
    first = files[0]
    if first.header is not None and first.header.problem is not None:
        raise MovieError(f"{first.table.path}: {first.header.problem}.")
    notes = [*known, *(note for file in files for note in _pages_notes(file))]
    _check_cut_files(files)
    notes += [note for file in files if file.grid is not None for note in file.grid.notes]
    channels = _channels(first, asked, notes)
    channel = choose(first.table.path, "channel", channels, asked.channel)
    volumes = _volumes(first, asked, notes)
    plane = choose(first.table.path, "plane", tuple(range(1, volumes.n_planes + 1)), asked.plane)
    index = channels.index(channel)
    wanted_shape = (volumes.n_planes, len(channels))
    as_stated = all(f.grid is not None and f.grid.pages.shape[1:] == wanted_shape for f in files)
    if as_stated:
        frames = frames_from_grids(files, plane - 1, index)
    else:
        frames = frames_from_turns(files, plane - 1, index, volumes, len(channels), notes)
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


def _pages_notes(file: MovieFile) -> list[str]:
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


def _check_cut_files(files: list[MovieFile]) -> None:
    """Refuse a file that was cut off in the middle of a movie whose frames have no numbers."""
    for file in files[:-1]:
        if file.table.cut is not None and file.header is None:
            raise MovieError(
                f"{file.table.path} is cut off ({file.table.cut}), and other files follow, so that "
                "it is not known how many frames are missing; copy the file again from its source."
            )


def _channels(first: MovieFile, asked: Asked, notes: list[str]) -> tuple[int, ...]:
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


def _volumes(first: MovieFile, asked: Asked, notes: list[str]) -> VolumeLayout:
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


def _frame_rate(first: MovieFile, volumes: VolumeLayout) -> float | None:
    """Return the rate of the frame clock for the number of planes that is used.

    ScanImage states the rate of frames. Others state the time between volumes, which was turned
    into the rate of frames by the number of planes that the file speaks of.
    """
    rate = first.metadata.frame_rate
    if rate is None or first.grid is None:
        return rate
    return rate * volumes.n_planes / first.grid.n_planes


def _note_header(first: MovieFile, n_clock: int, notes: list[str]) -> None:
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
