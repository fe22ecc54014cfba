"""Minima against SciPy's search, to the last bit, and against functions whose minimum is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from derotation.numerics.minimum import lowest_by_simplex, lowest_within

numbers = st.floats(-3, 3).map(lambda x: round(x, 3))


def valley(x, middle, bend):
    """Curved, and not alike in all directions."""
    total = 0.0
    for k, (a, m) in enumerate(zip(x, middle, strict=True)):
        total += (k + 1) * (a - m) ** 2 + math.cos(bend * a)
    return total + (x[0] * x[-1] - bend) ** 2


@settings(max_examples=100, deadline=None)
@given(
    start=st.lists(numbers, min_size=2, max_size=4), middle=st.tuples(*[numbers] * 4), bend=numbers
)
def test_simplex_is_that_of_scipy(start, middle, bend):
    def function(x):
        return valley([float(a) for a in x], middle[: len(start)], bend)

    expected = optimize.minimize(
        function, start, method="Nelder-Mead",
        options={"xatol": 0.03, "fatol": 0.05, "maxfev": 150},
    )  # fmt: skip
    place, value = lowest_by_simplex(function, start, xtol=0.03, ftol=0.05, most_calls=150)
    assert (value, place) == (expected.fun, expected.x.tolist())


@settings(max_examples=200, deadline=None)
@given(low=numbers, span=st.floats(0.01, 8), middle=numbers, bend=numbers)
def test_search_between_bounds_is_that_of_scipy(low, span, middle, bend):
    def function(x):
        return float((x - middle) ** 2 + math.sin(bend * x))

    high = low + span
    expected = optimize.minimize_scalar(function, bounds=(low, high), method="bounded")
    assert lowest_within(function, low, high) == expected.x


def test_minimum_of_a_bowl():
    place, value = lowest_by_simplex(
        lambda x: (x[0] - 1) ** 2 + 3 * (x[1] + 2) ** 2 + 5, [4.0, 1.0],
        xtol=1e-6, ftol=1e-9, most_calls=500,
    )  # fmt: skip
    np.testing.assert_allclose(place, [1, -2], atol=1e-4)
    assert value == pytest.approx(5)


def test_calls_are_counted():
    n_calls = 0

    def function(x):
        nonlocal n_calls
        n_calls += 1
        return -sum(x)

    lowest_by_simplex(function, [1.0, 2.0], xtol=1e-9, ftol=1e-9, most_calls=40)
    assert n_calls == 40


@pytest.mark.parametrize(("slope", "expected"), [(1.0, -1.0), (-1.0, 2.0)])
def test_a_slope_is_lowest_at_a_bound(slope, expected):
    assert lowest_within(lambda x: slope * x, -1.0, 2.0) == pytest.approx(expected, abs=1e-4)
