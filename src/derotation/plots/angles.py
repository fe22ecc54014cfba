"""Pictures of the angles of a recording."""

from typing import TYPE_CHECKING

import numpy as np

from derotation.angles import AngleFlag, Angles
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
    if (angles.flags & np.uint8(AngleFlag.TICKS_REPAIRED)).any():
        _mark_repaired(angles, ax)
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
    if len(ax.get_legend_handles_labels()[0]) > 1:
        # Each unusable rotation has a patch of its own; one entry is enough.
        entries = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
        ax.legend(entries.values(), entries.keys(), fontsize=8)


def _mark_repaired(angles: Angles, ax: "Axes") -> None:
    """Draw a small triangle at the lines next to ticks that were missing."""
    frames, lines = np.nonzero(angles.flags & np.uint8(AngleFlag.TICKS_REPAIRED))
    step = max(len(frames) // MAX_POINTS, 1)
    where = frames[::step], lines[::step]
    time = angles.line_start[where] / angles.sampling_rate
    ax.plot(
        time, angles.line_angles[where], "v", color=RED, markersize=3, linestyle="none",
        label="next to a tick that was missing",
    )  # fmt: skip


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
        labels.add(label)
    for speed in np.unique(events.rotation_speed[np.isfinite(events.rotation_speed)].round(1)):
        ax.axhline(speed, color=GRAY, linewidth=0.9, linestyle=":")
    ax.set(
        xlabel="degrees turned since the rotation began",
        ylabel="speed (degrees/s)",
        title="speed of each rotation from its ticks (dotted: nominal)",
    )
    ax.set_ylim(bottom=0)
    if labels:
        ax.legend(fontsize=8)
