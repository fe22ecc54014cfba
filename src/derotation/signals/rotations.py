"""From the rotation-on signal, the ticks and the stimulus table to rotations."""

import itertools
import logging
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError, SignalError
from derotation.io.stimulus import Stimulus
from derotation.signals import motor
from derotation.signals.pulses import Pulses
from derotation.signals.repairs import Report, counted, table
from derotation.signals.ticks import TickTrain, cruise_speed, number_rotation

logger = logging.getLogger(__name__)

NDFloat = NDArray[np.float64]

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
SPEED_TOLERANCE = 0.05
# Room left for the motor's start and stop about ticks without an on-signal.
LOOSE_MARGIN_S = 0.1
# So many ticks outside rotations, no further apart than this, are a motor that turns.
MANUAL_TICKS = 10
MANUAL_INTERVAL_S = 0.2
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationRules:
    """What is known about rotations beforehand."""

    protocol: Literal["full", "incremental"]
    increment: float
    """Degrees per tick."""
    degrees: float | None
    """Degrees of a rotation, or of the whole turn of the incremental protocol."""
    degrees_per_step: float | None
    """Degrees of a step; None: as most steps say."""
    max_off_glitch_s: float
    max_missing_fraction: float

    def ticks_of(self, degrees: float | None) -> int | None:
        """Give the number of ticks of so many degrees."""
        return None if degrees is None else int(np.floor(degrees / self.increment + 1e-6))


