import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from derotation.maps import transforms

ANGLES = st.floats(-720, 720)
COORDINATES = st.floats(-500, 500)


def test_positive_angle_undoes_a_clockwise_turn():
    """A sample right of the center, turned clockwise by 90 degrees, is seen below it."""
    undo = transforms.line_maps(90.0, (10.0, 20.0))
    np.testing.assert_allclose(transforms.apply(undo, (10.0, 25.0)), (15.0, 20.0), atol=1e-12)


def test_follows_the_design_formula():
    """v = (y - cy, x - cx) goes to R v + (cy, cx) with R = [[cos, -sin], [sin, cos]]."""
    center, point, angle = (31.0, 17.5), (40.0, 3.0), 23.0
    a = np.deg2rad(angle)
    rotation = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    v = np.array([point[1] - center[1], point[0] - center[0]])
    y, x = rotation @ v + [center[1], center[0]]
    moved = transforms.apply(transforms.line_maps(angle, center), point)
    np.testing.assert_allclose(moved, (x, y), atol=1e-12)


@pytest.mark.parametrize("angle", [0, 360, -720])
@pytest.mark.parametrize("tilt", [0.0, 30.0])
def test_whole_turns_are_exactly_the_identity(angle, tilt):
    maps = transforms.line_maps([angle], (12.7, 3.1), tilt, 40.0)
    np.testing.assert_array_equal(maps[0], [[1, 0, 0], [0, 1, 0]])


@given(ANGLES, COORDINATES, COORDINATES)
def test_turning_there_and_back(angle, x, y):
    there = transforms.line_maps(angle, (5.0, 8.0))
    back = transforms.line_maps(-angle, (5.0, 8.0))
    np.testing.assert_allclose(transforms.invert(there), back, atol=1e-9)
    both = transforms.compose(back, there)
    np.testing.assert_allclose(transforms.apply(both, (x, y)), (x, y), atol=1e-9)


@given(ANGLES, ANGLES, COORDINATES, COORDINATES)
def test_composed_maps_equal_maps_in_turn(first, second, x, y):
    inner = transforms.line_maps(first, (5.0, 8.0), 20.0, 30.0)
    outer = transforms.line_maps(second, (-3.0, 40.0))
    together = transforms.apply(transforms.compose(outer, inner), (x, y))
    in_turn = transforms.apply(outer, transforms.apply(inner, (x, y)))
    np.testing.assert_allclose(together, in_turn, atol=1e-8)


def test_tilted_circle_is_an_ellipse_along_the_orientation():
    """A point of a tilted plane traces an ellipse foreshortened along the orientation."""
    tilt, orientation, radius = 60.0, 30.0, 10.0
    along = np.array([np.cos(np.deg2rad(30)), np.sin(np.deg2rad(30))])
    at_rest = radius * np.array([-along[1], along[0]])
    angles = np.arange(360.0)
    seen = transforms.apply(
        transforms.invert(transforms.line_maps(angles, (0.0, 0.0), tilt, orientation)), at_rest
    )
    assert np.abs(seen @ along).max() == pytest.approx(radius * 0.5, rel=1e-3)
    across = seen @ np.array([-along[1], along[0]])
    assert np.abs(across).max() == pytest.approx(radius, rel=1e-3)


def test_sample_plane_output_stretches_what_was_foreshortened():
    maps = transforms.line_maps(0.0, (0.0, 0.0), 60.0, 0.0, "sample")
    np.testing.assert_allclose(maps[:, :2], [[2, 0], [0, 1]], atol=1e-12)


def test_nan_stays_nan_and_singular_maps_become_nan():
    assert np.isnan(transforms.line_maps(np.nan, (3.0, 4.0))).all()
    assert np.isnan(transforms.invert(np.zeros((2, 3)))).all()


def test_pixels_of_an_image_move_as_any_points():
    one = np.array([[0.9, -0.2, 3.5], [0.3, 1.1, -7.25]])
    y, x = np.mgrid[:5, :8]
    moved = transforms.apply(one, np.stack([x, y], axis=-1))
    np.testing.assert_allclose(np.stack(transforms.apply_to_grid(one, (5, 8)), axis=-1), moved)


def test_image_center():
    assert transforms.image_center((5, 10, 20)) == (9.5, 4.5)
