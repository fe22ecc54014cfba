"""The spline of the angle, and its banded equations, against SciPy's and dense ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from derotation.images.following.spline import ORDER, Equations, Knots, basis, smoothness

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def told():
    """Random measurements of four to five coefficients each."""
    n, band = 14, ORDER + 1
    rows = []
    for first in range(n - band + 1):
        design = RNG.normal(size=(6, band))
        rows.append((first, design.T @ design, RNG.normal(size=band)))
    return n, band, rows


def dense(told):
    n, _, rows = told
    normal, moment = np.zeros((n, n)), np.zeros(n)
    for first, own, right in rows:
        part = slice(first, first + len(right))
        normal[part, part] += own
        moment[part] += right
    return normal, moment


def banded(told):
    n, band, rows = told
    equations = Equations.none(n, band)
    for row in rows:
        equations.add(*row)
    return equations


def bending(n):
    difference = np.diff(np.eye(n), 2, axis=0)
    return difference.T @ difference


@given(st.floats(0, 1))
def test_the_splines_share_out_one(place):
    assert basis(place).sum() == pytest.approx(1)
    assert (basis(place) >= 0).all()


def test_the_spline_is_that_of_scipy():
    knots = Knots.over(2.0, 7.5, 0.5)
    coefficients = RNG.normal(size=knots.n)
    padded = 2.0 + 0.5 * np.arange(-3, knots.n + 1)
    time = np.linspace(2.0, 7.49, 50).reshape(5, 10)
    expected = BSpline(padded, coefficients, 3)(time)
    assert knots.evaluate(coefficients, time) == pytest.approx(expected)


def test_beyond_the_ends_it_stays():
    knots = Knots.over(0.0, 3.0, 1.0)
    coefficients = RNG.normal(size=knots.n)
    ends = knots.evaluate(coefficients, np.array([0.0, 3.0]))
    assert knots.evaluate(coefficients, np.array([-5.0, 9.0])) == pytest.approx(ends)


def test_coefficients_on_a_line_make_a_line():
    knots = Knots.over(0.0, 6.0, 1.0)
    time = np.linspace(0, 6, 13)
    assert knots.evaluate(2.5 * (np.arange(knots.n) - 1.0), time) == pytest.approx(2.5 * time)


def test_smoothness_is_the_sum_of_squared_second_differences():
    bands, full = smoothness(7, 5), np.zeros((7, 7))
    for k in range(5):
        full += np.diag(bands[4 - k, k:], k)
    full = full + np.triu(full, 1).T
    assert full == pytest.approx(bending(7))


@pytest.mark.parametrize("stiffness", [0.01, 1.0, 100.0])
def test_the_solution_is_that_of_dense_equations(told, stiffness):
    normal, moment = dense(told)
    total = normal + stiffness * bending(len(moment))
    found, evidence = banded(told).solve(stiffness)
    assert found == pytest.approx(np.linalg.solve(total, moment), rel=1e-6)
    expected = (
        (len(moment) - 2) * np.log(stiffness)
        - np.linalg.slogdet(total)[1]
        + moment @ np.linalg.solve(total, moment)
    ) / 2
    assert evidence == pytest.approx(expected, rel=1e-6)


def test_the_covariance_is_the_inverse(told):
    normal, moment = dense(told)
    inverse = np.linalg.inv(normal + 3.0 * bending(len(moment)))
    found = banded(told).covariance(3.0, 4, 8, margin=len(moment))
    assert found == pytest.approx(inverse[4:8, 4:8], rel=1e-6)
    # What lies further away hardly matters.
    near = banded(told).covariance(3.0, 6, 8, margin=4)
    assert near == pytest.approx(inverse[6:8, 6:8], rel=0.1, abs=1e-3)
