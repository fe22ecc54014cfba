"""Pictures of cells show what was found, and say so where nothing was."""

import numpy as np
from matplotlib.text import Text

from derotation.cells.matching import match_cells
from derotation.cells.rois import Rois
from derotation.cells.table import COLUMNS, CellTable
from derotation.plots.cells import plot_cell_responses, plot_cell_tuning, plot_matched_cells


def labels(n):
    picture = np.zeros((40, 50), int)
    for k in range(n):
        picture[5:10, 3 + 8 * k : 9 + 8 * k] = k + 1
    return Rois.of_labels(picture)


def table(n, *, tuned=True, n_kinds=2):
    numbers = {name: np.linspace(0.1, 0.9, n) for name in COLUMNS}
    flags = {name: np.zeros(n, bool) for name in COLUMNS if "tuned" in name}
    flags |= {name: np.full(n, "chance") for name in COLUMNS if "verdict" in name}
    if tuned and n:
        flags["angle_tuned"][0] = flags["velocity_tuned"][-1] = True
    return CellTable(
        columns=numbers | flags | {"roi": np.arange(1, n + 1)},
        angle_curve=np.tile(np.sin(np.arange(36) / 6), (n, 1)),
        velocity_curve=np.tile(np.arange(11.0), (n, 1)),
        velocity_edges=np.linspace(-110, 110, 12),
        response=np.ones((n, n_kinds, 20)),
        response_time_s=np.linspace(-2, 5, 20),
        response_kind=np.array([[100.0, 1], [200.0, -1]])[:n_kinds],
        rotation_start_s=np.arange(4.0),
        rotation_end_s=np.arange(4.0) + 0.9,
        rotation_kind=np.array([0, 1, 0, 1]),
    )


def texts(figure):
    figure.canvas.draw()
    found = [text.get_text() for text in figure.findobj(Text)]
    return " ".join(found)


def test_tuned_cells_have_their_curves():
    said = texts(plot_cell_tuning(table(4), labels(4), np.ones((40, 50))))
    assert "angle (1)" in said
    assert "velocity (1)" in said
    assert "neither (2)" in said
    assert "ROI 1" in said
    assert "ROI 4" in said


def test_without_tuning_the_picture_says_so():
    said = texts(plot_cell_tuning(table(3, tuned=False), labels(3), np.ones((40, 50))))
    assert "no cell is tuned to the angle" in said
    assert "no cell is tuned to the velocity\n3: chance would do as well" in said


def test_what_nobody_saw_has_no_mean():
    cells = table(4)
    cells.response[:, 0, 15:] = np.nan
    cells.response[2, 0, :3] = np.nan
    mean = plot_cell_responses(cells).axes[2].lines[0].get_ydata()
    np.testing.assert_array_equal(mean, np.where(np.arange(20) < 15, 1, np.nan))


def test_responses_have_a_panel_per_kind():
    figure = plot_cell_responses(table(4))
    assert "100 degrees/s\ndirection +1, 2 rotations" in texts(figure)
    assert "200 degrees/s\ndirection -1, 2 rotations" in texts(figure)
    for nothing in (table(0), table(3, n_kinds=0)):
        assert "there are no cells, or no rotations" in texts(plot_cell_responses(nothing))


def test_steps_have_panels_of_steps():
    steps = texts(plot_cell_responses(table(4), word="step"))
    assert "100 degrees/s\ndirection +1, 2 steps" in steps
    assert "rotation" not in steps


def test_no_cells_make_a_picture_all_the_same():
    texts(plot_cell_tuning(table(0), Rois.of([], (40, 50)), np.full((40, 50), np.nan)))


def test_matched_cells_are_counted():
    rois = {"a": labels(4), "b": labels(3)}
    matched = match_cells(rois)
    said = texts(
        plot_matched_cells(matched, rois, {"a": np.ones((40, 50)), "b": np.ones((40, 50))})
    )
    assert "a: 3 of 4 cells\nfound in other sessions, too" in said
    assert "b: 3 of 3 cells\nfound in other sessions, too" in said
