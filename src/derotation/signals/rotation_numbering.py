"""From a block and its ticks to a rotation whose ticks are numbered."""

from dataclasses import dataclass, replace

import numpy as np

from derotation.signals import motor, tick_faults
from derotation.signals.repairs import counted
from derotation.signals.rotation_blocks import Block, FoundBlocks, NDFloat
from derotation.signals.ticks import TickTrain, cruise_speed, number_rotation

# Ticks that are missing before the first or after the last one are not supposed to have come longer
# than this before the on-signal rose, or after it fell.
MISSING_LATENCY_S = 0.003
# Where ticks miss for more than this, the motor may have stalled (degrees).
MAX_STALL_DEGREES = 1.0


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


def number_block(found: FoundBlocks, block: Block, row: int) -> Rotation:
    """Make a rotation of a block."""
    measured = cruise_speed(block.ticks) * found.rules.increment * found.rate
    direction, speed = _asked(found, block, row, measured)
    nominal = {"full": found.rules.degrees, "incremental": found.rules.degrees_per_step}.get(
        found.rules.protocol
    )
    expected = found.expected
    train, problem = _numbered(found, block)
    n_ticks = len(block.ticks) if train is None else int(train.number[-1])
    if nominal is None:
        n_turned = expected if expected is not None else n_ticks
        nominal = n_turned * found.rules.increment
    lost = np.inf
    if train is not None and not block.cut:
        lost = tick_faults.stalled_from(
            train.time, train.inserted, MAX_STALL_DEGREES / found.rules.increment
        )
        if np.isfinite(lost):
            problem = f"its ticks end, or pause, at {lost / found.rate:.3f} s"
    elif problem and not block.cut:
        planned = None if found.stimulus is None else nominal / speed * found.rate
        lost = tick_faults.lost_from(block.ticks, expected, block.start, block.stop, planned)
    if np.isfinite(lost):
        block.ticks = block.ticks[block.ticks <= lost]
        train = _until_lost(found, block) if len(block.ticks) > 8 else None
        expected = n_ticks = 0 if train is None else int(train.number[-1])
        nominal = n_ticks * found.rules.increment
    angle: NDFloat = np.zeros(0)
    if train is not None:
        # Ticks that nothing explains are spread over the rotation.
        n_total = n_ticks if expected is None else expected
        angle = np.asarray(train.number * (found.rules.increment * n_total / n_ticks))
        angle = np.where(angle > nominal - 1e-9, nominal, angle)  # rounding
    start, stop = _limits(found, block, train, angle, nominal)
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


def _until_lost(found: FoundBlocks, block: Block) -> TickTrain:
    """Give numbers to the ticks up to a stall, by their rhythm alone."""
    return number_rotation(block.ticks, None, block.start, float(block.ticks[-1]))


def _asked(found: FoundBlocks, block: Block, row: int, measured: float) -> tuple[int, float]:
    """Tell a rotation's direction and the speed asked for; as measured if nothing was asked."""
    if found.stimulus is not None:
        return int(found.stimulus.direction[row]), float(found.stimulus.speed[row])
    if found.direction is not None:
        middle = (block.start + block.stop) / 2
        if len(block.ticks):
            middle = float(block.ticks[len(block.ticks) // 2])
        before = int(np.searchsorted(found.direction.start, middle, side="right")) - 1
        high = before >= 0 and middle < found.direction.stop[before]
        return (1 if high else -1), measured
    # Angles that nothing tells the sign of go up, as in the protocol incremental.
    return -1, measured


def _limits(
    found: FoundBlocks, block: Block, train: TickTrain | None, angle: NDFloat, turned: float
) -> tuple[float, float]:
    """Give a rotation's start and stop; those of the motor where the on-signal is silent."""
    if train is None or (block.start_seen and block.stop_seen):
        return block.start, block.stop
    time, _, _ = motor.knots(train.time, angle, turned, block.start, block.stop)
    return (
        block.start if block.start_seen else float(time[0]),
        block.stop if block.stop_seen else float(time[-1]),
    )


def _numbered(found: FoundBlocks, block: Block) -> tuple[TickTrain | None, str]:
    """Give numbers to a block's ticks, or say why that is not possible."""
    expected, n = found.expected, len(block.ticks)
    is_cut = block.cut and found.rules.protocol != "free"
    if is_cut and (expected is None or n < expected):
        where = "begins" if block.start == 0 else "ends"
        return None, f"the recording {where} within it"
    if n < 3:
        return None, f"it has {counted(n, 'tick')} only"
    latency = MISSING_LATENCY_S * found.rate
    train = number_rotation(block.ticks, expected, block.start - latency, block.stop + latency)
    whole = int(train.number[-1]) if expected is None else expected
    wrong = int(np.count_nonzero(train.inserted)) + abs(train.unexplained)
    if wrong > found.rules.max_missing_fraction * whole:
        return None, (
            f"{n} ticks found, {whole} expected, {wrong} of them missing or too many, which is "
            f"more than signals.max_missing_tick_fraction "
            f"({found.rules.max_missing_fraction:g}) allows"
        )
    return train, ""


def with_usual_turn(found: FoundBlocks, rotations: list[Rotation]) -> list[Rotation]:
    """Let unusable rotations of unknown size turn as far as most others."""
    usable = [rotation.turned for rotation in rotations if not rotation.problem]
    if found.expected is not None or len(usable) == len(rotations) or not usable:
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
