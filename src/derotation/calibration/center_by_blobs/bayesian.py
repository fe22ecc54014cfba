"""The center about which the most detected blob moves least, by Bayesian optimization.

The search derotates the mean images per angle about one trial center after the other and
minimizes how far the most detected blob moves (:func:`derotation.images.ptd.\
ptd_of_most_detected_blob`). Only the frames that the mean images use are derotated.
"""

import logging
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.center_by_blobs.blobs_left import error_by_blobs
from derotation.calibration.center_by_blobs.statement import MAX_SD, state_center
from derotation.calibration.center_by_blobs.trials import Trials
from derotation.errors import CenterError, InputError
from derotation.images.mean_images import DerotatedMeans
from derotation.io.movie import Movie
from derotation.maps import transforms
from derotation.maps.timing import LineTiming
from derotation.signals.angles import Angles

__all__ = ["BayesianCenter", "find_center_bayesian"]

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]

N_ANGLES = 24
FRAMES_PER_ANGLE = 6
# Steps of refinement from the best center of the search.
MAX_REFINE = 4
# A step shorter than this (px) ends the refinement.
SMALL_STEP = 0.02
# When a result is not trusted.
MAX_PTD = 2.0
MIN_SHARE = 0.5


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
    trials = Trials(
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


def _search(
    trials: Trials, low: Floats, high: Floats, init_points: int, n_iter: int, seed: int
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


def _refine(trials: Trials, low: Floats, high: Floats) -> None:
    """Improve the best center by what all blobs do about it, as long as that helps."""
    for _ in range(MAX_REFINE):
        before, center = trials.ptds[trials.best], trials.centers[trials.best]
        error, _ = error_by_blobs(trials.blobs, trials.means.angles, trials.plane)
        proposal = np.clip(center - error, low, high)
        if not np.isfinite(proposal).all() or np.hypot(*(proposal - center)) < SMALL_STEP:
            return
        if trials.evaluate(proposal, "refine") >= before:
            return


def _bayesian_result(trials: Trials, start: tuple[float, float], delta: float) -> BayesianCenter:
    best = trials.best
    center, ptd = trials.centers[best], trials.ptds[best]
    left, spread = error_by_blobs(trials.blobs, trials.means.angles, trials.plane)
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
    statement = state_center(
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
