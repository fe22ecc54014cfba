"""Cells: when was each scanned, is its dF/F the calcium, is its tuning found, is it found again?

Pictures: simulated sessions with 10 photons whose ROIs are the true outlines of the cells,
derotated by angles parsed from the signals. Tuning: five sessions of 200 cells, 70 that follow the
angle, 50 the velocity, 30 in a shadow that comes and goes with the angle, and 50 that follow
nothing but have transients of their own; their traces are made from the simulator's truth and its
motor, with the noise of photons, without pictures. Matching: outlines, half of the cells silent in
each session, after a movement of 8 px and 4 degrees. Cost: against `derotate_movie` on the same
movie, in time of the process with one thread, and the memory of a process that measures 500 ROIs in
a recording of 36 000 frames.
"""

import dataclasses
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _common import add_quick, elsewhere, load, options, print_table, print_verdicts, write_json
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration
from derotation.cells.blocks import blocks_of
from derotation.cells.dff import brightness_by_angle, delta_f_over_f, sliding_baseline
from derotation.cells.matching import match_cells
from derotation.cells.measure import measure_cells
from derotation.cells.rois import Rois, neuropil_rings
from derotation.cells.rotations import Rotations
from derotation.cells.tuning import call, tuning_of, velocity_edges
from derotation.io.movie import open_movie
from derotation.io.seen import SeenPixels
from derotation.io.signals import open_signals
from derotation.io.stimulus import read_stimulus
from derotation.light.illumination import estimate_illumination
from derotation.maps import transforms
from derotation.maps.line_maps import LineMaps
from derotation.numerics.degrees import wrapped
from derotation.signals.angles import Angles, interpolate_angles
from derotation.signals.parse import parse_signals
from derotation.simulate import RecordingPlan, plan_recording, simulate_session
from derotation.streaming.single_pass import derotate_movie

NDFloat = NDArray[np.float64]
STIMULUS = ((200, 1), (100, -1), (150, -1), (50, 1), (200, -1), (150, 1), (100, 1), (50, -1))
KINDS = {"angle": 70, "velocity": 50, "light": 30, "slope": 0.45}
N_CELLS = 200
# Of a quick run.
FEW_KINDS = {"angle": 35, "velocity": 25, "light": 15, "slope": 0.45}
FEW_CELLS = 100


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--seed", type=int, default=0, help="added to the seeds of all recordings")
    given = parser.parse_args()
    # First, as long as this process is small: its memory counts as that of those it starts.
    frames = 2000 if given.quick else 36_000
    n_rois, side = (20, 64) if given.quick else (500, 512)
    long = elsewhere(measure_long, frames, n_rois, side)
    pictures = pictures_of(given.seed, quick=given.quick)
    print_table("Pictures", ("figure", "value"), [*pictures.items()])
    tuning = tuning_found(given.seed, quick=given.quick)
    print_table("Tuning", ("figure", "value"), [*tuning.items()])
    matched = [matching(given.seed + k) for k in range(2 if given.quick else 10)]
    cost = costs(long, frames, quick=given.quick)
    print_table("Cost", ("figure", "value"), [*cost.items()])
    verdicts = print_verdicts([
        ("time of samples (ms rms)", pictures["time_ms"], "<=", 1.0),
        ("dF/F against calcium (median r)", pictures["dff_r"], ">=", 0.95),
        ("static while turning, linear (bias)", pictures["bias"], "<=", 0.01),
        ("static while turning, quadratic (bias)", pictures["bias_default"], "<=", 0.01),
        ("static, uneven light, auto (bias)", pictures["bias_uneven"], "<=", 0.02),
        ("tuned cells found", tuning["found"], ">=", 0.9),
        ("untuned called tuned", tuning["untuned"], "<=", 0.05),
        ("shadows called tuned", tuning["light"], "<=", 0.05),
        ("preferred angle (degrees, median)", tuning["angle_error"], "<=", 10),
        ("slope (median, relative)", tuning["slope_error"], "<=", 0.2),
        ("cells in both that are matched", float(np.mean([m[0] for m in matched])), ">=", 0.95),
        ("matches that are wrong", float(np.mean([m[1] for m in matched])), "<=", 0.02),
        ("time against derotate_movie, 36 000 frames", cost["long_ratio"], "<=", 0.5),
        ("memory, 36 000 frames, 500 ROIs (MB)", cost["peak_mb"], "<=", 700),
    ])  # fmt: skip
    print(f"\n{load()}")
    results = {"pictures": pictures, "tuning": tuning, "matching": matched, "cost": cost}
    write_json(given.json, {**results, "targets": verdicts})


