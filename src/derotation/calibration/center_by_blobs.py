"""Find the center of rotation from blobs: by Bayesian optimization, or by fitting ellipses.

The Bayesian search derotates the mean images per angle about one trial center after the other and
minimizes how far the most detected blob moves (:func:`derotation.images.ptd.\
ptd_of_most_detected_blob`). Only the frames that the mean images use are derotated. The fit of
ellipses needs the sample at rest at many angles (protocol ``incremental``) and derotates nothing.

Centers are (x, y) in pixels and floats throughout.
"""

import dataclasses
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.calibration.geometry import Geometry, tilt_to_vector
from derotation.errors import CenterError, InputError
from derotation.images.blob_detection import Blobs
from derotation.images.blob_tracks import link_in_place
from derotation.images.blobs import BlobDetection
from derotation.images.ellipses.shared import SharedEllipses, fit_shared_ellipses
from derotation.images.ellipses.tracks import BlobTracks, covered
from derotation.images.mean_images import DerotatedMeans, MeanImages, mean_images_at_rest
from derotation.images.ptd import most_detected_blob
from derotation.io.movie import Movie
from derotation.maps import transforms
from derotation.maps.timing import LineTiming
from derotation.signals.angles import Angles

__all__ = ["BayesianCenter", "EllipseCenter", "find_center_bayesian", "find_center_ellipse"]

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]

N_ANGLES = 24
FRAMES_PER_ANGLE = 6
MIN_ANGLES = 6
# Steps of refinement from the best center of the search.
MAX_REFINE = 4
# A step shorter than this (px) ends the refinement.
SMALL_STEP = 0.02
# Blobs are followed in the derotated images within this distance (px).
REACH = 6.0
TUKEY = 4.685
# When a result is not trusted.
MAX_PTD = 2.0
MIN_SHARE = 0.5
MAX_SD = 0.5
MAX_RESIDUAL = 1.0
MIN_INLIERS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BayesianCenter:
    """A center found by Bayesian optimization, and all centers that were tried."""

    center: tuple[float, float]
    """The center tried whose point-to-point distance is least, (x, y) in pixels."""
    center_sd: tuple[float, float] | None
    """Standard uncertainty from the scatter of all blobs about it, pixels; None if unknown."""
    ptd: float
    """Point-to-point distance of the most detected blob about it, pixels."""
    biased_center: tuple[float, float]
    """The starting center (x, y), which is tried first."""
    delta_center: float
    """Half the side of the square that was searched, pixels."""
    evaluations: Floats
    """Centers tried and their point-to-point distances, rows of x, y, ptd, pixels."""
    phases: tuple[str, ...]
    """What each evaluation was for: start, explore, search or refine."""
    share: float
    """Part of the angles at which the most detected blob is seen, 0 to 1."""
    angles: Floats
    """Angles of the mean images, degrees."""
    frames: NDArray[np.intp]
    """Numbers of the frames that were used."""
    image: NDArray[np.float32]
    """Mean over the angles, derotated about the center, shape (y, x)."""
    trusted: bool
    """False if the estimate contradicts itself or rests on too little."""
    statement: str
    """In plain words, how much the estimate can be trusted and why."""

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """Of each evaluation: x, y, point-to-point distance (pixels) and what it was for."""
        x, y, ptd = self.evaluations.T
        return {"x": x, "y": y, "ptd": ptd, "phase": np.asarray(self.phases)}

    @property
    def best_so_far(self) -> Floats:
        """Least point-to-point distance up to each evaluation, pixels."""
        return np.asarray(np.minimum.accumulate(self.evaluations[:, 2]))


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


