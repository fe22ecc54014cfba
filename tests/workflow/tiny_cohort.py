"""A cohort of tiny sessions that the workflow simulates itself, and Snakemake as a user runs it."""

import copy
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import yaml

from warm import run_warm

ROOT = Path(__file__).parents[2]

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
    "motion_correction": {"correct": "auto"},
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

# Rules that are not of one session.
NOT_COUNTED = ("all", "everything", "report", "total")


@dataclass
class Cohort:
    """A folder with a configuration and a sheet in which Snakemake can be run."""

    folder: Path
    library: Path | None = None
    config: dict = field(default_factory=lambda: copy.deepcopy(CONFIG))
    rows: list = field(default_factory=lambda: list(ROWS))
    columns: tuple[str, ...] = COLUMNS
    snakefile: Path = ROOT / "Snakefile"
    arguments: tuple[str, ...] = ("--cores", "2")
    # Whether the library is one of the test's own, not the copy that all tests share.
    edited: bool = False

    def copied(self, folder: Path) -> Self:
        """Copy the cohort with all that was made of it, and with the files' times."""
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder, config=copy.deepcopy(self.config), rows=list(self.rows))

    def write(self) -> None:
        self.folder.mkdir(exist_ok=True)
        text = yaml.safe_dump(self.config, sort_keys=False)
        (self.folder / "config.yaml").write_text(text)
        lines = ["\t".join(row) for row in (self.columns, *self.rows)]
        (self.folder / "sessions.tsv").write_text("\n".join(lines) + "\n")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake; what it says on both streams is in ``stdout``.

        It and its jobs have large libraries loaded already, and this one unless it was edited,
        which is all that differs from :meth:`run_command`.
        """
        self.write()
        environment = self.environment() | {"WARM_JOBS": "yes"}
        words = ["-m", "snakemake", *self.words(arguments)]
        loaded = None if self.edited else self.library
        return run_warm(words, self.folder, environment, loaded)

    def run_command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake by the command that a user types."""
        self.write()
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *self.words(arguments)],
            cwd=self.folder, env=self.environment(), timeout=900,
            text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def words(self, arguments: tuple[str, ...]) -> list[str]:
        """What stands behind ``snakemake`` on the command line."""
        words = ["--snakefile", str(self.snakefile), "--directory", str(self.folder)]
        words += ["--configfile", str(self.folder / "config.yaml")]
        return [*words, *self.arguments, *arguments]

    def environment(self) -> dict[str, str]:
        environment = {k: v for k, v in os.environ.items() if k != "SNAKEMAKE_PROFILE"}
        environment["XDG_CONFIG_HOME"] = str(self.folder / ".xdg")
        if self.library is not None:
            environment["PYTHONPATH"] = str(self.library)
        return environment

    def pending(self) -> set[tuple[str, str]]:
        """Name session and step of each job that a run would do; the report follows them all."""
        result = self.run("--summary")
        assert result.returncode == 0, result.stdout
        lines = [line.split("\t") for line in result.stdout.splitlines() if "\t" in line]
        named = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
        # A session's files lie in results/<session>/ or data/<session>/.
        return {
            (Path(file["output_file"]).parts[1], file["rule"])
            for file in named
            if file["plan"] == "update pending" and file["rule"] not in NOT_COUNTED
        }

    def planned(self, *arguments: str) -> dict[str, int]:
        """Count the jobs of each rule that a dry run would do, the report left out."""
        result = self.run("--dry-run", *arguments)
        assert result.returncode == 0, result.stdout
        head = result.stdout.split("Job stats:\n")
        if len(head) == 1:
            assert "Nothing to be done" in result.stdout
            return {}
        table = re.findall(r"^(\w+) +(\d+)$", head[1].split("\n\n")[0], re.MULTILINE)
        return {rule: int(count) for rule, count in table if rule not in NOT_COUNTED}
