import dataclasses

import numpy as np
import pytest

from derotation.calibration.geometry import Geometry
from derotation.errors import InputError
from derotation.images.mean_images import (
    DerotatedMeans,
    mean_images_at_rest,
    mean_images_of_arrays,
    mean_images_of_derotated,
)
from derotation.maps.line_maps import LineMaps


def disc(shape, center, radius):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(x - center[0], y - center[1]) < radius


def test_frames_at_rest_of_each_step(incremental):
    recording, movie, angles = incremental
    means = mean_images_at_rest(movie, angles)
    np.testing.assert_allclose(means.angles, np.arange(0, 360, 15), atol=0.02)
    assert means.images.dtype == np.float32
    assert means.seen.all()
    # The truth by hand: whole frames at 45 degrees, and at 0 those before and after the turn.
    for number, target in ((3, 45.0), (0, 0.0)):
        turned = recording.line_angles - target
        away = np.abs(turned - 360 * np.round(turned / 360)).max(axis=1)
        frames = np.flatnonzero(away <= 0.1)
        assert means.counts[number] == len(frames) > 1
        expected = recording.movie[frames].mean(axis=0, dtype=np.float64)
        np.testing.assert_allclose(means.images[number], expected, rtol=1e-6)
    few = mean_images_at_rest(movie, angles, targets=[45, -345, 405], max_frames=2)
    np.testing.assert_allclose(few.angles, [15, 45])
    assert few.counts.tolist() == [2, 2]


def test_missing_angle_is_named(incremental):
    _, movie, angles = incremental
    with pytest.raises(InputError, match=r"no frame was recorded at 10, 20 degrees; .* 0, 15, 30"):
        mean_images_at_rest(movie, angles, targets=[0, 10, 20, 30])
    kept = mean_images_at_rest(movie, angles, targets=[0, 10, 20, 30], missing="skip")
    np.testing.assert_allclose(kept.angles, [0, 30])
    with pytest.raises(InputError, match="at any of"):
        mean_images_at_rest(movie, angles, targets=[7], missing="skip")
    shorter = dataclasses.replace(angles, line_angles=angles.line_angles[:-1])
    with pytest.raises(InputError, match="parse the signals again"):
        mean_images_at_rest(movie, shorter)


def test_unusable_frames_are_left_out(incremental):
    _, movie, angles = incremental
    usable = angles.line_usable.copy()
    line_angles = angles.line_angles.copy()
    bad = np.abs(line_angles - 45).max(axis=1) < 1
    usable[bad], line_angles[bad] = False, np.nan
    means = mean_images_at_rest(
        movie, dataclasses.replace(angles, line_usable=usable, line_angles=line_angles)
    )
    assert not np.isclose(means.angles, 45, atol=1).any()
    assert np.isfinite(means.images).all()


def test_frames_near_an_angle_count_less():
    stack = np.arange(4.0)[:, None, None] * np.ones((4, 3, 5))
    means = mean_images_of_arrays(stack, [90.0, 92.0, -268.0, 99.0], targets=[90], near=4.1)
    # Weight 1 at the angle, and (4.1 - 2) / (4.1 - 0.1) at 2 degrees from it.
    weights = np.array([1, 0.525, 0.525])
    np.testing.assert_allclose(means.images[0], weights @ [0, 1, 2] / weights.sum(), rtol=1e-6)
    assert means.counts.tolist() == [3]


def test_arrays_wrap_around_and_keep_what_was_seen():
    stack = np.ones((4, 3, 5), np.int16) * np.array([1, 3, 10, 20], np.int16)[:, None, None]
    means = mean_images_of_arrays(stack, [359.99, 0.01, 180, -180])
    np.testing.assert_allclose(means.angles, [0, 180], atol=1e-9)
    np.testing.assert_allclose(means.images[:, 0, 0], [2, 15])
    holes = stack.astype(float)
    holes[2, 0, 0] = holes[:2, 1, 1] = np.nan
    means = mean_images_of_arrays(holes, [0, 0, 180, 180])
    assert means.images[1, 0, 0] == 20
    assert not means.seen[0, 1, 1]
    assert means.seen.sum() == means.seen.size - 1
    assert means.images[0, 1, 1] == pytest.approx(2)


def test_wrong_arguments():
    stack = np.ones((4, 3, 5))
    with pytest.raises(InputError, match="as many frames"):
        mean_images_of_arrays(stack, [0, 1])
    with pytest.raises(InputError, match="in no frame"):
        mean_images_of_arrays(stack, np.arange(12.0).reshape(4, 3))
    with pytest.raises(InputError, match="tolerance"):
        mean_images_of_arrays(stack, np.zeros(4), tolerance=1, near=0.5)
    with pytest.raises(InputError, match="targets"):
        mean_images_of_arrays(stack, np.zeros(4), targets=[np.nan])


def test_derotated_means_look_like_the_sample_at_rest(full):
    recording, movie, angles, timing = full
    maps = LineMaps.of(angles, Geometry.about(recording.center), timing=timing)
    means = mean_images_of_derotated(movie, maps, targets=8, max_frames=5, threads=2)
    np.testing.assert_allclose(means.angles, np.arange(0, 360, 45))
    assert means.counts.max() == 5
    inside = disc(movie.shape[1:], recording.center, 45)
    assert means.seen[:, inside].all()
    rest = recording.plan.rest_image[inside]
    for image in means.images:
        assert np.corrcoef(image[inside], rest)[0, 1] > 0.85
    # The turns to -360 fill the same angles as those to +360.
    middle = recording.line_angles[:, movie.shape[1] // 2]
    assert (middle < -20).any()
    assert (middle > 20).any()
    every = mean_images_of_derotated(movie, maps, targets=8)
    assert every.counts.sum() == len(movie)
    with pytest.raises(InputError, match="no frame was recorded at"):
        mean_images_of_derotated(movie, maps, targets=360)


def test_trials_give_the_same_means(full):
    recording, movie, angles, timing = full
    placement = Geometry.about(recording.center)
    trials = DerotatedMeans(movie, angles, n_angles=8, frames_per_angle=5, timing=timing)
    expected = mean_images_of_derotated(
        movie, LineMaps.of(angles, placement, timing=timing), targets=8, max_frames=5
    )
    found = trials(placement)
    np.testing.assert_array_equal(found.images, expected.images)
    np.testing.assert_array_equal(found.seen, expected.seen)
    assert len(trials) == 8
    assert len(trials.frames) == expected.counts.sum()
