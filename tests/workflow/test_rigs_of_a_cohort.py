"""Four rigs in one cohort, each with its own files and the example of its kind in config/rigs."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from tiny_cohort import ROOT, TINY, Cohort, simulated_row

from derotation.calibration.calibration import Calibration
from derotation.cohort.check import check_cohort
from derotation.cohort.cohort import load_cohort
from derotation.settings.yaml_files import merge_files
from derotation.signals.angles import Angles
from derotation.simulate import Sinusoid, simulate_recording
from derotation.simulate.formats import MoviePlan, write_movie, write_signals_as
from derotation.simulate.rig_signals import pulse_volts, quadrature_pulses, voltage_samples
from made_once import made_once

RIGS = {
    "stepper": "stepper_ticks", "headpost": "headpost_quadrature",
    "potentiometer": "potentiometer_voltage", "prairie": "prairie_table",
}  # fmt: skip
COLUMNS = ("session", "protocol", "movie", "signals", "stimulus", "calibration", "angles", "rig")
MOTION = Sinusoid(amplitude=45, frequency=0.4)
SHAPE = (32, 40)
# Known to a part of a line's time, and of what turns within it.
CLOSE_DEGREES = 0.5


def recording(sampling_rate):
    return simulate_recording(
        protocol="free", motion=MOTION, n_frames=25, shape=SHAPE, frame_rate=10, n_cells=8,
        sampling_rate=sampling_rate, calcium=False, lead_s=0.2, tail_s=0.2,
    )  # fmt: skip


def settings_of(rig):
    return yaml.safe_load((ROOT / f"config/rigs/{RIGS[rig]}.yaml").read_text())


def write_tif(folder, made):
    tifffile.imwrite(folder / "movie.tif", made.movie, photometric="minisblack")


def write_channels(path, kind, channels, made):
    volts = np.stack(list(channels.values()))
    names = tuple(channels)
    write_signals_as(path, kind, names, [(0, volts)], volts.shape[1], made.sampling_rate)


def headpost(folder):
    """Write a movie, and WaveSurfer's file with both clocks and an encoder."""
    given = settings_of("headpost")
    made = recording(given["signals"]["sampling_rate"])
    analog = made.plan.analog
    pulses = quadrature_pulses(
        MOTION,
        counts_per_turn=given["angles"]["quadrature"]["counts_per_turn"],
        duration=analog.n_samples / made.sampling_rate,
    )
    volts = {role: analog.channel(role) for role in ("line_clock", "frame_clock")}
    volts |= pulse_volts(pulses, n_samples=analog.n_samples, sampling_rate=made.sampling_rate)
    names = given["signals"]["channel_names"]
    channels = {names[role]: samples for role, samples in volts.items()}
    write_tif(folder, made)
    write_channels(folder / "signals.h5", "wavesurfer", channels, made)
    return made


def potentiometer(folder):
    """Write a movie, and a .tdms with the frame clock and a voltage."""
    given = settings_of("potentiometer")
    made = recording(given["signals"]["sampling_rate"])
    analog = made.plan.analog
    position = voltage_samples(
        MOTION,
        degrees_per_volt=given["angles"]["voltage"]["degrees_per_volt"],
        range_v=None,
        sampling_rate=made.sampling_rate,
        n_samples=analog.n_samples,
    )
    channels = {"Frames": analog.channel("frame_clock"), "Position": position}
    write_tif(folder, made)
    write_channels(folder / "signals.tdms", "tdms", channels, made)
    return made


def prairie(folder):
    """Write a folder with two channels, of which the first is dark, and an angle per line."""
    made = recording(10_000)
    n_frames, *shape = made.movie.shape
    about = MoviePlan(
        n_times=n_frames, shape=tuple(shape), n_channels=2, frame_rate=10,
        line_period_s=made.plan.line_period,
    )  # fmt: skip
    movie = made.movie.astype(np.uint16)
    volumes = (np.stack([np.zeros_like(frame), frame])[None] for frame in movie)
    write_movie(folder / "movie", "prairie", volumes, about)
    np.save(folder / "angles.npy", made.line_angles)
    return made


@pytest.fixture(scope="module")
def four(tmp_path_factory, library):
    """Four sessions of four rigs, run to the end, with the true angles of the lines of three."""
    return made_once(tmp_path_factory, "rigs", lambda folder: run_four(folder, library))


