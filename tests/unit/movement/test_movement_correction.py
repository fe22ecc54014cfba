"""Coordinates, warping, composition and files of a movement."""

import json

import numpy as np
import pytest
from scipy import ndimage

from derotation.errors import InputError
from derotation.movement import MovementCorrection


def similarity(degrees=7.0, scale=1.02, shift=(5.3, -8.1)):
    angle = np.deg2rad(degrees)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])


@pytest.fixture
def correction():
    points = np.array([[10.0, 20.0], [70.0, 30.0], [40.0, 60.0]])
    moved = np.array([[11.0, 21.0], [71.0, 31.0], [41.0, 61.0]])
    return MovementCorrection(
        similarity(), (90, 120), points, moved, ["seen", "refined"], covariance=0.01 * np.eye(6)
    )


def smooth_image(shape, seed=0, sigma=4.0):
    image = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return image / image.std()


def test_what_a_matrix_says():
    given = MovementCorrection(similarity(), (90, 120))
    assert given.matrix.shape == (3, 3)
    assert given.translation == pytest.approx((5.3, -8.1))
    assert given.rotation == pytest.approx(7)
    assert given.scale == pytest.approx(1.02)
    full = np.vstack([similarity(), [0, 0, 1]])
    np.testing.assert_array_equal(MovementCorrection(full, (90, 120)).matrix, given.matrix)


def test_a_positive_rotation_is_clockwise_on_a_screen():
    # x to the right, y down: clockwise takes what is right of the corner to below it.
    quarter = MovementCorrection(similarity(90, 1, (0, 0)), (10, 10))
    x, y = quarter.moved_to_ref_coords(3, 0)
    assert (x, y) == pytest.approx((0, 3))


def test_the_rotation_of_an_affine_map_is_the_nearest_one():
    angle = np.deg2rad(12)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretched = turn @ np.array([[1.05, 0.02], [0.02, 0.98]])
    given = MovementCorrection(np.c_[stretched, [0, 0]], (10, 10))
    assert given.rotation == pytest.approx(12)
    assert given.scale == pytest.approx(np.sqrt(1.05 * 0.98 - 0.02**2))


def test_the_middle_is_shifted_as_it_says(correction):
    x, y = correction.moved_to_ref_coords(59.5, 44.5)
    assert correction.center_shift == pytest.approx((x - 59.5, y - 44.5))


def test_coordinates_come_back(correction):
    x, y = np.random.default_rng(0).uniform(-200, 700, (2, 50, 3))
    back = correction.ref_to_moved_coords(*correction.moved_to_ref_coords(x, y))
    np.testing.assert_allclose(back, (x, y), atol=1e-9)
    whole = correction.inverse().compose(correction)
    np.testing.assert_allclose(whole.matrix, np.eye(3), atol=1e-12)


def test_two_movements_in_turn(correction):
    other = MovementCorrection(similarity(-3, 0.98, (1, 2)), (90, 120))
    in_turn = other.moved_to_ref_coords(*correction.moved_to_ref_coords(12.0, 34.0))
    at_once = other.compose(correction).moved_to_ref_coords(12.0, 34.0)
    np.testing.assert_allclose(at_once, in_turn, atol=1e-9)
    assert other.compose(correction).covariance is None
    with pytest.raises(InputError, match="scaled"):
        MovementCorrection(np.eye(3), (45, 60)).compose(correction)


def test_warping_moves_what_was_there(correction):
    image = np.zeros((90, 120))
    image[40, 50] = 1
    image = ndimage.gaussian_filter(image, 3)
    warped, mask = correction.warp_moved_to_ref(image, "cubic")
    y, x = (float((grid * warped).sum() / warped.sum()) for grid in np.mgrid[:90, :120])
    np.testing.assert_allclose((x, y), correction.moved_to_ref_coords(50, 40), atol=0.01)
    assert mask.dtype == bool
    assert not mask.all()


@pytest.mark.parametrize(("interp", "tolerance"), [("linear", 0.1), ("cubic", 0.01)])
def test_there_and_back_keeps_the_interior(correction, interp, tolerance):
    image = smooth_image((90, 120))
    there, _ = correction.warp_moved_to_ref(image, interp)
    back, mask = correction.warp_ref_to_moved(there, interp)
    inside = ndimage.binary_erosion(mask, iterations=20)
    inside[:20] = inside[-20:] = inside[:, :20] = inside[:, -20:] = False
    assert inside.sum() > 1000
    assert np.abs(back - image)[inside].max() < tolerance


def test_edges_are_filled_only_if_asked(correction):
    image = np.full((90, 120), 200, np.uint8)
    warped, mask = correction.warp_moved_to_ref(image)
    filled, same = correction.warp_moved_to_ref(image, fill_edges=True)
    assert warped.dtype == np.uint8
    assert set(np.unique(warped)) == {0, 200}
    np.testing.assert_array_equal(warped == 200, mask)
    np.testing.assert_array_equal(mask, same)
    assert (filled == 200).all()


