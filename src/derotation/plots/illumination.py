"""Pictures of the microscope's light and of the brightness at each angle."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from derotation.light.dark_angles import DarkAngles
from derotation.light.illumination import IlluminationEstimate
from derotation.plots.colors import BLUE, GRAY, ORANGE
from derotation.plots.movie import show_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

__all__ = ["plot_dark_angles", "plot_illumination", "plot_light", "plot_relative_brightness"]

# Brightness of parts is drawn in so many groups, by what the light makes of it.
GROUPS = 15


def plot_illumination(estimate: IlluminationEstimate) -> "Figure":
    """Show the light over the field, its uncertainty, and whether it agrees with the frames.

    Parameters
    ----------
    estimate : IlluminationEstimate

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.4), layout="constrained")
    light, doubt, check = figure.subplots(1, 3)
    plot_light(estimate, light)
    picture = doubt.imshow(100 * estimate.light_sd, cmap="cividis", vmin=0)
    figure.colorbar(picture, ax=doubt, label="standard uncertainty (%)", shrink=0.85)
    doubt.set(xlabel="x (px)", ylabel="y (px)")
    doubt.set_title("how well it is known", fontsize=10)
    plot_agreement(estimate, check)
    figure.suptitle(estimate.statement, fontsize=10, wrap=True)
    return figure


def plot_light(estimate: IlluminationEstimate, ax: "Axes") -> None:
    """Draw the light over the microscope's field, in percent, with lines of equal light."""
    percent = 100 * estimate.light
    span = max(float(np.quantile(np.abs(percent - 100), 0.995)), 2.0)
    picture = ax.imshow(percent, cmap="PuOr_r", vmin=100 - span, vmax=100 + span)
    if float(np.ptp(percent)) > 2:
        lines = ax.contour(percent, levels=7, colors="black", linewidths=0.7)
        ax.clabel(lines, fmt="%.0f", fontsize=7)
    ax.figure.colorbar(picture, ax=ax, label="light (% of its mean on the circle)", shrink=0.85)
    ax.set(xlabel="x (px)", ylabel="y (px)")
    ax.set_title("light in the microscope's field", fontsize=10)


def plot_agreement(estimate: IlluminationEstimate, ax: "Axes") -> None:
    """Draw the brightness of parts of the sample, relative to their own, against the light."""
    ax.set(xlabel="light found there (% of its mean)", ylabel="brightness of the part (%)")
    ax.set_title("do parts of the sample agree with it?", fontsize=10)
    if not len(estimate.compared):
        ax.text(0.5, 0.5, "nothing was measured", ha="center", transform=ax.transAxes)
        return
    expected, measured = 100 * estimate.compared.T
    groups = np.array_split(np.argsort(expected), GROUPS)
    at = np.array([np.median(expected[group]) for group in groups])
    measured = measured * (float(np.median(expected)) / float(np.median(measured)))
    low, middle, high = np.array([np.quantile(measured[g], [0.1, 0.5, 0.9]) for g in groups]).T
    ax.errorbar(
        at, middle, [middle - low, high - middle], fmt="o", color=BLUE, markersize=4, linewidth=1,
        label="median; 80 % of all lie within the bars",
    )  # fmt: skip
    span = max(float(np.abs(at - 100).max()), 5.0)
    ax.plot([100 - span, 100 + span], [100 - span, 100 + span], color=ORANGE, label="agreement")
    # Above, there is room for the legend.
    ax.set_ylim(min(float(low.min()), 100 - span) - 2, max(float(high.max()), 100 + span) + span)
    ax.legend(fontsize=8, loc="upper left")


def plot_dark_angles(found: DarkAngles) -> "Figure":
    """Show how bright the field and each blob are at each angle, and what the light explains.

    Parameters
    ----------
    found : DarkAngles

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7.2), layout="constrained")
    axes = figure.subplots(2, 2, width_ratios=(0.75, 1))
    seen = found.picture[found.picture > 0]
    show_image(
        axes[0, 0],
        found.picture,
        "mean picture, with the numbers of the blobs",
        None if not seen.size else (0.0, float(np.quantile(seen, 0.998))),
    )
    for k, (x, y) in enumerate(found.positions, start=1):
        axes[0, 0].text(x, y, str(k), color=ORANGE, fontsize=7, ha="center", va="center")
    plot_relative_brightness(found, axes[1, 0])
    before, after = axes[:, 1]
    span = _span(found)
    picture = None
    for ax, values, title in (
        (before, found.relative, "brightness of each blob at each angle"),
        (after, found.left, "what the illumination does not account for"),
    ):
        picture = _plot_blobs(values[1:], ax, title, span)
    if picture is not None:
        figure.colorbar(picture, ax=[before, after], label="% of the blob's mean", shrink=0.7)
    figure.suptitle(found.statement, fontsize=10, wrap=True)
    return figure


def plot_relative_brightness(found: DarkAngles, ax: "Axes") -> None:
    """Draw the brightness of the whole field at each angle, and what the light makes of it."""
    known = np.isfinite(found.relative[0])
    ax.axhline(100, color=GRAY, linewidth=0.8)
    if known.any():
        ax.plot(
            found.angles[known], 100 * found.illumination[0, known], color=ORANGE,
            label="due to the illumination",
        )  # fmt: skip
        sd = np.nan_to_num(found.relative_sd[0, known])
        ax.errorbar(
            found.angles[known], 100 * found.relative[0, known], 196 * sd, fmt="o", color=BLUE,
            markersize=4, linewidth=1, label="measured, with 95 % interval",
        )  # fmt: skip
        ax.legend(fontsize=8)
        low, high = ax.get_ylim()
        ax.set_ylim(min(low, 97), max(high, 103))
    else:
        ax.text(0.5, 0.5, "nothing was measured", ha="center", transform=ax.transAxes)
    ax.set(xlabel="angle (degrees)", ylabel="brightness (% of its mean)", xlim=(-5, 360))
    ax.set_xticks(range(0, 361, 90))
    ax.set_title("the whole field (what all frames see)", fontsize=10)


def _span(found: DarkAngles) -> float:
    """Choose the range of colors (percent), the same for both pictures of the blobs."""
    values = np.abs(found.relative[1:] - 1)
    values = values[np.isfinite(values)]
    return max(100 * float(np.quantile(values, 0.98)), 5.0) if values.size else 5.0


def _plot_blobs(
    values: NDArray[np.float64], ax: "Axes", title: str, span: float
) -> "AxesImage | None":
    """Draw the brightness of each blob (row) at each angle (column) in colors."""
    ax.set(xlabel="angle (degrees)", ylabel="blob")
    ax.set_title(title + " (gray: not seen)", fontsize=10)
    ax.set_facecolor("#AAAAAA")
    if not len(values):
        ax.text(0.5, 0.5, "no blob was found", ha="center", transform=ax.transAxes)
        return None
    step = 360 / values.shape[1]
    return ax.imshow(
        100 * values, cmap="PuOr_r", vmin=100 - span, vmax=100 + span, aspect="auto",
        extent=(-step / 2, 360 - step / 2, len(values) + 0.5, 0.5), interpolation="nearest",
    )  # fmt: skip
