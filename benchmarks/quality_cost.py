"""What quality and export add to the time of derotate_movie.

Collecting what quality needs is part of derotate_movie; here the steps measure_quality and
export_suite2p are timed against it, each as a process of its own with its imports and plots. The
calibration is given: finding it is no part of the comparison.
"""

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from _common import (
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

FRAME_RATE = 6.74
BEFORE = ("parse_signals", "interpolate_angles")
TIMED = ("derotate_movie", "measure_quality", "export_suite2p")
MOST_ADDED = 0.3


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--frames", type=int, default=4000)
    parser.add_argument("--size", type=int, default=512, help="of the frames, px")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="for temporary files, about 7 GB")
    given = parser.parse_args()
    size, n_frames = (64, 100) if given.quick else (given.size, given.frames)
    run_step, call = processes(quick=given.quick)
    with tempfile.TemporaryDirectory(dir=given.folder) as temporary:
        folder = Path(temporary)
        call(
            make_session,
            folder,
            shape=(size, size),
            n_frames=n_frames,
            frame_rate=FRAME_RATE,
            stimulus=rotations(n_frames, FRAME_RATE),
            center_offset=(5, -4),
        )
        for step in BEFORE:
            run_step(step, folder, threads=given.threads)
        call(save_true_calibration, folder, (size, size))
        before = load()
        runs = [
            {step: run_step(step, folder, threads=given.threads) for step in TIMED}
            for _ in range(given.repeats)
        ]
        quality = json.loads((folder / "quality.json").read_text(encoding="utf-8"))
    rows = [
        {
            "step": step,
            "wall_s": statistics.median(run[step].wall_s for run in runs),
            "cpu_s": statistics.median(run[step].cpu_s for run in runs),
            "peak_mb": max(run[step].peak_mb for run in runs),
        }
        for step in TIMED
    ]
    print_table(
        f"{n_frames} frames of {size} x {size}, {given.threads} threads, median of "
        f"{given.repeats}; {before}, after it {load()}; flag: {quality['flag']}",
        ("step", "seconds", "CPU seconds", "peak MB"),
        [tuple(row.values()) for row in rows],
    )
    results: dict[str, Any] = {"steps": rows, "flag": quality["flag"]}
    for unit in ("wall_s", "cpu_s"):
        derotation, *added = (row[unit] for row in rows)
        results[f"added_{unit}"] = sum(added) / derotation
    results["targets"] = print_verdicts(
        [
            ("added to the time of derotate_movie", results["added_wall_s"], "<=", MOST_ADDED),
            ("added to its CPU time", results["added_cpu_s"], "<=", MOST_ADDED),
        ]
    )
    write_json(given.json, results)


def save_true_calibration(folder: Path, shape: tuple[int, int]) -> None:
    """Take the center from the truth."""
    from derotation.calibration import Calibration

    x, y = json.loads((folder / "truth.json").read_text(encoding="utf-8"))["center"]
    Calibration(center=(x, y), image_shape=shape, method="fixed").save(folder / "calibration.json")


if __name__ == "__main__":
    main()
