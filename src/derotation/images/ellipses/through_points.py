"""An ellipse through points of which nothing else is known, and what it says about the plane.

Positions are (x, y) in pixels. Angles are degrees, but for the ``theta`` of an ellipse, which is
radians, as in the function that users know.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.images.ellipses.tracks import covered

__all__ = [
    "MIN_POINTS",
    "MIN_SCALE",
    "TUKEY",
    "EllipseFit",
    "derive_angles_from_ellipse_fits",
    "fit_ellipse_to_points",
]

Floats = NDArray[np.float64]

MIN_POINTS = 5
# An ellipse through points on less of its turn than this (degrees) is a guess.
MIN_ARC = 120.0
# Ellipses through five points that are tried, and how far from the best one a point may lie
# relative to the median distance.
N_TRIALS = 300
SEED = 0
TUKEY = 4.685
# Noise of blob positions below this (px) is not believed.
MIN_SCALE = 0.02


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
    from scipy.optimize import least_squares  # takes long to load

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
