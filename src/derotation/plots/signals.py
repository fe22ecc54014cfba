"""Pictures of the analog signals with the events that were found in them."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derotation.io.signals import AnalogSignals
from derotation.plots.colors import BLUE, GRAY, ORANGE, RED
from derotation.signals.events import Events, Repair

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = [
    "plot_channel_overview",
    "plot_closeup",
    "plot_measured_angle",
    "plot_rotation_start",
    "plot_signals",
]


TITLES = {
    "line_clock": "line clock",
    "frame_clock": "frame clock",
    "rotation_on": "rotation on",
    "rotation_ticks": "rotation ticks",
    "direction": "direction",
    "quadrature_a": "encoder A",
    "quadrature_b": "encoder B",
    "quadrature_index": "encoder index",
}
# The overview draws, per channel, the range of so many stretches; each is read at so many places.
N_STRETCHES = 900
READ_AT_MOST = 4000
SAMPLES_AT_ONCE = 1_000_000
# Around the start of a rotation (s).
BEFORE_S, AFTER_S = 0.02, 0.18
# The closest look holds so many lines and so many ticks.
CLOSE_LINES, CLOSE_TICKS = 6, 4
MAX_NOTES = 8
# More points are not seen.
MAX_POINTS = 20_000


def plot_signals(signals: AnalogSignals, events: Events, *, word: str = "rotation") -> "Figure":
    """Show all channels over the whole recording, and the start of the first rotation closely.

    Parameters
    ----------
    signals : AnalogSignals
        The signals; only a part of their samples is read.
    events : Events
        What was found in them.
    word : str
        What a rotation is called: a step, in the protocol incremental.

    Returns
    -------
    Figure
        Left: the range of each channel over time, with usable rotations shaded, unusable ones
        hatched, and triangles where something was repaired. Middle: the samples around the start
        of the first rotation, with the threshold, lines, frames and ticks as they were found.
        Right: a few lines and ticks within that rotation. Below: what was repaired, in words.
    """
    from matplotlib.figure import Figure

    roles = [role for role in signals.roles if role in events.levels]
    notes = [*events.repairs, *events.anomalies]
    n_notes = min(len(notes), MAX_NOTES + 1)
    figure = Figure(figsize=(15, 7.5 + 0.2 * n_notes), layout="constrained")
    heights = (7, 0.4 + 0.22 * n_notes)
    top, bottom = np.ravel(figure.subfigures(2, 1, height_ratios=heights, squeeze=False))
    axes = top.subplots(len(roles), 3, sharex="col", squeeze=False, width_ratios=(5, 3, 3))
    _leave_out_what_neighbors_say(axes)
    for row, role in enumerate(roles):
        plot_channel_overview(signals, events, role, axes[row, 0])
        plot_rotation_start(signals, events, role, axes[row, 1])
        plot_closeup(signals, events, role, axes[row, 2])
    shown = _shown_rotation(events)
    axes[-1, 0].set_xlabel("time (s)")
    axes[-1, 1].set_xlabel("time since rotation-on rose (ms)")
    axes[-1, 2].set_xlabel("time since rotation-on rose (ms)")
    axes[-1, 2].locator_params(axis="x", nbins=5)
    axes[0, 0].set_title(f"whole recording; {word}s shaded; top: repaired, bottom: odd")
    axes[0, 1].set_title(f"start of {word} {shown + 1}")
    axes[0, 2].set_title(f"a few lines and ticks within {word} {shown + 1}")
    _write_notes(bottom, notes)
    return figure


def _leave_out_what_neighbors_say(axes: NDArray[Any]) -> None:
    """Leave out times above the lowest row, and volts beside the same volts.

    Ticks take most of the time of the picture, also those without labels.
    """
    for ax in axes[:-1].ravel():
        ax.xaxis.set_visible(False)
    for ax in axes[:, 2]:
        ax.yaxis.set_visible(False)


def plot_measured_angle(events: Events) -> "Figure":
    """Show the angle that a table holds, where there are no signals, with what was said.

    Parameters
    ----------
    events : Events
        With a measured angle.

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    notes = [*events.repairs, *events.anomalies]
    figure = Figure(figsize=(15, 5), layout="constrained")
    top, bottom = np.ravel(figure.subfigures(2, 1, height_ratios=(4, 1), squeeze=False))
    ax = top.subplots()
    step = max(1, len(events.knot_time) // MAX_POINTS)
    ax.plot(events.knot_time[::step] / events.sampling_rate, events.knot_angle[::step], color=BLUE)
    ax.set_xlabel("time (s)")
    ax.set_ylabel("angle as measured (degrees)")
    _write_notes(bottom, notes)
    return figure


def plot_channel_overview(signals: AnalogSignals, events: Events, role: str, ax: "Axes") -> None:
    """Draw the range of a channel over the whole recording with its threshold and the rotations."""
    time, low, high = _envelope(signals, role, events.sampling_rate)
    ax.fill_between(time, low, high, color=GRAY, linewidth=0.3, edgecolor=GRAY)
    _draw_threshold(events, role, ax)
    _shade_rotations(events, ax)
    _mark_repairs(events, role, ax)
    ax.set_ylabel(f"{TITLES[role]} (V)")


def _shade_rotations(events: Events, ax: "Axes") -> None:
    """Shade usable rotations over the whole height and hatch unusable ones, each kind at once."""
    spans = np.stack([events.rotation_start, events.rotation_end - events.rotation_start], axis=1)
    looks: tuple[tuple[NDArray[np.bool_], dict[str, Any]], ...] = (
        (events.rotation_usable, {"color": BLUE, "alpha": 0.2, "linewidth": 0}),
        (
            ~events.rotation_usable,
            {"facecolor": "none", "edgecolor": RED, "hatch": "///", "linewidth": 0},
        ),
    )
    for chosen, look in looks:
        if chosen.any():
            shown = [(begin, length) for begin, length in spans[chosen] / events.sampling_rate]
            ax.broken_barh(shown, (0, 1), transform=ax.get_xaxis_transform(), **look)


def plot_rotation_start(signals: AnalogSignals, events: Events, role: str, ax: "Axes") -> None:
    """Draw the samples of a channel where a rotation starts, with what was found there.

    It is the first rotation whose start was recorded.
    """
    if not events.n_rotations:
        ax.set_axis_off()
        return
    zero = float(events.rotation_start[_shown_rotation(events)])
    rate = events.sampling_rate
    _draw_stretch(signals, events, role, ax, zero, zero - BEFORE_S * rate, zero + AFTER_S * rate)


def plot_closeup(signals: AnalogSignals, events: Events, role: str, ax: "Axes") -> None:
    """Draw a few lines and ticks in the middle of a rotation, with what was found there."""
    if not events.n_rotations:
        ax.set_axis_off()
        return
    k = _shown_rotation(events)
    start, end = float(events.rotation_start[k]), float(events.rotation_end[k])
    ticks = events.tick_time[events.tick_rotation == k]
    span = CLOSE_LINES * events.line_period
    if len(ticks) > CLOSE_TICKS:
        half = len(ticks) // 2
        span = max(span, CLOSE_TICKS * float(ticks[half] - ticks[half - 1]))
        middle = float(ticks[half])
    else:
        middle = (start + end) / 2
    _draw_stretch(signals, events, role, ax, start, middle - span / 2, middle + span / 2)


def _shown_rotation(events: Events) -> int:
    """Choose the first rotation that is usable, or at least has its start in the recording."""
    for good in (events.rotation_usable, events.rotation_start > 0):
        if good.any():
            return int(np.argmax(good))
    return 0


def _draw_stretch(
    signals: AnalogSignals,
    events: Events,
    role: str,
    ax: "Axes",
    zero: float,
    begin: float,
    end: float,
) -> None:
    """Draw the samples between two times with the events there; in ms since `zero`."""
    rate = events.sampling_rate
    start, stop = max(int(begin), 0), min(int(end), events.n_samples)
    volts = signals.volts(role, start, stop)
    ax.plot((np.arange(start, stop) - zero) / rate * 1000, volts, color=GRAY, linewidth=0.6)
    _draw_threshold(events, role, ax)
    times, computed = _events_of(events, role)
    here = (times >= start) & (times < stop)
    times, computed = times[here], computed[here]
    for near, color, label in (
        (times[~computed], BLUE, "found"),
        (times[computed], RED, "computed"),
    ):
        if not len(near) and color == RED:
            continue
        height = np.full(len(near), events.levels[role][2])
        ax.plot(
            (near - zero) / rate * 1000, height, "|", color=color, markersize=9,
            markeredgewidth=1.4, label=f"{label} ({len(near)})",
        )  # fmt: skip
    low, high, _ = events.levels[role]
    span = max(high - low, 0.5)  # a channel may be flat
    ax.set_ylim(low - 0.1 * span, high + 0.4 * span)  # room for the legend
    ax.legend(fontsize=7, loc="upper right", ncols=2)


def _mark_repairs(events: Events, role: str, ax: "Axes") -> None:
    """Draw a triangle at the top where something was repaired (below: what looks odd)."""
    for notes, color, height, marker in (
        (events.repairs, RED, 0.96, "v"),
        (events.anomalies, "black", 0.04, "^"),
    ):
        places = [place for note in notes if note.channel == role for place in note.places]
        ax.plot(
            places, np.full(len(places), height), marker, color=color, markersize=4,
            linestyle="none", transform=ax.get_xaxis_transform(),
        )  # fmt: skip


def _events_of(events: Events, role: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Give the times of a channel, and which of them were computed instead of found."""
    if role == "rotation_ticks":
        times, computed = events.tick_time, events.tick_inserted
    elif role == "line_clock":
        times, computed = events.line_start.ravel(), events.line_repaired.ravel()
    elif role == "frame_clock":
        times = np.concatenate([events.frame_start, events.frame_end])
        computed = np.zeros(len(times), np.bool_)
    else:
        times = np.concatenate([events.rotation_start, events.rotation_end])
        computed = np.zeros(len(times), np.bool_)
    return times, computed


def _envelope(
    signals: AnalogSignals, role: str, rate: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Find the range of a channel (V) in stretches of the recording; time in s."""
    raw, (gain, offset) = signals.raw(role), signals.scale(role)
    edges = np.linspace(0, signals.n_samples, N_STRETCHES + 1).astype(int)
    length = max(int(np.diff(edges).max()), 1)
    # A strided look at each stretch finds the levels of the pulses without reading everything.
    step = max(length // READ_AT_MOST, 1)
    low, high = (np.empty(N_STRETCHES) for _ in range(2))
    n_at_once = max(SAMPLES_AT_ONCE // length, 1)
    for k in range(0, N_STRETCHES, n_at_once):
        begin, *ends = edges[k : k + n_at_once + 1]
        samples = raw[begin : ends[-1] : step]
        starts = -(-(np.array([begin, *ends[:-1]]) - begin) // step)
        for extreme, found in ((np.minimum, low), (np.maximum, high)):
            found[k : k + len(ends)] = extreme.reduceat(samples, starts) * gain + offset
        signals.release()
    return (edges[:-1] + edges[1:]) / 2 / rate, low, high


def _draw_threshold(events: Events, role: str, ax: "Axes") -> None:
    ax.axhline(events.levels[role][2], color=ORANGE, linewidth=1, linestyle="--")


def _write_notes(figure: "SubFigure", notes: list[Repair]) -> None:
    shown = [f"{note.channel}: {note.text}" for note in notes[:MAX_NOTES]]
    if len(notes) > MAX_NOTES:
        shown.append(f"... and {len(notes) - MAX_NOTES} more in events.json")
    text = "\n".join(shown) or "Nothing had to be repaired."
    figure.text(0.01, 0.95, text, fontsize=9, va="top", wrap=True)
