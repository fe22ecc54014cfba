"""Recorded angles against those that the picture shows."""

import numpy as np
import pytest
import tifffile

from derotation.calibration.geometry import Geometry
from derotation.images.following.recorded import check_angles
from derotation.io.movie import open_movie
from derotation.maps.line_maps import LineMaps
from derotation.maps.timing import LineTiming
from derotation.simulate import simulate_recording


class Lines:
    lag_ms = 0.0

    def __init__(self, line_angles, line_times_s):
        self.line_angles, self.line_times_s = line_angles, line_times_s
        self.line_usable = np.isfinite(line_angles)

    def times_of(self, frames):
        return self.line_times_s[frames]

    def shifted(self, lag_ms):
        return self

    def timing(self):
        return LineTiming(line_duty=0.9)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    made = simulate_recording(
        shape=(80, 84), n_cells=25, seed=43, center_offset=(3.0, 2.0),
        stimulus=((150, 1), (200, -1)), rest_before_s=2.0, rest_between_s=1.0, rest_after_s=2.0,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("raw") / "movie.tif"
    tifffile.imwrite(path, made.movie, photometric="minisblack")
    angles = made.line_angles
    return path, made, np.unwrap(angles.ravel(), period=360).reshape(angles.shape)


def check(session, angles, **how):
    path, made, _ = session
    maps = LineMaps.of(Lines(angles, made.line_start), Geometry.about(made.center))
    with open_movie(path) as movie:
        return check_angles(movie, maps, **how)


def test_right_angles_agree(session):
    found = check(session, session[2])
    assert np.isfinite(found.difference).all()
    assert np.abs(found.difference).max() < 1
    assert (np.diff(found.frames) > 0).all()
    assert len(found.frames) >= 24


def test_an_offset_is_found_with_its_time(session):
    wrong = session[2].copy()
    half = len(wrong) // 2
    wrong[half:] += 37.0
    found = check(session, wrong)
    later = found.frames >= half
    assert found.difference[later] == pytest.approx(-37, abs=1.5)
    assert np.abs(found.difference[~later]).max() < 1


def test_a_missed_rotation_is_found(session):
    true = session[2]
    wrong = true.copy()
    turning = np.flatnonzero(np.ptp(true, axis=1) > 0)
    second = turning[turning > turning[np.argmax(np.diff(turning))]]
    wrong[second] = true[second[0] - 1, -1]
    found = check(session, wrong)
    off = np.abs(found.difference) > 3
    assert set(found.frames[off]) <= set(second)
    assert off.sum() >= 5


def test_lines_without_angle_are_not_looked_at(session):
    angles = session[2].copy()
    angles[30:40, 5] = np.nan
    found = check(session, angles)
    assert not set(range(30, 40)) & set(found.frames.tolist())


def test_too_few_frames_tell_nothing(session):
    angles = np.full_like(session[2], np.nan)
    angles[:5] = session[2][:5]
    assert len(check(session, angles).frames) == 0


def test_fewer_frames_may_be_asked_for(session):
    assert len(check(session, session[2], max_frames=7).frames) == 7
