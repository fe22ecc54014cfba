"""The guard against submitting twice, with commands that answer as SLURM does."""

import os

import pytest

from derotation.jobs.cluster import ClusterError, check_queue, unfinished_jobs

RUN = "2e30f1b3-d3ed-44f4-a0e7-a6f5b5078590"


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A function that says what squeue and sacct answer; the rest of PATH stays."""
    commands = tmp_path / "bin"
    commands.mkdir()
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")

    def answer(squeue="", sacct="", code=0):
        for name, text in (("squeue", squeue), ("sacct", sacct)):
            command = commands / name
            stream = 2 if code else 1
            command.write_text(f"#!/bin/sh\ncat >&{stream} <<'END'\n{text}END\nexit {code}\n")
            command.chmod(0o755)

    return answer


def line(folder, task, number="7", state="RUNNING"):
    return f"{number}|{RUN}|{state}|{folder}|{task}\n"


def test_an_empty_queue_is_no_obstacle(cluster, tmp_path):
    cluster()
    check_queue(tmp_path, ["calibrate_a"])


def test_jobs_on_the_same_sessions_are_named_with_what_to_do(cluster, tmp_path):
    cluster(squeue=line(tmp_path, "rule_calibrate_a_parse_signals_interpolate_angles"))
    with pytest.raises(ClusterError) as error:
        check_queue(tmp_path, ["calibrate_a", "derotate_a"])
    text = str(error.value)
    assert "  7  RUNNING  calibrate_a_parse_signals" in text
    assert f"\n  scancel --me --name={RUN}\n" in text


@pytest.mark.parametrize(
    "task",
    ["rule_calibrate_b_parse_signals", "rule_calibrate_ab_parse_signals", "rule_parse_signals"],
)
def test_other_sessions_do_not_matter(cluster, tmp_path, task):
    cluster(squeue=line(tmp_path, task))
    check_queue(tmp_path, ["calibrate_a"])


def test_jobs_that_are_about_to_end_are_waited_for(cluster, tmp_path, monkeypatch):
    ending = line(tmp_path, "rule_derotate_a_x", state="COMPLETING")
    cluster(squeue=ending)
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            cluster()

    # Only here: the standard library, too, sleeps while it waits for a process.
    monkeypatch.setattr("derotation.jobs.cluster.sleep", pause)
    check_queue(tmp_path, ["derotate_a"])
    assert len(pauses) == 3
    # Not for ever, and not for what runs.
    cluster(squeue=ending)
    monkeypatch.setattr("derotation.jobs.cluster._ENDING_S", 0.05)
    with pytest.raises(ClusterError, match="COMPLETING"):
        check_queue(tmp_path, ["derotate_a"])
    pauses.clear()
    cluster(squeue=line(tmp_path, "rule_derotate_a_x"))
    with pytest.raises(ClusterError, match="RUNNING"):
        check_queue(tmp_path, ["derotate_a"])
    assert not pauses


def test_a_rule_without_group(cluster, tmp_path):
    cluster(squeue=line(tmp_path, "rule_build_mosaic_wildcards_x"))
    with pytest.raises(ClusterError, match="build_mosaic"):
        check_queue(tmp_path, ["build_mosaic"])


def test_a_job_of_which_nothing_is_noted_may_be_any(cluster, tmp_path):
    cluster(squeue=line(tmp_path, "(null)"))
    with pytest.raises(ClusterError, match="still in the queue"):
        check_queue(tmp_path, ["calibrate_a"])


def test_jobs_of_other_folders_do_not_matter(cluster, tmp_path):
    cluster(squeue=line(tmp_path / "other", "rule_calibrate_a_parse_signals"))
    assert unfinished_jobs(tmp_path) == []
    check_queue(tmp_path, ["calibrate_a"])


def test_many_jobs_are_counted(cluster, tmp_path):
    tasks = [line(tmp_path, "rule_derotate_a_derotate_movie", str(k)) for k in range(9)]
    cluster(squeue="".join(tasks))
    with pytest.raises(ClusterError, match="and 4 more"):
        check_queue(tmp_path, ["derotate_a"])


def test_a_cluster_without_accounts_is_told_apart_before_waiting_for_ever(cluster, tmp_path):
    cluster(sacct="Slurm accounting storage is disabled\n", code=1)
    with pytest.raises(ClusterError, match="slurm-status-command: squeue"):
        check_queue(tmp_path, ["derotate_a"], "sacct")
    cluster()
    check_queue(tmp_path, ["derotate_a"], "squeue")


def test_a_queue_that_does_not_answer(cluster, tmp_path):
    cluster(squeue="Unable to contact slurm controller\n", code=1)
    with pytest.raises(ClusterError, match="squeue failed: Unable to contact"):
        check_queue(tmp_path, ["derotate_a"], "squeue")


def test_a_computer_without_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="no command squeue here"):
        check_queue(tmp_path, ["derotate_a"], "squeue")
