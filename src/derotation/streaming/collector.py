"""Look at all frames of a movie, once, as they are derotated.

Mean images by angle are summed up, and each frame is compared with the sample at rest: the mean of
*derotated* frames at rest, so that what is found holds whatever is corrected.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.images.choosing import spread
from derotation.images.following.recorded import check_angles
from derotation.io.movie import Movie
from derotation.maps.line_maps import LineMaps
from derotation.numerics.by_rows import by_rows
from derotation.numerics.degrees import wrapped
from derotation.numerics.means import mean_of_known
from derotation.signals.angles import Angles
from derotation.signals.segments import Segments
from derotation.streaming.rest import average_rest
from derotation.streaming.statistics import Statistics

__all__ = ["Collector"]

# Mean images are made of frames whose angle lies nearest to the same multiple of this (degrees):
# the first of these steps whose sums take no more memory than the most allowed (bytes).
ANGLE_STEPS = (15.0, 30.0, 45.0)
MAX_SUMS_BYTES = 400e6
# Turned frames that are kept as they were recorded, and how much memory they may take (bytes).
N_KEPT = 60
MAX_BYTES = 64e6
# Pictures of segments are at least so many pixels high and wide, if the movie is.
SEGMENT_SIZE = 128
# Pixels that have the highest value in this part of the frames are often that bright.
OFTEN = 0.1
# Turns of less than this many degrees do not tell much (see derotation.images.registration).
MIN_TURN = 11.5


class Collector:
    """Looks at all frames of a movie, once, as they are derotated.

    Parameters
    ----------
    movie : Movie
        Some frames at rest are read from it at once.
    line_maps : LineMaps
        Where all its lines belong.
    mask : ndarray of bool of shape (y, x)
        Pixels of the derotated movie that are not blank on purpose.
    offset : float
        What the detector gives without light, gray values.
    gain : ndarray of shape (y, x), optional
        Factor that was applied to what was recorded above the offset.
    threads : int
        Threads that share the rows.
    """

    def __init__(
        self,
        movie: Movie,
        line_maps: LineMaps,
        *,
        mask: NDArray[np.bool_],
        offset: float,
        gain: NDArray[np.float32] | None = None,
        threads: int = 1,
    ) -> None:
        angles = line_maps.angles
        assert isinstance(angles, Angles)
        n_frames, *shape = movie.shape
        self._mask, self._offset, self._threads = mask, offset, threads
        self._bins = _Bins(angles, _angle_step(movie.shape))
        self._at_rest = average_rest(movie, line_maps, gain, offset, threads)
        rest = np.where(mask, self._at_rest.derotated, np.nan)
        self._rest = rest
        segments = Segments.of(angles)
        self._side = max(min(shape) // SEGMENT_SIZE, 1)
        self._derotated = _Sums(
            self._bins, tuple(shape), n_frames, rest, segments=segments, side=self._side
        )
        self._raw = _Sums(self._bins, tuple(shape), n_frames, self._at_rest.raw)
        self._highest = _Highest(tuple(shape))
        self._told_frame_rate = _told_frame_rate(movie)
        self._kept = _choose_kept(angles, segments, movie)
        self._kept_frames = np.empty((0, *shape))
        self._check = check_angles(movie, line_maps, threads=threads)

    def add(
        self, start: int, raw: NDArray[Any], derotated: NDArray[Any], seen: NDArray[np.bool_]
    ) -> None:
        """Look at consecutive frames.

        Parameters
        ----------
        start : int
            Number of the first one.
        raw, derotated : ndarray of shape (n, y, x)
        seen : ndarray of bool of shape (n, y, x)
            Pixels of the derotated frames that hold something.
        """
        nothing = np.zeros((0, 0, 0), np.bool_)
        # Each strip holds whole squares of the segments' pictures.
        bounds = np.linspace(0, raw.shape[1], self._threads + 1).astype(int)
        bounds[1:-1] -= bounds[1:-1] % self._side
        strips = list(itertools.pairwise(bounds.tolist()))

        def add_strip(strip: tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
            return (
                self._derotated.add(start, derotated, seen, strip),
                self._raw.add(start, raw, nothing, strip),
            )

        if len(strips) > 1:
            with ThreadPoolExecutor(len(strips)) as pool:
                parts = list(pool.map(add_strip, strips))
        else:
            parts = [add_strip(strips[0])]
        frames = slice(start, start + len(raw))
        for own, raw_own in parts:
            self._derotated.sums[frames] += own
            self._raw.sums[frames] += raw_own
        self._highest.add(raw)
        first, stop = np.searchsorted(self._kept, (start, start + len(raw)))
        if stop > first:
            if not len(self._kept_frames):
                self._kept_frames = np.empty((len(self._kept), *raw.shape[1:]), raw.dtype)
            self._kept_frames[first:stop] = raw[self._kept[first:stop] - start]

    def mean(self) -> NDArray[np.float64]:
        """Give the mean of the derotated frames where any saw a pixel, else NaN; (y, x)."""
        return self._derotated.mean(slice(None))

    def raw_mean(self) -> NDArray[np.float64]:
        """Give the mean of the frames as recorded, (y, x)."""
        return self._raw.mean(slice(None))

    def seen(self) -> NDArray[np.float64]:
        """Give the fraction of the frames that saw each pixel, (y, x)."""
        return np.asarray(self._derotated.count.sum(axis=0) / len(self._derotated.sums))

    def result(self) -> Statistics:
        """Give what was learned, after the last frame."""
        turned = self._bins.turned
        derotated, raw = self._derotated, self._raw
        half = np.array([self._bins.n_frames[b] for b in turned]) / 2
        return Statistics(
            coverage=derotated.sums[:, 0] / self._mask.sum(),
            brightness=derotated.brightness(self._offset),
            correlation=derotated.correlation(self._at_rest.numbers),
            raw_correlation=raw.correlation(self._at_rest.numbers),
            angle=np.array([self._bins.angle[b] for b in turned], np.float64),
            n_frames=np.array([self._bins.n_frames[b] for b in turned], np.int64),
            mean=derotated.means(turned),
            raw_mean=raw.means(turned),
            seen=np.asarray(
                derotated.count[turned] >= np.maximum(half, 1)[:, np.newaxis, np.newaxis]
            ),
            turned_mean=derotated.mean(turned).astype(np.float32),
            raw_turned_mean=raw.mean(turned).astype(np.float32),
            rest=self._rest.astype(np.float32),
            raw_rest=self._at_rest.raw.astype(np.float32),
            own_rest=self._at_rest.own.astype(np.float32),
            n_rest=len(self._at_rest.numbers),
            phase_frames=self._at_rest.phase.frames,
            phase_px=self._at_rest.phase.px,
            phase_sd_px=self._at_rest.phase.sd_px,
            kept=self._kept,
            kept_frames=self._kept_frames,
            checked=self._check.frames,
            angle_difference=self._check.difference,
            angle_difference_sd=self._check.sd,
            checked_shift=self._check.shift,
            segment_mean=derotated.segment_means(),
            highest=self._highest.value,
            at_highest=float(self._highest.count.mean() / len(derotated.sums)),
            often_highest=float(np.mean(self._highest.count >= OFTEN * len(derotated.sums))),
            told_frame_rate=self._told_frame_rate,
            offset=float(self._offset),
        )


class _Bins:
    """Sorts frames: at rest at angle 0, by angle, or (where no angle is known) apart."""

    def __init__(self, angles: Angles, step: float) -> None:
        lines = angles.line_angles
        told = by_rows(lambda some: np.isfinite(some).any(axis=1), lines)
        turned = by_rows(lambda some: np.any(np.mod(np.nan_to_num(some), 360) != 0, axis=1), lines)
        middle = by_rows(_middle_angles, lines)
        nearest = np.round(np.mod(middle, 360.0) / step).astype(int) % round(360 / step)
        # -1: at rest, -2: unknown.
        label = np.where(turned, nearest, -1)
        label = np.where(told, label, -2)
        names, self.of_frame = np.unique(label, return_inverse=True)
        self.angle = names * step
        self.n_frames = np.bincount(self.of_frame, minlength=len(names))
        self.turned = [k for k, name in enumerate(names) if name >= 0]

    def __len__(self) -> int:
        return len(self.angle)


def _angle_step(shape: tuple[int, ...]) -> float:
    """Choose the width of a bin by the size of the frames."""
    per_bin = 2 * (8 + 4) * shape[-2] * shape[-1]
    fitting = [step for step in ANGLE_STEPS if 360 / step * per_bin <= MAX_SUMS_BYTES]
    return fitting[0] if fitting else ANGLE_STEPS[-1]


def _middle_angles(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the angle of each frame's middle line, or of the known line next to it; 0 if none."""
    known = np.isfinite(lines)
    height = lines.shape[1]
    distance = np.abs(np.arange(height) - height // 2)
    nearest = np.argmin(np.where(known, distance, 2 * height), axis=1)
    return np.asarray(np.nan_to_num(lines[np.arange(len(lines)), nearest]))


class _Sums:
    """Sums over frames of which not all pixels are known."""

    def __init__(
        self,
        bins: _Bins,
        shape: tuple[int, ...],
        n_frames: int,
        reference: NDArray[Any],
        *,
        segments: Segments | None = None,
        side: int = 1,
    ) -> None:
        self._of_frame = bins.of_frame.astype(np.int64)
        self._segment = np.empty(0, np.int64) if segments is None else segments.of_frame
        small = (0 if segments is None else len(segments), *(n // side for n in shape))
        self._side = side
        self._segment_total = np.zeros(small)
        self._segment_count = np.zeros(small, np.int32)
        known = np.isfinite(reference)
        self._compared = known.astype(np.float64)
        self._reference = np.where(known, reference, 0.0).astype(np.float64)
        self.total = np.zeros((len(bins), *shape))
        self.count = np.zeros((len(bins), *shape), np.int32)
        self.sums = np.zeros((n_frames, 7))

    def add(
        self,
        start: int,
        frames: NDArray[Any],
        seen: NDArray[np.bool_],
        strip: tuple[int, int],
    ) -> NDArray[np.float64]:
        """Add some rows of frames; give their sums per frame."""
        from derotation.streaming import sums

        own = np.zeros((len(frames), sums.N_SUMS))
        which = slice(start, start + len(frames))
        sums.add_rows(
            np.ascontiguousarray(frames), seen, self._of_frame[which], self._segment[which],
            self._reference, self._compared, *strip,
            self.total, self.count, self._segment_total, self._segment_count, own,
        )  # fmt: skip
        return own

    def segment_means(self) -> NDArray[np.float32]:
        """Give the mean image of each segment; NaN where less than half of a square was seen."""
        n_frames = np.bincount(
            self._segment[self._segment >= 0], minlength=len(self._segment_total)
        )
        most = n_frames[:, np.newaxis, np.newaxis] * self._side**2
        mean = np.full(self._segment_total.shape, np.nan, np.float32)
        enough = 2 * self._segment_count >= np.maximum(most, 1)
        np.divide(
            self._segment_total, self._segment_count, out=mean, where=enough, casting="same_kind"
        )
        return mean

    def mean(self, bins: list[int] | slice) -> NDArray[np.float64]:
        """Give the mean image of the frames of some bins; NaN where no frame saw a pixel."""
        # One after the other: a choice of all the sums at once would be a copy of them.
        numbers = range(len(self.total))[bins] if isinstance(bins, slice) else bins
        total = np.zeros(self.total.shape[1:])
        count = np.zeros(self.count.shape[1:], np.int64)
        for b in numbers:
            total += self.total[b]
            count += self.count[b]
        return mean_of_known(total, count)

    def means(self, bins: list[int]) -> NDArray[np.float32]:
        """Give the mean image of each of some bins, shape (bin, y, x)."""
        images = np.empty((len(bins), *self.total.shape[1:]), np.float32)
        for image, b in zip(images, bins, strict=True):
            image[:] = self.mean([b])
        return images

    def correlation(self, averaged: NDArray[np.int64]) -> NDArray[np.float64]:
        """Correlate each frame with the reference (Pearson).

        The frames that the reference is the mean of are compared with the mean of the others: of
        few photons, a frame's noise is a good part of a mean of few frames.
        """
        _, n, f, ff, r, rr, fr = self.sums.T.copy()
        others, own = len(averaged) - 1, averaged
        if others > 0:
            every = len(averaged)
            rr[own] = (every**2 * rr[own] - 2 * every * fr[own] + ff[own]) / others**2
            fr[own] = (every * fr[own] - ff[own]) / others
            r[own] = (every * r[own] - f[own]) / others
        else:
            fr[own] = np.nan
        found = np.full(len(n), np.nan)
        # What rounding leaves of the variance of an even picture is no variance.
        variances = (n * ff - f * f) * (n * rr - r * r)
        real = variances > 1e-12 * n * ff * n * rr
        np.divide(n * fr - f * r, np.sqrt(np.where(real, variances, 1.0)), out=found, where=real)
        return found

    def brightness(self, offset: float) -> NDArray[np.float64]:
        """Compare the brightness of each frame with that of the reference in the same pixels."""
        _, n, f, _, r, _, _ = self.sums.T
        expected = r - n * offset
        found = np.full(len(n), np.nan)
        np.divide(f - n * offset, expected, out=found, where=expected > 0)
        return found


class _Highest:
    """Counts where the highest value was recorded."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.value = float("-inf")
        self.count = np.zeros(shape, np.int64)

    def add(self, frames: NDArray[Any]) -> None:
        """Look at some frames."""
        if not frames.size:
            return
        highest = float(
            frames.max() if frames.dtype.kind in "iu" else np.nanmax(frames, initial=-np.inf)
        )
        if highest > self.value:
            self.value = highest
            self.count[:] = 0
        if highest == self.value:
            self.count += np.count_nonzero(frames == highest, axis=0)


def _told_frame_rate(movie: Movie) -> float:
    """Give the rate of the movie's frames as its files tell it, Hz; NaN if they do not."""
    rate = movie.metadata.frame_rate
    if rate is None or len(movie) < 2:
        return float("nan")
    # Files tell how often the clock ticks; not each tick may be a frame of this movie.
    return rate / float(np.median(np.diff(movie.clock_index)))


def _choose_kept(angles: Angles, segments: Segments, movie: Movie) -> NDArray[np.int64]:
    """Choose turned frames of all segments, spread over angles, moving ones first; sorted."""
    frame_bytes = movie.shape[1] * movie.shape[2] * movie.dtype.itemsize
    n = min(N_KEPT, max(int(MAX_BYTES // frame_bytes), 1))
    usable = angles.line_usable.all(axis=1)
    middle = np.where(usable, angles.middle, 0.0)
    turned = usable & (np.abs(wrapped(middle)) > MIN_TURN)
    moving = np.where(usable, angles.swept, 0.0) > 0
    groups = [
        own[turned[own]] for own in map(segments.frames, np.flatnonzero(~segments.rest).tolist())
    ]
    chosen: list[NDArray[np.int64]] = []
    for numbers, share in zip(groups, _shares([len(own) for own in groups], n), strict=True):
        first = numbers[moving[numbers]]
        own = spread(first, middle[first], share)
        still = numbers[~moving[numbers]]
        chosen += [own, spread(still, middle[still], share - len(own))]
    return np.sort(np.concatenate([np.empty(0, np.int64), *chosen]))


def _shares(sizes: list[int], n: int) -> list[int]:
    """Share n places evenly among groups of these sizes; what small ones leave, others get."""
    shares, left = [0] * len(sizes), n
    order = sorted(range(len(sizes)), key=lambda k: sizes[k])
    for rank, k in enumerate(order):
        shares[k] = min(sizes[k], -(-left // (len(order) - rank)))
        left -= shares[k]
    return shares
