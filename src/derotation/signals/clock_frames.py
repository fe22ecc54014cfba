"""Which of the frames that the clocks count are those of the movie."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from derotation.errors import ConfigError, SignalError
from derotation.signals.clock_blocks import MAX_EXTRA_FRAMES
from derotation.signals.repairs import Report, counted

__all__ = ["ClockFrames", "FrameChoice", "agree_with_movie", "read_choice"]

NDFloat = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameChoice:
    """Which frames of the clocks the user says are the movie's."""

    how: Literal["auto", "first", "last", "skip"] = "auto"
    skip_start: int = 0
    skip_end: int | None = None
    """Only with "skip"; None: as many as are left."""

    def kept(self, n_clock: int, n_frames: int) -> slice:
        """Give the chosen ones of `n_clock` frames.

        Raises
        ------
        SignalError
            If they are not as many as the movie has.
        """
        match self.how:
            case "first":
                kept = slice(0, n_frames)
            case "last":
                kept = slice(max(n_clock - n_frames, 0), n_clock)
            case _:
                end = self.skip_start + n_frames
                end = end if self.skip_end is None else n_clock - self.skip_end
                kept = slice(self.skip_start, max(end, self.skip_start))
        n_kept = len(range(*kept.indices(n_clock)))
        if n_kept != n_frames:
            raise SignalError(
                f"signals.frames is {self}: of the {n_clock} frames that the clocks count this "
                f"leaves {n_kept}, but the movie has {n_frames}."
            )
        return kept

    def __str__(self) -> str:
        if self.how != "skip":
            return self.how
        end = "" if self.skip_end is None else f", skip_end: {self.skip_end}"
        return f"{{skip_start: {self.skip_start}{end}}}"


def read_choice(given: str | Mapping[str, int | None] | None) -> FrameChoice:
    """Read ``signals.frames``.

    Raises
    ------
    ConfigError
        If it is something else than ``auto``, ``first``, ``last`` or numbers of frames to skip.
    """
    if given is None or given == "auto":
        return FrameChoice()
    if given == "first":
        return FrameChoice(how="first")
    if given == "last":
        return FrameChoice(how="last")
    if isinstance(given, Mapping) and set(given) <= {"skip_start", "skip_end"}:
        start, end = given.get("skip_start") or 0, given.get("skip_end")
        if start >= 0 and (end is None or end >= 0):
            return FrameChoice(how="skip", skip_start=start, skip_end=end)
    raise ConfigError(
        f"signals.frames is {given!r}; allowed are auto, first, last, and {{skip_start: n, "
        "skip_end: n}} with numbers of clock frames that do not belong to the movie."
    )


@dataclass(slots=True)
class ClockFrames:
    """Frames of the clocks that may be the movie's; times in samples."""

    start: NDFloat
    line_start: NDFloat
    repaired: NDArray[np.bool_]
    """Lines without a pulse of their own where others have one."""
    complete: NDArray[np.bool_]
    period: float
    from_pulses: bool = True
    """Whether lines were taken from pulses of the line clock."""
    offset: int = 0
    """How many of the spare frames come before the movie's first one."""
    spare_line_start: NDFloat = field(default_factory=lambda: np.zeros((0, 0)))
    """Lines of frames that may be the movie's instead of those at the other end."""
    spare_repaired: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), np.bool_))

    def keep(self, which: slice) -> None:
        """Keep some of the frames."""
        self.start = self.start[which]
        self.line_start = self.line_start[which]
        self.repaired = self.repaired[which]
        self.complete = self.complete[which]

    def choose(self, kept: slice) -> None:
        """Keep a run of frames, and remember those before and after as alternatives."""
        first, last, _ = kept.indices(len(self.start))
        ends = [slice(0, first), slice(last, None)]
        self.offset = first
        self.spare_line_start = np.concatenate([self.line_start[end] for end in ends])
        self.spare_repaired = np.concatenate([self.repaired[end] for end in ends])
        self.keep(kept)


def agree_with_movie(
    frames: ClockFrames,
    *,
    n_frames: int,
    n_samples: int,
    choice: FrameChoice,
    pulses: str,
    report: Report,
) -> None:
    """Bring the number of clock frames to that of the movie, or refuse.

    Parameters
    ----------
    frames : ClockFrames
        Changed in place.
    n_frames : int
        Frames of the movie, as the clock counts them.
    n_samples : int
        Length of the recording.
    choice : FrameChoice
        What the user says.
    pulses : str
        What the clocks have, in words, for the refusal.
    report : Report
        Takes the repairs.

    Raises
    ------
    SignalError
        If they differ by more than can be mended.
    """
    if choice.how != "auto" and len(frames.start) != n_frames:
        kept = choice.kept(len(frames.start), n_frames)
        n_left = len(frames.start) - n_frames
        report.repair(
            "clock_frames_chosen",
            "frame_clock",
            f"signals.frames is {choice}: {counted(n_left, 'frame')} of the clocks left out.",
            count=n_left,
        )
        frames.keep(kept)
        return
    n_complete = int(np.count_nonzero(frames.complete))
    n_all = len(frames.start)
    # An incomplete frame counts if the movie has it.
    if n_complete < n_frames <= n_all:
        _use_incomplete(frames, n_frames, report)
    elif n_complete >= n_frames:
        _drop_incomplete(frames, report)
    extra = len(frames.start) - n_frames
    if extra > MAX_EXTRA_FRAMES or extra < -1:
        raise SignalError(_disagreement(n_frames, n_complete, n_all, frames, pulses))
    if extra > 0:
        _leave_out(frames, extra, n_frames, report)
    elif extra == -1:
        _extrapolate(frames, n_frames, n_samples, report)


