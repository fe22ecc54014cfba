"""What the exporting steps share: the derotated movie without holes, and what is known of it."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tifffile

from derotation.calibration.calibration import Calibration
from derotation.errors import MovieError
from derotation.export.frames import FilledFrames, fill_image
from derotation.io.movie import Movie, open_movie
from derotation.io.seen import SeenPixels
from derotation.signals.angles import Angles
from derotation.steps.channels import ChannelFiles, channel_files, in_export_order
from derotation.steps.inputs import angles_as_used
from derotation.steps.outputs import Outputs

__all__ = ["Derotated", "DerotatedFiles", "derotated_session"]


@dataclass(frozen=True, kw_only=True)
class DerotatedFiles(Outputs):
    """The files of a derotated movie, and what it was derotated with."""

    movie: Annotated[Path, "derotated.tif"]
    seen: Annotated[Path, "seen.npz"]
    """Which of its pixels were seen."""
    angles: Annotated[Path, "angles.npz"]
    calibration: Annotated[Path, "calibration.json"]
    mean: Annotated[Path, "images/mean.tif"]
    coverage: Annotated[Path, "images/coverage.tif"]
    channels: Annotated[Path | None, "channels"] = None
    """The folder in which ``derotate_movie`` put further channels, if there are any."""
    channel_means: Annotated[Path | None, "images/channels"] = None
    """That of their mean images."""


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
    second: FilledFrames | None
    """Another channel of the same recording without holes, if there is one."""
    numbers: tuple[int | None, ...]
    """The numbers of these channels."""


@contextmanager
def derotated_session(files: DerotatedFiles, config: Mapping[str, Any]) -> Iterator[Derotated]:
    """Open a derotated movie with what tells which of its pixels were seen.

    Parameters
    ----------
    files : DerotatedFiles
        Those of the session, or of one of its planes.
    config : mapping
        The configuration; the keys ``export.fill``, ``export.scale``,
        ``export.functional_channel`` and ``movie.channel`` are read.

    Yields
    ------
    Derotated
        Of the functional channel, with one other as its second.

    Raises
    ------
    MovieError
        If the movies and the other files do not belong together.
    InputError
        If the functional channel was not derotated.
    """
    export = config["export"]
    chosen = in_export_order(
        ChannelFiles(number=config["movie"]["channel"], movie=files.movie, mean=files.mean),
        channel_files(files.channels, files.channel_means),
        export["functional_channel"],
    )
    lines = angles_as_used(Angles.load(files.angles), Calibration.load(files.calibration))
    with ExitStack() as stack:
        pixels = stack.enter_context(SeenPixels(files.seen))
        often = tifffile.imread(files.coverage)
        movies, fills = [], []
        for channel in chosen:
            opened = stack.enter_context(open_movie(channel.movie, n_planes=1, n_channels=1))
            if not opened.shape == pixels.shape == (*lines.line_angles.shape, opened.shape[2]):
                msg = (
                    f"{channel.movie} has the shape {opened.shape}, but {files.seen} "
                    f"{pixels.shape} (frames, height, width), and {files.angles} "
                    f"{lines.line_angles.shape} (frames, lines); remove the movie to have "
                    "derotate_movie make it again"
                )
                raise MovieError(msg)
            movies.append(opened)
            fills.append(fill_image(export["fill"], tifffile.imread(channel.mean), often))
        frames = [
            FilledFrames(opened, pixels, fill, export["scale"])
            for opened, fill in zip(movies, fills, strict=True)
        ]
        yield Derotated(
            movie=movies[0],
            angles=lines,
            seen=pixels,
            frames=frames[0],
            fill=float(fills[0].mean()),
            second=frames[1] if len(frames) > 1 else None,
            numbers=tuple(channel.number for channel in chosen),
        )
