"""Find the movement between two images of the same field of view."""

import logging
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.calibration.calibration import Calibration
from derotation.errors import DetectionFailedError, InputError
from derotation.estimates import Estimate, Verdict
from derotation.maps import transforms
from derotation.movement.correction import MovementCorrection
from derotation.movement.features import (
    MAX_POINTS,
    Transform,
    consensus,
    fit_points,
    match_points,
)
from derotation.movement.images import Picture, as_image
from derotation.movement.judge import (
    MAX_ROTATION,
    MAX_SCALE,
    Evidence,
    Limits,
    check_evidence,
    check_plausible,
    weigh_evidence,
)
from derotation.movement.phase import find_shift, find_turn
from derotation.movement.refine import Freedom, refine
from derotation.numerics.thinning import thinned

__all__ = ["Detection", "detect_movement", "find_movement", "phase_correlation_movement"]

logger = logging.getLogger(__name__)

Image = ArrayLike | Calibration

# After a movement that features and optical flow found, pictures that are as alike as this need no
# other method: it would end at the same movement.
CONVINCING = 0.6
# Points placed by hand are good to a few pixels; a refinement that goes farther found another cell.
MAX_STEP_FROM_POINTS = 8.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detection(Estimate):
    """A movement and what speaks for it."""

    correction: MovementCorrection
    evidence: Evidence

    @classmethod
    def of(
        cls, correction: MovementCorrection, evidence: Evidence, reference: str = "the reference"
    ) -> "Detection":
        """Put a movement and its evidence into the form of an estimate, and say what was found."""
        x, y = correction.center_shift
        turn = correction.rotation
        figures: dict[str, float | str] = {
            "reference": reference,
            "across": abs(x),
            "along": abs(y),
            "turn": abs(turn),
            "before": evidence.correlation_before,
            "after": evidence.correlation_after,
        }
        says = (
            "To lie on {reference}, the middle of the picture goes {across:.1f} px to the "
            f"{'right' if x >= 0 else 'left'} and {{along:.1f}} px {'down' if y >= 0 else 'up'}, "
            "and the picture turns by {turn:.2f} degrees "
            f"{'clockwise' if turn >= 0 else 'counterclockwise'}; correlation {{before:.2f}} "
            "before, {after:.2f} after."
        )
        center = correction.sd_at(*transforms.image_center(correction.im_shape))
        return cls(
            name="movement",
            value={"matrix": correction.matrix},
            sd=None if center is None else {"center_shift": center},
            corrected=True,
            verdicts=(Verdict(topic="movement", code="found", says=says, figures=figures),),
            correction=correction,
            evidence=evidence,
        )

    def check(self, limits: Limits) -> "Detection":
        """Refuse an implausible or badly supported movement.

        Raises
        ------
        DetectionFailedError
        """
        check_plausible(self.correction, limits)
        check_evidence(self.correction, self.evidence)
        return self


def detect_movement(
    ref: Image,
    moved: Image,
    *,
    transform: Transform = "similarity",
    max_rotation: float = MAX_ROTATION,
    max_scale: float = MAX_SCALE,
    seed: int = 0,
) -> MovementCorrection:
    """Find the movement between two images from what looks alike in them.

    Features (SIFT) of both images are matched, a random sample consensus finds the map on which
    most agree, and optical flow within the pixels valid in both refines it. Uneven light, the range
    of the values, noise and cells that are bright in one image only hardly matter; a blank rim (of
    one value, or NaN) does not count.

    Parameters
    ----------
    ref, moved : array_like of shape (y, x), or Calibration
        The reference and the moved image, of one shape, at least 32 x 32 pixels; or calibrations
        that carry an image.
    transform : {"similarity", "affine"}
        What the movement may be: shift, rotation and one scale; or any affine map.
    max_rotation : float
        The largest rotation that is plausible, degrees.
    max_scale : float
        The largest scale that is plausible, and the inverse of the smallest.
    seed : int
        Of the random samples.

    Returns
    -------
    MovementCorrection
        From moved to reference. ``ref_points`` and ``moved_points`` are matches that agree with it.

    Raises
    ------
    DetectionFailedError
        If there are too few features, too few of them agree, scale or rotation are implausible, or
        the images are not alike after the movement; the message says which.
    InputError
        If an image is missing or the shapes differ.
    """
    pictures = _pictures(ref, moved)
    limits = Limits(max_rotation=max_rotation, max_scale=max_scale)
    return _by_features(*pictures, transform, seed).check(limits).correction


def phase_correlation_movement(
    ref: Image,
    moved: Image,
    rotation: bool = False,
    *,
    max_rotation: float = MAX_ROTATION,
    max_scale: float = MAX_SCALE,
) -> MovementCorrection:
    """Find the shift between two images by the peak of their correlation, to parts of a pixel.

    Parameters
    ----------
    ref, moved : array_like of shape (y, x), or Calibration
        As for :func:`detect_movement`.
    rotation : bool
        Also find rotation and scale, from log-polar maps of the spectra.
    max_rotation, max_scale : float
        As for :func:`detect_movement`.

    Returns
    -------
    MovementCorrection
        Without point pairs.

    Raises
    ------
    DetectionFailedError
        If the peak is weak: it stands out no more than the best of many shifts of unrelated images.
    InputError
        If an image is missing or the shapes differ.
    """
    pictures = _pictures(ref, moved)
    limits = Limits(max_rotation=max_rotation, max_scale=max_scale)
    return _by_phase(*pictures, rotation).check(limits).correction


