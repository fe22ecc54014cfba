"""From the rotation-on signal, the ticks and the stimulus table to rotations."""

import itertools
import logging
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from derotation.errors import SignalError
from derotation.io.stimulus import Stimulus
from derotation.signals import motor, tick_faults
from derotation.signals.pulses import Pulses
from derotation.signals.repairs import Report, counted
from derotation.signals.rotation_table import (
    SPEED_TOLERANCE,
    fitting_rows,
    increment_implied,
    said_sampling_rate,
    table_of_rotations,
)
from derotation.signals.ticks import TickTrain, cruise_speed, number_rotation

logger = logging.getLogger(__name__)

NDFloat = NDArray[np.float64]

# The code of the anomaly that nothing tells directions.
DIRECTIONS_UNKNOWN = "directions_unknown"
# Ticks may come this long before the on-signal rises or after it falls, if they keep the rhythm.
EDGE_LATENCY_S = 0.015
# The next interval of a motor that stops is at most this many times the last one: the last two
# intervals of an even deceleration are 1 to 2.4, those of a jerk-limited one up to 1 to 3.8.
MAX_NEXT_INTERVAL = 4.0
# Ticks that are missing before the first or after the last one are not supposed to have come longer
# than this before the on-signal rose, or after it fell.
MISSING_LATENCY_S = 0.003
# A tick count agrees with the expected one within this part of it.
COUNT_TOLERANCE = 0.05
# Room left for the motor's start and stop about ticks without an on-signal.
LOOSE_MARGIN_S = 0.1
# So many ticks outside rotations, no further apart than this, are a motor that turns.
MANUAL_TICKS = 10
MANUAL_INTERVAL_S = 0.2
# Where ticks miss for more than this, the motor may have stalled (degrees).
MAX_STALL_DEGREES = 1.0
# A motor may have stood still if an interval is this many times longer than those beside it.
PAUSE = 2.5
# A rotation goes on if no interval about a gap of the on-signal is this much longer than usual.
STANDSTILL = 6.0


