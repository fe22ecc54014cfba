"""Pictures of the Bayesian search for the center of rotation."""

from typing import TYPE_CHECKING

import numpy as np

from derotation.calibration.center_by_blobs.bayesian import BayesianCenter
from derotation.plots.colors import BLUE, GRAY, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_bayesian_center", "plot_convergence", "plot_evaluations"]

MARKERS = {"start": "s", "explore": "o", "search": "^", "refine": "D"}
MEANING = {
    "start": "starting center",
    "explore": "at random",
    "search": "chosen by the optimizer",
    "refine": "refined",
}


def plot_bayesian_center(estimate: BayesianCenter) -> "Figure":
    """Show the derotated sample, the centers tried and the convergence.

    Parameters
    ----------
    estimate : BayesianCenter

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.6), layout="constrained")
    picture, map_, curve = figure.subplots(1, 3)
    low, high = np.quantile(estimate.image, [0.01, 0.998])
    picture.imshow(estimate.image, cmap="gray", vmin=low, vmax=max(high, low + 1e-9))
    x, y = estimate.center
    picture.plot(x, y, "+", color=ORANGE, markersize=14, markeredgewidth=2)
    picture.set(
        title=f"derotated mean; center ({x:.2f}, {y:.2f}) px", xlabel="x (px)", ylabel="y (px)"
    )
    plot_evaluations(estimate, map_)
    plot_convergence(estimate, curve)
    figure.suptitle(estimate.statement, fontsize=10, wrap=True)
    return figure


def plot_convergence(estimate: BayesianCenter, ax: "Axes") -> None:
    """Draw the distance of each evaluation and the least so far."""
    from matplotlib.ticker import MaxNLocator

    number = np.arange(1, len(estimate.evaluations) + 1)
    for phase, marker in MARKERS.items():
        chosen = np.array([name == phase for name in estimate.phases])
        if chosen.any():
            ax.plot(
                number[chosen], estimate.evaluations[chosen, 2], marker, color=BLUE, markersize=5,
                label=MEANING[phase],
            )  # fmt: skip
    ax.step(number, estimate.best_so_far, where="post", color=ORANGE, label="least so far")
    ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(
        title=f"least point-to-point distance: {estimate.ptd:.2f} px",
        xlabel="evaluation",
        ylabel="point-to-point distance (px)",
    )
    ax.legend(fontsize=8)


def plot_evaluations(estimate: BayesianCenter, ax: "Axes") -> None:
    """Draw the centers that were tried, colored by the point-to-point distance."""
    from matplotlib.colors import LogNorm

    centers, ptd = estimate.evaluations[:, :2], np.maximum(estimate.evaluations[:, 2], 1e-3)
    scale = LogNorm(float(ptd.min()) * 0.999, float(ptd.max()) * 1.001)
    for phase, marker in MARKERS.items():
        chosen = np.array([name == phase for name in estimate.phases])
        if chosen.any():
            points = ax.scatter(
                centers[chosen, 0], centers[chosen, 1], c=ptd[chosen], norm=scale, s=40,
                cmap="cividis", marker=marker, edgecolors=GRAY, linewidths=0.6,
            )  # fmt: skip
    (x, y), reach = estimate.biased_center, estimate.delta_center
    ax.plot(
        x + reach * np.array([-1, 1, 1, -1, -1]),
        y + reach * np.array([-1, -1, 1, 1, -1]),
        "--", color=GRAY, linewidth=0.8,
    )  # fmt: skip
    ax.plot(*estimate.center, "+", color=ORANGE, markersize=16, markeredgewidth=2)
    margin = 1.08 * reach
    ax.set(
        title="centers tried",
        xlabel="x (px)",
        ylabel="y (px)",
        xlim=(x - margin, x + margin),
        ylim=(y + margin, y - margin),
    )
    ax.set_aspect("equal")
    figure = ax.figure
    figure.colorbar(points, ax=ax, label="point-to-point distance (px)", shrink=0.8)
