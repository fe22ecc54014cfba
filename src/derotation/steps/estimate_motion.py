"""Step ``estimate_motion``: how the sample moved in its own plane during the session."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from derotation.calibration.calibration import Calibration
from derotation.io.files import write_json, write_text
from derotation.io.movie import Movie
from derotation.motion_correction.estimate import MotionEstimate, estimate_motion
from derotation.plots.motion import plot_motion
from derotation.signals.angles import Angles
from derotation.steps import outputs as outputs_base
from derotation.steps.inputs import (
    angles_as_used,
    load_angles,
    load_calibration,
    open_session_movie,
    save_plot,
)

__all__ = ["Outputs", "run"]

KIND = "derotation motion"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Outputs(outputs_base.Outputs):
    """The files that the step writes."""

    motion: Annotated[Path, "motion.npz"]
    table: Annotated[Path, "motion.csv"]
    """The displacement in the middle of each frame."""
    summary: Annotated[Path, "motion.json"]
    """What was found, for people."""
    plot: Annotated[Path, "plots/motion.png"]


def run(
    *,
    movie: Movie | str | Path,
    angles: Angles | str | Path,
    calibration: Calibration | str | Path,
    config: Mapping[str, Any],
    outputs: Outputs,
    frames_per_chunk: int | None = None,
    threads: int = 1,
) -> MotionEstimate:
    """Estimate how a session's sample moved.

    Parameters
    ----------
    movie : Movie or path
        The movie's TIFF, or a pattern for several; or the movie, opened.
    angles : Angles or path
        What the step ``interpolate_angles`` wrote.
    calibration : Calibration or path
        The calibration of this session or of another one.
    config : mapping
        The configuration; its section ``movie`` is read, and the keys
        ``motion_correction.n_frames`` and ``scan.bidirectional``.
    outputs : Outputs
        Where files go.
    frames_per_chunk : int, optional
        Frames held in memory at a time.
    threads : int
        Threads that share the frames.

    Returns
    -------
    MotionEstimate
        What was written.

    Raises
    ------
    DerotationError
        If a file cannot be read, or if movie, angles and calibration do not belong together.
    """
    found, lines = load_calibration(calibration), load_angles(angles)
    with open_session_movie(movie, config) as opened:
        estimate = estimate_motion(
            opened,
            lines,
            found,
            {"n_frames": config["motion_correction"]["n_frames"]},
            frames_per_chunk=frames_per_chunk,
            threads=threads,
        )
    estimate.motion.save(outputs.motion)
    write_text(outputs.table, _table(estimate))
    content = {
        "kind": KIND,
        "version": VERSION,
        "statement": estimate.statement,
        "corrected": estimate.corrected,
        "trusted": estimate.trusted,
        "verdicts": [dataclasses.asdict(verdict) for verdict in estimate.verdicts],
        "jumps": estimate.jumps.tolist(),
    }
    write_json(outputs.summary, content)
    save_plot(lambda: plot_motion(estimate, angles_as_used(lines, found)), outputs.plot)
    return estimate


def _table(estimate: MotionEstimate) -> str:
    """Write a row per frame; what was not measured stays empty."""
    columns = {
        "time_s": estimate.frame_times_s,
        "x": estimate.frame_places[:, 0],
        "y": estimate.frame_places[:, 1],
        "sd": estimate.frame_sd,
        "measured_x": estimate.measured[:, 0],
        "measured_y": estimate.measured[:, 1],
        "correlation": estimate.correlation,
    }
    lines = ["frame," + ",".join(columns) + ",lost\n"]
    for frame, row in enumerate(np.stack([*columns.values()], axis=1).tolist()):
        cells = ",".join(f"{value:.6g}" if np.isfinite(value) else "" for value in row)
        lines.append(f"{frame},{cells},{int(estimate.motion.lost[frame])}\n")
    return "".join(lines)
