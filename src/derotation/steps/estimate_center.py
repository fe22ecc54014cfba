"""Step ``estimate_center``: the center of rotation of a session, with its uncertainty."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derotation.calibration.center import CenterEstimate, estimate_center
from derotation.calibration.lag import check_direction_sign
from derotation.io.files import whole_file
from derotation.plots.center import plot_center
from derotation.signals.angles import Angles
from derotation.steps.inputs import open_session_movie, save_plot
from derotation.steps.timing import line_timing

__all__ = ["run"]

logger = logging.getLogger(__name__)

# Methods that look at the movie; they would find something with the wrong sign, too.
ESTIMATED = ("registration", "ellipse", "bayesian")


def run(
    *,
    movie: str | Path,
    angles: str | Path,
    session: str,
    config: Mapping[str, Any],
    center: str | Path,
    table: str | Path,
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
    center, table, plot : path
        Where ``center.json`` (a calibration without tilt and wobble), ``center.csv`` (what the
        center was found from) and ``center.png`` go.
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
        if config["center"]["method"] in ESTIMATED:
            sign = check_direction_sign(opened, lines, threads=threads)
            logger.info("%s", sign.statement)
        estimate = estimate_center(
            opened, lines, config["center"], timing=timing, session=session, threads=threads
        )
    estimate.calibration.save(center)
    with whole_file(table) as temporary:
        estimate.table.to_csv(temporary, index=False, float_format="%.6g")
    save_plot(plot_center(estimate), plot)
    return estimate
