"""Points that a person chose: from a table, and in a window whose clicks are simulated."""

import numpy as np
import pytest
from matplotlib.backend_bases import MouseButton, MouseEvent
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from derotation.errors import InputError
from derotation.movement import DetectionFailedError, MovementCorrection, manual_movement
from derotation.movement.manual import (
    PointPicker,
    _keep_in_front,
    read_points,
    write_points,
)
from derotation.simulate import simulate_pair


@pytest.fixture(scope="module")
def pair():
    return simulate_pair(11, size=160)


def true_partners(pair, moved):
    return np.column_stack([moved, np.ones(len(moved))]) @ pair.matrix[:2].T


def write(path, rows, header="ref_x,ref_y,moved_x,moved_y"):
    path.write_text("\n".join([header, *(",".join(f"{v:.3f}" for v in row) for row in rows)]))
    return path


def test_a_table_of_points(pair, tmp_path):
    moved = np.array([[20.0, 30], [140, 50], [70, 130]])
    table = write(tmp_path / "points.csv", np.hstack([true_partners(pair, moved), moved]))
    found = manual_movement(pair.ref, pair.moved, points=table)
    assert pair.corner_error(found.matrix) < 0.4
    np.testing.assert_allclose(found.moved_points, moved, atol=1e-3)
    assert "points.csv" in found.src
    again = tmp_path / "again.csv"
    write_points(again, found)
    np.testing.assert_allclose(read_points(again)[0], found.ref_points, atol=1e-3)


def test_what_is_wrong_with_a_table_is_said(pair, tmp_path):
    table = tmp_path / "points.csv"
    with pytest.raises(InputError, match=r"points\.csv cannot be read"):
        read_points(table)
    write(table, [], header="x,y,u,v")
    with pytest.raises(InputError, match="lacks the columns ref_x, ref_y, moved_x, moved_y"):
        read_points(table)
    table.write_text("ref_x,ref_y,moved_x,moved_y\n1,2,3,4\n5,6,seven,8\n")
    with pytest.raises(InputError, match=r"row 3: expected four numbers, found .*seven"):
        read_points(table)
    write(table, [(1, 2, 3, 4)])
    with pytest.raises(DetectionFailedError, match="1 pairs of points are too few"):
        manual_movement(pair.ref, pair.moved, points=table)
    write(table, [(1, 2, 3, 4), (1, 2, 3, 4)])
    with pytest.raises(DetectionFailedError, match="one place"):
        manual_movement(pair.ref, pair.moved, points=table)


def test_without_a_window_the_way_out_is_named(pair):
    with pytest.raises(InputError, match=r"MPLBACKEND.*points"):
        manual_movement(pair.ref, pair.moved)


@pytest.fixture
def picker(pair):
    figure = Figure(figsize=(13, 7.5))
    FigureCanvasAgg(figure)
    picker = PointPicker(figure, pair.ref, pair.moved)
    figure.canvas.draw()
    return picker


def click(picker, which, point):
    axis = picker._axes[which]
    x, y = axis.transData.transform(point)
    canvas = axis.figure.canvas
    event = MouseEvent("button_press_event", canvas, x, y, MouseButton.LEFT)
    canvas.callbacks.process("button_press_event", event)


def test_points_are_clicked_in_pairs(picker, pair):
    ended = []
    picker.on_done = lambda: ended.append(True)
    moved = np.array([[20.0, 30], [140, 50]])
    ref = true_partners(pair, moved)
    click(picker, "moved", moved[0])
    click(picker, "moved", moved[1])  # refused: its partner comes first
    click(picker, "ref", ref[0])
    picker.finish()
    assert not picker.done  # one pair is too few
    click(picker, "ref", ref[1])
    click(picker, "moved", (90, 90))
    picker.undo()
    click(picker, "moved", moved[1])
    picker.finish()
    assert picker.done
    assert ended
    np.testing.assert_allclose(picker.pairs()[0], ref, atol=0.3)
    np.testing.assert_allclose(picker.pairs()[1], moved, atol=0.3)


def test_pairs_are_suggested_and_taken_over(picker, pair):
    picker.suggest()
    ref, moved = picker.pairs()
    assert 2 <= len(ref) <= 12
    np.testing.assert_allclose(ref, true_partners(pair, moved), atol=3)
    start = MovementCorrection(np.eye(3), (160, 160), [[1, 2], [30, 40]], [[3, 4], [5, 60]])
    picker.start_from(start)
    np.testing.assert_array_equal(picker.pairs()[0], [[1, 2], [30, 40]])


def test_the_window_belongs_to_the_one_of_a_program(pair):
    class Tk:
        def transient(self, parent):
            self.parent = parent

    class Qt:
        def windowFlags(self):
            return "flags"

        def setParent(self, parent, flags):
            self.parent, self.flags = parent, flags

    for window in (Tk(), Qt()):
        _keep_in_front(window, "the program's")
        assert window.parent == "the program's"
    assert window.flags == "flags"
    with pytest.raises(InputError, match="no window of Qt or Tk"):
        _keep_in_front(None, "the program's")
    with pytest.raises(InputError, match="no window can be opened"):
        manual_movement(pair.ref, pair.moved, parent_window=Tk())
