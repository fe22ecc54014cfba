"""Which page of which TIFF file is which frame, and when the clock counted it."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from derotation.io.scanimage import VolumeLayout, frame_number
from derotation.io.tiff_file import MovieFile
from derotation.io.tiff_pages import PageReader

__all__ = ["Frames", "frames_from_grids", "frames_from_turns"]

# A name up to its last number, that number, and the rest: file_00001_00002.tif.
_LAST_NUMBER = re.compile(r"(.*?)(\d+)(\D*)")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frames:
    """Where the frames of a movie are, and when the clock counted them."""

    file: NDArray[np.int64]
    page: NDArray[np.int64]
    clock: NDArray[np.int64]
    n_clock: int


def frames_from_grids(files: list[MovieFile], plane: int, channel: int) -> Frames:
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
    return Frames(
        file=np.concatenate(numbers),
        page=np.concatenate(pages),
        clock=np.concatenate(clocks),
        n_clock=n_clock,
    )


def frames_from_turns(
    files: list[MovieFile],
    plane: int,
    channel: int,
    volumes: VolumeLayout,
    n_channels: int,
    notes: list[str],
) -> Frames:
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
    return Frames(
        file=file_index[kept],
        page=local[kept] * n_channels + channel,
        clock=clock[kept],
        n_clock=n_clock,
    )


def _frame_numbers(
    files: list[MovieFile], n_frames: list[int], n_channels: int, notes: list[str]
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
    file: MovieFile, n_frames: int, n_channels: int, notes: list[str]
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
