"""Ellipses through the places at which a turning sample was seen.

A point of the sample at rest, r away from the center c within the plane of rotation, is seen at
``c + P R(-a) r`` when the sample is turned by a: on an ellipse about c whose axes tell how the
plane is tilted. P foreshortens by the cosine of the tilt along the plane's orientation, see
:func:`derotation.maps.transforms.plane_matrix`. All blobs of a sample share c and P; fitted
together, with the angles that are known, they tell both far better than an ellipse through each
blob alone.

Positions are (x, y) in pixels. Angles are degrees, but for the ``theta`` of an ellipse, which is
radians, as in the function that users know.
"""

import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from derotation.errors import InputError
from derotation.maps import transforms

__all__ = [
    "BlobTracks",
    "EllipseFit",
    "SharedEllipses",
    "derive_angles_from_ellipse_fits",
    "fit_ellipse_to_points",
    "fit_shared_ellipses",
    "plot_ellipse_fit_and_centers",
]

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]

MIN_POINTS = 5
# An ellipse through points on less of its turn than this (degrees) is a guess.
MIN_ARC = 120.0
# With known angles a smaller part of the turn tells center and plane, but not any.
MIN_COVERAGE = 60.0
# Ellipses through five points that are tried, and how far from the best one a point may lie
# relative to the median distance.
N_TRIALS = 300
SEED = 0
TUKEY = 4.685
# Noise of blob positions below this (px) is not believed.
MIN_SCALE = 0.02
# Fewer blobs or images than this do not tell how they scatter as wholes.
MIN_GROUPS = 6
# Bound of the correction for weights that change with the fit.
MIN_EFFICIENCY = 0.3
# The largest tilt that is believed: |f| = 0.5 is 70 degrees.
MAX_PLANE = 0.5
# Squared length of the tilt in units of its uncertainty that chance exceeds in 1 of 1000 cases.
SIGNIFICANT = 13.8
# Standard deviation of a direction of which nothing is known: 180 / sqrt(12).
UNKNOWN_ORIENTATION_SD = 52.0


