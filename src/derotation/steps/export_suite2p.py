"""Step ``export_suite2p``: a folder that Suite2p takes at once."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derotation.export.bad_frames import bad_frames
from derotation.export.suite2p import Suite2pExport, export_suite2p
from derotation.export.suite2p_settings import PlaneFacts
from derotation.steps.exporting import derotated_session
from derotation.streaming.statistics import Statistics

__all__ = ["run"]

logger = logging.getLogger(__name__)


def run(
    *,
    movie: str | Path,
    seen: str | Path,
    statistics: str | Path,
    angles: str | Path,
    calibration: str | Path,
    mean: str | Path,
    coverage: str | Path,
    session: str,
    config: Mapping[str, Any],
    folder: str | Path,
    channels: str | Path | None = None,
    channel_means: str | Path | None = None,
    frames_per_chunk: int | None = None,
) -> Suite2pExport:
    """Write what Suite2p needs to start at once.

    Parameters
    ----------
    movie : path
        ``derotated.tif``.
    seen : path
        Which of its pixels were seen.
    statistics : path
        What ``derotate_movie`` learned about its frames.
    angles, calibration : path
        What the movie was derotated with.
    mean, coverage : path
        The images that ``derotate_movie`` wrote.
    session : str
        The session's name, which is also that of the folder in which ``suite2p/`` lies.
    config : mapping
        The configuration; its section ``export`` is read, and the key ``movie.channel``.
    folder : path
        The folder ``suite2p``.
    channels, channel_means : path, optional
        The folders in which ``derotate_movie`` put further channels and their mean images.
    frames_per_chunk : int, optional
        Frames held in memory at a time.

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
        seen=seen,
        angles=angles,
        calibration=calibration,
        mean=mean,
        coverage=coverage,
        config=config,
        channels=channels,
        channel_means=channel_means,
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
            channels=_channel_numbers(session_data.numbers),
        )
        result = export_suite2p(
            session_data.frames,
            session_data.seen,
            facts,
            folder,
            bad_frames=bad_frames(
                session_data.angles, Statistics.load(statistics), export["bad_frames"]
            ),
            second=session_data.second,
            config={name: wanted[name] for name in ("settings", "ops")},
            about={"fill": {"method": export["fill"], "mean_gray_value": session_data.fill}},
            frames_per_chunk=frames_per_chunk,
        )
    logger.info("%d of %d frames are bad: %s", len(result.bad_frames), n_frames, result.reasons)
    logger.info("Rows and columns that every other frame saw: %s", result.rectangle)
    return result


def _channel_numbers(numbers: tuple[int | None, ...]) -> tuple[int, ...]:
    """Give the only channel the number 1 if nobody named it."""
    return tuple(1 if number is None else number for number in numbers)
