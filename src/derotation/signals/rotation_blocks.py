"""Blocks of the rotation-on signal, or of runs of ticks, in which a motor turns."""

import itertools
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from derotation.errors import SignalError
from derotation.io.stimulus import Stimulus
from derotation.signals import tick_faults
from derotation.signals.pulses import Pulses
from derotation.signals.repairs import Report, counted, turn_word
from derotation.signals.ticks import cruise_speed

NDFloat = NDArray[np.float64]
# A tick count agrees with the expected one within this part of it.
COUNT_TOLERANCE = 0.05
# Room left for the motor's start and stop about ticks without an on-signal.
LOOSE_MARGIN_S = 0.1
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
        return turn_word(self.protocol)

    def ticks_of(self, degrees: float | None) -> int | None:
        """Give the number of ticks of so many degrees."""
        return None if degrees is None else int(np.floor(degrees / self.increment + 1e-6))


class FoundBlocks:
    """The blocks of one recording, its ticks, and what is known about its rotations."""

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
        pauses = self.pauses(ticks)
        usual = float(np.median(np.diff(ticks)))
        pauses = pauses[np.diff(ticks)[pauses] > STANDSTILL * usual]
        runs = [run for run in np.split(ticks, pauses + 1) if len(run) >= 3]
        bounds = [0.0, *(float(run[-1]) for run in runs)]
        nexts = [*(float(run[0]) for run in runs[1:]), np.inf]
        blocks = [
            self.block_of_ticks(run, low, high)
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

    def inside(self, block: Block) -> NDFloat:
        """Ticks between a block's edges."""
        first, last = np.searchsorted(self.ticks, (block.start, block.stop))
        return self.ticks[first:last]

    def complete(self, n_ticks: int, n_rotations: int = 1) -> bool:
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

    def drop(self, blocks: list[Block], code: str, why: str) -> None:
        """Leave blocks out, and say so; refuse if none is left."""
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

    def split_at(self, block: Block, ticks: NDFloat, pauses: NDArray[np.int64]) -> list[Block]:
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

    def pauses(self, ticks: NDFloat) -> NDArray[np.int64]:
        """Find where the motor may have stood still: index of the last tick before each pause.

        Intervals grow towards standstill, but none of them outdoes both its neighbors.
        """
        intervals = np.diff(ticks)
        if len(intervals) < 3:
            return np.zeros(0, np.int64)
        beside = np.maximum(intervals[:-2], intervals[2:])
        return np.flatnonzero(intervals[1:-1] > PAUSE * beside) + 1

    def block_of_ticks(self, ticks: NDFloat, low: float, high: float) -> Block:
        """Make a block for ticks without an on-signal, between the rotations before and after."""
        margin = LOOSE_MARGIN_S * self.rate
        return Block(
            start=max(low, float(ticks[0]) - margin),
            stop=min(high, float(ticks[-1]) + margin),
            start_seen=False,
            stop_seen=False,
        )

    def measured_speed(self, block: Block) -> float:
        """Cruise speed in degrees per second."""
        return cruise_speed(self.inside(block)) * self.rules.increment * self.rate
