"""The top of a parabola."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from derotation.numerics.parabola import top_offset


@given(st.floats(-0.5, 0.5), st.floats(0.1, 100), st.floats(-100, 100))
def test_the_top_of_a_true_parabola(top, bend, height):
    values = [height - bend * (x - top) ** 2 for x in (-1, 0, 1)]
    assert top_offset(*values) == pytest.approx(top, abs=1e-9)


def test_without_a_top_the_middle_is_kept():
    before, here, after = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 2.0]])
    found = top_offset(before, here, after)
    np.testing.assert_array_equal(found, [0, 0, 0])
