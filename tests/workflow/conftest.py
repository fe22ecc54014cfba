"""Runs Snakemake as a user does, on tiny sessions that the workflow simulates itself."""

import copy
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

import derotation

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent

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
    "calcium": False,
}
CONFIG = {
    "sessions": "sessions.tsv",
    "signals": {"sampling_rate": 10000},
    "center": {"n_frames": 20},
    # The name a is also that of the session by which b is calibrated.
    "simulate": {"a": TINY | {"center_offset": [2, -1]}, "b": TINY | {"seed": 1}},
}
COLUMNS = ("session", "protocol", "movie", "signals", "stimulus", "calibration")


def simulated_row(name: str, calibration: str = "") -> tuple[str, ...]:
    folder = f"data/{name}"
    return (name, "full", f"{folder}/movie.tif", f"{folder}/signals.npy",
            f"{folder}/stimulus.csv", calibration)  # fmt: skip


ROWS = (simulated_row("a"), simulated_row("b", "a"))


@dataclass
class Cohort:
    """A folder with a configuration and a sheet in which Snakemake can be run."""

    folder: Path
    library: Path | None = None
    config: dict = field(default_factory=lambda: copy.deepcopy(CONFIG))
    rows: list = field(default_factory=lambda: list(ROWS))

    def write(self) -> None:
        self.folder.mkdir(exist_ok=True)
        text = yaml.safe_dump(self.config, sort_keys=False)
        (self.folder / "config.yaml").write_text(text)
        lines = ["\t".join(row) for row in (COLUMNS, *self.rows)]
        (self.folder / "sessions.tsv").write_text("\n".join(lines) + "\n")

    def run(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run Snakemake; what it says on both streams is in ``stdout``."""
        self.write()
        command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
        command += ["--directory", self.folder, "--configfile", self.folder / "config.yaml"]
        environment = {k: v for k, v in os.environ.items() if k != "SNAKEMAKE_PROFILE"}
        environment["XDG_CONFIG_HOME"] = str(self.folder / ".xdg")
        if self.library is not None:
            environment["PYTHONPATH"] = str(self.library)
        return subprocess.run(
            [*command, "--cores", "2", *arguments],
            cwd=self.folder, env=environment, timeout=timeout,
            text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def planned(self, *arguments: str) -> dict[str, int]:
        """Count the jobs of each rule that a dry run would do, the target rule left out."""
        result = self.run("--dry-run", *arguments)
        assert result.returncode == 0, result.stdout
        head = result.stdout.split("Job stats:\n")
        if len(head) == 1:
            assert "Nothing to be done" in result.stdout
            return {}
        table = re.findall(r"^(\w+) +(\d+)$", head[1].split("\n\n")[0], re.MULTILINE)
        return {rule: int(count) for rule, count in table if rule not in ("all", "total")}


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
