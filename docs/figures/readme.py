"""The pictures at the top of the README."""

import tempfile
from pathlib import Path
from typing import Any

from derotation.io.movie import open_movie
from derotation.plots.animation import SideBySide, choose_frames, save_animation
from derotation.plots.movie import show_image
from derotation.streaming.single_pass import derotate_movie
from figures.session import simulated
from figures.style import Figure, figure

SAMPLE: dict[str, Any] = {
    "shape": (200, 200),
    "center_offset": (9.0, -6.0),
    "bidirectional": True,
    "photons_per_pixel": 25.0,
    "n_cells": 45,
    "seed": 12,
}


def standing_still(path: Path) -> None:
    """Write one rotation, frame by frame, as recorded and derotated."""
    # Frames enough for a smooth picture, with so little noise that the file stays small.
    sample = SAMPLE | {"photons_per_pixel": 150.0, "frame_rate": 8.0}
    with (
        simulated(**sample, stimulus=((100.0, 1), (150.0, -1))) as session,
        tempfile.TemporaryDirectory() as folder,
    ):
        file = Path(folder, "derotated.tif")
        derotate_movie(session.movie, session.angles, session.calibration, file)
        chosen = choose_frames(session.angles)
        with open_movie(file) as still:
            frames = SideBySide(
                raw=session.movie.read(chosen),
                derotated=still.read(chosen),
                angles=session.angles.frame_angles[chosen],
                times=session.angles.frame_start[chosen] / session.angles.sampling_rate,
                center=session.calibration.center,
            )
    save_animation(frames, path, max_bytes=1_000_000)


def before_after() -> Figure:
    """Draw a frame and the mean image as recorded and derotated."""
    with simulated(**SAMPLE, stimulus=((150.0, 1), (150.0, -1), (200.0, 1))) as session:
        result = session.derotated()
    picture = figure(11.2, 3.1)
    k = len(result.examples) // 2
    panels = (
        (result.raw_examples[k], "a frame, recorded while turning"),
        (result.derotated_examples[k], "the same frame, derotated"),
        (result.raw_turned_mean, "mean of all turning frames"),
        (result.turned_mean, "the same mean, derotated"),
    )
    for axis, (image, title) in zip(picture.subplots(1, 4), panels, strict=True):
        show_image(axis, image, title)
    return picture
