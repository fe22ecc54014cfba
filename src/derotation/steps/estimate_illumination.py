"""Step ``estimate_illumination``: the microscope's light, and the brightness at each angle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derotation.calibration.calibration import Calibration
from derotation.light.illumination import IlluminationEstimate, estimate_illumination
from derotation.plots.illumination import plot_dark_angles, plot_illumination
from derotation.signals.angles import Angles
from derotation.steps.inputs import open_session_movie, save_plot
from derotation.steps.timing import line_timing

__all__ = ["run"]


def run(
    *,
    movie: str | Path,
    angles: str | Path,
    calibration: str | Path,
    config: Mapping[str, Any],
    illumination: str | Path,
    summary: str | Path,
    dark_angles: str | Path,
    plot: str | Path,
    dark_angles_plot: str | Path,
    threads: int = 1,
) -> IlluminationEstimate:
    """Estimate a session's illumination, and how bright the sample is at each angle.

    Parameters
    ----------
    movie : path
        The movie's TIFF, or a pattern for several.
    angles : path
        The angles that the step ``interpolate_angles`` wrote.
    calibration : path
        The calibration of this session or of another one.
    config : mapping
        The configuration; its section ``movie`` is read, and the keys ``illumination.n_frames``
        and ``scan.bidirectional``. Whether the light is corrected (``illumination.correct``)
        concerns only the step ``derotate_movie``.
    illumination, summary : path
        Where ``illumination.npz`` and ``illumination.json`` go.
    dark_angles : path
        Where ``dark_angles.csv`` goes.
    plot, dark_angles_plot : path
        Where ``illumination.png`` and ``dark_angles.png`` go.
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
    found = Calibration.load(calibration)
    lines = Angles.load(angles).shifted(found.lag_ms)
    with open_session_movie(movie, config) as opened:
        estimate = estimate_illumination(
            opened,
            lines,
            found,
            {"n_frames": config["illumination"]["n_frames"]},
            timing=line_timing(opened, lines, config),
            threads=threads,
        )
    estimate.save(illumination)
    estimate.save_summary(summary)
    estimate.dark_angles.save(dark_angles)
    save_plot(plot_illumination(estimate), plot)
    save_plot(plot_dark_angles(estimate.dark_angles), dark_angles_plot)
    return estimate
