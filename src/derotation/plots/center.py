"""Pictures of how the center of rotation was found."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.center import CenterEstimate
from derotation.plots.colors import BLUE, GRAY, ORANGE
from derotation.plots.panels import panels, settle, state

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from derotation.calibration.center_by_blobs import BayesianCenter, EllipseCenter

__all__ = ["plot_center", "plot_center_on_image", "plot_shifts"]


def plot_center(estimate: CenterEstimate) -> "Figure":
    """Show the center and what it was found from, as the method asks for.

    For registration: the sample at rest, and the shifts before and after.

    Parameters
    ----------
    estimate : CenterEstimate

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    if estimate.details is not None:
        return _plot_details(estimate.details)
    figure = Figure(figsize=(11, 4.2))
    axes = panels(figure, 1, 3, above=state(figure, estimate.calibration.statement))
    picture, before, after = axes[0]
    plot_center_on_image(estimate, picture)
    plot_shifts(estimate, before, after)
    settle(axes[:, 1:])
    return figure


def _plot_details(details: "EllipseCenter | BayesianCenter") -> "Figure":
    """Show how blobs told the center; what follows blobs is slow to import."""
    from derotation.calibration.center_by_blobs import EllipseCenter

    if isinstance(details, EllipseCenter):
        from derotation.plots.ellipse import plot_ellipse_center

        return plot_ellipse_center(details)
    from derotation.plots.bayesian import plot_bayesian_center

    return plot_bayesian_center(details)


def plot_center_on_image(estimate: CenterEstimate, ax: "Axes") -> None:
    """Draw the sample at rest with the center, and the disc that every rotating frame sees."""
    calibration = estimate.calibration
    height, width = calibration.image_shape
    x, y = calibration.center
    low, high = np.quantile(estimate.reference, [0.01, 0.995])
    ax.imshow(estimate.reference, cmap="gray", vmin=low, vmax=max(high, low + 1e-9))
    radius = min(x, y, width - 1 - x, height - 1 - y)
    if radius > 0:
        around = np.linspace(0, 2 * np.pi, 200)
        ax.plot(
            x + radius * np.cos(around), y + radius * np.sin(around), "--", color=BLUE,
            label="always seen",
        )  # fmt: skip
    path = estimate.path
    ax.plot(path[:, 0], path[:, 1], "-", color=ORANGE, linewidth=1)
    ax.plot(*path[0], "o", color=ORANGE, fillstyle="none", label="start")
    ax.plot(x, y, "+", color=ORANGE, markersize=14, markeredgewidth=2, label="center")
    ax.set(
        title=f"at rest; center ({x:.2f}, {y:.2f}) px",
        xlabel="x (px)",
        ylabel="y (px)",
    )
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    ax.legend(fontsize=8, loc="lower right")


def plot_shifts(estimate: CenterEstimate, before: "Axes", after: "Axes") -> None:
    """Draw the shift of each frame against the sample at rest, by angle, on two axes."""
    angles = np.mod(estimate.angles, 360)
    order = np.argsort(angles)
    _draw(before, angles[order], estimate.shifts[order], estimate.inliers[order])
    before.set_title("about the starting guess", fontsize=11)
    _draw(after, angles[order], estimate.residuals[order], estimate.inliers[order])
    rms = estimate.calibration.residual_px
    left = "" if rms is None else f": {rms:.2f} px rms"
    after.set_title(f"about the center found{left}", fontsize=11)
    span = 1.0
    if estimate.inliers.any():
        span = max(float(np.abs(estimate.residuals[estimate.inliers]).max()) * 1.5, 0.5)
    after.set_ylim(-span, span)
    if not len(angles):
        for axis in (before, after):
            axis.text(0.5, 0.5, "nothing was measured", ha="center", transform=axis.transAxes)


def _draw(
    ax: "Axes", angles: NDArray[np.float64], shifts: NDArray[Any], inliers: NDArray[np.bool_]
) -> None:
    for k, (name, color, marker) in enumerate((("x", BLUE, "o"), ("y", ORANGE, "^"))):
        ax.plot(angles[inliers], shifts[inliers, k], marker, color=color, markersize=3, label=name)
    if not inliers.all():
        ax.plot(
            np.repeat(angles[~inliers], 2), shifts[~inliers].ravel(), "x", color=GRAY,
            markersize=4, label="left out",
        )  # fmt: skip
    ax.axhline(0, color=GRAY, linewidth=0.8)
    ax.set(xlabel="angle of the frame (degrees)", ylabel="shift against rest (px)")
    ax.set_xlim(0, 360)
    ax.set_xticks(range(0, 361, 90))
    if len(angles):
        ax.legend(fontsize=8)
