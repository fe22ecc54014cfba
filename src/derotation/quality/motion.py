"""What the sample's motion says about a session."""

import numpy as np

from derotation.motion_correction.motion import Motion, center_error
from derotation.quality.figures import Measured
from derotation.signals.angles import Angles

__all__ = ["apparent_center_error", "motion_figures"]

NOT_ASKED = "Not measured: motion of the sample was not looked for (motion_correction.correct)."
# Nearly no line moves faster than this part of them.
NEARLY_ALL = 0.999


def motion_figures(motion: Motion | None, angles: Angles) -> dict[str, Measured]:
    """Say how far and how fast the sample moved, and what is left of that.

    Parameters
    ----------
    motion : Motion or None
        None if it was not looked for.
    angles : Angles
        Angles of all lines.

    Returns
    -------
    dict of str to Measured
        By the names of the figures.
    """
    if motion is None or not np.isfinite(motion.left_px):
        names = ("motion_left_px", "motion_speed_px", "lost_frames_pct")
        said = NOT_ASKED if motion is None else "Not measured: motion could not be told."
        return {name: Measured(said=said) for name in names}
    size = float(np.sqrt(np.mean(motion.x**2 + motion.y**2)))
    left = motion.left_px if motion.corrected else float(np.hypot(size, motion.left_px))
    seconds = np.diff(motion.time_s)
    steps = np.hypot(np.diff(motion.x), np.diff(motion.y)) / seconds
    speed = float(np.quantile(steps, NEARLY_ALL)) if len(steps) else 0.0
    lost = 100 * float(np.mean(motion.lost))
    what = "is corrected" if motion.corrected else "is too little to be corrected"
    return {
        "motion_left_px": Measured(
            value=left,
            before=float(np.hypot(size, motion.left_px)),
            said=f"The sample moved by {size:.2f} px (rms) in its own plane, which {what}; "
            f"{left:.2f} px are left.",
        ),
        "motion_speed_px": Measured(
            value=speed / angles.frame_rate,
            said=f"It moved at up to {speed:.1f} px/s, {speed / angles.frame_rate:.2f} px in the "
            "time of a frame.",
        ),
        "lost_frames_pct": Measured(
            value=lost,
            said=f"{int(motion.lost.sum())} frames ({lost:.2g} %) look unlike the others wherever "
            "they are shifted to.",
        ),
    }


def apparent_center_error(motion: Motion | None, angles: Angles) -> Measured | None:
    """Say so if what was corrected as motion is rather a center that is wrong."""
    if motion is None or not motion.corrected:
        return None
    places = motion.displacement(angles.frame_times_s)
    away, share = center_error(places, angles.middle)
    if away == 0:
        return None
    return Measured(
        value=away,
        said=f"{100 * share:.0f} % of what was corrected as motion while the sample was turned "
        f"repeats with the angle, as if the center were wrong by {away:.2f} px: the picture stands "
        "still, but that is rather the calibration than the sample.",
    )
