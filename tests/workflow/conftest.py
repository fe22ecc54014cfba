"""Cohorts of tiny sessions: one of which nothing has been run, and copies of a finished one."""

import shutil
from pathlib import Path

import pytest
from tiny_cohort import Cohort

import derotation

HERE = Path(__file__).parent


@pytest.fixture
def cohort(tmp_path) -> Cohort:
    """A cohort of which nothing has been run."""
    return Cohort(tmp_path / "cohort")


@pytest.fixture(scope="session")
def library(tmp_path_factory) -> Path:
    """A copy of the library: work on the library while the tests run must not disturb them."""
    folder = tmp_path_factory.mktemp("library")
    shutil.copytree(Path(derotation.__file__).parent, folder / "derotation")
    return folder


@pytest.fixture(scope="session")
def first_run(tmp_path_factory, library):
    """The tiny cohort, run to the end once for all tests, and what Snakemake said."""
    done = Cohort(tmp_path_factory.mktemp("workflow") / "cohort", library)
    return done, done.run()


@pytest.fixture
def finished(first_run, tmp_path) -> Cohort:
    """A copy of the finished cohort, to be changed."""
    done, result = first_run
    assert result.returncode == 0, result.stdout
    shutil.copytree(done.folder, tmp_path / "cohort")  # with the files' times
    return Cohort(tmp_path / "cohort", done.library)


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.workflow)
