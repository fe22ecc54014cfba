"""What SLURM would say to the jobs of a run, with commands that answer as SLURM 22.05 does."""

import logging
import os
import time

import pytest

from derotation.jobs import submission
from derotation.jobs.cluster import ClusterError
from derotation.jobs.submission import (
    Request,
    check_submission,
    merged_requests,
    waiting_reasons,
    watch_queue,
)

BAD_PARTITION = (
    "sbatch: error: invalid partition specified: nowhere\n"
    "allocation failure: Invalid partition name specified\n"
)
TOO_LARGE = "allocation failure: Requested node configuration is not available\n"
DRAINED = (
    "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions"
)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A function that writes a command, in the words of a shell; the rest of PATH stays."""
    commands = tmp_path / "bin"
    commands.mkdir()
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")

    def write(name, script):
        (commands / name).write_text(f"#!/bin/sh\n{script}\n")
        (commands / name).chmod(0o755)

    return write


def says(text, code=1):
    return f"cat >&2 <<'END'\n{text}END\nexit {code}"


def test_steps_that_travel_together_ask_for_the_most_of_all_and_the_sum_of_times():
    jobs = [
        ("calibrate_a", {"mem_mb": 1000, "runtime": 10, "slurm_partition": "cpu"}, 1),
        ("calibrate_a", {"mem_mb": 1500, "runtime": 15, "slurm_partition": "cpu"}, 2),
        ("show_a", {"mem_mb": 500, "runtime": "<TBD>", "slurm_account": "lab, other"}, 1),
        ("mosaic", {"slurm_extra": "--mail-type='ALL X'", "gres": "gpu:1"}, 1),
    ]
    merged = merged_requests(jobs)
    assert merged["calibrate_a"] == Request(
        memory_mb=1500, minutes=25, threads=2, options=("--partition=cpu",)
    )
    assert merged["show_a"].command() == [
        "sbatch", "--test-only", "--account=lab", "--cpus-per-task=1", "--mem=500", "--wrap=true",
    ]  # fmt: skip
    assert merged["mosaic"].options == ("--gres=gpu:1", "--mail-type=ALL X")


def test_what_slurm_takes_is_not_spoken_of(slurm, caplog):
    slurm("sbatch", says("sbatch: Job 2 to start at 2026-11-27T16:03:46\n", code=0))
    check_submission({"a": Request(memory_mb=1000)})
    assert not caplog.records


def test_a_wrong_partition_is_said_in_slurms_words_before_anything_is_submitted(slurm):
    slurm("sbatch", says(BAD_PARTITION))
    with pytest.raises(ClusterError) as error:
        check_submission({"calibrate_a": Request(options=("--partition=nowhere",))})
    text = str(error.value)
    assert text.startswith("Nothing was submitted")
    assert "sbatch --test-only --partition=nowhere" in text
    assert "  invalid partition specified: nowhere; allocation failure: Invalid part" in text
    assert "profiles/slurm/config.yaml" in text


def test_one_session_that_is_too_large_stops_no_other(slurm, caplog):
    slurm("sbatch", f'case "$*" in *=9000*) {says(TOO_LARGE)};; esac')
    slurm("sinfo", "echo idle; echo mixed")
    requests = {"derotate_big": Request(memory_mb=9000), "derotate_a": Request(memory_mb=500)}
    check_submission(requests)
    (record,) = caplog.records
    assert "would not take the job derotate_big: allocation failure: Requested" in record.message


@pytest.mark.parametrize("state", ["drained", "down*", "idle\ndraining"])
def test_nodes_that_are_away_for_the_moment_are_waited_for(slurm, caplog, state):
    slurm("sbatch", says(TOO_LARGE))
    slurm("sinfo", f"printf '{state}\\n'")
    check_submission({"a": Request(), "b": Request()})
    assert "has no node at the moment for the job a and 1 more" in caplog.text
    slurm("sinfo", "echo idle")
    with pytest.raises(ClusterError, match="Nothing was submitted"):
        check_submission({"a": Request()})


def test_a_large_cohort_asks_a_few_times_only(slurm, tmp_path):
    """If the smallest job is taken, the run goes on, however many others are refused."""
    slurm("sbatch", f'echo >> {tmp_path}/asked; case "$*" in *=501" "*) exit 0;; esac; exit 1')
    requests = {f"derotate_{k}": Request(memory_mb=501 + k) for k in range(300)}
    check_submission(requests)
    assert len((tmp_path / "asked").read_text()) == submission.MAX_TRIED


def test_only_what_is_more_than_a_turn_is_a_reason_to_wait(slurm, tmp_path):
    lines = [f"{tmp_path}|{reason}" for reason in ("Priority", "Resources", DRAINED, DRAINED)]
    lines.append("/elsewhere|PartitionDown")
    slurm("squeue", "cat <<'END'\n" + "\n".join(lines) + "\nEND")
    assert waiting_reasons(tmp_path) == {DRAINED: 2}


def test_why_jobs_wait_is_said_after_a_while_and_once(slurm, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(submission, "FIRST_LOOK_S", 0.01)
    monkeypatch.setattr(submission, "PAUSE_S", 0.01)
    slurm("squeue", f"echo >> {tmp_path}/asked; echo '{tmp_path}|{DRAINED}'")
    end = watch_queue(tmp_path, logging.getLogger("watched"))
    try:
        deadline = time.monotonic() + 20
        asked = tmp_path / "asked"
        while not (asked.exists() and len(asked.read_text()) >= 3):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        end.set()
    assert [record.message for record in caplog.records] == [
        f"1 job waits in the queue, and SLURM says why: {DRAINED}"
    ]
