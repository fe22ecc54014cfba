"""Many small pictures on one sheet: each as recorded, with the same derotated below it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

__all__ = ["plot_pairs"]

# A picture as recorded, the same derotated, and what the first one is called.
_Pair = tuple[NDArray[Any], NDArray[Any], str]

COLUMNS = 6
# Inches.
WIDTH, BESIDE, LINE, BELOW = 1.95, 0.13, 0.19, 0.07


class _Placed(NamedTuple):
    """A picture with its place: inches from the left and from the top."""

    picture: NDArray[Any]
    left: float
    top: float
    height: float


def plot_pairs(pairs: Sequence[_Pair], limits: tuple[float, float]) -> "Figure":
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
        What is not a number is white.
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
    placed = []
    for place, (raw, derotated, name) in enumerate(pairs):
        left = place % columns * (WIDTH + BESIDE) + BESIDE / 2
        top = place // columns * (one + other) + BELOW + above
        for picture, at, says in ((raw, top, name), (derotated, top + other, "derotated")):
            placed.append(_Placed(picture, left, at, height))
            ax.text(left + WIDTH / 2, at - 0.04, says, fontsize=10, ha="center", va="bottom")
    # In inches from the top left.
    ax.set(xlim=(0, sheet[0]), ylim=(sheet[1], 0))
    ax.add_artist(_all_pictures(placed, *limits))
    return figure


def _all_pictures(placed: Sequence[_Placed], low: float, high: float) -> "Artist":
    """Make what draws all pictures.

    Of each, only the pixels that are shown are looked at; `imshow` computes for several
    milliseconds on all of them.
    """
    from matplotlib.artist import Artist

    class Pictures(Artist):
        def draw(self, renderer: Any) -> None:
            _, canvas_height = renderer.get_canvas_width_height()
            for picture, left, top, height in placed:
                x, behind_x, y, behind_y = (
                    round(inches * renderer.dpi)
                    for inches in (left, left + WIDTH, top, top + height)
                )
                rows, columns = (
                    ((np.arange(n) + 0.5) * m / n).astype(int)
                    for n, m in zip((behind_y - y, behind_x - x), picture.shape, strict=True)
                )
                shown = _colors(picture[rows[:, np.newaxis], columns], low, high)
                # Upside down: the renderer counts from below.
                renderer.draw_image(renderer.new_gc(), x, canvas_height - behind_y, shown[::-1])

    return Pictures()


def _colors(picture: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Make grays from black to white of values, shape (y, x, 4)."""
    with np.errstate(over="ignore"):
        level = (picture - low) * (255 / max(high - low, 1e-9))
    gray = np.clip(np.nan_to_num(level, nan=255.0), 0, 255).astype(np.uint8)
    colors = np.full((*picture.shape, 4), 255, np.uint8)
    colors[..., :3] = gray[..., np.newaxis]
    return colors