def run_four(folder, library):
    cohort = Cohort(folder, library, columns=COLUMNS)
    cohort.folder.mkdir()
    true_angles = {}
    for name, write in (("h", headpost), ("p", potentiometer), ("t", prairie)):
        (cohort.folder / "raw" / name).mkdir(parents=True)
        true_angles[name] = write(cohort.folder / "raw" / name).line_angles
    center = ((SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2)
    Calibration(center=center, image_shape=SHAPE, method="fixed").save(
        cohort.folder / "raw/calibration.json"
    )
    # Two rigs in files of their own beside the configuration, two in it.
    (cohort.folder / "rigs").mkdir()
    for rig in ("stepper", "headpost"):
        shutil.copy(ROOT / f"config/rigs/{RIGS[rig]}.yaml", cohort.folder / f"rigs/{rig}.yaml")
    cohort.config = {
        "sessions": "sessions.tsv",
        "center": {"n_frames": 20},
        "rigs": {
            "stepper": "rigs/stepper.yaml", "headpost": "rigs/headpost.yaml",
            "potentiometer": settings_of("potentiometer"), "prairie": settings_of("prairie"),
        },
        "report": {"animation": False},
        "simulate": {"s": TINY | {"sampling_rate": 50_000, "stimulus": [[150, 1], [150, -1]]}},
    }  # fmt: skip
    by = "raw/calibration.json"
    cohort.rows = [
        (*simulated_row("s"), "", "stepper"),
        ("h", "free", "raw/h/movie.tif", "raw/h/signals.h5", "", by, "", "headpost"),
        ("p", "free", "raw/p/movie.tif", "raw/p/signals.tdms", "", by, "", "potentiometer"),
        ("t", "free", "raw/t/movie", "", "", by, "raw/t/angles.npy", "prairie"),
    ]
    result = cohort.run()
    assert result.returncode == 0, result.stdout
    return cohort, true_angles


@pytest.fixture
def changed(four, tmp_path):
    """A copy of the finished cohort, to be changed."""
    return four[0].copied(tmp_path / "cohort")


def test_four_rigs_in_one_run_get_the_angles_that_their_samples_had(four):
    cohort, true_angles = four
    results = cohort.folder / "results"
    for name, line_angles in true_angles.items():
        angles = Angles.load(results / name / "angles.npz")
        true = line_angles - line_angles[0].mean()
        assert np.std(angles.line_angles - true) < CLOSE_DEGREES, name
    truth = np.load(cohort.folder / "data/s/truth.npz")["line_angles"]
    found = Angles.load(results / "s/angles.npz").line_angles
    assert np.nanmax(np.abs(found - truth)) < CLOSE_DEGREES
    # Of two channels, the one that the rig names.
    assert tifffile.imread(results / "t/images/raw_mean.tif").mean() > 1
    # The other one stands still beside it, in this session only.
    channels = [path.relative_to(results) for path in results.glob("*/channels/*.tif")]
    assert channels == [Path("t/channels/derotated_ch1.tif")]
    assert (results / "t/suite2p/plane0/data_chan2.bin").exists()
    assert not (results / "h/suite2p/plane0/data_chan2.bin").exists()
    table = (results / "cohort.tsv").read_text().splitlines()
    column = table[0].split("\t").index("rig")
    assert [line.split("\t")[column] for line in table[1:]] == list(RIGS)
    # The record of the run holds the rigs themselves, wherever they stood.
    record = yaml.safe_load((results / "run/config.yaml").read_text())
    assert record["rigs"]["headpost"]["angles"]["quadrature"] == {"counts_per_turn": 4000}


def test_the_check_opens_the_files_of_all_rigs(four, monkeypatch):
    monkeypatch.chdir(four[0].folder)
    files = [Path("config.yaml")]
    found = check_cohort(load_cohort(merge_files(files), files=files))
    assert found.all_problems == []
    assert [one.rig for one in found.sessions] == list(RIGS)
    durations = [one.signals_s for one in found.sessions]
    # The first one is simulated by the workflow, the last one has no signals.
    assert durations[0] is durations[3] is None
    assert durations[1:3] == pytest.approx([2.9, 2.9], abs=0.1)
    assert found.sessions[3].channels == "channel 2 of 2"


def test_nothing_is_run_again_without_a_change(changed):
    assert changed.pending() == set()
    # Whether a rig stands in the configuration or in a file makes no difference.
    text = yaml.safe_dump(changed.config["rigs"]["prairie"])
    (changed.folder / "rigs/prairie.yaml").write_text(text)
    changed.config["rigs"]["prairie"] = "rigs/prairie.yaml"
    assert changed.pending() == set()


def in_the_configuration(rig, section, **keys):
    def change(cohort):
        rig_section = cohort.config["rigs"][rig].setdefault(section, {})
        rig_section.update(keys)

    return change


def in_its_file(rig, section, **keys):
    def change(cohort):
        file = cohort.folder / f"rigs/{rig}.yaml"
        content = yaml.safe_load(file.read_text())
        content.setdefault(section, {}).update(keys)
        file.write_text(yaml.safe_dump(content))

    return change


def in_the_cohorts_section(cohort):
    # All rigs but the stepper leave this key out.
    cohort.config["signals"] = {"degrees_per_rotation": 180}


FIRST = ("parse_signals", "interpolate_angles", "derotate_movie", "measure_quality")


@pytest.mark.parametrize(
    ("change", "sessions", "first"),
    [
        (in_the_configuration("potentiometer", "signals", max_off_glitch_ms=5), "p", FIRST[0]),
        (in_the_configuration("prairie", "movie", channel=1), "t", FIRST[0]),
        (in_the_configuration("prairie", "movie", frames_per_chunk=3), "", None),
        (in_the_configuration("prairie", "movie", channels=[1, 2]), "t", FIRST[2]),
        (in_its_file("headpost", "angles", direction_sign=-1), "h", FIRST[1]),
        (in_its_file("stepper", "scan", bidirectional=True), "s", FIRST[1]),
        (in_its_file("stepper", "signals", rotation_increment=0.2), "", None),
        (in_the_cohorts_section, "hpt", FIRST[0]),
    ],
)
def test_a_change_in_a_rig_runs_its_sessions_only(changed, change, sessions, first):
    change(changed)
    pending = changed.pending()
    assert {session for session, _ in pending} == set(sessions)
    expected = FIRST[FIRST.index(first) :] if first else ()
    assert {step for _, step in pending if step in FIRST} == set(expected)


def test_another_rig_for_a_session_runs_that_session(changed):
    changed.config["rigs"]["other"] = changed.config["rigs"]["potentiometer"] | {
        "angles": {"source": "voltage", "voltage": {"degrees_per_volt": 40}}
    }
    changed.rows[2] = (*changed.rows[2][:-1], "other")
    assert {session for session, _ in changed.pending()} == {"p"}
    # The same wiring under another name is no change.
    changed.config["rigs"]["other"] = changed.config["rigs"]["potentiometer"]
    assert changed.pending() == set()
