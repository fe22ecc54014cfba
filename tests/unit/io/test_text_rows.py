"""Rows with more cells than columns: numbers with decimal commas, most likely."""

import numpy as np
import pytest

from derotation.errors import InputError
from derotation.io.angle_table import read_angle_table
from derotation.io.signals import open_signals
from derotation.io.stimulus import read_stimulus


def write(folder, text):
    path = folder / "table.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("text", ["angle\n12,5\n13,75\n", "time,angle\n0,1\n0,5,12,5\n1,0,13,0\n"])
def test_angles_with_decimal_commas_are_refused(tmp_path, text):
    with pytest.raises(InputError, match=r"table\.csv, line [23]: .* decimal commas"):
        read_angle_table(write(tmp_path, text))


def test_empty_cells_at_the_end_are_nothing(tmp_path):
    table = read_angle_table(write(tmp_path, "angle,\n12.5,,\n\n13.75\n"))
    np.testing.assert_array_equal(table.angle, [12.5, 13.75])


def test_a_stimulus_with_a_cell_too_many_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"line 2: 3 cells, where the first line has 2"):
        read_stimulus(write(tmp_path, "speed,direction\n100,1,-1\n"))


def test_signals_with_decimal_commas_are_refused(tmp_path):
    text = "line_clock,frame_clock,rotation_on,rotation_ticks\n" + "0,5,0,1,0,2,0,3\n" * 20
    with pytest.raises(InputError, match=r"line 2: 8 cells, where the first line has 4"):
        open_signals(write(tmp_path, text))
