"""Headers that ScanImage writes into its TIFF files, from version 3.8 on.

Three dialects are known: ``state.acq.frameRate=8.1`` (3.x), flat names such as
``scanimage.SI4.scanFrameRate = 30`` (4.x and 5.0), and names with a component such as
``SI.hRoiManager.scanFrameRate = 30`` (5.1 and later, with ``scanimage.`` in front up to 2015),
the last also as JSON. Only the entries that matter here are looked at: headers can be large.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from derotation.io.metadata import MovieMetadata

__all__ = ["ScanImageHeader", "VolumeLayout", "frame_number", "parse_header"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeLayout:
    """How frames follow each other when several planes are recorded."""

    n_planes: int = 1
    """Planes that are wanted."""
    repeats: int = 1
    """Frames recorded in a plane before going on to the next one."""
    frames_per_volume: int = 1
    """Frames from one volume to the next, those of the flyback included."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScanImageHeader:
    """What a ScanImage header says, before the pages of the files have been counted."""

    metadata: MovieMetadata
    """The part that describes the recording; `frames_written` is not yet known."""
    volumes: VolumeLayout
    """Order of the planes."""
    n_averaged: int
    """Number of recorded frames that were averaged into each saved one."""
    frames_planned: int | None
    """Frames that were asked for, counted as the frame clock does; None if without end."""
    notes: tuple[str, ...]
    """Contradictions within the header, in plain words."""
    several_regions: bool = False
    """Whether pages hold strips of several regions of interest."""

    @property
    def problem(self) -> str | None:
        """Why such frames cannot be derotated, in plain words; None if they can."""
        if self.several_regions:
            return (
                "several regions of interest were scanned (mROI), so that pages hold strips of "
                "different places, which do not turn as one image. Save each region as a movie of "
                "its own with its own times of lines, or record one region"
            )
        if self.n_averaged > 1:
            return (
                f"each saved frame is the average of {self.n_averaged} recorded ones: lines of "
                "different times and angles are mixed, so that they cannot be derotated. Record "
                "with a log average factor of 1"
            )
        return None


# Entries looked for, without the prefix that differs between versions.
_MODERN = (
    "VERSION_MAJOR",
    "VERSION_MINOR",
    "hChannels.channelSave",
    "hFastZ.discardFlybackFrames",
    "hFastZ.enable",
    "hFastZ.numDiscardFlybackFrames",
    "hFastZ.numFramesPerVolume",
    "hFastZ.numVolumes",
    "hMotors.motorPosition",
    "hMotors.samplePosition",
    "hRoiManager.imagingFovUm",
    "hRoiManager.linePeriod",
    "hRoiManager.linesPerFrame",
    "hRoiManager.mroiEnable",
    "hRoiManager.pixelsPerLine",
    "hRoiManager.scanFrameRate",
    "hScan2D.bidirectional",
    "hScan2D.fillFractionTemporal",
    "hScan2D.logAverageFactor",
    "hStackManager.actualNumSlices",
    "hStackManager.enable",
    "hStackManager.framesPerSlice",
    "hStackManager.numFramesPerVolume",
    "hStackManager.numFramesPerVolumeWithFlyback",
    "hStackManager.numSlices",
    "hStackManager.numVolumes",
)
_FLAT = (
    "VERSION_MAJOR",
    "VERSION_MINOR",
    "acqNumAveragedFrames",
    "acqNumFrames",
    "bidirectionalAcq",
    "channelsSave",
    "fastZDiscardFlybackFrames",
    "fastZEnable",
    "fastZNumDiscardFrames",
    "fastZNumVolumes",
    "fillFractionTime",
    "flybackLinesPerFrame",
    "linesPerFrame",
    "motorPosition",
    "scanFramePeriod",
    "scanFrameRate",
    "scanLinesPerFrame",
    "scanMode",
    "stackNumSlices",
    "versionMajor",
    "versionMinor",
)
_OLD = (
    "software.version",
    "software.minorRev",
    "acq.averaging",
    "acq.bidirectionalScan",
    "acq.fillFraction",
    "acq.frameRate",
    "acq.linesPerFrame",
    "acq.msPerLine",
    "acq.numAvgFramesSave",
    "acq.numberOfFrames",
    "acq.numberOfZSlices",
    *(f"acq.savingChannel{number}" for number in range(1, 9)),
    "motor.absXPosition",
    "motor.absYPosition",
    "motor.absZPosition",
)

