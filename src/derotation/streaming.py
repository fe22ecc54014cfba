"""Derotate a whole movie, chunk by chunk, in memory that does not grow with its length."""

import contextlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from derotation import transforms
from derotation.angles import Angles
from derotation.calibration import Calibration
from derotation.derotate import LineTiming, derotate_frames
from derotation.errors import InputError, MovieError
from derotation.io.files import TiffStackWriter
from derotation.io.movie import Movie
from derotation.offset import estimate_pmt_offset

__all__ = ["DerotationResult", "derotate_movie", "disc"]

logger = logging.getLogger(__name__)

DEFAULTS: dict[str, Any] = {
    "interpolation": "linear",
    "blank": None,
    "mask_diameter": None,
    "dtype": None,
}
# Recorded frames of a chunk; derotated ones, masks and maps come on top (about 3 times as much).
CHUNK_BYTES = 32e6
# Frames on the contact sheet.
N_EXAMPLES = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DerotationResult:
    """What is known about a movie after derotating it, besides the movie itself."""

    coverage: NDArray[np.float64]
    """Fraction of the pixels inside the mask that were seen, per frame."""
    mean: NDArray[np.float32]
    """Mean of the derotated movie over the frames that saw a pixel (y, x); blank if none did."""
    raw_mean: NDArray[np.float32]
    """Mean of the recorded movie (y, x)."""
    turned_mean: NDArray[np.float32]
    """Mean of the derotated movie over the frames recorded while the sample was turned."""
    raw_turned_mean: NDArray[np.float32]
    """Mean of those frames as recorded (y, x); smeared where the derotated one is sharp."""
    seen: NDArray[np.float32]
    """Fraction of the frames that saw each pixel (y, x)."""
    blank: float
    """Value of pixels that no line saw."""
    blank_estimated: bool
    """Whether the blank value was estimated from the movie rather than given."""
    examples: NDArray[np.int64]
    """Numbers of the frames kept as examples, by angle."""
    raw_examples: NDArray[Any]
    """Those frames as recorded (n, y, x)."""
    derotated_examples: NDArray[Any]
    """Those frames derotated (n, y, x)."""


