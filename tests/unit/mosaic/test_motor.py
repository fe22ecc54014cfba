"""The documented functions for grids, each against a case worked out by hand."""

import builtins
import json
import math

import numpy as np
import pytest
import tifffile

from derotation.errors import InputError
from derotation.mosaic.motor import (
    apply_blend_shift_refinement,
    compare_motor_vs_registration,
    compute_affine_output_shape,
    compute_affine_positions,
    compute_motor_positions,
    compute_registration_refinements,
    estimate_affine_from_pairs,
    pool_pairs_and_fit_global_affine,
)
from unit.mosaic.scenes import OVERLAP, SIDE, grid

STEP = SIDE * (1 - OVERLAP)


def pairs_of(*displacements):
    names = ("row_delta", "col_delta", "measured_dy", "measured_dx")
    return [dict(zip(names, displacement, strict=True)) for displacement in displacements]


# Ideal positions.


def test_an_ideal_grid():
    positions, step_y, step_x = compute_motor_positions(2, 3, (5, 100, 80), 0.25)
    assert (step_y, step_x) == (75, 60)
    assert positions == [(0, 0), (0, 60), (0, 120), (75, 0), (75, 60), (75, 120)]


def test_a_scaled_grid():
    positions, step_y, step_x = compute_motor_positions(1, 2, (1, 100, 80), 0.5, scale_factor=2)
    assert (step_y, step_x) == (100, 80)
    assert positions == [(0, 0), (0, 80)]


def test_a_grid_turned_by_a_right_angle():
    positions, step_y, step_x = compute_motor_positions(2, 2, (100, 80), 0.0, rotation_deg=90)
    # (row, column) goes to (-column, row); the steps are those before the turn.
    assert (step_y, step_x) == (100, 80)
    np.testing.assert_allclose(positions, [(0, 0), (-80, 0), (0, 100), (-80, 100)], atol=1e-9)


def test_a_grid_turned_by_30_degrees():
    positions, _, _ = compute_motor_positions(1, 2, (10, 10), 0.0, rotation_deg=30)
    np.testing.assert_allclose(positions[1], (-5, 10 * math.sqrt(3) / 2))


@pytest.mark.parametrize("overlap", [-0.1, 1.0])
def test_an_impossible_overlap_is_refused(overlap):
    with pytest.raises(InputError, match="overlap_fraction has to be from 0 to below 1"):
        compute_motor_positions(2, 2, (10, 10), overlap)


# Measured overlaps.


def test_whole_pixel_displacements_are_measured():
    # Tiles of one picture without any noise: the second tile begins 93 px to the right and 2 px up
    # of the first, the third 98 px below and 1 px to the right, instead of 96 and 96.
    rng = np.random.default_rng(0)
    picture = rng.normal(size=(SIDE + 120, SIDE + 120))
    moved = [np.roll(picture, (i, j), (0, 1)) for i in range(4) for j in range(4)]
    picture = np.sum(moved, axis=0)
    corners = [(5, 5), (3, 98), (103, 6), (101, 99)]
    tiles = [picture[r : r + SIDE, c : c + SIDE] for r, c in corners]
    volume = np.block([tiles[:2], tiles[2:]])[np.newaxis]
    found = compute_registration_refinements(
        volume, (1, SIDE, SIDE), 2, 2, OVERLAP, max_refinement_px=2.5
    )
    assert set(found) == {"horizontal", "vertical", "pairs", "stats"}
    right, right_below, below, below_right = found["pairs"]
    for pair, expected in (
        (right, (0, 1, -2, 93)), (right_below, (0, 1, -2, 93)),
        (below, (1, 0, 98, 1)), (below_right, (1, 0, 98, 1)),
    ):  # fmt: skip
        assert (pair["row_delta"], pair["col_delta"]) == expected[:2]
        assert (pair["measured_dy"], pair["measured_dx"]) == pytest.approx(expected[2:], abs=0.02)
    # (-2, -3) is sqrt(13) long, which is more than 2.5; (2, 1) is sqrt(5) long, which is less.
    shortened = 2.5 / math.sqrt(13)
    assert set(found["horizontal"]) == {(0, 0), (1, 0)}
    assert set(found["vertical"]) == {(0, 0), (0, 1)}
    assert found["horizontal"][0, 0]["dy"] == pytest.approx(-2 * shortened, abs=0.02)
    assert found["horizontal"][0, 0]["dx"] == pytest.approx(-3 * shortened, abs=0.02)
    assert found["vertical"][0, 0] == pytest.approx({"dy": 2, "dx": 1}, abs=0.02)
    stats = found["stats"]
    assert (stats["total_pairs"], stats["valid_pairs"], stats["clamped_pairs"]) == (4, 4, 2)
    assert stats["max_refinement"] == pytest.approx(math.sqrt(13), abs=0.03)
    assert stats["mean_refinement"] == pytest.approx((math.sqrt(13) + math.sqrt(5)) / 2, abs=0.03)


