"""The mistakes of a new rig: each is named by the check, with its key, and good sessions by none.

Signals are simulated, movies are empty frames of the right number and size.
"""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

from derotation.cohort.check import check_cohort, format_table
from derotation.cohort.cohort import load_cohort
from derotation.io import movie
from derotation.simulate import simulate_session
from derotation.simulate.formats import write_signals_as
from derotation.simulate.recording import plan_recording
from derotation.simulate.rig_signals import (
    ClockOptions,
    clock_pulses,
    pulse_volts,
    quadrature_pulses,
    voltage_samples,
)
from derotation.simulate.signals import BIN_CHANNELS, NPY_CHANNELS
from unit.mistaken_rig import STEPS, Rig

ORDER = list(NPY_CHANNELS)


def only_problem(found):
    """Give the one problem of a session."""
    assert len(found.problems) == 1, found.problems
    (problem,) = found.problems
    return problem


@pytest.mark.parametrize("protocol", ["full", "incremental", "free"])
@pytest.mark.parametrize("kind", ["npy", "bin"])
def test_good_sessions_give_no_word(rig, protocol, kind):
    order = ORDER if kind == "npy" else list(BIN_CHANNELS)
    found = rig(protocol).write(kind=kind).check(channel_order=order, sections=STEPS)
    assert (found.problems, found.notes) == ((), ())


DEMO = yaml.safe_load((Path(__file__).parents[3] / "config/config.yaml").read_text())


@pytest.mark.parametrize("name", DEMO["simulate"])
def test_the_demo_cohort_gives_no_word(tmp_path, name):
    parameters = dict(DEMO["simulate"][name])
    if "incremental" in name:
        parameters["protocol"] = "incremental"
    made = Rig(plan_recording(**parameters, n_cells=2), tmp_path, tmp_path).write()
    found = made.check(**DEMO["signals"])
    assert (found.problems, found.notes) == ((), ())


FAULTS = [
    {"dropped_ticks": 0.05}, {"dropped_ticks": 0.3}, {"duplicated_ticks": 0.1},
    {"duplicated_ticks": 0.6}, {"stray_ticks": 8}, {"off_glitches": 3}, {"extra_clock_frames": 3},
    {"truncated_last_frame": True}, {"starts_within_rotation": True},
    {"ends_within_rotation": True}, {"line_clock_without_gaps": True},
    {"frame_clock_without_gaps": True}, {"missing_line_pulses": 9}, {"stimulus_rows": 1},
]  # fmt: skip


@pytest.mark.parametrize("faults", FAULTS, ids=str)
@pytest.mark.parametrize("told", [True, False])
def test_what_the_run_mends_is_no_mistake_of_the_rig(plans, tmp_path, faults, told):
    plan, cache = plans(7, 25_000, 2, "full", faults=faults)
    found = Rig(plan, tmp_path, cache).write(told=told).check()
    assert (found.problems, found.notes) == ((), ())