def test_integers_do_not_wrap_around(correction):
    image = np.zeros((90, 120), np.uint8)
    image[::2] = 255
    warped, _ = correction.warp_moved_to_ref(image, "cubic")
    assert warped.dtype == np.uint8
    exact, _ = correction.warp_moved_to_ref(image.astype(float), "cubic")
    assert exact.max() > 255  # cubic interpolation overshoots
    np.testing.assert_array_equal(warped, np.clip(np.rint(exact), 0, 255))


def test_pixels_that_are_not_known_are_not_valid(correction):
    image = smooth_image((90, 120))
    image[30:50, 40:60] = np.nan
    warped, mask = correction.warp_moved_to_ref(image)
    assert np.isfinite(warped).all()
    x, y = correction.moved_to_ref_coords(50, 40)
    assert not mask[int(y), int(x)]


@pytest.mark.parametrize("factor", [0.5, 0.25, 2, 3])
def test_binned_and_enlarged_images_move_alike(factor):
    full = MovementCorrection(similarity(), (96, 120))
    shape = (int(96 * factor), int(120 * factor))
    other = full.scaled(shape)
    # A place of the full image and of the binned one is the same place of the sample.
    x, y = full.moved_to_ref_coords(30.0, 50.0)
    to_other = [(value + 0.5) * factor - 0.5 for value in (30.0, 50.0, float(x), float(y))]
    assert other.moved_to_ref_coords(*to_other[:2]) == pytest.approx(tuple(to_other[2:]))
    assert other.rotation == pytest.approx(full.rotation)
    np.testing.assert_allclose(other.scaled((96, 120)).matrix, full.matrix, atol=1e-9)


def test_a_binned_image_warps_as_the_full_one_binned(correction):
    image = smooth_image((90, 120), sigma=6)

    def binned(values):
        return values.reshape(45, 2, 60, 2).mean(axis=(1, 3))

    warped, mask = correction.warp_moved_to_ref(image, "cubic")
    small, small_mask = correction.warp_moved_to_ref(binned(image), "cubic")
    assert small.shape == (45, 60)
    both = small_mask & (binned(mask.astype(float)) == 1)
    both = ndimage.binary_erosion(both, iterations=2)
    assert np.abs(small - binned(warped))[both].max() < 0.02
    with pytest.raises(InputError, match="another aspect"):
        correction.warp_moved_to_ref(np.zeros((90, 90)))


def test_saved_and_loaded_it_is_the_same(correction, tmp_path):
    path = correction.save(tmp_path / "movement")
    assert path == tmp_path / "movement.cmc"
    assert correction.save(path) == path
    content = json.loads(path.read_text())
    assert content["im_array_shape"] == [90, 120]
    assert np.shape(content["transform_matrix"]) == (3, 3)
    for name in (path, tmp_path / "movement"):
        loaded = MovementCorrection.load(name)
        for attribute in ("matrix", "ref_points", "moved_points", "covariance"):
            np.testing.assert_array_equal(
                getattr(loaded, attribute), getattr(correction, attribute)
            )
        assert loaded.im_shape == (90, 120)
        assert loaded.src == "seen; refined"


def test_a_file_with_the_documented_keys_alone_is_read(tmp_path):
    path = tmp_path / "other.cmc"
    path.write_text(json.dumps({
        "transform_matrix": np.eye(3).tolist(), "im_array_shape": [4, 5],
        "ref_points": [], "moved_points": [], "history": ["by hand"],
    }))  # fmt: skip
    assert MovementCorrection.load(path).covariance is None
    path.write_text("{}")
    with pytest.raises(InputError, match=r"other\.cmc is no movement"):
        MovementCorrection.load(path)
    path.write_text("no json")
    with pytest.raises(InputError, match="cannot be read"):
        MovementCorrection.load(path)


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        (np.diag([1.0, -1, 1]), "turns the image over"),
        (np.eye(4), "3 x 3"),
        (np.full((2, 3), np.nan), "finite"),
        ([[1, 0, 0], [0, 1, 0], [-0.2, 0, 1]], "to infinity"),
        ([[1, 0, 0], [0, 1, 1], [0.1, 0, 0]], "to infinity"),
    ],
)
def test_matrices_that_are_no_movement_are_refused(matrix, said):
    with pytest.raises(InputError, match=said):
        MovementCorrection(matrix, (10, 10))


PROJECTIVE = np.array([[1.02, 0.03, 4.0], [-0.02, 0.99, -3.0], [4e-4, -3e-4, 1.0]])


def projected(matrix, x, y):
    place = matrix @ np.array([x, y, np.ones_like(x)])
    return place[:2] / place[2]


