"""When the pixels of a line were recorded, for the steps that resample frames."""

from collections.abc import Mapping
from typing import Any

from derotation.io.movie import Movie
from derotation.maps.timing import LineTiming
from derotation.signals.angles import Angles
from derotation.steps.inputs import settle

__all__ = ["line_timing"]


def line_timing(movie: Movie, angles: Angles, config: Mapping[str, Any]) -> LineTiming:
    """Tell when the pixels of a line were recorded.

    Parameters
    ----------
    movie : Movie
        Its metadata say whether the scanner recorded in both directions, if anything does.
    angles : Angles
        They know the part of a line's period in which pixels were recorded.
    config : mapping
        The configuration; its key ``scan.bidirectional`` is read.

    Returns
    -------
    LineTiming
    """
    configured, said = config["scan"]["bidirectional"], movie.metadata.bidirectional
    return angles.timing(bidirectional=settle("scan.bidirectional", configured, said, False))
