"""Clocks as laboratories record them, against the simulator's truth."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derotation.errors import ConfigError, SignalError
from derotation.io.signals import AnalogSignals
from derotation.signals.clock_blocks import find_blocks, only_chosen_frames
from derotation.signals.clock_frames import FrameChoice, read_choice
from derotation.signals.clocks import read_scan
from derotation.signals.levels import Levels
from derotation.signals.polarity import inverted, with_polarity
from derotation.signals.pulses import Pulses, find_pulses
from derotation.signals.repairs import Report
from derotation.simulate.rig_signals import ClockOptions, clock_pulses, pulse_volts

RATE = 20_000
N_FRAMES, N_LINES = 24, 32
LINE = 1e-3
FRAME = 0.036
ROLES = ("line_clock", "frame_clock")


def read(options=None, *, choice="auto", n_frames=N_FRAMES, ticks=(), duty=0.9, **recognized):
    options = ClockOptions(**(options or {}))
    pulses, true, end = clock_pulses(
        options, n_frames=N_FRAMES, n_lines=N_LINES, frame_period=FRAME, line_period=LINE,
        line_duty=duty, lead_s=0.2,
    )  # fmt: skip
    n_samples = round(end * RATE)
    volts = pulse_volts(
        pulses, n_samples=n_samples, sampling_rate=RATE, inverted=options.inverted,
        missing=options.missing, noise_v=0.02,
    )  # fmt: skip
    samples = np.stack([volts[role] for role in ROLES])
    signals = AnalogSignals("signals.npy", samples, {role: k for k, role in enumerate(ROLES)})
    report = Report(sampling_rate=RATE)
    found = find_pulses(signals, ROLES, {}, RATE, may_be_flat=ROLES)
    found = with_polarity(
        found, invert=recognized.get("invert", ()), recognize=recognized.get("recognize", True),
        n_samples=n_samples, report=report,
    )  # fmt: skip
    scan = read_scan(
        *found.values(), n_frames=n_frames, n_lines=N_LINES, n_samples=n_samples, recognize=True,
        report=report, choice=read_choice(choice), ticks=np.asarray(ticks) * RATE,
        line_period=recognized.get("line_period"),
        flyback_lines=recognized.get("flyback_lines", 0.0),
    )  # fmt: skip
    return (
        scan,
        true * RATE,
        {repair.code: repair for repair in (*report.repairs, *report.anomalies)},
    )


def assert_exact(scan, true, samples=1.0):
    assert scan.line_start.shape == true.shape
    assert np.abs(scan.line_start - true).max() <= samples


# Blocks


@pytest.mark.parametrize("focus_period", [1.0, 0.7, 1.6])
@pytest.mark.parametrize(
    ("before", "after"),
    [((40,), ()), ((), (13,)), ((7, 31), (50,)), ((3,), (3,)), ((1,), (1, 2))],
)
def test_focus_blocks_are_left_out(before, after, focus_period):
    scan, true, said = read(
        {"focus_before": before, "focus_after": after, "focus_period": focus_period}
    )
    assert_exact(scan, true)
    assert not scan.line_repaired.any()
    assert said["clock_blocks_dropped"].count == sum(before) + sum(after)
    assert f"the movie has {N_FRAMES}" in said["clock_blocks_dropped"].text


@given(
    st.lists(st.integers(1, 60), max_size=4),
    st.lists(st.integers(1, 60), max_size=4),
    st.floats(0.06, 3.0),
)
@settings(max_examples=25)
def test_any_blocks_about_the_recording(before, after, pause):
    # Where other blocks happen to make up the movie's number of frames, the signals cannot tell.
    lengths = [*before, N_FRAMES, *after]
    sums = [sum(lengths[i:j]) for i in range(len(lengths)) for j in range(i + 1, len(lengths) + 1)]
    scan, true, said = read({"focus_before": before, "focus_after": after, "pause_s": pause})
    if sums.count(N_FRAMES) == 1:
        assert_exact(scan, true)
    else:
        assert "blocks_alike" in said


def test_of_two_blocks_alike_the_one_with_ticks_is_taken():
    ticks = 0.2 + N_FRAMES * FRAME + 0.7 + np.arange(100) * 1e-3
    scan, true, said = read({"focus_before": (N_FRAMES,)}, ticks=ticks)
    assert_exact(scan, true)
    assert "2 runs of clock frames are as long as the movie" in said["blocks_alike"].text
    scan, true, _ = read({"focus_after": (N_FRAMES,)}, ticks=0.25 + np.arange(100) * 1e-3)
    assert_exact(scan, true)


def test_files_between_which_the_scanner_was_in_focus_mode():
    # 24 frames are the movie's first and third block: no run of blocks, but one set, has as many.
    scan, _, said = read({"focus_before": (11,), "focus_after": (9,)}, n_frames=20)
    assert scan.line_start.shape == (20, N_LINES)
    assert said["clock_blocks_dropped"].count == 24
    assert np.diff(scan.line_start[:, 0]).max() > (N_FRAMES * FRAME) * RATE


def test_of_two_sets_of_blocks_none_is_guessed():
    # 21 + 9 frames, or 17 + 13.
    with pytest.raises(SignalError, match="the movie has 30 frames"):
        read({"focus_before": (21, 17), "focus_after": (13, 9)}, n_frames=30)


def test_a_block_with_extra_frames():
    scan, true, said = read({"focus_before": (40,), "extra_after": 2})
    assert_exact(scan, true)
    assert {"clock_blocks_dropped", "clock_frame_dropped"} <= set(said)
    assert len(scan.spare_line_start) == 2


def test_a_missing_frame_pulse_is_no_pause():
    scan, true, said = read({"lost": (5, 11)})
    assert_exact(scan, true)
    assert said["frame_pulses_inserted"].count == 2
    scan, true, said = read({"lost": (5, 11), "focus_before": (60,)})
    assert_exact(scan, true)


def test_blocks_of_plain_pulses():
    starts = np.concatenate([np.arange(5) * 100.0, 5000 + np.arange(8) * 100.0, [9000.0]])
    assert [block.n_frames for block in find_blocks(starts, np.zeros(0), 8)] == [5, 8, 1]
    assert [block.n_frames for block in find_blocks(starts[:5], np.zeros(0), 8)] == [5]
    assert [block.n_frames for block in find_blocks(starts[:1], np.zeros(0), 8)] == [1]
    # Another rhythm without a pause, also where the interval to it is no longer than others.
    for period in (60.0, 80.0):
        faster = np.concatenate([np.arange(10) * 100.0, 1000 + np.arange(20) * period])
        assert [block.n_frames for block in find_blocks(faster, np.zeros(0), 8)] == [10, 20]


@pytest.mark.parametrize("early", [-30, 0, 30])
def test_lines_stay_with_their_frame_though_they_begin_a_little_before_or_after_it(early):
    frames = 1000 + 800 * np.arange(6)
    lines = (frames[:, np.newaxis] + 100 * np.arange(8) - early).ravel()
    levels = Levels(low=0.0, high=5.0, noise=0.1, threshold=2.5, rise_at=3.0, fall_at=2.0)
    line, frame = (
        Pulses(
            role=role, start=start, stop=start + 50, levels=levels, begins_high=False,
            ends_high=False,
        )
        for role, start in zip(ROLES, (lines, frames), strict=True)
    )  # fmt: skip
    kept, chosen = only_chosen_frames(line, frame, slice(2, 4), "chosen", Report(sampling_rate=1))
    np.testing.assert_array_equal(chosen.start, frames[2:4])
    np.testing.assert_array_equal(kept.start, lines[16:32])


# Extra frames


@pytest.mark.parametrize("extra", [1, 2, 3, 6])
def test_extra_frames_at_the_end(extra):
    scan, true, said = read({"extra_after": extra})
    assert_exact(scan, true)
    assert f"{extra} frame" in said["clock_frame_dropped"].text
    assert "signals.frames" in said["clock_frame_dropped"].text
    assert scan.frame_offset == 0
    assert len(scan.spare_line_start) == extra


@pytest.mark.parametrize("extra", [1, 2, 6])
@pytest.mark.parametrize("choice", ["last", "skip", "both"])
def test_extra_frames_at_the_start_by_key(extra, choice):
    given = {
        "last": "last",
        "skip": {"skip_start": extra},
        "both": {"skip_start": extra, "skip_end": 0},
    }[choice]
    scan, true, said = read({"extra_before": extra}, choice=given)
    assert_exact(scan, true)
    assert said["clock_frames_chosen"].count == extra


def test_extra_frames_at_both_ends_by_key():
    options = {"extra_before": 3, "extra_after": 4}
    scan, true, _ = read(options, choice={"skip_start": 3, "skip_end": 4})
    assert_exact(scan, true)
    with pytest.raises(SignalError, match=r"leaves 25, but the movie has 24"):
        read(options, choice={"skip_start": 3, "skip_end": 3})
    with pytest.raises(SignalError, match="7 more"):
        read(options)


def test_a_frame_too_few_may_also_miss_at_the_start():
    scan, _, said = read(n_frames=N_FRAMES + 1)
    assert "clock_frame_extrapolated" in said
    assert scan.frame_offset == 1
    assert len(scan.spare_line_start) == 1
    assert scan.spare_line_start[0, 0] == pytest.approx(0.2 * RATE - FRAME * RATE, abs=2)


@pytest.mark.parametrize(
    "wrong", ["firts", {"skip": 1}, {"skip_start": -1}, {"skip_end": -2}, 3, ["first"]]
)
def test_choices_that_make_no_sense(wrong):
    with pytest.raises(ConfigError, match=r"signals\.frames is"):
        read_choice(wrong)


@given(st.integers(0, 40), st.integers(1, 40))
def test_choices_keep_as_many_as_the_movie_has(n_more, n_frames):
    n = n_frames + n_more
    assert range(*FrameChoice(how="first").kept(n, n_frames).indices(n)) == range(n_frames)
    assert range(*FrameChoice(how="last").kept(n, n_frames).indices(n)) == range(n_more, n)
    for start in range(n_more + 1):
        kept = FrameChoice(how="skip", skip_start=start, skip_end=n_more - start).kept(n, n_frames)
        assert range(*kept.indices(n)) == range(start, start + n_frames)


# Line clocks


def test_a_period_clock():
    scan, true, said = read({"lines_per_pulse": 2})
    assert_exact(scan, true)
    assert "one pulse per two lines" in said["period_clock"].text
    assert not scan.line_repaired.any()
    assert scan.line_period == pytest.approx(LINE * RATE, rel=1e-3)
    # The frame clock falls when the last line is over.
    assert scan.line_duration_measured
    assert scan.line_duration == pytest.approx(0.9 * LINE * RATE, abs=0.5)


@pytest.mark.parametrize("unpulsed", [1, 2])
def test_last_lines_without_a_pulse(unpulsed):
    scan, true, said = read({"unpulsed_last": unpulsed})
    assert_exact(scan, true)
    assert not scan.line_repaired.any()
    assert said["lines_without_pulse"].count == unpulsed * N_FRAMES
    assert "last line" in said["lines_without_pulse"].text
    assert "line_pulses_inserted" not in said


@pytest.mark.parametrize("duty", [0.7, 0.9, 1.0])
def test_no_line_clock(duty):
    scan, true, said = read({"missing": ("line_clock",)}, duty=duty)
    # Without a word on the duty, a line's share of the frame's active time is its period.
    assert_exact(scan, true, samples=(1 - duty) * LINE * RATE + 1.5)
    middle = scan.line_start + scan.line_duration / 2 - true - duty / 2 * LINE * RATE
    assert abs(middle.mean()) < 0.6
    assert not scan.line_repaired.any()
    assert "There is no line clock" in said["lines_from_frame_clock"].text
    scan, true, _ = read({"missing": ("line_clock",)}, duty=duty, line_period=LINE * RATE)
    assert_exact(scan, true)


def test_no_line_clock_and_a_trigger_for_each_frame():
    options = {"missing": ("line_clock",), "trigger_ms": 1.0}
    scan, true, _ = read(options, flyback_lines=FRAME / LINE - N_LINES)
    assert_exact(scan, true, samples=1.5)


@pytest.mark.parametrize("options", [{}, {"unpulsed_last": 0, "focus_before": (2,)}])
def test_no_frame_clock(options):
    options = options | {"missing": ("frame_clock",)}
    n_frames = N_FRAMES + sum(options.get("focus_before", ()))
    scan, true, said = read(options, n_frames=n_frames)
    assert np.abs(scan.line_start[-N_FRAMES:] - true).max() <= 1
    assert "frames_from_line_clock" in said


def test_neither_clock_is_refused():
    with pytest.raises(SignalError, match="no lines"):
        read({"missing": ROLES})


# Polarity


@pytest.mark.parametrize("roles", [("line_clock",), ("frame_clock",), ROLES])
def test_active_low_clocks_are_recognized(roles):
    scan, true, said = read({"inverted": roles})
    assert_exact(scan, true)
    assert "active low" in said["inverted"].text
    scan, true, said = read({"inverted": roles}, invert=roles)
    assert_exact(scan, true)
    assert "inverted" not in said


@pytest.mark.parametrize(
    "options", [{"lines_per_pulse": 2}, {"focus_after": (5,)}, {"trigger_ms": 1}]
)
def test_other_clocks_are_not_taken_for_active_low(options):
    scan, true, said = read(options)
    assert_exact(scan, true)
    assert "inverted" not in said
    scan, true, said = read(options | {"inverted": ROLES})
    assert_exact(scan, true)


def test_a_channel_that_is_not_there_cannot_be_inverted():
    with pytest.raises(ConfigError, match=r"signals\.invert names rotation_ticks"):
        read(invert=("rotation_ticks",))


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_turning_over_twice_changes_nothing(levels):
    samples = np.repeat(np.array(levels, float) * 5, 3)[None]
    signals = AnalogSignals("s.npy", samples, {"direction": 0})
    if len(set(levels)) < 2:
        return
    (pulses,) = find_pulses(signals, ("direction",), {"direction": 2.5}, 1.0).values()
    over = inverted(pulses, samples.shape[1])
    high = np.zeros(samples.shape[1], bool)
    for a, b in zip(over.start, over.stop, strict=True):
        high[a:b] = True
    np.testing.assert_array_equal(high, samples[0] < 2.5)
    back = inverted(over, samples.shape[1])
    np.testing.assert_array_equal(back.start, pulses.start)
    np.testing.assert_array_equal(back.stop, pulses.stop)
    assert (back.begins_high, back.ends_high) == (pulses.begins_high, pulses.ends_high)


# Time


def test_reading_clocks_takes_time_in_proportion_to_their_pulses():
    def seconds(n_blocks):
        frames = np.concatenate([k * 1e5 + np.arange(40) * 100.0 for k in range(n_blocks)])
        begin = time.process_time()
        assert len(find_blocks(frames, np.zeros(0), 8)) == n_blocks
        return time.process_time() - begin

    seconds(10)
    few, many = (min(seconds(n) for _ in range(3)) for n in (200, 2000))
    assert many < 40 * max(few, 1e-3)


def test_crowded_pulses_take_time_in_proportion_to_their_number():
    from derotation.signals.edges import mark_crowded

    rng = np.random.default_rng(1)

    def seconds(n):
        times = np.sort(rng.integers(0, 20 * n, n))
        begin = time.process_time()
        mark_crowded(times, 1e6)  # all too close to each other
        return time.process_time() - begin

    seconds(100)
    assert seconds(400_000) < 0.5


def test_every_pair_of_faults_is_read_exactly():
    faults = [
        {"focus_before": (40,)}, {"extra_after": 2}, {"lines_per_pulse": 2}, {"unpulsed_last": 1},
        {"inverted": ("line_clock",)}, {"inverted": ("frame_clock",)}, {"focus_after": (7, 9)},
    ]  # fmt: skip
    for one, other in itertools.combinations(faults, 2):
        if set(one) & set(other) or {"lines_per_pulse", "unpulsed_last"} <= set(one) | set(other):
            continue
        scan, true, _ = read(one | other)
        assert_exact(scan, true)
