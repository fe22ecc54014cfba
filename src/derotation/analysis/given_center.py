"""What a method of one's own may say about the center, as a calibration."""

import math

from derotation.calibration import Calibration
from derotation.calibration.center import CenterEstimate
from derotation.errors import CenterError
from derotation.estimates import Verdict
from derotation.io.movie import Movie

__all__ = ["Center", "as_calibration"]

#: What `FullPipeline.find_center` may return: all that is known, or just (x, y) in pixels.
Center = CenterEstimate | Calibration | tuple[float, float]


def as_calibration(center: Center, movie: Movie) -> Calibration:
    """Take the calibration out of what a method returned, or make one of a mere center.

    Parameters
    ----------
    center : CenterEstimate, Calibration, or tuple of float
        What `FullPipeline.find_center` returned.
    movie : Movie
        The movie that it belongs to.

    Returns
    -------
    Calibration

    Raises
    ------
    CenterError
        If `center` is neither of these.
    """
    if isinstance(center, Calibration):
        return center
    calibration = getattr(center, "calibration", None)
    if isinstance(calibration, Calibration):
        return calibration
    try:
        x, y = (float(value) for value in center)  # type: ignore[union-attr]
    except (TypeError, ValueError):
        x = y = math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        msg = (
            f"find_center returned {center!r}; expected is a CenterEstimate, a Calibration, or the "
            "center as two numbers (x, y) in pixels."
        )
        raise CenterError(msg)
    says = "The center was given by a method of one's own; nothing is known about it."
    return Calibration(
        center=(x, y),
        image_shape=(movie.shape[1], movie.shape[2]),
        method="custom",
        verdicts=(Verdict(topic="center", code="given", says=says),),
    )
