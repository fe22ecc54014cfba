"""Frames derotated with other angles than their own: turned the other way, or of other frames.

Errors of that kind leave pictures that have nothing in common with the sample at rest, in which no
small displacement can be measured; and they may begin anywhere in a session. So some frames of each
rotation are derotated in several ways, and compared with the sample at rest one by one.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration
from derotation.calibration.geometry import Geometry, best_correlated
from derotation.images.sample import Lines, Sample
from derotation.signals.angles import Angles

__all__ = ["Trials", "try_angles"]

# Pictures are compared at about this size (px).
SIZE = 128
# The angles of frames so many later or earlier are tried; the far ones only if none of the near
# ones fits frames that do not fit with their own.
NEAR_SHIFTS = (-2, -1, 1, 2)
FAR_SHIFTS = (-4, -3, 3, 4)
# Frames fit badly if they correlate less than this part of what the best ones do.
BAD_FIT = 0.75
# Other angles fit better if frames are more like the sample at rest by so much, and by so many
# standard errors (as for the sign of the angles, see derotation.calibration.sign).
MIN_DIFFERENCE = 0.05
MIN_ERRORS = 4.0
# Many frames need not gain as much each.
MANY, MIN_DIFFERENCE_OF_MANY, ERRORS_OF_MANY = 10, 0.02, 5.0
# Each change of the shift has to pay for itself by so much correlation, and by so many standard
# deviations of what a frame correlates by chance.
CHANGE, CHANGE_ERRORS = 0.1, 4.0
MIN_ROTATION_FRAMES = 2
# Frames whose lines all have nearly the same angle with either hypothesis (degrees) tell nothing.
TELLING = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trials:
    """How well frames fit with their own and with other angles."""

    numbers: NDArray[np.int64]
    """Numbers of the frames, ascending, shape (n,)."""
    own: NDArray[np.float64]
    """Correlation of derotated frames with the sample at rest, with their own angles: (n,)."""
    opposite: NDArray[np.float64]
    """With the opposite angles."""
    shifted: dict[int, NDArray[np.float64]]
    """With the angles of the frame so many later."""
    sign: NDArray[np.int64]
    """Per frame: -1 where its rotation fits clearly better turned the other way, else 1."""
    shift: NDArray[np.int64]
    """Per frame: the angles of the frame so many later fit clearly better, 0 if none do."""
    telling: NDArray[np.bool_]
    """Frames that tell a shift: the next frame's angles are others, (n,)."""

    @property
    def correlation(self) -> float:
        """Mean correlation with the frames' own angles."""
        return float(self.own.mean())

    @property
    def flipped(self) -> float:
        """Mean correlation with the opposite angles."""
        return float(self.opposite.mean())

    @property
    def flip_fits(self) -> bool:
        """Whether the opposite angles fit clearly better throughout."""
        return bool(np.mean(self.sign == -1) > 0.8)


