"""Step ``derotate_movie``: the movie that stands still, in one resampling."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration
from derotation.io.files import write_text
from derotation.io.tiff_writer import TiffStackWriter
from derotation.plots.movie import plot_before_after, plot_contact_sheet
from derotation.signals.angles import Angles
from derotation.steps.inputs import (
    open_session_movie,
    read_gain,
    read_movement,
    save_plot,
)
from derotation.steps.timing import line_timing
from derotation.streaming.single_pass import DerotationResult, derotate_movie

__all__ = ["run"]


def run(
    *,
    movie: str | Path,
    angles: str | Path,
    calibration: str | Path,
    config: Mapping[str, Any],
    output: str | Path,
    seen: str | Path,
    mean: str | Path,
    raw_mean: str | Path,
    coverage: str | Path,
    coverage_table: str | Path,
    statistics: str | Path,
    before_after: str | Path,
    contact_sheet: str | Path,
    movement: str | Path | None = None,
    illumination: str | Path | None = None,
    frames_per_chunk: int | None = None,
    threads: int = 1,
) -> DerotationResult:
    """Put every line of a session's movie back in its place.

    Parameters
    ----------
    movie : path
        The movie's TIFF, or a pattern for several.
    angles : path
        The angles that the step ``interpolate_angles`` wrote.
    calibration : path
        The calibration of this session or of another one.
    config : mapping
        The configuration; its sections ``derotate`` and ``movie`` are read, and the key
        ``scan.bidirectional``.
    output : path
        Where ``derotated.tif`` goes.
    seen : path
        Where that goes which tells the pixels that each frame saw.
    mean, raw_mean, coverage : path
        Where the images go: the mean of the derotated and of the raw movie, and the fraction of
        the frames that saw each pixel.
    coverage_table : path
        Where the table goes that says which fraction of its pixels each frame saw.
    statistics : path
        Where that goes which the step ``measure_quality`` needs to know about the movie.
    before_after, contact_sheet : path
        Where the plots go.
    movement : path, optional
        The movement against the session's reference, to whose field of view it is aligned.
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
    found = Calibration.load(calibration)
    lines = Angles.load(angles).shifted(found.lag_ms)
    moved = None if movement is None else read_movement(movement)
    with open_session_movie(movie, config) as opened:
        result = derotate_movie(
            opened,
            lines,
            found,
            output,
            seen_output=seen,
            timing=line_timing(opened, lines, config),
            movement=moved,
            **({} if illumination is None else read_gain(illumination)),
            config=config["derotate"],
            frames_per_chunk=frames_per_chunk,
            threads=threads,
        )
        pixel_size = opened.metadata.pixel_size_um
    for path, image in ((mean, result.mean), (raw_mean, result.raw_mean), (coverage, result.seen)):
        _save_image(path, image, pixel_size)
    rows = (f"{frame},{fraction:.6g}\n" for frame, fraction in enumerate(result.coverage))
    write_text(coverage_table, "frame,coverage\n" + "".join(rows))
    result.statistics.save(statistics)
    save_plot(plot_before_after(result, found, moved), before_after)
    save_plot(plot_contact_sheet(result, lines), contact_sheet)
    return result


def _save_image(path: str | Path, image: NDArray[np.float32], pixel_size: float | None) -> None:
    """Write one image as a TIFF of floats."""
    with TiffStackWriter(path, (1, *image.shape), np.float32, pixel_size_um=pixel_size) as writer:
        writer.write(image)
