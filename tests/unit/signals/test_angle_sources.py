"""Angles measured by an encoder, a voltage or a table, against the simulator's truth."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derotation.errors import ConfigError, InputError, SignalError
from derotation.io.angle_table import AngleTable, read_angle_table
from derotation.io.signals import AnalogSignals
from derotation.signals.angles import AngleFlag, interpolate_angles
from derotation.signals.events import Events
from derotation.signals.parse import parse_signals
from derotation.signals.pulses import find_pulses
from derotation.signals.quadrature import count_quadrature
from derotation.signals.rows import Rows
from derotation.signals.table_angle import table_angle
from derotation.signals.trace import find_segments, trace_of_knots
from derotation.signals.without_signals import events_without_signals
from derotation.simulate import full_protocol
from derotation.simulate.free_motion import FreeTurning, Sinusoid, Stalled, crossings
from derotation.simulate.rig_signals import (
    ClockOptions,
    clock_pulses,
    pulse_volts,
    quadrature_pulses,
    voltage_samples,
)

RATE = 20_000
N_LINES, LINE, FRAME, DUTY = 64, 1.5e-3, 0.1, 0.9


class Unwrapped:
    """A motor's whole turns, added up as an encoder does that is not reset."""

    def __init__(self, stimulus=((100, 1), (150, -1)), first_start=1.0, rest=1.0):
        self.motor = full_protocol(stimulus, first_start=first_start, rest=rest)

    def angle(self, time):
        moves = range(len(self.motor.start))
        return sum(self.motor.sign[k] * self.motor.turned(k, time) for k in moves)

    def moving(self, begin, end):
        return self.motor.moving(begin, end)


MOTIONS = {
    "sinusoid": Sinusoid(amplitude=90, frequency=0.1),
    "fast sinusoid": Sinusoid(amplitude=30, frequency=1.0, phase=40),
    "free": FreeTurning(duration=12, top_speed=300, seed=3),
    "turns": Unwrapped(),
    "stalled": Stalled(motion=Unwrapped(), stall=3.0, resume=5.0),
}


def recorded(motion, more, n_frames=90, source="quadrature", own=None, protocol="free", **given):
    """Signals with clocks and further channels; the events and angles, and the true angles."""
    pulses, line_start, end = clock_pulses(
        ClockOptions(), n_frames=n_frames, n_lines=N_LINES, frame_period=FRAME, line_period=LINE,
        line_duty=DUTY, lead_s=0.3,
    )  # fmt: skip
    n = round(end * RATE)
    channels = pulse_volts(pulses, n_samples=n, sampling_rate=RATE) | more(n)
    signals = AnalogSignals(
        Path("signals.npy"),
        np.stack(list(channels.values())),
        {r: k for k, r in enumerate(channels)},
    )
    events = parse_signals(
        signals, n_frames=n_frames, lines_per_frame=N_LINES, sampling_rate=RATE,
        protocol=protocol, angles={"source": source} | ({source: own} if own else {}), **given,
    )  # fmt: skip
    angles = interpolate_angles(events, protocol="free")
    return events, angles, motion.angle(line_start + DUTY * LINE / 2)


def off(angles, true):
    """By how much the angles are off, but for where 0 is, which the first frame says."""
    away = angles.line_angles - (true - true[0].mean())
    return (away + 180) % 360 - 180


def rms(away):
    return float(np.sqrt(np.nanmean(away**2)))


def encoder(motion, counts, **options):
    def channels(n):
        pulses = quadrature_pulses(motion, counts_per_turn=counts, duration=n / RATE, **options)
        return pulse_volts(pulses, n_samples=n, sampling_rate=RATE)

    return channels


# Quadrature


