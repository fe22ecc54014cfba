"""What belongs to a picture, and how exactly a movement is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from derotation.movement.images import FLAT, valid_pixels
from derotation.movement.refine import N_NUISANCE, _jackknife


def slow_valid(image):
    """Squares of one value, found by comparing extremes, and what they reach."""
    known = np.isfinite(image)
    filled = np.where(known, image, np.nan_to_num(image[known].min(initial=0)))
    flat = ndimage.maximum_filter(filled, FLAT) == ndimage.minimum_filter(filled, FLAT)
    return ~ndimage.binary_dilation(flat | ~known, iterations=FLAT // 2)


@given(
    seed=st.integers(0, 2**32 - 1),
    n_values=st.integers(1, 40),
    height=st.integers(5, 24),
    width=st.integers(5, 24),
    unknown=st.booleans(),
)
def test_blank_squares_are_no_part_of_a_picture(seed, n_values, height, width, unknown):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, n_values, (height, width)).astype(np.float32)
    # Of all sizes up to the whole picture, and beyond its borders.
    for _ in range(3):
        y, x = rng.integers(-3, height), rng.integers(-3, width)
        rows, columns = (slice(max(k, 0), k + rng.integers(1, 9)) for k in (y, x))
        image[rows, columns] = np.nan if unknown and rng.random() < 0.3 else rng.integers(3)
    np.testing.assert_array_equal(valid_pixels(image), slow_valid(image))


@pytest.mark.parametrize("n_tiles", [4, 9])
def test_uncertainty_is_that_of_leaving_out_tiles(n_tiles):
    rng = np.random.default_rng(0)
    n, k = 600, N_NUISANCE + 3
    known, near = rng.normal(size=(k, n)).astype(np.float32), rng.uniform(0.1, 1, n)
    target = known[0] * 2 + rng.normal(0, 0.1, n)
    tile = rng.integers(0, n_tiles, n) * 5 + 2
    without = []
    for part in np.unique(tile):
        root = np.sqrt(near[tile != part])
        fitted = np.linalg.lstsq((known[:, tile != part] * root).T, target[tile != part] * root)[0]
        without.append(fitted[N_NUISANCE:] / fitted[0])
    covariance = (n_tiles - 1) ** 2 / n_tiles * np.cov(np.array(without).T)
    found = _jackknife(known.astype(np.float64), target, near, tile)
    np.testing.assert_allclose(found, covariance, rtol=1e-4, atol=1e-12)
