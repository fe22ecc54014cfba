"""How bright the parts of the sample were at many angles.

Frames are chosen at all angles, slow ones first, and derotated; what is kept of them is small. The
same part of the sample is then seen in many frames at different places of the microscope's field.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.io.movie import Movie
from derotation.maps.line_maps import LineMaps
from derotation.numerics.binning import binned
from derotation.numerics.by_rows import by_rows
from derotation.numerics.means import mean_of_known
from derotation.numerics.thinning import thinned
from derotation.signals.angles import Angles

__all__ = ["ANGLE_BINS", "Looks", "Parts", "angle_bins", "look", "measure_parts"]

Floats = NDArray[np.float64]

# Angles are told apart by 10 degrees.
ANGLE_BINS = 36
# Derotated frames are kept in pixels binned to about so many along the longer side (75 MB).
KEPT_SIDE = 256
FRAMES_AT_ONCE = 8
# The sample is compared in squares, about so many along the longer side of the picture.
PARTS = 20
# Of the frames at an angle, this part is slow enough to be chosen.
SLOW = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looks:
    """Frames at many angles, derotated and made small."""

    numbers: NDArray[np.int64]
    """Numbers of the frames in the movie, ascending, shape (n,)."""
    line_maps: LineMaps
    """Where the lines of the movie belong."""
    time_s: Floats
    """When each frame began, seconds, shape (n,)."""
    binning: int
    """Side of the squares of pixels that were averaged."""
    frames: NDArray[np.float32]
    """Derotated frames above the offset, binned; NaN where not all pixels were seen; shape
    (n, y // binning, x // binning)."""
    mean: NDArray[np.float32]
    """Mean of the derotated frames above the offset, in full resolution, over those that saw a
    pixel; shape (y, x)."""
    seen: NDArray[np.float32]
    """Part of the frames that saw each pixel, shape (y, x)."""
    offset: float
    """What the detector gives without light."""
    highest: Floats
    """The highest recorded value at each raw pixel, shape (y, x)."""
    saturated: float
    """Part of the samples recorded at the upper limit of the movie's integer type."""

    @property
    def middle(self) -> Floats:
        """Angle of each frame's middle line, degrees."""
        return self.line_maps.angles.middle[self.numbers]

    @property
    def n_angles(self) -> int:
        """At how many of the 36 angles there are frames."""
        return len(np.unique(angle_bins(self.middle)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """The brightness of squares of the sample in each frame."""

    values: Floats
    """Mean above the offset, NaN where not all of a square was seen, shape (n, p)."""
    places: Floats
    """Where in the recorded frame (x, y) each was seen, shape (n, p, 2)."""


def look(
    movie: Movie,
    line_maps: LineMaps,
    offset: float,
    n_frames: int,
    *,
    threads: int = 1,
) -> Looks:
    """Read up to `n_frames` frames at all angles and derotate them, block by block."""
    angles = line_maps.angles
    assert isinstance(angles, Angles)
    chosen = choose_frames(angles, n_frames)
    height, width = movie.shape[1:]
    binning = max(1, round(max(height, width) / KEPT_SIDE))
    kept = np.empty((len(chosen), height // binning, width // binning), np.float32)
    total, count = np.zeros((height, width)), np.zeros((height, width), np.int64)
    highest = np.full((height, width), -np.inf)
    limit = np.iinfo(movie.dtype).max if movie.dtype.kind in "iu" else np.inf
    saturated = 0
    for first in range(0, len(chosen), FRAMES_AT_ONCE):
        part = chosen[first : first + FRAMES_AT_ONCE]
        raw = movie.read(part)
        np.fmax(highest, raw.max(axis=0), out=highest)
        saturated += int(np.count_nonzero(raw >= limit))
        derotated = line_maps.derotate(raw, part, dtype=np.float32, threads=threads, keep_seen=True)
        assert derotated.seen is not None
        known = derotated.seen & np.isfinite(derotated.frames)
        values = np.where(known, derotated.frames - np.float32(offset), np.float32(np.nan))
        total += np.where(known, values, 0).sum(axis=0, dtype=np.float64)
        count += known.sum(axis=0)
        kept[first : first + len(part)] = binned(values, binning)
    mean = mean_of_known(total, count, 0.0)
    return Looks(
        numbers=chosen,
        line_maps=line_maps,
        time_s=angles.frame_start[chosen] / angles.sampling_rate,
        binning=binning,
        frames=kept,
        mean=mean.astype(np.float32),
        seen=(count / max(len(chosen), 1)).astype(np.float32),
        offset=offset,
        highest=highest,
        saturated=saturated / max(len(chosen) * height * width, 1),
    )


def choose_frames(angles: Angles, n_frames: int) -> NDArray[np.int64]:
    """Choose usable frames at all angles, of each angle the slow ones, spread over the session."""
    usable = np.flatnonzero(angles.line_usable.all(axis=1))
    middle = angles.middle[usable]
    swept = by_rows(lambda lines: np.abs(np.diff(lines, axis=1)).sum(axis=1), angles.line_angles)
    turned = swept[usable]
    bins = angle_bins(middle)
    each = max(n_frames // ANGLE_BINS, 1)
    chosen: list[NDArray[np.int64]] = []
    for b in np.unique(bins):
        members = np.flatnonzero(bins == b)
        slow = members[np.argsort(turned[members], kind="stable")]
        slow = np.sort(slow[: max(each, round(SLOW * len(slow)))])
        chosen.append(usable[thinned(slow, each)].astype(np.int64))
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, np.int64)


def angle_bins(degrees: Floats) -> NDArray[np.int64]:
    """Tell the nearest of the angles 0, 10, ..., 350 degrees, as its number."""
    return np.asarray(np.rint(degrees * ANGLE_BINS / 360.0).astype(np.int64) % ANGLE_BINS)


def measure_parts(looks: Looks) -> Parts:
    """Average the frames in squares, and tell where each was seen."""
    n, height, width = looks.frames.shape
    side = max(1, round(max(height, width) / PARTS))
    squares = (height // side) * (width // side)
    values = binned(looks.frames, side).astype(np.float64).reshape(n, squares)
    # A square is seen where its light comes from, which need not be its middle.
    square = side * looks.binning
    rows, columns = (k // side * square for k in (height, width))
    weight = np.maximum(looks.mean[:rows, :columns].astype(np.float64), 0) + 1e-9
    y, x = np.mgrid[:rows, :columns]
    total = binned(weight, square).ravel()
    middle = np.stack([binned(weight * k, square).ravel() / total for k in (x, y)], axis=1)
    places, _ = looks.line_maps.recorded_at(middle, looks.numbers)
    return Parts(values=values, places=places)
