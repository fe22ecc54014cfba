"""Find how far the plane of rotation is tilted against the plane that is scanned.

A plane that is tilted by t is foreshortened by cos(t) along its orientation. A sample that turns in
it is not only turned in the picture but squeezed and sheared, with two periods per turn. Each frame
is derotated as if there were no tilt, its affine map against the sample at rest is measured, and
tilt, orientation and center are fitted to the maps of all frames together. The guess is renewed and
frames are derotated again until nothing is left.
"""

import dataclasses
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration
from derotation.calibration.geometry import (
    MIN_CIRCLE,
    WOBBLE_ORDER,
    Geometry,
    Group,
    Refined,
    center_statement,
    circle_seen,
    coarse_center,
    displacement,
    most_alike,
    refine,
    residual_shifts,
    rms_shift,
    tilt_to_vector,
    vector_to_tilt,
    with_center,
)
from derotation.errors import ConfigError
from derotation.images.registration import Registration, Sample, most_turned, read_sample, spread
from derotation.io.movie import Movie
from derotation.maps import transforms
from derotation.maps.discs import seen_radius
from derotation.maps.resample import LineTiming
from derotation.numerics.robust import significance
from derotation.signals.angles import Angles

__all__ = ["PlaneEstimate", "estimate_plane"]

logger = logging.getLogger(__name__)

