"""Axes at fixed places, and figures that are drawn once."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from derotation.plots.panels import panels, save_png, settle, shades, whole_picture


def drawn_boxes(figure):
    """Boxes of all texts that show, in pixels: (x0, y0, x1, y1)."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    texts = []
    for ax in figure.axes:
        texts += [ax.title, ax.xaxis.label, ax.yaxis.label]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = axis.get_view_interval()
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            texts += [tick.label1 for tick in ticks]
    shown = [text for text in texts if text.get_text() and text.get_visible()]
    return [text.get_window_extent(renderer).extents for text in shown]


def filled(rows, columns, *, shared):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = Figure(figsize=(12, 7))
    FigureCanvasAgg(figure)
    axes = panels(figure, rows, columns, shared=shared)
    for ax in axes.ravel():
        ax.plot([0, 360], [-0.75, -0.25])
        ax.set(title="a title", xlabel="angle (degrees)", ylabel="shift (px)", xlim=(-8, 360))
    if shared:
        for ax in axes[:-1].ravel():
            ax.set_xlabel("")
    settle(axes)
    return figure


@pytest.mark.parametrize(
    ("rows", "columns", "shared"), [(3, 1, True), (1, 2, False), (2, 3, False)]
)
def test_nothing_is_cut_off_and_no_label_lies_on_another(rows, columns, shared):
    figure = filled(rows, columns, shared=shared)
    boxes = drawn_boxes(figure)
    width, height = figure.canvas.get_width_height()
    assert len(boxes) > 4 * rows
    for x0, y0, x1, y1 in boxes:
        assert x0 >= 0
        assert y0 >= 0
        assert x1 <= width
        assert y1 <= height
    for k, a in enumerate(boxes):
        for b in boxes[:k]:
            apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
            assert apart, (a, b)


def test_a_saved_figure_is_as_matplotlib_saves_it(tmp_path):
    figure = filled(2, 2, shared=False)
    usual = io.BytesIO()
    figure.savefig(usual, dpi=80, format="png")
    save_png(figure, tmp_path / "figure.tmp", dpi=80)
    with Image.open(tmp_path / "figure.tmp") as ours, Image.open(usual) as theirs:
        assert ours.format == "PNG"
        assert ours.mode == "RGB"
        assert ours.info["dpi"] == pytest.approx((80, 80), abs=0.1)
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs.convert("RGB")))


def test_a_gray_figure_is_saved_as_gray(tmp_path):
    figure = Figure(figsize=(2, 1))
    gray = np.arange(18, dtype=np.uint8).reshape(3, 6) * 10
    figure.add_axes((0, 0, 1, 1)).set_axis_off()
    figure.axes[0].add_artist(whole_picture(gray))
    save_png(figure, tmp_path / "figure.png", dpi=6)
    with Image.open(tmp_path / "figure.png") as image:
        assert image.mode == "L"
        expected = gray.repeat(2, axis=0).repeat(2, axis=1)
        np.testing.assert_array_equal(np.asarray(image), expected)


def test_shades_run_from_black_to_white_and_nothing_is_white():
    image = np.array([[-5.0, 0.0, 1.0, 2.0, 9.0, np.nan]], np.float32)
    assert shades(image, 0.0, 2.0).tolist() == [[0, 0, 127, 255, 255, 255]]
    assert shades(image, 1.0, 1.0).dtype == np.uint8
