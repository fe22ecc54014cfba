"""Pictures of the angles of a recording."""

from typing import TYPE_CHECKING

import numpy as np

from derotation.angles import Angles
from derotation.events import Events

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_angle_trace", "plot_angles", "plot_velocities"]

BLUE, ORANGE, RED, GRAY = "#0072B2", "#E69F00", "#D55E00", "#777777"
# Points of a trace that a picture can show.
MAX_POINTS = 20_000
# The speed at a tick is taken over this many ticks.
SPEED_TICKS = 10


def plot_angles(angles: Angles, events: Events) -> "Figure":
    """Show the angle of the lines over time, and how fast each rotation turned.

    Parameters
    ----------
    angles : Angles
    events : Events

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6.5), layout="constrained")
    trace, speed = figure.subplots(2, 1)
    plot_angle_trace(angles, events, trace)
    plot_velocities(events, speed)
    return figure


def plot_angle_trace(angles: Angles, events: Events, ax: "Axes") -> None:
    """Draw the angle of the lines over time; unusable stretches are hatched."""
    time = angles.line_start.ravel() / angles.sampling_rate
    degrees = angles.line_angles.ravel()
    step = max(len(time) // MAX_POINTS, 1)
    ax.plot(time[::step], degrees[::step], color=BLUE, linewidth=1, label="angle of the lines")
    for k in np.flatnonzero(~events.rotation_usable):
        start, end = (
            t[k] / events.sampling_rate for t in (events.rotation_start, events.rotation_end)
        )
        ax.axvspan(
            start, end, facecolor="none", edgecolor=RED, hatch="///", linewidth=0, label="unusable"
        )
    ax.set(
        xlabel="time (s)",
        ylabel="angle (degrees)",
        title="angle by which each line is turned back",
    )
    if not events.rotation_usable.all():
        ax.legend(fontsize=8)


def plot_velocities(events: Events, ax: "Axes") -> None:
    """Draw the speed of every rotation against the angle turned, with the nominal speed.

    Colors and line styles tell the directions apart; a straight plateau at the nominal speed
    between two ramps is what a healthy motor does.
    """
    labels = set()
    for k in np.flatnonzero(events.rotation_usable):
        mine = events.tick_rotation == k
        seconds = events.tick_time[mine] / events.sampling_rate
        turned = events.tick_angle[mine]
        if len(seconds) <= SPEED_TICKS:
            continue
        passed = seconds[SPEED_TICKS:] - seconds[:-SPEED_TICKS]
        speed = (turned[SPEED_TICKS:] - turned[:-SPEED_TICKS]) / passed
        middle = (turned[SPEED_TICKS:] + turned[:-SPEED_TICKS]) / 2
        direction = int(events.rotation_direction[k])
        color, style = (BLUE, "-") if direction > 0 else (ORANGE, "--")
        label = f"direction {direction:+d}"
        ax.plot(
            middle, speed, style, color=color, linewidth=1,
            label=None if label in labels else label,
        )  # fmt: skip
        ax.axhline(events.rotation_speed[k], color=GRAY, linewidth=0.7, linestyle=":")
        labels.add(label)
    ax.set(
        xlabel="degrees turned since the rotation began",
        ylabel="speed (degrees/s)",
        title="speed of each rotation from its ticks (dotted: as the stimulus table says)",
    )
    if labels:
        ax.legend(fontsize=8)