@pytest.mark.parametrize("name", MOTIONS)
@pytest.mark.parametrize("counts", [1000, 4000, 8192])
def test_an_encoder_to_a_quarter_of_a_count(name, counts):
    motion = MOTIONS[name]
    events, angles, true = recorded(
        motion, encoder(motion, counts), own={"counts_per_turn": counts}
    )
    away = off(angles, true)
    away -= np.median(away)  # where between two counts the first frame was, nothing tells
    assert rms(away) <= 0.25 * 360 / counts
    if counts >= 4000:
        assert rms(off(angles, true)) <= 0.03
    assert np.abs(away).max() <= 1.5 * 360 / counts
    assert angles.line_usable.all()
    assert not events.repairs


@pytest.mark.parametrize("bounce", [0.05, 0.5])
def test_a_bouncing_encoder_loses_no_count(bounce):
    motion = MOTIONS["sinusoid"]
    events, angles, true = recorded(
        motion, encoder(motion, 2000, bounce=bounce), own={"counts_per_turn": 2000}
    )
    assert rms(off(angles, true)) <= 0.25 * 360 / 2000 + 0.02
    (said,) = [r for r in events.repairs if r.code == "quadrature_bounced"]
    assert said.count > 0.5 * bounce * 1000


def test_missed_edges_are_counted_and_the_index_bounds_the_error():
    motion = Unwrapped(stimulus=((200, 1), (200, 1), (200, 1)), rest=0.5)
    counts = 2000

    def channels(n):
        pulses = quadrature_pulses(
            motion, counts_per_turn=counts, duration=n / RATE, offset_counts=100.3
        )
        volts = pulse_volts(pulses, n_samples=n, sampling_rate=RATE)
        # One whole cycle of both channels is lost now and then: four counts each.
        rise = np.flatnonzero(np.diff(volts["quadrature_a"]) > 2.5)
        for k in rise[150:-50:100]:
            until = rise[np.searchsorted(rise, k) + 1]
            for role in ("quadrature_a", "quadrature_b"):
                volts[role][k - 2 : until - 1] = volts[role][k - 2]
        return volts

    own = {"counts_per_turn": counts}
    _, angles, true = recorded(motion, channels, own=own)
    bounded = np.abs(off(angles, true)).max()

    def without(n):
        volts = channels(n)
        del volts["quadrature_index"]
        return volts

    _, angles, true = recorded(motion, without, own=own)
    assert bounded < 0.6 * np.abs(off(angles, true)).max()
    # Whole turns that are asked for bound it at each rest, too.
    events, angles, true = recorded(motion, without, own=own, protocol="full")
    assert np.abs(off(angles, true)).max() < 1.2 * bounded
    still = np.ptp(true, axis=1) == 0
    assert np.abs(off(angles, true)[still]).max() <= 360 / counts
    assert "quadrature_rests" in [repair.code for repair in events.repairs]
    events, _, _ = recorded(motion, channels, own={"counts_per_turn": None})
    assert "quadrature_index" in [repair.code for repair in events.repairs]


def test_the_index_tells_the_counts_per_turn():
    motion = Unwrapped(stimulus=((200, 1), (150, 1)))
    _, angles, true = recorded(motion, encoder(motion, 1440, offset_counts=100.3))
    away = off(angles, true)
    assert rms(away - np.median(away)) <= 0.25 * 360 / 1440


def test_an_encoder_without_index_and_counts_is_refused():
    motion = MOTIONS["sinusoid"]
    with pytest.raises(ConfigError, match=r"angles\.quadrature\.counts_per_turn"):
        recorded(motion, encoder(motion, 1440))
    with pytest.raises(ConfigError, match="needs the channel quadrature_a and quadrature_b"):
        recorded(motion, lambda n: {}, own={"counts_per_turn": 8})


def test_an_encoder_of_which_both_channels_are_one_is_refused():
    motion = MOTIONS["sinusoid"]

    def channels(n):
        volts = encoder(motion, 1440)(n)
        return volts | {"quadrature_b": volts["quadrature_a"]}

    with pytest.raises(SignalError, match="both change at once"):
        recorded(motion, channels, own={"counts_per_turn": 1440})


