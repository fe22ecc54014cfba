"""Step ``average_rest``: the picture of a session at rest, by which it is compared with others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derotation.calibration.geometry import Geometry
from derotation.maps.line_maps import LineMaps
from derotation.maps.transforms import image_center
from derotation.signals.angles import Angles
from derotation.steps.inputs import open_session_movie
from derotation.steps.rest import save_rest_image

__all__ = ["run"]


def run(
    *,
    movie: str | Path,
    angles: str | Path,
    config: Mapping[str, Any],
    image: str | Path,
    threads: int = 1,
) -> None:
    """Average raw frames at rest at angle 0, at most 100 spread over the session.

    Parameters
    ----------
    movie : path
        The movie's TIFF, or a pattern for several.
    angles : path
        The angles that the step ``interpolate_angles`` wrote.
    config : mapping
        The configuration; its section ``movie`` is read, and the key ``scan.bidirectional``.
    image : path
        Where ``images/rest.tif`` goes.
    threads : int
        Threads that share the frames.

    Raises
    ------
    DerotationError
        If a file cannot be read, or no frame was recorded at rest.
    """
    lines = Angles.load(angles)
    with open_session_movie(movie, config) as opened:
        timing = lines.timing()
        nothing_known = Geometry.about(image_center(opened.shape))
        line_maps = LineMaps.of(lines, nothing_known, timing=timing)
        save_rest_image(image, opened, line_maps, calibrated=False, threads=threads)
