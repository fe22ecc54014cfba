"""Where the sample was at each time: its angle, the center of rotation, and its own shifts."""

import dataclasses
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from derotation.images.following.comparing import Placed, placed
from derotation.images.following.spline import Knots
from derotation.maps import transforms
from derotation.maps.timing import LineTiming

__all__ = ["Path"]

NDFloat = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Path:
    """The sample's way, as far as it is known."""

    knots: Knots
    """Of the angle, over the time in frames."""
    coefficients: NDFloat
    """Of the angle, degrees, shape (n,)."""
    center: NDFloat
    """(x, y), pixels."""
    shifts: NDFloat
    """By which each frame is moved after it was turned back (x, y), pixels, shape (frame, 2)."""
    found: NDArray[np.bool_]
    """Frames that were followed, shape (frame,)."""
    correlation: NDFloat
    """Of each frame with the mean of others, shape (frame,); NaN where it is not known."""
    times: NDFloat
    """When each line was recorded, in frames since the first one, shape (frame, line)."""
    timing: LineTiming
    """When the samples within a line were recorded."""

    def angles(self, frame: int | NDArray[np.intp] | slice = slice(None)) -> NDFloat:
        """Give the angles of all lines of a frame, degrees."""
        return self.knots.evaluate(self.coefficients, self.times[frame])

    @property
    def middle(self) -> NDFloat:
        """Angle of each frame's middle line, degrees."""
        return self.knots.evaluate(self.coefficients, self.times[:, self.times.shape[1] // 2])

    def place(self, picture: NDArray[np.generic], frame: int, *, lines: bool = True) -> Placed:
        """Put a frame in its place."""
        return placed(
            picture, self.angles(frame), self.center, self.shifts[frame], self.timing, lines=lines
        )

    def about(self, center: NDFloat) -> Self:
        """Turn about another center; the middle line of each frame stays where it is."""
        leverage = np.eye(2) - transforms.rotation_matrices(self.middle)
        shifts = self.shifts - leverage @ (center - self.center)
        return dataclasses.replace(self, center=np.array(center), shifts=shifts)
