"""Step ``estimate_plane``: what the center does not explain: lag, tilted plane, wobbling axis."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from derotation.calibration.calibration import Calibration
from derotation.calibration.lag import estimate_lag
from derotation.calibration.plane import estimate_plane
from derotation.calibration.wobble import estimate_wobble
from derotation.io.files import write_text
from derotation.io.movie import Movie
from derotation.maps.resample import LineTiming
from derotation.plots.plane import plot_plane
from derotation.plots.wobble import plot_wobble
from derotation.signals.angles import Angles
from derotation.steps.center_text import line_for_people
from derotation.steps.inputs import open_session_movie, save_plot
from derotation.steps.rest import save_rest_image
from derotation.steps.timing import line_timing

__all__ = ["run"]

logger = logging.getLogger(__name__)


def run(
    *,
    movie: str | Path,
    angles: str | Path,
    center: str | Path,
    session: str,
    config: Mapping[str, Any],
    calibration: str | Path,
    text: str | Path,
    rest: str | Path,
    plane_plot: str | Path,
    wobble_plot: str | Path,
    threads: int = 1,
) -> Calibration:
    """Complete a session's calibration.

    Parameters
    ----------
    movie : path
        The movie's TIFF, or a pattern for several.
    angles : path
        The angles that the step ``interpolate_angles`` wrote.
    center : path
        The calibration that the step ``estimate_center`` wrote.
    session : str
        The session's name, for the calibration's provenance.
    config : mapping
        The configuration; its sections ``plane``, ``wobble`` and ``movie`` are read, and the keys
        ``angles.lag_ms`` and ``scan.bidirectional``.
    calibration, text, plane_plot, wobble_plot : path
        Where ``calibration.json``, ``center_of_rotation.txt``, ``plane.png`` and ``wobble.png``
        go.
    rest : path
        Where ``images/rest.tif`` goes: the mean raw image at rest, which the calibration carries.
    threads : int
        Threads that share the frames.

    Returns
    -------
    Calibration
        What was written.

    Raises
    ------
    DerotationError
        If a file cannot be read, or if there is too little in the movie to compare.
    """
    lines, found = Angles.load(angles), Calibration.load(center)
    with open_session_movie(movie, config) as opened:
        timing = line_timing(opened, lines, config)
        common: dict[str, Any] = {"timing": timing, "session": session, "threads": threads}
        plane = estimate_plane(opened, lines, found, config["plane"], **common)
        if config["angles"]["lag_ms"] == "auto":
            # A tilt that is not known yet biases the lag, and the lag the center.
            lag = _find_lag(opened, lines, plane.calibration, timing, threads)
            lines, found = lines.shifted(lag.lag_ms), found.replace(**lag._asdict())
            plane = estimate_plane(opened, lines, found, config["plane"], **common)
        wobble = estimate_wobble(opened, lines, plane.calibration, config["wobble"], **common)
        save_rest_image(rest, opened, lines, wobble.calibration, timing, threads)
    found = wobble.calibration.replace(image=Path(rest))
    if not found.trusted:
        logger.warning("%s", found.statement)
    found.save(calibration)
    write_text(text, line_for_people(found))
    save_plot(plot_plane(plane), plane_plot)
    save_plot(plot_wobble(wobble), wobble_plot)
    return found


class Lag(NamedTuple):
    """The lag to correct and its uncertainty, ms."""

    lag_ms: float
    lag_sd_ms: float | None


def _find_lag(
    movie: Movie, angles: Angles, found: Calibration, timing: LineTiming, threads: int
) -> Lag:
    """Find the lag; 0 if it cannot be told or does not stand out."""
    lag = estimate_lag(movie, angles, found, timing=timing, threads=threads)
    logger.log(logging.INFO if lag.trusted else logging.WARNING, "%s", lag.statement)
    return Lag(lag.lag_ms if lag.trusted and lag.significant else 0.0, lag.lag_sd_ms)
