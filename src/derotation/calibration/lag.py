"""Find the delay between the motor's signals and the scanner's, and the sign of the rotation.

Where the encoder's ticks arrive late, a turning sample is ahead of the angle that they tell: by the
speed times the delay, in the direction of the turn. Turns in opposite directions are then left
turned to opposite sides, each the more the faster it is.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration
from derotation.calibration.geometry import (
    MIN_CIRCLE,
    WOBBLE_ORDER,
    Geometry,
    Group,
    Refined,
    circle_seen,
    most_alike,
    refine,
)
from derotation.errors import CenterError
from derotation.images.registration import (
    Registration,
    Sample,
    most_turned,
    radius,
    read_sample,
    spread,
)
from derotation.io.movie import Movie
from derotation.maps import transforms
from derotation.maps.resample import LineTiming
from derotation.numerics.robust import significance
from derotation.settings.defaults import complete
from derotation.signals.angles import Angles

__all__ = ["LagEstimate", "SignCheck", "check_direction_sign", "estimate_lag"]

logger = logging.getLogger(__name__)

# Delays that are tried to begin with reach this far (s), at distances that move the picture's
# border by so much (px) at the highest speed.
LARGEST_TRIED_S = 0.06
TRIAL_SHIFT = 5.0
TRIAL_FRAMES = 14
SMOOTHINGS = (4.0, 2.5, 1.5, 1.5)
# Frames of either direction that are needed, and how fast they have to be against the fastest.
MIN_FRAMES = 4
MIN_SPEED = 0.3
SIGNIFICANCE = 0.0027
# When an estimate is not trusted.
MAX_SD_MS = 5.0
MIN_INLIERS = 0.5
# A sign is wrong if frames look more like the sample at rest with the other one, by so much, and
# by so many standard errors.
SIGN_FRAMES = 24
MIN_SIGN_DIFFERENCE = 0.05
MIN_SIGN_ERRORS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LagEstimate:
    """Delay of the motor's signals and what it was found from."""

    lag_ms: float
    """The delay that is left in the angles, ms: a line's angle is what the ticks tell so much
    later. 0 if it cannot be told."""
    lag_sd_ms: float | None
    """Its standard uncertainty; None if it cannot be told."""
    significant: bool
    """Whether chance would hardly give such a delay (3 sigma)."""
    trusted: bool
    """False if frames do not suffice to tell, or contradict each other."""
    statement: str
    """In plain words, what was found."""
    frames: NDArray[np.int64]
    """Numbers of the frames that were compared, shape (n,)."""
    angles: NDArray[np.float64]
    """Their angles in the middle, degrees, shape (n,)."""
    speeds: NDArray[np.float64]
    """Change of the angle there, degrees per second, shape (n,)."""
    rotations: NDArray[np.float64]
    """By how much each derotated frame is left turned without correction, degrees, shape (n,)."""
    inliers: NDArray[np.bool_]
    """Frames that agree with the result, shape (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SignCheck:
    """How well frames fit with either sign of the angles."""

    likeness: float
    """Mean correlation of derotated frames with the sample at rest."""
    likeness_flipped: float
    """The same with the other sign."""
    standard_errors: float
    """Their difference in units of its standard error; negative if the other sign fits better."""
    decided: bool
    """False if frames fit equally well with either sign; then nothing is refused."""
    statement: str
    """In plain words."""


def estimate_lag(
    movie: Movie,
    angles: Angles,
    calibration: Calibration,
    config: Mapping[str, Any] | None = None,
    *,
    timing: LineTiming | None = None,
    threads: int = 1,
) -> LagEstimate:
    """Find the constant delay of the motor's signals from turns in both directions.

    Parameters
    ----------
    movie : Movie
        The recorded movie; a few hundred of its frames are read.
    angles : Angles
        Angles of all lines, best without any lag corrected: what is found comes on top of it.
    calibration : Calibration
        Center (known to about a pixel; it is found anew together with the lag), tilt, wobble.
    config : mapping, optional
        Section ``center``, of which ``n_frames`` is read: frames to compare.
    timing : LineTiming, optional
        When the samples within a line are recorded; by default as `angles` says, in one direction.
    threads : int
        Number of threads for derotating.

    Returns
    -------
    LagEstimate
        Not trusted if the sample was turned in one direction only.

    Raises
    ------
    CenterError
        If there are too few frames at rest or turned, or nothing in them to compare.

    Notes
    -----
    A lag L means that the ticks tell at time t the angle at t - L. The angle of a line is therefore
    the one that the ticks tell L after it: line times are to be shifted by +L before the angles are
    interpolated.
    """
    settings = complete("center", config)
    timing = timing or LineTiming(line_duty=angles.line_duty)
    calibration.check_shape(movie.shape, str(movie.paths[0]))
    sample = read_sample(movie, angles, int(settings["n_frames"]))
    speeds = sample.line_speeds[:, sample.line_speeds.shape[1] // 2]
    forward, backward = _both_directions(speeds)
    if min(forward, backward) < MIN_FRAMES:
        return _cannot_tell(
            sample,
            f"The lag cannot be told: {forward} frames were recorded while the sample turned "
            f"clockwise and {backward} while it turned the other way, and {MIN_FRAMES} of either "
            "are needed, at more than a third of the highest speed.",
        )
    start = Geometry.of(calibration)
    trials = _trials(start, float(np.abs(speeds).max()), radius(movie.shape))
    fast = np.flatnonzero(np.abs(speeds) > MIN_SPEED * np.abs(speeds).max())
    few = sample.select(fast)
    few = few.select(spread(np.arange(len(fast)), few.middle, TRIAL_FRAMES))
    best, _ = most_alike(few, trials, threads)
    registration = Registration(sample, timing, threads)
    # A wobble left out would pass for a lag in part. It needs the whole circle to be told.
    groups: tuple[Group, ...] = ("center", "lag")
    first = trials[best]
    if circle_seen(sample) >= MIN_CIRCLE:
        groups = ("center", "lag", "wobble")
        first = first.with_order(max(WOBBLE_ORDER, len(start.wobble)))
    found = refine(registration, first, groups, SMOOTHINGS)
    return _conclude(found, sample, speeds)


def _both_directions(speeds: NDArray[np.float64]) -> tuple[int, int]:
    """Count the frames that are fast enough in either direction."""
    enough = MIN_SPEED * float(np.abs(speeds).max())
    if enough == 0:
        return 0, 0
    return int(np.count_nonzero(speeds > enough)), int(np.count_nonzero(speeds < -enough))


def _trials(start: Geometry, top_speed: float, reach: float) -> list[Geometry]:
    """Make geometries with the delays to try, from 0 on."""
    step = TRIAL_SHIFT / (np.deg2rad(top_speed) * reach)
    n = int(np.ceil(LARGEST_TRIED_S / step))
    delays = sorted(np.arange(-n, n + 1) * step, key=abs)
    return [
        Geometry(center=start.center, tilt=start.tilt, wobble=start.wobble, lag_s=float(delay))
        for delay in delays
    ]


def _conclude(found: Refined, sample: Sample, speeds: NDArray[np.float64]) -> LagEstimate:
    lag_s, sd_s = found.geometry.lag_s, float(found.fit.sd[2])
    variance = found.fit.covariance[2:3, 2:3]
    significant = significance(np.array([lag_s]), variance, found.fit.n_blocks) < SIGNIFICANCE
    inliers = found.fit.weights > 0
    # What is left of a rotation: the antisymmetric part of the affine displacement.
    left = (found.fit.residuals[:, 4] - found.fit.residuals[:, 3]) / 2
    rotations = np.rad2deg(left / radius(sample.reference.shape)) + speeds * lag_s
    doubts = []
    if sd_s * 1e3 > MAX_SD_MS:
        doubts.append(f"it is uncertain by {sd_s * 1e3:.1f} ms")
    if np.mean(inliers) < MIN_INLIERS:
        doubts.append(f"only {100 * np.mean(inliers):.0f} % of the frames agree with it")
    if abs(lag_s) > LARGEST_TRIED_S:
        doubts.append("so long a delay is not plausible; are the clocks those of this movie?")
    value = f"{lag_s * 1e3:.2f} ± {sd_s * 1e3:.2f} ms"
    if doubts:
        statement = f"A lag of {value} cannot be trusted: {'; '.join(doubts)}."
    elif not significant:
        statement = f"The motor's signals show no lag against the scanner's: {value}."
    else:
        later = "later" if lag_s > 0 else "earlier"
        turned = float(np.abs(speeds).max()) * abs(lag_s)
        statement = (
            f"The motor's signals come {later} than the scanner's: the lag is {value}, which turns "
            f"frames at the highest speed by {turned:.2f} degrees."
        )
    logger.log(logging.WARNING if doubts else logging.INFO, "%s", statement)
    return LagEstimate(
        lag_ms=lag_s * 1e3,
        lag_sd_ms=sd_s * 1e3,
        significant=significant,
        trusted=not doubts,
        statement=statement,
        frames=sample.numbers,
        angles=np.asarray(sample.middle),
        speeds=speeds,
        rotations=rotations,
        inliers=inliers,
    )


def _cannot_tell(sample: Sample, statement: str) -> LagEstimate:
    logger.info("%s", statement)
    return LagEstimate(
        lag_ms=0.0,
        lag_sd_ms=None,
        significant=False,
        trusted=False,
        statement=statement,
        frames=sample.numbers,
        angles=np.asarray(sample.middle),
        speeds=np.zeros(len(sample.numbers)),
        rotations=np.full(len(sample.numbers), np.nan),
        inliers=np.zeros(len(sample.numbers), np.bool_),
    )


def check_direction_sign(
    movie: Movie,
    angles: Angles,
    *,
    center: tuple[float, float] | None = None,
    threads: int = 1,
) -> SignCheck:
    """Refuse angles that have the wrong sign.

    Frames are turned back with the angles as they are, and with the opposite ones, and correlated
    with the sample at rest wherever that fits best, so that the center matters little. A plane that
    is tilted by 40 degrees or more may leave the sign undecided, but never makes it seem wrong.

    Parameters
    ----------
    movie : Movie
        The recorded movie; a few dozen of its frames are read.
    angles : Angles
        Angles of all lines, of either protocol.
    center : tuple of float, optional
        Center (x, y) in pixels as far as it is known; by default that of the image.
    threads : int
        Number of threads for derotating.

    Returns
    -------
    SignCheck

    Raises
    ------
    CenterError
        If frames fit far better with the other sign, or there are too few of them.
    """
    sample = read_sample(movie, angles, 4 * SIGN_FRAMES)
    sample = sample.select(most_turned(sample, SIGN_FRAMES))
    start = center or transforms.image_center(movie.shape)
    geometry = Geometry(center=np.asarray(start, float), tilt=np.zeros(2), wobble=np.zeros((0, 4)))
    _, given = most_alike(sample, [geometry], threads)
    _, flipped = most_alike(sample.turned_over(), [geometry], threads)
    gain = given[0] - flipped[0]
    error = float(np.std(gain, ddof=1)) / np.sqrt(len(gain))
    errors = float(np.mean(gain)) / max(error, 1e-12)
    decided = abs(float(np.mean(gain))) > MIN_SIGN_DIFFERENCE and abs(errors) > MIN_SIGN_ERRORS
    alike = f"{given.mean():.2f} as they are, {flipped.mean():.2f} with the other sign"
    if decided and errors < 0:
        msg = (
            "frames look far more like the sample at rest if they are turned the other way "
            f"(correlation {alike}): the angles have the wrong sign; flip angles.direction_sign"
        )
        raise CenterError(msg)
    verdict = (
        "The sign of the angles is right" if decided else "Frames do not tell the angles' sign"
    )
    statement = f"{verdict} (correlation with the sample at rest: {alike})."
    logger.info("%s", statement)
    return SignCheck(
        likeness=float(given.mean()),
        likeness_flipped=float(flipped.mean()),
        standard_errors=errors,
        decided=decided,
        statement=statement,
    )
