"""What is put on Snakemake's command line for folders that hold more or less of a study."""

import sys

import pytest

from derotation.cohort.study import write_study
from derotation.jobs.snakemake_command import snakemake_command
from derotation.settings.shipped import profile_folder, workflow_file

SNAKEMAKE = [sys.executable, "-m", "snakemake"]
SHIPPED = [
    "--snakefile", str(workflow_file()), "--workflow-profile", str(profile_folder("default"))
]  # fmt: skip


@pytest.fixture
def environment(tmp_path):
    return {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}


@pytest.fixture
def study(tmp_path):
    write_study(tmp_path / "study")
    return tmp_path / "study"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["-n", "--quiet", "host", "--", "results/a/derotated.tif"],
        ["--dry-run", "--verbose"],
        ["--profile", "slurm"],
        ["--profile=slurm", "--cores", "2"],
        ["--profile", "profiles/slurm"],
        ["--config", "pathvars={results: /big}"],
        ["slurm"],
    ],
)
def test_in_a_study_all_is_as_it_was_given(study, environment, words):
    assert snakemake_command(words, study, environment) == SNAKEMAKE + words


def test_without_the_link_the_studys_own_profile_is_found(study, environment):
    (study / "slurm").unlink()
    said = snakemake_command(["--profile", "slurm", "slurm"], study, environment)
    assert said == [*SNAKEMAKE, "--profile", "profiles/slurm", "slurm"]
    said = snakemake_command(["--profile=slurm"], study, environment)
    assert said == [*SNAKEMAKE, "--profile=profiles/slurm"]


def test_an_empty_folder_takes_all_from_the_package(tmp_path, environment):
    assert snakemake_command(["-F"], tmp_path, environment) == [*SNAKEMAKE, "-F", *SHIPPED]
    said = snakemake_command(["--profile", "slurm"], tmp_path, environment)
    assert said == [*SNAKEMAKE, "--profile", str(profile_folder("slurm")), *SHIPPED]


@pytest.mark.parametrize("word", ["-n", "--dry-run", "--dryrun"])
def test_a_dry_run_is_short(study, environment, word):
    said = snakemake_command([word, "results/a/derotated.tif"], study, environment)
    short = ["--quiet", "host", "rules"]
    assert said == [*SNAKEMAKE, word, "results/a/derotated.tif", *short]


def test_a_users_own_profile_comes_first(tmp_path, environment):
    (tmp_path / "xdg/snakemake/slurm").mkdir(parents=True)
    said = snakemake_command(["--profile", "slurm"], tmp_path, environment)
    assert said == [*SNAKEMAKE, "--profile", "slurm", *SHIPPED]


def test_profiles_that_nobody_has_are_left_to_snakemake(tmp_path, environment):
    said = snakemake_command(["--profile", "lsf"], tmp_path, environment)
    assert said == [*SNAKEMAKE, "--profile", "lsf", *SHIPPED]


def test_what_is_given_is_not_given_twice(tmp_path, environment):
    words = ["--snakefile", "my.smk"]
    assert snakemake_command(words, tmp_path, environment) == SNAKEMAKE + words
    words = ["--workflow-profile=none"]
    assert snakemake_command(words, tmp_path, environment) == [*SNAKEMAKE, *words, *SHIPPED[:2]]


@pytest.mark.parametrize("name", ["snakefile", "workflow/Snakefile"])
def test_a_workflow_of_ones_own_is_used(tmp_path, environment, name):
    (tmp_path / "workflow").mkdir()
    (tmp_path / name).write_text("")
    assert snakemake_command([], tmp_path, environment) == [*SNAKEMAKE, *SHIPPED[2:]]
    (tmp_path / name).parent.joinpath("profiles/default").mkdir(parents=True)
    assert snakemake_command([], tmp_path, environment) == SNAKEMAKE
