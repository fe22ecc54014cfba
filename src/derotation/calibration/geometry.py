"""How the sample moves when it is turned, as a vector of parameters that can be fitted.

The tilt t and orientation o of the plane are represented by ``h = tan(t/2)^2 (cos 2o, sin 2o)``:
maps depend smoothly on h, also at tilt 0, and noise does not make h larger than it is.

A center that is wrong by e shifts the recorded picture by ``e - P R(-a) P^-1 e``. That is a first
harmonic of the angle, turning with the sample; it belongs to the center. What is left of a first
harmonic turns against the sample, and belongs to the wobble: the rows (C, S) of a wobble have
``S = -P J P^-1 C`` with J the turn by 90 degrees (x to y) in the first row, and are free in others.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from derotation.calibration import judge
from derotation.calibration.calibration import Calibration
from derotation.errors import CenterError
from derotation.images.choosing import MIN_FRAMES
from derotation.images.comparison import affine_values, radius
from derotation.images.registration import Affine, Registration
from derotation.images.sample import Lines, Sample
from derotation.maps import transforms
from derotation.maps.corrections import composed, registered
from derotation.maps.line_maps import LineMaps
from derotation.numerics.robust import Fit, Wandering, contiguous_blocks, fit

__all__ = [
    "Geometry",
    "Refined",
    "best_correlated",
    "circle_seen",
    "coarse_center",
    "jacobian",
    "refine",
    "residual_rms",
    "residual_shifts",
    "tilt_to_vector",
    "vector_to_tilt",
    "with_center",
]

NDFloat = NDArray[np.float64]

QUARTER = np.array([[0.0, -1.0], [1.0, 0.0]])
# Steps for derivatives: pixels, h, pixels, seconds; those of other corrections are their own.
STEPS = {"center": 0.01, "plane": 1e-4, "wobble": 0.01, "lag": 1e-5}
# Beyond (tilt of 60 degrees) half of the picture is gone.
MAX_H = np.tan(np.deg2rad(30.0)) ** 2
GRID = 12
# A Fourier series needs the whole circle: so much of it has to be seen, in sectors of 15 degrees.
SECTORS = 24
MIN_CIRCLE = 0.8
# Harmonics of a wobble that are allowed for while something else is sought.
WOBBLE_ORDER = 3
# The center is sought by the peak of the correlation, until it moves by less than 1 px.
COARSE_ROUNDS = 4
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
    others: Mapping[str, NDFloat] = field(default_factory=dict)
    """Parameters of corrections that were registered from elsewhere, by name."""

    @classmethod
    def about(cls, center: NDFloat | tuple[float, float]) -> "Geometry":
        """Turn about a center, with nothing else to correct."""
        place = np.asarray(center, np.float64)
        return cls(center=place, tilt=np.zeros(2), wobble=np.zeros((0, 4)))

    @classmethod
    def of(cls, calibration: Calibration) -> "Geometry":
        """Take over what a calibration says; its lag is in the sample's angles already."""
        return cls(
            center=np.array(calibration.center),
            tilt=tilt_to_vector(calibration.plane_angle, calibration.plane_orientation),
            wobble=np.array(calibration.wobble, np.float64).reshape(-1, 4),
            others={k: v for k, v in calibration.parameters.items() if k != "wobble"},
        )

    @property
    def lag_ms(self) -> float:
        """The lag in milliseconds."""
        return 1000 * self.lag_s

    def with_order(self, order: int) -> "Geometry":
        """Give the wobble so many harmonics; new ones are 0."""
        wobble = np.zeros((order, 4))
        kept = min(order, len(self.wobble))
        wobble[:kept] = self.wobble[:kept]
        return dataclasses.replace(self, wobble=wobble)

    def maps(self, angles: NDFloat, times_s: NDFloat) -> NDFloat:
        """Make the map of each line, shape (..., 2, 3)."""
        center = (float(self.center[0]), float(self.center[1]))
        rotation = transforms.line_maps(angles, center, *vector_to_tilt(self.tilt))
        return composed(rotation, {"wobble": self.wobble, **self.others}, angles, times_s)

    def sizes(self, groups: tuple[str, ...]) -> dict[str, int]:
        """Count the parameters of each group."""
        wobble = 0 if len(self.wobble) == 0 else 4 * len(self.wobble) - 2
        count = {name: values.size for name, values in self.others.items()}
        count |= {"center": 2, "plane": 2, "wobble": wobble, "lag": 1}
        return {group: count[group] for group in groups}

    def moved(self, groups: tuple[str, ...], step: NDFloat) -> "Geometry":
        """Add a step to the parameters of some groups."""
        first, changed = 0, self
        for group, size in self.sizes(groups).items():
            changed = changed._moved(group, step[first : first + size])
            first += size
        return changed

    def _moved(self, group: str, own: NDFloat) -> "Geometry":
        if group == "center":
            return dataclasses.replace(self, center=self.center + own)
        if group == "plane":
            h = self.tilt + own
            h = h * min(1.0, MAX_H / max(float(np.hypot(*h)), 1e-30))
            return dataclasses.replace(self, tilt=h)
        if group == "wobble":
            free = np.delete(self.wobble.ravel(), (2, 3)) + own if own.size else own
            return dataclasses.replace(self, wobble=wobble_rows(free, self.tilt))
        if group == "lag":
            return dataclasses.replace(self, lag_s=self.lag_s + float(own[0]))
        before = self.others[group]
        others = {**self.others, group: before + own.reshape(before.shape)}
        return dataclasses.replace(self, others=others)


