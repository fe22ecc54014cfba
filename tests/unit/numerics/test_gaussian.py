"""Smoothing along lines against SciPy's, to the last bit."""

import numpy as np
import pytest
from scipy import ndimage

from derotation.numerics.gaussian import smoothed_along

MODES = {"symmetric": "reflect", "zero": "constant"}


@pytest.mark.parametrize("border", MODES)
@pytest.mark.parametrize("sd", [0.5, 1.5, 4.0, 21.3])
@pytest.mark.parametrize("shape", [(1,), (7,), (500,), (3, 65, 40)])
def test_it_is_what_scipy_gives(shape, sd, border):
    values = np.random.default_rng(3).normal(50, 20, shape)
    values[..., 0] = 1e6
    expected = ndimage.gaussian_filter1d(values, sd, mode=MODES[border])
    np.testing.assert_array_equal(smoothed_along(values, sd, border=border), expected)


def test_what_is_not_known_spreads():
    found = smoothed_along([0.0, np.nan, 0.0, 0.0, 0.0, 0.0], 0.5)
    np.testing.assert_array_equal(np.isnan(found), [True, True, True, True, False, False])
