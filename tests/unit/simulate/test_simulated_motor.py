"""The motor's formulas against numerical integration, and the signs of its angles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derotation.errors import InputError
from derotation.simulate.motor import full_protocol, incremental_protocol


def integrated_turn(speed, degrees, acceleration, time):
    """Degrees turned by a stage that speeds up, cruises and brakes, step by step."""
    step = 1e-4
    turned, velocity, trace = 0.0, 0.0, [0.0]
    for _ in range(int(time[-1] / step) + 1):
        braking_distance = velocity**2 / (2 * acceleration)
        if degrees - turned <= braking_distance:
            velocity = max(velocity - acceleration * step, 0.0)
        else:
            velocity = min(velocity + acceleration * step, speed)
        turned += velocity * step
        trace.append(turned)
    return np.interp(time, np.arange(len(trace)) * step, trace)


@pytest.mark.parametrize(
    ("speed", "degrees", "acceleration"),
    [(200, 360, 155), (50, 90, 400), (200, 10, 155)],  # the last one never reaches its speed
)
def test_turn_agrees_with_numerical_integration(speed, degrees, acceleration):
    motor = full_protocol([(speed, 1)], first_start=0.0, degrees=degrees, acceleration=acceleration)
    time = np.linspace(0, motor.end[0], 50)
    expected = integrated_turn(speed, degrees, acceleration, time)
    np.testing.assert_allclose(motor.turned(0, time), expected, atol=0.1)
    assert motor.turned(0, motor.end[0]) == pytest.approx(degrees)


@given(
    speed=st.floats(5, 500),
    degrees=st.floats(1, 720),
    acceleration=st.floats(20, 2000),
)
@settings(max_examples=50)
def test_time_at_inverts_the_turn(speed, degrees, acceleration):
    motor = full_protocol([(speed, -1)], degrees=degrees, acceleration=acceleration)
    turned = np.linspace(0, degrees, 37)
    time = motor.time_at(0, turned)
    assert np.all(np.diff(time) > 0)
    np.testing.assert_allclose(motor.turned(0, time), turned, atol=1e-7 * degrees)
    assert time[0] == pytest.approx(motor.start[0])
    assert time[-1] == pytest.approx(motor.end[0])


def test_speed_and_acceleration_are_those_asked_for():
    motor = full_protocol([(200, 1)], first_start=1.0, acceleration=155.0)
    time = np.linspace(0, motor.end[0] + 1, 20_000)
    step = time[1]
    speed = np.diff(motor.turned(0, time)) / step
    assert speed.max() == pytest.approx(200, rel=1e-6)
    assert np.abs(np.diff(speed) / step).max() == pytest.approx(155, rel=1e-3)


def test_whole_turns_have_the_documented_sign_and_return_to_zero():
    motor = full_protocol([(100, 1), (100, -1)], first_start=1.0, rest=1.0)
    before_end = motor.angle(motor.end - 1e-6)
    np.testing.assert_allclose(before_end, [-360, 360], atol=1e-3)
    rests = [0.0, motor.start[0], motor.end[0], motor.end[0] + 0.5, motor.end[1], motor.end[1] + 9]
    assert np.all(motor.angle(rests) == 0)


def test_partial_turns_add_up():
    motor = full_protocol([(100, -1), (100, -1), (100, 1)], degrees=90)
    np.testing.assert_allclose(motor.angle(motor.end + 0.1), [90, 180, 90])
    np.testing.assert_allclose(motor.rest_angle, [0, 90, 180, 90])


def test_direction_sign_flips_the_angle_but_not_the_table():
    usual = full_protocol([(100, 1)])
    flipped = full_protocol([(100, 1)], direction_sign=-1)
    time = np.linspace(usual.start[0], usual.end[0], 9)
    np.testing.assert_array_equal(flipped.angle(time), -usual.angle(time))
    np.testing.assert_array_equal(flipped.direction, usual.direction)


def test_incremental_turn_rises_to_360_in_steps():
    motor = incremental_protocol(first_start=0.5, rest=0.7, degrees=360, step=10)
    np.testing.assert_allclose(motor.angle(motor.end + 0.35), np.arange(10, 361, 10))
    assert motor.n_rotations == 1


def test_angle_keeps_the_shape_of_the_time():
    motor = full_protocol([(100, 1)])
    assert motor.angle(1.0).shape == ()
    assert motor.angle(np.zeros((3, 4))).shape == (3, 4)
    assert full_protocol([]).angle([1.0, 2.0]).tolist() == [0, 0]


@pytest.mark.parametrize("increment", [0.2, 0.1, 0.3])
def test_ticks_come_when_whole_increments_are_turned(increment):
    motor = full_protocol([(200, 1), (30, -1)])
    ticks = motor.ticks(increment)
    per_rotation = round(360 / increment)
    assert np.bincount(ticks.rotation).tolist() == [per_rotation, per_rotation]
    assert np.all(np.diff(ticks.time) > 0)
    angle = motor.angle(ticks.time - 1e-9)
    expected = np.where(ticks.rotation == 0, -ticks.turned, ticks.turned)
    np.testing.assert_allclose(angle, expected, atol=1e-5)
    np.testing.assert_allclose(ticks.time[[per_rotation - 1, -1]], motor.end)


def test_ticks_of_incremental_steps_count_through_the_whole_turn():
    motor = incremental_protocol(degrees=90, step=10)
    ticks = motor.ticks(0.3)  # does not divide a step: ticks still count turned degrees
    np.testing.assert_allclose(ticks.turned, np.arange(1, 301) * 0.3)
    np.testing.assert_allclose(motor.angle(ticks.time), ticks.turned, atol=1e-6)
    assert set(ticks.rotation) == {0}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: full_protocol([(100, 2)]), "directions must be 1 or -1, found"),
        (lambda: full_protocol([(-100, 1)]), "must all be above 0"),
        (lambda: full_protocol([(100, 1)], acceleration=0), "acceleration must be above 0"),
        (lambda: full_protocol([(100, 1)], direction_sign=0), "direction_sign must be 1 or -1"),
        (lambda: full_protocol([(100, 1), (100, 1)], rest=-1), "lengthen the rests"),
        (lambda: incremental_protocol(degrees=95, step=10), "not a whole number of steps"),
        (lambda: full_protocol([(100, 1)]).ticks(0), "rotation_increment must be above 0"),
    ],
)
def test_impossible_motors_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
