"""The angle from the movie alone, against simulated motors."""

import numpy as np
import pytest
import tifffile

from derotation.errors import AngleError
from derotation.images.following.seen_angle import see_angle
from derotation.io.movie import open_movie
from derotation.maps.timing import LineTiming
from derotation.simulate import FreeTurning, simulate_recording

TIMING = LineTiming(line_duty=0.9)


def simulated(**parameters):
    usual = {"rest_before_s": 0.5, "rest_between_s": 0.5, "rest_after_s": 0.5, "lead_s": 0.1}
    made = simulate_recording(
        shape=(80, 84), n_cells=25, seed=41, center_offset=(4.0, -3.0), **usual | parameters
    )
    angles = made.line_angles
    true = np.unwrap(angles.ravel(), period=360).reshape(angles.shape)
    p = made.plan.parameters
    return made.movie, made.line_start + p.line_duty * p.line_period_s / 2, true, made.center


@pytest.fixture(scope="module")
def turning():
    """A rotation in each direction, up to 30 degrees a frame."""
    return simulated(stimulus=((200, 1), (120, -1)))


def see(tmp_path, movie, times_s):
    tifffile.imwrite(tmp_path / "movie.tif", movie, photometric="minisblack")
    with open_movie(tmp_path / "movie.tif") as opened:
        return see_angle(opened, times_s, timing=TIMING)


def errors(seen, times_s, true):
    error = (seen.line_angles(times_s) - true)[seen.found]
    return error - np.median(error)


def test_a_session_is_followed(tmp_path, turning):
    movie, times_s, true, center = turning
    seen = see(tmp_path, movie, times_s)
    error = errors(seen, times_s, true)
    assert seen.found.all()
    assert np.sqrt(np.mean(error**2)) < 0.25
    assert np.abs(error).max() < 1.5
    assert seen.center == pytest.approx(center, abs=0.1)
    # What is stated is what is scattered.
    ratio = error[:, 40] / seen.sd
    assert 0.5 < np.std(ratio) < 2
    assert "told by the picture itself" in seen.statement


def test_the_trace_goes_through_the_lines(tmp_path, turning):
    movie, times_s, _, _ = turning
    seen = see(tmp_path, movie[:12], times_s[:12])
    time_s, angle, known = seen.trace()
    assert (np.diff(time_s) > 0).all()
    assert known.all()
    assert len(known) == len(time_s) - 1
    assert time_s[0] < times_s[0, 0] < times_s[11, -1] < time_s[-1]
    between = np.interp(times_s[:12], time_s, angle)
    assert between == pytest.approx(seen.line_angles(times_s[:12]), abs=0.02)


def test_a_sample_that_turns_from_the_first_frame_on(tmp_path):
    movie, times_s, true, _ = simulated(
        protocol="free", motion=FreeTurning(duration=7.0, top_speed=220.0, seed=8), n_frames=40,
        lead_s=1.0,
    )  # fmt: skip
    seen = see(tmp_path, movie, times_s)
    error = errors(seen, times_s, true)
    assert seen.found.all()
    assert np.sqrt(np.mean(error**2)) < 0.3


def test_frames_without_light_are_lost_and_the_rest_is_found_again(tmp_path, turning):
    movie, times_s, true, _ = turning
    dark = movie.copy()
    dark[20:24] = np.random.default_rng(0).normal(100, 5, dark[20:24].shape).round()
    seen = see(tmp_path, dark, times_s)
    assert np.flatnonzero(~seen.found).tolist() == [20, 21, 22, 23]
    error = errors(seen, times_s, true)
    error -= 360 * np.round(error / 360)
    assert np.abs(error).max() < 1.5
    assert "lost in 4 of" in seen.statement
    assert np.isnan(seen.sd[20:24]).all()
    time_s, _, known = seen.trace()
    middles = (time_s[1:] + time_s[:-1]) / 2
    within = (middles > times_s[20, 0]) & (middles < times_s[23, -1])
    assert not known[within].any()
    assert known[(middles < times_s[19, -1]) | (middles > times_s[24, 0])].all()


class Fast:
    def angle(self, time):
        return 450.0 * np.asarray(time, float)

    def moving(self, begin, end):
        return True


def test_what_turns_too_fast_is_refused(tmp_path):
    movie, times_s, _, _ = simulated(protocol="free", motion=Fast(), n_frames=16)
    with pytest.raises(AngleError, match="cannot be followed"):
        see(tmp_path, movie, times_s)


def test_noise_is_refused(tmp_path):
    movie = np.random.default_rng(5).poisson(20, (10, 64, 64)).astype(np.uint16)
    times_s = np.arange(10)[:, None] + np.arange(64) / 64
    with pytest.raises(AngleError, match="cannot be followed"):
        see(tmp_path, movie, times_s)


def test_two_frames_are_too_few(tmp_path, turning):
    movie, times_s, _, _ = turning
    with pytest.raises(AngleError, match="has 2 frames"):
        see(tmp_path, movie[:2], times_s[:2])
