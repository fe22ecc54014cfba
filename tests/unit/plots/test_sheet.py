"""Pairs of pictures on one sheet stand where they belong, and next to their names."""

import numpy as np
import pytest
from scipy import ndimage

from derotation.plots.png import DPI
from derotation.plots.sheet import BELOW, BESIDE, LINE, WIDTH, plot_pairs


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
    with_names = seen(figure)
    boxes = [text.get_window_extent() for text in ax.texts]
    assert all(box.y1 <= figure.bbox.y1 and box.x0 >= 0 for box in boxes)
    for text in list(ax.texts):
        text.remove()
    drawn = seen(figure) < 255
    # Names change nothing of the pictures.
    np.testing.assert_array_equal(with_names[drawn], seen(figure)[drawn])
    labels, n = ndimage.label(drawn)
    assert n == 6
    for rows, columns in ndimage.find_objects(labels):
        high, wide = rows.stop - rows.start, columns.stop - columns.start
        assert high / wide == pytest.approx(2, abs=0.01)
        assert wide == pytest.approx(WIDTH * DPI, abs=1)


def test_each_pixel_is_shown_and_what_is_unknown_is_white():
    picture = np.arange(12.0).reshape(3, 4)
    picture[1, 2] = np.nan
    figure = plot_pairs([(picture, picture - 20, "")], (0.0, 10.0))
    for text in list(figure.axes[0].texts):
        text.remove()
    screen = seen(figure)
    x, y = round((BESIDE / 2) * DPI), round((BELOW + LINE) * DPI)
    step = WIDTH * DPI / 4
    found = [[screen[round(y + (r + 0.5) * step), round(x + (c + 0.5) * step)]
              for c in range(4)] for r in range(3)]  # fmt: skip
    expected = np.clip(np.nan_to_num(picture, nan=10) * 25.5, 0, 255).astype(int)
    np.testing.assert_array_equal(found, expected)


def test_no_pictures_make_an_empty_sheet():
    assert seen(plot_pairs([], (0.0, 1.0))).min() == 255


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [5.0, 1e30, np.inf, np.nan])
def test_without_any_contrast_what_is_above_is_white(value, dtype):
    picture = np.full((20, 30), value, dtype)
    for limits, shade in (((5.0, 5.0), 0 if value == 5 else 255), ((0.0, 1.0), 255)):
        figure = plot_pairs([(picture, picture, "")] * 7, limits)
        y, x = round((BELOW + LINE + 0.5) * DPI), round(WIDTH * DPI / 2)
        assert seen(figure)[y, x] == shade