def outlines(plan: RecordingPlan, *, margin: float = 1.0) -> Rois:
    """Draw the pixels of the cells that are seen at all angles."""
    height, width = plan.parameters.shape
    y, x = np.mgrid[:height, :width]
    radii = np.sqrt(plan.scene.radii.prod(axis=1))
    centers = plan.cell_centers
    away = np.hypot(*(centers - np.array(plan.center)).T)
    reach = min(height, width) / 2 - margin
    kept = np.flatnonzero(
        away[: plan.parameters.n_cells] + radii[: plan.parameters.n_cells] < reach
    )
    pixels = [
        np.stack(np.nonzero(np.hypot(x - centers[k, 0], y - centers[k, 1]) <= radii[k]))
        for k in kept
    ]
    return Rois.of(pixels, (height, width), number=kept)


def true_rotations(plan: RecordingPlan) -> Rotations:
    return Rotations(
        start_s=plan.rotation_start,
        end_s=plan.rotation_end,
        speed=plan.rotation_speed,
        direction=plan.rotation_direction.astype(np.float64),
    )


def measured(
    folder: Path, *, correct: bool = False, interpolation: str = "linear", **parameters: Any
) -> tuple[RecordingPlan, dict[str, NDArray[Any]]]:
    """Simulate, derotate and measure a session; its angles are parsed from its signals."""
    paths = simulate_session(folder, threads=2, **parameters)
    plan = plan_recording(**parameters)
    with open_movie(paths["movie"]) as movie:
        events = parse_signals(
            open_signals(paths["signals"]), n_frames=len(movie), lines_per_frame=movie.shape[1],
            sampling_rate=plan.parameters.sampling_rate, protocol="full",
            stimulus=read_stimulus(paths["stimulus"]), config={},
        )  # fmt: skip
        angles = interpolate_angles(events, protocol="full", line_duty=plan.parameters.line_duty)
        calibration = Calibration(
            center=plan.center, image_shape=plan.parameters.shape, method="truth"
        )
        light: dict[str, Any] = {}
        offset = plan.parameters.pmt_offset
        if correct:
            estimate = estimate_illumination(movie, angles, calibration)
            offset, light = estimate.offset, {"gain": estimate.gain, "offset": estimate.offset}
        result = derotate_movie(
            movie, angles, calibration, folder / "derotated.tif",
            seen_output=folder / "seen.npz", config={"interpolation": interpolation}, **light,
        )  # fmt: skip
    with open_movie(folder / "derotated.tif") as still, SeenPixels(folder / "seen.npz") as seen:
        measure_cells(
            still, seen, LineMaps.of(angles, calibration), outlines(plan), folder / "cells.npz",
            mean=result.mean, offset=offset, rotations=true_rotations(plan), decay_s=0.8,
        )  # fmt: skip
    with np.load(folder / "cells.npz") as arrays:
        return plan, dict(arrays)


