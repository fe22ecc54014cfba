"""Events of whole recordings: rotations against the stimulus table, saving, arguments."""

import json

import numpy as np
import pytest

from derotation.errors import InputError, SignalError
from derotation.signals.events import Events
from derotation.signals.parse import parse_signals
from unit.signal_factory import Rig, Turn, as_signals, as_stimulus, turns

TABLE = [(200, 1), (100, -1), (150, 1)]


def rig(table=TABLE, frames=76, **options):
    made = turns(table, acceleration=2000.0, rest=options.pop("rest", 0.3))
    return Rig(turns=made, **{"n_frames": frames, "n_lines": 32, "line_s": 4e-3, **options})


def parse(source, stimulus=None, signals=None, degrees_per_step=None, **config):
    protocol = config.pop("protocol", "full")
    return parse_signals(
        signals or source.signals,
        n_frames=source.n_frames,
        lines_per_frame=source.n_lines,
        sampling_rate=source.rate,
        protocol=protocol,
        stimulus=stimulus or (source.stimulus if protocol == "full" else None),
        config=config,
        degrees_per_step=degrees_per_step,
    )


def codes(events):
    return {repair.code: repair for repair in (*events.repairs, *events.anomalies)}


def edges(source, role="rotation_on"):
    return source.pulses[role]


def test_a_flawless_recording():
    source = rig()
    events = parse(source)
    assert not events.repairs
    assert not events.anomalies
    assert events.rotation_direction.tolist() == [1, -1, 1]
    assert events.rotation_speed.tolist() == [200, 100, 150]
    np.testing.assert_allclose(events.rotation_measured_speed, [200, 100, 150], rtol=0.02)
    assert events.rotation_turned.tolist() == [360.0] * 3
    assert events.rotation_usable.all()
    np.testing.assert_allclose(events.rotation_start, edges(source)[:, 0] * source.rate, atol=1)
    np.testing.assert_allclose(events.rotation_end, edges(source)[:, 1] * source.rate, atol=1)
    np.testing.assert_allclose(events.tick_time, source.ticks * source.rate, atol=1)
    assert np.bincount(events.tick_rotation).tolist() == [1800] * 3
    np.testing.assert_allclose(events.tick_angle, np.tile(np.arange(1, 1801) * 0.2, 3))
    assert events.tick_angle.max() == 360.0
    np.testing.assert_array_equal(events.frame_start, events.line_start[:, 0])
    np.testing.assert_allclose(
        events.frame_end, events.line_start[:, -1] + 0.8 * events.line_period, atol=1
    )
    assert events.counts["rotation_ticks_pulses"] == 5400
    assert events.levels["line_clock"] == pytest.approx((0.0, 5.0, 2.5), abs=0.02)