class EllipseFit(NamedTuple):
    """An ellipse; unpacks as (center_x, center_y, a, b, theta)."""

    center_x: float
    """Pixels."""
    center_y: float
    """Pixels."""
    a: float
    """Semi-major axis, pixels."""
    b: float
    """Semi-minor axis, pixels, at most `a`."""
    theta: float
    """Direction of the major axis, radians from +x (right) towards +y (down), 0 <= theta < pi."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlobTracks:
    """Where each of several blobs was seen at each angle."""

    angles: Floats
    """Degrees, shape (n_angles,)."""
    positions: Floats
    """(x, y) in pixels, shape (n_tracks, n_angles, 2); 0 where the blob was not found."""
    found: NDArray[np.bool_]
    """Whether the blob was found, shape (n_tracks, n_angles)."""
    sigmas: Floats
    """Median scale of each blob, pixels (radius / sqrt(2)), shape (n_tracks,); largest first."""

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SharedEllipses:
    """Ellipses of several blobs with one center, tilt and orientation."""

    center: tuple[float, float]
    """(x, y) in pixels."""
    center_sd: tuple[float, float]
    """Standard uncertainty of the center (x, y) in pixels."""
    plane_angle: float
    """Tilt of the plane of rotation in degrees, 0 <= tilt < 90."""
    plane_angle_sd: float
    """Its standard uncertainty in degrees."""
    plane_orientation: float
    """Direction of the foreshortening, degrees from +x towards +y, 0 <= orientation < 180."""
    plane_orientation_sd: float
    """Its standard uncertainty in degrees; 52 when nothing is known of it."""
    plane_significant: bool
    """Whether the tilt stands out from its uncertainty (chance: 1 in 1000)."""
    points: Floats
    """Places (x, y) of the blobs in the plane at rest, from the center, shape (n_tracks, 2)."""
    predicted: Floats
    """Where each blob should be seen, (x, y) in pixels, shape (n_tracks, n_angles, 2)."""
    inliers: NDArray[np.bool_]
    """Positions that were found and agree, shape (n_tracks, n_angles)."""
    residual_px: float
    """Root mean square distance of the inliers from their predicted places, pixels."""
    inlier_fraction: float
    """Inliers among the positions found, 0 to 1."""
    coverage: float
    """Degrees of the turn that the angles cover (a full turn less the largest gap)."""

    @property
    def radii(self) -> Floats:
        """Distance of each blob from the center in the plane, pixels, shape (n_tracks,)."""
        return np.asarray(np.hypot(self.points[:, 0], self.points[:, 1]))

    @property
    def phases(self) -> Floats:
        """Direction of each blob from the center at rest, degrees from +x towards +y."""
        return np.mod(np.degrees(np.arctan2(self.points[:, 1], self.points[:, 0])), 360.0)

    def ellipse(self, track: int) -> EllipseFit:
        """Give the ellipse of one blob."""
        radius = float(self.radii[track])
        return EllipseFit(
            *self.center,
            radius,
            radius * float(np.cos(np.radians(self.plane_angle))),
            float(np.radians((self.plane_orientation + 90.0) % 180.0)),
        )


def fit_ellipse_to_points(
    centers: ArrayLike,
    pixels_in_row: int | None = None,
    *,
    tolerance: float | None = None,
) -> EllipseFit:
    """Fit an ellipse to points of which some may be wrong.

    Parameters
    ----------
    centers : array_like of shape (n, 2)
        Points (x, y) in pixels, such as the largest blob at each angle. Masked points and points
        that are not finite are left out.
    pixels_in_row : int, optional
        Width of the picture. If given, an ellipse whose center lies outside the square of this
        side is refused.
    tolerance : float, optional
        Distance from the ellipse in pixels within which a point certainly belongs to it. None:
        from the scatter of the points.

    Returns
    -------
    EllipseFit
        (center_x, center_y, a, b, theta): semi-axes a >= b in pixels, and the direction of the
        major axis in radians, from +x (right) towards +y (down), 0 <= theta < pi.

    Raises
    ------
    InputError
        If there are fewer than 5 different points, if they lie on a line, if they cover less than
        120 degrees of their ellipse, or if half of them do not lie on one.

    Notes
    -----
    Ellipses through five points drawn at random [1]_ are compared by the median distance of all
    points; from the best one, distances are minimized with Tukey's biweight as weights. An ellipse
    through few points is the conic with the least algebraic distance [2]_.

    References
    ----------
    .. [1] M. A. Fischler, R. C. Bolles, "Random sample consensus", Commun. ACM 24, 381-395 (1981),
       doi:10.1145/358669.358692
    .. [2] R. Halir, J. Flusser, "Numerically stable direct least squares fitting of ellipses",
       Proc. WSCG 98, 125-132 (1998)
    """
    points = _usable_points(centers)
    middle, scale = points.mean(axis=0), float(points.std())
    shape = _search_conic((points - middle) / scale)
    if shape is None:
        raise InputError(
            f"no ellipse goes through the {len(points)} points; they lie on a line or are "
            "scattered. Is it the same blob at every angle?"
        )
    shape = np.concatenate([shape[:2] * scale + middle, shape[2:4] * scale, shape[4:]])
    shape, inside, spread = _refine(points, shape, tolerance)
    fit = _in_order(shape)
    _check_ellipse(fit, points, inside, spread, pixels_in_row)
    return fit


def derive_angles_from_ellipse_fits(
    ellipse_fits: Mapping[str, float] | Sequence[float],
) -> tuple[float, float]:
    """Tell tilt and orientation of the plane of rotation from an ellipse.

    A circle in a plane that is tilted against the picture is foreshortened along one direction:
    the ellipse's minor axis.

    Parameters
    ----------
    ellipse_fits : mapping or sequence
        With the keys ``a``, ``b`` (semi-axes, pixels) and ``theta`` (direction of the axis `a`,
        radians from +x towards +y), or (center_x, center_y, a, b, theta). Where `b` is the longer
        one, `theta` is the direction of the shorter one, `a`.

    Returns
    -------
    rotation_plane_angle : float
        arccos(minor / major axis), degrees, 0 to 90.
    rotation_plane_orientation : float
        Direction of the minor axis, degrees from +x (right) towards +y (down), modulo 180; as the
        kernel and the simulator of this package understand it.

    Raises
    ------
    InputError
        If a value is missing, or the axes are not positive.
    """
    if isinstance(ellipse_fits, Mapping):
        absent = [key for key in ("a", "b", "theta") if key not in ellipse_fits]
        if absent:
            raise InputError(f"the ellipse lacks {', '.join(absent)}; found {sorted(ellipse_fits)}")
        a, b, theta = (float(ellipse_fits[key]) for key in ("a", "b", "theta"))
    else:
        values = [float(value) for value in ellipse_fits]
        if len(values) != 5:
            raise InputError(
                f"the ellipse has {len(values)} values; expected center_x, center_y, a, b, theta"
            )
        a, b, theta = values[2:]
    if not (a > 0 and b > 0 and np.isfinite([a, b, theta]).all()):
        raise InputError(f"semi-axes are {a} and {b} and theta is {theta}; expected positive axes")
    along_minor = theta if a < b else theta + np.pi / 2
    tilt = float(np.degrees(np.arccos(min(a, b) / max(a, b))))
    return tilt, float(np.degrees(along_minor)) % 180.0


def plot_ellipse_fit_and_centers(
    centers: ArrayLike,
    center_x: float,
    center_y: float,
    a: float,
    b: float,
    theta: float,
    image_stack: ArrayLike,
    debug_plots_folder: str | os.PathLike[str],
    saving_name: str = "ellipse_fit.png",
) -> Path:
    """Draw an ellipse, and the points that it was fitted to, on the maximum of some images.

    Parameters
    ----------
    centers : array_like of shape (n, 2)
        The points (x, y) in pixels; masked points and NaN are left out.
    center_x, center_y : float
        Center of the ellipse, pixels.
    a, b : float
        Its semi-axes, pixels.
    theta : float
        Direction of the axis `a`, radians from +x (right) towards +y (down).
    image_stack : array_like of shape (n, y, x)
        The images.
    debug_plots_folder : path
        Where the picture goes; made if it does not exist.
    saving_name : str
        Its name.

    Returns
    -------
    Path
        The picture.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Ellipse

    points = np.ma.filled(np.ma.asarray(centers, dtype=np.float64), np.nan)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axis = figure.subplots()
    axis.imshow(np.max(np.asarray(image_stack), axis=0), cmap="gray")
    axis.plot(*points.T, "o", color="#E69F00", markersize=4, label="largest blob at each angle")
    axis.add_patch(
        Ellipse(
            (center_x, center_y), 2 * a, 2 * b, angle=math.degrees(theta),
            fill=False, edgecolor="#56B4E9", label="fitted ellipse",
        )
    )  # fmt: skip
    axis.plot(center_x, center_y, "x", color="#009E73", markersize=9, label="its center")
    axis.legend(loc="upper right", fontsize=8)
    axis.set_axis_off()
    path = Path(debug_plots_folder) / saving_name
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path