def pictures_of(seed: int, *, quick: bool) -> dict[str, float]:
    side, n_cells = (64, 8) if quick else (160, 40)
    common: dict[str, Any] = {
        "shape": (side, side), "n_cells": n_cells, "stimulus": STIMULUS[: 2 if quick else 8],
        "scene_seed": 3 + seed, "seed": 3 + seed,
    }  # fmt: skip
    quiet = {"calcium": False, "photons_per_pixel": None, "gain": 1000.0}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        plan, cells = measured(folder / "a", photons_per_pixel=10.0, **common)
        _, static = measured(folder / "b", **common, **quiet)
        _, default = measured(folder / "d", interpolation="quadratic", **common, **quiet)
        _, uneven = measured(folder / "c", correct=True, illumination="uneven", **common, **quiet)
    return {
        "cells": float(len(cells["roi"])),
        "time_ms": time_error_ms(plan, cells),
        "dff_r": float(np.nanmedian(correlations(plan, cells))),
        "bias": turning_bias(static),
        "bias_of_passband": passband_bias(plan),
        "bias_default": turning_bias(default),
        "bias_uneven": turning_bias(uneven),
    }


def time_error_ms(plan: RecordingPlan, cells: dict[str, NDArray[Any]]) -> float:
    """Compare with the mean time at which the pixels of a raw frame within a cell were recorded."""
    rows, columns = np.mgrid[: plan.parameters.shape[0], : plan.parameters.shape[1]]
    radii = np.sqrt(plan.scene.radii.prod(axis=1))
    errors = []
    for frame in range(0, plan.n_frames, 4):
        x, y = plan.place_in_sample(columns, rows, plan.sample_angles(frame))
        times = plan.pixel_times(frame)
        for k, cell in enumerate(cells["roi"]):
            cx, cy = plan.cell_centers[cell]
            inside = np.hypot(x - cx, y - cy) <= radii[cell]
            errors.append(cells["time_s"][k, frame] - times[inside].mean())
    return 1e3 * float(np.sqrt(np.mean(np.square(errors))))


def correlations(plan: RecordingPlan, cells: dict[str, NDArray[Any]]) -> list[float]:
    found = []
    for dff, cell in zip(cells["dff"], cells["roi"], strict=True):
        known = np.isfinite(dff)
        if np.ptp(plan.activity[:, cell]) == 0:
            continue
        found.append(float(np.corrcoef(dff[known], plan.activity[known, cell])[0, 1]))
    return found


def turning_bias(cells: dict[str, NDArray[Any]]) -> float:
    """Mean dF/F of a static sample while it turns against that at rest: the median of cells."""
    turning = np.abs(cells["velocity_deg_per_s"]) > 5
    bias = [
        np.nanmean(dff[moves]) - np.nanmean(dff[~moves])
        for dff, moves in zip(cells["dff"], turning, strict=True)
    ]
    return float(np.median(np.abs(bias)))


def passband_bias(plan: RecordingPlan) -> float:
    """Tell by how much `linear` cannot but change dF/F while turning: the median of cells.

    At rest samples are taken as they are; while turning, places lie anywhere between samples, and
    the mean of what linear interpolation gives is the picture convolved with a triangle, two pixels
    wide at its base, along each axis.
    """
    rois = outlines(plan)
    rings = neuropil_rings(rois, 2, 6)
    height, width = rois.shape
    rows, columns = np.mgrid[:height, :width]
    x, y = plan.place_in_sample(columns, rows, np.zeros(rois.shape))
    offsets = (np.arange(16) + 0.5) / 8 - 1
    weights = (1 - np.abs(offsets)) / 8
    at_rest = plan.scene.evaluate(x, y)
    turning = sum(
        a * b * plan.scene.evaluate(x + dx, y + dy)
        for dx, a in zip(offsets, weights, strict=True)
        for dy, b in zip(offsets, weights, strict=True)
    )
    own, around = (
        [regions.sparse @ np.ravel(picture) for picture in (at_rest, turning)]
        for regions in (rois, rings)
    )
    change = own[1] - own[0] - 0.7 * (around[1] - around[0])
    return float(np.median(np.abs(change / (own[0] - 0.7 * around[0]))))


