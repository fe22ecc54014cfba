"""Angles for times later by a lag."""

import numpy as np
import pytest

from derotation.errors import ConfigError
from derotation.simulate import plan_recording, simulate_recording
from unit.sessions import true_angles


@pytest.fixture(scope="module")
def recording():
    return simulate_recording(shape=(32, 32), stimulus=((200.0, 1), (100.0, -1)), n_cells=5)


def apart(a, b):
    return np.abs((a - b + 180) % 360 - 180)


@pytest.mark.parametrize("lag_ms", [3.0, -3.0])
def test_lines_have_the_motors_angle_at_a_later_time(recording, lag_ms):
    angles = true_angles(recording)
    shifted = angles.shifted(lag_ms)
    plan = recording.plan
    middle = recording.line_start + 0.5 * plan.line_duration
    expected = plan.motor.angle(middle + lag_ms / 1000)
    assert apart(shifted.line_angles, expected).max() < 0.02
    assert apart(angles.line_angles, expected).max() > 0.5


@pytest.mark.parametrize("lag_ms", [3.0, -250.0])
def test_frames_are_shifted_alike_some_at_a_time_and_all_at_once(recording, lag_ms, monkeypatch):
    angles = true_angles(recording)
    angles.line_angles[3, 10:20] = np.nan
    whole = angles.shifted(lag_ms)
    monkeypatch.setattr("derotation.numerics.by_rows.VALUES_AT_A_TIME", 64)
    parts = angles.shifted(lag_ms)
    angles.line_angles[3, 10:20] = 0.0
    np.testing.assert_allclose(parts.line_angles, whole.line_angles, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(parts.flags, whole.flags)
    assert not parts.line_usable.all()


def test_rest_stays_exactly_at_rest(recording):
    angles = true_angles(recording)
    shifted = angles.shifted(2.0)
    still = np.all(angles.line_angles == 0, axis=1)
    inside = still & np.roll(still, 1) & np.roll(still, -1)
    assert inside.any()
    assert (np.mod(shifted.line_angles[inside], 360) == 0).all()
    assert angles.shifted(0) is angles


def test_lines_next_to_unusable_ones_are_unusable(recording):
    angles = true_angles(recording)
    angles.line_angles[3, 10:20] = np.nan
    shifted = angles.shifted(0.5)
    assert np.isnan(shifted.line_angles[3, 11:19]).all()
    assert not np.isnan(shifted.line_angles[3, 21:]).any()
    np.testing.assert_array_equal(shifted.line_usable, ~np.isnan(shifted.line_angles))
    angles.line_angles[3, 10:20] = 0.0


def test_configured_lag_is_that_of_the_ticks(tmp_path):
    """Ticks that come 4 ms late give the right angles if the lag is given."""
    from derotation.io.signals import open_signals
    from derotation.io.stimulus import Stimulus
    from derotation.signals.angles import interpolate_angles
    from derotation.signals.parse import parse_signals
    from derotation.simulate import write_signals

    plan = plan_recording(shape=(32, 32), stimulus=((200.0, 1), (200.0, -1)), lag_ms=4.0)
    write_signals(tmp_path / "s.npy", plan.analog, "npy")
    table = Stimulus(
        speed=plan.stimulus[:, 0], direction=plan.stimulus[:, 1].astype(np.int8), path=tmp_path
    )
    events = parse_signals(
        open_signals(tmp_path / "s.npy"),
        n_frames=plan.n_frames,
        lines_per_frame=32,
        sampling_rate=50_000.0,
        protocol="full",
        stimulus=table,
        config={},
    )
    late = interpolate_angles(events, protocol="full")
    right = interpolate_angles(events, protocol="full", config={"lag_ms": 4.0})
    assert apart(late.line_angles, plan.line_angles).max() > 0.7
    assert apart(right.line_angles, plan.line_angles).max() < 0.05
    later = interpolate_angles(events, protocol="full", config={"lag_ms": "auto"})
    np.testing.assert_array_equal(later.line_angles, late.line_angles)
    with pytest.raises(ConfigError, match=r'angles\.lag_ms: found the text "soon"'):
        interpolate_angles(events, protocol="full", config={"lag_ms": "soon"})