def test_empty_overlaps_are_skipped():
    cut = grid(2, 2)
    images = cut.tiles.images.copy()
    images[3] = 100.0
    found = compute_registration_refinements(cut.volume(images), (1, SIDE, SIDE), 2, 2, OVERLAP)
    assert set(found["horizontal"]) == {(0, 0)}
    assert set(found["vertical"]) == {(0, 0)}
    assert found["stats"]["total_pairs"] == 2
    nothing = np.zeros((1, 64, 64), np.float32)
    found = compute_registration_refinements(nothing, (1, 32, 32), 2, 2, OVERLAP)
    assert found["pairs"] == []
    assert found["stats"]["total_pairs"] == found["stats"]["mean_refinement"] == 0


def test_overlaps_of_background_are_skipped_by_otsus_threshold():
    cut = grid(1, 3)
    images = cut.tiles.images.copy()
    # The last tile is noise of the background: not flat, but far darker than the others.
    images[2] = 10 + np.random.default_rng(0).poisson(3, images[2].shape)
    volume = cut.volume(images)
    counted = compute_registration_refinements(volume, (1, SIDE, SIDE), 1, 3, OVERLAP)
    skipped = compute_registration_refinements(
        volume, (1, SIDE, SIDE), 1, 3, OVERLAP, max_empty_fraction=0.9
    )
    assert counted["stats"]["total_pairs"] == 2  # compared, but alike they are not
    assert skipped["stats"]["total_pairs"] == 1
    assert set(counted["horizontal"]) == set(skipped["horizontal"]) == {(0, 0)}


def test_contrast_that_differs_by_more_than_a_factor(caplog):
    cut = grid(1, 2, photons=200)
    images = cut.tiles.images.copy()
    images[1] = images[1] ** 2 / images[1].max()
    true = cut.tiles.positions[1] - cut.tiles.positions[0]
    found = compute_registration_refinements(
        cut.volume(images), (1, SIDE, SIDE), 1, 2, OVERLAP, histogram_match=True, use_gpu=True
    )
    (pair,) = found["pairs"]
    assert (pair["measured_dy"], pair["measured_dx"]) == pytest.approx(tuple(true), abs=0.1)


def test_a_volume_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"2 x 2 tiles of 10 x 10 pixels need \(planes, 20, 20\)"):
        compute_registration_refinements(np.zeros((1, 20, 21)), (1, 10, 10), 2, 2, 0.2)


# The fit.


