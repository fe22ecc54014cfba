"""Motors that stall, ring and bounce, signals in other ways than one channel each: what is told."""

import contextlib
import time
from pathlib import Path

import numpy as np
import pytest

from derotation.errors import ConfigError, InputError, SignalError
from derotation.io.signals import AnalogSignals
from derotation.signals import tick_faults
from derotation.signals.angles import AngleFlag, interpolate_angles
from derotation.signals.parse import parse_signals
from derotation.signals.pulses import find_pulses
from derotation.signals.repairs import Report
from derotation.signals.rotations import RotationRules, find_rotations
from derotation.signals.ticks import number_rotation
from unit.signal_factory import Rig, as_signals, as_stimulus, turns

TABLE = [(200, 1), (100, -1), (150, 1)]


def rig(table=TABLE, frames=76, **options):
    made = turns(table, acceleration=options.pop("acceleration", 300.0), rest=0.4)
    return Rig(turns=made, **{"n_frames": frames, "n_lines": 32, "line_s": 4e-3, **options})


def parse(source, signals=None, protocol="full", stimulus="own", angles=None, **config):
    table = source.stimulus if stimulus == "own" else stimulus
    return parse_signals(
        signals or source.signals,
        n_frames=source.n_frames,
        lines_per_frame=source.n_lines,
        sampling_rate=source.rate,
        protocol=protocol,
        stimulus=table,
        angles=angles,
        config=config,
    )


def codes(events):
    return {repair.code: repair for repair in (*events.repairs, *events.anomalies)}


def errors(source, angles, true=None):
    middle = source.line_start + 0.4 * source.line_s
    away = angles.line_angles - (source.angle(middle) if true is None else true(middle))
    return np.abs((away + 180) % 360 - 180)


# Stalls


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.95])
def test_after_a_stall_the_angle_is_not_known(which, part):
    source = rig()
    turn = source.turns[which]
    stall = turn.start + part * (turn.end - turn.start)
    ticks = source.ticks
    source.drop("rotation_ticks", (ticks > stall) & (ticks < turn.end + 1e-3))
    events = parse(source)
    assert not events.rotation_usable[which]
    assert events.rotation_lost[which] == pytest.approx(stall * source.rate, abs=0.03 * source.rate)
    assert np.isinf(np.delete(events.rotation_lost, which)).all()
    text = codes(events)["rotation_unusable"].text
    assert "not known, also after this rotation" in text
    angles = interpolate_angles(events, protocol="full")
    when = source.line_start + 0.4 * source.line_s
    assert np.isnan(angles.line_angles[when > stall + 0.02]).all()
    assert not angles.line_usable[when > stall + 0.02].any()
    # What came before is as good as ever.
    before = when < stall - 0.06
    assert np.isfinite(angles.line_angles[before]).all()
    assert errors(source, angles)[before].max() < 0.2
    assert events.summary()["rotations"][which]["lost_from_s"] == pytest.approx(stall, abs=0.03)


def test_a_stall_in_the_middle_after_which_the_motor_starts_again():
    source = rig()
    turn = source.turns[0]
    halt = turn.start + 0.4 * (turn.end - turn.start)
    # It stands for 0.3 s, starts again, and lacks the ticks of that time.
    ticks = source.ticks
    ramp = np.sqrt(np.maximum(ticks - halt - 0.3, 0) * 0.1)
    gone = (ticks > halt) & (ticks < turn.end) & (np.arange(len(ticks)) % 3 > 0) & (ramp < 0.2)
    gone |= (ticks > halt) & (ticks < halt + 0.3)
    source.drop("rotation_ticks", gone)
    events = parse(source)
    assert np.isfinite(events.rotation_lost[0])


@pytest.mark.parametrize("seed", [1, 2])
def test_ticks_lost_here_and_there_are_no_stall(seed):
    source = rig()
    rng = np.random.default_rng(seed)
    second = (source.ticks > source.turns[1].start) & (source.ticks < source.turns[1].end + 1e-3)
    source.drop("rotation_ticks", second & (rng.random(len(second)) < 0.35))
    events = parse(source, max_missing_tick_fraction=0.1)
    assert not events.rotation_usable[1]
    assert np.isinf(events.rotation_lost).all()
    angles = interpolate_angles(events, protocol="full")
    when = source.line_start
    assert np.isfinite(angles.line_angles[when > source.turns[1].end + 0.05]).all()
    assert np.nanmax(errors(source, angles)) < 0.2