DEFAULTS: dict[str, Any] = {
    "correct": "auto",
    "plane_angle": 0.0,
    "plane_orientation": 0.0,
    "output": "scan",
    "n_frames": 80,
}
# Tilts that are tried to begin with: h = tan(t/2)^2 up to that of 45 degrees, at this distance; in
# between the gradients find the way.
LARGEST_TRIED = math.tan(math.radians(22.5)) ** 2
TRIAL_DISTANCE = 0.045
TRIAL_FRAMES = 14
COARSE_FRAMES = 48
COARSE_SMOOTHINGS = (4.0, 2.5, 1.5)
FINE_SMOOTHINGS = (1.5, 1.5)
# `auto` corrects a tilt that chance would give once in 370 times (3 sigma) or less, and that moves
# something by more than this (px) at the edge of the disc that is always seen.
SIGNIFICANCE = 0.0027
MIN_EFFECT = 0.1
# When an estimate is not trusted.
MAX_ANGLE_SD = 3.0
MIN_INLIERS = 0.5
MAX_TILT = 50.0
MAX_UNNOTICED = 15.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlaneEstimate:
    """Tilt and orientation of the plane of rotation, and what they were found from."""

    calibration: Calibration
    """The calibration to use: with the tilt if it is corrected, else without."""
    plane_angle: float
    """Tilt that was found or given, degrees, 0 on. Noise alone makes it larger than 0."""
    plane_orientation: float
    """Its orientation, degrees from +x towards +y, 0 to 180."""
    plane_sd: tuple[float, float] | None
    """Standard uncertainties of tilt and orientation, degrees; None if nothing was measured."""
    vector: NDArray[np.float64]
    """tan(tilt/2)^2 (cos 2o, sin 2o), o the orientation: its errors do not depend on the tilt."""
    vector_covariance: NDArray[np.float64]
    """Covariance of `vector`, shape (2, 2)."""
    corrected: bool
    """Whether the calibration corrects the tilt."""
    trusted: bool
    """False if the estimate contradicts itself or rests on too little."""
    statement: str
    """In plain words, what was found and what is done."""
    frames: NDArray[np.int64]
    """Numbers of the frames that were compared, shape (n,)."""
    angles: NDArray[np.float64]
    """Their angles in the middle, degrees, shape (n,)."""
    before: NDArray[np.float64]
    """Affine displacement of each frame derotated without tilt: (tx, ty, Bxx, Bxy, Byx, Byy),
    pixels; B at a distance of half the picture's smaller side from its center. Shape (n, 6)."""
    after: NDArray[np.float64]
    """The same, derotated with the tilt found."""
    inliers: NDArray[np.bool_]
    """Frames that agree with the result, shape (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """The plane, and the center that goes with it if the axis does not wobble."""

    plane: Refined
    center: Refined


def estimate_plane(
    movie: Movie,
    angles: Angles,
    calibration: Calibration,
    config: Mapping[str, Any] | None = None,
    *,
    timing: LineTiming | None = None,
    session: str = "",
    threads: int = 1,
) -> PlaneEstimate:
    """Find tilt and orientation of the plane of rotation.

    Parameters
    ----------
    movie : Movie
        The recorded movie; a few hundred of its frames are read.
    angles : Angles
        Angles of all lines, of either protocol.
    calibration : Calibration
        The center, known to a few pixels, found as if there were no tilt. It is found anew together
        with the tilt, unless it was given (method fixed or image_center).
    config : mapping, optional
        Section ``plane``: ``correct`` (auto: if the tilt is significant and matters; never; fixed:
        take ``plane_angle`` and ``plane_orientation``, degrees), ``output`` (scan: the picture as
        scanned at rest; sample: as seen along the axis), ``n_frames``. Missing keys take their
        defaults.
    timing : LineTiming, optional
        When the samples within a line are recorded; by default as `angles` says, in one direction.
    session : str
        Name for the provenance.
    threads : int
        Number of threads for derotating.

    Returns
    -------
    PlaneEstimate

    Raises
    ------
    ConfigError
        If an option is not allowed.
    CenterError
        If there are too few frames at rest or turned, or nothing in them to compare.

    Notes
    -----
    A tilt is never negative, so noise looks like a small one. Whether there is any is therefore
    asked of the vector ``tan(t/2)^2 (cos 2o, sin 2o)``, which scatters evenly about zero, by
    Hotelling's test with the covariance from leaving out blocks of frames. ``auto`` corrects if
    the vector is beyond 3 sigma, and the tilt shifts something by more than 0.1 px at the edge of
    the disc that is always seen (for a disc with a radius of 128 px: a tilt of 2.3 degrees).
    """
    settings = _checked(DEFAULTS | dict(config or {}))
    base = calibration.replace(plane_output=settings["output"])
    if settings["correct"] == "never":
        return _not_measured(
            base.replace(plane_angle=0.0, plane_orientation=0.0, plane_sd=None),
            "The plane of rotation was taken to be the plane scanned (plane.correct is never); "
            "nothing was measured.",
        )
    if settings["correct"] == "fixed":
        given = base.replace(
            plane_angle=float(settings["plane_angle"]),
            plane_orientation=float(settings["plane_orientation"]),
            plane_sd=None,
        )
        return _not_measured(
            given,
            f"A tilt of {given.plane_angle:g} degrees along {given.plane_orientation:g} degrees "
            "was given in the configuration (plane.correct is fixed); nothing was measured.",
        )
    timing = timing or LineTiming(line_duty=angles.line_duty)
    calibration.check_shape(movie.shape, str(movie.paths[0]))
    sample = read_sample(movie, angles, int(settings["n_frames"]))
    logger.info(
        "Plane: %d frames at rest and %d turned ones are compared",
        sample.n_rest,
        len(sample.numbers),
    )
    start = Geometry.of(calibration.replace(plane_angle=0.0))
    found = _find(sample, start, timing, threads)
    return _conclude(found, sample, base, session)


def _checked(settings: dict[str, Any]) -> dict[str, Any]:
    """Refuse options that are not allowed."""
    if settings["correct"] not in ("auto", "never", "fixed"):
        msg = f"plane.correct is {settings['correct']!r}; allowed are auto, never and fixed"
        raise ConfigError(msg)
    if settings["output"] not in get_args(transforms.PlaneOutput):
        msg = f"plane.output is {settings['output']!r}; allowed are scan and sample"
        raise ConfigError(msg)
    angle, orientation = settings["plane_angle"], settings["plane_orientation"]
    if settings["correct"] == "fixed" and not (0 <= angle < 90 and math.isfinite(orientation)):
        msg = (
            f"plane.plane_angle is {angle} and plane.plane_orientation {orientation}; expected are "
            "a tilt of 0 to below 90 degrees and an orientation in degrees"
        )
        raise ConfigError(msg)
    return settings


def _not_measured(calibration: Calibration, statement: str) -> PlaneEstimate:
    logger.info("%s", statement)
    none = np.empty((0, 6))
    return PlaneEstimate(
        calibration=calibration.replace(statement=_joined(calibration.statement, statement)),
        plane_angle=calibration.plane_angle,
        plane_orientation=calibration.plane_orientation,
        plane_sd=None,
        vector=tilt_to_vector(calibration.plane_angle, calibration.plane_orientation),
        vector_covariance=np.full((2, 2), np.nan),
        corrected=calibration.plane_angle != 0,
        trusted=True,
        statement=statement,
        frames=np.empty(0, np.int64),
        angles=np.empty(0),
        before=none,
        after=none,
        inliers=np.empty(0, np.bool_),
    )


def _joined(*statements: str) -> str:
    return " ".join(s for s in statements if s)


def _find(sample: Sample, start: Geometry, timing: LineTiming, threads: int) -> _Found:
    """Find tilt and center, from coarse to fine."""
    few = sample
    if len(sample.numbers) > COARSE_FRAMES:
        few = sample.select(spread(np.arange(len(sample.numbers)), sample.middle, COARSE_FRAMES))
    coarse = Registration(few, timing, threads)
    tried = coarse_center(coarse, _try_tilts(sample, start, threads))
    # A wobble left out would be mistaken for a tilt. It needs the whole circle to be told.
    groups: tuple[Group, ...] = ("center", "plane")
    if circle_seen(sample) >= MIN_CIRCLE:
        groups = ("center", "plane", "wobble")
        tried = tried.with_order(WOBBLE_ORDER)
    rough = refine(coarse, tried, groups, COARSE_SMOOTHINGS).geometry
    registration = Registration(sample, timing, threads)
    plane = refine(registration, rough, groups, FINE_SMOOTHINGS)
    still = dataclasses.replace(plane.geometry, wobble=start.wobble)
    return _Found(plane=plane, center=refine(registration, still, ("center",), (1.5,)))


def _try_tilts(sample: Sample, start: Geometry, threads: int) -> Geometry:
    """Take the tilt, out of a few dozen, with which frames look most like the sample at rest."""
    # At 0 and 180 degrees a tilt does nothing.
    few = sample.select(most_turned(sample, TRIAL_FRAMES))
    trials = [
        Geometry(center=start.center, tilt=tilt, wobble=start.wobble) for tilt in _trial_vectors()
    ]
    best, _ = most_alike(few, trials, threads)
    return trials[best]


def _trial_vectors() -> NDArray[np.float64]:
    """Fill a disc with a hexagonal grid, from the middle on, shape (n, 2)."""
    reach = math.ceil(LARGEST_TRIED / TRIAL_DISTANCE) + 1
    a, b = np.mgrid[-2 * reach : 2 * reach + 1, -2 * reach : 2 * reach + 1]
    points = TRIAL_DISTANCE * np.stack(
        [(a + b / 2).ravel(), (b * math.sqrt(3) / 2).ravel()], axis=1
    )
    size = np.hypot(*points.T)
    order = np.argsort(size, kind="stable")
    return np.asarray(points[order][size[order] <= LARGEST_TRIED])


def _conclude(
    found: _Found, sample: Sample, calibration: Calibration, session: str
) -> PlaneEstimate:
    """Decide whether to correct, and say so in plain words."""
    plane, geometry = found.plane, found.center.geometry
    h = geometry.tilt
    covariance = plane.fit.covariance[2:4, 2:4]
    angle, orientation = vector_to_tilt(h)
    sd = _angle_sd(h, covariance)
    limit = _upper_limit(h, covariance)
    effect = 2 * float(np.hypot(*h)) * seen_radius(geometry.center, calibration.image_shape)
    significant = significance(h, covariance, plane.fit.n_blocks) < SIGNIFICANCE
    inliers = plane.fit.weights > 0
    residual = rms_shift(residual_shifts(found.center)[inliers])
    matters = significant and effect >= MIN_EFFECT
    doubts = _doubts(plane, sd[0], angle, float(np.mean(inliers))) if matters else []
    corrected = matters and not doubts
    if not matters and limit > MAX_UNNOTICED:
        doubts = [f"the tilt may be anything up to {limit:.0f} degrees (95 %)"]
        statement = f"Whether the plane is tilted cannot be told: {doubts[0]}. It is not corrected."
    elif not matters:
        statement = (
            f"The plane of rotation is the plane scanned, as far as can be told: the tilt is below "
            f"{limit:.1f} degrees (95 %). It is not corrected."
        )
    elif doubts:
        statement = (
            f"A tilt of {angle:.1f} degrees cannot be trusted: {'; '.join(doubts)}. It is not "
            "corrected."
        )
    else:
        statement = (
            f"The plane of rotation is tilted by {angle:.2f} ± {sd[0]:.2f} degrees along "
            f"{orientation:.1f} ± {sd[1]:.1f} degrees, which shifts the picture by up to "
            f"{effect:.1f} px; it is corrected, and frames then lie within {residual:.2f} px (rms) "
            "of the sample at rest."
        )
    if not matters:
        sd = (limit / 1.96, 180 / math.sqrt(12))
    logger.log(logging.WARNING if doubts else logging.INFO, "%s", statement)
    provenance = calibration.provenance | {
        "plane_session": session,
        "plane_frames": int(inliers.sum()),
    }
    result = calibration.replace(
        plane_angle=0.0, plane_orientation=0.0, plane_sd=sd, provenance=provenance
    )
    if corrected:
        result = result.replace(plane_angle=angle, plane_orientation=orientation)
        if calibration.method not in ("fixed", "image_center"):
            result = with_center(result, found.center, residual)
            statement_before = center_statement(result, "")
        else:
            statement_before = calibration.statement
        result = result.replace(statement=_joined(statement_before, statement))
    else:
        result = result.replace(statement=_joined(calibration.statement, statement))
    flat = dataclasses.replace(geometry, tilt=np.zeros(2))
    return PlaneEstimate(
        calibration=result,
        plane_angle=angle,
        plane_orientation=orientation,
        plane_sd=sd,
        vector=h,
        vector_covariance=covariance,
        corrected=corrected,
        trusted=not doubts,
        statement=statement,
        frames=sample.numbers,
        angles=np.asarray(sample.middle),
        before=found.center.fit.residuals + displacement(flat, geometry, sample),
        after=found.center.fit.residuals,
        inliers=inliers,
    )


def _angle_sd(h: NDArray[np.float64], covariance: NDArray[np.float64]) -> tuple[float, float]:
    """Propagate the uncertainty of h to tilt and orientation, degrees."""
    size = max(float(np.hypot(*h)), 1e-12)
    along = h / size
    across = np.array([-along[1], along[0]])
    sd_along = math.sqrt(max(float(along @ covariance @ along), 0.0))
    sd_across = math.sqrt(max(float(across @ covariance @ across), 0.0))
    tilt = sd_along / (math.sqrt(size) * (1 + size))
    return math.degrees(tilt), min(math.degrees(sd_across / size / 2), 90.0)


def _upper_limit(h: NDArray[np.float64], covariance: NDArray[np.float64]) -> float:
    """Give the tilt (degrees) that is exceeded with a probability of at most 5 %, about."""
    sd = math.sqrt(float(np.linalg.eigvalsh(covariance)[-1]))
    return vector_to_tilt(np.array([float(np.hypot(*h)) + 1.645 * sd, 0.0]))[0]


def _doubts(found: Refined, sd: float, angle: float, inlier_fraction: float) -> list[str]:
    doubts = []
    if sd > MAX_ANGLE_SD:
        doubts.append(f"it is uncertain by {sd:.1f} degrees")
    if inlier_fraction < MIN_INLIERS:
        doubts.append(f"only {100 * inlier_fraction:.0f} % of the frames agree with it")
    if angle > MAX_TILT:
        doubts.append("so steep a plane can hardly be scanned")
    step = float(np.hypot(*(found.geometry.tilt - found.before.tilt)))
    if step > max(3 * float(found.fit.sd[2:4].max()), 1e-3):
        doubts.append("repeating the estimate still changes it")
    return doubts
