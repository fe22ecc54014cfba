"""How fast the kernel is, against a NumPy loop over lines that places rounded coordinates.

Rotating frames of uint16 at the speed of a real stage's plateau, 0.116 degrees per line. Three
levels are measured: the compiled kernel alone, `derotation.derotate.derotate_frames` (which checks,
inverts the maps and allocates), and the whole way from angles to frames, as the loop goes it.
All candidates take turns, so that a busy computer slows all of them; what is reported is the median
over the rounds of the ratio within a round: of wall time, and of CPU time, which others' work
disturbs less.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from _common import add_quick, load, options, print_table, print_verdicts, write_json
from numpy.typing import NDArray

from derotation import _kernels
from derotation.derotate import FORWARD_PADDING, LineTiming, derotate_frames
from derotation.derotate_by_line import derotate_an_image_array_line_by_line
from derotation.transforms import image_center, invert, line_maps

DEGREES_PER_LINE = 0.116
LINE_DUTY = 0.9
LOOP_FRAMES = 6  # the loop is slow; the others get --frames


@dataclass(frozen=True)
class Data:
    frames: NDArray[np.uint16]
    angles: NDArray[np.float64]
    maps: NDArray[np.float64]
    center: tuple[float, float]


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--frames", type=int, default=40, help="frames per call")
    parser.add_argument("--rounds", type=int, default=25)
    given = parser.parse_args()
    size, n_frames, rounds = (64, 4, 3) if given.quick else (256, given.frames, given.rounds)
    before = load()
    data = rotating_frames(size, n_frames)
    seconds = take_turns(candidates(data), rounds)
    results = {"load_before": before, "load_after": load(), "rows": compare(seconds)}
    report(results, size, n_frames, rounds)
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


def numpy_loop(data: Data, n_frames: int) -> NDArray[np.uint16]:
    """Turn each line back and place its samples at rounded coordinates: the reference."""
    height, width = data.frames.shape[1:]
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


def candidates(data: Data) -> dict[Name, Candidate]:
    """Everything that is timed, by (level, kind, threads): what to call, frames that it does."""
    n_frames = len(data.frames)
    n_loop = min(LOOP_FRAMES, n_frames)
    found: dict[Name, Candidate] = {
        ("numpy loop", "nearest", 1): (lambda: numpy_loop(data, n_loop), n_loop)
    }
    # nearest as the loop does it: all samples of a line at one moment
    kinds: dict[str, tuple[Any, float, bool]] = {
        "nearest": ("nearest", 0.0, False),
        "nearest, time in line": ("nearest", LINE_DUTY, False),
        "linear": ("linear", LINE_DUTY, False),
        "linear, both ways": ("linear", LINE_DUTY, True),
        "cubic": ("cubic", LINE_DUTY, False),
        "cubic, both ways": ("cubic", LINE_DUTY, True),
    }
    for kind, (interpolation, duty, both_ways) in kinds.items():
        timing = LineTiming(line_duty=duty, bidirectional=both_ways)
        found["kernel", kind, 1] = (kernel(data, interpolation, timing), n_frames)
        for threads in (1, 2):

            def frames(i: Any = interpolation, t: LineTiming = timing, n: int = threads) -> object:
                return derotate_frames(data.frames, data.maps, timing=t, interpolation=i, threads=n)

            def angles(
                i: Any = interpolation, d: float = duty, b: bool = both_ways, n: int = threads
            ) -> object:
                return derotate_an_image_array_line_by_line(
                    data.frames, data.angles, interpolation=i, line_duty=d, bidirectional=b,
                    threads=n,
                )  # fmt: skip

            found["derotate_frames", kind, threads] = (frames, n_frames)
            found["from angles", kind, threads] = (angles, n_frames)
    return found


def kernel(data: Data, interpolation: str, timing: LineTiming) -> Callable[[], object]:
    """Prepare a call of a compiled kernel with nothing around it."""
    height, width = data.frames.shape[1:]
    out, counts = np.empty_like(data.frames), np.zeros(len(data.frames), np.int64)
    which, nobody = np.arange(len(data.frames)), np.empty((0, 0, 0), np.bool_)
    slope, offset, blank = timing.line_duty / width, timing.offset, np.uint16(0)
    if interpolation == "nearest":
        image = np.empty(height * (width + FORWARD_PADDING) + 1, np.float32)
        return lambda: _kernels.forward_frames(
            data.frames, data.maps, which, slope, offset, timing.bidirectional, image, blank, out,
            counts, nobody,
        )  # fmt: skip
    resample = (
        _kernels.inverse_frames_bidirectional if timing.bidirectional else _kernels.inverse_frames
    )
    inverse, work = invert(data.maps), np.empty((height + 3, width + 3), np.float32)
    return lambda: resample(
        data.frames, inverse, which, slope, offset, interpolation == "cubic", False, work, 0.0,
        65535.0, True, blank, out, counts, nobody,
    )  # fmt: skip


def take_turns(what: dict[Name, Candidate], rounds: int) -> dict[Name, NDArray[np.float64]]:
    """Time every candidate once per round; wall and CPU seconds per frame, shape (2, rounds)."""
    for call, _ in what.values():
        call()  # compiles
    seconds = {name: np.empty((2, rounds)) for name in what}
    for k in range(rounds):
        for name, (call, n_frames) in what.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            took = (time.perf_counter() - wall, time.process_time() - cpu)
            seconds[name][:, k] = np.divide(took, n_frames)
    return seconds


def compare(seconds: dict[Name, NDArray[np.float64]]) -> list[dict[str, Any]]:
    loop_wall, loop_cpu = seconds["numpy loop", "nearest", 1]
    rows = []
    for (level, kind, threads), (wall, cpu) in seconds.items():
        single = seconds[level, kind, 1][0]
        ratios = loop_wall / wall
        rows.append(
            {
                "level": level,
                "kind": kind,
                "threads": threads,
                "ms_per_frame": float(np.median(wall)) * 1e3,
                "times_faster": float(np.median(ratios)),
                "quartiles": [float(q) for q in np.quantile(ratios, [0.25, 0.75])],
                "times_faster_cpu": float(np.median(loop_cpu / cpu)),
                "threads_gain": float(np.median(single / wall)),
                "threads_gain_best": float(single.min() / wall.min()),
            }
        )
    return rows


def report(results: dict[str, Any], size: int, n_frames: int, rounds: int) -> None:
    rows = []
    for row in results["rows"]:
        low, high = row["quartiles"]
        alone = row["threads"] == 1
        rows.append(
            (
                row["level"], row["kind"], row["threads"], row["ms_per_frame"],
                row["times_faster"], f"{low:.3g}-{high:.3g}",
                row["times_faster_cpu"] if alone else "",
                "" if alone else row["threads_gain"], "" if alone else row["threads_gain_best"],
            )
        )  # fmt: skip
    print_table(
        f"{n_frames} rotating frames of {size} x {size}, uint16, {rounds} rounds; "
        f"{results['load_before']}, after it {results['load_after']}",
        ("level", "kind", "threads", "ms/frame", "times as fast", "quartiles", "by CPU time",
         "gain by threads", "best against best"),
        rows,
    )  # fmt: skip


def verdicts(rows: list[dict[str, Any]]) -> list[tuple[str, float, str, float]]:
    found = {(row["level"], row["kind"], row["threads"]): row for row in rows}
    checks: list[tuple[str, float, str, float]] = []
    for level in ("kernel", "derotate_frames", "from angles"):
        for kind, target in (("nearest", 40), ("linear", 10)):
            value = found[level, kind, 1]["times_faster"]
            checks.append((f"{kind}, {level}: times as fast as the loop", value, ">=", target))
    for kind in ("nearest", "linear", "cubic"):
        value = found["derotate_frames", kind, 2]["threads_gain"]
        checks.append((f"{kind}: two threads against one", value, ">=", 1.7))
    return checks


if __name__ == "__main__":
    main()
