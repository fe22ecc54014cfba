"""Pictures by which a person judges a derotated session."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derotation.images.ptd import MostDetectedBlob
from derotation.numerics.binning import binned
from derotation.plots.colors import BLUE, GRAY, ORANGE, RED
from derotation.plots.panels import BELOW, LEFT, RIGHT, panels, settle
from derotation.plots.sheet import plot_pairs
from derotation.quality.along import Along
from derotation.quality.measure import Quality
from derotation.quality.residual import ResidualShift
from derotation.signals.angles import Angles
from derotation.streaming.statistics import Statistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "plot_blob",
    "plot_blob_places",
    "plot_coverage_over_time",
    "plot_mean_by_angle",
    "plot_quality_over_time",
    "plot_residual_shift",
    "plot_shift_components",
    "plot_shift_lengths",
]

# Pictures on the contact sheet.
MAX_PICTURES = 12
PICTURE_SIZE = 200
# Room (in) for a title of two lines.
TWO_LINES = 0.5
# Stretches of rotation that a picture can show as such.
MAX_SHADES = 400


def plot_residual_shift(quality: Quality) -> "Figure":
    """Show by how much the mean image at each angle is shifted against the sample at rest.

    Parameters
    ----------
    quality : Quality

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.2))
    axes = panels(figure, 1, 2)
    components, lengths = axes[0]
    plot_shift_components(quality.residual, components)
    plot_shift_lengths(quality.residual, lengths, look=quality["residual_shift_px"].look)
    settle(axes)
    return figure


def plot_shift_components(residual: ResidualShift, ax: "Axes") -> None:
    """Draw the shift left after derotation in x and y by angle; unknown ones as gray crosses."""
    for k, (name, color, marker) in enumerate((("x", BLUE, "o"), ("y", ORANGE, "^"))):
        ax.plot(
            residual.angle, residual.shift[:, k], marker + "-", color=color, markersize=4,
            linewidth=1, label=name,
        )  # fmt: skip
    ax.axhline(0, color=GRAY, linewidth=0.8)
    known = residual.shift[np.isfinite(residual.shift)]
    span = max(1.3 * float(np.abs(known).max()) if known.size else 0.0, 0.5)
    ax.set_ylim(-span, span)
    _mark_unknown(ax, residual, -0.93 * span)
    _by_angle(ax, "shift left after derotation (px)", "mean image at each angle against rest")


