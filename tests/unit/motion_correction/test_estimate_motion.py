"""The estimate of motion against simulated samples that move, and that hold still."""

import dataclasses

import numpy as np
import pytest

from derotation.calibration import Calibration
from derotation.io.movie import open_movie
from derotation.motion_correction.estimate import estimate_motion
from derotation.motion_correction.verdicts import decide
from derotation.simulate import simulate_recording
from unit.sessions import save_movie, true_angles

SESSION = {
    "shape": (112, 120), "n_cells": 25, "stimulus": ((150.0, 1), (150.0, -1)),
    "rest_before_s": 2.0, "rest_between_s": 1.0, "rest_after_s": 2.0, "center_offset": (3.0, -2.0),
    "seed": 11,
}  # fmt: skip
LIVING = {"drift": 0.7, "jitter": 0.6, "per_velocity": [0.8, 0.6], "seed": 3}


def estimated(folder, *, change=None, center=(0.0, 0.0), movie=None, **parameters):
    recording = simulate_recording(**{**SESSION, **parameters})
    angles = true_angles(recording)
    if change is not None:
        angles = change(angles)
    if movie is not None:
        recording = dataclasses.replace(recording, movie=movie(recording.movie.copy()))
    calibration = Calibration(
        center=tuple(np.add(recording.center, center)),
        image_shape=recording.movie.shape[1:],
        method="fixed",
    )
    with open_movie(save_movie(recording, folder)) as opened:
        return recording, angles, estimate_motion(opened, angles, calibration)


def errors(recording, angles, estimate):
    """Error at each line, px; the zero is that of the frames at rest."""
    truth = recording.plan.displacement
    truth = truth - truth[angles.at_rest].mean(axis=(0, 1))
    found = estimate.motion.displacement(angles.line_times_s)
    found = found - found[angles.at_rest].mean(axis=(0, 1))
    return found - truth


@pytest.mark.parametrize(
    ("photons", "bidirectional", "limit"),
    [(10.0, False, 0.15), (10.0, True, 0.15), (1.0, False, 0.4)],
)
def test_a_sample_that_lives(tmp_path, photons, bidirectional, limit):
    recording, angles, estimate = estimated(
        tmp_path, sample_motion=LIVING, photons_per_pixel=photons, bidirectional=bidirectional
    )
    assert estimate.corrected
    error = errors(recording, angles, estimate)
    turning = ~angles.at_rest
    assert np.sqrt(np.mean(error[~turning] ** 2)) < limit
    assert np.sqrt(np.mean(error[turning] ** 2)) < limit
    sd = np.interp(angles.line_times_s, estimate.motion.time_s, estimate.motion.sd)
    assert np.mean(np.abs(error) < 1.96 * sd[..., None]) > 0.85


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_invented_for_a_sample_that_holds_still(tmp_path, seed):
    _, _, estimate = estimated(tmp_path, seed=seed, photons_per_pixel=3.0)
    assert not estimate.corrected
    assert np.sqrt(np.mean(estimate.motion.x**2 + estimate.motion.y**2)) < 0.09
    assert "held still" in estimate.statement


def test_without_any_rest(tmp_path):
    recording, angles, estimate = estimated(
        tmp_path, protocol="free", motion={"sinusoid": {"amplitude": 120, "frequency": 0.1}},
        n_frames=90, stimulus=(), sample_motion=LIVING,
    )  # fmt: skip
    truth = recording.plan.displacement
    error = estimate.motion.displacement(angles.line_times_s) - truth
    error -= error.mean(axis=(0, 1))
    assert np.sqrt(np.mean(error**2)) < 0.15


def test_a_jump_is_found_said_and_mended(tmp_path):
    recording, angles, estimate = estimated(tmp_path, sample_motion={"jumps": [[6.0, 4.0, -3.0]]})
    jumped = int(np.argmax(recording.line_start[:, -1] > recording.line_start[0, 0] + 6.0))
    assert len(estimate.jumps) == 1
    assert abs(estimate.jumps[0] - jumped) <= 1
    assert "jumped" in estimate.statement
    assert estimate.corrected, estimate.statement
    error = np.abs(errors(recording, angles, estimate))
    away = np.abs(np.arange(len(error)) - jumped) > 1
    assert error[away].max() < 0.4


def test_a_heartbeat_is_said_and_followed(tmp_path):
    """Nine beats a second are more than the frames of a second."""
    beating = {**LIVING, "rhythms": [[8.9, 0.2, -0.3]]}
    recording, angles, estimate = estimated(
        tmp_path, shape=(160, 160), n_cells=50, stimulus=SESSION["stimulus"] * 3,
        sample_motion=beating,
    )  # fmt: skip
    assert "8.9 times a second" in estimate.statement
    assert np.sqrt(np.mean(errors(recording, angles, estimate) ** 2)) < 0.1
    (verdict,) = [own for own in estimate.verdicts if own.code == "rhythm"]
    assert verdict.figures["rhythm"] == pytest.approx(0.3 / np.sqrt(2), rel=0.25)


