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
    best_correlated,
    coarse_center,
    refine,
    vector_to_tilt,
)
from derotation.errors import CenterError
from derotation.images.registration import Registration
from derotation.images.sample import MIN_FRAMES, Lines, Sample, most_turned
from derotation.maps.discs import seen_radius
from derotation.maps.line_maps import LineMaps
from derotation.signals.angles import Angles
from derotation.streaming.statistics import Statistics

__all__ = ["ResidualCalibration", "Trials", "find_residual", "sample_from", "try_angles"]

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
class ResidualCalibration:
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

    correlation: float
    """Mean correlation of derotated frames with the sample at rest, with their own angles."""
    flipped: float
    """With the opposite angles."""
    shifted: dict[int, float]
    """With the angles of the frame so many later."""
    flip_fits: bool
    """Whether the opposite angles fit clearly better, and best."""
    best_shift: int
    """Which shift of the angles fits clearly better, and best; 0 if none does."""


def sample_from(statistics: Statistics, line_maps: LineMaps) -> Sample | None:
    """Put together what is compared; None if there is too little.

    Parameters
    ----------
    statistics : Statistics
    line_maps : LineMaps
        As the movie was derotated.
    """
    angles = line_maps.angles
    assert isinstance(angles, Angles)
    numbers = statistics.kept[statistics.lit[statistics.kept]]
    known = np.isfinite(angles.line_angles[numbers]).all(axis=1)
    numbers = numbers[known]
    if statistics.n_rest == 0 or len(numbers) < MIN_FRAMES:
        return None
    reference = np.nan_to_num(statistics.own_rest)
    return Sample(
        reference=reference,
        parts=np.zeros((1, *reference.shape), np.float32),
        numbers=numbers,
        frames=statistics.kept_frames[np.isin(statistics.kept, numbers)],
        lines=Lines.of(line_maps, numbers),
        time_s=angles.frame_start[numbers] / angles.sampling_rate,
        n_rest=statistics.n_rest,
    )


def find_residual(
    sample: Sample, calibration: Calibration, *, threads: int = 1
) -> ResidualCalibration | None:
    """Explain what the calibration leaves by center, tilt and lag.

    Parameters
    ----------
    sample : Sample
        See :func:`sample_from`.
    calibration : Calibration
        The one that the movie was derotated with.
    threads : int
        Threads that share the frames.

    Returns
    -------
    ResidualCalibration or None
        None if frames cannot be compared with the sample at rest.
    """
    small = sample.binned(max(min(sample.shape) // SIZE, 1))
    registration = Registration(small, threads)
    given = Geometry.of(calibration)
    groups: tuple[str, ...] = ("center", "plane")
    speeds = sample.speeds
    moving = np.count_nonzero(np.abs(speeds) > SLOW) >= MIN_FRAMES
    if moving:
        groups = ("center", "plane", "lag")
    try:
        near = coarse_center(registration, given)
        start = near if np.hypot(*(near.center - given.center)) > NEAR * small.binning else given
        found = refine(registration, start, groups, SMOOTHINGS)
    except (CenterError, np.linalg.LinAlgError) as error:
        logger.info("What the calibration leaves cannot be told: %s", error)
        return None
    geometry, sd = found.geometry, found.fit.sd
    angle, orientation = vector_to_tilt(geometry.tilt)
    reach = 2 * seen_radius(given.center, sample.shape)
    return ResidualCalibration(
        center=geometry.center,
        center_error=np.asarray(calibration.center) - geometry.center,
        center_sd=sd[:2],
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
    factor = max(min(sample.shape) // SIZE, 1)
    turned = sample.select(most_turned(sample, N_TRIED))
    few = turned.binned(factor)
    given = Geometry.of(calibration)
    # A tilt found with wrong angles is wrong itself.
    plain = Geometry.about(given.center)
    geometries = [given, plain] if np.any(given.tilt) or len(given.wobble) else [given]

    def correlation(tried: Sample) -> NDArray[np.float64]:
        found = best_correlated(tried, geometries, threads)[1]
        return np.asarray(found[np.argmax(found.mean(axis=1))])

    own = best_correlated(few, [given], threads)[1][0]
    flipped = correlation(few.turned_over())
    shifts = [k for k in range(-MAX_CLOCK_SHIFT, MAX_CLOCK_SHIFT + 1) if k]
    shifted = {k: correlation(_with_angles_of(turned, angles, k).binned(factor)) for k in shifts}
    every = {"flipped": flipped, **{str(k): found for k, found in shifted.items()}}
    best = max(every, key=lambda name: float(every[name].mean()))
    clear = _clearly_better(every[best], own)
    return Trials(
        correlation=float(own.mean()),
        flipped=float(flipped.mean()),
        shifted={k: float(found.mean()) for k, found in shifted.items()},
        flip_fits=clear and best == "flipped",
        best_shift=int(best) if clear and best != "flipped" else 0,
    )


def _clearly_better(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Tell whether frames correlate more, and by more than chance."""
    gain = one - other
    error = float(np.std(gain, ddof=1)) / np.sqrt(len(gain))
    return bool(gain.mean() > MIN_DIFFERENCE and gain.mean() > MIN_ERRORS * error)


def _with_angles_of(sample: Sample, angles: Angles, later: int) -> Sample:
    """Give frames the angles of frames so many later; at the session's ends those of the ends."""
    others = np.clip(sample.numbers + later, 0, len(angles.line_angles) - 1)
    told = np.isfinite(angles.line_angles[others]).all(axis=1)
    others = np.where(told, others, sample.numbers)
    lines = dataclasses.replace(sample.lines, line_angles=angles.line_angles[others])
    return dataclasses.replace(sample, lines=lines)
