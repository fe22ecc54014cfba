"""The angle from a table: over time, per frame, or per line of the movie."""

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.io.angle_table import AngleTable
from derotation.numerics.degrees import wrapped
from derotation.signals.trace import MeasuredAngle

__all__ = ["table_angle"]

NDFloat = NDArray[np.float64]


def table_angle(
    table: AngleTable,
    line_start: NDFloat,
    line_duration: float,
    sampling_rate: float,
    *,
    wraps: bool = True,
) -> MeasuredAngle:
    """Tell the angle over time from a table.

    Parameters
    ----------
    table : AngleTable
        Times are seconds since the first sample of the signals.
    line_start : ndarray of shape (n_frames, n_lines)
        When the lines of the movie were scanned, samples.
    line_duration : float
        How long a line is scanned, samples.
    sampling_rate : float
        Samples per second, Hz.
    wraps : bool
        Whether a step of more than half a turn is the end of a turn.

    Returns
    -------
    MeasuredAngle
        An angle per frame is that of its middle, one per line that of the line's middle.

    Raises
    ------
    InputError
        If the table has neither times nor an angle for each frame or line.
    """
    n_frames, n_lines = line_start.shape
    middle = (line_start[:, 0] + line_start[:, -1] + line_duration) / 2
    if table.time is not None:
        time, angle = table.time * sampling_rate, table.angle
    elif table.angle.ndim == 1 and len(table.angle) == n_frames:
        time, angle = middle, table.angle
    elif table.angle.shape == (n_frames, n_lines):
        time, angle = (line_start + line_duration / 2).ravel(), table.angle.ravel()
    else:
        raise InputError(
            f"{table.path} holds angles of the shape {table.angle.shape} without times; expected "
            f"are one per frame ({n_frames}), one per line ({n_frames} x {n_lines}), or times."
        )
    if table.time is None:
        time, angle = _until_the_ends(time, angle, line_start, line_duration)
    known = np.isfinite(angle)
    if np.count_nonzero(known) < 2:
        raise InputError(f"{table.path} holds fewer than two angles.")
    index = np.flatnonzero(known)
    angle = angle[index]
    return MeasuredAngle(
        time=time[index].astype(np.float64),
        angle=np.unwrap(angle, period=360) if wraps else angle,
        known=np.diff(index) == 1,
        resolution=0.0,
    )


def _until_the_ends(
    time: NDFloat, angle: NDFloat, line_start: NDFloat, line_duration: float
) -> tuple[NDFloat, NDFloat]:
    """Go on straight to the first line's start and the last one's end: half a frame."""
    if len(time) < 2:
        return time, angle
    begin, end = float(line_start[0, 0]), float(line_start[-1, -1] + line_duration)
    first_speed, last_speed = wrapped(np.diff(angle)[[0, -1]]) / np.diff(time)[[0, -1]]
    first = angle[0] - first_speed * (time[0] - begin)
    last = angle[-1] + last_speed * (end - time[-1])
    return (
        np.concatenate([[begin], time, [end]]),
        np.concatenate([[first], angle, [last]]),
    )
