"""Pictures of the ellipses that blobs draw while the sample is turned."""

from typing import TYPE_CHECKING

import numpy as np

from derotation.calibration.center_by_blobs.ellipse import EllipseCenter
from derotation.numerics.thinning import thinned
from derotation.plots.colors import BLUE, GRAY, GREEN, ORANGE, PINK, RED, SKY, YELLOW

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_ellipse_center", "plot_ellipse_residuals", "plot_ellipses"]

COLORS = (SKY, ORANGE, GREEN, YELLOW, PINK, RED, BLUE)
# Ellipses beyond this number hide the picture.
MAX_SHOWN = 8


def plot_ellipse_center(estimate: EllipseCenter) -> "Figure":
    """Show the blobs on their ellipses, and how far they lie off them by angle.

    Parameters
    ----------
    estimate : EllipseCenter

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5, 5.2), layout="constrained")
    picture, residuals = figure.subplots(1, 2, width_ratios=(1, 1.1))
    plot_ellipses(estimate, picture)
    plot_ellipse_residuals(estimate, residuals)
    figure.suptitle(estimate.statement, fontsize=10, wrap=True)
    return figure


def plot_ellipses(estimate: EllipseCenter, ax: "Axes") -> None:
    """Draw the places of the blobs, their ellipses and the center on the maximum over the angles.

    Where there are many blobs, some of them are drawn: those found at most angles.
    """
    image, tracks, fit = estimate.image, estimate.tracks, estimate.fit
    low, high = np.quantile(image, [0.01, 0.998])
    ax.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-9))
    for number, k in enumerate(_shown(estimate)):
        color = COLORS[number % len(COLORS)]
        ellipse = fit.ellipse(int(k))
        around = np.linspace(0, 2 * np.pi, 200)
        cos, sin = np.cos(ellipse.theta), np.sin(ellipse.theta)
        u, v = ellipse.a * np.cos(around), ellipse.b * np.sin(around)
        ax.plot(
            ellipse.center_x + cos * u - sin * v,
            ellipse.center_y + sin * u + cos * v,
            "-", color=color, linewidth=0.8,
        )  # fmt: skip
        inside = fit.inliers[k]
        outside = tracks.found[k] & ~inside
        ax.plot(*tracks.positions[k, inside].T, ".", color=color, markersize=5)
        ax.plot(*tracks.positions[k, outside].T, "x", color=RED, markersize=5)
    x, y = estimate.center
    ax.plot(x, y, "+", color=ORANGE, markersize=14, markeredgewidth=2, label="center")
    if fit.plane_significant:
        _draw_plane(estimate, ax)
    height, width = image.shape
    ax.set(
        title=f"{len(tracks)} blobs; center ({x:.2f}, {y:.2f}) px",
        xlabel="x (px)",
        ylabel="y (px)",
        xlim=(-0.5, width - 0.5),
        ylim=(height - 0.5, -0.5),
    )
    ax.legend(fontsize=8, loc="lower right")


def plot_ellipse_residuals(estimate: EllipseCenter, ax: "Axes") -> None:
    """Draw by angle how far blobs lie from their ellipses in x and y, and the median of all."""
    tracks, fit = estimate.tracks, estimate.fit
    away = tracks.positions - fit.predicted
    turned = np.mod(tracks.angles, 360.0)
    track, image = np.nonzero(fit.inliers)
    for axis, (name, color, marker) in enumerate((("x", BLUE, "o"), ("y", ORANGE, "^"))):
        ax.plot(
            turned[image] + (1.2 if axis else -1.2), away[track, image, axis], marker, color=color,
            markersize=2, alpha=0.35,
        )  # fmt: skip
        there = np.flatnonzero(fit.inliers.any(axis=0))
        order = there[np.argsort(turned[there])]
        median = [np.median(away[fit.inliers[:, j], j, axis]) for j in order]
        ax.plot(turned[order], median, "-", color=color, linewidth=1.8, label=f"{name}, median")
    ax.axhline(0, color=GRAY, linewidth=0.8)
    ax.set(
        title=f"distance from the ellipses: {fit.residual_px:.2f} px rms",
        xlabel="angle of the sample (degrees)",
        ylabel="found minus ellipse (px)",
        xlim=(-5, 365),
    )
    ax.set_xticks(range(0, 361, 90))
    ax.legend(fontsize=8)


def _shown(estimate: EllipseCenter) -> "np.typing.NDArray[np.intp]":
    """Choose the blobs that are drawn, spread over the distances from the center."""
    counts = estimate.fit.inliers.sum(axis=1)
    good = np.flatnonzero(counts >= np.quantile(counts, 0.4))
    by_radius = good[np.argsort(estimate.fit.radii[good], kind="stable")]
    return thinned(by_radius, MAX_SHOWN)


def _draw_plane(estimate: EllipseCenter, ax: "Axes") -> None:
    """Draw the direction of the foreshortening through the center."""
    x, y = estimate.center
    fit = estimate.fit
    along = np.radians(fit.plane_orientation)
    reach = 0.12 * min(estimate.image.shape) * np.array([-1, 1])
    ax.plot(
        x + reach * np.cos(along), y + reach * np.sin(along), "-", color=ORANGE, linewidth=1.5,
        label=f"tilt {fit.plane_angle:.1f}° along {fit.plane_orientation:.0f}°",
    )  # fmt: skip
