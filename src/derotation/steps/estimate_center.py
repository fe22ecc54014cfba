"""Step ``estimate_center``: the center of rotation of a session, with its uncertainty."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derotation.angles import Angles
from derotation.calibration import Calibration
from derotation.center import CenterEstimate, estimate_center
from derotation.io.files import write_text
from derotation.plots.center import plot_center
from derotation.steps._inputs import open_session_movie, save_plot
from derotation.steps._timing import line_timing

__all__ = ["run"]

logger = logging.getLogger(__name__)


def run(
    *,
    movie: str | Path,
    angles: str | Path,
    session: str,
    config: Mapping[str, Any],
    calibration: str | Path,
    text: str | Path,
    plot: str | Path,
    threads: int = 1,
) -> CenterEstimate:
    """Find the center of rotation of a session.

    Parameters
    ----------
    movie : path
        The movie's TIFF, or a pattern for several.
    angles : path
        The angles that the step ``interpolate_angles`` wrote.
    session : str
        The session's name, for the calibration's provenance.
    config : mapping
        The configuration; its sections ``center`` and ``movie`` are read, and the key
        ``scan.bidirectional``.
    calibration, text, plot : path
        Where ``calibration.json``, ``center_of_rotation.txt`` and ``center.png`` go.
    threads : int
        Threads that share the frames.

    Returns
    -------
    CenterEstimate
        What was written.

    Raises
    ------
    DerotationError
        If a file cannot be read, or if the movie does not tell the center.
    """
    lines = Angles.load(angles)
    with open_session_movie(movie, config) as opened:
        timing = line_timing(opened, lines, config)
        estimate = estimate_center(
            opened, lines, config["center"], timing=timing, session=session, threads=threads
        )
    found = estimate.calibration
    if not found.trusted:
        logger.warning(found.statement)
    found.save(calibration)
    write_text(text, _line_for_people(found))
    save_plot(plot_center(estimate), plot)
    return estimate


def _line_for_people(found: Calibration) -> str:
    """Write the center, its uncertainty and how far it can be trusted as one line."""
    x, y = found.center
    if found.center_sd is None:
        where = f"x = {x:.3f} px, y = {y:.3f} px"
    else:
        sd_x, sd_y = found.center_sd
        where = f"x = {x:.3f} +- {sd_x:.3f} px, y = {y:.3f} +- {sd_y:.3f} px"
    trust = "" if found.trusted else " NOT TO BE TRUSTED."
    return f"center of rotation: {where} (column and row, from 0).{trust} {found.statement}\n"
