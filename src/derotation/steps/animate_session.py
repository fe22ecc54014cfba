"""Step ``animate_session``: a few frames of one turn, as recorded beside derotated."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derotation.calibration.calibration import Calibration
from derotation.io.movie import open_movie
from derotation.plots.animation import SideBySide, choose_frames, save_animation
from derotation.signals.angles import Angles
from derotation.steps.inputs import angles_as_used, open_session_movie

__all__ = ["run"]


def run(
    *,
    movie: str | Path,
    derotated: str | Path,
    angles: str | Path,
    calibration: str | Path,
    config: Mapping[str, Any],
    animation: str | Path,
) -> SideBySide:
    """Make the short animation of a session.

    Parameters
    ----------
    movie : path
        The raw movie's TIFF, or a pattern for several. Only the frames shown are read.
    derotated : path
        The movie that the step ``derotate_movie`` wrote.
    angles : path
        The angles that the step ``interpolate_angles`` wrote.
    calibration : path
        The calibration of this session or of another one.
    config : mapping
        The configuration; its section ``movie`` is read.
    animation : path
        Where ``animation.gif`` goes.

    Returns
    -------
    SideBySide
        The frames shown.

    Raises
    ------
    DerotationError
        If a file cannot be read.
    """
    found = Calibration.load(calibration)
    lines = angles_as_used(Angles.load(angles), found)
    chosen = choose_frames(lines)
    with open_session_movie(movie, config) as raw, open_movie(derotated) as still:
        frames = SideBySide(
            raw=raw.read(chosen),
            derotated=still.read(chosen),
            angles=lines.frame_angles[chosen],
            times=lines.frame_start[chosen] / lines.sampling_rate,
            center=found.center,
        )
    save_animation(frames, animation)
    return frames
