"""Ticks of one rotation: every fault is found in its place."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from derotation.signals import motor
from derotation.signals.ticks import cruise_speed, number_rotation
from unit.signal_factory import Turn

RATE = 50_000.0


def samples(times, rate=RATE):
    return np.unique(np.ceil(np.sort(times) * rate))


def numbered(times, turn, expected=1800, rate=RATE):
    margin = 0.003
    return number_rotation(
        times, expected, (turn.start - margin) * rate, (turn.end + margin) * rate
    )


def max_error(train, turn, rate=RATE):
    """Largest error of the angle during a turn, degrees."""
    turned = train.number * (turn.degrees / len(train.number))
    limits = (turn.start - 0.02) * rate, (turn.end + 0.02) * rate
    time, knot, slope = motor.knots(train.time, turned, turn.degrees, *limits)
    t = np.linspace(turn.start - 0.02, turn.end + 0.02, 3000)
    # An edge is seen half a sample late on average.
    at = np.clip((t + 0.5 / rate) * rate, time[0], time[-1])
    return np.abs(motor.evaluate(time, knot, slope, at) - turn.turned(t)).max()


TURN = Turn(1.0, speed=200.0, acceleration=155.0)
FAST = Turn(1.0, speed=200.0, acceleration=1000.0)
STEEP = Turn(1.0, speed=100.0, acceleration=5000.0)
TICKS = {id(turn): turn.ticks() for turn in (TURN, FAST, STEEP)}


@pytest.mark.parametrize("turn", [TURN, FAST, STEEP])
@pytest.mark.parametrize("rate", [10_000, 20_000, 50_000, 100_000])
def test_all_ticks_there(turn, rate):
    times = samples(TICKS[id(turn)], rate)
    train = numbered(times, turn, rate=rate)
    np.testing.assert_array_equal(train.time, times)
    assert train.number.tolist() == list(range(1, 1801))
    assert not train.inserted.any()
    assert train.unexplained == 0
    assert max_error(train, turn, rate) < max(0.03, 1.5 * 200 / rate)


@given(st.integers(0, 1799), st.sampled_from([TURN, FAST, STEEP]))
@settings(max_examples=120)
def test_a_missing_tick_is_found_in_its_place(which, turn):
    ticks = TICKS[id(turn)]
    train = numbered(samples(np.delete(ticks, which)), turn)
    assert np.flatnonzero(train.inserted).tolist() == [which]
    assert train.unexplained == 0
    speed_there = 0.2 / np.diff(ticks, prepend=turn.start)[which]
    assert abs(train.time[which] / RATE - ticks[which]) * speed_there < 0.1
    assert max_error(train, turn) < 0.1


@given(st.sets(st.integers(0, 1799), min_size=2, max_size=60))
@settings(max_examples=40)
def test_many_missing_ticks(which):
    gaps = np.diff(sorted(which), prepend=-10)
    assume(np.count_nonzero(gaps == 1) < 3)  # longer holes have a test of their own
    ticks = TICKS[id(FAST)]
    train = numbered(samples(np.delete(ticks, sorted(which))), FAST)
    assert len(train.time) == 1800
    assert max_error(train, FAST) < 0.3


@given(st.integers(3, 1680), st.integers(2, 110), st.sampled_from([TURN, FAST]))
@settings(max_examples=40)
def test_a_hole_in_the_ticks_is_filled_and_nothing_else(first, length, turn):
    ticks = TICKS[id(turn)]
    train = numbered(samples(np.delete(ticks, slice(first, first + length))), turn)
    assert np.flatnonzero(train.inserted).tolist() == list(range(first, first + length))
    assert train.unexplained == 0


@pytest.mark.parametrize("turn", [TURN, FAST])
@pytest.mark.parametrize("first", range(3, 17))
def test_a_hole_soon_after_the_start_is_filled_and_nothing_else(first, turn):
    # As many ticks as rhythm can tell, one more, and holes from which the motor comes out at its
    # full speed.
    ticks = TICKS[id(turn)]
    for length in (5, 6, 7, 88, 93, 96, 104):
        train = numbered(samples(np.delete(ticks, slice(first, first + length))), turn)
        assert np.flatnonzero(train.inserted).tolist() == list(range(first, first + length)), length
        assert train.unexplained == 0
        assert len(train.duplicated) == 0


@pytest.mark.parametrize("length", [5, 6, 7, 8])
@pytest.mark.parametrize("before", range(6, 16))
def test_a_hole_in_a_short_ramp_is_filled_and_nothing_else(before, length):
    ticks = TICKS[id(STEEP)]
    for first in (before, 1800 - before - length):
        train = numbered(samples(np.delete(ticks, slice(first, first + length))), STEEP)
        assert np.flatnonzero(train.inserted).tolist() == list(range(first, first + length))
        assert train.unexplained == 0


def test_the_first_and_the_last_ticks():
    ticks = TICKS[id(TURN)]
    for n in (1, 2, 3):
        train = numbered(samples(ticks[n:]), TURN)
        assert np.flatnonzero(train.inserted).tolist() == list(range(n))
        train = numbered(samples(ticks[:-n]), TURN)
        assert np.flatnonzero(train.inserted).tolist() == list(range(1800 - n, 1800))


@given(
    st.integers(0, 1798),
    st.floats(0.05, 0.9),
    st.sampled_from([TURN, FAST, STEEP]),
)
@settings(max_examples=80)
def test_a_tick_too_many_is_left_out(which, share, turn):
    ticks = TICKS[id(turn)]
    extra = ticks[which] + share * (ticks[which + 1] - ticks[which])
    times = samples(np.append(ticks, extra))
    assume(len(times) == 1801)
    train = numbered(times, turn)
    assert len(train.time) == 1800
    assert train.unexplained == 0
    # Either of two pulses close to each other may be called the tick.
    assert np.abs(train.time - ticks * RATE).max() <= max(
        1.0, min(share, 1 - share) * np.diff(ticks).max() * RATE + 1
    )
    assert max_error(train, turn) < 0.2


def test_a_bouncing_pulse():
    ticks = TICKS[id(TURN)]
    bounced = ticks[500] + np.array([4e-5, 8e-5, 12e-5, 16e-5, 20e-5])
    train = numbered(samples(np.append(ticks, bounced)), TURN)
    assert len(train.duplicated) == 5
    assert max_error(train, TURN) < 0.01


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("turn", [TURN, FAST, STEEP])
def test_everything_at_once(seed, turn):
    rng = np.random.default_rng(seed)
    ticks = TICKS[id(turn)]
    kept = ticks[rng.random(1800) >= 0.02]
    doubled = kept[rng.random(len(kept)) < 0.01] + 2e-4
    stray = rng.uniform(turn.start, turn.end, 3)
    train = numbered(samples(np.concatenate([kept, doubled, stray])), turn)
    assert len(train.time) == 1800
    assert max_error(train, turn) < 0.3


def test_jitter_of_the_encoder():
    rng = np.random.default_rng(0)
    ticks = TICKS[id(TURN)]
    jitter = 0.1 * np.minimum(np.diff(ticks, prepend=0.0), 2e-3) * rng.uniform(-1, 1, 1800)
    train = numbered(samples(ticks + jitter), TURN)
    assert not train.inserted.any()
    assert len(train.time) == 1800


def test_without_an_expected_number():
    ticks = TICKS[id(TURN)]
    train = numbered(samples(np.delete(ticks, [700, 701, 900])), TURN, expected=None)
    assert np.flatnonzero(train.inserted).tolist() == [700, 701, 900]
    assert len(train.time) == 1800


def test_a_pause_is_not_a_gap():
    """The motor stalls within a turn: all its ticks are there."""
    half = Turn(1.0, degrees=180.0)
    ticks = np.concatenate([half.ticks(), half.ticks() + half.end - half.start + 0.7])
    train = number_rotation(samples(ticks), 1800, 0.0, np.inf)
    assert not train.inserted.any()
    assert train.unexplained == 0


@pytest.mark.parametrize("n", [1795, 1790, 1806])
def test_ticks_that_nothing_explains_are_told(n):
    """An encoder with another number of ticks per turn, evenly spaced."""
    turned = np.arange(1, n + 1) * 360 / n
    train = numbered(samples(TURN.times(turned - 1e-12)), TURN)
    assert train.unexplained == 1800 - n
    assert len(train.time) == n
    assert not train.inserted.any()
    assert max_error(train, TURN) < 0.01


def test_very_few_ticks():
    for n in (2, 3, 5):
        turn = Turn(0.1, degrees=0.2 * n, speed=20.0)
        train = number_rotation(samples(turn.ticks()), n, 0.0, 1e9)
        assert train.number.tolist() == list(range(1, n + 1))


def test_speed():
    ticks = samples(TICKS[id(FAST)])
    assert cruise_speed(ticks) * 0.2 * RATE == pytest.approx(200.0, rel=0.01)
    assert cruise_speed(samples(np.delete(TICKS[id(FAST)], slice(500, 560)))) * 0.2 * RATE == (
        pytest.approx(200.0, rel=0.02)
    )
    assert np.isnan(cruise_speed(ticks[:2]))