def _leave_out(frames: ClockFrames, extra: int, n_frames: int, report: Report) -> None:
    """Take the first frames for the movie's, which is a guess, and keep the others in mind."""
    which = "the last one was" if extra == 1 else f"the last {extra} were"
    report.repair(
        "clock_frame_dropped",
        "frame_clock",
        f"The clocks count {counted(extra, 'frame')} more ({len(frames.start)}) than the movie has "
        f"({n_frames}): {which} left out. That is a guess, since nothing in the signals tells; if "
        "they came first, set signals.frames to last, or say how many to skip.",
        frames.start[n_frames:],
    )
    frames.choose(slice(0, n_frames))


def _drop_incomplete(frames: ClockFrames, report: Report) -> None:
    """Leave out frames that were cut at the beginning or the end."""
    if not frames.complete[-1]:
        report.repair(
            "trailing_frame_dropped",
            "frame_clock",
            "The clocks end within a frame, which the movie does not have: left out.",
            frames.start[-1:],
        )
        frames.keep(slice(0, -1))
    if len(frames.start) and not frames.complete[0]:
        report.repair(
            "leading_frame_dropped",
            "frame_clock",
            "The recording begins within a frame, which the movie does not have: left out.",
            frames.start[:1],
        )
        frames.keep(slice(1, None))


def _use_incomplete(frames: ClockFrames, n_frames: int, report: Report) -> None:
    """Keep a frame that was cut, since the movie has it; prefer the one at the end."""
    if len(frames.start) > n_frames and not frames.complete[0]:
        frames.keep(slice(1, None))
    cut = ~frames.complete
    n_lines = int(np.count_nonzero(frames.repaired[cut]))
    report.repair(
        "cut_frame_completed",
        "line_clock",
        f"{counted(int(np.count_nonzero(cut)), 'frame')} of the movie cut at the edge of the "
        f"recording or of the clocks: {counted(n_lines, 'line')} extrapolated.",
        frames.start[cut],
    )


def _extrapolate(frames: ClockFrames, n_frames: int, n_samples: int, report: Report) -> None:
    """Add the frame that the movie has and the clocks do not, after the last one.

    The one before the first is remembered as the alternative.
    """
    n_lines = frames.line_start.shape[1]
    step = float(np.median(np.diff(frames.start))) if len(frames.start) > 1 else 0.0
    step = step or n_lines * frames.period
    before, after = frames.line_start[0] - step, frames.line_start[-1] + step
    end = float(after[-1]) + frames.period
    beyond = "" if end <= n_samples else ", beyond the end of the analog signals"
    report.repair(
        "clock_frame_extrapolated",
        "frame_clock",
        f"The clocks count one frame fewer ({len(frames.start)}) than the movie has "
        f"({n_frames}): the movie's last frame was put one frame period after the "
        f"last clock frame{beyond}.",
        after[:1],
    )
    unseen = np.ones(n_lines, np.bool_)
    frames.line_start = np.vstack([before, frames.line_start, after])
    frames.start = frames.line_start[:, 0].copy()
    frames.repaired = np.vstack([unseen, frames.repaired, unseen])
    frames.complete = np.concatenate([[True], frames.complete, [True]])
    frames.choose(slice(1, None))


def _disagreement(
    n_frames: int, n_complete: int, n_all: int, frames: ClockFrames, pulses: str
) -> str:
    n_cut = n_all - n_complete
    cut = f" and {counted(n_cut, 'incomplete one', 'incomplete ones')}" if n_cut else ""
    difference = n_complete - n_frames
    lines = frames.line_start.shape[1]
    return (
        f"The movie and the clocks disagree: the movie has {n_frames} frames (as the "
        f"frame clock counts them, one per plane), the clocks {n_complete} complete frames"
        f"{cut} ({pulses}, {lines} lines per frame): {abs(difference)} "
        f"{'more' if difference > 0 else 'fewer'}. Up to {MAX_EXTRA_FRAMES} more, or one fewer, "
        "would have been mended. "
        "Likely causes: movie and signals of different recordings; a file missing in the "
        "movie's glob, or one too many; several planes (movie.n_planes) or channels "
        "(movie.n_channels) that take turns in the file, or averaged frames; a clock that also "
        "ran outside the recording (signals.frames says which frames are the movie's); "
        "a wrong scan.lines_per_frame; a recording of the signals that began late or ended "
        "early; a threshold (signals.thresholds) that misses pulses."
    )
