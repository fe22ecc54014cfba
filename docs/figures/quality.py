"""What a good derotation looks like, and what typical mistakes look like."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from derotation.analysis.mean_images import mean_images_of_derotated
from derotation.angles import Angles
from derotation.plots.angles import plot_angle_trace
from derotation.streaming import derotate_movie
from figures.session import Session, simulated
from figures.style import BLUE, GRAY, ORANGE, Figure, figure, show

SESSION = {
    "shape": (144, 144),
    "frame_rate": 8,
    "stimulus": ((150.0, 1), (100.0, -1), (200.0, 1)),
    "center_offset": (6.0, 4.0),
    "photons_per_pixel": 20.0,
    "n_cells": 40,
    "seed": 21,
}
# Shifts are measured on the mean images at so many angles.
N_ANGLES = 24
LIMIT = 6.0

Judged = tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]


@cache
def cases() -> dict[str, Judged]:
    """Derotate well and badly: mean of the turning frames, angles and shifts at them, of each."""
    return dict(_cases())


def _cases() -> Iterator[tuple[str, Judged]]:
    with simulated(**SESSION, plane_angle=25.0, plane_orientation=40.0) as session:
        angles, (x, y) = session.angles, session.calibration.center
        yield "a good derotation", _judged(session)
        yield "center wrong by 3 px", _judged(session, center=(x + 3, y))
        flipped = replace(angles, line_angles=-angles.line_angles)
        yield "sign of the angles wrong", _judged(session, flipped)
        yield "tilt of 25° ignored", _judged(session, plane_angle=0.0)
        yield "angles 30 ms late", _judged(session, angles.shifted(-30.0))
        short = replace(angles, line_angles=0.95 * angles.line_angles)
        yield "5 % of the ticks missing, unnoticed", _judged(session, short)


def _judged(session: Session, angles: Angles | None = None, **changes: Any) -> Judged:
    lines = session.angles if angles is None else angles
    calibration = session.calibration.replace(**changes)
    mean = derotate_movie(session.movie, lines, calibration, None, timing=session.timing)
    means = mean_images_of_derotated(
        session.movie, lines, calibration.line_maps, targets=N_ANGLES, timing=session.timing
    )
    return mean.turned_mean, means.angles, _shifts(means.images, session.calibration.center)


def _shifts(images: NDArray[np.float32], center: tuple[float, float]) -> NDArray[np.float64]:
    """Measure the shift (x, y) of each image against the first, within the disc always seen."""
    from skimage.registration import phase_cross_correlation

    y, x = np.mgrid[: images.shape[1], : images.shape[2]]
    distance = np.hypot(x - center[0], y - center[1])
    radius = min(*center, images.shape[2] - 1 - center[0], images.shape[1] - 1 - center[1])
    window = np.cos(np.clip(distance / radius, 0, 1) * np.pi / 2)
    parts = [(image - image[distance < radius].mean()) * window for image in images]
    shifts = [
        phase_cross_correlation(parts[0], part, upsample_factor=20, normalization=None)[0]
        for part in parts
    ]
    # What moves the picture back is the opposite of how it has moved; (y, x) becomes (x, y).
    return -np.array(shifts)[:, ::-1]


def good_and_bad() -> Figure:
    """Show the mean of the turning frames, and the shift that is left by angle, of each case."""
    picture = figure(10.2, 11.2)
    axes = picture.subplots(4, 3, height_ratios=(3, 1.5, 3, 1.5))
    for k, (name, (mean, angles, shifts)) in enumerate(cases().items()):
        row, column = 2 * (k // 3), k % 3
        show(axes[row, column], mean, name)
        _draw_shifts(axes[row + 1, column], angles, shifts)
    return picture


def _draw_shifts(ax: Axes, angles: NDArray[np.float64], shifts: NDArray[np.float64]) -> None:
    off = np.abs(shifts).max(axis=1) > LIMIT
    for k, (name, color) in enumerate((("x", BLUE), ("y", ORANGE))):
        ax.plot(angles[~off], shifts[~off, k], "o^"[k], color=color, markersize=4, label=name)
    if off.any():
        ax.text(
            180, 0.75 * LIMIT, f"{off.sum()} of {off.size} beyond {LIMIT:.0f} px", ha="center",
            fontsize=9,
        )  # fmt: skip
    ax.axhline(0, color=GRAY, linewidth=0.8)
    ax.set(
        xlabel="angle (degrees)", ylabel="shift (px)", ylim=(-LIMIT, LIMIT), xlim=(-8, 360),
        xticks=range(0, 361, 90),
    )  # fmt: skip
    ax.legend(fontsize=8, loc="lower right", ncols=2)


def missing_ticks() -> Figure:
    """Show the plot of the angles with some ticks missing, and with too many in two rotations."""
    picture = figure(11, 3.6)
    titles = ("5 % of the ticks missing: mended", "10 % missing: some rotations are not used")
    for axis, title, missing in zip(picture.subplots(1, 2), titles, (0.05, 0.1), strict=True):
        with simulated(**SESSION, faults={"dropped_ticks": missing}) as session:
            plot_angle_trace(session.angles, session.events, axis)
        axis.set_title(title, fontsize=10)
        axis.legend(fontsize=8, loc="lower right")
    return picture
