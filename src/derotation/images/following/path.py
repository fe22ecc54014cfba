"""Where the sample was at each time: its angle, the center of rotation, and its own shifts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.images.following.comparing import Placed, placed
from derotation.images.following.spline import Knots
from derotation.maps import transforms
from derotation.maps.timing import LineTiming

__all__ = ["Path", "leverage"]

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
    """Frames that could be followed, shape (frame,)."""
    correlation: NDFloat
    """Of each frame with the mean of others, shape (frame,); NaN where it is not known."""
    times: NDFloat
    """When each line was recorded, in frames since the first one, shape (frame, line)."""
    timing: LineTiming
    """When the samples within a line were recorded."""

    def angles(self, frame: int) -> NDFloat:
        """Give the angles of the lines of a frame, degrees."""
        return self.knots.evaluate(self.coefficients, self.times[frame])

    @property
    def middle(self) -> NDFloat:
        """Angle of each frame's middle line, degrees."""
        return self.knots.evaluate(self.coefficients, self.times[:, self.times.shape[1] // 2])

    def place(self, picture: NDArray[Any], frame: int, *, lines: bool = True) -> Placed:
        """Put a frame in its place."""
        center = (float(self.center[0]), float(self.center[1]))
        maps = transforms.line_maps(self.angles(frame), center)
        maps[..., 2] += self.shifts[frame]
        return placed(picture, maps, self.timing, lines=lines)


def leverage(angles: NDFloat) -> NDFloat:
    """Tell how a center that is wrong by e (x, y) shifts frames at these angles: (..., 2, 2)."""
    return np.asarray(np.eye(2) - transforms.rotation_matrices(angles))
