"""The lines of each frame that the clocks count, whichever of the two clocks can be trusted."""

import numpy as np
from numpy.typing import NDArray

from derotation.errors import SignalError
from derotation.signals.clock_frames import ClockFrames
from derotation.signals.pulses import (
    Pulses,
    begun_before,
    intervals,
    mean_near,
    usual_interval,
)
from derotation.signals.repairs import Report, counted, table

__all__ = ["LineScanner"]

NDFloat = NDArray[np.float64]

# A line pulse may lie this far from its place in the frame's own rhythm (line periods).
MAX_LINE_MISFIT = 0.25
# A frame is mended if at least this part of its lines has pulses of their own.
MIN_LINES_SEEN = 0.5
# Where gaps are shorter than that, single pulses are trusted if at least this part of them is seen.
MIN_LINES_IF_HIDDEN = 0.98
# If so many frames agree on another number of lines, it is no accident.
USUAL = 0.8
# So many lines of each frame may have no pulse, if the frame clock has room for them.
MAX_UNPULSED = 2
# Pulses from which the line period is measured where many are hidden.
MAX_RISES_FITTED = 500_000
# Gaps this short between lines may vanish between two samples.
MAX_HIDDEN_GAP_SAMPLES = 2
# A gap of so many line periods or more is that of more than one line.
WIDE = 1.5
# Where the clocks pause for longer than so many frames, one run of lines ends.
MAX_PAUSE_FRAMES = 2


def _rhythm(rises: NDArray[np.int64]) -> float:
    """Measure the period of pulses some of which are missing."""
    period = usual_interval(rises)
    for _ in range(3):
        samples, n = 0, 0
        for gaps in intervals(rises):
            steps = np.rint(gaps / period)
            single = (steps >= 1) & (steps <= 3)
            samples, n = samples + int(gaps[single].sum()), n + int(steps[single].sum())
        period = samples / n
    return period


