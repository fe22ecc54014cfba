"""Both pipelines, run on simulated sessions of which everything is known."""

import copy
import csv
import logging
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl
import tifffile
import yaml

from derotation.analysis import pipeline_keys
from derotation.analysis.full_derotation_pipeline import FullPipeline
from derotation.analysis.incremental_derotation_pipeline import IncrementalPipeline
from derotation.analysis.pipeline_keys import in_keys_here
from derotation.analysis.run_log import run_log
from derotation.calibration import Calibration
from derotation.errors import CenterError, ConfigError, SignalError
from derotation.settings.defaults import section as defaults
from derotation.settings.schema import config_schema
from derotation.simulate import simulate_session
from derotation.steps import inputs

SHAPE = (48, 56)
SESSION = {
    "shape": SHAPE,
    "frame_rate": 10,
    "sampling_rate": 10_000,
    "n_cells": 30,
    "photons_per_pixel": 300,
    "calcium": False,
    "center_offset": (2.5, -1.5),
    "rest_before_s": 1,
    "rest_after_s": 0.5,
}
FULL = {"stimulus": [(100, 1), (150, -1)], "rest_between_s": 0.5}
INCREMENTAL = {
    "protocol": "incremental",
    "degrees_per_step": 30,
    "step_rest_s": 0.35,
    "step_speed": 90,
}
LAB_NAMES = [
    "camera",
    "scanimage_frameclock",
    "scanimage_lineclock",
    "photodiode2",
    "PI_rotON",
    "PI_rotticks",
]


@pytest.fixture(scope="module")
def full_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    return simulate_session(folder, signals_format="bin", **SESSION, **FULL)


@pytest.fixture(scope="module")
def incremental_files(tmp_path_factory):
    return simulate_session(tmp_path_factory.mktemp("incremental"), **SESSION, **INCREMENTAL)


def lab_config(files, folder, **changes):
    """Build a configuration as labs have it, with all of its keys."""
    config = {
        "paths_read": {
            "path_to_randperm": str(files.get("stimulus", "")),
            "path_to_aux": str(files["signals"]),
            "path_to_tif": str(files["movie"]),
        },
        "paths_write": {
            "debug_plots_folder": str(folder / "plots"),
            "logs_folder": str(folder / "logs"),
            "derotated_tiff_folder": str(folder / "out"),
            "saving_name": "derotated",
        },
        "channel_names": LAB_NAMES,
        "rotation_increment": 0.2,
        "adjust_increment": True,
        "rot_deg": 360,
        "debugging_plots": False,
        "motion_correction": {"correct": "auto"},
        "frame_rate": 10,
        "analog_signals_processing": {
            "find_rotation_ticks_peaks": {"height": 2.5, "distance": 20},
            "squared_pulse_k": 0,
            "inter_rotation_interval_min_len": 1000,
            "angle_interpolation_artifact_threshold": 0.15,
        },
        "interpolation": {"line_use_start": True, "frame_use_start": True},
        "biased_center": [28, 22],
        "delta_center": 10,
        "init_points": 2,
        "n_iter": 10,
    }
    return {**copy.deepcopy(config), **changes}


def incremental_config(files, folder, **changes):
    return lab_config(files, folder, degrees_per_step=30, **changes)