def find_movement(
    ref: Image,
    moved: Image,
    method: str = "auto",
    *,
    transform: Transform = "similarity",
    limits: Limits | None = None,
    seed: int = 0,
) -> Detection:
    """Find the movement by one method, or by the best of them.

    Parameters
    ----------
    ref, moved : array_like of shape (y, x), or Calibration
        As for :func:`detect_movement`.
    method : {"auto", "optical_flow", "phase_correlation"}
        ``optical_flow`` is :func:`detect_movement`, ``phase_correlation`` is
        :func:`phase_correlation_movement` with rotation. ``auto`` tries the first, and, unless the
        images are then well alike (a correlation of 0.6), the second; of those that can be
        believed it keeps the one after which they are most alike.
    transform, seed
        As for :func:`detect_movement`.
    limits : Limits, optional
        What is plausible.

    Returns
    -------
    Detection
        The movement with the evidence for it.

    Raises
    ------
    DetectionFailedError
        With the reason of each method that failed.
    InputError
        If an image is missing, the shapes differ, or the method is not known.
    """
    pictures = _pictures(ref, moved)
    limits = limits or Limits()
    attempts = {
        "optical_flow": lambda: _by_features(*pictures, transform, seed),
        "phase_correlation": lambda: _by_phase(*pictures, rotation=True),
    }
    if method not in ("auto", *attempts):
        msg = f"the method is {method!r}; allowed are auto, {', '.join(attempts)}"
        raise InputError(msg)
    found: list[Detection] = []
    reasons: list[str] = []
    for name in attempts if method == "auto" else (method,):
        if found and found[0].evidence.correlation_after >= CONVINCING:
            break
        try:
            found.append(attempts[name]().check(limits))
        except DetectionFailedError as error:
            logger.info("%s: %s", name, error)
            reasons.append(f"{name}: {error}")
    if not found:
        raise DetectionFailedError("; ".join(reasons))
    return max(found, key=lambda one: one.evidence.correlation_after)


def movement_from_points(
    ref: Image,
    moved: Image,
    ref_points: ArrayLike,
    moved_points: ArrayLike,
    *,
    transform: Transform = "similarity",
    refined: bool = True,
    src: str = "",
) -> Detection:
    """Find the movement from pairs of points that a person chose.

    Parameters
    ----------
    ref, moved : array_like of shape (y, x), or Calibration
        As for :func:`detect_movement`.
    ref_points, moved_points : array_like of shape (n, 2)
        Points (x, y) that belong together, at least 2 (affine: 3).
    transform : {"similarity", "affine"}
        What the movement may be. Two points tell a similarity.
    refined : bool
        Improve it by optical flow, as long as this stays within 8 px of the points and makes the
        images more alike.
    src : str
        What the points come from.

    Returns
    -------
    Detection
        A person has looked at the images, so that nothing is refused.

    Raises
    ------
    DetectionFailedError
        If the points tell no movement.
    """
    pictures = _pictures(ref, moved)
    here, there = (np.asarray(points, np.float64) for points in (ref_points, moved_points))
    matrix = fit_points(here, there, transform)
    shape = pictures[0].shape

    def detection(matrix: NDArray[np.float64], covariance: NDArray[np.float64] | None) -> Detection:
        correction = MovementCorrection(matrix, shape, here, there, src, covariance=covariance)
        evidence = weigh_evidence(*pictures, correction, "points", len(here), len(here))
        return Detection.of(correction, evidence)

    by_hand = detection(matrix, None)
    if not refined:
        return by_hand
    try:
        better = detection(*refine(*pictures, matrix, transform))
    except DetectionFailedError as error:
        logger.info("the points are taken as they are: %s", error)
        return by_hand
    step = MovementCorrection(np.linalg.inv(matrix) @ better.correction.matrix, shape)
    improved = better.evidence.correlation_after > by_hand.evidence.correlation_after
    return better if improved and step.largest_shift() <= MAX_STEP_FROM_POINTS else by_hand


def _pictures(ref: Image, moved: Image) -> tuple[Picture, Picture]:
    here, there = as_image(ref, "the reference image"), as_image(moved, "the moved image")
    if here.shape != there.shape:
        msg = (
            f"the reference image has {here.shape[1]} x {here.shape[0]} pixels (width x height), "
            f"the moved one {there.shape[1]} x {there.shape[0]}; images of different frame sizes "
            "cannot be compared"
        )
        raise InputError(msg)
    return Picture(here), Picture(there)


def _by_features(ref: Picture, moved: Picture, transform: Transform, seed: int) -> Detection:
    if transform not in get_args(Transform):
        msg = f"transform is {transform!r}; allowed are {', '.join(get_args(Transform))}"
        raise InputError(msg)
    matches = match_points(ref, moved)
    guess, inliers = consensus(matches, transform, seed)
    matrix, covariance = refine(ref, moved, guess, transform)
    kept = thinned(np.flatnonzero(inliers), MAX_POINTS)
    correction = MovementCorrection(
        matrix,
        ref.shape,
        matches.ref[kept],
        matches.moved[kept],
        f"detected: {int(inliers.sum())} of {len(inliers)} matched features agree, refined by "
        f"optical flow ({transform})",
        covariance=covariance,
    )
    evidence = weigh_evidence(
        ref, moved, correction, "optical_flow", int(inliers.sum()), len(inliers)
    )
    return Detection.of(correction, evidence)


def _by_phase(ref: Picture, moved: Picture, rotation: bool) -> Detection:
    freedom: Freedom = "similarity" if rotation else "translation"
    turned = find_turn(ref, moved) if rotation else np.eye(3)
    matrix, covariance = refine(ref, moved, find_shift(ref, moved, turned)[0], freedom)
    correction = MovementCorrection(
        matrix, ref.shape, src=f"phase correlation ({freedom})", covariance=covariance
    )
    evidence = weigh_evidence(ref, moved, correction, "phase_correlation")
    return Detection.of(correction, evidence)
