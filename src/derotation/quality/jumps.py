"""A jump of the sample, told from where single derotated frames lie."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Jump", "find_jump"]

NDFloat = NDArray[np.float64]

# Frames on each side of a jump.
MIN_FRAMES = 4
# A jump has to be so long (px), and to leave this part of what a wrong center alone leaves (sums of
# squares).
LEAST_PX, EXPLAINED = 0.7, 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """Where derotated frames lie from some time on."""

    first: int
    """The first frame after it, among those given."""
    offset: tuple[float, float]
    """How much further right and down they lie at angle 0, pixels."""


def find_jump(shift: NDFloat, angle: NDFloat) -> Jump | None:
    """Find a jump in the places of derotated frames.

    Parameters
    ----------
    shift : ndarray of shape (n, 2)
        How much further right and down each frame lies than the first ones, pixels.
    angle : ndarray of shape (n,)
        Its angle, degrees.

    Returns
    -------
    Jump or None
        None if nothing but the error of the center, which moves frames around a circle with their
        angle, is clearly there.

    Notes
    -----
    What moves on the stage is moved alike at all angles once derotated; what moves with the stage,
    or the objective, is moved in a direction that turns with the angle. A jump may be of both.
    """
    n = len(shift)
    if n < 2 * MIN_FRAMES:
        return None
    a = np.deg2rad(angle)
    turned = _rows(np.cos(a), np.sin(a))
    still = _rows(np.ones(n), np.zeros(n))
    target = shift.ravel()
    center = np.concatenate([turned, still], axis=1)
    without = _left(center, target)[1]
    best: tuple[float, int, NDFloat] | None = None
    for k in range(MIN_FRAMES, n - MIN_FRAMES + 1):
        after = np.repeat(np.arange(n) >= k, 2)[:, None]
        solved, left = _left(np.concatenate([center, center * after], axis=1), target)
        if best is None or left < best[0]:
            best = (left, k, solved)
    assert best is not None
    left, first, solved = best
    offset = solved[4:6] + solved[6:8]
    # Of what turns with the angle and of what does not, the larger one tells how far it went.
    size = max(np.hypot(*solved[4:6]), np.hypot(*solved[6:8]), np.hypot(*offset))
    drift = np.repeat(np.linspace(0, 1, n), 2)[:, None]
    drifting = _left(np.concatenate([center, center * drift], axis=1), target)[1]
    if size < LEAST_PX or left > EXPLAINED * without or drifting < left:
        return None
    return Jump(first=first, offset=(float(offset[0]), float(offset[1])))


def _rows(cosine: NDFloat, sine: NDFloat) -> NDFloat:
    """Make the two rows, x and y, of each frame for a vector that is turned by its angle."""
    rows = np.stack([np.stack([cosine, sine], axis=1), np.stack([-sine, cosine], axis=1)], axis=1)
    return rows.reshape(-1, 2)


def _left(design: NDFloat, target: NDFloat) -> tuple[NDFloat, float]:
    """Solve by least squares; frames that lie far off count less."""
    weight = np.ones(len(target))
    solved: NDFloat = np.zeros(design.shape[1])
    for _ in range(4):
        root = np.sqrt(weight)
        found, *_ = np.linalg.lstsq(design * root[:, None], target * root, rcond=None)
        solved = np.asarray(found, np.float64)
        off = np.abs(target - design @ solved)
        spread = 1.4826 * float(np.median(off)) + 1e-3
        weight = 1 / (1 + (off / (3 * spread)) ** 2)
    return solved, float(np.sum(np.minimum(np.abs(target - design @ solved), 5.0) ** 2))