def wobble_rows(parameters: NDFloat, tilt: NDFloat) -> NDFloat:
    """Make the rows of a wobble from its free parameters, shape (..., 4 order - 2)."""
    if parameters.shape[-1] == 0:
        return np.zeros((*parameters.shape[:-1], 0, 4))
    foreshorten = transforms.plane_matrix(*vector_to_tilt(tilt))
    against = -foreshorten @ QUARTER @ np.linalg.inv(foreshorten)
    first = parameters[..., :2]
    rows = np.concatenate([first, first @ against.T, parameters[..., 2:]], axis=-1)
    return rows.reshape(*parameters.shape[:-1], -1, 4)


def jacobian(geometry: Geometry, sample: Sample, groups: tuple[str, ...]) -> NDFloat:
    """Tell how frames would look displaced if the truth were other parameters than these.

    Derivative of the affine displacement of each derotated frame (see
    :class:`derotation.images.registration.Affine`) by the truth's parameters; lines of one frame
    have different angles, and the affine map is the one that fits the whole frame best.

    Returns
    -------
    ndarray of shape (n, 6, p)
    """
    height, width = sample.shape
    lines = np.linspace(0, height - 1, GRID).round().astype(int)
    y, x = np.meshgrid(lines, np.linspace(0, width - 1, GRID), indexing="ij")
    points = np.stack([x, y], axis=-1).astype(np.float64)
    own_lines = sample.lines.columns(lines)

    def places(changed: Geometry) -> NDFloat:
        maps = LineMaps.of(own_lines, changed)()[:, :, np.newaxis]
        return np.asarray(transforms.apply(maps, points).reshape(len(maps), -1, 2))

    here = places(geometry)
    fitted = _affine_fit(here, (height, width))
    sizes = geometry.sizes(groups)
    steps = {c.name: c.step for c in registered()} | STEPS
    columns = []
    for k, step in enumerate(np.repeat([steps[g] for g in sizes], list(sizes.values()))):
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