@dataclass(slots=True, kw_only=True)
class Block:
    """One period of the rotation-on signal."""

    start: float
    stop: float
    cut: bool = False
    """Began before the recording or goes on beyond it."""
    start_seen: bool = True
    """Whether the on-signal rose at the start, rather than in the pause that came before it."""
    stop_seen: bool = True
    """Whether it fell at the stop."""
    ticks: NDFloat = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rotation:
    """One rotation (a step, in the incremental protocol)."""

    start: float
    """Sample at which the on-signal rose (or the first tick, if that is earlier)."""
    stop: float
    """Sample at which it fell (or the last tick, if that is later)."""
    direction: int
    """+1 or -1."""
    speed: float
    """Degrees per second that were asked for; those measured if nothing was asked."""
    measured_speed: float
    """Degrees per second at which it mostly turned."""
    turned: float
    """Degrees turned when it was over, positive."""
    ticks: TickTrain | None
    """Its ticks; None if it is unusable."""
    tick_angle: NDFloat
    """Degrees turned at each tick."""
    problem: str = ""
    """Why it is unusable."""
    lost_from: float = np.inf
    """Sample from which on the angle is not known, also after the rotation; infinite if it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationRules:
    """What is known about rotations beforehand."""

    protocol: Literal["full", "incremental", "free"]
    increment: float
    """Degrees per tick."""
    degrees: float | None
    """Degrees of a rotation, or of the whole turn of the incremental protocol."""
    degrees_per_step: float | None
    """Degrees of a step; None: as most steps say."""
    max_off_glitch_s: float
    max_missing_fraction: float

    @property
    def word(self) -> str:
        """What one of them is called."""
        return "step" if self.protocol == "incremental" else "rotation"

    def ticks_of(self, degrees: float | None) -> int | None:
        """Give the number of ticks of so many degrees."""
        return None if degrees is None else int(np.floor(degrees / self.increment + 1e-6))


def find_rotations(
    on: Pulses | None,
    ticks: Pulses,
    *,
    rules: RotationRules,
    stimulus: Stimulus | None,
    report: Report,
    n_samples: int | None = None,
    direction: Pulses | None = None,
) -> list[Rotation]:
    """Find all rotations and number their ticks.

    Parameters
    ----------
    on : Pulses or None
        The rotation-on signal; None: rotations are found from the ticks.
    ticks : Pulses
        The ticks.
    rules : RotationRules
        What a rotation is like.
    stimulus : Stimulus or None
        Needed for the protocol ``full``, unless `direction` is given.
    report : Report
        Takes repairs and anomalies.
    n_samples : int, optional
        Length of the recording; without rotation-on it tells whether the ticks go on to its end.
    direction : Pulses, optional
        A channel that is high while the motor turns in direction +1.

    Returns
    -------
    list of Rotation
        In the order of the recording; one for each row of the stimulus table.

    Raises
    ------
    SignalError
        If the rotations cannot be brought to agree with the stimulus table safely, or if none of
        them is usable.
    """
    if rules.protocol == "full" and stimulus is None and direction is None:
        report.anomaly(
            DIRECTIONS_UNKNOWN,
            "rotation_ticks",
            "Neither a stimulus table nor a channel named direction nor angles.direction says in "
            "which direction each rotation went: -1 was taken for all, unless the movie tells.",
            count=1,
        )
    if rules.protocol == "free" and stimulus is None and direction is None:
        report.anomaly(
            "one_direction_assumed",
            "rotation_ticks",
            "Ticks count degrees, but do not tell in which direction; all were taken to go the "
            "same way. A sample that turns back and forth needs a channel named direction; for one "
            "that does not, say so by angles.direction (1 or -1).",
            count=1,
        )
    finder = _Finder(on, ticks, rules, stimulus, report, n_samples, direction)
    return finder.find()


class _Finder:
    """Works on the blocks of one recording."""

    def __init__(
        self,
        on: Pulses | None,
        ticks: Pulses,
        rules: RotationRules,
        stimulus: Stimulus | None,
        report: Report,
        n_samples: int | None,
        direction: Pulses | None,
    ) -> None:
        self.rules = rules
        self.stimulus = stimulus if rules.protocol != "incremental" else None
        self.report = report
        self.direction = direction
        self.rate = report.sampling_rate
        self.expected = rules.ticks_of(rules.degrees) if rules.protocol != "free" else None
        self.pulses = ticks.start.astype(np.float64)
        self.ticks = self._debounced(ticks.start.astype(np.float64))
        self.chattered: list[float] = []
        """When rotation-on fell too briefly to be seen as a gap between two blocks."""
        self.blocks = self._blocks_of(on, n_samples)

    def _debounced(self, ticks: NDFloat) -> NDFloat:
        """Leave out pulses that follow others sooner than the fastest rotation's ticks would."""
        if self.stimulus is None or len(ticks) < 2:
            return ticks
        fastest = tick_faults.FASTEST * float(self.stimulus.speed.max())
        bounced = tick_faults.debounced(ticks, self.rules.increment / fastest * self.rate)
        n = int(np.count_nonzero(bounced))
        if self.expected is not None:
            # A sampling rate that is wrong makes all ticks too fast; then none of them bounced.
            whole = self.expected * len(self.stimulus)
            if abs(len(ticks) - n - whole) > abs(len(ticks) - whole):
                return ticks
        if n:
            self.report.repair(
                "bounced_ticks_dropped",
                "rotation_ticks",
                f"{counted(n, 'pulse')} followed another within less than "
                f"{self.rules.increment / fastest * 1e3:.3g} ms, the time that a tick takes at "
                f"{tick_faults.FASTEST:g} times the largest speed asked for: taken for bounces of "
                "the switch and left out.",
                ticks[bounced],
            )
        return ticks[~bounced]

    def _blocks_of(self, on: Pulses | None, n_samples: int | None) -> list[Block]:
        """Make a block of each period of rotation-on, or of each run of ticks without one."""
        if on is None:
            return self._blocks_of_ticks(n_samples)
        start, stop = on.start.astype(np.float64), on.stop.astype(np.float64)
        joined = self._joined(start, stop)
        self.chattered = stop[:-1][joined].tolist()
        blocks = [
            Block(start=first, stop=last)
            for first, last in zip(
                start[np.append(True, ~joined)].tolist(),
                stop[np.append(~joined, True)].tolist(),
                strict=True,
            )
        ]
        if on.begins_high:
            blocks[0].cut = True
        if on.ends_high:
            blocks[-1].cut = True
        return blocks

    def _blocks_of_ticks(self, n_samples: int | None) -> list[Block]:
        """Find rotations between pauses of the ticks that are much longer than those around."""
        ticks = self.ticks
        if len(ticks) < 3:
            return []
        pauses = self._pauses(ticks)
        usual = float(np.median(np.diff(ticks)))
        pauses = pauses[np.diff(ticks)[pauses] > STANDSTILL * usual]
        runs = [run for run in np.split(ticks, pauses + 1) if len(run) >= 3]
        bounds = [0.0, *(float(run[-1]) for run in runs)]
        nexts = [*(float(run[0]) for run in runs[1:]), np.inf]
        blocks = [
            self._block_of_ticks(run, low, high)
            for run, low, high in zip(runs, bounds, nexts, strict=False)
        ]
        for block, run in zip(blocks, runs, strict=True):
            near = 2 * float(np.median(np.diff(run)))
            begins, ends = run[0] < near, n_samples is not None and run[-1] > n_samples - near
            block.cut = bool(begins or ends)
            block.start = 0.0 if begins else block.start
        self.report.repair(
            "rotations_from_ticks",
            "rotation_on",
            f"There is no rotation-on channel: {counted(len(blocks), 'rotation')} found between "
            "pauses of the ticks.",
            [block.start for block in blocks],
        )
        return blocks

    def find(self) -> list[Rotation]:
        """Find all rotations and number their ticks."""
        self._check_polarity()
        self._mend_gaps()
        self._drop_blips()
        if self.rules.protocol == "incremental":
            self._split_into_steps()
        else:
            self._split_joined()
            self._resolve_count()
        self._assign_ticks()
        self._drop_ringing()
        first_row = self._align_rows()
        rotations = [
            self._rotation(block, first_row + index) for index, block in enumerate(self.blocks)
        ]
        rotations = self._with_usual_turn(rotations)
        self._report_ticks(rotations)
        self._check(rotations)
        return rotations

    # Blocks

    def _inside(self, block: Block) -> NDFloat:
        """Ticks between a block's edges."""
        first, last = np.searchsorted(self.ticks, (block.start, block.stop))
        return self.ticks[first:last]

    def _check_polarity(self) -> None:
        """Refuse ticks that are far too few, and an on-signal that is low while the motor turns."""
        first = np.searchsorted(self.ticks, [block.start for block in self.blocks])
        inside = int((np.searchsorted(self.ticks, [b.stop for b in self.blocks]) - first).sum())
        if len(self.ticks) < 3:
            raise SignalError(
                f"rotation_ticks: no ticks: {counted(len(self.ticks), 'pulse')} in the whole "
                f"recording, while rotation_on is on {counted(len(self.blocks), 'time')}. Check "
                "signals.channel_order, the cable and signals.thresholds.rotation_ticks."
            )
        if inside < 0.1 * len(self.ticks):
            raise SignalError(
                f"rotation_on: {len(self.ticks) - inside} of {len(self.ticks)} ticks come while "
                "rotation_on is low. It may be inverted (low during rotations), or another "
                "channel: check signals.channel_order and the cables."
            )

    def _complete(self, n_ticks: int, n_rotations: int = 1) -> bool:
        """Tell whether a number of ticks is that of whole rotations."""
        if self.expected is None:
            return False
        whole = n_rotations * self.expected
        return abs(n_ticks - whole) <= COUNT_TOLERANCE * whole

    def _joined(self, start: NDFloat, stop: NDFloat) -> NDArray[np.bool_]:
        """Tell which pulses of rotation-on go on after a gap that is too brief for a rest.

        A signal that chatters has a pulse for every few samples, so these are joined at once.
        """
        longest = self.rules.max_off_glitch_s * self.rate
        n_ticks = np.searchsorted(self.ticks, stop) - np.searchsorted(self.ticks, start)
        expected = self.expected or 0
        whole = np.abs(n_ticks - expected) <= COUNT_TOLERANCE * expected
        if self.expected is None:
            whole[:] = False
        return np.asarray((start[1:] - stop[:-1] <= longest) & ~(whole[1:] | whole[:-1]))

    def _mend_gaps(self) -> None:
        """Merge blocks between which the on-signal was off too briefly for a rest.

        Two whole rotations with a very short rest are two rotations all the same.
        """
        longest = self.rules.max_off_glitch_s * self.rate
        mended = self.chattered
        merged: list[Block] = []
        left = 0  # ticks of the last merged block
        for block in self.blocks:
            own = len(self._inside(block))
            is_glitch = bool(merged) and block.start - merged[-1].stop <= longest
            if is_glitch and not (self._complete(left) and self._complete(own)):
                mended.append(merged[-1].stop)
                merged[-1].stop = block.stop
                merged[-1].cut |= block.cut
            else:
                merged.append(block)
            left = len(self._inside(merged[-1]))
        self.blocks = merged
        if mended:
            self.report.repair(
                "off_glitches_merged",
                "rotation_on",
                f"rotation_on was off {counted(len(mended), 'time')} for less than "
                f"{self.rules.max_off_glitch_s * 1e3:g} ms within a rotation: taken for on.",
                np.sort(mended),
            )

    def _drop_blips(self) -> None:
        """Drop blocks that are too short for a rotation and hold no ticks."""
        blips = [
            block
            for block in self.blocks
            if not block.cut
            and len(self._inside(block)) < 2
            and block.stop - block.start <= self.rules.max_off_glitch_s * self.rate
        ]
        if not blips:
            return
        self._drop(blips, "on_blips_dropped", "for a moment without the motor turning")

    def _drop(self, blocks: list[Block], code: str, why: str) -> None:
        dropped = {id(block) for block in blocks}
        self.blocks = [block for block in self.blocks if id(block) not in dropped]
        self.report.repair(
            code,
            "rotation_on",
            f"rotation_on was on {counted(len(blocks), 'time')} {why}: left out.",
            [block.start for block in blocks],
        )
        if not self.blocks:
            raise SignalError(
                "rotation_on: no rotation: the signal is never on while the motor ticks. Check "
                "signals.channel_order, the cables and signals.thresholds.rotation_on."
            )

    def _split_at(self, block: Block, ticks: NDFloat, pauses: NDArray[np.int64]) -> list[Block]:
        """Cut a block after the given ticks, in the middle of the pause."""
        bounds = [block.start]
        for pause in np.sort(pauses):
            bounds.append(float(ticks[pause] + ticks[pause + 1]) / 2)
        bounds.append(block.stop)
        parts = [Block(start=start, stop=stop) for start, stop in itertools.pairwise(bounds)]
        for before, after in itertools.pairwise(parts):
            before.stop_seen = after.start_seen = False
        parts[0].cut = block.cut and block.start == 0
        parts[-1].cut = block.cut and block.start != 0
        return parts

    def _pauses(self, ticks: NDFloat) -> NDArray[np.int64]:
        """Find where the motor may have stood still: index of the last tick before each pause.

        Intervals grow towards standstill, but none of them outdoes both its neighbors.
        """
        intervals = np.diff(ticks)
        if len(intervals) < 3:
            return np.zeros(0, np.int64)
        beside = np.maximum(intervals[:-2], intervals[2:])
        return np.flatnonzero(intervals[1:-1] > PAUSE * beside) + 1

    # Protocol full

    def _split_joined(self) -> None:
        """Split blocks that hold several rotations, where the motor paused after a whole one."""
        if self.expected is None or self.stimulus is None:
            return
        if len(self.blocks) >= len(self.stimulus):
            return
        places: list[float] = []
        parts: list[Block] = []
        for block in self.blocks:
            ticks = self._inside(block)
            n = round(len(ticks) / self.expected)
            cuts = self._joints(ticks, n) if n > 1 else None
            if cuts is None or not self._complete(len(ticks), n):
                parts.append(block)
                continue
            parts.extend(self._split_at(block, ticks, cuts))
            places.extend(ticks[cuts])
        self.blocks = parts
        if places:
            self.report.repair(
                "rotations_split",
                "rotation_on",
                f"rotation_on stayed on between rotations {counted(len(places), 'time')}: split "
                "where the ticks pause after a whole rotation.",
                places,
            )

    def _joints(self, ticks: NDFloat, n: int) -> NDArray[np.int64] | None:
        """Find the pauses that lie after every whole rotation; None unless all are there."""
        assert self.expected is not None  # for the type checker
        pauses = self._pauses(ticks)
        cuts = []
        for k in range(1, n):
            near = pauses[np.abs(pauses + 1 - k * self.expected) <= COUNT_TOLERANCE * self.expected]
            if not len(near):
                return None
            cuts.append(near[np.argmax(ticks[near + 1] - ticks[near])])
        return np.array(cuts)

    def _resolve_count(self) -> None:
        """Bring the number of blocks to that of the table by what the ticks say, if it differs."""
        if self.stimulus is None:
            return
        if len(self.blocks) > len(self.stimulus):
            self._merge_parts()
        if len(self.blocks) > len(self.stimulus):
            empty = [b for b in self.blocks if not b.cut and len(self._inside(b)) < 3]
            if empty and len(self.blocks) - len(empty) >= len(self.stimulus):
                self._drop(empty, "empty_blocks_dropped", "without ticks")
        if len(self.blocks) < len(self.stimulus):
            self._add_loose_rotations()

    def _merge_parts(self) -> None:
        """Merge neighbors that make one rotation together, the motor not having stopped between."""
        merged: list[Block] = []
        places: list[float] = []
        for block in self.blocks:
            if merged and self._are_parts(merged[-1], block):
                places.append(merged[-1].stop)
                merged[-1] = Block(
                    start=merged[-1].start, stop=block.stop, cut=merged[-1].cut or block.cut
                )
            else:
                merged.append(block)
        self.blocks = merged
        if places:
            self.report.repair(
                "rotation_parts_merged",
                "rotation_on",
                f"rotation_on fell {counted(len(places), 'time')} within a rotation, for longer "
                "than a glitch, while the ticks went on: merged.",
                places,
            )

    def _are_parts(self, before: Block, after: Block) -> bool:
        """Tell whether the ticks of two blocks, with those between, are one rotation."""
        if self.expected is None:
            return False
        both = Block(start=before.start, stop=after.stop)
        ticks = self._inside(both)
        parts = (len(self._inside(before)), len(self._inside(after)))
        if min(parts) < 3 or len(ticks) > (1 + COUNT_TOLERANCE) * self.expected:
            return False
        join = np.searchsorted(ticks, before.stop)
        around = np.diff(ticks[max(join - 6, 0) : join + 6])
        return bool(np.max(around) < STANDSTILL * np.median(around))

    def _add_loose_rotations(self) -> None:
        """Find rotations for which the on-signal did not rise, from ticks that make a whole one."""
        if self.expected is None:
            return
        bounds = [0.0, *(x for b in self.blocks for x in (b.start, b.stop)), np.inf]
        added = []
        for low, high in zip(bounds[::2], bounds[1::2], strict=True):
            ticks = self.ticks[slice(*np.searchsorted(self.ticks, (low, high)))]
            for run in np.split(ticks, self._pauses(ticks) + 1):
                if self._complete(len(run)):
                    added.append(self._block_of_ticks(run, low, high))
        if not added:
            return
        self.blocks = sorted([*self.blocks, *added], key=lambda block: block.start)
        self.report.repair(
            "rotations_from_ticks",
            "rotation_on",
            f"rotation_on did not rise for {counted(len(added), 'rotation')} whose ticks are all "
            "there: taken from the ticks.",
            [block.start for block in added],
        )

    def _block_of_ticks(self, ticks: NDFloat, low: float, high: float) -> Block:
        """Make a block for ticks without an on-signal, between the rotations before and after."""
        margin = LOOSE_MARGIN_S * self.rate
        return Block(
            start=max(low, float(ticks[0]) - margin),
            stop=min(high, float(ticks[-1]) + margin),
            start_seen=False,
            stop_seen=False,
        )

    def _align_rows(self) -> int:
        """Tell which row of the stimulus table the first rotation belongs to, or refuse."""
        if self.stimulus is None:
            return 0
        n_rows, n = len(self.stimulus), len(self.blocks)
        if n == n_rows:
            return 0
        measured = np.array([self._measured_speed(block) for block in self.blocks])
        cut = np.array([block.cut for block in self.blocks])
        fitting = fitting_rows(measured, cut, self.stimulus.speed)
        first = self._row_of_part(fitting)
        if n < n_rows and first is not None:
            others = [row for row in fitting if row != first]
            guess = (
                f" They also fit from row {' or '.join(str(row + 1) for row in others)} on; the "
                "first rows were taken, as of a session that was ended early."
            )
            self.report.anomaly(
                "table_longer",
                "rotation_on",
                f"The recording holds {counted(n, 'rotation')} of the {n_rows} in the stimulus "
                f"table; the measured speeds fit rows {first + 1} to {first + n}"
                + (f".{guess}" if others else " only."),
                count=n_rows - n,
            )
            return first
        raise SignalError(
            f"rotation_on: {counted(n, 'rotation')} found, but the stimulus table "
            f"{self.stimulus.path} has {counted(n_rows, 'row')}, and the ticks do not settle it. "
            "Check that the table belongs to this recording, signals.degrees_per_rotation "
            f"and signals.max_off_glitch_ms. Found:\n{self._table()}"
        )

    def _row_of_part(self, fitting: list[int]) -> int | None:
        """Choose the rows of a recording that holds a part of the table, None if none is likely.

        The first ones if they fit (the session was ended early), unless the recording begins
        within a rotation; else the only ones that fit, if there are several rotations or the
        recording is cut within one.
        """
        if 0 in fitting and not self.blocks[0].cut:
            return 0
        if len(fitting) == 1 and (len(self.blocks) > 1 or self._is_cut_at(fitting[0])):
            return fitting[0]
        return None

    def _is_cut_at(self, first_row: int) -> bool:
        """Tell whether the recording is cut where rows of the table are left over."""
        assert self.stimulus is not None  # for the type checker
        last_row = first_row + len(self.blocks)
        begins = first_row == 0 or self.blocks[0].cut
        ends = last_row == len(self.stimulus) or self.blocks[-1].cut
        return begins and ends

    def _measured_speed(self, block: Block) -> float:
        """Cruise speed in degrees per second."""
        return cruise_speed(self._inside(block)) * self.rules.increment * self.rate

    def _table(self) -> str:
        """Lay out what was found beside what was asked for."""
        assert self.stimulus is not None  # for the type checker
        rows = [
            (
                block.start / self.rate,
                block.stop / self.rate,
                len(self._inside(block)),
                len(self._inside(block)) * self.rules.increment,
                self._measured_speed(block),
                block.cut,
            )
            for block in self.blocks
        ]
        return table_of_rotations(rows, self.stimulus.speed, self.stimulus.direction)

    # Protocol incremental

    def _split_into_steps(self) -> None:
        """Split blocks that hold several steps, where the motor paused."""
        ticks = [self._inside(block) for block in self.blocks]
        pauses = [self._pauses(own) for own in ticks]
        lasts = [own[cut + 1] - own[cut] for own, cut in zip(ticks, pauses, strict=True)]
        rests = [after.start - before.stop for before, after in itertools.pairwise(self.blocks)]
        # A hole in the ticks of a step is much shorter than a rest.
        every = np.concatenate([rests, *lasts])
        least = 0.3 * float(np.median(every)) if len(every) else 0.0
        parts: list[Block] = []
        for block, own, cut, last in zip(self.blocks, ticks, pauses, lasts, strict=True):
            parts.extend(self._split_at(block, own, cut[last >= least]))
        if len(parts) > len(self.blocks):
            logger.info("rotation_on stays on between steps; %d steps found", len(parts))
        self.blocks = parts
        self.expected = self._ticks_per_step()
        self._merge_parts()

    def _ticks_per_step(self) -> int | None:
        """Tell how many ticks each step should have."""
        if self.rules.degrees_per_step is not None:
            return self.rules.ticks_of(self.rules.degrees_per_step)
        counts = [len(self._inside(block)) for block in self.blocks if not block.cut]
        return int(np.bincount(counts).argmax()) if counts else None

    # Ticks

    def _assign_ticks(self) -> None:
        """Give each block its ticks, also those just beyond its edges."""
        beyond: list[float] = []
        taken = np.zeros(len(self.ticks), np.bool_)
        for index, block in enumerate(self.blocks):
            first, last = np.searchsorted(self.ticks, (block.start, block.stop)).tolist()
            limits = (
                self.blocks[index - 1].stop if index else -np.inf,
                self.blocks[index + 1].start if index + 1 < len(self.blocks) else np.inf,
            )
            while self._goes_on(block, first, last, -1, limits):
                first -= 1
                beyond.append(self.ticks[first])
            while self._goes_on(block, first, last, 1, limits):
                beyond.append(self.ticks[last])
                last += 1
            block.ticks = self.ticks[first:last]
            taken[first:last] = True
            if len(block.ticks):
                block.start = min(block.start, float(block.ticks[0]))
                block.stop = max(block.stop, float(block.ticks[-1]))
        if beyond:
            self.report.repair(
                "ticks_beyond_edges",
                "rotation_ticks",
                f"{counted(len(beyond), 'tick')} up to {EDGE_LATENCY_S * 1e3:g} ms outside "
                "rotation_on kept the rhythm of a rotation: counted with it.",
                beyond,
            )
        loose = self.ticks[~taken]
        self._report_motion(loose)
        if len(loose):
            self.report.repair(
                "stray_ticks_dropped",
                "rotation_ticks",
                f"{counted(len(loose), 'tick')} outside rotations: left out.",
                loose,
            )

    def _drop_ringing(self) -> None:
        """Leave out the pulses with which ticks ring when the motor has stopped."""
        rang: list[float] = []
        places: list[float] = []
        for block in self.blocks:
            n = 0 if block.cut else tick_faults.ringing_after(block.ticks, self.expected)
            if n:
                rang.extend(block.ticks[-n:])
                block.ticks = block.ticks[:-n]
                places.append(float(block.ticks[-1]))
                # The motor has stopped by then, whatever rotation-on says.
                block.stop = min(block.stop, rang[-n])
        if rang:
            self.report.repair(
                "ringing_dropped",
                "rotation_ticks",
                f"The ticks rang {counted(len(places), 'time')} when the motor stopped: "
                f"{counted(len(rang), 'pulse')} after the last tick left out.",
                rang,
            )

    def _report_motion(self, loose: NDFloat) -> None:
        """Say if the motor seems to have turned outside rotations."""
        runs = np.split(loose, np.flatnonzero(np.diff(loose) > MANUAL_INTERVAL_S * self.rate) + 1)
        turned = [run for run in runs if len(run) >= MANUAL_TICKS]
        if turned:
            degrees = sum(len(run) for run in turned) * self.rules.increment
            self.report.anomaly(
                "motion_outside_rotations",
                "rotation_ticks",
                f"The motor ticked on for {degrees:.1f} degrees while rotation_on was low. If the "
                "sample turned then, the angles after that are off.",
                [run[0] for run in turned],
            )

    def _goes_on(
        self,
        block: Block,
        first: int,
        last: int,
        side: int,
        limits: tuple[float, float],
    ) -> bool:
        """Tell whether the next tick before (side -1) or after (1) a block's ticks is one of it."""
        if last - first < 3 or (self.expected is not None and last - first >= self.expected):
            return False
        new = first - 1 if side < 0 else last
        if not 0 <= new < len(self.ticks) or not limits[0] < self.ticks[new] < limits[1]:
            return False
        edge = block.start if side < 0 else block.stop
        if abs(self.ticks[new] - edge) > EDGE_LATENCY_S * self.rate:
            return False
        outer = self.ticks[first] if side < 0 else self.ticks[last - 1]
        inner = self.ticks[first + 1] if side < 0 else self.ticks[last - 2]
        return bool(abs(self.ticks[new] - outer) <= MAX_NEXT_INTERVAL * abs(outer - inner))

    def _rotation(self, block: Block, row: int) -> Rotation:
        """Make a rotation of a block."""
        measured = cruise_speed(block.ticks) * self.rules.increment * self.rate
        direction, speed = self._asked(block, row, measured)
        nominal = {"full": self.rules.degrees, "incremental": self.rules.degrees_per_step}.get(
            self.rules.protocol
        )
        expected = self.expected
        train, problem = self._numbered(block)
        n_ticks = len(block.ticks) if train is None else int(train.number[-1])
        if nominal is None:
            n_turned = expected if expected is not None else n_ticks
            nominal = n_turned * self.rules.increment
        lost = np.inf
        if train is not None and not block.cut:
            lost = tick_faults.stalled_from(
                train.time, train.inserted, MAX_STALL_DEGREES / self.rules.increment
            )
            if np.isfinite(lost):
                problem = f"its ticks end, or pause, at {lost / self.rate:.3f} s"
        elif problem and not block.cut:
            planned = None if self.stimulus is None else nominal / speed * self.rate
            lost = tick_faults.lost_from(block.ticks, expected, block.start, block.stop, planned)
        if np.isfinite(lost):
            block.ticks = block.ticks[block.ticks <= lost]
            train = self._until_lost(block) if len(block.ticks) > 8 else None
            expected = n_ticks = 0 if train is None else int(train.number[-1])
            nominal = n_ticks * self.rules.increment
        angle: NDFloat = np.zeros(0)
        if train is not None:
            # Ticks that nothing explains are spread over the rotation.
            n_total = n_ticks if expected is None else expected
            angle = np.asarray(train.number * (self.rules.increment * n_total / n_ticks))
            angle = np.where(angle > nominal - 1e-9, nominal, angle)  # rounding
        start, stop = self._limits(block, train, angle, nominal)
        return Rotation(
            start=start,
            stop=stop,
            direction=direction,
            speed=speed,
            measured_speed=measured,
            turned=nominal,
            ticks=train,
            tick_angle=angle,
            problem=problem,
            lost_from=lost,
        )

    def _until_lost(self, block: Block) -> TickTrain:
        """Give numbers to the ticks up to a stall, by their rhythm alone."""
        return number_rotation(block.ticks, None, block.start, float(block.ticks[-1]))

    def _asked(self, block: Block, row: int, measured: float) -> tuple[int, float]:
        """Tell a rotation's direction and the speed asked for; as measured if nothing was asked."""
        if self.stimulus is not None:
            return int(self.stimulus.direction[row]), float(self.stimulus.speed[row])
        if self.direction is not None:
            middle = (block.start + block.stop) / 2
            if len(block.ticks):
                middle = float(block.ticks[len(block.ticks) // 2])
            before = int(np.searchsorted(self.direction.start, middle, side="right")) - 1
            high = before >= 0 and middle < self.direction.stop[before]
            return (1 if high else -1), measured
        # Angles that nothing tells the sign of go up, as in the protocol incremental.
        return -1, measured

    def _limits(
        self, block: Block, train: TickTrain | None, angle: NDFloat, turned: float
    ) -> tuple[float, float]:
        """Give a rotation's start and stop; those of the motor where the on-signal is silent."""
        if train is None or (block.start_seen and block.stop_seen):
            return block.start, block.stop
        time, _, _ = motor.knots(train.time, angle, turned, block.start, block.stop)
        return (
            block.start if block.start_seen else float(time[0]),
            block.stop if block.stop_seen else float(time[-1]),
        )

    def _numbered(self, block: Block) -> tuple[TickTrain | None, str]:
        """Give numbers to a block's ticks, or say why that is not possible."""
        expected, n = self.expected, len(block.ticks)
        is_cut = block.cut and self.rules.protocol != "free"
        if is_cut and (expected is None or n < expected):
            where = "begins" if block.start == 0 else "ends"
            return None, f"the recording {where} within it"
        if n < 3:
            return None, f"it has {counted(n, 'tick')} only"
        latency = MISSING_LATENCY_S * self.rate
        train = number_rotation(block.ticks, expected, block.start - latency, block.stop + latency)
        whole = int(train.number[-1]) if expected is None else expected
        wrong = int(np.count_nonzero(train.inserted)) + abs(train.unexplained)
        if wrong > self.rules.max_missing_fraction * whole:
            return None, (
                f"{n} ticks found, {whole} expected, {wrong} of them missing or too many, which is "
                f"more than signals.max_missing_tick_fraction "
                f"({self.rules.max_missing_fraction:g}) allows"
            )
        return train, ""

    def _with_usual_turn(self, rotations: list[Rotation]) -> list[Rotation]:
        """Let unusable rotations of unknown size turn as far as most others."""
        usable = [rotation.turned for rotation in rotations if not rotation.problem]
        if self.expected is not None or len(usable) == len(rotations) or not usable:
            return rotations
        sizes, counts = np.unique(usable, return_counts=True)
        usual = float(sizes[counts.argmax()])
        note = f" (angles after it suppose that it turned by {usual:g} degrees, like most others)"
        return [
            replace(rotation, turned=usual, problem=rotation.problem + note)
            if rotation.problem
            else rotation
            for rotation in rotations
        ]

    def _report_ticks(self, rotations: list[Rotation]) -> None:
        """Report what was mended within rotations."""
        trains = [(k, r.ticks) for k, r in enumerate(rotations) if r.ticks is not None]
        duplicated = np.concatenate([np.zeros(0), *(t.duplicated for _, t in trains)])
        inserted = np.concatenate([np.zeros(0), *(t.time[t.inserted] for _, t in trains)])
        if len(duplicated):
            self.report.repair(
                "duplicated_ticks_dropped",
                "rotation_ticks",
                f"{counted(len(duplicated), 'tick')} too many for the rhythm of their rotations "
                "(doubled or stray): left out.",
                duplicated,
            )
        if len(inserted):
            self.report.repair(
                "missing_ticks_inserted",
                "rotation_ticks",
                f"{counted(len(inserted), 'tick')} missing within rotations: put into the gaps.",
                inserted,
            )
        for k, train in trains:
            if train.unexplained:
                what = "fewer" if train.unexplained > 0 else "more"
                self.report.anomaly(
                    "ticks_spread",
                    "rotation_ticks",
                    f"{self.rules.word.capitalize()} {k + 1} has "
                    f"{counted(abs(train.unexplained), 'tick')} {what} than "
                    f"{self.rules.increment:g} degrees per tick say, without a gap or a doubled "
                    "tick to explain it: its ticks were spread evenly over it. Check "
                    "signals.rotation_increment and signals.degrees_per_rotation.",
                    [rotations[k].start],
                    count=abs(train.unexplained),
                )

    def _check(self, rotations: list[Rotation]) -> None:
        """Report rotations that are unusable or not as asked for; refuse if none is usable."""
        lost = [(k, r) for k, r in enumerate(rotations) if r.problem]
        cause = self._common_cause(rotations) if lost else ""
        if cause:
            # It explains all others.
            self.report.anomaly("rotation_increment", "rotation_ticks", cause, count=len(lost))
            self.report.anomalies.insert(0, self.report.anomalies.pop())
        for k, rotation in [] if cause else lost:
            after = "The lines recorded during it get no angle."
            if np.isfinite(rotation.lost_from):
                after = (
                    "The motor may have stalled, or was stopped: from "
                    f"{rotation.lost_from / self.rate:.3f} s on the angle is not known, also after "
                    "this rotation, and the lines recorded then get none."
                )
            self.report.anomaly(
                "rotation_unusable",
                "rotation_ticks",
                f"{self.rules.word.capitalize()} {k + 1} is unusable: {rotation.problem}. {after}",
                [rotation.start],
            )
        if not any(rotation.ticks is not None for rotation in rotations):
            word = self.rules.word
            reasons = "\n".join(f"{word} {k + 1}: {r.problem}" for k, r in lost[:20])
            none = f"no usable {word} among {len(rotations)}."
            advice = "Check signals.rotation_increment, signals.degrees_per_rotation and the cable."
            said = f"{cause} So there is {none}" if cause else f"{none} {advice}"
            raise SignalError(f"rotation_ticks: {said}\n{reasons}")
        if self.rules.protocol == "incremental":
            self._check_whole_turn(rotations)
            return
        sound = [rotation for rotation in rotations if not rotation.problem]
        measured = np.array([rotation.measured_speed for rotation in sound])
        asked = np.array([rotation.speed for rotation in sound])
        if self.stimulus is not None and said_sampling_rate(measured, asked, self.report):
            return
        for k, rotation in enumerate(rotations):
            off = abs(rotation.measured_speed - rotation.speed)
            if not rotation.problem and off > SPEED_TOLERANCE * rotation.speed:
                self.report.anomaly(
                    "speed_differs",
                    "rotation_ticks",
                    f"Rotation {k + 1} reached {rotation.measured_speed:.1f} degrees/s, the "
                    f"stimulus table says {rotation.speed:g}.",
                    [rotation.start],
                )

    def _common_cause(self, rotations: list[Rotation]) -> str:
        """Say which increment, or size of the steps, explains the ticks of all rotations."""
        if self.expected is None:
            return ""
        first = np.searchsorted(self.pulses, [rotation.start for rotation in rotations])
        after = np.searchsorted(self.pulses, [rotation.stop for rotation in rotations], "right")
        own = [self.pulses[a:b] for a, b in zip(first, after, strict=True)]
        steps = self.rules.protocol == "incremental"
        rules = self.rules
        return increment_implied(
            own, self.expected, rules.increment, steps=steps, degrees=rules.degrees
        )

    def _check_whole_turn(self, rotations: list[Rotation]) -> None:
        """Say if the steps of the incremental protocol do not add up to the turn."""
        total = sum(rotation.turned for rotation in rotations)
        step = rotations[0].turned
        if self.rules.degrees is not None and abs(total - self.rules.degrees) > 0.5 * step:
            self.report.anomaly(
                "turn_incomplete",
                "rotation_on",
                f"{counted(len(rotations), 'step')} of {step:g} degrees add up to {total:g} "
                f"degrees, not to the {self.rules.degrees:g} of signals.degrees_per_rotation. "
                "Angles count from the first rest of the recording.",
                count=1,
            )
