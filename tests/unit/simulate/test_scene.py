"""The scene's formula against its definition."""

import dataclasses

import numpy as np
import pytest

from derotation.errors import InputError
from derotation.simulate.scene import Scene, random_scene


def lone_cell(**changes):
    """One round cell in the dark, without a nucleus."""
    values = {
        "centers": np.array([[20.25, 30.5]]),
        "radii": np.array([[6.0, 6.0]]),
        "orientations": np.zeros(1),
        "amplitudes": np.array([2.0]),
        "nucleus_fractions": np.array([0.5]),
        "nucleus_depths": np.zeros(1),
        "blur": 1.4,
        "background": 0.0,
        "neuropil_weights": np.zeros((4, 4)),
        "neuropil_origin": (0.0, 0.0),
        "neuropil_spacing": 10.0,
    }
    return Scene(**(values | changes))


def blurred_box(distance, radius, blur):
    """A box of the given half-width, blurred by a Gaussian, by brute force."""
    offset = np.linspace(-6 * blur, 6 * blur, 4001)
    kernel = np.exp(-(offset**2) / (2 * blur**2))
    return np.average(np.abs(distance[:, None] + offset) < radius, axis=1, weights=kernel)


def test_profile_of_a_cell_is_a_blurred_box():
    distance = np.linspace(0, 20, 41)
    along_x = lone_cell().evaluate(20.25 + distance, 30.5)
    along_y = lone_cell().evaluate(20.25, 30.5 - distance)
    np.testing.assert_allclose(along_x, 2 * blurred_box(distance, 6, 1.4), atol=2e-3)
    np.testing.assert_allclose(along_y, along_x, atol=1e-12)


def test_ellipse_lies_along_its_orientation():
    scene = lone_cell(radii=np.array([[8.0, 4.5]]), orientations=np.array([30.0]))
    direction = np.array([np.cos(np.radians(30)), np.sin(np.radians(30))])
    long = scene.evaluate(20.25 + 8 * direction[0], 30.5 + 8 * direction[1])
    short = scene.evaluate(20.25 - 4.5 * direction[1], 30.5 + 4.5 * direction[0])
    assert long == pytest.approx(1.0, abs=1e-4)  # half its brightness at the edge
    assert short == pytest.approx(1.0, abs=1e-4)


def test_nucleus_is_darker_and_smaller():
    whole = lone_cell()
    hollow = lone_cell(nucleus_depths=np.array([0.6]))
    assert hollow.evaluate(20.25, 30.5) < 0.5 * whole.evaluate(20.25, 30.5)
    assert hollow.evaluate(25.75, 30.5) == pytest.approx(whole.evaluate(25.75, 30.5), rel=0.1)


def test_even_neuropil_is_even():
    scene = lone_cell(
        amplitudes=np.zeros(1), neuropil_weights=np.full((9, 7), 3.0), background=0.25
    )
    x, y = np.random.default_rng(0).uniform(-100, 200, (2, 500))
    np.testing.assert_allclose(scene.evaluate(x, y), 3.25)


def test_neuropil_is_largest_at_its_bell():
    weights = np.zeros((9, 9))
    weights[3, 5] = 1.0
    scene = lone_cell(amplitudes=np.zeros(1), neuropil_weights=weights)
    image = scene.on_grid((90, 90))
    assert np.unravel_index(image.argmax(), image.shape) == (30, 50)
    assert image[30, 50] == pytest.approx((2 / 3) ** 2)


def test_activity_scales_each_cell_alone():
    rng = np.random.default_rng(0)
    scene = random_scene((48, 64), 12, rng)
    dark = scene.on_grid((48, 64), np.zeros(scene.n_cells))
    alone = np.zeros(scene.n_cells)
    alone[3] = 1.0
    one = scene.on_grid((48, 64), alone)
    three = scene.on_grid((48, 64), 3 * alone)
    np.testing.assert_allclose(three - dark, 3 * (one - dark), atol=1e-12)
    every = dataclasses.replace(scene, amplitudes=2 * scene.amplitudes)
    np.testing.assert_allclose(
        every.on_grid((48, 64)), scene.on_grid((48, 64), np.full(scene.n_cells, 2.0))
    )
    with pytest.raises(InputError, match=r"activity has shape \(2,\), but the scene has"):
        scene.evaluate(0, 0, [1, 1])


def test_grid_is_the_function_at_whole_numbers():
    scene = random_scene((30, 44), 10, np.random.default_rng(1))
    image = scene.on_grid((30, 44))
    assert image.shape == (30, 44)
    assert image[7, 31] == scene.evaluate(31, 7)
    assert scene.evaluate(np.arange(3.0), np.arange(2.0)[:, None]).shape == (2, 3)


def test_cut_offs_leave_no_steps():
    scene = random_scene((64, 64), 20, np.random.default_rng(2))
    x = np.linspace(5, 60, 20_000)
    steps = np.abs(np.diff(scene.evaluate(x, 31.3), n=2))
    assert steps.max() < 1e-5


def test_scene_is_band_limited():
    scene = random_scene((128, 128), 40, np.random.default_rng(3))
    window = np.hanning(128)
    image = scene.on_grid((128, 128))
    image = (image - image.mean()) * window * window[:, None]
    power = np.abs(np.fft.fft2(image)) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
    assert power[frequency > 0.35].sum() < 1e-6 * power.sum()


def test_random_scene_fills_the_picture_and_its_surroundings():
    shape = (100, 140)
    scene = random_scene(shape, 40, np.random.default_rng(4))
    inside = ((scene.centers >= 0) & (scene.centers <= np.subtract(shape[::-1], 1))).all(axis=1)
    assert inside[:40].all()
    assert np.count_nonzero(inside) == 40
    x, y = scene.centers[40:].T
    assert x.min() < -10
    assert y.max() > 110
    assert np.all(scene.evaluate(*np.random.default_rng(5).uniform(-30, 160, (2, 99))) > 0)


def test_same_seed_same_scene():
    one, two = (random_scene((40, 40), 9, np.random.default_rng(6)) for _ in range(2))
    np.testing.assert_array_equal(one.on_grid((40, 40)), two.on_grid((40, 40)))


def test_no_cells_is_a_scene_too():
    scene = random_scene((16, 16), 0, np.random.default_rng(0), neuropil=0.0, background=0.5)
    np.testing.assert_array_equal(scene.on_grid((16, 16)), 0.5)


@pytest.mark.parametrize("options", [{"radius": (7, 4)}, {"blur": 0}, {"shape": (0, 9)}])
def test_impossible_scenes_are_refused(options):
    arguments = {"shape": (9, 9), "n_cells": 1, "rng": np.random.default_rng(0)} | options
    with pytest.raises(InputError, match="positive"):
        random_scene(**arguments)
