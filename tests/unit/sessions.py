"""Simulated sessions as the library sees them: a movie on disk and the true angles of its lines."""

import numpy as np
import tifffile

from derotation.maps.resample import LineTiming
from derotation.signals.angles import AngleFlag, Angles
from derotation.simulate import Recording


def true_angles(recording: Recording) -> Angles:
    """Wrap the truth as the result of parsing would be."""
    line_angles = recording.line_angles
    shape = line_angles.shape
    moving = np.ptp(line_angles, axis=1) > 0
    return Angles(
        line_angles=line_angles,
        frame_angles=line_angles[:, shape[1] // 2],
        line_start=recording.line_start * recording.sampling_rate,
        frame_start=recording.line_start[:, 0] * recording.sampling_rate,
        line_duty=recording.plan.line_duration / recording.plan.line_period,
        line_reference="middle",
        sampling_rate=recording.sampling_rate,
        frame_rate=6.74,
        line_usable=np.ones(shape, bool),
        flags=np.full(shape, AngleFlag.AT_REST, np.uint8),
        rotation=np.where(moving, 0, -1).astype(np.int32),
        direction=np.where(moving, 1.0, np.nan),
        speed=np.where(moving, 200.0, np.nan),
        bidirectional=recording.plan.parameters.bidirectional,
    )


def true_timing(recording: Recording, bidirectional: bool = False) -> LineTiming:
    """When the samples within a line were simulated."""
    plan = recording.plan
    return LineTiming(line_duty=plan.line_duration / plan.line_period, bidirectional=bidirectional)


def save_movie(recording: Recording, folder):
    """Write the movie; returns its path."""
    path = folder / "movie.tif"
    tifffile.imwrite(path, recording.movie, photometric="minisblack")
    return path


def disc(shape, center, radius):
    """Mark a disc about a center (x, y)."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(x - center[0], y - center[1]) < radius
