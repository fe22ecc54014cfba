"""What a large cohort costs besides computing: planning 1000 sessions, and running 20 tiny ones.

The dry run is tied to one core; its sessions share their raw files. What a session's computing
takes is measured by running the same steps in one process that has imported and compiled
everything; all that a run of the cohort takes longer is overhead: starting Snakemake and a Python
per job, imports, kernels loaded from numba's cache, locks and logs. Run it on an idle computer.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _cohort import add_python, finish, make_tiny_cohort, snakemake
from _common import (
    add_quick,
    load,
    options,
    print_table,
    print_verdicts,
    processes,
    write_json,
)

CORES = 2
MOST_DRY_S = 15.0
MOST_DRY_MB = 1000.0
MOST_OVERHEAD_S = 4.5


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--planned", type=int, default=1000, help="sessions of the dry run")
    parser.add_argument("--run", type=int, default=20, help="sessions that are run")
    parser.add_argument("--folder", type=Path, help="for temporary files")
    add_python(parser)
    given = parser.parse_args()
    planned, run = (20, 1) if given.quick else (given.planned, given.run)
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary:
        folder = Path(temporary)
        before = load()
        make_tiny_cohort(folder / "one", 1)
        results: dict[str, Any] = {"load_before": before}
        results |= dry_run(folder / "planned", planned, folder / "one" / "data")
        results |= overhead(
            folder / "run", run, folder / "one", python=given.python, quick=given.quick
        )
        results["load_after"] = load()
    print_table(
        f"Before: {before}; after: {results['load_after']}",
        ("what", "value"),
        [(name, value) for name, value in results.items() if not name.startswith("load")],
    )
    results["targets"] = print_verdicts(
        [
            (f"dry run of {planned} sessions, one core (s)", results["dry_s"], "<=", MOST_DRY_S),
            ("its memory (MB)", results["dry_mb"], "<=", MOST_DRY_MB),
            ("overhead per session (s)", results["overhead_s"], "<=", MOST_OVERHEAD_S),
        ]
    )
    write_json(given.json, results)


def dry_run(folder: Path, n_sessions: int, data: Path) -> dict[str, float]:
    """Plan a cohort on one core; its jobs, seconds and peak memory."""
    make_tiny_cohort(folder, n_sessions, simulated=data)
    one_core = {min(os.sched_getaffinity(0))} if hasattr(os, "sched_getaffinity") else set()
    started = time.perf_counter()
    process = subprocess.Popen(
        snakemake(folder, "--cores", "1", "--dry-run"),
        cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=(lambda: os.sched_setaffinity(0, one_core)) if one_core else None,
    )  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode:
        sys.exit(said)
    jobs = next(line.split()[1] for line in said.splitlines() if line.startswith("total "))
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "dry_jobs": int(jobs),
        "dry_s": time.perf_counter() - started,
        "dry_cpu_s": usage.ru_utime + usage.ru_stime,
        "dry_mb": usage.ru_maxrss * unit / 1e6,
    }


def overhead(
    folder: Path, n_sessions: int, one: Path, *, python: Sequence[str], quick: bool
) -> dict[str, float]:
    """Run a cohort, and the same steps of one session without anything around them.

    A quick run goes as far as the angles.
    """
    # Also fills numba's cache, as the first session that a user ever runs does.
    _, call = processes(quick=quick)
    computing = call(compute, one, n_steps=2 if quick else None)
    wanted = ["results/session0000/angles.npz"] if quick else []
    make_tiny_cohort(folder, n_sessions, simulated=one / "data")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    finish(folder, "--cores", str(CORES), *wanted, python=python)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "sessions": n_sessions,
        "computing_of_a_session_s": computing,
        "wall_s": wall,
        "cpu_s": cpu,
        "wall_per_session_s": wall / n_sessions,
        "cpu_per_session_s": cpu / n_sessions,
        # The computing of two sessions goes on at a time.
        "overhead_s": wall / n_sessions - computing / CORES,
    }


def compute(folder: Path, n_steps: int | None) -> float:
    """Run the first steps of a session, or all, twice in this process; the second's seconds."""
    from _step import STEPS

    from derotation.cohort.config import load_config

    config = load_config(folder / "config.yaml")
    seconds = 0.0
    for _ in range(2):
        started = time.perf_counter()
        for step in [*STEPS.values()][:n_steps]:
            step(folder / "data", config, 1)
        seconds = time.perf_counter() - started
    return seconds


if __name__ == "__main__":
    main()