@pytest.fixture(scope="module")
def full_run(full_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("full_run")
    pipeline = FullPipeline(lab_config(full_files, folder, debugging_plots=True), threads=1)
    pipeline()
    return pipeline, folder


@pytest.fixture(scope="module")
def incremental_run(incremental_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("incremental_run")
    pipeline = IncrementalPipeline(incremental_config(incremental_files, folder), threads=1)
    pipeline()
    return pipeline, folder


def truth_of(files):
    with np.load(files["truth"]) as archive:
        return dict(archive)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def rows_of(table):
    with table.open(newline="") as stream:
        return list(csv.DictReader(stream))


def correlations(frames, rest, center):
    """Correlate each frame with the sample at rest, where every frame saw it."""
    y, x = np.mgrid[: rest.shape[0], : rest.shape[1]]
    height, width = rest.shape
    radius = min(center[0], center[1], width - 1 - center[0], height - 1 - center[1]) - 2
    inside = np.hypot(x - center[0], y - center[1]) < radius
    return np.array([np.corrcoef(frame[inside], rest[inside])[0, 1] for frame in frames])


def assert_stands_still(movie_path, files):
    truth, raw = truth_of(files), tifffile.imread(files["movie"])
    derotated = tifffile.imread(movie_path)
    assert derotated.shape == raw.shape
    assert derotated.dtype == raw.dtype
    off = np.abs(np.mod(truth["line_angles"] + 180, 360) - 180).min(axis=1)
    turned = off > 20
    assert turned.sum() > 20
    rest, center = truth["rest_image"], truth["center"]
    assert correlations(raw[turned], rest, center).max() < 0.8
    assert correlations(derotated[turned], rest, center).min() > 0.95


def test_full_session_stands_still(full_run, full_files):
    pipeline, folder = full_run
    assert pipeline.derotated == folder / "out" / "derotated.tif"
    assert_stands_still(pipeline.derotated, full_files)
    np.testing.assert_allclose(
        pipeline.center_of_rotation, truth_of(full_files)["center"], atol=0.05
    )


def test_full_session_writes_what_is_documented(full_run):
    _, folder = full_run
    assert names_in(folder / "out") == [
        "derotated",
        "derotated.csv",
        "derotated.tif",
        "derotated_calibration.json",
    ]
    assert names_in(folder / "out" / "derotated") == [
        "angles.csv",
        "angles.npz",
        "calibration.json",
        "center.csv",
        "center.json",
        "center_of_rotation.txt",
        "coverage.csv",
        "dark_angles.csv",
        "events.npz",
        "illumination.json",
        "illumination.npz",
        "images",
        "motion.csv",
        "motion.json",
        "motion.npz",
        "quality.csv",
        "quality.json",
        "scan.json",
        "seen.npz",
        "statistics.npz",
    ]
    assert names_in(folder / "plots") == [
        "angles.png",
        "before_after.png",
        "blob.png",
        "center.png",
        "contact_sheet.png",
        "coverage.png",
        "dark_angles.png",
        "illumination.png",
        "mean_by_angle.png",
        "motion.png",
        "optimal_center_of_rotation.txt",
        "plane.png",
        "quality_over_time.png",
        "residual_shift.png",
        "signals.png",
        "wobble.png",
    ]
    logs = names_in(folder / "logs")
    assert len(logs) == 2
    assert "derotated_events.json" in logs


def test_full_session_sets_angles_of_lines_and_frames(full_run, full_files):
    pipeline, folder = full_run
    truth = truth_of(full_files)
    n_frames, n_lines = truth["line_angles"].shape
    assert pipeline.sampling_rate == pytest.approx(10_000)
    assert pipeline.rot_deg_line.shape == (n_frames * n_lines,)
    assert pipeline.rot_deg_frame.shape == (n_frames,)
    # The true angles belong to the middle of the lines, those here to the start of the lines.
    half_line = 0.5 * 150 / 10 / n_lines
    error = pipeline.rot_deg_line - truth["line_angles"].ravel()
    # Near standstill the truth and the angles may differ by whole turns.
    assert np.abs(error - 360 * np.round(error / 360)).max() < half_line + 0.1
    np.testing.assert_array_equal(pipeline.rot_deg_frame, pipeline.rot_deg_line[::n_lines])
    rows = rows_of(folder / "out" / "derotated.csv")
    assert ",".join(rows[0]) == "frame,rotation_angle,clock,direction,speed,rotation_count"
    assert [float(row["rotation_angle"]) for row in rows] == pipeline.rot_deg_frame.tolist()


def test_a_full_session_without_a_table_takes_directions_from_the_movie(full_files, tmp_path):
    config = lab_config(full_files, tmp_path)
    del config["paths_read"]["path_to_randperm"]
    pipeline = FullPipeline(config, threads=1)
    pipeline.check_inputs()
    assert any("no stimulus table" in remark for remark in pipeline.settings.remarks)
    with pipeline.open_movie() as movie:
        events = pipeline.parse_signals(movie, 10_000.0)
    assert events.rotation_direction.tolist() == [1, -1]


def test_center_is_written_for_people_and_for_programs(full_run):
    pipeline, folder = full_run
    x, y = pipeline.center_of_rotation
    text = (folder / "plots" / "optimal_center_of_rotation.txt").read_text()
    # As scripts read it.
    assert tuple(map(float, text.split(":")[1].split(","))) == (x, y)
    assert text.count("\n") == 1
    saved = Calibration.load(folder / "out" / "derotated_calibration.json")
    assert saved.center == pipeline.center_of_rotation
    assert saved.method == "registration"


def test_log_tells_what_was_done_and_what_is_not_needed(full_run):
    _, folder = full_run
    (log,) = (folder / "logs").glob("*.log")
    text = log.read_text()
    assert "Sampling rate: 10000 Hz" in text
    assert text.count("not needed") == 1
    for key in (
        "find_rotation_ticks_peaks.distance",
        "squared_pulse_k",
        "inter_rotation_interval_min_len",
        "angle_interpolation_artifact_threshold",
    ):
        assert key in text.split("WARNING", 1)[1]
    assert "delta_center, init_points, n_iter: without effect" in text
    assert text.rstrip().splitlines()[-1].split(": ", 1)[1].startswith("Done in")


def test_incremental_session_stands_still(incremental_run, incremental_files):
    pipeline, folder = incremental_run
    assert_stands_still(pipeline.derotated, incremental_files)
    center = truth_of(incremental_files)["center"]
    np.testing.assert_allclose(pipeline.center_of_rotation, center, atol=0.05)
    assert names_in(folder / "plots") == [
        "mean_images.csv",
        "mean_images.tif",
        "optimal_center_of_rotation.txt",
    ]


def test_incremental_session_has_a_mean_image_per_rest(incremental_run, incremental_files):
    pipeline, folder = incremental_run
    means = pipeline.mean_images
    assert means.angles.tolist() == list(range(0, 360, 30))
    truth = truth_of(incremental_files)
    correlation = correlations(means.images, truth["rest_image"], truth["center"])
    assert correlation[0] > 0.98
    assert correlation[1:].max() < 0.8
    np.testing.assert_array_equal(tifffile.imread(folder / "plots/mean_images.tif"), means.images)
    rows = rows_of(folder / "plots/mean_images.csv")
    assert [float(row["angle"]) for row in rows] == means.angles.tolist()
    assert all(int(row["frames"]) >= 1 for row in rows)


def test_rests_that_are_missing_are_named(incremental_run, incremental_files, tmp_path, caplog):
    pipeline, _ = incremental_run
    finer = IncrementalPipeline(lab_config(incremental_files, tmp_path, degrees_per_step=15))
    with finer.open_movie() as movie:
        means = finer.compute_mean_images(movie, pipeline.angles)
    assert len(means) == 12
    assert "No mean image at 15, 45, 75," in caplog.text


class GivenCenter(FullPipeline):
    """One step replaced."""

    center = (20.25, 30.5)

    def find_center(self, movie, angles):
        return self.center


class ThreadsOfLinearAlgebra(FullPipeline):
    """Does nothing but to look how many there are."""

    def run(self):
        found = threadpoolctl.threadpool_info()
        self.said = {each["num_threads"] for each in found if each["user_api"] == "blas"}


def test_linear_algebra_is_done_in_one_thread(full_files, tmp_path):
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        pipeline = ThreadsOfLinearAlgebra(lab_config(full_files, tmp_path))
        pipeline()
        assert pipeline.said == {1}
        pipeline.run()
        assert pipeline.said != {1}


def test_a_step_is_replaced_by_overriding_its_method(full_files, tmp_path):
    # The correction of motion would make up for a wrong center, too.
    config = lab_config(full_files, tmp_path, motion_correction={"correct": "never"})
    pipeline = GivenCenter(config, threads=1)
    pipeline()
    assert pipeline.motion is None
    assert not (tmp_path / "out" / "derotated" / "motion.npz").exists()
    assert pipeline.center_of_rotation == (20.25, 30.5)
    saved = Calibration.load(tmp_path / "out" / "derotated_calibration.json")
    assert (saved.center, saved.method, saved.image_shape) == ((20.25, 30.5), "custom", SHAPE)
    # What turns about a wrong center is displaced by a known amount: its center stays in place.
    truth = truth_of(full_files)
    turned = np.abs(truth["line_angles"]).min(axis=1) > 20
    frames = tifffile.imread(pipeline.derotated)[turned]
    assert correlations(frames, truth["rest_image"], truth["center"]).mean() < 0.8


def test_what_a_replaced_step_returns_is_checked(full_files, tmp_path):
    pipeline = GivenCenter(lab_config(full_files, tmp_path), threads=1)
    pipeline.center = (1, 2, 3)
    with pytest.raises(CenterError, match=r"find_center returned \(1, 2, 3\); expected"):
        pipeline()
    assert not (tmp_path / "out" / "derotated.tif").exists()
    (log,) = (tmp_path / "logs").glob("*.log")
    assert "find_center returned" in log.read_text()


def test_a_calibration_of_another_session_can_be_used(incremental_run, full_files, tmp_path):
    _, folder = incremental_run

    class Calibrated(FullPipeline):
        def find_center(self, movie, angles):
            return Calibration.load(folder / "out" / "derotated_calibration.json")

    # The rest of the run does not need the stimulus table to be a file of one's own.
    pipeline = Calibrated(lab_config(full_files, tmp_path), threads=1)
    pipeline()
    assert_stands_still(pipeline.derotated, full_files)


def test_where_pixels_go_does_not_depend_on_the_reference(full_files, tmp_path):
    movies = []
    for use_start in (True, False):
        folder = tmp_path / str(use_start)
        interpolation = {"line_use_start": use_start}
        config = lab_config(full_files, folder, interpolation=interpolation)
        pipeline = FullPipeline({**config, "center_method": "fixed"}, threads=1)
        pipeline()
        movies.append(tifffile.imread(pipeline.derotated).astype(float))
        assert pipeline.angles.line_reference == ("start" if use_start else "end")
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inside = np.hypot(x - 28, y - 22) < 18
    start, end = (movie[:, inside] for movie in movies)
    assert np.sqrt(np.mean((start - end) ** 2)) < 0.002 * start.std()


@pytest.mark.parametrize("given", ["session.yml", "session", "config/other.yaml", "other"])
def test_configuration_is_read_from_a_file(given, full_files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = lab_config(full_files, tmp_path)
    Path("config").mkdir()
    for name in ("session.yml", "config/other.yaml"):
        Path(name).write_text(yaml.safe_dump(config), encoding="utf-8")
    assert FullPipeline(given).config == FullPipeline(Path(given)).config == config


def test_a_file_that_is_missing_is_named_with_the_places_that_were_tried():
    with pytest.raises(ConfigError, match=r"sesion: there is no such .*sesion\.yml.*config"):
        FullPipeline("sesion")


def changed(config, path, value):
    """Copy a configuration with one key changed, or taken away."""
    config = copy.deepcopy(config)
    *homes, key = path.split(".")
    section = config
    for home in homes:
        section = section.setdefault(home, {})
    if value is None:
        section.pop(key)
    else:
        section[key] = value
    return config


FIXED = {
    "paths_read": {
        "path_to_randperm": "stimulus.csv",
        "path_to_aux": "signals.bin",
        "path_to_tif": "movie.tif",
    },
    "paths_write": {"derotated_tiff_folder": "out", "saving_name": "derotated"},
    "channel_names": LAB_NAMES,
    "frame_rate": 10,
}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("biased_centre", [1, 2], 'biased_centre: there is no such key; did you mean "biased_cen'),
        ("paths_read.path_to_tiff", "a", r"paths_read\.path_to_tiff: .*\"path_to_tif\""),
        ("paths_read.path_to_aux", None, r"paths_read\.path_to_aux: is missing"),
        ("paths_write", None, r"paths_write\.derotated_tiff_folder: is missing"),
        ("paths_write.saving_name", "a/b", r"saving_name: found \"a/b\", allowed: a name without"),
        ("frame_rate", None, "frame_rate: is missing.*sampling_rate"),
        ("frame_rate", "fast", 'frame_rate: found the text "fast", allowed: a number above 0'),
        ("rotation_increment", 0, "rotation_increment: found 0, allowed: a number above 0"),
        ("adjust_increment", 1, "adjust_increment: found 1, allowed: true or false"),
        ("biased_center", [1, 2, 3], r"biased_center: found \[1, 2, 3\], allowed: a list of 2"),
        ("center_method", "baysian", 'center_method: .*Did you mean "bayesian"'),
        ("center_method", "ellipse", "center_method: found ellipse.*IncrementalPipeline"),
        ("center_method", "fixed", "biased_center: is missing; center_method is fixed"),
        ("channel_names", None, r"channel_names: is missing; a \.bin file"),
        ("derotate.interpolation", "cubik", r"derotate\.interpolation: .*\"cubic\""),
        ("analog_signals_processing.heigth", 4, "analog_signals_processing.heigth: there is no"),
    ],
)
def test_a_wrong_configuration_is_refused_by_name(path, value, message):
    with pytest.raises(ConfigError, match=f"^configuration: .*{message}"):
        FullPipeline(changed(FIXED, path, value))


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    file = tmp_path / "session.yml"
    wrong = changed(changed(FIXED, "frame_rate", "fast"), "rot_dec", 360)
    file.write_text(yaml.safe_dump(wrong), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        FullPipeline(file)
    lines = str(caught.value).splitlines()
    written = file.read_text(encoding="utf-8").splitlines()
    for line, key in zip(lines, ("frame_rate", "rot_dec"), strict=True):
        number = next(n for n, text in enumerate(written, 1) if text.startswith(f"{key}:"))
        assert line.startswith(f"{file}, line {number}: {key}: ")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["camera", "scanimage_frameclok", "scanimage_lineclock", "PI_rotON", "PI_rotticks"],
            'no channel is the frame_clock .*scanimage_frameclock.*Is it "scanimage_frameclok"',
        ),
        (
            ["frame_clock", "scanimage_frameclock", "line_clock", "rotation_on", "PI_rotticks"],
            "frame_clock and scanimage_frameclock are both names of the frame_clock",
        ),
        (["a", "b", "c", "d"], "no channel is the line_clock .*found a, b, c, d"),
    ],
)
def test_channels_that_cannot_be_told_are_named(names, message):
    with pytest.raises(ConfigError, match=message):
        FullPipeline({**FIXED, "channel_names": names})


