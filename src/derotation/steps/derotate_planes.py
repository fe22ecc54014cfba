"""Step ``derotate_planes``: further planes of a session, each with the times of its own lines."""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration
from derotation.io.files import write_json
from derotation.io.parts import further_parts
from derotation.plots.movie import plot_planes
from derotation.quality.figures import Measured
from derotation.quality.measure import measure_plane
from derotation.steps import derotate_movie, interpolate_angles, parse_signals
from derotation.steps import outputs as outputs_base
from derotation.steps.inputs import angles_as_used, open_session_movie, save_plot

__all__ = ["Outputs", "run"]

logger = logging.getLogger(__name__)

KIND, VERSION = "derotation planes", 1


@dataclass(frozen=True, kw_only=True)
class Outputs(outputs_base.Outputs):
    """The files that the step writes."""

    planes: Annotated[Path, "planes"]
    """Gets a folder per plane, ``plane2`` for the second one, in which lies what the steps
    ``parse_signals``, ``interpolate_angles`` and ``derotate_movie`` write into a session's folder.
    What was there before is removed."""
    summary: Annotated[Path, "planes.json"]
    """How sharp each plane became, and what its frames see."""
    plot: Annotated[Path, "plots/planes.png"]


def run(
    *,
    movie: str | Path,
    signals: str | Path | None,
    stimulus: str | Path | None,
    protocol: Literal["full", "incremental", "free"],
    calibration: str | Path,
    config: Mapping[str, Any],
    outputs: Outputs,
    angle_table: str | Path | None = None,
    movement: str | Path | None = None,
    motion: str | Path | None = None,
    illumination: str | Path | None = None,
    frames_per_chunk: int | None = None,
    threads: int = 1,
) -> tuple[int, ...]:
    """Derotate all wanted planes but the one that calibrates, one after the other.

    All planes turn about one axis, seen by one scanner: the calibration of ``movie.plane`` holds
    for them all. Their lines were recorded at other times, so that each has angles of its own.

    Parameters
    ----------
    movie, signals, stimulus, protocol, angle_table
        As for :func:`derotation.steps.parse_signals.run`.
    calibration, movement, motion, illumination, frames_per_chunk, threads
        As for :func:`derotation.steps.derotate_movie.run`; estimated from the plane that
        calibrates.
    config : mapping
        The configuration: all that the steps ``parse_signals``, ``interpolate_angles`` and
        ``derotate_movie`` read, and the key ``movie.planes``.
    outputs : Outputs
        Where files go.

    Returns
    -------
    tuple of int
        The planes, counted from 1.

    Raises
    ------
    DerotationError
        If a file cannot be read, or if the files hold no such plane.
    """
    found: dict[int, dict[str, Measured]] = {}
    means: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
    place, calibrated = outputs.planes, Calibration.load(calibration)
    with open_session_movie(movie, config) as first:
        planes = further_parts(first, "plane", config["movie"]["planes"])
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for plane in planes:
            logger.info("Plane %d of %d", plane, first.n_planes)
            own = place / f"plane{plane}"
            with first.part(plane=plane) as opened:
                events = parse_signals.run(
                    movie=opened,
                    signals=signals,
                    stimulus=stimulus,
                    angle_table=angle_table,
                    protocol=protocol,
                    config=config,
                    outputs=parse_signals.Outputs.within(own),
                )
                angles = interpolate_angles.run(
                    events=events,
                    movie=opened,
                    protocol=protocol,
                    config=config,
                    outputs=interpolate_angles.Outputs.within(own),
                )
                result = derotate_movie.run(
                    movie=opened,
                    angles=angles,
                    calibration=calibrated,
                    config=config,
                    outputs=derotate_movie.Outputs.within(own),
                    movement=movement,
                    motion=motion,
                    illumination=illumination,
                    frames_per_chunk=frames_per_chunk,
                    threads=threads,
                )
            found[plane] = measure_plane(result.statistics, angles_as_used(angles, calibrated))
            means[plane] = (result.raw_turned_mean, result.turned_mean)
    _write_summary(outputs.summary, found)
    save_plot(lambda: plot_planes(means), outputs.plot)
    return planes


def _write_summary(path: Path, found: Mapping[int, Mapping[str, Measured]]) -> None:
    """Write down what was measured of each plane, for programs and in plain words."""
    said = [
        f"Plane {plane}: {' '.join(figure.said for figure in figures.values())}"
        for plane, figures in found.items()
    ]
    for sentence in said:
        logger.info("%s", sentence)
    content = {
        "kind": KIND,
        "version": VERSION,
        "statement": " ".join(said),
        "planes": [
            {"plane": plane, **{name: figure.value for name, figure in figures.items()}}
            for plane, figures in found.items()
        ],
    }
    write_json(path, content)
