"""Correlation of pictures at all shifts, against SciPy's transforms and a plain sum."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import fft

from derotation.numerics.correlation import correlate, spectrum


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_any_pictures(height, width, seed):
    image, reference = np.random.default_rng(seed).normal(size=(2, height, width)).astype("f4")
    expected = fft.irfft2(fft.rfft2(image) * np.conj(fft.rfft2(reference)), s=image.shape)
    found = correlate(image, spectrum(reference))
    np.testing.assert_allclose(found, expected, atol=2e-6 * height * width)


def test_a_shift_is_where_the_sum_is_highest():
    reference = np.random.default_rng(1).normal(size=(9, 12)).astype("f4")
    image = np.roll(reference, (3, -5), axis=(0, 1))
    found = correlate(image, spectrum(reference))
    assert np.unravel_index(np.argmax(found), found.shape) == (3, 7)
    plain = [[np.sum(np.roll(image, (-y, -x), axis=(0, 1)) * reference) for x in range(12)]
             for y in range(9)]  # fmt: skip
    np.testing.assert_allclose(found, plain, atol=1e-4)
