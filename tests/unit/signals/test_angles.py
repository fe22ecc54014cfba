"""The angle of each line, against the motor that made the signals."""

import csv
import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derotation.errors import ConfigError, InputError
from derotation.signals.angles import AngleFlag, Angles, interpolate_angles
from derotation.signals.events import Events
from derotation.signals.parse import parse_signals
from unit.signal_factory import Rig, Turn, as_signals, as_stimulus, turns

TABLE = [(200, 1), (100, -1)]
PROTOCOL = {"protocol": "full"}


def rig(table=TABLE, acceleration=400.0, degrees=360.0, **options):
    made = turns(table, acceleration=acceleration, degrees=degrees)
    source = {"n_lines": 64, "line_s": 1.5e-3, "flyback_s": 4e-3, **options}
    period = source["n_lines"] * source["line_s"] + source["flyback_s"]
    frames = int((made[-1].end + 0.4) / period)
    return Rig(turns=made, **{"n_frames": frames, **source})


def events_of(source, signals=None, stimulus=None, protocol="full", **config):
    return parse_signals(
        signals or source.signals,
        n_frames=source.n_frames,
        lines_per_frame=source.n_lines,
        sampling_rate=source.rate,
        protocol=protocol,
        stimulus=stimulus or source.stimulus,
        config=config,
    )


def line_times(source, fraction=0.5):
    return source.line_start + fraction * source.duty * source.line_s


def errors(source, angles, fraction=0.5):
    """Error of each line in degrees; a whole turn is none."""
    error = angles.line_angles - source.angle(line_times(source, fraction))
    return np.abs((error + 180) % 360 - 180)


def moving(source):
    t = line_times(source)
    return np.any([(t > turn.start) & (t < turn.end) for turn in source.turns], axis=0)


@pytest.mark.parametrize("acceleration", [155.0, 1000.0, 20_000.0])
def test_accuracy_without_faults(acceleration):
    source = rig([(200, 1), (50, -1)], acceleration=acceleration)
    angles = interpolate_angles(events_of(source), **PROTOCOL)
    error = errors(source, angles)[moving(source)]
    assert np.sqrt(np.mean(error**2)) <= 0.02
    assert error.max() <= 0.1


@pytest.mark.parametrize("seed", range(4))
def test_accuracy_with_faults(seed):
    rng = np.random.default_rng(seed)
    source = rig([(200, 1), (100, -1), (150, 1)], acceleration=155.0)
    source.n_frames -= 1  # the clocks count one frame more
    ticks = source.ticks
    kept = ticks[rng.random(len(ticks)) >= 0.005]
    doubled = kept[rng.random(len(kept)) < 0.002] + 2.2e-4
    rests = [(0.0, 0.45), (source.turns[0].end + 0.05, source.turns[1].start - 0.05)]
    stray = np.concatenate([rng.uniform(*rest, 10) for rest in rests])
    every = np.sort(np.concatenate([kept, doubled, stray]))
    width = np.minimum(1e-4, 0.4 * np.diff(every, append=np.inf))
    source.pulses["rotation_ticks"] = np.column_stack([every, every + width])
    for turn in source.turns:
        off = rng.uniform(turn.start + 0.1, turn.end - 0.2)
        row = np.flatnonzero(source.pulses["rotation_on"][:, 0] <= off)[-1]
        begin, end = source.pulses["rotation_on"][row]
        source.drop("rotation_on", row)
        source.add("rotation_on", [[begin, off], [off + 0.03, end]])
    source.line_start = source.line_start[:-1]
    angles = interpolate_angles(events_of(source), **PROTOCOL)
    error = errors(source, angles)[moving(source)]
    assert np.sqrt(np.mean(error**2)) <= 0.05
    assert error.max() <= 0.3
    assert angles.line_usable.all()


@pytest.mark.parametrize("rate", [10_000, 20_000, 50_000, 100_000])
@pytest.mark.parametrize("level", [3.3, 5.0])
def test_sampling_rates_and_levels(rate, level):
    source = rig(TABLE[:1], rate=rate, level=level, noise=0.2, tick_s=2e-4)
    angles = interpolate_angles(events_of(source), **PROTOCOL)
    assert errors(source, angles).max() <= max(0.1, 2 * 200 / rate)


