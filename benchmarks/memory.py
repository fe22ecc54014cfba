"""Peak memory of every step, for a short and a long movie.

Each step runs as a process of its own on a simulated session on disk, and the system tells the
largest amount of memory that the process had (ru_maxrss), interpreter and libraries included.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from _common import (
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
    "estimate_illumination",
    "estimate_motion",
    "derotate_movie",
    "measure_quality",
    "export_suite2p",
)
FRAME_RATE = 6.74
MOST_MB = 700.0
# Peaks vary by some MB from run to run; the long movie is larger than the short one by far more.
MOST_GROWTH = 1.3


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--frames", type=int, nargs="+", default=(400, 4000), metavar="N")
    parser.add_argument(
        "--size", type=int, nargs="+", default=(256,), metavar="N",
        help="of the frames, px: both sides, or rows and columns; tables grow with the rows alone",
    )  # fmt: skip
    parser.add_argument("--folder", type=Path, help="for temporary files, about 3 GB")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    shape = (given.size[0], given.size[-1])
    shape, lengths = ((64, 64), (100,)) if given.quick else (shape, tuple(given.frames))
    steps = STEPS[:2] if given.quick else STEPS
    found = [peaks(n, shape, given.folder, steps, given.threads) for n in lengths]
    movie_mb = [n * shape[0] * shape[1] * 2 / 1e6 for n in lengths]
    results: dict[str, Any] = {
        "load": load(),
        "frames": lengths,
        "movie_mb": movie_mb,
        "peak_mb": {step: [peak[step] for peak in found] for step in steps},
    }
    rows: list[Any] = [("(the movie itself)", *movie_mb, movie_mb[-1] / movie_mb[0])]
    rows += [(step, *own, own[-1] / own[0]) for step, own in results["peak_mb"].items()]
    print_table(
        f"Peak memory in MB, {shape[0]} x {shape[1]}, uint16, {given.threads} threads",
        ("step", *(f"{n} frames" for n in lengths), "last/first"),
        rows,
    )
    checks = [
        (f"{step}: peak, {lengths[-1]} frames (MB)", own[-1], "<=", MOST_MB)
        for step, own in results["peak_mb"].items()
    ]
    checks += [
        (f"{step}: growth with the movie's length", own[-1] / own[0], "<=", MOST_GROWTH)
        for step, own in results["peak_mb"].items()
        if len(lengths) > 1
    ]
    results["targets"] = print_verdicts(checks)
    write_json(given.json, results)


def peaks(
    n_frames: int,
    shape: tuple[int, int],
    place: Path | None,
    steps: tuple[str, ...],
    threads: int,
) -> dict[str, float]:
    """Simulate a session and run steps on it: peak memory of each, MB."""
    with tempfile.TemporaryDirectory(dir=place) as temporary:
        folder = Path(temporary)
        elsewhere(
            make_session,
            folder,
            shape=shape,
            n_frames=n_frames,
            frame_rate=FRAME_RATE,
            stimulus=rotations(n_frames, FRAME_RATE),
            center_offset=(5, -4),
        )
        found = {}
        for step in steps:
            found[step] = run_step(step, folder, threads=threads).peak_mb
            print(f"{n_frames} frames, {step}: {found[step]:.0f} MB", file=sys.stderr, flush=True)
        return found


if __name__ == "__main__":
    main()
