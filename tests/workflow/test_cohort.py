"""A whole cohort: what is made, what is not made again, and what happens if a session fails."""

import csv
import json

import numpy as np
import pytest
import tifffile

SESSION_FILES = {
    "events.npz",
    "events.json",
    "angles.npz",
    "angles.csv",
    "derotated.tif",
    "coverage.csv",
    "seen.npz",
    "statistics.npz",
    "images/mean.tif",
    "images/raw_mean.tif",
    "images/coverage.tif",
    "plots/signals.png",
    "plots/angles.png",
    "plots/before_after.png",
    "plots/contact_sheet.png",
    "plots/animation.gif",
    "player.json",
    "suite2p/bad_frames.npy",
    "suite2p/export.json",
    "suite2p/run_suite2p.py",
    "suite2p/plane0/data.bin",
    "suite2p/plane0/db.npy",
    "suite2p/plane0/ops.npy",
    "suite2p/plane0/reg_outputs.npy",
    "suite2p/plane0/settings.npy",
    "illumination.npz",
    "illumination.json",
    "dark_angles.csv",
    "plots/illumination.png",
    "plots/dark_angles.png",
    "motion.npz",
    "motion.csv",
    "motion.json",
    "plots/motion.png",
    "plots/mean_by_angle.png",
    "plots/residual_shift.png",
    "plots/blob.png",
    "plots/coverage.png",
    "quality.json",
    "scan.json",
    "quality.csv",
    "plots/quality_over_time.png",
}
CENTER_FILES = {
    "center.json",
    "center.csv",
    "calibration.json",
    "center_of_rotation.txt",
    "images/rest.tif",
    "plots/center.png",
    "plots/plane.png",
    "plots/wobble.png",
}
COHORT_FILES = {
    "cohort.tsv",
    "report.html",
    "run/complete.txt",
    "run/config.yaml",
    "run/sessions.tsv",
    "run/versions.json",
}


def files_in_sessions(results, sessions):
    return {f"{name}/{file}" for name in sessions for file in files_in(results / name)}


def files_in(folder):
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_the_outputs_of_the_contract_exist_and_no_others(first_run):
    cohort, result = first_run
    assert result.returncode == 0, result.stdout
    results = cohort.folder / "results"
    assert files_in(results / "a") == SESSION_FILES | CENTER_FILES
    # b is calibrated by a, so it has no center of its own.
    assert files_in(results / "b") == SESSION_FILES
    assert files_in(results) - files_in_sessions(results, ("a", "b")) == COHORT_FILES
    for session in ("a", "b"):
        steps = {path.stem for path in (cohort.folder / "logs" / session).iterdir()}
        timed = {path.stem for path in (cohort.folder / "benchmarks" / session).iterdir()}
        assert steps == timed
        assert {"parse_signals", "interpolate_angles", "derotate_movie"} <= steps


def test_the_results_are_right(first_run):
    cohort, _ = first_run
    for session in ("a", "b"):
        raw = tifffile.imread(cohort.folder / "data" / session / "movie.tif")
        derotated = tifffile.imread(cohort.folder / "results" / session / "derotated.tif")
        assert derotated.shape == raw.shape
        assert derotated.dtype == raw.dtype
        truth = np.load(cohort.folder / "data" / session / "truth.npz")
        angles = np.load(cohort.folder / "results" / session / "angles.npz")
        error = (angles["line_angles"] - truth["line_angles"] + 180) % 360 - 180
        assert np.sqrt(np.mean(error**2)) < 0.1
        with (cohort.folder / "results" / session / "angles.csv").open() as table:
            rows = list(csv.DictReader(table))
        assert len(rows) == len(raw)
        assert list(rows[0]) == [
            "frame", "rotation_angle", "clock", "direction", "speed", "rotation_count",
        ]  # fmt: skip
    truth = np.load(cohort.folder / "data" / "a" / "truth.npz")
    calibration = json.loads((cohort.folder / "results" / "a" / "calibration.json").read_text())
    np.testing.assert_allclose(calibration["center"], truth["center"], atol=0.5)


def test_a_second_run_does_nothing(finished):
    result = finished.run_command()
    assert result.returncode == 0
    assert "Nothing to be done" in result.stdout


def test_a_bad_session_fails_alone_and_says_why(finished):
    raw = finished.folder / "raw"
    raw.mkdir()
    np.save(raw / "signals.npy", np.zeros((3, 100)))
    (raw / "stimulus.csv").write_text("speed,direction\n100,1\n")
    row = ("bad", "full", "data/a/movie.tif", "raw/signals.npy", "raw/stimulus.csv", "")
    finished.rows.insert(0, row)
    result = finished.run("--config", "derotate={interpolation: nearest}")
    assert result.returncode == 1
    log = finished.folder / "logs" / "bad" / "parse_signals.log"
    last = log.read_text().strip().splitlines()[-1]
    assert last.startswith("ERROR: raw/signals.npy")
    assert last in result.stdout  # the log is shown on the terminal
    assert "\n  bad: failed in parse_signals: raw/signals.npy" in result.stdout
    assert "Traceback" not in log.read_text()
    # The others went on, and nothing half-made is left of the bad one.
    assert finished.planned("--config", "derotate={interpolation: nearest}") == {
        "parse_signals": 1,
        "interpolate_angles": 1,
        "estimate_center": 1,
        "estimate_plane": 1,
        "estimate_illumination": 1,
        "estimate_motion": 1,
        "derotate_movie": 1,
        "animate_session": 1,
        "export_suite2p": 1,
        "measure_quality": 1,
    }
    assert not files_in(finished.folder / "results" / "bad")


@pytest.mark.parametrize("argument", ["--rerun-triggers=mtime", ""])
def test_a_changed_raw_file_concerns_its_session_alone(finished, argument):
    table = finished.folder / "data" / "b" / "stimulus.csv"
    table.write_text(table.read_text().replace("100", "101"))
    assert finished.planned(*filter(None, [argument])) == {
        "parse_signals": 1,
        "interpolate_angles": 1,
        "estimate_illumination": 1,
        "estimate_motion": 1,
        "derotate_movie": 1,
        "animate_session": 1,
        "export_suite2p": 1,
        "measure_quality": 1,
    }
