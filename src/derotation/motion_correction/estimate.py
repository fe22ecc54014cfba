"""Find how the sample moved in its own plane during a session."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from derotation.calibration.calibration import Calibration
from derotation.calibration.judge import LIMITS
from derotation.estimates import Estimate, Verdict
from derotation.images.choosing import reference_frames
from derotation.images.offset import estimate_pmt_offset, lit_frames
from derotation.io.movie import Movie
from derotation.maps.line_maps import LineMaps
from derotation.maps.timing import LineTiming
from derotation.motion_correction.measure import (
    Measured,
    derotated,
    in_blocks,
    measure,
    side_by_side,
    small_by,
    small_maps,
)
from derotation.motion_correction.motion import Motion
from derotation.motion_correction.reference import build_reference, sample_frames
from derotation.motion_correction.verdicts import about_center, decide
from derotation.numerics.paths import Path, smooth
from derotation.numerics.prefetch import ahead
from derotation.numerics.rhythms import told_size
from derotation.numerics.thinning import thinned
from derotation.settings.defaults import complete
from derotation.signals.angles import Angles

__all__ = ["MotionEstimate", "estimate_motion"]

logger = logging.getLogger(__name__)

NDFloat = NDArray[np.float64]

CHUNK_BYTES = 16e6
# The path is told at so many times per frame: between them it is drawn straight.
KNOTS = 8
# So many frames tell how long a line takes.
PERIOD_FRAMES = 100
# Motion matters if its root mean square exceeds LIMITS.min_effect_px and so many uncertainties, of
# x and y together.
MIN_ERRORS = 2.0
# Cells that become active pull at frames for as long as they glow, so that a smooth path follows
# them, which its own scatter does not tell. So much is left of it in simulated samples that hold
# still (px in x and in y), where the picture has PULLED_SIDE² pixels with 60 cells; the fewer there
# are the more each of them pulls.
PULLED_PX, PULLED_SIDE = 0.015, 256
# This part of all lines is displaced by less than what is said.
MOST = 0.95
# Frames that correlate with the reference less than this part of the usual, and by so many standard
# deviations, cannot be mended by a shift.
LOST, LOST_SD = 0.6, 6.0
MIN_FRAMES = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MotionEstimate(Estimate):
    """The sample's motion, and what it was found from."""

    motion: Motion
    """Where the sample was at any time."""
    frame_places: NDFloat
    """Displacement (x, y) in the middle of each frame, px, shape (frame, 2)."""
    measured: NDFloat
    """What was measured in each frame by itself, (frame, 2); NaN where that was not possible."""
    correlation: NDFloat
    """Correlation of each frame with the mean of all, once it is shifted, (frame,)."""
    jumps: NDArray[np.int64]
    """Frames at which the sample jumped."""
    frame_times_s: NDFloat
    """The middle of each frame, s, (frame,)."""
    frame_sd: NDFloat
    """Standard uncertainty of the displacement in the middle of each frame, px, (frame,)."""


