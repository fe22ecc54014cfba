"""What is said about a session, and something in it that does not fit its signals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Mistake", "Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """Something that does not fit."""

    key: str
    """Key of the configuration, or column of the sheet, that is likely wrong."""
    text: str
    """What was found, what was expected and what to write."""
    is_problem: bool = True
    """Whether the session cannot be processed rightly; else it is worth a look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is said about a session, and what its movie says."""

    protocol: str
    source: str
    roles: Mapping[str, int]
    """Number of the channel, from 1, of each role."""
    sampling_rate: float
    rotation_increment: float
    degrees_per_rotation: float | None
    degrees_per_step: float
    """NaN if the sheet says that there are no steps."""
    channel_order: Sequence[str] = ()
    recognize_clocks: bool = True
    has_own_names: bool = False
    """Whether the file names its channels."""
    speeds: Sequence[float] | None = None
    """Of the stimulus table, degrees/s."""
    stated_rate: float | None = None
    """Samples per second, as the signals' file says, Hz."""
    frame_rate: float | None = None
    """Frames per second as the frame clock should count them, Hz."""
    frame_rate_from: str = "the movie's file"
    """What says the frame rate."""
    n_clock_frames: int | None = None
    """Frames that the clock should have counted."""
    n_rows: int | None = None
    """Rows of the movie's frames."""
    lines_per_frame: int | None = None
    """What configuration or metadata say that the line clock counts."""
    frames_given: bool = False
    """Whether ``signals.frames`` says which of the clock's frames are the movie's."""
    rows_given: bool = False
    """Whether ``scan.rows`` says which lines are rows."""
