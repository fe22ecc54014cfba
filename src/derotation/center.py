"""Find the center of rotation.

Method ``registration``: frames recorded while the sample was turned are derotated about a guess,
and each one is registered with the sample at rest. A guess that is wrong by e leaves in a frame at
angle a the shift (I - R(a)) e, so that the shifts of many frames give e by least squares. The shift
is affine in the position of the center, and therefore two or three repetitions are enough.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
from tqdm import tqdm

from derotation import transforms
from derotation.angles import Angles
from derotation.calibration import Calibration
from derotation.derotate import LineTiming, derotate_frames
from derotation.errors import CenterError
from derotation.io.movie import Movie

__all__ = ["CenterEstimate", "estimate_center"]

logger = logging.getLogger(__name__)

DEFAULTS: dict[str, Any] = {
    "method": "registration",
    "fixed": None,
    "start": None,
    "n_frames": 170,
    "iterations": 3,
    "bootstrap": 200,
    "seed": 0,
}
# Frames at rest that are averaged to the reference.
MAX_REST_FRAMES = 100
# A frame tells about the center only by |I - R(a)| = 2 |sin(a / 2)|; this is 11.5 degrees.
MIN_LEVERAGE = 0.2
ANGLE_BINS = 72
# Frames that are kept in memory, as recorded.
MAX_BYTES = 300e6
FRAMES_AT_ONCE = 8
# Before frames are compared they are smoothed (px): photon noise lives at the pixel's scale.
SMOOTHING = 1.5
COARSE_SMOOTHING = (1.5, 8.0)
# Registration by gradients sees this far (px); beyond, the peak of the correlation is looked for.
COARSE_LIMIT = 1.0
MAX_COARSE = 4
# When an estimate is not trusted.
MAX_SD = 0.5
MAX_RESIDUAL = 1.0
MIN_INLIERS = 0.5
MIN_SPREAD = 30.0
MIN_FRAMES = 8
TUKEY = 4.685


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CenterEstimate:
    """The center and what it was found from."""

    calibration: Calibration
    """The result."""
    frames: NDArray[np.int64]
    """Numbers of the frames that were used, shape (n,)."""
    angles: NDArray[np.float64]
    """Their angles in the middle, degrees, shape (n,)."""
    shifts: NDArray[np.float64]
    """Shift (x, y) of each frame against the sample at rest about the starting guess, pixels."""
    residuals: NDArray[np.float64]
    """Shift (x, y) that is left about the final center, pixels, shape (n, 2)."""
    inliers: NDArray[np.bool_]
    """Frames that agree with the result, shape (n,)."""
    path: NDArray[np.float64]
    """Centers (x, y) from the starting guess to the result."""
    samples: NDArray[np.float64]
    """Centers (x, y) found from resampled frames (bootstrap)."""
    reference: NDArray[np.float32]
    """Mean image of the sample at rest, shape (y, x)."""


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

    Parameters
    ----------
    movie : Movie
        The recorded movie; a few hundred of its frames are read.
    angles : Angles
        Angles of all lines.
    config : mapping, optional
        ``method``: registration, fixed or image_center. For fixed: ``fixed`` (x, y). For
        registration: ``start`` (x, y) or None for the image's center, ``n_frames``, ``iterations``,
        ``bootstrap`` (number of resamplings), ``seed``. Missing keys take their defaults.
    timing : LineTiming, optional
        When the samples within a line are recorded; by default as `angles` says, in one direction.
    session : str
        Name for the provenance.
    threads : int
        Number of threads for derotating and filtering.

    Returns
    -------
    CenterEstimate
        Its ``calibration.trusted`` and ``calibration.statement`` say whether to believe it.

    Raises
    ------
    CenterError
        If there are no frames at rest or no rotating frames.

    Notes
    -----
    The shifts are fitted with a constant shift beside (I - R(a)) e, so that noise in the reference,
    which is common to all frames, does not move the center. Frames are weighted by Tukey's biweight
    [1]_. The uncertainty comes from resampling frames (bootstrap [2]_).

    References
    ----------
    .. [1] P. J. Huber, E. M. Ronchetti, "Robust Statistics", 2nd ed., Wiley (2009).
    .. [2] B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", Chapman & Hall (1993).
    """
    settings = DEFAULTS | dict(config or {})
    timing = timing or LineTiming(line_duty=angles.line_duty)
    height, width = movie.shape[1:]
    if settings["method"] != "registration":
        return _given_center(settings, (height, width), session)

    rest, turned = _choose_frames(angles, settings["n_frames"], movie)
    logger.info(
        "Center: %d frames at rest and %d rotating ones are compared", len(rest), len(turned)
    )
    reference = _mean_image(movie, rest)
    frames = movie.read(turned)
    line_angles = angles.line_angles[turned]
    middle = np.asarray(angles.line_angles[turned, height // 2])

    start = settings["start"] or transforms.image_center(movie.shape)
    path = [np.asarray(start, dtype=np.float64)]
    register = _Registration(reference, frames, line_angles, timing, threads)
    first: NDArray[np.float64] | None = None
    for _ in tqdm(range(MAX_COARSE), desc="coarse center", disable=None, leave=False):
        shifts = register.coarse(path[-1])
        first = shifts if first is None else first
        error, _, _ = _fit(middle, shifts)
        path.append(path[-1] - error)
        if np.hypot(*error) < COARSE_LIMIT:
            break
    for _ in tqdm(range(settings["iterations"]), desc="fine center", disable=None, leave=False):
        shifts = register.fine(path[-1])
        error, weights, constant = _fit(middle, shifts)
        path.append(path[-1] - error)
    residuals = shifts - _leverage(middle) @ error - constant
    samples = path[-2] - _bootstrap(
        middle, shifts, weights, settings["bootstrap"], settings["seed"]
    )
    inliers = weights > 0
    calibration = _judge(
        center=path[-1],
        shape=(height, width),
        samples=samples,
        residuals=residuals[inliers],
        inlier_fraction=float(np.mean(inliers)),
        angles=middle[inliers],
        session=session,
        n_rest=len(rest),
    )
    return CenterEstimate(
        calibration=calibration,
        frames=turned,
        angles=middle,
        shifts=np.asarray(first),
        residuals=residuals,
        inliers=inliers,
        path=np.array(path),
        samples=samples,
        reference=reference,
    )


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
        statement = (
            "The center was given in the configuration (center.fixed); nothing was measured."
        )
    elif method == "image_center":
        center = np.asarray(transforms.image_center(shape))
        statement = "The center of the image was taken; nothing was measured."
    else:
        msg = f"center.method is {method!r}; allowed are registration, fixed and image_center"
        raise CenterError(msg)
    calibration = Calibration(
        center=(float(center[0]), float(center[1])),
        image_shape=shape,
        method=method,
        statement=statement,
        provenance={"session": session},
    )
    none = np.empty((0, 2))
    return CenterEstimate(
        calibration=calibration,
        frames=np.empty(0, np.int64),
        angles=np.empty(0),
        shifts=none,
        residuals=none,
        inliers=np.empty(0, np.bool_),
        path=center[np.newaxis],
        samples=none,
        reference=np.zeros(shape, np.float32),
    )


def _choose_frames(
    angles: Angles, n_frames: int, movie: Movie
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose frames at rest, and turned ones that spread evenly over the circle."""
    usable = angles.line_usable.all(axis=1)
    at_rest = usable & np.all(np.mod(angles.line_angles, 360.0) == 0, axis=1)
    middle = angles.line_angles[:, angles.line_angles.shape[1] // 2]
    leverage = np.abs(2 * np.sin(np.deg2rad(np.where(usable, middle, 0.0)) / 2))
    turned = usable & (leverage >= MIN_LEVERAGE)
    if not at_rest.any():
        msg = (
            "no frame was recorded at rest at angle 0, so there is nothing to compare rotating "
            "frames with; give the center as center.fixed, or a calibration in the sample sheet"
        )
        raise CenterError(msg)
    if turned.sum() < MIN_FRAMES:
        msg = (
            f"only {int(turned.sum())} frames were recorded more than 11 degrees away from rest, "
            f"but {MIN_FRAMES} are needed to find the center; give it as center.fixed, or a "
            "calibration in the sample sheet"
        )
        raise CenterError(msg)
    rest = np.flatnonzero(at_rest)
    affordable = int(MAX_BYTES // (movie.shape[1] * movie.shape[2] * movie.dtype.itemsize))
    if affordable < n_frames:
        logger.info("Center: %d frames instead of %d, to save memory", affordable, n_frames)
    candidates = np.flatnonzero(turned)
    wanted = max(min(n_frames, affordable), MIN_FRAMES)
    return _thin(rest, MAX_REST_FRAMES), _spread(candidates, middle[candidates], wanted)


def _thin(numbers: NDArray[np.intp], n: int) -> NDArray[np.int64]:
    """Keep at most n of them, evenly spread."""
    if len(numbers) <= n:
        return numbers.astype(np.int64)
    return np.asarray(numbers[np.linspace(0, len(numbers) - 1, n).round().astype(int)], np.int64)


def _spread(numbers: NDArray[np.intp], angles: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Keep at most n, taking turns among bins of the circle: rests at one angle do not dominate."""
    bins = np.floor(np.mod(angles, 360.0) / (360.0 / ANGLE_BINS)).astype(np.int64)
    rank = np.empty(len(numbers))
    for b in np.unique(bins):
        members = np.flatnonzero(bins == b)
        # Within a bin, first the ends and the middle of the session, then what lies between.
        order = np.argsort(np.argsort(_van_der_corput(len(members)), kind="stable"))
        rank[members[order]] = np.arange(len(members))
    chosen = np.lexsort((bins, rank))[:n]
    return np.asarray(np.sort(numbers[chosen]), dtype=np.int64)


def _van_der_corput(n: int) -> NDArray[np.float64]:
    """Give n points that fill [0, 1) evenly at every stage (radical inverse in base 2)."""
    points, scale, rest = np.zeros(n), 0.5, np.arange(n)
    while rest.any():
        points += scale * (rest % 2)
        rest, scale = rest // 2, scale / 2
    return points


def _mean_image(movie: Movie, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    total = np.zeros(movie.shape[1:], np.float64)
    for block in np.array_split(numbers, -(-len(numbers) // FRAMES_AT_ONCE)):
        total += movie.read(block).sum(axis=0, dtype=np.float64)
    return (total / len(numbers)).astype(np.float32)


class _Registration:
    """Measure the shifts of derotated frames against the sample at rest."""

    def __init__(
        self,
        reference: NDArray[np.float32],
        frames: NDArray[Any],
        line_angles: NDArray[np.float64],
        timing: LineTiming,
        threads: int,
    ) -> None:
        self._frames, self._line_angles = frames, line_angles
        self._timing, self._threads = timing, threads
        smooth = ndimage.gaussian_filter(reference, SMOOTHING)
        slope_y, slope_x = np.gradient(smooth)
        regressors = np.stack([smooth, np.ones_like(smooth), slope_x, slope_y])
        self._regressors = regressors.reshape(4, -1).astype(np.float64)
        self._window = _window(reference.shape)
        self._spectrum = np.conj(fft.rfft2(self._window * _bandpass(reference)))

    def coarse(self, center: NDArray[np.float64]) -> NDArray[np.float64]:
        """Find shifts of any size from the peak of the cross-correlation, shape (n, 2)."""
        return self._measure(center, self._peak)

    def fine(self, center: NDArray[np.float64]) -> NDArray[np.float64]:
        """Find shifts of about a pixel from the gradients of the reference, shape (n, 2)."""
        return self._measure(center, self._gradients)

    def _measure(self, center: NDArray[np.float64], measure: Any) -> NDArray[np.float64]:
        pivot = (float(center[0]), float(center[1]))
        shifts = np.empty((len(self._frames), 2))
        for first in range(0, len(self._frames), FRAMES_AT_ONCE):
            part = slice(first, first + FRAMES_AT_ONCE)
            derotated = derotate_frames(
                self._frames[part],
                transforms.line_maps(self._line_angles[part], pivot),
                timing=self._timing,
                dtype=np.float32,
                threads=self._threads,
                keep_seen=True,
            )
            assert derotated.seen is not None
            for k, (frame, seen) in enumerate(zip(derotated.frames, derotated.seen, strict=True)):
                shifts[first + k] = measure(frame, seen)
        return shifts

    def _peak(self, frame: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
        filled = np.where(seen, frame, frame[seen].mean() if seen.any() else 0)
        inside = ndimage.uniform_filter(seen.astype(np.float32), 9) > 0.999
        image = _bandpass(filled.astype(np.float32)) * inside * self._window
        correlation = fft.irfft2(fft.rfft2(image) * self._spectrum, s=frame.shape)
        y, x = np.unravel_index(np.argmax(correlation), correlation.shape)
        return np.array([_top(correlation[y], int(x)), _top(correlation[:, x], int(y))])

    def _gradients(
        self, frame: NDArray[np.float32], seen: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Explain the frame by the reference, its slopes and a constant (Lucas and Kanade 1981)."""
        weight = ndimage.gaussian_filter(seen.astype(np.float32), SMOOTHING)
        smooth = ndimage.gaussian_filter(np.where(seen, frame, np.float32(0)), SMOOTHING)
        inside = (weight > 0.999).ravel()
        known = self._regressors[:, inside]
        try:
            gain, _, along_x, along_y = np.linalg.solve(
                known @ known.T, known @ (smooth.ravel()[inside] / weight.ravel()[inside])
            )
        except np.linalg.LinAlgError:
            return np.full(2, np.nan)
        if gain <= 0:
            return np.full(2, np.nan)
        return np.array([-along_x / gain, -along_y / gain])


def _bandpass(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep what is about as large as a cell."""
    fine, coarse = (ndimage.gaussian_filter(image, s) for s in COARSE_SMOOTHING)
    return np.asarray(fine - coarse)


def _window(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Make a window that falls to 0 at the borders, so that they do not correlate."""
    from scipy.signal.windows import tukey

    y, x = (tukey(n, 0.25) for n in shape)
    return np.asarray(np.outer(y, x), dtype=np.float32)


def _top(values: NDArray[np.floating[Any]], peak: int) -> float:
    """Refine the place of a maximum by a parabola; places beyond the middle are negative."""
    n = len(values)
    before, here, after = (float(values[(peak + k) % n]) for k in (-1, 0, 1))
    curvature = before - 2 * here + after
    top = peak + (0.5 * (before - after) / curvature if curvature < 0 else 0.0)
    return top - n if top > n / 2 else top


def _leverage(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """How a center that is wrong by e shifts a frame: (I - R(a)) e; shape (n, 2, 2)."""
    return np.eye(2) - transforms.rotation_matrices(angles)


def _design(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Equations of each frame for the error of the center and a common shift, (n, 2, 4)."""
    common = np.broadcast_to(np.eye(2), (len(angles), 2, 2))
    return np.concatenate([_leverage(angles), common], axis=2)


def _solve(
    design: NDArray[np.float64], shifts: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Solve by weighted least squares; what the frames do not tell is taken to be 0."""
    root = np.sqrt(weights)
    left = (design * root[:, np.newaxis, np.newaxis]).reshape(-1, design.shape[2])
    right = (shifts * root[:, np.newaxis]).reshape(-1)
    return np.asarray(np.linalg.lstsq(left, right, rcond=1e-3)[0])


def _fit(
    angles: NDArray[np.float64], shifts: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fit the center's error robustly: error (2,), weights (n,) in 0..1, common shift (2,)."""
    design = _design(angles)
    known = np.asarray(np.isfinite(shifts).all(axis=1))
    measured = np.where(known[:, np.newaxis], shifts, 0.0)
    weights = np.where(known, 1.0, 0.0)
    if known.sum() < MIN_FRAMES:
        msg = (
            f"only {int(known.sum())} of {len(known)} rotating frames could be compared with the "
            "sample at rest: is there any structure in the picture, and was the laser on?"
        )
        raise CenterError(msg)
    for iteration in range(20):
        solution = _solve(design, measured, weights)
        distance = np.hypot(*(measured - design @ solution).T)
        # A frame's shift has two components; the median of their length is 1.18 sd.
        scale = max(float(np.median(distance[known])) / 1.1774, 1e-6)
        if iteration < 10:  # first in a way that no far-off frame can pull at (least distances)
            weights = np.where(known, 1 / np.maximum(distance / scale, 0.1), 0.0)
        else:
            inside = np.clip(distance / (TUKEY * scale), 0, 1)
            weights = np.where(known, (1 - inside**2) ** 2, 0.0)
    return solution[:2], weights, solution[2:]


def _bootstrap(
    angles: NDArray[np.float64],
    shifts: NDArray[np.float64],
    weights: NDArray[np.float64],
    n: int,
    seed: int,
) -> NDArray[np.float64]:
    """Errors of the center from frames drawn with replacement, shape (n, 2)."""
    design, measured = _design(angles), np.nan_to_num(shifts)
    rng = np.random.default_rng(seed)
    errors = np.empty((n, 2))
    for b in range(n):
        drawn = rng.integers(0, len(angles), len(angles))
        errors[b] = _solve(design[drawn], measured[drawn], weights[drawn])[:2]
    return errors


def _judge(
    *,
    center: NDArray[np.float64],
    shape: tuple[int, int],
    samples: NDArray[np.float64],
    residuals: NDArray[np.float64],
    inlier_fraction: float,
    angles: NDArray[np.float64],
    session: str,
    n_rest: int,
) -> Calibration:
    """Say in plain words whether the center can be trusted."""
    sd = samples.std(axis=0, ddof=1)
    residual = float(np.sqrt(np.mean(np.sum(residuals**2, axis=1))))
    spread = float(np.ptp(np.rad2deg(np.unwrap(np.sort(np.deg2rad(np.mod(angles, 360)))))))
    doubts = []
    if spread < MIN_SPREAD:
        doubts.append(
            f"the sample was turned over only {spread:.0f} degrees, which hardly tells the center"
        )
    if float(sd.max()) > MAX_SD:
        doubts.append(f"it is uncertain by {sd.max():.2f} px")
    if residual > MAX_RESIDUAL:
        doubts.append(
            f"frames are still shifted by {residual:.2f} px (rms) about it: is there structure in "
            "the picture, is the rotation plane tilted, do clocks and movie belong together?"
        )
    if inlier_fraction < MIN_INLIERS:
        doubts.append(
            f"only {100 * inlier_fraction:.0f} % of the frames agree with it; the sign of the "
            "angles (angles.direction_sign) or the clocks may be wrong"
        )
    if not (0 <= center[0] < shape[1] and 0 <= center[1] < shape[0]):
        doubts.append("it lies outside the picture")
    if doubts:
        statement = "The center cannot be trusted: " + "; ".join(doubts) + "."
        logger.warning("%s", statement)
    else:
        statement = (
            f"The center is known to {sd[0]:.3f} px (x) and {sd[1]:.3f} px (y); frames lie within "
            f"{residual:.2f} px (rms) of the sample at rest."
        )
        logger.info("%s", statement)
    return Calibration(
        center=(float(center[0]), float(center[1])),
        image_shape=shape,
        method="registration",
        center_sd=(float(sd[0]), float(sd[1])),
        residual_px=residual,
        trusted=not doubts,
        statement=statement,
        provenance={
            "session": session,
            "rotating_frames": len(angles),
            "frames_at_rest": n_rest,
            "inlier_fraction": inlier_fraction,
        },
    )
