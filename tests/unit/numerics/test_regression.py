"""Values are explained by regressors, with little regard to those that differ much."""

import numpy as np
import pytest

from derotation.numerics.regression import explain, weighted_products


def plainly(known, target):
    """Do the same in the words of the textbook, value by value."""
    near = np.ones(len(target))
    for turn in range(4):
        normal = sum(w * np.outer(a, a) for w, a in zip(near, known.T, strict=True))
        moment = sum(w * a * t for w, a, t in zip(near, known.T, target, strict=True))
        solution = np.linalg.solve(normal, moment)
        used, rest = near, target - known.T @ solution
        if turn < 3:
            near = 1 / (1 + (rest / (3 * 1.4826 * np.median(np.abs(rest)))) ** 2)
    return solution, np.linalg.inv(normal), used, rest


@pytest.fixture
def case():
    rng = np.random.default_rng(5)
    known = rng.normal(size=(4, 700))
    known[1] = 1
    known *= np.array([1e-3, 1, 50, 1e4])[:, np.newaxis]
    target = np.array([2e3, -3, 0.1, 1e-4]) @ known + rng.normal(0, 0.1, 700)
    target[::9] += 20  # cells that are active in one picture only
    return known, target


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_textbook_says_the_same(case, dtype):
    known, target = (values.astype(dtype) for values in case)
    expected = plainly(known.astype(np.float64), target.astype(np.float64))
    for found, wanted in zip(explain(known, target), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)


def test_values_that_do_not_count_may_be_anything(case):
    known, target = case
    inside = np.arange(len(target)) % 3 > 0
    expected = explain(known[:, inside], target[inside])
    spoilt = np.where(inside, target, 1e6)
    found = explain(known, spoilt, inside)
    np.testing.assert_allclose(found.coefficients, expected.coefficients, rtol=1e-9)
    np.testing.assert_allclose(found.inverse, expected.inverse, rtol=1e-6)
    np.testing.assert_allclose(found.near[inside], expected.near, rtol=1e-6)
    assert not found.near[~inside].any()


def test_regressors_that_are_the_same_are_refused(case):
    known, target = case
    with pytest.raises(np.linalg.LinAlgError):
        explain(np.zeros_like(known), target)


def test_products_are_those_of_matrices(case):
    known, target = case
    weight = np.abs(target)
    other = known[:2].astype(np.float32)
    expected = (known * weight) @ other.T
    np.testing.assert_allclose(weighted_products(known, weight, other), expected, rtol=1e-6)