def find_rotations(
    on: Pulses,
    ticks: Pulses,
    *,
    rules: RotationRules,
    stimulus: Stimulus | None,
    report: Report,
) -> list[Rotation]:
    """Find all rotations and number their ticks.

    Parameters
    ----------
    on, ticks : Pulses
        The rotation-on signal and the ticks.
    rules : RotationRules
        What a rotation is like.
    stimulus : Stimulus or None
        Needed for the protocol ``full``.
    report : Report
        Takes repairs and anomalies.

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
    if rules.protocol == "full" and stimulus is None:
        raise InputError(
            "The protocol full needs a stimulus table: it says in which direction each rotation "
            "went. Give the session a stimulus, or use the protocol incremental."
        )
    finder = _Finder(on, ticks, rules, stimulus, report)
    return finder.find()


class _Finder:
    """Works on the blocks of one recording."""

    def __init__(
        self,
        on: Pulses,
        ticks: Pulses,
        rules: RotationRules,
        stimulus: Stimulus | None,
        report: Report,
    ) -> None:
        self.rules = rules
        self.stimulus = stimulus
        self.report = report
        self.rate = report.sampling_rate
        self.ticks = ticks.start.astype(np.float64)
        self.blocks = [
            Block(start=float(start), stop=float(stop))
            for start, stop in zip(on.start, on.stop, strict=True)
        ]
        if on.begins_high:
            self.blocks[0].cut = True
        if on.ends_high:
            self.blocks[-1].cut = True
        self.expected = rules.ticks_of(rules.degrees)

    def find(self) -> list[Rotation]:
        self._check_polarity()
        self._mend_gaps()
        self._drop_blips()
        if self.rules.protocol == "incremental":
            self._split_into_steps()
        else:
            self._split_joined()
            self._resolve_count()
        self._assign_ticks()
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
        inside = sum(len(self._inside(block)) for block in self.blocks)
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

    def _complete(self, n_ticks: int, expected: int | None) -> bool:
        return expected is not None and abs(n_ticks - expected) <= COUNT_TOLERANCE * expected

    def _mend_gaps(self) -> None:
        """Merge blocks between which the on-signal was off too briefly for a rest."""
        mended: list[float] = []
        merged: list[Block] = []
        for block in self.blocks:
            if merged and self._is_glitch(merged[-1], block):
                mended.append(merged[-1].stop)
                merged[-1].stop = block.stop
                merged[-1].cut |= block.cut
            else:
                merged.append(block)
        self.blocks = merged
        if mended:
            self.report.repair(
                "off_glitches_merged",
                "rotation_on",
                f"rotation_on was off {counted(len(mended), 'time')} for less than "
                f"{self.rules.max_off_glitch_s * 1e3:g} ms within a rotation: taken for on.",
                mended,
            )

    def _is_glitch(self, before: Block, after: Block) -> bool:
        gap = after.start - before.stop
        if gap > self.rules.max_off_glitch_s * self.rate:
            return False
        both = [len(self._inside(block)) for block in (before, after)]
        # Two whole rotations with a very short rest are two rotations all the same.
        return not all(self._complete(n, self.expected) for n in both)

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
        self.blocks = [block for block in self.blocks if not any(block is b for b in blocks)]
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
            if cuts is None or not self._complete(len(ticks), n * self.expected):
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
        assert self.stimulus is not None
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
            ticks = self.ticks[(self.ticks >= low) & (self.ticks < high)]
            for run in np.split(ticks, self._pauses(ticks) + 1):
                if self._complete(len(run), self.expected):
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
        if self.stimulus is None or self.rules.protocol == "incremental":
            return 0
        n_rows, n = len(self.stimulus), len(self.blocks)
        if n == n_rows:
            return 0
        fitting = [k for k in range(n_rows - n + 1) if self._speeds_fit(k)]
        hint = ""
        if len(fitting) == 1 and n_rows > n:
            rows = f"rows {fitting[0] + 1} to {fitting[0] + n}"
            if self._is_cut_at(fitting[0]):
                self.report.anomaly(
                    "table_longer",
                    "rotation_on",
                    f"The recording is cut within a rotation and holds {counted(n, 'rotation')} of "
                    f"the {n_rows} in the stimulus table; their speeds fit {rows} only.",
                    count=n_rows - n,
                )
                return fitting[0]
            hint = (
                f" The measured speeds fit {rows} only: if the recording covers just these, cut "
                "the table to them."
            )
        raise SignalError(
            f"rotation_on: {counted(n, 'rotation')} found, but the stimulus table "
            f"{self.stimulus.path} has {counted(n_rows, 'row')}, and the ticks do not settle it."
            f"{hint} Check that the table belongs to this recording, signals.degrees_per_rotation "
            f"and signals.max_off_glitch_ms. Found:\n{self._table()}"
        )

    def _is_cut_at(self, first_row: int) -> bool:
        """Tell whether the recording is cut where rows of the table are left over."""
        assert self.stimulus is not None
        last_row = first_row + len(self.blocks)
        begins = first_row == 0 or self.blocks[0].cut
        ends = last_row == len(self.stimulus) or self.blocks[-1].cut
        return begins and ends

    def _measured_speed(self, block: Block) -> float:
        """Cruise speed in degrees per second."""
        return cruise_speed(self._inside(block)) * self.rules.increment * self.rate

    def _speeds_fit(self, first_row: int) -> bool:
        """Tell whether the measured speeds are those of the table from a given row on."""
        assert self.stimulus is not None
        for row, block in enumerate(self.blocks, first_row):
            measured = self._measured_speed(block)
            wanted = float(self.stimulus.speed[row])
            if not block.cut and abs(measured - wanted) > SPEED_TOLERANCE * wanted:
                return False
        return True

    def _table(self) -> str:
        """Lay out what was found beside what was asked for."""
        assert self.stimulus is not None
        rows: list[tuple[str, ...]] = []
        for k in range(max(len(self.blocks), len(self.stimulus))):
            found: tuple[str, ...] = ("-",) * 5
            if k < len(self.blocks):
                block = self.blocks[k]
                n = len(self._inside(block))
                found = (
                    f"{block.start / self.rate:.3f}",
                    f"{block.stop / self.rate:.3f}",
                    str(n),
                    f"{n * self.rules.increment:.1f}",
                    f"{self._measured_speed(block):.1f}" + (" (cut)" if block.cut else ""),
                )
            asked: tuple[str, ...] = ("-", "-")
            if k < len(self.stimulus):
                asked = (f"{self.stimulus.speed[k]:g}", f"{self.stimulus.direction[k]:+d}")
            rows.append((str(k + 1), *found, *asked))
        header = ("row", "start s", "end s", "ticks", "degrees", "degrees/s", "table", "direction")
        return table(header, rows)

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
        full = self.rules.protocol == "full"
        measured = cruise_speed(block.ticks) * self.rules.increment * self.rate
        # The turn of the incremental protocol goes up, like a direction of -1.
        direction, speed = -1, measured
        if full and self.stimulus is not None:
            direction = int(self.stimulus.direction[row])
            speed = float(self.stimulus.speed[row])
        nominal = self.rules.degrees if full else self.rules.degrees_per_step
        expected = self.expected
        train, problem = self._numbered(block)
        n_ticks = len(block.ticks) if train is None else int(train.number[-1])
        if nominal is None:
            n_turned = expected if expected is not None else n_ticks
            nominal = n_turned * self.rules.increment
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
        )

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
        if block.cut and (expected is None or n < expected):
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
                    f"Rotation {k + 1} has {counted(abs(train.unexplained), 'tick')} {what} than "
                    f"{self.rules.increment:g} degrees per tick say, without a gap or a doubled "
                    "tick to explain it: its ticks were spread evenly over the rotation. Check "
                    "signals.rotation_increment and signals.degrees_per_rotation.",
                    [rotations[k].start],
                    count=abs(train.unexplained),
                )

    def _check(self, rotations: list[Rotation]) -> None:
        """Report rotations that are unusable or not as asked for; refuse if none is usable."""
        lost = [(k, r) for k, r in enumerate(rotations) if r.problem]
        for k, rotation in lost:
            self.report.anomaly(
                "rotation_unusable",
                "rotation_ticks",
                f"Rotation {k + 1} is unusable: {rotation.problem}. The lines recorded during it "
                "get no angle.",
                [rotation.start],
            )
        if len(lost) == len(rotations):
            reasons = "\n".join(f"rotation {k + 1}: {r.problem}" for k, r in lost[:20])
            raise SignalError(
                f"rotation_ticks: no usable rotation among {len(rotations)}. "
                f"Check signals.rotation_increment, signals.degrees_per_rotation and the "
                f"cable.\n{reasons}"
            )
        if self.rules.protocol == "incremental":
            self._check_whole_turn(rotations)
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