def test_saving_and_loading(tmp_path):
    source = rig(TABLE[:1], frames=20)
    source.drop("rotation_ticks", [30, 500])
    events = parse(source)
    events.save(tmp_path / "events.npz", tmp_path / "events.json")
    again = Events.load(tmp_path / "events.npz")
    for name in Events.__slots__:
        saved, loaded = getattr(events, name), getattr(again, name)
        assert type(saved) is type(loaded), name
        np.testing.assert_array_equal(saved, loaded, err_msg=name)
    told = json.loads((tmp_path / "events.json").read_text())
    (repair,) = told["repairs"]
    assert repair["code"] == "missing_ticks_inserted"
    assert repair["count"] == 2
    np.testing.assert_allclose(repair["places_s"], source.turns[0].ticks()[[30, 500]], atol=2e-4)
    assert "2 ticks missing" in repair["text"]
    assert told["rotations"][0]["turned_degrees"] == 360.0
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(InputError, match="holds no derotation events"):
        Events.load(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("nothing")
    with pytest.raises(InputError, match="cannot be read as derotation events"):
        Events.load(tmp_path / "text.npz")


# Rotations


@pytest.mark.parametrize("length_ms", [0.1, 5, 55])
def test_off_glitches_within_a_rotation_are_mended(length_ms):
    source = rig()
    begin, end = edges(source)[1]
    at = [begin + 0.4, begin + 1.5]
    source.drop("rotation_on", 1)
    gap = length_ms / 1e3
    source.add("rotation_on", [[begin, at[0]], [at[0] + gap, at[1]], [at[1] + gap, end]])
    events = parse(source)
    assert len(events.rotation_start) == 3
    assert set(codes(events)) == {"off_glitches_merged"}
    assert codes(events)["off_glitches_merged"].places == pytest.approx(at, abs=1e-4)


def test_a_rest_of_100_ms_is_a_rest():
    events = parse(rig(rest=0.1))
    assert not events.repairs
    assert events.n_rotations == 3


def test_two_whole_rotations_with_a_shorter_rest_are_two():
    events = parse(rig(rest=0.05))
    assert events.n_rotations == 3


def test_a_long_gap_is_resolved_by_the_ticks():
    source = rig()
    begin, end = edges(source)[1]
    source.drop("rotation_on", 1)
    source.add("rotation_on", [[begin, begin + 1.0], [begin + 1.2, end]])
    events = parse(source)
    assert set(codes(events)) == {"rotation_parts_merged"}
    assert not codes(events)["rotation_parts_merged"].text.startswith("0")
    assert events.n_rotations == 3
    assert np.bincount(events.tick_rotation).tolist() == [1800] * 3


def test_blips_without_ticks_are_dropped():
    source = rig()
    source.add(
        "rotation_on", [[0.1, 0.103], [edges(source)[0, 1] + 0.15, edges(source)[0, 1] + 0.2]]
    )
    events = parse(source)
    assert codes(events)["on_blips_dropped"].count == 2
    assert events.n_rotations == 3


def test_a_long_block_without_ticks_is_dropped_if_the_table_says_so():
    source = rig()
    source.add("rotation_on", [[0.1, 0.35]])
    events = parse(source)
    assert set(codes(events)) == {"empty_blocks_dropped"}
    assert events.n_rotations == 3


def test_a_signal_that_stays_on_between_rotations_is_split():
    source = rig()
    (begin, _), (_, end) = edges(source)[:2]
    source.drop("rotation_on", [0, 1])
    source.add("rotation_on", [[begin, end]])
    events = parse(source)
    assert set(codes(events)) == {"rotations_split"}
    assert np.bincount(events.tick_rotation).tolist() == [1800] * 3


def test_a_rotation_whose_on_signal_is_missing_comes_from_its_ticks():
    source = rig()
    source.drop("rotation_on", 1)
    events = parse(source)
    assert set(codes(events)) == {"rotations_from_ticks"}
    assert np.bincount(events.tick_rotation).tolist() == [1800] * 3


OTHERS = [(50, 1), *TABLE[1:], (80, 1)]


@pytest.mark.parametrize("rows", [TABLE[:2], [*TABLE[:2], (50, 1), (80, 1)], OTHERS])
def test_another_number_of_rotations_than_rows_is_refused(rows):
    with pytest.raises(SignalError) as error:
        parse(rig(), stimulus=as_stimulus(rows))
    message = str(error.value)
    assert "3 rotations found" in message
    assert f"stimulus.csv has {len(rows)} rows" in message
    assert "degrees/s" in message
    assert len(message.splitlines()) == 2 + max(3, len(rows))
    assert " 1800 " in message


def test_a_speed_that_differs_from_the_table_is_told():
    events = parse(rig(), stimulus=as_stimulus([(200, 1), (120, -1), (150, 1)]))
    assert set(codes(events)) == {"speed_differs"}
    assert "Rotation 2 reached 100" in codes(events)["speed_differs"].text


@pytest.mark.parametrize("which", ["begins", "ends"])
def test_a_recording_cut_within_a_rotation(which):
    source = rig()
    turn = source.turns[0 if which == "begins" else 2]
    cut = round((turn.start + 0.7) * source.rate)
    volts = source.volts()
    volts = volts[:, cut:] if which == "begins" else volts[:, :cut]
    events = parse_cut(source, as_signals(volts))
    lost = 0 if which == "begins" else 2
    assert np.flatnonzero(~events.rotation_usable).tolist() == [lost]
    assert len(events.tick_time) == 2 * 1800
    text = codes(events)["rotation_unusable"].text
    assert f"Rotation {lost + 1} is unusable: the recording {which} within it" in text
    assert events.rotation_turned[lost] == 360.0


def parse_cut(source, signals, rows=TABLE):
    """Parse with as many frames as the clock shows."""
    for n in range(source.n_frames, 0, -1):
        try:
            return parse_signals(
                signals,
                n_frames=n,
                lines_per_frame=source.n_lines,
                sampling_rate=source.rate,
                protocol="full",
                stimulus=as_stimulus(rows),
            )
        except SignalError as error:
            if "clocks disagree" not in str(error):
                raise
    raise AssertionError("no number of frames fits")


def test_rows_beyond_the_cut_are_aligned_by_speed():
    source = rig(frames=60)
    volts = source.volts()[:, : round((source.turns[2].start + 0.7) * source.rate)]
    events = parse_cut(source, as_signals(volts), [*TABLE, (50, 1), (80, -1)])
    assert events.rotation_direction.tolist() == [1, -1, 1]
    assert "fit rows 1 to 3 only" in codes(events)["table_longer"].text
    # Two ways to fit: a session that was ended early, and that is said to be a guess.
    events = parse_cut(source, as_signals(volts), [*TABLE, *TABLE])
    assert events.rotation_direction.tolist() == [1, -1, 1]
    assert "They also fit from row 4 on" in codes(events)["table_longer"].text
    # One that begins within a rotation cannot be its beginning.
    volts = source.volts()[:, round((source.turns[0].start + 0.7) * source.rate) :]
    with pytest.raises(SignalError, match="3 rotations found"):
        parse_cut(source, as_signals(volts), [*TABLE, *TABLE])


@pytest.mark.parametrize("n", [1, 2])
def test_a_session_that_was_ended_between_rotations(n):
    source = rig(TABLE[:n], frames=60)
    events = parse(source, stimulus=as_stimulus(TABLE))
    assert events.rotation_direction.tolist() == [1, -1, 1][:n]
    assert f"fit rows 1 to {n} only" in codes(events)["table_longer"].text


def test_an_inverted_on_signal_is_recognized():
    source = rig()
    inner = edges(source)
    source.pulses["rotation_on"] = np.column_stack(
        [np.append(0, inner[:, 1]), np.append(inner[:, 0], source.duration)]
    )
    events = parse(source)
    assert np.bincount(events.tick_rotation).tolist() == [1800] * 3
    assert "5400 of 5400 ticks come while it is low" in codes(events)["inverted"].text
    events = parse(source, invert=["rotation_on"])
    assert np.bincount(events.tick_rotation).tolist() == [1800] * 3
    assert not events.repairs
    with pytest.raises(SignalError, match=r"5400 of 5400 ticks come while rotation_on is low"):
        parse(source, recognize_clocks=False)


def test_no_ticks_to_speak_of():
    source = rig()
    source.pulses["rotation_ticks"] = source.pulses["rotation_ticks"][:2]
    with pytest.raises(SignalError, match=r"rotation_ticks: no ticks: 2 pulses"):
        parse(source)


# Ticks


def test_ticks_outside_rotations_are_dropped_and_told():
    source = rig()
    rests = [0.1, 0.31, source.turns[0].end + 0.1, source.turns[2].end + 0.2]
    source.add("rotation_ticks", np.column_stack([rests, np.add(rests, 1e-4)]))
    events = parse(source)
    assert codes(events)["stray_ticks_dropped"].places == pytest.approx(rests, abs=1e-4)
    assert len(events.tick_time) == 5400


def test_a_motor_moved_by_hand_is_told():
    source = rig()
    by_hand = 0.05 + 0.01 * np.arange(30)
    source.add("rotation_ticks", np.column_stack([by_hand, by_hand + 1e-4]))
    assert (
        "6.0 degrees while rotation_on was low"
        in codes(parse(source))["motion_outside_rotations"].text
    )


@pytest.mark.parametrize("ms", [1.0, 5.0, 12.0])
@pytest.mark.parametrize("side", [-1, 1])
def test_ticks_just_outside_the_on_signal_belong_to_the_rotation(ms, side):
    source = rig()
    shift = side * ms / 1e3
    source.pulses["rotation_on"] = source.pulses["rotation_on"] + shift
    events = parse(source)
    assert len(events.tick_time) == 5400
    assert not events.tick_inserted.any()
    np.testing.assert_allclose(events.tick_time, source.ticks * source.rate, atol=1)


def test_a_rotation_with_too_many_missing_ticks_is_unusable_and_the_rest_goes_on():
    source = rig()
    source.drop("rotation_ticks", slice(2000, 2250))
    events = parse(source)
    assert events.rotation_usable.tolist() == [True, False, True]
    text = codes(events)["rotation_unusable"].text
    assert "Rotation 2 is unusable: 1550 ticks found, 1800 expected, 250 of them missing" in text
    assert parse(source, max_missing_tick_fraction=0.2).rotation_usable.all()


def test_no_usable_rotation_is_refused():
    source = rig(TABLE[:2], frames=30)
    keep = np.arange(3600) % 2 == 0
    source.pulses["rotation_ticks"] = source.pulses["rotation_ticks"][keep]
    with pytest.raises(SignalError) as error:
        parse(source)
    assert "no usable rotation among 2" in str(error.value)
    assert "rotation 2: 900 ticks found, 1800 expected" in str(error.value)


@pytest.mark.parametrize("degrees", [90.0, 180.0, 720.0])
@pytest.mark.parametrize("configured", [True, False])
def test_turns_of_other_sizes(degrees, configured):
    source = rig(frames=30)
    source.turns = turns(TABLE[:2], degrees=degrees, acceleration=2000.0)
    source = Rig(turns=source.turns, n_frames=30, n_lines=32, line_s=4e-3)
    events = parse(source, degrees_per_rotation=degrees if configured else None)
    assert events.rotation_turned.tolist() == [degrees] * 2
    assert len(events.tick_time) == 2 * degrees * 5
    assert not events.repairs


def test_another_increment():
    source = rig()
    keep = np.arange(5400) % 5 == 4  # every fifth tick: one per degree
    source.pulses["rotation_ticks"] = source.pulses["rotation_ticks"][keep]
    events = parse(source, rotation_increment=1.0)
    assert not events.repairs
    assert np.bincount(events.tick_rotation).tolist() == [360] * 3
    assert events.tick_angle[:3].tolist() == [1.0, 2.0, 3.0]


def test_an_encoder_of_another_resolution_is_told_and_spread():
    source = rig(TABLE[:2], frames=30)
    ticks = np.concatenate(
        [turn.times(np.arange(1, 1797) * 360 / 1796 - 1e-12) for turn in source.turns]
    )
    source.pulses["rotation_ticks"] = np.column_stack([ticks, ticks + 1e-4])
    events = parse(source)
    assert events.anomalies[0].code == "ticks_spread"
    assert "4 ticks fewer" in events.anomalies[0].text
    assert events.tick_angle.max() == 360.0
    assert events.rotation_usable.all()


# Protocol incremental


def steps(n=36, **options):
    made = [Turn(0.4 + 0.8 * k, speed=30.0, degrees=10.0, direction=-1) for k in range(n)]
    return Rig(turns=made, **{"n_frames": 120, "n_lines": 32, "line_s": 8e-3, **options})


@pytest.mark.parametrize("per_step", [True, False])
@pytest.mark.parametrize("known", [10.0, None])
def test_steps(per_step, known):
    source = steps()
    if not per_step:
        on = edges(source)
        source.pulses["rotation_on"] = np.array([[on[0, 0], on[-1, 1]]])
    source.drop("rotation_ticks", [3, 77, 1030, 1031])
    events = parse(source, protocol="incremental", degrees_per_step=known)
    assert events.n_rotations == 36
    assert events.rotation_turned.tolist() == [10.0] * 36
    assert np.flatnonzero(events.tick_inserted).tolist() == [3, 77, 1030, 1031]
    assert np.bincount(events.tick_rotation).tolist() == [50] * 36
    assert set(codes(events)) == {"missing_ticks_inserted"}
    assert (events.rotation_direction == -1).all()
    starts = np.array([turn.start for turn in source.turns]) * source.rate
    np.testing.assert_allclose(events.rotation_start, starts, atol=0.002 * source.rate)
    ends = np.array([turn.end for turn in source.turns]) * source.rate
    np.testing.assert_allclose(events.rotation_end, ends, atol=0.002 * source.rate)


@pytest.mark.parametrize("per_step", [True, False])
def test_a_hole_within_a_step_does_not_split_it(per_step):
    source = steps()
    if not per_step:
        on = edges(source)
        source.pulses["rotation_on"] = np.array([[on[0, 0], on[-1, 1]]])
    source.drop("rotation_ticks", slice(520, 530))
    events = parse(source, protocol="incremental", max_missing_tick_fraction=0.25)
    assert np.flatnonzero(events.tick_inserted).tolist() == list(range(520, 530))
    assert events.n_rotations == 36


def test_an_incomplete_turn_is_told():
    events = parse(steps(n=30), protocol="incremental")
    assert "30 steps of 10 degrees add up to 300" in codes(events)["turn_incomplete"].text


# Arguments


def test_clock_index_selects_frames():
    source = rig(frames=46)
    every = parse(source)
    index = np.arange(1, 46, 2)
    events = parse_signals(
        source.signals,
        n_frames=23,
        lines_per_frame=32,
        sampling_rate=source.rate,
        protocol="full",
        stimulus=source.stimulus,
        clock_index=index,
        n_clock_frames=46,
    )
    np.testing.assert_array_equal(events.line_start, every.line_start[index])
    assert events.frame_start.shape == (23,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampling_rate": 0}, "sampling_rate is 0 Hz"),
        ({"lines_per_frame": 0}, "lines_per_frame is 0"),
        ({"protocol": "both"}, "protocol is 'both'"),
        ({"n_frames": 0}, "0 frames"),
        ({"n_clock_frames": 90}, "clock_index has to say"),
        ({"n_clock_frames": 90, "clock_index": [1, 2]}, r"clock_index has shape \(2,\)"),
        ({"stimulus": None, "angles": {"direction": "table"}}, "has no stimulus table"),
    ],
)
def test_arguments_that_make_no_sense(change, message):
    source = rig(TABLE[:1], frames=20)
    arguments = {
        "n_frames": 20,
        "lines_per_frame": 32,
        "sampling_rate": source.rate,
        "protocol": "full",
        "stimulus": source.stimulus,
    }
    with pytest.raises(InputError, match=message):
        parse_signals(source.signals, **{**arguments, **change})


def test_a_configured_threshold_reaches_the_signals():
    source = rig(TABLE[:1], frames=20, level=3.3)
    events = parse(source, thresholds={"rotation_ticks": 1.0, "line_clock": None})
    assert events.levels["rotation_ticks"][2] == 1.0
    with pytest.raises(SignalError, match="threshold 4 V"):
        parse(source, thresholds={"rotation_ticks": 4.0})