def try_angles(
    sample: Sample,
    angles: Angles,
    calibration: Calibration,
    *,
    rotation: NDArray[np.int64] | None = None,
    threads: int = 1,
) -> Trials:
    """Derotate frames with other angles than their own, and see which fit best.

    The correlation is taken wherever it is highest, so that the center hardly matters.

    Parameters
    ----------
    sample : Sample
        See :func:`derotation.quality.residual_calibration.sample_from`.
    angles : Angles
        Angles of all lines, as the movie was derotated.
    calibration : Calibration
        The one that the movie was derotated with.
    rotation : ndarray of shape (n,), optional
        The rotation of each of the sample's frames; by default all are of one.
    threads : int
        Threads that share the frames.

    Returns
    -------
    Trials
    """
    factor = max(min(sample.shape) // SIZE, 1)
    few = sample.binned(factor)
    given = Geometry.of(calibration)
    # A tilt found with wrong angles is wrong itself.
    plain = Geometry.about(given.center)
    geometries = [given, plain] if np.any(given.tilt) or len(given.wobble) else [given]

    def correlation(tried: Sample) -> NDArray[np.float64]:
        found = best_correlated(tried, geometries, threads)[1]
        return np.asarray(found[np.argmax(found.mean(axis=1))])

    def with_angles_of(later: int) -> NDArray[np.float64]:
        lines = _angles_of(sample, angles, later)
        # The pictures stay the same.
        return correlation(dataclasses.replace(few, lines=lines.binned(factor)))

    own = best_correlated(few, [given], threads)[1][0]
    opposite = correlation(few.turned_over())
    shifted = {k: with_angles_of(k) for k in NEAR_SHIFTS}
    groups = np.zeros(len(own), np.int64) if rotation is None else rotation
    telling = _turn_between(sample, angles) > TELLING
    sign = _signs(own, opposite, shifted, groups)
    shift = _shift_path(own, shifted, telling & (sign == 1))
    best = np.where(shift == 0, own, 0.0) + sum(shifted[k] * (shift == k) for k in shifted)
    fits = np.where(sign == 1, best, opposite)
    doubtful = telling & (fits < BAD_FIT * np.quantile(fits, 0.9))
    at_the_end = np.abs(shift) == max(NEAR_SHIFTS)
    if np.count_nonzero(doubtful | at_the_end) >= MIN_ROTATION_FRAMES:
        shifted |= {k: with_angles_of(k) for k in FAR_SHIFTS}
        shift = _shift_path(own, shifted, telling & (sign == 1))
    return Trials(
        numbers=sample.numbers,
        own=own,
        opposite=opposite,
        shifted=dict(sorted(shifted.items())),
        sign=sign,
        shift=shift,
        telling=telling,
    )


def _turn_between(sample: Sample, angles: Angles) -> NDArray[np.float64]:
    """Tell by how many degrees a frame's lines differ from those of the frames next to it."""
    others = [_angles_of(sample, angles, k).line_angles for k in (-1, 1)]
    own = sample.lines.line_angles
    difference = [np.abs((other - own + 180.0) % 360.0 - 180.0).max(axis=1) for other in others]
    return np.asarray(np.maximum(*difference))


def _signs(
    own: NDArray[np.float64],
    opposite: NDArray[np.float64],
    shifted: dict[int, NDArray[np.float64]],
    rotation: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Tell which rotations fit clearly better turned the other way, and best so."""
    sign = np.ones(len(own), np.int64)
    others = np.max(list(shifted.values()), axis=0)
    noise = _spread(own - opposite)
    for name in np.unique(rotation):
        which = rotation == name
        if np.count_nonzero(which) < MIN_ROTATION_FRAMES:
            continue
        gain = opposite[which] - own[which]
        error = max(float(np.std(gain, ddof=1)), 0.3 * noise) / np.sqrt(len(gain))
        clear = gain.mean() > max(2 * MIN_DIFFERENCE, 3.0 * error)
        if clear and opposite[which].mean() > others[which].mean():
            sign[which] = -1
    return sign


def _shift_path(
    own: NDArray[np.float64], shifted: dict[int, NDArray[np.float64]], telling: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Find the shift of the angles along the session that fits best, with few changes.

    By dynamic programming (Viterbi 1967): a path through the shifts collects the correlation of
    each frame and pays for each change, so that it changes where that explains frames after it.
    """
    path = np.zeros(len(own), np.int64)
    use = np.flatnonzero(telling)
    if len(use) < MIN_ROTATION_FRAMES:
        return path
    names = np.array(sorted({0, *shifted}))
    gain = np.stack([own if k == 0 else shifted[int(k)] for k in names])[:, use]
    wrong = np.sort(gain, axis=0)[:-1]
    noise = _spread(wrong - wrong.mean(axis=0))
    price = CHANGE + CHANGE_ERRORS * noise
    at_zero = int(np.flatnonzero(names == 0)[0])
    score = gain[:, 0] - price * (names != 0)
    came = np.zeros(gain.shape, np.int64)
    for frame in range(1, len(use)):
        best = int(np.argmax(score))
        stay = score >= score[best] - price
        came[:, frame] = np.where(stay, np.arange(len(names)), best)
        score = np.where(stay, score, score[best] - price) + gain[:, frame]
    state = int(np.argmax(score))
    states = np.empty(len(use), np.int64)
    for frame in range(len(use) - 1, -1, -1):
        states[frame] = state
        state = int(came[state, frame])
    # A stretch has to fit better frame by frame, too.
    edges = np.flatnonzero(np.diff(states)) + 1
    for stretch in np.split(np.arange(len(use)), edges):
        state = int(states[stretch[0]])
        found, given = gain[state, stretch], gain[at_zero, stretch]
        if state == at_zero or not _clearly_better(found, given, least=len(use)):
            continue
        # What is no higher than chance may reach fits nothing.
        if found.mean() < MIN_ERRORS * noise:
            continue
        path[use[stretch]] = names[state]
    # Frames that tell nothing go with those before them.
    for place, frame in enumerate(use[:-1]):
        path[frame : use[place + 1]] = path[frame]
    path[use[-1] :] = path[use[-1]]
    return path


def _clearly_better(
    one: NDArray[np.float64], other: NDArray[np.float64], *, least: int = 0
) -> bool:
    """Tell whether frames correlate more, and by more than chance."""
    gain = one - other
    if len(gain) < MIN_ROTATION_FRAMES:
        return False
    error = float(np.std(gain, ddof=1)) / np.sqrt(len(gain))
    # Few frames of many are chosen because they fit better; they have to do so by more.
    needed = MIN_DIFFERENCE if len(gain) < MANY else MIN_DIFFERENCE_OF_MANY
    if len(gain) < MANY and 3 * len(gain) < least:
        needed *= 3.0
    errors = ERRORS_OF_MANY if len(gain) >= MANY and least else MIN_ERRORS
    errors = errors if len(gain) >= 5 else 2.0
    return bool(gain.mean() > needed and gain.mean() > errors * error)


def _spread(values: NDArray[np.float64]) -> float:
    """Give the standard deviation as the usual deviation from the median tells it."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _angles_of(sample: Sample, angles: Angles, later: int) -> Lines:
    """Give lines the angles of frames so many later; at the session's ends those of the ends."""
    others = np.clip(sample.numbers + later, 0, len(angles.line_angles) - 1)
    told = np.isfinite(angles.line_angles[others]).all(axis=1)
    others = np.where(told, others, sample.numbers)
    return dataclasses.replace(sample.lines, line_angles=angles.line_angles[others])
