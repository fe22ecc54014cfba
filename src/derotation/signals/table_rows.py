"""Bring the blocks to agree with the rows of the stimulus table."""

import numpy as np
from numpy.typing import NDArray

from derotation.errors import SignalError
from derotation.signals.repairs import counted
from derotation.signals.rotation_blocks import (
    COUNT_TOLERANCE,
    STANDSTILL,
    Block,
    FoundBlocks,
    NDFloat,
)
from derotation.signals.rotation_table import (
    fitting_rows,
    table_of_rotations,
)


def split_joined(found: FoundBlocks) -> None:
    """Split blocks that hold several rotations, where the motor paused after a whole one."""
    if found.expected is None or found.stimulus is None:
        return
    if len(found.blocks) >= len(found.stimulus):
        return
    places: list[float] = []
    parts: list[Block] = []
    for block in found.blocks:
        ticks = found.inside(block)
        n = round(len(ticks) / found.expected)
        cuts = _joints(found, ticks, n) if n > 1 else None
        if cuts is None or not found.complete(len(ticks), n):
            parts.append(block)
            continue
        parts.extend(found.split_at(block, ticks, cuts))
        places.extend(ticks[cuts])
    found.blocks = parts
    if places:
        found.report.repair(
            "rotations_split",
            "rotation_on",
            f"rotation_on stayed on between rotations {counted(len(places), 'time')}: split "
            "where the ticks pause after a whole rotation.",
            places,
        )


def _joints(found: FoundBlocks, ticks: NDFloat, n: int) -> NDArray[np.int64] | None:
    """Find the pauses that lie after every whole rotation; None unless all are there."""
    assert found.expected is not None  # for the type checker
    pauses = found.pauses(ticks)
    cuts = []
    for k in range(1, n):
        near = pauses[np.abs(pauses + 1 - k * found.expected) <= COUNT_TOLERANCE * found.expected]
        if not len(near):
            return None
        cuts.append(near[np.argmax(ticks[near + 1] - ticks[near])])
    return np.array(cuts)


def resolve_count(found: FoundBlocks) -> None:
    """Bring the number of blocks to that of the table by what the ticks say, if it differs."""
    if found.stimulus is None:
        return
    if len(found.blocks) > len(found.stimulus):
        merge_parts(found)
    if len(found.blocks) > len(found.stimulus):
        empty = [b for b in found.blocks if not b.cut and len(found.inside(b)) < 3]
        if empty and len(found.blocks) - len(empty) >= len(found.stimulus):
            found.drop(empty, "empty_blocks_dropped", "without ticks")
    if len(found.blocks) < len(found.stimulus):
        _add_loose_rotations(found)


def merge_parts(found: FoundBlocks) -> None:
    """Merge neighbors that make one rotation together, the motor not having stopped between."""
    merged: list[Block] = []
    places: list[float] = []
    for block in found.blocks:
        if merged and _are_parts(found, merged[-1], block):
            places.append(merged[-1].stop)
            merged[-1] = Block(
                start=merged[-1].start, stop=block.stop, cut=merged[-1].cut or block.cut
            )
        else:
            merged.append(block)
    found.blocks = merged
    if places:
        found.report.repair(
            "rotation_parts_merged",
            "rotation_on",
            f"rotation_on fell {counted(len(places), 'time')} within a rotation, for longer "
            "than a glitch, while the ticks went on: merged.",
            places,
        )


def _are_parts(found: FoundBlocks, before: Block, after: Block) -> bool:
    """Tell whether the ticks of two blocks, with those between, are one rotation."""
    if found.expected is None:
        return False
    both = Block(start=before.start, stop=after.stop)
    ticks = found.inside(both)
    parts = (len(found.inside(before)), len(found.inside(after)))
    if min(parts) < 3 or len(ticks) > (1 + COUNT_TOLERANCE) * found.expected:
        return False
    join = np.searchsorted(ticks, before.stop)
    around = np.diff(ticks[max(join - 6, 0) : join + 6])
    return bool(np.max(around) < STANDSTILL * np.median(around))


def _add_loose_rotations(found: FoundBlocks) -> None:
    """Find rotations for which the on-signal did not rise, from ticks that make a whole one."""
    if found.expected is None:
        return
    bounds = [0.0, *(x for b in found.blocks for x in (b.start, b.stop)), np.inf]
    added = []
    for low, high in zip(bounds[::2], bounds[1::2], strict=True):
        ticks = found.ticks[slice(*np.searchsorted(found.ticks, (low, high)))]
        for run in np.split(ticks, found.pauses(ticks) + 1):
            if found.complete(len(run)):
                added.append(found.block_of_ticks(run, low, high))
    if not added:
        return
    found.blocks = sorted([*found.blocks, *added], key=lambda block: block.start)
    found.report.repair(
        "rotations_from_ticks",
        "rotation_on",
        f"rotation_on did not rise for {counted(len(added), 'rotation')} whose ticks are all "
        "there: taken from the ticks.",
        [block.start for block in added],
    )


def align_rows(found: FoundBlocks) -> int:
    """Tell which row of the stimulus table the first rotation belongs to, or refuse."""
    if found.stimulus is None:
        return 0
    n_rows, n = len(found.stimulus), len(found.blocks)
    if n == n_rows:
        return 0
    measured = np.array([found.measured_speed(block) for block in found.blocks])
    cut = np.array([block.cut for block in found.blocks])
    fitting = fitting_rows(measured, cut, found.stimulus.speed)
    first = _row_of_part(found, fitting)
    if n < n_rows and first is not None:
        others = [row for row in fitting if row != first]
        guess = (
            f" They also fit from row {' or '.join(str(row + 1) for row in others)} on; the "
            "first rows were taken, as of a session that was ended early."
        )
        found.report.anomaly(
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
        f"{found.stimulus.path} has {counted(n_rows, 'row')}, and the ticks do not settle it. "
        "Check that the table belongs to this recording, signals.degrees_per_rotation "
        f"and signals.max_off_glitch_ms. Found:\n{_table(found)}"
    )


def _row_of_part(found: FoundBlocks, fitting: list[int]) -> int | None:
    """Choose the rows of a recording that holds a part of the table, None if none is likely.

    The first ones if they fit (the session was ended early), unless the recording begins
    within a rotation; else the only ones that fit, if there are several rotations or the
    recording is cut within one.
    """
    if 0 in fitting and not found.blocks[0].cut:
        return 0
    if len(fitting) == 1 and (len(found.blocks) > 1 or _is_cut_at(found, fitting[0])):
        return fitting[0]
    return None


def _is_cut_at(found: FoundBlocks, first_row: int) -> bool:
    """Tell whether the recording is cut where rows of the table are left over."""
    assert found.stimulus is not None  # for the type checker
    last_row = first_row + len(found.blocks)
    begins = first_row == 0 or found.blocks[0].cut
    ends = last_row == len(found.stimulus) or found.blocks[-1].cut
    return begins and ends


def _table(found: FoundBlocks) -> str:
    """Lay out what was found beside what was asked for."""
    assert found.stimulus is not None  # for the type checker
    rows = [
        (
            block.start / found.rate,
            block.stop / found.rate,
            len(found.inside(block)),
            len(found.inside(block)) * found.rules.increment,
            found.measured_speed(block),
            block.cut,
        )
        for block in found.blocks
    ]
    return table_of_rotations(rows, found.stimulus.speed, found.stimulus.direction)
