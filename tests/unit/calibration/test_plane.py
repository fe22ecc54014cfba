import numpy as np
import pytest

from derotation.calibration import Calibration, plane
from derotation.calibration.geometry import tilt_to_vector, vector_to_tilt
from derotation.calibration.plane import estimate_plane
from derotation.errors import CenterError, ConfigError, InputError
from derotation.images.comparison import affine_maps, affine_values
from derotation.io.movie import open_movie
from derotation.maps.resample import derotate_frames
from derotation.plots.plane import plot_plane
from derotation.simulate import simulate_recording
from unit.sessions import disc, save_movie, true_angles, true_timing

FULL = {"stimulus": ((200.0, 1), (150.0, -1)), "rest_between_s": 1.0}
STEPS = {"protocol": "incremental", "degrees_per_step": 15.0, "step_rest_s": 0.3}


def simulate(**parameters):
    chosen = {"shape": (112, 128), "n_cells": 30, "center_offset": (3.0, -2.0), **FULL}
    return simulate_recording(**(chosen | parameters))


def roughly(recording, by=(0.8, -0.6), method="registration"):
    x, y = recording.center
    shape = recording.movie.shape[1:]
    return Calibration(
        center=(x + by[0], y + by[1]), image_shape=shape, method=method, center_sd=(0.1, 0.1)
    )


def estimate(recording, folder, config=None, calibration=None, bidirectional=False):
    with open_movie(save_movie(recording, folder)) as movie:
        return estimate_plane(
            movie,
            true_angles(recording),
            calibration or roughly(recording),
            config,
            timing=true_timing(recording, bidirectional),
            session="s",
        )


def orientation_error(found, truth):
    return abs((found - truth + 90) % 180 - 90)


@pytest.fixture(scope="module")
def tilted():
    return simulate(plane_angle=25.0, plane_orientation=40.0)


@pytest.fixture(scope="module")
def flat():
    return simulate()


@pytest.mark.parametrize(
    ("parameters", "tilt", "orientation"),
    [
        ({}, 25.0, 40.0),
        ({"bidirectional": True}, 12.0, 175.0),
        (STEPS, 40.0, 120.0),
        ({"photons_per_pixel": 2.0, "wobble": ((0, 0, 1.5, 0),)}, 25.0, 40.0),
    ],
)
def test_a_tilt_is_found(tmp_path, parameters, tilt, orientation):
    recording = simulate(plane_angle=tilt, plane_orientation=orientation, **parameters)
    result = estimate(recording, tmp_path, bidirectional="bidirectional" in parameters)
    assert result.corrected
    assert result.trusted
    assert result.plane_angle == pytest.approx(tilt, abs=0.5)
    assert orientation_error(result.plane_orientation, orientation) < 1
    assert 0 < result.plane_sd[0] < 0.5
    assert 0 < result.plane_sd[1] < 1
    calibration = result.calibration
    assert calibration.plane_angle == result.plane_angle
    assert calibration.plane_sd == result.plane_sd
    if "wobble" not in parameters:
        assert calibration.center == pytest.approx(recording.center, abs=0.05)
        assert np.nanmax(np.abs(result.after)) < 0.25 * np.nanmax(np.abs(result.before))
    plot_plane(result).savefig(tmp_path / "plane.png")


@pytest.mark.parametrize(
    ("seed", "parameters"), [(0, {}), (1, {}), (2, {}), (3, {}), (0, STEPS), (3, STEPS)]
)
def test_no_tilt_is_invented(tmp_path, parameters, seed):
    photons = (1.0, 5.0, 20.0, 100.0)[seed]
    recording = simulate(shape=(96, 96), seed=seed, photons_per_pixel=photons, **parameters)
    before = roughly(recording, (0.05, 0.0))
    result = estimate(recording, tmp_path, calibration=before)
    assert not result.corrected
    assert "not corrected" in result.statement
    assert result.calibration.plane_angle == 0
    assert result.calibration.center == before.center


