"""Step ``measure_quality``: whether a session was derotated well, and what is wrong if not."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from derotation.calibration.calibration import Calibration
from derotation.motion_correction.motion import Motion
from derotation.plots.quality import (
    plot_blob,
    plot_coverage_over_time,
    plot_mean_by_angle,
    plot_quality_over_time,
    plot_residual_shift,
)
from derotation.quality.measure import Quality, measure_quality
from derotation.signals.angles import Angles
from derotation.signals.events import Events
from derotation.steps import outputs as outputs_base
from derotation.steps.inputs import (
    load_angles,
    load_calibration,
    load_motion,
    save_plot,
)
from derotation.streaming.statistics import Statistics

__all__ = ["Outputs", "run"]


@dataclass(frozen=True, kw_only=True)
class Outputs(outputs_base.Outputs):
    """The files that the step writes."""

    quality: Annotated[Path, "quality.json"]
    table: Annotated[Path, "quality.csv"]
    """The figures along the session."""
    over_time: Annotated[Path, "plots/quality_over_time.png"]
    residual_shift: Annotated[Path, "plots/residual_shift.png"]
    mean_by_angle: Annotated[Path, "plots/mean_by_angle.png"]
    blob: Annotated[Path, "plots/blob.png"]
    coverage: Annotated[Path, "plots/coverage.png"]


def run(
    *,
    statistics: Statistics | str | Path,
    events: Events | str | Path,
    angles: Angles | str | Path,
    calibration: Calibration | str | Path,
    session: str,
    protocol: Literal["full", "incremental", "free"],
    config: Mapping[str, Any],
    outputs: Outputs,
    motion: Motion | str | Path | None = None,
    threads: int = 1,
) -> Quality:
    """Judge a session by figures that need no truth; the movie is not read again.

    Parameters
    ----------
    statistics : Statistics or path
        What the step ``derotate_movie`` learned about the movie.
    events, angles : Events, Angles, or path
        What the steps ``parse_signals`` (the ``.npz``) and ``interpolate_angles`` wrote.
    calibration : Calibration or path
        The calibration that the movie was derotated with.
    session : str
        The session's name.
    protocol : {"full", "incremental", "free"}
        What the motor did.
    config : mapping
        The configuration; its section ``quality`` is read, and the key
        ``signals.degrees_per_rotation``.
    outputs : Outputs
        Where files go.
    motion : Motion or path, optional
        How the sample moved during the session, if that was looked for.
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
    found, lines = load_calibration(calibration), load_angles(angles)
    learned = statistics if isinstance(statistics, Statistics) else Statistics.load(statistics)
    result = measure_quality(
        learned,
        events if isinstance(events, Events) else Events.load(events),
        lines,
        found,
        session=session,
        protocol=protocol,
        config=config["quality"],
        degrees_per_rotation=config["signals"]["degrees_per_rotation"],
        motion=load_motion(motion),
        threads=threads,
    )
    save_plot(lambda: plot_residual_shift(result), outputs.residual_shift)
    save_plot(lambda: plot_mean_by_angle(learned), outputs.mean_by_angle)
    save_plot(lambda: plot_blob(result, learned), outputs.blob)
    save_plot(lambda: plot_quality_over_time(result), outputs.over_time)
    save_plot(lambda: plot_coverage_over_time(learned, lines), outputs.coverage)
    result.along.save(outputs.table)
    result.save(outputs.quality)
    return result
