"""When what was found about the rotation can be trusted, is significant, and matters.

The thresholds of all estimates stand here, once, and what is said about the center, which several
estimates find.
"""

from dataclasses import dataclass

from derotation.estimates import Verdict, doubts

__all__ = ["LIMITS", "Limits", "center"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds of the estimates."""

    significance: float = 0.0027
    """`auto` corrects what chance would give once in 370 times (3 sigma) or less ..."""
    min_effect_px: float = 0.1
    """... and that displaces something by more than this."""
    min_inliers: float = 0.5
    """Part of the frames that have to agree with an estimate."""
    max_center_sd_px: float = 0.5
    """Largest standard uncertainty of a center."""
    max_residual_px: float = 1.0
    """Largest shift (rms) of frames that may be left about a center."""
    min_spread_deg: float = 30.0
    """Angles over which the sample has to be turned to tell the center."""
    max_tilt_sd_deg: float = 3.0
    """Largest standard uncertainty of a tilt."""
    max_tilt_deg: float = 50.0
    """A steeper plane can hardly be scanned."""
    max_unnoticed_tilt_deg: float = 15.0
    """If a tilt up to this may be there, it cannot be told whether there is one."""
    max_wobble_px: float = 10.0
    """Beyond, frames and the sample at rest were hardly compared rightly."""
    max_lag_sd_ms: float = 5.0
    """Largest standard uncertainty of a lag."""
    max_lag_ms: float = 60.0
    """A longer delay is no delay of a mechanism."""


LIMITS = Limits()


def center(
    place: tuple[float, float],
    sd: tuple[float, float],
    *,
    residual: float,
    share: float,
    shape: tuple[int, int],
    spread: float | None = None,
) -> tuple[Verdict, ...]:
    """Judge a center that was measured.

    Parameters
    ----------
    place : tuple of float
        (x, y), pixels.
    sd : tuple of float
        Its standard uncertainty, pixels.
    residual : float
        Root mean square of the shifts that are left, pixels; NaN if unknown.
    share : float
        Part of the frames that agree, 0 to 1.
    shape : tuple of int
        Height and width of the frames.
    spread : float, optional
        Degrees over which the sample was turned; by default that is not judged.

    Returns
    -------
    tuple of Verdict
        What is known, then what speaks against it.
    """
    figures = {"sd_x": sd[0], "sd_y": sd[1], "residual": residual, "share": 100 * share}
    (x, y), (height, width) = place, shape
    grounds = {
        "spread_small": (
            spread is not None and spread < LIMITS.min_spread_deg,
            "the sample was turned over only {spread:.0f} degrees, which hardly tells the center",
        ),
        "uncertain": (
            max(sd) > LIMITS.max_center_sd_px,
            "it is uncertain by {sd:.2f} px",
        ),
        "residual_large": (
            not residual <= LIMITS.max_residual_px,
            "frames are still shifted by {residual:.2f} px (rms) about it: is there structure in "
            "the picture, is the rotation plane tilted, do clocks and movie belong together?",
        ),
        "few_agree": (
            share < LIMITS.min_inliers,
            "only {share:.0f} % of the frames agree with it; the sign of the angles "
            "(angles.direction_sign) or the clocks may be wrong",
        ),
        "outside": (not (0 <= x < width and 0 <= y < height), "it lies outside the picture"),
    }
    figures |= {"sd": max(sd)} | ({} if spread is None else {"spread": spread})
    against = doubts("center", "The center", grounds, figures)
    if against:
        return against
    known = Verdict(
        topic="center",
        code="known",
        says="The center is known to {sd_x:.3f} px (x) and {sd_y:.3f} px (y); frames lie within "
        "{residual:.2f} px (rms) of the sample at rest.",
        figures=figures,
    )
    return (known,)
