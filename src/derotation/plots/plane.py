"""Pictures of how the tilt of the plane of rotation was found."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.plane import PlaneEstimate
from derotation.plots.colors import BLUE, GRAY, GREEN, ORANGE, RED
from derotation.plots.panels import panels, settle, state

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_ellipse", "plot_plane", "plot_residual_affine"]


def plot_plane(estimate: PlaneEstimate) -> "Figure":
    """Show the path of a point of the sample, and what deforms frames without and with the tilt.

    Parameters
    ----------
    estimate : PlaneEstimate

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.2))
    axes = panels(figure, 1, 3, above=state(figure, estimate.statement), ratios=(0.8, 1, 1))
    path, before, after = axes[0]
    plot_ellipse(estimate, path)
    plot_residual_affine(estimate, before, after)
    settle(axes[:, 1:])
    return figure


def plot_ellipse(estimate: PlaneEstimate, ax: "Axes") -> None:
    """Draw the path of a point of the sample in the picture: an ellipse if the plane is tilted."""
    calibration = estimate.calibration
    height, width = calibration.image_shape
    x, y = calibration.center
    reach = max(min(x, y, width - 1 - x, height - 1 - y), 1.0)
    around = np.deg2rad(np.linspace(0, 360, 361))
    middle = np.array([x, y])
    circle = reach * np.stack([np.cos(around), np.sin(around)], axis=1)
    ax.plot(*(circle + middle).T, "--", color=GRAY, linewidth=1, label="no tilt")
    turned = np.deg2rad(estimate.plane_orientation)
    along, across = (
        np.array([np.cos(turned), np.sin(turned)]),
        np.array([-np.sin(turned), np.cos(turned)]),
    )
    squeeze = np.cos(np.deg2rad(estimate.plane_angle))
    ellipse = circle - (1 - squeeze) * np.outer(circle @ along, along)
    name = f"{estimate.plane_angle:.1f}° along {estimate.plane_orientation:.0f}°"
    color = BLUE if estimate.corrected else ORANGE
    ax.plot(*(ellipse + middle).T, "-", color=color, linewidth=2, label=name)
    for axis, length, style in ((along, squeeze, "-"), (across, 1.0, ":")):
        ends = np.array([-1, 1])[:, np.newaxis] * reach * length * axis + middle
        ax.plot(*ends.T, style, color=color, linewidth=1)
    ax.plot(x, y, "+", color=ORANGE, markersize=12, markeredgewidth=2)
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")
    verdict = "corrected" if estimate.corrected else "not corrected"
    ax.set(xlabel="x (px)", ylabel="y (px)", title=f"path of a point; {verdict}")
    ax.legend(fontsize=8, loc="lower right")


def plot_residual_affine(estimate: PlaneEstimate, before: "Axes", after: "Axes") -> None:
    """Draw what deforms each derotated frame, by its angle, without and with the tilt found."""
    angles = np.mod(estimate.angles, 360)
    order = np.argsort(angles)
    for ax, values in ((before, estimate.before), (after, estimate.after)):
        _draw(ax, angles[order], values[order], estimate.inliers[order])
    before.set_title("derotated without tilt")
    after.set_title("derotated with the tilt found")
    if not len(angles):
        for ax in (before, after):
            ax.text(0.5, 0.5, "nothing was measured", ha="center", transform=ax.transAxes)
        return
    for ax, values in ((before, estimate.before), (after, estimate.after)):
        shown = deformations(values[estimate.inliers])
        span = max(1.5 * float(np.nanmax(np.abs(shown), initial=0)), 0.3)  # room for the legend
        ax.set_ylim(-span, span)


def deformations(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Split affine displacements (n, 6) into stretch, shear, scale and rotation (n, 4), pixels."""
    xx, xy, yx, yy = values[:, 2:].T
    return np.stack([(xx - yy) / 2, (xy + yx) / 2, (xx + yy) / 2, (yx - xy) / 2], axis=1)


def _draw(
    ax: "Axes",
    angles: NDArray[np.float64],
    values: NDArray[np.float64],
    inliers: NDArray[np.bool_],
) -> None:
    parts = deformations(values)
    looks = (
        ("stretch along x", BLUE, "o"),
        ("shear", ORANGE, "^"),
        ("scale", GREEN, "s"),
        ("rotation", RED, "x"),
    )
    for k, (name, color, marker) in enumerate(looks):
        ax.plot(angles[inliers], parts[inliers, k], marker, color=color, markersize=4, label=name)
    ax.axhline(0, color=GRAY, linewidth=0.8)
    ax.set(xlabel="angle of the frame (degrees)", ylabel="displacement at the edge (px)")
    ax.set_xlim(0, 360)
    ax.set_xticks(range(0, 361, 90))
    if len(angles):
        ax.legend(fontsize=8, ncols=2)
