"""Step ``measure_quality``: whether a session was derotated well, and what is wrong if not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from derotation.calibration.calibration import Calibration
from derotation.plots.quality import (
    plot_blob,
    plot_coverage_over_time,
    plot_mean_by_angle,
    plot_residual_shift,
)
from derotation.quality.measure import Quality, measure_quality
from derotation.signals.angles import Angles
from derotation.signals.events import Events
from derotation.steps.inputs import save_plot
from derotation.streaming.statistics import Statistics

__all__ = ["run"]


def run(
    *,
    statistics: str | Path,
    events: str | Path,
    angles: str | Path,
    calibration: str | Path,
    session: str,
    protocol: Literal["full", "incremental"],
    config: Mapping[str, Any],
    quality: str | Path,
    residual_shift: str | Path,
    mean_by_angle: str | Path,
    blob: str | Path,
    coverage: str | Path,
    threads: int = 1,
) -> Quality:
    """Judge a session by figures that need no truth; the movie is not read again.

    Parameters
    ----------
    statistics : path
        What the step ``derotate_movie`` learned about the movie.
    events, angles : path
        What the steps ``parse_signals`` (the ``.npz``) and ``interpolate_angles`` wrote.
    calibration : path
        The calibration that the movie was derotated with.
    session : str
        The session's name.
    protocol : {"full", "incremental"}
        What the motor did.
    config : mapping
        The configuration; its section ``quality`` is read, and the key
        ``signals.degrees_per_rotation``.
    quality : path
        Where ``quality.json`` goes.
    residual_shift, mean_by_angle, blob, coverage : path
        Where the plots go.
    threads : int
        Threads that share the images.

    Returns
    -------
    Quality
        What was written.

    Raises
    ------
    DerotationError
        If a file cannot be read.
    """
    found, learned = Calibration.load(calibration), Statistics.load(statistics)
    lines = Angles.load(angles).shifted(found.lag_ms)
    result = measure_quality(
        learned,
        Events.load(events),
        lines,
        found,
        session=session,
        protocol=protocol,
        config=config["quality"],
        degrees_per_rotation=config["signals"]["degrees_per_rotation"],
        threads=threads,
    )
    save_plot(plot_residual_shift(result), residual_shift)
    save_plot(plot_mean_by_angle(learned), mean_by_angle)
    save_plot(plot_blob(result, learned), blob)
    save_plot(plot_coverage_over_time(learned, lines), coverage)
    result.save(quality)
    return result