def tuning_found(seed: int, *, quick: bool) -> dict[str, float]:
    """Find the tuning of many cells whose traces are made from the truth."""
    counts: dict[str, list[float]] = {}
    n_sessions, repeats, n_cells, kinds = 5, 4, N_CELLS, KINDS
    if quick:
        n_sessions, repeats, n_cells, kinds = 1, 1, FEW_CELLS, FEW_KINDS
    for session in range(seed, seed + n_sessions):
        rng = np.random.default_rng([session, 1])
        stimulus = [STIMULUS[k] for k in rng.permutation(np.tile(np.arange(8), repeats))]
        plan = plan_recording(
            shape=(64, 64), n_cells=n_cells, stimulus=stimulus, rest_between_s=3.0, seed=session,
            scene_seed=0, tuning=kinds, sampling_rate=1000.0,
        )  # fmt: skip
        judged = judged_session(plan, rng)
        for name, values in judged.items():
            counts.setdefault(name, []).extend(values)
    return {name: float(np.median(v) if "error" in name else np.mean(v)) for name, v in
            counts.items()}  # fmt: skip


def judged_session(plan: RecordingPlan, rng: np.random.Generator) -> dict[str, list[float]]:
    rate, n = plan.parameters.frame_rate, plan.n_frames
    starts = np.interp(plan.rotation_start, plan.line_start[:, 0], np.arange(n))
    blocks = blocks_of(n, rate, starts)
    found, n_cells = [], plan.parameters.n_cells
    kind = plan.tuned.kind[:n_cells]
    for cell in range(n_cells):
        # Each cell is scanned at a time of its own.
        time_s = plan.line_start[:, 0] + rng.uniform(0.1, 0.9) / rate
        angle = plan.motor.angle(time_s)
        turned = wrapped(plan.motor.angle(time_s + 0.025) - plan.motor.angle(time_s - 0.025))
        light = np.ones(n)
        if kind[cell] == 3:
            at = np.zeros(n)
            single = dataclasses.replace(
                plan.tuned,
                kind=kind[cell : cell + 1],
                preferred_angle=plan.tuned.preferred_angle[cell : cell + 1],
            )
            light = single.shadows(at, at, angle, np.zeros((1, 2)), np.ones(1))
        # 80 pixels of 10 photons, of which the neuropil gives a quarter; a ring of 250 pixels.
        own = rng.poisson(80 * light * (10 * plan.activity[:, cell] + 2.5)) / 80
        around = rng.poisson(250 * light * 2.5) / 250
        factor = brightness_by_angle(around, angle, rate)
        trace = delta_f_over_f(own, around, rate)
        corrected = delta_f_over_f(own / factor, around / factor, rate)
        velocity = turned / 0.05
        found.append(
            tuning_of(
                trace, corrected, angle, velocity, frame_rate=rate, blocks=blocks,
                edges=velocity_edges(velocity), decay_s=0.8, seed=cell,
            )
        )  # fmt: skip
    called = {"angle": call(found, "angle").tuned, "velocity": call(found, "velocity").tuned}
    any_called = called["angle"] | called["velocity"]
    preferred = np.array([one.preferred_angle for one in found])
    # Relative to the baseline as it is defined: of a cell that is silenced, too, that lies below 1.
    base = [np.median(sliding_baseline(plan.activity[:, k], rate)) for k in range(n_cells)]
    slope = np.array([one.slope for one in found]) * np.array(base)
    angle_error = np.abs(wrapped(preferred - plan.tuned.preferred_angle[:n_cells]))[kind == 1]
    slope_error = np.abs(slope / plan.tuned.slope[:n_cells] - 1)[kind == 2]
    right = np.concatenate([called["angle"][kind == 1], called["velocity"][kind == 2]])
    crossed = np.concatenate([called["velocity"][kind == 1], called["angle"][kind == 2]])
    return {
        "found": right.astype(float).tolist(),
        "untuned": any_called[kind == 0].astype(float).tolist(),
        "light": any_called[kind == 3].astype(float).tolist(),
        "called for the other": crossed.astype(float).tolist(),
        "angle_error": angle_error.tolist(),
        "slope_error": slope_error.tolist(),
    }


