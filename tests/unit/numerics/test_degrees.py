"""Angles on the circle."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from derotation.numerics.degrees import cosine, cosine_and_sine, is_whole_turn, sine, wrapped


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


def test_cosine_and_sine_are_those_of_scipy():
    """To the last bit, and with the sign of zeros."""
    rng = np.random.default_rng(5)
    angles = np.concatenate(
        [
            rng.uniform(-400, 400, 20_000), rng.uniform(-1e6, 1e6, 20_000),
            np.arange(-1080, 1081, 0.2), np.arange(-1080.0, 1081, 15), [-0.0, 1e-300, np.nan],
        ]
    )  # fmt: skip
    expected = special.cosdg(angles), special.sindg(angles)
    for found, own in zip(cosine_and_sine(angles), expected, strict=True):
        np.testing.assert_array_equal(found, own)
        zeros = own == 0
        np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(own[zeros]))
    np.testing.assert_array_equal(cosine(angles), expected[0])
    np.testing.assert_array_equal(sine(angles), expected[1])


def test_quarters_of_a_turn_are_exact():
    angles = 90.0 * np.arange(-8, 9)
    np.testing.assert_array_equal(cosine(angles), [1, 0, -1, 0] * 4 + [1])
    np.testing.assert_array_equal(sine(angles), [0, 1, 0, -1] * 4 + [0])