def estimate_motion(
    movie: Movie,
    angles: Angles,
    calibration: Calibration,
    config: Mapping[str, Any] | None = None,
    *,
    timing: LineTiming | None = None,
    frames_per_chunk: int | None = None,
    threads: int = 1,
) -> MotionEstimate:
    """Find the displacement of the sample, in its own frame, at any time of a session.

    Parameters
    ----------
    movie : Movie
        The recorded movie; all of it is read once, in bounded memory.
    angles : Angles
        Angles of all lines, as the signals tell them.
    calibration : Calibration
        Of this session or of another one.
    config : mapping, optional
        Section ``motion_correction``: ``n_frames`` that make up what frames are compared with.
        (``correct`` says whether motion is looked for at all, and is not read here.)
    timing : LineTiming, optional
        When the samples within a line are recorded; by default as `angles` says.
    frames_per_chunk : int, optional
        Frames held in memory at a time.
    threads : int
        Threads that share the frames.

    Returns
    -------
    MotionEstimate
        ``motion.corrected`` says whether it is significant and matters.

    Raises
    ------
    ConfigError
        If an option is not allowed.
    InputError
        If movie and calibration do not belong together.

    Notes
    -----
    Each frame is derotated and compared with the mean of derotated frames in up to eight bands of
    lines (:mod:`derotation.motion_correction.measure`); the path through what was measured is as
    smooth as the measurements ask for (:mod:`derotation.numerics.paths`). A center that is wrong
    moves derotated frames, too, so that this makes up for small errors of the calibration.
    """
    settings = complete("motion_correction", config)
    calibration.check_shape(movie.shape, str(movie.paths[0]))
    line_maps = LineMaps.of(angles, calibration, timing=timing)
    usable = np.flatnonzero(line_maps.angles.line_usable.all(axis=1))
    if len(usable) < MIN_FRAMES:
        return _nothing(movie, line_maps, "only {n} of its frames have a known angle", len(usable))
    offset = estimate_pmt_offset(movie)
    chosen = _lit(movie, thinned(usable, int(settings["n_frames"])), offset)
    if len(chosen) < MIN_FRAMES:
        return _nothing(movie, line_maps, "only {n} of the frames looked at are lit", len(chosen))
    sample = sample_frames(movie, chosen, line_maps, threads)
    reference = build_reference(sample, offset, small_by(movie.shape), threads)
    del sample

    frame_bytes = movie.shape[1] * movie.shape[2] * movie.dtype.itemsize
    per_chunk = frames_per_chunk or max(int(CHUNK_BYTES // frame_bytes), 1)
    parts: list[Measured] = []
    with tqdm(total=len(movie), desc="motion", unit="frame", disable=None) as bar:
        for first, raw in ahead(movie.chunks(per_chunk)):
            maps, timing = small_maps(line_maps, slice(first, first + len(raw)), raw.shape)

            def look(
                part: slice,
                raw: NDArray[Any] = raw,
                maps: NDFloat = maps,
                timing: LineTiming = timing,
            ) -> Measured:
                return measure(derotated(raw[part], maps[part], timing), reference)

            parts += side_by_side(look, in_blocks(raw.shape), threads)
            bar.update(len(raw))
    found = Measured.joined(parts)
    del parts
    return _conclude(found, movie, line_maps, offset)


def _lit(movie: Movie, numbers: NDArray[np.int64], offset: float) -> NDArray[np.int64]:
    """Leave out frames that were recorded without light."""
    brightness = [
        np.nanmean(movie.read(numbers[part]), axis=(1, 2), dtype=np.float64)
        for part in in_blocks((len(numbers), *movie.shape[1:]))
    ]
    lit = lit_frames(np.concatenate(brightness) - offset)
    return numbers[lit] if lit.any() else numbers


def _conclude(found: Measured, movie: Movie, line_maps: LineMaps, offset: float) -> MotionEstimate:
    """Draw a path through what was measured, and decide whether it is corrected."""
    # A frame without light shows nothing that could be displaced, whatever its noise looks like.
    lit = lit_frames(found.brightness - offset)
    correlation = np.where(lit, found.correlation, np.nan)
    lost = _lost(correlation)
    bands = found.shifts.shape[1]
    variances = np.full((len(found.shifts), bands, 2), np.inf)
    told = found.information[..., 0, 0] > 0
    covariance = np.linalg.inv(np.where(told[..., None, None], found.information, np.eye(2)))
    variances[told] = np.einsum("nii->ni", covariance[told])
    del covariance
    variances[lost | ~np.isfinite(correlation)] = np.inf
    at = np.where(told, found.lines, _evenly(line_maps, bands))
    times, drawn = _times(line_maps, at, _evenly(line_maps, KNOTS))
    path = smooth(
        times.ravel(),
        found.shifts.reshape(-1, 2),
        variances.reshape(-1, 2),
        np.repeat(np.arange(len(times)), bands),
        rhythm=True,
        drawn=drawn.ravel(),
    )
    measured = np.where(np.isfinite(variances).any(axis=1), found.whole(), np.nan)
    # Noise of what is measured in whole frames.
    total = np.sum(1 / variances, axis=1)
    noise = path.roughness.scale * np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
    n_pixels = movie.shape[1] * movie.shape[2]
    return _judged(path, measured, noise, correlation, lost, drawn, n_pixels, line_maps)


def _evenly(line_maps: LineMaps, n: int) -> NDFloat:
    """Give the lines in the middle of n bands, shape (n,)."""
    height = line_maps.angles.line_angles.shape[1]
    return np.asarray((np.arange(n) + 0.5) / n * height - 0.5)


def _times(line_maps: LineMaps, *at: NDFloat) -> list[NDFloat]:
    """Tell when each frame was at some lines, s: for each (n,) or (frame, n), (frame, n)."""
    angles = line_maps.angles
    n_frames, height = angles.line_angles.shape
    # What a line shows was recorded around the middle of its samples.
    few = angles.times_of(slice(PERIOD_FRAMES))
    period = float(np.median(np.diff(few, axis=1))) if height > 1 else 0.0
    late = line_maps.timing.offset * period
    found = [np.empty((n_frames, own.shape[-1])) for own in at]
    # Some frames at a time: the times of all lines of a long session are a large table.
    for start in range(0, n_frames, PERIOD_FRAMES):
        some = slice(start, start + PERIOD_FRAMES)
        lines = angles.times_of(some)
        frame = np.arange(len(lines))[:, np.newaxis]
        for told, of_all in zip(found, at, strict=True):
            own = of_all[some] if of_all.ndim > 1 else of_all
            low = np.clip(np.floor(own).astype(int), 0, height - 1)
            early, after = lines[frame, low], lines[frame, np.minimum(low + 1, height - 1)]
            told[some] = early + (own - low) * (after - early) + late
    return found


def _lost(values: NDFloat) -> NDArray[np.bool_]:
    """Tell frames that are not like the others wherever they are shifted to, by correlations."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values), np.bool_)
    usual = float(np.median(values[known]))
    spread = 1.4826 * float(np.median(np.abs(values[known] - usual)))
    limit = min(LOST * usual, usual - LOST_SD * spread)
    return np.asarray(known & (values < limit))


def _size_and_speed(places: NDFloat, times: NDFloat) -> dict[str, float]:
    """Tell how far (px) and how fast (px/s) the sample moved, from (n, 2) places at (n,) times."""
    size = np.hypot(*places.T)
    step = np.hypot(*np.diff(places, axis=0).T) / np.diff(times)
    return {
        "rms": float(np.sqrt(np.mean(size**2))),
        "most": float(np.quantile(size, MOST)),
        "largest": float(size.max()),
        "fastest": float(np.quantile(step, 0.999)) if len(step) else 0.0,
    }


def _rhythm(path: Path, times: NDFloat) -> dict[str, float]:
    """Tell the strongest of the rhythms: how often a second, and how far (px rms); 0 if none."""
    sizes = [
        (told_size(times, path.places[:, axis], wave), wave.frequency_hz)
        for axis in (0, 1)
        for wave in path.roughness.waves[axis]
    ]
    size, frequency = max(sizes, default=(0.0, 0.0))
    return {"beats": frequency, "rhythm": size}


def _judged(
    path: Path,
    measured: NDFloat,
    noise: NDFloat,
    correlation: NDFloat,
    lost: NDArray[np.bool_],
    times: NDFloat,
    n_pixels: int,
    line_maps: LineMaps,
) -> MotionEstimate:
    places = path.places.reshape(*times.shape, 2)
    rest = reference_frames(line_maps.angles)
    known = np.asarray(np.isfinite(measured).all(axis=1))
    own = rest[known[rest]]
    zero = places[own if len(own) else known].mean(axis=(0, 1)) if known.any() else np.zeros(2)
    places = places - zero
    measured = measured - zero
    pulled = PULLED_PX * PULLED_SIDE / np.sqrt(n_pixels)
    sd = np.sqrt(np.mean(path.sd**2, axis=1) + pulled**2)
    of_frame, frame_sd = places.mean(axis=1), sd.reshape(times.shape).min(axis=1)
    away = np.sum((measured - of_frame)[known] ** 2 - noise[known], axis=1)
    # Where nothing was measured the path is a guess, of which nothing is said.
    there = known if known.any() else np.ones_like(known)
    told = sd.reshape(times.shape)[there]
    told = told[np.isfinite(told)]
    uncertain = float(np.sqrt(np.mean(told**2))) if len(told) else 0.0
    figures = {
        **_size_and_speed(places[there].reshape(-1, 2), times[there].ravel()),
        "left": float(np.sqrt(max(np.mean(away), 0.0))) if len(away) else float("nan"),
        "sd": uncertain,
        "time_constant": path.roughness.constant_s,
        "gain": path.gain,
        # The rms is that of x and y together, and so is the uncertainty that it has to exceed.
        "limit": max(LIMITS.min_effect_px, MIN_ERRORS * float(np.sqrt(2)) * uncertain),
        "share": 100 * float(np.mean(known)),
        "n_lost": int(lost.sum()),
        "n_jumps": len(path.jumps),
        **_rhythm(path, times.ravel()),
    }
    verdicts = (*decide(figures), *about_center(of_frame, known, line_maps))
    corrected = verdicts[0].code == "corrected"
    for verdict in verdicts:
        logger.log(logging.WARNING if verdict.doubt else logging.INFO, "%s", verdict.sentence)
    motion = Motion(
        time_s=times.ravel(),
        x=places[..., 0].ravel(),
        y=places[..., 1].ravel(),
        sd=sd,
        lost=lost,
        left_px=float(figures["left"]),
        corrected=corrected,
    )
    return MotionEstimate(
        name="motion",
        value={name: figures[name] for name in ("rms", "most", "largest", "fastest", "left")},
        sd={"rms": figures["sd"]},
        found_from={
            "frame": np.arange(len(times)),
            "time_s": times.mean(axis=1),
            "measured_x": measured[:, 0],
            "measured_y": measured[:, 1],
            "used": known & ~lost,
        },
        corrected=corrected,
        verdicts=verdicts,
        motion=motion,
        frame_places=of_frame,
        measured=measured,
        correlation=correlation,
        jumps=path.jumps,
        frame_times_s=times.mean(axis=1),
        frame_sd=frame_sd,
    )


def _nothing(movie: Movie, line_maps: LineMaps, why: str, n: int) -> MotionEstimate:
    """Answer where the sample's motion cannot be told."""
    verdict = Verdict(
        topic="motion",
        code="untold",
        says=f"The sample's motion cannot be told: {why}. It is not corrected.",
        figures={"n": n},
        doubt=True,
    )
    logger.warning("%s", verdict.sentence)
    (times,) = _times(line_maps, _evenly(line_maps, KNOTS))
    n_frames = len(movie)
    none = np.zeros(times.size)
    nan = np.full(n_frames, np.nan)
    motion = Motion(
        time_s=times.ravel(), x=none, y=none, sd=np.full(times.size, np.inf),
        lost=np.zeros(n_frames, np.bool_), left_px=float("nan"), corrected=False,
    )  # fmt: skip
    return MotionEstimate(
        name="motion",
        value={},
        sd=None,
        found_from={"frame": np.arange(n_frames), "used": np.zeros(n_frames, np.bool_)},
        verdicts=(verdict,),
        motion=motion,
        frame_places=np.zeros((n_frames, 2)),
        measured=np.full((n_frames, 2), np.nan),
        correlation=nan,
        jumps=np.empty(0, np.int64),
        frame_times_s=times.mean(axis=1),
        frame_sd=nan,
    )