_MODERN_PATTERN = re.compile(
    r"^[ \t]*(?:scanimage\.)?SI\.("
    + "|".join(map(re.escape, _MODERN))
    + r")[ \t]*=[ \t]*(.*?)\s*$",
    re.MULTILINE,
)
_FLAT_PATTERN = re.compile(
    r"^[ \t]*scanimage\.(SI[45])\.(" + "|".join(_FLAT) + r")[ \t]*=[ \t]*(.*?)\s*$", re.MULTILINE
)
# Lines end with a carriage return alone in these.
_OLD_PATTERN = re.compile(
    r"(?:^|[\r\n])state\.(" + "|".join(map(re.escape, _OLD)) + r")=([^\r\n]*)"
)
_NUMBER_PATTERN = re.compile(r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|Inf|NaN)")
_FRAME_NUMBER_PATTERN = re.compile(
    r'^[ \t{]*"?(?:frameNumbers|Frame Number)"?[ \t]*[=:][ \t]*(\d+)', re.M
)


def parse_header(software: str, description: str, artist: str = "") -> ScanImageHeader | None:
    """Read a ScanImage header.

    Parameters
    ----------
    software
        The first page's Software tag, or the static header of a BigTIFF.
    description
        The first page's ImageDescription.
    artist
        The first page's Artist tag, which lists regions of interest.

    Returns
    -------
    ScanImageHeader or None
        None if neither was written by ScanImage.
    """
    for text in (software, description):
        modern = dict(_MODERN_PATTERN.findall(text)) or _json_entries(text)
        if modern:
            return _parse_modern(modern, artist)
        flat = {key: value for _, key, value in _FLAT_PATTERN.findall(text)}
        if flat:
            return _parse_flat(flat)
        old = dict(_OLD_PATTERN.findall(text))
        if old:
            return _parse_old(old)
    return None


def frame_number(description: str) -> int | None:
    """Return the number that ScanImage gave to a frame.

    Parameters
    ----------
    description
        The ImageDescription of a page.

    Returns
    -------
    int or None
        Number of the frame since the start of the recording, from 1; None if there is none.
    """
    match = _FRAME_NUMBER_PATTERN.search(description)
    return int(match.group(1)) if match else None


def _json_entries(text: str) -> dict[str, str]:
    """Return the entries of a header in JSON, written as MATLAB would."""
    if not text.lstrip().startswith("{") or '"SI"' not in text:
        return {}
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    entries = {}
    for name in _MODERN:
        value = content.get("SI")
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            entries[name] = json.dumps(value).strip('"')
    return entries


def _numbers(text: str | None) -> list[float]:
    """Return all numbers of a MATLAB value; true counts as 1 and false as 0."""
    if text is None or text.startswith("<"):
        return []
    lowered = {"true": "1", "false": "0"}.get(text.strip().lower(), text)
    return [float(number) for number in _NUMBER_PATTERN.findall(lowered)]


def _number(text: str | None) -> float | None:
    """Return a finite number, or None for an empty, infinite or missing value."""
    numbers = _numbers(text)
    return numbers[0] if len(numbers) == 1 and math.isfinite(numbers[0]) else None


def _positive(text: str | None) -> float | None:
    """Return a number above 0, or None."""
    number = _number(text)
    return number if number is not None and number > 0 else None


def _count(text: str | None) -> int | None:
    """Return a whole number above 0, or None."""
    number = _positive(text)
    return None if number is None else round(number)


def _flag(text: str | None) -> bool | None:
    """Return a truth value, or None if there is none."""
    number = _number(text)
    return None if number is None else number != 0


def _fraction(text: str | None) -> float | None:
    """Return a number above 0 and up to 1, or None."""
    number = _positive(text)
    return number if number is not None and number <= 1 else None


def _channels(text: str | None) -> tuple[int, ...] | None:
    """Return channel numbers."""
    return tuple(round(number) for number in _numbers(text)) or None


def _position(numbers: Iterable[float]) -> tuple[float, ...] | None:
    """Return a position whose coordinates are all known."""
    position = tuple(numbers)
    return position if position and all(map(math.isfinite, position)) else None


def _version(*parts: str | None) -> str:
    """Return the program's name with its version."""
    known = [part.strip("'\" ") for part in parts if part]
    return " ".join(["ScanImage", ".".join(known)]).strip()


def _inverse(value: float | None) -> float | None:
    """Return a rate from a period."""
    return 1.0 / value if value else None


