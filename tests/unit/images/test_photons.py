"""Photons told by noise, against counts that were drawn."""

import numpy as np
import pytest

from derotation.images.photons import photons_per_pixel


def pairs(mean, gain=1.0, offset=0.0, read_noise=0.0, seed=0):
    """Draw pairs of frames with so many photons per pixel."""
    random = np.random.default_rng(seed)
    frames = random.poisson(mean, (2, 12, *mean.shape)) * gain + offset
    return frames + random.normal(0, read_noise, frames.shape)


@pytest.fixture
def scene():
    """Cells on a dark ground, of 0 to 12 photons per pixel."""
    y, x = np.mgrid[:96, :96]
    return 12.0 * (np.sin(x / 7.0) ** 2 * np.sin(y / 9.0) ** 2)


@pytest.mark.parametrize("gain", [1.0, 37.0])
@pytest.mark.parametrize("offset", [0.0, 500.0])
def test_photons_are_counted_whatever_the_gain_and_the_offset(scene, gain, offset):
    first, second = pairs(scene, gain, offset, read_noise=0.5 * gain)
    assert photons_per_pixel(first, second) == pytest.approx(scene.mean(), rel=0.1)


def test_less_light_is_fewer_photons(scene):
    bright, dim = (photons_per_pixel(*pairs(scene * f, 10.0)) for f in (1.0, 0.25))
    assert dim == pytest.approx(bright / 4, rel=0.15)


def test_noise_that_does_not_grow_with_light_tells_nothing(scene):
    random = np.random.default_rng(1)
    first, second = scene + random.normal(0, 3, (2, 12, *scene.shape))
    assert photons_per_pixel(first, second) is None
    assert photons_per_pixel(first[:0], second[:0]) is None
    flat = np.full((3, 20, 20), 7.0)
    assert photons_per_pixel(flat, flat) is None
