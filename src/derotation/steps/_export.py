"""What the exporting steps share: the derotated movie with all that tells what was seen of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tifffile

from derotation.angles import Angles
from derotation.calibration import Calibration
from derotation.errors import MovieError
from derotation.export.frames import FilledFrames, fill_image
from derotation.export.seen import Geometry, SeenPixels
from derotation.io.movie import Movie, open_movie
from derotation.steps._inputs import open_session_movie, read_movement
from derotation.steps._timing import line_timing

__all__ = ["Derotated", "derotated_session"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Derotated:
    """A derotated session, opened."""

    movie: Movie
    """The derotated movie."""
    recorded: Movie
    """The movie as recorded."""
    angles: Angles
    """Angles of all lines, shifted by the calibration's lag."""
    seen: SeenPixels
    frames: FilledFrames
    fill: float
    """Typical value of what was filled in, gray values."""


@contextmanager
def derotated_session(
    *,
    movie: str | Path,
    recorded: str | Path,
    angles: str | Path,
    calibration: str | Path,
    mean: str | Path,
    coverage: str | Path,
    movement: str | Path | None,
    config: Mapping[str, Any],
    threads: int,
) -> Iterator[Derotated]:
    """Open a derotated movie with what tells which of its pixels were seen.

    Parameters
    ----------
    movie : path
        ``derotated.tif``.
    recorded : path
        The raw movie: a TIFF, or a pattern for several.
    angles, calibration, movement : path
        What it was derotated with.
    mean, coverage : path
        The images that ``derotate_movie`` wrote.
    config : mapping
        The configuration; the keys ``export.fill`` and ``export.scale``, the section ``movie``,
        ``scan.bidirectional``, and of ``derotate`` the keys ``interpolation`` and
        ``mask_diameter`` are read.
    threads : int
        Threads that share the frames.

    Yields
    ------
    Derotated
    """
    found = Calibration.load(calibration)
    lines = Angles.load(angles).shifted(found.lag_ms)
    with (
        open_session_movie(recorded, config) as raw,
        open_movie(movie, n_planes=1, n_channels=1) as opened,
    ):
        if opened.shape != raw.shape:
            msg = (
                f"{movie} has the shape {opened.shape}, but the recorded movie {raw.shape} "
                "(frames, height, width); remove it to have derotate_movie make it again"
            )
            raise MovieError(msg)
        geometry = Geometry(
            angles=lines,
            calibration=found,
            timing=line_timing(raw, lines, config),
            interpolation=config["derotate"]["interpolation"],
            mask_diameter=config["derotate"]["mask_diameter"],
            movement=None if movement is None else read_movement(movement),
        )
        seen = SeenPixels(geometry, raw, threads=threads)
        fill = fill_image(
            config["export"]["fill"], tifffile.imread(mean), tifffile.imread(coverage)
        )
        yield Derotated(
            movie=opened,
            recorded=raw,
            angles=lines,
            seen=seen,
            frames=FilledFrames(opened, seen, fill, config["export"]["scale"]),
            fill=float(fill.mean()),
        )