def _n_regions(artist: str) -> int | None:
    """Count the regions of interest; None if they are not listed."""
    try:
        regions = json.loads(artist)["RoiGroups"]["imagingRoiGroup"]["rois"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    # MATLAB writes a list of one without its brackets.
    return len(regions) if isinstance(regions, list) else 1


def _parse_modern(entries: Mapping[str, str], artist: str) -> ScanImageHeader:
    """Read a header of version 5.1 or later."""
    get = entries.get
    notes: list[str] = []
    volumes = _modern_volumes(get, notes)
    fov = _numbers(get("hRoiManager.imagingFovUm"))
    pixels = _count(get("hRoiManager.pixelsPerLine"))
    several_rois = bool(_flag(get("hRoiManager.mroiEnable"))) and _n_regions(artist) != 1
    single_fov = len(fov) == 8 and pixels is not None and not several_rois
    metadata = MovieMetadata(
        source="scanimage",
        frame_rate=_positive(get("hRoiManager.scanFrameRate")),
        lines_per_frame=_count(get("hRoiManager.linesPerFrame")),
        bidirectional=_flag(get("hScan2D.bidirectional")),
        channels_saved=_channels(get("hChannels.channelSave")),
        n_planes=volumes.n_planes,
        line_duty=_fraction(get("hScan2D.fillFractionTemporal")),
        pixel_size_um=(max(fov[::2]) - min(fov[::2])) / pixels if single_fov and pixels else None,
        line_period_s=_positive(get("hRoiManager.linePeriod")),
        stage_position_um=_position(
            _numbers(get("hMotors.samplePosition")) or _numbers(get("hMotors.motorPosition"))
        ),
        software=_version(get("VERSION_MAJOR"), get("VERSION_MINOR")),
    )
    return ScanImageHeader(
        metadata=metadata,
        volumes=volumes,
        n_averaged=_count(get("hScan2D.logAverageFactor")) or 1,
        frames_planned=_modern_plan(get, volumes),
        notes=tuple(notes),
        several_regions=several_rois,
    )


def _modern_volumes(get: Callable[[str], str | None], notes: list[str]) -> VolumeLayout:
    """Find the order of the planes.

    Counts of slices stay in the header when stacks are switched off, so the switches come first.
    The frames of the flyback are in the file, also where they are called discarded.
    """
    with_flyback = _count(get("hStackManager.numFramesPerVolumeWithFlyback"))
    slices = _count(get("hStackManager.actualNumSlices")) or _count(get("hStackManager.numSlices"))
    stacks = _flag(get("hStackManager.enable"))
    if stacks is False or slices is None:
        return VolumeLayout()
    if with_flyback is not None:
        frames = _count(get("hStackManager.numFramesPerVolume")) or with_flyback
        if slices == 1 or frames % slices:
            if slices > 1:
                notes.append(
                    f"The header speaks of {slices} slices but of {frames} frames per volume; it "
                    "was taken for a movie of one plane (say movie.n_planes otherwise)."
                )
            return VolumeLayout()
        return VolumeLayout(
            n_planes=slices, repeats=frames // slices, frames_per_volume=with_flyback
        )
    if _flag(get("hFastZ.enable")):
        discarded = 0
        if _flag(get("hFastZ.discardFlybackFrames")) is not False:
            discarded = _count(get("hFastZ.numDiscardFlybackFrames")) or 0
        frames = _count(get("hFastZ.numFramesPerVolume")) or slices + discarded
        planes = frames - discarded
        if planes < 1:
            return VolumeLayout()
        if planes != slices:
            notes.append(
                f"The header speaks of {slices} slices but of {frames} frames per volume, "
                f"{discarded} of them discarded; {planes} planes were used."
            )
        return VolumeLayout(n_planes=planes, frames_per_volume=frames)
    return _slow_stack(slices, _count(get("hStackManager.framesPerSlice")))


def _slow_stack(slices: int, frames_per_slice: int | None) -> VolumeLayout:
    """Return the layout of a stack that stays in each plane for some frames.

    Without an end to the frames of a slice the count of slices can only be left over.
    """
    if slices == 1 or frames_per_slice is None:
        return VolumeLayout()
    return VolumeLayout(
        n_planes=slices, repeats=frames_per_slice, frames_per_volume=slices * frames_per_slice
    )


def _modern_plan(get: Callable[[str], str | None], volumes: VolumeLayout) -> int | None:
    """Return how many frames were to be recorded."""
    if volumes.n_planes > 1:
        n_volumes = _count(get("hStackManager.numVolumes")) or _count(get("hFastZ.numVolumes"))
        return n_volumes * volumes.frames_per_volume if n_volumes else None
    return _count(get("hStackManager.framesPerSlice"))


def _parse_flat(entries: Mapping[str, str]) -> ScanImageHeader:
    """Read a header of version 4 or 5.0."""
    get = entries.get
    volumes = _flat_volumes(get)
    period = _positive(get("scanFramePeriod"))
    lines = _count(get("scanLinesPerFrame")) or _count(get("linesPerFrame"))
    flyback = _number(get("flybackLinesPerFrame"))
    bidirectional = _flag(get("bidirectionalAcq"))
    if bidirectional is None and get("scanMode"):
        bidirectional = str(get("scanMode")).strip("' ").lower().startswith("bi")
    line_period = None
    if lines is not None and flyback is not None and period is not None:
        line_period = period / (lines + flyback)
    metadata = MovieMetadata(
        source="scanimage",
        frame_rate=_positive(get("scanFrameRate")) or _inverse(period),
        lines_per_frame=lines,
        bidirectional=bidirectional,
        channels_saved=_channels(get("channelsSave")),
        n_planes=volumes.n_planes,
        line_duty=_fraction(get("fillFractionTime")),
        line_period_s=line_period,
        stage_position_um=_position(_numbers(get("motorPosition"))),
        software=_version(
            get("VERSION_MAJOR") or get("versionMajor"), get("VERSION_MINOR") or get("versionMinor")
        ),
    )
    n_frames = _count(get("acqNumFrames"))
    if volumes.n_planes > 1:
        n_volumes = _count(get("fastZNumVolumes")) if _flag(get("fastZEnable")) else 1
        n_frames = n_volumes * volumes.frames_per_volume if n_volumes else None
    return ScanImageHeader(
        metadata=metadata,
        volumes=volumes,
        n_averaged=_count(get("acqNumAveragedFrames")) or 1,
        frames_planned=n_frames,
        notes=(),
    )


def _flat_volumes(get: Callable[[str], str | None]) -> VolumeLayout:
    """Find the order of the planes in a header of version 4 or 5.0."""
    slices = _count(get("stackNumSlices")) or 1
    if _flag(get("fastZEnable")):
        discarded = 0
        if _flag(get("fastZDiscardFlybackFrames")) is not False:
            discarded = _count(get("fastZNumDiscardFrames")) or 0
        return VolumeLayout(n_planes=slices, frames_per_volume=slices + discarded)
    return _slow_stack(slices, _count(get("acqNumFrames")))


def _parse_old(entries: Mapping[str, str]) -> ScanImageHeader:
    """Read a header of version 3."""
    get = entries.get
    saved = [number for number in range(1, 9) if _flag(get(f"acq.savingChannel{number}"))]
    volumes = _slow_stack(
        _count(get("acq.numberOfZSlices")) or 1, _count(get("acq.numberOfFrames"))
    )
    rate, lines = _positive(get("acq.frameRate")), _count(get("acq.linesPerFrame"))
    metadata = MovieMetadata(
        source="scanimage",
        frame_rate=rate,
        lines_per_frame=lines,
        bidirectional=_flag(get("acq.bidirectionalScan")),
        channels_saved=tuple(saved) or None,
        n_planes=volumes.n_planes,
        line_duty=_fraction(get("acq.fillFraction")),
        line_period_s=_old_line_period(_positive(get("acq.msPerLine")), rate, lines),
        stage_position_um=_position(
            number for axis in "XYZ" for number in _numbers(get(f"motor.abs{axis}Position"))
        ),
        software=_version(get("software.version"), get("software.minorRev")),
    )
    frames = _count(get("acq.numberOfFrames"))
    averaged = _count(get("acq.numAvgFramesSave")) or 1
    return ScanImageHeader(
        metadata=metadata,
        volumes=volumes,
        n_averaged=averaged if _flag(get("acq.averaging")) is not False else 1,
        frames_planned=frames * volumes.n_planes if frames else None,
        notes=(),
    )


def _old_line_period(
    milliseconds: float | None, rate: float | None, lines: int | None
) -> float | None:
    """Return the line period, unless it contradicts the frame rate.

    Some versions stored the position of a menu under this name.
    """
    if milliseconds is None or rate is None or lines is None:
        return None
    lines_fraction = milliseconds / 1000 * lines * rate
    return milliseconds / 1000 if 0.5 < lines_fraction < 1.02 else None
