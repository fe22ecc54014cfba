"""Ellipses of several blobs at known angles, with one center, tilt and orientation.

Fitted together, with the angles that are known, blobs tell center and plane far better than an
ellipse through each blob alone.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.images.ellipses.positions import Positions, scale_of
from derotation.images.ellipses.through_points import MIN_POINTS, TUKEY, EllipseFit
from derotation.images.ellipses.tracks import BlobTracks, covered

__all__ = ["SharedEllipses", "fit_shared_ellipses"]

Floats = NDArray[np.float64]

# With known angles a smaller part of the turn tells center and plane, but not any.
MIN_COVERAGE = 60.0
# Squared length of the tilt in units of its uncertainty that chance exceeds in 1 of 1000 cases.
SIGNIFICANT = 13.8
# Standard deviation of a direction of which nothing is known: 180 / sqrt(12).
UNKNOWN_ORIENTATION_SD = 52.0


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
    data = Positions(tracks, plane)
    values = data.solve(start)
    residuals = data.residuals(values)
    distance = np.hypot(residuals[:, 0], residuals[:, 1])
    scale = scale_of(distance)
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


def _tukey(distance: Floats, scale: float) -> Floats:
    return np.asarray((1 - np.clip(distance / (TUKEY * scale), 0, 1) ** 2) ** 2)


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
