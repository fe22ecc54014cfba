"""A cohort of tiny sessions on disk, and Snakemake as a user runs it on them."""

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from _common import ROOT, usual_environment

TINY = {
    "shape": [48, 64],
    "frame_rate": 10,
    "sampling_rate": 10000,
    "stimulus": [[100, 1], [150, -1]],
    "rest_before_s": 1,
    "rest_between_s": 0.5,
    "rest_after_s": 0.5,
    "center_offset": [2, -1],
    "n_cells": 25,
    "photons_per_pixel": 50,
    "calcium": False,
}
THIS_PYTHON = (sys.executable,)
COLUMNS = ("session", "protocol", "movie", "signals", "stimulus", "calibration")


def make_tiny_cohort(folder: Path, n_sessions: int, *, simulated: Path | None = None) -> None:
    """Write configuration and sample sheet of sessions that all have the same raw files.

    Parameters
    ----------
    folder : Path
        To be made.
    n_sessions : int
        Number of sessions.
    simulated : Path, optional
        The folder of the raw files; by default they are simulated, once for all sessions.
    """
    from derotation.simulate import simulate_session

    folder.mkdir(parents=True, exist_ok=True)
    if simulated is None:
        simulated = folder / "data"
        simulate_session(simulated, **TINY)
    files = (simulated / "movie.tif", simulated / "signals.npy", simulated / "stimulus.csv")
    rows = [(f"session{k:04d}", "full", *map(str, files), "") for k in range(n_sessions)]
    lines = ["\t".join(row) for row in (COLUMNS, *rows)]
    (folder / "sessions.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    config = {
        "sessions": "sessions.tsv",
        "signals": {"sampling_rate": TINY["sampling_rate"]},
        "center": {"n_frames": 20},
    }
    (folder / "config.yaml").write_text(json.dumps(config), encoding="utf-8")


def add_python(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--python", type=shlex.split, default=THIS_PYTHON, metavar="WORDS",
        help="what starts the Python that runs the workflow; default: this one",
    )  # fmt: skip


def snakemake(folder: Path, *words: str, python: Sequence[str] = THIS_PYTHON) -> list[str]:
    """Make the command that runs the workflow in a folder."""
    command = [*python, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(folder / "config.yaml")]
    return [*command, *words]


def start(folder: Path, *words: str, python: Sequence[str] = THIS_PYTHON) -> subprocess.Popen[str]:
    """Start Snakemake in a process group of its own; what it says goes to ``said.log``."""
    with (folder / "said.log").open("a", encoding="utf-8") as said:
        return subprocess.Popen(
            snakemake(folder, *words, python=python),
            cwd=folder, env=usual_environment(), text=True, start_new_session=True,
            stdout=said, stderr=subprocess.STDOUT,
        )  # fmt: skip


def finish(folder: Path, *words: str, python: Sequence[str] = THIS_PYTHON) -> None:
    """Run Snakemake to its end, or end the benchmark with what it said."""
    if start(folder, *words, python=python).wait():
        sys.exit((folder / "said.log").read_text(encoding="utf-8"))
