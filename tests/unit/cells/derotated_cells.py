"""A small recording, derotated by its true angles, with the true outlines of its cells."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from sessions import true_angles

from derotation.calibration.calibration import Calibration
from derotation.cells.rois import Rois
from derotation.cells.rotations import Rotations
from derotation.io.movie import open_movie
from derotation.maps.line_maps import LineMaps
from derotation.signals.angles import Angles
from derotation.simulate import RecordingPlan, simulate_recording
from derotation.streaming.single_pass import derotate_movie

SHAPE = (64, 72)
N_CELLS = 10


@dataclass(frozen=True)
class Derotated:
    """A recording after ``derotate_movie``, and its truth."""

    folder: Path
    plan: RecordingPlan
    angles: Angles
    calibration: Calibration
    mean: np.ndarray
    offset: float
    rois: Rois

    @property
    def line_maps(self) -> LineMaps:
        return LineMaps.of(self.angles, self.calibration)

    @property
    def rotations(self) -> Rotations:
        return Rotations(
            start_s=self.plan.rotation_start,
            end_s=self.plan.rotation_end,
            speed=self.plan.rotation_speed,
            direction=self.plan.rotation_direction.astype(float),
        )


def outlines(plan, n):
    """The pixels within the first cells of a scene, in the session's picture at rest."""
    y, x = np.mgrid[: plan.parameters.shape[0], : plan.parameters.shape[1]]
    radii = np.sqrt(plan.scene.radii.prod(axis=1))
    middle = np.array(plan.center)
    # In view at all angles.
    reach = min(plan.parameters.shape) / 2 - 1
    kept = [k for k in range(n) if np.hypot(*(plan.cell_centers[k] - middle)) + radii[k] < reach]
    pixels = [
        np.stack(np.nonzero(np.hypot(x - cx, y - cy) <= radii[k]))
        for k, (cx, cy) in ((k, plan.cell_centers[k]) for k in kept)
    ]
    return Rois.of(pixels, plan.parameters.shape, number=kept)


def derotated(folder, **parameters):
    """Simulate and derotate a recording."""
    recording = simulate_recording(
        **{
            "shape": SHAPE,
            "n_cells": N_CELLS,
            "stimulus": [(200, 1), (100, -1)],
            "rest_before_s": 1.0,
            "rest_between_s": 1.0,
            "sampling_rate": 5000.0,
            "tick_ms": 0.4,
            "scene_options": {"radius": (3.0, 4.5)},
            "seed": 4,
        }
        | parameters
    )
    plan, angles = recording.plan, true_angles(recording)
    tifffile.imwrite(folder / "movie.tif", recording.movie, photometric="minisblack")
    calibration = Calibration(center=plan.center, image_shape=plan.parameters.shape, method="truth")
    with open_movie(folder / "movie.tif") as movie:
        result = derotate_movie(
            movie, angles, calibration, folder / "derotated.tif", seen_output=folder / "seen.npz"
        )
    return Derotated(
        folder=folder,
        plan=plan,
        angles=angles,
        calibration=calibration,
        mean=result.mean,
        offset=plan.parameters.pmt_offset,
        rois=outlines(plan, plan.parameters.n_cells),
    )