def test_corrected_frames_look_like_the_sample_at_rest(tmp_path):
    exact = {"photons_per_pixel": None, "dtype": "float32", "calcium": False}
    tilted = simulate(plane_angle=25.0, plane_orientation=40.0, **exact)
    flat = simulate(scene=tilted.plan.scene, **exact)

    def psnr(recording, calibration):
        maps = calibration.maps(recording.line_angles)
        out = derotate_frames(recording.movie, maps, timing=true_timing(recording))
        inside = disc(recording.movie.shape[1:], recording.center, 45)
        turned = np.ptp(recording.line_angles, axis=1) > 0
        truth = recording.rest_image[inside]
        error = np.mean((out.frames[turned][:, inside] - truth) ** 2)
        return 10 * np.log10(np.ptp(truth) ** 2 / error)

    found = estimate(tilted, tmp_path).calibration
    assert psnr(tilted, found) > psnr(flat, roughly(flat, (0.0, 0.0))) - 1


def test_partial_turns(tmp_path):
    recording = simulate(plane_angle=20.0, plane_orientation=60.0, degrees_per_rotation=120.0)
    result = estimate(recording, tmp_path)
    assert result.corrected
    assert abs(result.plane_angle - 20) < max(4 * result.plane_sd[0], 0.5)


def test_a_frame_that_one_fit_cannot_measure_spoils_nothing(tilted, tmp_path, monkeypatch):
    whole = estimate(tilted, tmp_path).calibration
    measured = plane.residual_shifts

    def without_some(refined):
        shifts = measured(refined)
        shifts[:3] = np.nan
        return shifts

    monkeypatch.setattr(plane, "residual_shifts", without_some)
    result = estimate(tilted, tmp_path).calibration
    assert result.trusted
    assert "nan" not in result.statement
    assert result.residual_px == pytest.approx(whole.residual_px, rel=0.2)


def test_a_given_center_stays(tilted, tmp_path):
    given = roughly(tilted, (0.3, 0.0), method="fixed")
    result = estimate(tilted, tmp_path, calibration=given)
    assert result.corrected
    assert result.calibration.center == given.center


def test_given_planes(flat, tmp_path):
    never = estimate(flat, tmp_path, {"correct": "never"})
    assert (never.calibration.plane_angle, never.corrected) == (0, False)
    fixed = estimate(
        flat,
        tmp_path,
        {"correct": "fixed", "plane_angle": 25, "plane_orientation": 40, "output": "sample"},
    )
    assert (fixed.calibration.plane_angle, fixed.calibration.plane_orientation) == (25, 40)
    assert fixed.calibration.plane_output == "sample"
    assert fixed.plane_sd is None
    plot_plane(fixed).savefig(tmp_path / "plane.png")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"correct": "maybe"},
            r'plane\.correct: found the text "maybe", allowed: auto, never or fixed',
        ),
        ({"output": "top"}, r'plane\.output: found the text "top", allowed: scan or sample'),
        (
            {"correct": "fixed", "plane_angle": 95},
            r"plane\.plane_angle: found 95, allowed: .* and below 90",
        ),
    ],
)
def test_bad_options(flat, tmp_path, config, message):
    with pytest.raises(ConfigError, match=message):
        estimate(flat, tmp_path, config)


def test_unusable_sessions(tmp_path):
    recording = simulate(shape=(48, 48))
    other = roughly(recording).replace(image_shape=(64, 64))
    with pytest.raises(InputError, match="frames of 48 x 48"):
        estimate(recording, tmp_path, calibration=other)
    dark = simulate(shape=(48, 48))
    dark.movie[:] = 100
    with pytest.raises(CenterError, match="any structure"):
        estimate(dark, tmp_path)


@pytest.mark.parametrize(("tilt", "orientation"), [(0.0, 0.0), (5.0, 10.0), (40.0, 175.0)])
def test_vectors_of_tilts(tilt, orientation):
    back = vector_to_tilt(tilt_to_vector(tilt, orientation))
    np.testing.assert_allclose(back, (tilt, orientation), atol=1e-9)


def test_affine_parameters_round_trip():
    values = np.random.default_rng(0).normal(size=(5, 6))
    np.testing.assert_allclose(affine_values(affine_maps(values, (40, 60)), (40, 60)), values)
    # A point at the distance of half the smaller side is moved by t and a column of B.
    moved = affine_maps(values[0], (40, 60)) @ [29.5 + 20, 19.5, 1] - [29.5 + 20, 19.5]
    np.testing.assert_allclose(moved, values[0, :2] + values[0, [2, 4]])
