"""What is known of a motion, on disk and in the maps of lines."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from derotation.calibration import Calibration
from derotation.errors import InputError
from derotation.maps import transforms
from derotation.maps.line_maps import LineMaps
from derotation.motion_correction.measure import small_maps
from derotation.motion_correction.motion import Motion, center_error
from derotation.simulate import plan_recording
from unit.sessions import true_angles


def motion(corrected=True):
    return Motion(
        time_s=np.array([1.0, 2.0, 4.0]),
        x=np.array([0.0, 1.0, -1.0]),
        y=np.array([0.0, 0.0, 2.0]),
        sd=np.array([0.1, np.inf, 0.1]),
        lost=np.array([False, True]),
        left_px=0.1,
        corrected=corrected,
    )


def test_a_motion_comes_back_from_its_file(tmp_path):
    motion().save(tmp_path / "motion.npz")
    found = Motion.load(tmp_path / "motion.npz")
    for name in ("time_s", "x", "y", "sd", "lost"):
        np.testing.assert_array_equal(getattr(found, name), getattr(motion(), name))
    assert found.corrected
    assert found.left_px == 0.1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("time_s", np.array([2.0, 1.0, 4.0])),
        ("x", np.array([0.0, np.nan, 0.0])),
        ("y", np.zeros(2)),
        ("kind", "something else"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, name, value):
    path = tmp_path / "motion.npz"
    motion().save(path)
    with np.load(path) as arrays:
        content = dict(arrays)
    np.savez(path, **content | {name: value})
    with pytest.raises(InputError, match="Make it again"):
        Motion.load(path)


def test_between_its_times_it_is_linear_and_outside_constant():
    found = motion().displacement([[0.0, 1.5], [3.0, 9.0]])
    np.testing.assert_allclose(found, [[[0, 0], [0.5, 0]], [[0, 1], [-1, 2]]])


def recording():
    return plan_recording(
        shape=(24, 30), n_cells=1, rest_before_s=0.3, rest_between_s=0.3, rest_after_s=0.3,
        sample_motion={"drift": 2.0, "drift_s": 1.0}, center_offset=(2.0, -1.0), frame_rate=20.0,
    )  # fmt: skip


def as_recorded(plan):
    """What is asked of a recording, without a movie."""
    return SimpleNamespace(
        plan=plan, line_angles=plan.line_angles, line_start=plan.line_start,
        sampling_rate=plan.parameters.sampling_rate,
    )  # fmt: skip


def test_maps_take_a_line_of_the_simulated_recording_to_its_place():
    """Where the simulator says that a raw sample lies in the sample that holds still."""
    plan = recording()

    angles = true_angles(as_recorded(plan))
    times = angles.line_times_s.ravel()
    told = plan.displacement.reshape(-1, 2)
    path = Motion(
        time_s=times, x=told[:, 0], y=told[:, 1], sd=np.zeros(len(times)),
        lost=np.zeros(plan.n_frames, bool), left_px=0.0, corrected=True,
    )  # fmt: skip
    calibration = Calibration(center=plan.center, image_shape=(24, 30), method="fixed")
    maps = LineMaps.of(angles, calibration, motion=path)()
    frame, line, column = 11, 17, 5.0
    assert abs(plan.line_angles[frame, line]) > 5
    place = transforms.apply(maps[frame, line], np.array([column, line]))
    turned = plan.place_in_sample(column, line, plan.line_angles[frame, line])
    expected = np.array(turned) - plan.displacement[frame, line]
    np.testing.assert_allclose(place, expected, atol=1e-9)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_lines_of_small_frames_lie_where_those_that_they_are_made_of_lie(bidirectional):
    """Also where the angle goes from 359.9 to 0 between two of them."""
    plan = plan_recording(
        shape=(120, 100), n_cells=1, rest_before_s=0.3, rest_between_s=0.3, rest_after_s=0.3,
        center_offset=(2.0, -1.0), bidirectional=bidirectional,
    )  # fmt: skip
    angles = true_angles(as_recorded(plan))
    turns = np.where(angles.line_angles > 180, angles.line_angles - 360, angles.line_angles)
    turns[10, 3::7] += 360
    turns[11, 60] = np.nan
    angles = dataclasses.replace(angles, line_angles=turns, line_usable=np.isfinite(turns))
    calibration = Calibration(
        center=plan.center, image_shape=(120, 100), method="fixed", wobble=((0.4, 0.1, -0.2, 0.3),)
    )
    line_maps = LineMaps.of(angles, calibration)
    maps, _ = small_maps(line_maps, slice(None), (1, 120, 100))
    expected = transforms.apply(line_maps(), np.array([70.5, 60.5])).reshape(-1, 60, 2, 2).mean(2)
    small = transforms.apply(maps, np.array([35.0, 30.0]))
    np.testing.assert_allclose(2 * small + 0.5, expected, atol=1e-3)
    assert np.isnan(maps[11, 30]).all()
    still = np.flatnonzero(angles.at_rest & (turns == 0).all(axis=1))
    assert len(still) > 1
    same = np.broadcast_to(transforms.identity_lines(60), maps[still].shape)
    np.testing.assert_array_equal(maps[still], same)


def test_what_is_not_corrected_changes_no_map():
    plan = recording()

    angles = true_angles(as_recorded(plan))
    calibration = Calibration(center=plan.center, image_shape=(24, 30), method="fixed")
    without = LineMaps.of(angles, calibration)()
    np.testing.assert_array_equal(
        LineMaps.of(angles, calibration, motion=motion(corrected=False))(), without
    )
    assert not np.array_equal(LineMaps.of(angles, calibration, motion=motion())(), without)


def test_a_wrong_center_is_told_from_a_motion():
    angles = np.linspace(0, 720, 60)
    leverage = np.eye(2) - transforms.rotation_matrices(angles)
    away, share = center_error(leverage @ np.array([1.2, -0.5]), angles)
    assert away == pytest.approx(1.3)
    assert share == pytest.approx(1)
    wave = np.sin(np.linspace(0, 40, 60))[:, None] * [1.0, 0.3]
    assert center_error(wave, angles)[0] == 0
    assert center_error(wave, np.zeros(60)) == (0.0, 0.0)
