"""Which ticks belong to which rotation, and which to none."""

import numpy as np

from derotation.signals import tick_faults
from derotation.signals.repairs import counted
from derotation.signals.rotation_blocks import Block, FoundBlocks, NDFloat

# Ticks may come this long before the on-signal rises or after it falls, if they keep the rhythm.
EDGE_LATENCY_S = 0.015
# The next interval of a motor that stops is at most this many times the last one: the last two
# intervals of an even deceleration are 1 to 2.4, those of a jerk-limited one up to 1 to 3.8.
MAX_NEXT_INTERVAL = 4.0
# So many ticks outside rotations, no further apart than this, are a motor that turns.
MANUAL_TICKS = 10
MANUAL_INTERVAL_S = 0.2


def assign_ticks(found: FoundBlocks) -> None:
    """Give each block its ticks, also those just beyond its edges."""
    beyond: list[float] = []
    taken = np.zeros(len(found.ticks), np.bool_)
    for index, block in enumerate(found.blocks):
        first, last = np.searchsorted(found.ticks, (block.start, block.stop)).tolist()
        limits = (
            found.blocks[index - 1].stop if index else -np.inf,
            found.blocks[index + 1].start if index + 1 < len(found.blocks) else np.inf,
        )
        while _goes_on(found, block, first, last, -1, limits):
            first -= 1
            beyond.append(found.ticks[first])
        while _goes_on(found, block, first, last, 1, limits):
            beyond.append(found.ticks[last])
            last += 1
        block.ticks = found.ticks[first:last]
        taken[first:last] = True
        if len(block.ticks):
            block.start = min(block.start, float(block.ticks[0]))
            block.stop = max(block.stop, float(block.ticks[-1]))
    if beyond:
        found.report.repair(
            "ticks_beyond_edges",
            "rotation_ticks",
            f"{counted(len(beyond), 'tick')} up to {EDGE_LATENCY_S * 1e3:g} ms outside "
            "rotation_on kept the rhythm of a rotation: counted with it.",
            beyond,
        )
    loose = found.ticks[~taken]
    _report_motion(found, loose)
    if len(loose):
        found.report.repair(
            "stray_ticks_dropped",
            "rotation_ticks",
            f"{counted(len(loose), 'tick')} outside rotations: left out.",
            loose,
        )


def drop_ringing(found: FoundBlocks) -> None:
    """Leave out the pulses with which ticks ring when the motor has stopped."""
    rang: list[float] = []
    places: list[float] = []
    for block in found.blocks:
        n = 0 if block.cut else tick_faults.ringing_after(block.ticks, found.expected)
        if n:
            rang.extend(block.ticks[-n:])
            block.ticks = block.ticks[:-n]
            places.append(float(block.ticks[-1]))
            # The motor has stopped by then, whatever rotation-on says.
            block.stop = min(block.stop, rang[-n])
    if rang:
        found.report.repair(
            "ringing_dropped",
            "rotation_ticks",
            f"The ticks rang {counted(len(places), 'time')} when the motor stopped: "
            f"{counted(len(rang), 'pulse')} after the last tick left out.",
            rang,
        )


def _report_motion(found: FoundBlocks, loose: NDFloat) -> None:
    """Say if the motor seems to have turned outside rotations."""
    runs = np.split(loose, np.flatnonzero(np.diff(loose) > MANUAL_INTERVAL_S * found.rate) + 1)
    turned = [run for run in runs if len(run) >= MANUAL_TICKS]
    if turned:
        degrees = sum(len(run) for run in turned) * found.rules.increment
        found.report.anomaly(
            "motion_outside_rotations",
            "rotation_ticks",
            f"The motor ticked on for {degrees:.1f} degrees while rotation_on was low. If the "
            "sample turned then, the angles after that are off.",
            [run[0] for run in turned],
        )


def _goes_on(
    found: FoundBlocks,
    block: Block,
    first: int,
    last: int,
    side: int,
    limits: tuple[float, float],
) -> bool:
    """Tell whether the next tick before (side -1) or after (1) a block's ticks is one of it."""
    if last - first < 3 or (found.expected is not None and last - first >= found.expected):
        return False
    new = first - 1 if side < 0 else last
    if not 0 <= new < len(found.ticks) or not limits[0] < found.ticks[new] < limits[1]:
        return False
    edge = block.start if side < 0 else block.stop
    if abs(found.ticks[new] - edge) > EDGE_LATENCY_S * found.rate:
        return False
    outer = found.ticks[first] if side < 0 else found.ticks[last - 1]
    inner = found.ticks[first + 1] if side < 0 else found.ticks[last - 2]
    return bool(abs(found.ticks[new] - outer) <= MAX_NEXT_INTERVAL * abs(outer - inner))
