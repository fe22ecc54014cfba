"""Runs of clock frames, between which the clocks paused, and which of them the movie shows.

Clocks also run in focus mode, before and after a recording and between its files.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.signals.pulses import Pulses, begun_before, usual_interval
from derotation.signals.repairs import Report, counted

__all__ = ["MAX_EXTRA_FRAMES", "Block", "find_blocks", "only_chosen_frames", "only_movie_blocks"]

NDFloat = NDArray[np.float64]

# A clock may count so many frames more than the movie has.
MAX_EXTRA_FRAMES = 6
# Between frames lies a pause if the interval is this many times those beside it.
PAUSE = 1.5
# Another rhythm begins if an interval differs from the one before it by this part.
OTHER_RHYTHM = 0.1
# Sets of blocks are compared one by one, which doubles with each block.
MAX_BLOCKS_COMBINED = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A run of frames without a pause."""

    first: int
    """Index of its first pulse of the frame clock."""
    stop: int
    """Index after its last one."""
    n_frames: int
    """Its frames, those without a pulse of their own included."""


def find_blocks(frame: ArrayLike, line: ArrayLike, n_lines: int) -> list[Block]:
    """Cut the pulses of the frame clock into blocks.

    Parameters
    ----------
    frame : array_like of shape (n,)
        Starts of the pulses of the frame clock, samples.
    line : array_like of shape (m,)
        Those of the line clock, which goes on where single pulses of the frame clock are missing.
    n_lines : int
        Lines of a frame.

    Returns
    -------
    list of Block
        In the order of the recording.

    Notes
    -----
    A block ends where the interval to the next frame is much longer than those beside it, without
    lines in between, or where another rhythm begins and lasts.
    """
    frame, line = np.asarray(frame, np.float64), np.asarray(line)
    if len(frame) < 3:
        return [Block(first=0, stop=len(frame), n_frames=len(frame))]
    interval = np.diff(frame)
    beside = np.minimum(
        np.concatenate([[np.inf], interval[:-1]]), np.concatenate([interval[1:], [np.inf]])
    )
    cut = interval > PAUSE * beside
    for k in np.flatnonzero(cut).tolist():
        busy = begun_before(line, frame[k + 1] - 1) - begun_before(line, frame[k] + beside[k])
        cut[k] = busy < 0.5 * n_lines * (interval[k] / beside[k] - 1) or not len(line)
        if not len(line):  # a pulse may be missing, two in a row are a pause
            cut[k] = abs(interval[k] / beside[k] - 2) > OTHER_RHYTHM
    changed = np.abs(interval[1:] / interval[:-1] - 1) > OTHER_RHYTHM
    steady = np.abs(interval[1:] / interval[:-1] - 1) < OTHER_RHYTHM / 2
    for k in np.flatnonzero(changed).tolist():  # from interval k to interval k + 1
        lasts = k + 1 < len(steady) and steady[k + 1]
        if lasts and k >= 1 and steady[k - 1] and not cut[k] and not cut[k + 1]:
            cut[k] = True
    bounds = [0, *(np.flatnonzero(cut) + 1).tolist(), len(frame)]
    return [
        Block(first=a, stop=b, n_frames=_frames_within(interval[a : b - 1]))
        for a, b in itertools.pairwise(bounds)
    ]


def _frames_within(interval: NDFloat) -> int:
    """Count the frames of a block by the intervals between its pulses, some of which may miss."""
    if not len(interval):
        return 1
    steps = np.rint(interval / np.median(interval)).astype(int)
    return 1 + int(np.maximum(steps, 1).sum())


def only_movie_blocks(
    line: Pulses,
    frame: Pulses,
    *,
    n_frames: int,
    n_lines: int,
    ticks: ArrayLike,
    report: Report,
) -> tuple[Pulses, Pulses]:
    """Leave out the blocks of frames that the movie does not have, if its number of frames says so.

    Parameters
    ----------
    line, frame : Pulses
        The clocks.
    n_frames, n_lines : int
        Frames of the movie (as the clock counts them) and lines of a frame.
    ticks : ndarray of shape (n,)
        When the motor ticked, samples: of blocks that fit alike, the one with most ticks is taken.
    report : Report
        Takes what was left out.

    Returns
    -------
    line, frame : Pulses
        Unchanged if the clock counts as many frames as the movie has, if there is one block only,
        or if none of them fits.
    """
    if len(frame) == n_frames or len(frame) < 3:
        return line, frame
    blocks = find_blocks(frame.start, line.start, n_lines)
    if len(blocks) < 2:
        return line, frame
    fitting = _fitting(blocks, n_frames)
    if not fitting:
        return line, frame
    at = np.asarray(ticks)
    n_ticks = [sum(_ticks_within(blocks[k], frame, at) for k in which) for which in fitting]
    best = int(np.argmax(n_ticks))
    which = fitting[best]
    if len(which) == len(blocks):
        return line, frame
    kept = [blocks[k] for k in which]
    _say(blocks, which, frame, n_frames, report)
    if len(fitting) > 1:
        report.anomaly(
            "blocks_alike",
            "frame_clock",
            f"{len(fitting)} runs of clock frames are as long as the movie. The one during which "
            f"the motor ticked most was taken, which begins at "
            f"{frame.start[kept[0].first] / report.sampling_rate:.3f} s; say signals.frames if it "
            "is another.",
            [frame.start[blocks[other[0]].first] for other in fitting],
        )
    return _within(line, frame, kept), _chosen(frame, kept)


