"""Find how the axis of rotation wobbles: the shift that is left, as a function of the angle.

The recorded picture is shifted by a Fourier series of the angle that vanishes at rest. One part of
its first harmonic cannot be told from a wrong center: a center that is wrong by e shifts the
recorded picture by ``e - P R(-a) P^-1 e``, which turns with the sample. This part belongs to the
center, by definition; the wobble has the rest of the first harmonic (which turns against the
sample), and all of the higher ones. Together, center and wobble explain any such shift.
"""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration, Corrected, Rows
from derotation.calibration.geometry import (
    MIN_CIRCLE,
    QUARTER,
    Geometry,
    Refined,
    circle_seen,
    refine,
    residual_rms,
    residual_shifts,
    vector_to_tilt,
    with_center,
    wobble_rows,
)
from derotation.calibration.judge import LIMITS
from derotation.estimates import Verdict
from derotation.images.registration import Registration
from derotation.images.sample import Sample, read_sample
from derotation.io.movie import Movie
from derotation.maps import transforms
from derotation.maps.line_maps import LineMaps
from derotation.maps.timing import LineTiming
from derotation.numerics.degrees import cosine_and_sine
from derotation.numerics.robust import significance, solve
from derotation.settings.defaults import complete
from derotation.signals.angles import Angles

__all__ = ["WobbleEstimate", "estimate_wobble"]

logger = logging.getLogger(__name__)

NDFloat = NDArray[np.float64]

