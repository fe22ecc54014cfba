"""What the calibration leaves: a center, a tilt or a lag that fits better, a wrong sign or clock.

Some turned frames are derotated as the session was, and what is then left of their movement is
explained once more by center, tilt and lag. Before that, frames are derotated with the opposite
angles and with those of earlier and later frames: errors of that kind leave pictures that have
nothing in common with the sample at rest, in which no small displacement can be measured.
"""

import dataclasses
import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration
from derotation.calibration.geometry import (
    Geometry,
    Group,
    coarse_center,
    most_alike,
    refine,
    vector_to_tilt,
)
from derotation.errors import CenterError
from derotation.images.registration import (
    MIN_FRAMES,
    Registration,
    Sample,
    binned_line_angles,
    binned_sample,
    line_speeds,
    most_turned,
)
from derotation.maps.discs import seen_radius
from derotation.maps.resample import LineTiming
from derotation.signals.angles import Angles
from derotation.streaming.statistics import Statistics

__all__ = ["Leftover", "Trials", "find_leftover", "try_angles"]

logger = logging.getLogger(__name__)

# Pictures are compared at about this size (px).
SIZE = 256
SMOOTHINGS = (4.0, 2.0)
# A center further off than this (px of the small pictures) is found by correlation first.
NEAR = 1.5
# Below this (degrees per second) a frame tells nothing about the lag.
SLOW = 1.0
# The angles of frames so many later or earlier are tried.
MAX_CLOCK_SHIFT = 2
N_TRIED = 12
# Other angles fit better if frames are more like the sample at rest by so much, and by so many
# standard errors (as for the sign of the angles, see derotation.calibration.lag).
MIN_DIFFERENCE = 0.05
MIN_ERRORS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Leftover:
    """What fits better than the calibration, with standard uncertainties."""

    center: NDArray[np.float64]
    """Center (x, y) that fits best, pixels."""
    center_error: NDArray[np.float64]
    """The calibration's center minus that one, pixels."""
    center_sd: NDArray[np.float64]
    """Its uncertainty."""
    plane_angle: float
    """Tilt that fits best, degrees."""
    plane_orientation: float
    """Its orientation, degrees."""
    tilt_px: float
    """By how much the tilt that is not corrected displaces a point at the edge of the disc that is
    always seen, at most, pixels."""
    tilt_sd_px: float
    """Its uncertainty."""
    lag_ms: float | None
    """Lag that is left, milliseconds; None if no frame was recorded in motion."""
    lag_sd_ms: float | None
    """Its uncertainty."""
    top_speed: float
    """Of the frames that were compared, degrees per second."""
    n_frames: int
    """Frames that were compared."""

    @property
    def turn_deg(self) -> float | None:
        """By how much the lag leaves the fastest frames turned, degrees."""
        return None if self.lag_ms is None else abs(self.lag_ms) / 1e3 * self.top_speed

    @property
    def turn_sd_deg(self) -> float | None:
        """Its uncertainty."""
        return None if self.lag_sd_ms is None else self.lag_sd_ms / 1e3 * self.top_speed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trials:
    """How well frames fit with their own and with other angles."""

    likeness: float
    """Mean correlation of derotated frames with the sample at rest, with their own angles."""
    flipped: float
    """With the opposite angles."""
    shifted: dict[int, float]
    """With the angles of the frame so many later."""
    flip_fits: bool
    """Whether the opposite angles fit clearly better, and best."""
    best_shift: int
    """Which shift of the angles fits clearly better, and best; 0 if none does."""


def sample_from(statistics: Statistics, angles: Angles) -> Sample | None:
    """Put together what is compared; None if there is too little.

    Parameters
    ----------
    statistics : Statistics
    angles : Angles
        As the movie was derotated.
    """
    numbers = statistics.kept[statistics.lit[statistics.kept]]
    known = np.isfinite(angles.line_angles[numbers]).all(axis=1)
    numbers = numbers[known]
    if statistics.n_rest == 0 or len(numbers) < MIN_FRAMES:
        return None
    where = np.isin(statistics.kept, numbers)
    reference = np.nan_to_num(statistics.raw_rest)
    return Sample(
        reference=reference,
        parts=np.zeros((1, *reference.shape), np.float32),
        numbers=numbers,
        frames=statistics.kept_frames[where],
        line_angles=np.asarray(angles.line_angles[numbers]),
        line_speeds=np.nan_to_num(line_speeds(angles, numbers)),
        time_s=angles.frame_start[numbers] / angles.sampling_rate,
        n_rest=statistics.n_rest,
    )


