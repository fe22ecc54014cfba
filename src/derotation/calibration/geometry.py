"""How the sample moves when it is turned, as a vector of parameters that can be fitted.

The tilt t and orientation o of the plane are represented by ``h = tan(t/2)^2 (cos 2o, sin 2o)``:
maps depend smoothly on h, also at tilt 0, and noise does not make h larger than it is.

A center that is wrong by e shifts the recorded picture by ``e - P R(-a) P^-1 e``. That is a first
harmonic of the angle, turning with the sample; it belongs to the center. What is left of a first
harmonic turns against the sample, and belongs to the wobble: the rows (C, S) of a wobble have
``S = -P J P^-1 C`` with J the turn by 90 degrees (x to y) in the first row, and are free in others.
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from derotation.calibration.calibration import Calibration
from derotation.errors import CenterError
from derotation.images.registration import (
    MIN_FRAMES,
    Affine,
    Maps,
    Registration,
    Sample,
    affine_values,
    binned_sample,
    radius,
)
from derotation.maps import transforms
from derotation.maps.resample import LineTiming
from derotation.numerics.robust import Fit, contiguous_blocks, fit

__all__ = [
    "Geometry",
    "Group",
    "Refined",
    "circle_seen",
    "coarse_center",
    "jacobian",
    "locate_center",
    "most_alike",
    "refine",
    "residual_shifts",
    "rms_shift",
    "tilt_to_vector",
    "vector_to_tilt",
    "with_center",
]

NDFloat = NDArray[np.float64]
Group = Literal["center", "plane", "wobble", "lag"]

QUARTER = np.array([[0.0, -1.0], [1.0, 0.0]])
# Steps for derivatives: pixels, h, pixels, seconds.
STEPS: dict[Group, float] = {"center": 0.01, "plane": 1e-4, "wobble": 0.01, "lag": 1e-5}
# Beyond (tilt of 60 degrees) half of the picture is gone.
MAX_H = np.tan(np.deg2rad(30.0)) ** 2
GRID = 12
# A Fourier series needs the whole circle: so much of it has to be seen, in sectors of 15 degrees.
SECTORS = 24
MIN_CIRCLE = 0.8
# Harmonics of a wobble that are allowed for while something else is sought.
WOBBLE_ORDER = 3
# The center is sought by the peak of the correlation, until it moves by less than 1 px, and then
# by gradients of pictures smoothed by so much (px).
COARSE_ROUNDS = 4
FINE_SMOOTHINGS = (2.5, 1.5, 1.5)
# When a center is not trusted.
MAX_RESIDUAL = 1.0
MAX_CENTER_SD = 0.5
MIN_INLIERS = 0.5
# How the statement about the plane begins.
PLANE_SENTENCE = "The plane of rotation"
# Pictures are compared at half the size to begin with, if they are as large as this (px).
BIN_ABOVE = 128


def tilt_to_vector(plane_angle: float, plane_orientation: float) -> NDFloat:
    """Give h for a tilt and orientation in degrees."""
    size = np.tan(np.deg2rad(plane_angle) / 2) ** 2
    twice = np.deg2rad(2 * plane_orientation)
    return np.array([size * np.cos(twice), size * np.sin(twice)])


def vector_to_tilt(h: NDFloat) -> tuple[float, float]:
    """Give tilt (degrees, 0 on) and orientation (degrees, 0 to 180) for h."""
    size = float(np.hypot(*h))
    orientation = float(np.rad2deg(np.arctan2(h[1], h[0])) / 2) % 180.0
    return float(2 * np.rad2deg(np.arctan(np.sqrt(size)))), orientation if size > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Geometry:
    """Parameters of the maps that undo a rotation."""

    center: NDFloat
    """Center (x, y), pixels."""
    tilt: NDFloat
    """The vector h of the plane."""
    wobble: NDFloat
    """Rows of a wobble, shape (order, 4), pixels."""
    lag_s: float = 0.0
    """Lines have the angle that the signals tell so much later, seconds."""

    @classmethod
    def of(cls, calibration: Calibration) -> "Geometry":
        """Take over what a calibration says; its lag is in the angles already."""
        return cls(
            center=np.array(calibration.center),
            tilt=tilt_to_vector(calibration.plane_angle, calibration.plane_orientation),
            wobble=np.array(calibration.wobble, np.float64).reshape(-1, 4),
        )

    def with_order(self, order: int) -> "Geometry":
        """Give the wobble so many harmonics; new ones are 0."""
        wobble = np.zeros((order, 4))
        kept = min(order, len(self.wobble))
        wobble[:kept] = self.wobble[:kept]
        return dataclasses.replace(self, wobble=wobble)

    def maps(self, line_angles: NDFloat, line_speeds: NDFloat) -> Maps:
        """Make the map of each line, shape (..., 2, 3)."""
        if self.lag_s:
            line_angles = line_angles + line_speeds * self.lag_s
        center = (float(self.center[0]), float(self.center[1]))
        angle, orientation = vector_to_tilt(self.tilt)
        return transforms.line_maps(line_angles, center, angle, orientation, wobble=self.wobble)

    def sample_maps(self, sample: Sample) -> Maps:
        """Make the maps of all lines of all frames of a sample."""
        return self.maps(sample.line_angles, sample.line_speeds)

    def sizes(self, groups: tuple[Group, ...]) -> dict[Group, int]:
        """Count the parameters of each group."""
        wobble = 0 if len(self.wobble) == 0 else 4 * len(self.wobble) - 2
        count: dict[Group, int] = {"center": 2, "plane": 2, "wobble": wobble, "lag": 1}
        return {group: count[group] for group in groups}

    def moved(self, groups: tuple[Group, ...], step: NDFloat) -> "Geometry":
        """Add a step to the parameters of some groups."""
        first, changed = 0, self
        for group, size in self.sizes(groups).items():
            own = step[first : first + size]
            first += size
            if group == "center":
                changed = dataclasses.replace(changed, center=changed.center + own)
            elif group == "plane":
                h = changed.tilt + own
                h = h * min(1.0, MAX_H / max(float(np.hypot(*h)), 1e-30))
                changed = dataclasses.replace(changed, tilt=h)
            elif group == "wobble":
                free = np.delete(changed.wobble.ravel(), (2, 3)) + own if size else own
                rows = wobble_rows(free, changed.tilt)
                changed = dataclasses.replace(changed, wobble=rows)
            else:
                changed = dataclasses.replace(changed, lag_s=changed.lag_s + float(own[0]))
        return changed


def wobble_rows(parameters: NDFloat, tilt: NDFloat) -> NDFloat:
    """Make the rows of a wobble from its free parameters, shape (..., 4 order - 2)."""
    if parameters.shape[-1] == 0:
        return np.zeros((*parameters.shape[:-1], 0, 4))
    foreshorten = transforms.plane_matrix(*vector_to_tilt(tilt))
    against = -foreshorten @ QUARTER @ np.linalg.inv(foreshorten)
    first = parameters[..., :2]
    rows = np.concatenate([first, first @ against.T, parameters[..., 2:]], axis=-1)
    return rows.reshape(*parameters.shape[:-1], -1, 4)


def jacobian(geometry: Geometry, sample: Sample, groups: tuple[Group, ...]) -> NDFloat:
    """Tell how frames would look displaced if the truth were other parameters than these.

    Derivative of the affine displacement of each derotated frame (see
    :class:`derotation.images.registration.Affine`) by the truth's parameters; lines of one frame
    have different angles, and the affine map is the one that fits the whole frame best.

    Returns
    -------
    ndarray of shape (n, 6, p)
    """
    height, width = sample.reference.shape
    lines = np.linspace(0, height - 1, GRID).round().astype(int)
    line_angles, speeds = sample.line_angles[:, lines], sample.line_speeds[:, lines]
    y, x = np.meshgrid(lines, np.linspace(0, width - 1, GRID), indexing="ij")
    points = np.stack([x, y], axis=-1).astype(np.float64)

    def places(changed: Geometry) -> NDFloat:
        maps = changed.maps(line_angles, speeds)[:, :, np.newaxis]
        return np.asarray(transforms.apply(maps, points).reshape(len(line_angles), -1, 2))

    here = places(geometry)
    fitted = _affine_fit(here, (height, width))
    sizes = geometry.sizes(groups)
    columns = []
    for k, step in enumerate(np.repeat([STEPS[g] for g in sizes], list(sizes.values()))):
        change = np.zeros(sum(sizes.values()))
        change[k] = step
        ahead, behind = (places(geometry.moved(groups, s * change)) for s in (1, -1))
        columns.append(-_as_values(fitted @ ((ahead - behind) / (2 * step))))
    if not columns:
        return np.zeros((len(here), 6, 0))
    return np.stack(columns, axis=-1)


def _affine_fit(places: NDFloat, shape: tuple[int, int]) -> NDFloat:
    """Prepare fits of affine maps to displacements of points within the picture, (n, 3, point)."""
    height, width = shape
    inside = np.asarray(np.all((places >= 0) & (places <= (width - 1, height - 1)), axis=-1))
    offset = (places - transforms.image_center(shape)) / radius(shape)
    basis = np.concatenate([np.ones_like(offset[..., :1]), offset], axis=-1)
    weighted = basis * (inside + 1e-6)[..., np.newaxis]
    return np.asarray(
        np.linalg.solve(np.swapaxes(weighted, 1, 2) @ basis, np.swapaxes(weighted, 1, 2))
    )


def _as_values(fitted: NDFloat) -> NDFloat:
    """Bring fits (n, (1, x, y), (x, y)) to the order of the six parameters."""
    shift, slope = fitted[:, 0], fitted[:, 1:]
    return np.concatenate([shift, np.swapaxes(slope, 1, 2).reshape(-1, 4)], axis=1)


def displacement(guess: Geometry, truth: Geometry, sample: Sample) -> NDFloat:
    """Give the affine displacement of frames derotated by a guess, at their middle line: (n, 6)."""
    row = sample.line_angles.shape[1] // 2
    angle, speed = sample.line_angles[:, row], sample.line_speeds[:, row]
    left = transforms.compose(guess.maps(angle, speed), transforms.invert(truth.maps(angle, speed)))
    return affine_values(left, sample.reference.shape)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Refined:
    """Result of :func:`refine`."""

    geometry: Geometry
    """What was found."""
    fit: Fit
    """The last step; its first parameters are those of the groups, then the common ones."""
    affine: Affine
    """What was measured before the last step."""
    before: Geometry
    """The geometry at which that was measured."""


def refine(
    registration: Registration,
    geometry: Geometry,
    groups: tuple[Group, ...],
    smoothings: tuple[float, ...],
    *,
    iterations: int = 1,
) -> Refined:
    """Fit some groups of parameters, once for each smoothing (px), by Gauss-Newton steps."""
    sample = registration.sample
    blocks = contiguous_blocks(sample.time_s)
    refined: Refined | None = None
    for smoothing in smoothings:
        affine = registration.affine(
            geometry.sample_maps(sample), smoothing=smoothing, iterations=iterations
        )
        known = np.asarray(np.isfinite(affine.values).all(axis=1))
        if known.sum() < MIN_FRAMES:
            msg = (
                f"only {int(known.sum())} of {len(known)} turned frames could be compared with the "
                "sample at rest: is there any structure in the picture, and was the laser on?"
            )
            raise CenterError(msg)
        own = jacobian(geometry, sample, groups)
        common = np.broadcast_to(np.eye(6), (len(own), 6, 6))
        result = fit(
            np.concatenate([own, common], axis=2),
            affine.values,
            affine.information,
            blocks=blocks,
            common=6,
            reference=affine.reference,
        )
        moved = geometry.moved(groups, result.parameters[: own.shape[2]])
        refined = Refined(geometry=moved, fit=result, affine=affine, before=geometry)
        geometry = moved
    assert refined is not None
    return refined


def coarse_center(registration: Registration, geometry: Geometry) -> Geometry:
    """Bring the center close, by the peaks of the correlation."""
    sample = registration.sample
    blocks = contiguous_blocks(sample.time_s)
    unit = np.broadcast_to(np.eye(2), (len(sample.numbers), 2, 2))
    for _ in range(COARSE_ROUNDS):
        shifts, _ = registration.shifts(geometry.sample_maps(sample))
        design = jacobian(geometry, sample, ("center",))[:, :2]
        step = fit(design, shifts, unit, blocks=blocks, learn_scatter=False).parameters
        geometry = geometry.moved(("center",), step)
        if np.hypot(*step) < 1:
            break
    return geometry


def locate_center(registration: Registration, geometry: Geometry) -> Refined:
    """Find the center, coarsely and finely; the first two parameters of the fit are its own."""
    start = coarse_center(registration, geometry)
    return refine(registration, start, ("center",), FINE_SMOOTHINGS)


def circle_seen(sample: Sample) -> float:
    """Tell which part of the circle the lines of all frames cover, 0 to 1."""
    sectors = np.floor(np.mod(sample.line_angles, 360.0) / (360.0 / SECTORS))
    # None of the frames that are compared lies near 0, where nothing is told.
    return len(np.unique(np.append(sectors, (0, SECTORS - 1)))) / SECTORS


def most_alike(sample: Sample, trials: list[Geometry], threads: int) -> tuple[int, NDFloat]:
    """Tell with which of some geometries frames look most like the sample at rest.

    The correlation is taken at its peak, wherever that is, so that the center does not matter.

    Returns
    -------
    best : int
        Number of the best trial.
    likeness : ndarray of shape (n_trials, n)
        Correlation of each frame with the sample at rest.
    """
    # Half-size pictures mix two lines, so that the timing within a line is lost.
    factor = 2 if min(sample.reference.shape) >= BIN_ABOVE else 1
    small = binned_sample(sample, factor)
    registration = Registration(small, LineTiming(), threads)
    likeness = np.empty((len(trials), len(sample.numbers)))
    for k, trial in enumerate(tqdm(trials, desc="trials", disable=None, leave=False)):
        center = (trial.center - (factor - 1) / 2) / factor
        shrunk = dataclasses.replace(trial, center=center, wobble=trial.wobble / factor)
        likeness[k] = registration.shifts(shrunk.sample_maps(small))[1]
    return int(np.argmax(likeness.mean(axis=1))), likeness


def residual_shifts(refined: Refined) -> NDFloat:
    """Give the shift (x, y) that is left in each frame after a fit, pixels, shape (n, 2).

    The affine parameters of one frame are noisy, and a shift of the picture's center depends on
    them; here frames are only allowed to be shifted.
    """
    information, left = refined.affine.information, refined.fit.residuals
    known = np.asarray(np.isfinite(left).all(axis=1))
    along = information[:, :2, :2] + 1e-12 * np.eye(2)
    pull = np.einsum("nij,nj->ni", information[:, :2], np.nan_to_num(left))
    shifts = np.linalg.solve(along, pull[..., np.newaxis])[..., 0]
    return np.where(known[:, np.newaxis], shifts, np.nan)


def rms_shift(shifts: NDFloat) -> float:
    """Give the root of the mean squared length of shifts (n, 2), pixels; NaN if there are none.

    Frames that one fit could measure and another could not are no part of it.
    """
    known = np.isfinite(shifts).all(axis=1)
    return float(np.sqrt(np.mean(np.sum(shifts[known] ** 2, axis=1)))) if known.any() else np.nan


def with_center(calibration: Calibration, found: Refined, residual: float) -> Calibration:
    """Take over the center of a fit; its first two parameters are those of the center."""
    sd = found.fit.sd
    x, y = found.geometry.center
    height, width = calibration.image_shape
    inside = bool(0 <= x < width and 0 <= y < height)
    trusted = (
        inside
        and float(sd[:2].max()) <= MAX_CENTER_SD
        and residual <= MAX_RESIDUAL
        and float(np.mean(found.fit.weights > 0)) >= MIN_INLIERS
    )
    return calibration.replace(
        center=(float(x), float(y)),
        center_sd=(float(sd[0]), float(sd[1])),
        residual_px=residual,
        trusted=trusted,
    )


def center_statement(calibration: Calibration, earlier: str) -> str:
    """Say how well the center is known now, in place of the sentences that said so earlier."""
    if calibration.center_sd is None or calibration.residual_px is None:
        return earlier
    x, y = calibration.center_sd
    known = (
        f"The center is known to {x:.3f} px (x) and {y:.3f} px (y); frames lie within "
        f"{calibration.residual_px:.2f} px (rms) of the sample at rest."
    )
    if not calibration.trusted:
        known = "The center cannot be trusted. " + known
    # What was said about the tilt follows the sentence about the center.
    kept = earlier[earlier.index(PLANE_SENTENCE) :] if PLANE_SENTENCE in earlier else ""
    return f"{known} {kept}".strip()
