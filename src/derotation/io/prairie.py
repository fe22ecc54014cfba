"""Recordings of Bruker's Prairie View: a folder of TIFFs with an `.xml` that describes all of them.

The `.xml` lists each frame's files by channel, one page per file or several, and states how the
microscope was set. What an older version wrote in other words is looked up under these as well.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from derotation.errors import MovieError
from derotation.io.file_set import FileSet, file_set, read_tables
from derotation.io.files import natural_sort
from derotation.io.metadata import MovieMetadata
from derotation.io.numbers import MOST_PAGES, positive, whole
from derotation.io.xml_text import read_xml

__all__ = ["open_prairie", "prairie_metadata"]


@dataclass
class _Description:
    """What the `.xml` says."""

    state: dict[str, str] = field(default_factory=dict)
    """Settings of the microscope; those by axis as "name/axis"."""
    version: str = ""
    cycles: list[list[dict[int, tuple[str, int]]]] = field(default_factory=list)
    """For each cycle its frames: file and page (from 1) by channel."""
    both_ways: bool = False
    """Whether every second cycle goes through the planes from the last to the first."""
    kinds: set[str] = field(default_factory=set)
    """Types of the sequences."""


def open_prairie(description: Path, only: Collection[str] | None = None) -> FileSet:
    """Find out which page of which file is which time, plane and channel.

    Parameters
    ----------
    description
        The recording's `.xml`; its files are beside it.
    only
        Names of the files that are wanted; None: all that the `.xml` lists.

    Returns
    -------
    FileSet

    Raises
    ------
    MovieError
        If the description is damaged, or if files are missing or not alike.
    """
    said = _read(description)
    # Cycles of a Z series are volumes; those of a time series go on where the last one ended.
    is_volume = any("zseries" in kind.casefold() for kind in said.kinds)
    n_planes = max((len(cycle) for cycle in said.cycles), default=1) if is_volume else 1
    pages = _wanted(_pages(said, is_volume, n_planes), description, only)
    names = list(dict.fromkeys(page.file for page in pages))
    notes = []
    both_ways = is_volume and said.both_ways and n_planes > 1
    if both_ways:
        notes.append(
            f"{description.name}: every second volume was recorded from the last plane to the "
            "first (bidirectionalZ); planes were put in order, each with its own times."
        )
    there = _files_there(description, names, notes)
    tables = read_tables([description.parent / name for name in there])
    index_of = {table.path.name: number for number, table in enumerate(tables)}
    known = [
        page
        for page in pages
        if page.file in index_of and 0 <= page.page < tables[index_of[page.file]].n_pages
    ]
    if not known:
        raise MovieError(f"{description} lists pages that its files do not have.")
    numbers = sorted({page.channel for page in pages})
    return file_set(
        tables,
        np.array([(index_of[page.file], page.page) for page in known], np.int64),
        np.array([(p.time, p.plane, numbers.index(p.channel)) for p in known], np.int64),
        channels=[c for c in numbers if any(page.channel == c for page in known)],
        metadata=_metadata(said, n_planes),
        n_more=max(page.time for page in pages) - max(page.time for page in known),
        both_ways=both_ways,
        notes=notes,
    )


class _Page(NamedTuple):
    """A picture that the `.xml` lists."""

    file: str
    page: int
    """From 0."""
    time: int
    plane: int
    channel: int


def _pages(said: _Description, is_volume: bool, n_planes: int) -> list[_Page]:
    """List all pictures with their times and planes, in order."""
    pages: list[_Page] = []
    time = 0
    for number, cycle in enumerate(cycle for cycle in said.cycles if cycle):
        is_back = said.both_ways and number % 2 == 1
        for index, files in enumerate(cycle):
            slot = n_planes - 1 - index if is_back else index
            at, plane = (time, slot) if is_volume else (time + index, 0)
            pages += [_Page(name, page - 1, at, plane, c) for c, (name, page) in files.items()]
        time += 1 if is_volume else len(cycle)
    return pages


def _wanted(pages: list[_Page], description: Path, only: Collection[str] | None) -> list[_Page]:
    """Keep the pictures of the files that are wanted; refuse files that are not listed."""
    if not pages:
        raise MovieError(f"{description} lists no frames; was the recording aborted at once?")
    if only is None:
        return pages
    kept = [page for page in pages if page.file in only]
    if not kept:
        raise MovieError(
            f"{description} lists none of the {len(only)} files that the pattern matches; do "
            "they belong to another recording?"
        )
    strangers = natural_sort(set(only).difference(page.file for page in kept))
    if strangers:
        raise MovieError(
            f"{description.parent / strangers[0]} is not part of the recording that {description} "
            "describes; check which files the pattern matches."
        )
    return kept


def _files_there(description: Path, names: list[str], notes: list[str]) -> list[str]:
    """Keep the files that are there, and note how many are not."""
    folder = description.parent
    there = [name for name in names if (folder / name).is_file()]
    if not there:
        raise MovieError(
            f"{description} lists {len(names)} files, of which none is in {folder}; are the files "
            f"that it names missing, or renamed? The first is {names[0]}."
        )
    if len(there) < len(names):
        missing = next(name for name in names if name not in there)
        notes.append(
            f"{description.name} lists {len(names)} files, of which {len(names) - len(there)} are "
            f"not there, the first {missing}."
        )
    return there


def prairie_metadata(description: Path) -> MovieMetadata:
    """Read what the `.xml` says about how a movie was recorded."""
    return _metadata(_read(description), 1)


def _read(path: Path) -> _Description:
    """Go through the file once; the state of the microscope is that before the first frame."""
    said = _Description()
    key, axis, in_frame, n_pages = "", "", False, 0
    frame: dict[int, tuple[str, int]] = {}
    for event, element in read_xml(path):
        name = element.tag
        if event == "start":
            if name == "PVScan":
                said.version = element.get("version", "")
            elif name == "Sequence":
                said.cycles.append([])
                said.kinds.add(element.get("type", ""))
                if element.get("bidirectionalZ", "").strip().casefold() == "true":
                    said.both_ways = True
            elif name == "Frame":
                in_frame, frame = True, {}
            elif name in ("PVStateValue", "Key"):
                key = element.get("key", "")
                _note(said.state, key, element.get("value"))
            elif name == "SubindexedValues":
                axis = element.get("index", "")
            elif name == "IndexedValue":
                _note(said.state, f"{key}/{element.get('index')}", element.get("value"))
            elif name == "SubindexedValue":
                _note(said.state, f"{key}/{axis}", element.get("value"))
            continue
        if name == "File" and in_frame:
            channel, file = whole(element.get("channel")), element.get("filename")
            page = whole(element.get("page", "1"))
            # Only files of the folder itself: a path in a damaged one must lead nowhere else.
            if channel is None or not file or page is None or Path(file).name != file:
                raise MovieError(
                    f"{path} is damaged: it lists a file as {dict(element.attrib)}. Copy it again."
                )
            frame[channel] = (file, page)
        elif name == "Frame":
            in_frame = False
            n_pages += len(frame)
            if said.cycles and frame:
                said.cycles[-1].append(frame)
            if n_pages > MOST_PAGES:
                raise MovieError(f"{path} lists more frames than any recording has.")
        if name in ("Frame", "PVStateShard"):
            element.clear()
    return said


def _note(state: dict[str, str], key: str, value: str | None) -> None:
    """Keep the first value of a setting."""
    if value is not None and key:
        state.setdefault(key, value)


def _metadata(said: _Description, n_planes: int) -> MovieMetadata:
    state = said.state
    period = positive(state.get("framePeriod"))
    averaged = whole(state.get("rastersPerFrame")) or 1
    size = positive(state.get("micronsPerPixel/XAxis")) or positive(
        state.get("micronsPerPixel_XAxis")
    )
    position = tuple(
        float(value)
        for value in (state.get(f"positionCurrent/{axis}") for axis in ("XAxis", "YAxis", "ZAxis"))
        if value is not None and _is_number(value)
    )
    if averaged > 1:
        raise MovieError(
            f"Prairie View averaged {averaged} rasters to each saved frame: lines of different "
            "times and angles are mixed, so that they cannot be derotated. Record without "
            "averaging."
        )
    return MovieMetadata(
        source="prairie",
        frame_rate=1 / period if period else None,
        lines_per_frame=whole(state.get("linesPerFrame")),
        bidirectional=_bidirectional(state),
        n_planes=n_planes,
        line_period_s=positive(state.get("scanLinePeriod")),
        pixel_size_um=size,
        stage_position_um=position if len(position) == 3 else None,
        software=f"Prairie View {said.version}".strip(),
    )


def _bidirectional(state: Mapping[str, str]) -> bool | None:
    """Tell whether lines are scanned both ways; a resonant scanner always does."""
    said = state.get("bidirectionalScan", state.get("bidirectional"))
    if said is not None:
        return said.strip().casefold() in ("true", "1", "yes")
    mode = state.get("activeMode", "")
    return True if "resonant" in mode.casefold() else None


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
