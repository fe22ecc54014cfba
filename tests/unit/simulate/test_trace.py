"""Signals made from an angle trace, against the motor that the trace was taken from."""

import numpy as np
import pytest

from derotation.errors import InputError
from derotation.simulate.recording import plan_recording
from derotation.simulate.trace import signals_from_line_angles


def rises(volts):
    high = volts > 2.5
    return np.flatnonzero(high[1:] & ~high[:-1]) + 1


@pytest.fixture(scope="module")
def plan():
    return plan_recording(shape=(64, 8), n_cells=0, frame_rate=10.0, n_frames=140)


def test_signals_of_a_trace_are_those_of_its_motor(plan):
    analog, stimulus = signals_from_line_angles(
        plan.line_angles, line_period_s=plan.line_period, frame_period_s=0.1
    )
    assert analog.n_samples == plan.analog.n_samples
    for clock in ("line_clock", "frame_clock"):
        np.testing.assert_array_equal(analog.channel(clock), plan.analog.channel(clock))
    ticks = rises(analog.channel("rotation_ticks"))
    # A trace knows a tick's time within a line: 1.5 ms here.
    np.testing.assert_allclose(ticks / 50_000, plan.ticks.time, atol=0.0016)
    angle = np.abs(plan.motor.angle(ticks[:1799] / 50_000))
    assert np.abs(angle - plan.ticks.turned[:1799])[50:-50].max() < 0.01
    on = rises(analog.channel("rotation_on")) / 50_000
    np.testing.assert_allclose(on, plan.rotation_start, atol=0.004)
    np.testing.assert_allclose(stimulus, [[200, 1], [200, -1]], rtol=0.01)


def test_trace_that_stands_still_within_a_turn():
    steps = np.repeat(np.arange(0, 360, 30.0), 20)
    trace = np.concatenate([np.zeros(25), steps, np.zeros(15)])[:280].reshape(14, 20)
    analog, stimulus = signals_from_line_angles(trace, line_period_s=0.01)
    ticks = rises(analog.channel("rotation_ticks")) / 50_000
    assert ticks.size == 1800
    assert rises(analog.channel("rotation_on")).size == 1
    # All 150 ticks of a step come between its last line and the next step's first.
    step = ticks[150:300]
    assert np.ptp(step) < 0.01
    assert stimulus[:, 1].tolist() == [-1]


@pytest.mark.parametrize(
    ("trace", "options", "message"),
    [
        (np.ones((2, 4)), {}, "begins or ends within a turn"),
        (np.zeros(4), {}, r"shape \(frames, lines\)"),
        (np.full((2, 4), np.nan), {}, "finite"),
        (np.zeros((2, 4)), {"frame_period_s": 0.01}, "do not fit into a frame"),
    ],
)
def test_unusable_traces_are_refused(trace, options, message):
    with pytest.raises(InputError, match=message):
        signals_from_line_angles(trace, line_period_s=0.01, **options)
