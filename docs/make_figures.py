"""Make the pictures of the README and the docs from a simulated session.

Run it from the repository's root: ``python docs/make_figures.py``. It takes about ten seconds.
"""

import tempfile
from pathlib import Path

from matplotlib.figure import Figure

from derotation.angles import interpolate_angles
from derotation.center import estimate_center
from derotation.derotate import LineTiming
from derotation.events import parse_signals
from derotation.io.movie import open_movie
from derotation.io.signals import open_signals
from derotation.io.stimulus import read_stimulus
from derotation.plots.movie import show_image
from derotation.simulate import simulate_session
from derotation.streaming import derotate_movie

IMAGES = Path(__file__).parent / "images"


def before_after(path: Path) -> None:
    """Draw a frame and the mean image as recorded and derotated."""
    with tempfile.TemporaryDirectory() as folder:
        files = simulate_session(
            folder,
            shape=(200, 200),
            stimulus=((150.0, 1), (150.0, -1), (200.0, 1)),
            center_offset=(9.0, -6.0),
            bidirectional=True,
            photons_per_pixel=25.0,
            n_cells=45,
            seed=12,
        )
        with open_movie(files["movie"]) as movie:
            events = parse_signals(
                open_signals(files["signals"]),
                n_frames=len(movie),
                lines_per_frame=movie.shape[1],
                sampling_rate=50_000,
                protocol="full",
                stimulus=read_stimulus(files["stimulus"]),
                config={},
            )
            angles = interpolate_angles(events, protocol="full")
            timing = LineTiming(line_duty=angles.line_duty, bidirectional=True)
            calibration = estimate_center(movie, angles, timing=timing).calibration
            result = derotate_movie(movie, angles, calibration, None, timing=timing)
    figure = Figure(figsize=(11.2, 3.1), layout="constrained")
    axes = figure.subplots(1, 4)
    k = len(result.examples) // 2
    panels = (
        (result.raw_examples[k], "a frame, recorded while turning"),
        (result.derotated_examples[k], "the same frame, derotated"),
        (result.raw_turned_mean, "mean of all turning frames"),
        (result.turned_mean, "the same mean, derotated"),
    )
    for axis, (image, title) in zip(axes, panels, strict=True):
        show_image(axis, image, title)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    before_after(IMAGES / "before_after.png")
