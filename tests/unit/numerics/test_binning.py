import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from derotation.numerics.binning import binned


@given(arrays(np.uint16, array_shapes(min_dims=2, max_dims=3, max_side=12)), st.integers(1, 4))
def test_each_pixel_is_the_mean_of_its_square(images, factor):
    found = binned(images, factor)
    assert found.dtype == np.float32
    for place in np.ndindex(found.shape):
        *first, y, x = place
        rows, columns = (slice(k * factor, (k + 1) * factor) for k in (y, x))
        square = images[(*first, rows, columns)]
        np.testing.assert_allclose(found[place], square.mean(), rtol=1e-6)


def test_marks_and_gaps():
    marked = np.ones((7, 9), bool)
    assert np.all(binned(marked, 3) == 1)
    marked[4, 4] = False
    assert np.argwhere(binned(marked, 3) < 1).tolist() == [[1, 1]]
    values = np.ones((6, 6))
    values[0, 5] = np.nan
    assert binned(values, 2).dtype == np.float64
    assert np.argwhere(np.isnan(binned(values, 2))).tolist() == [[0, 2]]
