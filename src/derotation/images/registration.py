"""Derotate frames by a guess, and measure how they differ from the sample at rest.

Frames that were recorded while the sample was turned are derotated by the maps of a guess. What a
frame is then still off says how far off the guess is;
:mod:`derotation.calibration.center` explains it.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.images.choosing import FRAMES_AT_ONCE
from derotation.images.comparison import N_AFFINE, SMOOTHING, Comparison, affine_maps
from derotation.images.sample import Sample
from derotation.maps import transforms
from derotation.maps.line_maps import Placement
from derotation.maps.resample import derotate_frames

__all__ = ["Affine", "Registration"]

# Pictures of at least this size (px) are coarsely compared at half the size.
HALF_FROM = 256

Maps = NDArray[np.float64]
Measure = Callable[[int, NDArray[np.float32], NDArray[np.bool_]], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Affine:
    """Affine displacement of derotated frames against the sample at rest.

    What lies at q in the sample at rest is seen at q + t + B (q - m) / r in the derotated frame,
    with m the image's center and r half its smaller side: all six parameters (tx, ty, Bxx, Bxy,
    Byx, Byy) are pixels, those of B at the distance r.
    """

    values: NDArray[np.float64]
    """Shape (n, 6); NaN where a frame could not be compared."""
    information: NDArray[np.float64]
    """Inverse covariance if noise were the only error, shape (n, 6, 6)."""
    reference: NDArray[np.float64]
    """What each part of the reference, taken alone, would add to the values: (n, part, 6)."""


class Registration:
    """Compares derotated frames with the sample at rest.

    Parameters
    ----------
    sample : Sample
        The frames.
    threads : int
        Threads that share them.
    """

    def __init__(self, sample: Sample, threads: int) -> None:
        self.sample = sample
        self._threads = threads
        self._side = 1
        self._fixed = None if sample.rest else Comparison(sample.reference, sample.parts)

    def coarser(self) -> "Registration":
        """Compare pictures of half the size, if they are large, to find shifts to within a pixel.

        Shifts are told in pixels as before. The timing within a line is lost.
        """
        if min(self.sample.shape) < HALF_FROM:
            return self
        small = Registration(self.sample.binned(2), self._threads)
        small._side = 2 * self._side
        return small

    def shifts(self, placement: Placement) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Find shifts of any size, and how well the pictures then correlate.

        Parameters
        ----------
        placement : Placement
            What the frames are derotated by.

        Returns
        -------
        shifts : ndarray of shape (n, 2)
            Shift (x, y) of the derotated frame against the sample at rest, pixels.
        correlation : ndarray of shape (n,)
            Correlation at that shift, up to 1.
        """
        comparison = self._comparison(placement)
        n = len(self.sample.numbers)
        shifts, correlation = np.empty((n, 2)), np.empty(n)

        def measure(k: int, frame: NDArray[np.float32], seen: NDArray[np.bool_]) -> None:
            shifts[k], correlation[k], _ = comparison.peak(frame, seen)

        self._each_frame(self.sample.line_maps(placement)(), measure)
        return self._side * shifts, correlation

    def affine(
        self, placement: Placement, *, smoothing: float = SMOOTHING, iterations: int = 1
    ) -> Affine:
        """Find the affine map that is left, from the gradients of the reference.

        Parameters
        ----------
        placement : Placement
            What the frames are derotated by.
        smoothing : float
            Displacements of up to about twice this (px) and the size of cells are found.
        iterations : int
            Each further one derotates the frames by the maps found so far, and looks again.
        """
        comparison, maps = self._comparison(placement), self.sample.line_maps(placement)()
        n = len(maps)
        values = np.zeros((n, N_AFFINE))
        information = np.empty((n, N_AFFINE, N_AFFINE))
        reference = np.empty((n, len(comparison.parts), N_AFFINE))

        def measure(k: int, frame: NDArray[np.float32], seen: NDArray[np.bool_]) -> None:
            step, information[k], reference[k] = comparison.gradients(frame, seen, smoothing)
            values[k] += step

        comparison.regressors_at(smoothing)  # once, rather than in each thread
        for _ in range(iterations):
            undo = transforms.invert(affine_maps(np.nan_to_num(values), self.sample.shape))
            self._each_frame(transforms.compose(undo[:, np.newaxis], maps), measure)
        return Affine(values=values, information=information, reference=reference)

    def _comparison(self, placement: Placement) -> Comparison:
        """Compare with the sample at rest as this placement shows it."""
        if self._fixed is not None:
            return self._fixed
        made = self.sample.reference_parts(placement)
        assert made is not None
        return Comparison(*made)

    def _each_frame(self, maps: Maps, measure: Measure) -> None:
        def look(first: int) -> None:
            part = slice(first, first + FRAMES_AT_ONCE)
            derotated = derotate_frames(
                self.sample.frames[part],
                maps[part],
                timing=self.sample.lines.sample_timing,
                interpolation="linear",  # the fastest; pictures are smoothed before they compare
                dtype=np.float32,
                keep_seen=True,
            )
            assert derotated.seen is not None
            for k, (frame, seen) in enumerate(zip(derotated.frames, derotated.seen, strict=True)):
                measure(first + k, frame, seen)

        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(look, range(0, len(maps), FRAMES_AT_ONCE)))