_LENGTHS_PX = (0, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def plot_shift_lengths(residual: ResidualShift, ax: "Axes", *, look: float | None = None) -> None:
    """Draw the length of the shift by angle, before and after, on a scale from 0 on."""
    for shift, label, color, marker in (
        (residual.raw_shift, "before: raw, turned back as a whole", ORANGE, "^"),
        (residual.shift, "after: derotated line by line", BLUE, "o"),
    ):
        ax.plot(
            residual.angle, np.hypot(*shift.T), marker + "-", color=color, markersize=4,
            linewidth=1, label=label,
        )  # fmt: skip
    if look is not None:
        ax.axhline(look, color=GRAY, linestyle="--", linewidth=1, label=f"look from {look:g} px on")
    # Tenths of a pixel beside tens of them: even up to 0.1 px, by powers of ten from there on.
    ax.set_yscale("symlog", linthresh=0.1)
    shown = [line.get_ydata() for line in ax.get_lines()]
    highest = np.nanmax([np.nanmax(np.asarray(y, float), initial=0.2) for y in shown])
    marks = [mark for mark in _LENGTHS_PX if mark <= highest] or [0]
    ax.set_yticks(marks, [f"{mark:g}" for mark in marks])
    ax.set_yticks([], minor=True)
    ax.set_ylim(0, 1.3 * highest)
    _by_angle(ax, "length of the shift (px)", "before and after")


def _mark_unknown(ax: "Axes", residual: ResidualShift, height: float) -> None:
    unknown = ~np.isfinite(residual.shift).all(axis=1)
    if unknown.any():
        ax.plot(
            residual.angle[unknown], np.full(unknown.sum(), height), "x", color=GRAY,
            label="cannot be told",
        )  # fmt: skip


def _by_angle(ax: "Axes", ylabel: str, title: str) -> None:
    ax.set(xlabel="angle (degrees)", ylabel=ylabel, title=title, xlim=(-8, 360))
    ax.set_xticks(range(0, 361, 90))
    ax.legend(fontsize=8)


def plot_mean_by_angle(statistics: Statistics) -> "Figure":
    """Show the mean image at various angles, as recorded (upper rows) and derotated (lower rows).

    Parameters
    ----------
    statistics : Statistics

    Returns
    -------
    Figure
        The first picture is the sample at rest.
    """
    n, side = len(statistics.angle), statistics.side
    chosen = np.unique(np.linspace(0, n - 1, min(n, MAX_PICTURES - 1)).round().astype(int))
    raw_rest, derotated_rest = (
        binned(image, side) for image in (statistics.raw_rest, statistics.rest)
    )
    rest = (raw_rest, derotated_rest, f"at rest\n{statistics.n_rest} frames")
    pictures = [rest] if statistics.n_rest else []
    pictures += [
        (
            statistics.raw_mean[k],
            statistics.mean[k],
            f"{statistics.angle[k]:.0f}°\n{statistics.n_frames[k]} frames",
        )
        for k in chosen[: n or 0]
    ]
    # Each picture is drawn 200 px wide; the whole ones take long to draw.
    factor = max(min(derotated_rest.shape) // PICTURE_SIZE, 1)
    pairs = [(binned(raw, factor), binned(derotated, factor), name)
             for raw, derotated, name in pictures]  # fmt: skip
    return plot_pairs(pairs, _limits([derotated for _, derotated, _ in pictures]))


def _limits(images: list[NDArray[Any]]) -> tuple[float, float]:
    known = np.concatenate([image[np.isfinite(image)][::7] for image in images] or [np.zeros(1)])
    low, high = np.quantile(known if known.size else np.zeros(1), [0.01, 0.998])
    return float(low), float(high)


def plot_blob(quality: Quality, statistics: Statistics) -> "Figure":
    """Show where the most detected blob lies at each angle, as recorded and derotated.

    Parameters
    ----------
    quality : Quality
    statistics : Statistics

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    rows, columns = statistics.turned_mean.shape
    # The axes have the shape of the pictures.
    wide = 12.6 / 3 - LEFT - RIGHT
    figure = Figure(figsize=(12.6, wide * rows / columns + BELOW + TWO_LINES))
    axes = panels(figure, 1, 3, above=TWO_LINES)
    before, after, near = axes[0]
    plot_blob_places(quality.raw_blob, statistics.raw_turned_mean, before, "as recorded")
    plot_blob_places(quality.blob, statistics.turned_mean, after, "derotated")
    plot_blob_places(quality.blob, statistics.turned_mean, near, "derotated, close-up")
    if quality.blob is not None and len(quality.blob.images):
        x, y = np.median(quality.blob.positions, axis=0)
        reach = max(12.0, 1.5 * float(np.ptp(quality.blob.positions, axis=0).max()))
        # Of the frame's own shape, so that it takes as much room as the others.
        height, width = reach, reach * columns / rows
        near.set(xlim=(x - width, x + width), ylim=(y + height, y - height))
        near.set_title("derotated, close-up", fontsize=10)
    settle(axes)
    return figure


def plot_blob_places(
    blob: MostDetectedBlob | None, image: NDArray[np.float32], ax: "Axes", title: str
) -> None:
    """Draw the places of a blob on a mean image of the turned frames."""
    limits = _limits([image])
    ax.imshow(
        np.where(np.isfinite(image), image, limits[0]), cmap="gray", vmin=limits[0],
        vmax=max(limits[1], limits[0] + 1e-9), interpolation_stage="data",
    )  # fmt: skip
    if blob is None or not len(blob.images):
        ax.set_title(f"{title}: no blob in several mean images", fontsize=10)
    else:
        ax.plot(*blob.positions.T, "o", color=ORANGE, markersize=5, markerfacecolor="none")
        ax.set_title(
            f"{title}: seen at {100 * blob.share:.0f} % of the angles,\n"
            f"places {blob.ptd:.2f} px apart (PTD)",
            fontsize=10,
        )
    ax.set(xlabel="x (px)", ylabel="y (px)")


def plot_coverage_over_time(statistics: Statistics, angles: Angles) -> "Figure":
    """Show over time what each frame saw, how bright it was, and how like the sample at rest.

    Parameters
    ----------
    statistics : Statistics
    angles : Angles
        They tell when the sample turned.

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    time = (angles.frame_start - angles.frame_start[0]) / angles.sampling_rate
    figure = Figure(figsize=(12, 7))
    axes = panels(figure, 3, 1, shared=True)
    seen, light, alike = axes[:, 0]
    for ax in (seen, light, alike):
        _shade_rotations(ax, time, angles)
    seen.plot(time, 100 * statistics.coverage, color=BLUE, linewidth=1)
    seen.set(ylabel="pixels seen (%)", ylim=(0, 103), title="coverage (gray: the sample turns)")
    light.plot(time, statistics.brightness, color=BLUE, linewidth=1)
    dark = np.isfinite(statistics.brightness) & ~statistics.lit
    if dark.any():
        light.plot(
            time[dark], statistics.brightness[dark], "x", color=RED, markersize=4, label="dark"
        )
        light.legend(fontsize=8)
    light.set(ylabel="brightness (rest = 1)", title="brightness of what was seen")
    light.set_ylim(
        min(0.0, float(np.nanmin(statistics.brightness, initial=0.0))),
        1.1 * max(1.0, float(np.nanmax(statistics.brightness, initial=1.0))),
    )
    for values, label, color, marker in (
        (statistics.raw_correlation, "as recorded", ORANGE, "^"),
        (statistics.correlation, "derotated", BLUE, "o"),
    ):
        alike.plot(time, values, marker, color=color, markersize=2.5, label=label)
    alike.set(
        xlabel="time since the first frame (s)",
        ylabel="correlation",
        title="correlation of each frame with the sample at rest",
        ylim=(min(0.0, float(np.nanmin(statistics.raw_correlation, initial=0.0))) - 0.05, 1.02),
    )
    alike.legend(fontsize=8, loc="lower right")
    settle(axes)
    return figure


def plot_quality_over_time(quality: Quality) -> "Figure":
    """Show the figures of each rest and each rotation over time.

    Parameters
    ----------
    quality : Quality

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    along = quality.along
    time = (along.start_s + along.stop_s) / 2
    figure = Figure(figsize=(12, 7))
    axes = panels(figure, 3, 1, shared=True)
    shift, alike, light = axes[:, 0]
    rests = along.segments.rest
    for ax in (shift, alike, light):
        _shade_segments(ax, along)
    for k, (name, color, marker) in enumerate((("x", BLUE, "o"), ("y", ORANGE, "^"))):
        for which, fill in ((rests, color), (~rests, "none")):
            shift.plot(
                time[which], along.shift[which, k], marker, color=color, markersize=5,
                markerfacecolor=fill, label=f"{name}, {'rest' if fill == color else 'turned'}",
            )  # fmt: skip
    known = np.abs(along.shift[np.isfinite(along.shift)])
    span = max(1.3 * float(known.max(initial=0.0)), 0.5)
    shift.set(ylabel="shift (px)", ylim=(-span, span), title="shift against the first rest")
    for values, label, color, marker in (
        (along.likeness, "likeness of frames (rest = 1)", BLUE, "o"),
        (along.sharpness, "sharpness (best = 1)", ORANGE, "^"),
    ):
        alike.plot(time, values, marker + "-", color=color, markersize=4, linewidth=1, label=label)
    alike.set(ylabel="in units of good ones", title="likeness to the sample at rest, and sharpness")
    for values, label, color, marker in (
        (along.brightness, "brightness (rest = 1)", BLUE, "o"),
        (along.coverage, "coverage", ORANGE, "^"),
    ):
        light.plot(time, values, marker + "-", color=color, markersize=4, linewidth=1, label=label)
    light.set(xlabel="time since the first frame (s)", ylabel="fraction", title="what was seen")
    for ax in (alike, light):
        low, high = ax.get_ylim()
        ax.set_ylim(min(low, 0.0), max(high, 1.1))
    for ax in (shift, alike, light):
        ax.legend(fontsize=8, loc="lower left", ncols=4)
    settle(axes)
    return figure


def _shade_segments(ax: "Axes", along: Along) -> None:
    """Shade what turns in gray, and what is bad in red."""
    for which, color in ((~along.segments.rest & ~along.bad, "#E5E5E5"), (along.bad, "#F5C6AA")):
        spans = np.stack([along.start_s, along.stop_s - along.start_s], axis=1)[which]
        ax.broken_barh(
            [(float(start), float(width)) for start, width in spans], (0, 1), facecolor=color,
            linewidth=0, zorder=0, transform=ax.get_xaxis_transform(),
        )  # fmt: skip


def _shade_rotations(ax: "Axes", time: NDArray[np.float64], angles: Angles) -> None:
    turning = np.concatenate([[False], angles.rotation >= 0, [False]])
    edges = np.flatnonzero(np.diff(turning)).reshape(-1, 2)
    starts, ends = time[edges[:, 0]], time[np.minimum(edges[:, 1], len(time) - 1)]
    ax.broken_barh(
        [*zip(starts, ends - starts, strict=True)][:MAX_SHADES], (0, 1), facecolor="#E5E5E5",
        linewidth=0, zorder=0, transform=ax.get_xaxis_transform(),
    )  # fmt: skip