@given(st.lists(st.sampled_from([-1, 1]), min_size=2, max_size=80), st.integers(0, 3))
@settings(max_examples=60)
def test_counting_follows_any_walk(steps, first):
    """Against a walk over the states, five samples each."""
    counts = first + np.concatenate([[0], np.cumsum(steps)])
    phase = np.repeat(counts % 4, 5)
    a, b = np.isin(phase, (1, 2)), np.isin(phase, (2, 3))
    samples = np.stack([a, b]).astype(np.uint8)
    signals = AnalogSignals(Path("s.npy"), samples, {"quadrature_a": 0, "quadrature_b": 1})
    roles = ("quadrature_a", "quadrature_b")
    if any(len(set(row)) < 2 for row in samples.tolist()):
        return
    pulses = find_pulses(signals, roles, dict.fromkeys(roles, 0.5), 1.0)
    found = count_quadrature(*pulses.values())
    assert found.last - found.first == counts[-1] - counts[0]
    assert found.n_missed == 0
    assert np.all(np.diff(found.time) >= 0)


def test_crossings_are_where_the_motion_is():
    motion = MOTIONS["free"]
    time, sector = crossings(motion, 1.0, 0.0, 12.0)
    assert np.abs(motion.angle(time) - np.round(motion.angle(time))).max() < 1e-6
    assert np.all(np.abs(np.diff(sector)) <= 1)
    late = np.searchsorted(time, 7.0)
    assert sector[late - 1] == np.floor(motion.angle(7.0))


# Voltage


@pytest.mark.parametrize("name", ["sinusoid", "free", "turns"])
def test_a_voltage_with_noise(name):
    motion = MOTIONS[name]
    # 10 V per turn, in which the voltage starts anew.
    more = lambda n: {  # noqa: E731
        "angle_voltage": voltage_samples(
            motion,
            degrees_per_volt=36,
            offset_v=3.0,
            noise_v=0.005,
            sampling_rate=RATE,
            n_samples=n,
        )
    }
    _, angles, true = recorded(
        motion, more, source="voltage", own={"degrees_per_volt": 36, "max_acceleration": 1500}
    )
    assert rms(off(angles, true)) <= 0.05
    assert angles.line_usable.mean() > 0.99


@pytest.mark.parametrize("sign", [1, -1])
def test_the_scale_of_a_voltage_from_whole_turns(sign):
    motion = Unwrapped()
    more = lambda n: {  # noqa: E731
        "angle_voltage": voltage_samples(
            motion,
            degrees_per_volt=72,
            offset_v=1.0,
            range_v=(0.0, 5.0),
            noise_v=0.003,
            sampling_rate=RATE,
            n_samples=n,
        )
    }
    events, angles, true = recorded(motion, more, source="voltage")
    (said,) = [repair for repair in events.repairs if repair.code == "voltage_scale"]
    assert float(said.text.split("which is one turn: ")[1].split()[0]) == pytest.approx(
        72, rel=2e-3
    )
    assert rms(off(angles, true)) <= 0.15


def test_a_voltage_that_never_starts_anew_needs_a_scale():
    motion = MOTIONS["sinusoid"]
    more = lambda n: {  # noqa: E731
        "angle_voltage": voltage_samples(
            motion, degrees_per_volt=20, range_v=None, sampling_rate=RATE, n_samples=n
        )
    }
    with pytest.raises(ConfigError, match=r"angles\.voltage\.degrees_per_volt"):
        recorded(motion, more, source="voltage")
    _, angles, true = recorded(motion, more, source="voltage", own={"degrees_per_volt": 20})
    assert rms(off(angles, true)) <= 0.05


def test_a_voltage_with_nan_is_refused():
    motion = MOTIONS["sinusoid"]

    def more(n):
        volts = voltage_samples(
            motion, degrees_per_volt=20, range_v=None, sampling_rate=RATE, n_samples=n
        )
        volts[40_000] = np.nan
        return {"angle_voltage": volts}

    with pytest.raises(SignalError, match=r"angle_voltage holds NaN .* near 2 s"):
        recorded(motion, more, source="voltage", own={"degrees_per_volt": 20})


