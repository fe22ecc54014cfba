"""Step ``export_suite2p``: a folder that Suite2p takes at once."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derotation.export.suite2p import Suite2pExport, export_suite2p
from derotation.export.suite2p_settings import PlaneFacts
from derotation.steps._export import derotated_session

__all__ = ["run"]

logger = logging.getLogger(__name__)


def run(
    *,
    movie: str | Path,
    recorded: str | Path,
    angles: str | Path,
    calibration: str | Path,
    mean: str | Path,
    coverage: str | Path,
    session: str,
    config: Mapping[str, Any],
    folder: str | Path,
    movement: str | Path | None = None,
    frames_per_chunk: int | None = None,
    threads: int = 1,
) -> Suite2pExport:
    """Write what Suite2p needs to start at once.

    Parameters
    ----------
    movie : path
        ``derotated.tif``.
    recorded : path
        The raw movie: a TIFF, or a pattern for several.
    angles, calibration : path
        What the movie was derotated with.
    mean, coverage : path
        The images that ``derotate_movie`` wrote.
    session : str
        The session's name, which is also that of the folder in which ``suite2p/`` lies.
    config : mapping
        The configuration; its sections ``export`` and ``movie`` are read, ``scan.bidirectional``,
        ``derotate.interpolation`` and ``derotate.mask_diameter``.
    folder : path
        The folder ``suite2p``.
    movement : path, optional
        The movement against the session's reference, if it was derotated with one.
    frames_per_chunk : int, optional
        Frames held in memory at a time.
    threads : int
        Threads that share the frames.

    Returns
    -------
    Suite2pExport

    Raises
    ------
    DerotationError
        If a file cannot be read, if the files do not belong together, or if the movie's values do
        not fit into 16 bits.
    """
    export = config["export"]
    wanted = export["suite2p"]
    with derotated_session(
        movie=movie,
        recorded=recorded,
        angles=angles,
        calibration=calibration,
        mean=mean,
        coverage=coverage,
        movement=movement,
        config=config,
        threads=threads,
    ) as session_data:
        n_frames, height, width = session_data.movie.shape
        facts = PlaneFacts(
            session=session,
            n_frames=n_frames,
            height=height,
            width=width,
            frame_rate=session_data.angles.frame_rate,
            tau=wanted["tau"],
            diameter=wanted["diameter"],
            register=wanted["register"],
            keep_raw=export["keep_raw"],
        )
        result = export_suite2p(
            session_data.frames,
            session_data.seen,
            facts,
            folder,
            config={"bad_frames": export["bad_frames"]}
            | {name: wanted[name] for name in ("settings", "ops")},
            about={"fill": {"method": export["fill"], "mean_gray_value": session_data.fill}},
            frames_per_chunk=frames_per_chunk,
        )
    logger.info("%d of %d frames are bad: %s", len(result.bad_frames), n_frames, result.reasons)
    logger.info("Rows and columns that every other frame saw: %s", result.rectangle)
    return result