def find_center_bayesian(
    movie: Movie,
    angles: Angles,
    *,
    timing: LineTiming | None = None,
    biased_center: tuple[float, float] | None = None,
    delta_center: float = 10.0,
    init_points: int = 2,
    n_iter: int = 10,
    seed: int = 0,
    threads: int = 1,
    plane_angle: float = 0.0,
    plane_orientation: float = 0.0,
    n_angles: int = N_ANGLES,
    frames_per_angle: int = FRAMES_PER_ANGLE,
    refine: bool = True,
) -> BayesianCenter:
    """Find the center about which the derotated sample moves least.

    Parameters
    ----------
    movie : Movie
        The recorded movie; at most `n_angles` times `frames_per_angle` of its frames are read.
    angles : Angles
        Angles of all lines.
    timing : LineTiming, optional
        When the samples within a line are recorded; by default as `angles` says, in one direction.
    biased_center : tuple of float, optional
        Where the search starts, (x, y) in pixels; by default the center of the image.
    delta_center : float
        The search goes so many pixels to each side of it.
    init_points, n_iter : int
        Number of centers tried at random, and number of those chosen by the optimizer.
    seed : int
        Of the random numbers; the same seed gives the same result.
    threads : int
        Number of threads for derotating and detecting.
    plane_angle, plane_orientation : float
        Tilt of the plane of rotation, where it is known, degrees.
    n_angles, frames_per_angle : int
        Mean images, and frames in each of them.
    refine : bool
        Whether to improve the best center of the search by what all blobs do (see Notes).

    Returns
    -------
    BayesianCenter
        Never a center with a greater point-to-point distance than the starting one.

    Raises
    ------
    CenterError
        If the session turns too little, or if no blobs are detected at all.
    InputError
        If an argument is out of its range, or movie and angles do not belong together.

    Notes
    -----
    The optimizer models the point-to-point distance by a Gaussian process [1]_. A dozen trials
    find the center to about a pixel. From there all blobs are followed over the angles: about a
    center that is wrong by e they move by (I - R(a)) e, from which e follows by robust least
    squares. Each such proposal is tried like any other center, and kept only if the point-to-point
    distance becomes less.

    References
    ----------
    .. [1] J. Snoek, H. Larochelle, R. P. Adams, "Practical Bayesian optimization of machine
       learning algorithms", NIPS 25, 2951-2959 (2012)
    """
    start = biased_center or transforms.image_center(movie.shape)
    _check_search(start, delta_center, init_points, n_iter)
    trials = _Trials(
        DerotatedMeans(
            movie,
            angles,
            n_angles=n_angles,
            frames_per_angle=frames_per_angle,
            timing=timing,
            threads=threads,
        ),
        (plane_angle, plane_orientation),
        threads,
    )
    logger.info(
        "Center: blobs at %d angles are compared, %d frames are derotated per trial",
        len(trials.means),
        len(trials.means.frames),
    )
    low = np.asarray(start, np.float64) - delta_center
    high = np.asarray(start, np.float64) + delta_center
    trials.evaluate(np.asarray(start, np.float64), "start")
    _search(trials, low, high, init_points, n_iter, seed)
    if not trials.any_blob:
        raise CenterError(
            "no blob was detected in the derotated mean images about any center; is there "
            "structure in the picture? Give the center as center.fixed, or use registration"
        )
    if refine:
        _refine(trials, low, high)
    return _bayesian_result(trials, (float(start[0]), float(start[1])), delta_center)


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


def _check_search(
    start: tuple[float, float], delta_center: float, init_points: int, n_iter: int
) -> None:
    if len(start) != 2 or not np.isfinite(start).all():
        raise InputError(f"biased_center is {start!r}; expected (x, y) in pixels")
    if not delta_center > 0 or init_points < 1 or n_iter < 0:
        raise InputError(
            f"delta_center is {delta_center}, init_points {init_points} and n_iter {n_iter}; "
            "expected more than 0 px, at least 1 and at least 0"
        )


