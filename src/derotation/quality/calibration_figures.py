"""Figures of what the calibration and the angles leave."""

from dataclasses import dataclass

import numpy as np

from derotation.calibration.calibration import Calibration
from derotation.calibration.pictures import try_pictures
from derotation.images.choosing import MIN_FRAMES
from derotation.maps.line_maps import LineMaps
from derotation.quality.along import Along
from derotation.quality.figures import Measured
from derotation.quality.frame_figures import median_correlations
from derotation.quality.residual_calibration import (
    ResidualCalibration,
    find_residual,
    sample_from,
)
from derotation.quality.scan_figures import scan_directions
from derotation.quality.trial_figures import (
    clock_shift,
    direction_sign,
    other_picture,
    rotations_flipped,
)
from derotation.quality.trials import Trials, try_angles
from derotation.signals.angles import Angles
from derotation.signals.segments import Segments
from derotation.streaming.statistics import Statistics

__all__ = [
    "SIGNIFICANT",
    "UNLIKE",
    "TurnedFit",
    "angle_figures",
    "calibration_doubts",
    "fit_of_turned_frames",
]

# A figure of what the calibration leaves counts only if it exceeds its uncertainty by so much. (In
# dim sessions with few turned frames it scatters by 1.3 times its uncertainty.)
SIGNIFICANT = 4.0
# Rows and columns are exchanged on trial if turned frames correlate less than this part of what
# frames at rest do.
UNLIKE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TurnedFit:
    """What some turned frames say about angles and calibration."""

    trials: Trials | None
    picture: Measured
    directions: Measured
    left: dict[str, Measured]
    reason: str = ""
    """Why there are no trials."""


def fit_of_turned_frames(
    statistics: Statistics,
    line_maps: LineMaps,
    calibration: Calibration,
    segments: Segments,
    threads: int,
) -> TurnedFit:
    """Measure what some turned frames say about angles and calibration."""
    angles = line_maps.angles
    assert isinstance(angles, Angles)
    sample = sample_from(statistics, line_maps)
    if sample is None:
        reason = (
            "Not measured: there is no frame at rest to compare."
            if statistics.n_rest == 0
            else "Not measured: too few frames of the turned sample can be compared."
        )
        nothing = Measured(said=reason)
        return TurnedFit(
            trials=None,
            picture=nothing,
            directions=nothing,
            left=dict.fromkeys(_FROM_RESIDUAL, nothing),
            reason=reason,
        )
    rotation = segments.of_frame[sample.numbers]
    trials = try_angles(sample, angles, calibration, rotation=rotation, threads=threads)
    turned = angles.line_usable.all(axis=1) & ~segments.at_rest
    rest, own, _ = median_correlations(statistics, turned)
    other = None
    fits = np.where(trials.sign == 1, trials.own, trials.opposite)
    if rest and own is not None and own < UNLIKE * rest and not trials.shift.any():
        other = try_pictures(sample, calibration.center, threads=threads)
    if other is not None and other.correlation < np.mean(fits):
        other = None
    picture = other_picture(other)
    if other is not None or trials.flip_fits or abs(trials.shift).astype(bool).mean() > 0.8:
        nothing = Measured(said="Not measured: the angles do not belong to the frames.")
        return TurnedFit(
            trials=trials,
            picture=picture,
            directions=nothing,
            left=dict.fromkeys(_FROM_RESIDUAL, nothing),
        )
    # Frames that fit other angles tell nothing about the calibration.
    fitting = np.flatnonzero((trials.sign == 1) & (trials.shift == 0))
    left = None
    if len(fitting) >= MIN_FRAMES:
        few = sample if len(fitting) == len(sample.numbers) else sample.select(fitting)
        left = find_residual(few, calibration, threads=threads)
    nothing = Measured(
        said="Not measured: turned frames do not correlate enough with the sample at rest."
    )
    return TurnedFit(
        trials=trials,
        picture=picture,
        directions=scan_directions(statistics, line_maps, sample.numbers[fitting]),
        left={
            name: nothing if left is None else measure(left)
            for name, measure in _FROM_RESIDUAL.items()
        },
    )


def angle_figures(found: TurnedFit, along: Along, angles: Angles) -> dict[str, Measured]:
    """Say whether frames fit other angles than their own."""
    if found.trials is None:
        names = ("direction_sign", "rotations_flipped_pct", "clock_shift_frames")
        nothing = Measured(said=found.reason)
        return dict.fromkeys(names, nothing) | {"other_picture": found.picture}
    return {
        "other_picture": found.picture,
        "direction_sign": direction_sign(found.trials),
        "rotations_flipped_pct": rotations_flipped(found.trials, along),
        "clock_shift_frames": clock_shift(found.trials, angles, along),
    }


def _center_error(left: ResidualCalibration) -> Measured:
    error = float(np.hypot(*left.center_error))
    sd = float(np.hypot(*left.center_sd))
    x, y = left.center
    if error < SIGNIFICANT * sd:
        return Measured(
            value=0.0,
            said=f"The center that was used fits, as far as {left.n_frames} frames tell: it is "
            f"{error:.2f} ± {sd:.2f} px from the one that fits best.",
        )
    return Measured(
        value=error,
        said=f"The center of rotation that fits best, x = {x:.2f}, y = {y:.2f} px, is {error:.2f} "
        f"± {sd:.2f} px from the one that was used.",
        cause="The center is wrong, or the sample has moved since it was found.",
    )


def _tilt_left(left: ResidualCalibration) -> Measured:
    if left.tilt_px < SIGNIFICANT * left.tilt_sd_px:
        return Measured(
            value=0.0,
            said=f"No tilt is left, as far as {left.n_frames} frames tell: {left.tilt_px:.2f} ± "
            f"{left.tilt_sd_px:.2f} px at the edge.",
        )
    return Measured(
        value=left.tilt_px,
        said=f"A tilt of the plane of rotation by {left.plane_angle:.1f} degrees along "
        f"{left.plane_orientation:.0f} degrees fits best; what of it is not corrected displaces "
        f"points by up to {left.tilt_px:.1f} ± {left.tilt_sd_px:.1f} px.",
    )


def _turn_left(left: ResidualCalibration) -> Measured:
    if left.lag_ms is None or left.lag_sd_ms is None:
        return Measured(said="Not measured: no frame was recorded while the sample turned.")
    turn, sd = left.lag_ms / 1e3 * left.top_speed, left.lag_sd_ms / 1e3 * left.top_speed
    if abs(turn) < SIGNIFICANT * sd:
        return Measured(
            value=0.0,
            said=f"The fastest frames ({left.top_speed:.0f} degrees/s) are not left turned: "
            f"{turn:.2f} ± {sd:.2f} degrees.",
        )
    return Measured(
        value=abs(turn),
        said=f"The fastest frames ({left.top_speed:.0f} degrees/s) are left turned by "
        f"{abs(turn):.2f} ± {sd:.2f} degrees, as by a lag of {left.lag_ms:.1f} ms.",
    )


_FROM_RESIDUAL = {
    "center_error_px": _center_error,
    "tilt_left_px": _tilt_left,
    "turn_left_deg": _turn_left,
}


def calibration_doubts(calibration: Calibration) -> Measured:
    """Tell whether the calibration is trusted."""
    return Measured(value=float(not calibration.trusted), said=calibration.statement)
