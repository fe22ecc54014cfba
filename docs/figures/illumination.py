"""What uneven light does to a sample that turns, and how it is told and corrected."""

from functools import cache

import numpy as np

from derotation.light.illumination import IlluminationEstimate, estimate_illumination
from derotation.plots.illumination import plot_dark_angles, plot_illumination
from derotation.simulate import plan_recording
from figures.session import simulated
from figures.style import BLUE, GRAY, ORANGE, Figure, figure, show

PARAMETERS = {
    "shape": (160, 160),
    "frame_rate": 8,
    "stimulus": ((150.0, 1), (100.0, -1), (50.0, 1), (200.0, -1)),
    "center_offset": (5.0, -4.0),
    "n_cells": 40,
    "illumination": "sector",
    "illumination_strength": 0.5,
    "seed": 31,
}


@cache
def estimated() -> IlluminationEstimate:
    """Estimate the light of a session."""
    with simulated(**PARAMETERS) as session:
        return estimate_illumination(session.movie, session.angles, session.calibration)


def light_and_sample() -> Figure:
    """Show the true light, the sample at two angles under it, and one cell's brightness."""
    plan = plan_recording(**PARAMETERS)
    dark = estimated().dark_angles
    picture = figure(11.2, 3.3)
    light, first, second, trace = picture.subplots(1, 4, width_ratios=(1, 1, 1, 1.3))
    shown = light.imshow(100 * plan.illumination, cmap="cividis", vmin=0, vmax=100)
    light.set_title("the microscope's light (%)", fontsize=10)
    light.set_xticks([])
    light.set_yticks([])
    picture.colorbar(shown, ax=light, shrink=0.7)
    # Of the blobs that are always seen, the one that the light makes differ most.
    k = int(np.nanargmax(np.ptp(dark.illumination[1:], axis=1)))
    x, y = dark.positions[k]
    rows, columns = np.mgrid[: plan.shape[1], : plan.shape[2]]
    values = dark.illumination[k + 1]
    for ax, b in ((first, np.nanargmax(values)), (second, np.nanargmin(values))):
        angle = dark.angles[b]
        there = plan.place_in_sample(columns, rows, angle)
        show(ax, plan.scene.evaluate(*there) * plan.illumination, f"as recorded at {angle:g}°")
        at = plan.place_in_picture(x, y, angle)
        ax.plot(*at, "o", markersize=16, markerfacecolor="none", markeredgecolor=ORANGE)
    trace.axhline(100, color=GRAY, linewidth=0.8)
    trace.plot(dark.angles, 100 * dark.relative[k + 1], "o", color=BLUE, markersize=4,
               label="measured")  # fmt: skip
    trace.plot(dark.angles, 100 * values, color=ORANGE, label="due to the light")
    trace.set(xlabel="angle (degrees)", ylabel="brightness (% of its mean)",
              xticks=range(0, 361, 90))  # fmt: skip
    trace.set_title("the encircled cell", fontsize=10)
    trace.legend(fontsize=8)
    return picture


def illumination() -> Figure:
    """Draw the plot of the workflow."""
    return plot_illumination(estimated())


def dark_angles() -> Figure:
    """Draw the plot of the workflow."""
    return plot_dark_angles(estimated().dark_angles)
