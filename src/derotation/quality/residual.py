"""The shift that is left between mean images at different angles and the sample at rest."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.images.comparison import Comparison
from derotation.maps import transforms
from derotation.maps.resample import derotate_frames
from derotation.numerics.binning import binned
from derotation.streaming.statistics import Statistics

__all__ = ["ResidualShift", "measure_residual_shift", "shift_between"]

# Pictures are compared at about this size (px): the shift of a mean image of cells is known far
# better than its pixels are wide.
SIZE = 256
# Smoothing of the gradients (px): they find what is left after the peak of the correlation.
SMOOTHING = 1.5
# A peak of the correlation that stands out less than this (standard deviations) may be chance: the
# highest of 10 000 independent places of noise is at 3.9.
MIN_PEAK = 6.0
# Gradients contradict the peak if they find more than this (px), or are this uncertain.
MAX_STEP, MAX_SD = 2.0, 0.5
# Pixels that have to be seen, as a part of the picture.
MIN_SEEN = 0.2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResidualShift:
    """Shift of the picture by angle; NaN where it cannot be told from chance."""

    angle: NDArray[np.float64]
    """Degrees, shape (n,)."""
    shift: NDArray[np.float64]
    """Shift (x, y) of the derotated mean images against the sample at rest, px, shape (n, 2)."""
    raw_shift: NDArray[np.float64]
    """The same of the raw mean images, each turned back as a whole about the middle of the picture:
    what is left without an angle for each line and without the center."""

    @property
    def measurable(self) -> int:
        """Number of angles at which the shift could be measured."""
        return int(np.isfinite(self.shift).all(axis=1).sum())

    def rms(self) -> float | None:
        """Give the root mean square of the length of the shifts; None if too few are known."""
        return _rms(self.shift)

    def raw_rms(self) -> float | None:
        """Give the same of the raw mean images."""
        return _rms(self.raw_shift)


def _rms(shifts: NDArray[np.float64]) -> float | None:
    squared = np.sum(shifts**2, axis=1)
    known = np.isfinite(squared)
    # With less than half of the angles it would be the rms of those that happen to be good.
    if known.sum() < max(len(shifts) / 2, 1):
        return None
    return float(np.sqrt(squared[known].mean()))


def measure_residual_shift(statistics: Statistics, *, threads: int = 1) -> ResidualShift:
    """Measure by how much mean images are left shifted, as recorded and derotated.

    Parameters
    ----------
    statistics : Statistics
        What was collected while the movie was derotated.
    threads : int
        Threads that share the images.

    Returns
    -------
    ResidualShift
    """
    n = len(statistics.angle)
    unknown = np.full((n, 2), np.nan)
    if n == 0 or statistics.n_rest == 0:
        return ResidualShift(angle=statistics.angle, shift=unknown, raw_shift=unknown)
    side = statistics.side
    derotated = _Reference(statistics.rest, side)
    # Those of the raw images are large, and only say how things were before.
    coarser = 2 if min(statistics.rest.shape) >= SIZE else 1
    raw = _Reference(statistics.raw_rest, coarser * side)
    middle = raw.binned_place(transforms.image_center(statistics.rest.shape))

    def measure(k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        known = statistics.seen[k] & np.isfinite(statistics.mean[k])
        turned, inside = _turned_back(
            binned(statistics.raw_mean[k], coarser), float(statistics.angle[k]), middle
        )
        filled = np.where(known, statistics.mean[k], np.float32(0))
        return derotated.shift_of_binned(filled, known), raw.shift_of_binned(turned, inside)

    with ThreadPoolExecutor(max(threads, 1)) as pool:
        pairs = list(pool.map(measure, range(n)))
    return ResidualShift(
        angle=statistics.angle,
        shift=np.stack([after for after, _ in pairs]),
        raw_shift=np.stack([before for _, before in pairs]),
    )


def shift_between(
    image: NDArray[np.floating], seen: NDArray[np.bool_], reference: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Measure the shift of a picture against another one.

    Parameters
    ----------
    image : ndarray of shape (y, x)
    seen : ndarray of bool of shape (y, x)
        Its pixels that hold something.
    reference : ndarray of shape (y, x)
        NaN where nothing is known.

    Returns
    -------
    ndarray of shape (2,)
        (x, y) in pixels: what lies at q in the reference lies at q + shift in the image. NaN if
        the pictures are not alike enough to tell.
    """
    return _Reference(reference, max(min(reference.shape) // SIZE, 1)).shift(image, seen)


class _Reference:
    """Compares pictures, a few pixels averaged to one, with a reference."""

    def __init__(self, reference: NDArray[np.floating], factor: int) -> None:
        self._factor = factor
        self._known = binned(np.isfinite(reference), factor) == 1
        image = binned(np.where(np.isfinite(reference), reference, 0), factor)
        image = np.where(self._known, image, image[self._known].mean() if self._known.any() else 0)
        self._comparison = Comparison(image.astype(np.float32))

    def binned_place(self, place: tuple[float, float]) -> tuple[float, float]:
        """Tell where a place (x, y) of a picture then is."""
        x, y = ((k - (self._factor - 1) / 2) / self._factor for k in place)
        return x, y

    def shift(self, image: NDArray[np.floating], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Give the shift (x, y) of a picture in pixels, or NaN."""
        known = binned(seen, self._factor) == 1
        small = binned(np.where(seen, image, 0), self._factor).astype(np.float32, copy=False)
        return self.shift_of_binned(small, known)

    def shift_of_binned(
        self, small: NDArray[np.float32], seen: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Do so with a picture whose pixels were averaged already."""
        unknown = np.full(2, np.nan)
        known = seen & self._known
        if known.mean() < MIN_SEEN:
            return unknown
        coarse, _, distinction = self._comparison.peak(small, known)
        if distinction < MIN_PEAK:
            return unknown
        whole = np.round(coarse)
        moved = rolled(small, whole)
        still_known = rolled(known, whole) & self._known
        step, information, _ = self._comparison.gradients(moved, still_known, SMOOTHING)
        if not np.isfinite(step).all() or np.hypot(*step[:2]) > MAX_STEP:
            return unknown
        sd = np.sqrt(np.diag(np.linalg.pinv(information))[:2].max())
        if sd > MAX_SD:
            return unknown
        return np.asarray((whole + step[:2]) * self._factor)


def rolled(image: NDArray[np.generic], shift: NDArray[np.float64]) -> NDArray[Any]:
    """Move a picture back by a whole shift (x, y); what comes in from outside is 0."""
    dx, dy = (-int(s) for s in shift)
    rolled = np.roll(image, (dy, dx), axis=(0, 1))
    if dy:
        rolled[slice(None, dy) if dy > 0 else slice(dy, None)] = 0
    if dx:
        rolled[:, slice(None, dx) if dx > 0 else slice(dx, None)] = 0
    return rolled


def _turned_back(
    image: NDArray[np.float32], angle: float, middle: tuple[float, float]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Turn a whole picture back about a place; also which pixels then hold something."""
    maps = transforms.line_maps(np.full((1, image.shape[0]), angle), middle)
    turned = derotate_frames(image[np.newaxis], maps, interpolation="linear", keep_seen=True)
    assert turned.seen is not None
    return turned.frames[0], turned.seen[0]
