"""Step ``export_nwb``: a session as one NWB file."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from derotation.calibration.calibration import Calibration
from derotation.export.nwb import PlaneMovies, cells_of_file, export_nwb
from derotation.io.movie import Movie, open_movie
from derotation.signals.angles import Angles
from derotation.steps.channels import channel_files, plane_folders
from derotation.steps.inputs import angles_as_used, load_motion, open_session_movie

__all__ = ["run"]


def run(
    *,
    movie: str | Path,
    recorded: str | Path,
    angles: str | Path,
    calibration: str | Path,
    session: str,
    config: Mapping[str, Any],
    output: str | Path,
    channels: str | Path | None = None,
    motion: str | Path | None = None,
    planes: str | Path | None = None,
    cells: str | Path | None = None,
) -> None:
    """Write a session as an NWB file.

    Parameters
    ----------
    movie : path
        ``derotated.tif``.
    recorded : path
        The raw movie: a TIFF, or a pattern for several.
    angles, calibration : path
        What the movie was derotated with.
    session : str
        The session's name.
    config : mapping
        The configuration; its sections ``movie`` and ``nwb`` and the key ``export.nwb`` are read,
        and all that it holds is written into the file.
    output : path
        The NWB file.
    channels : path, optional
        The folder in which ``derotate_movie`` put the movies of further channels.
    motion : path, optional
        ``motion.npz``: how the sample moved.
    planes : path, optional
        The folder in which ``derotate_planes`` put further planes.
    cells : path, optional
        ``cells.npz``: what ``measure_cells`` found.

    Raises
    ------
    DerotationError
        If a file cannot be read, if the files do not belong together, or if pynwb is missing.
    """
    found = Calibration.load(calibration)
    with ExitStack() as stack:
        raw = stack.enter_context(open_session_movie(recorded, config))

        def derotated(path: str | Path) -> Movie:
            return stack.enter_context(open_movie(path, n_planes=1, n_channels=1))

        def pairs(before: Movie, folder: str | Path | None) -> list[tuple[Movie, Movie]]:
            return [
                (stack.enter_context(before.part(channel=number)), derotated(files.movie))
                for number, files in channel_files(folder).items()
            ]

        def plane_movies(number: int, folder: Path) -> PlaneMovies:
            before = stack.enter_context(raw.part(plane=number))
            return PlaneMovies(
                recorded=before,
                derotated=derotated(folder / "derotated.tif"),
                angles=angles_as_used(Angles.load(folder / "angles.npz"), found),
                further=pairs(before, None if channels is None else folder / "channels"),
            )

        export_nwb(
            output,
            session=session,
            recorded=raw,
            derotated=derotated(movie),
            further=pairs(raw, channels),
            planes=[plane_movies(*plane) for plane in plane_folders(planes).items()],
            angles=angles_as_used(Angles.load(angles), found),
            calibration=found,
            motion=load_motion(motion),
            cells=None if cells is None else cells_of_file(cells),
            movies=config["export"]["nwb"],
            about=config.get("nwb"),
            settings=config,
        )