@pytest.mark.parametrize(
    "options",
    [
        {"focus_before": (30,), "focus_period": 0.5},
        {"focus_before": (60, 20), "focus_after": (5,), "focus_period": 0.7},
        {"lines_per_pulse": 2},
        {"unpulsed_last": 1},
        {"trigger_ms": 2.0},
        {"missing": ("line_clock",)},
        {"missing": ("frame_clock",)},
        {"inverted": ("line_clock", "frame_clock")},
        {"extra_before": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("told", [True, False])
def test_clocks_of_all_kinds_are_no_mistakes(plans, tmp_path, options, told):
    plan, _ = plans(7, 25_000, 2, "full")
    p, made = plan.parameters, Rig(plan, tmp_path, tmp_path).write(told=told)
    chosen = ClockOptions(**options)
    clocks, lines, end = clock_pulses(
        chosen,
        n_frames=plan.n_frames,
        n_lines=p.shape[0],
        frame_period=1 / p.frame_rate,
        line_period=plan.line_period,
        lead_s=p.lead_s,
    )
    shift = round((lines[0, 0] - p.lead_s) * made.rate)
    n = max(round((end + 1) * made.rate), shift + plan.analog.n_samples)
    volts = pulse_volts(
        clocks, n_samples=n, sampling_rate=made.rate, inverted=chosen.inverted,
        missing=chosen.missing,
    )  # fmt: skip

    def with_clocks(signals):
        motor = np.zeros((2, n), np.float32)
        motor[:, shift : shift + signals.shape[1]] = signals[2:]
        return np.vstack([volts["line_clock"], volts["frame_clock"], motor])

    made.change(with_clocks)
    found = made.check()
    assert (found.problems, found.notes) == ((), ())


@pytest.mark.parametrize("source", ["quadrature", "voltage", "movie"])
def test_other_sources_of_angles_give_no_word(plans, tmp_path, source):
    plan, _ = plans(7, 25_000, 2, "free")
    made = Rig(plan, tmp_path, tmp_path).write()
    n, rate, motion = plan.analog.n_samples, made.rate, plan.motor
    further = {"line_clock": plan.analog.channel("line_clock"),
               "frame_clock": plan.analog.channel("frame_clock")}  # fmt: skip
    if source == "quadrature":
        pulses = quadrature_pulses(motion, counts_per_turn=1600, duration=n / rate)
        pulses.pop("quadrature_index", None)
        further |= pulse_volts(pulses, n_samples=n, sampling_rate=rate)
    elif source == "voltage":
        further["angle_voltage"] = voltage_samples(
            motion, degrees_per_volt=36.0, sampling_rate=rate, n_samples=n
        )
    made.change(lambda _: np.stack(list(further.values())))
    found = made.check(channel_order=list(further), sections={"angles": {"source": source}})
    assert (found.problems, found.notes) == ((), ())
    if source != "movie":
        # The third and fourth channel are taken for rotation-on and ticks.
        made.change(lambda signals: np.vstack([signals, np.zeros((1, n))])[:4])
        problem = only_problem(made.check())
        assert f"angles.source: {source}" in problem


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("factor", [0.5, 2, 0.2, 5, 10, 0.001, 1000])
def test_a_wrong_sampling_rate(rig, factor, told):
    made = rig().write(told=told)
    problem = only_problem(made.check(sampling_rate=made.rate * factor))
    assert f"signals.sampling_rate: {made.rate:g}" in problem


def test_numbers_are_written_as_people_do(rig):
    made = rig().write()
    problem = only_problem(made.check(sampling_rate=1000 * made.rate))
    assert ": 1000 times as fast" in problem
    assert "e+0" not in problem


@pytest.mark.parametrize("factor", [0.5, 2, 0.2, 5, 10, 0.001, 1000])
@pytest.mark.parametrize("protocol", ["incremental", "free"])
def test_a_wrong_sampling_rate_without_a_table(rig, factor, protocol):
    made = rig(protocol).write()
    found = made.check(sampling_rate=made.rate * factor, sections=STEPS)
    assert f"signals.sampling_rate: {made.rate:g}" in only_problem(found)


@pytest.mark.parametrize("protocol", ["full", "incremental"])
def test_a_frame_rate_that_only_the_user_knows_is_compared(rig, protocol):
    made = rig(protocol).write(told=False)
    known = {**STEPS, "scan": {"frame_rate": made.plan.parameters.frame_rate}}
    assert made.check(sections=known).problems == ()
    problem = only_problem(made.check(sampling_rate=2 * made.rate, sections=known))
    assert "but scan.frame_rate says" in problem
    assert f"Write signals.sampling_rate: {made.rate:g}" in problem


@pytest.mark.parametrize("protocol", ["full", "incremental", "free"])
@pytest.mark.parametrize("told", [True, False])
def test_a_rate_that_nothing_proves_is_said(rig, protocol, told):
    made = rig(protocol).write(told=told)
    remarks = made.check(sections=STEPS).remarks
    # The table's speeds prove it, too.
    unproved = not told and protocol != "full"
    said = f"by signals.sampling_rate {made.rate:g} it is {made.plan.parameters.frame_rate:g}. "
    assert any(said in remark for remark in remarks) is unproved
    assert any("scan.frame_rate" in remark for remark in remarks) is unproved


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("factor", [1.05, 0.93, 1.1])
def test_a_sampling_rate_that_is_a_little_off_is_worth_a_look(rig, told, factor):
    made = rig().write(told=told)
    found = made.check(sampling_rate=factor * made.rate)
    assert found.problems == ()
    (note,) = found.notes
    assert "signals.sampling_rate is" in note
    implied = float(note.split("signals.sampling_rate is ")[-1])
    assert implied == pytest.approx(made.rate, rel=0.01)


def stated(made, kind):
    """Write the signals into a file that says its sampling rate itself."""
    made.signals = made.folder / f"stated.{'h5' if kind in ('wavesurfer', 'nwb') else kind}"
    volts, rate = np.stack([made.plan.analog.channel(role) for role in ORDER]), made.rate
    if kind == "csv":
        table = np.column_stack([np.arange(volts.shape[1]) / rate * 1e3, volts.T])
        names = ",".join(["Time(ms)", *ORDER])
        np.savetxt(made.signals, table, delimiter=",", header=names, comments="", fmt="%.6g")
    elif kind == "tdms":
        nptdms = pytest.importorskip("nptdms")
        with nptdms.TdmsWriter(made.signals) as writer:
            writer.write_segment([
                nptdms.ChannelObject("daq", name, row, properties={"wf_increment": 1 / rate})
                for name, row in zip(ORDER, volts, strict=True)
            ])  # fmt: skip
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(made.signals, "w") as file:
            if kind == "wavesurfer":
                file["header/AcquisitionSampleRate"] = [[rate]]
                file["header/AIChannelNames"] = [name.encode() for name in ORDER]
                file["header/AIChannelScales"] = np.ones(4)
                file["sweep_0001/analogScans"] = volts
            else:
                file["acquisition/daq/data"] = volts
                file["acquisition/daq/starting_time"] = 0.0
                file["acquisition/daq/starting_time"].attrs["rate"] = rate
    return made


@pytest.mark.parametrize("kind", ["wavesurfer", "tdms", "csv", "nwb"])
def test_a_signals_file_may_say_its_sampling_rate(plans, tmp_path, kind):
    plan, cache = plans(2, 10_000, 1, "incremental")
    made = stated(Rig(plan, tmp_path, cache).write(told=False), kind)
    dataset = {"dataset": "acquisition/daq/data"} if kind == "nwb" else {}
    for right in (None, made.rate):
        found = made.check(sections=STEPS, sampling_rate=right, **dataset)
        assert (found.problems, found.notes) == ((), ())
        assert not any("sampling_rate" in remark for remark in found.remarks)
        assert found.signals_s == pytest.approx(plan.analog.n_samples / made.rate)
    for factor in (2, 1.05, 0.1):
        found = made.check(sections=STEPS, sampling_rate=factor * made.rate, **dataset)
        assert only_problem(found) == (
            f"signals.sampling_rate is {factor * 10_000:g}, but the signals' file says 10000. "
            "Write signals.sampling_rate: 10000, or null to take what each file says"
        )


def test_a_movie_of_another_rate_than_the_signals_prove_is_worth_a_look(plans, tmp_path):
    plan, cache = plans(7, 25_000, 2, "full")
    made = stated(Rig(plan, tmp_path, cache).write(), "wavesurfer")
    found = made.check(sections={"scan": {"frame_rate": 3.5}})
    assert found.problems == ()
    (note,) = found.notes
    assert "but scan.frame_rate says 3.5. The signals' file says the sampling rate itself" in note


def test_six_channels_read_as_four(rig):
    problem = only_problem(rig().write(kind="bin").check())
    assert "signals.channel_order" in problem
    assert "6 channels" in problem


def cut(made, n_bytes):
    """Copy the signals without their last bytes."""
    whole = made.signals.read_bytes()
    made.signals = made.folder / "signals.bin"
    made.signals.write_bytes(whole[: len(whole) - n_bytes])
    return made


def test_six_channels_read_as_four_in_a_file_that_does_not_divide(rig):
    made = rig().write(kind="bin")
    # One or no sample less, so that its bytes are no multiple of those of four channels.
    made = cut(made, 12 if made.signals.stat().st_size % 8 == 0 else 0)
    problem = only_problem(made.check())
    assert problem.startswith("signals.channel_order names 4 channels")
    assert "but the file looks like one of 6: " in problem.split(". ")[0]


@pytest.mark.parametrize("n_bytes", [1, 2, 11])
def test_a_file_that_is_cut_in_a_sample(rig, n_bytes):
    made = cut(rig().write(kind="bin"), n_bytes)
    problem = only_problem(made.check(channel_order=list(BIN_CHANNELS)))
    assert "is cut in the middle of a sample" in problem
    assert f"{12 - n_bytes} bytes are left over" in problem
    assert "signals.channel_order" not in problem


@pytest.mark.parametrize("dtype", ["uint16", "int32", ">i2", "int8"])
def test_a_wrong_type_of_integers(rig, dtype):
    made = rig().write(kind="bin")
    found = made.check(channel_order=list(BIN_CHANNELS), bin={"dtype": dtype})
    problem = only_problem(found)
    assert "signals.bin" in problem
    assert "int16" in problem


@pytest.mark.parametrize("increment", [0.1, 0.4, 0.02, 1.0, 2.0])
@pytest.mark.parametrize("kind", ["full", "incremental"])
def test_a_wrong_increment(rig, increment, kind):
    found = rig(kind).write().check(rotation_increment=increment, sections=STEPS)
    assert "signals.rotation_increment: 0.2" in only_problem(found)


@pytest.mark.parametrize("per_step", [True, False])
@pytest.mark.parametrize("size", [10, 40])
def test_a_wrong_size_of_the_steps(rig, per_step, size):
    made = rig("incremental", rotation_on_per_step=per_step).write()
    problem = only_problem(made.check(sections={"angles": {"degrees_per_step": size}}))
    assert problem.startswith(f"Write angles.degrees_per_step: 20, not {size}")
    assert "signals.rotation_increment:" not in problem


def test_a_wrong_turn_of_steps_that_are_right(rig):
    found = rig("incremental").write().check(degrees_per_rotation=180, sections=STEPS)
    assert "Write signals.degrees_per_rotation: 360" in only_problem(found)
    assert "signals.rotation_increment:" not in only_problem(found)


def test_half_turns_are_no_wrong_increment(rig):
    made = rig(degrees_per_rotation=180.0).write()
    problem = only_problem(made.check())
    assert "signals.degrees_per_rotation: 180" in problem
    assert made.check(degrees_per_rotation=180).problems == ()


@pytest.mark.parametrize("per_step", [True, False])
def test_an_incremental_session_called_full(rig, per_step):
    found = rig("incremental", rotation_on_per_step=per_step).write().check(protocol="full")
    assert "incremental in the column protocol" in found.problems[0]


def test_a_full_session_called_incremental(rig):
    assert "full in the column protocol" in only_problem(
        rig().write().check(protocol="incremental")
    )


@pytest.mark.parametrize("protocol", ["full", "incremental"])
def test_a_free_session_called_otherwise(rig, protocol):
    problem = only_problem(rig("free").write().check(protocol=protocol, sections=STEPS))
    assert "free in the column protocol" in problem


@pytest.mark.parametrize(
    "order",
    [
        ["line_clock", "frame_clock", "rotation_ticks", "rotation_on"],
        ["rotation_ticks", "frame_clock", "rotation_on", "line_clock"],
        ["line_clock", "rotation_on", "frame_clock", "rotation_ticks"],
        ["rotation_on", "rotation_ticks", "line_clock", "frame_clock"],
        ["frame_clock", "rotation_on", "rotation_ticks", "line_clock"],
    ],
)
def test_exchanged_channels(rig, order):
    problem = only_problem(rig().write().check(channel_order=order))
    assert f"signals.channel_order: [{', '.join(ORDER)}]" in problem


def test_exchanged_clocks_are_used_the_other_way_round(rig):
    order = ["frame_clock", "line_clock", *ORDER[2:]]
    made = rig().write()
    found = made.check(channel_order=order)
    assert found.problems == ()
    (note,) = found.notes
    assert f"signals.channel_order: [{', '.join(ORDER)}]" in note
    found = made.check(channel_order=order, recognize_clocks=False)
    assert f"signals.channel_order: [{', '.join(ORDER)}]" in only_problem(found)


@pytest.mark.parametrize("told", [True, False])
def test_signals_that_are_too_short(rig, told):
    made = rig().write(told=told)
    made.change(lambda signals: signals[:, : int(0.6 * signals.shape[1])])
    problem = only_problem(made.check())
    assert "are too short" in problem
    assert ". The recording of the signals was stopped early" in problem
    assert "signals.sampling_rate" not in problem


def test_a_table_with_fewer_rows_than_rotations(rig):
    made = rig().write()
    n = len(made.plan.stimulus)
    lines = made.stimulus.read_text().splitlines()
    made.stimulus = made.folder / "short.csv"
    made.stimulus.write_text("\n".join(lines[:-1]) + "\n")
    found = made.check()
    said = f"{n} rotations of 1800 ticks were seen, but the stimulus table has {n - 1} rows"
    assert any(said in note for note in found.notes)
    assert found.problems == ()


def test_a_clock_that_counts_many_more_frames_than_the_movie_has(rig):
    made = rig().write()
    n = made.plan.n_frames
    made.movie = made.folder / "short.tif"
    about = {"axes": "TYX", "finterval": 1 / made.plan.parameters.frame_rate}
    shape = (int(0.7 * n), *made.plan.parameters.shape)
    tifffile.imwrite(made.movie, np.zeros(shape, np.uint8), imagej=True, metadata=about)
    said = f"frames without a pause, but the movie has {shape[0]}"
    found = made.check()
    assert found.problems == ()
    assert any(said in note for note in found.notes)
    assert not any(said in note for note in made.check(frames="first").notes)


@pytest.mark.parametrize("factor", [2, 0.5])
def test_another_number_of_lines_than_rows(rig, factor):
    made = rig()
    if made.plan.parameters.frame_rate == 30 and made.rate == 10_000:
        pytest.skip("the lines of this clock melt into each other")
    height = made.plan.shape[1]
    # Half as many rows; and more than twice as many, since of a period clock there are twice.
    rows = height // 2 if factor < 1 else 3 * height
    (problem,) = made.write(rows=rows).check().problems
    assert f"counts {height} lines per frame" in problem
    assert "scan." in problem if factor < 1 else "signals.channel_order" in problem


SCANNED = {
    "shape": (64, 64),
    "frame_rate": 7,
    "sampling_rate": 20_000,
    "stimulus": ((150, 1),),
    "rest_before_s": 2.5,
    "photons_per_pixel": 40,
    "n_cells": 40,
    "calcium": False,
}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("phase", [0.0, 1.5])
def test_the_directions_of_the_scan_are_not_stated(tmp_path, seed, phase):
    files = simulate_session(
        tmp_path, **SCANNED, seed=seed, bidirectional=phase != 0, bidi_phase=phase
    )
    made = Rig(plan_recording(**SCANNED, seed=seed), tmp_path, tmp_path)
    made.movie, made.signals, made.stimulus = (
        files[name] for name in ("movie", "signals", "stimulus")
    )
    found = made.check()
    assert found.problems == ()
    if phase:
        (note,) = found.notes
        assert "scan.bidirectional: true" in note
        assert "+1." in note
    else:
        (remark,) = found.remarks
        assert "scan.bidirectional" in remark
        assert "odd lines lie where even ones do" in remark
    both = made.check(sections={"scan": {"bidirectional": True}})
    assert (both.notes, both.remarks) == ((), ())
    one = made.check(sections={"scan": {"bidirectional": False}})
    assert one.remarks == ()
    said = "but scan.bidirectional says in one. Write scan.bidirectional: true"
    assert [said in note for note in one.notes] == ([True] if phase else [])


PLANS = {
    "full": {"stimulus": ((60, 1), (200, -1)), "rest_between_s": 3},
    "early": {"stimulus": ((200, -1), (60, 1)), "rest_between_s": 3},
    "late": {"stimulus": ((200, -1), (60, 1)), "rest_between_s": 3, "rest_before_s": 5},
    "still": {"stimulus": ((100, 1),), "rest_before_s": 8},
    "incremental": {"protocol": "incremental", "degrees_per_step": 60, "step_rest_s": 1},
}


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """Sessions of several plans, with pictures; made when first asked for."""
    made = {}

    def session(name, photons=40, seed=1):
        if (name, photons, seed) not in made:
            folder = tmp_path_factory.mktemp(name)
            plan = {**SCANNED, "photons_per_pixel": photons, **PLANS[name], "seed": seed}
            made[name, photons, seed] = plan, simulate_session(folder, **plan), folder
        plan, files, folder = made[name, photons, seed]
        rig = Rig(plan_recording(**plan), folder, folder)
        rig.movie, rig.signals = files["movie"], files["signals"]
        rig.stimulus = files.get("stimulus", folder)
        return rig

    return session


SIXTY = {"angles": {"degrees_per_step": 60}, "scan": {"bidirectional": False}}


@pytest.mark.parametrize("photons", [0.3, 2, 40])
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", PLANS)
def test_a_movie_that_turns_with_the_motor_gives_no_word(scanned, name, photons, seed):
    found = scanned(name, photons, seed).check(sections=SIXTY)
    assert (found.problems, found.notes) == ((), ())


def test_the_movie_is_opened_once(scanned, monkeypatch):
    """To go through the pages of a long movie takes seconds."""
    opened, open_movie = [], movie.open_movie

    def noted(path, **options):
        opened.append(path)
        return open_movie(path, **options)

    monkeypatch.setattr(movie, "open_movie", noted)
    made = scanned("full")
    found = made.check(sections={"angles": SIXTY["angles"]})
    # The phase of the scan was looked at, and whether the movie turns with the motor.
    assert found.problems == ()
    assert "odd lines lie where even ones do" in found.remarks[0]
    assert opened == [str(made.movie)]


@pytest.mark.parametrize("n", [2, 6, 12])
def test_a_movie_cut_off_before_anything_turns_is_a_note(scanned, tmp_path, n):
    """It is used as far as it reaches; nothing is read beyond."""
    made = scanned("full")
    with tifffile.TiffFile(made.movie) as file:
        frames = file.asarray()
    whole = tmp_path / "movie.tif"
    tifffile.imwrite(whole, frames, photometric="minisblack")
    with tifffile.TiffFile(whole) as file:
        begins = file.pages[0].dataoffsets[0]  # of all frames, one after the other
    whole.write_bytes(whole.read_bytes()[: begins + n * frames[0].nbytes + 100])
    made.movie = whole
    found = made.check(sections={"angles": SIXTY["angles"]})
    assert found.problems == ()
    assert found.shape[0] == n
    assert "is cut off" in found.notes[0]


def _first_frames(rig, n):
    """Write a movie of the first frames, or of the last one again and again."""
    with tifffile.TiffFile(rig.movie) as file:
        frames = file.asarray()
    return frames[np.minimum(np.arange(n), len(frames) - 1)]


@pytest.mark.parametrize("photons", [2, 40])
@pytest.mark.parametrize(
    ("name", "other"),
    [("full", "late"), ("late", "early"), ("full", "still"), ("early", "full"), ("full", "early"),
     ("incremental", "still"), ("incremental", "full"), ("full", "incremental")],
)  # fmt: skip
def test_a_movie_of_another_recording_of_that_length(scanned, tmp_path, name, other, photons):
    made = scanned(name, photons)
    about = {"axes": "TYX", "finterval": 1 / made.plan.parameters.frame_rate}
    frames = _first_frames(scanned(other, photons, seed=2), made.plan.n_frames)
    made.movie = tmp_path / "other.tif"
    tifffile.imwrite(made.movie, frames, imagej=True, metadata=about)
    found = made.check(sections=SIXTY)
    assert found.problems == ()
    assert len(found.notes) == 1
    assert "is the movie of this recording" in found.notes[0]


def test_what_is_taken_for_granted_stands_once_for_all_sessions(rig):
    made = rig().write()
    made.check()
    sheet = made.folder / "sheet.tsv"
    header, row = sheet.read_text().splitlines()
    sheet.write_text("\n".join([header, *(f"s{k}{row[3:]}" for k in range(6))]) + "\n")
    config = {"sessions": str(sheet), "signals": {"sampling_rate": made.rate}}
    table = format_table(check_cohort(load_cohort(config)))
    (line,) = [line for line in table.splitlines() if "scan.bidirectional" in line]
    assert line.startswith("  s0, s1, s2, s3 and 2 more: ")


@pytest.mark.parametrize("kind", ["csv", "h5"])
def test_files_that_name_their_channels(plans, tmp_path, kind):
    pytest.importorskip("h5py")
    plan, _ = plans(2, 10_000, 1, "full")
    made = Rig(plan, tmp_path, tmp_path).write()
    made.signals = tmp_path / f"named.{kind}"
    names = ["line_clock", "frame_clock", "motor_on", "motor_ticks"]
    analog = plan.analog
    write_signals_as(made.signals, kind, names, analog.blocks(), analog.n_samples, made.rate)
    right = {"rotation_on": "motor_on", "rotation_ticks": "motor_ticks"}
    found = made.check(channel_names=right)
    assert (found.problems, found.notes) == ((), ())
    wrong = {"rotation_on": "motor_ticks", "rotation_ticks": "motor_on"}
    problem = only_problem(made.check(channel_names=wrong))
    assert "signals.channel_names: {" in problem
    assert "rotation_on: motor_on, rotation_ticks: motor_ticks" in problem
