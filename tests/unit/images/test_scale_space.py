"""Blobs in scale space against scikit-image, and the loops against SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.feature import blob_log

from derotation.images.scale_space import box_mean, responses, scale_space_blobs


def spots(rng, shape, n=12):
    """Some round spots of several sizes on noise, from 0 to about 1."""
    y, x = np.indices(shape)
    image = rng.normal(0, 0.02, shape)
    for _ in range(n):
        row, column, sigma = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(1.5, 6)
        image += rng.uniform(0.3, 1) * np.exp(
            -((y - row) ** 2 + (x - column) ** 2) / (2 * sigma**2)
        )
    return image


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"log_scale": True, "num_sigma": 5, "threshold": 0.08},
        {"overlap": 0.1, "threshold": 0.05, "exclude_border": 6},
        {"overlap": 1.0, "num_sigma": 3},
        {"threshold": 5.0},
    ],
)
def test_blobs_are_those_of_scikit_image(seed, options):
    image = spots(np.random.default_rng(seed), (70, 90))
    sigmas = {"min_sigma": 1.5, "max_sigma": 6.0}
    expected = blob_log(image, **sigmas, **options)
    found = scale_space_blobs(image, **sigmas, **options)
    by_place = [np.lexsort(blobs.T) for blobs in (found, expected)]
    np.testing.assert_allclose(found[by_place[0]], expected[by_place[1]], rtol=1e-12)


def test_blobs_come_with_the_strongest_first():
    image = spots(np.random.default_rng(1), (80, 80))
    found = scale_space_blobs(image, min_sigma=2.0, max_sigma=5.0, num_sigma=4, threshold=0.05)
    strength = [
        -(sigma**2) * ndimage.gaussian_laplace(image, sigma)[int(y), int(x)]
        for y, x, sigma in found
    ]
    assert len(found) > 3
    assert np.all(np.diff(strength) <= 1e-5)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_an_image_without_structure_has_no_blob(value):
    found = scale_space_blobs(np.full((20, 30), value), min_sigma=1.0, max_sigma=3.0)
    assert found.shape == (0, 3)


def test_more_maxima_than_there_is_room_for_at_first_are_found():
    image = np.zeros((200, 300))
    image[::3, ::3] = 1
    found = scale_space_blobs(
        image, min_sigma=0.5, max_sigma=0.5, num_sigma=1, threshold=0.1, overlap=1.0
    )
    assert len(found) == 67 * 100


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.4, 9.0), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_responses_are_those_of_scipy(height, width, sigma, seed):
    image = np.random.default_rng(seed).normal(size=(height, width))
    expected = -(sigma**2) * ndimage.gaussian_laplace(image, sigma)
    np.testing.assert_allclose(responses(image, np.array([sigma]))[0], expected, atol=2e-5)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 60), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_means_over_squares_are_those_of_scipy(height, width, size, seed):
    image = np.random.default_rng(seed).normal(size=(height, width))
    expected = ndimage.uniform_filter(image, size)
    np.testing.assert_allclose(box_mean(image, size), expected, atol=1e-12)
