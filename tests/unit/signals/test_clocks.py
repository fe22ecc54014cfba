"""Line and frame clocks: each repair and each refusal."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from derotation.errors import SignalError
from derotation.signals.clocks import read_scan
from derotation.signals.pulses import find_pulses
from derotation.signals.repairs import Report
from unit.signal_factory import Rig


def rig(**options):
    return Rig(turns=[], **{"n_frames": 8, "duration": None, **options})


def scan_of(source, n_frames=None, n_lines=None, recognize=True, n_columns=None):
    report = Report(sampling_rate=source.rate)
    pulses = find_pulses(source.signals, ("line_clock", "frame_clock"), {}, source.rate)
    scan = read_scan(
        pulses["line_clock"],
        pulses["frame_clock"],
        n_frames=n_frames or source.n_frames,
        n_lines=n_lines or source.n_lines,
        n_samples=round(source.duration * source.rate),
        recognize=recognize,
        report=report,
        n_columns=n_columns,
    )
    return scan, {repair.code: repair for repair in report.repairs}


def assert_lines(scan, source, line_start=None, samples=1.0):
    true = (source.line_start if line_start is None else line_start) * source.rate
    assert scan.line_start.shape == true.shape
    assert np.abs(scan.line_start - true).max() <= samples


@pytest.mark.parametrize("rate", [20_000, 50_000, 100_000])
def test_sound_clocks_need_no_repair(rate):
    source = rig(rate=rate)
    scan, repairs = scan_of(source)
    assert not repairs
    assert_lines(scan, source)
    assert not scan.line_repaired.any()
    assert scan.line_period == pytest.approx(1e-3 * rate, rel=1e-3)
    assert scan.line_duration == pytest.approx(0.8e-3 * rate, abs=0.5)
    assert scan.line_duration_measured


def test_short_line_pulses_do_not_tell_the_duration():
    scan, _ = scan_of(rig(duty=0.2))
    assert not scan.line_duration_measured
    assert scan.line_duration == scan.line_period


def test_exchanged_clocks_are_recognized():
    source = rig()
    swap = source.pulses
    swap["line_clock"], swap["frame_clock"] = swap["frame_clock"], swap["line_clock"]
    scan, repairs = scan_of(source)
    assert_lines(scan, source)
    assert set(repairs) == {"clocks_swapped"}
    with pytest.raises(SignalError, match=r"exchanged.*recognize_clocks"):
        scan_of(source, recognize=False)


def test_trigger_pulses_instead_of_gates():
    source = rig()
    for role in ("line_clock", "frame_clock"):
        source.pulses[role][:, 1] = source.pulses[role][:, 0] + 1e-4
    scan, repairs = scan_of(source)
    assert not repairs
    assert_lines(scan, source)


@given(st.sets(st.integers(0, 8 * 16 - 1), min_size=1, max_size=20))
@settings(max_examples=25)
def test_missing_line_pulses_are_put_back(which):
    assume(np.bincount([k // 16 for k in which]).max() <= 8)
    source = rig()
    source.drop("line_clock", sorted(which))
    scan, repairs = scan_of(source)
    assert_lines(scan, source, samples=2.5)
    assert np.flatnonzero(scan.line_repaired.ravel()).tolist() == sorted(which)
    # The last frame may also be taken for one that was cut.
    assert set(repairs) <= {"line_pulses_inserted", "cut_frame_completed"}
    if max(which) < 7 * 16:
        assert repairs["line_pulses_inserted"].count == len(which)


def test_line_pulses_too_many_are_left_out():
    source = rig()
    at = source.line_start[3, 4] + 0.9e-3  # too close to the next line
    source.add("line_clock", [[at, at + 5e-5]])
    scan, repairs = scan_of(source)
    assert_lines(scan, source)
    assert repairs["line_pulses_dropped"].count == 1


def test_lines_before_the_first_frame_and_during_flyback():
    source = rig(flyback_s=6e-3)
    early = np.array([source.lead_s - k * 1e-3 for k in (3, 2)])
    source.add("line_clock", np.column_stack([early, early + 8e-4]))
    back = (source.line_start[:, -1:] + np.array([1e-3, 2e-3])).ravel()
    source.add("line_clock", np.column_stack([back, back + 8e-4]))
    scan, repairs = scan_of(source)
    assert_lines(scan, source)
    assert repairs["leading_lines_dropped"].count == 2
    assert repairs["flyback_lines_dropped"].count == 16


def test_a_frame_of_the_clock_too_many():
    source = rig(n_frames=9)
    scan, repairs = scan_of(source, n_frames=8)
    assert_lines(scan, source, source.line_start[:8])
    assert repairs["clock_frame_dropped"].places == pytest.approx(
        [source.line_start[8, 0]], abs=1e-4
    )


def test_a_frame_of_the_clock_too_few():
    source = rig()
    scan, repairs = scan_of(source, n_frames=9)
    period = 16 * 1e-3 + 4e-3
    true = np.vstack([source.line_start, source.line_start[-1:] + period])
    assert_lines(scan, source, true)
    assert scan.line_repaired[8].all()
    assert (
        "movie's last frame was put one frame period after"
        in repairs["clock_frame_extrapolated"].text
    )


@pytest.mark.parametrize(("movie", "word"), [(10, "2 fewer"), (1, "7 more"), (20, "12 fewer")])
def test_too_large_a_difference_is_refused(movie, word):
    with pytest.raises(SignalError) as error:
        scan_of(rig(), n_frames=movie)
    message = str(error.value)
    assert f"the movie has {movie} frames" in message
    assert "8 complete frames" in message
    assert word in message
    assert "Likely causes" in message


def test_a_trailing_incomplete_frame_is_left_out():
    source = rig(n_frames=9)
    source.drop("line_clock", slice(8 * 16 + 5, None))
    source.pulses["frame_clock"][8, 1] = source.line_start[8, 5]
    scan, repairs = scan_of(source, n_frames=8)
    assert_lines(scan, source, source.line_start[:8])
    assert set(repairs) == {"trailing_frame_dropped"}


def test_a_trailing_incomplete_frame_that_the_movie_has_is_completed():
    source = rig()
    source.drop("line_clock", slice(7 * 16 + 12, None))
    scan, repairs = scan_of(source)
    assert_lines(scan, source, samples=2.0)
    assert scan.line_repaired[7].sum() == 4
    assert set(repairs) == {"cut_frame_completed"}


def test_a_recording_that_begins_within_a_frame():
    source = rig(n_frames=9)
    cut = source.line_start[0, 6] + 2e-4
    for role in source.pulses:
        source.pulses[role] = np.maximum(source.pulses[role] - cut, 0)
        kept = source.pulses[role][:, 1] > 0
        source.pulses[role] = source.pulses[role][kept]
    source.line_start = source.line_start - cut
    scan, repairs = scan_of(source, n_frames=8)
    assert_lines(scan, source, source.line_start[1:])
    assert set(repairs) == {"leading_frame_dropped"}
    scan, repairs = scan_of(source, n_frames=9)
    assert_lines(scan, source, samples=2.5)
    assert set(repairs) == {"cut_frame_completed"}


def test_a_missing_pulse_of_the_frame_clock_is_inserted():
    source = rig()
    source.drop("frame_clock", 4)
    scan, repairs = scan_of(source)
    assert_lines(scan, source)
    assert repairs["frame_pulses_inserted"].places == pytest.approx(
        [source.line_start[4, 0]], abs=1e-4
    )


@pytest.mark.parametrize("which", [0, 7])
def test_a_missing_first_or_last_pulse_of_the_frame_clock_is_inserted(which):
    source = rig()
    source.drop("frame_clock", which)
    scan, repairs = scan_of(source)
    assert_lines(scan, source)
    assert set(repairs) == {"frame_pulses_inserted"}


def test_a_short_gap_within_a_frame_pulse():
    source = rig()
    begin, end = source.pulses["frame_clock"][3]
    source.pulses["frame_clock"][3, 1] = begin + 2e-3
    source.add("frame_clock", [[begin + 2.1e-3, end]])
    scan, repairs = scan_of(source)
    assert_lines(scan, source)
    assert repairs["frame_pulses_dropped"].count == 1


@pytest.mark.parametrize("flyback_s", [0.0, 1e-3, 4e-3])
def test_frames_without_a_gap_are_counted_out(flyback_s):
    source = rig(flyback_s=flyback_s)
    gate = source.pulses["frame_clock"]
    source.pulses["frame_clock"] = np.array([[gate[0, 0], gate[-1, 1]]])
    scan, repairs = scan_of(source)
    assert_lines(scan, source)
    assert set(repairs) == {"frames_from_line_clock"}
    # High before the first and after the last line as well.
    source.pulses["frame_clock"] = np.array([[0.0, source.duration]])
    scan, repairs = scan_of(source)
    assert_lines(scan, source)
    assert set(repairs) == {"frames_from_line_clock"}


@pytest.mark.parametrize("which", [[5], [40, 41], [15], [16], [31, 32], [100, 3]])
def test_frames_without_a_gap_and_missing_lines(which):
    source = rig()
    gate = source.pulses["frame_clock"]
    source.pulses["frame_clock"] = np.array([[gate[0, 0], gate[-1, 1]]])
    source.drop("line_clock", which)
    scan, repairs = scan_of(source)
    assert_lines(scan, source, samples=2.5)
    assert repairs["line_pulses_inserted"].count == len(which)


def test_lines_without_a_visible_gap_come_from_the_frame_clock():
    source = rig(duty=1.0)
    scan, repairs = scan_of(source)
    assert_lines(scan, source)
    assert set(repairs) == {"lines_from_frame_clock"}
    assert "line starts were taken from the frame clock" in repairs["lines_from_frame_clock"].text
    assert not scan.line_duration_measured
    assert not scan.line_repaired.any()  # nothing was broken


@pytest.mark.parametrize("duty", [0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("phase", [0.0, 0.13, 0.37])
def test_gaps_shorter_than_a_sample(duty, phase):
    source = rig(rate=10_000, line_s=5.793e-4, n_lines=64, duty=duty, lead_s=0.02 + phase * 1e-4)
    scan, repairs = scan_of(source)
    assert_lines(scan, source, samples=1.2)
    assert set(repairs) <= {"lines_from_frame_clock", "line_pulses_inserted"}


def test_a_line_clock_that_is_high_during_frames_tells_them_apart():
    source = rig(duty=1.0)
    source.pulses["frame_clock"] = np.array([[0.0, source.duration]])
    scan, repairs = scan_of(source)
    assert_lines(scan, source)
    assert set(repairs) == {"lines_from_frame_clock"}


def test_frames_without_a_gap_and_lines_whose_gap_is_often_hidden_are_refused():
    source = rig(rate=20_000, line_s=7.8e-4, n_lines=64, duty=0.95, flyback_s=2e-3, n_frames=20)
    gate = source.pulses["frame_clock"]
    source.pulses["frame_clock"] = np.array([[gate[0, 0], gate[-1, 1]]])
    with pytest.raises(SignalError, match=r"Record the signals at a higher sampling rate"):
        scan_of(source)


def test_no_gap_between_lines_nor_frames_is_refused():
    source = rig(duty=1.0, flyback_s=0.0)
    with pytest.raises(SignalError, match="line_clock: 1 pulse only; 8 frames of 16 lines"):
        scan_of(source)


def test_gaps_of_both_clocks_too_short_for_the_sampling_rate():
    source = rig(rate=10_000, line_s=5.793e-4, n_lines=64, duty=0.95, flyback_s=0.0, n_frames=20)
    with pytest.raises(SignalError, match=r"Record the signals at a higher sampling rate"):
        scan_of(source)


def test_frames_of_different_length_without_lines_are_refused():
    source = rig(duty=1.0)
    for role in ("line_clock", "frame_clock"):
        begin = source.line_start[3, 0]
        gone = (source.pulses[role][:, 0] > begin - 1e-6) & (
            source.pulses[role][:, 0] < begin + 4e-3
        )
        source.pulses[role][gone, 0] = begin + 4e-3
    with pytest.raises(SignalError, match=r"in 1 frame the clocks are high for less than"):
        scan_of(source)


@pytest.mark.parametrize("n_lines", [15, 17, 32, 8])
def test_another_number_of_lines_per_frame_is_refused(n_lines):
    with pytest.raises(SignalError) as error:
        scan_of(rig(), n_lines=n_lines)
    message = str(error.value)
    assert "16 line pulses" in message
    assert f"{n_lines} lines per frame" in message
    assert "scan.lines_per_frame" in message
    assert "line pulses\n" in message  # a table of frames


@pytest.mark.parametrize("duty", [0.8, 0.98])
@pytest.mark.parametrize("n_lines", [10, 20, 24, 30])
def test_rows_and_columns_that_were_exchanged_are_named(duty, n_lines):
    """Also where pauses between lines last for a sample, so that lines might be hidden."""
    with pytest.raises(SignalError, match=r"16 line pulses, which .* movie\.undo: \[transpose\]"):
        scan_of(rig(duty=duty, rate=50_000), n_lines=n_lines, n_columns=16)


def test_as_many_columns_as_lines_is_no_fault():
    scan, repairs = scan_of(rig(), n_columns=16)
    assert not repairs
    assert_lines(scan, rig())


def test_a_frame_that_lost_most_of_its_lines_is_refused():
    source = rig()
    source.drop("line_clock", slice(3 * 16 + 2, 4 * 16 - 2))
    with pytest.raises(SignalError, match=r"in 1 frame fewer than half of the 16 lines"):
        scan_of(source)


@pytest.mark.parametrize("role", ["line_clock", "frame_clock"])
def test_noise_and_a_level_of_3_volts(role):
    source = rig(level=3.3, noise=0.2)
    scan, repairs = scan_of(source)
    assert not repairs
    assert_lines(scan, source)


def test_a_single_frame():
    source = rig(n_frames=1)
    scan, repairs = scan_of(source)
    assert_lines(scan, source)
    assert not repairs
