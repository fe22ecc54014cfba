"""The angle from a table: over time, per frame, or per line of the movie."""

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.io.angle_table import AngleTable
from derotation.numerics.degrees import wrapped
from derotation.signals.between_frames import between_frames
from derotation.signals.trace import MeasuredAngle

__all__ = ["table_angle"]

NDFloat = NDArray[np.float64]

# A table that is so many times as long as the movie is not in seconds.
LONGEST = 200.0
# An interval so many times the usual one, in which the angle changes by so many times the largest
# step there is elsewhere, and by so many degrees, is a hole.
HOLE, HOLE_STEPS, HOLE_DEG = 10.0, 3.0, 1.0


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
        An angle per frame is that of its middle, one per line that of the line's middle. Between
        frames it follows a spline, see :mod:`derotation.signals.between_frames`.

    Raises
    ------
    InputError
        If the table has neither times nor an angle for each frame or line.
    """
    n_frames, n_lines = line_start.shape
    middle = (line_start[:, 0] + line_start[:, -1] + line_duration) / 2
    if table.time is not None:
        _check_clock(table, line_start / sampling_rate)
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
    is_per_frame = table.time is None and table.angle.ndim == 1
    begin, end = float(line_start[0, 0]), float(line_start[-1, -1] + line_duration)
    if table.time is None and not is_per_frame:
        time, angle = _until_the_ends(time, angle, begin, end)
    known = np.isfinite(angle)
    if np.count_nonzero(known) < 2:
        raise InputError(f"{table.path} holds fewer than two angles.")
    index = np.flatnonzero(known)
    time, angle = time[index].astype(np.float64), angle[index]
    turned = np.unwrap(angle, period=360) if wraps else angle
    told = (np.diff(index) == 1) & ~_holes(time, turned)
    if is_per_frame:
        time, turned, told = between_frames(time, turned, told, begin, end)
    return MeasuredAngle(time=time, angle=turned, known=told, resolution=0.0)


def _check_clock(table: AngleTable, line_start_s: NDFloat) -> None:
    """Refuse a table whose times are not those of the recording."""
    assert table.time is not None
    first, last = float(np.nanmin(table.time)), float(np.nanmax(table.time))
    begin, end = float(line_start_s.min()), float(line_start_s.max())
    if last >= begin and first <= end and last - first <= LONGEST * (end - begin):
        return
    raise InputError(
        f"{table.path}: its times ({first:.6g} to {last:.6g} s) are not those of the movie's "
        f"frames ({begin:.6g} to {end:.6g} s). Expected are seconds since the first sample of the "
        "signals: are these milliseconds, or the time of another clock?"
    )


def _holes(time: NDFloat, angle: NDFloat) -> NDArray[np.bool_]:
    """Tell the intervals in which a table says nothing although the sample turned.

    (A table that has a row for each change of the angle only has long intervals, too, but without
    much of a change.)
    """
    long, far = np.diff(time), np.abs(np.diff(angle))
    if not len(long):
        return np.zeros(0, np.bool_)
    usual = long <= HOLE * np.median(long)
    return ~usual & (far > max(HOLE_STEPS * float(far[usual].max()), HOLE_DEG))


def _until_the_ends(
    time: NDFloat, angle: NDFloat, begin: float, end: float
) -> tuple[NDFloat, NDFloat]:
    """Go on straight to the first line's start and the last one's end."""
    if len(time) < 2:
        return time, angle
    first_speed, last_speed = wrapped(np.diff(angle)[[0, -1]]) / np.diff(time)[[0, -1]]
    first = angle[0] - first_speed * (time[0] - begin)
    last = angle[-1] + last_speed * (end - time[-1])
    return (
        np.concatenate([[begin], time, [end]]),
        np.concatenate([[first], angle, [last]]),
    )
