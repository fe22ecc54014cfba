"""What the benchmarks share: options, plain tables, JSON, and steps measured one by one."""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STEP = Path(__file__).with_name("_step.py")
# Of the largest memory that the system tells, bytes.
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


def usual_environment(**variables: str) -> dict[str, str]:
    """Give the environment in which jobs run at a user's, where Python keeps compiled modules.

    To compile them anew takes each job a tenth of a second.
    """
    left_out = ("PYTHONDONTWRITEBYTECODE", "SNAKEMAKE_PROFILE")
    own = {name: value for name, value in os.environ.items() if name not in left_out}
    return own | variables


def options(description: str | None) -> argparse.ArgumentParser:
    """Make a parser with the options that all benchmarks have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    return parser


def add_quick(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--quick", action="store_true", help="tiny: only shows that the script runs"
    )


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under a title; numbers are aligned to the right."""
    shown = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[k]) for line in [list(header), *shown]) for k in range(len(header))]
    numeric = [all(_is_number(row[k]) for row in shown) for k in range(len(header))]
    print(f"\n{title}")
    for line in [list(header), ["-" * width for width in widths], *shown]:
        cells = zip(line, widths, numeric, strict=True)
        print("  ".join(t.rjust(w) if right else t.ljust(w) for t, w, right in cells).rstrip())


def print_verdicts(rows: Iterable[tuple[str, float, str, float]]) -> list[dict[str, Any]]:
    """Compare figures (name, value, "<=" or ">=", target) with their targets; they are returned."""
    verdicts = [
        {
            "figure": name,
            "measured": value,
            "target": f"{sign} {target:g}",
            "met": bool(value <= target if sign == "<=" else value >= target),
        }
        for name, value, sign, target in rows
    ]
    table = [(v["figure"], v["measured"], v["target"], "" if v["met"] else "MISSED")
             for v in verdicts]  # fmt: skip
    print_table("Targets", ("figure", "measured", "target", ""), table)
    return verdicts


def write_json(path: Path | None, results: dict[str, Any]) -> None:
    """Write the figures, if that was asked for."""
    if path is not None:
        path.write_text(json.dumps(results, indent=2, default=float) + "\n", encoding="utf-8")


def load() -> str:
    """Say how busy the computer is: others' work makes times longer and ratios noisier."""
    busy = f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"
    return f"load average {busy} on {os.cpu_count()} cores"


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == ""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a process took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run_step(name: str, folder: Path, *, threads: int = 2) -> Usage:
    """Run one step of the pipeline on a session's folder in a process of its own.

    The process takes its start, its imports and the plots with it, as a job of the workflow does.
    """
    command = [sys.executable, str(STEP), name, str(folder), "--threads", str(threads)]
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, env=usual_environment()
        )
        # subprocess's own wait does not tell what the child took.
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"the step {name} failed:\n{said.read().decode(errors='replace')}")
    return Usage(
        wall_s=wall,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss * MAXRSS_UNIT / 1e6,
    )


def step_here(name: str, folder: Path, *, threads: int = 2) -> Usage:
    """Run one step, but for its plots, in this process; the memory is that of all until then."""
    import resource

    import _step

    from derotation.steps.inputs import no_plots

    started, cpu = time.perf_counter(), time.process_time()
    with no_plots():
        _step.run(name, folder, threads)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Usage(
        wall_s=time.perf_counter() - started,
        cpu_s=time.process_time() - cpu,
        peak_mb=peak * MAXRSS_UNIT / 1e6,
    )


def elsewhere(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call a function in a process of its own.

    The memory of the process that starts a step counts as the step's: it has to stay small.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments, **named).result()


def here(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call a function in this process."""
    return function(*arguments, **named)


def processes(*, quick: bool) -> tuple[Callable[..., Usage], Callable[..., Any]]:
    """Give what runs a step, and what calls a function: each time in a process of its own.

    A quick run does all in this one. To start Python and to load libraries would take it much
    longer than everything else; benchmarks of memory start processes all the same.
    """
    return (step_here, here) if quick else (run_step, elsewhere)


def make_session(folder: Path, **parameters: Any) -> int:
    """Simulate a session with its configuration on disk; returns its number of frames."""
    from derotation.simulate import plan_recording, simulate_session

    simulate_session(folder, threads=2, **parameters)
    write_config(
        folder,
        parameters.get("sampling_rate", 50_000.0),
        bidirectional=parameters.get("bidirectional"),
    )
    return plan_recording(**parameters).n_frames


def write_config(
    folder: Path, sampling_rate: float, *, bidirectional: bool | None = None, **signals: Any
) -> None:
    """Write the configuration that a session's folder needs; JSON is YAML, too."""
    config = {
        "sessions": "sessions.tsv",
        "signals": {"sampling_rate": sampling_rate, **signals},
        "scan": {"bidirectional": bidirectional},
    }
    (folder / "config.yaml").write_text(json.dumps(config, indent=2), encoding="utf-8")


def rotations(n_frames: int, frame_rate: float, rest_s: float = 2.0) -> list[tuple[float, int]]:
    """Fill a recording with turns of 360 degrees at several speeds, with rests between them."""
    speeds = [(200.0, 1), (100.0, -1), (200.0, -1), (100.0, 1), (50.0, 1), (50.0, -1)]
    chosen: list[tuple[float, int]] = []
    left = n_frames / frame_rate - 2 * rest_s
    acceleration = 155.0  # the simulator's
    for k in range(10**6):
        speed, direction = speeds[k % len(speeds)]
        left -= 360 / speed + speed / acceleration + rest_s
        if left < 0:
            break
        chosen.append((speed, direction))
    return chosen
