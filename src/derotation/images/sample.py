"""What of a session is compared: frames at rest, and turned ones at all angles."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from derotation.images.choosing import FRAMES_AT_ONCE, choose_frames, lit_ones, spread
from derotation.io.movie import Movie
from derotation.maps import transforms
from derotation.maps.corrections import registered
from derotation.maps.line_maps import LineMaps, Placement
from derotation.maps.timing import LineTiming
from derotation.numerics.binning import binned
from derotation.numerics.degrees import is_whole_turn, wrapped
from derotation.numerics.pages import rows_of
from derotation.signals.angles import Angles

__all__ = [
    "Lines",
    "RestFrames",
    "Sample",
    "most_turned",
    "read_sample",
]

# Parts in which frames at rest are kept, to tell how well the reference is known.
REST_PARTS = 8


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
            line_angles=rows_of(angles.line_angles, numbers),
            line_speeds=np.nan_to_num(angles.line_speeds(numbers)),
            line_times_s=angles.times_of(numbers),
            sample_timing=line_maps.timing,
        )

    @property
    def line_usable(self) -> NDArray[np.bool_]:
        """Which lines have an angle, shape (n, y)."""
        return np.isfinite(self.line_angles)

    def times_of(self, frames: slice | NDArray[Any]) -> NDArray[np.float64]:
        """Tell the moments of the lines of some frames, seconds."""
        return np.asarray(self.line_times_s[frames])

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
    rest, turned = lit_ones(movie, rest, turned)
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


def most_turned(sample: Sample, n: int) -> NDArray[np.int64]:
    """Choose up to n frames far from 0 and 180 degrees, where a turn back looks like no turn."""
    middle = sample.middle
    strength = np.abs(np.sin(np.deg2rad(middle)))
    enough = min(0.5, float(np.sort(strength)[-min(8, len(strength))]))
    candidates = np.flatnonzero(strength >= enough)
    return spread(candidates, middle[candidates], n)


def _mean_image(movie: Movie, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    total = np.zeros(movie.shape[1:], np.float64)
    for block in np.array_split(numbers, -(-len(numbers) // FRAMES_AT_ONCE)):
        total += movie.read(block).sum(axis=0, dtype=np.float64)
    return total / len(numbers)
