"""What a good derotation looks like, and what typical mistakes look like."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.plots.angles import plot_angle_trace
from derotation.plots.quality import plot_shift_components
from derotation.quality.measure import Quality, measure_quality
from derotation.signals.angles import Angles
from derotation.streaming.single_pass import derotate_movie
from figures.session import Session, simulated
from figures.style import Figure, figure, show

SESSION = {
    "shape": (144, 144),
    "frame_rate": 8,
    "stimulus": ((150.0, 1), (100.0, -1), (200.0, 1)),
    "center_offset": (6.0, 4.0),
    "photons_per_pixel": 20.0,
    "n_cells": 40,
    "seed": 21,
}
LIMIT = 6.5


@cache
def cases() -> dict[str, tuple[NDArray[np.float32], Quality]]:
    """Derotate well and badly: mean of the turning frames and judgment, of each case."""
    return dict(_cases())


def _cases() -> Iterator[tuple[str, tuple[NDArray[np.float32], Quality]]]:
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


def _judged(
    session: Session, angles: Angles | None = None, **changes: Any
) -> tuple[NDArray[np.float32], Quality]:
    lines = session.angles if angles is None else angles
    calibration = session.calibration.replace(**changes)
    result = derotate_movie(session.movie, lines, calibration, None)
    quality = measure_quality(
        result.statistics, session.events, lines, calibration, session="x", protocol="full"
    )
    return result.turned_mean, quality


def good_and_bad() -> Figure:
    """Show the mean of the turning frames, the shift by angle and the flag of each case."""
    picture = figure(10.2, 11.6)
    axes = picture.subplots(4, 3, height_ratios=(3, 1.5, 3, 1.5))
    for k, (name, (mean, quality)) in enumerate(cases().items()):
        row, column = 2 * (k // 3), k % 3
        show(axes[row, column], mean, name)
        axes[row, column].set_xlabel(_verdict(quality), fontsize=10)
        shifts = axes[row + 1, column]
        plot_shift_components(quality.residual, shifts)
        shifts.set(title="", ylabel="shift (px)", ylim=(-LIMIT, LIMIT))
    return picture


def _verdict(quality: Quality) -> str:
    """Name the flag, and the figure that comes first among those not ok."""
    if quality.flag == "ok":
        return "flag: ok"
    first = next(item for item in quality.figures if item.flag == quality.flag)
    return f"flag: {quality.flag} ({first.title})"


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