@pytest.mark.parametrize("role", ["quadrature_a", "quadrature_b"])
def test_a_channel_of_the_encoder_that_is_dead_is_named(role):
    signals = AnalogSignals(Path("s.npy"), np.zeros((1, 5000)), {role: 0})
    with pytest.raises(SignalError, match=f"channel {role} shows one level only"):
        find_pulses(signals, (role,), {}, RATE)


# Table


@pytest.mark.parametrize("name", MOTIONS)
def test_a_table_over_time(name):
    motion = MOTIONS[name]
    seconds = np.arange(0, 10, 0.005)
    table = AngleTable(time=seconds, angle=motion.angle(seconds) % 360, path=Path("t.csv"))
    _, angles, true = recorded(motion, lambda n: {}, source="table", table=table)
    assert rms(off(angles, true)) <= 0.02


def test_a_table_with_gaps_leaves_their_lines_out():
    motion = MOTIONS["sinusoid"]
    seconds = np.arange(0, 10, 0.005)
    angle = motion.angle(seconds)
    angle[800:900] = np.nan
    table = AngleTable(time=seconds, angle=angle, path=Path("t.csv"))
    _, angles, true = recorded(motion, lambda n: {}, source="table", table=table)
    time = angles.line_start / RATE
    gone = (time > 4.0) & (time < 4.45)
    assert np.isnan(angles.line_angles[gone]).all()
    assert (angles.flags[gone] & np.uint8(AngleFlag.UNUSABLE)).all()
    assert np.isfinite(angles.line_angles[(time < 3.9) | (time > 4.6)]).all()
    assert rms(off(angles, true)) <= 0.02


def test_rows_that_are_missing_leave_their_lines_out():
    motion = MOTIONS["sinusoid"]
    seconds = np.arange(0, 10, 0.005)
    seconds = seconds[(seconds < 4) | (seconds > 5)]
    table = AngleTable(time=seconds, angle=motion.angle(seconds), path=Path("t.csv"))
    _, angles, true = recorded(motion, lambda n: {}, source="table", table=table)
    time = angles.line_start / RATE
    assert np.isnan(angles.line_angles[(time > 4.05) & (time < 4.95)]).all()
    assert np.isfinite(angles.line_angles[(time < 3.9) | (time > 5.1)]).all()
    assert rms(off(angles, true)) <= 0.02


def test_a_table_with_a_row_for_each_change_is_known_at_rest():
    time = np.concatenate([np.linspace(0, 3, 301), np.linspace(8, 11, 301)])
    angle = np.concatenate([np.linspace(0, 90, 301), np.linspace(90.3, 180, 301)])
    line_start = RATE * np.linspace(0, 10.9, 40).reshape(10, 4)
    for moved, known in ((0.0, True), (20.0, False)):
        table = AngleTable(time=time, angle=angle + moved * (time > 5), path=Path("t.csv"))
        found = table_angle(table, line_start, 10.0, RATE)
        assert found.known[300] == known
        assert np.delete(found.known, 300).all()


@pytest.mark.parametrize("times", [1000.0, 1.0])
def test_times_of_another_clock_are_refused(times):
    seconds = np.arange(0.5, 10, 0.005)
    begin = 0.0 if times > 1 else 1.7e9
    seconds = np.append(0.0, seconds) if times > 1 else seconds
    table = AngleTable(time=begin + times * seconds, angle=0 * seconds, path=Path("t.csv"))
    with pytest.raises(InputError, match=r"t\.csv: its times .* are not those of the movie"):
        recorded(MOTIONS["sinusoid"], lambda n: {}, source="table", table=table)


