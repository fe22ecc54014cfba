"""Seconds from the raw files of a session to derotated.tif, with the center estimated.

Each step runs as a process of its own, as a job of the workflow does: its time includes the start
of the interpreter, the imports and the plots.
"""

import statistics
import tempfile
from pathlib import Path
from typing import Any

from _common import (
    Usage,
    add_quick,
    elsewhere,
    load,
    make_session,
    options,
    print_table,
    print_verdicts,
    rotations,
    run_step,
    write_json,
)

STEPS = (
    "parse_signals",
    "interpolate_angles",
    "estimate_center",
    "estimate_plane",
    "derotate_movie",
)
FRAME_RATE = 6.74
MOST_SECONDS = 25.0


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bidirectional", action="store_true", help="scanned in both directions")
    parser.add_argument("--folder", type=Path, help="for temporary files, about 1 GB")
    given = parser.parse_args()
    size, n_frames, repeats = (64, 100, 1) if given.quick else (256, given.frames, given.repeats)
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary:
        folder = Path(temporary)
        stimulus = rotations(n_frames, FRAME_RATE)
        elsewhere(
            make_session,
            folder,
            shape=(size, size),
            n_frames=n_frames,
            frame_rate=FRAME_RATE,
            stimulus=stimulus,
            center_offset=(5, -4),
            bidirectional=given.bidirectional,
        )
        if given.bidirectional:
            set_bidirectional(folder)
        for step in () if given.quick else STEPS:  # compiles what was not compiled yet
            run_step(step, folder, threads=given.threads)
        before = load()
        runs = [
            {step: run_step(step, folder, threads=given.threads) for step in STEPS}
            for _ in range(repeats)
        ]
    results = summarize(runs) | {"load_before": before, "load_after": load()}
    rows = [(*row.values(),) for row in results["steps"]]
    print_table(
        f"{n_frames} frames of {size} x {size}, {len(stimulus)} rotations, {given.threads} "
        f"threads, median of {repeats}; {before}, after it {results['load_after']}",
        ("step", "seconds", "CPU seconds", "peak MB"),
        [*rows, ("sum", results["sum_s"], results["sum_cpu_s"], "")],
    )
    results["targets"] = print_verdicts(
        [("raw files to derotated.tif (s)", results["sum_s"], "<=", MOST_SECONDS)]
    )
    write_json(given.json, results)


def set_bidirectional(folder: Path) -> None:
    path = folder / "config.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.rstrip()[:-1] + ', "scan": {"bidirectional": true}}', encoding="utf-8")


def summarize(runs: list[dict[str, Usage]]) -> dict[str, Any]:
    """Medians per step, and the median of the runs' sums."""
    steps = [
        {
            "step": step,
            "wall_s": statistics.median(run[step].wall_s for run in runs),
            "cpu_s": statistics.median(run[step].cpu_s for run in runs),
            "peak_mb": max(run[step].peak_mb for run in runs),
        }
        for step in STEPS
    ]
    return {
        "steps": steps,
        "sum_s": statistics.median(sum(u.wall_s for u in run.values()) for run in runs),
        "sum_cpu_s": statistics.median(sum(u.cpu_s for u in run.values()) for run in runs),
    }


if __name__ == "__main__":
    main()
