import dataclasses

import numpy as np
import pytest

from derotation.calibration.center import estimate_center
from derotation.errors import CenterError
from derotation.io.movie import open_movie
from derotation.plots.center import plot_center
from derotation.simulate import simulate_recording
from unit.sessions import save_movie, true_angles, true_timing

STIMULUS = ((200.0, 1), (200.0, -1))


def simulate(**parameters):
    chosen = {"shape": (96, 128), "stimulus": STIMULUS, "n_cells": 25, "rest_between_s": 1.0}
    return simulate_recording(**(chosen | parameters))


def estimate(recording, folder, config=None, angles=None, bidirectional=False):
    angles = angles or true_angles(recording)
    with open_movie(save_movie(recording, folder)) as movie:
        return estimate_center(
            movie, angles, config, timing=true_timing(recording, bidirectional), session="s"
        )


@pytest.fixture(scope="module")
def turned_once():
    return simulate(stimulus=((200.0, 1),))


@pytest.fixture(scope="module")
def off_center():
    return simulate(center_offset=(5.0, -4.0), seed=3)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_center_far_off_is_found(tmp_path, bidirectional):
    recording = simulate(center_offset=(8.0, -6.0), bidirectional=bidirectional, seed=3)
    result = estimate(recording, tmp_path, bidirectional=bidirectional)
    found = result.calibration
    assert found.center == pytest.approx(recording.center, abs=0.05)
    assert found.trusted
    assert found.image_shape == (96, 128)
    assert 0.001 < max(found.center_sd) < 0.05
    assert found.residual_px < 0.3
    # Wrong by 10 px, the center moves a frame at 180 degrees by twice as much.
    assert np.hypot(*result.shifts.T).max() == pytest.approx(20, abs=1.5)
    assert np.array_equal(result.path[0], [63.5, 47.5])
    plot_center(result).savefig(tmp_path / "center.png")


def test_few_photons(tmp_path):
    recording = simulate(center_offset=(3.0, 4.0), photons_per_pixel=1.0, shape=(128, 128), seed=5)
    found = estimate(recording, tmp_path).calibration
    assert found.center == pytest.approx(recording.center, abs=0.15)
    assert found.trusted


def test_partial_rotations_tell_the_center(tmp_path):
    recording = simulate(degrees_per_rotation=90.0, center_offset=(2.0, 1.0), seed=1)
    found = estimate(recording, tmp_path).calibration
    assert found.center == pytest.approx(recording.center, abs=0.15)


def test_same_seed_same_result(tmp_path):
    recording = simulate(seed=2)
    first, second = (estimate(recording, tmp_path, {"n_frames": 12}) for _ in range(2))
    assert first.calibration == second.calibration


def test_given_centers(turned_once, tmp_path):
    fixed = estimate(turned_once, tmp_path, {"method": "fixed", "fixed": [10.5, 20]}).calibration
    assert fixed.center == (10.5, 20.0)
    assert fixed.center_sd is None
    assert "nothing was measured" in fixed.statement
    middle = estimate(turned_once, tmp_path, {"method": "image_center"})
    assert middle.calibration.center == (63.5, 47.5)
    plot_center(middle).savefig(tmp_path / "center.png")
    with pytest.raises(CenterError, match="give the center as"):
        estimate(turned_once, tmp_path, {"method": "fixed"})


def test_no_structure_is_not_trusted(tmp_path):
    recording = simulate(seed=4)
    noise = np.random.default_rng(0).poisson(100, recording.movie.shape).astype(np.uint16)
    recording = dataclasses.replace(recording, movie=noise)
    found = estimate(recording, tmp_path, {"n_frames": 40}).calibration
    assert not found.trusted
    assert "cannot be trusted" in found.statement


def test_wrong_sign_is_not_trusted(tmp_path):
    recording = simulate(seed=6, center_offset=(5.0, 0.0))
    angles = true_angles(recording)
    flipped = dataclasses.replace(
        angles, line_angles=-angles.line_angles, frame_angles=-angles.frame_angles
    )
    found = estimate(recording, tmp_path, {"n_frames": 40}, flipped).calibration
    assert not found.trusted


def test_too_little_to_go_by(turned_once, tmp_path):
    angles = true_angles(turned_once)
    still = dataclasses.replace(angles, line_angles=np.zeros_like(angles.line_angles))
    with pytest.raises(CenterError, match="only 0 frames were recorded more than 11 degrees"):
        estimate(turned_once, tmp_path, angles=still)
    unknown = dataclasses.replace(angles, line_usable=np.zeros_like(angles.line_usable))
    with pytest.raises(CenterError, match="only 0 frames were recorded more than 11 degrees"):
        estimate(turned_once, tmp_path, angles=unknown)


@pytest.mark.parametrize("offset", [30.0, -100.0])
def test_rests_at_other_angles_are_rests_too(off_center, tmp_path, offset):
    """The picture at angle 0 is then made of derotated frames."""
    angles = true_angles(off_center)
    elsewhere = dataclasses.replace(angles, line_angles=angles.line_angles + offset)
    found = estimate(off_center, tmp_path, angles=elsewhere).calibration
    assert found.center == pytest.approx(off_center.center, abs=0.03)
    assert found.trusted


def test_a_sample_that_never_rests(tmp_path):
    """All frames at rest are taken away: what turns past angle 0 stands for them."""
    recording = simulate(stimulus=((60.0, 1), (90.0, -1)), center_offset=(8.0, -6.0), seed=4)
    angles = true_angles(recording)
    still = angles.at_rest
    turning = dataclasses.replace(
        angles,
        line_usable=angles.line_usable & ~still[:, np.newaxis],
        line_angles=np.where(still[:, np.newaxis], np.nan, angles.line_angles),
    )
    found = estimate(recording, tmp_path, angles=turning).calibration
    assert found.center == pytest.approx(recording.center, abs=0.05)
    assert found.trusted


def test_dark_frames_are_left_out(tmp_path, caplog):
    """The laser is off for the second half of the session: the first half tells the center."""
    recording = simulate(center_offset=(4.0, -3.0), seed=6)
    movie = recording.movie.copy()
    half = len(movie) // 2
    movie[half:] = np.random.default_rng(0).normal(100, 5, movie[half:].shape).astype(np.uint16)
    found = estimate(dataclasses.replace(recording, movie=movie), tmp_path).calibration
    assert found.center == pytest.approx(recording.center, abs=0.05)
    assert found.trusted
    assert "frames are dark" in caplog.text


def test_a_dark_session_is_refused(tmp_path):
    recording = simulate(seed=6)
    movie = np.random.default_rng(0).normal(100, 5, recording.movie.shape).astype(np.uint16)
    turning = np.flatnonzero(np.any(recording.line_angles != 0, axis=1))
    first = np.arange(turning[0])
    movie[first] = recording.movie[first]
    with pytest.raises(CenterError, match="0 turned ones are lit"):
        estimate(dataclasses.replace(recording, movie=movie), tmp_path)
