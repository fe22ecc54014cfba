"""The mistakes of a new rig: each is named by the check, with its key, and good sessions by none.

Signals are simulated, movies are empty frames of the right number and size.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml

from derotation.cohort.check import check_cohort, format_table
from derotation.cohort.cohort import load_cohort
from derotation.simulate import simulate_session
from derotation.simulate.formats import write_signals_as
from derotation.simulate.plan import RecordingPlan
from derotation.simulate.recording import plan_recording
from derotation.simulate.rig_signals import (
    ClockOptions,
    clock_pulses,
    pulse_volts,
    quadrature_pulses,
    voltage_samples,
)
from derotation.simulate.signals import BIN_CHANNELS, NPY_CHANNELS, write_signals

# Frames per second, samples per second, seed.
RIGS = [(2, 10_000, 1), (7, 25_000, 2), (30, 50_000, 4), (30, 10_000, 5)]
SPEEDS = (50.0, 100.0, 150.0, 200.0)
ORDER = list(NPY_CHANNELS)


@dataclass
class Rig:
    """A simulated recording without its picture, and its files in a folder."""

    plan: RecordingPlan
    folder: Path
    cache: Path

    @property
    def rate(self) -> float:
        return self.plan.parameters.sampling_rate

    def write(self, *, kind="npy", told=True, rows=None):
        """Write the files; whether the movie's file tells the frame rate, and how many rows."""
        p = self.plan.parameters
        self.movie = self.cache / f"movie_{told}_{rows}.tif"
        self.signals = self.cache / f"signals.{kind}"
        self.stimulus = self.cache / "stimulus.csv"
        shape = (self.plan.n_frames, rows or p.shape[0], p.shape[1])
        about = {"axes": "TYX"} | ({"finterval": 1 / p.frame_rate} if told else {})
        if not self.movie.exists():
            tifffile.imwrite(self.movie, np.zeros(shape, np.uint8), imagej=True, metadata=about)
        if not self.signals.exists():
            write_signals(self.signals, self.plan.analog, kind)
        table = self.plan.stimulus if p.protocol == "full" else [(100, 1)]
        lines = [f"{speed:g},{direction:g}" for speed, direction in table]
        self.stimulus.write_text("speed,direction\n" + "\n".join(lines) + "\n")
        return self

    def change(self, change):
        """Change the signals' matrix (4, n)."""
        changed = change(np.load(self.signals))
        self.signals = self.folder / "signals.npy"
        np.save(self.signals, changed)

    def check(self, *, protocol=None, sections=None, **signals: Any):
        protocol = protocol or self.plan.parameters.protocol
        cells = [self.movie, self.signals, self.stimulus if protocol == "full" else ""]
        sheet = self.folder / "sheet.tsv"
        sheet.write_text("session\tprotocol\tmovie\tsignals\tstimulus\n"
                         + "\t".join(map(str, ["one", protocol, *cells])) + "\n")  # fmt: skip
        config = {
            "sessions": str(sheet),
            "signals": {"sampling_rate": self.rate, **signals},
            **(sections or {}),
        }
        (found,) = check_cohort(load_cohort(config)).sessions
        return found


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """Plans and folders by rates, seed and protocol, made when first asked for."""
    made: dict[Any, tuple[RecordingPlan, Path]] = {}

    def plan(frame_rate, rate, seed, protocol, **more):
        key = (frame_rate, rate, seed, protocol, *map(str, more.items()))
        if key not in made:
            rng = np.random.default_rng(seed)
            if protocol == "free":
                motion = {"sinusoid": {"amplitude": 200, "frequency": 0.05}}
                more = {"motion": motion, "n_frames": 20 * frame_rate, **more}
            elif protocol == "incremental":
                more = {"degrees_per_step": 20, "step_rest_s": 0.8, **more}
            planned = plan_recording(
                protocol=protocol,
                shape=(64, 32) if frame_rate < 20 else (48, 32),
                frame_rate=frame_rate,
                sampling_rate=rate,
                stimulus=[(speed, rng.choice([-1, 1])) for speed in rng.permutation(SPEEDS)[:3]],
                rest_before_s=3,
                acceleration=600,
                signal_noise_v=float(rng.choice([0, 0.05])),
                n_cells=2,
                calcium=False,
                seed=seed,
                **more,
            )
            made[key] = planned, tmp_path_factory.mktemp("files")
        return made[key]

    return plan


@pytest.fixture(params=RIGS, ids=lambda rig: f"{rig[0]}Hz-{rig[1]}")
def rig(request, plans, tmp_path):
    """Make a rig with a protocol."""

    def make(protocol="full", **more):
        plan, cache = plans(*request.param, protocol, **more)
        return Rig(plan, tmp_path, cache)

    return make


STEPS = {"angles": {"degrees_per_step": 20}}


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
    for stated in (True, False):
        said = made.check(sections={"scan": {"bidirectional": stated}})
        assert said.remarks == ()
        if phase and not stated:
            (note,) = said.notes
            assert "scan.bidirectional says in one. Write scan.bidirectional: true" in note
        else:
            assert said.notes == ()


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
