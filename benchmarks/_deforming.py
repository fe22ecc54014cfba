"""A sample that is strained, not only displaced: would an affine correction of motion pay?

The simulated sample is stretched and sheared slowly about the center while it moves, and is
corrected as always, by one displacement for the whole field. What that leaves over the field stands
beside the least error that a single frame's photons allow a rigid and an affine displacement
(Cramer-Rao), and beside the picture and the traces of the same sample without any strain, which is
all that a perfect affine correction could bring back.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from _common import write_config
from _motion_pictures import derotated, made, measured_picture
from numpy.typing import ArrayLike, NDArray

from derotation.calibration.calibration import Calibration
from derotation.maps.discs import seen_radius
from derotation.maps.transforms import rotation_matrices
from derotation.motion_correction.motion import Motion
from derotation.signals.angles import Angles
from derotation.simulate import (
    NPY_CHANNELS,
    Recording,
    RecordingPlan,
    SampleMotion,
    plan_recording,
    write_recording,
)

STRAIN_S = 20.0
# Every so many lines and columns are looked at.
SPARSE = 8
NDFloat = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Strained(RecordingPlan):
    """A recording whose sample is strained about the center of rotation."""

    strain: float
    """The largest at any time, in any direction."""

    def strains(self, time: ArrayLike) -> NDFloat:
        """Stretch and shear at some times (s): symmetric matrices (..., 2, 2), 0 on average."""
        whole = np.linspace(self.line_start[0, 0], self.line_start[-1, -1], 500)
        of_all, here = self._unscaled(whole), self._unscaled(np.asarray(time, np.float64))
        middle = of_all.mean(axis=0)
        largest = np.linalg.norm(of_all - middle, ord=2, axis=(1, 2)).max()
        return np.asarray((here - middle) * self.strain / largest)

    def _unscaled(self, time: NDFloat) -> NDFloat:
        seed = self.parameters.seed
        paths = [SampleMotion(drift=1, drift_s=STRAIN_S, seed=seed + k) for k in (1, 2)]
        (a, b), (d, _) = (np.moveaxis(p.displacement(time, np.zeros_like, 0), -1, 0) for p in paths)
        return np.stack([np.stack([a, b], -1), np.stack([b, d], -1)], -2)

    def strained(self, x: ArrayLike, y: ArrayLike, time: ArrayLike) -> NDFloat:
        """By how much strain displaces what is seen at (x, y) in the sample's frame: (..., 2)."""
        away = np.stack([np.subtract(x, self.center[0]), np.subtract(y, self.center[1])], -1)
        return np.einsum("...ij,...j->...i", self.strains(time), away)

    def _pixel_displacement(self, frame: int) -> NDFloat:
        rows, columns = np.mgrid[: self.parameters.shape[0], : self.parameters.shape[1]]
        x, y = self.place_in_sample(columns, rows, self.sample_angles(frame))
        # A line is short for a strain that takes seconds.
        own = self.strained(x, y, self.line_start[frame].mean())
        return np.asarray(RecordingPlan._pixel_displacement(self, frame) + own)


def deforming_row(
    folder: Path, parameters: dict[str, Any], strain: float, *, quick: bool = False
) -> dict[str, Any]:
    """Correct the motion of a sample that is strained by so much at most.

    Returns
    -------
    dict
        ``field_px``: error over the field, rms along x or y; ``rigid_bound_px``,
        ``affine_bound_px``: the least that a frame's photons allow; and the picture's figures.
    """
    rigid = plan_recording(**parameters)
    own = {field.name: getattr(rigid, field.name) for field in fields(RecordingPlan)}
    plan = Strained(**own, strain=strain)
    movie = np.concatenate([block for _, block in plan.chunks()])
    signals = np.stack([plan.analog.channel(name) for name in NPY_CHANNELS])
    write_recording(Recording(movie=movie, signals=signals, plan=plan), made(folder))
    write_config(folder, plan.parameters.sampling_rate)
    place = derotated(folder, "corrected", quick=quick)
    bound = bounds(plan)
    return {
        "strain": strain, "photons": plan.parameters.photons_per_pixel,
        "field_px": field_error(plan, folder), "rigid_bound_px": bound[0],
        "affine_bound_px": bound[1], **measured_picture(folder, place, plan),
    }  # fmt: skip


def field_error(plan: Strained, folder: Path) -> float:
    """Tell by how much pixels within the disc are displaced by other than the estimate, px rms."""
    motion, angles = Motion.load(folder / "motion.npz"), Angles.load(folder / "angles.npz")
    wrong = np.subtract(Calibration.load(folder / "calibration.json").center, plan.center)
    height, width = plan.shape[1:]
    lines, columns = np.arange(0, height, SPARSE), np.arange(0, width, SPARSE)
    angle = plan.line_angles[:, lines, None]
    shape = (plan.n_frames, len(lines), len(columns))
    x, y = plan.place_in_sample(
        np.broadcast_to(columns, shape), np.broadcast_to(lines[:, None], shape), angle
    )
    time = plan.line_start[:, lines] + plan.line_duration / 2
    common = motion.displacement(angles.line_times_s[:, lines]) - plan.displacement[:, lines]
    # What a wrong center leaves is made up for: no error.
    common -= (np.eye(2) - rotation_matrices(plan.line_angles[:, lines])) @ wrong
    common -= common[angles.at_rest].mean(axis=(0, 1))
    error = common[:, :, None] - plan.strained(x, y, time[:, :, None])
    radius = seen_radius(plan.center, plan.shape[1:])
    within = np.hypot(x - plan.center[0], y - plan.center[1]) <= radius
    return float(np.sqrt(np.mean(error[within] ** 2)))


def bounds(plan: RecordingPlan) -> tuple[float, float]:
    """Least error over the disc (px rms along x or y) of a rigid and an affine fit to one frame."""
    p = plan.parameters
    light = (plan.rest_image - p.pmt_offset) / p.gain
    y, x = np.indices(light.shape)
    away = x - plan.center[0], y - plan.center[1]
    radius = seen_radius(plan.center, plan.shape[1:])
    within = np.hypot(*away) <= radius
    variance = light + (p.read_noise / p.gain) ** 2
    places = np.stack([np.ones_like(away[0]), *(a / radius for a in away)], -1)[within]
    slopes = np.stack(np.gradient(light)[::-1], -1)[within] / np.sqrt(variance[within])[:, None]
    found = []
    for basis in (places[:, :1], places):
        design = (slopes[:, :, None] * basis[:, None, :]).reshape(len(basis), -1)
        covariance = np.linalg.inv(design.T @ design).reshape(2, basis.shape[1], 2, -1)
        spread = [np.einsum("ni,ij,nj->n", basis, covariance[k, :, k], basis) for k in (0, 1)]
        found.append(float(np.sqrt(np.mean(spread))))
    return found[0], found[1]
