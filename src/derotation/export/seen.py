"""Which pixels of a derotated frame were seen, from the geometry alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation import transforms
from derotation.angles import Angles
from derotation.calibration import Calibration
from derotation.derotate import Interpolation, LineTiming, derotate_frames, seen_pixels
from derotation.io.movie import Movie
from derotation.streaming import disc

__all__ = ["Geometry", "SeenPixels", "largest_rectangle"]

_IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Geometry:
    """How a movie was derotated: all that decides which of its pixels hold a recorded value."""

    angles: Angles
    """Angles of all lines, shifted by the calibration's lag."""
    calibration: Calibration
    timing: LineTiming
    interpolation: Interpolation = "linear"
    mask_diameter: float | None = None
    """Diameter in pixels of the disc outside which all is blank; None: no disc."""
    movement: ArrayLike | None = None
    """Map from this session's field of view to its reference's, shape (2, 3) or (3, 3)."""


class SeenPixels:
    """Tells which pixels of derotated frames were seen, as the kernel decided it.

    The mask is not looked up in the movie, where a seen pixel may hold the blank value by chance:
    it is computed as the kernel computes it, without the samples. Frames that share their maps,
    as at rest, are asked for once. Only samples that were recorded as NaN, in movies of floats,
    are not known from the geometry: such movies are derotated again for their masks.

    Parameters
    ----------
    geometry : Geometry
        How the movie was derotated.
    recorded : Movie
        The movie before it was derotated.
    threads : int
        Threads that share the frames.
    """

    def __init__(self, geometry: Geometry, recorded: Movie, *, threads: int = 1) -> None:
        self.geometry, self._recorded, self._threads = geometry, recorded, threads
        self.shape = (recorded.shape[1], recorded.shape[2])
        center = geometry.calibration.center
        if geometry.movement is not None:
            center = tuple(transforms.apply(np.asarray(geometry.movement)[:2], center))
        self.disc = disc(self.shape, center, geometry.mask_diameter)
        """The mask outside which all is blank (y, x)."""

    def of(self, start: int, stop: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Give the masks of the frames `start` to `stop` that may have pixels nobody saw.

        Returns
        -------
        frames : ndarray of shape (n,)
            Their numbers, counted from `start`; all other frames were seen completely.
        seen : ndarray of bool, shape (n, y, x)
        """
        geometry = self.geometry
        maps = geometry.calibration.line_maps(
            geometry.angles.line_angles[start:stop], geometry.movement
        )
        partly = np.flatnonzero(np.any(maps != _IDENTITY, axis=(1, 2, 3)))
        if self._recorded.dtype.kind == "f" or not self.disc.all():
            partly = np.arange(stop - start)
        if not partly.size:
            return partly, np.ones((0, *self.shape), np.bool_)
        maps = maps[partly]
        if self._recorded.dtype.kind == "f":
            seen = self._with_missing(self._recorded.read(partly + start), maps)
        else:
            # Neighbors that are alike share one mask; NaN is unlike itself, which does no harm.
            fresh = np.ones(len(maps), np.bool_)
            fresh[1:] = np.any(maps[1:] != maps[:-1], axis=(1, 2, 3))
            seen = seen_pixels(
                maps[fresh],
                self.shape[1],
                timing=geometry.timing,
                interpolation=geometry.interpolation,
                threads=self._threads,
            )
            if not fresh.all():
                seen = seen[np.cumsum(fresh) - 1]
        if not self.disc.all():
            seen &= self.disc
        return partly, seen

    def _with_missing(
        self, frames: NDArray[np.generic], maps: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Ask the kernel about frames whose samples may be NaN."""
        geometry = self.geometry
        seen = derotate_frames(
            frames,
            maps,
            timing=geometry.timing,
            interpolation=geometry.interpolation,
            threads=self._threads,
            keep_seen=True,
        ).seen
        assert seen is not None
        # Frames at rest are copied as they are, NaN and all.
        at_rest = np.all(maps == _IDENTITY, axis=(1, 2, 3))
        seen[at_rest] &= np.isfinite(frames[at_rest])
        return seen


def largest_rectangle(
    inside: NDArray[np.bool_],
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Find the largest upright rectangle of which every pixel is marked.

    Parameters
    ----------
    inside : ndarray of bool, shape (y, x)

    Returns
    -------
    tuple of two pairs, or None
        First and behind the last row, first and behind the last column; None if nothing is marked.

    Notes
    -----
    Row by row, with the heights of the marked columns that end there: the largest rectangle under
    such a skyline is found with a stack of rising steps, so that the whole takes time in proportion
    to the number of pixels.
    """
    best, found = 0, None
    height = np.zeros(inside.shape[1] + 1, np.int64)
    for row, marked in enumerate(inside):
        height[:-1] = (height[:-1] + 1) * marked
        steps: list[tuple[int, int]] = []
        for column, here in enumerate(height.tolist()):
            start = column
            while steps and steps[-1][1] >= here:
                start, tall = steps.pop()
                if tall * (column - start) > best:
                    best = tall * (column - start)
                    found = ((row + 1 - tall, row + 1), (start, column))
            steps.append((start, here))
    return found