def fit_shared_ellipses(
    tracks: BlobTracks,
    *,
    plane: bool = True,
    start: ArrayLike | None = None,
) -> SharedEllipses:
    """Fit the ellipses of all blobs together: one center, tilt and orientation.

    Parameters
    ----------
    tracks : BlobTracks
        Positions of one or more blobs at known angles.
    plane : bool
        Whether the plane may be tilted; if not, all ellipses are circles.
    start : array_like of shape (2,), optional
        First guess of the center (x, y). None: from the positions.

    Returns
    -------
    SharedEllipses

    Raises
    ------
    InputError
        If there are too few positions, or if the angles cover less than 60 degrees.

    Notes
    -----
    Gauss-Newton steps with weights from the residuals, Cauchy's first and then Tukey's [1]_.
    Uncertainties add up the scatter of the blobs and of the images as wholes, each by the sandwich
    of Liang and Zeger [2]_: a blob that touches a neighbor is wrong in the same way at many angles,
    and an axis that wobbles moves all blobs of an image alike.

    References
    ----------
    .. [1] P. J. Huber, E. M. Ronchetti, "Robust Statistics", 2nd ed., Wiley (2009).
    .. [2] K.-Y. Liang, S. L. Zeger, "Longitudinal data analysis using generalized linear models",
       Biometrika 73, 13-22 (1986), doi:10.1093/biomet/73.1.13
    """
    coverage = _check_tracks(tracks)
    data = _Positions(tracks, plane)
    values = data.solve(start)
    residuals = data.residuals(values)
    distance = np.hypot(residuals[:, 0], residuals[:, 1])
    scale = _scale(distance)
    weights = _tukey(distance, scale)
    for _ in range(10):
        values = data.step(values, weights, hold_plane=not plane)
        residuals = data.residuals(values)
        distance = np.hypot(residuals[:, 0], residuals[:, 1])
        weights = _tukey(distance, scale)
    covariance = data.covariance(values, residuals, weights)
    inside = weights > 0
    inliers = np.zeros(tracks.found.shape, np.bool_)
    inliers[data.track[inside], data.image[inside]] = True
    tilt, tilt_sd, orientation, orientation_sd, significant = _describe_plane(
        values[2:4], covariance[2:4, 2:4]
    )
    growth = 1.0 + float(np.hypot(*values[2:4]))
    sd = np.sqrt(np.diag(covariance))
    return SharedEllipses(
        center=(float(values[0]), float(values[1])),
        center_sd=(float(sd[0]), float(sd[1])),
        plane_angle=tilt,
        plane_angle_sd=tilt_sd if plane else 0.0,
        plane_orientation=orientation,
        plane_orientation_sd=orientation_sd,
        plane_significant=significant and plane,
        points=values[4:].reshape(-1, 2) * growth,
        predicted=data.predict(values),
        inliers=inliers,
        residual_px=float(np.sqrt(np.mean(distance[inside] ** 2))) if inside.any() else 0.0,
        inlier_fraction=float(inside.mean()),
        coverage=coverage,
    )


