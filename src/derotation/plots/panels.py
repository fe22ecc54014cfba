"""Axes at places that are known beforehand.

Matplotlib's constrained layout measures all tick labels to find out how much room they take, and
places titles and labels by measuring them again. For figures whose labels are of known size that is
a third of the time of drawing.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["panels", "settle"]

# Inches: room for titles above, and for ticks and labels below and on the left of axes.
ABOVE, BELOW, LEFT, RIGHT = 0.3, 0.55, 0.75, 0.2
# Between axes that share what is along x.
GAP = 0.08
# Distance (in) of the near edge of a label from its axes.
LABEL_BELOW, LABEL_LEFT = 0.32, 0.52


def panels(
    figure: "Figure", rows: int, columns: int, *, above: float = ABOVE, shared: bool = False
) -> "NDArray[np.object_]":
    """Place axes in rows and columns, each with room for its labels.

    Parameters
    ----------
    figure : Figure
        Without a layout engine.
    rows, columns : int
    above : float
        Room for titles, inches.
    shared : bool
        Whether axes share what is along x: only the last row has ticks and a label there.

    Returns
    -------
    ndarray of Axes, shape (rows, columns)
    """
    width, height = figure.get_size_inches()
    between = above + (GAP if shared else BELOW)
    # Of one axes.
    high = (height - BELOW - above - (rows - 1) * between) / rows
    wide = width / columns - LEFT - RIGHT
    axes = figure.subplots(
        rows,
        columns,
        sharex=shared,
        squeeze=False,
        gridspec_kw={
            "left": LEFT / width,
            "right": 1 - RIGHT / width,
            "bottom": BELOW / height,
            "top": 1 - above / height,
            "wspace": (LEFT + RIGHT) / wide,
            "hspace": between / high,
        },
    )
    if shared:
        for ax in axes[:-1].ravel():
            # Ticks take time even where they have no labels.
            ax.xaxis.set_visible(False)
    return np.asarray(axes)


def settle(axes: "NDArray[np.object_]") -> None:
    """Fix titles and labels of axes that :func:`panels` made, so that nothing has to be measured.

    Parameters
    ----------
    axes : ndarray of Axes
        With all that is to be drawn.
    """
    for ax in axes.ravel():
        wide, high = ax.figure.get_size_inches() * ax.get_position(original=True).size
        ax.xaxis.set_label_coords(0.5, -LABEL_BELOW / high)
        ax.yaxis.set_label_coords(-LABEL_LEFT / wide, 0.5)
        ax.set_title(ax.get_title(), y=1.0, fontsize=ax.title.get_fontsize())
