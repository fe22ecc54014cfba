"""Which interpolation: the artefact that it leaves in the traces of cells, against its time.

Frames at rest are copied, all others are resampled. What resampling does to brightness and noise is
therefore locked to the rotations, in every trace. Here the mean brightness of each cell (over the
pixels where it reaches half its own maximum) in resampled frames is compared with that of the
simulator's continuous scene at the pixels' centers:

- bias: mean over the frames, in percent of the cell's brightness; median and worst of the cells;
- scatter: root mean square over the frames around that mean, without any noise;
- noise: standard deviation of the cell's trace, over that of frames that are copied, at two light
  levels (photons, and read noise of a quarter of a photon), and the same for single pixels.

The kinds of frames: turning ones of a scan in one direction and in both, and resting ones that are
moved by a part of a pixel, as a correction of the sample's motion does, or whose odd lines are
displaced. Beside the library's interpolations stand two that are not in it: linear interpolation of
frames that were sharpened before so that the mean over all places is right (quasi-interpolation),
and shifted linear interpolation (Blu, Thevenaz, Unser, IEEE Trans. Image Process. 13, 710 (2004);
doi:10.1109/TIP.2004.826093), in one direction only; their times are not those of compiled loops.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from _common import add_quick, load, options, print_table, print_verdicts, write_json
from numpy.typing import NDArray
from scipy import ndimage, signal

from derotation.maps.resample import derotate_frames
from derotation.maps.timing import LineTiming
from derotation.maps.transforms import line_maps
from derotation.simulate.plan import RecordingPlan
from derotation.simulate.recording import plan_recording

LINE_DUTY = 0.9
READ_NOISE = 0.25  # photons
LIGHT = (10.0, 1.0)
DEFAULT = "quadratic"
INSIDE = ("linear", "quadratic", "cubic")
SHARPENED = np.array([-1.0, 14.0, -1.0]) / 12
SHIFT = 0.21  # of shifted linear interpolation: the best one, by its authors
REPEATS = 5


@dataclass(frozen=True)
class Case:
    """Frames without noise (a typical cell gives one photon), and what puts them in place."""

    name: str
    frames: NDArray[np.float64]
    maps: NDArray[np.float64]
    shifted_maps: NDArray[np.float64] | None  # for a grid that is shifted by SHIFT
    timing: LineTiming


Resampler = Callable[[NDArray[np.float64], Case], NDArray[np.float64]]


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--size", type=int, default=192, help="pixels along a side")
    parser.add_argument("--frames", type=int, default=24)
    given = parser.parse_args()
    size, n_frames, seeds = (
        (64, 3, given.seeds[:1]) if given.quick else (given.size, given.frames, given.seeds)
    )
    measured: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for seed in seeds:
        plan = scan(size, seed)
        truth, cells = plan.scene.on_grid((size, size)), masks(plan)
        for case in cases(size, seed, n_frames):
            for name, resample in resamplers(case).items():
                one = measure(resample, case, truth, cells, seed)
                measured.setdefault((case.name, name), []).append(one)
    rows = [
        {"case": case, "interpolation": name, **pool(found)}
        for (case, name), found in measured.items()
    ]
    report(rows)
    results = {"load": load(), "rows": rows, "targets": print_verdicts(verdicts(rows))}
    write_json(given.json, results)


def scan(size: int, seed: int, **changes: Any) -> RecordingPlan:
    return plan_recording(
        shape=(size, size), photons_per_pixel=None, calcium=False, line_duty=LINE_DUTY, seed=seed,
        dtype="float64", pmt_offset=0.0, gain=1.0, n_cells=max(12, size * size // 600),
        center_offset=(2.3, -1.6), **changes,
    )  # fmt: skip


def masks(plan: RecordingPlan) -> list[NDArray[np.bool_]]:
    """Pixels of each cell that is seen at all angles."""
    scene, shape = plan.scene, plan.parameters.shape
    center = np.array(plan.center)
    radius = min(*center, *(np.array(shape[::-1]) - 1 - center)) - 8
    found = []
    for k in np.flatnonzero(np.hypot(*(scene.centers - center).T) < radius):
        active = np.ones(scene.n_cells)
        active[k] = 2.0
        own = scene.on_grid(shape, active) - scene.on_grid(shape)
        found.append(own > 0.5 * own.max())
    return found


def cases(size: int, seed: int, n_frames: int) -> list[Case]:
    found = []
    for both_ways in (False, True):
        plan = scan(size, seed, bidirectional=both_ways)
        turning = np.flatnonzero(np.ptp(plan.line_angles, axis=1) > 1)
        turning = turning[np.linspace(0, len(turning) - 1, n_frames).astype(int)]
        later = plan.line_start + (0.5 * LINE_DUTY + SHIFT) * plan.line_period
        found.append(
            Case(
                "turning, both ways" if both_ways else "turning",
                np.stack([plan.photons(int(f)) for f in turning]),
                line_maps(plan.line_angles[turning], plan.center),
                shifted(line_maps(plan.motor.angle(later[turning]), plan.center)),
                LineTiming(line_duty=LINE_DUTY, bidirectional=both_ways),
            )
        )
    return [*found, moved(size, seed, n_frames), displaced(size, seed, n_frames)]


def moved(size: int, seed: int, n_frames: int) -> Case:
    """Resting frames of a sample that has moved by less than a pixel, each elsewhere."""
    plan = scan(size, seed)
    y, x = np.mgrid[:size, :size].astype(np.float64)
    moves = np.random.default_rng(seed).uniform(-0.5, 0.5, (n_frames, 2))
    maps = np.tile(np.eye(2, 3), (n_frames, size, 1, 1))
    maps[..., 2] = moves[:, np.newaxis]
    frames = np.stack([plan.scene.evaluate(x + dx, y + dy) for dx, dy in moves])
    return Case("at rest, moved", frames, maps, shifted(maps), LineTiming(line_duty=LINE_DUTY))


def displaced(size: int, seed: int, n_frames: int) -> Case:
    """Resting frames whose odd lines are displaced, by another phase each session."""
    phase = float(np.random.default_rng(seed).uniform(0.3, 1.5))
    plan = scan(size, seed, bidirectional=True, bidi_phase=phase)
    frames = np.repeat(plan.photons(0)[np.newaxis], min(n_frames, 2), axis=0)
    maps = np.tile(np.eye(2, 3), (len(frames), size, 1, 1))
    timing = LineTiming(line_duty=LINE_DUTY, bidirectional=True, phase_px=phase)
    return Case("at rest, phase", frames, maps, None, timing)


def shifted(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make maps for frames whose sample i lies at i + SHIFT, in x and y."""
    moved = maps.copy()
    moved[..., 2] += SHIFT * maps[..., :2].sum(axis=-1)
    return moved