def covered(angles: ArrayLike) -> float:
    """Tell how many degrees of the turn angles cover: a full turn less the largest gap."""
    turned = np.sort(np.mod(np.asarray(angles, np.float64).ravel(), 360.0))
    if not turned.size:
        return 0.0
    return 360.0 - float(np.diff(turned, append=turned[0] + 360.0).max())


def foreshortening(plane: ArrayLike) -> Floats:
    """Make the matrix I - M(f) on (x, y) from the two numbers f that describe a plane.

    With g = |f| and f = g (cos 2o, sin 2o) it scales by 1 - g along the orientation o and by 1 + g
    across: P up to a factor, without a special case at tilt 0.
    """
    f1, f2 = np.asarray(plane, np.float64)
    return np.array([[1 - f1, -f2], [-f2, 1 + f1]])


# An ellipse through points, of which nothing else is known.


def _usable_points(centers: ArrayLike) -> Floats:
    given = np.ma.masked_invalid(np.ma.asarray(centers, dtype=np.float64))
    if given.ndim != 2 or given.shape[1] != 2:
        raise InputError(f"points have the shape {given.shape}; expected (n, 2) with (x, y)")
    points = np.asarray(given.data[~np.ma.getmaskarray(given).any(axis=1)])
    different = len(np.unique(points.round(6), axis=0))
    if different < MIN_POINTS:
        raise InputError(
            f"there are {different} different points among {len(given)}, but an ellipse needs at "
            f"least {MIN_POINTS}; is the blob found at enough angles?"
        )
    return points


