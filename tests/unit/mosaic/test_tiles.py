"""Places of tiles, against the truth of a simulated window."""

import numpy as np
import pytest

from derotation.errors import InputError
from derotation.mosaic.overlaps import Picture
from derotation.mosaic.stage import stage_angles
from derotation.mosaic.tiles import find_neighbors, place_tiles
from unit.mosaic.scenes import SIDE, grid, rms_distance, uneven_light


def pictures(images):
    return [Picture.prepare(image) for image in images]


def test_neighbors_by_the_positions():
    corners = [(0, 0), (0, 80), (0, 160), (85, 0), (95, 165)]
    # Areas of a tile of 100 x 100 shared: 20 %, 15 %; 20 % of the row; 5 % x 100 %; 3 %, and less.
    assert find_neighbors(corners, (100, 100), 0.1) == [(0, 1), (0, 3), (1, 2)]
    assert (2, 4) in find_neighbors(corners, (100, 100), 0.04)
    assert find_neighbors([(0, 0), (0, 101)], (100, 100), 0.01) == []


@pytest.mark.parametrize(("disc", "error", "limit"), [(False, 0.0, 0.2), (True, 2.0, 0.4)])
def test_tiles_are_found_where_they_are(disc, error, limit):
    cut = grid(3, 3, seed=5, disc=disc, error=error, illumination=uneven_light())
    found = place_tiles(pictures(cut.tiles.images), cut.ideal, threads=2)
    assert rms_distance(found.positions, cut.tiles.positions) < limit
    assert found.refined.all()
    assert found.residual_px < limit
    if not error:
        angles = stage_angles(found.stage.matrix)
        assert angles["theta_deg"] == pytest.approx(1.5, abs=0.1)
        assert angles["phi_deg"] == pytest.approx(90.5, abs=0.1)
        assert angles["step_x"] == pytest.approx(0.98, abs=0.002)
    else:
        assert found.scatter_px == pytest.approx(
            rms_distance(found.predicted, cut.tiles.positions), rel=0.3
        )


def test_a_tile_without_overlap_stays_where_the_stage_says():
    cut = grid(3, 3, seed=6)
    images = cut.tiles.images.copy()
    images[8] = np.random.default_rng(0).poisson(30, images[8].shape) + 100
    found = place_tiles(pictures(images), cut.ideal)
    assert found.refined.tolist() == [True] * 8 + [False]
    problems = [o.problem for o in found.overlaps if 8 in (o.first, o.second)]
    assert len(problems) == 2
    assert all("not alike" in problem for problem in problems)
    # Through the map: the stage alone would be several pixels off.
    assert rms_distance(found.positions, cut.tiles.positions) < 0.3
    assert rms_distance(cut.ideal, cut.tiles.positions) > 2


def test_a_tile_that_the_stage_lost_is_found_again():
    cut = grid(3, 3, seed=7)
    stage = cut.ideal.copy()
    stage[4] += (7.0, -6.0)  # what the sheet says is wrong
    found = place_tiles(pictures(cut.tiles.images), stage)
    assert rms_distance(found.positions, cut.tiles.positions) < 0.3
    assert found.refined.all()


def test_a_wrong_overlap_is_left_out_and_named(monkeypatch):
    cut = grid(3, 3, seed=8)
    measured = []

    def lie(pictures, pairs, expected, reach, *, threads=1):
        found = honest(pictures, pairs, expected, reach, threads=threads)
        for k, overlap in enumerate(found):
            if (overlap.first, overlap.second) == (0, 1):
                measured.append(k)
                object.__setattr__(
                    overlap, "displacement", overlap.displacement + np.array([9.0, 4.0])
                )
        return found

    import derotation.mosaic.tiles as module

    honest = module.measure_overlaps
    monkeypatch.setattr(module, "measure_overlaps", lie)
    found = place_tiles(pictures(cut.tiles.images), cut.ideal)
    assert measured
    assert rms_distance(found.positions, cut.tiles.positions) < 0.3
    (wrong,) = [overlap for overlap in found.overlaps if not overlap.ok]
    assert (wrong.first, wrong.second) == (0, 1)
    assert wrong.problem.startswith("contradicts the other overlaps by 9.")


def test_two_tiles():
    cut = grid(1, 2, seed=9, skew=0)
    found = place_tiles(pictures(cut.tiles.images), cut.ideal)
    assert rms_distance(found.positions, cut.tiles.positions) < 0.2
    assert found.stage.free == 2
    assert stage_angles(found.stage.matrix)["theta_deg"] == pytest.approx(1.5, abs=0.2)


def test_nothing_fits():
    rng = np.random.default_rng(0)
    images = rng.poisson(40, (3, SIDE, SIDE)).astype(np.float32)
    stage = np.array([(0, 0), (0, 90), (90, 0)], float)
    found = place_tiles(pictures(images), stage)
    np.testing.assert_allclose(found.positions, stage)
    assert not found.refined.any()
    assert np.isnan(found.residual_px)


def test_tiles_and_positions_have_to_fit():
    images = np.zeros((2, 40, 40)), np.zeros((1, 40, 41))
    with pytest.raises(InputError, match="2 tiles of 40 x 40 pixels have 3 positions"):
        place_tiles(pictures(images[0]), np.zeros((3, 2)))
    with pytest.raises(InputError, match="tiles of one size"):
        place_tiles(pictures([*images[0], *images[1]]), np.zeros((3, 2)))
