"""How fast the kernel is, against a NumPy loop over lines that places rounded coordinates.

Rotating frames of uint16 at the speed of a real stage's plateau, 0.116 degrees per line. Three
levels are measured: the compiled kernel alone, `derotation.maps.resample.derotate_frames` (which
checks, inverts the maps and allocates), and the whole way from angles to frames, as the loop goes
it. The loop and one candidate after the other take turns, so that a busy computer slows all of
them; what is reported is the median over the rounds of the ratio of each pair: of wall time, and of
CPU time, which others' work disturbs less. On Linux a round waits for a moment at which the
processors are idle, and rounds during which other processes took more than 5 % of them do not
count, if enough others are left.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _common import add_quick, load, options, print_table, print_verdicts, write_json
from numpy.typing import NDArray

from derotation.derotate_by_line import derotate_an_image_array_line_by_line
from derotation.maps import kernels
from derotation.maps.resample import FORWARD_PADDING, ORDERS, derotate_frames
from derotation.maps.timing import LineTiming
from derotation.maps.transforms import image_center, invert, line_maps

DEGREES_PER_LINE = 0.116
LINE_DUTY = 0.9
TARGETS = {
    "kernel": (("nearest", 60), ("linear", 15), ("quadratic", 12), ("linear, both ways", 12)),
    "derotate_frames": (("nearest", 40), ("linear", 10)),
}
LOOP_FRAMES = 8  # enough for what takes so long
MOST_DISTURBANCE = 0.05
ENOUGH_ROUNDS = 5
WARM_UP_S = 0.5
PROC_STAT = Path("/proc/stat")


@dataclass(frozen=True)
class Data:
    frames: NDArray[np.uint16]
    angles: NDArray[np.float64]
    maps: NDArray[np.float64]
    center: tuple[float, float]


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--frames", type=int, default=240,
                        help="frames per call; a movie's chunk has %(default)s")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--patience", type=float, default=300, help="seconds to wait in all")
    given = parser.parse_args()
    size, n_frames, rounds, patience = (
        (64, 4, 3, 0.0) if given.quick else (256, given.frames, given.rounds, given.patience)
    )
    what = candidates(rotating_frames(size, n_frames))
    seconds, others = take_turns(what, rounds, patience)
    quiet = others <= MOST_DISTURBANCE
    used = quiet if quiet.sum() >= ENOUGH_ROUNDS else np.ones(rounds, bool)
    results = {
        "load_after": load(),
        "rounds": rounds,
        "quiet_rounds": int(quiet.sum()),
        "used_rounds": int(used.sum()),
        "rows": compare({name: own[..., used] for name, own in seconds.items()}),
        "rows_of_all_rounds": compare(seconds),
    }
    report(results, size, n_frames)
    results["targets"] = print_verdicts(verdicts(results["rows"]))
    write_json(given.json, results)


def rotating_frames(size: int, n_frames: int) -> Data:
    rng = np.random.default_rng(0)
    shape = (n_frames, size, size)
    angles = (np.arange(n_frames * size) * DEGREES_PER_LINE).reshape(shape[:2])
    center = image_center(shape)
    return Data(
        frames=rng.integers(0, 4000, shape).astype(np.uint16),
        angles=angles,
        maps=line_maps(angles, center),
        center=center,
    )


def first_frames(data: Data, n: int) -> Data:
    return Data(data.frames[:n], data.angles[:n], data.maps[:n], data.center)


def numpy_loop(data: Data) -> NDArray[np.uint16]:
    """Turn each line back and place its samples at rounded coordinates: the reference."""
    n_frames, height, width = data.frames.shape
    x_center, y_center = data.center
    dx = np.arange(width) - x_center
    out = np.zeros((n_frames, height, width), data.frames.dtype)
    for f in range(n_frames):
        for j in range(height):
            angle = np.deg2rad(data.angles[f, j])
            cos, sin = np.cos(angle), np.sin(angle)
            dy = j - y_center
            x = np.rint(cos * dx + sin * dy + x_center).astype(np.intp)
            y = np.rint(cos * dy - sin * dx + y_center).astype(np.intp)
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            out[f, y[inside], x[inside]] = data.frames[f, j, inside]
    return out


Candidate = tuple[Callable[[], object], int]
Name = tuple[str, str, int]  # level, kind, threads
LOOP = ("numpy loop", "nearest", 1)


def candidates(data: Data) -> dict[Name, Candidate]:
    """Everything that is timed, by (level, kind, threads): what to call, frames that it does."""
    few, some = first_frames(data, LOOP_FRAMES), first_frames(data, len(data.frames) // 4)
    found: dict[Name, Candidate] = {LOOP: (lambda: numpy_loop(few), len(few.frames))}
    # nearest as the loop does it: all samples of a line at one moment
    kinds: dict[str, tuple[Any, float, bool]] = {
        "nearest": ("nearest", 0.0, False),
        "nearest, time in line": ("nearest", LINE_DUTY, False),
        "linear": ("linear", LINE_DUTY, False),
        "linear, both ways": ("linear", LINE_DUTY, True),
        "quadratic": ("quadratic", LINE_DUTY, False),
        "quadratic, both ways": ("quadratic", LINE_DUTY, True),
        "cubic": ("cubic", LINE_DUTY, False),
        "cubic, both ways": ("cubic", LINE_DUTY, True),
    }
    for kind, (interpolation, duty, both_ways) in kinds.items():
        own = some if both_ways else data  # these are slow
        timing = LineTiming(line_duty=duty, bidirectional=both_ways)
        for threads in (1, 2):
            calls = calls_at_all_levels(own, interpolation, timing, threads)
            found |= {(level, kind, threads): (call, len(own.frames)) for level, call in calls}
    return found


def calls_at_all_levels(
    data: Data, interpolation: Any, timing: LineTiming, threads: int
) -> list[tuple[str, Callable[[], object]]]:
    return [
        ("kernel", kernel(data, interpolation, timing, threads)),
        (
            "derotate_frames",
            lambda: derotate_frames(
                data.frames, data.maps, timing=timing, interpolation=interpolation, threads=threads
            ),
        ),
        (
            "from angles",
            lambda: derotate_an_image_array_line_by_line(
                data.frames, data.angles, interpolation=interpolation, threads=threads,
                line_duty=timing.line_duty, bidirectional=timing.bidirectional,
            ),
        ),
    ]  # fmt: skip


def kernel(
    data: Data, interpolation: str, timing: LineTiming, threads: int
) -> Callable[[], object]:
    """Prepare a call of a compiled kernel with nothing around it but threads."""
    n_frames, height, width = data.frames.shape
    out, counts = np.empty_like(data.frames), np.zeros(n_frames, np.int64)
    nobody, blank = np.empty((0, 0, 0), np.bool_), np.uint16(0)
    slope, offset = timing.line_duty / width, timing.offset

    def place(share: NDArray[np.intp]) -> None:
        image = np.empty(height * (width + FORWARD_PADDING) + 1, np.float32)
        kernels.forward_frames(
            data.frames, data.maps, share, slope, offset, timing.bidirectional, 0.0, image, blank,
            out, counts, nobody,
        )  # fmt: skip

    resample = kernels.inverse_frames
    phase: tuple[float, ...] = ()
    if timing.bidirectional:
        resample, phase = kernels.inverse_frames_bidirectional, (0.0,)
    inverse = invert(data.maps)

    def look_up(share: NDArray[np.intp]) -> None:
        work = np.empty(kernels.padded_shape(height, width), np.float32)
        resample(
            data.frames, inverse, share, slope, offset, *phase, ORDERS[interpolation], False,
            work, 0.0, 65535.0, True, blank, out, counts, nobody,
        )  # fmt: skip

    do = place if interpolation == "nearest" else look_up
    shares = np.array_split(np.arange(n_frames), threads)
    if threads == 1:
        return lambda: do(shares[0])
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(do, shares))


def take_turns(
    what: dict[Name, Candidate], rounds: int, patience: float
) -> tuple[dict[Name, NDArray[np.float64]], NDArray[np.float64]]:
    """Time every candidate once per round, each right after the loop.

    Returns seconds per frame, shape (loop or candidate, wall or CPU, rounds), and the part of the
    processors that others took during each round.
    """
    for call, _ in what.values():
        call()  # compiles
    loop = what.pop(LOOP)
    seconds = {name: np.empty((2, 2, rounds)) for name in what}
    others = np.empty(rounds)
    deadline = time.perf_counter() + patience
    for k in range(rounds):
        while time.perf_counter() < deadline and disturbance(lambda: time.sleep(0.3)) > 0.05:
            pass
        warm_up(loop)

        def one_round(k: int = k) -> None:
            for name, candidate in what.items():
                seconds[name][0, :, k] = timed(loop)
                seconds[name][1, :, k] = timed(candidate)

        others[k] = disturbance(one_round)
    return seconds, others


def warm_up(loop: Candidate) -> None:
    """Work for a while: after a pause processors begin slowly."""
    started = time.perf_counter()
    while time.perf_counter() - started < WARM_UP_S:
        loop[0]()


def timed(candidate: Candidate) -> tuple[float, float]:
    """Wall and CPU seconds per frame."""
    call, n_frames = candidate
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return (time.perf_counter() - wall) / n_frames, (time.process_time() - cpu) / n_frames


def disturbance(do: Callable[[], object]) -> float:
    """Do something; returns the part of all processors that other processes took meanwhile."""
    started, busy, own = time.perf_counter(), busy_seconds(), time.process_time()
    do()
    others = busy_seconds() - busy - (time.process_time() - own)
    return max(others, 0.0) / ((time.perf_counter() - started) * (os.cpu_count() or 1))


def busy_seconds() -> float:
    """Seconds that all processors have worked since the computer was started; 0 if unknown."""
    if not PROC_STAT.exists():
        return 0.0
    ticks = [int(field) for field in PROC_STAT.read_text().split("\n", 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / float(os.sysconf("SC_CLK_TCK"))


def compare(seconds: dict[Name, NDArray[np.float64]]) -> list[dict[str, Any]]:
    rows = []
    for (level, kind, threads), ((loop_wall, loop_cpu), (wall, cpu)) in seconds.items():
        single, single_cpu = seconds[level, kind, 1][1]
        ratios = loop_wall / wall
        rows.append(
            {
                "level": level,
                "kind": kind,
                "threads": threads,
                "loop_ms_per_frame": float(np.median(loop_wall)) * 1e3,
                "ms_per_frame": float(np.median(wall)) * 1e3,
                "times_faster": float(np.median(ratios)),
                "quartiles": [float(q) for q in np.quantile(ratios, [0.25, 0.75])],
                "times_faster_cpu": float(np.median(loop_cpu / cpu)),
                "threads_gain": float(np.median(single / wall)),
                # What is possible when the processors are free: threads that do no extra work.
                "threads_gain_cpu": float(np.median(threads * single_cpu / cpu)),
            }
        )
    return rows


def report(results: dict[str, Any], size: int, n_frames: int) -> None:
    rows = []
    for row in results["rows"]:
        low, high = row["quartiles"]
        alone = row["threads"] == 1
        rows.append(
            (
                row["level"], row["kind"], row["threads"], row["loop_ms_per_frame"],
                row["ms_per_frame"],
                row["times_faster"], f"{low:.3g}-{high:.3g}",
                row["times_faster_cpu"] if alone else "",
                "" if alone else row["threads_gain"], "" if alone else row["threads_gain_cpu"],
            )
        )  # fmt: skip
    print_table(
        f"{n_frames} rotating frames of {size} x {size}, uint16; {results['used_rounds']} of "
        f"{results['rounds']} rounds ({results['quiet_rounds']} undisturbed by others); "
        f"{results['load_after']}",
        ("level", "kind", "threads", "loop: ms/frame", "ms/frame", "times as fast", "quartiles",
         "by CPU time", "gain by threads", "by CPU time"),
        rows,
    )  # fmt: skip


def verdicts(rows: list[dict[str, Any]]) -> list[tuple[str, float, str, float]]:
    found = {(row["level"], row["kind"], row["threads"]): row for row in rows}
    checks: list[tuple[str, float, str, float]] = []
    for level in TARGETS:
        for kind, target in TARGETS[level]:
            value = found[level, kind, 1]["times_faster"]
            checks.append((f"{kind}, {level}: times as fast as the loop", value, ">=", target))
    for kind in ("nearest", "linear", "quadratic", "cubic"):
        value = found["kernel", kind, 2]["threads_gain"]
        checks.append((f"{kind}, kernel: two threads against one", value, ">=", 1.85))
    return checks


if __name__ == "__main__":
    main()
