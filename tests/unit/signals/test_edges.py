"""Levels and edges of analog channels, against a plain loop and against planted pulses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derotation.errors import SignalError
from derotation.io.signals import ROLES
from derotation.signals import edges, pulses
from unit.signal_factory import as_signals

RATE = 1000.0


def four(channel):
    """A recording in which every role has the same channel."""
    return as_signals(np.broadcast_to(channel, (4, len(channel))))


def pulses_of(channel, role="rotation_ticks", thresholds=None, signals=None):
    return pulses.find_pulses(signals or four(channel), (role,), thresholds or {}, RATE)[role]


def planted(n, start, width):
    high = np.zeros(n, bool)
    for begin in start:
        high[begin : begin + width] = True
    return high


def edges_slowly(volts, rise_at, fall_at, threshold):
    """The rule in words: an edge is where the threshold was crossed last before the far level."""
    found = []
    high = volts[0] >= threshold
    for i, value in enumerate(volts):
        if (not high and value >= rise_at) or (high and value <= fall_at):
            high = not high
            before = i
            while before > 0 and (volts[before - 1] >= threshold) == high:
                before -= 1
            found.append(before)
    return found


@given(
    st.lists(st.floats(0, 1, width=32), min_size=2, max_size=60),
    st.integers(1, 7),
    st.floats(0.01, 0.3),
)
@settings(max_examples=100)
def test_edges_do_not_depend_on_chunks(values, size, band):
    volts = np.array(values, np.float32)
    threshold = 0.5
    state = np.array([volts[0] >= threshold, 0, volts[0] >= threshold], np.int64)
    at, found = np.zeros(len(volts), np.int64), []
    for first in range(0, len(volts), size):
        chunk = volts[first : first + size]
        n = edges.find_edges(chunk, first, threshold + band, threshold - band, threshold, state, at)
        found.extend(at[:n])
    assert found == edges_slowly(volts, threshold + band, threshold - band, threshold)


@pytest.mark.parametrize("level", [3.3, 5.0])
@pytest.mark.parametrize("noise", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("base", [0.0, -0.4, 0.6])
@pytest.mark.parametrize("invert", [False, True])
def test_sparse_pulses_are_found_at_any_level_and_noise(level, noise, base, invert):
    n = 400_000
    start = np.arange(100, n, 10_000)  # one sample in 10 000 is high (or low)
    high = planted(n, start, 1) != invert
    volts = base + level * high + noise * np.random.default_rng(1).standard_normal(n)
    found = pulses_of(volts)
    edges = np.flatnonzero(np.diff(high.astype(int))) + 1
    begins = np.append(0, edges) if invert else edges
    np.testing.assert_array_equal(found.start, begins[::2])
    assert found.levels.low == pytest.approx(base, abs=0.1)
    assert found.levels.high == pytest.approx(base + level, abs=0.25)
    assert found.begins_high == invert


def test_drifting_baseline_and_rounded_edges():
    n = 100_000
    high = planted(n, range(500, n, 1000), 300)
    rounded = np.convolve(5.0 * high, np.full(9, 1 / 9), "same")
    drift = np.linspace(-0.5, 0.5, n)
    noise = 0.1 * np.random.default_rng(2).standard_normal(n)
    found = pulses_of(rounded + drift + noise)
    assert len(found) == 100
    assert np.abs(found.start - np.arange(500, n, 1000)).max() <= 2


def test_a_few_sparks_do_not_move_the_levels():
    n = 500_000
    high = planted(n, range(100, n, 5000), 2)
    volts = 3.3 * high
    volts[[3, 70_007, 250_111]] = [60.0, -40.0, 55.0]
    found = pulses_of(volts)
    assert found.levels.high == pytest.approx(3.3, abs=0.1)
    assert len(found) == 100 + 2


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "i8", "f4", "f8", "?"])
def test_any_number_type(dtype):
    high = planted(5000, range(10, 5000, 100), 7)
    samples = np.broadcast_to((high * (1 if dtype in "?u1" else 5)).astype(dtype), (4, 5000))
    found = pulses_of(None, signals=as_signals(samples))
    np.testing.assert_array_equal(found.start, np.arange(10, 5000, 100))
    np.testing.assert_array_equal(found.stop, np.arange(17, 5000, 100))


def test_raw_values_are_scaled_to_volts():
    high = planted(5000, range(10, 5000, 100), 7)
    samples = np.where(high, 16384, 0).astype(np.int16)
    signals = as_signals(np.broadcast_to(samples, (4, 5000)), gain=20 / 2**16, offset=0.0)
    found = pulses_of(None, signals=signals)
    assert found.levels.high == pytest.approx(5.0, abs=0.01)
    assert found.levels.threshold == pytest.approx(2.5, abs=0.01)


def test_a_configured_threshold_is_used():
    # Steps of three heights: a threshold decides which of them are pulses.
    volts = np.zeros(3000)
    volts[100:2900:300] = 1.0
    volts[200:2900:300] = 3.0
    volts[300:2900:300] = 5.0
    assert len(pulses_of(volts, thresholds={"rotation_ticks": 0.5})) == 28
    assert len(pulses_of(volts, thresholds={"rotation_ticks": 2.0})) == 18
    assert len(pulses_of(volts, thresholds={"rotation_ticks": 4.0})) == 9
    found = pulses_of(volts, thresholds={"rotation_ticks": 4.0})
    assert found.levels.threshold == 4.0


def test_a_threshold_that_is_never_reached_is_refused():
    volts = 3.3 * planted(3000, range(100, 3000, 100), 5)
    with pytest.raises(SignalError, match=r"never on both sides of the threshold 4 V"):
        pulses_of(volts, thresholds={"rotation_ticks": 4.0})


@pytest.mark.parametrize(
    ("role", "what"),
    [
        ("line_clock", "no lines"),
        ("frame_clock", "no frames"),
        ("rotation_on", "no rotation"),
        ("rotation_ticks", "no ticks"),
    ],
)
@pytest.mark.parametrize("kind", ["flat", "noise", "hum", "last bit"])
def test_a_channel_without_pulses_is_refused(role, what, kind):
    t = np.arange(50_000)
    rng = np.random.default_rng(3)
    volts = {
        "flat": np.zeros(len(t)),
        "noise": 0.2 * rng.standard_normal(len(t)),
        "hum": 0.7 * np.sin(t / 50),
        "last bit": 3e-4 * rng.integers(0, 2, len(t)),
    }[kind]
    with pytest.raises(SignalError, match=f"{what}: channel {role} shows one level only") as error:
        pulses_of(volts, role)
    assert "channel_order" in str(error.value)
    assert f"signals.thresholds.{role}" in str(error.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_samples_that_are_no_numbers_are_refused(value):
    volts = 5.0 * planted(5000, range(10, 5000, 100), 7)
    volts[[1234, 2000, 4000]] = value
    message = r"rotation_on holds 3 NaN or infinite samples, the first at 1\.234 s"
    with pytest.raises(SignalError, match=message):
        pulses_of(volts, "rotation_on")


def test_a_single_sample_is_refused():
    with pytest.raises(SignalError, match="no ticks"):
        pulses_of(np.array([0.1]))


def test_edges_of_the_recording_within_a_pulse():
    found = pulses_of(5.0 * np.array([1, 1, 0, 0, 1, 0, 1, 1]))
    assert found.begins_high
    assert found.ends_high
    assert found.start.tolist() == [0, 4, 6]
    assert found.stop.tolist() == [2, 5, 8]


def test_chunks_of_a_long_recording(monkeypatch):
    rng = np.random.default_rng(4)
    volts = 5.0 * planted(20_000, range(11, 20_000, 97), 13) + 0.2 * rng.standard_normal(20_000)
    whole = pulses_of(volts)
    monkeypatch.setattr(pulses, "CHUNK_SAMPLES", 777)
    parts = pulses_of(volts)
    np.testing.assert_array_equal(whole.start, parts.start)
    np.testing.assert_array_equal(whole.stop, parts.stop)
    assert set(ROLES) >= {whole.role}


def test_crowded_pulses_of_a_clock():
    clock = np.arange(0, 10_000, 100)
    spoiled = np.sort(np.append(clock, [230, 999, 5060]))
    marked = edges.mark_crowded(spoiled, 100.0)
    np.testing.assert_array_equal(spoiled[~marked], clock)
    assert spoiled[marked].tolist() == [230, 999, 5060]
