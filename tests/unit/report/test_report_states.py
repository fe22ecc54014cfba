"""What became of a session, by the jobs of a run, the files that are there, and the logs."""

import pytest

from derotation.report.states import MOSAIC_STEP, STEPS, RunJobs, matching_state, session_states


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.tif").write_text("done")
    return tmp_path


def write_log(folder, session, step, text):
    log = folder / "logs" / session / f"{step}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(text)


def states(jobs=None, **needed):
    sessions = {"a": [], "b": []} | needed
    files = {name: [f"{name}.tif"] for name in sessions}
    return session_states(sessions, final_files=files, logs="logs", jobs=jobs)


def test_files_alone_tell_what_is_done(folder):
    found = states()
    assert found["a"].status == "done"
    assert found["a"].reason == ""
    assert found["b"].status == "missing"
    assert "not processed" in found["b"].reason


def test_a_log_tells_why_files_are_missing(folder):
    write_log(folder, "b", "estimate_center", "INFO x\nERROR: too dark.\nOpen the shutter.\n")
    write_log(folder, "a", "estimate_center", "ERROR: of an earlier run\n")
    found = states()
    assert found["a"].status == "done"  # the file is there, so the log is an old one
    assert (found["b"].status, found["b"].failed_step) == ("failed", "estimate_center")
    assert found["b"].reason == "too dark."
    assert found["b"].details == "too dark.\nOpen the shutter."
    assert found["b"].log == "logs/b/estimate_center.log"


def test_a_run_knows_more_than_files_of_an_earlier_one(folder):
    jobs = RunJobs(unfinished=frozenset({("a", "derotate_movie")}))
    assert states(jobs)["a"].status == "missing"
    jobs = RunJobs(failed=frozenset({("a", "parse_signals")}), unfinished=jobs.unfinished)
    write_log(folder, "a", "parse_signals", "ERROR: no ticks.\n")
    assert states(jobs)["a"].reason == "no ticks."


def test_a_job_that_was_killed_said_nothing(folder):
    write_log(folder, "b", "derotate_movie", "INFO began\n")
    state = states(RunJobs(failed=frozenset({("b", "derotate_movie")})))["b"]
    assert state.failed_step == "derotate_movie"
    assert "without saying why" in state.reason
    assert state.log == "logs/b/derotate_movie.log"


def test_of_a_job_that_said_nothing_others_say_why(folder):
    job = ("b", "derotate_movie")
    jobs = RunJobs(failed=frozenset({job}), said={job: "SLURM did not take the job: no account"})
    state = states(jobs)["b"]
    assert (state.failed_step, state.reason) == (job[1], "SLURM did not take the job: no account")
    assert state.log == ""  # it was never begun
    write_log(folder, "b", "derotate_movie", "INFO began\n")
    assert states(jobs)["b"].log == "logs/b/derotate_movie.log"
    write_log(folder, "b", "derotate_movie", "ERROR: too dark.\n")
    assert states(jobs)["b"].reason == "too dark."


def test_of_a_group_of_jobs_the_one_that_failed_is_named(folder):
    """Jobs that were submitted as one fail together; only one of them is to blame."""
    group = ("estimate_center", "parse_signals", "interpolate_angles")
    failed = RunJobs(failed=frozenset(("b", step) for step in group))
    write_log(folder, "b", "parse_signals", "INFO well\n")
    write_log(folder, "b", "interpolate_angles", "INFO began\n")
    assert states(failed)["b"].failed_step == "interpolate_angles"
    write_log(folder, "b", "interpolate_angles", "ERROR: bad ticks\n")
    assert states(failed)["b"].reason == "bad ticks"


def test_of_a_group_of_jobs_the_one_of_which_something_was_said_is_named(folder):
    group = ("estimate_center", "parse_signals", "interpolate_angles")
    failed = frozenset(("b", step) for step in group)
    for step in group:
        write_log(folder, "b", step, "")  # as Snakemake makes it for a job that has not begun
    state = states(RunJobs(failed=failed))["b"]
    assert (state.failed_step, state.log) == ("parse_signals", "")
    said = {("b", "interpolate_angles"): "it was killed"}
    state = states(RunJobs(failed=failed, said=said))["b"]
    assert (state.failed_step, state.reason) == ("interpolate_angles", "it was killed")


def test_a_session_that_waits_for_a_failed_one_names_it(folder):
    write_log(folder, "b", "estimate_plane", "ERROR: flat\n")
    found = states(c=["b"])
    assert found["c"].status == "missing"
    assert found["c"].reason == "it needs b, which failed in estimate_plane"


def test_a_failed_matching_of_cells_is_told_by_its_log(folder):
    assert matching_state(".", "logs").status == "done"
    write_log(folder, "cohort", "match_cells", "ERROR: cells.npz cannot be read\n")
    found = matching_state(".", "logs")
    assert (found.status, found.failed_step) == ("failed", "match_cells")
    assert found.reason == "cells.npz cannot be read"
    (folder / "cells_matched.csv").touch()
    assert matching_state(".", "logs").status == "done"


def test_the_steps_are_those_of_the_workflow(pytestconfig):
    rules = (pytestconfig.rootpath / "workflow/rules").glob("*.smk")
    names = {
        line.removeprefix("rule ").rstrip(":\n")
        for path in rules
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("rule ")
    }
    of_cohorts = {MOSAIC_STEP, "match_cells", "report", "report_now"}
    assert set(STEPS) | of_cohorts == names - {"all"}