class _Trials:
    """All centers tried so far."""

    def __init__(self, means: DerotatedMeans, plane: tuple[float, float], threads: int) -> None:
        if len(means) < MIN_ANGLES or covered(means.angles) < 60:
            raise CenterError(
                f"frames were recorded near {len(means)} of the angles only "
                f"({', '.join(f'{angle:g}' for angle in means.angles)} degrees), which hardly "
                "tells the center; give it as center.fixed, or a calibration in the sample sheet"
            )
        self.means, self.plane = means, plane
        self._threads = threads
        self.centers: list[Floats] = []
        self.ptds: list[float] = []
        self.phases: list[str] = []
        self._blobs: list[list[Blobs]] = []
        self._shares: list[float] = []

    @property
    def best(self) -> int:
        """Number of the best trial, the earliest among equals."""
        return int(np.argmin(self.ptds))

    @property
    def blobs(self) -> list[Blobs]:
        """Blobs per angle in the best trial."""
        return self._blobs[self.best]

    @property
    def share(self) -> float:
        return self._shares[self.best]

    @property
    def any_blob(self) -> bool:
        return max(self._shares) > 0

    def images(self, center: Floats) -> MeanImages:
        tilt = tilt_to_vector(*self.plane)
        return self.means(dataclasses.replace(Geometry.about(center), tilt=tilt))

    def evaluate(self, center: Floats, phase: str) -> float:
        """Try a center; returns its point-to-point distance."""
        means = self.images(center)
        blob, found = most_detected_blob(means.images, seen=means.seen, threads=self._threads)
        self.centers.append(np.array(center, np.float64))
        self.ptds.append(blob.ptd)
        self.phases.append(phase)
        self._blobs.append(found)
        self._shares.append(blob.share)
        logger.debug("%s: (%.2f, %.2f) px: %.3f px", phase, center[0], center[1], blob.ptd)
        return blob.ptd


def _search(
    trials: _Trials, low: Floats, high: Floats, init_points: int, n_iter: int, seed: int
) -> None:
    """Let the optimizer choose centers; it knows of the trials made before."""
    from bayes_opt import BayesianOptimization

    optimizer = BayesianOptimization(
        f=None,
        pbounds={"x": (float(low[0]), float(high[0])), "y": (float(low[1]), float(high[1]))},
        random_state=np.random.RandomState(seed),
        verbose=0,
        allow_duplicate_points=True,
    )

    def tell(center: Floats, ptd: float) -> None:
        # The distance rises like a cone; its root would be a spike, its square a bowl that a
        # Gaussian process follows with the fewest trials, but far trials would rule. The log
        # keeps both in sight.
        optimizer.register({"x": center[0], "y": center[1]}, -float(np.log(ptd + 0.1)))

    for center, ptd in zip(trials.centers, trials.ptds, strict=True):
        tell(center, ptd)
    rng = np.random.default_rng(seed)
    for _ in range(init_points):
        center = rng.uniform(low, high)
        tell(center, trials.evaluate(center, "explore"))
    for _ in range(n_iter):
        with warnings.catch_warnings():
            # That the few points do not settle the process's scales is known.
            warnings.simplefilter("ignore")
            proposal = optimizer.suggest()
        center = np.array([float(proposal["x"]), float(proposal["y"])])
        tell(center, trials.evaluate(center, "search"))


def _refine(trials: _Trials, low: Floats, high: Floats) -> None:
    """Improve the best center by what all blobs do about it, as long as that helps."""
    for _ in range(MAX_REFINE):
        before, center = trials.ptds[trials.best], trials.centers[trials.best]
        error, _ = _center_error(trials.blobs, trials.means.angles, trials.plane)
        proposal = np.clip(center - error, low, high)
        if not np.isfinite(proposal).all() or np.hypot(*(proposal - center)) < SMALL_STEP:
            return
        if trials.evaluate(proposal, "refine") >= before:
            return


