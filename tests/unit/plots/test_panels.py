"""Axes at fixed places."""

import pytest
from matplotlib.figure import Figure

from derotation.plots.panels import panels, settle, state


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
    shown = [text for text in [*texts, *figure.texts] if text.get_text() and text.get_visible()]
    return [text.get_window_extent(renderer).extents for text in shown]


def filled(rows, columns, *, shared, said="", ratios=None, values=(-0.75, -0.25)):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = Figure(figsize=(12, 7))
    FigureCanvasAgg(figure)
    options = {"above": state(figure, said)} if said else {}
    axes = panels(figure, rows, columns, shared=shared, ratios=ratios, **options)
    for ax in axes.ravel():
        ax.plot([0, 360], values)
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
    assert_apart(filled(rows, columns, shared=shared), 4 * rows)


@pytest.mark.parametrize(
    ("word", "n_words"),
    [
        ("uncertainty", 1),
        ("uncertainty", 30),
        ("uncertainty", 100),
        ("(1234567.89, 0.123456)", 30),
        ("/data/recordings_of_2024/a_session/" * 15, 1),
    ],
)
def test_a_statement_has_room_however_long_it_is(word, n_words):
    said = " ".join([word] * n_words)
    assert_apart(filled(1, 3, shared=False, said=said, ratios=(0.8, 1, 1)), 12)


@pytest.mark.parametrize("values", [(-0.0123, 0.004), (-36_000, 36_000), (-3600, 0), (2e-7, 3e-7)])
def test_long_numbers_do_not_reach_the_label(values):
    assert_apart(filled(1, 3, shared=False, values=values), 12)


def test_short_numbers_keep_their_size():
    figure = filled(1, 1, shared=False, values=(0, 300))
    assert figure.axes[0].yaxis.get_major_ticks()[0].label1.get_fontsize() == 10


def test_columns_are_as_wide_as_asked_for_and_share_what_is_along_x():
    axes = panels(Figure(figsize=(12, 7)), 2, 2, shared=True, ratios=(4, 1))
    left, right = (ax.get_position().width for ax in axes[0])
    assert left == pytest.approx(4 * right)
    axes[0, 0].set_xlim(3, 5)
    assert axes[1, 0].get_xlim() == (3, 5)
    assert axes[0, 1].get_xlim() == (0, 1)


def assert_apart(figure, n_texts):
    boxes = drawn_boxes(figure)
    width, height = figure.canvas.get_width_height()
    assert len(boxes) > n_texts
    for x0, y0, x1, y1 in boxes:
        assert x0 >= 0
        assert y0 >= 0
        assert x1 <= width
        assert y1 <= height
    for k, a in enumerate(boxes):
        for b in boxes[:k]:
            apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
            assert apart, (a, b)
