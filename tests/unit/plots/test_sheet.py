"""Pairs of pictures on one sheet stand where they belong, and next to their names."""

import numpy as np
import pytest

from derotation.plots.png import DPI
from derotation.plots.sheet import plot_pairs


def pairs(n: int, shape: tuple[int, int] = (20, 30), name: str = "picture {}"):
    """Pictures of one gray each: raw ones dark, derotated ones bright."""
    return [(np.full(shape, k + 1.0), np.full(shape, 50.0 + k), name.format(k)) for k in range(n)]


def seen(figure) -> np.ndarray:
    """The picture of a figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., 0].astype(int)


@pytest.mark.parametrize("n", [1, 5, 8])
def test_each_picture_stands_below_its_name(n):
    figure = plot_pairs(pairs(n), (0.0, 100.0))
    (ax,) = figure.axes
    names = [text for text in ax.texts if text.get_text() != "derotated"]
    assert [text.get_text() for text in names] == [f"picture {k}" for k in range(n)]
    screen = seen(figure)
    for kind, texts in ((1, names), (50, [t for t in ax.texts if t not in names])):
        for k, text in enumerate(texts):
            x, y = ax.transData.transform(text.get_position())
            below = screen[round(screen.shape[0] - y) + 40, round(x)]
            assert below == pytest.approx((kind + k) / 100 * 255, abs=3)


def test_pixels_stay_square_and_names_of_two_lines_have_room():
    figure = plot_pairs(pairs(3, shape=(40, 20), name="one\n{}"), (0.0, 100.0))
    (ax,) = figure.axes
    figure.set_dpi(DPI)
    for picture in ax.images:
        left, right, bottom, top = picture.get_extent()
        (x0, y0), (x1, y1) = ax.transData.transform([(left, bottom), (right, top)])
        assert (y1 - y0) / (x1 - x0) == pytest.approx(2)
    boxes = [text.get_window_extent() for text in ax.texts]
    drawn = [picture.get_window_extent() for picture in ax.images]
    assert not any(box.overlaps(other) for box in boxes for other in drawn)
    assert all(box.y1 <= figure.bbox.y1 and box.x0 >= 0 for box in boxes)


def test_no_pictures_make_an_empty_sheet():
    assert seen(plot_pairs([], (0.0, 1.0))).min() == 255