def test_the_map_of_two_pairs():
    pairs = pairs_of((0, 1, -3, 61), (1, 0, 82, 2))
    transform, found = estimate_affine_from_pairs(pairs, (1, 100, 80), 0.2)
    np.testing.assert_allclose(transform, [[82, -3], [2, 61]], atol=1e-6)
    # Worked out by hand: theta = atan(3 / 61); phi = atan(82 / 2) + theta.
    assert found["theta_deg"] == pytest.approx(math.degrees(math.atan(3 / 61)))
    phi = math.degrees(math.atan(82 / 2) + math.atan(3 / 61))
    assert found["phi_deg"] == pytest.approx(phi)
    assert found["non_perpendicularity_deg"] == pytest.approx(phi - 90)
    assert found["step_x"] == pytest.approx(math.hypot(3, 61))
    assert found["step_y"] == pytest.approx(math.hypot(82, 2))
    assert found["Ox_fraction"] == pytest.approx(1 - math.hypot(3, 61) / 80)
    assert found["Oy_fraction"] == pytest.approx(1 - math.hypot(82, 2) / 100)
    assert found["off_diagonal_px"] == pytest.approx([-3, 2])
    assert (found["n_pairs"], found["n_pairs_used"], found["fallback"]) == (2, 2, False)
    assert found["lstsq_residual"] == pytest.approx(0, abs=1e-12)


def test_the_map_of_a_turned_perpendicular_stage():
    positions, _, _ = compute_motor_positions(2, 2, (100, 100), 0.2, rotation_deg=3)
    pairs = pairs_of((0, 1, *positions[1]), (1, 0, *positions[2]))
    transform, found = estimate_affine_from_pairs(pairs, (1, 100, 100), 0.2)
    assert found["theta_deg"] == pytest.approx(3)
    assert found["phi_deg"] == pytest.approx(90)
    np.testing.assert_allclose(compute_affine_positions(2, 2, transform), positions, atol=1e-6)


def test_wrong_pairs_do_not_bend_the_fit_and_are_named():
    rng = np.random.default_rng(1)
    true = np.array([[80.0, -2.0], [1.0, 62.0]])
    deltas = [(0, 1)] * 8 + [(1, 0)] * 8
    measured = [true @ delta + rng.normal(0, 0.05, 2) for delta in deltas]
    measured[3] = measured[3] + (0, 14)
    measured[12] = measured[12] + (-9, 3)
    pairs = pairs_of(*[(*delta, *m) for delta, m in zip(deltas, measured, strict=True)])
    transform, found = estimate_affine_from_pairs(pairs, (1, 100, 80), 0.2)
    np.testing.assert_allclose(transform, true, atol=0.1)
    assert [pair["index"] for pair in found["dropped"]] == [3, 12]
    assert found["dropped"][0]["residual_px"] == pytest.approx(14, abs=0.3)
    assert "14" in found["dropped"][0]["reason"] or "13.9" in found["dropped"][0]["reason"]
    assert found["n_pairs_used"] == 14
    assert found["residual_rms_px"] < 0.15


def test_without_pairs_the_ideal_grid_stands_in():
    transform, found = estimate_affine_from_pairs([], (1, 100, 80), 0.2)
    np.testing.assert_allclose(transform, [[80, 0], [0, 64]])
    assert found["fallback"] is True
    assert found["reason"] == "no pairs"


def test_pairs_of_one_direction_tell_a_turn_and_a_scale():
    # A step along the columns leads (-5, 50) instead of (0, 64); along the rows it should be 80.
    transform, found = estimate_affine_from_pairs(pairs_of((0, 1, -5, 50)), (1, 100, 80), 0.2)
    np.testing.assert_allclose(transform, [[80 * 50 / 64, -5], [80 * 5 / 64, 50]], atol=1e-6)
    assert found["phi_deg"] == pytest.approx(90)
    assert "one direction" in found["undetermined"]


# Positions and size from the map.


def test_positions_from_the_map():
    positions = compute_affine_positions(2, 2, [[80, -2], [3, 64]])
    assert positions == [(0, 0), (-2, 64), (80, 3), (78, 67)]


def test_the_size_of_the_whole_picture():
    # Rows from -2 to 80 + 100, columns from 0 to 67 + 80.
    assert compute_affine_output_shape(2, 2, (3, 100, 80), [[80, -2], [3, 64]]) == (3, 182, 147)
    assert compute_affine_output_shape(1, 1, (1, 10, 20), np.eye(2)) == (1, 10, 20)
    assert compute_affine_output_shape(2, 1, (1, 10, 20), [[8.5, 0], [0.0, 16]]) == (1, 19, 20)


