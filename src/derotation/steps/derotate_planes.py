"""Step ``derotate_planes``: further planes of a session, each with the times of its own lines."""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from derotation.steps import derotate_movie, interpolate_angles, parse_signals
from derotation.steps.channels import further_parts
from derotation.steps.inputs import open_session_movie

__all__ = ["run"]

logger = logging.getLogger(__name__)


def run(
    *,
    movie: str | Path,
    signals: str | Path | None,
    stimulus: str | Path | None,
    protocol: Literal["full", "incremental", "free"],
    calibration: str | Path,
    config: Mapping[str, Any],
    folder: str | Path,
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
    folder : path
        Gets a folder per plane, ``plane2`` for the second one, in which lies what these steps
        write into a session's folder. What was there before is removed.

    Returns
    -------
    tuple of int
        The planes, counted from 1.

    Raises
    ------
    DerotationError
        If a file cannot be read, or if the files hold no such plane.
    """
    place = Path(folder)
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
                derotate_movie.run(
                    movie=opened,
                    angles=angles,
                    calibration=calibration,
                    config=config,
                    outputs=derotate_movie.Outputs.within(own),
                    movement=movement,
                    motion=motion,
                    illumination=illumination,
                    frames_per_chunk=frames_per_chunk,
                    threads=threads,
                )
    return planes
