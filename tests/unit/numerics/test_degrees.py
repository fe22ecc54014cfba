"""Angles on the circle."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from derotation.numerics.degrees import is_whole_turn, wrapped


@given(st.floats(-2000, 2000))
def test_a_wrapped_angle_is_the_same_direction(angle):
    (found,) = wrapped([angle])
    assert -180 <= found < 180
    turn = math.radians(angle - found)
    assert math.isclose(math.cos(turn), 1, abs_tol=1e-9)
    assert math.isclose(math.sin(turn), 0, abs_tol=1e-9)


def test_the_seam_and_what_is_not_known():
    found = wrapped(np.array([[180.0, -180.0, 540.0], [179.0, -181.0, np.nan]]))
    np.testing.assert_array_equal(found, [[-180, -180, -180], [179, 179, np.nan]])


def test_whole_turns():
    angles = np.array([0.0, 360.0, -720.0, 1e-9, 180.0, np.nan])
    assert is_whole_turn(angles).tolist() == [True, True, True, False, False, False]
