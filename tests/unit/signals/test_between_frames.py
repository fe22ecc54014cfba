"""The angle between frames, against motions in closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derotation.signals.between_frames import between_frames
from unit.signal_factory import Turn

PERIOD, N = 0.1, 240


def dense(motion, n=N, known=None):
    time = PERIOD * (np.arange(n) + 0.5)
    angle = np.asarray(motion(time), float)
    known = np.ones(n - 1, bool) if known is None else known
    return between_frames(time, angle, known, 0.0, PERIOD * n)


def off(motion, n=N):
    """Errors of the new knots and of straight lines between the old ones, at many times."""
    time, angle, _ = dense(motion, n)
    at = np.linspace(PERIOD / 2, PERIOD * (n - 0.5), 40 * n)
    knots = PERIOD * (np.arange(n) + 0.5)
    true = motion(at)
    return np.interp(at, time, angle) - true, np.interp(at, knots, motion(knots)) - true


def turns(*given):
    made = [Turn(start, speed=speed, degrees=d, acceleration=a) for start, speed, d, a in given]
    return lambda t: sum(turn.turned(t) for turn in made)


MOTIONS = {
    # The motion; rms error allowed, and its part of that of straight lines.
    "sine": (lambda t: 90 * np.sin(0.2 * np.pi * t), 0.001, 0.02),
    "fast sine": (lambda t: 60 * np.sin(np.pi * t), 0.003, 0.01),
    "slow drift": (lambda t: 0.3 * t + 0.002 * t**2, 0.001, 1.1),
    "turns and rests": (turns((5.013, 60, 360, 200), (14.4, 60, 360, 200)), 0.008, 0.2),
    "fast turns": (turns((5.013, 200, 360, 1000), (14.4, 200, 360, 1000)), 0.03, 0.25),
    "steps": (turns(*((1 + 2.03 * k, 30, 10, 300) for k in range(10))), 0.02, 0.3),
}


@pytest.mark.parametrize("name", MOTIONS)
def test_closer_than_straight_lines(name):
    motion, most, share = MOTIONS[name]
    found, straight = off(motion)
    rms = np.sqrt(np.mean(found**2))
    assert rms <= most
    assert rms <= share * np.sqrt(np.mean(straight**2)) + 1e-4
    assert np.abs(found).max() <= np.abs(straight).max() + 1e-4


@pytest.mark.parametrize("degrees", [2.0, 30.0, -170.0])
@pytest.mark.parametrize("amplitude", [0.0, 5.0])
def test_nothing_swings_around_a_jump(degrees, amplitude):
    def motion(t):
        return amplitude * np.sin(0.2 * np.pi * t) + degrees * (t > 12.02)

    time, angle, _ = dense(motion)
    away = np.abs(time - 12.02) > PERIOD
    assert np.abs(angle - motion(time))[away].max() < 0.02


def test_a_rest_does_not_move():
    time, angle, _ = dense(turns((5.013, 200, 360, 1000)))
    assert np.ptp(angle[time < 5.0 - PERIOD / 2]) < 1e-9
    assert np.ptp(angle[time > 7.5]) < 1e-9


def test_knots_given_and_what_is_not_known_are_kept():
    known = np.ones(N - 1, bool)
    known[[20, 21, 100]] = False
    knots = PERIOD * (np.arange(N) + 0.5)
    time, angle, told = dense(lambda t: 30 * np.sin(t), known=known)
    np.testing.assert_allclose(np.interp(knots, time, angle), 30 * np.sin(knots), atol=1e-9)
    assert time[0] == 0
    assert time[-1] == pytest.approx(PERIOD * N)
    middle = (time[1:] + time[:-1]) / 2
    of_frame = np.clip(np.searchsorted(knots, middle) - 1, 0, N - 2)
    np.testing.assert_array_equal(told, known[of_frame])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-400, 400), min_size=2, max_size=40), st.data())
def test_any_angles_stay_within_bounds(angles, data):
    """No interval leaves what its own frames and the steps around it allow."""
    angle = np.array(angles)
    n = len(angle)
    known = np.array(data.draw(st.lists(st.booleans(), min_size=n - 1, max_size=n - 1)))
    knots = PERIOD * (np.arange(n) + 0.5)
    time, found, told = between_frames(knots, angle, known, 0.0, PERIOD * n)
    assert np.isfinite(found).all()
    assert (np.diff(time) > 0).all()
    assert len(told) == len(time) - 1
    np.testing.assert_allclose(np.interp(knots, time, found), angle, atol=1e-9)
    inside = (time >= knots[0]) & (time <= knots[-1])
    most = np.abs(np.diff(angle)).max()
    assert found[inside].min() >= angle.min() - most
    assert found[inside].max() <= angle.max() + most
