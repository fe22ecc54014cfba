"""Angles as any function of time, and the clocks of rigs: their own closed forms."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derotation.errors import InputError
from derotation.simulate import FreeTurning, Sinusoid, Stalled, simulate_session
from derotation.simulate.free_motion import crossings
from derotation.simulate.rig_signals import (
    ClockOptions,
    clock_pulses,
    pulse_volts,
    quadrature_pulses,
    voltage_samples,
)


@given(st.integers(0, 200), st.floats(0.1, 2.0), st.floats(1, 400))
@settings(max_examples=40)
def test_free_turning_is_smooth_and_no_faster_than_asked(seed, change, top):
    motion = FreeTurning(duration=5, top_speed=top, change_s=change, seed=seed)
    time = np.linspace(-1, 7, 8001)
    speed = np.diff(motion.angle(time)) / np.diff(time)
    assert np.abs(speed).max() <= top * 1.001
    # The speed goes from one value to the next along half a cosine.
    assert np.abs(np.diff(speed)).max() <= 1.001 * np.pi * top / change * 1e-3
    assert motion.angle(-1) == motion.angle(0) == 0


@given(st.integers(0, 50), st.floats(0, 4.9), st.floats(0.01, 0.5))
@settings(max_examples=40)
def test_what_is_said_to_rest_rests(seed, begin, lasts):
    motion = FreeTurning(duration=5, rest_fraction=0.6, seed=seed)
    if not motion.moving(begin, begin + lasts):
        assert np.ptp(motion.angle(np.linspace(begin, begin + lasts, 50))) < 1e-9


def test_a_stalled_motion_stays_and_goes_on_from_there():
    whole = Sinusoid(amplitude=50, frequency=0.25)
    motion = Stalled(motion=whole, stall=0.5, resume=2.0)
    np.testing.assert_array_equal(motion.angle([0.2, 0.4]), whole.angle([0.2, 0.4]))
    assert motion.angle(1.0) == motion.angle(1.9) == whole.angle(0.5)
    late = motion.angle([2.0, 2.5, 3.0])
    np.testing.assert_allclose(np.diff(late), np.diff(whole.angle([2.0, 2.5, 3.0])))
    assert late[0] == pytest.approx(float(whole.angle(0.5)))
    assert motion.moving(0, 1)
    assert not motion.moving(0.6, 1.9)
    assert motion.moving(1.0, 2.5)


@given(st.integers(0, 100), st.floats(0.5, 20))
@settings(max_examples=30)
def test_crossings_are_all_of_them(seed, step):
    motion = FreeTurning(duration=4, top_speed=300, seed=seed)
    time, sector = crossings(motion, step, 0.0, 4.0)
    assert np.all(np.diff(time) >= 0)
    places = motion.angle(time) / step
    assert np.abs(places - np.round(places)).max(initial=0) < 1e-5
    # Whoever counts them knows the sector at any time.
    at = np.linspace(0.001, 3.999, 97)
    index = np.searchsorted(time, at) - 1
    counted = np.where(index >= 0, sector[np.maximum(index, 0)], np.floor(motion.angle(0) / step))
    true = motion.angle(at) / step
    far = np.abs(true - np.round(true)) > 1e-3
    np.testing.assert_array_equal(counted[far], np.floor(true)[far])


@given(st.integers(0, 50), st.floats(0, 0.5))
@settings(max_examples=15)
def test_only_one_channel_of_an_encoder_changes_at_a_time(seed, bounce):
    motion = FreeTurning(duration=3, top_speed=100, seed=seed)
    pulses = quadrature_pulses(motion, counts_per_turn=400, duration=3, bounce=bounce, seed=seed)
    a, b = pulses["quadrature_a"], pulses["quadrature_b"]
    edges = [np.concatenate([own.start, own.stop]) for own in (a, b)]
    inner = [own[(own > 0) & (own < 3)] for own in edges]
    assert not len(np.intersect1d(*inner))


def test_a_voltage_starts_anew_within_its_range():
    motion = FreeTurning(duration=5, top_speed=300, seed=2)
    volts = voltage_samples(
        motion, degrees_per_volt=-36, offset_v=2, noise_v=0, sampling_rate=1000, n_samples=5000
    )
    assert volts.min() >= 0
    assert volts.max() <= 10
    time = np.arange(5000) / 1000
    turns = (motion.angle(time) / -36 + 2 - volts) / 10
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-5)


def test_clocks_of_blocks_and_period_clocks():
    options = ClockOptions(
        focus_before=(3,), focus_after=(2,), extra_before=1, extra_after=2, lines_per_pulse=2,
        unpulsed_last=1, lost=(4,), pause_s=0.5,
    )  # fmt: skip
    pulses, line_start, end = clock_pulses(
        options, n_frames=10, n_lines=8, frame_period=0.1, line_period=0.01, lead_s=0.2
    )
    assert line_start.shape == (10, 8)
    assert line_start[0, 0] == pytest.approx(0.2 + 3 * 0.1 + 0.5 + 0.1)
    assert len(pulses["frame_clock"].start) == 3 + 1 + 10 + 2 + 2 - 1
    assert len(pulses["line_clock"].start) == (3 + 13 + 2) * 4
    np.testing.assert_allclose(pulses["line_clock"].stop - pulses["line_clock"].start, 0.01)
    volts = pulse_volts(
        pulses, n_samples=round(end * 1000), sampling_rate=1000, inverted=("line_clock",),
        missing=("frame_clock",),
    )  # fmt: skip
    assert volts["line_clock"][0] == 5
    assert not volts["frame_clock"].any()


def test_options_that_make_no_sense():
    still = Sinusoid(amplitude=0, frequency=1)
    with pytest.raises(InputError, match="multiple of 4"):
        quadrature_pulses(still, counts_per_turn=10, duration=1)
    with pytest.raises(InputError, match="lines_per_pulse"):
        clock_pulses(ClockOptions(lines_per_pulse=3), n_frames=1, n_lines=1, frame_period=1,
                     line_period=1)  # fmt: skip
    with pytest.raises(InputError, match="above 0"):
        FreeTurning(duration=0)


def test_a_session_that_turns_freely_is_written(tmp_path):
    files = simulate_session(
        tmp_path, protocol="free", motion=Sinusoid(amplitude=80, frequency=0.1), n_frames=3,
        shape=(16, 16), n_cells=3,
    )  # fmt: skip
    told = json.loads(files["summary"].read_text())["parameters"]["motion"]
    assert (told["kind"], told["amplitude"], told["frequency"]) == ("Sinusoid", 80, 0.1)
