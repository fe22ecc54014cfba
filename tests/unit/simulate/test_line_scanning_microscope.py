"""The Rotator on small images with known answers."""

import numpy as np
import pytest

from derotation.errors import InputError
from derotation.simulate.line_scanning_microscope import Rotator


@pytest.fixture
def stack():
    return np.random.default_rng(0).integers(10, 250, (3, 15, 15)).astype(np.uint8)


def rotated(stack, angle, **options):
    return Rotator(np.full(stack.shape[0] * stack.shape[1], angle), stack, **options)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_quarter_turns_are_clockwise_on_the_screen(stack, order):
    for quarters in (1, 2, 3, -1):
        turned = rotated(stack, 90.0 * quarters, order=order).rotate_by_line()
        np.testing.assert_array_equal(turned, np.rot90(stack, -quarters, axes=(1, 2)))


def test_zero_angle_changes_nothing(stack):
    turned = rotated(stack, 0.0).rotate_by_line()
    np.testing.assert_array_equal(turned, stack)
    assert turned.dtype == stack.dtype
    assert turned is not stack


def test_each_line_has_its_own_angle(stack):
    angles = np.zeros((3, 15))
    angles[1, 4] = 90
    angles[2, 9] = 180
    turned = Rotator(angles.ravel(), stack).rotate_by_line()
    expected = stack.copy()
    expected[1, 4] = np.rot90(stack[1], -1)[4]
    expected[2, 9] = np.rot90(stack[2], 2)[9]
    np.testing.assert_array_equal(turned, expected)


def test_a_point_goes_where_the_convention_says():
    y, x = np.mgrid[:41, :61]
    image = np.exp(-((x - 44) ** 2 + (y - 17) ** 2) / 18.0)  # 12 px to the right of the center
    rotator = Rotator(np.full(41, 30.0), image[None], center_offset=(2, -3))
    assert rotator.center == (32.0, 17.0)
    turned = rotator.rotate_by_line()[0]
    seen = [(x * turned).sum() / turned.sum(), (y * turned).sum() / turned.sum()]
    a = np.radians(30.0)
    # right and then downwards: clockwise with y down
    np.testing.assert_allclose(seen, [32 + 12 * np.cos(a), 17 + 12 * np.sin(a)], atol=0.05)


def test_tilt_foreshortens_along_the_orientation():
    y, x = np.mgrid[:81, :81]
    image = np.exp(-((x - 65) ** 2 + (y - 40) ** 2) / 18.0)  # 25 px to the right
    rotator = Rotator(
        np.full(81, 90.0), image[None], rotation_plane_angle=60, rotation_plane_orientation=90
    )
    turned = rotator.rotate_by_line()[0]
    seen = [(x * turned).sum() / turned.sum(), (y * turned).sum() / turned.sum()]
    # A quarter turn brings it below the center, where distances are halved.
    np.testing.assert_allclose(seen, [40, 40 + 25 * 0.5], atol=0.05)


def test_unknown_surroundings_are_blank(stack):
    assert rotated(stack, 45.0).blank_pixel_val == stack.min()
    assert rotated(stack, 45.0).get_blank_pixels_value() == stack.min()
    turned = rotated(stack, 45.0, blank_pixel_val=7).rotate_by_line()
    assert turned[0, 0, 0] == 7
    assert turned[0, 14, 14] == 7


def test_frames_need_not_be_square():
    stack = np.random.default_rng(1).normal(size=(2, 8, 13)).astype(np.float32)
    turned = rotated(stack, 180.0).rotate_by_line()
    np.testing.assert_array_equal(turned, stack[:, ::-1, ::-1])
    assert turned.dtype == np.float32


def test_rotate_sample_turns_a_whole_image(stack):
    rotator = rotated(stack, 0.0)
    np.testing.assert_array_equal(rotator.rotate_sample(stack[0], 90), np.rot90(stack[0], -1))
    shifted = rotator.rotate_sample(stack[0], 180, center=(6.0, 7.0))
    np.testing.assert_array_equal(shifted[:, :13], stack[0, ::-1, 12::-1])


def test_integers_do_not_wrap_around(stack):
    edge = np.where(stack > 100, 255, 0).astype(np.uint8)
    turned = rotated(edge, 20.0, order=3).rotate_by_line()
    exact = rotated(edge.astype(float), 20.0, order=3).rotate_by_line()
    assert exact.max() > 255.5
    np.testing.assert_array_equal(turned, np.clip(np.rint(exact), 0, 255))


@pytest.mark.parametrize(
    ("angles", "options", "message"),
    [
        (np.zeros(44), {}, "there are 44 angles, but 3 frames x 15 lines = 45"),
        (np.zeros(45), {"rotation_plane_angle": 90}, "rotation_plane_angle must be"),
        (np.zeros(45), {"order": 6}, "order must be"),
    ],
)
def test_wrong_arguments_are_refused(stack, angles, options, message):
    with pytest.raises(InputError, match=message):
        Rotator(angles, stack, **options)


def test_a_single_image_is_refused_with_advice(stack):
    with pytest.raises(InputError, match=r"image\[None\]"):
        Rotator(np.zeros(15), stack[0])
