"""When, and with which displacement, the samples within a line are recorded."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from derotation.errors import InputError

__all__ = ["LineReference", "LineTiming"]

LineReference = Literal["start", "middle", "end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTiming:
    """When the samples within a line are recorded.

    Attributes
    ----------
    line_duty : float
        Part of the line period in which the samples of a line are recorded, 0 to 1. With 0 all
        samples of a line share one moment.
    bidirectional : bool
        Odd lines of a frame (counted from 0) are scanned from right to left.
    phase_px : float
        Phase of bidirectional scanning, pixels: what odd lines recorded lies so much further right
        (towards larger x) than it should, so that their sample i belongs at the column
        ``i - phase_px``. 0 for a scan in one direction.
    line_reference : {"start", "middle", "end"}
        The moment of a line to which its angle, and so its map, belongs.
    """

    line_duty: float = 0.0
    bidirectional: bool = False
    phase_px: float = 0.0
    line_reference: LineReference = "middle"

    def __post_init__(self) -> None:
        if not 0 <= self.line_duty <= 1:
            msg = f"line_duty is {self.line_duty}; it must lie between 0 and 1"
            raise InputError(msg)
        if not math.isfinite(self.phase_px):
            msg = f"phase_px is {self.phase_px}; it must be a number of pixels"
            raise InputError(msg)
        if self.phase_px != 0 and not self.bidirectional:
            msg = (
                f"phase_px is {self.phase_px}, but the scan goes in one direction; only a "
                "bidirectional scan has a phase between even and odd lines"
            )
            raise InputError(msg)
        if self.line_reference not in get_args(LineReference):
            msg = f"line_reference is {self.line_reference!r}; allowed are start, middle and end"
            raise InputError(msg)

    @property
    def offset(self) -> float:
        """Time from the line's reference to the middle of its samples, in line periods."""
        line_fraction = {"start": 0.5, "middle": 0.0, "end": -0.5}[self.line_reference]
        return line_fraction * self.line_duty
