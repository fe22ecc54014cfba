"""Seconds from the raw files of a session to derotated.tif, with the center estimated.

Each step runs as a process of its own, as a job of the workflow does: its time includes the start
of the interpreter, the imports and the plots. To look for lag, tilt and wobble as well, as the
workflow does, is counted separately. With `--workflow` Snakemake runs all that it makes of such a
session, too: light, motion, quality, the export to Suite2p, the player and the report.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from _cohort import COLUMNS, finish
from _common import (
    Usage,
    add_quick,
    load,
    make_session,
    options,
    print_table,
    print_verdicts,
    processes,
    rotations,
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
MOST_SECONDS = 10.0
MORE_THAN_CENTER = "estimate_plane"
TO_BE_THERE = {"derotated.tif": MOST_SECONDS, "report.html": 16.0}


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bidirectional", action="store_true", help="scanned in both directions")
    parser.add_argument("--workflow", action="store_true", help="all of it by Snakemake, too")
    parser.add_argument("--folder", type=Path, help="for temporary files, about 1 GB")
    given = parser.parse_args()
    size, n_frames, repeats = (64, 100, 1) if given.quick else (256, given.frames, given.repeats)
    run_step, call = processes(quick=given.quick)
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary:
        folder = Path(temporary)
        stimulus = rotations(n_frames, FRAME_RATE)
        call(
            make_session,
            folder,
            shape=(size, size),
            n_frames=n_frames,
            frame_rate=FRAME_RATE,
            stimulus=stimulus,
            center_offset=(5, -4),
            bidirectional=given.bidirectional,
        )
        for step in () if given.quick else STEPS:  # compiles what was not compiled yet
            run_step(step, folder, threads=given.threads)
        before = load()
        runs = [
            {step: run_step(step, folder, threads=given.threads) for step in STEPS}
            for _ in range(repeats)
        ]
        whole = [run_workflow(folder, k) for k in range(repeats if given.workflow else 0)]
    results = summarize(runs) | {"load_before": before, "load_after": load()}
    for name in TO_BE_THERE if whole else ():
        results[name] = statistics.median(run[name] for run in whole)
    rows = [(*row.values(),) for row in results["steps"]]
    print_table(
        f"{n_frames} frames of {size} x {size}, {len(stimulus)} rotations, {given.threads} "
        f"threads, median of {repeats}; {before}, after it {results['load_after']}",
        ("step", "seconds", "CPU seconds", "peak MB"),
        [
            *rows,
            ("sum", results["sum_s"], results["sum_cpu_s"], ""),
            (
                f"sum without {MORE_THAN_CENTER}",
                results["sum_with_center_s"],
                results["sum_with_center_cpu_s"],
                "",
            ),
        ],
    )
    results["targets"] = print_verdicts(
        [
            ("with the center estimated (s)", results["sum_with_center_s"], "<=", MOST_SECONDS),
            ("with lag, tilt and wobble, too (s)", results["sum_s"], "<=", MOST_SECONDS),
            *(
                (f"by the workflow, to {name} (s)", results[name], "<=", most)
                for name, most in TO_BE_THERE.items()
                if name in results
            ),
        ]
    )
    write_json(given.json, results)


def run_workflow(folder: Path, number: int) -> dict[str, float]:
    """Run the whole workflow on the session in a folder; seconds until each file is there."""
    study = folder / f"study{number}"
    study.mkdir()
    files = (folder / "movie.tif", next(folder.glob("signals.*")), folder / "stimulus.csv")
    row = ("session", "full", *map(str, files), "")
    sheet = "\n".join("\t".join(line) for line in (COLUMNS, row))
    (study / "sessions.tsv").write_text(sheet + "\n", encoding="utf-8")
    config = json.loads((folder / "config.yaml").read_text(encoding="utf-8"))
    (study / "config.yaml").write_text(
        json.dumps(config | {"sessions": "sessions.tsv"}), encoding="utf-8"
    )
    began = time.time()
    finish(study, "--cores", "2")
    places = {"derotated.tif": "session/derotated.tif", "report.html": "report.html"}
    return {
        name: (study / "results" / places[name]).stat().st_mtime - began for name in TO_BE_THERE
    }


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
    sums: dict[str, Any] = {"steps": steps}
    for name, chosen in (
        ("sum", STEPS),
        ("sum_with_center", [step for step in STEPS if step != MORE_THAN_CENTER]),
    ):
        sums |= {
            f"{name}_s": statistics.median(sum(run[s].wall_s for s in chosen) for run in runs),
            f"{name}_cpu_s": statistics.median(sum(run[s].cpu_s for s in chosen) for run in runs),
        }
    return sums


if __name__ == "__main__":
    main()
