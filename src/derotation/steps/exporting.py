"""What the exporting steps share: the derotated movie without holes, and what is known of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tifffile

from derotation.calibration.calibration import Calibration
from derotation.errors import MovieError
from derotation.export.frames import FilledFrames, fill_image
from derotation.io.movie import Movie, open_movie
from derotation.io.seen import SeenPixels
from derotation.signals.angles import Angles
from derotation.steps.inputs import angles_as_used

__all__ = ["Derotated", "derotated_session"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Derotated:
    """A derotated session, opened."""

    movie: Movie
    angles: Angles
    """Angles of all lines, shifted by the calibration's lag."""
    seen: SeenPixels
    """Which pixels of the movie were seen."""
    frames: FilledFrames
    """The movie without holes."""
    fill: float
    """Typical value of what was filled in, gray values."""


@contextmanager
def derotated_session(
    *,
    movie: str | Path,
    seen: str | Path,
    angles: str | Path,
    calibration: str | Path,
    mean: str | Path,
    coverage: str | Path,
    config: Mapping[str, Any],
) -> Iterator[Derotated]:
    """Open a derotated movie with what tells which of its pixels were seen.

    Parameters
    ----------
    movie : path
        ``derotated.tif``.
    seen : path
        Which of its pixels were seen.
    angles, calibration : path
        What it was derotated with.
    mean, coverage : path
        The images that ``derotate_movie`` wrote.
    config : mapping
        The configuration; the keys ``export.fill`` and ``export.scale`` are read.

    Yields
    ------
    Derotated

    Raises
    ------
    MovieError
        If the movie and the other files do not belong together.
    """
    lines = angles_as_used(Angles.load(angles), Calibration.load(calibration))
    with SeenPixels(seen) as pixels, open_movie(movie, n_planes=1, n_channels=1) as opened:
        if not opened.shape == pixels.shape == (*lines.line_angles.shape, opened.shape[2]):
            msg = (
                f"{movie} has the shape {opened.shape}, but {seen} {pixels.shape} (frames, height, "
                f"width), and {angles} {lines.line_angles.shape} (frames, lines); remove the movie "
                "to have derotate_movie make it again"
            )
            raise MovieError(msg)
        fill = fill_image(
            config["export"]["fill"], tifffile.imread(mean), tifffile.imread(coverage)
        )
        yield Derotated(
            movie=opened,
            angles=lines,
            seen=pixels,
            frames=FilledFrames(opened, pixels, fill, config["export"]["scale"]),
            fill=float(fill.mean()),
        )
