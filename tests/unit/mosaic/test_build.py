"""Brightness, blending and the whole mosaic, against the window that the tiles were cut from."""

import logging

import numpy as np
import pytest

from derotation.errors import InputError
from derotation.mosaic.balance import Balance, balance_tiles
from derotation.mosaic.blend import blend_tiles, feather, seam_ratio
from derotation.mosaic.build import Tile, build_mosaic, stage_to_pixels
from derotation.mosaic.overlaps import Picture
from unit.mosaic.scenes import SIDE, grid, rms_distance, uneven_light


def tiles_of(cut, images=None, names="abcdefghi", x=1.0, y=1.0):
    images = cut.tiles.images if images is None else images
    return [
        Tile(name=name, image=image, coverage=None, stage_um=(2 * x * column, 2 * y * row))
        for name, image, (row, column) in zip(names, images, cut.ideal, strict=False)
    ]


# Brightness.


def test_gains_and_light_are_found():
    brightness = np.array([1.0, 1.2, 0.9, 1.0])
    light = uneven_light()
    cut = grid(2, 2, seed=1, illumination=light, brightness=brightness, photons=200)
    pictures = [Picture.prepare(image) for image in cut.tiles.images]
    pairs = [(0, 1), (0, 2), (1, 3), (2, 3)]
    found = balance_tiles(pictures, cut.tiles.positions, pairs)
    assert found.offset == pytest.approx(100, abs=60)  # of a range of about 10000
    # Gain and light together are right, but for a tilt of the whole window that none can know.
    rows, columns = np.mgrid[:SIDE:8, :SIDE:8]
    error = np.concatenate([
        np.log(found.gains[k] * found.illumination((SIDE, SIDE)) / (brightness[k] * light))[
            ::8, ::8
        ].ravel()
        for k in range(4)
    ])  # fmt: skip
    place = [(rows + row, columns + column) for row, column in cut.tiles.positions]
    tilt = np.array([(1 + 0 * r, r, c) for r, c in place]).transpose(0, 2, 3, 1).reshape(-1, 3)
    rest = error - tilt @ np.linalg.lstsq(tilt, error)[0]
    assert np.abs(rest).max() < 0.05
    assert found.difference_after < 0.5 * found.difference_before
    never = balance_tiles(pictures, cut.tiles.positions, pairs, illumination="never", offset=100)
    assert not never.field.any()
    assert never.offset == 100


def test_even_tiles_are_left_as_they_are():
    cut = grid(2, 2, seed=2, photons=200)
    pictures = [Picture.prepare(image) for image in cut.tiles.images]
    found = balance_tiles(pictures, cut.tiles.positions, [(0, 1), (0, 2), (1, 3), (2, 3)])
    np.testing.assert_allclose(found.gains, 1, atol=0.02)
    assert not found.field.any()
    alone = balance_tiles(pictures, cut.tiles.positions, [])
    np.testing.assert_array_equal(alone.gains, 1)


# Blending.


def test_weights_fall_to_the_rim():
    mask = np.zeros((11, 11), bool)
    mask[1:10, 1:10] = True
    weight = feather(mask)
    # Distances to the next pixel outside are 1 to 5; three pixels at the rim do not count.
    assert weight[5, 5] == 1
    assert weight[4, 5] == pytest.approx(1 / 2)
    assert weight[3, 5] == weight[0, 0] == 0
    assert feather(mask, np.full(mask.shape, 0.5))[5, 5] == 1
    assert not feather(np.zeros((4, 4), bool)).any()


def test_two_tiles_by_hand():
    # Two flat tiles of 9 rows and 15 columns, the second one twice as bright, 6 px apart.
    images = np.full((2, 9, 15), 10, np.float32)
    images[1] = 20
    weight = feather(np.ones((9, 15), bool))
    positions = np.array([[3.0, 2.0], [3.0, 8.0]])
    plain = blend_tiles(lambda k: (images[k], weight), positions, (9, 15))
    assert plain.image.shape == (9, 21)
    np.testing.assert_array_equal(plain.places, [[0, 0], [0, 6]])
    assert plain.image[4, 4] == 10
    assert plain.image[4, 16] == 20
    assert np.isnan(plain.image[0, 0])
    # In row 4, 5 px from the rims, weights are 2 of 2 from the 5th column of a tile to its 5th
    # last, and 1 of 2 beside them. Columns 10 and 11 count 2 : 2 and 1 : 2.
    assert plain.image[4, 10] == pytest.approx(15)
    assert plain.image[4, 11] == pytest.approx((10 + 2 * 20) / 3)
    assert set(np.unique(plain.labels)) == {0, 1, 2}
    assert (plain.labels[4, 4], plain.labels[4, 11], plain.labels[4, 16]) == (1, 2, 2)
    gains = Balance(
        offset=0.0, gains=np.array([1.0, 2.0]), field=np.zeros(5), difference_before=1.0,
        difference_after=0.0,
    )  # fmt: skip
    even = blend_tiles(lambda k: (images[k], weight), positions, (9, 15), gains)
    np.testing.assert_allclose(even.image[even.count > 0], 10)


