"""A figure is drawn once, and is the same picture as Matplotlib's own."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from derotation.plots.png import DPI, write_png
from derotation.steps.inputs import no_plots, save_plot


def drawn(color: str) -> Figure:
    """A figure with a layout that is settled when it is drawn, an image, and lines."""
    figure = Figure(figsize=(4, 3), layout="constrained")
    image, line = figure.subplots(1, 2)
    image.imshow(np.arange(12).reshape(3, 4), cmap="gray")
    line.plot([0, 1e-3], [0, 1e6], color=color)
    line.set(xlabel="time (s)", ylabel="speed")
    figure.suptitle("what is found", color=color)
    return figure


@pytest.mark.parametrize(("color", "mode"), [("tab:red", "RGB"), ("0.4", "L")])
def test_the_picture_is_that_of_matplotlib(tmp_path, color, mode):
    write_png(drawn(color), tmp_path / "own.png")
    drawn(color).savefig(tmp_path / "other.png", dpi=DPI)
    with Image.open(tmp_path / "own.png") as own, Image.open(tmp_path / "other.png") as other:
        assert own.mode == mode
        assert own.size == (4 * DPI, 3 * DPI)
        assert own.info["dpi"] == pytest.approx((DPI, DPI), rel=1e-3)
        np.testing.assert_array_equal(own.convert("RGB"), other.convert("RGB"))


def test_what_has_no_background_is_drawn_on_white(tmp_path):
    pictures = []
    for color in ("none", "white"):
        figure = Figure(figsize=(2, 1), facecolor=color)
        figure.text(0.2, 0.4, "known", color="0.3")
        figure.text(0.2, 0.7, "half", color="tab:blue", alpha=0.5)
        write_png(figure, tmp_path / "a.png")
        with Image.open(tmp_path / "a.png") as image:
            pictures.append(np.asarray(image.convert("RGB")).astype(int))
    np.testing.assert_allclose(*pictures, atol=3)
    assert pictures[0].min() < 100


@pytest.mark.parametrize(("name", "begins"), [("a.PNG", b"\x89PNG"), ("a.pdf", b"%PDF")])
def test_a_plot_is_what_its_name_says(tmp_path, name, begins):
    save_plot(lambda: drawn("0.4"), tmp_path / "new" / name)
    assert (tmp_path / "new" / name).read_bytes().startswith(begins)


def test_a_figure_that_nobody_wants_is_not_made(tmp_path):
    with no_plots():
        save_plot(lambda: pytest.fail("a figure was made"), tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