def _wide_gaps(
    rises: NDArray[np.int64], period: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find gaps in which lines are missing, or a frame ends: the pulses before, and how long."""
    where, lasts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    first = 0
    for gaps in intervals(rises):
        wide = np.flatnonzero(gaps / period >= WIDE)
        where.append(first + wide)
        lasts.append(gaps[wide])
        first += len(gaps)
    return np.concatenate(where), np.concatenate(lasts)


class LineScanner:
    """Reads one recording's clocks; a class only because everything needs the same five things."""

    def __init__(
        self,
        line: Pulses,
        frame: Pulses,
        n_frames: int,
        n_lines: int,
        report: Report,
        *,
        line_period: float | None = None,
        flyback: float = 0.0,
    ) -> None:
        self.line = line
        self.known_period = line_period
        self.flyback = flyback
        # One block of the line clock per frame tells frames apart if the frame clock does not.
        is_gate = abs(len(line) - n_frames) <= 2 and len(frame) < 0.5 * n_frames
        self.frame = line if is_gate else frame
        self.n_frames = n_frames
        self.n_lines = n_lines
        self.report = report
        self.first_pulse = 1 if line.begins_high else 0  # when this line began is not known
        self.rises = line.start[self.first_pulse :]

    def read(self) -> ClockFrames:
        """Choose the way that the clocks allow."""
        if not len(self.line) and len(self.frame) > 0.5 * self.n_frames:
            return self._from_frame_clock()
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
        return frames

    # Which clock can be trusted

    def _frames_are_usable(self) -> bool:
        """Tell whether frames are told apart by the frame clock, or by the line clock alone."""
        n = len(self.frame)
        if n == 0:
            return False
        if abs(n - self.n_frames) <= 2 and not (n == 1 and self.n_frames > 1):
            return True
        lines_seen = len(self.rises) / (self.n_frames * self.n_lines)
        return n > 0.5 * self.n_frames + 1 or lines_seen < MIN_LINES_SEEN

    def _line_period(self) -> float | None:
        """Measure the line period; None if gaps between lines are too short to be seen."""
        if self._lines_are_merged():
            return None
        median = usual_interval(self.rises)
        return mean_near(intervals(self.rises), median, 0.3 * median + 1)

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
        if not self._gaps_are_hidden() or len(self.rises) >= MIN_LINES_IF_HIDDEN * wanted:
            return False
        # Lines that have no pulse in any frame make it wait longer between frames, nowhere else.
        least = MIN_LINES_IF_HIDDEN * wanted * (1 - MAX_UNPULSED / self.n_lines)
        wide = WIDE * usual_interval(self.rises)
        n_wide = sum(int(np.count_nonzero(gaps > wide)) for gaps in intervals(self.rises))
        return bool(len(self.rises) < least or n_wide > len(self.frame) + 1 + 0.002 * wanted)

    def _gaps_are_hidden(self) -> bool:
        """Tell whether the line clock is low between lines for no longer than a sample or two."""
        if len(self.line) - 1 < 1.5 * len(self.frame):
            return True
        return self.line.usual_gap <= MAX_HIDDEN_GAP_SAMPLES

    def _frame_period(self) -> float:
        start = self.frame.start[1 if self.frame.begins_high else 0 :]
        if len(start) > 1:
            return float(np.median(np.diff(start)))
        return float(self.frame.stop[-1] - self.frame.start[-1])

    # Both clocks

    def _from_both_clocks(self, period: float) -> ClockFrames:
        """Take each frame's lines from the line clock."""
        start = self._frame_starts(period)
        bounds = begun_before(self.rises, start - 0.5 * period)
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
        unpulsed = self._check_counts(start, counts, period)
        good = counts == self.n_lines
        frames = ClockFrames(
            start=start,
            line_start=np.empty((len(start), self.n_lines)),
            repaired=np.zeros((len(start), self.n_lines), np.bool_),
            complete=np.ones(len(start), np.bool_),
            period=period,
        )
        # Frame by frame: an index of all lines at once would be larger than the result.
        for k in np.flatnonzero(good):
            frames.line_start[k] = self.rises[bounds[k] : bounds[k] + self.n_lines]
        self._mend_frames(frames, bounds, counts, np.flatnonzero(~good), unpulsed)
        return frames

    def _lines_within_last(self, start: NDFloat, period: float) -> int:
        """Count the line pulses of the last frame, whose end no next frame tells."""
        frame_period = self._frame_period() if len(start) > 1 else self.n_lines * period
        end = max(start[-1] + frame_period, start[-1] + self.n_lines * period) - 0.5 * period
        return int(
            begun_before(self.rises, end) - begun_before(self.rises, start[-1] - 0.5 * period)
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
            inside = begun_before(self.rises, end) - begun_before(self.rises, begin)
            regular = abs(start[k + 1] - start[k] - steps[k] * frame_period) < 0.1 * frame_period
            if regular and inside > (steps[k] - 0.5) * self.n_lines:
                missing.extend(start[k] + frame_period * np.arange(1, steps[k]))
        after = len(self.rises) - begun_before(self.rises, start[-1] + frame_period - period / 2)
        if len(start) < self.n_frames and after >= (1 - MAX_LINE_MISFIT) * self.n_lines:
            missing.append(start[-1] + frame_period)
        before = begun_before(self.rises, start[0] - 0.5 * period)
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

    def _check_counts(self, start: NDFloat, counts: NDArray[np.int64], period: float) -> int:
        """Refuse a line clock that counts another number of lines in most frames.

        Returns how many lines have no pulse in any frame, though the frame clock has room for them.
        """
        inner = counts[:-1] if len(counts) > 2 else counts
        usual = int(np.bincount(inner).argmax())
        share = np.count_nonzero(inner == usual) / len(inner)
        if usual == self.n_lines or share < USUAL:
            return 0
        if usual > self.n_lines and self._surplus_is_flyback(start, counts == usual, period):
            self.report.repair(
                "flyback_lines_dropped",
                "line_clock",
                f"The line clock goes on for {usual - self.n_lines} lines after each frame of "
                f"{self.n_lines}, while the mirror flies back: left out.",
                count=(usual - self.n_lines) * len(counts),
            )
            return 0
        unpulsed = self.n_lines - usual
        if 0 < unpulsed <= MAX_UNPULSED and self._has_room(self.n_lines, period):
            return unpulsed
        if self._gaps_are_hidden() and usual < self.n_lines:
            return 0
        raise SignalError(
            f"line_clock: most frames ({share:.0%}) have {usual} line pulses, but the movie has "
            f"{self.n_lines} lines per frame. If the movie was cropped or binned, say which lines "
            f"its rows are (scan.rows) and scan.lines_per_frame: {usual}. Else check "
            "scan.lines_per_frame, whether signals and movie belong together, and whether the "
            "clock counts every line.\n" + self._table(start, counts)
        )

    def _has_room(self, n_lines: int, period: float) -> bool:
        """Tell whether the frame clock is high until the last of so many lines, and no longer."""
        lasts = self.frame_duration()
        return lasts is not None and n_lines - 1 < lasts / period < n_lines + 0.5

    def frame_duration(self) -> float | None:
        """Tell how long the frame clock is high; None if it is a trigger, or not there."""
        if len(self.frame) < 2:
            return None
        lasts = self.frame.stop - self.frame.start
        usual = float(np.median(lasts if len(lasts) < 4 else lasts[1:-1]))
        return usual if usual > 0.5 * self._frame_period() else None

    def line_duration(self, frames: ClockFrames) -> float | None:
        """Tell how long a line is scanned; None if nothing says so.

        Its pulse lasts as long, or the frame clock falls when the last one is over.
        """
        period = frames.period
        if frames.from_pulses and len(self.line):
            usual = self.line.usual_length
            mean = mean_near(self.line.lengths(), usual, 2)
            if 0.5 * period < mean <= period:
                return mean
        lasts_frame = self.frame_duration()
        if frames.from_pulses and lasts_frame is not None:
            last = lasts_frame - (self.n_lines - 1) * period
            if 0.5 * period < last <= period:
                return last
        return None

    def _surplus_is_flyback(self, start: NDFloat, usual: NDArray[np.bool_], period: float) -> bool:
        """Tell whether the lines too many begin when the pulse of their frame is over."""
        pulse = np.searchsorted(self.frame.start, start[usual] - 0.5 * period)
        pulse = np.minimum(pulse, len(self.frame) - 1)
        first_line = begun_before(self.rises, start[usual] - 0.5 * period)
        surplus = self.rises[first_line + self.n_lines]
        over = self.frame.stop[pulse]
        lasts = float(np.median(over - start[usual]))
        is_gate = lasts > (self.n_lines - 1) * period
        return is_gate and float(np.median(surplus - over)) > -0.1 * period

    def _mend_frames(
        self,
        frames: ClockFrames,
        bounds: NDArray[np.int64],
        counts: NDArray[np.int64],
        bad: NDArray[np.int64],
        unpulsed: int,
    ) -> None:
        """Put the lines of odd frames in their places by the frame's own rhythm."""
        good = np.setdiff1d(np.arange(len(frames.start)), bad)
        source = good if len(good) else np.arange(len(frames.start))
        firsts = self.rises[np.minimum(bounds[source], len(self.rises) - 1)]
        # Where every frame is odd, some may lack their first line.
        late = float(np.quantile(firsts - frames.start[source], 0.5 if len(good) else 0.2))
        late -= frames.period * round(late / frames.period) if unpulsed else 0.0
        refused, missing, surplus = [], [], 0
        without = np.zeros(self.n_lines, np.int64)
        for k in bad:
            seen = self.rises[bounds[k] : bounds[k] + counts[k]]
            place = np.rint((seen - frames.start[k] - late) / frames.period).astype(int)
            misfit = seen - frames.start[k] - late - place * frames.period
            inside = (place >= 0) & (place < self.n_lines)
            fits = np.abs(misfit) <= MAX_LINE_MISFIT * frames.period + 1
            own, first = np.unique(place[inside & fits], return_index=True)
            edge = self._is_cut(frames, k, own, unpulsed)
            if not edge and len(own) < MIN_LINES_SEEN * self.n_lines:
                refused.append(k)
                continue
            frames.complete[k] = not edge
            frames.line_start[k] = self._spread(
                own, seen[inside & fits][first], frames.start[k] + late, frames.period
            )
            unseen = ~np.isin(np.arange(self.n_lines), own)
            without += unseen
            frames.repaired[k] = unseen & (len(own) < self.n_lines - unpulsed)
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
        if unpulsed:
            self._report_unpulsed(np.flatnonzero(without > 0.5 * len(bad)), len(frames.start))
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

    def _report_unpulsed(self, lines: NDArray[np.int64], n_frames: int) -> None:
        """Say which lines have no pulse in any frame."""
        names = {0: "first line", self.n_lines - 1: "last line"}
        which = " and ".join(names.get(line, f"line {line + 1}") for line in lines.tolist())
        self.report.repair(
            "lines_without_pulse",
            "line_clock",
            f"The line clock has no pulse for the {which} of each frame, for which the frame clock "
            "has room: put where the rhythm says.",
            count=len(lines) * n_frames,
        )

    def _is_cut(self, frames: ClockFrames, k: int, own: NDArray[np.int64], unpulsed: int) -> bool:
        """Tell whether a frame lacks its end (or, the first one, its beginning)."""
        if not len(own):
            return k in (0, len(frames.start) - 1)
        if k == len(frames.start) - 1 and own[-1] < self.n_lines - 1 - unpulsed:
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

    def _from_frame_clock(self) -> ClockFrames:
        """Spread each frame's lines evenly over its active time."""
        start = self.frame.start.astype(np.float64)
        stop = self.frame.stop.astype(np.float64)
        frame_period = self._frame_period()
        begin, end = self._line_blocks(start, frame_period)
        if begin is not None and end is not None:
            start, stop = begin, end
        lasts = stop - start
        active = float(np.median(lasts if len(lasts) < 4 else lasts[1:-1]))
        is_trigger = active < 0.5 * frame_period  # rather than a gate
        if is_trigger:
            active = frame_period
        complete = lasts > 0.99 * active - 1
        if is_trigger:
            complete[:] = True
        elif self.frame.begins_high:
            complete[0] = False
            start[0] = stop[0] - active
        if not complete[1:-1].all():
            raise SignalError(
                "frame_clock: the line clock does not tell the lines apart, and in "
                f"{counted(int(np.count_nonzero(~complete[1:-1])), 'frame')} the clocks are high "
                f"for less than the usual {active / self.report.sampling_rate * 1e3:.4g} ms, so "
                "nothing tells when their lines were scanned. Check both clocks' cables and "
                "thresholds, or record at a higher sampling rate."
            )
        n_lines = self.n_lines + (self.flyback if is_trigger else 0.0)
        period = self.known_period or self._refined(start, active / n_lines)
        if len(self.line):
            why = (
                "The line clock does not go low between lines for long enough to be seen at this "
                "sampling rate"
            )
        else:
            why = "There is no line clock, or it has no pulses"
        self.report.repair(
            "lines_from_frame_clock",
            "line_clock",
            f"{why}: line starts were taken from the frame clock, {self.n_lines} per "
            f"frame, {period / self.report.sampling_rate * 1e3:.4g} ms apart.",
            count=len(start) * self.n_lines,
        )
        line_start = start[:, None] + np.arange(self.n_lines) * period
        return ClockFrames(
            start=start,
            line_start=line_start,
            repaired=np.zeros(line_start.shape, np.bool_),
            complete=complete,
            period=period,
            from_pulses=False,
        )

    def _refined(self, start: NDFloat, period: float) -> float:
        """Measure the line period by the lines whose gap was seen, given a fair guess."""
        rises = self.rises[:MAX_RISES_FITTED]
        if not len(rises):
            return period
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
        first = begun_before(self.line.start, start - slack)
        last = begun_before(self.line.start, np.append(start[1:], np.inf) - slack) - 1
        if np.any(last < first) or np.any(first >= len(self.line)):
            return None, None
        begin = self.line.start[first].astype(np.float64)
        end = self.line.stop[last].astype(np.float64)
        if np.median(end - begin) < 0.5 * frame_period or np.any(np.abs(begin - start) > slack):
            return None, None
        return begin, end

    def _from_line_clock(self) -> ClockFrames:
        """Count the lines out into frames."""
        begin = float(self.frame.start[0]) if len(self.frame) else 0.0
        period = _rhythm(self.rises)
        leading = int(begun_before(self.rises, begin - 0.5 * period))
        rises, repaired = self._filled_up_by_run(self.rises[leading:], period)
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
            "so it does not tell them apart: frame starts were counted out from the line "
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
        return ClockFrames(
            start=line_start[:, 0].copy(),
            line_start=line_start,
            repaired=flags,
            complete=complete,
            period=period,
        )

    def _filled_up_by_run(
        self, rises: NDArray[np.int64], period: float
    ) -> tuple[NDFloat, NDArray[np.bool_]]:
        """Put in missing lines, run by run where the clocks paused for some frames."""
        longest = MAX_PAUSE_FRAMES * self.n_lines * period
        wide, lasts = _wide_gaps(rises, period)
        pause = self._pause(lasts / period)
        pauses = wide[lasts > longest] + 1
        parts = [self._filled_up(run, period, pause) for run in np.split(rises, pauses)]
        return np.concatenate([p for p, _ in parts]), np.concatenate([flag for _, flag in parts])

    def _filled_up(
        self, rises: NDArray[np.int64], period: float, pause: float
    ) -> tuple[NDFloat, NDArray[np.bool_]]:
        """Put in missing lines, told from the pause between frames by the number of lines."""
        wide, lasts = _wide_gaps(rises, period)
        inserted: list[float] = []
        count = 0  # lines, those put in included, up to and including line `done`
        done = -1
        for i, step in zip(wide.tolist(), (lasts / period).tolist(), strict=True):
            count += i - done
            done = i
            in_frame = count % self.n_lines
            share = self._missing_in(step, in_frame, pause)
            if share is None:
                at = rises[i] / self.report.sampling_rate
                raise SignalError(
                    f"line_clock: a pause of {step - 1:.1f} lines at {at:.4f} s, after line "
                    f"{in_frame or self.n_lines} of a frame. The frame clock does not tell frames "
                    f"apart, and the line clock does not come in groups of {self.n_lines} lines. "
                    "Check scan.lines_per_frame and the frame clock's cable."
                )
            before, after = share
            inserted.extend(rises[i] + period * np.arange(1, before + 1))
            inserted.extend(rises[i + 1] - period * np.arange(1, after + 1))
            count += before + after
        if not inserted:
            return rises.astype(np.float64), np.zeros(len(rises), np.bool_)
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

    # For messages

    def _table(
        self, start: NDFloat, counts: NDArray[np.int64], which: list[int] | None = None
    ) -> str:
        """Show the first odd frames."""
        odd = np.flatnonzero(counts != self.n_lines) if which is None else np.asarray(which)
        rows = [
            (int(k), f"{start[k] / self.report.sampling_rate:.4f}", int(counts[k])) for k in odd
        ]
        return table(("frame", "start s", "line pulses"), rows, limit=10)