def _search_conic(points: Floats) -> Floats | None:
    """Find the ellipse with the least median distance among some through few points."""
    rng = np.random.default_rng(SEED)
    drawn = [rng.choice(len(points), MIN_POINTS, replace=False) for _ in range(N_TRIALS)]
    best: tuple[float, Floats] | None = None
    for chosen in [np.arange(len(points)), *drawn]:
        shape = _conic(points[chosen])
        if shape is None or shape[2] > 100 * shape[3] or shape[2] > 30:
            continue
        distance = float(np.median(np.abs(_distance(points, shape))))
        if best is None or distance < best[0]:
            best = distance, shape
    return None if best is None else best[1]


def _conic(points: Floats) -> Floats | None:
    """Fit the ellipse of least algebraic distance: center, semi-axes, direction; or nothing."""
    x, y = points.T
    quadratic = np.column_stack([x * x, x * y, y * y])
    linear = np.column_stack([x, y, np.ones_like(x)])
    try:
        # The linear part follows from the quadratic one, which is an eigenvector of a 3 x 3 matrix.
        follow = -np.linalg.solve(linear.T @ linear, linear.T @ quadratic)
        scatter = quadratic.T @ (quadratic + linear @ follow)
        reduced = np.array([scatter[2] / 2, -scatter[1], scatter[0] / 2])
        _, vectors = np.linalg.eig(reduced)
    except np.linalg.LinAlgError:
        return None
    real = np.real(vectors)
    is_ellipse = 4 * real[0] * real[2] - real[1] ** 2 > 1e-12
    if not is_ellipse.any():
        return None
    a, b, c = real[:, np.flatnonzero(is_ellipse)[0]]
    d, e, f = follow @ np.array([a, b, c])
    form = np.array([[a, b / 2], [b / 2, c]])
    center = -0.5 * np.linalg.solve(form, np.array([d, e]))
    level = center @ form @ center - f
    lengths, directions = np.linalg.eigh(form / level) if level != 0 else (np.zeros(2), form)
    if lengths[0] <= 0:
        return None
    axes = 1 / np.sqrt(lengths)
    theta = np.arctan2(directions[1, 0], directions[0, 0])
    return np.array([*center, *axes, theta])


def _distance(points: Floats, shape: Floats) -> Floats:
    """Distance of points from an ellipse to first order, positive outside (Sampson)."""
    cos, sin = np.cos(shape[4]), np.sin(shape[4])
    dx, dy = (points - shape[:2]).T
    u, v = (cos * dx + sin * dy) / shape[2], (cos * dy - sin * dx) / shape[3]
    slope = 2 * np.hypot(u / shape[2], v / shape[3])
    level = u * u + v * v - 1
    # In the middle the slope vanishes; no point is farther from the ellipse than the minor axis.
    return np.asarray(np.where(level > 0, level / np.maximum(slope, 1e-12), _inner(level, shape)))


def _inner(level: Floats, shape: Floats) -> Floats:
    """Distance of points within an ellipse, along the ray from its center (about)."""
    return np.asarray((np.sqrt(level + 1) - 1) * np.sqrt(np.abs(shape[2] * shape[3])))