def resamplers(case: Case) -> dict[str, Resampler]:
    found: dict[str, Resampler] = {name: inside(name) for name in INSIDE}
    if not case.timing.bidirectional:
        found |= {"sharpened linear": sharpened_linear, "shifted linear": shifted_linear}
    return found


def inside(name: Any) -> Resampler:
    def resample(frames: NDArray[np.float64], case: Case) -> NDArray[np.float64]:
        return look_up(frames, case.maps, case.timing, name)

    return resample


def look_up(
    frames: NDArray[np.float64], maps: NDArray[np.float64], timing: LineTiming, name: Any
) -> NDArray[np.float64]:
    done = derotate_frames(
        frames.astype(np.float32), maps, timing=timing, interpolation=name, blank=np.nan
    )
    return np.asarray(done.frames, dtype=np.float64)


def sharpened_linear(frames: NDArray[np.float64], case: Case) -> NDArray[np.float64]:
    for axis in (1, 2):
        frames = ndimage.correlate1d(frames, SHARPENED, axis=axis, mode="nearest")
    return look_up(frames, case.maps, case.timing, "linear")


def shifted_linear(frames: NDArray[np.float64], case: Case) -> NDArray[np.float64]:
    assert case.shifted_maps is not None
    for axis in (1, 2):
        frames = signal.lfilter([1 / (1 - SHIFT)], [1, SHIFT / (1 - SHIFT)], frames, axis=axis)
    return look_up(frames, case.shifted_maps, case.timing, "linear")


