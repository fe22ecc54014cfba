"""Smoothing is that of SciPy, on the pixels that are kept."""

import numpy as np
import pytest
from scipy import ndimage

from derotation.numerics.smoothing import smoothed


@pytest.mark.parametrize("shape", [(64, 48), (37, 41), (5, 7), (1, 9)])
@pytest.mark.parametrize("sigma", [0.8, 1.5, 8.0])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_pictures_are_smoothed_as_by_scipy(shape, sigma, stride):
    image = np.random.default_rng(3).normal(100, 30, shape).astype(np.float32)
    expected = ndimage.gaussian_filter(image.astype(np.float64), sigma)[::stride, ::stride]
    np.testing.assert_allclose(smoothed(image, sigma, stride), expected, rtol=2e-5)


def test_masks_and_parts_of_larger_pictures_are_smoothed():
    seen = np.zeros((40, 60), bool)
    seen[10:30, 20:50] = True
    part = np.random.default_rng(4).normal(size=(80, 60)).astype(np.float32)[::2]
    for image in (seen, part):
        expected = ndimage.gaussian_filter(image.astype(np.float64), 2.0)
        np.testing.assert_allclose(smoothed(image, 2.0), expected, atol=1e-6)
