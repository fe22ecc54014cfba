"""Each injected fault does what it says, and the truth tells where."""

import numpy as np
import pytest

from derotation.errors import InputError
from derotation.simulate.faults import Faults
from derotation.simulate.recording import simulate_recording

RATE = 50_000.0
SMALL = {
    "shape": (16, 16),
    "n_cells": 2,
    "frame_rate": 20.0,
    "rest_before_s": 0.3,
    "rest_between_s": 0.3,
    "rest_after_s": 0.3,
    "lead_s": 0.11,
    "tail_s": 0.1,
    "sampling_rate": RATE,
}


def with_faults(**faults):
    return simulate_recording(**SMALL, faults=faults)


def rises(volts):
    high = volts > 2.5
    return np.flatnonzero(high[1:] & ~high[:-1]) + 1


def seen_at(volts):
    return rises(volts) / RATE


@pytest.fixture(scope="module")
def clean():
    return simulate_recording(**SMALL)


def assert_all_near(times, reference, tolerance=1.5 / RATE):
    """Every time has a neighbor among the reference times."""
    reference = np.sort(reference)
    after = np.clip(np.searchsorted(reference, times), 1, reference.size - 1)
    gap = np.minimum(np.abs(times - reference[after - 1]), np.abs(times - reference[after]))
    assert gap.max() <= tolerance


def test_no_fault_leaves_nothing_in_the_truth(clean):
    assert clean.plan.injected == {}


def test_dropped_ticks(clean):
    recording = with_faults(dropped_ticks=0.01)
    dropped = recording.plan.injected["dropped_ticks"]
    assert 15 <= dropped.size <= 60
    ticks = seen_at(recording.signals[3])
    assert ticks.size == 3600 - dropped.size
    assert_all_near(np.concatenate([ticks, dropped]), seen_at(clean.signals[3]))


def test_duplicated_ticks(clean):
    recording = with_faults(duplicated_ticks=0.01)
    again = recording.plan.injected["duplicated_ticks"]
    assert 15 <= again.size <= 60
    ticks = seen_at(recording.signals[3])
    assert ticks.size == 3600 + again.size
    extra = np.setdiff1d(rises(recording.signals[3]), rises(clean.signals[3]))
    np.testing.assert_allclose(extra / RATE, again, atol=1.5 / RATE)


def test_stray_ticks_come_at_rest():
    recording = with_faults(stray_ticks=20)
    stray = recording.plan.injected["stray_ticks"]
    assert seen_at(recording.signals[3]).size == 3620
    assert stray.size == 20
    assert np.all(recording.plan.motor.angle(stray) == 0)
    assert not np.any(recording.signals[2][(stray * RATE).astype(int)] > 2.5)


def test_off_glitches_break_the_rotation_on_signal(clean):
    recording = with_faults(off_glitches=3, off_glitch_ms=60)
    glitches = recording.plan.injected["off_glitches"]
    assert glitches.shape == (3, 2)
    np.testing.assert_allclose(np.diff(glitches, axis=1), 0.06)
    assert rises(recording.signals[2]).size == 2 + 3
    differs = np.flatnonzero(recording.signals[2] != clean.signals[2]) / RATE
    inside = (differs[:, None] >= glitches[:, 0]) & (differs[:, None] <= glitches[:, 1])
    assert inside.any(axis=1).all()
    assert differs.size == pytest.approx(3 * 0.06 * RATE, abs=6)


@pytest.mark.parametrize("extra", [1, -1])
def test_clocks_count_another_number_of_frames(clean, extra):
    recording = with_faults(extra_clock_frames=extra)
    assert len(recording.movie) == len(clean.movie)
    assert rises(recording.signals[1]).size == len(clean.movie) + extra
    assert rises(recording.signals[0]).size == 16 * (len(clean.movie) + extra)