def _center_error(
    blobs: Sequence[Blobs], angles: Floats, plane: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Fit how wrong the center is from all blobs in the derotated images: error, sd (x, y).

    Blob k at angle a is at q_k + (I - B(a)) e with B the map that turned it back. NaN if blobs
    cannot be followed.
    """
    chosen = _follow(blobs)
    if not chosen:
        return np.full(2, np.nan), np.full(2, np.nan)
    maps = transforms.line_maps(angles, (0.0, 0.0), *plane)[:, :, :2]
    lever = np.eye(2) - maps
    track = np.repeat(np.arange(len(chosen)), [len(image) for image, _ in chosen])
    image = np.concatenate([image for image, _ in chosen])
    places = np.concatenate([positions for _, positions in chosen])
    weights = np.ones(len(track))
    for iteration in range(15):
        # The blob's own place is the weighted mean of what is left.
        total = np.bincount(track, weights, len(chosen))[track, np.newaxis]
        centered = places - _sums(places, weights, track, len(chosen)) / total
        levers = lever[image].reshape(-1, 4)
        levers = (levers - _sums(levers, weights, track, len(chosen)) / total).reshape(-1, 2, 2)
        left = np.einsum("nip,niq,n->pq", levers, levers, weights)
        inverse = np.linalg.pinv(left, rcond=1e-6)
        error = inverse @ np.einsum("nip,ni,n->p", levers, centered, weights)
        residuals = centered - levers @ error
        distance = np.hypot(residuals[:, 0], residuals[:, 1])
        scale = max(float(np.median(distance)) / 1.1774, 0.02)
        if iteration < 5:
            weights = 1 / np.maximum(distance / scale, 0.2)
        else:
            weights = (1 - np.minimum(distance / (TUKEY * scale), 1) ** 2) ** 2 + 1e-12
    scores = np.einsum("nip,ni,n->np", levers, residuals, weights)
    per_track = np.stack([np.bincount(track, s, len(chosen)) for s in scores.T], -1)
    per_image = np.stack([np.bincount(image, s, len(angles)) for s in scores.T], -1)
    # Blobs and images as wholes scatter: both count, as in the fit of ellipses.
    middle = per_track.T @ per_track + per_image.T @ per_image
    sd = np.sqrt(np.diag(inverse @ middle @ inverse))
    return np.asarray(error), np.asarray(sd)


def _sums(values: Floats, weights: Floats, track: NDArray[Any], n: int) -> Floats:
    """Weighted sums over tracks, spread over their members again."""
    columns = [np.bincount(track, weights * column, n)[track] for column in values.T]
    return np.stack(columns, -1)


def _follow(blobs: Sequence[Blobs]) -> list[tuple[NDArray[np.intp], Floats]]:
    """Follow blobs in derotated images: those that stay within a few pixels of a common place."""
    return link_in_place(blobs, REACH, max(4, len(blobs) // 3))


def _bayesian_result(trials: _Trials, start: tuple[float, float], delta: float) -> BayesianCenter:
    best = trials.best
    center, ptd = trials.centers[best], trials.ptds[best]
    left, spread = _center_error(trials.blobs, trials.means.angles, trials.plane)
    # What the blobs would still correct was not tried or did not help: it is uncertain too.
    sd = np.hypot(left, spread)
    known = bool(np.isfinite(sd).all())
    means = trials.images(center)
    count = means.seen.sum(axis=0)
    total = np.sum(means.images, axis=0, dtype=np.float64, where=means.seen)
    image = np.where(count > 0, total / np.maximum(count, 1), means.images.mean())
    doubts = []
    if ptd > MAX_PTD:
        doubts.append(f"the most detected blob still moves by {ptd:.2f} px about it")
    if trials.share < MIN_SHARE:
        doubts.append(f"the most detected blob is seen at {100 * trials.share:.0f} % of the angles")
    if np.max(np.abs(center - start)) > delta - 1e-6:
        doubts.append(
            "it lies on the border of the range that was searched; raise center.delta_center or "
            "give a better center.biased_center"
        )
    if not known or float(sd.max()) > MAX_SD:
        doubts.append("the blobs do not agree on it")
    statement = _state(
        doubts,
        f"Of {len(trials.ptds)} centers tried, the most detected blob moves least about this one: "
        f"by {ptd:.2f} px ({trials.ptds[0]:.2f} px about the starting one), seen at "
        f"{100 * trials.share:.0f} % of {len(trials.means)} angles.",
    )
    return BayesianCenter(
        center=(float(center[0]), float(center[1])),
        center_sd=(float(sd[0]), float(sd[1])) if known else None,
        ptd=ptd,
        biased_center=start,
        delta_center=float(delta),
        evaluations=np.column_stack([np.array(trials.centers), trials.ptds]),
        phases=tuple(trials.phases),
        share=trials.share,
        angles=trials.means.angles,
        frames=trials.means.frames,
        image=image.astype(np.float32),
        trusted=not doubts,
        statement=statement,
    )


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
    statement = _state(
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


def _state(doubts: Sequence[str], statement: str) -> str:
    if doubts:
        statement = "The center cannot be trusted: " + "; ".join(doubts) + "."
    say: Callable[..., None] = logger.warning if doubts else logger.info
    say("%s", statement)
    return statement
