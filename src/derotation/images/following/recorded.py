"""Whether recorded angles are those that the picture shows.

Some frames, spread over the session, are derotated as the recorded angles say, and compared with
the mean of its first ones. A frame that is still turned was recorded at another angle: after a
rotation that the encoder missed, or a stall. The whole circle is searched, if need be.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.images.comparison import Comparison
from derotation.images.following.comparing import Placed, Reference, compare, placed
from derotation.images.following.follow import DISTINCT, MIN_LIKENESS, SHIFT_SD
from derotation.images.following.spline import Knots
from derotation.io.movie import Movie
from derotation.maps import transforms
from derotation.maps.line_maps import LineMaps
from derotation.maps.resample import derotate_frames
from derotation.maps.timing import LineTiming
from derotation.numerics.binning import binned
from derotation.numerics.degrees import wrapped

__all__ = ["AngleCheck", "check_angles"]

NDFloat = NDArray[np.float64]

# Frames that are looked at, at most, and the time between them (s) if there are fewer.
MAX_FRAMES, EVERY_S = 60, 1.0
# The first frames, which the others are compared with: this part of them, so many at most.
FIRST_PART, MAX_FIRST = 0.1, 16
MIN_FIRST = 4
# Pictures are compared at about this size, and the circle is searched at that one (smaller side).
SIZE, SMALL_SIZE = 128, 64
CIRCLE_TRIAL = 4.0
SMOOTHINGS = (3.0, 1.5, 1.5)
# Turned by less than this (degrees) gradients find the way.
NEAR = 5.0
# A frame that is turned by less than this (degrees) and nearly as alike as the first ones needs no
# further look.
GOOD, GOOD_LIKENESS = 0.5, 0.9
FRAMES_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AngleCheck:
    """By how much seen and recorded angles differ along a session."""

    frames: NDArray[np.int64]
    """Numbers of the frames that were looked at, ascending, shape (n,)."""
    time_s: NDFloat
    """When they began, seconds since the first frame of the movie, shape (n,)."""
    difference: NDFloat
    """Seen minus recorded angle, degrees, -180 to 180, against the session's first frames; NaN
    where the frame shows nothing that could be compared. Shape (n,)."""
    sd: NDFloat
    """Its standard uncertainty, as far as it is noise."""
    shift: NDFloat
    """How much further right and down (x, y) the derotated frame lies than the first ones, pixels;
    NaN like the difference. Shape (n, 2)."""


def check_angles(
    movie: Movie, line_maps: LineMaps, *, max_frames: int = MAX_FRAMES, threads: int = 1
) -> AngleCheck:
    """Compare recorded angles with what the picture shows.

    Parameters
    ----------
    movie : Movie
        Up to `max_frames` frames are read.
    line_maps : LineMaps
        Where each line belongs, with recorded angles and calibration.
    max_frames : int
        The more, the shorter may be what is found.
    threads : int
        Threads that share the frames.

    Returns
    -------
    AngleCheck
        Without frames if fewer than 8 have an angle for each line.
    """
    maps = line_maps.without_movement()
    usable = np.flatnonzero(line_maps.angles.line_usable.all(axis=1))
    first = usable[: min(MAX_FIRST, int(FIRST_PART * len(usable)))]
    if len(first) < MIN_FIRST:
        first = usable[:MIN_FIRST]
    others = usable[len(first) :]
    if len(others) < MIN_FIRST:
        none = np.zeros(0)
        return AngleCheck(
            frames=np.zeros(0, np.int64), time_s=none, difference=none, sd=none,
            shift=np.zeros((0, 2)),
        )  # fmt: skip
    start_s, end_s = _began_s(line_maps, others[[0, -1]])
    wanted = int(np.ceil((end_s - start_s) / EVERY_S))
    n = min(max(wanted, 24), max_frames, len(others))
    chosen = others[np.unique(np.linspace(0, len(others) - 1, n).round().astype(int))]
    look = _Look(movie.shape[1:], maps)
    for number in first:
        look.add(int(number), movie.read(np.array([number]))[0])
    difference, sd = np.empty(len(chosen)), np.empty(len(chosen))
    shift = np.empty((len(chosen), 2))
    with ThreadPoolExecutor(threads) as pool:
        for begin in range(0, len(chosen), FRAMES_AT_ONCE):
            own = chosen[begin : begin + FRAMES_AT_ONCE]
            found = pool.map(look.at, own.tolist(), movie.read(own))
            for k, (value, uncertainty, moved) in enumerate(found, start=begin):
                difference[k], sd[k], shift[k] = value, uncertainty, moved
    return AngleCheck(
        frames=chosen.astype(np.int64),
        time_s=_began_s(line_maps, chosen) - _began_s(line_maps, np.array([0])),
        difference=difference,
        sd=sd,
        shift=shift,
    )


def _began_s(line_maps: LineMaps, frames: NDArray[np.int64]) -> NDFloat:
    """Tell the times of the first lines of some frames, s."""
    return line_maps.angles.times_of(frames)[:, 0]


class _Look:
    """Compares frames with the mean of the first ones."""

    def __init__(self, shape: tuple[int, int], line_maps: LineMaps) -> None:
        self._line_maps = line_maps
        self._factor = max(min(shape) // SIZE, 1)
        self._smaller = max(min(shape) // self._factor // SMALL_SIZE, 1)
        self._reference = Reference.none((shape[0] // self._factor, shape[1] // self._factor))
        x, y = line_maps.at(np.array([0.0, 180.0]), np.zeros(2))[:, :, 2].mean(axis=0)
        # The place that half a turn leaves where it is.
        self._center = (np.array([x, y]) + 0.5) / self._factor - 0.5
        self._usual: list[float] = []

    def add(self, number: int, frame: NDArray[Any]) -> None:
        """Add one of the first frames."""
        one = self._place(number, frame)
        if self._reference.n_frames:
            said = self._compare(one, SMOOTHINGS[-1])
            if said is not None:
                self._usual.append(said[2])
        self._reference = self._reference.with_frame(one)

    def at(self, number: int, frame: NDArray[Any]) -> tuple[float, float, NDFloat]:
        """Give by how much a frame is still turned (degrees), its uncertainty, and the shift."""
        nothing = np.nan, np.nan, np.full(2, np.nan)
        turned, shift = 0.0, np.zeros(2)
        usual = float(np.median(self._usual)) if self._usual else 0.0
        found = self._refined(number, frame, turned, shift, SMOOTHINGS[-1:])
        if found is not None and abs(found[0]) < GOOD and found[2] > GOOD_LIKENESS * usual > 0:
            return found[0], found[1], -self._factor * found[3]
        found = self._refined(number, frame, turned, shift)
        if found is None or found[2] < MIN_LIKENESS * usual or abs(found[0]) > NEAR:
            start = self._search(number, frame)
            if start is None:
                return nothing
            found = self._refined(number, frame, *start)
        if found is None or found[2] < MIN_LIKENESS * usual:
            return nothing
        return float(wrapped(found[0])), found[1], -self._factor * found[3]

    def _refined(
        self,
        number: int,
        frame: NDArray[Any],
        turned: float,
        shift: NDFloat,
        smoothings: Sequence[float] = SMOOTHINGS,
    ) -> tuple[float, float, float, NDFloat] | None:
        sd = correlation = np.nan
        for smoothing in smoothings:
            one = self._place(number, frame, turned, shift)
            said = self._compare(one, smoothing)
            if said is None:
                return None
            step, sd, correlation, moved = said
            turned, shift = turned + step, shift + moved
        return turned, sd, correlation, np.asarray(shift)

    def _compare(self, one: Placed, smoothing: float) -> tuple[float, float, float, NDFloat] | None:
        height = one.frame.shape[0]
        knots = Knots(first=0.0, step=1.0, n_intervals=1)
        times = np.linspace(0.25, 0.75, height)
        said = compare(one, self._reference, self._center, times, knots, smoothing)
        if said is None:
            return None
        step, sd = said.together(SHIFT_SD)
        steps = np.full(len(said.moment) - 2, step)
        return step, sd, said.correlation, said.shift(steps, SHIFT_SD)

    def _search(self, number: int, frame: NDArray[Any]) -> tuple[float, NDFloat] | None:
        """Look around the whole circle."""
        mean = np.where(self._reference.known, self._reference.mean, np.float32(np.nan))
        comparison = Comparison(binned(mean, self._smaller))
        turns = np.arange(-180.0, 180.0, CIRCLE_TRIAL)
        small, recorded, timing = self._small(number, frame, self._smaller)
        tried = derotate_frames(
            np.repeat(small[np.newaxis], len(turns), axis=0),
            transforms.compose(self._further(turns, self._smaller)[:, np.newaxis], recorded),
            timing=timing, interpolation="linear", dtype=np.float32, keep_seen=True,
        )  # fmt: skip
        assert tried.seen is not None
        best, found, distinct = -np.inf, (0.0, np.zeros(2)), 0.0
        for turned, picture, seen in zip(turns.tolist(), tried.frames, tried.seen, strict=True):
            shift, score, stands_out = comparison.peak(picture, seen)
            if score > best:
                best, distinct = score, stands_out
                found = turned, -self._smaller * shift
        return found if distinct >= DISTINCT else None

    def _place(
        self,
        number: int,
        frame: NDArray[Any],
        turned: float = 0.0,
        shift: NDFloat | tuple[float, float] = (0.0, 0.0),
    ) -> Placed:
        """Put a frame where its recorded angle says, and turn it further."""
        small, recorded, timing = self._small(number, frame)
        further = self._further(turned)
        further[..., 2] += np.asarray(shift)
        return placed(small, transforms.compose(further, recorded), timing)

    def _small(
        self, number: int, frame: NDArray[Any], smaller: int = 1
    ) -> tuple[NDArray[Any], NDFloat, LineTiming]:
        """Average squares of a frame's pixels; with the maps of its recorded angle, (y, 2, 3)."""
        factor = self._factor * smaller
        rows = frame.shape[0] // factor * factor
        lines = np.arange(factor // 2, rows, factor)
        full = self._line_maps(np.array([number]))[0]
        # Of groups of lines, those in the middle stand for all.
        recorded = transforms.binned(full[lines], factor)
        timing = self._line_maps.timing if factor == 1 else type(self._line_maps.timing)()
        return binned(frame, factor), recorded, timing

    def _further(self, turned: float | NDFloat, smaller: int = 1) -> NDFloat:
        """Make the maps that turn such small pictures about their center."""
        x, y = ((self._center + 0.5) / smaller - 0.5).tolist()
        return transforms.line_maps(turned, (x, y))