def test_names_of_labs_become_roles():
    section = FullPipeline(FIXED).settings.sections["signals"]
    assert section["channel_order"] == LAB_NAMES
    expected = {
        "line_clock": "scanimage_lineclock",
        "frame_clock": "scanimage_frameclock",
        "rotation_on": "PI_rotON",
        "rotation_ticks": "PI_rotticks",
    }
    assert section["channel_names"] == section["channel_names"] | expected


def test_rows_of_npy_files_have_their_documented_order():
    settings = FullPipeline(changed(FIXED, "paths_read.path_to_aux", "signals.npy")).settings
    order = ["line_clock", "frame_clock", "rotation_on", "rotation_ticks"]
    assert settings.sections["signals"]["channel_order"] == order
    assert any("channel_names: not needed" in remark for remark in settings.remarks)


def test_keys_mean_what_is_documented():
    height = {"find_rotation_ticks_peaks": {"height": 4}}
    settings = FullPipeline({**FIXED, "analog_signals_processing": height}).settings
    assert settings.sections["signals"]["thresholds"]["rotation_ticks"] == 4
    assert settings.sections["signals"]["degrees_per_rotation"] == 360
    assert settings.remarks == ()
    free = FullPipeline({**FIXED, "adjust_increment": False}).settings
    assert free.sections["signals"]["degrees_per_rotation"] is None
    asked = {"biased_center": (1.5, 2), "n_iter": 3}
    for method, expected in (
        ("registration", {"biased_center": [1.5, 2]}),
        ("fixed", {"fixed": [1.5, 2]}),
        ("bayesian", {"biased_center": [1.5, 2], "n_iter": 3}),
    ):
        section = FullPipeline({**FIXED, **asked, "center_method": method}).settings.sections
        assert section["center"] == defaults("center") | {"method": method, **expected}