def test_a_gap_at_rest_is_not_known_either():
    seconds = np.arange(0, 8, 0.005)
    angle = np.where(seconds < 4, 0.0, 30 * np.clip(seconds - 4, 0, 2))
    time, known = seconds, np.ones(len(seconds) - 1, np.bool_)
    known[(time[:-1] >= 1.0) & (time[:-1] < 2.0)] = False
    segments = find_segments(time, angle, 1.0)
    for moved in (angle, np.zeros_like(angle)):
        found = segments if moved.any() else find_segments(time, moved, 1.0)
        trace = trace_of_knots(time, moved, known, found, sign=1, zero=0.0)
        values, state, _ = trace.at(np.array([0.5, 0.99, 1.5, 1.99, 2.01, 3.0]))
        assert np.isnan(values).tolist() == [False, False, True, True, False, False]
        assert (state[[2, 3]] & np.uint8(AngleFlag.UNUSABLE)).all()
        assert values[[0, 1, 4, 5]] == pytest.approx(0)


def test_angles_per_line_without_any_signals():
    motion = MOTIONS["free"]
    start = np.arange(90)[:, None] * FRAME + np.arange(N_LINES) * LINE
    true = motion.angle(start + LINE / 2)
    table = AngleTable(time=None, angle=true, path=Path("t.npy"))
    events = events_without_signals(
        table, clock_index=np.arange(90), clock_rate=1 / FRAME, lines_per_frame=N_LINES,
        rows=Rows(n=N_LINES), line_period_s=LINE,
    )  # fmt: skip
    angles = interpolate_angles(events, protocol="free")
    assert rms(off(angles, true)) <= 0.02
    assert angles.frame_rate == pytest.approx(1 / FRAME)


def test_an_angle_per_frame_without_any_signals():
    motion = Sinusoid(amplitude=40, frequency=0.1)
    flyback = FRAME / LINE - N_LINES
    start = np.arange(90)[:, None] * FRAME + np.arange(N_LINES) * LINE
    middle = (start[:, 0] + start[:, -1] + LINE) / 2
    table = AngleTable(time=None, angle=motion.angle(middle), path=Path("t.csv"))
    events = events_without_signals(
        table, clock_index=np.arange(90), clock_rate=1 / FRAME, lines_per_frame=N_LINES,
        rows=Rows(n=N_LINES), flyback_lines=flyback,
    )  # fmt: skip
    angles = interpolate_angles(events, protocol="free")
    true = motion.angle(start + LINE / 2)
    np.testing.assert_allclose(events.line_start / 1e6, start, atol=1e-9)
    assert rms(off(angles, true)) <= 0.02
    assert "there are no signals" in events.repairs[0].text.lower()


def test_tables_that_do_not_fit():
    motion = MOTIONS["sinusoid"]
    table = AngleTable(time=None, angle=np.zeros(7), path=Path("seven.csv"))
    with pytest.raises(InputError, match=r"seven\.csv holds angles of the shape \(7,\)"):
        recorded(motion, lambda n: {}, source="table", table=table)
    with pytest.raises(InputError, match="column angles of the sample sheet"):
        recorded(motion, lambda n: {}, source="table")


def test_reading_tables(tmp_path):
    from scipy.io import savemat

    time, angle = np.arange(5) / 10, np.array([0.0, 1.0, 2.5, -3.0, 400.0])
    (tmp_path / "a.csv").write_text(
        "\ufeffframe, Time_s ,angle\n"
        + "".join(f"1,{t},{a}\n" for t, a in zip(time, angle, strict=True))
    )
    (tmp_path / "frames.csv").write_text("angle\n0\n1\n\n2.5\n-3\n400\n")
    np.save(tmp_path / "a.npy", np.column_stack([time, angle]))
    np.save(tmp_path / "frames.npy", angle)
    savemat(tmp_path / "a.mat", {"time": time, "Angle": angle[:, None]})
    for name in ("a.csv", "a.npy", "a.mat", "frames.csv", "frames.npy"):
        table = read_angle_table(tmp_path / name)
        np.testing.assert_array_equal(table.angle, angle)
        if name.startswith("a."):
            np.testing.assert_array_equal(table.time, time)
        else:
            assert table.time is None


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "speed,direction\n1,1\n", "one named angle is needed"),
        ("a.csv", "", "has the columns none"),
        ("a.csv", "time,angle\n0,1\n0,2\n", "times have to ascend"),
        ("a.csv", "time,angle\n0,1\n1,x\n", "line 3: 'x' is no number"),
        ("a.csv", "angle\ninf\n", "infinite"),
        ("a.npy", "no numpy", "cannot be read as a .npy"),
        ("a.mat", "no matlab", "cannot be read as a .mat"),
        ("a.txt", "angle", "not from '.txt'"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words):
        read_angle_table(tmp_path / name)
    with pytest.raises(InputError, match="does not exist"):
        read_angle_table(tmp_path / "missing.csv")


