"""What of a session is compared: frames at rest, and turned ones at all angles."""

import dataclasses
import logging
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from derotation.errors import CenterError
from derotation.images.offset import estimate_pmt_offset, lit_frames
from derotation.io.movie import Movie
from derotation.maps import transforms
from derotation.maps.corrections import registered
from derotation.maps.line_maps import LineAngles, LineMaps, Placement
from derotation.maps.timing import LineTiming
from derotation.numerics.binning import binned
from derotation.numerics.degrees import is_whole_turn, wrapped
from derotation.numerics.thinning import thinned
from derotation.signals.angles import Angles

__all__ = [
    "MIN_FRAMES",
    "Lines",
    "RestFrames",
    "Sample",
    "choose_frames",
    "most_turned",
    "read_sample",
    "reference_frames",
    "spread",
]

logger = logging.getLogger(__name__)

# Frames at rest that are averaged to the reference, and the parts in which they are kept to tell
# how well the reference is known.
MAX_REST_FRAMES = 100
REST_PARTS = 8
# A frame tells about the center only by |I - R(a)| = 2 |sin(a / 2)|; this is 11.5 degrees.
MIN_LEVERAGE = 0.2
ANGLE_BINS = 72
MIN_FRAMES = 8
# Where nothing rests at angle 0, this part of the frames, those nearest to it, make the reference.
NEAR_ZERO, MIN_NEAR_ZERO = 0.06, 3
# Frames that are kept in memory, as recorded.
MAX_BYTES = 300e6
FRAMES_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lines:
    """When and at which angle the lines of some frames were recorded."""

    line_angles: NDArray[np.float64]
    """Degrees, shape (n, y)."""
    line_speeds: NDArray[np.float64]
    """Change of the angle, degrees per second, shape (n, y)."""
    line_times_s: NDArray[np.float64]
    """The moment to which each angle belongs, seconds, shape (n, y)."""
    sample_timing: LineTiming
    """When the samples within a line were recorded."""
    lag_ms: float = 0.0
    """The lag by which the angles have been shifted since."""

    @classmethod
    def of(cls, line_maps: LineMaps, numbers: NDArray[np.int64]) -> Self:
        """Take the lines of some frames of a movie, with the lag that is known."""
        angles = line_maps.angles
        assert isinstance(angles, Angles)
        return cls(
            line_angles=np.asarray(angles.line_angles[numbers]),
            line_speeds=np.nan_to_num(angles.line_speeds(numbers)),
            line_times_s=np.asarray(angles.line_times_s[numbers]),
            sample_timing=line_maps.timing,
        )

    @property
    def line_usable(self) -> NDArray[np.bool_]:
        """Which lines have an angle, shape (n, y)."""
        return np.isfinite(self.line_angles)

    @property
    def at_rest(self) -> NDArray[np.bool_]:
        """Which frames show the sample at rest at angle 0, shape (n,)."""
        return np.asarray(is_whole_turn(self.line_angles).all(axis=1))

    @property
    def middle(self) -> NDArray[np.float64]:
        """Angle of each frame's middle line, degrees, shape (n,)."""
        return self.line_angles[:, self.line_angles.shape[1] // 2]

    def shifted(self, lag_ms: float) -> Self:
        """Give each line the angle that it has a lag later, if its speed does not change."""
        if lag_ms == 0:
            return self
        later = self.line_angles + self.line_speeds * (lag_ms / 1000)
        return dataclasses.replace(self, line_angles=later, lag_ms=self.lag_ms + lag_ms)

    def timing(self) -> LineTiming:
        """Tell when the samples within a line were recorded."""
        return self.sample_timing

    def turned_over(self) -> Self:
        """Give all lines the opposite angle."""
        return dataclasses.replace(
            self, line_angles=-self.line_angles, line_speeds=-self.line_speeds
        )

    def select(self, which: Any) -> Self:
        """Keep some of the frames."""
        return dataclasses.replace(
            self,
            line_angles=self.line_angles[which],
            line_speeds=self.line_speeds[which],
            line_times_s=self.line_times_s[which],
        )

    def joined(self, other: Self) -> Self:
        """Put the lines of other frames behind these."""
        return dataclasses.replace(
            self,
            line_angles=np.concatenate([self.line_angles, other.line_angles]),
            line_speeds=np.concatenate([self.line_speeds, other.line_speeds]),
            line_times_s=np.concatenate([self.line_times_s, other.line_times_s]),
        )

    def columns(self, lines: NDArray[np.intp]) -> Self:
        """Keep some lines of each frame."""
        return dataclasses.replace(
            self,
            line_angles=self.line_angles[:, lines],
            line_speeds=self.line_speeds[:, lines],
            line_times_s=self.line_times_s[:, lines],
        )

    def without_timing(self) -> Self:
        """Take all samples of a line for recorded at one moment."""
        return dataclasses.replace(self, sample_timing=LineTiming())

    def binned(self, factor: int) -> Self:
        """Take the middles of so many lines each; the timing within a line is lost by that."""
        n_lines = self.line_angles.shape[1] // factor * factor
        first, last = slice(0, n_lines, factor), slice(factor - 1, n_lines, factor)
        # Halfway, not the mean, which would fail where the angle is reset by whole turns.
        turn = wrapped(self.line_angles[:, last] - self.line_angles[:, first])
        speeds = self.line_speeds[:, :n_lines].reshape(len(self.line_speeds), -1, factor)
        times = self.line_times_s
        return dataclasses.replace(
            self,
            line_angles=self.line_angles[:, first] + turn / 2,
            line_speeds=speeds.mean(axis=2),
            line_times_s=(times[:, first] + times[:, last]) / 2,
            sample_timing=LineTiming(),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RestFrames:
    """The frames at rest as they were recorded: some correction moves them, too."""

    frames: NDArray[Any]
    """Shape (m, y, x)."""
    lines: Lines
    """Their lines."""
    part: NDArray[np.int64]
    """In which part of the reference each frame is, shape (m,)."""

    def means(self, placement: Placement) -> NDArray[np.float64]:
        """Average the derotated frames of each part, shape (part, y, x).

        Pixels that no frame of a part saw hold the mean of what was recorded there.
        """
        maps = LineMaps.of(self.lines, placement)
        n_parts, shape = int(self.part.max()) + 1, self.frames.shape[1:]
        total, count = np.zeros((n_parts, *shape)), np.zeros((n_parts, *shape), np.int64)
        for first in range(0, len(self.frames), FRAMES_AT_ONCE):
            own = slice(first, first + FRAMES_AT_ONCE)
            found = maps.derotate(
                self.frames[own], own, interpolation="linear", dtype=np.float32, keep_seen=True
            )
            assert found.seen is not None
            for frame, seen, part in zip(found.frames, found.seen, self.part[own], strict=True):
                total[part][seen] += frame[seen]
                count[part] += seen
        raw = np.mean(self.frames, axis=0, dtype=np.float64)
        return np.where(count > 0, total / np.maximum(count, 1), raw)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """What of a session is compared."""

    reference: NDArray[np.float32]
    """Mean image of the sample at rest, shape (y, x)."""
    parts: NDArray[np.float32]
    """Mean images of successive parts of the frames at rest minus the reference, (part, y, x)."""
    numbers: NDArray[np.int64]
    """Numbers of the turned frames in the movie, ascending."""
    frames: NDArray[Any]
    """The turned frames as recorded, shape (n, y, x)."""
    lines: Lines
    """Their lines."""
    time_s: NDArray[np.float64]
    """When each frame began, seconds, shape (n,)."""
    n_rest: int
    """Frames at rest that make up the reference."""
    rest: RestFrames | None = None
    """These frames, if they are not where they belong, because they turned or a correction moves
    them: the reference is then made of them anew."""
    binning: int = 1
    """Side of the squares of pixels that were averaged."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        height, width = self.reference.shape
        return height, width

    @property
    def middle(self) -> NDArray[np.float64]:
        """Angle of each frame's middle line, degrees."""
        return self.lines.middle

    @property
    def speeds(self) -> NDArray[np.float64]:
        """Change of the angle in each frame's middle, degrees per second."""
        return self.lines.line_speeds[:, self.lines.line_speeds.shape[1] // 2]

    def line_maps(self, placement: Placement) -> LineMaps:
        """Put the lines of the turned frames in their place; pixels are those of the full size."""
        return LineMaps.of(self.lines, _Binned.of(placement, self.binning))

    def reference_parts(self, placement: Placement) -> tuple[Any, Any] | None:
        """Make the reference and its parts of the derotated frames at rest.

        Returns
        -------
        reference, parts, or None
            As :attr:`reference` and :attr:`parts`; None if these hold, because nothing moves
            frames at rest.
        """
        if self.rest is None:
            return None
        means = self.rest.means(_Binned.of(placement, self.binning))
        return _reference(means, np.bincount(self.rest.part))

    def with_reference_of_all(self) -> "Sample":
        """Make the reference of all frames, once the geometry is known well."""
        if self.rest is None:
            return self
        frames = np.concatenate([self.rest.frames, self.frames])
        parts = np.arange(len(frames)) % min(REST_PARTS, len(frames))
        rest = RestFrames(
            frames=frames, lines=self.rest.lines.joined(self.lines), part=parts.astype(np.int64)
        )
        return dataclasses.replace(self, rest=rest)

    def turned_over(self) -> "Sample":
        """Give all frames the opposite angles."""
        rest = self.rest and dataclasses.replace(self.rest, lines=self.rest.lines.turned_over())
        return dataclasses.replace(self, lines=self.lines.turned_over(), rest=rest)

    def select(self, which: NDArray[Any]) -> "Sample":
        """Keep some of the turned frames."""
        return dataclasses.replace(
            self,
            numbers=self.numbers[which],
            frames=self.frames[which],
            lines=self.lines.select(which),
            time_s=self.time_s[which],
        )

    def binned(self, factor: int) -> "Sample":
        """Make pictures smaller by averaging squares of so many pixels."""
        if factor == 1:
            return self
        rest = self.rest and dataclasses.replace(
            self.rest,
            frames=binned(self.rest.frames, factor),
            lines=self.rest.lines.binned(factor),
        )
        return dataclasses.replace(
            self,
            reference=binned(self.reference, factor),
            parts=binned(self.parts, factor),
            frames=binned(self.frames, factor),
            lines=self.lines.binned(factor),
            rest=rest,
            binning=self.binning * factor,
        )


@dataclass(frozen=True, slots=True)
class _Binned:
    """A placement in pixels that are averages of squares."""

    placement: Placement
    factor: int

    @classmethod
    def of(cls, placement: Placement, factor: int) -> Placement:
        return placement if factor == 1 else cls(placement, factor)

    @property
    def lag_ms(self) -> float:
        return self.placement.lag_ms

    def maps(
        self, angles: NDArray[np.float64], times_s: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return transforms.binned(self.placement.maps(angles, times_s), self.factor)


def read_sample(movie: Movie, line_maps: LineMaps, n_frames: int) -> Sample:
    """Read the frames at rest and up to `n_frames` turned ones, evenly spread over the circle.

    Parameters
    ----------
    movie : Movie
    line_maps : LineMaps
        What is known about its lines so far.
    n_frames : int
        Turned frames to read.

    Returns
    -------
    Sample
        Its angles have the lag that is known; a lag that is fitted to it comes on top.

    Raises
    ------
    CenterError
        If there are no frames at rest or too few turned ones, or if they are dark.
    """
    angles = line_maps.angles
    assert isinstance(angles, Angles)
    rest, turned = choose_frames(angles, n_frames, movie)
    rest, turned = _lit_ones(movie, rest, turned)
    parts = np.array_split(rest, min(REST_PARTS, len(rest)))
    means = np.stack([_mean_image(movie, part) for part in parts])
    sizes = np.array([len(part) for part in parts])
    reference, differences = _reference(means, sizes)
    return Sample(
        reference=reference,
        parts=differences,
        numbers=turned,
        frames=movie.read(turned),
        lines=Lines.of(line_maps, turned),
        time_s=angles.frame_start[turned] / angles.sampling_rate,
        n_rest=len(rest),
        rest=_rest_frames(movie, line_maps, rest, sizes),
    )


def _reference(
    means: NDArray[np.float64], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Average parts of so many frames; also by how much each differs from that."""
    reference = np.tensordot(sizes / sizes.sum(), means, 1).astype(np.float32)
    return reference, (means - reference).astype(np.float32)


def _rest_frames(
    movie: Movie, line_maps: LineMaps, rest: NDArray[np.int64], sizes: NDArray[np.int64]
) -> RestFrames | None:
    """Keep the frames at rest, if they turned, or if any correction may move them."""
    still = line_maps.angles.at_rest[rest].all()
    if still and not any(correction.moves_rest for correction in registered()):
        return None
    return RestFrames(
        frames=movie.read(rest),
        lines=Lines.of(line_maps, rest),
        part=np.repeat(np.arange(len(sizes)), sizes),
    )


def reference_frames(angles: LineAngles) -> NDArray[np.int64]:
    """Choose the frames that show the sample at rest at angle 0, or else nearest to that.

    Parameters
    ----------
    angles : Angles
        Angles of all lines.

    Returns
    -------
    ndarray of shape (n,)
        Numbers of frames, ascending. If none was at rest at angle 0: the 6 % of the usable frames
        that lie nearest to it, at least 3, whether they turn or not; none if no frame is usable.
    """
    rest = np.flatnonzero(angles.at_rest)
    if len(rest):
        return rest.astype(np.int64)
    usable = np.flatnonzero(angles.line_usable.all(axis=1))
    away = np.abs(wrapped(angles.line_angles[usable])).max(axis=1, initial=0.0)
    n = max(round(NEAR_ZERO * len(usable)), MIN_NEAR_ZERO)
    nearest = usable[np.argsort(away, kind="stable")[:n]]
    return np.sort(nearest).astype(np.int64)


def choose_frames(
    angles: Angles, n_frames: int, movie: Movie
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose frames at rest, and turned ones that spread evenly over the circle."""
    usable, middle = angles.line_usable.all(axis=1), angles.middle
    leverage = np.abs(2 * np.sin(np.deg2rad(np.where(usable, middle, 0.0)) / 2))
    turned = usable & (leverage >= MIN_LEVERAGE)
    if turned.sum() < MIN_FRAMES:
        msg = (
            f"only {int(turned.sum())} frames were recorded more than 11 degrees away from angle "
            f"0, but {MIN_FRAMES} are needed to tell how the sample turns; give the center as "
            "center.fixed, or a calibration in the sample sheet"
        )
        raise CenterError(msg)
    rest = reference_frames(angles)
    affordable = int(MAX_BYTES // (movie.shape[1] * movie.shape[2] * movie.dtype.itemsize))
    if affordable < n_frames:
        logger.info("%d frames are compared instead of %d, to save memory", affordable, n_frames)
    candidates = np.flatnonzero(turned)
    wanted = max(min(n_frames, affordable), MIN_FRAMES)
    return thinned(rest, MAX_REST_FRAMES), spread(candidates, middle[candidates], wanted)


def _lit_ones(
    movie: Movie, rest: NDArray[np.int64], turned: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Leave out frames that were recorded without light: the laser off, the shutter closed."""
    numbers = np.concatenate([rest, turned])
    offset = estimate_pmt_offset(movie)
    means = [
        movie.read(block).mean(axis=(1, 2), dtype=np.float64)
        for block in np.array_split(numbers, -(-len(numbers) // FRAMES_AT_ONCE))
    ]
    brightness = np.concatenate(means)
    lit = lit_frames(brightness - offset)
    if lit.all() or not (brightness > offset).any():
        return rest, turned
    logger.warning("%d of %d frames are dark and are left out", np.count_nonzero(~lit), len(lit))
    lit_rest, lit_turned = rest[lit[: len(rest)]], turned[lit[len(rest) :]]
    if not len(lit_rest) or len(lit_turned) < MIN_FRAMES:
        msg = (
            f"of the frames to compare, only {len(lit_rest)} at rest and {len(lit_turned)} turned "
            f"ones are lit; at least 1 and {MIN_FRAMES} are needed. Was the laser on? Else give "
            "the center as center.fixed, or a calibration in the sample sheet"
        )
        raise CenterError(msg)
    return lit_rest, lit_turned


def spread(numbers: NDArray[np.intp], angles: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Keep at most n, taking turns among bins of the circle: rests at one angle do not dominate."""
    bins = np.floor(np.mod(angles, 360.0) / (360.0 / ANGLE_BINS)).astype(np.int64)
    rank = np.empty(len(numbers))
    for b in np.unique(bins):
        members = np.flatnonzero(bins == b)
        # Within a bin, first the ends and the middle of the session, then what lies between.
        order = np.argsort(np.argsort(_van_der_corput(len(members)), kind="stable"))
        rank[members[order]] = np.arange(len(members))
    # Among frames of the same rank, bins far from each other come first.
    bin_order = np.argsort(np.argsort(_van_der_corput(ANGLE_BINS), kind="stable"))
    chosen = np.lexsort((bin_order[bins], rank))[:n]
    return np.asarray(np.sort(numbers[chosen]), dtype=np.int64)


def most_turned(sample: Sample, n: int) -> NDArray[np.int64]:
    """Choose up to n frames far from 0 and 180 degrees, where a turn back looks like no turn."""
    middle = sample.middle
    strength = np.abs(np.sin(np.deg2rad(middle)))
    enough = min(0.5, float(np.sort(strength)[-min(8, len(strength))]))
    candidates = np.flatnonzero(strength >= enough)
    return spread(candidates, middle[candidates], n)


def _van_der_corput(n: int) -> NDArray[np.float64]:
    """Give n points that fill [0, 1) evenly at every stage (radical inverse in base 2)."""
    points, scale, rest = np.zeros(n), 0.5, np.arange(n)
    while rest.any():
        points += scale * (rest % 2)
        rest, scale = rest // 2, scale / 2
    return points


def _mean_image(movie: Movie, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    total = np.zeros(movie.shape[1:], np.float64)
    for block in np.array_split(numbers, -(-len(numbers) // FRAMES_AT_ONCE)):
        total += movie.read(block).sum(axis=0, dtype=np.float64)
    return total / len(numbers)
