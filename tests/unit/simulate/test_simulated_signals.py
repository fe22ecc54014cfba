"""Pulses, and analog signals on disk."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import derotation.simulate.signals as module
from derotation.errors import InputError
from derotation.simulate.signals import (
    BIN_CHANNELS,
    NPY_CHANNELS,
    AnalogPlan,
    Pulses,
    write_signals,
)


def planned(n_samples=5000, **options):
    rng = np.random.default_rng(0)
    pulses = {}
    for name in sorted({*BIN_CHANNELS, *NPY_CHANNELS}):
        edges = np.sort(rng.uniform(0, n_samples / 1000, 40))
        pulses[name] = Pulses(start=edges[::2], stop=edges[1::2])
    return AnalogPlan(sampling_rate=1000.0, n_samples=n_samples, pulses=pulses, **options)


def volts_of_bin(path):
    raw = np.fromfile(path, np.int16).reshape(-1, len(BIN_CHANNELS)).astype(float)
    return -10 + 20 * (raw + 2**15) / 2**16


def test_a_sample_is_high_from_start_to_before_stop():
    pulses = Pulses(start=np.array([0.002, 0.0055]), stop=np.array([0.004, 0.0075]))
    high = pulses.high(0, 10, 1000.0)
    assert np.flatnonzero(high).tolist() == [2, 3, 6, 7]


def test_touching_pulses_melt_into_one():
    pulses = Pulses(start=np.array([0.001, 0.003]), stop=np.array([0.003, 0.005]))
    assert np.flatnonzero(pulses.high(0, 10, 1000.0)).tolist() == [1, 2, 3, 4]


def test_pulses_that_began_before_the_first_sample_are_high():
    pulses = Pulses(start=np.array([-5.0, 0.006]), stop=np.array([0.003, 9.0]))
    assert np.flatnonzero(pulses.high(0, 8, 1000.0)).tolist() == [0, 1, 2, 6, 7]


@given(st.integers(1, 400), st.integers(0, 400), st.floats(100, 3000))
@settings(max_examples=30)
def test_a_stretch_of_a_signal_is_the_same_as_cut_from_the_whole(n, first, rate):
    edges = np.sort(np.random.default_rng(n).uniform(0, 0.5, 60))
    pulses = Pulses(start=edges[::2], stop=edges[1::2])
    whole = pulses.high(0, first + n, rate)
    np.testing.assert_array_equal(pulses.high(first, n, rate), whole[first:])


def test_stretches_do_not_depend_on_blocks(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 700)
    plan = planned(noise=0.1, seed=5)
    whole = plan.channel("line_clock")
    assert whole.shape == (5000,)
    np.testing.assert_array_equal(plan.channel("line_clock", 650, 2200), whole[650:2200])
    joined = np.concatenate([volts for _, volts in plan.blocks(("line_clock",))], axis=1)
    np.testing.assert_array_equal(joined[0], whole)
    assert len({volts.tobytes() for _, volts in plan.blocks(("photodiode",))}) == 8


def test_bin_and_npy_hold_the_same_volts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 1024)
    plan = planned(noise=0.05, logic_level=3.3)
    npy = np.load(write_signals(tmp_path / "signals.npy", plan), mmap_mode="r")
    binary = volts_of_bin(write_signals(tmp_path / "signals.bin", plan, "bin"))
    assert npy.shape == (4, 5000)
    assert binary.shape == (5000, 6)
    for row, name in enumerate(NPY_CHANNELS):
        column = binary[:, BIN_CHANNELS.index(name)]
        np.testing.assert_allclose(npy[row], column, atol=0.5001 * 20 / 65536)
        np.testing.assert_array_equal(npy[row], plan.channel(name))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["signals.bin", "signals.npy"]


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path):
    with pytest.raises(InputError, match="signals_format must be 'npy' or 'bin', not 'csv'"):
        write_signals(tmp_path / "signals.csv", planned(), "csv")
    with pytest.raises(InputError, match="cannot hold NaN"):
        write_signals(tmp_path / "a.bin", planned(nan_samples=np.array([3])), "bin")
    plan = AnalogPlan(sampling_rate=1000.0, n_samples=10, pulses={})
    with pytest.raises(InputError, match="no signal is planned for channel 'line_clock'"):
        write_signals(tmp_path / "a.npy", plan)
    assert list(tmp_path.iterdir()) == []
