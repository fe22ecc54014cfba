"""What goes wrong on real rigs, to be put into simulated recordings on purpose."""

from __future__ import annotations

from dataclasses import dataclass

from derotation.errors import InputError

__all__ = ["Faults"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Faults to inject into a recording; the default is none.

    Where and when each one was injected is told by the recording's truth.

    Parameters
    ----------
    dropped_ticks : float
        Fraction of the encoder's ticks that are missing, 0..1.
    duplicated_ticks : float
        Fraction of the ticks that are followed at once by a second pulse, 0..1.
    stray_ticks : int
        Ticks at rest, outside rotations.
    off_glitches : int
        Times that the rotation-on signal drops out during rotations.
    off_glitch_ms : float
        Duration of each drop-out, milliseconds.
    extra_clock_frames : int
        Frames that the clocks count more than the movie has; negative: fewer.
    truncated_last_frame : bool
        The clocks go on for half a frame after the last whole one; the movie lacks it.
    starts_within_rotation : bool
        The recording begins halfway through the first rotation.
    ends_within_rotation : bool
        The recording ends halfway through the last rotation.
    clocks_swapped : bool
        Line clock and frame clock are saved in each other's channel.
    line_clock_without_gaps : bool
        The line clock stays high from line to line within a frame.
    frame_clock_without_gaps : bool
        The frame clock stays high from frame to frame.
    missing_line_pulses : int
        Lines without a pulse of the line clock.
    stimulus_rows : int
        Rows that the stimulus table has too many; negative: too few.
    nan_samples : int
        Samples of the rotation-ticks channel that are not a number.
    """

    dropped_ticks: float = 0.0
    duplicated_ticks: float = 0.0
    stray_ticks: int = 0
    off_glitches: int = 0
    off_glitch_ms: float = 20.0
    extra_clock_frames: int = 0
    truncated_last_frame: bool = False
    starts_within_rotation: bool = False
    ends_within_rotation: bool = False
    clocks_swapped: bool = False
    line_clock_without_gaps: bool = False
    frame_clock_without_gaps: bool = False
    missing_line_pulses: int = 0
    stimulus_rows: int = 0
    nan_samples: int = 0

    def __post_init__(self) -> None:
        for name in ("dropped_ticks", "duplicated_ticks"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"faults.{name} is a fraction 0..1, not {getattr(self, name)}")
        for name in ("stray_ticks", "off_glitches", "missing_line_pulses", "nan_samples"):
            if getattr(self, name) < 0:
                raise InputError(
                    f"faults.{name} is a count of 0 or more, not {getattr(self, name)}"
                )
        if self.off_glitch_ms <= 0:
            raise InputError(f"faults.off_glitch_ms must be above 0, not {self.off_glitch_ms}")