def only_chosen_frames(
    line: Pulses, frame: Pulses, kept: slice, choice: str, report: Report
) -> tuple[Pulses, Pulses]:
    """Keep the frames that the user chose, and their lines.

    Parameters
    ----------
    line, frame : Pulses
        The clocks.
    kept : slice
        Of the pulses of the frame clock.
    choice : str
        What the user said.
    report : Report
        Takes what was left out.

    Returns
    -------
    line, frame : Pulses
    """
    first, stop, _ = kept.indices(len(frame))
    n_left = len(frame) - (stop - first)
    report.repair(
        "clock_frames_chosen",
        "frame_clock",
        f"signals.frames is {choice}: {counted(n_left, 'frame')} of the clocks left out.",
        np.concatenate([frame.start[:first], frame.start[stop:]]),
    )
    blocks = [Block(first=first, stop=stop, n_frames=stop - first)]
    return _within(line, frame, blocks), _chosen(frame, blocks)


def _fitting(blocks: Sequence[Block], n_frames: int) -> list[tuple[int, ...]]:
    """List the sets of blocks that may be the movie: the best kind of fit only."""
    total = np.concatenate([[0], np.cumsum([block.n_frames for block in blocks])])
    for extra in range(MAX_EXTRA_FRAMES + 1):
        # Few runs can fit, however many blocks there are: the sums rise.
        stop = np.searchsorted(total, total[:-1] + n_frames + extra)
        runs = [
            tuple(range(first, int(last)))
            for first, last in enumerate(stop)
            if last < len(total) and total[last] - total[first] == n_frames + extra
        ]
        if runs:
            return runs
        if extra == 0 and (found := _combined(blocks, n_frames)):
            return found
    return []


def _combined(blocks: Sequence[Block], n_frames: int) -> list[tuple[int, ...]]:
    """Give the one set of blocks that is as long as the movie, if there is exactly one."""
    if len(blocks) > MAX_BLOCKS_COMBINED:
        return []
    lengths = np.array([block.n_frames for block in blocks])
    member = (np.arange(2 ** len(blocks))[:, None] >> np.arange(len(blocks))) & 1
    fits = np.flatnonzero(member @ lengths == n_frames)
    return [tuple(np.flatnonzero(member[fits[0]]).tolist())] if len(fits) == 1 else []


def _ticks_within(block: Block, frame: Pulses, ticks: NDArray[Any]) -> int:
    first, last = frame.start[block.first], frame.stop[block.stop - 1]
    return int(np.searchsorted(ticks, last) - np.searchsorted(ticks, first))


def _say(
    blocks: Sequence[Block], which: Sequence[int], frame: Pulses, n_frames: int, report: Report
) -> None:
    lengths = ", ".join(
        f"{block.n_frames}{'*' if k in which else ''}" for k, block in enumerate(blocks)
    )
    left = [block for k, block in enumerate(blocks) if k not in which]
    n_left = sum(block.n_frames for block in left)
    report.repair(
        "clock_blocks_dropped",
        "frame_clock",
        f"The clocks ran {counted(len(blocks), 'time')}, for {lengths} frames; the movie has "
        f"{n_frames}, so {counted(n_left, 'frame')} outside the marked (*) "
        f"{'run' if len(which) == 1 else 'runs'} were left out.",
        [frame.start[block.first] for block in left],
        count=n_left,
    )


def _chosen(frame: Pulses, blocks: Sequence[Block]) -> Pulses:
    """Keep the frames of some blocks."""
    keep = np.concatenate([np.arange(block.first, block.stop) for block in blocks])
    return replace(
        frame,
        start=frame.start[keep],
        stop=frame.stop[keep],
        begins_high=bool(frame.begins_high and keep[0] == 0),
        ends_high=bool(frame.ends_high and keep[-1] == len(frame) - 1),
    )


def _within(line: Pulses, frame: Pulses, blocks: Sequence[Block]) -> Pulses:
    """Keep the lines of some blocks of frames."""
    if len(line) < 2:
        return line
    slack = usual_interval(line.start) / 2
    keep = np.zeros(len(line), np.bool_)
    for block in blocks:
        starts = frame.start[block.first : block.stop]
        lasts = float(np.median(np.diff(starts))) if len(starts) > 1 else 0.0
        end = max(starts[-1] + lasts, float(frame.stop[block.stop - 1]))
        if block.stop < len(frame):
            end = min(end, float(frame.start[block.stop]))
        first, last = begun_before(line.start, (starts[0] - slack, end - slack))
        keep[first:last] = True
    if not keep.any():
        return line
    return replace(
        line,
        start=line.start[keep],
        stop=line.stop[keep],
        begins_high=bool(line.begins_high and keep[0]),
        ends_high=bool(line.ends_high and keep[-1]),
    )
