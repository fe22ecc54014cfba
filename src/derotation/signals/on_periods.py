"""Mend the rotation-on signal: gaps and blips that are too brief."""

import numpy as np

from derotation.errors import SignalError
from derotation.signals.repairs import counted
from derotation.signals.rotation_blocks import Block, FoundBlocks


def check_polarity(found: FoundBlocks) -> None:
    """Refuse ticks that are far too few, and an on-signal that is low while the motor turns."""
    first = np.searchsorted(found.ticks, [block.start for block in found.blocks])
    inside = int((np.searchsorted(found.ticks, [b.stop for b in found.blocks]) - first).sum())
    if len(found.ticks) < 3:
        raise SignalError(
            f"rotation_ticks: no ticks: {counted(len(found.ticks), 'pulse')} in the whole "
            f"recording, while rotation_on is on {counted(len(found.blocks), 'time')}. Check "
            "signals.channel_order, the cable and signals.thresholds.rotation_ticks."
        )
    if inside < 0.1 * len(found.ticks):
        raise SignalError(
            f"rotation_on: {len(found.ticks) - inside} of {len(found.ticks)} ticks come while "
            "rotation_on is low. It may be inverted (low during rotations), or another "
            "channel: check signals.channel_order and the cables."
        )


def mend_gaps(found: FoundBlocks) -> None:
    """Merge blocks between which the on-signal was off too briefly for a rest.

    Two whole rotations with a very short rest are two rotations all the same.
    """
    longest = found.rules.max_off_glitch_s * found.rate
    mended = found.chattered
    merged: list[Block] = []
    left = 0  # ticks of the last merged block
    for block in found.blocks:
        own = len(found.inside(block))
        is_glitch = bool(merged) and block.start - merged[-1].stop <= longest
        if is_glitch and not (found.complete(left) and found.complete(own)):
            mended.append(merged[-1].stop)
            merged[-1].stop = block.stop
            merged[-1].cut |= block.cut
        else:
            merged.append(block)
        left = len(found.inside(merged[-1]))
    found.blocks = merged
    if mended:
        found.report.repair(
            "off_glitches_merged",
            "rotation_on",
            f"rotation_on was off {counted(len(mended), 'time')} for less than "
            f"{found.rules.max_off_glitch_s * 1e3:g} ms within a rotation: taken for on.",
            np.sort(mended),
        )


def drop_blips(found: FoundBlocks) -> None:
    """Drop blocks that are too short for a rotation and hold no ticks."""
    blips = [
        block
        for block in found.blocks
        if not block.cut
        and len(found.inside(block)) < 2
        and block.stop - block.start <= found.rules.max_off_glitch_s * found.rate
    ]
    if not blips:
        return
    found.drop(blips, "on_blips_dropped", "for a moment without the motor turning")
