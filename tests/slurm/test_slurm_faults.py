"""What SLURM refuses, ends or lets wait is said in its words; a fault stops no other session."""

import csv
import os
import re
import shutil
import subprocess
import sys
import time

import pytest
import yaml
from throwaway import NEEDS_CLUSTER, ROOT, SITE, copy_repository

pytestmark = NEEDS_CLUSTER

TINY = {
    "shape": [48, 64],
    "frame_rate": 10,
    "sampling_rate": 10000,
    "stimulus": [[100, 1], [150, -1]],
    "rest_before_s": 1,
    "rest_between_s": 0.5,
    "rest_after_s": 0.5,
    "n_cells": 25,
    "photons_per_pixel": 50,
}
CONFIG = {
    "sessions": "config/sessions.tsv",
    "signals": {"sampling_rate": 10000},
    "center": {"n_frames": 20},
    "report": {"animation": False},
}
ONCE = SITE + "retries: 0\nlatency-wait: 5\n"
RAW = ("movie.tif", "signals.npy", "stimulus.csv")
NODE = os.uname().nodename.split(".")[0]


def write_cohort(folder, names, config, path):
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
    rows = [("session", "protocol", "movie", "signals", "stimulus")]
    rows += [(name, "full", *(path.format(name=name, raw=raw) for raw in RAW)) for name in names]
    text = "".join("\t".join(row) + "\n" for row in rows)
    (folder / "config/sessions.tsv").write_text(text)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A repository with one session that is recorded already."""
    made = copy_repository(tmp_path_factory.mktemp("faults") / "repository", ONCE)
    made.faults = ROOT / "tests/workflow/faults"
    write_cohort(made.folder, ["a"], CONFIG | {"simulate": {"a": TINY}}, "data/{name}/{raw}")
    subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", *(f"data/a/{raw}" for raw in RAW)],
        cwd=made.folder, env=os.environ | {"PYTHONPATH": str(made.folder / "src")}, check=True,
    )  # fmt: skip
    yield made
    made.end()


def record(repository, *names):
    """Copy the raw files of some sessions, of which nothing has been made yet."""
    shutil.rmtree(repository.folder / "results", ignore_errors=True)
    for name in names:
        for raw in RAW:
            shutil.copy(repository.folder / "data/a" / raw, repository.folder / f"{name}_{raw}")
    write_cohort(repository.folder, names, CONFIG, "{name}_{raw}")


def table(repository):
    with (repository.folder / "results/cohort.tsv").open() as stream:
        return {row["session"]: row for row in csv.DictReader(stream, delimiter="\t")}


def test_a_wrong_partition_is_said_before_anything_is_submitted(recorded):
    record(recorded, "good")
    before = len(recorded.jobs())
    site = recorded.folder / "site.yaml"
    site.write_text(ONCE.replace("slurm_partition: main", "slurm_partition: nowhere"))
    try:
        code, said = recorded.run()
    finally:
        site.write_text(ONCE)
    assert code == 1
    assert "Nothing was submitted: SLURM would take none of the jobs." in said
    assert "invalid partition specified: nowhere" in said
    assert len(recorded.jobs()) == before


def test_a_job_that_slurm_refuses_has_its_words_as_the_reason(recorded):
    record(recorded, "good")
    code, said = recorded.run("--set-resources", "parse_signals:mem_mb=99999999")
    assert code == 1
    assert "SLURM would not take the job calibrate_good: " in said
    reason = table(recorded)["good"]["reason"]
    assert reason.startswith("SLURM did not take the job: ")
    assert "Requested node configuration is not available" in reason


def test_what_happens_to_one_session_happens_to_it_alone(recorded):
    """What does not concern SLURM is tried in tests/workflow/test_faulty_sessions.py."""
    record(recorded, "crash", "memory", "future", "good")
    later = time.time() + 1e5
    os.utime(recorded.folder / "future_movie.tif", (later, later))
    code, said = recorded.run()
    assert code == 1
    found = table(recorded)
    assert found["good"]["status"] == "done", said
    assert "\nReport: results/report.html" in said
    words = {
        "crash": "a library crashed (Segmentation fault)",
        "memory": "MemoryError",
        "future": "future_movie.tif was changed at ",
    }
    for name, reason in words.items():
        assert found[name]["status"] == "failed", name
        assert reason in found[name]["reason"], found[name]["reason"]


def test_jobs_that_wait_for_drained_nodes_are_spoken_of(recorded):
    record(recorded, "good")
    drain = ["scontrol", "update", f"NodeName={NODE}"]
    subprocess.run([*drain, "State=DRAIN", "Reason=test"], check=True)
    recorded.faults = ROOT / "tests/slurm/faults"
    try:
        process = recorded.start("results/good/angles.csv", LOOK_SOON="1")
        end = time.monotonic() + 90
        while "SLURM says why" not in recorded.said.read_text() and time.monotonic() < end:
            assert process.poll() is None
            time.sleep(0.5)
    finally:
        subprocess.run([*drain, "State=RESUME"], check=True)
    said = recorded.said.read_text()
    assert "SLURM has no node at the moment for the job calibrate_good: " in said
    assert re.search(r"1 job waits in the queue, and SLURM says why: .*(DRAINED|NotAvail)", said)
    assert process.wait(timeout=300) == 0
