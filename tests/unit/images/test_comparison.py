"""Pictures are compared with a reference of which some pixels were never recorded."""

import numpy as np
import pytest
from scipy import ndimage

from derotation.images.comparison import Comparison


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(8)
    spots = np.zeros((96, 112))
    spots[rng.integers(10, 86, 60), rng.integers(10, 102, 60)] = rng.uniform(200, 900, 60)
    return (ndimage.gaussian_filter(spots, 2) + 5).astype(np.float32)


MISSING = {
    "a border column": (slice(None), slice(0, 1)),
    "a column inside": (slice(None), slice(50, 51)),
    "some rows": (slice(20, 24), slice(None)),
    "nothing": (slice(0, 0), slice(0, 0)),
}


@pytest.mark.parametrize("where", MISSING.values(), ids=MISSING.keys())
def test_what_was_never_recorded_is_not_compared(scene, where):
    reference = scene.copy()
    reference[where] = np.nan
    parts = np.where(np.isnan(reference), np.nan, 0)[np.newaxis].astype(np.float32)
    comparison = Comparison(reference, parts)
    seen = np.ones(scene.shape, bool)
    moved = np.roll(scene, (3, -2), axis=(0, 1))
    shift, correlation, _ = comparison.peak(moved, seen)
    np.testing.assert_allclose(shift, (-2, 3), atol=0.1)
    assert correlation > 0.8
    moved = ndimage.shift(scene, (0.3, -0.2), order=3, mode="nearest")
    values, information, _ = comparison.gradients(moved, seen, 2.0)
    np.testing.assert_allclose(values[:2], (-0.2, 0.3), atol=0.02)
    assert np.isfinite(information).all()


def test_a_reference_without_any_pixel_tells_nothing(scene):
    comparison = Comparison(np.full_like(scene, np.nan))
    values, _, _ = comparison.gradients(scene, np.ones(scene.shape, bool), 2.0)
    assert np.isnan(values).all()
    assert comparison.peak(scene, np.ones(scene.shape, bool))[1] == 0
