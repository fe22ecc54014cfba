"""A study's own folder, and an empty one, as used by somebody who only installed the package."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from tiny_cohort import Cohort

from derotation.cohort.study import write_study
from derotation.simulate import simulate_session
from warm import run_warm

TINY = {
    "shape": (24, 32),
    "frame_rate": 10,
    "sampling_rate": 5000,
    "stimulus": ((150, 1),),
    "rest_before_s": 0.5,
    "rest_after_s": 0.5,
    "n_cells": 5,
    "calcium": False,
}


def derotation(*arguments, folder):
    """Run the command from another folder; what it says on both streams is in ``stdout``."""
    environment = {k: v for k, v in os.environ.items() if k != "SNAKEMAKE_PROFILE"}
    return subprocess.run(
        [sys.executable, "-m", "derotation.cli", arguments[0], "-d", str(folder), *arguments[1:]],
        cwd=folder.parent, env=environment | {"XDG_CONFIG_HOME": str(folder.parent / ".xdg")},
        text=True, check=False, timeout=300, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A new study, whose sheet is that of a folder with blanks in its name."""
    folder = tmp_path_factory.mktemp("home") / "my study"
    write_study(folder, {"signals": {"sampling_rate": 5000}})
    simulate_session(folder.parent / "raw data/day 1", **TINY)
    found = derotation("discover", "../raw data", folder=folder)
    assert found.returncode == 0, found.stdout
    return folder


def planned(said: str) -> set[str]:
    table = said.split("Job stats:\n")[1].split("\n\n")[0]
    return set(re.findall(r"^(\w+) +\d+$", table, re.MULTILINE))


def test_it_is_checked_and_planned(study):
    checked = derotation("check", folder=study)
    assert checked.returncode == 0, checked.stdout
    assert "day_1" in checked.stdout
    said = derotation("run", "-n", folder=study)
    assert said.returncode == 0, said.stdout
    assert {"derotate_movie", "report", "everything"} <= planned(said.stdout)
    assert not {"simulate_session", "build_mosaic"} & planned(said.stdout)


def test_snakemake_alone_does_the_same(study):
    environment = dict(os.environ)
    environment.pop("SNAKEMAKE_PROFILE", None)
    words = ["-n", "--directory", str(study), "--snakefile", str(study / "Snakefile")]
    said = run_warm(["-m", "snakemake", *words], study, environment)
    assert said.returncode == 0, said.stdout
    assert {"derotate_movie", "everything"} <= planned(said.stdout)


def test_jobs_are_grouped_for_a_cluster(study):
    said = derotation("run", "-n", "--quiet", "host", "--profile", "slurm", folder=study)
    assert said.returncode == 0, said.stdout
    assert "Group job derotate_day_1" in said.stdout


def test_a_folder_with_a_configuration_alone_runs_the_workflow_of_the_package(study, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(study / "config", bare / "config")
    sheet = bare / "config/sessions.tsv"
    sheet.write_text(sheet.read_text().replace("../raw data", str(study.parent / "raw data")))
    said = derotation("run", "-n", folder=bare)
    assert said.returncode == 0, said.stdout
    assert {"derotate_movie", "all"} <= planned(said.stdout)
    assert "profiles/default for setting default" in said.stdout
    assert sorted(path.name for path in bare.iterdir() if path.name[0] != ".") == ["config"]


def test_the_report_of_what_there_is_computes_nothing(study):
    said = derotation("report", folder=study)
    assert said.returncode == 0, said.stdout
    assert "1 session: 1 not processed" in said.stdout
    assert "Report: results/report.html" in said.stdout
    assert "The last run did not reach its end" in (study / "results/report.html").read_text()
    assert not (study / "results/day_1").exists()
    # The run that follows makes it anew.
    said = derotation("run", "-n", folder=study)
    assert "report" in planned(said.stdout)


def test_the_report_of_a_finished_cohort_changes_nothing_else(finished: Cohort):
    said = finished.run("report_now", "--quiet", "all")
    assert said.returncode == 0, said.stdout
    assert "2 sessions:" in said.stdout
    assert "not processed" not in said.stdout
    page = finished.folder / "results/report.html"
    assert "did not reach its end" not in page.read_text()
    assert "Nothing to be done" in finished.run("--dry-run").stdout
