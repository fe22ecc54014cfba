"""Derotate a whole movie, chunk by chunk, in memory that does not grow with its length."""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from derotation.calibration.calibration import Calibration
from derotation.errors import InputError, MovieError
from derotation.images.offset import estimate_pmt_offset
from derotation.io.movie import Movie
from derotation.io.seen import SeenWriter
from derotation.io.tiff_writer import TiffStackWriter
from derotation.light.gain import evenly_lit
from derotation.maps import transforms
from derotation.maps.discs import disc
from derotation.maps.line_maps import Displaced, LineAngles, LineMaps
from derotation.maps.resample import derotate_frames
from derotation.maps.timing import LineTiming
from derotation.numerics.prefetch import ahead
from derotation.settings.defaults import complete
from derotation.signals.angles import Angles
from derotation.streaming.collector import Collector
from derotation.streaming.statistics import Statistics

__all__ = ["DerotationResult", "FurtherChannel", "derotate_movie"]

logger = logging.getLogger(__name__)

# Recorded frames of a chunk; with derotated ones, masks and maps, and with two more chunks that are
# read and written meanwhile, about 8 times as much is held.
CHUNK_BYTES = 16e6
# Frames on the contact sheet.
N_EXAMPLES = 12


class FurtherChannel(NamedTuple):
    """A channel that is derotated beside the one that calibrates."""

    movie: Movie
    """Its frames, as many as those of the other channel and of the same size and type."""
    output: str | os.PathLike[str] | None
    """The TIFF to be written, whole or not at all; None to compute only its mean."""


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


