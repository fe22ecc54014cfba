"""Parsing and interpolating an hour of analog signals: wall time and peak memory.

50 kHz, 6 channels, interleaved int16 (`.bin`, 2.2 GB), a turn every few seconds. The movie that
belongs to it is as long, but only a few pixels wide: these two steps look at its size alone.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from _common import (
    add_quick,
    elsewhere,
    load,
    options,
    print_table,
    print_verdicts,
    rotations,
    run_step,
    write_config,
    write_json,
)

FRAME_RATE = 6.74
SAMPLING_RATE = 50_000.0
LINES, WIDTH = 256, 2
STEPS = ("parse_signals", "interpolate_angles")


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--folder", type=Path, help="where the files go, removed afterwards")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    seconds, repeats = (30.0, 1) if given.quick else (given.minutes * 60, given.repeats)
    place = given.folder or Path(tempfile.gettempdir())
    check_disk(place, seconds)
    with tempfile.TemporaryDirectory(dir=place) as temporary:
        folder = Path(temporary)
        turns = elsewhere(write_recording, folder, seconds)
        size = (folder / "signals.bin").stat().st_size
        before = load()
        runs = [{step: run_step(step, folder) for step in STEPS} for _ in range(repeats)]
    runs.sort(key=lambda run: sum(usage.wall_s for usage in run.values()))
    middle = runs[len(runs) // 2]
    wall = sum(usage.wall_s for usage in middle.values())
    peak = max(usage.peak_mb for run in runs for usage in run.values())
    print_table(
        f"{seconds / 60:g} minutes, {size / 1e9:.3g} GB, {turns} rotations, median of {repeats}; "
        f"{before}, after it {load()}",
        ("step", "seconds", "CPU seconds", "peak MB"),
        [(step, use.wall_s, use.cpu_s, use.peak_mb) for step, use in middle.items()]
        + [("sum", wall, sum(use.cpu_s for use in middle.values()), "")],
    )
    targets = print_verdicts(
        [("parse and interpolate (s)", wall, "<=", 60), ("peak memory (MB)", peak, "<=", 1000)]
    )
    steps = {step: [(run[step].wall_s, run[step].cpu_s, run[step].peak_mb) for run in runs]
             for step in STEPS}  # fmt: skip
    write_json(given.json, {"load": before, "bytes": size, "steps": steps, "targets": targets})


def check_disk(place: Path, seconds: float) -> None:
    needed = 1.3 * seconds * SAMPLING_RATE * 6 * 2
    free = shutil.disk_usage(place).free
    if free < needed:
        sys.exit(
            f"{place} has {free / 1e9:.2g} GB left, but {needed / 1e9:.2g} GB are needed; "
            "choose another place with --folder, or fewer --minutes."
        )


def write_recording(folder: Path, seconds: float) -> int:
    """Write signals.bin, stimulus.csv and a narrow movie; returns the number of rotations."""
    import numpy as np
    import tifffile

    from derotation.simulate import BIN_CHANNELS, plan_recording, write_signals

    n_frames = int(seconds * FRAME_RATE)
    plan = plan_recording(
        shape=(LINES, WIDTH),
        n_frames=n_frames,
        frame_rate=FRAME_RATE,
        stimulus=rotations(n_frames, FRAME_RATE),
        sampling_rate=SAMPLING_RATE,
        signal_noise_v=0.02,
        n_cells=0,
    )
    write_signals(folder / "signals.bin", plan.analog, "bin")
    rows = [f"{speed},{direction:.0f}" for speed, direction in plan.stimulus]
    text = "\n".join(["speed,direction", *rows]) + "\n"
    (folder / "stimulus.csv").write_text(text, encoding="utf-8")
    movie = np.zeros((n_frames, LINES, WIDTH), np.uint16)
    tifffile.imwrite(folder / "movie.tif", movie, photometric="minisblack")
    write_config(folder, SAMPLING_RATE, channel_order=list(BIN_CHANNELS))
    return len(plan.stimulus)


if __name__ == "__main__":
    main()