def displacement(guess: Geometry, truth: Geometry, lines: Lines, shape: tuple[int, ...]) -> NDFloat:
    """Give the affine displacement of frames derotated by a guess, at their middle line: (n, 6)."""
    middle = lines.columns(np.array([lines.line_angles.shape[1] // 2]))
    guessed, true = (LineMaps.of(middle, geometry)()[:, 0] for geometry in (guess, truth))
    return affine_values(transforms.compose(guessed, transforms.invert(true)), shape)


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
    groups: tuple[str, ...],
    smoothings: tuple[float, ...],
    *,
    iterations: int = 1,
) -> Refined:
    """Fit some groups of parameters, once for each smoothing (px), by Gauss-Newton steps."""
    sample = registration.sample
    blocks = contiguous_blocks(sample.time_s)
    # The sample may move in its own plane, by itself and with the motor's speed.
    speeds = sample.speeds / max(float(np.abs(sample.speeds).max()), 1e-9)
    follows = speeds[:, np.newaxis]
    refined: Refined | None = None
    for smoothing in smoothings:
        affine = registration.affine(geometry, smoothing=smoothing, iterations=iterations)
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
            wandering=Wandering(
                time_s=sample.time_s, follows=follows, shear=_shear(sample, geometry)
            ),
        )
        moved = geometry.moved(groups, result.parameters[: own.shape[2]])
        refined = Refined(geometry=moved, fit=result, affine=affine, before=geometry)
        geometry = moved
    assert refined is not None
    return refined


def _shear(sample: Sample, geometry: Geometry) -> NDFloat:
    """Tell what a velocity (px/s) of the sample does to the affine values of frames: (n, 6, 2).

    Lines that were recorded later are displaced further, along the direction in which the lines of
    a derotated frame follow upon each other.
    """
    height = sample.shape[0]
    middle = sample.lines.columns(np.array([height // 2]))
    back = transforms.invert(LineMaps.of(middle, geometry)()[:, 0])
    times = sample.lines.line_times_s
    period = np.median(np.diff(times, axis=1)) if height > 1 else 0.0
    along = np.nan_to_num(back[:, 1, :2]) * (radius(sample.shape) * period)
    shear = np.zeros((len(along), 6, 2))
    shear[:, 2:4, 0] = shear[:, 4:6, 1] = along
    return shear


def coarse_center(
    registration: Registration, geometry: Geometry, groups: tuple[str, ...] = ("center",)
) -> Geometry:
    """Bring the center (and other groups that shift the picture) close, by peaks of correlation."""
    sample, small = registration.sample, registration.coarser()
    blocks = contiguous_blocks(sample.time_s)
    unit = np.broadcast_to(np.eye(2), (len(sample.numbers), 2, 2))
    for _ in range(COARSE_ROUNDS):
        shifts, _ = small.shifts(geometry)
        design = jacobian(geometry, sample, groups)[:, :2]
        step = fit(design, shifts, unit, blocks=blocks, learn_scatter=False).parameters
        geometry = geometry.moved(groups, step)
        if np.hypot(*step[:2]) < 1:
            break
    return geometry


def circle_seen(sample: Sample) -> float:
    """Tell which part of the circle the lines of all frames cover, 0 to 1."""
    sectors = np.floor(np.mod(sample.lines.line_angles, 360.0) / (360.0 / SECTORS))
    # None of the frames that are compared lies near 0, where nothing is told.
    return len(np.unique(np.append(sectors, (0, SECTORS - 1)))) / SECTORS


def best_correlated(sample: Sample, trials: list[Geometry], threads: int) -> tuple[int, NDFloat]:
    """Tell with which of some geometries frames correlate most with the sample at rest.

    The correlation is taken at its peak, wherever that is, so that the center does not matter.

    Returns
    -------
    best : int
        Number of the best trial.
    correlation : ndarray of shape (n_trials, n)
        Of each frame with the sample at rest.
    """
    # Half-size pictures mix two lines, so that the timing within a line is lost.
    small = sample.binned(2 if min(sample.shape) >= BIN_ABOVE else 1)
    timeless = dataclasses.replace(small, lines=small.lines.without_timing())
    registration = Registration(timeless, threads)
    correlation = np.empty((len(trials), len(sample.numbers)))
    for k, trial in enumerate(tqdm(trials, desc="trials", disable=None, leave=False)):
        correlation[k] = registration.shifts(trial)[1]
    return int(np.argmax(correlation.mean(axis=1))), correlation


def residual_rms(shifts: NDFloat, used: NDArray[np.bool_] | None = None) -> float:
    """Give the root mean square of the length of shifts (x, y) that could be measured, pixels.

    Parameters
    ----------
    shifts : ndarray of shape (n, 2)
        NaN where a frame could not be compared.
    used : ndarray of bool of shape (n,), optional
        Frames that count; by default all.

    Returns
    -------
    float
        NaN if none is known.
    """
    squared = np.sum(shifts**2, axis=1)
    known = np.isfinite(squared) if used is None else used & np.isfinite(squared)
    return float(np.sqrt(np.mean(squared[known]))) if known.any() else float("nan")


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


def with_center(calibration: Calibration, found: Refined, residual: float) -> Calibration:
    """Take over the center of a fit; its first two parameters are those of the center."""
    sd = (float(found.fit.sd[0]), float(found.fit.sd[1]))
    center = (float(found.geometry.center[0]), float(found.geometry.center[1]))
    verdicts = judge.center(
        center,
        sd,
        residual=residual,
        share=float(np.mean(found.fit.weights > 0)),
        shape=calibration.image_shape,
    )
    return calibration.replace(
        center=center,
        center_sd=sd,
        residual_px=residual,
        trusted=not any(verdict.doubt for verdict in verdicts),
    ).with_verdicts("center", verdicts)
