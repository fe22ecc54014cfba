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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration, Corrected
from derotation.calibration.geometry import (
    MIN_CIRCLE,
    WOBBLE_ORDER,
    Geometry,
    Refined,
    best_correlated,
    circle_seen,
    coarse_center,
    displacement,
    refine,
    residual_rms,
    residual_shifts,
    tilt_to_vector,
    vector_to_tilt,
    with_center,
)
from derotation.calibration.judge import LIMITS
from derotation.estimates import Verdict
from derotation.images.choosing import spread
from derotation.images.registration import Registration
from derotation.images.sample import Sample, most_turned, read_sample
from derotation.io.movie import Movie
from derotation.maps.discs import seen_radius
from derotation.maps.line_maps import LineMaps
from derotation.maps.timing import LineTiming
from derotation.numerics.robust import significance
from derotation.settings.defaults import complete
from derotation.signals.angles import Angles

__all__ = ["PlaneEstimate", "estimate_plane"]

logger = logging.getLogger(__name__)

# Tilts that are tried to begin with: h = tan(t/2)^2 up to that of 45 degrees, at this distance; in
# between the gradients find the way.
LARGEST_TRIED = math.tan(math.radians(22.5)) ** 2
TRIAL_DISTANCE = 0.045
TRIAL_FRAMES = 14
COARSE_FRAMES = 48
COARSE_SMOOTHINGS = (4.0, 2.5, 1.5)
FINE_SMOOTHINGS = (1.5, 1.5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlaneEstimate(Corrected):
    """Tilt and orientation of the plane of rotation, and what they were found from."""

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
    frames: NDArray[np.int64]
    """Numbers of the frames that were compared, shape (n,)."""
    angles: NDArray[np.float64]
    """Their angles in the middle, degrees, shape (n,)."""
    before: NDArray[np.float64]
    """Affine displacement of each frame derotated without tilt: (tx, ty, Bxx, Bxy, Byx, Byy),
    pixels; B at a distance of half the picture's smaller side from its center. Shape (n, 6)."""
    after: NDArray[np.float64]
    """The same, derotated with the tilt found."""


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

    A sample at p = (x, y) recorded at the angle a belongs at ``P R(a) P^-1 (p - c) + c``, where
    P shortens by cos(tilt) along the orientation: degrees from +x (right) towards +y (down). The
    tilt is 0 degrees where the plane of rotation is the plane that is scanned; its sign cannot be
    told from the picture, and it is given as positive. Tilt, orientation and center c (pixels) are
    fitted together.

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
    settings = complete("plane", config)
    base = calibration.replace(plane_output=settings["output"])
    if settings["correct"] == "never":
        return _not_measured(
            base.replace(plane_angle=0.0, plane_orientation=0.0, plane_sd=None),
            "not_asked",
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
            "given",
            "A tilt of {plane_angle:g} degrees along {plane_orientation:g} degrees was given in "
            "the configuration (plane.correct is fixed); nothing was measured.",
        )
    calibration.check_shape(movie.shape, str(movie.paths[0]))
    start = calibration.replace(plane_angle=0.0)
    sample = read_sample(
        movie, LineMaps.of(angles, start, timing=timing), int(settings["n_frames"])
    )
    logger.info(
        "Plane: %d frames at rest and %d turned ones are compared",
        sample.n_rest,
        len(sample.numbers),
    )
    found = _find(sample, Geometry.of(start), threads)
    return _conclude(found, sample, base, session)


def _not_measured(calibration: Calibration, code: str, says: str) -> PlaneEstimate:
    value = _value(calibration.plane_angle, calibration.plane_orientation)
    verdict = Verdict(topic="plane", code=code, says=says, figures=value)
    logger.info("%s", verdict.sentence)
    none = np.empty((0, 6))
    return PlaneEstimate(
        name="plane",
        value=value,
        sd=None,
        corrected=calibration.plane_angle != 0,
        verdicts=(verdict,),
        calibration=calibration.with_verdicts("plane", [verdict]),
        plane_angle=calibration.plane_angle,
        plane_orientation=calibration.plane_orientation,
        plane_sd=None,
        vector=tilt_to_vector(calibration.plane_angle, calibration.plane_orientation),
        vector_covariance=np.full((2, 2), np.nan),
        frames=np.empty(0, np.int64),
        angles=np.empty(0),
        before=none,
        after=none,
    )


def _value(angle: float, orientation: float) -> dict[str, float]:
    return {"plane_angle": angle, "plane_orientation": orientation}


def _find(sample: Sample, start: Geometry, threads: int) -> _Found:
    """Find tilt and center, from coarse to fine."""
    few = sample
    if len(sample.numbers) > COARSE_FRAMES:
        few = sample.select(spread(np.arange(len(sample.numbers)), sample.middle, COARSE_FRAMES))
    coarse = Registration(few, threads)
    tried = coarse_center(coarse, _try_tilts(sample, start, threads))
    # A wobble left out would be mistaken for a tilt. It needs the whole circle to be told.
    groups: tuple[str, ...] = ("center", "plane")
    if circle_seen(sample) >= MIN_CIRCLE:
        groups = ("center", "plane", "wobble")
        tried = tried.with_order(WOBBLE_ORDER)
    rough = refine(coarse, tried, groups, COARSE_SMOOTHINGS).geometry
    registration = Registration(sample.with_reference_of_all(), threads)
    plane = refine(registration, rough, groups, FINE_SMOOTHINGS)
    still = dataclasses.replace(plane.geometry, wobble=start.wobble)
    return _Found(plane=plane, center=refine(registration, still, ("center",), (1.5,)))


def _try_tilts(sample: Sample, start: Geometry, threads: int) -> Geometry:
    """Take the tilt, out of a few dozen, with which frames correlate most with those at rest."""
    # At 0 and 180 degrees a tilt does nothing.
    few = sample.select(most_turned(sample, TRIAL_FRAMES))
    trials = [dataclasses.replace(start, tilt=tilt) for tilt in _trial_vectors()]
    best, _ = best_correlated(few, trials, threads)
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
    significant = significance(h, covariance, plane.fit.n_blocks) < LIMITS.significance
    inliers = plane.fit.weights > 0
    residual = residual_rms(residual_shifts(found.center), inliers)
    matters = significant and effect >= LIMITS.min_effect_px
    figures = {
        **_value(angle, orientation),
        "angle_sd": sd[0],
        "orientation_sd": sd[1],
        "limit": limit,
        "effect": effect,
        "residual": residual,
    }
    verdicts = _verdicts(plane, figures, float(np.mean(inliers)), matters=matters)
    corrected = any(verdict.code == "corrected" for verdict in verdicts)
    for verdict in verdicts:
        logger.log(logging.WARNING if verdict.doubt else logging.INFO, "%s", verdict.sentence)
    if not matters:
        sd = (limit / 1.96, 180 / math.sqrt(12))
    result = calibration.replace(
        plane_angle=angle if corrected else 0.0,
        plane_orientation=orientation if corrected else 0.0,
        plane_sd=sd,
        provenance=calibration.provenance
        | {"plane_session": session, "plane_frames": int(inliers.sum())},
    )
    if corrected and calibration.method not in ("fixed", "image_center"):
        result = with_center(result, found.center, residual)
    flat = dataclasses.replace(geometry, tilt=np.zeros(2))
    left = found.center.fit.residuals
    return PlaneEstimate(
        name="plane",
        value=_value(angle, orientation),
        sd=_value(*sd),
        found_from={"frame": sample.numbers, "angle": sample.middle, "used": inliers},
        corrected=corrected,
        verdicts=verdicts,
        calibration=result.with_verdicts("plane", verdicts),
        plane_angle=angle,
        plane_orientation=orientation,
        plane_sd=sd,
        vector=h,
        vector_covariance=covariance,
        frames=sample.numbers,
        angles=np.asarray(sample.middle),
        before=left + displacement(flat, geometry, sample.lines, sample.shape),
        after=left,
    )


def _verdicts(
    plane: Refined, figures: dict[str, float], share: float, *, matters: bool
) -> tuple[Verdict, ...]:
    """Decide whether there is a tilt, and whether it is corrected."""
    if not matters:
        unnoticed = figures["limit"] > LIMITS.max_unnoticed_tilt_deg
        says = (
            "Whether the plane is tilted cannot be told: the tilt may be anything up to "
            "{limit:.0f} degrees (95 %). It is not corrected."
            if unnoticed
            else "The plane of rotation is the plane scanned, as far as can be told: the tilt is "
            "below {limit:.1f} degrees (95 %). It is not corrected."
        )
        code = "untold" if unnoticed else "none"
        return (Verdict(topic="plane", code=code, says=says, figures=figures, doubt=unnoticed),)
    doubts = _doubts(plane, figures, share)
    if not doubts:
        says = (
            "The plane of rotation is tilted by {plane_angle:.2f} ± {angle_sd:.2f} degrees along "
            "{plane_orientation:.1f} ± {orientation_sd:.1f} degrees, which shifts the picture by "
            "up to {effect:.1f} px; it is corrected, and frames then lie within {residual:.2f} px "
            "(rms) of the sample at rest."
        )
        return (Verdict(topic="plane", code="corrected", says=says, figures=figures),)
    return tuple(
        Verdict(
            topic="plane",
            code=code,
            says="A tilt of {plane_angle:.1f} degrees cannot be trusted and is not corrected: "
            f"{says}.",
            figures=figures | {"share": 100 * share},
            doubt=True,
        )
        for code, says in doubts
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


def _doubts(found: Refined, figures: dict[str, float], share: float) -> list[tuple[str, str]]:
    """List what speaks against a tilt: a word for programs, and half a sentence."""
    step = float(np.hypot(*(found.geometry.tilt - found.before.tilt)))
    doubts = {
        "uncertain": (
            figures["angle_sd"] > LIMITS.max_tilt_sd_deg,
            "it is uncertain by {angle_sd:.1f} degrees",
        ),
        "few_agree": (
            share < LIMITS.min_inliers,
            "only {share:.0f} % of the frames agree with it",
        ),
        "steep": (
            figures["plane_angle"] > LIMITS.max_tilt_deg,
            "so steep a plane can hardly be scanned",
        ),
        "unsettled": (
            step > max(3 * float(found.fit.sd[2:4].max()), 1e-3),
            "repeating the estimate still changes it",
        ),
    }
    return [(code, says) for code, (holds, says) in doubts.items() if holds]
