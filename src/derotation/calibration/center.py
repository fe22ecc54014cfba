"""Find the center of rotation.

Method ``registration``: frames recorded while the sample was turned are derotated about a guess,
and each one is compared with the sample at rest. A guess that is wrong by e leaves in a frame at
angle a the shift (I - R(a)) e, so that the displacements of many frames give e by least squares.
Shifts of any size, from the peak of a correlation, bring the guess to within a pixel; what is left
of it is fitted to the affine displacement of each frame, found from gradients.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from derotation.calibration import judge
from derotation.calibration.calibration import Calibration, Corrected
from derotation.calibration.geometry import (
    Geometry,
    Refined,
    refine,
    residual_rms,
    residual_shifts,
)
from derotation.errors import CenterError
from derotation.estimates import Verdict
from derotation.images.registration import Registration
from derotation.images.sample import Sample, read_sample
from derotation.io.movie import Movie
from derotation.maps import transforms
from derotation.maps.line_maps import LineMaps
from derotation.maps.timing import LineTiming
from derotation.numerics.robust import contiguous_blocks, fit
from derotation.settings.defaults import complete
from derotation.signals.angles import Angles

if TYPE_CHECKING:
    import pandas as pd

    from derotation.calibration.center_by_blobs import BayesianCenter, EllipseCenter

__all__ = ["CenterEstimate", "estimate_center"]

logger = logging.getLogger(__name__)

# Frames are smoothed by this (px) before their gradients are used; they find what is within a
# pixel or two, and beyond COARSE_LIMIT (px) the peak of the correlation is looked for.
SMOOTHING = 1.5
COARSE_LIMIT = 1.0
MAX_COARSE = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CenterEstimate(Corrected):
    """The center and what it was found from."""

    frames: NDArray[np.int64]
    """Numbers of the frames that were used, shape (n,)."""
    angles: NDArray[np.float64]
    """Their angles in the middle, degrees, shape (n,)."""
    shifts: NDArray[np.float64]
    """Shift (x, y) of each frame against the sample at rest about the starting guess, pixels."""
    residuals: NDArray[np.float64]
    """Shift (x, y) that is left about the final center, pixels, shape (n, 2)."""
    path: NDArray[np.float64]
    """Centers (x, y) from the starting guess to the result."""
    reference: NDArray[np.float32]
    """Mean image of the sample at rest, shape (y, x)."""
    details: "BayesianCenter | EllipseCenter | None" = None
    """What the methods bayesian and ellipse tell besides; arrays per frame are then empty."""

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """What the center was found from, a value per frame, evaluation or place of a blob."""
        return dict(self.found_from) if self.details is None else self.details.columns

    @property
    def table(self) -> "pd.DataFrame":
        """The columns as a table."""
        import pandas as pd  # slow to import, and the step does without

        return pd.DataFrame(self.columns)


def estimate_center(
    movie: Movie,
    angles: Angles,
    config: Mapping[str, Any] | None = None,
    *,
    timing: LineTiming | None = None,
    session: str = "",
    threads: int = 1,
) -> CenterEstimate:
    """Find the center of rotation of a session.

    A center that is wrong by e, in pixels (x, y), leaves in a frame derotated by the angle a the
    shift ``(I - R(a)) e``, R(a) = [[cos a, sin a], [-sin a, cos a]]; e is fitted to the shifts of
    many frames against the sample at rest. Angles are degrees, positive where the sample had turned
    clockwise on a screen whose y axis points down; pixel centers are at integers.

    Parameters
    ----------
    movie : Movie
        The recorded movie; a few hundred of its frames are read.
    angles : Angles
        Angles of all lines.
    config : mapping, optional
        ``method``: registration, ellipse, bayesian, fixed or image_center. For fixed: ``fixed``
        (x, y). ``biased_center``: the first guess (x, y), None for the image's center. For
        registration: ``n_frames`` to compare and ``iterations`` of the last, fine part. For
        bayesian: ``delta_center``, ``init_points``, ``n_iter`` and ``seed``, see
        :func:`derotation.calibration.center_by_blobs.bayesian.find_center_bayesian`. Missing keys
        take their defaults.
    timing : LineTiming, optional
        When the samples within a line are recorded; by default as `angles` says, in one direction.
    session : str
        Name for the provenance.
    threads : int
        Number of threads for derotating.

    Returns
    -------
    CenterEstimate
        Its ``calibration.trusted`` and ``calibration.statement`` say whether to believe it.

    Raises
    ------
    ConfigError
        If an option is not allowed.
    CenterError
        If there are no frames at rest or no turned frames, or nothing in them to compare.

    Notes
    -----
    Beside the center, a displacement common to all frames is fitted, so that noise in the
    reference does not move the center. The uncertainty comes from leaving out contiguous blocks of
    frames (jackknife): neighboring frames share active cells, and resampling single frames
    (bootstrap) would call the center two to three times better known than it is.
    """
    settings = complete("center", config)
    timing = timing or angles.timing()
    by_method = {"bayesian": _by_search, "ellipse": _by_ellipses, "registration": _by_registration}
    if settings["method"] not in by_method:
        return _given_center(settings, movie.shape[1:], session)
    return by_method[settings["method"]](movie, angles, settings, timing, session, threads)


def _by_registration(
    movie: Movie,
    angles: Angles,
    settings: Mapping[str, Any],
    timing: LineTiming,
    session: str,
    threads: int,
) -> CenterEstimate:
    """Find the center by comparing turned frames with the sample at rest."""
    start = settings["biased_center"] or transforms.image_center(movie.shape)
    guess = LineMaps.of(angles, Geometry.about(start), timing=timing)
    sample = read_sample(movie, guess, int(settings["n_frames"]))
    logger.info(
        "Center: %d frames at rest and %d turned ones are compared",
        sample.n_rest,
        len(sample.numbers),
    )
    registration = Registration(sample, threads)
    path = [np.asarray(start, dtype=np.float64)]
    shifts = _approach(registration, path)
    refined = refine(
        registration,
        Geometry.about(path[-1]),
        ("center",),
        (SMOOTHING,) * max(int(settings["iterations"]), 1),
    )
    if sample.rest is not None:
        # The reference was made of few frames; now that the center is known, all can be used.
        whole = Registration(sample.with_reference_of_all(), threads)
        refined = refine(whole, refined.geometry, ("center",), (SMOOTHING,) * 2)
    path.append(refined.geometry.center)
    residuals = residual_shifts(refined)
    inliers = refined.fit.weights > 0
    calibration = _judged(refined, sample, residual_rms(residuals, inliers), session)
    found_from = {
        "frame": sample.numbers,
        "angle": sample.middle,
        "shift_x": shifts[:, 0],
        "shift_y": shifts[:, 1],
        "residual_x": residuals[:, 0],
        "residual_y": residuals[:, 1],
        "used": inliers,
    }
    return CenterEstimate(
        name="center",
        value={"center": calibration.center},
        sd={"center": calibration.center_sd},
        found_from=found_from,
        corrected=True,
        verdicts=calibration.verdicts,
        calibration=calibration,
        frames=sample.numbers,
        angles=sample.middle,
        shifts=shifts,
        residuals=residuals,
        path=np.array(path),
        reference=sample.reference,
    )


def _by_search(
    movie: Movie,
    angles: Angles,
    settings: Mapping[str, Any],
    timing: LineTiming,
    session: str,
    threads: int,
) -> CenterEstimate:
    """Find the center about which the derotated sample moves least."""
    from derotation.calibration.center_by_blobs.bayesian import find_center_bayesian

    keys = ("biased_center", "delta_center", "init_points", "n_iter", "seed")
    found = find_center_bayesian(
        movie, angles, timing=timing, threads=threads, **{key: settings[key] for key in keys}
    )
    path = np.vstack([found.biased_center, found.center])
    return _from_details(found, "bayesian", movie, session, path, residual_px=found.ptd)


def _by_ellipses(
    movie: Movie,
    angles: Angles,
    settings: Mapping[str, Any],
    timing: LineTiming,
    session: str,
    threads: int,
) -> CenterEstimate:
    """Find the center of the ellipses that blobs draw from rest to rest."""
    from derotation.calibration.center_by_blobs.ellipse import find_center_ellipse

    found = find_center_ellipse(movie, angles, threads=threads)
    return _from_details(
        found, "ellipse", movie, session, np.array([found.center]), residual_px=found.residual_px
    )


def _from_details(
    found: "BayesianCenter | EllipseCenter",
    method: str,
    movie: Movie,
    session: str,
    path: NDArray[np.float64],
    residual_px: float,
) -> CenterEstimate:
    verdict = Verdict(
        topic="center",
        code="known" if found.trusted else "untrusted",
        says="{text}",
        figures={"text": found.statement},
        doubt=not found.trusted,
    )
    calibration = Calibration(
        center=found.center,
        image_shape=movie.shape[1:],
        method=method,
        center_sd=found.center_sd,
        residual_px=residual_px,
        trusted=found.trusted,
        verdicts=(verdict,),
        provenance={"session": session},
    )
    return _not_by_frames(calibration, path, found.image, found)


def _not_by_frames(
    calibration: Calibration,
    path: NDArray[np.float64],
    reference: NDArray[np.float32],
    details: "BayesianCenter | EllipseCenter | None" = None,
) -> CenterEstimate:
    """Answer without anything that was measured in single frames."""
    none = np.empty((0, 2))
    return CenterEstimate(
        name="center",
        value={"center": calibration.center},
        sd=calibration.center_sd and {"center": calibration.center_sd},
        corrected=True,
        verdicts=calibration.verdicts,
        calibration=calibration,
        frames=np.empty(0, np.int64),
        angles=np.empty(0),
        shifts=none,
        residuals=none,
        path=path,
        reference=reference,
        details=details,
    )


def _approach(registration: Registration, path: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Come to within a pixel of the center, adding each guess to `path`; give the first shifts."""
    sample, small = registration.sample, registration.coarser()
    first: NDArray[np.float64] | None = None
    for _ in tqdm(range(MAX_COARSE), desc="coarse center", disable=None, leave=False):
        shifts, _ = small.shifts(Geometry.about(path[-1]))
        first = shifts if first is None else first
        error = _center_error(sample, shifts)
        path.append(path[-1] - error)
        if np.hypot(*error) < COARSE_LIMIT:
            break
    assert first is not None
    return first


