"""Products on one thread are those of NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from derotation.cells.products import across, along


@given(st.integers(0, 30), st.integers(0, 5), st.integers(0, 4), st.integers(0, 9))
def test_products_are_those_of_numpy(n, k, m, seed):
    rng = np.random.default_rng(seed)
    first, second, weights = (
        rng.normal(size=(n, k)),
        rng.normal(size=(n, m)),
        rng.normal(size=(k, m)),
    )
    np.testing.assert_allclose(across(first, second), first.T @ second, atol=1e-12)
    np.testing.assert_allclose(along(first, weights), first @ weights, atol=1e-12)


@pytest.mark.parametrize("lies", [np.ascontiguousarray, np.asfortranarray, lambda a: a[::2]])
def test_single_columns_and_any_order_in_memory(lies):
    rng = np.random.default_rng(0)
    first = lies(rng.normal(size=(40, 3)))
    value, weights = rng.normal(size=len(first)), rng.normal(size=3)
    np.testing.assert_allclose(across(first, value), first.T @ value)
    np.testing.assert_allclose(along(first, weights), first @ weights)
    assert across(first, value).shape == (3,)
    assert along(first, weights).shape == (len(first),)