def test_a_rotation_without_a_single_tick():
    source = rig()
    second = (source.ticks > source.turns[1].start) & (source.ticks < source.turns[1].end + 1e-3)
    source.drop("rotation_ticks", second)
    events = parse(source)
    assert events.rotation_lost[1] == pytest.approx(source.turns[1].start * source.rate, abs=2)
    angles = interpolate_angles(events, protocol="full")
    later = source.line_start > source.turns[1].start + 0.02
    assert (angles.flags[later] & np.uint8(AngleFlag.UNUSABLE)).all()


# Ringing


@pytest.mark.parametrize("n", [1, 3, 6, 20])
@pytest.mark.parametrize("interval", [2e-3, 5.5e-3])
def test_ticks_that_ring_at_a_stop(n, interval):
    source = rig(acceleration=155.0)
    for k, turn in enumerate(source.turns):
        at = turn.end + 5e-3 + interval * np.arange(n)
        source.add("rotation_ticks", np.column_stack([at, at + 2e-4]))
        source.pulses["rotation_on"][k, 1] = at[-1] + 5e-3
    events = parse(source)
    angles = interpolate_angles(events, protocol="full")
    assert errors(source, angles).max() < 0.1
    assert np.bincount(events.tick_rotation).tolist() == [1800] * 3
    if n > 1:
        assert codes(events)["ringing_dropped"].count == 3 * n


def test_a_sound_stop_does_not_ring():
    ticks = rig(acceleration=155.0).ticks
    first = ticks[:1800] * 50_000
    assert tick_faults.ringing_after(first, 1800) == 0
    assert tick_faults.ringing_after(first, None) == 0
    missing = np.delete(first, [1790, 1791, 1795])
    assert tick_faults.ringing_after(missing, 1800) == 0
    assert tick_faults.ringing_after(missing, None) == 0


# Bounce


@pytest.mark.parametrize("per_tick", [2, 3, 6])
@pytest.mark.parametrize("spread", [1e-4, 3e-4])
def test_bounce_of_any_strength_in_linear_time(per_tick, spread):
    source = rig(tick_s=4e-5)
    rng = np.random.default_rng(3)
    ticks = source.ticks.copy()
    for k in range(1, per_tick):
        at = ticks + spread * k / per_tick + rng.uniform(0, spread / per_tick / 3, len(ticks))
        source.add("rotation_ticks", np.column_stack([at, at + 2e-5]))
    begin = time.process_time()
    events = parse(source)
    assert time.process_time() - begin < 5
    assert np.bincount(events.tick_rotation).tolist() == [1800] * 3
    angles = interpolate_angles(events, protocol="full")
    assert errors(source, angles).max() < 0.1
    if spread > 2e-4:  # others melt into one pulse at this sampling rate
        n_bounced = codes(events)["bounced_ticks_dropped"].count
        assert n_bounced == pytest.approx((per_tick - 1) * 5400, rel=0.02)


def test_debouncing_keeps_the_first_of_each_burst():
    times = np.array([0.0, 1, 2, 10, 11, 19.5, 30, 30.5, 40])
    assert times[~tick_faults.debounced(times, 9.0)].tolist() == [0, 10, 19.5, 30, 40]
    assert not tick_faults.debounced(np.zeros(0), 1.0).size


def test_a_wrong_sampling_rate_is_no_bounce():
    # Twice the true rate makes all ticks come twice as fast as asked for.
    source = rig()
    events = parse(source, stimulus=as_stimulus([(speed / 2.2, d) for speed, d in TABLE]))
    assert np.bincount(events.tick_rotation).tolist() == [1800] * 3
    assert "bounced_ticks_dropped" not in codes(events)


@pytest.mark.parametrize("factor", [0.5, 0.8, 2.0])
def test_a_wrong_sampling_rate_is_named(factor):
    source = rig()
    events = parse(source, stimulus=as_stimulus([(factor * s, d) for s, d in TABLE]))
    said = codes(events)
    assert "speed_differs" not in said
    assert (
        f"signals.sampling_rate is {factor * source.rate:g}, not 50000"
        in said["sampling_rate"].text
    )
    # One rotation alone may have been another than the table says.
    events = parse(source, stimulus=as_stimulus([(200, 1), (120, -1), (150, 1)]))
    assert "sampling_rate" not in codes(events)