def derotate_movie(
    movie: Movie,
    angles: Angles,
    calibration: Calibration,
    output: str | os.PathLike[str] | None,
    *,
    timing: LineTiming | None = None,
    movement: ArrayLike | None = None,
    gain: NDArray[np.float32] | None = None,
    offset: float = 0.0,
    config: Mapping[str, Any] | None = None,
    frames_per_chunk: int | None = None,
    threads: int = 1,
) -> DerotationResult:
    """Put every line of a movie back in its place and write the movie that stands still.

    Parameters
    ----------
    movie : Movie
        The recorded movie.
    angles : Angles
        Angles of all its lines; lines that are not usable stay blank.
    calibration : Calibration
        Center and plane of rotation.
    output : path or None
        The TIFF to be written, whole or not at all; None to compute only what is returned.
    timing : LineTiming, optional
        When the samples within a line are recorded; by default as `angles` says, in one direction.
    movement : array_like of shape (2, 3) or (3, 3), optional
        Map (x, y) from this session's field of view to that of the session to which it is
        aligned. The movie is drawn there, still in one resampling.
    gain : ndarray of shape (y, x), optional
        Factor that makes up for uneven illumination; it belongs to the microscope's field of view,
        so it is applied to what was recorded before it is resampled:
        ``offset + gain * (recorded - offset)``.
    offset : float
        What the detector gives without light, for `gain`.
    config : mapping, optional
        ``interpolation`` (linear, cubic, nearest), ``blank`` (number, or None for the PMT offset
        estimated from the movie), ``mask_diameter`` (pixels of a disc about the center of rotation
        outside which all is blank, or None) and ``dtype`` (None: as recorded).
    frames_per_chunk : int, optional
        Frames worked on at once; by default what makes about 32 MB.
    threads : int
        Threads that share the frames of a chunk.

    Returns
    -------
    DerotationResult

    Raises
    ------
    MovieError
        If movie, angles and calibration do not belong together.
    InputError
        If the gain has not the shape of a frame.
    """
    settings = DEFAULTS | dict(config or {})
    timing = timing or LineTiming(line_duty=angles.line_duty)
    _check_together(movie, angles, calibration, gain)
    n_frames, height, width = movie.shape
    kind = np.dtype(settings["dtype"] or movie.dtype)
    blank = settings["blank"]
    if blank is None:
        blank = estimate_pmt_offset(movie)
        logger.info("Pixels that no line saw get %g, the level of the darkest pixels", blank)
    center = calibration.center
    if movement is not None:
        center = tuple(transforms.apply(np.asarray(movement)[:2], center))
    mask = disc((height, width), center, settings["mask_diameter"])
    examples = _choose_examples(angles)

    turned = np.any(np.nan_to_num(angles.line_angles) != 0, axis=1)
    totals = _Totals((n_frames, height, width), turned, examples, mask)
    frame_bytes = height * width * movie.dtype.itemsize
    per_chunk = frames_per_chunk or max(int(CHUNK_BYTES // frame_bytes), 1)
    writer = (
        TiffStackWriter(
            Path(output),
            (n_frames, height, width),
            kind,
            frame_interval_s=1 / angles.frame_rate,
            pixel_size_um=movie.metadata.pixel_size_um,
        )
        if output is not None
        else contextlib.nullcontext()
    )
    with writer as sink, tqdm(total=n_frames, desc="derotate", unit="frame", disable=None) as bar:
        for start, block in movie.chunks(per_chunk):
            part = slice(start, start + len(block))
            derotated = derotate_frames(
                block if gain is None else _evenly_lit(block, gain, offset),
                calibration.line_maps(angles.line_angles[part], movement),
                timing=timing,
                interpolation=settings["interpolation"],
                blank=blank,
                dtype=kind,
                threads=threads,
                keep_seen=True,
            )
            assert derotated.seen is not None
            if not mask.all():
                derotated.frames[:, ~mask] = blank
                derotated.seen[:, ~mask] = False
            if sink is not None:
                sink.write(derotated.frames)
            totals.add(start, block, derotated.frames, derotated.seen)
            bar.update(len(block))
    return totals.result(blank, settings["blank"] is None)


def disc(
    shape: tuple[int, int], center: tuple[float, float], diameter: float | None
) -> NDArray[np.bool_]:
    """Mark the pixels (y, x) within a disc about a center (x, y); all of them without a diameter.

    Parameters
    ----------
    shape : tuple of int
        Height and width.
    center : tuple of float
        (x, y) in pixels.
    diameter : float or None
        Pixels.
    """
    if diameter is None:
        return np.ones(shape, np.bool_)
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((x - center[0]) ** 2 + (y - center[1]) ** 2 <= (diameter / 2) ** 2)


def _evenly_lit(
    frames: NDArray[Any], gain: NDArray[np.float32], offset: float
) -> NDArray[np.float32]:
    """Undo uneven illumination in recorded frames; the kernel rounds them to integers again."""
    lit = frames.astype(np.float32)
    lit -= np.float32(offset)
    lit *= gain
    lit += np.float32(offset)
    return lit


def _check_together(
    movie: Movie, angles: Angles, calibration: Calibration, gain: NDArray[np.float32] | None
) -> None:
    n_frames, height, width = movie.shape
    if gain is not None and gain.shape != (height, width):
        msg = (
            f"the gain has the shape {gain.shape}, but {movie.paths[0]} has frames of "
            f"{(height, width)} (height, width); estimate the illumination from this movie again"
        )
        raise InputError(msg)
    if angles.line_angles.shape != (n_frames, height):
        found_frames, found_lines = angles.line_angles.shape
        msg = (
            f"{movie.paths[0]}: the movie has {n_frames} frames of {height} lines, but there are "
            f"angles for {found_frames} frames of {found_lines} lines; parse the signals again "
            "with this movie"
        )
        raise MovieError(msg)
    calibration.check_shape(movie.shape, str(movie.paths[0]))


def _choose_examples(angles: Angles) -> NDArray[np.int64]:
    """Choose frames at rest and turning, spread over the angles; sorted by frame number."""
    middle = np.nan_to_num(angles.frame_angles)
    turning = np.flatnonzero(np.ptp(np.nan_to_num(angles.line_angles), axis=1) > 0)
    resting = np.setdiff1d(np.arange(len(middle)), turning)
    order = turning[np.argsort(np.mod(middle[turning], 360), kind="stable")]
    n = min(len(order), N_EXAMPLES - 1)
    chosen = order[np.linspace(0, len(order) - 1, n).round().astype(int)] if n else order
    return np.unique(np.concatenate([resting[:1], chosen])).astype(np.int64)


class _Totals:
    """Sums over the frames as they pass by."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        turned: NDArray[np.bool_],
        examples: NDArray[np.int64],
        mask: NDArray[np.bool_],
    ) -> None:
        self._coverage = np.zeros(shape[0])
        self._all, self._raw, self._turned, self._raw_turned = (_Mean(shape[1:]) for _ in range(4))
        self._is_turned, self._examples, self._mask = turned, examples, mask
        self._kept: dict[int, tuple[NDArray[Any], NDArray[Any]]] = {}

    def add(
        self,
        start: int,
        raw: NDArray[Any],
        derotated: NDArray[Any],
        seen: NDArray[np.bool_],
    ) -> None:
        turned = self._is_turned[start : start + len(raw)]
        self._all.add(derotated, seen)
        self._raw.add(raw, None)
        self._turned.add(derotated[turned], seen[turned])
        self._raw_turned.add(raw[turned], None)
        self._coverage[start : start + len(raw)] = seen.sum(axis=(1, 2)) / self._mask.sum()
        for frame in self._examples[
            (self._examples >= start) & (self._examples < start + len(raw))
        ]:
            self._kept[int(frame)] = (raw[frame - start].copy(), derotated[frame - start].copy())

    def result(self, blank: float, blank_estimated: bool) -> DerotationResult:
        kept = [self._kept[int(frame)] for frame in self._examples]
        return DerotationResult(
            coverage=self._coverage,
            mean=self._all.mean(blank),
            raw_mean=self._raw.mean(blank),
            turned_mean=self._turned.mean(blank),
            raw_turned_mean=self._raw_turned.mean(blank),
            seen=(self._all.count / len(self._coverage)).astype(np.float32),
            blank=float(blank),
            blank_estimated=blank_estimated,
            examples=self._examples,
            raw_examples=np.stack([raw for raw, _ in kept]),
            derotated_examples=np.stack([derotated for _, derotated in kept]),
        )


class _Mean:
    """Mean image of frames of which not all pixels are known."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.total, self.count = np.zeros(shape), np.zeros(shape, np.int64)

    def add(self, frames: NDArray[Any], seen: NDArray[np.bool_] | None) -> None:
        """Add frames (n, y, x); only what was seen and is not NaN counts."""
        if frames.dtype.kind == "f":
            known = np.isfinite(frames)
            seen = known if seen is None else seen & known
        if seen is None:
            self.total += frames.sum(axis=0, dtype=np.float64)
            self.count += len(frames)
        else:
            self.total += np.sum(frames, axis=0, dtype=np.float64, where=seen)
            self.count += seen.sum(axis=0)

    def mean(self, blank: float) -> NDArray[np.float32]:
        """Give the mean; blank where nothing is known."""
        mean = np.full(self.total.shape, blank, np.float64)
        np.divide(self.total, self.count, out=mean, where=self.count > 0)
        return mean.astype(np.float32)
