"""Compare the methods that find the center on the same simulated sessions.

A full session (both directions) and an incremental one of the same sample, 256 x 256, with photon
noise and active cells, their center off the middle of the frame.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _common import add_quick, options, print_table, write_json

from derotation.calibration.center import estimate_center
from derotation.io.movie import open_movie
from derotation.io.signals import open_signals
from derotation.io.stimulus import read_stimulus
from derotation.signals.angles import interpolate_angles
from derotation.signals.parse import parse_signals
from derotation.simulate import simulate_session

STIMULUS = ((200, 1), (100, -1), (200, -1), (100, 1), (50, 1), (50, -1))
METHODS = (
    ("full", "registration", 0.05),
    ("incremental", "registration", 0.1),
    ("incremental", "ellipse", 0.5),
    ("full", "bayesian", 0.5),
)


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    size, seeds = (64, 1) if given.quick else (256, given.seeds)
    # A quick run turns less often, and rests at each step for 3 frames instead of 6.
    moves: dict[str, Any] = {"stimulus": STIMULUS[:3], "step_rest_s": 0.5}
    if not given.quick:
        moves = {"stimulus": STIMULUS}
    rows = []
    for seed in range(seeds):
        for protocol in ("full", "incremental"):
            rows += measure(protocol, size, moves, seed, given.threads)
    header = ("protocol", "method", "seed", "error (px)", "said (px)", "CPU (s)", "wall (s)")
    print_table("Center of rotation", header, rows)
    worst = [
        {
            "protocol": protocol,
            "method": method,
            "error_px": max(row[3] for row in rows if row[:2] == (protocol, method)),
            "target_px": target,
        }
        for protocol, method, target in METHODS
    ]
    write_json(given.json, {"rows": rows, "worst": worst})


def measure(
    protocol: str, size: int, moves: dict[str, Any], seed: int, threads: int
) -> list[tuple]:
    """Simulate a session and find its center by each method that suits it."""
    with tempfile.TemporaryDirectory() as folder:
        files = simulate_session(
            folder,
            protocol=protocol,
            shape=(size, size),
            **moves,
            center_offset=(7.3 * size / 256, -5.6 * size / 256),
            n_cells=60 if size > 100 else 15,
            seed=seed,
            threads=threads,
        )
        truth = np.load(Path(folder) / "truth.npz")["center"]
        table = read_stimulus(files["stimulus"]) if protocol == "full" else None
        with open_movie(files["movie"]) as movie:
            events = parse_signals(
                open_signals(files["signals"]),
                n_frames=len(movie),
                lines_per_frame=size,
                sampling_rate=50_000,
                protocol=protocol,
                stimulus=table,
                config={},
            )
            angles = interpolate_angles(events, protocol=protocol)
            rows = []
            for method in (method for kind, method, _ in METHODS if kind == protocol):
                cpu, wall = time.process_time(), time.perf_counter()
                estimate = estimate_center(movie, angles, {"method": method}, threads=threads)
                found = estimate.calibration
                error = float(np.hypot(*(np.array(found.center) - truth)))
                said = float(np.hypot(*(found.center_sd or (np.nan, np.nan))))
                cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
                rows.append((protocol, method, seed, error, said, cpu, wall))
    return rows


if __name__ == "__main__":
    main()