# Blending.


def test_a_tile_is_moved_by_half_of_the_mean():
    tile = np.zeros((1, 9, 9), np.float32)
    tile[0, 4, 4] = 1
    # The mean of both is (2, -4), half of it (1, -2).
    moved = apply_blend_shift_refinement(tile, [{"dy": 4, "dx": -4}, {"dy": 0, "dx": -4}])
    assert moved.shape == tile.shape
    assert np.argwhere(moved > 0.5).tolist() == [[0, 5, 2]]
    half = apply_blend_shift_refinement(tile, [{"dy": 1, "dx": 0}])
    assert half[0, 4, 4] == half[0, 5, 4] == pytest.approx(0.5)


@pytest.mark.parametrize("refinements", [[], [{"dx": 0.1, "dy": -0.1}],
                                         [{"dx": 3, "dy": 0}, {"dx": -3, "dy": 0}]])  # fmt: skip
def test_a_negligible_move_leaves_the_tile_as_it_is(refinements):
    tile = np.ones((2, 4, 4))
    assert apply_blend_shift_refinement(tile, refinements) is tile


def test_refined_neighbors_agree():
    cut = grid(1, 2, angle=0, skew=0, scale=0.98, photons=400)
    found = compute_registration_refinements(cut.volume(), (1, SIDE, SIDE), 1, 2, OVERLAP)
    rest = found["horizontal"][0, 0]
    left, right = cut.tiles.images
    shared = SIDE - round(STEP)
    before = left[:, -shared:] - right[:, :shared]
    left = apply_blend_shift_refinement(left, [{"dy": -rest["dy"], "dx": -rest["dx"]}])
    right = apply_blend_shift_refinement(right, [rest])
    after = left[:, -shared:] - right[:, :shared]
    inside = (slice(4, -4), slice(4, -4))
    assert after[inside].std() < 0.5 * before[inside].std()


# Motor against registration.


def test_differences_of_motor_and_registration(tmp_path):
    motor = [(0, 0), (0, 10), (10, 0)]
    found = compare_motor_vs_registration(motor, [(0, 0), (3, 14), (10, 0)], tmp_path / "c.json")
    assert found["n_tiles"] == 3
    assert (found["mean_diff_y"], found["mean_diff_x"]) == pytest.approx((1, 4 / 3))
    # The differences are 0, 3, 0 and 0, 4, 0.
    assert found["std_diff_y"] == pytest.approx(math.sqrt(2))
    assert found["std_diff_x"] == pytest.approx(4 * math.sqrt(2) / 3)
    assert (found["max_diff_y"], found["max_diff_x"]) == (3, 4)
    assert (found["mean_magnitude"], found["max_magnitude"]) == pytest.approx((5 / 3, 5))
    assert found["systematic_offset"] is False
    assert "dilation_indicator" not in found
    assert json.loads((tmp_path / "c.json").read_text()) == found


def test_a_systematic_offset_and_a_dilation_are_flagged():
    motor = np.array([(i, 0) for i in range(12)], float) * 10
    offset = compare_motor_vs_registration(motor, motor + np.array([6, 0]))
    assert offset["systematic_offset"] is True
    assert "(6.0, 0.0) px" in offset["offset_warning"]
    assert offset["dilation_indicator"] is False
    grown = compare_motor_vs_registration(motor, motor * 1.02)
    assert grown["dilation_indicator"] is True
    assert grown["index_error_correlation"] == pytest.approx(1)
    with pytest.raises(InputError, match="12 positions of the motor cannot be compared with 11"):
        compare_motor_vs_registration(motor, motor[1:])


