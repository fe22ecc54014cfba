"""Causes that are told from numbers alone: rates, speeds, and a phase beyond the corrected one."""

from types import SimpleNamespace

import numpy as np
import pytest

from derotation.quality.scan_figures import bidi_phase, frame_rate_error
from derotation.simulate import plan_recording


def rates(told, *, clocks=10.0, asked=None, measured=None):
    return frame_rate_error(
        SimpleNamespace(told_frame_rate=told),
        SimpleNamespace(rotation_speed=asked, rotation_measured_speed=measured),
        SimpleNamespace(frame_rate=clocks),
    )


@pytest.mark.parametrize(("told", "error"), [(8.0, 25.0), (12.5, -20.0), (10.0, 0.0)])
def test_the_clocks_rate_is_compared_with_the_files(told, error):
    found = rates(told)
    assert found.value == pytest.approx(abs(error))
    assert f"({error:+.2f} %)" in found.said


def test_speeds_by_the_ticks_are_compared_with_the_table():
    asked = np.array([100.0, 0.0, 200.0, 50.0])
    measured = np.array([95.0, 3.0, 190.0, 47.5])
    found = rates(10.0, asked=asked, measured=measured)
    assert found.value == pytest.approx(5)
    assert "rotations are -5.00 % faster than the stimulus table says" in found.said
    # Speeds that do not differ alike are those of another table, or of a motor that slips.
    measured = np.array([95.0, 3.0, 210.0, 47.5])
    assert rates(10.0, asked=asked, measured=measured).value == 0


def test_the_larger_error_is_told():
    asked = np.array([100.0, 200.0])
    assert "ticks" in rates(9.9, asked=asked, measured=0.9 * asked).said
    assert "clocks" in rates(8.0, asked=asked, measured=0.9 * asked).said


def test_rates_that_nothing_tells_are_not_measured():
    assert rates(float("nan")).value is None


@pytest.mark.parametrize(
    ("corrected", "left", "where"), [(0.0, 1.5, "right"), (2.2, 0.7, "left"), (1.5, 0.0, None)]
)
def test_a_phase_counts_beyond_the_one_that_is_corrected(corrected, left, where):
    plan = plan_recording(
        shape=(96, 128), bidirectional=True, bidi_phase=1.5, photons_per_pixel=40.0, seed=3
    )
    at_rest = np.flatnonzero((plan.line_angles == 0).all(axis=1))[:8]
    rest = np.mean([plan.frame(int(f)) for f in at_rest], axis=0)
    angles = SimpleNamespace(phase_px=corrected)
    found = bidi_phase(SimpleNamespace(raw_rest=rest, n_rest=8), angles)
    assert found.value == pytest.approx(left, abs=0.06)
    assert (where is None) or f"px further {where} than even ones" in found.said
