"""What a movie's files say about how it was recorded."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["MovieMetadata"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MovieMetadata:
    """What a movie's files say about how it was recorded; None where they say nothing."""

    source: Literal[
        "scanimage", "ome", "imagej", "plain", "prairie", "thor", "scanbox", "hdf5", "nwb"
    ]
    """Kind of file the rest was read from."""
    frame_rate: float | None = None
    """Frames per second as the frame clock counts them: each plane of a volume is one."""
    lines_per_frame: int | None = None
    """Lines scanned per frame."""
    bidirectional: bool | None = None
    """Whether every other line was scanned backwards."""
    channels_saved: tuple[int, ...] | None = None
    """Numbers of the channels in the file, in its order."""
    n_planes: int | None = None
    """Planes per volume, without those discarded while the objective flies back."""
    frames_written: int | None = None
    """Frames in the files, counted as the frame clock does."""
    line_duty: float | None = None
    """Fraction of the line period in which pixels are recorded, 0 to 1."""
    pixel_size_um: float | None = None
    """Width of a pixel in micrometers."""
    line_period_s: float | None = None
    """Time from the start of one line to that of the next, in seconds."""
    stage_position_um: tuple[float, ...] | None = None
    """Position of the stage in micrometers, in the order of its axes (x, y, z)."""
    software: str | None = None
    """Program that wrote the file."""