def test_keys_and_sections_are_those_of_the_workflow():
    here, workflow = pipeline_keys.pipeline_schema(), config_schema()
    for name in pipeline_keys.SECTIONS:
        assert here["properties"][name] == workflow["properties"][name]
    given = FullPipeline(FIXED).settings.sections
    for name in set(given) - {"signals"}:
        assert given[name].keys() == workflow["properties"][name]["properties"].keys()
    for key, name in pipeline_keys.KEYS.items():
        section, inner = name.split(".")
        own, theirs = here["properties"][key], workflow["properties"][section]["properties"][inner]
        assert own | {"type": None} == theirs | {"type": None}, key


def test_rates_that_contradict_each_other_are_refused(full_files, tmp_path):
    pipeline = FullPipeline(lab_config(full_files, tmp_path, sampling_rate=12_000))
    with pytest.raises(SignalError, match=r"sampling_rate is 12000 .* would be 10000 Hz"):
        pipeline()


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({"frame_rate": 10}, 10_000),
        ({"frame_rate": 10.1}, 10_100),
        ({"frame_rate": 10.1, "sampling_rate": 10_000}, 10_000),
        ({"frame_rate": None, "sampling_rate": 9_000}, 9_000),
    ],
)
def test_sampling_rate_follows_from_the_frame_clock(full_files, tmp_path, rates, expected):
    # Exchanged clocks are recognized.
    swapped = {"scanimage_frameclock": "line_clock", "scanimage_lineclock": "frame_clock"}
    for names in (LAB_NAMES, [swapped.get(name, name) for name in LAB_NAMES]):
        config = lab_config(full_files, tmp_path, channel_names=names, **rates)
        pipeline = FullPipeline(config)
        assert pipeline.find_sampling_rate(pipeline.open_signals()) == pytest.approx(expected)


