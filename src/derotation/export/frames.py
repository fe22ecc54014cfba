"""The derotated movie as whole numbers of 16 bits, without holes: what Suite2p reads."""

import logging
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.io.movie import Movie
from derotation.io.seen import SeenPixels
from derotation.numerics.integers import clipped
from derotation.numerics.prefetch import ahead

__all__ = ["FilledFrames", "fill_image"]

logger = logging.getLogger(__name__)

Fill = Literal["mean_image", "mean", "low"]
LOW_PERCENTILE = 10
# Pixels that (nearly) all frames saw: what tells how bright the sample is.
_ALWAYS = 0.999
# Floats that are rounded to fewer steps than these between their extremes lose their signal.
_FEWEST_STEPS = 20
# What the caches of a processor hold: several times as fast as from memory.
_CHUNK_BYTES = 8e6


def fill_image(
    how: Fill | float, mean: NDArray[np.float32], coverage: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Say what pixels get that a frame did not see.

    Parameters
    ----------
    how : {"mean_image", "mean", "low"} or number
        mean_image: each pixel its own mean over the frames that saw it, and "mean" where none did;
        mean: the mean of the mean image where (nearly) all frames saw it; low: its 10th percentile
        there; or a value.
    mean : ndarray of shape (y, x)
        Mean of the derotated movie over the frames that saw a pixel.
    coverage : ndarray of shape (y, x)
        Fraction of the frames that saw each pixel.

    Returns
    -------
    ndarray of shape (y, x)
        In gray values of the derotated movie.

    Raises
    ------
    InputError
        If no pixel was ever seen.
    """
    if not isinstance(how, str):
        return np.full(mean.shape, how, np.float32)
    if not coverage.max() > 0:
        msg = "no line of the movie could be used, so there is nothing to export; see angles.csv"
        raise InputError(msg)
    known = mean[coverage >= _ALWAYS * coverage.max()]
    if how == "low":
        return np.full(mean.shape, np.percentile(known, LOW_PERCENTILE), np.float32)
    typical = np.full(mean.shape, known.mean(), np.float32)
    return typical if how == "mean" else np.where(coverage > 0, mean, typical)


class FilledFrames:
    """Reads a derotated movie, fills what was not seen, and turns it into 16-bit integers.

    Parameters
    ----------
    movie : Movie
        The derotated movie.
    seen : SeenPixels
        Which of its pixels were seen.
    fill : ndarray of shape (y, x)
        What the others get, gray values of the movie.
    scale : float
        Factor of all values.
    """

    def __init__(
        self,
        movie: Movie,
        seen: SeenPixels,
        fill: NDArray[np.float32],
        scale: float = 1.0,
    ) -> None:
        self.movie, self.scale = movie, scale
        self._seen = seen
        self._fill = fill if movie.dtype.kind == "f" else _rounded(fill, movie.dtype)
        self._low, self._high = np.inf, -np.inf

    @property
    def value_range(self) -> tuple[float, float]:
        """Least and largest value among the frames that were read, before scaling."""
        return float(self._low), float(self._high)

    def blocks(self, frames_per_chunk: int | None = None) -> Iterator[NDArray[np.int16]]:
        """Give the movie block by block (n, y, x); the next is prepared while one is used.

        Raises
        ------
        InputError
            If values do not fit; the message says which scale would do.
        """
        _, height, width = self.movie.shape
        frame_bytes = height * width * self.movie.dtype.itemsize
        size = frames_per_chunk or max(int(_CHUNK_BYTES // frame_bytes), 1)
        yield from ahead(self._whole(self.movie.chunks(size)))
        self._check_steps()

    def _whole(self, chunks: Iterator[tuple[int, NDArray[Any]]]) -> Iterator[NDArray[np.int16]]:
        """Fill and cast blocks."""
        for start, raw in chunks:
            self._fill_in(start, raw)
            frames = self._sixteen_bits(start, raw)
            if frames is None:
                raise self._does_not_fit(chunks)
            yield frames

    def _fill_in(self, start: int, frames: NDArray[Any]) -> None:
        """Replace what was not seen, in place."""
        for k, unseen in self._seen.holes(start, start + len(frames)):
            np.copyto(frames[k], self._fill, where=unseen)

    def _sixteen_bits(self, start: int, raw: NDArray[Any]) -> NDArray[np.int16] | None:
        """Scale, round and cast; None if the values do not fit into 16 bits."""
        low, high = raw.min(), raw.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            msg = (
                f"{self.movie.paths[0]}: among the frames {start} to {start + len(raw) - 1} is a "
                "value that is no number where a line saw the pixel; the file does not belong to "
                "these angles: remove it and run derotate_movie again"
            )
            raise InputError(msg)
        self._low, self._high = min(self._low, float(low)), max(self._high, float(high))
        info = np.iinfo(np.int16)
        limits = np.rint(np.array([low, high], np.float64) * self.scale)
        if limits.min() < info.min or limits.max() > info.max:
            return None
        if self.scale == 1 and raw.dtype.kind in "iu":
            # Values below 32768 have the same bits in uint16 and int16.
            whole = raw.view(np.int16) if raw.dtype.itemsize == 2 else raw
            return whole.astype("<i2", copy=False)
        scaled = raw * np.float32(self.scale) if raw.dtype.itemsize < 4 else raw * self.scale
        return np.asarray(np.rint(scaled, out=scaled).astype("<i2"))

    def _does_not_fit(self, rest: Iterator[tuple[int, NDArray[Any]]]) -> InputError:
        """Look through the rest of the movie, so that the advice holds for all of it."""
        for start, raw in rest:
            self._fill_in(start, raw)
            self._low = min(self._low, float(raw.min()))
            self._high = max(self._high, float(raw.max()))
        info = np.iinfo(np.int16)
        ratios = [
            limit / value
            for limit, value in ((info.max, self._high), (info.min, self._low))
            if value * limit > 0
        ]
        # Two digits, rounded down: what is printed must do.
        most = min(ratios)
        digits = 10.0 ** (np.floor(np.log10(most)) - 1)
        advice = float(np.floor(most / digits) * digits)
        return InputError(
            f"{self.movie.paths[0]} holds values from {self._low:g} to {self._high:g}, times "
            f"export.scale ({self.scale:g}); Suite2p's files hold whole numbers from {info.min} to "
            f"{info.max}. Set export.scale to {advice:.2g} or less; all values are multiplied by it"
        )

    def _check_steps(self) -> None:
        """Refuse floats of which rounding leaves nothing."""
        spread = (self._high - self._low) * self.scale
        if self.movie.dtype.kind == "f" and 0 < spread < _FEWEST_STEPS:
            least = 1000 / (self._high - self._low)
            msg = (
                f"{self.movie.paths[0]} holds values from {self._low:g} to {self._high:g}; as "
                f"Suite2p needs whole numbers, only {spread:.0f} steps are left of them. Set "
                f"export.scale to {least:.2g} or so; all values are multiplied by it"
            )
            raise InputError(msg)


def _rounded(fill: NDArray[np.float32], kind: np.dtype[Any]) -> NDArray[Any]:
    return clipped(np.rint(fill.astype(np.float64)), kind)