def measure(
    resample: Resampler,
    case: Case,
    truth: NDArray[np.float64],
    cells: list[NDArray[np.bool_]],
    seed: int,
) -> dict[str, Any]:
    clean = resample(case.frames, case)
    true = np.array([truth[cell].mean() for cell in cells])
    error = 100 * (np.array([clean[:, cell].mean(axis=1) for cell in cells]) / true[:, None] - 1)
    found: dict[str, Any] = {
        "bias": error.mean(axis=1),
        "scatter": error.std(axis=1),
        "ns_per_pixel": seconds(resample, case) / case.frames.size * 1e9,
    }
    rng = np.random.default_rng(seed)
    for light in LIGHT:
        photons = light * case.frames
        noise = rng.poisson(photons) + READ_NOISE * rng.standard_normal(photons.shape) - photons
        noise = resample(noise, case)
        copied = light * truth + READ_NOISE**2  # its variance
        trace = [
            np.sqrt(np.mean(noise[:, cell].mean(axis=1) ** 2) / (copied[cell].mean() / cell.sum()))
            for cell in cells
        ]
        pixels = [np.sqrt(np.mean(noise[:, cell] ** 2) / copied[cell].mean()) for cell in cells]
        found[f"noise_{light:g}"], found[f"pixels_{light:g}"] = np.array(trace), np.array(pixels)
    return found


def seconds(resample: Resampler, case: Case) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        resample(case.frames, case)
        times.append(time.process_time() - started)
    return float(np.median(times))


def pool(found: list[dict[str, Any]]) -> dict[str, float]:
    """Pool the cells of all samples."""
    bias = np.abs(np.concatenate([one["bias"] for one in found]))
    pooled = {
        "cells": len(bias),
        "bias_median": float(np.median(bias)),
        "bias_worst": float(bias.max()),
        "scatter_median": float(np.median(np.concatenate([one["scatter"] for one in found]))),
        "ns_per_pixel": float(np.median([one["ns_per_pixel"] for one in found])),
    }
    for name in [f"{what}_{light:g}" for light in LIGHT for what in ("noise", "pixels")]:
        pooled[name] = float(np.sqrt(np.mean(np.concatenate([one[name] for one in found]) ** 2)))
    return pooled


def report(rows: list[dict[str, Any]]) -> None:
    columns = {
        "frames": "case", "interpolation": "interpolation", "bias (%)": "bias_median",
        "worst (%)": "bias_worst", "scatter (%)": "scatter_median",
        "noise, 10 photons": "noise_10", "of a pixel": "pixels_10",
        "noise, 1 photon": "noise_1", "of a pixel ": "pixels_1", "ns/pixel": "ns_per_pixel",
    }  # fmt: skip
    print_table(
        f"Brightness and noise of {rows[0]['cells']} cells in resampled frames; {load()}",
        tuple(columns),
        [[row[name] for name in columns.values()] for row in rows],
    )


def verdicts(rows: list[dict[str, Any]]) -> list[tuple[str, float, str, float]]:
    checks: list[tuple[str, float, str, float]] = []
    for row in rows:
        if row["interpolation"] == DEFAULT:
            name = f"{DEFAULT}, {row['case']}: bias (%)"
            checks.append((f"{name}, median of cells", row["bias_median"], "<=", 0.2))
            checks.append((f"{name}, worst cell", row["bias_worst"], "<=", 0.5))
    return checks


if __name__ == "__main__":
    main()
