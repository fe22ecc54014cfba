"""Find the delay between the motor's signals and the scanner's.

Where the encoder's ticks arrive late, a turning sample is ahead of the angle that they tell: by the
speed times the delay, in the direction of the turn. Turns in opposite directions are then left
turned to opposite sides, each the more the faster it is.
"""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration, Corrected
from derotation.calibration.geometry import (
    MIN_CIRCLE,
    WOBBLE_ORDER,
    Geometry,
    Refined,
    best_correlated,
    circle_seen,
    refine,
)
from derotation.calibration.judge import LIMITS
from derotation.estimates import Verdict, doubts
from derotation.images.choosing import spread
from derotation.images.comparison import radius
from derotation.images.registration import Registration
from derotation.images.sample import Sample, read_sample
from derotation.io.movie import Movie
from derotation.maps.line_maps import LineMaps
from derotation.maps.timing import LineTiming
from derotation.numerics.robust import significance
from derotation.settings.defaults import complete
from derotation.signals.angles import Angles

__all__ = ["LagEstimate", "estimate_lag"]

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LagEstimate(Corrected):
    """Delay of the motor's signals and what it was found from.

    Its calibration holds the lag if it is trusted and significant, and else none.
    """

    lag_ms: float
    """The delay that is left in the angles, ms: a line's angle is what the ticks tell so much
    later. 0 if it cannot be told."""
    lag_sd_ms: float | None
    """Its standard uncertainty; None if it cannot be told."""
    significant: bool
    """Whether chance would hardly give such a delay (3 sigma)."""
    frames: NDArray[np.int64]
    """Numbers of the frames that were compared, shape (n,)."""
    angles: NDArray[np.float64]
    """Their angles in the middle, degrees, shape (n,)."""
    speeds: NDArray[np.float64]
    """Change of the angle there, degrees per second, shape (n,)."""
    rotations: NDArray[np.float64]
    """By how much each derotated frame is left turned without correction, degrees, shape (n,)."""


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

    A line recorded at the time t has the angle ``a(t) = told(t + lag)``: the lag, in milliseconds,
    is positive where the motor's signals come late. Uncorrected, a sample turning by s degrees per
    second is left turned by s * lag / 1000 degrees, to opposite sides in both directions.

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
    calibration.check_shape(movie.shape, str(movie.paths[0]))
    base = calibration.replace(lag_ms=0.0, lag_sd_ms=None)
    line_maps = LineMaps.of(angles, base, timing=timing)
    sample = read_sample(movie, line_maps, int(settings["n_frames"]))
    speeds = sample.speeds
    forward, backward = _both_directions(speeds)
    if min(forward, backward) < MIN_FRAMES:
        return _cannot_tell(sample, base, forward, backward)
    start = Geometry.of(base)
    trials = _trials(start, float(np.abs(speeds).max()), radius(movie.shape))
    fast = np.flatnonzero(np.abs(speeds) > MIN_SPEED * np.abs(speeds).max())
    few = sample.select(fast)
    few = few.select(spread(np.arange(len(fast)), few.middle, TRIAL_FRAMES))
    best, _ = best_correlated(few, trials, threads)
    registration = Registration(sample.with_reference_of_all(), threads)
    # A wobble left out would pass for a lag in part. It needs the whole circle to be told.
    groups: tuple[str, ...] = ("center", "lag")
    first = trials[best]
    if circle_seen(sample) >= MIN_CIRCLE:
        groups = ("center", "lag", "wobble")
        first = first.with_order(max(WOBBLE_ORDER, len(start.wobble)))
    found = refine(registration, first, groups, SMOOTHINGS)
    return _conclude(found, sample, base)


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
    return [dataclasses.replace(start, lag_s=float(delay)) for delay in delays]