def test_at_rest_nothing_moves_at_all():
    source = rig()
    angles = interpolate_angles(events_of(source), **PROTOCOL)
    t = line_times(source)
    margin = 1 / source.rate
    at_rest = np.all(
        [(t < turn.start - margin) | (t > turn.end + margin) for turn in source.turns], axis=0
    )
    assert np.count_nonzero(at_rest) > 500
    assert not angles.line_angles[at_rest].view(np.int64).any()  # +0.0, bit for bit
    assert (angles.flags[at_rest] == AngleFlag.AT_REST).all()
    inside = np.any([(t > u.start + margin) & (t < u.end - margin) for u in source.turns], axis=0)
    assert (angles.flags[inside] & AngleFlag.ROTATING).all()


def test_signs():
    source = rig([(200, 1), (200, -1)])
    angles = interpolate_angles(events_of(source), **PROTOCOL).line_angles
    t = line_times(source)
    first, second = ((t > turn.start + 0.1) & (t < turn.end - 0.1) for turn in source.turns)
    assert (angles[first] < 0).all()
    assert angles[first].min() > -360
    assert (angles[second] > 0).all()
    flipped = interpolate_angles(events_of(source), config={"direction_sign": -1}, **PROTOCOL)
    np.testing.assert_array_equal(flipped.line_angles, -angles)


@pytest.mark.parametrize(("reference", "fraction"), [("start", 0), ("middle", 0.5), ("end", 1)])
def test_line_reference(reference, fraction):
    source = rig(TABLE[:1])
    config = {"line_reference": reference}
    angles = interpolate_angles(events_of(source), config=config, **PROTOCOL)
    assert angles.line_reference == reference
    assert angles.line_duty == pytest.approx(0.8, abs=0.01)
    assert errors(source, angles, fraction).max() <= 0.02


def test_times_of_some_lines_are_those_of_all():
    source = rig()
    angles = interpolate_angles(events_of(source), protocol="full")
    some = np.array([5, 2, 7])
    np.testing.assert_array_equal(angles.times_of(some), angles.line_times_s[some])
    np.testing.assert_allclose(angles.line_times_s, line_times(source), atol=2e-4)


def test_line_duty_can_be_given():
    source = rig(TABLE[:1])
    angles = interpolate_angles(events_of(source), line_duty=0.5, **PROTOCOL)
    source.duty = 0.5
    assert angles.line_duty == 0.5
    assert errors(source, angles).max() <= 0.02


@pytest.mark.parametrize("degrees", [90.0, 180.0, 300.0, 720.0])
def test_partial_turns_add_up(degrees):
    source = rig([(100, 1), (100, 1), (50, -1)], degrees=degrees)
    events = events_of(source, degrees_per_rotation=degrees)
    angles = interpolate_angles(events, **PROTOCOL)
    assert errors(source, angles).max() <= 0.02
    t = line_times(source)
    rests = [0.0, -degrees, -2 * degrees, -degrees] if degrees % 360 else [0.0] * 4
    bounds = [0.0, *(x for u in source.turns for x in (u.start, u.end + 1e-3)), np.inf]
    for k, rest in enumerate(rests):
        lines = (t > bounds[2 * k]) & (t < bounds[2 * k + 1])
        assert lines.any()
        assert (angles.line_angles[lines] == rest).all()


@pytest.mark.parametrize("per_step", [True, False])
def test_the_incremental_protocol_does_not_creep(per_step):
    made = [Turn(0.4 + 0.8 * k, speed=30.0, degrees=10.0, direction=-1) for k in range(36)]
    source = Rig(turns=made, n_frames=230, n_lines=64, line_s=2e-3)
    if not per_step:
        on = source.pulses["rotation_on"]
        source.pulses["rotation_on"] = np.array([[on[0, 0], on[-1, 1]]])
    events = parse_signals(
        source.signals,
        n_frames=230,
        lines_per_frame=64,
        sampling_rate=source.rate,
        protocol="incremental",
    )
    angles = interpolate_angles(events, protocol="incremental")
    t = line_times(source)
    for k in range(35):
        rest = (t > made[k].end + 1e-3) & (t < made[k + 1].start - 1e-3)
        assert rest.any()
        assert (angles.line_angles[rest] == 10.0 * (k + 1)).all()
    assert angles.line_angles[t > made[-1].end + 1e-3].min() == 360.0
    assert np.diff(angles.line_angles.ravel()).min() >= 0
    assert errors(source, angles).max() <= 0.03