def _refine(
    points: Floats, shape: Floats, tolerance: float | None
) -> tuple[Floats, NDArray[np.bool_], float]:
    """Minimize weighted distances: ellipse, points that belong to it, scatter in pixels."""
    distance = np.abs(_distance(points, shape))
    for _ in range(8):
        spread = max(1.4826 * float(np.median(distance)), 1e-6)
        inside = distance / max(TUKEY * spread, tolerance or MIN_SCALE) < 1
        if inside.sum() < MIN_POINTS:
            break
        weights = 1 - np.minimum(distance / max(TUKEY * spread, tolerance or MIN_SCALE), 1) ** 2

        def cost(values: Floats, weights: Floats = weights) -> Floats:
            return weights * _distance(points, values)

        # Directions turn freely; lengths and places are of the order of the axes.
        unit = np.array([*np.repeat(shape[2], 4), 1.0])
        result = least_squares(cost, shape, x_scale=unit, max_nfev=100)
        shape = np.asarray(result.x, np.float64)
        distance = np.abs(_distance(points, shape))
    spread = max(1.4826 * float(np.median(distance)), 1e-6)
    inside = distance < max(TUKEY * spread, tolerance or MIN_SCALE)
    return shape, np.asarray(inside), spread


def _in_order(shape: Floats) -> EllipseFit:
    """Put the major axis first and its direction into the half circle."""
    x, y, a, b, theta = (float(value) for value in shape)
    a, b = abs(a), abs(b)
    if a < b:
        a, b, theta = b, a, theta + np.pi / 2
    return EllipseFit(x, y, a, b, theta % np.pi)


def _check_ellipse(
    fit: EllipseFit,
    points: Floats,
    inside: NDArray[np.bool_],
    spread: float,
    pixels_in_row: int | None,
) -> None:
    """Refuse what is no more than a guess."""
    n_inside = int(inside.sum())
    if n_inside < MIN_POINTS or n_inside <= len(points) / 2 or spread > 0.25 * fit.b:
        raise InputError(
            f"only {n_inside} of {len(points)} points lie on an ellipse (scatter {spread:.2g} px, "
            f"semi-axes {fit.a:.3g} and {fit.b:.3g} px); is it the same blob at every angle?"
        )
    cos, sin = np.cos(fit.theta), np.sin(fit.theta)
    dx, dy = (points[inside] - (fit.center_x, fit.center_y)).T
    arc = covered(
        np.degrees(np.arctan2((cos * dy - sin * dx) / fit.b, (cos * dx + sin * dy) / fit.a))
    )
    if arc < MIN_ARC:
        raise InputError(
            f"the points cover {arc:.0f} degrees of the ellipse, but {MIN_ARC:.0f} are needed to "
            "tell its center; use a blob that is seen over more of the turn, or fit several blobs "
            "together with their angles (fit_shared_ellipses)"
        )
    inner = (0 <= fit.center_x < (pixels_in_row or np.inf)) and (
        0 <= fit.center_y < (pixels_in_row or np.inf)
    )
    if pixels_in_row is not None and not inner:
        raise InputError(
            f"the center ({fit.center_x:.1f}, {fit.center_y:.1f}) of the ellipse lies outside the "
            f"picture of {pixels_in_row} pixels; is it the same blob at every angle?"
        )


# Ellipses of several blobs at known angles.


def _check_tracks(tracks: BlobTracks) -> float:
    """Refuse tracks that cannot tell a center; returns the coverage in degrees."""
    shape = (len(tracks.positions), len(tracks.angles))
    if tracks.found.shape != shape or tracks.positions.shape != (*shape, 2):
        raise InputError(
            f"tracks have positions of shape {tracks.positions.shape} and found of shape "
            f"{tracks.found.shape} at {len(tracks.angles)} angles; expected (n, angles, 2) and "
            "(n, angles)"
        )
    most = int(tracks.found.sum(axis=1).max(initial=0))
    if most < MIN_POINTS:
        raise InputError(
            f"no blob was found at more than {most} angles, but {MIN_POINTS} are needed; are there "
            "structures that can be told apart in the mean images?"
        )
    coverage = covered(tracks.angles[tracks.found.any(axis=0)])
    if coverage < MIN_COVERAGE:
        raise InputError(
            f"blobs were found over {coverage:.0f} degrees of the turn only, but "
            f"{MIN_COVERAGE:.0f} are needed to tell center and plane"
        )
    return coverage


def _scale(distance: Floats) -> float:
    """Estimate the standard deviation of one coordinate from the median length of two."""
    return max(float(np.median(distance)) / 1.1774, MIN_SCALE)


