"""When, and with which displacement, the samples within a line are recorded."""

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
    line_reference : {"start", "middle", "end"}
        The moment of a line to which its angle, and so its map, belongs.
    """

    line_duty: float = 0.0
    bidirectional: bool = False
    line_reference: LineReference = "middle"

    def __post_init__(self) -> None:
        if not 0 <= self.line_duty <= 1:
            msg = f"line_duty is {self.line_duty}; it must lie between 0 and 1"
            raise InputError(msg)
        if self.line_reference not in get_args(LineReference):
            msg = f"line_reference is {self.line_reference!r}; allowed are start, middle and end"
            raise InputError(msg)

    @property
    def offset(self) -> float:
        """Time from the line's reference to the middle of its samples, in line periods."""
        line_fraction = {"start": 0.5, "middle": 0.0, "end": -0.5}[self.line_reference]
        return line_fraction * self.line_duty
