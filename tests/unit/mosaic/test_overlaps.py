"""The displacement of two tiles, against the truth of a simulated window."""

import numpy as np
import pytest

from derotation.mosaic.overlaps import Picture, blank_pixels, measure_overlap, overlap_area
from unit.mosaic.scenes import SIDE, grid, uneven_light


def measure(cut, one=0, other=1, reach=15.0, images=None):
    images = cut.tiles.images if images is None else images
    pictures = [Picture.prepare(images[k]) for k in (one, other)]
    return measure_overlap(*pictures, cut.ideal[other] - cut.ideal[one], reach)


def true(cut, one=0, other=1):
    return cut.tiles.positions[other] - cut.tiles.positions[one]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("disc", [False, True])
def test_a_displacement_is_found_to_a_fraction_of_a_pixel(seed, disc):
    cut = grid(1, 2, seed=seed, disc=disc, illumination=uneven_light(), error=2.0)
    found = measure(cut)
    assert found.ok
    np.testing.assert_allclose(found.displacement, true(cut), atol=0.4 if disc else 0.2)
    assert found.correlation > 0.8
    # What it says of its own error is of the right size.
    sd = np.sqrt(np.diag(np.linalg.inv(found.information)))
    assert (np.abs(found.displacement - true(cut)) < 5 * sd).all()
    assert sd.max() < 0.3


def test_exchanging_the_tiles_turns_the_displacement_round():
    cut = grid(1, 2, seed=3)
    there, back = measure(cut), measure(cut, 1, 0)
    np.testing.assert_allclose(there.displacement, -back.displacement, atol=0.05)


def test_brightness_and_offset_do_not_matter():
    cut = grid(1, 2, seed=3)
    images = cut.tiles.images.copy()
    images[1] = 0.2 * images[1] + 500
    np.testing.assert_allclose(
        measure(cut, images=images).displacement, measure(cut).displacement, atol=0.01
    )


def test_noise_is_no_overlap():
    cut = grid(1, 2, seed=4)
    images = cut.tiles.images.copy()
    images[1] = np.random.default_rng(0).poisson(50, images[1].shape)
    found = measure(cut, images=images)
    assert not found.ok
    assert "not alike" in found.problem


def test_a_repetitive_overlap_is_ambiguous():
    cut = grid(1, 2, seed=4)
    images = cut.tiles.images.copy()
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for k, (row, column) in enumerate(cut.tiles.positions[:2]):
        y, x = 2 * np.pi * (rows + row) / 12, 2 * np.pi * (columns + column) / 12
        images[k] = 100 + 800 * (1 + np.cos(x) * np.cos(y))
    found = measure(cut, images=images)
    assert not found.ok
    assert found.problem.startswith("ambiguous")
    # Looked at closely enough there is only one place.
    pictures = [Picture.prepare(image) for image in images[:2]]
    near = measure_overlap(*pictures, true(cut) + 0.5, 3.0)
    assert near.ok
    np.testing.assert_allclose(near.displacement, true(cut), atol=0.1)


def test_tiles_that_share_nothing():
    cut = grid(1, 2, seed=4)
    pictures = [Picture.prepare(image) for image in cut.tiles.images]
    found = measure_overlap(*pictures, (0.0, 1.5 * SIDE), 10.0)
    assert "too few pixels" in found.problem
    assert not found.information.any()
    assert "too small" in measure_overlap(*pictures, (SIDE - 24.0, SIDE - 24.0), 2.0).problem


def test_blank_pixels():
    rng = np.random.default_rng(0)
    image = rng.normal(100, 5, (40, 50)).astype(np.float32)
    assert not blank_pixels(image).any()
    rows, columns = np.mgrid[:40, :50]
    outside = np.hypot(rows - 19.5, columns - 24.5) > 19
    image[outside] = 100.0
    found = blank_pixels(image)
    # But for single pixels at the rim of the disc, which are next to noise.
    assert (found & ~outside).sum() == 0
    assert (outside & ~found).sum() < 0.06 * outside.sum()
    image[20, 25] = np.nan
    image[10:14, 20:26] = 100.0  # flat, but within the picture
    assert blank_pixels(image)[20, 25]
    assert not blank_pixels(image)[11, 22]


def test_the_area_that_two_tiles_share():
    assert overlap_area((10, 20), (0, 0)) == 200
    assert overlap_area((10, 20), (-4, 15)) == 6 * 5
    assert overlap_area((10, 20), (3, 21)) == 0
