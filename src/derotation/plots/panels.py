"""Axes at places that are known beforehand, and figures written as they are drawn.

Matplotlib's constrained layout measures all tick labels to find out how much room they take, and
places titles and labels by measuring them again. For figures whose labels are of known size that is
a third of the time of drawing.
"""

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

__all__ = ["panels", "save_png", "settle", "shades", "whole_picture"]

# Inches: room for titles above, and for ticks and labels below and on the left of axes.
ABOVE, BELOW, LEFT, RIGHT = 0.3, 0.55, 0.75, 0.2
# Distance (in) of the near edge of a label from its axes.
LABEL_BELOW, LABEL_LEFT = 0.32, 0.52
# Of PNGs: half the time of the usual 6, and hardly larger.
COMPRESSION = 3


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
        Whether axes share what is along x: only the last row has tick labels and a label there.

    Returns
    -------
    ndarray of Axes, shape (rows, columns)
    """
    width, height = figure.get_size_inches()
    between = above + (0.08 if shared else BELOW)
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


def shades(image: NDArray[np.floating[Any]], low: float, high: float) -> NDArray[np.uint8]:
    """Make gray levels of values between `low` (black) and `high`; NaN is white.

    Parameters
    ----------
    image : ndarray of shape (y, x)
    low, high : float

    Returns
    -------
    ndarray of uint8 of shape (y, x)
    """
    level = (image - low) * (255 / max(high - low, 1e-9))
    np.nan_to_num(level, copy=False, nan=255)
    return np.asarray(np.clip(level, 0, 255, out=level).astype(np.uint8))


def whole_picture(gray: NDArray[np.uint8]) -> "Artist":
    """Make what fills the whole figure with a picture, by the nearest pixels.

    ``imshow`` computes on what it shows for a tenth of a second per megapixel.

    Parameters
    ----------
    gray : ndarray of uint8 of shape (y, x)

    Returns
    -------
    Artist
    """
    from matplotlib.artist import Artist

    class Picture(Artist):
        def draw(self, renderer: Any) -> None:
            width, height = (int(n) for n in renderer.get_canvas_width_height())
            rows, columns = (
                ((np.arange(n) + 0.5) * m / n).astype(int)
                for n, m in zip((height, width), gray.shape, strict=True)
            )
            shown = np.full((height, width, 4), 255, np.uint8)
            shown[::-1, :, :3] = gray[rows][:, columns, np.newaxis]
            renderer.draw_image(renderer.new_gc(), 0, 0, shown)

    picture = Picture()
    picture.set_zorder(0)
    return picture


def save_png(figure: "Figure", path: str | os.PathLike[str], *, dpi: float) -> None:
    """Draw a figure once, and write it as a PNG without what it does not use.

    :meth:`Figure.savefig` draws twice, once to see how large everything is, and keeps transparency.

    Parameters
    ----------
    figure : Figure
    path : path
        With any ending.
    dpi : float
        Pixels per inch.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())
    image = Image.fromarray(_plain(drawn))
    image.save(path, format="PNG", dpi=(dpi, dpi), compress_level=COMPRESSION)


def _plain(drawn: NDArray[np.uint8]) -> NDArray[Any]:
    """Leave out transparency, and colors where all is gray; the background is opaque."""
    red, green, blue = (drawn[..., k] for k in range(3))
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return np.ascontiguousarray(red)
    return np.ascontiguousarray(drawn[..., :3])
