"""Step ``derotate_movie``: the movie that stands still, in one resampling."""

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration
from derotation.errors import InputError
from derotation.io.files import write_text
from derotation.io.movie import Movie
from derotation.io.parts import further_parts
from derotation.io.tiff_writer import TiffStackWriter
from derotation.motion_correction.motion import Motion
from derotation.plots.movie import plot_before_after, plot_channels, plot_contact_sheet
from derotation.signals.angles import Angles
from derotation.steps import outputs as outputs_base
from derotation.steps.channels import mean_file, movie_file
from derotation.steps.inputs import (
    angles_as_used,
    load_angles,
    load_calibration,
    load_motion,
    open_session_movie,
    read_gain,
    read_movement,
    save_plot,
)
from derotation.streaming.channels import FurtherChannel
from derotation.streaming.single_pass import DerotationResult, derotate_movie

__all__ = ["Outputs", "run"]


@dataclass(frozen=True, kw_only=True)
class Outputs(outputs_base.Outputs):
    """The files that the step writes."""

    movie: Annotated[Path, "derotated.tif"]
    seen: Annotated[Path, "seen.npz"]
    """Which pixels each frame saw."""
    mean: Annotated[Path, "images/mean.tif"]
    """Mean of the derotated movie."""
    raw_mean: Annotated[Path, "images/raw_mean.tif"]
    """Mean of the raw movie."""
    coverage: Annotated[Path, "images/coverage.tif"]
    """Fraction of the frames that saw each pixel."""
    coverage_table: Annotated[Path, "coverage.csv"]
    """Fraction of its pixels that each frame saw."""
    statistics: Annotated[Path, "statistics.npz"]
    """What the step ``measure_quality`` has to know about the movie."""
    before_after: Annotated[Path, "plots/before_after.png"]
    contact_sheet: Annotated[Path, "plots/contact_sheet.png"]
    channels: Annotated[Path | None, "channels"] = None
    """Folder of the derotated movies of further channels; needed with ``movie.channels`` only."""
    channel_means: Annotated[Path | None, "images/channels"] = None
    """Folder of their mean images."""
    channels_plot: Annotated[Path | None, "plots/channels.png"] = None


def run(
    *,
    movie: Movie | str | Path,
    angles: Angles | str | Path,
    calibration: Calibration | str | Path,
    config: Mapping[str, Any],
    outputs: Outputs,
    movement: str | Path | None = None,
    motion: Motion | str | Path | None = None,
    illumination: str | Path | None = None,
    frames_per_chunk: int | None = None,
    threads: int = 1,
) -> DerotationResult:
    """Put every line of a session's movie back in its place.

    Parameters
    ----------
    movie : Movie or path
        The movie's TIFF, or a pattern for several; or the movie, opened.
    angles : Angles or path
        What the step ``interpolate_angles`` wrote.
    calibration : Calibration or path
        The calibration of this session or of another one.
    config : mapping
        The configuration; its sections ``derotate`` and ``movie`` are read, and the key
        ``scan.bidirectional``. With ``movie.channels`` all these channels are derotated.
    outputs : Outputs
        Where files go.
    movement : path, optional
        The movement against the session's reference, to whose field of view it is aligned.
    motion : Motion or path, optional
        How the sample moved during the session; applied if it matters.
    illumination : path, optional
        The illumination to be corrected.
    frames_per_chunk : int, optional
        Frames held in memory at a time.
    threads : int
        Threads that share the frames.

    Returns
    -------
    DerotationResult
        What was written, without the movie itself.

    Raises
    ------
    DerotationError
        If a file cannot be read, or if movie, angles and calibration do not belong together.
    """
    found, lines = load_calibration(calibration), load_angles(angles)
    moved = None if movement is None else read_movement(movement)
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(open_session_movie(movie, config))
        wanted = config["movie"].get("channels")
        numbers = further_parts(opened, "channel", wanted)
        folders = None if wanted is None else _new_folders(outputs)
        further = [
            FurtherChannel(
                stack.enter_context(opened.part(channel=number)), movie_file(folders[0], number)
            )
            for number in numbers
            if folders is not None
        ]
        result = derotate_movie(
            opened,
            lines,
            found,
            outputs.movie,
            seen_output=outputs.seen,
            movement=moved,
            motion=load_motion(motion),
            **({} if illumination is None else read_gain(illumination)),
            further=further,
            config=config["derotate"],
            frames_per_chunk=frames_per_chunk,
            threads=threads,
        )
        pixel_size = opened.metadata.pixel_size_um
    _save_image(outputs.mean, result.mean, pixel_size)
    _save_image(outputs.raw_mean, result.raw_mean, pixel_size)
    _save_image(outputs.coverage, result.seen, pixel_size)
    rows = (f"{frame},{fraction:.6g}\n" for frame, fraction in enumerate(result.coverage))
    write_text(outputs.coverage_table, "frame,coverage\n" + "".join(rows))
    result.statistics.save(outputs.statistics)
    save_plot(lambda: plot_before_after(result, found, moved), outputs.before_after)
    save_plot(
        lambda: plot_contact_sheet(result, angles_as_used(lines, found)), outputs.contact_sheet
    )
    if folders is not None:
        for number, image in result.further_means.items():
            _save_image(mean_file(folders[1], number), image, pixel_size)
        save_plot(lambda: plot_channels(result), folders[2])
    return result


def _new_folders(outputs: Outputs) -> tuple[Path, Path, Path]:
    """Make the folders of further channels anew, so that none of an earlier run is left."""
    if outputs.channels is None or outputs.channel_means is None or outputs.channels_plot is None:
        msg = (
            "movie.channels is set, so that outputs need channels, channel_means and channels_plot"
        )
        raise InputError(msg)
    for folder in (outputs.channels, outputs.channel_means):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    return outputs.channels, outputs.channel_means, outputs.channels_plot


def _save_image(path: str | Path, image: NDArray[np.float32], pixel_size: float | None) -> None:
    """Write one image as a TIFF of floats."""
    with TiffStackWriter(path, (1, *image.shape), np.float32, pixel_size_um=pixel_size) as writer:
        writer.write(image)
