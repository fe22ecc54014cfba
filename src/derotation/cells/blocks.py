"""Rotations as stretches of a trace that are shifted, or left out, as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Blocks", "blocks_of"]

NDFloat = NDArray[np.float64]

# Without rotations the recording is cut into blocks of about this length.
BLOCK_S = 60.0
N_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """Stretches of a recording that are shifted and left out as a whole."""

    edges: NDArray[np.int64]
    """Their first frames, and the end of the last one, shape (n + 1,)."""

    def __len__(self) -> int:
        return len(self.edges) - 1

    def slices(self) -> list[slice]:
        """Give the frames of each."""
        return [slice(a, b) for a, b in zip(self.edges[:-1], self.edges[1:], strict=True)]

    def among(self, known: NDArray[np.bool_]) -> "Blocks":
        """Give the same blocks of the known samples (frame,) only; empty ones are left out."""
        before = np.concatenate([[0], np.cumsum(known)])
        return Blocks(edges=np.unique(before[self.edges]).astype(np.int64))

    def folds(self) -> list[NDArray[np.int64]]:
        """Group blocks into up to five that are left out in turn: numbers of blocks."""
        n = min(len(self), N_FOLDS)
        return [np.arange(k, len(self), n) for k in range(n)]


def blocks_of(
    n_frames: int, frame_rate: float, rotation_frames: Sequence[float] | NDFloat = ()
) -> Blocks:
    """Cut a recording into blocks.

    Parameters
    ----------
    n_frames : int
        Length of the recording.
    frame_rate : float
        Frames per second, Hz.
    rotation_frames : sequence of float
        The frame in which each rotation by a full turn begins; without at least two of them, blocks
        have about a minute.

    Returns
    -------
    Blocks
        Each from the middle of the rest before its rotation (at most 2 s) to the next one.
    """
    starts = np.asarray(rotation_frames, np.float64)
    if len(starts) >= 2:
        before = min(2 * frame_rate, 0.1 * float(np.min(np.diff(starts))))
        inner = np.rint(starts[1:] - before).astype(np.int64)
    else:
        n = max(int(n_frames / (BLOCK_S * frame_rate)), 1)
        inner = np.linspace(0, n_frames, n + 1).astype(np.int64)[1:-1]
    inner = np.unique(inner[(inner > 0) & (inner < n_frames)])
    return Blocks(edges=np.concatenate([[0], inner, [n_frames]]).astype(np.int64))