def test_another_step_than_configured_is_told(caplog):
    made = [Turn(0.4 + 0.8 * k, speed=30.0, degrees=10.0, direction=-1) for k in range(36)]
    source = Rig(turns=made, n_frames=230, n_lines=64, line_s=2e-3)
    events = events_of(source, protocol="incremental")
    interpolate_angles(events, protocol="incremental", config={"degrees_per_step": 5})
    assert "Most steps turn by 10 degrees, but angles.degrees_per_step is 5" in caplog.text


@given(st.integers(0, 1799))
@settings(max_examples=25)
def test_any_single_tick_may_be_missing(which):
    source = rig(TABLE[:1], acceleration=155.0)
    source.drop("rotation_ticks", which)
    events = events_of(source)
    angles = interpolate_angles(events, **PROTOCOL)
    assert np.flatnonzero(events.tick_inserted).tolist() == [which]
    assert errors(source, angles).max() <= 0.1
    t = line_times(source) * source.rate
    knots = np.concatenate([[source.turns[0].start * source.rate], events.tick_time])
    near = (t > knots[which]) & (t < np.append(knots, knots[-1])[which + 2])
    marked = (angles.flags & AngleFlag.TICKS_REPAIRED) != 0
    assert np.count_nonzero(marked ^ near) <= 2


def test_ramp_ticks_missing():
    """Ticks lost while the motor speeds up must not bend the ramp."""
    source = rig(TABLE[:1], acceleration=155.0)
    source.drop("rotation_ticks", [2, 5, 6, 20, 60, 1700, 1790, 1795])
    angles = interpolate_angles(events_of(source), **PROTOCOL)
    assert errors(source, angles).max() <= 0.1


def test_unusable_rotations_have_no_angle_and_the_rest_goes_on():
    source = rig([(200, 1), (100, -1), (150, 1)])
    source.drop("rotation_ticks", slice(2000, 2300))
    events = events_of(source)
    angles = interpolate_angles(events, **PROTOCOL)
    t = line_times(source)
    within = (t > source.turns[1].start) & (t < source.turns[1].end)
    assert np.isnan(angles.line_angles[within]).all()
    assert not angles.line_usable[within].any()
    assert (angles.flags[within] == AngleFlag.UNUSABLE).all()
    np.testing.assert_array_equal(np.isnan(angles.line_angles), ~angles.line_usable)
    assert np.nanmax(errors(source, angles)) <= 0.1
    near = (t > source.turns[1].start - 0.03) & (t < source.turns[1].end + 0.03)
    assert angles.line_usable[~near].all()
    assert np.isnan(angles.frame_angles).any()


@pytest.mark.parametrize("which", ["begins", "ends"])
def test_a_recording_cut_within_a_rotation(which):
    source = rig([(200, 1), (100, -1)], acceleration=1000.0)
    turn = source.turns[0 if which == "begins" else 1]
    cut = round((turn.start + 0.7) * source.rate)
    volts = source.volts()
    frame_s = 64 * 1.5e-3 + 4e-3
    at = round((turn.start + 0.7 - source.lead_s) / frame_s)
    volts = volts[:, cut:] if which == "begins" else volts[:, :cut]
    source.n_frames = source.n_frames - at if which == "begins" else at
    source.line_start = (
        source.line_start[-source.n_frames :]
        if which == "begins"
        else (source.line_start[: source.n_frames])
    )
    events = events_of(source, signals=as_signals(volts))
    angles = interpolate_angles(events, **PROTOCOL)
    t = line_times(source)
    lost = t < turn.end if which == "begins" else t > turn.start
    assert not angles.line_usable[lost].any()
    assert np.nanmax(errors(source, angles)) <= 0.1


