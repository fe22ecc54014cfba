"""What is decided about the motion of a sample, and the sentences that say so."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.judge import LIMITS
from derotation.estimates import Verdict
from derotation.maps.line_maps import LineMaps
from derotation.motion_correction.motion import center_error

__all__ = ["about_center", "decide"]

NDFloat = NDArray[np.float64]

# By so much the logarithm of the likelihood has to rise if motion beside jumps is allowed for. By
# chance 7.1 is passed 1 in 370 times (3 sigma); but cells that are active for a second pull at
# frames, too.
MIN_GAIN = 15.0
# With fewer measured frames than this part of all, nothing is corrected.
MIN_MEASURED = 0.5


def decide(figures: Mapping[str, float | int]) -> tuple[Verdict, ...]:
    """Decide whether the motion is significant and matters, and say what there was beside it."""
    if figures["share"] < 100 * MIN_MEASURED:
        code, doubt = "untold", True
        says = (
            "The sample's motion cannot be told: only {share:.0f} % of the frames could be "
            "compared with the mean of all. It is not corrected."
        )
    elif (figures["gain"] < MIN_GAIN and not figures["n_jumps"]) or (
        figures["rms"] <= figures["limit"]
    ):
        code, doubt = "none", False
        says = (
            "The sample held still: what moves is {rms:.2f} px (rms) ± {sd:.2f} px, which is not "
            "corrected (limit {limit:.2f} px)."
        )
    else:
        code, doubt = "corrected", False
        says = (
            "The sample moved by {rms:.2f} px (rms) in its own plane, at most by {largest:.1f} px "
            "and {fastest:.1f} px/s; it is corrected, known to {sd:.2f} px."
        )
    verdicts = [Verdict(topic="motion", code=code, says=says, figures=figures, doubt=doubt)]
    if figures["n_jumps"]:
        says = "It jumped {n_jumps} times; what came before and after is laid upon each other."
        verdicts.append(Verdict(topic="motion", code="jumped", says=says, figures=figures))
    if code == "corrected" and figures["rhythm"] >= LIMITS.min_effect_px:
        says = (
            "Part of it comes and goes {beats:.1f} times a second ({rhythm:.2f} px rms), as with "
            "the heart or with breathing."
        )
        verdicts.append(Verdict(topic="motion", code="rhythm", says=says, figures=figures))
    if figures["n_lost"]:
        says = (
            "{n_lost} frames look unlike the others wherever they are shifted to (the sample left "
            "the plane, or moved within the frame); they are among the bad frames."
        )
        verdicts.append(Verdict(topic="motion", code="lost", says=says, figures=figures))
    return tuple(verdicts)


def about_center(
    places: NDFloat, known: NDArray[np.bool_], line_maps: LineMaps
) -> tuple[Verdict, ...]:
    """Say if what moves repeats with the angle as if about a center that is wrong."""
    told = np.where(known, line_maps.angles.middle, np.nan)
    away, share = center_error(places, told)
    if away == 0:
        return ()
    says = (
        "{share:.0f} % of what moves while the sample is turned repeats with the angle, as if the "
        "center were wrong by {away:.1f} px: that is rather the calibration than the sample."
    )
    figures = {"share": 100 * share, "away": away}
    return (Verdict(topic="motion", code="center", says=says, figures=figures),)