# All sources


def test_rests_at_other_angles_and_whole_turns():
    motion = Unwrapped()
    events, angles, _ = recorded(
        motion, encoder(motion, 4000), own={"counts_per_turn": 4000}, n_frames=100
    )
    assert events.n_rotations == 2
    assert events.rotation_direction.tolist() == [1, -1]
    np.testing.assert_allclose(events.rotation_turned, 360, atol=0.2)
    np.testing.assert_allclose(events.rotation_speed, [100, 150], rtol=0.05)
    rest = (angles.flags & np.uint8(AngleFlag.AT_REST)) > 0
    assert rest.any()
    # At rest after whole turns the angle is that of the first rest again.
    assert np.abs(angles.line_angles[rest]).max() < 0.1
    assert (angles.rotation == 1).any()


def test_a_sample_that_never_moves():
    still = Sinusoid(amplitude=0.0, frequency=1.0)
    table = AngleTable(time=np.arange(0, 10, 0.1), angle=np.full(100, 17.0), path=Path("t.csv"))
    events, angles, _ = recorded(still, lambda n: {}, source="table", table=table)
    assert events.n_rotations == 0
    assert (angles.line_angles == 0).all()
    assert (angles.flags == AngleFlag.AT_REST).all()


def test_zero_and_sign_of_a_source():
    motion = MOTIONS["sinusoid"]
    seconds = np.arange(0, 10, 0.005)
    table = AngleTable(time=seconds, angle=motion.angle(seconds) + 30, path=Path("t.csv"))
    events, _, true = recorded(motion, lambda n: {}, source="table", table=table)
    angles = interpolate_angles(
        events, protocol="free", config={"zero": 30.0, "direction_sign": -1}
    )
    assert rms(angles.line_angles + true) <= 0.02


def test_measured_angles_survive_saving(tmp_path):
    motion = MOTIONS["sinusoid"]
    events, angles, _ = recorded(
        motion, encoder(motion, 1000), own={"counts_per_turn": 1000}, n_frames=20
    )
    events.save(tmp_path / "events.npz", tmp_path / "events.json")
    again = interpolate_angles(Events.load(tmp_path / "events.npz"), protocol="free")
    np.testing.assert_array_equal(again.line_angles, angles.line_angles)


@given(st.integers(0, 50))
@settings(max_examples=20)
def test_segments_lie_where_the_sample_turns(seed):
    motion = FreeTurning(duration=20, top_speed=100, rest_fraction=0.6, change_s=0.8, seed=seed)
    time = np.arange(0, 20, 0.002)
    found = find_segments(time * RATE, motion.angle(time), RATE)
    assert np.all(found.start < found.stop)
    assert np.all(found.stop[:-1] <= found.start[1:])
    speed = np.abs(np.gradient(motion.angle(time), time))
    inside = np.zeros(len(time), bool)
    for a, b in zip(found.start / RATE, found.stop / RATE, strict=True):
        inside |= (time >= a - 0.1) & (time <= b + 0.1)
    assert speed[~inside].max(initial=0) < 3
