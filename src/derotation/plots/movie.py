"""Pictures of a movie before and after derotation."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.calibration.calibration import Calibration
from derotation.maps import transforms
from derotation.plots.colors import BLUE, ORANGE
from derotation.plots.sheet import plot_pairs
from derotation.signals.angles import Angles
from derotation.streaming.single_pass import DerotationResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "plot_before_after",
    "plot_channels",
    "plot_contact_sheet",
    "plot_coverage",
    "plot_planes",
    "show_image",
]


def show_image(
    ax: "Axes", image: NDArray[Any], title: str, limits: tuple[float, float] | None = None
) -> None:
    """Show an image in gray, between its 1st and 99.5th percentile unless limits are given."""
    low, high = np.quantile(image, [0.01, 0.995]) if limits is None else limits
    ax.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-9), interpolation="nearest")
    ax.set_title(title, fontsize=10)
    ax.set_xticks([])
    ax.set_yticks([])


def plot_before_after(
    result: DerotationResult, calibration: Calibration, movement: ArrayLike | None = None
) -> "Figure":
    """Show the mean of the turned frames as recorded and derotated, and what was seen.

    Cells that are smeared on the left and round in the middle tell that the movie stands still. The
    center goes through the movement against a reference, if there is one, as the movie did.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.3), layout="constrained")
    raw, derotated, seen = figure.subplots(1, 3)
    often = result.seen > 0.5
    limits = _limits(result.turned_mean[often] if often.any() else result.turned_mean)
    show_image(raw, result.raw_turned_mean, "mean of the rotating frames, as recorded", limits)
    show_image(derotated, result.turned_mean, "mean of the same frames, derotated", limits)
    center = np.array(calibration.center)
    if movement is not None:
        center = transforms.apply(np.asarray(movement)[:2], center)
    for axis, place in ((raw, calibration.center), (derotated, center)):
        axis.plot(*place, "+", color=ORANGE, markersize=12, markeredgewidth=1.5)
    picture = seen.imshow(result.seen * 100, cmap="cividis", vmin=0, vmax=100)
    seen.set_title("how often each pixel was seen", fontsize=10)
    seen.set_xticks([])
    seen.set_yticks([])
    figure.colorbar(picture, ax=seen, label="frames (%)", shrink=0.85)
    return figure


def plot_channels(result: DerotationResult) -> "Figure":
    """Show the mean of the derotated movie in each channel, the one that calibrates first."""
    from matplotlib.figure import Figure

    means = {result.channel: result.mean, **result.further_means}
    figure = Figure(figsize=(4 * len(means), 4.3), layout="constrained")
    often = result.seen > 0.5
    for axis, (number, mean) in zip(
        figure.subplots(1, len(means), squeeze=False)[0], means.items(), strict=True
    ):
        says = " (calibrates)" if number == result.channel else ""
        limits = _limits(mean[often] if often.any() else mean)
        show_image(axis, mean, f"channel {number}{says}: mean, derotated", limits)
    return figure


def plot_planes(
    means: Mapping[int, tuple[NDArray[np.float32], NDArray[np.float32]]],
) -> "Figure":
    """Show the mean of each further plane's turned frames, as recorded (above) and derotated."""
    from matplotlib.figure import Figure

    columns = max(1, len(means))
    figure = Figure(figsize=(max(4 * columns, 6), 8.3), layout="constrained")
    axes = figure.subplots(2, columns, squeeze=False)
    if not means:
        figure.suptitle("this session has no further planes")
    for axis in axes.ravel():
        axis.set_axis_off()
    for (above, below), (plane, (raw, derotated)) in zip(axes.T, means.items(), strict=False):
        limits = _limits(derotated)
        show_image(above, raw, f"plane {plane}: mean of the rotating frames, as recorded", limits)
        show_image(below, derotated, "mean of the same frames, derotated", limits)
    return figure


def plot_contact_sheet(result: DerotationResult, angles: Angles) -> "Figure":
    """Show single frames as recorded (upper rows) and derotated (lower rows) at various angles."""
    order = np.argsort(np.mod(np.nan_to_num(angles.frame_angles[result.examples]), 360))
    pairs = [
        (
            result.raw_examples[k],
            result.derotated_examples[k],
            f"frame {frame}: {round(np.nan_to_num(angles.frame_angles[frame]))}°",
        )
        for k, frame in zip(order, result.examples[order], strict=True)
    ]
    return plot_pairs(pairs, _limits(result.derotated_examples))


def plot_coverage(result: DerotationResult, angles: Angles, ax: "Axes") -> None:
    """Draw the fraction of the picture that each frame saw, over time."""
    time = np.arange(len(result.coverage)) / angles.frame_rate
    ax.plot(time, 100 * result.coverage, color=BLUE, linewidth=1)
    ax.set(xlabel="time (s)", ylabel="pixels seen (%)", ylim=(0, 103), title="coverage")


def _limits(values: NDArray[Any]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.01, 0.998])
    return float(low), float(high)