# Many grids.


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """Two grids of one stage, in the two layouts of a TIFF."""
    folder = tmp_path_factory.mktemp("stacks")
    first, second = grid(2, 2, seed=1), grid(2, 2, seed=2)
    tifffile.imwrite(folder / "a.tif", first.tiles.images.reshape(2, 2, SIDE, SIDE))
    tifffile.imwrite(folder / "b.tif", second.volume(), tile=(SIDE, SIDE))
    return [("a", folder / "a.tif"), ("b", str(folder / "b.tif"))], first.matrix * STEP


def test_the_pairs_of_many_grids_are_pooled(stacks):
    volumes, true = stacks
    transform, found = pool_pairs_and_fit_global_affine(volumes, OVERLAP)
    np.testing.assert_allclose(transform, true, atol=0.15)
    assert found["n_volumes"] == 2
    assert found["n_pairs_pooled_total"] == found["n_pairs_used"] == 8
    assert found["tile_shape"] == [1, SIDE, SIDE]
    assert [stats["slice_id"] for stats in found["per_slice_stats"]] == ["a", "b"]
    assert found["displacement_model"]["theta_deg"] == pytest.approx(1.5, abs=0.1)
    assert (found["backend"], found["seed"], found["fallback"]) == ("cpu", None, False)


def test_a_draw_of_pairs_can_be_repeated(stacks):
    volumes, _ = stacks
    draws = [
        pool_pairs_and_fit_global_affine(volumes, OVERLAP, n_samples=4, seed=seed)
        for seed in (3, 3, 4)
    ]
    assert np.array_equal(draws[0][0], draws[1][0])
    assert not np.array_equal(draws[0][0], draws[2][0])
    assert draws[0][1]["seed"] == 3
    assert draws[0][1]["n_pairs_used"] <= 4


def test_grids_in_zarr(tmp_path):
    zarr = pytest.importorskip("zarr")
    cut = grid(1, 2)
    group = zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="w")
    array = group.create_array(
        "0", shape=(3, SIDE, 2 * SIDE), chunks=(3, SIDE, SIDE), dtype="float32"
    )
    array[:] = 0
    array[1] = cut.volume()[0]
    group.attrs["multiscales"] = [{"version": "0.4", "datasets": [{"path": "0"}]}]
    transform, found = pool_pairs_and_fit_global_affine([("a", tmp_path / "a.ome.zarr")], OVERLAP)
    assert found["tile_shape"] == [3, SIDE, SIDE]
    true = cut.tiles.positions[1] - cut.tiles.positions[0]
    np.testing.assert_allclose(transform[:, 1], true, atol=0.15)


def test_zarr_that_is_not_installed(tmp_path, monkeypatch):
    (tmp_path / "a.ome.zarr").mkdir()
    real = builtins.__import__

    def without_zarr(name, *arguments, **keywords):
        if name == "zarr":
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_zarr)
    with pytest.raises(InputError, match=r"pip install 'derotation-workflow\[zarr\]'"):
        pool_pairs_and_fit_global_affine([("a", tmp_path / "a.ome.zarr")], OVERLAP)


def test_grids_that_cannot_be_read(tmp_path):
    def complaint(name, image=None, **options):
        path = tmp_path / name
        if image is not None:
            tifffile.imwrite(path, image, **options)
        with pytest.raises(InputError) as error:
            pool_pairs_and_fit_global_affine([("a", path)], OVERLAP)
        assert str(path) in str(error.value)
        return str(error.value)

    assert "does not exist" in complaint("nowhere.tif")
    assert "does not say what its tiles are" in complaint("plain.tif", np.zeros((64, 64), "f4"))
    odd = complaint("odd.tif", np.zeros((64, 72), "f4"), tile=(32, 32))
    assert "no whole number of tiles of 32 x 32" in odd
    (tmp_path / "a.png").write_bytes(b"x")
    assert "from .tif files only" in complaint("a.png")
    with pytest.raises(InputError, match="no mosaic grid was given"):
        pool_pairs_and_fit_global_affine([], OVERLAP)