def test_missing_files_stop_the_run_before_anything_is_made(full_files, tmp_path):
    for key in ("path_to_aux", "path_to_tif", "path_to_randperm"):
        config = lab_config(full_files, tmp_path)
        config["paths_read"][key] = str(
            tmp_path / f"missing{Path(config['paths_read'][key]).suffix}"
        )
        with pytest.raises(Exception, match="missing") as caught:
            FullPipeline(config)()
        assert isinstance(caught.value, ValueError)
    assert list(tmp_path.iterdir()) == []


def test_the_recorded_movie_is_never_replaced(full_files, tmp_path):
    movie = full_files["movie"]
    before = movie.read_bytes()
    config = lab_config(full_files, tmp_path)
    config["paths_write"] |= {"derotated_tiff_folder": str(movie.parent), "saving_name": "movie"}
    with pytest.raises(ConfigError, match="would replace it"):
        FullPipeline(config)()
    assert movie.read_bytes() == before


def test_folders_that_cannot_be_made_are_named(full_files, tmp_path):
    (tmp_path / "out").write_text("no folder")
    with pytest.raises(ConfigError, match="out/derotated: nothing can be written there"):
        FullPipeline(lab_config(full_files, tmp_path))()


def test_errors_name_the_keys_of_this_configuration(full_files, tmp_path):
    names = [*LAB_NAMES, "another"]
    pipeline = FullPipeline(lab_config(full_files, tmp_path, channel_names=names))
    with pytest.raises(SignalError, match="channel_names") as caught:
        pipeline()
    assert "channel_order" not in str(caught.value)


