"""Resample frames through one affine map per line: the one place where a movie is resampled."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from derotation.errors import InputError
from derotation.maps import transforms
from derotation.maps.timing import LineReference, LineTiming
from derotation.numerics.integers import clipped

__all__ = [
    "Derotated",
    "Interpolation",
    "LineReference",
    "LineTiming",
    "derotate_frames",
]

Interpolation = Literal["quadratic", "linear", "cubic", "nearest"]
ORDERS = {"linear": 1, "quadratic": 2, "cubic": 3}

# A row of the forward image is longer than a line by this many samples: at a pitch of a power of
# two a column of the image competes for a handful of cache lines (measured: 1.5 times slower).
FORWARD_PADDING = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Derotated:
    """Frames that stand still.

    Attributes
    ----------
    frames : ndarray of shape (frame, y, x)
    counts : ndarray of shape (frame,)
        Number of pixels of each frame that were seen; the others hold the blank value.
    seen : ndarray of bool, of the shape of `frames`, or None
        Which pixels were seen, if that was asked for.
    """

    frames: NDArray[Any]
    counts: NDArray[np.int64]
    seen: NDArray[np.bool_] | None

    @property
    def coverage(self) -> NDArray[np.float64]:
        """Fraction of the pixels of each frame that were seen."""
        n_pixels = self.frames.shape[1] * self.frames.shape[2]
        return np.asarray(self.counts / n_pixels, dtype=np.float64)


def derotate_frames(
    frames: ArrayLike,
    line_maps: ArrayLike,
    *,
    timing: LineTiming | None = None,
    interpolation: Interpolation = "quadratic",
    blank: float = 0,
    dtype: DTypeLike | None = None,
    threads: int = 1,
    keep_seen: bool = False,
) -> Derotated:
    """Put every line back in its place.

    Parameters
    ----------
    frames : array_like of shape (frame, y, x)
        Recorded frames, integer or floating, at least 2 x 2 pixels. NaN means "not recorded".
    line_maps : array_like of shape (frame, y, 2, 3)
        Map of each line from recorded to output positions (x, y), see
        :mod:`derotation.maps.transforms`; NaN for a line that must not be used.
    timing : LineTiming, optional
        When the samples within a line are recorded; by default all at the moment of the map.
    interpolation : {"linear", "quadratic", "cubic", "nearest"}
        All but "nearest" look up, for each output pixel, where and when it was seen, and
        interpolate between the recorded samples. "linear" is the fastest, and makes what is
        resampled darker by about 1 % where the sample is bright. "quadratic" adds what the second
        differences around say (exact for quadratic scenes: a parabola through four samples, in x
        and in y), which keeps the brightness. "cubic" is Keys' convolution [1]_, and across lines
        of opposite directions the cubic through four unevenly spaced samples. "nearest" puts each
        recorded sample at its rounded place, which leaves holes.
    blank : float
        Value of pixels that no line saw.
    dtype : data type, optional
        Of the output; by default that of `frames`. Integers are rounded, and clipped to the range.
    threads : int
        Number of threads that share the frames.
    keep_seen : bool
        Return the mask of the pixels that were seen.

    Returns
    -------
    Derotated
        Frames whose lines all have the identity as their map come back bit for bit, unless their
        odd lines are displaced (:attr:`LineTiming.phase_px`).

    Raises
    ------
    InputError
        If shapes do not agree, or the blank value does not fit the data type.

    References
    ----------
    .. [1] R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans.
       Acoust. Speech Signal Process. 29, 1153-1160 (1981), doi:10.1109/TASSP.1981.1163711
    """
    recorded = np.ascontiguousarray(frames)
    maps = np.ascontiguousarray(line_maps, dtype=np.float64)
    kind = np.dtype(recorded.dtype if dtype is None else dtype)
    _check(recorded, maps, kind, interpolation, blank, threads)
    timing = timing or LineTiming()

    out = np.empty(recorded.shape, kind)
    counts = np.zeros(len(recorded), np.int64)
    seen = np.empty(recorded.shape if keep_seen else (0, 0, 0), np.bool_)
    identity = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    at_rest = np.all(maps == identity, axis=(1, 2, 3)) & (timing.phase_px == 0)
    unknown = np.any(np.isnan(maps), axis=(2, 3)).all(axis=1)
    for f in np.flatnonzero(at_rest):
        known = ~np.isnan(recorded[f])
        # Floats are copied as they are, NaN and all; integers have no NaN.
        out[f] = recorded[f] if kind.kind == "f" else _cast(recorded[f], kind, known, blank)
        counts[f] = np.count_nonzero(known)
        if keep_seen:
            seen[f] = known
    out[unknown] = blank
    if keep_seen:
        seen[unknown] = False

    moving = np.flatnonzero(~at_rest & ~unknown)
    work_on = _worker(recorded, maps, timing, interpolation, blank, out, counts, seen)
    shares = [share for share in np.array_split(moving, threads) if share.size]
    if len(shares) > 1:
        with ThreadPoolExecutor(len(shares)) as pool:
            list(pool.map(work_on, shares))
    else:
        for share in shares:
            work_on(share)
    return Derotated(frames=out, counts=counts, seen=seen if keep_seen else None)


def _check(
    frames: NDArray[Any],
    maps: NDArray[np.float64],
    kind: np.dtype[Any],
    interpolation: str,
    blank: float,
    threads: int,
) -> None:
    if frames.ndim != 3 or min(frames.shape[1:]) < 2:
        msg = f"frames have the shape {frames.shape}; expected (frame, y, x), at least 2 x 2 pixels"
        raise InputError(msg)
    if frames.dtype.kind not in "iuf" or kind.kind not in "iuf":
        msg = f"frames of {frames.dtype} cannot become {kind}; integers and floats are supported"
        raise InputError(msg)
    if maps.shape != (*frames.shape[:2], 2, 3):
        msg = (
            f"line_maps have the shape {maps.shape}, but {len(frames)} frames of {frames.shape[1]} "
            f"lines need {(*frames.shape[:2], 2, 3)}"
        )
        raise InputError(msg)
    if interpolation not in get_args(Interpolation):
        msg = (
            f"interpolation is {interpolation!r}; allowed are {', '.join(get_args(Interpolation))}"
        )
        raise InputError(msg)
    if kind.kind in "iu":
        info = np.iinfo(kind)
        if not info.min <= blank <= info.max or blank != int(blank):
            msg = (
                f"the blank value {blank} does not fit {kind}; give a whole number from {info.min} "
                f"to {info.max}, or choose a floating data type"
            )
            raise InputError(msg)
    if threads < 1:
        msg = f"threads is {threads}; at least 1 is needed"
        raise InputError(msg)


def _cast(
    frame: NDArray[Any], kind: np.dtype[Any], known: NDArray[np.bool_], blank: float
) -> NDArray[Any]:
    """Cast a frame to integers: rounded, clipped, and blank where nothing is known."""
    if frame.dtype == kind:
        return frame
    rounded = np.where(known, np.floor(frame + 0.5), blank) if frame.dtype.kind == "f" else frame
    return clipped(rounded, kind)


def _worker(
    frames: NDArray[Any],
    maps: NDArray[np.float64],
    timing: LineTiming,
    interpolation: Interpolation,
    blank: float,
    out: NDArray[Any],
    counts: NDArray[np.int64],
    seen: NDArray[np.bool_],
) -> Callable[[NDArray[np.intp]], None]:
    """Prepare what all threads share; the function returned resamples the frames it is given."""
    from derotation.maps import kernels

    height, width = frames.shape[1:]
    slope = timing.line_duty / width
    # float32 holds every sample of up to 16 bits, and those of a float32 movie, exactly.
    exact = np.float32 if np.can_cast(frames.dtype, np.float32) else np.float64
    fill = out.dtype.type(blank)
    if interpolation == "nearest":

        def forward(share: NDArray[np.intp]) -> None:
            work = np.empty(height * (width + FORWARD_PADDING) + 1, exact)
            kernels.forward_frames(
                frames, maps, share, slope, timing.offset, timing.bidirectional,
                float(timing.phase_px), work, fill, out, counts, seen,
            )  # fmt: skip

        return forward

    scan: tuple[float, ...] = (slope, timing.offset)
    resample = kernels.inverse_frames
    if timing.bidirectional and (slope > 0 or timing.phase_px != 0):
        scan = (*scan, float(timing.phase_px))
        resample = kernels.inverse_frames_bidirectional
    inverse = transforms.invert(maps)
    integer = out.dtype.kind in "iu"
    low, high = (
        (float(np.iinfo(out.dtype).min), float(np.iinfo(out.dtype).max)) if integer else (0.0, 0.0)
    )

    def backward(share: NDArray[np.intp]) -> None:
        work = np.empty(kernels.padded_shape(height, width), exact)
        resample(
            frames, inverse, share, *scan, ORDERS[interpolation],
            frames.dtype.kind == "f", work, low, high, integer, fill, out, counts, seen,
        )  # fmt: skip

    return backward
