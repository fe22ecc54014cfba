import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from derotation.numerics.thinning import thinned


@given(st.integers(0, 200), st.integers(1, 60))
def test_what_is_kept_is_spread_evenly(m, n):
    numbers = 7 + 3 * np.arange(m)
    kept = thinned(numbers, n)
    assert len(kept) == min(m, n)
    assert set(kept) <= set(numbers)
    if m > n > 1:
        assert (kept[0], kept[-1]) == (numbers[0], numbers[-1])
        gaps = np.diff(kept) / 3
        assert gaps.min() >= 1
        assert np.ptp(gaps) <= 2


@pytest.mark.parametrize("n", [None, 4, 5])
def test_all_are_kept_if_they_are_no_more(n):
    np.testing.assert_array_equal(thinned(np.array([5, 2, 9, 9]), n), [5, 2, 9, 9])


def test_of_none_are_none():
    assert thinned(np.empty(0, np.int64), 3).tolist() == []
    assert thinned(np.arange(5), 0).tolist() == []