def test_logging_is_left_as_it_was(tmp_path, caplog):
    logger = logging.getLogger("derotation")
    state = (logger.level, logger.propagate, list(logger.handlers))
    path = tmp_path / "run.log"

    def work():
        with run_log(path):
            logging.getLogger("derotation.calibration.center").info("for the file")
            logging.getLogger("derotation.calibration.center").warning("for everybody")
            raise KeyError("the end")

    with pytest.raises(KeyError):
        work()
    assert (logger.level, logger.propagate, list(logger.handlers)) == state
    assert [record.message for record in caplog.records] == ["for everybody"]
    text = path.read_text()
    assert "for the file" in text
    assert "for everybody" in text
    assert "KeyError: 'the end'" in text


def test_what_is_logged_names_the_keys_of_this_configuration(tmp_path, caplog):
    with run_log(tmp_path / "run.log", said=in_keys_here):
        logging.getLogger("derotation.x").warning(
            "%s is 1; see angles.direction_signs.", "center.fixed"
        )
        logging.getLogger("derotation.x").warning("Flip angles.direction_sign.")
    text = (tmp_path / "run.log").read_text()
    assert "biased_center (with center_method: fixed) is 1; see angles.direction_signs." in text
    assert caplog.messages[1] == "Flip direction_sign."


