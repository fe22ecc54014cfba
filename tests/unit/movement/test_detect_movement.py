"""Movements that are known are found again; where there is none, this is said."""

import numpy as np
import pytest

from derotation.calibration import Calibration
from derotation.errors import InputError
from derotation.movement import (
    DetectionFailedError,
    MovementCorrection,
    detect_movement,
    phase_correlation_movement,
)
from derotation.movement.detect import Detection, find_movement, movement_from_points
from derotation.movement.judge import check_evidence
from derotation.simulate import simulate_pair


@pytest.fixture(scope="module")
def pair():
    return simulate_pair(5, size=224)


@pytest.fixture(scope="module")
def disc_pair():
    return simulate_pair(6, size=224, rotation=30, disc=True)


def test_a_movement_is_found(pair):
    found = detect_movement(pair.ref, pair.moved)
    assert isinstance(found, MovementCorrection)
    assert found.im_shape == (224, 224)
    assert pair.corner_error(found.matrix) < 0.3
    assert len(found.ref_points) == len(found.moved_points) >= 6
    x, y = found.moved_to_ref_coords(*found.moved_points.T)
    assert np.hypot(x - found.ref_points[:, 0], y - found.ref_points[:, 1]).max() < 3


def test_a_rim_and_a_large_turn_do_no_harm(disc_pair):
    assert disc_pair.corner_error(detect_movement(disc_pair.ref, disc_pair.moved).matrix) < 0.7
    found = phase_correlation_movement(disc_pair.ref, disc_pair.moved, rotation=True)
    assert disc_pair.corner_error(found.matrix) < 0.7


@pytest.mark.parametrize("scale", [1e-4, 1.0, 16.0])
def test_the_range_of_the_values_does_not_matter(pair, scale):
    kind = np.uint16 if scale > 1 else np.float64
    ref, moved = ((scale * image).astype(kind) for image in (pair.ref, 3 * pair.moved))
    assert pair.corner_error(detect_movement(ref, moved).matrix) < 0.3


def test_unknown_pixels_are_left_out(pair):
    ref, moved = pair.ref.copy(), pair.moved.copy()
    ref[:, :40] = np.nan
    moved[150:, 150:] = 0
    assert pair.corner_error(detect_movement(ref, moved).matrix) < 0.5


def test_the_uncertainty_is_of_the_size_of_the_error():
    errors, sds = [], []
    for seed in range(4):
        pair = simulate_pair(60 + seed, size=160)
        found = detect_movement(pair.ref, pair.moved)
        middle = np.array([79.5, 79.5, 1])
        errors.append((found.matrix - pair.matrix)[:2] @ middle)
        sds.append(found.sd_at(79.5, 79.5))
    assert np.sqrt(np.mean(np.square(errors))) < 3 * np.mean(sds)
    assert np.mean(sds) < 0.1


def test_a_shear_needs_an_affine_map():
    pair = simulate_pair(7, size=224, scale=0.0)
    shear = np.array([[1.02, 0.015, -2], [0.015, 0.985, 1], [0, 0, 1]])
    sheared, mask = (
        MovementCorrection(shear, pair.ref.shape).inverse().warp_moved_to_ref(pair.ref, "cubic")
    )
    sheared[~mask] = np.nan
    found = detect_movement(pair.ref, sheared, transform="affine")
    assert np.abs(found.matrix - shear)[:, :2].max() < 2e-3
    assert np.abs(found.matrix - shear)[:, 2].max() < 0.3
    with pytest.raises(InputError, match="allowed are similarity, affine"):
        detect_movement(pair.ref, pair.moved, transform="rigid")


def test_a_shift_is_found_by_phase_correlation():
    pair = simulate_pair(8, size=224, rotation=0, scale=0)
    found = phase_correlation_movement(pair.ref, pair.moved)
    np.testing.assert_array_equal(found.matrix[:2, :2], np.eye(2))
    np.testing.assert_allclose(found.translation, pair.matrix[:2, 2], atol=0.1)


@pytest.mark.parametrize("method", ["optical_flow", "phase_correlation", "auto"])
def test_unrelated_images_are_refused(method):
    pair = simulate_pair(9, size=224, unrelated=True)
    with pytest.raises(DetectionFailedError, match=r"inliers|not believed|implausible|alike"):
        find_movement(pair.ref, pair.moved, method)
    with pytest.raises(DetectionFailedError):
        phase_correlation_movement(pair.ref, pair.moved)


def test_reasons_are_said(pair):
    with pytest.raises(DetectionFailedError, match=r"too few features: there are 0 in the moved"):
        detect_movement(pair.ref, np.ones((224, 224)))
    turned = np.rot90(pair.ref)
    with pytest.raises(DetectionFailedError, match=r"implausible rotation: -?90"):
        detect_movement(pair.ref, turned)
    assert abs(detect_movement(pair.ref, turned, max_rotation=180).rotation) == pytest.approx(
        90, abs=0.01
    )
    with pytest.raises(DetectionFailedError, match="implausible scale"):
        detect_movement(pair.ref, pair.moved, max_scale=1.0001)
    noise = np.random.default_rng(0).normal(size=(2, 224, 224))
    with pytest.raises(DetectionFailedError):
        detect_movement(*noise)


def test_a_wrong_movement_is_not_believed(pair):
    found = find_movement(pair.ref, pair.moved)
    off = np.array([[1, 0, 40.0], [0, 1, -25], [0, 0, 1]]) @ found.correction.matrix
    moved = np.array([[0.0, 0], [223, 0], [0, 223]])
    ref = np.column_stack([moved, np.ones(3)]) @ off[:2].T
    wrong = movement_from_points(pair.ref, pair.moved, ref, moved, refined=False)
    with pytest.raises(DetectionFailedError, match="not believed"):
        check_evidence(wrong.correction, wrong.evidence)


def test_images_have_to_fit(pair):
    with pytest.raises(InputError, match=r"224 x 224 .* 200 x 224"):
        detect_movement(pair.ref, pair.moved[:, :200])
    with pytest.raises(InputError, match="at least 32 x 32"):
        detect_movement(pair.ref[:20], pair.moved[:20])
    with pytest.raises(InputError, match="carries no image"):
        detect_movement(
            Calibration(center=(1, 1), image_shape=(224, 224), method="fixed"), pair.moved
        )
    with pytest.raises(InputError, match="allowed are auto"):
        find_movement(pair.ref, pair.moved, "magic")


def test_auto_keeps_the_better_one(pair):
    found = find_movement(pair.ref, pair.moved)
    assert isinstance(found, Detection)
    assert found.evidence.correlation_after > 0.5 > found.evidence.correlation_before
    assert found.evidence.ddscore > 0.5
    assert pair.corner_error(found.correction.matrix) < 0.3


def test_rough_points_are_refined(pair):
    moved = np.array([[30.0, 40], [180, 60], [100, 190]])
    true = np.column_stack([moved, np.ones(3)]) @ pair.matrix[:2].T
    rough = true + np.array([[1.5, -1], [-1, 1.2], [0.8, 1]])
    found = movement_from_points(pair.ref, pair.moved, rough, moved)
    assert found.evidence.method == "points"
    assert pair.corner_error(found.correction.matrix) < 0.3
    plain = movement_from_points(pair.ref, pair.moved, true, moved, refined=False)
    np.testing.assert_allclose(plain.correction.matrix, pair.matrix, atol=1e-9)
