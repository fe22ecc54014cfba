"""Frames with the angles of others, and the shift of the angles along a session."""

import numpy as np
import pytest

from derotation.calibration.geometry import Geometry
from derotation.images.sample import read_sample
from derotation.io.movie import open_movie
from derotation.maps.line_maps import LineMaps
from derotation.quality.trials import _angles_of, _shift_path
from derotation.simulate import simulate_recording
from unit.sessions import save_movie, true_angles

SHIFTS = (-2, -1, 1, 2)


def test_angles_of_later_frames(tmp_path):
    recording = simulate_recording(
        shape=(48, 40), stimulus=((200.0, 1), (150.0, -1)), rest_between_s=0.5
    )
    angles = true_angles(recording)
    with open_movie(save_movie(recording, tmp_path)) as movie:
        sample = read_sample(movie, LineMaps.of(angles, Geometry.about((20, 24))), 60)
    own = _angles_of(sample, angles, 0)
    np.testing.assert_array_equal(own.line_angles, sample.lines.line_angles)
    later = _angles_of(sample, angles, 2)
    inside = sample.numbers < len(recording.movie) - 2
    expected = recording.line_angles[sample.numbers[inside] + 2]
    np.testing.assert_allclose(later.line_angles[inside], expected)


def correlations(truth, rng, *, good=0.8, wrong=0.2, noise=0.08):
    """Correlations of frames whose angles are shifted so."""
    levels = {k: np.where(truth == k, good, wrong) for k in (0, *SHIFTS)}
    noisy = {k: level + rng.normal(0, noise, len(truth)) for k, level in levels.items()}
    return noisy.pop(0), noisy


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "truth",
    [
        np.zeros(40, int),
        np.repeat([0, 1], [20, 20]),
        np.repeat([0, -1], [36, 4]),
        np.repeat([0, 1, 2], [10, 15, 15]),
        np.repeat([0, 2, 0], [15, 10, 15]),
        np.full(40, -1),
    ],
    ids=["none", "lost", "doubled late", "lost twice", "for a while", "throughout"],
)
def test_the_path_of_shifts_is_the_true_one(truth, seed):
    own, shifted = correlations(truth, np.random.default_rng(seed))
    found = _shift_path(own, shifted, np.ones(len(truth), bool))
    np.testing.assert_array_equal(found, truth)


@pytest.mark.parametrize("seed", range(5))
def test_noise_shifts_nothing(seed):
    """All hypotheses fit equally badly."""
    own, shifted = correlations(np.full(50, 9), np.random.default_rng(seed), wrong=0.1)
    assert not _shift_path(own, shifted, np.ones(50, bool)).any()


def test_frames_that_tell_nothing_go_with_those_before_them():
    truth = np.repeat([0, 1], [20, 20])
    own, shifted = correlations(truth, np.random.default_rng(1))
    telling = np.arange(40) % 2 == 0
    own[~telling] = 1.0
    np.testing.assert_array_equal(_shift_path(own, shifted, telling), truth)
