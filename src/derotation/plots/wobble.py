"""Pictures of how the wobble of the axis was found."""

from typing import TYPE_CHECKING

import numpy as np

from derotation.calibration.wobble import WobbleEstimate
from derotation.plots.colors import BLUE, GRAY, ORANGE
from derotation.plots.panels import panels, settle, state

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_wobble", "plot_wobble_curve", "plot_wobble_path"]


def plot_wobble(estimate: WobbleEstimate) -> "Figure":
    """Show the shift of frames by their angle with the curve found, what is left, and the path.

    Parameters
    ----------
    estimate : WobbleEstimate

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.2))
    axes = panels(figure, 1, 3, above=state(figure, estimate.statement), ratios=(1, 1, 0.8))
    curve, left, path = axes[0]
    plot_wobble_curve(estimate, curve, left)
    plot_wobble_path(estimate, path)
    settle(axes[:, :2])
    return figure


def plot_wobble_curve(estimate: WobbleEstimate, curve: "Axes", left: "Axes") -> None:
    """Draw shifts against angles with the fitted curve and its 95 % band, and what is left."""
    angles = np.mod(estimate.angles, 360)
    used = estimate.inliers
    for k, (name, color, marker) in enumerate((("x", BLUE, "o"), ("y", ORANGE, "^"))):
        curve.plot(
            angles[used], estimate.shifts[used, k], marker, color=color, markersize=3, label=name
        )
        left.plot(
            angles[used], estimate.residuals[used, k], marker, color=color, markersize=3, label=name
        )
        if estimate.order and used.any():
            middle, width = estimate.curve[:, k], 1.96 * estimate.curve_sd[:, k]
            curve.plot(estimate.curve_angles, middle, color=color, linewidth=1.5)
            curve.fill_between(
                estimate.curve_angles, middle - width, middle + width, color=color, alpha=0.25,
                linewidth=0,
            )  # fmt: skip
    for ax in (curve, left):
        ax.axhline(0, color=GRAY, linewidth=0.8)
        ax.set(xlabel="angle of the frame (degrees)", ylabel="shift of the recorded picture (px)")
        ax.set_xlim(0, 360)
        ax.set_xticks(range(0, 361, 90))
        if used.any():
            ax.legend(fontsize=8)
        else:
            ax.text(0.5, 0.5, "nothing was measured", ha="center", transform=ax.transAxes)
    curve.set_title(f"about the center; {estimate.order} harmonics with 95 % band")
    left.set_title("what the curve leaves")
    if used.any():
        span = max(1.5 * float(np.nanmax(np.abs(estimate.residuals[used]))), 0.2)
        left.set_ylim(-span, span)


def plot_wobble_path(estimate: WobbleEstimate, ax: "Axes") -> None:
    """Draw the path on which the axis wanders in one turn, with the angle along it."""
    x, y = estimate.curve.T
    ax.plot(x, y, "-", color=BLUE if estimate.corrected else GRAY, linewidth=1.5)
    low, high = estimate.curve.min(axis=0), estimate.curve.max(axis=0)
    middle, span = (low + high) / 2, max(0.65 * float((high - low).max()), 0.2)
    if estimate.order:
        for angle in (0, 90, 180, 270):
            at = int(np.argmin(np.abs(estimate.curve_angles - angle)))
            ax.plot(x[at], y[at], "o", color=ORANGE, markersize=5)
            ax.annotate(f"{angle}°", (x[at], y[at]), xytext=(5, 5), textcoords="offset points")
    else:
        ax.text(0.5, 0.5, "no wobble was found", ha="center", transform=ax.transAxes)
    ax.set(xlim=(middle[0] - span, middle[0] + span), ylim=(middle[1] + span, middle[1] - span))
    ax.set_aspect("equal")
    ax.set(xlabel="shift x (px)", ylabel="shift y (px)")
    ax.set_title("wobble; corrected" if estimate.corrected else "wobble; not corrected")
    ax.grid(color=GRAY, alpha=0.3)
