"""The report of a cohort: after a run that went well, after one that did not, and after the fix."""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

import derotation


def table(cohort):
    with (cohort.folder / "results" / "cohort.tsv").open() as stream:
        return {row["session"]: row for row in csv.DictReader(stream, delimiter="\t")}


def page(cohort):
    return (cohort.folder / "results" / "report.html").read_text()


def test_a_good_run_ends_with_its_report(first_run):
    cohort, result = first_run
    assert [row["status"] for row in table(cohort).values()] == ["done", "done"]
    assert table(cohort)["b"]["calibration"] == "a"
    text = page(cohort)
    assert "failed in" not in text
    # The pictures of both sessions are within the page (what moves is played), each with two more
    # in the table; and their captions name the session.
    made = [
        plot for name in "ab" for plot in (cohort.folder / "results" / name / "plots").glob("*.png")
    ]
    assert text.count('<img src="data:image/') == len(made) + 2 * 2
    assert "The signals of session b, with the events" in text
    assert "snakemake.wildcards" not in text
    # The summary on the terminal, with the page's path, and the progress before it.
    assert "\n2 sessions: " in result.stdout
    assert "\nReport: results/report.html" in result.stdout
    assert "Sessions done: 1 of 2" in result.stdout
    assert "Sessions done: 2 of 2" in result.stdout


def test_the_record_of_the_run(first_run):
    cohort, _ = first_run
    record = cohort.folder / "results" / "run"
    used = yaml.safe_load((record / "config.yaml").read_text())
    assert used["center"]["n_frames"] == 20  # as given
    assert used["derotate"]["interpolation"] == "quadratic"  # the default
    assert (record / "sessions.tsv").read_text() == (cohort.folder / "sessions.tsv").read_text()
    versions = json.loads((record / "versions.json").read_text())
    assert versions["derotation"] == derotation.__version__
    assert versions["numpy"] == np.__version__
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))


@pytest.fixture
def with_bad_session(finished):
    """The finished cohort with one more session, whose signals lack a channel."""
    raw = finished.folder / "raw"
    raw.mkdir()
    np.save(raw / "signals.npy", np.zeros((3, 100)))
    (raw / "stimulus.csv").write_text("speed,direction\n100,1\n")
    bad = ("bad", "full", "data/a/movie.tif", "raw/signals.npy", "raw/stimulus.csv", "")
    finished.rows = [*finished.rows, bad]
    return finished


def test_a_failed_session_is_named_and_the_fix_makes_the_report_anew(with_bad_session):
    cohort = with_bad_session
    result = cohort.run()
    assert result.returncode == 1
    rows = table(cohort)
    assert {name: row["status"] for name, row in rows.items()} == {
        "a": "done",
        "b": "done",
        "bad": "failed",
    }
    assert rows["bad"]["failed_step"] == "parse_signals"
    assert rows["bad"]["reason"].startswith("raw/signals.npy")
    text = page(cohort)
    assert f"failed in <code>parse_signals</code>: {rows['bad']['reason'][:15]}" in text
    assert "The last run did not reach its end." in text
    assert "1 of 3 sessions is not done" in text
    summary = result.stdout.partition("\n3 sessions: ")[2]
    assert "bad: failed in parse_signals: raw/signals.npy" in summary
    assert "logs/bad/parse_signals.log" in summary
    assert "Report: results/report.html" in summary
    # Taking the bad session out leaves nothing to be computed but the report.
    cohort.rows = cohort.rows[:2]
    result = cohort.run()
    assert result.returncode == 0, result.stdout
    assert set(table(cohort)) == {"a", "b"}
    assert "is not done" not in page(cohort)
    assert "session-bad" not in page(cohort)
    assert "The last run" not in page(cohort)
    assert "Nothing to be done" in cohort.run("--dry-run").stdout


def test_a_change_that_fails_leaves_no_praise_of_the_old_results(finished):
    """The outputs of later steps are still there from the run before, when all was well."""
    signals = finished.folder / "data" / "b" / "signals.npy"
    np.save(signals, np.load(signals)[:, :1000])
    result = finished.run()
    assert result.returncode == 1
    assert (finished.folder / "results" / "b" / "derotated.tif").exists()
    assert table(finished)["b"]["status"] == "failed"
    assert table(finished)["a"]["status"] == "done"


def test_a_run_that_is_killed_leaves_no_page_that_passes_for_new(finished):
    finished.config["derotate"] = {"interpolation": "nearest"}
    finished.write()
    with subprocess.Popen(
        [sys.executable, "-m", "snakemake", *finished.words(())],
        cwd=finished.folder, env=finished.environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            while "A new run began" not in page(finished) and process.poll() is None:
                time.sleep(0.05)
        finally:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(process.pid, signal.SIGKILL)
    assert "A new run began" in page(finished)
    assert not (finished.folder / "results" / "run" / "complete.txt").exists()


def test_snakemakes_own_report_holds_every_picture_and_this_page(finished):
    result = finished.run("--report", "own.zip")
    assert result.returncode == 0, result.stdout
    with zipfile.ZipFile(finished.folder / "own.zip") as archive:
        packed = Counter(Path(name).name for name in archive.namelist() if "/data/raw/" in name)
    made = Counter(path.name for path in (finished.folder / "results").glob("*/plots/*"))
    assert packed == made + Counter(["report.html", "cohort.tsv"])


def test_a_damaged_result_hides_no_other_session_and_the_run_is_not_complete(finished):
    quality = finished.folder / "results/b/quality.json"
    quality.write_text("{")
    result = finished.run()
    assert result.returncode == 1
    assert "\n  b: failed in report: results/b/quality.json cannot be read" in result.stdout
    assert [row["status"] for row in table(finished).values()] == ["done", "failed"]
    assert not (finished.folder / "results/run/complete.txt").exists()
    quality.unlink()
    result = finished.run()
    assert result.returncode == 0, result.stdout
    assert [row["status"] for row in table(finished).values()] == ["done", "done"]