class _Block(NamedTuple):
    """Consecutive frames, the first of them numbered start."""

    start: int
    raw: NDArray[Any]
    derotated: NDArray[Any]
    seen: NDArray[np.bool_]
    further: list[tuple[NDArray[Any], NDArray[np.bool_]]]
    """The derotated frames of each further channel, and their pixels that hold something."""

    def copies_of(self, numbers: NDArray[np.int64]) -> dict[int, tuple[NDArray[Any], NDArray[Any]]]:
        """Copy those of some frames that are among these, as recorded and derotated."""
        places = numbers - self.start
        return {
            self.start + k: (self.raw[k].copy(), self.derotated[k].copy())
            for k in places[(places >= 0) & (places < len(self.raw))].tolist()
        }


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
        Frames worked on at once; by default what makes about 16 MB.
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
    first = _Light(gain, offset, _blank(settings["blank"], dark, "Pixels"))
    others = [_light_of(channel.movie, gain, settings["blank"]) for channel in further]
    mask = _mask((height, width), calibration, line_maps, settings["mask_diameter"])
    examples = _choose_examples(line_maps.angles)

    kept: dict[int, tuple[NDArray[Any], NDArray[Any]]] = {}
    collector = Collector(
        movie,
        line_maps,
        mask=mask,
        offset=dark if gain is None else offset,
        gain=gain,
        threads=threads,
    )
    means = [_Mean((height, width)) for _ in further]
    movies = [movie, *(channel.movie for channel in further)]
    frame_bytes = height * width * movie.dtype.itemsize * len(movies)
    per_chunk = frames_per_chunk or max(int(CHUNK_BYTES // frame_bytes), 1)
    blocks = _derotated(
        ahead(_together(movies, per_chunk)),
        line_maps,
        [first, *others],
        mask,
        interpolation=settings["interpolation"],
        dtype=kind,
        threads=threads,
    )
    outputs = [output, *(channel.output for channel in further)]
    with (
        _writing(outputs, seen_output, movie, kind, angles.frame_rate) as write,
        tqdm(total=n_frames, desc="derotate", unit="frame", disable=None) as bar,
    ):
        # A block is read, one derotated and one written at the same time.
        for block in ahead(blocks):
            write(block)
            collector.add(block.start, block.raw, block.derotated, block.seen)
            for mean, (frames, seen) in zip(means, block.further, strict=True):
                mean.add(frames, seen)
            kept |= block.copies_of(examples)
            bar.update(len(block.raw))
    further_means = {
        channel.movie.channel: mean.image(light.blank)
        for channel, light, mean in zip(further, others, means, strict=True)
    }
    result = _result(
        collector, examples, kept, float(first.blank), settings["blank"] is None, movie.channel,
        further_means,
    )  # fmt: skip
    _warn_of_gaps(further, means, round(float(result.statistics.coverage.sum() * mask.sum())))
    return result


class _Mean:
    """The mean of frames of which not all pixels are known."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._total, self.count = np.zeros(shape), np.zeros(shape, np.int64)

    def add(self, frames: NDArray[Any], seen: NDArray[np.bool_]) -> None:
        """Add frames (n, y, x) where they hold something."""
        for frame, there in zip(frames, seen, strict=True):
            np.add(self._total, frame, out=self._total, where=there)
            self.count += there

    def image(self, blank: float) -> NDArray[np.float32]:
        """Give the mean (y, x); blank where no frame holds anything."""
        image = np.full(self.count.shape, blank)
        np.divide(self._total, self.count, out=image, where=self.count > 0)
        return image.astype(np.float32)


def _warn_of_gaps(further: Sequence[FurtherChannel], means: Sequence[_Mean], n_seen: int) -> None:
    """Say where a further channel holds nothing although the first does: seen.npz tells one."""
    for channel, mean in zip(further, means, strict=True):
        missing = n_seen - int(mean.count.sum())
        if missing > 0:
            logger.warning(
                "Channel %d was not recorded (NaN) in %d of the %d pixels that the calibrating "
                "channel saw; they are blank in its movie, and its mean leaves them out, but "
                "seen.npz counts them as seen",
                channel.movie.channel, missing, n_seen,
            )  # fmt: skip


class _Light(NamedTuple):
    """What a channel's gray values mean."""

    gain: NDArray[np.float32] | None
    offset: float
    blank: float

    def even(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Make up for uneven illumination."""
        return raw if self.gain is None else evenly_lit(raw, self.gain, self.offset)


def _light_of(movie: Movie, gain: NDArray[np.float32] | None, blank: float | None) -> _Light:
    """Tell a further channel's own level without light."""
    dark = estimate_pmt_offset(movie)
    return _Light(gain, dark, _blank(blank, dark, f"In channel {movie.channel}, pixels"))


def _blank(given: float | None, dark: float, which: str) -> float:
    if given is None:
        logger.info("%s that no line saw get %g, the level of the darkest pixels", which, dark)
    return dark if given is None else given


def _together(
    movies: Sequence[Movie], frames_per_chunk: int
) -> Iterator[tuple[int, list[NDArray[Any]]]]:
    """Read the same frames of several channels, chunk by chunk."""
    for chunks in zip(*(movie.chunks(frames_per_chunk) for movie in movies), strict=True):
        yield chunks[0][0], [frames for _, frames in chunks]


def _derotated(
    blocks: Iterator[tuple[int, list[NDArray[Any]]]],
    line_maps: LineMaps,
    lights: Sequence[_Light],
    mask: NDArray[np.bool_],
    **how: Any,
) -> Iterator[_Block]:
    """Derotate blocks of frames of all channels, and blank what lies outside the mask.

    What a line saw it saw in all channels, so that only the first one is asked; but floats may be
    NaN in one channel alone.
    """
    for start, channels in blocks:
        maps = line_maps(slice(start, start + len(channels[0])))
        done: list[tuple[NDArray[Any], NDArray[np.bool_]]] = []
        for raw, light in zip(channels, lights, strict=True):
            derotated = derotate_frames(
                light.even(raw),
                maps,
                timing=line_maps.timing,
                blank=light.blank,
                keep_seen=not done or raw.dtype.kind == "f",
                **how,
            )
            seen = done[0][1] if derotated.seen is None else derotated.seen
            if not mask.all():
                derotated.frames[:, ~mask] = light.blank
                seen[:, ~mask] = False
            done.append((derotated.frames, seen))
        yield _Block(start, channels[0], *done[0], done[1:])


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


@contextlib.contextmanager
def _writing(
    outputs: Sequence[str | os.PathLike[str] | None],
    seen_output: str | os.PathLike[str] | None,
    movie: Movie,
    kind: np.dtype[Any],
    frame_rate: float,
) -> Iterator[Callable[[_Block], None]]:
    """Open what is to be written, a TIFF for each channel; gives what writes a block."""
    with contextlib.ExitStack() as stack:
        tiffs = [
            None
            if output is None
            else stack.enter_context(
                TiffStackWriter(
                    output,
                    movie.shape,
                    kind,
                    frame_interval_s=1 / frame_rate,
                    pixel_size_um=movie.metadata.pixel_size_um,
                )
            )
            for output in outputs
        ]
        masks = None
        if seen_output is not None:
            masks = stack.enter_context(SeenWriter(seen_output, movie.shape))

        def write(block: _Block) -> None:
            further = [frames for frames, _ in block.further]
            for tiff, frames in zip(tiffs, [block.derotated, *further], strict=True):
                if tiff is not None:
                    tiff.write(frames)
            if masks is not None:
                masks.write(block.seen)

        yield write


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


def _choose_examples(angles: LineAngles) -> NDArray[np.int64]:
    """Choose frames at rest and turning, spread over the angles; sorted by frame number."""
    middle = np.nan_to_num(angles.middle)
    turning = np.flatnonzero(np.ptp(np.nan_to_num(angles.line_angles), axis=1) > 0)
    resting = np.setdiff1d(np.arange(len(middle)), turning)
    order = turning[np.argsort(np.mod(middle[turning], 360), kind="stable")]
    n = min(len(order), N_EXAMPLES - 1)
    chosen = order[np.linspace(0, len(order) - 1, n).round().astype(int)] if n else order
    return np.unique(np.concatenate([resting[:1], chosen])).astype(np.int64)


def _result(
    collector: Collector,
    examples: NDArray[np.int64],
    kept: Mapping[int, tuple[NDArray[Any], NDArray[Any]]],
    blank: float,
    blank_estimated: bool,
    channel: int,
    further_means: dict[int, NDArray[np.float32]],
) -> DerotationResult:
    """Put together what is returned; pixels that were never seen get the blank value."""
    statistics = collector.result()

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
        examples=examples,
        raw_examples=np.stack([kept[int(frame)][0] for frame in examples]),
        derotated_examples=np.stack([kept[int(frame)][1] for frame in examples]),
        statistics=statistics,
        channel=channel,
        further_means=further_means,
    )