def test_bleaching_and_focus_are_no_motion(tmp_path):
    _, _, estimate = estimated(
        tmp_path, sample_motion={"bleaching": 0.5, "focus": 0.2, "focus_s": 6.0}
    )
    assert not estimate.corrected


@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_frames_without_light_tell_nothing(tmp_path, noise):
    """The laser is off in the second half, and now and then before."""
    dark = []

    def shut(movie):
        rng = np.random.default_rng(8)
        dark[:] = [*range(20, 28), *range(len(movie) // 2, len(movie))]
        level = np.quantile(movie, 0.001) + rng.normal(0, noise, movie[dark].shape)
        movie[dark] = np.clip(np.round(level), 0, None).astype(movie.dtype)
        return movie

    options = {"sample_motion": LIVING, "pmt_offset": 40.0}
    recording, angles, estimate = estimated(tmp_path, movie=shut, **options)
    assert not np.isfinite(estimate.measured[dark]).any()
    assert not estimate.motion.lost.any()
    seen = np.setdiff1d(np.arange(len(angles.at_rest)), dark)
    truth = recording.plan.displacement
    truth = truth - truth[seen][angles.at_rest[seen]].mean(axis=(0, 1))
    size = np.sqrt(np.mean(np.sum(truth[seen] ** 2, axis=-1)))
    assert estimate.value["rms"] == pytest.approx(size, rel=0.1)
    error = (estimate.motion.displacement(angles.line_times_s) - truth)[seen]
    assert np.sqrt(np.mean(error**2)) < 0.15


def test_frames_that_show_something_else_are_lost(tmp_path):
    def replaced(movie):
        movie[20] = np.random.default_rng(1).permutation(movie[20].ravel()).reshape(movie[20].shape)
        return movie

    _, _, estimate = estimated(tmp_path, movie=replaced)
    assert np.flatnonzero(estimate.motion.lost).tolist() == [20]
    assert not estimate.corrected


def test_a_wrong_center_is_made_up_for_and_said(tmp_path):
    _, _, estimate = estimated(tmp_path, center=(1.5, 1.0))
    assert estimate.corrected
    assert "as if the center were wrong by 1." in estimate.statement


def test_frames_without_angles_are_bridged(tmp_path):
    def without(angles):
        lines = angles.line_angles.copy()
        lines[10:14] = np.nan
        return dataclasses.replace(angles, line_angles=lines, line_usable=np.isfinite(lines))

    _, angles, estimate = estimated(tmp_path, change=without, sample_motion=LIVING)
    assert np.isfinite(estimate.motion.x).all()
    assert np.isnan(estimate.measured[10:14]).all()
    sd = np.interp(angles.line_times_s.mean(axis=1), estimate.motion.time_s, estimate.motion.sd)
    assert sd[11] > 2 * sd[30]


def test_too_little_to_tell(tmp_path):
    def without(angles):
        nan = np.full_like(angles.line_angles, np.nan)
        return dataclasses.replace(angles, line_angles=nan, line_usable=np.isfinite(nan))

    _, _, estimate = estimated(tmp_path, change=without)
    assert not estimate.corrected
    assert not estimate.trusted
    assert "cannot be told" in estimate.statement


@pytest.mark.parametrize(
    ("shape", "center_offset"), [((64, 64), (16.0, 8.0)), ((40, 160), (0.0, 0.0))]
)
def test_frames_that_have_half_left_the_field_of_view_are_compared(tmp_path, shape, center_offset):
    _, _, estimate = estimated(
        tmp_path, shape=shape, center_offset=center_offset, n_cells=25, sample_motion=LIVING
    )
    assert np.isfinite(estimate.measured).all(axis=1).mean() > 0.85


def test_the_limit_that_is_told_is_the_one_that_decided():
    figures = {"share": 100.0, "gain": 1e6, "n_jumps": 0, "rms": 0.15, "sd": 0.06, "limit": 0.17,
               "n_lost": 0, "rhythm": 0.0}  # fmt: skip
    (verdict, *_) = decide(figures)
    assert verdict.code == "none"
    assert "limit 0.17 px" in verdict.sentence
    (verdict, *_) = decide({**figures, "limit": 0.14, "largest": 1.0, "fastest": 1.0})
    assert verdict.code == "corrected"


@pytest.mark.parametrize(("rhythm", "said"), [(0.0, False), (0.05, False), (0.2, True)])
def test_a_rhythm_too_small_to_matter_is_not_spoken_of(rhythm, said):
    figures = {"share": 100.0, "gain": 1e6, "n_jumps": 0, "rms": 0.9, "sd": 0.06, "limit": 0.17,
               "n_lost": 0, "largest": 1.0, "fastest": 1.0, "rhythm": rhythm,
               "beats": 8.9}  # fmt: skip
    verdicts = decide(figures)
    assert [own.code for own in verdicts] == ["corrected", "rhythm"][: 1 + said]
