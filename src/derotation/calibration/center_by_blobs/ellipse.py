"""The center of the ellipses on which blobs are seen.

It needs the sample at rest at many angles (protocol ``incremental``) and derotates nothing.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.calibration.center_by_blobs.statement import MAX_SD, state_center
from derotation.calibration.center_by_blobs.trials import MIN_ANGLES
from derotation.errors import CenterError, InputError
from derotation.images.blobs import BlobDetection
from derotation.images.ellipses.shared import SharedEllipses, fit_shared_ellipses
from derotation.images.ellipses.tracks import BlobTracks
from derotation.images.mean_images import MeanImages, mean_images_at_rest
from derotation.io.movie import Movie
from derotation.signals.angles import Angles

__all__ = ["EllipseCenter", "find_center_ellipse"]

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]

MAX_RESIDUAL = 1.0
MIN_INLIERS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EllipseCenter:
    """Center and plane of rotation found from the ellipses that blobs draw."""

    center: tuple[float, float]
    """(x, y) in pixels."""
    center_sd: tuple[float, float]
    """Standard uncertainty of the center (x, y) in pixels."""
    fit: SharedEllipses
    """Tilt and orientation with uncertainties, residuals and inliers."""
    tracks: BlobTracks
    """Where the blobs were seen."""
    angles: Floats
    """Angles of the mean images, degrees."""
    counts: NDArray[np.int64]
    """Frames in each mean image."""
    image: NDArray[np.float32]
    """Maximum of the mean images, on which the blobs draw their ellipses, shape (y, x)."""
    trusted: bool
    """False if the estimate contradicts itself or rests on too little."""
    statement: str
    """In plain words, how much the estimate can be trusted and why."""

    @property
    def residual_px(self) -> float:
        """Root mean square distance of the blobs from their ellipses, pixels."""
        return self.fit.residual_px

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """Of each place of a blob: where it was seen and where its ellipse says, pixels."""
        blob, angle = np.nonzero(self.tracks.found)
        seen, predicted = self.tracks.positions[blob, angle], self.fit.predicted[blob, angle]
        return {
            "blob": blob,
            "angle": self.angles[angle],
            "x": seen[:, 0],
            "y": seen[:, 1],
            "predicted_x": predicted[:, 0],
            "predicted_y": predicted[:, 1],
            "used": self.fit.inliers[blob, angle],
        }


def find_center_ellipse(
    movie: Movie,
    angles: Angles,
    *,
    targets: ArrayLike | None = None,
    plane: bool = True,
    blob_log_params: dict[str, Any] | None = None,
    max_frames: int | None = 50,
    threads: int = 1,
) -> EllipseCenter:
    """Find center, tilt and orientation from the ellipses that blobs draw over the turn.

    Parameters
    ----------
    movie : Movie
        The recorded movie; only frames at rest are read.
    angles : Angles
        Angles of all lines.
    targets : array_like of shape (n,), optional
        Angles in degrees at which the sample should stand, each of which must be there. None: all
        at which it stood.
    plane : bool
        Whether the plane may be tilted.
    blob_log_params : mapping, optional
        See :class:`derotation.images.blobs.BlobDetection`.
    max_frames : int, optional
        Frames per angle that are averaged at most.
    threads : int
        Number of threads for detecting blobs.

    Returns
    -------
    EllipseCenter

    Raises
    ------
    CenterError
        If the sample does not stand at enough angles, or no blobs can be followed; the message
        says what was found.
    InputError
        If movie and angles do not belong together.
    """
    means = mean_images_at_rest(movie, angles, targets=targets, max_frames=max_frames)
    logger.info("Center: %d mean images of the sample at rest are compared", len(means))
    if len(means) < MIN_ANGLES:
        shown = ", ".join(f"{angle:g}" for angle in means.angles)
        raise CenterError(
            f"the sample stands at {len(means)} angles only ({shown} degrees), but ellipses need "
            f"{MIN_ANGLES}; use an incremental session, or center.method registration"
        )
    detection = BlobDetection(blob_log_params=blob_log_params, threads=threads)
    try:
        tracks = detection.track_blobs(means.images, means.angles, seen=means.seen, plane=plane)
        fit = fit_shared_ellipses(tracks, plane=plane)
    except InputError as error:
        raise CenterError(f"the center cannot be found from ellipses: {error}") from error
    return _ellipse_result(means, tracks, fit)


def _ellipse_result(means: MeanImages, tracks: BlobTracks, fit: SharedEllipses) -> EllipseCenter:
    doubts = []
    if max(fit.center_sd) > MAX_SD:
        doubts.append(f"it is uncertain by {max(fit.center_sd):.2f} px")
    if fit.residual_px > MAX_RESIDUAL:
        doubts.append(f"blobs lie {fit.residual_px:.2f} px (rms) off their ellipses")
    if fit.inlier_fraction < MIN_INLIERS:
        doubts.append(f"only {100 * fit.inlier_fraction:.0f} % of the positions agree with it")
    height, width = means.images.shape[1:]
    if not (0 <= fit.center[0] < width and 0 <= fit.center[1] < height):
        doubts.append("it lies outside the picture")
    plane = (
        f"the plane is tilted by {fit.plane_angle:.1f} ± {fit.plane_angle_sd:.2f} degrees along "
        f"{fit.plane_orientation:.1f} ± {fit.plane_orientation_sd:.2f} degrees"
        if fit.plane_significant
        else f"no tilt stands out (up to {fit.plane_angle + 2 * fit.plane_angle_sd:.1f} degrees)"
    )
    statement = state_center(
        doubts,
        f"The center is known to {fit.center_sd[0]:.3f} px (x) and {fit.center_sd[1]:.3f} px (y) "
        f"from {len(tracks)} blobs, which lie {fit.residual_px:.2f} px (rms) off their ellipses; "
        f"{plane}.",
    )
    return EllipseCenter(
        center=fit.center,
        center_sd=fit.center_sd,
        fit=fit,
        tracks=tracks,
        angles=means.angles,
        counts=means.counts,
        image=means.images.max(axis=0),
        trusted=not doubts,
        statement=statement,
    )