@pytest.mark.parametrize("wanted", [True, False])
def test_plots_that_nobody_wants_are_not_drawn(full_files, tmp_path, monkeypatch, wanted):
    drawn, write = [], inputs.write_png

    def write_png(figure, path):
        drawn.append(figure)
        write(figure, path)

    monkeypatch.setattr(inputs, "write_png", write_png)
    pipeline = FullPipeline(lab_config(full_files, tmp_path, debugging_plots=wanted))
    with pipeline._plots_if_wanted(), pipeline.open_movie() as movie:
        events = pipeline.parse_signals(movie, 10_000.0)
        pipeline.interpolate_angles(movie, events)
    assert len(drawn) == (2 if wanted else 0)
    assert sorted(path.name for path in tmp_path.rglob("*.npz")) == ["angles.npz", "events.npz"]


def test_plots_that_nobody_wants_leave_the_pipeline_as_it_was(full_files, tmp_path):
    pipeline = FullPipeline(lab_config(full_files, tmp_path, debugging_plots=False))
    before = pipeline._plots
    with pipeline._plots_if_wanted():
        assert pipeline._plots != before
    assert pipeline._plots == before


def test_a_user_who_wants_more_sees_more(tmp_path, caplog):
    logger = logging.getLogger("derotation")
    own = logging.Handler()
    seen = []
    own.emit = seen.append
    logger.addHandler(own)
    try:
        with run_log(tmp_path / "quiet.log"):
            logger.info("file only")
        with caplog.at_level(logging.DEBUG, "derotation"), run_log(tmp_path / "run.log"):
            logger.debug("debug")
    finally:
        logger.removeHandler(own)
    assert [record.message for record in caplog.records] == ["debug"]
    assert [record.message for record in seen] == ["debug"]


def shown(how_to, kind, name):
    """Read a file or a piece of code that the how-to shows."""
    pattern = rf"<!-- {kind}: {re.escape(name)} -->\n```\w+\n(.*?)```"
    (content,) = re.findall(pattern, how_to, re.DOTALL)
    return content


def test_the_how_to_works_as_it_stands(incremental_run, pytestconfig, tmp_path, monkeypatch):
    how_to = pytestconfig.rootpath / "docs/how_to_custom_pipeline.md"
    text = how_to.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    simulate_session("data/a", **SESSION, **FULL)
    Path("session.yml").write_text(shown(text, "file", "session.yml"))
    Path("out/incremental").mkdir(parents=True)
    calibration = "out/incremental/derotated_calibration.json"
    shutil.copy(incremental_run[1] / "out/derotated_calibration.json", calibration)

    exec(shown(text, "python", "calibrated"), {})
    saved = Calibration.load("out/a/derotated_calibration.json")
    assert saved.center == Calibration.load(calibration).center

    exec(shown(text, "python", "selective"), {})
    assert tifffile.imread("out/a/plots/mean.tif").shape == SHAPE
    blank = np.ptp(tifffile.imread("out/a/derotated.tif"), axis=(1, 2)) == 0
    in_second = [row["rotation_count"] == "1" for row in rows_of(Path("out/a/derotated.csv"))]
    assert blank.tolist() == in_second
    assert sum(in_second) > 20


@pytest.mark.parametrize("name", ["FullPipeline", "IncrementalPipeline"])
def test_the_table_of_methods_is_complete(name, pytestconfig):
    how_to = pytestconfig.rootpath / "docs/how_to_custom_pipeline.md"
    rows = re.findall(r"^\| (`\w+`[^|]*)\|", how_to.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {method for row in rows for method in re.findall(r"`(\w+)`", row)}
    pipeline = {"FullPipeline": FullPipeline, "IncrementalPipeline": IncrementalPipeline}[name]
    steps = {method for method in vars(pipeline) if not method.startswith("_")}
    helpers = {"protocol", "run", "save_plot", "save_mean_images"}
    assert steps - helpers <= listed