SMOOTHINGS = (2.5, 1.5, 1.5)
CURVE_ANGLES = np.arange(0.0, 361.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WobbleEstimate(Corrected):
    """Wobble of the axis and what it was found from."""

    order: int
    """Harmonics that predict frames best that were left out; 0: none."""
    wobble: Rows
    """Rows (Cx, Cy, Sx, Sy) in pixels, as those of
    :class:`~derotation.calibration.calibration.Calibration`."""
    wobble_sd: Rows
    """Their standard uncertainties."""
    probability: float
    """Probability of a wobble at least so large by chance."""
    losses: NDFloat
    """Misfit of left-out blocks of frames with 0, 1, 2, ... harmonics, less that with none, and its
    standard error; shape (n, 2), in units of squared standard deviations per frame."""
    frames: NDArray[np.int64]
    """Numbers of the frames that were compared, shape (n,)."""
    angles: NDFloat
    """Their angles in the middle, degrees, shape (n,)."""
    shifts: NDFloat
    """Shift (x, y) of each recorded frame against a sample that turns about the center, (n, 2)."""
    residuals: NDFloat
    """What the wobble does not explain of it."""
    curve_angles: NDFloat
    """Angles at which the curve is given, degrees, shape (m,)."""
    curve: NDFloat
    """Shift (x, y) by the wobble, px, shape (m, 2)."""
    curve_sd: NDFloat
    """Its standard uncertainty, shape (m, 2); 1.96 of it is a 95 % band."""


def estimate_wobble(
    movie: Movie,
    angles: Angles,
    calibration: Calibration,
    config: Mapping[str, Any] | None = None,
    *,
    timing: LineTiming | None = None,
    session: str = "",
    threads: int = 1,
) -> WobbleEstimate:
    """Find the wobble of the axis, after center and tilt.

    At the angle a, in degrees, the recorded picture lies shifted by
    ``w(a) = sum over k = 1, 2, ... of C_k (cos(k a) - 1) + S_k sin(k a)``, pixels (x, y), which is
    taken off before it is turned back; w(0) = 0. Row k of what is found is (Cx, Cy, Sx, Sy).

    Parameters
    ----------
    movie : Movie
        The recorded movie; a few hundred of its frames are read.
    angles : Angles
        Angles of all lines, of either protocol.
    calibration : Calibration
        Center and tilt. They are found anew together with the wobble (the center unless it was
        given, the tilt if there is one and it was measured).
    config : mapping, optional
        Section ``wobble``: ``correct`` (auto: if the wobble is significant and matters; never),
        ``max_order`` (largest number of harmonics, 1 to 8), ``n_frames``. Missing keys take their
        defaults.
    timing : LineTiming, optional
        When the samples within a line are recorded; by default as `angles` says, in one direction.
    session : str
        Name for the provenance.
    threads : int
        Number of threads for derotating.

    Returns
    -------
    WobbleEstimate

    Raises
    ------
    ConfigError
        If an option is not allowed.
    CenterError
        If there are too few frames at rest or turned, or nothing in them to compare.

    Notes
    -----
    The number of harmonics is the smallest one that predicts contiguous blocks of frames that were
    left out as well as the best one does, within one standard error [1]_. ``auto`` corrects if
    chance would hardly give such a series (3 sigma), and it shifts the picture by more than 0.1 px
    somewhere.

    References
    ----------
    .. [1] T. Hastie, R. Tibshirani, J. Friedman, "The Elements of Statistical Learning", 2nd ed.,
       Springer (2009), section 7.10.
    """
    settings = complete("wobble", config)
    base = calibration.replace(wobble=(), wobble_sd=None)
    if settings["correct"] == "never":
        says = "The axis was taken not to wobble (wobble.correct is never); nothing was measured."
        return _not_measured(base, Verdict(topic="wobble", code="not_asked", says=says))
    calibration.check_shape(movie.shape, str(movie.paths[0]))
    line_maps = LineMaps.of(angles, calibration, timing=timing)
    sample = read_sample(movie, line_maps, int(settings["n_frames"]))
    seen = circle_seen(sample)
    if seen < MIN_CIRCLE:
        untold = Verdict(
            topic="wobble",
            code="untold",
            says="Whether the axis wobbles cannot be told: frames cover only {seen:.0f} % of the "
            "circle, and {needed:.0f} % are needed. No wobble is corrected.",
            figures={"seen": 100 * seen, "needed": 100 * MIN_CIRCLE},
            doubt=True,
        )
        return _not_measured(base, untold)
    logger.info("Wobble: %d turned frames are compared", len(sample.numbers))
    registration = Registration(sample.with_reference_of_all(), threads)
    groups = _groups(calibration)
    start = Geometry.of(base)
    full = refine(registration, start.with_order(int(settings["max_order"])), groups, SMOOTHINGS)
    losses = _losses(full, groups, int(settings["max_order"]))
    order = _choose_order(losses)
    plain = refine(registration, _keep(full.geometry, start, 0), groups, (1.5,))
    best = plain
    if order:
        best = refine(registration, _keep(full.geometry, start, order), groups, (1.5, 1.5))
    return _conclude(best, plain, losses, order, sample, base, session)


def _groups(calibration: Calibration) -> tuple[str, ...]:
    if calibration.plane_angle != 0 and calibration.plane_sd is not None:
        return ("center", "plane", "wobble")
    return ("center", "wobble")


def _keep(geometry: Geometry, start: Geometry, order: int) -> Geometry:
    """Keep so many harmonics; without any, the center is better sought from the start."""
    if order:
        return geometry.with_order(order)
    return dataclasses.replace(start, tilt=geometry.tilt, wobble=np.zeros((0, 4)))


def _free_count(order: int) -> int:
    """Count the free parameters of so many harmonics."""
    return 4 * order - 2 if order else 0


def _losses(full: Refined, groups: tuple[str, ...], max_order: int) -> NDFloat:
    """Cross-validate the number of harmonics: misfit against that of none, and standard error."""
    fitted, before = full.fit, full.before
    first = sum(size for group, size in before.sizes(groups).items() if group != "wobble")
    wobble = slice(first, first + _free_count(max_order))
    # Written for the whole wobble instead of its last step, equations hold for any order.
    offset = np.zeros(fitted.normal.shape[1])
    offset[wobble] = np.delete(before.wobble.ravel(), (2, 3))
    moment = fitted.moment + fitted.normal @ offset
    normal, prior = fitted.normal, fitted.prior
    names = np.unique(fitted.blocks)
    losses = np.empty((max_order + 1, len(names)))
    for order in range(max_order + 1):
        used = np.ones(len(offset), bool)
        used[first + _free_count(order) : wobble.stop] = False
        chosen = np.ix_(used, used)
        for k, name in enumerate(names):
            own = fitted.blocks == name
            parameters = solve(
                (normal[~own].sum(axis=0) + prior)[chosen], moment[~own].sum(axis=0)[used]
            )
            out_normal, out_moment = normal[own].sum(axis=0)[chosen], moment[own].sum(axis=0)[used]
            misfit = parameters @ out_normal @ parameters - 2 * parameters @ out_moment
            losses[order, k] = misfit / max(int(own.sum()), 1)
    return _summarized(losses)


def _summarized(losses: NDFloat) -> NDFloat:
    """Give the mean of losses (order, block) against those of the best, and its standard error."""
    best = int(np.argmin(losses.mean(axis=1)))
    worse = losses - losses[best]
    error = worse.std(axis=1, ddof=1) / np.sqrt(losses.shape[1])
    mean = losses.mean(axis=1)
    return np.stack([mean - mean[0], error], axis=1)


def _choose_order(losses: NDFloat) -> int:
    """Take the lowest order that is not worse than the best by more than one standard error."""
    worse = losses[:, 0] - losses[:, 0].min()
    return int(np.flatnonzero(worse <= losses[:, 1])[0])


def _conclude(
    best: Refined,
    plain: Refined,
    losses: NDFloat,
    order: int,
    sample: Sample,
    calibration: Calibration,
    session: str,
) -> WobbleEstimate:
    """Decide whether to correct, and say so in plain words."""
    first = best.fit.parameters.size - 6 - _free_count(order)
    own = slice(first, first + _free_count(order))
    covariance = best.fit.covariance[own, own]
    basis = _row_basis(best.geometry)
    sd = np.sqrt(np.maximum(np.einsum("pki,pq,qki->ki", basis, covariance, basis), 0))
    curve, curve_sd = _curve(best.geometry.wobble, basis, covariance)
    probability = _probability(best, own)
    largest = float(np.hypot(*curve.T).max()) if order else 0.0
    found = order > 0 and probability < LIMITS.significance and largest >= LIMITS.min_effect_px
    inliers = best.fit.weights > 0
    left = residual_shifts(best)
    limit = 1.96 * float(curve_sd.max()) if order else _noise_limit(plain)
    figures = {
        "order": order,
        "largest": largest,
        "largest_sd": float(curve_sd.max()),
        "residual": residual_rms(left, inliers),
        "residual_before": residual_rms(residual_shifts(plain), inliers),
        "limit": max(limit, LIMITS.min_effect_px),
    }
    verdict = _verdict(figures, found=found)
    logger.log(logging.WARNING if verdict.doubt else logging.INFO, "%s", verdict.sentence)
    corrected = verdict.code == "corrected"
    wobble, wobble_sd = _as_rows(best.geometry.wobble), _as_rows(sd)
    result = calibration
    if corrected:
        result = _corrected(calibration, best, figures["residual"], wobble, wobble_sd)
        result = result.replace(provenance=calibration.provenance | {"wobble_session": session})
    recorded = _as_recorded(left, best.geometry, sample)
    return WobbleEstimate(
        name="wobble",
        value={"wobble": wobble},
        sd={"wobble": wobble_sd},
        found_from={"frame": sample.numbers, "angle": sample.middle, "used": inliers},
        corrected=corrected,
        verdicts=(verdict,),
        calibration=result.with_verdicts("wobble", [verdict]),
        order=order,
        wobble=wobble,
        wobble_sd=wobble_sd,
        probability=probability,
        losses=losses,
        frames=sample.numbers,
        angles=np.asarray(sample.middle),
        shifts=recorded + transforms.wobble_shifts(sample.middle, best.geometry.wobble),
        residuals=recorded,
        curve_angles=CURVE_ANGLES,
        curve=curve,
        curve_sd=curve_sd,
    )


def _verdict(figures: Mapping[str, float], *, found: bool) -> Verdict:
    """Decide whether the wobble is corrected."""
    if found and figures["largest"] > LIMITS.max_wobble_px:
        code = "too_large"
        says = (
            "A wobble of up to {largest:.1f} px cannot be trusted; do clocks and movie belong "
            "together? It is not corrected."
        )
    elif found:
        plural = "harmonic" if figures["order"] == 1 else "harmonics"
        code = "corrected"
        says = (
            f"The axis wobbles by up to {{largest:.2f}} ± {{largest_sd:.2f}} px ({{order}} {plural}"
            " of the angle); it is corrected, which brings frames from {residual_before:.2f} to "
            "{residual:.2f} px (rms) of the sample at rest."
        )
    else:
        code = "none"
        says = (
            "No wobble of the axis was found; one that shifts the picture by more than "
            "{limit:.2f} px would have been. None is corrected."
        )
    doubt = code == "too_large"
    return Verdict(topic="wobble", code=code, says=says, figures=figures, doubt=doubt)


def _corrected(
    calibration: Calibration, best: Refined, residual: float, wobble: Rows, wobble_sd: Rows
) -> Calibration:
    """Take over wobble, center and tilt."""
    result = calibration.replace(wobble=wobble, wobble_sd=wobble_sd)
    given = calibration.method in ("fixed", "image_center")
    if given:
        # The center stays; the part of the first harmonic that is a shift of the center is needed
        # all the same, and is added to the wobble.
        moved = best.geometry.center - np.array(calibration.center)
        rows = best.geometry.wobble.copy()
        foreshorten = transforms.plane_matrix(*vector_to_tilt(best.geometry.tilt))
        rows[0, :2] -= moved
        rows[0, 2:] -= foreshorten @ QUARTER @ np.linalg.solve(foreshorten, moved)
        result = result.replace(wobble=_as_rows(rows))
    else:
        result = with_center(result, best, residual)
    if calibration.plane_angle != 0 and calibration.plane_sd is not None:
        angle, orientation = vector_to_tilt(best.geometry.tilt)
        result = result.replace(plane_angle=angle, plane_orientation=orientation)
    return result


def _row_basis(geometry: Geometry) -> NDFloat:
    """Give the rows that each free parameter stands for, shape (p, order, 4)."""
    return wobble_rows(np.eye(_free_count(len(geometry.wobble))), geometry.tilt)


def _curve(wobble: NDFloat, basis: NDFloat, covariance: NDFloat) -> tuple[NDFloat, NDFloat]:
    """Give the shift at `CURVE_ANGLES`, and its standard uncertainty."""
    harmonics = np.arange(1, len(wobble) + 1)[:, np.newaxis] * CURVE_ANGLES
    # From rows (harmonic, (Cx, Cy, Sx, Sy)) to shifts (angle, (x, y)).
    cos, sin = cosine_and_sine(harmonics)
    cos = cos - 1
    parts = np.einsum("pki,ka->pai", basis[..., :2], cos)
    parts += np.einsum("pki,ka->pai", basis[..., 2:], sin)
    variance = np.einsum("pai,pq,qai->ai", parts, covariance, parts)
    return transforms.wobble_shifts(CURVE_ANGLES, wobble), np.sqrt(np.maximum(variance, 0))


def _probability(best: Refined, own: slice) -> float:
    """Test the free parameters against 0."""
    if len(best.geometry.wobble) == 0:
        return 1.0
    values = np.delete(best.geometry.wobble.ravel(), (2, 3))
    # Blocks are often fewer than parameters. The covariance by the scatter of frames has full
    # rank; the blocks tell by how much it is too small.
    scatter = np.linalg.pinv(best.fit.normal.sum(axis=0) + best.fit.prior, hermitian=True)
    scatter = scatter[own, own]
    jackknife = np.diag(best.fit.covariance)[own]
    factor = max(float(np.mean(jackknife / np.diag(scatter))), 1.0)
    # As many degrees of freedom as blocks, whatever the number of parameters.
    n = best.fit.n_blocks + len(values)
    return significance(values, scatter * factor, n)


def _noise_limit(plain: Refined) -> float:
    """Tell about which wobble would be found, from the scatter of the frames (px)."""
    left = residual_rms(residual_shifts(plain), plain.fit.weights > 0)
    return 4 * left / float(np.sqrt(max(plain.fit.n_blocks, 1)))


def _as_recorded(shifts: NDFloat, geometry: Geometry, sample: Sample) -> NDFloat:
    """Turn shifts of derotated frames to those of the recorded picture."""
    row = sample.lines.line_angles.shape[1] // 2
    maps = sample.line_maps(geometry)()[:, row]
    return np.asarray(np.linalg.solve(maps[..., :2], shifts[..., np.newaxis])[..., 0])


def _as_rows(rows: NDFloat) -> Rows:
    return tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in rows)


def _not_measured(calibration: Calibration, verdict: Verdict) -> WobbleEstimate:
    logger.log(logging.WARNING if verdict.doubt else logging.INFO, "%s", verdict.sentence)
    none = np.empty((0, 2))
    return WobbleEstimate(
        name="wobble",
        value={"wobble": ()},
        sd=None,
        verdicts=(verdict,),
        calibration=calibration.with_verdicts("wobble", [verdict]),
        order=0,
        wobble=(),
        wobble_sd=(),
        probability=1.0,
        losses=none,
        frames=np.empty(0, np.int64),
        angles=np.empty(0),
        shifts=none,
        residuals=none,
        curve_angles=CURVE_ANGLES,
        curve=np.zeros((len(CURVE_ANGLES), 2)),
        curve_sd=np.full((len(CURVE_ANGLES), 2), np.nan),
    )
