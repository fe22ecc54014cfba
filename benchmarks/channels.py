"""What a second channel adds to derotate_movie: computing time and memory of the pass, in turn.

A simulated session of two channels is derotated with one and with both of them, again and again in
turn, by one thread; the ratio is the median of those of the rounds. Computing time counts all
threads, those that read and write ahead included.
"""

import tempfile
import time
import tracemalloc
from pathlib import Path
from statistics import median

from _common import add_quick, load, options, print_table, print_verdicts, write_json

from derotation.calibration import Calibration
from derotation.cohort.config import validate_config
from derotation.io.movie import Movie, open_movie
from derotation.signals.angles import Angles
from derotation.simulate import simulate_session
from derotation.steps import interpolate_angles, parse_signals
from derotation.steps.inputs import no_plots
from derotation.streaming.channels import FurtherChannel
from derotation.streaming.single_pass import derotate_movie

SIDE = 512


def main() -> None:
    """Measure, print and compare with the target."""
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    side, rounds = (64, 1) if arguments.quick else (SIDE, arguments.rounds)
    with tempfile.TemporaryDirectory() as name:
        rows = measure(Path(name), side, rounds)
    ratios = [row["two"] / row["one"] for row in rows[1:] or rows]
    print_table(
        f"CPU time of derotate_movie, {side} x {side} pixels, ms per frame ({load()})",
        ("round", "one channel", "two channels", "ratio"),
        [(k, row["one"], row["two"], row["two"] / row["one"]) for k, row in enumerate(rows)],
    )
    memory = rows[0]["peak_two"] / rows[0]["peak_one"]
    targets = print_verdicts(
        [
            ("CPU time of two channels over one", median(ratios), "<=", 1.8),
            ("memory of two channels over one", memory, "<=", 1.5),
        ]
    )
    write_json(arguments.json, {"rounds": rows, "targets": targets})


@no_plots()
def measure(folder: Path, side: int, rounds: int) -> list[dict[str, float]]:
    """Derotate with one and with two channels in turn; the first round is not timed alone."""
    raw = simulate_session(
        folder / "raw", shape=(side, side), channels=2, calcium=False, threads=2,
        stimulus=((200.0, 1), (200.0, -1)), rest_before_s=1, rest_between_s=1, rest_after_s=1,
        sampling_rate=20_000.0, n_cells=60,
    )  # fmt: skip
    config = validate_config({"signals": {"sampling_rate": 20_000}, "movie": {"channel": 1}})
    events = parse_signals.run(
        movie=raw["movie"], signals=raw["signals"], stimulus=raw["stimulus"], protocol="full",
        config=config, outputs=parse_signals.Outputs.within(folder),
    )  # fmt: skip
    angles = interpolate_angles.run(
        events=events, movie=raw["movie"], protocol="full", config=config,
        outputs=interpolate_angles.Outputs.within(folder),
    )  # fmt: skip
    rows: list[dict[str, float]] = []
    with open_movie(raw["movie"], channel=1) as movie:
        peaks = {}
        for name, numbers in (("peak_one", []), ("peak_two", [2])):
            # The first pass also loads the compiled code.
            tracemalloc.start()
            derotate(movie, angles, folder, numbers)
            peaks[name] = tracemalloc.get_traced_memory()[1] / 1e6
            tracemalloc.stop()
        for _ in range(rounds):
            row = dict(peaks)
            for name, numbers in (("one", []), ("two", [2])):
                began = time.process_time()
                derotate(movie, angles, folder, numbers)
                row[name] = (time.process_time() - began) / len(movie) * 1e3
            rows.append(row)
    return rows


def derotate(movie: Movie, angles: Angles, folder: Path, numbers: list[int]) -> None:
    """Derotate one channel and perhaps another."""
    height, width = movie.shape[1:]
    center = ((width - 1) / 2, (height - 1) / 2)
    derotate_movie(
        movie,
        angles,
        Calibration(center=center, image_shape=(height, width), method="fixed"),
        folder / "derotated.tif",
        seen_output=folder / "seen.npz",
        further=[
            FurtherChannel(movie.part(channel=number), folder / f"ch{number}.tif")
            for number in numbers
        ],
    )


if __name__ == "__main__":
    main()
