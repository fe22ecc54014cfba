"""Step ``estimate_center``: the center of rotation of a session, with its uncertainty."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from derotation.calibration.center import CenterEstimate, estimate_center
from derotation.calibration.sign import check_direction_sign
from derotation.io.csv_columns import write_columns
from derotation.io.movie import Movie
from derotation.plots.center import plot_center
from derotation.signals.angles import Angles
from derotation.steps import outputs as outputs_base
from derotation.steps.inputs import load_angles, open_session_movie, save_plot

__all__ = ["Outputs", "run", "save"]

logger = logging.getLogger(__name__)

# Methods that look at the movie; they would find something with the wrong sign, too.
ESTIMATED = ("registration", "ellipse", "bayesian")


@dataclass(frozen=True, kw_only=True)
class Outputs(outputs_base.Outputs):
    """The files that the step writes."""

    center: Annotated[Path, "center.json"]
    """A calibration without tilt and wobble."""
    table: Annotated[Path, "center.csv"]
    """What the center was found from."""
    plot: Annotated[Path, "plots/center.png"]


def run(
    *,
    movie: Movie | str | Path,
    angles: Angles | str | Path,
    session: str,
    config: Mapping[str, Any],
    outputs: Outputs,
    threads: int = 1,
) -> CenterEstimate:
    """Find the center of rotation of a session.

    Parameters
    ----------
    movie : Movie or path
        The movie's TIFF, or a pattern for several; or the movie, opened.
    angles : Angles or path
        What the step ``interpolate_angles`` wrote.
    session : str
        The session's name, for the calibration's provenance.
    config : mapping
        The configuration; its sections ``center`` and ``movie`` are read, and the key
        ``scan.bidirectional``.
    outputs : Outputs
        Where files go.
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
    lines = load_angles(angles)
    with open_session_movie(movie, config) as opened:
        timing = lines.timing()
        if config["center"]["method"] in ESTIMATED:
            sign = check_direction_sign(opened, lines, threads=threads)
            logger.info("%s", sign.statement)
        estimate = estimate_center(
            opened, lines, config["center"], timing=timing, session=session, threads=threads
        )
    save(estimate, outputs)
    return estimate


def save(estimate: CenterEstimate, outputs: Outputs) -> None:
    """Write what was found about the center.

    Parameters
    ----------
    estimate : CenterEstimate
    outputs : Outputs
        Where files go.
    """
    estimate.calibration.save(outputs.center)
    write_columns(outputs.table, estimate.columns)
    save_plot(lambda: plot_center(estimate), outputs.plot)