def find_leftover(
    sample: Sample, calibration: Calibration, timing: LineTiming, *, threads: int = 1
) -> Leftover | None:
    """Explain what the calibration leaves by center, tilt and lag.

    Parameters
    ----------
    sample : Sample
        See :func:`sample_from`.
    calibration : Calibration
        The one that the movie was derotated with.
    timing : LineTiming
    threads : int
        Threads that share the frames.

    Returns
    -------
    Leftover or None
        None if frames cannot be compared with the sample at rest.
    """
    factor = max(min(sample.reference.shape) // SIZE, 1)
    small = binned_sample(sample, factor)
    # Squares of pixels mix lines, so that the timing within a line is lost.
    registration = Registration(small, timing if factor == 1 else LineTiming(), threads)
    given = _shrunk(Geometry.of(calibration), factor)
    groups: tuple[Group, ...] = ("center", "plane")
    speeds = sample.line_speeds[:, sample.line_speeds.shape[1] // 2]
    moving = np.count_nonzero(np.abs(speeds) > SLOW) >= MIN_FRAMES
    if moving:
        groups = ("center", "plane", "lag")
    try:
        near = coarse_center(registration, given)
        start = near if np.hypot(*(near.center - given.center)) > NEAR else given
        found = refine(registration, start, groups, SMOOTHINGS)
    except (CenterError, np.linalg.LinAlgError) as error:
        logger.info("What the calibration leaves cannot be told: %s", error)
        return None
    geometry, sd = found.geometry, found.fit.sd
    angle, orientation = vector_to_tilt(geometry.tilt)
    reach = 2 * factor * seen_radius(given.center, small.reference.shape)
    center = geometry.center * factor + (factor - 1) / 2
    return Leftover(
        center=center,
        center_error=np.asarray(calibration.center) - center,
        center_sd=sd[:2] * factor,
        plane_angle=angle,
        plane_orientation=orientation,
        tilt_px=reach * float(np.hypot(*(geometry.tilt - given.tilt))),
        tilt_sd_px=reach * float(np.sqrt(np.linalg.eigvalsh(found.fit.covariance[2:4, 2:4])[-1])),
        lag_ms=1e3 * geometry.lag_s if moving else None,
        lag_sd_ms=1e3 * float(sd[4]) if moving else None,
        top_speed=float(np.abs(speeds).max()),
        n_frames=int(np.count_nonzero(found.fit.weights)),
    )


def try_angles(
    sample: Sample, angles: Angles, calibration: Calibration, *, threads: int = 1
) -> Trials:
    """Derotate frames with other angles than their own, and see which fit best.

    The correlation is taken wherever it is highest, so that the center hardly matters.

    Parameters
    ----------
    sample : Sample
        See :func:`sample_from`.
    angles : Angles
        Angles of all lines, as the movie was derotated.
    calibration : Calibration
        The one that the movie was derotated with.
    threads : int
        Threads that share the frames.

    Returns
    -------
    Trials
    """
    factor = max(min(sample.reference.shape) // SIZE, 1)
    few = binned_sample(sample.select(most_turned(sample, N_TRIED)), factor)
    given = _shrunk(Geometry.of(calibration), factor)
    # A tilt found with wrong angles is wrong itself.
    plain = Geometry(center=given.center, tilt=np.zeros(2), wobble=np.zeros((0, 4)))
    geometries = [given, plain] if np.any(given.tilt) or len(given.wobble) else [given]

    def likeness(tried: Sample) -> NDArray[np.float64]:
        found = most_alike(tried, geometries, threads)[1]
        return np.asarray(found[np.argmax(found.mean(axis=1))])

    own = most_alike(few, [given], threads)[1][0]
    flipped = likeness(few.turned_over())
    shifts = [k for k in range(-MAX_CLOCK_SHIFT, MAX_CLOCK_SHIFT + 1) if k]
    shifted = {k: likeness(_with_angles_of(few, angles, k, factor)) for k in shifts}
    every = {"flipped": flipped, **{str(k): found for k, found in shifted.items()}}
    best = max(every, key=lambda name: float(every[name].mean()))
    clear = _clearly_better(every[best], own)
    return Trials(
        likeness=float(own.mean()),
        flipped=float(flipped.mean()),
        shifted={k: float(found.mean()) for k, found in shifted.items()},
        flip_fits=clear and best == "flipped",
        best_shift=int(best) if clear and best != "flipped" else 0,
    )


def _clearly_better(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Tell whether frames are more alike, and by more than chance."""
    gain = one - other
    error = float(np.std(gain, ddof=1)) / np.sqrt(len(gain))
    return bool(gain.mean() > MIN_DIFFERENCE and gain.mean() > MIN_ERRORS * error)


def _with_angles_of(small: Sample, angles: Angles, later: int, factor: int) -> Sample:
    """Give frames the angles of frames so many later; at the session's ends those of the ends."""
    others = np.clip(small.numbers + later, 0, len(angles.line_angles) - 1)
    told = np.isfinite(angles.line_angles[others]).all(axis=1)
    others = np.where(told, others, small.numbers)
    line_angles = binned_line_angles(angles.line_angles[others], factor)
    return dataclasses.replace(small, line_angles=line_angles)


def _shrunk(geometry: Geometry, factor: int) -> Geometry:
    """Express a geometry in pixels that are averages of squares."""
    center = (geometry.center - (factor - 1) / 2) / factor
    return dataclasses.replace(geometry, center=center, wobble=geometry.wobble / factor)
