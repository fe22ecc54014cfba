"""The demo cohort on a real SLURM, with sbatch: to its end, in spite of all that can go wrong.

Runs where tests/slurm/start.sh has started its cluster, and nowhere else: it must not submit
anything to a cluster that people work on. It takes minutes, so DEROTATION_TEST_SLURM has to ask for
it, too.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
from throwaway import NEEDS_CLUSTER, Job, Repository, copy_repository

# Of the demo cohort: both protocols, one session with the calibration of another; four jobs each.
SESSIONS = ("demo_full", "demo_incremental", "demo_tilted")

pytestmark = NEEDS_CLUSTER


@dataclass(frozen=True)
class Demo:
    """The demo cohort after a run with faults."""

    repository: Repository
    code: int
    said: str
    hog: Path
    canceled: Job


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    made = copy_repository(tmp_path_factory.mktemp("cluster") / "repository")
    yield made
    made.end()


def choose_sessions(repository: Repository) -> None:
    """Keep some sessions, and add one whose signals have a channel too few."""
    raw = repository.folder / "raw"
    raw.mkdir()
    np.save(raw / "signals.npy", np.zeros((3, 100)))
    (raw / "stimulus.csv").write_text("speed,direction\n100,1\n")
    tifffile.imwrite(raw / "movie.tif", np.zeros((5, 32, 32), np.uint16))
    sheet = repository.folder / "config/sessions.tsv"
    row = ("bad", "full", "raw/movie.tif", "raw/signals.npy", "raw/stimulus.csv")
    header, *rows = sheet.read_text().splitlines()
    kept = [line for line in rows if line.split("\t")[0] in SESSIONS]
    sheet.write_text("\n".join([header, *kept, "\t".join(row)]) + "\n")


@pytest.fixture(scope="module")
def demo(repository, tmp_path_factory):
    choose_sessions(repository)
    hog = tmp_path_factory.mktemp("hog") / "claim"
    # Not the session whose job is killed below: each fault has a job of its own.
    process = repository.start(
        HOG_STEP="estimate_center", HOG_SESSION="demo_incremental", HOG_CLAIM=str(hog)
    )
    canceled = repository.wait_for_running("calibrate_demo_full")
    subprocess.run(["scancel", canceled.number], check=True)
    process.wait(timeout=900)
    said = repository.said.read_text()
    print(said)
    return Demo(repository, process.returncode, said, hog, canceled)


def test_the_demo_cohort_runs_to_its_end_through_sbatch(demo):
    assert "Executor: slurm" in demo.said or "SLURM run ID" in demo.said
    for session in SESSIONS:
        raw = tifffile.imread(demo.repository.folder / f"data/{session}/movie.tif")
        movie = tifffile.imread(demo.repository.folder / f"results/{session}/derotated.tif")
        assert movie.shape == raw.shape
    tasks = [job.task.split("_")[1:] for job in demo.repository.jobs() if "bad" not in job.task]
    for session in SESSIONS:
        own = [task[0] for task in tasks if "_".join(task[1:]).startswith(session)]
        assert {"calibrate", "derotate", "export", "show"} == set(own)
    # Two have been submitted again, see below.
    assert len(tasks) == 4 * len(SESSIONS) + 2


def test_a_job_over_its_memory_is_retried_with_more(demo):
    number = demo.hog.read_text()
    (killed,) = [job for job in demo.repository.jobs() if job.number == number]
    assert killed.state in ("FAILED", "OUT_OF_MEMORY")
    again = [job for job in demo.repository.jobs() if job.task == killed.task][-1]
    assert again.state == "COMPLETED"
    assert int(again.memory.rstrip("M")) == 2 * int(killed.memory.rstrip("M"))
    logs = demo.repository.folder / ".snakemake/slurm_logs"
    (log,) = logs.rglob(f"{number}.log")
    assert "memory limit" in log.read_text()
    assert str(log) in demo.said


def test_a_job_killed_by_hand_is_submitted_again(demo):
    same = [job for job in demo.repository.jobs() if job.task == demo.canceled.task]
    assert [job.state for job in same] == ["CANCELLED", "COMPLETED"]


def test_a_bad_session_fails_alone_and_is_named_with_its_log(demo):
    assert demo.code == 1
    assert "logs/bad/parse_signals.log" in demo.said
    assert "\n  bad: failed in parse_signals: raw/signals.npy" in demo.said
    assert not (demo.repository.folder / "results/bad").exists()


def test_after_a_killed_snakemake_nothing_is_submitted_twice(demo):
    repository = demo.repository
    target = ("results/demo_full/derotated.tif", "--config", "derotate={interpolation: cubic}")
    process = repository.start(*target, SLEEPY_STEP="derotate_movie")
    job = repository.wait_for_running("derotate_demo_full")
    process.kill()
    process.wait()
    newest = repository.jobs()[-1].number
    code, said = repository.run(*target)
    assert code == 1
    assert "--unlock" in said
    assert repository.run("--unlock")[0] == 0

    code, said = repository.run(*target)
    assert code == 1
    assert f"  {job.number}  RUNNING  derotate_demo_full" in said
    assert repository.jobs()[-1].number == newest

    (advice,) = re.findall(r"^  (scancel .*)$", said, re.MULTILINE)
    subprocess.run(advice.split(), check=True)
    code, said = repository.run(*target)
    assert code == 0, said
    (again,) = [job for job in repository.jobs() if int(job.number) > int(newest)]
    assert (again.task, again.state) == (job.task, "COMPLETED")
    code, said = repository.run(*target)
    assert "Nothing to be done" in said
