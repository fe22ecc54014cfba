"""A picture of the channels of a signals file, with what each of them looks like."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from derotation.io.channels import Channels, Stretch
from derotation.plots.colors import BLUE, GRAY, ORANGE, RED
from derotation.signals.look import SignalsLook
from derotation.signals.look_kinds import KIND_WORDS, ChannelLook

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_look"]

# The overview draws the range of so many parts of the first stretch.
N_PARTS = 1200
# The closer looks hold so many frames and so many lines.
FRAMES, LINES = 3.0, 8.0
# Where no clock was found (samples).
CLOSE = 2000
# Ticks after which the motor runs.
TICKS_BEFORE = 200
COLORS = {
    "line_clock": BLUE,
    "frame_clock": BLUE,
    "rotation_on": ORANGE,
    "rotation_ticks": ORANGE,
    "direction": ORANGE,
    "quadrature_a": ORANGE,
    "quadrature_b": ORANGE,
    "angle_voltage": ORANGE,
    "unknown": RED,
}


def plot_look(look: SignalsLook, channels: Channels, rate: float | None) -> "Figure":
    """Show each channel: the first seconds, some frames, and some lines.

    Parameters
    ----------
    look : SignalsLook
        What was found.
    channels : Channels
        The file.
    rate : float or None
        Samples per second; None: times are in samples.

    Returns
    -------
    Figure
        A row per channel. The closer looks are where the sample begins to turn, if it does.
    """
    from matplotlib.figure import Figure

    n = len(look.channels)
    figure = Figure(figsize=(14, 1.6 + 1.05 * n), layout="constrained")
    axes = figure.subplots(n, 3, sharex="col", squeeze=False, width_ratios=(5, 3, 3))
    first = look.stretches[0]
    frames = _window(look, first, (look.clocks.frame_interval or CLOSE) * FRAMES)
    line = look.clocks.line_interval or (look.clocks.frame_interval or CLOSE) / 32
    lines = _window(look, first, line * LINES, n_before=TICKS_BEFORE)
    unit, scale = ("s", rate) if rate else ("samples", 1.0)
    closer, closer_scale = ("ms", rate / 1e3) if rate else ("samples", 1.0)
    whole, some, few = (
        channels.read([first])[0],
        *(channels.read([window])[0] for window in (frames, lines)),
    )
    for row, channel in enumerate(look.channels):
        color = COLORS.get(channel.kind, GRAY)
        time, low, high = _envelope(whole[row], first[0])
        axes[row, 0].fill_between(
            time / scale, low, high, color=color, linewidth=0.4, edgecolor=color
        )
        for ax, samples in ((axes[row, 1], some), (axes[row, 2], few)):
            at = np.arange(samples.shape[1]) / closer_scale
            ax.plot(at, samples[row], color=color, linewidth=0.9, drawstyle="steps-post")
        _label(axes[row, 0], channel)
        for ax in axes[row]:
            _limits(ax, channel)
    for window, style in ((frames, ":"), (lines, "--")):
        for ax in axes[:, 0]:
            ax.axvline(window[0] / scale, color="black", linewidth=0.7, linestyle=style)
    starts = [f"{window[0] / scale:.4g} {unit}" for window in (frames, lines)]
    axes[0, 0].set_title(f"the first {(first[1] - first[0]) / scale:.3g} {unit}", fontsize=10)
    axes[0, 1].set_title(f"{FRAMES:g} frames from {starts[0]} on (dotted)", fontsize=10)
    axes[0, 2].set_title(f"{LINES:g} lines from {starts[1]} on (dashed)", fontsize=10)
    axes[-1, 0].set_xlabel(f"time ({unit})")
    axes[-1, 1].set_xlabel(f"time ({closer})")
    axes[-1, 2].set_xlabel(f"time ({closer})")
    figure.suptitle(f"{look.path.name}: {look.stored}; voltages in V", fontsize=11)
    return figure


def _label(ax: "Axes", channel: ChannelLook) -> None:
    name = f" ({channel.name})" if channel.name else ""
    ax.set_ylabel(
        f"channel {channel.number}{name}\n{KIND_WORDS[channel.kind]}",
        rotation=0, ha="right", va="center", fontsize=9,
    )  # fmt: skip


def _limits(ax: "Axes", channel: ChannelLook) -> None:
    """Leave room about the levels; a flat channel shows what noise it has."""
    low, high = channel.pulses.low, channel.pulses.high
    margin = max(0.15 * (high - low), 0.5)
    ax.tick_params(labelsize=8)
    ax.set_ylim(low - margin, high + margin)


def _window(look: SignalsLook, first: Stretch, length: float, n_before: int = 0) -> Stretch:
    """Choose where a closer look begins: where the sample turns, after so many ticks."""
    moving = [c.pulses.start[0] for c in look.channels
              if c.kind in ("rotation_ticks", "quadrature_a")]  # fmt: skip
    begins = [int(start[min(n_before, len(start) // 2)]) for start in moving if len(start)]
    frames = [c.pulses.start[0] for c in look.channels if c.kind == "frame_clock"]
    start = min(begins, default=first[0])
    if len(frames) == 1 and len(frames[0]):
        # The last frame that began before.
        at = int(np.searchsorted(frames[0], start, side="right")) - 1
        start = int(frames[0][max(at, 0)])
    size = max(int(length), 16)
    start = max(min(start - size // 20, first[1] - size), first[0])
    return start, min(start + size, first[1])


def _envelope(
    samples: NDArray[np.float32], first: int
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]:
    """Give the range of each of many parts, at the time of its begin."""
    edges = np.unique(np.linspace(0, len(samples), N_PARTS + 1).astype(int))
    low = np.minimum.reduceat(samples, edges[:-1])
    high = np.maximum.reduceat(samples, edges[:-1])
    return first + edges[:-1].astype(np.float64), low, high