def test_lines_outside_the_recording_are_flagged():
    source = rig(TABLE[:1])
    last = round((source.line_start[-1, 0] - 2e-3) * source.rate)
    events = events_of(source, signals=as_signals(source.volts()[:, :last]))
    angles = interpolate_angles(events, **PROTOCOL)
    outside = (angles.flags & AngleFlag.EXTRAPOLATED) != 0
    assert outside[-1].all()
    assert not outside[:-1].any()
    assert (angles.flags[-1] & AngleFlag.LINE_REPAIRED).all()
    assert (angles.line_angles[-1] == 0).all()


def test_frames():
    source = rig()
    events = events_of(source)
    angles = interpolate_angles(events, **PROTOCOL)
    middle = (source.line_start[:, 0] + source.line_start[:, -1] + 0.8 * 1.5e-3) / 2
    np.testing.assert_allclose(angles.frame_angles, source.angle(middle), atol=0.02)
    for k, turn in enumerate(source.turns):
        inside = (middle > turn.start) & (middle < turn.end)
        assert (angles.rotation[inside] == k).all()
        assert (angles.direction[inside] == turn.direction).all()
        assert (angles.speed[inside] == turn.speed).all()
    rest = source.angle(middle) == 0
    assert (angles.rotation[rest] == -1).all()
    assert np.isnan(angles.direction[rest]).all()
    assert np.isnan(angles.speed[rest]).all()
    assert angles.frame_rate == pytest.approx(1 / (64 * 1.5e-3 + 4e-3), rel=1e-3)
    assert angles.sampling_rate == source.rate
    np.testing.assert_array_equal(angles.line_start, events.line_start)
    np.testing.assert_array_equal(angles.frame_start, events.frame_start)


def test_table_of_frames(tmp_path):
    source = rig()
    source.drop("rotation_ticks", slice(2000, 2300))
    angles = interpolate_angles(events_of(source), **PROTOCOL)
    angles.to_csv(tmp_path / "angles.csv")
    with (tmp_path / "angles.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "frame", "rotation_angle", "clock", "direction", "speed", "rotation_count",
    ]  # fmt: skip
    assert len(rows) == source.n_frames
    assert [int(row["frame"]) for row in rows] == list(range(source.n_frames))
    assert [int(row["clock"]) for row in rows] == angles.frame_start.astype(int).tolist()
    for k, row in enumerate(rows):
        if np.isnan(angles.frame_angles[k]):
            assert row["rotation_angle"] == ""
            assert row["rotation_count"] == "1"
        else:
            assert float(row["rotation_angle"]) == angles.frame_angles[k]
        if angles.rotation[k] < 0:
            assert row["direction"] == row["speed"] == row["rotation_count"] == ""
        else:
            turn = source.turns[angles.rotation[k]]
            assert (float(row["speed"]), int(row["direction"])) == (turn.speed, turn.direction)
            assert int(row["rotation_count"]) == angles.rotation[k]


def test_saving_and_loading(tmp_path):
    source = rig(TABLE[:1])
    events = events_of(source)
    events.save(tmp_path / "events.npz")
    angles = interpolate_angles(Events.load(tmp_path / "events.npz"), **PROTOCOL)
    angles.save(tmp_path / "angles.npz")
    again = Angles.load(tmp_path / "angles.npz")
    for name in [item.name for item in dataclasses.fields(Angles)]:
        saved, loaded = getattr(angles, name), getattr(again, name)
        assert type(saved) is type(loaded), name
        np.testing.assert_array_equal(saved, loaded, err_msg=name)
    with pytest.raises(InputError, match="holds no derotation events"):
        Events.load(tmp_path / "angles.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"config": {"line_reference": "center"}},
            'line_reference: found the text "center", allowed: start, ',
        ),
        ({"config": {"direction_sign": 2}}, "direction_sign: found 2, allowed: 1 or -1"),
        ({"line_duty": 0}, "line_duty is 0"),
        ({"line_duty": 1.2}, "line_duty is 1.2"),
    ],
)
def test_options_that_are_not_allowed(change, message):
    events = events_of(rig(TABLE[:1]))
    with pytest.raises(ConfigError, match=message):
        interpolate_angles(events, **PROTOCOL, **change)


def test_stimulus_of_a_flat_rotation_is_kept():
    source = rig(TABLE[:1])
    events = events_of(source, stimulus=as_stimulus([(200, -1)]))
    angles = interpolate_angles(events, **PROTOCOL)
    assert np.nanmax(angles.line_angles) > 300
