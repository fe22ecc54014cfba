"""The brightness of regions in each derotated frame, and when each was scanned: in one pass."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from derotation.cells.kernels import (
    EXPECTED,
    N_SUMS,
    VALUE,
    WEIGHT,
    X,
    Y,
    add_up,
    between_lines,
)
from derotation.cells.rois import Rois
from derotation.errors import MovieError
from derotation.io.movie import Movie
from derotation.io.seen import SeenPixels
from derotation.maps.line_maps import LineMaps
from derotation.numerics.pages import release
from derotation.numerics.prefetch import ahead
from derotation.signals.angles import Angles

__all__ = ["Extracted", "SampleClock", "extract"]

logger = logging.getLogger(__name__)

NDFloat = NDArray[np.float64]

CHUNK_BYTES = 8e6
# The velocity is that over so much time before and after a sample; over less, the encoder's steps
# and the jitter of ticks would be seen.
HALF_WINDOW_S = 0.025


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extracted:
    """What was extracted from some frames; shapes are (n ROIs, frames)."""

    start: int
    """Number of the first frame."""
    time_s: NDFloat
    """When each ROI was scanned, seconds from the first sample of the analog signals; also where
    too little was seen, as long as a line tells."""
    angle: NDFloat
    """Angle at that time, degrees."""
    velocity: NDFloat
    """Angular velocity at that time, degrees per second, in the direction of growing angles."""
    fluorescence: NDFloat
    """Weighted mean of the seen pixels above the detector's offset, as if all had been seen."""
    neuropil: NDFloat
    """The same of the rings."""
    seen: NDFloat
    """Part of the ROI's weight that was seen, 0 to 1."""
    ring_seen: NDFloat
    """The same of the rings."""


class SampleClock:
    """Tells when a place was scanned in each frame, and the angle and the velocity then.

    Parameters
    ----------
    line_maps : LineMaps
        The maps of all lines, whose angles are :class:`~derotation.signals.angles.Angles`.
    width : int
        Columns of a recorded frame, px.
    """

    def __init__(self, line_maps: LineMaps, width: int) -> None:
        angles = line_maps.angles
        assert isinstance(angles, Angles)
        self._maps, self._width, self._angles = line_maps, width, angles
        start, rate = angles.line_start, angles.sampling_rate
        first = np.diff(start[: min(len(start), 64)], axis=1)
        self._line_s = float(np.median(first)) / rate if first.size else 1.0 / angles.frame_rate
        reference = {"start": 0.0, "middle": 0.5, "end": 1.0}[angles.line_reference]
        self._late_s = reference * angles.line_duty * self._line_s

    def at(self, points: NDFloat, frames: slice) -> tuple[NDFloat, NDFloat, NDFloat]:
        """Tell time (s), angle (degrees) and velocity (degrees/s) of places.

        Parameters
        ----------
        points : ndarray of shape (n, p, 2)
            Places (x, y) in the derotated picture in each of these n frames; NaN for none.
        frames : slice
            The frames.

        Returns
        -------
        time, angle, velocity : ndarray of shape (n, p)
            NaN where that is not known.
        """
        lines = self._angles
        start_s = lines.line_start[frames] / lines.sampling_rate + self._late_s
        # A copy, since a table that lies in a file is for reading only, which is another type to
        # compiled functions.
        here = lines.line_angles[frames].copy()
        maps = self._maps.at(here, start_s)
        when = self._maps.scanned_at(points, maps, self._width)
        n_lines = lines.line_angles.shape[1]
        if n_lines < 2:
            return when, when.copy(), when.copy()
        time, angle = np.empty_like(when), np.empty_like(when)
        own = np.arange(len(when))
        between_lines(start_s, own, when, 0.0, time)
        between_lines(here, own, when, 360.0, angle)
        before, after = (self._angle_near(time, frames, sign) for sign in (-1, 1))
        release(lines.line_angles, lines.line_start)
        turned = after[0] - before[0]
        turned -= 360 * np.round(turned / 360)
        with np.errstate(invalid="ignore", divide="ignore"):
            velocity = turned / (after[1] - before[1])
        return time, angle, velocity

    def _angle_near(self, time: NDFloat, frames: slice, sign: int) -> tuple[NDFloat, NDFloat]:
        """Give the angle half a window before or after, and the time to which it belongs."""
        lines = self._angles
        first, stop, _ = frames.indices(len(lines.line_start))
        # Frames around these, since a window may reach beyond them.
        low, high = max(first - 1, 0), min(stop + 1, len(lines.line_start))
        around = slice(low, high)
        flat_time = (lines.line_start[around] / lines.sampling_rate + self._late_s).ravel()
        flat = lines.line_angles[around].ravel()
        wanted = np.clip(time + sign * HALF_WINDOW_S, flat_time[0], flat_time[-1])
        j = np.searchsorted(flat_time, np.nan_to_num(wanted), side="right") - 1
        j = np.clip(j, 0, len(flat_time) - 2)
        part = (wanted - flat_time[j]) / (flat_time[j + 1] - flat_time[j])
        step = flat[j + 1] - flat[j]
        step -= 360 * np.round(step / 360)
        return flat[j] + part * step, wanted


