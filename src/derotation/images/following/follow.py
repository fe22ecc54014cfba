"""Follow the angle from frame to frame: each one against the mean of those before it."""

import dataclasses
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.images.comparison import Comparison
from derotation.images.following.comparing import Reference, Said, compare, placed
from derotation.images.following.path import Path
from derotation.images.following.spline import ORDER, Equations, Knots
from derotation.maps import transforms
from derotation.maps.timing import LineTiming
from derotation.numerics.binning import binned

__all__ = ["Follower"]

logger = logging.getLogger(__name__)

NDFloat = NDArray[np.float64]

# The fastest that is looked for, degrees per frame, and the distance of trials.
FASTEST, TRIAL = 45.0, 3.0
# Largest side (px) of the pictures with which ways are tried out.
TRIAL_SIZE = 64
# A trial other than going straight on has to correlate better by this.
CLEARLY = 0.03
# The peak of the correlation stands out by so many standard deviations if the sample was found.
DISTINCT = 5.0
# Frames that are fitted together while following, and how strongly the speed may change from frame
# to frame (degrees).
WINDOW, SPEED_CHANGE = 6, 3.0
SMOOTHINGS = (3.0, 1.5, 1.5)
# A shift of a frame that is no matter of the center (px), and how far off the center may be as a
# part of the picture's size.
SHIFT_SD, CENTER_SD = 2.0, 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Seen:
    """What a frame said."""

    said: Said
    coefficients: NDFloat
    """Its own coefficients when it was compared."""
    shift: NDFloat


