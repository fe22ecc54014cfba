"""Derotate a whole movie, chunk by chunk, in memory that does not grow with its length."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from derotation.calibration.calibration import Calibration
from derotation.errors import InputError, MovieError
from derotation.images.offset import estimate_pmt_offset
from derotation.io.movie import Movie
from derotation.maps import transforms
from derotation.maps.discs import disc
from derotation.maps.line_maps import Displaced, LineAngles, LineMaps
from derotation.maps.shapes import check_lines
from derotation.maps.timing import LineTiming
from derotation.numerics.by_rows import by_rows
from derotation.numerics.prefetch import ahead
from derotation.numerics.thinning import thinned
from derotation.settings.defaults import complete
from derotation.signals.angles import Angles
from derotation.streaming.blocks import Block, derotated_blocks, read_together, writing
from derotation.streaming.channels import FurtherChannel, FurtherMeans, Light
from derotation.streaming.collector import Collector
from derotation.streaming.statistics import Statistics

__all__ = ["DerotationResult", "derotate_movie"]

# Recorded frames of a chunk, but up to the second if there are more threads than frames in the
# first; with derotated ones, masks and maps, and with two more chunks that are read and written
# meanwhile, about 8 times as much is held. Four times as much at once takes longer, not less: it
# leaves the processor's cache between two looks.
CHUNK_BYTES, MOST_CHUNK_BYTES = 4e6, 16e6
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
    statistics: Statistics
    """What was learned about the frames, for :mod:`derotation.quality.measure`."""
    channel: int
    """Number of the channel that all this is about."""
    further_means: dict[int, NDArray[np.float32]]
    """The same as `mean` for each further channel, by its number."""


def derotate_movie(
    movie: Movie,
    angles: Angles,
    calibration: Calibration,
    output: str | os.PathLike[str] | None,
    *,
    seen_output: str | os.PathLike[str] | None = None,
    timing: LineTiming | None = None,
    movement: ArrayLike | None = None,
    motion: Displaced | None = None,
    gain: NDArray[np.float32] | None = None,
    offset: float = 0.0,
    further: Sequence[FurtherChannel] = (),
    config: Mapping[str, Any] | None = None,
    frames_per_chunk: int | None = None,
    threads: int = 1,
) -> DerotationResult:
    """Put every line of a movie back in its place and write the movie that stands still.

    A sample at p = (x, y), in pixels, on a line with the angle a goes to
    ``R(a) (p - center) + center``, R(a) = [[cos a, sin a], [-sin a, cos a]], with tilt, wobble and
    movement in the same map (:mod:`derotation.maps.line_maps`). Angles are degrees, positive where
    the sample had turned clockwise on a screen whose y axis points down.

    Parameters
    ----------
    movie : Movie
        The recorded movie.
    angles : Angles
        Angles of all its lines, as the signals tell them; lines that are not usable stay blank.
    calibration : Calibration
        Center, plane and all other corrections; its lag is applied here.
    output : path or None
        The TIFF to be written, whole or not at all; None to compute only what is returned.
    seen_output : path, optional
        Where to write which pixels each frame saw, see :mod:`derotation.io.seen`.
    timing : LineTiming, optional
        When the samples within a line are recorded; by default as `angles` says, in one direction.
    movement : array_like of shape (2, 3) or (3, 3), optional
        Map (x, y) from this session's field of view to that of the session to which it is
        aligned. The movie is drawn there, still in one resampling.
    motion : Motion, optional
        How the sample moved during the session; corrected in the same resampling if it matters.
    gain : ndarray of shape (y, x), optional
        Factor that makes up for uneven illumination; it belongs to the microscope's field of view,
        so it is applied to what was recorded before it is resampled:
        ``offset + gain * (recorded - offset)``.
    offset : float
        What the detector gives without light, for `gain`.
    further : sequence of FurtherChannel, optional
        Channels recorded at the same moments. They go through the same maps in the same pass; gain
        and mask are those of `movie`, while the level without light is each channel's own, and so
        is the blank value unless it is given. Everything else that is returned is about `movie`.
    config : mapping, optional
        ``interpolation`` (quadratic, linear, cubic, nearest), ``blank`` (number, or None for the
        PMT offset estimated from the movie), ``mask_diameter`` (pixels of a disc about the center
        of rotation outside which all is blank, or None) and ``dtype`` (None: as recorded).
    frames_per_chunk : int, optional
        Frames worked on at once; by default what makes about 4 MB.
    threads : int
        Threads that share the frames of a chunk.

    Returns
    -------
    DerotationResult

    Raises
    ------
    MovieError
        If movie, angles, calibration and further channels do not belong together.
    InputError
        If the gain has not the shape of a frame.
    """
    settings = complete("derotate", config)
    line_maps = LineMaps.of(angles, calibration, timing=timing, movement=movement, motion=motion)
    _check_together(movie, angles, calibration, gain)
    for channel in further:
        _check_alike(movie, channel.movie)
    n_frames, height, width = movie.shape
    kind = np.dtype(settings["dtype"] or movie.dtype)
    dark = estimate_pmt_offset(movie)
    first = Light.of_first(gain, offset, settings["blank"], dark)
    others = [Light.of_further(channel.movie, gain, settings["blank"]) for channel in further]
    mask = _mask((height, width), calibration, line_maps, settings["mask_diameter"])

    examples = _Examples(line_maps.angles)
    collector = Collector(
        movie,
        line_maps,
        mask=mask,
        offset=dark if gain is None else offset,
        gain=gain,
        threads=threads,
    )
    means = FurtherMeans(further, (height, width))
    movies = [movie, *(channel.movie for channel in further)]
    frame_bytes = height * width * movie.dtype.itemsize * len(movies)
    per_chunk = frames_per_chunk or _frames_at_once(frame_bytes, threads)
    blocks = derotated_blocks(
        ahead(read_together(movies, per_chunk)),
        line_maps,
        [first, *others],
        mask,
        interpolation=settings["interpolation"],
        dtype=kind,
        threads=threads,
    )
    outputs = [output, *(channel.output for channel in further)]
    with (
        writing(outputs, seen_output, movie, kind, angles.frame_rate) as write,
        tqdm(total=n_frames, desc="derotate", unit="frame", disable=None) as bar,
    ):
        # A block is read, one derotated and one written at the same time.
        for block in ahead(blocks):
            write(block)
            collector.add(block.start, block.raw, block.derotated, block.seen)
            means.add(block.further)
            examples.add(block)
            bar.update(len(block.raw))
    result = _result(
        collector,
        examples,
        blank=float(first.blank),
        blank_estimated=settings["blank"] is None,
        channel=movie.channel,
        further_means=means.images(others),
    )
    means.warn_of_gaps(round(float(result.coverage.sum() * mask.sum())))
    return result


def _mask(
    shape: tuple[int, int],
    calibration: Calibration,
    line_maps: LineMaps,
    diameter: float | None,
) -> NDArray[np.bool_]:
    """Mark what is not blank on purpose: a disc about the center, which moves with the sample."""
    center = calibration.center
    if line_maps.movement is not None:
        center = tuple(transforms.apply(line_maps.movement, center))
    mask = disc(shape, center, diameter)
    if not mask.any():
        x, y = center
        msg = (
            f"derotate.mask_diameter is {diameter:g}, but no pixel of the picture ({shape[1]} x "
            f"{shape[0]}, width x height) lies within such a disc about the center of rotation, "
            f"({x:.1f}, {y:.1f}): correct the center, or leave the mask out (null)"
        )
        raise InputError(msg)
    return mask


def _check_alike(movie: Movie, other: Movie) -> None:
    """Refuse a further channel that was not recorded together with the first."""
    if (movie.shape, movie.dtype) != (other.shape, other.dtype):
        msg = (
            f"{other.paths[0]}, channel {other.channel}: {other.shape} (frames, height, width) of "
            f"{other.dtype}, but channel {movie.channel} has {movie.shape} of {movie.dtype}; only "
            "channels that were recorded together can be derotated together (movie.channels)"
        )
        raise MovieError(msg)


def _check_together(
    movie: Movie, angles: Angles, calibration: Calibration, gain: NDArray[np.float32] | None
) -> None:
    _, height, width = movie.shape
    if gain is not None and gain.shape != (height, width):
        msg = (
            f"the gain has the shape {gain.shape}, but {movie.paths[0]} has frames of "
            f"{(height, width)} (height, width); estimate the illumination from this movie again"
        )
        raise InputError(msg)
    check_lines(angles, movie.shape, str(movie.paths[0]))
    calibration.check_shape(movie.shape, str(movie.paths[0]))


def _frames_at_once(frame_bytes: int, threads: int) -> int:
    """Choose how many frames are worked on at once: one per thread, if they are not too large."""
    per_thread = min(threads, int(MOST_CHUNK_BYTES // frame_bytes))
    return max(int(CHUNK_BYTES // frame_bytes), per_thread, 1)


class _Examples:
    """Some frames at rest and turning, spread over the angles, kept as they pass by."""

    def __init__(self, angles: LineAngles) -> None:
        middle = np.nan_to_num(angles.middle)
        swept = by_rows(lambda lines: np.ptp(np.nan_to_num(lines), axis=1), angles.line_angles)
        turning = np.flatnonzero(swept > 0)
        resting = np.setdiff1d(np.arange(len(middle)), turning)
        order = turning[np.argsort(np.mod(middle[turning], 360), kind="stable")]
        chosen = thinned(order, N_EXAMPLES - 1)
        self.numbers = np.unique(np.concatenate([resting[:1], chosen])).astype(np.int64)
        self._kept: list[tuple[NDArray[Any], NDArray[Any]]] = []

    def add(self, block: Block) -> None:
        """Copy those that are among these frames, as recorded and derotated."""
        places = self.numbers - block.start
        for k in places[(places >= 0) & (places < len(block.raw))]:
            self._kept.append((block.raw[k].copy(), block.derotated[k].copy()))

    def frames(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Give them as recorded, and derotated, (n, y, x) each."""
        raw, derotated = zip(*self._kept, strict=True)
        return np.stack(raw), np.stack(derotated)


def _result(
    collector: Collector,
    examples: _Examples,
    *,
    blank: float,
    blank_estimated: bool,
    channel: int,
    further_means: dict[int, NDArray[np.float32]],
) -> DerotationResult:
    """Put together what is returned; pixels that were never seen get the blank value."""
    statistics = collector.result()
    raw_examples, derotated_examples = examples.frames()

    def filled(image: NDArray[Any]) -> NDArray[np.float32]:
        return np.where(np.isnan(image), blank, image).astype(np.float32)

    return DerotationResult(
        coverage=statistics.coverage,
        mean=filled(collector.mean()),
        raw_mean=filled(collector.raw_mean()),
        turned_mean=filled(statistics.turned_mean),
        raw_turned_mean=filled(statistics.raw_turned_mean),
        seen=collector.seen().astype(np.float32),
        blank=blank,
        blank_estimated=blank_estimated,
        examples=examples.numbers,
        raw_examples=raw_examples,
        derotated_examples=derotated_examples,
        statistics=statistics,
        channel=channel,
        further_means=further_means,
    )