def test_projective_matrices_map_points_there_and_back():
    given = MovementCorrection(2.5 * PROJECTIVE, (90, 120))  # a factor says nothing
    assert not given.is_affine
    assert MovementCorrection(similarity(), (90, 120)).is_affine
    x, y = np.random.default_rng(0).uniform(0, 89, (2, 20))
    there = given.moved_to_ref_coords(x, y)
    np.testing.assert_allclose(there, projected(PROJECTIVE, x, y), atol=1e-9)
    np.testing.assert_allclose(given.ref_to_moved_coords(*there), (x, y), atol=1e-9)
    np.testing.assert_allclose(given.inverse().moved_to_ref_coords(*there), (x, y), atol=1e-9)
    twice = given.compose(given)
    np.testing.assert_allclose(
        twice.moved_to_ref_coords(x, y), projected(PROJECTIVE, *there), atol=1e-9
    )
    half = given.scaled((45, 60))
    to_half = [(np.asarray(v) + 0.5) / 2 - 0.5 for v in (x, y, *there)]
    np.testing.assert_allclose(half.moved_to_ref_coords(*to_half[:2]), to_half[2:], atol=1e-9)


def test_projective_matrices_are_told_by_the_middle_of_the_image(tmp_path):
    given = MovementCorrection(PROJECTIVE, (90, 120))
    middle = np.array([59.5, 44.5])
    step = 1e-5 * np.eye(2)
    to = np.array([projected(PROJECTIVE, *(middle + each)) for each in (*step, [0, 0])])
    linear = ((to[:2] - to[2]) / 1e-5).T
    assert given.center_shift == pytest.approx(tuple(to[2] - middle))
    assert given.scale == pytest.approx(np.sqrt(np.linalg.det(linear)), rel=1e-5)
    turn = np.degrees(np.arctan2(linear[1, 0] - linear[0, 1], np.trace(linear)))
    assert given.rotation == pytest.approx(turn, abs=1e-4)
    corners = [(x, y) for x in (0.0, 119.0) for y in (0.0, 89.0)]
    shifts = [np.hypot(*(projected(PROJECTIVE, *c) - c)) for c in corners]
    assert given.largest_shift() == pytest.approx(max(shifts))
    again = MovementCorrection.load(given.save(tmp_path / "m"))
    np.testing.assert_array_equal(again.matrix, given.matrix)


def test_projective_matrices_draw_images():
    image = smooth_image((90, 120))
    given = MovementCorrection(PROJECTIVE, image.shape)
    warped, mask = given.warp_moved_to_ref(image, "cubic")
    y, x = np.nonzero(mask)
    from_x, from_y = projected(np.linalg.inv(PROJECTIVE), x.astype(float), y.astype(float))
    slow = ndimage.map_coordinates(image, [from_y, from_x], order=3, mode="nearest")
    np.testing.assert_allclose(warped[mask], slow, atol=1e-6)
    assert 0.7 < mask.mean() < 1


def test_ddscore_tells_better_from_worse():
    image = smooth_image((90, 120))
    truth = MovementCorrection(np.array([[1, 0, 6.0], [0, 1, -4]]), (90, 120))
    moved = np.roll(image, (4, -6), (0, 1))
    wrong = MovementCorrection(np.array([[1, 0, -30.0], [0, 1, 25]]), (90, 120))
    for scale, kind in ((1, np.float64), (3000, np.uint16), (0.001, np.float32)):
        one, other = ((scale * (values + 4)).astype(kind) for values in (image, moved))
        assert truth.get_ddscore(one, other) > 0.95
        assert wrong.get_ddscore(one, other) < 0.2
    still = MovementCorrection(np.eye(3), (90, 120))
    assert still.get_ddscore(image, moved) == 0


def test_ddscore_counts_pixels_that_change_by_more_than_tol():
    # Shifted by one, three bright pixels come to lie on the reference's; two do not.
    ref, moved = np.zeros((6, 9), np.uint8), np.zeros((6, 9), np.uint8)
    shift = MovementCorrection(np.array([[1, 0, 1.0], [0, 1, 0]]), (6, 9))
    ref[1, [2, 4, 6]] = 100
    moved[1, [1, 3, 5]] = 100
    moved[4, 1] = 100
    # Row 1, columns 1 to 6: better; row 4, column 1 better and column 2 worse.
    assert shift.get_ddscore(ref, moved) == pytest.approx(2 * 7 / 8 - 1)
    assert shift.get_ddscore(ref, moved, tol=100) == 0


def test_the_uncertainty_grows_away_from_the_middle(correction):
    assert correction.sd_at(59.5, 44.5) == pytest.approx(0.1)
    assert correction.sd_at(0, 0) > 0.15
    assert MovementCorrection(np.eye(3), (9, 9)).sd_at(0, 0) is None