def extract(
    movie: Movie,
    seen: SeenPixels,
    line_maps: LineMaps,
    rois: Rois,
    rings: Rois,
    *,
    mean: ArrayLike,
    offset: float,
    recorded_width: int | None = None,
    threads: int = 1,
) -> Iterator[Extracted]:
    """Go through a derotated movie once and tell what each ROI and its ring show.

    Parameters
    ----------
    movie : Movie
        The derotated movie.
    seen : SeenPixels
        Which of its pixels were seen.
    line_maps : LineMaps
        The maps by which it was derotated.
    rois, rings : Rois
        Regions, and a ring around each.
    mean : array_like of shape (y, x)
        Mean of the derotated movie over the frames that saw a pixel, gray values.
    offset : float
        What the detector gives without light, gray values.
    recorded_width : int, optional
        Columns of a recorded frame; by default as of the movie.
    threads : int
        Threads that share the frames.

    Yields
    ------
    Extracted
        Of some frames, one after the other.

    Raises
    ------
    MovieError
        If movie, masks and ROIs are not of the same size.

    Notes
    -----
    Where a part of a region was not seen, what was seen is compared with the mean of the very same
    pixels, ``F = sum(w f) / sum(w m) * sum_all(w m)``, so that a part that is missing makes no
    activity. The time is that of the weighted middle of the seen pixels.
    """
    n_frames, height, width = movie.shape
    if movie.shape != seen.shape or rois.shape != (height, width) or rings.shape != rois.shape:
        msg = (
            f"{movie.paths[0]} has the shape {movie.shape}, {seen.path} {seen.shape} (frames, "
            f"height, width), and the ROIs lie in a picture of {rois.shape}; they do not belong "
            "together"
        )
        raise MovieError(msg)
    expected = np.maximum(np.asarray(mean, np.float64).ravel() - offset, 0.0)
    regions = [_Region(one, expected, offset) for one in (rois, rings)]
    clock = SampleClock(line_maps, recorded_width or width)
    centroids = rois.centroids
    per_chunk = max(int(CHUNK_BYTES // (height * width * movie.dtype.itemsize)), 1)

    def blocks() -> Iterator[tuple[int, NDArray[np.generic], NDArray[np.bool_]]]:
        for first, block in movie.chunks(per_chunk):
            masks = seen.read(first, first + len(block))
            yield first, block.reshape(len(block), -1), masks.reshape(len(block), -1)

    with (
        ThreadPoolExecutor(threads) as pool,
        tqdm(total=n_frames, desc="cells", unit="frame", disable=None) as bar,
    ):
        for first, block, masks in ahead(blocks()):
            (values, visible, places), (around, ring_visible, _) = (
                region.measure(block, masks, pool, threads) for region in regions
            )
            # Without any pixel seen, the time is that of the ROI's middle.
            points = np.where(visible[..., np.newaxis] > 0, places, centroids)
            frames = slice(first, first + len(block))
            time, angle, velocity = clock.at(points, frames)
            yield Extracted(
                start=first,
                time_s=time.T,
                angle=angle.T,
                velocity=velocity.T,
                fluorescence=values.T,
                neuropil=around.T,
                seen=visible.T,
                ring_seen=ring_visible.T,
            )
            bar.update(len(block))


class _Region:
    """Regions with the brightness that is expected of their pixels."""

    def __init__(self, rois: Rois, expected: NDFloat, offset: float) -> None:
        self._start, self._place = rois.start, rois.place
        self._weight, self._offset = rois.weight, offset
        self._expected = expected[self._place]
        self._width = rois.shape[1]
        self._whole = np.bincount(rois.roi, self._weight * self._expected, len(rois))

    def measure(
        self,
        frames: NDArray[np.generic],
        seen: NDArray[np.bool_],
        pool: ThreadPoolExecutor,
        threads: int,
    ) -> tuple[NDFloat, NDFloat, NDFloat]:
        """Give brightness, the part that was seen, and its middle (x, y): (n, regions[, 2])."""
        sums = np.zeros((len(frames), len(self._start) - 1, N_SUMS))

        def work(part: slice) -> None:
            add_up(
                frames[part], seen[part], self._offset, self._start, self._place, self._weight,
                self._expected, self._width, sums[part],
            )  # fmt: skip

        edges = np.linspace(0, len(frames), threads + 1).astype(int)
        list(pool.map(work, [slice(a, b) for a, b in pairwise(edges)]))
        weight, mean = sums[..., WEIGHT], sums[..., EXPECTED]
        with np.errstate(invalid="ignore", divide="ignore"):
            # Where all was seen, or where nothing is known of what to expect: the mean itself.
            share = np.where(mean > 0, self._whole / mean, 1 / weight)
            value = np.where(weight > 0, sums[..., VALUE] * share, np.nan)
            places = sums[..., X : Y + 1] / weight[..., np.newaxis]
        return value, np.clip(weight, 0, 1), places
