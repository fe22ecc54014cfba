"""Step ``export_nwb``: a session as one NWB file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derotation.calibration.calibration import Calibration
from derotation.export.nwb import export_nwb
from derotation.io.movie import open_movie
from derotation.signals.angles import Angles
from derotation.steps.inputs import angles_as_used, open_session_movie

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
        The configuration; its section ``movie`` and the key ``export.nwb`` are read, and all that
        it holds is written into the file.
    output : path
        The NWB file.

    Raises
    ------
    DerotationError
        If a file cannot be read, if the files do not belong together, or if pynwb is missing.
    """
    found = Calibration.load(calibration)
    with (
        open_session_movie(recorded, config) as raw,
        open_movie(movie, n_planes=1, n_channels=1) as opened,
    ):
        export_nwb(
            output,
            session=session,
            recorded=raw,
            derotated=opened,
            angles=angles_as_used(Angles.load(angles), found),
            calibration=found,
            movies=config["export"]["nwb"],
            settings=config,
        )
