"""Recordings of ThorImage: a folder with `Experiment.xml`, and TIFFs or one `.raw`."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from derotation.errors import MovieError
from derotation.io.file_set import FileSet, file_set, read_tables
from derotation.io.files import natural_sort, visible
from derotation.io.metadata import MovieMetadata
from derotation.io.numbers import positive, whole
from derotation.io.raw_frames import RawFrames
from derotation.io.xml_text import read_xml

__all__ = ["open_thor", "thor_metadata"]

# Channel, three counters (of regions or planes) and the time: ChanA_001_001_001_001.tif.
_NAME = re.compile(r"(?P<channel>.+?)_(?P<numbers>\d+(?:_\d+)*)\.tiff?", re.IGNORECASE)
_MOST_SIDE = 2**15


@dataclass
class _Experiment:
    """What `Experiment.xml` says."""

    lsm: dict[str, str] = field(default_factory=dict)
    wavelengths: list[str] = field(default_factory=list)
    n_planes: int = 1
    n_flyback: int = 0
    n_frames: int | None = None
    """Frames of each channel that were to be streamed, all planes and flyback included."""
    n_times: int | None = None
    """Times that were planned otherwise."""
    software: str = ""

    @property
    def n_planned(self) -> int | None:
        """Frames of each channel that were planned, None if not known."""
        if self.n_frames is not None or self.n_times is None:
            return self.n_frames
        return self.n_times * (self.n_planes + self.n_flyback)


def open_thor(description: Path, raw: Path | None = None) -> FileSet:
    """Find out which page of which file is which time, plane and channel.

    Parameters
    ----------
    description
        The recording's `Experiment.xml`; its files are beside it.
    raw
        The `.raw` that is meant; None: all that are there.

    Returns
    -------
    FileSet

    Raises
    ------
    MovieError
        If the description is damaged, if there are no frames, if they are not alike, or if they
        are those of several recordings.
    """
    said, folder = _read(description), description.parent
    raws = [raw] if raw else natural_sort(visible(folder, "*.raw"))
    raws = [path for path in raws if path.stat().st_size]
    if raws:
        return _raw_set(raws, said, description)
    return _tiff_set(folder, said)


def thor_metadata(description: Path) -> MovieMetadata:
    """Read what `Experiment.xml` says about how a movie was recorded."""
    return _metadata(_read(description))


def _read(path: Path) -> _Experiment:
    said = _Experiment()
    for event, element in read_xml(path):
        if event == "start":
            continue
        name = element.tag
        if name == "LSM":
            said.lsm = dict(element.attrib)
        elif name == "Wavelength":
            said.wavelengths.append(element.get("name", ""))
        elif name == "ZStage" and whole(element.get("enable", "1")) != 0:
            said.n_planes = max(1, whole(element.get("steps")) or 1)
        elif name == "Timelapse":
            said.n_times = whole(element.get("timepoints"))
        elif name == "Streaming":
            if whole(element.get("zFastEnable")) == 1 and whole(element.get("enable", "1")):
                said.n_flyback = max(0, whole(element.get("flybackFrames")) or 0)
            elif whole(element.get("enable", "0")) == 1:
                # Streaming at one depth: the stage did not move.
                said.n_planes = 1
            if whole(element.get("enable", "1")):
                said.n_frames = whole(element.get("frames")) or None
        elif name == "Software":
            said.software = element.get("version", "")
    if whole(said.lsm.get("averageMode")) == 1 and (whole(said.lsm.get("averageNum")) or 1) > 1:
        raise MovieError(
            f"{path}: each saved frame is the average of {said.lsm['averageNum']} recorded ones: "
            "lines of different times and angles are mixed, so that they cannot be derotated. "
            "Record without averaging."
        )
    return said


def _metadata(said: _Experiment) -> MovieMetadata:
    lsm, rate = said.lsm, positive(said.lsm.get("frameRate"))
    two_ways = whole(lsm.get("twoWay"))
    if two_ways is None:
        # ThorImage's scan modes: 0 scans both ways, 1 one way.
        mode = whole(lsm.get("scanMode"))
        two_ways = None if mode is None else int(mode == 0)
    return MovieMetadata(
        source="thor",
        frame_rate=rate,
        lines_per_frame=whole(lsm.get("pixelY")),
        bidirectional=None if two_ways is None else two_ways == 1,
        n_planes=said.n_planes,
        pixel_size_um=positive(lsm.get("pixelSizeUM")),
        software=f"ThorImage {said.software}".strip(),
    )


def _shape(said: _Experiment, description: Path) -> tuple[int, int]:
    height, width = (whole(said.lsm.get(key)) or 0 for key in ("pixelY", "pixelX"))
    if not (0 < height <= _MOST_SIDE and 0 < width <= _MOST_SIDE):
        raise MovieError(
            f"{description} is damaged: it says that frames are "
            f"{said.lsm.get('pixelX')} x {said.lsm.get('pixelY')} pixels. Copy it again."
        )
    return height, width


def _raw_set(paths: list[Path], said: _Experiment, description: Path) -> FileSet:
    """Take frames in the order in which they were recorded: channel, plane, flyback, time."""
    shape = _shape(said, description)
    stored = np.dtype("<u2")
    page_bytes = shape[0] * shape[1] * stored.itemsize
    sources = [
        RawFrames(path=path, shape=shape, n_pages=path.stat().st_size // page_bytes, stored=stored)
        for path in paths
    ]
    rest = paths[-1].stat().st_size % page_bytes
    n_pages = [source.n_pages for source in sources]
    file = np.repeat(np.arange(len(sources)), n_pages)
    page = np.concatenate([np.arange(n) for n in n_pages])
    n_channels = max(1, len(said.wavelengths))
    per_volume = said.n_planes + said.n_flyback
    count = np.arange(len(file)) // n_channels
    channel = np.arange(len(file)) % n_channels
    time, plane = np.divmod(count, per_volume)
    wanted = plane < said.n_planes
    if not wanted.any():
        raise MovieError(
            f"{paths[0]} has {sum(n_pages)} whole frames of {shape[1]} x {shape[0]} pixels; it is "
            f"cut off, or {description.name} belongs to another recording."
        )
    notes = _check_one_recording(paths, said, len(file), n_channels, description)
    n_more = 0
    if rest:
        # The page that was cut belongs to a time of which other pages may be whole.
        begun = len(file) // (n_channels * per_volume)
        n_more = max(0, begun - int(time[wanted].max()))
        notes.append(
            f"{paths[-1].name} is cut off: the last {rest} bytes make no whole frame of "
            f"{shape[1]} x {shape[0]} pixels and were left out."
        )
    places = np.stack([file, page], axis=1)[wanted]
    where = np.stack([time, plane, channel], axis=1)[wanted]
    return file_set(
        sources, places, where, channels=_numbers(said, n_channels), metadata=_metadata(said),
        n_more=n_more, clock_stride=per_volume, notes=notes,
    )  # fmt: skip


def _check_one_recording(
    paths: list[Path], said: _Experiment, n_pages: int, n_channels: int, description: Path
) -> list[str]:
    """Refuse `.raw` files of which each has all frames that were planned; say it of the others."""
    if len(paths) < 2:
        return []
    names = ", ".join(path.name for path in paths)
    planned = said.n_planned
    if planned is not None and n_pages > planned * n_channels:
        raise MovieError(
            f"{paths[0].parent} holds {len(paths)} .raw files ({names}) of {n_pages} frames "
            f"together, but {description.name} speaks of {planned * n_channels}: they are several "
            f"recordings. Write the one that is meant into the sheet's column movie, {paths[0]} "
            "for example, and a row for each."
        )
    return [f"{len(paths)} .raw files ({names}) were taken for one recording, one after the other."]


def _numbers(said: _Experiment, n_channels: int) -> list[int]:
    """Return the channels' numbers from 1: of their letters (ChanA is 1), or in order."""
    letters = [name[-1:].upper() for name in said.wavelengths]
    if len(letters) == n_channels and all("A" <= x <= "Z" for x in letters):
        numbers = [ord(letter) - ord("A") + 1 for letter in letters]
        if len(set(numbers)) == n_channels:
            return numbers
    return list(range(1, n_channels + 1))