@pytest.mark.parametrize("seed", [0, 1])
def test_pulses_without_any_rhythm_take_no_longer_than_others(seed):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 1e6, 10_000))
    number_rotation(times[:50], 1800, 0.0, 1e6)
    begin = time.process_time()
    number_rotation(times, 1800, 0.0, 1e6)
    number_rotation(times[::10], 10_000, 0.0, 1e6)
    assert time.process_time() - begin < 8


# Channels


def with_channels(source, **channels):
    """The four channels and others, by role; None leaves one out."""
    volts = dict(zip(("line_clock", "frame_clock", "rotation_on", "rotation_ticks"), source.volts(),
                     strict=True)) | channels  # fmt: skip
    kept = {role: row for role, row in volts.items() if row is not None}
    rows = {role: k for k, role in enumerate(kept)}
    return AnalogSignals(Path("signals.npy"), np.stack(list(kept.values())), rows)


@pytest.mark.parametrize("table", [TABLE, [(50, 1), (200, 1), (200, -1)]])
def test_rotations_without_a_rotation_on_channel(table):
    source = rig(table, frames=110)
    events = parse(source, with_channels(source, rotation_on=None))
    assert np.bincount(events.tick_rotation).tolist() == [1800] * 3
    assert events.rotation_direction.tolist() == [d for _, d in table]
    assert "rotations_from_ticks" in codes(events)
    angles = interpolate_angles(events, protocol="full")
    assert errors(source, angles).max() < 0.2


@pytest.mark.parametrize("protocol", ["full", "free"])
def test_the_direction_from_a_channel_without_a_table(protocol):
    source = rig()
    n = source.volts().shape[1]
    direction = np.zeros(n, np.float32)
    for turn in source.turns:
        if turn.direction > 0:
            direction[int((turn.start - 0.05) * source.rate) : int(turn.end * source.rate)] = 5
    signals = with_channels(source, direction=direction)
    events = parse(source, signals, protocol=protocol, stimulus=None)
    assert events.rotation_direction.tolist() == [1, -1, 1]
    np.testing.assert_allclose(events.rotation_speed, [200, 100, 150], rtol=0.02)
    angles = interpolate_angles(events, protocol=protocol)
    assert errors(source, angles).max() < 0.1
    # Low all the time is a direction, too.
    signals = with_channels(source, direction=0 * direction)
    events = parse(source, signals, protocol=protocol, stimulus=None)
    assert events.rotation_direction.tolist() == [-1, -1, -1]


@pytest.mark.parametrize("direction", [1, -1])
def test_a_constant_direction(direction):
    source = rig([(200, direction), (100, direction)], frames=60)
    for protocol in ("full", "free"):
        events = parse(source, protocol=protocol, stimulus=None, angles={"direction": direction})
        angles = interpolate_angles(events, protocol=protocol)
        assert errors(source, angles).max() < 0.1
    with pytest.raises(ConfigError, match=r"angles\.direction is channel"):
        parse(source, angles={"direction": "channel"})


def test_free_rotations_of_any_size_add_up():
    source = Rig(
        turns=turns([(100, 1)], degrees=137.2) + turns([(60, -1)], start=3.0, degrees=500.0),
        n_frames=110, n_lines=32, line_s=4e-3,
    )  # fmt: skip
    events = parse(source, protocol="free")
    np.testing.assert_allclose(events.rotation_turned, [137.2, 500.0], atol=0.01)
    angles = interpolate_angles(events, protocol="free")
    true = source.angle(source.line_start + 0.4 * source.line_s)
    assert np.abs(angles.line_angles - true).max() < 0.1


def test_a_free_recording_that_begins_and_ends_within_a_rotation():
    source = rig([(100, 1), (150, -1)], frames=40)
    first = source.turns[0].start + 0.5
    last = source.turns[1].end - 0.5
    inside = (source.line_start[:, 0] > first) & (source.line_start[:, -1] < last - 0.02)
    cut = round(first * source.rate)
    volts = source.volts()[:, cut : round(last * source.rate)]
    n = int(np.count_nonzero(inside))
    events = parse_signals(
        as_signals(volts), n_frames=n, lines_per_frame=32, sampling_rate=source.rate,
        protocol="free", stimulus=source.stimulus,
    )  # fmt: skip
    angles = interpolate_angles(events, protocol="free")
    true = source.angle(source.line_start[inside] + 0.4 * source.line_s)
    away = (angles.line_angles - true + 180) % 360 - 180
    away -= np.median(away)
    assert np.abs(away).max() < 0.3
    assert angles.line_usable.all()
    assert angles.frame_angles[0] == pytest.approx(0, abs=1)


