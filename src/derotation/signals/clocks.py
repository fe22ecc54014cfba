"""From the pulses of the line clock and the frame clock to one start per line of the movie."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import SignalError
from derotation.signals.clock_blocks import only_chosen_frames, only_movie_blocks
from derotation.signals.clock_frames import FrameChoice, agree_with_movie
from derotation.signals.line_scanner import USUAL, LineScanner
from derotation.signals.period_clock import lines_from_period_clock
from derotation.signals.pulses import Pulses, begun_before, usual_interval
from derotation.signals.repairs import Report, counted

NDFloat = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """When the lines of all clock frames were scanned; times in samples."""

    line_start: NDFloat
    """Start of each line, shape (n_clock_frames, n_lines)."""
    line_repaired: NDArray[np.bool_]
    """Lines without a pulse of their own where others have one, same shape."""
    line_period: float
    """From one line to the next."""
    line_duration: float
    """How long a line's pulse lasts, or the period if that was not measured."""
    line_duration_measured: bool
    """Whether pulses last long enough to say when a line is over."""
    frame_duration: float | None
    """How long the frame clock is high, if it is for as long as lines are scanned."""
    frame_offset: int
    """How many of the spare frames come before the first frame."""
    spare_line_start: NDFloat
    """Frames that the clocks count too many, as `line_start`: those before, then those after."""
    spare_line_repaired: NDArray[np.bool_]


def read_scan(
    line: Pulses,
    frame: Pulses,
    *,
    n_frames: int,
    n_lines: int,
    n_samples: int,
    recognize: bool,
    report: Report,
    choice: FrameChoice | None = None,
    ticks: ArrayLike = (),
    line_period: float | None = None,
    flyback_lines: float = 0.0,
    n_columns: int | None = None,
) -> Scan:
    """Tell when each line of each clock frame was scanned.

    Parameters
    ----------
    line, frame : Pulses
        Pulses of the two clocks; one of them may have none.
    n_frames : int
        Frames that the clock should have counted according to the movie.
    n_lines : int
        Lines of a frame.
    n_samples : int
        Length of the recording.
    recognize : bool
        Whether clocks that are exchanged are told by their pulses.
    report : Report
        Takes the repairs.
    choice : FrameChoice, optional
        Which frames of the clocks are the movie's; default: found out.
    ticks : array_like of shape (n,), optional
        When the motor ticked, samples: of runs of frames that fit alike, the one with most ticks
        is the movie's.
    line_period : float, optional
        From line to line, samples, if it is known; used where the line clock does not tell it.
    flyback_lines : float, optional
        Time from a frame's last line to the next frame, in lines; used where neither clock
        tells how long the lines of a frame take.
    n_columns : int, optional
        Columns of the movie, if its rows are all lines: where the clock counts as many lines as
        there are columns, rows and columns were exchanged.

    Returns
    -------
    Scan
        Exactly `n_frames` frames.

    Raises
    ------
    SignalError
        If the clocks cannot be brought to agree with the movie safely.

    Notes
    -----
    Where both clocks are sound, every line start is a pulse of the line clock. Where the line
    clock's gaps are too short to be seen, or where there is no line clock, lines are spread evenly
    over the frame's active time; where frames follow each other without a gap, or without a frame
    clock, they are counted out from the line clock. Blocks of frames between which the clocks
    paused are told apart. A few frames too many are left out at the end of the recording (or at its
    beginning, if that is where a frame is cut), since that is where most microscopes add them; the
    others are kept as an alternative.
    """
    choice = choice or FrameChoice()
    line, frame = _recognize(line, frame, n_frames, n_lines, recognize, report)
    frame = _without_crowded(frame, usual_interval(frame.start), report, "frame")
    if choice.how != "auto" and len(frame) > n_frames:
        kept = choice.kept(len(frame), n_frames)
        line, frame = only_chosen_frames(line, frame, kept, str(choice), report)
    elif choice.how == "auto":
        line, frame = only_movie_blocks(
            line, frame, n_frames=n_frames, n_lines=n_lines, ticks=ticks, report=report
        )
    # Where gaps between lines are too short to be seen, pulses are usually several lines apart.
    expected = usual_interval(frame.start) / n_lines
    line = _without_crowded(line, min(usual_interval(line.start), expected), report, "line")
    line = lines_from_period_clock(line, frame, n_frames=n_frames, n_lines=n_lines, report=report)
    scanner = LineScanner(
        line, frame, n_frames, n_lines, report, line_period=line_period, flyback=flyback_lines
    )
    exchanged = _exchanged_axes(line, frame, n_lines, n_columns)
    if exchanged and n_columns is not None and n_columns < n_lines:
        raise SignalError(f"line_clock: {exchanged}")
    try:
        frames = scanner.read()
    except SignalError as error:
        raise (SignalError(f"{error}\nOr {exchanged}") if exchanged else error) from error
    pulses = f"{len(frame)} pulses of the frame clock, {len(line)} of the line clock"
    agree_with_movie(
        frames,
        n_frames=n_frames,
        n_samples=n_samples,
        choice=choice,
        pulses=pulses,
        report=report,
    )
    duration = scanner.line_duration(frames)
    return Scan(
        line_start=frames.line_start,
        line_repaired=frames.repaired,
        line_period=frames.period,
        line_duration=frames.period if duration is None else duration,
        line_duration_measured=duration is not None,
        frame_duration=scanner.frame_duration(),
        frame_offset=frames.offset,
        spare_line_start=frames.spare_line_start.reshape(-1, n_lines),
        spare_line_repaired=frames.spare_repaired.reshape(-1, n_lines),
    )


