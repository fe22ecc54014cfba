"""Step ``export_suite2p``: a folder that Suite2p takes at once."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from derotation.export.bad_frames import bad_frames
from derotation.export.suite2p import Suite2pExport, export_suite2p
from derotation.export.suite2p_settings import PlaneFacts
from derotation.steps.channels import plane_folders
from derotation.steps.exporting import DerotatedFiles, derotated_session
from derotation.steps.inputs import load_motion
from derotation.streaming.statistics import Statistics

__all__ = ["run"]

logger = logging.getLogger(__name__)


def run(
    *,
    files: DerotatedFiles,
    statistics: str | Path,
    session: str,
    config: Mapping[str, Any],
    folder: str | Path,
    planes: str | Path | None = None,
    segments: str | Path | None = None,
    motion: str | Path | None = None,
    frames_per_chunk: int | None = None,
) -> Suite2pExport:
    """Write what Suite2p needs to start at once.

    Parameters
    ----------
    files : DerotatedFiles
        The session's.
    statistics : path
        What ``derotate_movie`` learned about its frames.
    session : str
        The session's name, which is also that of the folder in which ``suite2p/`` lies.
    config : mapping
        The configuration; its section ``export`` is read, and the keys ``movie.channel`` and
        ``movie.plane``.
    folder : path
        The folder ``suite2p``.
    planes : path, optional
        The folder in which ``derotate_planes`` put further planes.
    segments : path, optional
        ``quality.csv``: frames of bad segments are bad, see ``export.bad_frames.segments``.
    motion : path, optional
        ``motion.npz``: frames that no shift can mend are bad.
    frames_per_chunk : int, optional
        Frames held in memory at a time.

    Returns
    -------
    Suite2pExport
        Of the first plane, if there are several.

    Raises
    ------
    DerotationError
        If a file cannot be read, if the files do not belong together, or if the movie's values do
        not fit into 16 bits.
    """
    has_channels = files.channels is not None
    places = {
        number: _PlaneFiles(
            derotated=DerotatedFiles.within(
                place,
                calibration=files.calibration,
                **({} if has_channels else {"channels": None, "channel_means": None}),
            ),
            statistics=place / "statistics.npz",
        )
        for number, place in plane_folders(planes).items()
    }
    calibrating = config["movie"]["plane"] or 1
    places[calibrating] = _PlaneFiles(files, statistics, segments, motion)
    numbers = sorted(places)
    bad_elsewhere: NDArray[np.bool_] | None = None
    # The first plane comes last: what lies beside the planes' folders is about all of them.
    for index in reversed(range(len(numbers))):
        reasons, result = _export_plane(
            places[numbers[index]],
            index,
            numbers,
            bad_elsewhere,
            session=session,
            config=config,
            folder=folder,
            frames_per_chunk=frames_per_chunk,
        )
        bad_elsewhere = np.any([*reasons.values()], axis=0)
        logger.info(
            "Plane %d: %d frames are bad: %s",
            numbers[index], len(result.bad_frames), result.reasons,
        )  # fmt: skip
        logger.info("Rows and columns that every other frame saw: %s", result.rectangle)
    return result


class _PlaneFiles(NamedTuple):
    """What was written of one plane."""

    derotated: DerotatedFiles
    statistics: str | Path
    segments: str | Path | None = None
    """Of the plane that calibrates only: quality is measured there."""
    motion: str | Path | None = None
    """Of that plane, too."""


def _export_plane(
    files: _PlaneFiles,
    index: int,
    numbers: list[int],
    bad_elsewhere: NDArray[np.bool_] | None,
    *,
    session: str,
    config: Mapping[str, Any],
    folder: str | Path,
    frames_per_chunk: int | None,
) -> tuple[dict[str, NDArray[np.bool_]], Suite2pExport]:
    """Export one plane; also tell which of its frames are bad, those of later planes included."""
    export = config["export"]
    wanted = export["suite2p"]
    with derotated_session(files.derotated, config) as opened:
        n_frames, height, width = opened.movie.shape
        facts = PlaneFacts(
            session=session,
            n_frames=n_frames,
            height=height,
            width=width,
            frame_rate=opened.angles.frame_rate,
            tau=wanted["tau"],
            diameter=wanted["diameter"],
            register=wanted["register"],
            keep_raw=export["keep_raw"],
            channels=_channel_numbers(opened.numbers),
            plane=index,
            n_planes=len(numbers),
        )
        learned = Statistics.load_of_frames(files.statistics)
        reasons = bad_frames(
            opened.angles,
            learned,
            export["bad_frames"],
            segments=files.segments,
            motion=load_motion(files.motion),
        )
        if bad_elsewhere is not None:
            # Suite2p knows one list of bad frames for all planes.
            reasons["bad in another plane"] = bad_elsewhere
        about: dict[str, Any] = {"fill": {"method": export["fill"], "mean_gray_value": opened.fill}}
        result = export_suite2p(
            opened.frames,
            opened.seen,
            facts,
            folder,
            second=opened.second,
            bad_frames=reasons,
            config={name: wanted[name] for name in ("settings", "ops")},
            about=about if len(numbers) == 1 else about | {"planes": numbers},
            frames_per_chunk=frames_per_chunk,
        )
    return reasons, result


def _channel_numbers(numbers: tuple[int | None, ...]) -> tuple[int, ...]:
    """Give the only channel the number 1 if nobody named it."""
    return tuple(1 if number is None else number for number in numbers)
