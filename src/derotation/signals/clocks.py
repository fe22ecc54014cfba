"""From the pulses of the line clock and the frame clock to one start per line of the movie."""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.errors import SignalError
from derotation.signals.pulses import Pulses
from derotation.signals.repairs import Report, counted, table

logger = logging.getLogger(__name__)

# A line pulse may lie this far from its place in the frame's own rhythm (line periods).
MAX_LINE_MISFIT = 0.25
# A frame is mended if at least this part of its lines has pulses of their own.
MIN_LINES_SEEN = 0.5
# Where gaps are shorter than that, single pulses are trusted if at least this part of them is seen.
MIN_LINES_IF_HIDDEN = 0.98
# If so many frames agree on another number of lines, it is no accident.
USUAL = 0.8
# Pulses from which the line period is measured where many are hidden.
MAX_RISES_FITTED = 500_000
# Gaps this short between lines may vanish between two samples.
MAX_HIDDEN_GAP_SAMPLES = 2

NDFloat = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """When the lines of all clock frames were scanned; times in samples."""

    line_start: NDFloat
    """Start of each line, shape (n_clock_frames, n_lines)."""
    line_repaired: NDArray[np.bool_]
    """Lines whose start was not measured but computed, same shape."""
    line_period: float
    """From one line to the next."""
    line_duration: float
    """How long a line's pulse lasts, or the period if that was not measured."""
    line_duration_measured: bool
    """Whether pulses last long enough to say when a line is over."""


@dataclass(slots=True)
class _Frames:
    """Clock frames on the way to a :class:`Scan`: those that may be the movie's."""

    start: NDFloat
    line_start: NDFloat
    repaired: NDArray[np.bool_]
    complete: NDArray[np.bool_]
    period: float

    def keep(self, which: slice) -> None:
        self.start = self.start[which]
        self.line_start = self.line_start[which]
        self.repaired = self.repaired[which]
        self.complete = self.complete[which]


def read_scan(
    line: Pulses,
    frame: Pulses,
    *,
    n_frames: int,
    n_lines: int,
    n_samples: int,
    recognize: bool,
    report: Report,
) -> Scan:
    """Tell when each line of each clock frame was scanned.

    Parameters
    ----------
    line, frame : Pulses
        Pulses of the two clocks.
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
    clock's gaps are too short to be seen, lines are spread evenly over the frame's active time;
    where frames follow each other without a gap, they are counted out from the line clock. A
    difference of one frame is settled at the end of the recording (or at its beginning, if that
    is where a frame is cut), since that is where microscopes lose or add one.
    """
    line, frame = _recognize(line, frame, n_frames, n_lines, recognize, report)
    frame = _without_crowded(frame, _usual_interval(frame), report, "frame")
    # Where gaps between lines are too short to be seen, pulses are usually several lines apart.
    expected = _usual_interval(frame) / n_lines if len(frame) > 1 else np.inf
    line = _without_crowded(line, min(_usual_interval(line), expected), report, "line")
    scan = _Scanner(line, frame, n_frames, n_lines, n_samples, report)
    return scan.read()


def _recognize(
    line: Pulses, frame: Pulses, n_frames: int, n_lines: int, recognize: bool, report: Report
) -> tuple[Pulses, Pulses]:
    """Exchange the clocks if the frame clock is the one that counts lines."""
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


def _usual_interval(pulses: Pulses) -> float:
    """Give the median time from one pulse to the next; infinite for a single pulse."""
    return float(np.median(np.diff(pulses.start))) if len(pulses) > 1 else float("inf")


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


def _rhythm(gaps: NDFloat) -> float:
    """Measure the period of pulses some of which are missing."""
    period = float(np.median(gaps))
    for _ in range(3):
        steps = np.rint(gaps / period)
        single = (steps >= 1) & (steps <= 3)
        period = float(gaps[single].sum() / steps[single].sum())
    return period