def matching(seed: int) -> tuple[float, float]:
    """Tell which part of the cells in both is matched, and which of the matches is wrong."""
    rng = np.random.default_rng(seed)
    shape, n = (256, 256), 200
    centers: list[NDFloat] = []
    while len(centers) < n:
        one = rng.uniform(12, 244, 2)
        if all(np.hypot(*(one - other)) > 9 for other in centers):
            centers.append(one)
    places, radii = np.array(centers), rng.uniform(3.5, 5.5, n)
    turn, way = np.radians(4), rng.uniform(0, 2 * np.pi)
    middle = np.array(shape[::-1]) / 2
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shift = middle - linear @ middle + 8 * np.array([np.cos(way), np.sin(way)])
    matrix = np.column_stack([linear, shift])
    y, x = np.mgrid[: shape[0], : shape[1]]

    def drawn(at: NDFloat) -> Rois:
        active = rng.permutation(n)[: n // 2]
        pixels = []
        for k in active:
            cx, cy = at[k] + rng.normal(0, 0.5, 2)
            radius = radii[k] * rng.uniform(0.85, 1.15)
            pixels.append(np.stack(np.nonzero(np.hypot(x - cx, y - cy) <= radius)))
        return Rois.of(pixels, shape, number=active)

    first, second = drawn(places), drawn(transforms.apply(transforms.invert(matrix), places))
    matched = match_cells({"a": first, "b": second}, {"b": matrix})
    cells: dict[str, dict[int, int]] = {"a": {}, "b": {}}
    for cell, session, roi in zip(matched.cell, matched.session, matched.roi, strict=True):
        cells[session][int(roi)] = int(cell)
    common = set(cells["a"]) & set(cells["b"])
    right = sum(cells["a"][k] == cells["b"][k] for k in common)
    made = len(set(cells["a"].values()) & set(cells["b"].values()))
    return right / len(common), (made - right) / max(made, 1)


def grid_of_rois(shape: tuple[int, int], n: int) -> Rois:
    """Put discs of about 100 pixels on a grid."""
    columns = int(np.ceil(np.sqrt(n * shape[1] / shape[0])))
    rows = -(-n // columns)
    y, x = np.mgrid[: shape[0], : shape[1]]
    pixels = []
    for k in range(n):
        cy = (k // columns + 0.5) * shape[0] / rows
        cx = (k % columns + 0.5) * shape[1] / columns
        pixels.append(np.stack(np.nonzero(np.hypot(x - cx, y - cy) <= 5.6)))
    return Rois.of(pixels, shape)


def costs(long: dict[str, float], frames: int, *, quick: bool) -> dict[str, float]:
    """Compare the time with `derotate_movie` for each frame, and measure the memory."""
    shape, n_rois = ((64, 64), 20) if quick else ((512, 512), 500)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        parameters: dict[str, Any] = {
            "shape": shape, "n_cells": 20, "stimulus": STIMULUS[:2], "rest_before_s": 1.0,
            "rest_between_s": 0.5, "rest_after_s": 0.5, "calcium": False,
        }  # fmt: skip
        paths = simulate_session(folder, threads=2, **parameters)
        plan = plan_recording(**parameters)
        angles = true_angles(plan)
        calibration = Calibration(center=plan.center, image_shape=shape, method="truth")
        rois, line_maps = grid_of_rois(shape, n_rois), LineMaps.of(angles, calibration)

        def derotate() -> Any:
            with open_movie(paths["movie"]) as movie:
                return derotate_movie(
                    movie, angles, calibration, folder / "d.tif", seen_output=folder / "s.npz"
                )

        def measure() -> None:
            with open_movie(folder / "d.tif") as movie, SeenPixels(folder / "s.npz") as seen:
                measure_cells(
                    movie, seen, line_maps, rois, folder / "c.npz", mean=result.mean,
                    offset=100.0, rotations=true_rotations(plan),
                )  # fmt: skip

        result = derotate()
        measure()
        # What is compiled and read once counts for neither; the better of two.
        derotating = min(cpu(derotate) for _ in range(2)) / plan.n_frames
        measuring = min(cpu(measure) for _ in range(2)) / plan.n_frames
    return {
        "derotate_ms_per_frame": 1e3 * derotating,
        "measure_ms_per_frame": 1e3 * measuring,
        "ratio": measuring / derotating,
        "long_s": long["cpu_s"],
        "long_ratio": long["cpu_s"] / (derotating * frames),
        "peak_mb": long["peak_mb"],
    }


def cpu(function: Any) -> float:
    started = time.process_time()
    function()
    return time.process_time() - started


def true_angles(plan: RecordingPlan) -> Angles:
    rate = plan.parameters.sampling_rate
    return angles_of(
        plan.line_angles, plan.line_start * rate, rate, plan.parameters.frame_rate,
        plan.parameters.line_duty,
    )  # fmt: skip


def angles_of(
    line_angles: NDFloat, line_start: NDFloat, rate: float, frame_rate: float, duty: float
) -> Angles:
    n = len(line_angles)
    return Angles(
        line_angles=line_angles, frame_angles=line_angles[:, line_angles.shape[1] // 2],
        line_start=line_start, frame_start=line_start[:, 0].copy(), line_duty=duty,
        line_reference="middle", sampling_rate=rate, frame_rate=frame_rate,
        line_usable=np.ones(line_angles.shape, np.bool_),
        flags=np.zeros(line_angles.shape, np.uint8), rotation=np.full(n, -1, np.int32),
        direction=np.full(n, np.nan), speed=np.full(n, np.nan),
    )  # fmt: skip


class Repeated:
    """A movie and its masks that show the same frames again and again: nothing is on disk."""

    def __init__(self, n_frames: int, side: int) -> None:
        self.shape, self.dtype = (n_frames, side, side), np.dtype(np.uint16)
        self.paths, self.path = [Path("repeated")], Path("repeated")
        rng = np.random.default_rng(0)
        self._block = rng.poisson(200, (15, side, side)).astype(np.uint16)
        self._seen = np.ones((15, side, side), np.bool_)

    def __len__(self) -> int:
        return self.shape[0]

    def chunks(self, n: int) -> Iterator[tuple[int, NDArray[np.uint16]]]:
        for first in range(0, len(self), min(n, 15)):
            yield first, self._block[: min(n, 15, len(self) - first)]

    def read(self, start: int, stop: int) -> NDArray[np.bool_]:
        return self._seen[: stop - start]


def measure_long(n_frames: int, n_rois: int, side: int) -> dict[str, float]:
    """Measure a long recording in a process of its own; memory is its own highest."""
    frame_s = 1 / 6.74
    starts = np.arange(5.0, n_frames * frame_s - 10, 8.0)
    lines = np.linspace(0, 0.98 * frame_s, side)
    line_start = (np.arange(n_frames)[:, np.newaxis] * frame_s + lines) * 5000.0
    line_angles = np.zeros((n_frames, side))
    for first in range(0, n_frames, 500):
        part = line_start[first : first + 500] / 5000.0
        since = part - starts[np.clip(np.searchsorted(starts, part) - 1, 0, None)]
        way = np.where(np.searchsorted(starts, part) % 2, 100, -100)
        line_angles[first : first + 500] = np.where((since > 0) & (since < 3.6), way * since, 0)
    angles = angles_of(line_angles, line_start, 5000.0, 6.74, 0.9)
    calibration = Calibration(
        center=((side - 1) / 2,) * 2, image_shape=(side, side), method="truth"
    )
    movie: Any = Repeated(n_frames, side)
    n = len(starts)
    rotations = Rotations(
        start_s=starts,
        end_s=starts + 3.6,
        speed=np.full(n, 100.0),
        direction=(-1.0) ** np.arange(n),
    )
    with tempfile.TemporaryDirectory() as place:
        taken = cpu(
            lambda: measure_cells(
                movie, movie, LineMaps.of(angles, calibration), grid_of_rois((side, side), n_rois),
                Path(place, "cells.npz"), mean=np.full((side, side), 200.0), offset=100.0,
                rotations=rotations,
            )
        )  # fmt: skip
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return {"cpu_s": taken, "peak_mb": peak}


if __name__ == "__main__":
    main()
