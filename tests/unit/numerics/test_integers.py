"""Numbers as integers: nothing wraps around, whatever the two types."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from derotation.numerics.integers import clipped

INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


def slowly(value, dtype):
    info = np.iinfo(dtype)
    return max(int(info.min), min(int(info.max), int(value)))


@pytest.mark.parametrize("to", INTEGERS)
@pytest.mark.parametrize("given_as", INTEGERS)
def test_integers_of_one_type_as_those_of_another(given_as, to):
    info = np.iinfo(given_as)
    values = np.array([info.min, 0, 1, 100, info.max // 2, info.max], given_as)
    found = clipped(values, to)
    assert found.dtype == to
    assert found.tolist() == [slowly(value, to) for value in values.tolist()]


@pytest.mark.parametrize("to", INTEGERS)
@pytest.mark.parametrize("given_as", ["float32", "float64"])
def test_floats_at_and_beyond_the_limits(given_as, to):
    info = np.iinfo(to)
    ends = [-1e30, info.min, -1, 0, 1, info.max // 2, info.max, 2.0 * info.max, 1e30, np.inf]
    values = np.array(ends, given_as)
    exact = [slowly(min(value, 1e300), to) for value in values.tolist()]
    assert clipped(values, to).tolist() == exact


@given(st.floats(-1e10, 1e10, width=32), st.sampled_from(INTEGERS))
def test_any_whole_float(value, to):
    whole = np.rint(np.array([value], np.float32))
    assert clipped(whole, to).tolist() == [slowly(whole[0], to)]
