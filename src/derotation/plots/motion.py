"""Picture of the sample's motion during a session."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from derotation.export.bad_frames import frame_speeds
from derotation.motion_correction.estimate import MotionEstimate
from derotation.numerics.by_rows import by_rows
from derotation.plots.panels import panels, settle
from derotation.signals.angles import Angles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_motion"]

BLUE, ORANGE, GRAY, RED = "#0072B2", "#E69F00", "#777777", "#D55E00"
# Of a path with more points than these, the range within so many stretches is drawn: more is not
# seen, and to fill the interval about an hour's path would take hundreds of MB.
MAX_POINTS, N_STRETCHES = 20_000, 4000

# Room for a title of two lines (in).
TITLES = 0.55

NDFloat = NDArray[np.float64]


def plot_motion(estimate: MotionEstimate, angles: Angles) -> "Figure":
    """Show the displacement over time, with the rotations shaded, and against the speed.

    Parameters
    ----------
    estimate : MotionEstimate
    angles : Angles
        As they were used, with the lag.

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6.5))
    grid = panels(figure, 2, 2, above=TITLES, between=0.1, shared=True, ratios=(4, 1))
    motion, middle = estimate.motion, estimate.frame_times_s
    speeds = np.nan_to_num(frame_speeds(angles))
    turning = speeds > 0.01 * max(float(speeds.max(initial=0.0)), 1e-9)
    steps = np.diff(turning.astype(int), prepend=0, append=0)
    period = 1 / angles.frame_rate
    spans = list(zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True))
    for row, (name, places) in enumerate((("right", motion.x), ("down", motion.y))):
        axes, against = grid[row]
        for first, last in spans:
            axes.axvspan(
                middle[first] - period / 2, middle[last - 1] + period / 2, color="0.92", lw=0
            )
        axes.plot(middle, estimate.measured[:, row], ".", ms=3, color=GRAY, label="single frames")
        band = np.minimum(1.96 * motion.sd, 10.0)
        interval = _range(motion.time_s, places - band, places + band)
        axes.fill_between(*interval, color=BLUE, alpha=0.3, lw=0)
        path = _line(motion.time_s, places)
        axes.plot(*path, color=BLUE, lw=1, label="path, with its 95 % interval")
        lost = motion.lost
        if lost.any():
            axes.plot(middle[lost], estimate.frame_places[lost, row], "x", color=RED,
                      label="lost frames")  # fmt: skip
        axes.set_ylabel(f"displacement to the {name} (px)" if row == 0 else f"{name} (px)")
        if row == 0:
            axes.set_title(
                "Motion of the sample in its own plane; shaded where it turns\n"
                + ("corrected" if estimate.corrected else "not corrected")
            )
            axes.legend(fontsize=8, loc="upper right")
        else:
            axes.set_xlabel("time (s)")
        against.sharey(axes)
        direction = np.sign(np.nan_to_num(_turned(angles)))
        against.plot(speeds * direction, estimate.frame_places[:, row], ".", ms=3, color=ORANGE)
        if row == 0:
            against.set_title("against velocity")
        else:
            against.set_xlabel("degrees per second")
    settle(grid)
    return figure


def _range(time: NDFloat, low: NDFloat, high: NDFloat) -> tuple[NDFloat, NDFloat, NDFloat]:
    """Give times with the least and the greatest value; of a long path those of stretches."""
    if len(time) <= MAX_POINTS:
        return time, low, high
    starts = np.linspace(0, len(time), N_STRETCHES, endpoint=False).astype(int)
    return time[starts], np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)


def _line(time: NDFloat, places: NDFloat) -> tuple[NDFloat, NDFloat]:
    """Give times and places of a line; that of a long path goes up and down within stretches."""
    if len(time) <= MAX_POINTS:
        return time, places
    time, low, high = _range(time, places, places)
    return np.repeat(time, 2), np.stack([low, high], axis=1).ravel()


def _turned(angles: Angles) -> NDArray[np.float64]:
    """Tell to which side each frame's lines turn; a whole turn's end counts for nothing."""

    def middle_change(lines: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.median(np.nan_to_num(np.diff(lines, axis=1)), axis=1))

    return by_rows(middle_change, angles.line_angles)
