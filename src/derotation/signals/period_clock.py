"""A clock with one pulse per two lines, as resonant scanners export it, to a pulse per line."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from derotation.signals.pulses import Pulses, begun_before, usual_interval
from derotation.signals.repairs import Report

__all__ = ["lines_from_period_clock"]

# If so many frames agree on a number of lines, it is no accident.
USUAL = 0.8
# The second line begins where the pulse ends if it lasts this part of its period.
HALF = (0.45, 0.55)
# A pulse that lasts longer is that of a line.
LONGEST = 0.6
# Rooms are measured no better than this.
TOLERANCE = 0.02


def lines_from_period_clock(
    line: Pulses, frame: Pulses, *, n_frames: int, n_lines: int, report: Report
) -> Pulses:
    """Give each line a pulse if the clock has one per two lines; else change nothing.

    Parameters
    ----------
    line, frame : Pulses
        The line clock and the frame clock.
    n_frames, n_lines : int
        Frames of the movie and lines of a frame.
    report : Report
        Takes it.

    Returns
    -------
    Pulses
        The line clock. The second line of each pair begins with the pulse's fall if the pulse
        lasts half a period, else halfway to the next pulse.
    """
    if len(line) < 4 or n_lines < 4 or not _is_period_clock(line, frame, n_frames, n_lines):
        return line
    period = usual_interval(line.start)
    share = line.usual_length / period
    if HALF[0] < share < HALF[1]:
        second = line.stop.astype(np.float64)
    else:
        step = np.append(np.diff(line.start), period)
        second = line.start + np.where(step < 1.5 * period, step, period) / 2
    dtype = line.start.dtype
    start = np.column_stack([line.start, np.rint(second)]).ravel().astype(dtype)
    report.repair(
        "period_clock",
        "line_clock",
        f"The line clock has one pulse per two lines ({len(line)} pulses for {n_frames} frames of "
        f"{n_lines} lines): a line was put between each two pulses.",
        count=len(line),
    )
    # Such pulses say nothing about how long a line lasts.
    return replace(line, start=start, stop=start + dtype.type(1), ends_high=False)


def _is_period_clock(line: Pulses, frame: Pulses, n_frames: int, n_lines: int) -> bool:
    """Tell whether frames have half as many pulses as lines, and room for twice as many."""
    period = usual_interval(line.start)
    if line.usual_length > LONGEST * period:
        return False
    if len(frame) < 2:
        pairs = 2 * len(line) / (n_frames * n_lines)
        return abs(pairs - 1) < TOLERANCE
    counts = _pulses_per_frame(line, frame, period)
    half = (n_lines // 2, (n_lines + 1) // 2)
    if np.count_nonzero(np.isin(counts, half)) < USUAL * len(counts):
        return False
    frame_period = usual_interval(frame.start)
    return bool(n_lines * period / 2 <= (1 + TOLERANCE) * frame_period)


def _pulses_per_frame(line: Pulses, frame: Pulses, period: float) -> NDArray[np.int64]:
    bounds = begun_before(line.start, frame.start - period / 4)
    return np.diff(bounds)
