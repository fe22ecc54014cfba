"""How the picture moved along the session: by a jump, or by a drift."""

import numpy as np
from numpy.typing import NDArray

from derotation.quality.along import Along
from derotation.quality.angle_difference import AGREE_DEG
from derotation.quality.figures import Measured
from derotation.quality.jumps import find_jump
from derotation.quality.segment_values import NO_REST, between_rests, time_of
from derotation.signals.angles import Angles
from derotation.streaming.statistics import Statistics

__all__ = ["sample_moved"]

# A displacement of this size (px) is none.
STILL = 0.1
# A picture that moved farther than this (px) is not mended by a shift: where it moved against the
# microscope, the center did, too.
MOST_MENDED_PX = 8.0
# One that moved farther than this leaves doubts about the calibration.
MOST_UNTRUSTED_PX = 2.0
# A jump explains shifts if it leaves this part of what a steady drift leaves.
JUMP = 0.6


def sample_moved(
    along: Along,
    statistics: Statistics,
    angles: Angles,
    moved: NDArray[np.float64] | None = None,
    *,
    trusted: bool = True,
) -> Measured:
    """Tell how rests are shifted against the first one: by a jump, or by a drift.

    Without two rests, single frames that were compared with the session's first ones tell a jump.

    Parameters
    ----------
    along : Along
        Figures of the derotated movie.
    statistics : Statistics
        What was collected while it was derotated.
    angles : Angles
        Angles of all lines, as they were used.
    moved : ndarray of shape (frame, 2), optional
        By how much each frame was shifted (x, y) to correct the sample's motion, px.
    trusted : bool
        Whether the calibration is.

    Returns
    -------
    Measured
        What is left is the value, unless the picture moved so far that a shift cannot mend it, or
        so far that the calibration cannot be trusted.
    """
    rests = along.rests[np.isfinite(along.shift[along.rests]).all(axis=1)]
    if len(rests) < 2:
        return _frames_moved(statistics, angles)
    left = along.shift[rests] - along.shift[rests[0]]
    if moved is None:
        value, said = _how_moved(along, rests, left)
        return Measured(
            value=value, said=said, along=between_rests(along, rests, np.hypot(*left.T))
        )
    was = np.stack([moved[along.first[k] : along.last[k] + 1].mean(axis=0) for k in rests])
    whole = left + was - was[0]
    before, said = _how_moved(along, rests, whole)
    value = float(np.hypot(*left.T).max())
    if before < STILL:
        return Measured(
            value=value, said=said, along=between_rests(along, rests, np.hypot(*left.T))
        )
    if before > MOST_MENDED_PX:
        said = f"{said} That is too far to be corrected as motion: the center may have moved, too."
        value, left = before, whole
    elif before > MOST_UNTRUSTED_PX and not trusted:
        said = f"{said} Frames were shifted as motion, but the center may have moved, too."
        value, left = before, whole
    else:
        said = f"{said} That is corrected; {value:.2f} px are left."
    every = between_rests(along, rests, np.hypot(*left.T))
    return Measured(value=value, before=before, said=said, along=every)


def _how_moved(
    along: Along, rests: NDArray[np.int64], shift: NDArray[np.float64]
) -> tuple[float, str]:
    """Say how far rests are shifted, and in which way."""
    length = np.hypot(*shift.T)
    worst = int(np.argmax(length))
    value = float(length[worst])
    if value < STILL:
        return value, f"All rests lie within {value:.2f} px of the first one."
    time = (along.start_s[rests] + along.stop_s[rests]) / 2
    jump, left = _best_jump(shift)
    drift = shift - np.stack([np.polyval(np.polyfit(time, s, 1), time) for s in shift.T], axis=1)
    steady = float(np.sum(drift**2))
    if len(rests) < 4 or left < JUMP * steady or left < len(rests) * STILL**2:
        from_rest = int(rests[jump])
        dx, dy = shift[jump:].mean(axis=0) - shift[:jump].mean(axis=0)
        # It may have happened within a rest, whose picture then still lies where the others do.
        since = float(along.start_s[rests[jump - 1]])
        said = (
            f"The picture lies {_offset(dx, dy)} from "
            f"{along.name(from_rest)} on ({time_of(along, from_rest)}): the sample or the "
            f"objective moved between {since:.1f} and {along.start_s[from_rest]:.1f} s."
        )
    elif length[-1] < value / 3:
        away = np.flatnonzero(length > value / 2)
        first, last = int(rests[away[0]]), int(rests[away[-1]])
        said = (
            f"The picture lies {_offset(*shift[worst])} from {along.name(first)} to "
            f"{along.name(last)} ({along.start_s[first]:.1f} to {along.stop_s[last]:.1f} s) and "
            "comes back: the sample or the objective moved."
        )
    else:
        said = (
            f"The picture drifts: in {along.place(int(rests[worst]))} it lies "
            f"{_offset(*shift[worst])} than in the first rest."
        )
    return value, said


def _frames_moved(statistics: Statistics, angles: Angles) -> Measured:
    """Tell whether frames lie elsewhere from some time on."""
    told = np.isfinite(statistics.checked_shift).all(axis=1)
    told &= np.abs(statistics.angle_difference) < AGREE_DEG
    frames = statistics.checked[told]
    found = find_jump(statistics.checked_shift[told], angles.middle[frames])
    if found is None:
        return Measured(said=f"{NO_REST} Single frames show no jump.")
    seconds = (angles.frame_start[frames] - angles.frame_start[0]) / angles.sampling_rate
    value = float(np.hypot(*found.offset))
    return Measured(
        value=value,
        said=f"The picture lies {_offset(*found.offset)} from {seconds[found.first]:.1f} s (frame "
        f"{frames[found.first]}) on: the sample or the objective moved between "
        f"{seconds[found.first - 1]:.1f} and {seconds[found.first]:.1f} s.",
        explains=("calibration_doubts",),
    )


def _best_jump(shift: NDArray[np.float64]) -> tuple[int, float]:
    """Find before which value a jump explains most, and the sum of squares that it leaves."""
    left = [
        float(sum(np.sum((part - part.mean(axis=0)) ** 2) for part in (shift[:k], shift[k:])))
        for k in range(1, len(shift))
    ]
    best = int(np.argmin(left))
    return best + 1, left[best]


def _offset(dx: float, dy: float) -> str:
    """Say by how much something lies further where; what is no displacement is not said."""
    x, y = ("right" if dx >= 0 else "left"), ("down" if dy >= 0 else "up")
    if abs(dy) < STILL:
        return f"{abs(dx):.1f} px further {x}"
    if abs(dx) < STILL:
        return f"{abs(dy):.1f} px further {y}"
    return f"{abs(dx):.1f}, {abs(dy):.1f} px further {x} and {y}"
