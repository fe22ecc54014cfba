"""Axes at fixed places."""

import pytest
from matplotlib.figure import Figure

from derotation.plots.panels import panels, settle


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
