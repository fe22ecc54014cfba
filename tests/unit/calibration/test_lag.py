import dataclasses
import functools

import numpy as np
import pytest

from derotation.calibration import Calibration
from derotation.calibration.lag import estimate_lag
from derotation.calibration.sign import check_direction_sign
from derotation.errors import CenterError
from derotation.io.movie import open_movie
from derotation.io.signals import open_signals
from derotation.io.stimulus import read_stimulus
from derotation.maps.resample import LineTiming
from derotation.signals.angles import interpolate_angles
from derotation.signals.parse import parse_signals
from derotation.simulate import simulate_session

CHANNELS = ("line_clock", "frame_clock", "rotation_on", "rotation_ticks")
BOTH = ((200.0, 1), (150.0, -1), (100.0, 1), (200.0, -1))


class Session:
    """A session as it is parsed from disk."""

    def __init__(self, folder, protocol="full", **parameters):
        chosen = {"shape": (112, 128), "n_cells": 30, "rest_between_s": 1.0, "stimulus": BOTH}
        files = simulate_session(folder, protocol=protocol, **(chosen | parameters))
        self.movie = open_movie(files["movie"])
        self.events = parse_signals(
            open_signals(files["signals"], channel_order=CHANNELS),
            n_frames=self.movie.shape[0],
            lines_per_frame=self.movie.shape[1],
            sampling_rate=50_000.0,
            protocol=protocol,
            stimulus=read_stimulus(files["stimulus"]) if protocol == "full" else None,
            degrees_per_step=15.0 if protocol == "incremental" else None,
        )
        config = {"degrees_per_step": 15.0}
        self.angles = interpolate_angles(self.events, protocol=protocol, config=config)
        height, width = self.movie.shape[1:]
        self.calibration = Calibration(
            center=((width - 1) / 2 + 0.5, (height - 1) / 2),
            image_shape=(height, width),
            method="registration",
        )
        self.timing = LineTiming(line_duty=self.angles.line_duty)

    def lag(self, angles=None):
        return estimate_lag(self.movie, angles or self.angles, self.calibration, timing=self.timing)


@pytest.fixture(scope="module")
def session_of(tmp_path_factory):
    """Make a session with some parameters, once."""
    return functools.cache(
        lambda **parameters: Session(tmp_path_factory.mktemp("session"), **parameters)
    )


@pytest.mark.parametrize("lag_ms", [3.0, -2.0, 30.0])
def test_a_lag_is_found(session_of, lag_ms):
    session = session_of(lag_ms=lag_ms)
    result = session.lag()
    assert result.lag_ms == pytest.approx(lag_ms, abs=0.2)
    assert 0.01 < result.lag_sd_ms < 0.3
    assert result.significant
    assert result.trusted
    # Frames are left turned by speed times lag.
    expected = result.speeds[result.inliers] * lag_ms / 1e3
    np.testing.assert_allclose(result.rotations[result.inliers], expected, atol=0.3)


def test_lines_shifted_by_the_lag_have_none_left(session_of):
    session = session_of(lag_ms=3.0)
    shift = 3.0e-3 * session.events.sampling_rate
    later = dataclasses.replace(session.events, line_start=session.events.line_start + shift)
    result = session.lag(interpolate_angles(later, protocol="full"))
    assert abs(result.lag_ms) < 0.2
    assert not result.significant
    assert "no lag" in result.statement


def test_one_direction_does_not_tell(tmp_path):
    result = Session(tmp_path, stimulus=((200.0, 1), (150.0, 1))).lag()
    assert not result.trusted
    assert (result.lag_ms, result.lag_sd_ms) == (0, None)
    assert "cannot be told" in result.statement


def flipped(angles):
    return dataclasses.replace(
        angles, line_angles=-angles.line_angles, frame_angles=-angles.frame_angles
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"photons_per_pixel": 0.5},
        {"plane_angle": 25.0, "plane_orientation": 30.0, "center_offset": (9.0, -7.0)},
        {"degrees_per_rotation": 360.0, "protocol": "incremental", "degrees_per_step": 15.0,
         "step_rest_s": 0.3},
    ],
)  # fmt: skip
def test_a_wrong_sign_is_refused_and_a_right_one_is_not(session_of, parameters):
    session = session_of(**parameters)
    check = check_direction_sign(session.movie, session.angles)
    assert check.decided
    assert check.correlation > check.correlation_flipped
    assert "is right" in check.statement
    with pytest.raises(CenterError, match=r"flip angles\.direction_sign"):
        check_direction_sign(session.movie, flipped(session.angles))


def test_frames_that_do_not_tell_are_not_refused(session_of):
    session = session_of()

    class Noise:
        shape, dtype = session.movie.shape, session.movie.dtype

        def read(self, numbers):
            rng = np.random.default_rng(int(np.sum(numbers)))
            return rng.poisson(100, (len(numbers), *self.shape[1:])).astype(np.uint16)

    for angles in (session.angles, flipped(session.angles)):
        check = check_direction_sign(Noise(), angles)
        assert not check.decided
        assert "do not tell" in check.statement