def _tukey(distance: Floats, scale: float) -> Floats:
    return np.asarray((1 - np.clip(distance / (TUKEY * scale), 0, 1) ** 2) ** 2)


class _Positions:
    """All positions found, and the model ``c + (I - M(f)) R(-a) r_k`` of them.

    Values are (c, f, r_1, r_2, ...): see :func:`foreshortening` for f; r_k is scaled accordingly.
    Each position depends on the four shared values and on the point of its own track only, so
    that the points are eliminated track by track, and the work grows with the positions alone.
    """

    def __init__(self, tracks: BlobTracks, plane: bool) -> None:
        self.track, self.image = np.nonzero(tracks.found)
        self._seen = tracks.positions[self.track, self.image]
        # R(-a) is the transpose of what turns a line back.
        self._turns = transforms.rotation_matrices(tracks.angles).transpose(0, 2, 1)
        self._n_tracks, self._plane = len(tracks), plane

    def predict(self, values: Floats) -> Floats:
        """Predict all positions, shape (n_tracks, n_angles, 2)."""
        turned = np.einsum("aij,kj->kai", self._turns, values[4:].reshape(-1, 2))
        return np.asarray(turned @ foreshortening(values[2:4]) + values[:2])

    def residuals(self, values: Floats) -> Floats:
        """Found minus predicted, shape (n, 2)."""
        return np.asarray(self._seen - self.predict(values)[self.track, self.image])

    def solve(self, start: ArrayLike | None) -> Floats:
        """Find the values with weights that no far-off position can pull at."""
        values = np.zeros(4 + 2 * self._n_tracks)
        if start is not None:
            values[:2] = np.asarray(start, np.float64)
        weights = np.ones(len(self.track))
        # First circles, for which the model is linear.
        for held in [True] * 10 + [not self._plane] * 30:
            values = self.step(values, weights, hold_plane=held)
            distance = np.hypot(*self.residuals(values).T)
            weights = 1 / (1 + (distance / (2 * _scale(distance))) ** 2)
        return values

    def step(self, values: Floats, weights: Floats, *, hold_plane: bool = False) -> Floats:
        """Take one Gauss-Newton step with given weights."""
        shared, own = self._derivatives(values)
        reduced, mixed, solve_own = self._eliminate(shared, own, weights)
        if hold_plane:
            reduced[:, :, 2:] = 0.0
        residuals = self.residuals(values)
        weighted = residuals * weights[:, np.newaxis]
        left = np.einsum("nip,niq,n->pq", reduced, reduced, weights)
        change: Floats = np.linalg.pinv(left, rcond=1e-12) @ np.einsum(
            "nip,ni->p", reduced, weighted
        )
        gradient = self._per_track(np.einsum("nip,ni->np", own, weighted))
        points = np.einsum("kij,kj->ki", solve_own, gradient - mixed @ change)
        moved = values + np.concatenate([change, points.ravel()])
        # Beyond this the model turns inside out.
        size = float(np.hypot(*moved[2:4]))
        if size > MAX_PLANE:
            moved[2:4] *= MAX_PLANE / size
        return np.asarray(moved)

    def covariance(self, values: Floats, residuals: Floats, weights: Floats) -> Floats:
        """Covariance of center and plane, shape (4, 4)."""
        shared, own = self._derivatives(values)
        reduced, _, _ = self._eliminate(shared, own, weights)
        scores = np.einsum("nip,ni,n->np", reduced, residuals, weights)
        # Positions with low weight would have more of it if the fit moved towards them: the slope
        # of Tukey's psi, 1 - 6 s + 5 s^2 with s the relative distance squared, replaces psi / r.
        relative = 1 - np.sqrt(weights)
        slope = 1 - 6 * relative + 5 * relative**2
        loss = max(float(slope[weights > 0].sum() / weights.sum()), MIN_EFFICIENCY)
        left = np.einsum("nip,niq,n->pq", reduced, reduced, weights) * loss
        inverse = np.linalg.pinv(left, rcond=1e-12)
        kinds = []
        for label in (self.track, self.image):
            groups = np.unique(label[weights > 0])
            if len(groups) < MIN_GROUPS:
                continue
            sums = np.stack([scores[label == group].sum(axis=0) for group in groups])
            kinds.append(sums.T @ sums * (len(groups) / (len(groups) - 3)))
        single = scores.T @ scores
        free = max(2 * int((weights > 0).sum()) - len(values), 1)
        single *= 2 * int((weights > 0).sum()) / free
        middle = single if len(kinds) < 2 else kinds[0] + kinds[1]
        if len(kinds) == 1:
            middle = middle + kinds[0]
        return np.asarray(inverse @ middle @ inverse)

    def _derivatives(self, values: Floats) -> tuple[Floats, Floats]:
        """Derive predictions by the shared values (n, 2, 4) and by the own point (n, 2, 2)."""
        turns = self._turns[self.image]
        points = values[4:].reshape(-1, 2)[self.track]
        x, y = np.einsum("nij,nj->ni", turns, points).T
        shared = np.zeros((len(self.track), 2, 4))
        shared[:, 0, 0] = shared[:, 1, 1] = 1.0
        if self._plane:
            shared[:, :, 2] = np.column_stack([-x, y])
            shared[:, :, 3] = np.column_stack([-y, -x])
        return shared, foreshortening(values[2:4]) @ turns

    def _eliminate(
        self, shared: Floats, own: Floats, weights: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Take out of the shared derivatives what the points take up.

        Returns the reduced derivatives (n, 2, 4), and per track the products of own and shared
        derivatives (n_tracks, 2, 4) and the inverse of those of the own ones (n_tracks, 2, 2).
        """
        gram = self._per_track(np.einsum("nip,niq,n->npq", own, own, weights))
        mixed = self._per_track(np.einsum("nip,niq,n->npq", own, shared, weights))
        solve_own = np.linalg.pinv(gram, rcond=1e-12)
        taken = own @ (solve_own @ mixed)[self.track]
        return shared - taken, mixed, np.asarray(solve_own)

    def _per_track(self, values: Floats) -> Floats:
        """Sum over the positions of each track."""
        total = np.zeros((self._n_tracks, *values.shape[1:]))
        np.add.at(total, self.track, values)
        return total


def _describe_plane(plane: Floats, covariance: Floats) -> tuple[float, float, float, float, bool]:
    """Turn f into tilt, its sd, orientation, its sd (degrees), and whether the tilt is real."""
    size = float(np.hypot(*plane))
    along = plane / size if size > 0 else np.array([1.0, 0.0])
    across = np.array([-along[1], along[0]])
    sd_along, sd_across = (
        math.sqrt(max(float(axis @ covariance @ axis), 0.0)) for axis in (along, across)
    )
    # The tilt goes with the root of f near 0: its uncertainty is read from both sides.
    sides = [_tilt(max(size - sd_along, 0.0)), _tilt(size), _tilt(size + sd_along)]
    tilt_sd = max(sides[1] - sides[0], sides[2] - sides[1])
    orientation = float(np.degrees(np.arctan2(plane[1], plane[0])) / 2) % 180.0
    turn = np.degrees(sd_across / (2 * size)) if size > 0 else np.inf
    squared = float(plane @ np.linalg.pinv(covariance) @ plane)
    return (
        sides[1],
        tilt_sd,
        orientation,
        min(float(turn), UNKNOWN_ORIENTATION_SD),
        squared > SIGNIFICANT,
    )


def _tilt(size: float) -> float:
    """Tilt in degrees from g = |f|: cos(tilt) = (1 - g) / (1 + g)."""
    return float(np.degrees(np.arccos(np.clip((1 - size) / (1 + size), -1, 1))))
