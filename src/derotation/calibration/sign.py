"""Check the sign of the angles: frames turned the wrong way are nothing like the sample at rest."""

import logging
from dataclasses import dataclass

import numpy as np

from derotation.calibration.geometry import Geometry, best_correlated
from derotation.calibration.pictures import try_pictures
from derotation.errors import CenterError
from derotation.images.sample import most_turned, read_sample
from derotation.io.movie import Movie
from derotation.maps import transforms
from derotation.maps.line_maps import LineMaps
from derotation.signals.angles import Angles

__all__ = ["SignCheck", "check_direction_sign"]

logger = logging.getLogger(__name__)

# A sign is wrong if frames look more like the sample at rest with the other one, by so much, and
# by so many standard errors.
SIGN_FRAMES = 24
MIN_SIGN_DIFFERENCE = 0.05
MIN_SIGN_ERRORS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SignCheck:
    """How well frames fit with either sign of the angles."""

    correlation: float
    """Mean correlation of derotated frames with the sample at rest."""
    correlation_flipped: float
    """The same with the other sign."""
    standard_errors: float
    """Their difference in units of its standard error; negative if the other sign fits better."""
    decided: bool
    """False if frames fit equally well with either sign; then nothing is refused."""
    statement: str
    """In plain words."""


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
        If frames fit far better with the other sign, or with rows and columns exchanged or lines
        in the other order, or if there are too few of them.
    """
    geometry = Geometry.about(center or transforms.image_center(movie.shape))
    sample = read_sample(movie, LineMaps.of(angles, geometry), 4 * SIGN_FRAMES)
    sample = sample.select(most_turned(sample, SIGN_FRAMES))
    _, given = best_correlated(sample, [geometry], threads)
    _, flipped = best_correlated(sample.turned_over(), [geometry], threads)
    gain = given[0] - flipped[0]
    error = float(np.std(gain, ddof=1)) / np.sqrt(len(gain))
    errors = float(np.mean(gain)) / max(error, 1e-12)
    decided = abs(float(np.mean(gain))) > MIN_SIGN_DIFFERENCE and abs(errors) > MIN_SIGN_ERRORS
    alike = f"{given.mean():.2f} as they are, {flipped.mean():.2f} with the other sign"
    if decided and errors < 0:
        other = try_pictures(sample, geometry.center, threads=threads)
        if other is not None and other.correlation > flipped.mean() + MIN_SIGN_DIFFERENCE:
            msg = (
                f"frames look far more like the sample at rest {other.words} (correlation "
                f"{other.correlation:.2f} instead of {other.own:.2f}): the movie is not stored as "
                f"it was scanned; {other.cure}"
            )
            raise CenterError(msg)
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
        correlation=float(given.mean()),
        correlation_flipped=float(flipped.mean()),
        standard_errors=errors,
        decided=decided,
        statement=statement,
    )
