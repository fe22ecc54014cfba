"""Pictures of the angles of a recording."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derotation.numerics.pages import release
from derotation.plots.colors import BLUE, GRAY, ORANGE, RED
from derotation.plots.panels import room, settle
from derotation.signals.angles import AngleFlag, Angles
from derotation.signals.events import Events
from derotation.signals.repairs import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_angle_trace", "plot_angles", "plot_rotations", "plot_velocities"]

# Points of a trace that a picture can show.
MAX_POINTS = 20_000
# The speed at a tick is taken over this many ticks.
SPEED_TICKS = 10
# Columns for speeds; the last one takes all that are higher.
MAX_SPEEDS = 5


def plot_angles(angles: Angles, events: Events, *, word: str = "rotation") -> "Figure":
    """Show the angle of the lines over time, and angle and speed of each rotation.

    Rotations are sorted by their speed into columns, and by their direction into colors.

    Parameters
    ----------
    angles : Angles
    events : Events
    word : str
        What a rotation is called: a step, in the protocol incremental.

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    # Only ticks tell how a rotation went, apart from what the trace shows.
    groups = _by_speed(events) if events.angle_source == "ticks" else {}
    figure = Figure(figsize=(12, 9.5))
    columns = max(len(groups), 1)
    grid = figure.add_gridspec(3, columns, **room(figure, 3, columns))
    plot_angle_trace(angles, events, figure.add_subplot(grid[0, :]))
    for column, (speed, rotations) in enumerate(groups.items()):
        turned, velocity = (figure.add_subplot(grid[row, column]) for row in (1, 2))
        title = f"{speed:.0f} degrees/s, {counted(len(rotations), word)}"
        plot_rotations(events, rotations, turned, title)
        plot_velocities(events, velocity, rotations)
        for ax in (turned, velocity):
            # To measure and draw the labels of ticks takes half of the picture's time.
            ax.locator_params(nbins=4)
            ax.title.set_fontsize(10)  # five stand side by side
    settle(np.array(figure.axes))
    return figure


def _by_speed(events: Events) -> dict[float, NDArray[np.intp]]:
    """Sort usable rotations by their nominal speed, slow ones first."""
    usable = np.flatnonzero(events.rotation_usable)
    speeds = np.nan_to_num(events.rotation_speed[usable])
    # Measured speeds (protocol incremental) scatter a little.
    rounded = np.round(speeds / max(float(speeds.max(initial=1.0)) / 50, 1e-9)).astype(int)
    names = np.unique(rounded)
    if len(names) > MAX_SPEEDS:
        names = np.unique(np.minimum(names, names[MAX_SPEEDS - 1]))
        rounded = np.minimum(rounded, names[-1])
    return {float(np.median(speeds[rounded == name])): usable[rounded == name] for name in names}


def plot_rotations(
    events: Events, rotations: NDArray[np.intp], ax: "Axes", title: str = ""
) -> None:
    """Draw the degrees that some rotations have turned since they began, by direction.

    Rotations of one speed and direction that lie on one line are what a healthy motor does.
    """
    labels: set[str] = set()
    for k in _solid_first(events, rotations):
        mine = events.tick_rotation == k
        seconds = (events.tick_time[mine] - events.rotation_start[k]) / events.sampling_rate
        ax.plot(seconds, events.tick_angle[mine], **_look(events, k, labels))
    ax.set(xlabel="time since it began (s)", ylabel="degrees turned")
    ax.set_title(title)
    if labels:
        # To look for the best place among so many points takes longer than to draw them.
        ax.legend(fontsize=8, loc="upper left")


def _look(events: Events, rotation: int, labels: set[str]) -> dict[str, Any]:
    """Give the look of a rotation's line by its direction; each label is added once."""
    direction = int(events.rotation_direction[rotation])
    label = f"direction {direction:+d}"
    new = label not in labels
    labels.add(label)
    look = (
        {"color": BLUE, "linestyle": "-", "linewidth": 3}
        if direction > 0
        else {"color": ORANGE, "linestyle": "--", "linewidth": 1}
    )
    return look | {"label": label if new else None}


def _solid_first(events: Events, rotations: NDArray[np.intp]) -> NDArray[np.intp]:
    """Sort rotations so that thin dashed lines lie on thick solid ones and both can be seen."""
    return rotations[np.argsort(-events.rotation_direction[rotations], kind="stable")]


def plot_angle_trace(angles: Angles, events: Events, ax: "Axes") -> None:
    """Draw the angle of the lines over time; unusable stretches are hatched."""
    step = max(angles.line_start.size // MAX_POINTS, 1)
    time = angles.line_start.ravel()[::step] / angles.sampling_rate
    degrees = angles.line_angles.ravel()[::step]
    release(angles.line_start, angles.line_angles)
    ax.plot(time, degrees, color=BLUE, linewidth=1, label="angle of the lines")
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
        ax.legend(entries.values(), entries.keys(), fontsize=8, loc="upper right")


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


def plot_velocities(events: Events, ax: "Axes", rotations: NDArray[np.intp] | None = None) -> None:
    """Draw the speed of every rotation against the angle turned, with the nominal speed.

    Colors and line styles tell the directions apart; a straight plateau at the nominal speed
    between two ramps is what a healthy motor does. All usable rotations unless some are given.
    """
    labels: set[str] = set()
    shown = np.flatnonzero(events.rotation_usable) if rotations is None else rotations
    for k in _solid_first(events, shown):
        mine = events.tick_rotation == k
        seconds = events.tick_time[mine] / events.sampling_rate
        turned = events.tick_angle[mine]
        if len(seconds) <= SPEED_TICKS:
            continue
        passed = seconds[SPEED_TICKS:] - seconds[:-SPEED_TICKS]
        speed = (turned[SPEED_TICKS:] - turned[:-SPEED_TICKS]) / passed
        middle = (turned[SPEED_TICKS:] + turned[:-SPEED_TICKS]) / 2
        ax.plot(middle, speed, **_look(events, k, labels))
    nominal = events.rotation_speed[shown]
    for speed in np.unique(nominal[np.isfinite(nominal)].round(1)):
        label = None if "asked for" in labels else "asked for"
        labels.add("asked for")
        ax.axhline(speed, color=GRAY, linewidth=0.9, linestyle=":", label=label)
    ax.set(
        xlabel="degrees turned",
        ylabel="speed (degrees/s)",
        title="speed from the ticks",
    )
    ax.set_ylim(bottom=0)
    if labels:
        ax.legend(fontsize=8, loc="lower center")