class _Scanner:
    """Reads one recording's clocks; a class only because everything needs the same five things."""

    def __init__(
        self,
        line: Pulses,
        frame: Pulses,
        n_frames: int,
        n_lines: int,
        n_samples: int,
        report: Report,
    ) -> None:
        self.line = line
        # One block of the line clock per frame tells frames apart if the frame clock does not.
        is_gate = abs(len(line) - n_frames) <= 2 and len(frame) < 0.5 * n_frames
        self.frame = line if is_gate else frame
        self.n_frames = n_frames
        self.n_lines = n_lines
        self.n_samples = n_samples
        self.report = report
        self.first_pulse = 1 if line.begins_high else 0  # when this line began is not known
        self.rises = line.start[self.first_pulse :]

    def read(self) -> Scan:
        """Choose the way that the clocks allow."""
        if len(self.rises) < 2 or len(self.rises) < 0.25 * self.n_frames:
            raise SignalError(
                f"line_clock: {counted(len(self.line), 'pulse')} only; {self.n_frames} frames of "
                f"{self.n_lines} lines are expected. Check signals.channel_order, the cable, and "
                "signals.thresholds.line_clock."
            )
        self._check_gaps_seen()
        if self._frames_are_usable():
            period = self._line_period()
            frames = self._from_both_clocks(period) if period else self._from_frame_clock()
        else:
            frames = self._from_line_clock()
        self._agree(frames)
        return self._measured(frames)

    # Which clock can be trusted

    def _frames_are_usable(self) -> bool:
        """Tell whether frames are told apart by the frame clock, or by the line clock alone."""
        n = len(self.frame)
        if abs(n - self.n_frames) <= 2 and n >= 1 and not (n == 1 and self.n_frames > 1):
            return True
        lines_seen = len(self.rises) / (self.n_frames * self.n_lines)
        return n > 0.5 * self.n_frames + 1 or lines_seen < MIN_LINES_SEEN

    def _line_period(self) -> float | None:
        """Measure the line period; None if gaps between lines are too short to be seen."""
        if self._lines_are_merged():
            return None
        gaps = np.diff(self.rises)
        median = float(np.median(gaps))
        near = gaps[np.abs(gaps - median) <= 0.3 * median + 1]
        return float(near.mean())

    def _check_gaps_seen(self) -> None:
        """Refuse clocks both of which stay high where one thing ends and the next begins."""
        if len(self.frame) < self.n_frames - 1 and self._lines_are_merged():
            raise SignalError(
                f"line_clock and frame_clock: {counted(len(self.line), 'pulse')} and "
                f"{counted(len(self.frame), 'pulse')} for {self.n_frames} frames of "
                f"{self.n_lines} lines. At {self.report.sampling_rate:g} Hz the gaps between lines "
                "and those between frames are too short to be seen, so nothing tells the lines "
                "apart. Record the signals at a higher sampling rate."
            )

    def _lines_are_merged(self) -> bool:
        """Tell whether many lines follow each other without a gap that is seen."""
        wanted = self.n_lines * max(len(self.frame), self.n_frames - 1)
        return self._gaps_are_hidden() and len(self.rises) < MIN_LINES_IF_HIDDEN * wanted

    def _gaps_are_hidden(self) -> bool:
        """Tell whether the line clock is low between lines for no longer than a sample or two."""
        low = self.line.start[1:] - self.line.stop[:-1]
        if len(low) < 1.5 * len(self.frame):
            return True
        return bool(np.median(low) <= MAX_HIDDEN_GAP_SAMPLES)

    def _frame_period(self) -> float:
        start = self.frame.start[1 if self.frame.begins_high else 0 :]
        if len(start) > 1:
            return float(np.median(np.diff(start)))
        return float(self.frame.stop[-1] - self.frame.start[-1])

    # Both clocks

    def _from_both_clocks(self, period: float) -> _Frames:
        """Take each frame's lines from the line clock."""
        start = self._frame_starts(period)
        bounds = np.searchsorted(self.rises, start - 0.5 * period)
        leading = int(bounds[0])
        if leading:
            self.report.repair(
                "leading_lines_dropped",
                "line_clock",
                f"{counted(leading, 'line')} came before the first frame and were left out.",
                self.rises[:leading],
            )
        counts = np.diff(np.append(bounds, len(self.rises)))
        counts[-1] = min(counts[-1], self._lines_within_last(start, period))
        self._check_counts(start, counts, period)
        good = counts == self.n_lines
        frames = _Frames(
            start=start,
            line_start=np.empty((len(start), self.n_lines)),
            repaired=np.zeros((len(start), self.n_lines), np.bool_),
            complete=np.ones(len(start), np.bool_),
            period=period,
        )
        # Frame by frame: an index of all lines at once would be larger than the result.
        for k in np.flatnonzero(good):
            frames.line_start[k] = self.rises[bounds[k] : bounds[k] + self.n_lines]
        self._mend_frames(frames, bounds, counts, np.flatnonzero(~good))
        return frames

    def _lines_within_last(self, start: NDFloat, period: float) -> int:
        """Count the line pulses of the last frame, whose end no next frame tells."""
        frame_period = self._frame_period() if len(start) > 1 else self.n_lines * period
        end = max(start[-1] + frame_period, start[-1] + self.n_lines * period) - 0.5 * period
        return int(
            np.searchsorted(self.rises, end) - np.searchsorted(self.rises, start[-1] - 0.5 * period)
        )

    def _frame_starts(self, period: float) -> NDFloat:
        """List frame starts, with those whose pulse is missing though lines go on."""
        start = self.frame.start.astype(np.float64)
        frame_period = self._frame_period()
        if self.frame.begins_high and len(start) > 1:
            start[0] = start[1] - frame_period
        missing: list[float] = []
        steps = np.rint(np.diff(start) / frame_period)
        for k in np.flatnonzero(steps >= 2):
            begin, end = start[k] - 0.5 * period, start[k + 1] - 0.5 * period
            inside = np.searchsorted(self.rises, end) - np.searchsorted(self.rises, begin)
            regular = abs(start[k + 1] - start[k] - steps[k] * frame_period) < 0.1 * frame_period
            if regular and inside > (steps[k] - 0.5) * self.n_lines:
                missing.extend(start[k] + frame_period * np.arange(1, steps[k]))
        after = len(self.rises) - np.searchsorted(self.rises, start[-1] + frame_period - period / 2)
        if len(start) < self.n_frames and after >= (1 - MAX_LINE_MISFIT) * self.n_lines:
            missing.append(start[-1] + frame_period)
        before = np.searchsorted(self.rises, start[0] - 0.5 * period)
        if len(start) < self.n_frames and before >= (1 - MAX_LINE_MISFIT) * self.n_lines:
            missing.append(start[0] - frame_period)
        if missing:
            self.report.repair(
                "frame_pulses_inserted",
                "frame_clock",
                f"{counted(len(missing), 'pulse')} of the frame clock missing where the line clock "
                "goes on: inserted.",
                missing,
            )
        return np.sort(np.append(start, missing))

    def _check_counts(self, start: NDFloat, counts: NDArray[np.int64], period: float) -> None:
        """Refuse a line clock that counts another number of lines in most frames."""
        inner = counts[:-1] if len(counts) > 2 else counts
        usual = int(np.bincount(inner).argmax())
        share = np.count_nonzero(inner == usual) / len(inner)
        if usual == self.n_lines or share < USUAL:
            return
        if usual > self.n_lines and self._surplus_is_flyback(start, counts == usual, period):
            self.report.repair(
                "flyback_lines_dropped",
                "line_clock",
                f"The line clock goes on for {usual - self.n_lines} lines after each frame of "
                f"{self.n_lines}, while the mirror flies back: left out.",
                count=(usual - self.n_lines) * len(counts),
            )
            return
        if self._gaps_are_hidden() and usual < self.n_lines:
            return
        raise SignalError(
            f"line_clock: most frames ({share:.0%}) have {usual} line pulses, but the movie has "
            f"{self.n_lines} lines per frame. Check scan.lines_per_frame, whether signals and "
            "movie belong together, and whether the clock counts every line.\n"
            + self._table(start, counts)
        )

    def _surplus_is_flyback(self, start: NDFloat, usual: NDArray[np.bool_], period: float) -> bool:
        """Tell whether the lines too many begin when the pulse of their frame is over."""
        pulse = np.searchsorted(self.frame.start, start[usual] - 0.5 * period)
        pulse = np.minimum(pulse, len(self.frame) - 1)
        first_line = np.searchsorted(self.rises, start[usual] - 0.5 * period)
        surplus = self.rises[first_line + self.n_lines]
        over = self.frame.stop[pulse]
        lasts = float(np.median(over - start[usual]))
        is_gate = lasts > (self.n_lines - 1) * period
        return is_gate and float(np.median(surplus - over)) > -0.1 * period

    def _mend_frames(
        self,
        frames: _Frames,
        bounds: NDArray[np.int64],
        counts: NDArray[np.int64],
        bad: NDArray[np.int64],
    ) -> None:
        """Put the lines of odd frames in their places by the frame's own rhythm."""
        good = np.setdiff1d(np.arange(len(frames.start)), bad)
        source = good if len(good) else np.arange(len(frames.start))
        firsts = self.rises[np.minimum(bounds[source], len(self.rises) - 1)]
        # Where every frame is odd, some may lack their first line.
        late = float(np.quantile(firsts - frames.start[source], 0.5 if len(good) else 0.2))
        refused, missing, surplus = [], [], 0
        for k in bad:
            seen = self.rises[bounds[k] : bounds[k] + counts[k]]
            place = np.rint((seen - frames.start[k] - late) / frames.period).astype(int)
            misfit = seen - frames.start[k] - late - place * frames.period
            inside = (place >= 0) & (place < self.n_lines)
            fits = np.abs(misfit) <= MAX_LINE_MISFIT * frames.period + 1
            own, first = np.unique(place[inside & fits], return_index=True)
            edge = self._is_cut(frames, k, own)
            if not edge and len(own) < MIN_LINES_SEEN * self.n_lines:
                refused.append(k)
                continue
            frames.complete[k] = not edge
            frames.line_start[k] = self._spread(
                own, seen[inside & fits][first], frames.start[k] + late, frames.period
            )
            frames.repaired[k] = ~np.isin(np.arange(self.n_lines), own)
            if not edge:
                missing.extend(frames.line_start[k][frames.repaired[k]])
                surplus += int(np.count_nonzero(inside)) - len(own)
        if refused:
            raise SignalError(
                f"line_clock: in {counted(len(refused), 'frame')} fewer than half of the "
                f"{self.n_lines} lines have a pulse in its place, so they cannot be mended. Check "
                "the cable, signals.thresholds.line_clock and scan.lines_per_frame.\n"
                + self._table(frames.start, counts, refused)
            )
        if missing:
            self.report.repair(
                "line_pulses_inserted",
                "line_clock",
                f"{counted(len(missing), 'line pulse')} missing within frames: put where the "
                "frame's own rhythm says.",
                missing,
            )
        if surplus:
            self.report.repair(
                "line_pulses_dropped",
                "line_clock",
                f"{counted(surplus, 'line pulse')} too many within frames: left out.",
                count=surplus,
            )

    def _is_cut(self, frames: _Frames, k: int, own: NDArray[np.int64]) -> bool:
        """Tell whether a frame lacks its end (or, the first one, its beginning)."""
        if not len(own):
            return k in (0, len(frames.start) - 1)
        if k == len(frames.start) - 1 and own[-1] < self.n_lines - 1:
            return True
        return k == 0 and own[0] > 0 and (self.frame.begins_high or self.line.begins_high)

    def _spread(self, own: NDArray[np.int64], at: NDFloat, start: float, period: float) -> NDFloat:
        """Place all lines of a frame: those seen where they are, the others between them."""
        lines = np.arange(self.n_lines)
        if not len(own):
            return np.asarray(start + lines * period)
        before, after = lines < own[0], lines > own[-1]
        place = np.interp(lines, own, at)
        place[before] = at[0] - (own[0] - lines[before]) * period
        place[after] = at[-1] + (lines[after] - own[-1]) * period
        return np.asarray(place)

    # One clock only

    def _from_frame_clock(self) -> _Frames:
        """Spread each frame's lines evenly over its active time."""
        start = self.frame.start.astype(np.float64)
        stop = self.frame.stop.astype(np.float64)
        frame_period = self._frame_period()
        begin, end = self._line_blocks(start, frame_period)
        if begin is not None and end is not None:
            start, stop = begin, end
        lasts = stop - start
        active = float(np.median(lasts if len(lasts) < 4 else lasts[1:-1]))
        if active < 0.5 * frame_period:  # a trigger rather than a gate
            active = frame_period
        complete = lasts > 0.99 * active - 1
        if self.frame.begins_high:
            complete[0] = False
            start[0] = stop[0] - active
        if not complete[1:-1].all():
            raise SignalError(
                "frame_clock: the line clock does not go low between lines, and in "
                f"{counted(int(np.count_nonzero(~complete[1:-1])), 'frame')} the clocks are high "
                f"for less than the usual {active / self.report.sampling_rate * 1e3:.4g} ms, so "
                "nothing tells when their lines were scanned. Check both clocks' cables and "
                "thresholds, or record at a higher sampling rate."
            )
        period = self._refined(start, active / self.n_lines)
        self.report.repair(
            "lines_from_frame_clock",
            "line_clock",
            "The line clock does not go low between lines for long enough to be seen at this "
            f"sampling rate: line starts were taken from the frame clock, {self.n_lines} per "
            f"frame, {period / self.report.sampling_rate * 1e3:.4g} ms apart.",
            count=len(start) * self.n_lines,
        )
        line_start = start[:, None] + np.arange(self.n_lines) * period
        return _Frames(
            start=start,
            line_start=line_start,
            repaired=np.ones(line_start.shape, np.bool_),
            complete=complete,
            period=period,
        )

    def _refined(self, start: NDFloat, period: float) -> float:
        """Measure the line period by the lines whose gap was seen, given a fair guess."""
        rises = self.rises[:MAX_RISES_FITTED]
        frame = np.searchsorted(start, rises + 1, side="left") - 1
        since = rises[frame >= 0] - start[frame[frame >= 0]]
        place = np.rint(since / period)
        inner = (place > 0) & (place < self.n_lines)
        inner &= np.abs(since - place * period) < MAX_LINE_MISFIT * period + 1
        if np.count_nonzero(inner) < 2 * (frame[-1] + 1):
            return period
        # With an offset, since gaps are seen only where a sample comes late in the line.
        slope, _ = np.polyfit(place[inner], since[inner], 1)
        return float(slope)

    def _line_blocks(
        self, start: NDFloat, frame_period: float
    ) -> tuple[NDFloat | None, NDFloat | None]:
        """Find from when to when the line clock is busy in each frame, if it is in all of them."""
        if self.frame.begins_high or self.line.begins_high:
            return None, None
        slack = 0.5 * frame_period / self.n_lines + 1
        first = np.searchsorted(self.line.start, start - slack)
        last = np.searchsorted(self.line.start, np.append(start[1:], np.inf) - slack) - 1
        if np.any(last < first) or np.any(first >= len(self.line)):
            return None, None
        begin = self.line.start[first].astype(np.float64)
        end = self.line.stop[last].astype(np.float64)
        if np.median(end - begin) < 0.5 * frame_period or np.any(np.abs(begin - start) > slack):
            return None, None
        return begin, end

    def _from_line_clock(self) -> _Frames:
        """Count the lines out into frames."""
        rises = self.rises.astype(np.float64)
        begin = float(self.frame.start[0]) if len(self.frame) else 0.0
        period = _rhythm(np.diff(rises))
        leading = int(np.searchsorted(rises, begin - 0.5 * period))
        rises, repaired = self._filled_up(rises[leading:], period)
        n_whole, left = divmod(len(rises), self.n_lines)
        if leading:
            self.report.repair(
                "leading_lines_dropped",
                "line_clock",
                f"{counted(leading, 'line')} came before the first frame and were left out.",
                self.rises[:leading],
            )
        self.report.repair(
            "frames_from_line_clock",
            "frame_clock",
            f"The frame clock has {counted(len(self.frame), 'pulse')} for {self.n_frames} frames, "
            "so it does not go low between them: frame starts were counted out from the line "
            f"clock, {self.n_lines} lines each.",
            count=n_whole,
        )
        line_start = rises[: n_whole * self.n_lines].reshape(-1, self.n_lines)
        flags = repaired[: n_whole * self.n_lines].reshape(-1, self.n_lines)
        complete = np.ones(n_whole, np.bool_)
        if left:
            tail = rises[n_whole * self.n_lines :]
            rest = tail[-1] + np.arange(1, self.n_lines - left + 1) * period
            line_start = np.vstack([line_start, np.append(tail, rest)])
            flags = np.vstack([flags, np.arange(self.n_lines) >= left])
            complete = np.append(complete, False)
        return _Frames(
            start=line_start[:, 0].copy(),
            line_start=line_start,
            repaired=flags,
            complete=complete,
            period=period,
        )

    def _filled_up(self, rises: NDFloat, period: float) -> tuple[NDFloat, NDArray[np.bool_]]:
        """Put in missing lines, told from the pause between frames by the number of lines."""
        steps = np.diff(rises) / period
        wide = np.flatnonzero(steps >= 1.5)
        pause = self._pause(steps[wide])
        inserted: list[float] = []
        count = 0  # lines, those put in included, up to and including line `done`
        done = -1
        for i in wide.tolist():
            count += i - done
            done = i
            in_frame = count % self.n_lines
            share = self._missing_in(float(steps[i]), in_frame, pause)
            if share is None:
                at = rises[i] / self.report.sampling_rate
                raise SignalError(
                    f"line_clock: a pause of {steps[i] - 1:.1f} lines at {at:.4f} s, after line "
                    f"{in_frame or self.n_lines} of a frame. The frame clock does not tell frames "
                    f"apart, and the line clock does not come in groups of {self.n_lines} lines. "
                    "Check scan.lines_per_frame and the frame clock's cable."
                )
            before, after = share
            inserted.extend(rises[i] + period * np.arange(1, before + 1))
            inserted.extend(rises[i + 1] - period * np.arange(1, after + 1))
            count += before + after
        if not inserted:
            return rises, np.zeros(len(rises), np.bool_)
        self.report.repair(
            "line_pulses_inserted",
            "line_clock",
            f"{counted(len(inserted), 'line pulse')} missing within frames: put where the line "
            "clock's rhythm says.",
            inserted,
        )
        every = np.append(rises, inserted)
        order = np.argsort(every, kind="stable")
        return every[order], order >= len(rises)

    def _pause(self, steps: NDFloat) -> float:
        """Tell how many line periods lie between a frame's last line and the next frame's first.

        0 if frames follow each other like lines do.
        """
        if not len(steps):
            return 0.0
        whole = np.rint(steps).astype(int)
        usual = whole == np.bincount(whole).argmax()
        return float(np.median(steps[usual])) if usual.sum() >= 0.5 * self.n_frames - 1 else 0.0

    def _missing_in(self, step: float, in_frame: int, pause: float) -> tuple[int, int] | None:
        """Tell how many lines are missing in a gap: behind its first edge, before its second.

        `step` is the gap's length and `pause` the usual one between frames, in line periods;
        `in_frame` lines of the frame came before it. None if it cannot be understood.
        """
        inside = round(step) - 1
        if not pause:
            return inside, 0
        before = -in_frame % self.n_lines
        after = round(step - pause) - before
        if after >= 0 and abs(step - pause - before - after) < MAX_LINE_MISFIT:
            return before, after
        if in_frame and in_frame + inside < self.n_lines and abs(step - inside - 1) < 0.25:
            return inside, 0
        return None

    # Agreement with the movie

    def _agree(self, frames: _Frames) -> None:
        """Bring the number of clock frames to that of the movie, or refuse."""
        n_complete = int(np.count_nonzero(frames.complete))
        n_all = len(frames.start)
        # An incomplete frame counts if the movie has it.
        difference = n_complete - self.n_frames
        if n_complete < self.n_frames <= n_all:
            self._use_incomplete(frames)
        elif n_complete >= self.n_frames:
            self._drop_incomplete(frames)
        if abs(len(frames.start) - self.n_frames) > 1:
            raise SignalError(self._disagreement(n_complete, n_all - n_complete, difference))
        if len(frames.start) == self.n_frames + 1:
            self.report.repair(
                "clock_frame_dropped",
                "frame_clock",
                f"The clocks count one frame more ({len(frames.start)}) than the movie has "
                f"({self.n_frames}): the last one was left out.",
                frames.start[-1:],
            )
            frames.keep(slice(0, self.n_frames))
        elif len(frames.start) == self.n_frames - 1:
            self._extrapolate(frames)

    def _drop_incomplete(self, frames: _Frames) -> None:
        """Leave out frames that were cut at the beginning or the end."""
        if not frames.complete[-1]:
            self.report.repair(
                "trailing_frame_dropped",
                "frame_clock",
                "The clocks end within a frame, which the movie does not have: left out.",
                frames.start[-1:],
            )
            frames.keep(slice(0, -1))
        if len(frames.start) and not frames.complete[0]:
            self.report.repair(
                "leading_frame_dropped",
                "frame_clock",
                "The recording begins within a frame, which the movie does not have: left out.",
                frames.start[:1],
            )
            frames.keep(slice(1, None))

    def _use_incomplete(self, frames: _Frames) -> None:
        """Keep a frame that was cut, since the movie has it; prefer the one at the end."""
        if len(frames.start) > self.n_frames and not frames.complete[0]:
            frames.keep(slice(1, None))
        cut = ~frames.complete
        n_lines = int(np.count_nonzero(frames.repaired[cut]))
        self.report.repair(
            "cut_frame_completed",
            "line_clock",
            f"{counted(int(np.count_nonzero(cut)), 'frame')} of the movie cut at the edge of the "
            f"recording or of the clocks: {counted(n_lines, 'line')} extrapolated.",
            frames.start[cut],
        )

    def _extrapolate(self, frames: _Frames) -> None:
        """Add the frame that the movie has and the clocks do not, after the last one."""
        step = float(np.median(np.diff(frames.start))) if len(frames.start) > 1 else 0.0
        step = step or self.n_lines * frames.period
        added = frames.line_start[-1] + step
        end = float(added[-1]) + frames.period
        beyond = "" if end <= self.n_samples else ", beyond the end of the analog signals"
        self.report.repair(
            "clock_frame_extrapolated",
            "frame_clock",
            f"The clocks count one frame fewer ({len(frames.start)}) than the movie has "
            f"({self.n_frames}): the movie's last frame was put one frame period after the "
            f"last clock frame{beyond}.",
            added[:1],
        )
        frames.start = np.append(frames.start, added[0])
        frames.line_start = np.vstack([frames.line_start, added])
        frames.repaired = np.vstack([frames.repaired, np.ones(self.n_lines, np.bool_)])
        frames.complete = np.append(frames.complete, True)

    def _disagreement(self, n_complete: int, n_cut: int, difference: int) -> str:
        cut = f" and {counted(n_cut, 'incomplete one', 'incomplete ones')}" if n_cut else ""
        return (
            f"The movie and the clocks disagree: the movie has {self.n_frames} frames (as the "
            f"frame clock counts them, one per plane), the clocks {n_complete} complete frames"
            f"{cut} ({len(self.frame)} pulses of the frame clock, {len(self.line)} of the line "
            f"clock, {self.n_lines} lines per frame): {abs(difference)} "
            f"{'more' if difference > 0 else 'fewer'}. One more or fewer would have been mended. "
            "Likely causes: movie and signals of different recordings; a file missing in the "
            "movie's glob, or one too many; several planes (movie.n_planes) or averaged frames; "
            "a wrong scan.lines_per_frame; a recording of the signals that began late or ended "
            "early; a threshold (signals.thresholds) that misses pulses."
        )

    def _table(
        self, start: NDFloat, counts: NDArray[np.int64], which: list[int] | None = None
    ) -> str:
        """Show the first odd frames."""
        odd = np.flatnonzero(counts != self.n_lines) if which is None else np.asarray(which)
        rows = [
            (int(k), f"{start[k] / self.report.sampling_rate:.4f}", int(counts[k])) for k in odd
        ]
        return table(("frame", "start s", "line pulses"), rows, limit=10)

    # The lines' own duration

    def _measured(self, frames: _Frames) -> Scan:
        """Measure how long pulses last, and put everything together."""
        duration, measured = frames.period, False
        if not frames.repaired.all():
            lasts = self.line.stop - self.line.start
            usual = float(np.median(lasts))
            near = lasts[np.abs(lasts - usual) <= 2]
            mean = float(near.mean())
            if 0.5 * frames.period < mean <= frames.period:
                duration, measured = mean, True
        return Scan(
            line_start=frames.line_start,
            line_repaired=frames.repaired,
            line_period=frames.period,
            line_duration=duration,
            line_duration_measured=measured,
        )
