"""Many small pictures on one sheet: each as recorded, with the same derotated below it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Pair", "plot_pairs"]

Pair = tuple[NDArray[Any], NDArray[Any], str]
"""A picture as recorded, the same derotated, and what the first one is called."""

COLUMNS = 6
# Inches.
WIDTH, BESIDE, LINE, BELOW = 1.95, 0.13, 0.19, 0.07


def plot_pairs(pairs: Sequence[Pair], limits: tuple[float, float]) -> "Figure":
    """Show pairs of pictures side by side, six in a row.

    Parameters
    ----------
    pairs : sequence of (ndarray, ndarray, str)
        All pictures have one shape; names of several lines have the same number of them.
    limits : tuple of float
        What is black, and what is white.

    Returns
    -------
    Figure
        All pictures are drawn on one pair of axes: axes of their own take as long as the pictures.
    """
    from matplotlib.figure import Figure

    columns = max(min(len(pairs), COLUMNS), 1)
    rows = -(-len(pairs) // columns)
    height = WIDTH * pairs[0][0].shape[0] / pairs[0][0].shape[1] if pairs else WIDTH
    above = LINE * (1 + max((name.count("\n") for *_, name in pairs), default=0))
    one, other = BELOW + above + height, BELOW + LINE + height
    sheet = (columns * (WIDTH + BESIDE), max(rows, 1) * (one + other))
    figure = Figure(figsize=sheet)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    low, high = limits
    for place, (raw, derotated, name) in enumerate(pairs):
        left = place % columns * (WIDTH + BESIDE) + BESIDE / 2
        top = place // columns * (one + other) + BELOW + above
        for picture, at, says in ((raw, top, name), (derotated, top + other, "derotated")):
            ax.imshow(
                picture, cmap="gray", vmin=low, vmax=max(high, low + 1e-9), aspect="auto",
                extent=(left, left + WIDTH, at + height, at), interpolation="nearest",
            )  # fmt: skip
            ax.text(left + WIDTH / 2, at - 0.04, says, fontsize=10, ha="center", va="bottom")
    # In inches from the top left.
    ax.set(xlim=(0, sheet[0]), ylim=(sheet[1], 0))
    return figure
