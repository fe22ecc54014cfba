"""What the calibration leaves: a center, a tilt or a lag that fits better, a wrong sign or clock.

Some turned frames are derotated as the session was, and what is then left of their movement is
explained once more by center, tilt and lag.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration
from derotation.calibration.geometry import (
    Geometry,
    coarse_center,
    refine,
    vector_to_tilt,
)
from derotation.errors import CenterError
from derotation.images.choosing import MIN_FRAMES, spread
from derotation.images.registration import Registration
from derotation.images.sample import Lines, Sample
from derotation.maps.discs import seen_radius
from derotation.maps.line_maps import LineMaps
from derotation.signals.angles import Angles
from derotation.streaming.statistics import Statistics

__all__ = ["ResidualCalibration", "find_residual", "sample_from"]

logger = logging.getLogger(__name__)

# Pictures are compared at about this size (px).
SIZE = 256
SMOOTHINGS = (4.0, 2.0)
# A center further off than this (px of the small pictures) is found by correlation first.
NEAR = 1.5
# Below this (degrees per second) a frame tells nothing about the lag.
SLOW = 1.0
# Frames that are compared, of those that were kept.
N_COMPARED = 24


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
        frames=_chosen(statistics.kept_frames, np.isin(statistics.kept, numbers)),
        lines=Lines.of(line_maps, numbers),
        time_s=angles.frame_start[numbers] / angles.sampling_rate,
        n_rest=statistics.n_rest,
    )


def _chosen(frames: NDArray[Any], which: NDArray[np.bool_]) -> NDArray[Any]:
    """Choose some frames, without a copy if they are all of them."""
    return frames if which.all() else frames[which]


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
    sample = sample.select(
        np.isin(sample.numbers, spread(sample.numbers, sample.middle, N_COMPARED))
    )
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
