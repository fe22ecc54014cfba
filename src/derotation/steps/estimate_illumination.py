"""Step ``estimate_illumination``: the microscope's light, and the brightness at each angle."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from derotation.calibration.calibration import Calibration
from derotation.io.movie import Movie
from derotation.light.illumination import IlluminationEstimate, estimate_illumination
from derotation.plots.illumination import plot_dark_angles, plot_illumination
from derotation.signals.angles import Angles
from derotation.steps import outputs as outputs_base
from derotation.steps.inputs import (
    load_angles,
    load_calibration,
    open_session_movie,
    save_plot,
)

__all__ = ["Outputs", "run"]


@dataclass(frozen=True, kw_only=True)
class Outputs(outputs_base.Outputs):
    """The files that the step writes."""

    illumination: Annotated[Path, "illumination.npz"]
    summary: Annotated[Path, "illumination.json"]
    dark_angles: Annotated[Path, "dark_angles.csv"]
    plot: Annotated[Path, "plots/illumination.png"]
    dark_angles_plot: Annotated[Path, "plots/dark_angles.png"]


def run(
    *,
    movie: Movie | str | Path,
    angles: Angles | str | Path,
    calibration: Calibration | str | Path,
    config: Mapping[str, Any],
    outputs: Outputs,
    threads: int = 1,
) -> IlluminationEstimate:
    """Estimate a session's illumination, and how bright the sample is at each angle.

    Parameters
    ----------
    movie : Movie or path
        The movie's TIFF, or a pattern for several; or the movie, opened.
    angles : Angles or path
        What the step ``interpolate_angles`` wrote.
    calibration : Calibration or path
        The calibration of this session or of another one.
    config : mapping
        The configuration; its section ``movie`` is read, and the keys ``illumination.n_frames``
        and ``scan.bidirectional``. Whether the light is corrected (``illumination.correct``)
        concerns only the step ``derotate_movie``.
    outputs : Outputs
        Where files go.
    threads : int
        Threads that share the frames.

    Returns
    -------
    IlluminationEstimate
        What was written.

    Raises
    ------
    DerotationError
        If a file cannot be read, or if movie, angles and calibration do not belong together.
    """
    found, lines = load_calibration(calibration), load_angles(angles)
    with open_session_movie(movie, config) as opened:
        estimate = estimate_illumination(
            opened,
            lines,
            found,
            {"n_frames": config["illumination"]["n_frames"]},
            threads=threads,
        )
    estimate.save(outputs.illumination)
    estimate.save_summary(outputs.summary)
    estimate.dark_angles.save(outputs.dark_angles)
    save_plot(lambda: plot_illumination(estimate), outputs.plot)
    save_plot(lambda: plot_dark_angles(estimate.dark_angles), outputs.dark_angles_plot)
    return estimate