def _center_error(sample: Sample, shifts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Explain shifts by (I - R(a)) e and a shift common to all; give e."""
    leverage = np.eye(2) - transforms.rotation_matrices(sample.middle)
    same = np.broadcast_to(np.eye(2), leverage.shape)
    result = fit(
        np.concatenate([leverage, same], axis=2),
        shifts,
        same,
        blocks=contiguous_blocks(sample.time_s),
        common=2,
    )
    return result.parameters[:2]


def _given_center(
    settings: Mapping[str, Any], shape: tuple[int, int], session: str
) -> CenterEstimate:
    """Take the center from the configuration; nothing is measured."""
    method = settings["method"]
    if method == "fixed":
        if settings["fixed"] is None:
            msg = "center.method is fixed, but center.fixed is empty; give the center as [x, y]"
            raise CenterError(msg)
        center = np.asarray(settings["fixed"], dtype=np.float64)
        says = "The center was given in the configuration (center.fixed); nothing was measured."
    else:
        center = np.asarray(transforms.image_center(shape))
        says = "The center of the image was taken; nothing was measured."
    calibration = Calibration(
        center=(float(center[0]), float(center[1])),
        image_shape=shape,
        method=method,
        verdicts=(Verdict(topic="center", code="given", says=says),),
        provenance={"session": session},
    )
    return _not_by_frames(calibration, center[np.newaxis], np.zeros(shape, np.float32))


def _judged(refined: Refined, sample: Sample, residual: float, session: str) -> Calibration:
    """Take over the center of a fit, and decide whether it can be trusted."""
    center, sd = (
        (float(pair[0]), float(pair[1])) for pair in (refined.geometry.center, refined.fit.sd)
    )
    inliers = refined.fit.weights > 0
    share = float(np.mean(inliers))
    turned = np.sort(np.deg2rad(np.mod(sample.middle[inliers], 360)))
    spread = float(np.rad2deg(np.ptp(np.unwrap(turned)))) if len(turned) else 0.0
    verdicts = judge.center(
        center, sd, residual=residual, share=share, shape=sample.shape, spread=spread
    )
    for verdict in verdicts:
        logger.log(logging.WARNING if verdict.doubt else logging.INFO, "%s", verdict.sentence)
    return Calibration(
        center=center,
        image_shape=sample.shape,
        method="registration",
        center_sd=sd,
        residual_px=residual,
        trusted=not any(verdict.doubt for verdict in verdicts),
        verdicts=verdicts,
        provenance={
            "session": session,
            "turned_frames": len(sample.numbers),
            "frames_at_rest": sample.n_rest,
            "inlier_fraction": share,
        },
    )