def _tiff_set(folder: Path, said: _Experiment) -> FileSet:
    """Take frames by the numbers in the files' names."""
    found: dict[Path, tuple[str, tuple[int, ...]]] = {}
    regions: dict[tuple[int, ...], Path] = {}
    for path in natural_sort(visible(folder, "*.tif", "*.tiff")):
        match = _NAME.fullmatch(path.name)
        known = match and (not said.wavelengths or match["channel"] in said.wavelengths)
        if match and known:
            numbers = tuple(int(text) for text in match["numbers"].split("_"))
            found[path] = (match["channel"], numbers)
            regions.setdefault(numbers[:-2], path)
    if not found:
        raise MovieError(
            f"{folder} holds neither a .raw nor TIFFs named like "
            f"{(said.wavelengths or ['ChanA'])[0]}_001_001_001_001.tif."
        )
    if len(regions) > 1:
        first = [path.name for path in regions.values()][:5]
        raise MovieError(
            f"{folder} holds the frames of {len(regions)} regions or recordings, told by the first "
            f"numbers in the names ({', '.join(first)}); put the files of each into a folder of "
            "its own."
        )
    names = list(dict.fromkeys(channel for channel, _ in found.values()))
    tables = read_tables(list(found))
    places, where = [], []
    for number, table in enumerate(tables):
        channel, numbers = found[table.path]
        time = numbers[-1] - 1
        plane = numbers[-2] - 1 if said.n_planes > 1 and len(numbers) > 1 else 0
        for page in range(table.n_pages):
            places.append((number, page))
            where.append((time * table.n_pages + page, plane, names.index(channel)))
    numbered = _numbers(_Experiment(wavelengths=names), len(names))
    n_more = len(found) - len(tables)
    return file_set(
        tables, np.array(places, np.int64), np.array(where, np.int64), channels=numbered,
        metadata=_metadata(said), n_more=n_more, clock_stride=said.n_planes + said.n_flyback,
    )  # fmt: skip
