"""Cohorts of tiny sessions: one of which nothing has been run, and copies of a finished one."""

import shutil
from pathlib import Path

import pytest
from tiny_cohort import Cohort

import derotation
from made_once import made_once

HERE = Path(__file__).parent


@pytest.fixture
def cohort(tmp_path, library) -> Cohort:
    """A cohort of which nothing has been run."""
    return Cohort(tmp_path / "cohort", library)


@pytest.fixture(scope="session")
def library(tmp_path_factory) -> Path:
    """A copy of the library: work on the library while the tests run must not disturb them.

    Nothing in it may be changed: what runs in the tests' cohorts has it loaded already.
    """

    def copy(folder):
        shutil.copytree(Path(derotation.__file__).parent, folder / "derotation")
        return folder

    return made_once(tmp_path_factory, "library", copy)


@pytest.fixture(scope="session")
def first_run(tmp_path_factory, library):
    """The tiny cohort, run to the end once for all tests, and what Snakemake said.

    Nothing in its folder may be changed. By the command that a user types, a cohort is run to the
    end in ``test_results_after_kills_are_those_of_an_undisturbed_run``.
    """

    def run(folder):
        done = Cohort(folder, library)
        return done, done.run()

    return made_once(tmp_path_factory, "first_run", run)


@pytest.fixture
def finished(first_run, tmp_path) -> Cohort:
    """A copy of the finished cohort, to be changed."""
    done, result = first_run
    assert result.returncode == 0, result.stdout
    return done.copied(tmp_path / "cohort")


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.workflow)