def _conclude(found: Refined, sample: Sample, calibration: Calibration) -> LagEstimate:
    lag_s, sd_s = found.geometry.lag_s, float(found.fit.sd[2])
    variance = found.fit.covariance[2:3, 2:3]
    probability = significance(np.array([lag_s]), variance, found.fit.n_blocks)
    significant = probability < LIMITS.significance
    inliers, speeds = found.fit.weights > 0, sample.speeds
    # What is left of a rotation: the antisymmetric part of the affine displacement.
    left = (found.fit.residuals[:, 4] - found.fit.residuals[:, 3]) / 2
    rotations = np.rad2deg(left / radius(sample.shape)) + speeds * lag_s
    figures = {
        "lag_ms": lag_s * 1e3,
        "sd_ms": sd_s * 1e3,
        "share": 100 * float(np.mean(inliers)),
        "turned": float(np.abs(speeds).max()) * abs(lag_s),
    }
    verdicts = _verdicts(figures, significant=significant)
    for verdict in verdicts:
        logger.log(logging.WARNING if verdict.doubt else logging.INFO, "%s", verdict.sentence)
    corrected = verdicts[0].code == "corrected"
    result = calibration.replace(
        lag_ms=figures["lag_ms"] if corrected else 0.0, lag_sd_ms=figures["sd_ms"]
    )
    return LagEstimate(
        name="lag",
        value={"lag_ms": figures["lag_ms"]},
        sd={"lag_ms": figures["sd_ms"]},
        found_from={
            "frame": sample.numbers,
            "angle": sample.middle,
            "speed": speeds,
            "rotation": rotations,
            "used": inliers,
        },
        corrected=corrected,
        verdicts=verdicts,
        calibration=result.with_verdicts("lag", verdicts),
        lag_ms=figures["lag_ms"],
        lag_sd_ms=figures["sd_ms"],
        significant=significant,
        frames=sample.numbers,
        angles=np.asarray(sample.middle),
        speeds=speeds,
        rotations=rotations,
    )


def _verdicts(figures: Mapping[str, float], *, significant: bool) -> tuple[Verdict, ...]:
    """Decide whether there is a lag that can be trusted."""
    grounds = {
        "uncertain": (figures["sd_ms"] > LIMITS.max_lag_sd_ms, "it is uncertain by {sd_ms:.1f} ms"),
        "few_agree": (
            figures["share"] < 100 * LIMITS.min_inliers,
            "only {share:.0f} % of the frames agree with it",
        ),
        "implausible": (
            abs(figures["lag_ms"]) > LIMITS.max_lag_ms,
            "no mechanism is so slow. Are the frames those of the clocks (signals.frames), and the "
            "rows the lines that were scanned (scan.rows)?",
        ),
    }
    value = "{lag_ms:.2f} ± {sd_ms:.2f} ms"
    against = doubts("lag", f"A lag of {value}", grounds, figures)
    if against:
        return against
    if not significant:
        code, says = "none", f"The motor's signals show no lag against the scanner's: {value}."
    else:
        later = "later" if figures["lag_ms"] > 0 else "earlier"
        code = "corrected"
        says = (
            f"The motor's signals come {later} than the scanner's: the lag is {value}, which "
            "turns frames at the highest speed by {turned:.2f} degrees."
        )
    return (Verdict(topic="lag", code=code, says=says, figures=figures),)


def _cannot_tell(
    sample: Sample, calibration: Calibration, forward: int, backward: int
) -> LagEstimate:
    verdict = Verdict(
        topic="lag",
        code="untold",
        says="The lag cannot be told: {forward} frames were recorded while the sample turned "
        "clockwise and {backward} while it turned the other way, and {needed} of either are "
        "needed, at more than a third of the highest speed.",
        figures={"forward": forward, "backward": backward, "needed": MIN_FRAMES},
        doubt=True,
    )
    logger.warning("%s", verdict.sentence)
    n = len(sample.numbers)
    return LagEstimate(
        name="lag",
        value={"lag_ms": 0.0},
        sd=None,
        found_from={"frame": sample.numbers, "used": np.zeros(n, np.bool_)},
        verdicts=(verdict,),
        calibration=calibration.with_verdicts("lag", [verdict]),
        lag_ms=0.0,
        lag_sd_ms=None,
        significant=False,
        frames=sample.numbers,
        angles=np.asarray(sample.middle),
        speeds=np.zeros(n),
        rotations=np.full(n, np.nan),
    )
