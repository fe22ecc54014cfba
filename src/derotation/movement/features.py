"""A first guess of the movement, from points that look alike in both images."""

import logging
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from derotation.errors import DetectionFailedError
from derotation.movement.images import Picture
from derotation.numerics.binning import binned

__all__ = ["Matches", "Transform", "consensus", "fit_points", "match_points"]

logger = logging.getLogger(__name__)

Transform = Literal["similarity", "affine"]

# Images are binned to about so many pixels before features are looked for: cells keep enough
# pixels, and it takes a quarter of the time.
FEATURE_SIDE = 256
# Smoothing (px) before that.
SMOOTHING = 1.5
# Structure that is this many standard deviations from 0 becomes black or white.
CLIP = 3.0
# A match is used if its descriptor fits so much better than the second best one.
MAX_RATIO = 0.9
# Points of a match may be so far apart (px of the binned image) after the movement.
RESIDUAL = 1.5
MAX_TRIALS = 1000
MIN_FEATURES = 12
MIN_INLIERS = 6
# Points nearer to a rim than this (px) describe the rim.
RIM = 4
# The points that are kept for the record.
MAX_POINTS = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matches:
    """Points that belong together."""

    ref: NDArray[np.float64]
    """Shape (n, 2), pixels (x, y)."""
    moved: NDArray[np.float64]
    """Shape (n, 2), pixels (x, y)."""
    tolerance: float
    """How exactly they are known, pixels."""


def match_points(ref: Picture, moved: Picture) -> Matches:
    """Find points of two images that look alike: SIFT [1]_ with cross-checked matches.

    Raises
    ------
    DetectionFailedError
        If there is too little in one of the images.

    References
    ----------
    .. [1] D. G. Lowe, "Distinctive image features from scale-invariant keypoints", Int. J. Comput.
       Vis. 60, 91-110 (2004), doi:10.1023/B:VISI.0000029664.99615.94
    """
    from skimage.feature import match_descriptors

    bins = max(1, round(min(ref.shape) / FEATURE_SIDE))
    places, descriptors = [], []
    for name, picture in (("reference", ref), ("moved", moved)):
        points, described = _features(picture, bins)
        if len(points) < MIN_FEATURES:
            msg = (
                f"too few features: there are {len(points)} in the {name} image, at least "
                f"{MIN_FEATURES} are needed; is there a picture in it, and is it sharp?"
            )
            raise DetectionFailedError(msg)
        places.append(points)
        descriptors.append(described)
    described, other = descriptors
    pairs = match_descriptors(  # type: ignore[no-untyped-call]
        described, other, cross_check=True, max_ratio=MAX_RATIO
    )
    return Matches(
        ref=places[0][pairs[:, 0]], moved=places[1][pairs[:, 1]], tolerance=RESIDUAL * bins
    )


def _features(picture: Picture, bins: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Find features: places (x, y) in pixels of the picture, and descriptors."""
    from skimage.feature import SIFT

    image = binned(picture.structure(SMOOTHING), bins)
    sift: Any = SIFT(upsampling=1)  # type: ignore[no-untyped-call]
    try:
        sift.detect_and_extract(np.clip((image + CLIP) / (2 * CLIP), 0, 1))
    except RuntimeError:  # an image without a single feature
        return np.empty((0, 2)), np.empty((0, 128), np.uint8)
    points = (sift.positions[:, ::-1] + 0.5) * bins - 0.5
    inside = ndimage.binary_erosion(picture.valid, iterations=RIM)
    height, width = picture.shape
    x, y = points.round().astype(int).T
    kept = inside[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    return points[kept], sift.descriptors[kept]


def consensus(
    matches: Matches, transform: Transform, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Find the map on which most matches agree (RANSAC [1]_).

    Returns
    -------
    matrix : ndarray of shape (3, 3)
        From moved to reference.
    inliers : ndarray of bool, shape (n,)

    Raises
    ------
    DetectionFailedError
        If too few matches agree.

    References
    ----------
    .. [1] M. A. Fischler and R. C. Bolles, "Random sample consensus", Commun. ACM 24, 381-395
       (1981), doi:10.1145/358669.358692
    """
    from skimage.measure import ransac
    from skimage.transform import AffineTransform, SimilarityTransform

    kind = SimilarityTransform if transform == "similarity" else AffineTransform
    found, inliers = None, None
    if len(matches.ref) >= MIN_INLIERS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of samples in which no map can be found
            found, inliers = ransac(  # type: ignore[no-untyped-call]
                (matches.moved, matches.ref), kind, 3, matches.tolerance,
                max_trials=MAX_TRIALS, rng=seed,
            )  # fmt: skip
    n = 0 if inliers is None else int(inliers.sum())
    if not found or n < MIN_INLIERS:
        msg = (
            f"too few inliers: {n} of {len(matches.ref)} points that look alike agree on one "
            f"movement, at least {MIN_INLIERS} are needed; do the images show the same cells?"
        )
        raise DetectionFailedError(msg)
    return np.asarray(found.params, np.float64), np.asarray(inliers, np.bool_)


def fit_points(
    ref: NDArray[np.float64], moved: NDArray[np.float64], transform: Transform
) -> NDArray[np.float64]:
    """Fit a map to pairs of points by least squares; shape (3, 3), from moved to reference.

    Raises
    ------
    DetectionFailedError
        If the points do not determine it.
    """
    needed = 3 if transform == "affine" else 2
    if len(ref) < needed:
        msg = f"{len(ref)} pairs of points are too few: at least {needed} are needed"
        raise DetectionFailedError(msg)
    x, y = moved.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    if transform == "affine":
        design = np.array([[x, y, one, zero, zero, zero], [zero, zero, zero, x, y, one]])
    else:
        design = np.array([[x, -y, one, zero], [y, x, zero, one]])
    design = np.moveaxis(design, 1, 2).reshape(2 * len(x), -1)
    solution, _, rank, _ = np.linalg.lstsq(design, ref.T.ravel(), rcond=1e-9)
    if transform == "similarity":
        a, b, shift_x, shift_y = solution
        solution = np.array([a, -b, shift_x, b, a, shift_y])
    matrix = np.vstack([solution.reshape(2, 3), [0.0, 0.0, 1.0]])
    if rank < design.shape[1] or np.linalg.det(matrix) <= 1e-6:
        msg = "the pairs of points lie in one place or on one line, which tells no movement"
        raise DetectionFailedError(msg)
    return matrix
