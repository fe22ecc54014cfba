import numpy as np
import pytest

from derotation.calibration import Calibration
from derotation.calibration import wobble as wobbles
from derotation.calibration.wobble import estimate_wobble
from derotation.errors import ConfigError
from derotation.io.movie import open_movie
from derotation.maps import transforms
from derotation.plots.wobble import plot_wobble
from derotation.simulate import simulate_recording
from unit.sessions import save_movie, true_angles, true_timing

FULL = {"stimulus": ((150.0, 1), (200.0, -1)), "rest_between_s": 1.0}
STEPS = {"protocol": "incremental", "degrees_per_step": 15.0, "step_rest_s": 0.3}


def simulate(**parameters):
    chosen = {"shape": (112, 128), "n_cells": 30, "center_offset": (3.0, -2.0), **FULL}
    return simulate_recording(**(chosen | parameters))


def estimate(recording, folder, config=None, **known):
    calibration = Calibration(
        center=recording.center,
        image_shape=recording.movie.shape[1:],
        method="registration",
        center_sd=(0.1, 0.1),
        **known,
    )
    with open_movie(save_movie(recording, folder)) as movie:
        return estimate_wobble(
            movie, true_angles(recording), calibration, config, timing=true_timing(recording)
        )


def largest_shift(recording, calibration):
    """Largest shift over all angles of what the maps make of points, against where they belong."""
    angles = np.arange(0.0, 360.0, 5.0)
    around = np.deg2rad(np.arange(0, 360, 30))
    x, y = (25 * np.cos(around) + recording.center[0], 25 * np.sin(around) + recording.center[1])
    seen = recording.plan.place_in_picture(x, y, angles[:, np.newaxis])
    maps = calibration.maps(angles)[:, np.newaxis]
    back = transforms.apply(maps, np.stack(seen, axis=-1))
    return np.hypot(*(back - np.stack([x, y], axis=-1)).mean(axis=1).T).max()


@pytest.fixture(scope="module")
def wobbling():
    return simulate(wobble=((0.0, 0.0, 2.0, 0.0),))


@pytest.mark.parametrize(
    ("parameters", "wobble"),
    [
        ({}, ((0.0, 0.0, 2.0, 0.0),)),
        ({}, ((1.0, 0.0, 0.5, 0.0), (0.0, 0.8, 0.6, 0.0))),
        (STEPS, ((0, 0, 0, 0), (0, 0, 0, 0), (1.0, 0.0, 0.0, 1.0))),
        ({"plane_angle": 20.0, "plane_orientation": 60.0}, ((0.0, 0.0, 2.0, 0.0),)),
    ],
)
def test_a_wobble_is_found(tmp_path, parameters, wobble):
    recording = simulate(wobble=wobble, **parameters)
    known = {k: v for k, v in parameters.items() if k.startswith("plane")}
    if known:
        known["plane_sd"] = (0.1, 0.1)
    result = estimate(recording, tmp_path, **known)
    assert result.corrected
    assert result.probability < 1e-4
    assert "it is corrected" in result.statement
    assert largest_shift(recording, result.calibration.replace(wobble=())) > 0.9
    assert largest_shift(recording, result.calibration) < 0.15
    assert len(result.calibration.wobble) == len(result.calibration.wobble_sd) == result.order
    np.testing.assert_array_equal(result.curve[0], 0)
    assert np.nanmax(np.abs(result.residuals[result.inliers])) < 0.5
    plot_wobble(result).savefig(tmp_path / "wobble.png")


@pytest.mark.parametrize(
    ("seed", "parameters"), [(0, {}), (1, {}), (2, {}), (3, {}), (0, STEPS), (3, STEPS)]
)
def test_no_wobble_is_invented(tmp_path, parameters, seed):
    photons = (1.0, 5.0, 20.0, 100.0)[seed]
    recording = simulate(shape=(96, 96), seed=seed, photons_per_pixel=photons, **parameters)
    result = estimate(recording, tmp_path)
    assert not result.corrected
    assert result.calibration.wobble == ()
    assert result.calibration.center == recording.center


def test_what_belongs_to_the_center_is_no_wobble(tmp_path):
    # C = (-1.5, 0), S = (0, -1.5): the shift by a center that is wrong by (1.5, 0).
    recording = simulate(wobble=((-1.5, 0.0, 0.0, -1.5),))
    result = estimate(recording, tmp_path)
    assert not result.corrected


def test_a_frame_that_one_fit_cannot_measure_spoils_nothing(wobbling, tmp_path, monkeypatch):
    measured = wobbles.residual_shifts

    def without_some(refined):
        shifts = measured(refined)
        shifts[:3] = np.nan
        return shifts

    monkeypatch.setattr(wobbles, "residual_shifts", without_some)
    result = estimate(wobbling, tmp_path)
    assert result.corrected
    assert result.calibration.trusted
    assert 0 < result.calibration.residual_px < 0.3
    assert "nan" not in result.calibration.statement


def test_a_given_center_stays(wobbling, tmp_path):
    with open_movie(save_movie(wobbling, tmp_path)) as movie:
        given = Calibration(center=wobbling.center, image_shape=(112, 128), method="fixed")
        result = estimate_wobble(movie, true_angles(wobbling), given, timing=true_timing(wobbling))
    assert result.calibration.center == wobbling.center
    assert largest_shift(wobbling, result.calibration) < 0.15


def test_a_part_of_the_circle_does_not_tell(tmp_path):
    result = estimate(simulate(degrees_per_rotation=90.0), tmp_path)
    assert not result.trusted
    assert "of the circle" in result.statement
    plot_wobble(result).savefig(tmp_path / "wobble.png")


def test_options(tmp_path):
    recording = simulate(shape=(16, 16), n_cells=2)
    assert "never" in estimate(recording, tmp_path, {"correct": "never"}).statement
    with pytest.raises(
        ConfigError, match=r'wobble\.correct: found the text "fixed", allowed: auto or never'
    ):
        estimate(recording, tmp_path, {"correct": "fixed"})
    with pytest.raises(
        ConfigError, match=r"wobble\.max_order: found 0, allowed: .* 1 and at most 8"
    ):
        estimate(recording, tmp_path, {"max_order": 0})