def test_truncated_last_frame(clean):
    recording = with_faults(truncated_last_frame=True)
    assert len(recording.movie) == len(clean.movie)
    assert rises(recording.signals[1]).size == len(clean.movie) + 1
    assert rises(recording.signals[0]).size == 16 * len(clean.movie) + 8
    assert recording.plan.injected["truncated_last_frame"] == 8


def test_recording_starts_within_a_rotation():
    recording = with_faults(starts_within_rotation=True)
    on = recording.signals[2] > 2.5
    assert on[0]
    assert rises(recording.signals[2]).size == 1
    assert rises(recording.signals[3]).size == pytest.approx(1800 + 900, abs=1)
    assert recording.line_angles[0, 0] != 0
    assert recording.plan.injected["starts_within_rotation"] == 0
    assert len(recording.stimulus) == 2


def test_recording_ends_within_a_rotation():
    recording = with_faults(ends_within_rotation=True)
    assert recording.signals[2][-1] > 2.5
    assert rises(recording.signals[3]).size == pytest.approx(1800 + 900, abs=1)
    assert recording.line_angles[-1, -1] == pytest.approx(180, abs=15)
    assert recording.plan.injected["ends_within_rotation"] == 1


def test_clocks_swapped(clean):
    recording = with_faults(clocks_swapped=True)
    np.testing.assert_array_equal(recording.signals[[1, 0, 2, 3]], clean.signals)


def test_clocks_without_gaps(clean):
    n_frames = len(clean.movie)
    line = with_faults(line_clock_without_gaps=True).signals[0]
    assert rises(line).size == n_frames
    frame = with_faults(frame_clock_without_gaps=True).signals[1]
    assert rises(frame).size == 1
    first, last = clean.line_start[0, 0], clean.line_start[-1, -1]
    assert np.all(frame[int(first * RATE) + 2 : int(last * RATE)] > 2.5)


def test_missing_line_pulses(clean):
    recording = with_faults(missing_line_pulses=3)
    missing = recording.plan.injected["missing_line_pulses"]
    expected = np.delete(rises(clean.signals[0]), missing)
    np.testing.assert_array_equal(rises(recording.signals[0]), expected)


@pytest.mark.parametrize(("rows", "expected"), [(1, [200, 200, 200]), (-1, [200])])
def test_stimulus_table_of_another_length(rows, expected):
    recording = with_faults(stimulus_rows=rows)
    assert recording.stimulus[:, 0].tolist() == expected
    assert rises(recording.signals[2]).size == 2


def test_nan_samples(clean):
    recording = with_faults(nan_samples=5)
    where = np.argwhere(np.isnan(recording.signals))
    assert set(where[:, 0]) == {3}
    np.testing.assert_array_equal(where[:, 1], recording.plan.injected["nan_samples"])


def test_faults_together_keep_their_counts():
    recording = with_faults(
        dropped_ticks=0.005,
        duplicated_ticks=0.002,
        stray_ticks=20,
        off_glitches=3,
        extra_clock_frames=1,
    )
    injected = recording.plan.injected
    n_ticks = 3600 - injected["dropped_ticks"].size + injected["duplicated_ticks"].size + 20
    assert rises(recording.signals[3]).size == n_ticks


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"dropped_ticks": 2}, r"faults\.dropped_ticks is a fraction 0\.\.1, not 2"),
        ({"stray_ticks": -1}, r"faults\.stray_ticks is a count of 0 or more"),
        ({"off_glitch_ms": 0}, r"faults\.off_glitch_ms must be above 0"),
    ],
)
def test_impossible_faults_are_refused(faults, message):
    with pytest.raises(InputError, match=message):
        Faults(**faults)


def test_faults_without_room_are_refused():
    with pytest.raises(InputError, match="have room for only"):
        with_faults(off_glitches=50, off_glitch_ms=100)
    with pytest.raises(InputError, match="the movie has only"):
        with_faults(extra_clock_frames=-1000)
