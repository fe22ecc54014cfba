"""The throwaway SLURM of start.sh, and copies of the repository from which jobs are submitted."""

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAULTS = Path(__file__).parent / "faults"
CLUSTER = "derotationtest"
# The cluster keeps no accounts, and nobody wants to wait 40 seconds for a first look.
SITE = """
slurm-status-command: squeue
slurm-init-seconds-before-status-checks: 5
default-resources:
  slurm_partition: main
  mem_mb: 1000
  runtime: 30
"""
PROFILES = ("--profile", "slurm", "--profile", "site.yaml")


def cluster_is_there() -> bool:
    said = subprocess.run(
        ["scontrol", "show", "config"], capture_output=True, text=True, check=False
    )
    return re.search(rf"ClusterName\s*= {CLUSTER}\b", said.stdout) is not None


NEEDS_CLUSTER = [
    pytest.mark.workflow,
    pytest.mark.skipif(
        "DEROTATION_TEST_SLURM" not in os.environ
        or shutil.which("scontrol") is None
        or not cluster_is_there(),
        reason="needs DEROTATION_TEST_SLURM and the throwaway SLURM of tests/slurm/start.sh",
    ),
]


@dataclass(frozen=True)
class Job:
    """A job as squeue shows it, also after it has ended."""

    number: str
    run: str
    task: str
    state: str
    memory: str


def ask_queue() -> str:
    """Ask for all jobs; the controller of a busy computer may hang up once."""
    for _ in range(5):
        asked = subprocess.run(
            ["squeue", "--noheader", "--states=all", "--format=%i|%j|%k|%T|%m|%Z"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if asked.returncode == 0:
            return asked.stdout
        time.sleep(1)
    raise AssertionError(f"squeue does not answer: {asked.stderr}")


@dataclass
class Repository:
    """A copy of the repository in which a user works."""

    folder: Path
    faults: Path = FAULTS
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        environment = os.environ | more
        environment.pop("SNAKEMAKE_PROFILE", None)
        environment["XDG_CONFIG_HOME"] = str(self.folder / ".xdg")
        environment["PYTHONPATH"] = f"{self.folder / 'src'}:{self.faults}"
        # Not a pipe: Snakemake would wait once it is full.
        with self.said.open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *PROFILES, *arguments],
                cwd=self.folder, env=environment, stdout=said, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.started.append(process)
        return process

    @property
    def said(self) -> Path:
        """What the last Snakemake has said."""
        return self.folder / "said.log"

    def end(self) -> None:
        """Leave nothing behind, whatever has failed."""
        for process in self.started:
            process.kill()
            process.wait()
        for job in self.jobs():
            if job.state in ("PENDING", "RUNNING"):
                subprocess.run(["scancel", job.number], check=False)

    def run(self, *arguments: str) -> tuple[int, str]:
        code = self.start(*arguments).wait(timeout=900)
        return code, self.said.read_text()

    def jobs(self, word: str = "") -> list[Job]:
        """All jobs of this folder whose task contains a word, the oldest first."""
        said = ask_queue()
        lines = [line.split("|") for line in said.splitlines()]
        jobs = [Job(*line[:5]) for line in lines if line[5] == str(self.folder)]
        return sorted((job for job in jobs if word in job.task), key=lambda job: int(job.number))

    def wait_for_running(self, word: str, seconds: float = 600) -> Job:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for job in self.jobs(word):
                if job.state == "RUNNING":
                    return job
            time.sleep(0.3)
        raise AssertionError(f"no job with {word} has run: {self.jobs()}")


def copy_repository(folder: Path, site: str = SITE) -> Repository:
    """Copy what git tracks of the repository, with a profile of this site."""
    tracked = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", ROOT, "ls-files", "-z"],
        capture_output=True, check=False,
    )  # fmt: skip
    # .ci/run works on a copy without git's own folder.
    names = tracked.stdout.decode().split("\0")[:-1] if not tracked.returncode else [
        "Snakefile", "config", "profiles", "slurm", "src", "workflow",
    ]  # fmt: skip
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir() and not (ROOT / name).is_symlink():
            shutil.copytree(ROOT / name, target, symlinks=True)
        else:
            shutil.copy2(ROOT / name, target, follow_symlinks=False)
    (folder / "site.yaml").write_text(site)
    return Repository(folder)
