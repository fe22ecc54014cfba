"""Axes at places that are known beforehand.

Matplotlib's constrained layout measures all tick labels to find out how much room they take, and
places titles and labels by measuring them again. For figures whose labels are of known size that is
a third of the time of drawing.
"""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["panels", "room", "settle", "state"]

# Inches: room for titles above, and for ticks and labels below and on the left of axes.
ABOVE, BELOW, LEFT, RIGHT = 0.3, 0.55, 0.75, 0.2
# Between axes that share what is along x.
GAP = 0.08
# Distance (in) of the near edge of a label from its axes.
LABEL_BELOW, LABEL_LEFT = 0.32, 0.52
# Of that, a tick and its distance from what is written at it (in); widths of what numbers are
# written with, in units of the font's size.
TICK = 0.1
WIDTHS = dict.fromkeys("0123456789", 0.64) | {".": 0.32, "-": 0.36, "\N{MINUS SIGN}": 0.84}


# A line of a statement above the panels, the distance of its first one from the top, and how many
# characters of it go into an inch.
STATED_LINE, STATED_FROM = 0.17, 0.09
CHARACTERS = 12.5


def panels(
    figure: "Figure",
    rows: int,
    columns: int,
    *,
    above: float = ABOVE,
    between: float | None = None,
    shared: bool = False,
    ratios: Sequence[float] | None = None,
) -> "NDArray[np.object_]":
    """Place axes in rows and columns, each with room for its labels.

    Parameters
    ----------
    figure : Figure
        Without a layout engine.
    rows, columns : int
    above : float
        Room for titles, inches.
    between : float, optional
        Room between rows, inches; by default for titles, and for labels if each row has its own.
    shared : bool
        Whether axes of a column share what is along x: only the last row has ticks and a label
        there.
    ratios : sequence of float, optional
        How wide the columns are, in units of each other.

    Returns
    -------
    ndarray of Axes, shape (rows, columns)
    """
    if between is None:
        between = above + (GAP if shared else BELOW)
    axes = figure.subplots(
        rows,
        columns,
        sharex="col" if shared else False,
        squeeze=False,
        width_ratios=ratios,
        gridspec_kw=room(figure, rows, columns, above=above, between=between),
    )
    if shared:
        for ax in axes[:-1].ravel():
            # Ticks take time even where they have no labels.
            ax.xaxis.set_visible(False)
    return np.asarray(axes)


def room(
    figure: "Figure",
    rows: int,
    columns: int,
    *,
    above: float = ABOVE,
    between: float = ABOVE + BELOW,
) -> dict[str, Any]:
    """Give the room around and between axes, as a ``GridSpec`` takes it.

    Parameters
    ----------
    figure : Figure
    rows, columns : int
    above : float
        Room for titles, inches.
    between : float
        Room between rows, inches.
    """
    width, height = figure.get_size_inches()
    # Of one axes.
    high = (height - BELOW - above - (rows - 1) * between) / rows
    wide = width / columns - LEFT - RIGHT
    return {
        "left": LEFT / width,
        "right": 1 - RIGHT / width,
        "bottom": BELOW / height,
        "top": 1 - above / height,
        "wspace": (LEFT + RIGHT) / wide,
        "hspace": between / high,
    }


def state(figure: "Figure", statement: str) -> float:
    """Write a statement at the top of a figure, over as many lines as it takes.

    Returns
    -------
    float
        Room (in) that it and the titles of one row of panels take: `above` of :func:`panels`.
    """
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(statement, int(CHARACTERS * width))
    figure.text(
        0.5, 1 - STATED_FROM / height, "\n".join(lines), fontsize=10, ha="center", va="top"
    )  # fmt: skip
    return STATED_FROM + STATED_LINE * len(lines) + ABOVE


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
        _fit_numbers(ax)


def _fit_numbers(ax: "Axes") -> None:
    """Write long numbers along y smaller, so that they do not reach the label."""
    axis = ax.yaxis
    texts = axis.get_major_formatter().format_ticks(axis.get_majorticklocs().tolist())
    if not set("".join(texts)) <= WIDTHS.keys():
        return
    widest = max((sum(WIDTHS[one] for one in text) for text in texts), default=0.0)
    size = float(axis.get_major_ticks(1)[0].label1.get_fontsize())
    fits = 72 * (LABEL_LEFT - TICK) / max(widest, 1e-9)
    if size > fits:
        ax.tick_params(axis="y", labelsize=fits)