def test_a_tile_is_resampled_at_its_fraction_of_a_pixel():
    y, x = np.mgrid[:40, :40].astype(float)

    def scene(rows, columns):
        return np.sin(rows / 4) * np.cos(columns / 5)

    places = np.array([[0.0, 0.0], [10.3, 7.8]])
    images = [scene(y + r, x + c).astype(np.float32) for r, c in places]
    weight = feather(np.ones((40, 40), bool))
    found = blend_tiles(lambda k: (images[k], weight), places, (40, 40))
    rows, columns = np.mgrid[: found.image.shape[0], : found.image.shape[1]]
    error = (found.image - scene(rows, columns))[found.count > 0]
    assert np.abs(error).max() < 0.015


def test_far_apart_tiles_do_not_fill_the_memory():
    with pytest.raises(InputError, match="check the positions of the stage"):
        blend_tiles(lambda k: None, np.array([[0.0, 0.0], [1e6, 1e6]]), (10, 10))


def test_the_seam_ratio_sees_a_step():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(60, 60)).astype(np.float32)
    labels = np.ones((60, 60), np.uint16)
    assert np.isnan(seam_ratio(image, labels))
    labels[:, 30:] = 2
    assert seam_ratio(image, labels) == pytest.approx(1, abs=0.2)
    image[:, 30:] += 5
    # Mean steps: 5 at the border, 2 / sqrt(pi) of noise elsewhere.
    assert seam_ratio(image, labels) == pytest.approx(5 * np.sqrt(np.pi) / 2, rel=0.2)


# The whole.


@pytest.mark.parametrize("disc", [False, True])
def test_the_mosaic_is_the_window(disc):
    cut = grid(
        2, 2, seed=3, error=1.0, disc=disc, illumination=uneven_light(),
        brightness=[1.0, 1.1, 0.9, 1.05], photons=200.0,
    )  # fmt: skip
    result = build_mosaic(tiles_of(cut), 2.0, threads=2)
    assert rms_distance(result.placement.positions, cut.tiles.positions) < 0.3
    exact = blend_tiles(
        lambda k: (cut.tiles.exact[k], feather(cut.tiles.masks[k])),
        result.placement.positions, (SIDE, SIDE),
    )  # fmt: skip
    seen = np.isfinite(result.mosaic.image) & np.isfinite(exact.image)
    # Most of the window was seen; corners between discs were not.
    assert seen.mean() > (0.6 if disc else 0.85)
    slope, start = np.polyfit(result.mosaic.image[seen], exact.image[seen], 1)
    rest = slope * result.mosaic.image[seen] + start - exact.image[seen]
    assert rest.std() / np.ptp(exact.image[seen]) < 0.03
    assert result.seams < 1.3
    assert result.n_used >= 4
    assert "4 of 4 overlaps were used" in result.statement
    assert "degrees against the scanner" in result.statement


def test_pixels_that_few_frames_saw_are_left_out():
    cut = grid(1, 2, seed=4)
    coverage = np.ones((SIDE, SIDE), np.float32)
    coverage[: SIDE // 4] = 0.05
    tiles = [
        Tile(name=t.name, image=t.image, coverage=coverage, stage_um=t.stage_um)
        for t in tiles_of(cut)
    ]
    result = build_mosaic(tiles, 2.0)
    assert not np.isfinite(result.mosaic.image[: SIDE // 4]).any()
    bare = Tile(name="c", image=cut.tiles.images[0], coverage=0 * coverage, stage_um=(0, 0))
    with pytest.raises(InputError, match=r"c: only 0\.0% of the mean image"):
        build_mosaic([tiles[0], bare], 2.0)


def test_directions_of_the_stage():
    stage = np.array([[10.0, 0.0], [0.0, 6.0]])
    np.testing.assert_array_equal(stage_to_pixels(stage, 2.0), [[0, 5], [3, 0]])
    np.testing.assert_array_equal(stage_to_pixels(stage, 2.0, "up", "left"), [[-5, 0], [0, -3]])


def test_a_stage_that_runs_the_other_way_is_said():
    cut = grid(2, 2, seed=5)
    with pytest.raises(InputError, match="with x_axis: left and y_axis: down 4 of 4 do"):
        build_mosaic(tiles_of(cut, x=-1.0), 2.0)
    result = build_mosaic(tiles_of(cut, x=-1.0), 2.0, {"x_axis": "left"})
    assert rms_distance(result.placement.positions, cut.tiles.positions) < 0.3


def test_a_mosaic_without_any_overlap_is_made_by_the_stage(caplog):
    rng = np.random.default_rng(0)
    images = rng.poisson(40, (2, 64, 64)).astype(np.float32)
    tiles = [Tile(name=n, image=i, coverage=None, stage_um=(50.0 * k, 0.0))
             for k, (n, i) in enumerate(zip("ab", images, strict=True))]  # fmt: skip
    with caplog.at_level(logging.INFO):
        result = build_mosaic(tiles, 1.0)
    assert "all tiles lie where the stage says" in result.statement
    assert "the overlap of a and b was left out" in caplog.text
    np.testing.assert_allclose(np.diff(result.mosaic.places, axis=0), [[0, 50]])


def test_tiles_of_different_sizes_are_refused():
    images = np.ones((64, 64), np.float32), np.ones((64, 65), np.float32)
    tiles = [Tile(name=n, image=i, coverage=None, stage_um=(0, 0))
             for n, i in zip("ab", images, strict=True)]  # fmt: skip
    with pytest.raises(InputError, match="b has 64 x 65 pixels, a 64 x 64"):
        build_mosaic(tiles, 1.0)
    with pytest.raises(InputError, match="at least two tiles"):
        build_mosaic(tiles[:1], 1.0)