class Follower:
    """Follows a sample that turns.

    Parameters
    ----------
    times : ndarray of shape (frame, line)
        When each line was recorded, in frames since the first one.
    timing : LineTiming
        When the samples within a line are recorded.
    shape : tuple of int
        Height and width of the pictures.
    center : tuple of float
        A guess of the center (x, y), pixels.
    per_frame : int
        Intervals of the spline per frame.
    """

    def __init__(self, times: NDFloat, timing: LineTiming, shape: tuple[int, int],
                 center: NDFloat, per_frame: int) -> None:
        n = len(times)
        knots = Knots.over(0.0, float(times[-1, -1]), 1 / per_frame)
        self.per_frame = per_frame
        self.band = per_frame + ORDER
        self.path = Path(
            knots=knots, coefficients=np.zeros(knots.n), center=np.array(center, np.float64),
            shifts=np.zeros((n, 2)), found=np.zeros(n, np.bool_), correlation=np.full(n, np.nan),
            times=times, timing=timing,
        )
        self.shape = shape
        self.reference = Reference.none(shape)
        self.small = Reference.none(shape)
        self.factor = max(min(shape) // TRIAL_SIZE, 1)
        self._seen: dict[int, _Seen] = {}
        self._start = np.array(center, np.float64)
        self._shift_said: dict[int, tuple[NDFloat, NDFloat]] = {}
        self.stiffness = (per_frame**2 / SPEED_CHANGE) ** 2

    # -- start ----------------------------------------------------------------------------------

    def start(self, first: NDArray[np.generic], second: NDArray[np.generic]) -> float:
        """Find at which speed the first two frames are alike; give how distinct it is."""
        speeds = np.arange(-FASTEST, FASTEST + TRIAL / 2, TRIAL)
        pictures = [binned(np.asarray(p), self.factor) for p in (first, second)]
        scores, peaks = np.zeros(len(speeds)), []
        for k, speed in enumerate(speeds):
            one, other = (
                self._small(p, speed * self.path.times[f]) for f, p in enumerate(pictures)
            )
            reference = np.where(one.seen, one.frame, np.nan).astype(np.float32)
            shift, scores[k], distinct = Comparison(reference).peak(other.frame, other.seen)
            peaks.append((shift, distinct))
        best = int(np.argmax(scores))
        n = self.path.knots.n
        # Coefficients on a straight line make a straight line.
        greville = (np.arange(n) - 1) * self.path.knots.step
        self._set(coefficients=speeds[best] * greville)
        self._add(0, first)
        return peaks[best][1]

    def _small(self, picture, angles):
        """Put a small picture in its place; of the frame's lines, groups share an angle."""
        f = self.factor
        n = len(angles) // f * f
        center = (self.path.center + 0.5) / f - 0.5
        return placed(picture, angles[:n].reshape(-1, f).mean(axis=1), center, np.zeros(2),
                      LineTiming(), lines=False)

    # -- go on ----------------------------------------------------------------------------------

    def go_on(self, frame: int, picture: NDArray[np.generic]) -> None:
        """Follow the sample to the next frame."""
        self._predict(frame)
        self._try_ways(frame, picture)
        for smoothing in SMOOTHINGS:
            if not self._look(frame, picture, smoothing):
                break
        else:
            self._add(frame, picture)
            self._move_center(frame)

    def _set(self, **changes) -> None:
        self.path = dataclasses.replace(self.path, **changes)

    def _add(self, frame: int, picture: NDArray[np.generic]) -> None:
        one = self.path.place(picture, frame)
        self.reference = self.reference.with_frame(one)
        self.path.found[frame] = True

    def _own(self, frame: int) -> slice:
        """The coefficients that act within a frame."""
        first, _ = self.path.knots.locate(self.path.times[frame, [0, -1]])
        return slice(int(first[0]), int(first[1]) + ORDER)

    def _predict(self, frame: int) -> None:
        """Go straight on from the frames before."""
        self._solve(frame)

    def _solve(self, frame: int) -> None:
        """Fit the last frames together; what comes later goes straight on."""
        coefficients = self.path.coefficients.copy()
        last = self._own(frame).stop
        recent = [f for f in sorted(self._seen) if f > frame - WINDOW and f <= frame]
        begin = self._own(recent[0]).start if recent else self._own(max(frame - 1, 0)).start
        equations = Equations.none(last - begin, self.band)
        for f in recent:
            seen = self._seen[f]
            normal, moment = seen.said.without_shift(SHIFT_SD)
            equations.add(seen.said.first - begin, normal, moment + normal @ seen.coefficients)
        if not recent:
            return
        # Where the frames before the window left it.
        held = self._own(recent[0])
        for k in range(begin, min(begin + ORDER, last)):
            equations.add(k - begin, np.eye(1) * 1.0, coefficients[k : k + 1] * 1.0)
        found, _ = equations.solve(self.stiffness)
        coefficients[begin:last] = found
        # Straight on.
        tail = len(coefficients) - last
        step = found[-1] - found[-2]
        coefficients[last:] = found[-1] + step * np.arange(1, tail + 1)
        self._set(coefficients=coefficients)

    def _bend(self, frame: int) -> NDFloat:
        """A change of the speed from the frame's start on, by 1 degree per frame at its end."""
        begin = self.path.times[frame, 0]
        greville = (np.arange(self.path.knots.n) - 1) * self.path.knots.step
        after = np.clip(greville - begin, 0, None)
        length = 1.0
        return np.where(after < length, after**2 / 2, length**2 / 2 + (after - length))

    def _try_ways(self, frame: int, picture: NDArray[np.generic]) -> None:
        """Take the change of speed with which the frame is most like those before."""
        small = binned(np.asarray(picture), self.factor)
        mean = binned(np.where(self.reference.known, self.reference.mean, np.nan).astype(np.float32), self.factor)
        comparison = Comparison(mean)
        bend, straight = self._bend(frame), self.path.coefficients
        trials = np.arange(-FASTEST, FASTEST + 1, 2 * TRIAL)
        trials = np.append(0.0, trials)
        scores, shifts = np.zeros(len(trials)), np.zeros((len(trials), 2))
        for k, trial in enumerate(trials):
            angles = self.path.knots.evaluate(straight + trial * bend, self.path.times[frame])
            one = self._small(small, angles)
            shifts[k], scores[k], _ = comparison.peak(one.frame, one.seen)
        best = int(np.argmax(scores))
        if scores[best] < scores[0] + CLEARLY:
            best = 0
        self._set(coefficients=straight + trials[best] * bend)
        self.path.shifts[frame] = self._expected_shift(frame)
        if best != 0 or np.hypot(*(self.path.shifts[frame] + self.factor * shifts[best])) > 2 * self.factor:
            self.path.shifts[frame] = -self.factor * shifts[best]

    def _expected_shift(self, frame: int) -> NDFloat:
        before = [f for f in self._seen if f < frame]
        return self.path.shifts[before[-1]].copy() if before else np.zeros(2)

    def _look(self, frame: int, picture: NDArray[np.generic], smoothing: float) -> bool:
        """Compare, and correct coefficients and shift."""
        path = self.path
        one = path.place(picture, frame)
        said = compare(one, self.reference, path.center, path.times[frame], path.knots, smoothing)
        if said is None:
            return False
        own = slice(said.first, said.first + len(said.moment) - 2)
        before = path.coefficients[own].copy()
        self._seen[frame] = _Seen(said=said, coefficients=before, shift=path.shifts[frame].copy())
        self._solve(frame)
        step = self.path.coefficients[own] - before
        self.path.shifts[frame] = path.shifts[frame] + said.shift(step, SHIFT_SD)
        self.path.correlation[frame] = said.correlation
        self._seen.pop(frame - 2 * WINDOW, None)
        return True

    def _move_center(self, frame: int) -> None:
        """Explain the shifts of all frames so far by a center."""
        path = self.path
        seen = self._seen[frame].said
        self._shift_said[frame] = (path.shifts[frame].copy() + 0.0, seen.normal[-2:, -2:])
        frames = np.flatnonzero(path.found)
        leverage = np.eye(2) - transforms.rotation_matrices(path.middle[frames])
        # Shifts about the center so far.
        shifts = path.shifts[frames]
        weight = 1 / 0.3**2
        prior = np.eye(2) / (CENTER_SD * min(self.shape)) ** 2
        normal = prior + weight * np.einsum("nij,nik->jk", leverage, leverage)
        moment = prior @ (self._start - path.center) + weight * np.einsum("nij,ni->j", leverage, shifts)
        self._set(center=path.center + np.linalg.solve(normal, moment),
                  shifts=path.shifts)
        moved = np.linalg.solve(normal, moment)
        shifts = path.shifts.copy()
        shifts[frames] -= leverage @ moved
        self._set(shifts=shifts)
