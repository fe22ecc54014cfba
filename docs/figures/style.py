"""What the pictures have in common."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

# Okabe and Ito's colors, told apart by everybody.
BLUE, SKY, ORANGE, VERMILION, GREEN = "#0072B2", "#56B4E9", "#E69F00", "#D55E00", "#009E73"
GRAY, DARK = "#888888", "#333333"
DPI = 100


def figure(width: float, height: float) -> Figure:
    """Make a figure of a size in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def show(
    ax: Axes, image: NDArray[Any], title: str, limits: tuple[float, float] | None = None
) -> None:
    """Show a picture in gray without ticks; what was not seen is dark blue."""
    from matplotlib import colormaps

    low, high = np.nanquantile(image, [0.01, 0.998]) if limits is None else limits
    gray = colormaps["gray"].with_extremes(bad="#1B3A57")
    ax.imshow(image, cmap=gray, vmin=low, vmax=high, interpolation="nearest")
    ax.set_title(title, fontsize=10)
    ax.set_xticks([])
    ax.set_yticks([])
