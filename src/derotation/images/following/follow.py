"""Follow the angle from frame to frame: each one against the mean of those before it.

Frames that were derotated all show the same disc, whatever their angle. So a frame is compared with
all that were followed before it, the first ones among them, and errors do not add up: a turn that
is complete closes by itself.
"""

import itertools
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.images.comparison import Comparison
from derotation.images.following.comparing import Placed, Reference, Said, compare, placed
from derotation.images.following.path import Path, leverage
from derotation.images.following.spline import ORDER, Equations, Knots
from derotation.maps import transforms
from derotation.maps.timing import LineTiming
from derotation.numerics.binning import binned

__all__ = ["FASTEST", "MIN_LIKENESS", "SHIFT_SD", "Follower"]

NDFloat = NDArray[np.float64]
Picture = NDArray[Any]

# The fastest that is looked for, degrees per frame, and the distance of trials. A frame that turns
# faster than this has too little in common with a frame at rest.
FASTEST, TRIAL = 45.0, 3.0
# Trials around the whole circle, once the sample was lost: distance and speeds (degrees per frame);
# and what is tried about the best of them.
CIRCLE_TRIAL, CIRCLE_SPEEDS = 5.0, (0.0, 20.0, -20.0)
NEAR_TURNS, NEAR_SPEEDS = (-2.5, 0.0, 2.5), (-10.0, 0.0, 10.0)
# After so many frames in a row that were searched in vain, only each so-many-th one is searched.
SEARCHED_IN_ROW, SEARCHED_EACH = 8, 8
# Smaller side (px) of the pictures with which ways are tried out.
TRIAL_SIZE = 64
# Ways are tried out if a frame that goes straight on correlates with the mean by less than this
# part of what is usual; another way has to correlate better by so much.
WELL, CLEARLY = 0.85, 0.03
# A peak of the correlation that stands out by so many standard deviations of the rest is one.
DISTINCT = 5.0
# A frame that correlates by less than this part of what is usual is lost, and one whose angle is
# known no better than this (degrees).
MIN_LIKENESS, MAX_SD = 0.5, 2.0
# Correlations from which the usual one is told.
USUAL = 25
# Frames that are fitted together while following; and the speed may change from frame to frame by
# about so many degrees per frame.
WINDOW, SPEED_CHANGE = 6, 3.0
SMOOTHINGS = (3.0, 1.5, 1.5)
# A frame's own shift that is no matter of the center (px), and how far off the center may be, as a
# part of the picture's smaller side.
SHIFT_SD, CENTER_SD = 2.0, 0.1
# So well (px) is a frame's shift told, at best.
SHIFT_NOISE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Told:
    """What a frame said, and the coefficients with which it had been placed."""

    said: Said
    coefficients: NDFloat


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
    center : ndarray of shape (2,)
        A guess of the center (x, y), pixels.
    """

    def __init__(
        self, times: NDFloat, timing: LineTiming, shape: tuple[int, int], center: NDFloat
    ) -> None:
        n = len(times)
        self._times, self._timing, self._shape = times, timing, shape
        self._knots = Knots.over(0.0, float(times[-1, -1]), 1.0)
        # Coefficients on a straight line make a straight line, from these times on.
        self._places: NDFloat = np.arange(-1.0, self._knots.n - 1.0)
        self._coefficients = np.zeros(self._knots.n)
        self._center = np.array(center, np.float64)
        self._shifts = np.zeros((n, 2))
        self._found = np.zeros(n, np.bool_)
        self._correlation = np.full(n, np.nan)
        self._reference = Reference.none(shape)
        self._factor = max(min(shape) // TRIAL_SIZE, 1)
        self._told: dict[int, _Told] = {}
        self._usual: deque[float] = deque(maxlen=USUAL)
        self._usual_trial: deque[float] = deque(maxlen=USUAL)
        self._in_vain = 0
        # Normal equations of the center's error, against the first guess.
        self._error: NDFloat = np.zeros(2)
        self._normal: NDFloat = np.eye(2) / (CENTER_SD * min(shape)) ** 2
        self._moment: NDFloat = np.zeros(2)

    @property
    def path(self) -> Path:
        """What was found so far, about the center that is known by now."""
        turned = self._knots.evaluate(self._coefficients, self._times[:, self._shape[0] // 2])
        shifts = self._shifts - leverage(turned) @ self._error
        return Path(
            knots=self._knots,
            coefficients=self._coefficients.copy(),
            center=self._center + self._error,
            shifts=np.where(self._found[:, np.newaxis], shifts, 0.0),
            found=self._found.copy(),
            correlation=self._correlation.copy(),
            times=self._times,
            timing=self._timing,
        )

    def start(self, first: int, pictures: tuple[Picture, Picture]) -> bool:
        """Find the speed with which two successive frames are alike.

        Parameters
        ----------
        first : int
            Number of the first one.
        pictures : tuple of two ndarrays of shape (y, x)

        Returns
        -------
        bool
            Whether they are; then the first one is the reference from now on.
        """
        small = [binned(np.asarray(picture), self._factor) for picture in pictures]
        best, speed, distinct = -np.inf, 0.0, 0.0
        for trial in np.arange(-FASTEST, FASTEST + TRIAL / 2, TRIAL):
            way = trial * (self._places - self._times[first, 0])
            one, other = (self._place_small(small[k], first + k, way) for k in (0, 1))
            mean = np.where(one.seen, one.frame, np.float32(np.nan))
            _, score, stands_out = Comparison(mean).peak(other.frame, other.seen)
            if score > best:
                best, speed, distinct = score, float(trial), stands_out
        if distinct < DISTINCT:
            return False
        self._coefficients = speed * (self._places - self._times[first, 0])
        self._add(first, pictures[0])
        return True

    def go_on(self, frame: int, picture: Picture) -> bool:
        """Follow the sample to the next frame; tell whether it was found there."""
        small = binned(np.asarray(picture), self._factor)
        before = self._coefficients.copy()
        if self._in_vain:
            if self._in_vain >= SEARCHED_IN_ROW and self._in_vain % SEARCHED_EACH:
                self._in_vain += 1
                return False
            self._search_circle(frame, small)
        else:
            self._go_straight(frame, small)
        if self._looks_alike(frame, picture):
            self._add(frame, picture)
            self._learn_center(frame)
            self._in_vain = 0
            return True
        self._told.pop(frame, None)
        self._coefficients = before
        self._in_vain += 1
        return False

    def _add(self, frame: int, picture: Picture) -> None:
        self._reference = self._reference.with_frame(self._place(frame, picture, lines=False))
        self._found[frame] = True

    # -- where a frame is placed -----------------------------------------------------------------

    def _place(self, frame: int, picture: Picture, *, lines: bool = True) -> Placed:
        """Put a frame in its place, about the center known by now."""
        angles = self._knots.evaluate(self._coefficients, self._times[frame])
        x, y = self._center + self._error
        maps = transforms.line_maps(angles, (float(x), float(y)))
        middle = angles[len(angles) // 2]
        maps[..., 2] += self._shifts[frame] - leverage(middle) @ self._error
        return placed(picture, maps, self._timing, lines=lines)

    def _place_small(self, small: Picture, frame: int, way: NDFloat) -> Placed:
        """Put a small picture in its place; groups of lines share an angle."""
        n = len(small)
        times = self._times[frame, : n * self._factor].reshape(n, -1).mean(axis=1)
        x, y = (self._center + self._error + 0.5) / self._factor - 0.5
        maps = transforms.line_maps(self._knots.evaluate(way, times), (float(x), float(y)))
        return placed(small, maps, LineTiming(), lines=False)

    # -- ways that are tried out -----------------------------------------------------------------

    def _small_mean(self) -> Comparison:
        mean = np.where(self._reference.known, self._reference.mean, np.float32(np.nan))
        return Comparison(binned(mean, self._factor))

    def _go_straight(self, frame: int, small: Picture) -> None:
        """Go on at the same speed, or change it if the frame is more alike then."""
        self._fit(frame)
        straight, comparison = self._coefficients, self._small_mean()
        shift, score, _ = self._try(comparison, small, frame, straight)
        if len(self._usual_trial) < 3 or score < WELL * np.median(self._usual_trial):
            bend = self._bend(frame)
            for trial in np.arange(-FASTEST, FASTEST + TRIAL, 2 * TRIAL):
                way = np.asarray(straight + float(trial) * bend)
                other, other_score, _ = self._try(comparison, small, frame, way)
                if other_score > score + CLEARLY:
                    self._coefficients, shift, score = way, other, other_score
        self._usual_trial.append(score)
        self._take_shift(frame, shift)

    def _search_circle(self, frame: int, small: Picture) -> None:
        """Look for the angle around the whole circle, the one nearest to where it should be."""
        comparison, middle = self._small_mean(), float(self._times[frame].mean())
        expected = float(self._knots.evaluate(self._coefficients, middle))

        def best(turns: Iterable[float], speeds: Iterable[float]) -> tuple[float, float]:
            trials = list(itertools.product(turns, speeds))
            ways = [expected + turn + speed * (self._places - middle) for turn, speed in trials]
            scores = [self._try(comparison, small, frame, way)[1] for way in ways]
            return trials[int(np.argmax(scores))]

        turn, speed = best(np.arange(-180.0, 180.0, CIRCLE_TRIAL).tolist(), CIRCLE_SPEEDS)
        turn, speed = best([turn + t for t in NEAR_TURNS], [speed + s for s in NEAR_SPEEDS])
        found = expected + turn + speed * (self._places - middle)
        shift, _, _ = self._try(comparison, small, frame, found)
        held = self._own(frame).start
        self._coefficients = np.where(np.arange(len(found)) < held, self._coefficients, found)
        self._told.clear()
        self._take_shift(frame, shift)

    def _try(
        self, comparison: Comparison, small: Picture, frame: int, way: NDFloat
    ) -> tuple[NDFloat, float, float]:
        """Give the shift (px) at which a frame is most like the mean, and how much it is."""
        one = self._place_small(small, frame, way)
        shift, score, distinct = comparison.peak(one.frame, one.seen)
        return -self._factor * shift, score, distinct

    def _take_shift(self, frame: int, shift: NDFloat) -> None:
        """Begin with the shift of the frame before, unless the picture lies elsewhere."""
        before = np.flatnonzero(self._found[:frame])
        middle = float(self._times[frame, self._shape[0] // 2])
        center = leverage(self._knots.evaluate(self._coefficients, middle)) @ self._error
        expected = np.zeros(2)
        if len(before):
            turned = self._knots.evaluate(
                self._coefficients, self._times[before[-1], self._shape[0] // 2]
            )
            expected = self._shifts[before[-1]] - leverage(turned) @ self._error
        far = np.hypot(*(shift - expected)) > 2 * self._factor
        self._shifts[frame] = center + (shift if far else expected)

    def _bend(self, frame: int) -> NDFloat:
        """Change the speed from the frame's start on, by 1 degree per frame until its end."""
        after = np.clip(self._places - self._times[frame, 0], 0.0, None)
        return np.asarray(np.where(after < 1, after**2 / 2, after - 0.5))

    # -- what frames say -------------------------------------------------------------------------

    def _own(self, frame: int) -> slice:
        """Give the coefficients that act within a frame."""
        first, _ = self._knots.locate(self._times[frame, [0, -1]])
        return slice(int(first[0]), int(first[1]) + ORDER)

    def _looks_alike(self, frame: int, picture: Picture) -> bool:
        """Correct coefficients and shift by what the frame says; tell whether it was found."""
        said: Said | None = None
        for smoothing in SMOOTHINGS:
            before = self._coefficients
            center = self._center + self._error
            said = compare(
                self._place(frame, picture), self._reference, center, self._times[frame],
                self._knots, smoothing,
            )  # fmt: skip
            if said is None:
                return False
            own = slice(said.first, said.first + len(said.moment) - 2)
            self._told[frame] = _Told(said=said, coefficients=before[own].copy())
            self._fit(frame)
            step = self._coefficients[own] - before[own]
            self._shifts[frame] += said.shift(step, SHIFT_SD)
        assert said is not None
        usual = float(np.median(self._usual)) if self._usual else 0.0
        if said.correlation < MIN_LIKENESS * usual or said.together(SHIFT_SD)[1] > MAX_SD:
            return False
        if len(self._usual) < USUAL or self._in_vain:
            small = binned(np.asarray(picture), self._factor)
            _, _, distinct = self._try(self._small_mean(), small, frame, self._coefficients)
            if distinct < DISTINCT:
                return False
        self._usual.append(said.correlation)
        self._correlation[frame] = said.correlation
        self._told.pop(frame - 2 * WINDOW, None)
        return True

    def _fit(self, frame: int) -> None:
        """Fit the last frames together, and go straight on from there."""
        last = self._own(frame).stop
        recent = [f for f in sorted(self._told) if frame - WINDOW < f <= frame]
        if recent:
            begin = self._own(recent[0]).start
            equations = Equations.none(last - begin, ORDER + 1)
            for f in recent:
                told = self._told[f]
                normal, moment = told.said.without_shift(SHIFT_SD)
                moment = moment + normal @ told.coefficients
                equations.add(told.said.first - begin, normal, moment)
            for k in range(ORDER):  # where what came before the window left it
                equations.add(k, np.eye(1), self._coefficients[begin + k : begin + k + 1])
            found, _ = equations.solve(SPEED_CHANGE**-2)
            # Those at the window's begin were told better by the frames before it.
            keep = ORDER if len(recent) > WINDOW // 2 else 0
            self._coefficients = self._coefficients.copy()
            self._coefficients[begin + keep : last] = found[keep:]
        end = min(last, len(self._coefficients))
        step = self._coefficients[end - 1] - self._coefficients[end - 2]
        tail = np.arange(1, len(self._coefficients) - end + 1)
        self._coefficients[end:] = self._coefficients[end - 1] + step * tail

    def _learn_center(self, frame: int) -> None:
        """Explain the shifts of the frames so far by the center."""
        middle = self._knots.evaluate(self._coefficients, self._times[frame, self._shape[0] // 2])
        lever = leverage(middle)
        self._normal += lever.T @ lever / SHIFT_NOISE**2
        self._moment += lever.T @ self._shifts[frame] / SHIFT_NOISE**2
        self._error = np.asarray(np.linalg.solve(self._normal, self._moment))
