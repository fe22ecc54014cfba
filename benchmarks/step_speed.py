"""CPU time of each step against another checkout of this project, in turn in one run.

    python benchmarks/step_speed.py --against ../other/src

Both work on the same simulated session, each in a folder of its own and by the `_step.py` of its
own benchmarks. Each round runs every step with either checkout, in a process of its own, and they
take turns at who begins. A process runs its step several times: the first time is that of a job of
the workflow (with the start of Python, and imports), the later ones show what the step itself
takes. The ratio of the medians is printed; above 1 this checkout is slower.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _common import (
    ROOT,
    add_quick,
    load,
    make_session,
    options,
    print_table,
    print_verdicts,
    processes,
    rotations,
    usual_environment,
    write_json,
)

STEPS = {
    "parse": "parse_signals",
    "angles": "interpolate_angles",
    "center": "estimate_center",
    "plane": "estimate_plane",
    "illumination": "estimate_illumination",
    "derotate": "derotate_movie",
    "quality": "measure_quality",
}
FRAME_RATE = 6.74
MOST = 1.03
# Counts the CPU seconds of a step of the checkout whose benchmarks are named first.
RUNNER = """
import json, sys, time
benchmarks, repeats = sys.argv.pop(1), int(sys.argv.pop(1))
sys.path.insert(0, benchmarks)
import _step

step = _step.STEPS[sys.argv[1]]

def timed(*given):
    step(*given)
    seconds = [time.process_time()]
    for _ in range(repeats):
        began = time.process_time()
        step(*given)
        seconds.append(time.process_time() - began)
    print("seconds:", json.dumps(seconds))

_step.STEPS[sys.argv[1]] = timed
_step.main()
"""


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument(
        "--against", type=Path, required=True, metavar="SRC", help="the other checkout's src"
    )
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--size", type=int, default=256, help="pixels along a side")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3, help="of a step in a process")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    given = parser.parse_args()
    if given.quick:
        given.size, given.frames, given.rounds, given.repeats = 64, 100, 1, 1
    sources = {"here": ROOT / "src", "there": given.against.resolve()}
    for source in sources.values():
        if not (source / "derotation").is_dir():
            parser.error(f"{source} holds no folder derotation; --against takes a checkout's src")
    before = load()
    with tempfile.TemporaryDirectory() as temporary:
        seconds = measure(Path(temporary), sources, given)
    rows = [compare(step, seconds[step]) for step in given.steps]
    print_table(
        f"CPU seconds, {given.frames} frames of {given.size} x {given.size}, {given.threads} "
        f"thread(s), medians of {given.rounds} rounds; {before}, after it {load()}",
        ("step", "here", "there", "ratio", "job here", "job there", "ratio"),
        [tuple(row.values()) for row in rows],
    )
    results: dict[str, Any] = {"steps": rows}
    results["targets"] = print_verdicts(
        (f"{row['step']}: here / there", row["ratio"], "<=", MOST) for row in rows
    )
    write_json(given.json, results)


def measure(
    folder: Path, sources: dict[str, Path], given: argparse.Namespace
) -> dict[str, dict[str, list[list[float]]]]:
    """Run all steps in turn: by step and checkout, the seconds of each round."""
    _, call = processes(quick=given.quick)
    call(
        make_session,
        folder / "here",
        shape=(given.size, given.size),
        n_frames=given.frames,
        frame_rate=FRAME_RATE,
        stimulus=rotations(given.frames, FRAME_RATE),
        center_offset=(5, -4),
    )
    shutil.copytree(folder / "here", folder / "there")
    seconds: dict[str, dict[str, list[list[float]]]] = {
        step: {which: [] for which in sources} for step in given.steps
    }
    # Compiles what was not compiled yet, and makes what chosen steps need of the others; a quick
    # run needs not do both if the chosen ones are all.
    needed = list(STEPS)[: 1 + max(list(STEPS).index(step) for step in given.steps)]
    if not given.quick or given.steps != needed:
        for step in needed:
            for which, source in sources.items():
                run(STEPS[step], folder / which, source, repeats=0, threads=given.threads)
    for k in range(given.rounds):
        for step in given.steps:
            for which in list(sources)[:: 1 if k % 2 == 0 else -1]:
                took = run(
                    STEPS[step],
                    folder / which,
                    sources[which],
                    repeats=given.repeats,
                    threads=given.threads,
                )
                seconds[step][which].append(took)
            last = {which: f"{min(runs[-1][1:]):.2f}" for which, runs in seconds[step].items()}
            print(f"round {k + 1}, {step}: {last} s", file=sys.stderr, flush=True)
    return seconds


def run(step: str, folder: Path, source: Path, *, repeats: int, threads: int) -> list[float]:
    """Run a step of a checkout: CPU seconds of the whole first time, and of each further one."""
    command = [
        sys.executable, "-c", RUNNER, str(source.parent / "benchmarks"), str(repeats),
        step, str(folder), "--threads", str(threads),
    ]  # fmt: skip
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=usual_environment(PYTHONPATH=str(source)),
    )
    if done.returncode:
        sys.exit(f"the step {step} of {source} failed:\n{done.stdout}{done.stderr}")
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("seconds:"))
    took: list[float] = json.loads(line.removeprefix("seconds:"))
    return took


def compare(step: str, seconds: dict[str, list[list[float]]]) -> dict[str, Any]:
    """Take medians over the rounds of the step itself, and of its first time as a job."""
    itself, job = (
        {which: statistics.median(pick(run) for run in runs) for which, runs in seconds.items()}
        for pick in (lambda run: statistics.median(run[1:]), lambda run: run[0])
    )
    return {
        "step": step,
        "here_s": itself["here"],
        "there_s": itself["there"],
        "ratio": itself["here"] / itself["there"],
        "job_here_s": job["here"],
        "job_there_s": job["there"],
        "job_ratio": job["here"] / job["there"],
    }


if __name__ == "__main__":
    main()
