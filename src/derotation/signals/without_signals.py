"""Events of a session of which only the movie and a table of angles are there."""

import numpy as np
from numpy.typing import ArrayLike

from derotation.io.angle_table import AngleTable
from derotation.signals.events import Events
from derotation.signals.repairs import Report
from derotation.signals.rows import Rows
from derotation.signals.sources import knot_arrays, resting, segment_arrays
from derotation.signals.table_angle import table_angle

__all__ = ["events_without_signals"]

# Times are counted in samples of a clock that there never was (Hz).
SAMPLING_RATE = 1e6


def events_without_signals(
    table: AngleTable | None,
    *,
    clock_index: ArrayLike,
    clock_rate: float,
    lines_per_frame: int,
    rows: Rows,
    line_period_s: float | None = None,
    flyback_lines: float | None = None,
    line_duty: float | None = None,
) -> Events:
    """Time all lines by the frame rate, and take the angle from a table, if there is one.

    Parameters
    ----------
    table : AngleTable or None
        An angle per frame or per line, or over the time since the first line (s). None: the
        angle is told later, see :func:`derotation.signals.sources.with_angle`.
    clock_index : array_like of shape (n_frames,)
        Which frame of the scanner each frame of the movie is.
    clock_rate : float
        Frames of the scanner per second, Hz.
    lines_per_frame : int
        Lines of a frame.
    rows : Rows
        Which of them are rows of the movie.
    line_period_s : float, optional
        From line to line, s; default: the frame's time shared by its lines and the flyback's.
    flyback_lines : float, optional
        Time from a frame's last line to the next frame, in lines; default: 0, or what the line
        period leaves.
    line_duty : float, optional
        Part of the line period in which pixels are recorded; default: 1.

    Returns
    -------
    Events
        Without channels and ticks, on a clock of 1 MHz.
    """
    report = Report(sampling_rate=SAMPLING_RATE)
    index = np.asarray(clock_index, np.int64)
    frame = SAMPLING_RATE / clock_rate
    period = frame / (lines_per_frame + (flyback_lines or 0.0))
    if line_period_s is not None and flyback_lines is None:
        period = line_period_s * SAMPLING_RATE
    report.repair(
        "times_from_frame_rate",
        "frame_clock",
        f"There are no signals: lines were timed by the frame rate ({clock_rate:g} Hz), "
        f"{lines_per_frame} lines of {period / SAMPLING_RATE * 1e3:.4g} ms per frame.",
        count=len(index),
    )
    every = index[:, None] * frame + np.arange(lines_per_frame) * period
    line_start = rows.of(every, period)
    duration = (line_duty or 1.0) * period
    measured = resting(line_start)
    if table is not None:
        measured = table_angle(table, line_start, duration, SAMPLING_RATE)
    none = np.zeros(0)
    return Events(
        sampling_rate=SAMPLING_RATE,
        n_samples=int(np.ceil(every[-1, -1] + frame)),
        line_start=line_start,
        line_repaired=np.zeros(line_start.shape, np.bool_),
        line_duration=duration,
        line_period=period,
        line_duration_measured=False,
        frame_start=line_start[:, 0].copy(),
        frame_end=line_start[:, -1] + duration,
        tick_time=none,
        tick_rotation=np.zeros(0, np.int32),
        tick_angle=none,
        tick_inserted=np.zeros(0, np.bool_),
        **segment_arrays(measured, SAMPLING_RATE),
        **knot_arrays("movie" if table is None else "table", measured),
        repairs=tuple(report.repairs),
        anomalies=(),
        counts={"frames": len(index), "lines": int(line_start.size), "rotations": 0},
        levels={},
    )
