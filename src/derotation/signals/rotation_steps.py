"""Find the steps of the protocol incremental."""

import itertools
import logging

import numpy as np

from derotation.signals.rotation_blocks import Block, FoundBlocks
from derotation.signals.table_rows import merge_parts

logger = logging.getLogger(__name__)


def split_into_steps(found: FoundBlocks) -> None:
    """Split blocks that hold several steps, where the motor paused."""
    ticks = [found.inside(block) for block in found.blocks]
    pauses = [found.pauses(own) for own in ticks]
    lasts = [own[cut + 1] - own[cut] for own, cut in zip(ticks, pauses, strict=True)]
    rests = [after.start - before.stop for before, after in itertools.pairwise(found.blocks)]
    # A hole in the ticks of a step is much shorter than a rest.
    every = np.concatenate([rests, *lasts])
    least = 0.3 * float(np.median(every)) if len(every) else 0.0
    parts: list[Block] = []
    for block, own, cut, last in zip(found.blocks, ticks, pauses, lasts, strict=True):
        parts.extend(found.split_at(block, own, cut[last >= least]))
    if len(parts) > len(found.blocks):
        logger.info("rotation_on stays on between steps; %d steps found", len(parts))
    found.blocks = parts
    found.expected = _ticks_per_step(found)
    merge_parts(found)


def _ticks_per_step(found: FoundBlocks) -> int | None:
    """Tell how many ticks each step should have."""
    if found.rules.degrees_per_step is not None:
        return found.rules.ticks_of(found.rules.degrees_per_step)
    counts = [len(found.inside(block)) for block in found.blocks if not block.cut]
    return int(np.bincount(counts).argmax()) if counts else None