def _exchanged_axes(line: Pulses, frame: Pulses, n_lines: int, n_columns: int | None) -> str | None:
    """Say it if the line clock counts as many lines as the movie has columns, not rows.

    Not if these may be every second, third, ... line pulse.
    """
    if n_columns is None or n_lines % n_columns == 0 or len(frame) < 2:
        return None
    counts = np.diff(begun_before(line.start, frame.start - 0.5 * usual_interval(line.start)))
    share = np.count_nonzero(counts == n_columns) / len(counts)
    if share < USUAL:
        return None
    return (
        f"most frames ({share:.0%}) have {n_columns} line pulses, which is how many columns the "
        f"movie has, beside {n_lines} rows: rows and columns were exchanged, or the pictures "
        "turned by 90 degrees, when the movie was saved. Set movie.undo: [transpose]; if they were "
        "turned rather than exchanged, flip_rows or flip_columns belongs after it."
    )


def _recognize(
    line: Pulses, frame: Pulses, n_frames: int, n_lines: int, recognize: bool, report: Report
) -> tuple[Pulses, Pulses]:
    """Exchange the clocks if the frame clock is the one that counts lines."""
    if not len(line) and len(frame) < 0.5 * n_lines * n_frames:
        return line, frame  # there is no line clock
    # A frame has one line or more, so there are never fewer line pulses than frames.
    if n_lines < 2 or len(frame) <= len(line) or (len(frame) <= 2 * len(line) and not recognize):
        return line, frame
    found = (
        f"the channel taken for the frame clock has {len(frame)} pulses, the one taken for the "
        f"line clock {len(line)}; expected are {n_frames} frames of {n_lines} lines"
    )
    if not recognize:
        raise SignalError(
            f"line_clock and frame_clock seem to be exchanged: {found}. Correct "
            "signals.channel_order, or set signals.recognize_clocks to true."
        )
    report.repair(
        "clocks_swapped",
        "line_clock",
        f"Line clock and frame clock are exchanged: {found}. They were used the other way round.",
        count=1,
    )
    return frame, line


def _without_crowded(pulses: Pulses, period: float, report: Report, what: str) -> Pulses:
    """Leave out pulses that come too soon after another, with what lies between them."""
    from derotation.signals import edges

    if len(pulses) < 4:
        return pulses
    crowded = edges.mark_crowded(pulses.start, period)
    n = int(np.count_nonzero(crowded))
    if not n:
        return pulses
    report.repair(
        f"{what}_pulses_dropped",
        pulses.role,
        f"{counted(n, 'pulse')} of the {what} clock came less than half a period "
        f"({period / report.sampling_rate * 1e3:.3g} ms) after another and were left out.",
        pulses.start[crowded],
    )
    keep = ~crowded
    # A pulse that a short gap had cut in two lasts until its second part is over.
    group = np.cumsum(keep) - 1
    stop = pulses.stop[keep].copy()
    np.maximum.at(stop, np.maximum(group, 0), pulses.stop)
    return Pulses(
        role=pulses.role,
        start=pulses.start[keep],
        stop=np.minimum(stop, np.append(pulses.start[keep][1:], stop[-1])),
        levels=pulses.levels,
        begins_high=pulses.begins_high and not crowded[0],
        ends_high=pulses.ends_high,
    )