def test_full_without_anything_that_tells_the_direction_is_an_anomaly():
    events = parse(rig(), stimulus=None)
    assert "directions_unknown" in codes(events)
    assert (events.rotation_direction == -1).all()


def test_no_ticks_channel_is_refused():
    source = rig()
    with pytest.raises((ConfigError, SignalError), match="needs the channel rotation_ticks"):
        parse(source, with_channels(source, rotation_ticks=None))


# Frames that may be others


def test_another_choice_of_frames_is_an_earlier_or_later_one():
    source = rig(frames=30)
    table = source.stimulus
    events = parse_signals(
        source.signals, n_frames=28, lines_per_frame=32, sampling_rate=source.rate,
        protocol="full", stimulus=table,
    )  # fmt: skip
    assert events.frame_offsets_possible == (0, 1, 2)
    every = source.line_start * source.rate
    for offset in (2, 1, 0):
        other = events.with_frame_offset(offset)
        np.testing.assert_allclose(other.line_start, every[offset : offset + 28], atol=1)
        np.testing.assert_array_equal(other.frame_start, other.line_start[:, 0])
        back = other.with_frame_offset(0)
        np.testing.assert_array_equal(back.line_start, events.line_start)
        np.testing.assert_array_equal(back.spare_line_start, events.spare_line_start)
    # A frame that was lost in the middle.
    index = np.delete(np.arange(30), [4, 17])
    lost = events.with_clock_frames(index)
    np.testing.assert_allclose(lost.line_start, every[index], atol=1)
    assert lost.frame_offsets_possible == (0,)
    for wrong in (np.arange(27), np.arange(28) + 3, np.arange(28)[::-1], np.arange(28) - 1):
        with pytest.raises(InputError, match="ascending numbers from 0 to 29"):
            events.with_clock_frames(wrong)
    with pytest.raises(InputError, match="A frame offset of 3 is not possible; there are 0, 1, 2"):
        events.with_frame_offset(3)


@pytest.mark.parametrize("kind", ["noise", "chatter", "both", "no rests", "bursts"])
def test_nothing_makes_finding_rotations_slow(kind):
    """A hundred seconds of the worst that both channels can hold."""
    rate, n = 10_000, 1_000_000
    rng = np.random.default_rng(5)
    high = {"rotation_on": np.zeros(n, bool), "rotation_ticks": np.zeros(n, bool)}
    for first in range(10_000, n - 30_000, 40_000):
        high["rotation_on"][first : first + 25_000] = True
        high["rotation_ticks"][first : first + 25_000 : 14] = True
    if kind in ("noise", "both"):
        high["rotation_ticks"] = rng.random(n) < 0.3
    if kind in ("chatter", "both"):
        high["rotation_on"] = rng.random(n) < 0.5
    if kind == "no rests":
        high["rotation_on"][10:-10] = True
    if kind == "bursts":
        high["rotation_ticks"] |= rng.random(n) < 0.2
    samples = np.stack(list(high.values())).astype(np.uint8)
    signals = AnalogSignals(Path("s.npy"), samples, {role: k for k, role in enumerate(high)})
    pulses = find_pulses(signals, tuple(high), dict.fromkeys(high, 0.5), rate)
    rules = RotationRules(
        protocol="full", increment=0.2, degrees=360, degrees_per_step=None, max_off_glitch_s=0.06,
        max_missing_fraction=0.1,
    )  # fmt: skip
    begin = time.process_time()
    with contextlib.suppress(SignalError):
        find_rotations(
            pulses["rotation_on"], pulses["rotation_ticks"], rules=rules,
            stimulus=as_stimulus([(150, 1)] * 24), report=Report(sampling_rate=rate),
            n_samples=n,
        )  # fmt: skip
    # A minute per hour of recording, and the time of compiling.
    assert time.process_time() - begin < 6
