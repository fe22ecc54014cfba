"""How accurate angles, derotated frames and the center are on simulated recordings.

(a) Angle of each line, from analog signals on disk, against the simulated motor.
(b) Fidelity of derotated frames, noise-free, with the true angles and the true center.
(c) Center of rotation and its CPU time on whole sessions with photon noise.

The simulated sample is a formula evaluated at each pixel's own time; nothing is interpolated, and
no code is shared with what is measured.
"""

import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _common import add_quick, load, options, print_table, print_verdicts, write_json
from numpy.typing import NDArray
from skimage.registration import phase_cross_correlation

from derotation.calibration.center import estimate_center
from derotation.io.movie import open_movie
from derotation.io.signals import open_signals
from derotation.io.stimulus import read_stimulus
from derotation.maps.resample import derotate_frames
from derotation.maps.timing import LineTiming
from derotation.maps.transforms import line_maps
from derotation.signals.angles import Angles, interpolate_angles
from derotation.signals.parse import parse_signals
from derotation.simulate import (
    Recording,
    RecordingPlan,
    plan_recording,
    simulate_recording,
    simulate_session,
    write_signals,
)

FAULTS = {
    "dropped_ticks": 0.005,
    "duplicated_ticks": 0.002,
    "stray_ticks": 20,
    "off_glitches": 3,
    "extra_clock_frames": 1,
}
SIGNALS: dict[str, dict[str, Any]] = {
    "no faults": {},
    "faults": {"faults": FAULTS},
    "faults, 3.3 V, noise 0.2 V": {
        "faults": FAULTS,
        "logic_level_v": 3.3,
        "signal_noise_v": 0.2,
    },
}
SPEEDS = (20.0, 50.0, 100.0, 200.0)
CENTER_STIMULUS = [(200, 1), (100, -1), (200, -1), (100, 1), (50, 1), (50, -1)]
CENTER_OFFSET = 12.0  # px


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--seeds", type=int, default=5, help="simulated recordings of each kind")
    given = parser.parse_args()
    seeds = range(1 if given.quick else given.seeds)
    # Every repair is told as a warning; here the faults are made on purpose.
    logging.getLogger("derotation").setLevel(logging.ERROR)
    results: dict[str, Any] = {"load": load()}
    print(f"{len(seeds)} seeds, for the angles four times as many; {load()}")

    results["angles"] = measure_angles(*angle_runs(given.quick, given.seeds))
    results["fidelity"] = measure_fidelity(seeds, 128 if given.quick else 256)
    results["center"] = measure_centers(seeds, given.quick)
    results["targets"] = print_verdicts(verdicts(results))
    write_json(given.json, results)


# (a) angles


def angle_runs(quick: bool, seeds: int) -> tuple[range, tuple[float, ...]]:
    """Seeds and speeds: more seeds than elsewhere, since a fault hurts most at a rotation's end."""
    return (range(1), SPEEDS[-1:]) if quick else (range(4 * seeds), SPEEDS)


def measure_angles(seeds: range, speeds: tuple[float, ...]) -> list[dict[str, Any]]:
    """Angle errors per kind of signals and per speed, pooled over the seeds."""
    found = []
    for kind, parameters in SIGNALS.items():
        runs = [angle_errors(plan_turns(seed, speeds, parameters)) for seed in seeds]
        error = np.concatenate([run[0] for run in runs])
        speed = np.concatenate([run[1] for run in runs])
        chosen = {f"{s:g} degrees/s": speed == s for s in speeds}
        chosen |= {"rotating lines": speed > 0, "all lines": np.ones(speed.shape, bool)}
        for lines, which in chosen.items():
            known = error[which & np.isfinite(error)]
            found.append(
                {
                    "signals": kind,
                    "lines": lines,
                    "n": int(which.sum()),
                    "rms": float(np.sqrt(np.mean(known**2))),
                    "max": float(np.abs(known).max()),
                    "unknown": int(which.sum()) - known.size,
                }
            )
    print_table(
        "(a) Angle error per line, degrees (50 kHz, a tick per 0.2 degrees)",
        ("signals", "lines", "n", "rms", "max", "without angle"),
        [tuple(row.values()) for row in found],
    )
    injected = [plan_turns(seed, speeds, SIGNALS["faults"]).injected for seed in seeds]
    ticks = ", ".join(
        f"{sum(len(faults[kind]) for faults in injected)} {kind.replace('_', ' ')}"
        for kind in ("dropped_ticks", "duplicated_ticks", "stray_ticks")
    )
    print(
        f"{len(seeds)} recordings; with faults: {ticks}; {FAULTS['off_glitches']} off-glitches and "
        "one extra clock frame in each"
    )
    return found


def plan_turns(seed: int, speeds: tuple[float, ...], parameters: dict[str, Any]) -> RecordingPlan:
    rng = np.random.default_rng(seed)
    return plan_recording(
        stimulus=[(speed, direction) for speed in speeds for direction in (1, -1)],
        rest_before_s=1.5 + rng.random(),  # ticks and lines meet differently in each recording
        rest_between_s=1.5 + rng.random(),
        seed=seed,
        **parameters,
    )


def angle_errors(plan: RecordingPlan) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Send signals through files, parsing and interpolation: error and true speed of each line."""
    with tempfile.TemporaryDirectory() as folder:
        write_signals(Path(folder) / "signals.npy", plan.analog)
        angles = parsed_angles(plan, Path(folder))
    difference = angles.line_angles - plan.line_angles
    error = (difference + 180) % 360 - 180
    middle = plan.line_start + plan.line_duration / 2
    speed = np.zeros(middle.shape)
    for start, stop, top in zip(
        plan.rotation_start, plan.rotation_end, plan.rotation_speed, strict=True
    ):
        speed[(middle > start) & (middle < stop)] = top
    return error.ravel(), speed.ravel()


def parsed_angles(plan: RecordingPlan, folder: Path) -> Angles:
    """Parse signals.npy in a folder, as the workflow's steps do."""
    rows = [f"{speed},{direction:.0f}" for speed, direction in plan.stimulus]
    table = folder / "stimulus.csv"
    table.write_text("\n".join(["speed,direction", *rows]) + "\n", encoding="utf-8")
    events = parse_signals(
        open_signals(folder / "signals.npy"),
        n_frames=plan.n_frames,
        lines_per_frame=plan.parameters.shape[0],
        sampling_rate=plan.parameters.sampling_rate,
        protocol="full",
        stimulus=read_stimulus(table),
    )
    return interpolate_angles(events, protocol="full")


# (b) fidelity


def measure_fidelity(seeds: range, size: int) -> list[dict[str, Any]]:
    found = []
    for bidirectional in (False, True):
        recordings = [still_cells(seed, size, bidirectional) for seed in seeds]
        for interpolation in ("linear", "cubic"):
            runs = [fidelity(recording, interpolation) for recording in recordings]
            found.append(
                {
                    "scan": "bidirectional" if bidirectional else "one way",
                    "interpolation": interpolation,
                    "frames": sum(len(run["psnr"]) for run in runs),
                    "psnr_min": min(run["psnr"].min() for run in runs),
                    "psnr_median": float(np.median(np.concatenate([r["psnr"] for r in runs]))),
                    "holes": sum(run["holes"] for run in runs),
                    "shift_correlation": max(run["shift_correlation"] for run in runs),
                    "shift_centroids": max(run["shift_centroids"] for run in runs),
                    "cells": sum(len(run["brightness"]) for run in runs),
                    "brightness_max": 100 * max(run["brightness"].max() for run in runs),
                    "brightness_frame": 100 * max(run["brightness_frame"] for run in runs),
                }
            )
    print_table(
        f"(b) Fidelity at 200 degrees/s, noise-free, {size} x {size}: each rotating frame against "
        "the sample at rest,\n    in the disc that is always seen; shift of the mean of rotating "
        "frames in px; deviation of the cells' brightness in %",
        ("scan", "interpolation", "frames", "PSNR min", "median", "holes", "shift (corr.)",
         "shift (centroids)", "cells", "brightness: worst cell", "worst cell in any frame"),
        [tuple(row.values()) for row in found],
    )  # fmt: skip
    moved = [control_shift(still_cells(seed, size, False)) for seed in seeds]
    print(
        "control: the sample at rest moved by (0.05, -0.03) px is found moved by "
        + "; ".join(
            f"({np.mean(x):.3f}, {np.mean(y):.3f}) by {way}"
            for way, (x, y) in zip(
                ("correlation", "centroids"), np.transpose(moved, (1, 2, 0)), strict=True
            )
        )
    )
    return found


def still_cells(seed: int, size: int, bidirectional: bool) -> Recording:
    """Simulate cells without activity or noise, in exact counts, about a center off the middle."""
    turn = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    offset = CENTER_OFFSET * size / 256
    return simulate_recording(
        shape=(size, size),
        stimulus=[(200, 1), (200, -1)],
        center_offset=(offset * np.cos(turn), offset * np.sin(turn)),
        bidirectional=bidirectional,
        photons_per_pixel=None,
        calcium=False,
        dtype="float64",
        n_cells=round(120 * (size / 256) ** 2),
        seed=seed,
        threads=2,
    )


def fidelity(recording: Recording, interpolation: Any) -> dict[str, Any]:
    plan, rest = recording.plan, recording.rest_image
    inside = seen_disc(rest.shape, plan.center)
    rotating = np.any(plan.line_angles != 0, axis=1)
    derotated = derotate_frames(
        recording.movie[rotating],
        line_maps(plan.line_angles[rotating], plan.center),
        timing=LineTiming(
            line_duty=plan.line_duration / plan.line_period,
            bidirectional=plan.parameters.bidirectional,
        ),
        interpolation=interpolation,
        keep_seen=True,
        threads=2,
    )
    assert derotated.seen is not None
    frames = derotated.frames
    squares = np.mean((frames - rest)[:, inside] ** 2, axis=1)
    peak = float(np.ptp(rest[inside]))
    mean = frames.mean(axis=0)
    masks, lonely = cell_masks(plan, inside), lonely_cells(plan, inside)
    dark = plan.parameters.pmt_offset
    before = np.array([rest[mask].mean() - dark for mask in masks])
    during = np.array([frames[:, mask].mean(axis=1) - dark for mask in masks])
    deviation = during / before[:, np.newaxis] - 1
    return {
        "psnr": 10 * np.log10(peak**2 / squares),
        "holes": int(np.count_nonzero(~derotated.seen[:, inside])),
        "shift_correlation": float(np.hypot(*correlation_shift(rest, mean, plan.center))),
        "shift_centroids": float(np.hypot(*centroid_shift(rest, mean, lonely))),
        "lonely": len(lonely),
        "brightness": np.abs(deviation.mean(axis=1)),
        "brightness_frame": float(np.abs(deviation).max()),
    }


def seen_disc(shape: tuple[int, ...], center: tuple[float, float]) -> NDArray[np.bool_]:
    """Mark the largest disc about the center that stays in the picture, less 1 px."""
    height, width = shape
    x, y = center
    y_grid, x_grid = np.mgrid[:height, :width]
    radius = min(x, y, width - 1 - x, height - 1 - y) - 1
    return np.asarray(np.hypot(x_grid - x, y_grid - y) <= radius)


def cell_masks(plan: RecordingPlan, inside: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Mark each simulated cell that lies in the disc as a whole."""
    y, x = np.mgrid[: inside.shape[0], : inside.shape[1]]
    scene = plan.scene
    masks = []
    for (cx, cy), (a, b), turn in zip(
        scene.centers, scene.radii, np.deg2rad(scene.orientations), strict=True
    ):
        along = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        across = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        mask = (along / a) ** 2 + (across / b) ** 2 <= 1
        whole = mask.sum() > 0.9 * np.pi * a * b  # not cut off by the border of the picture
        if whole and inside[mask].all():
            masks.append(mask)
    return masks


def correlation_shift(
    rest: NDArray[np.float64], mean: NDArray[np.float64], center: tuple[float, float]
) -> NDArray[np.float64]:
    """How far (x, y) an image lies from another, by upsampled cross-correlation."""
    y, x = np.mgrid[: rest.shape[0], : rest.shape[1]]
    radius = min(*center, rest.shape[1] - 1 - center[0], rest.shape[0] - 1 - center[1]) - 1
    distance = np.hypot(x - center[0], y - center[1])
    window = np.cos(0.5 * np.pi * np.clip(distance / radius, 0, 1)) ** 2
    one, other = (window * (image - np.average(image, weights=window)) for image in (rest, mean))
    shift, _, _ = phase_cross_correlation(one, other, upsample_factor=1000, normalization=None)
    return -np.asarray(shift)[::-1]


def centroid_shift(
    rest: NDArray[np.float64], mean: NDArray[np.float64], discs: list[NDArray[np.bool_]]
) -> NDArray[np.float64]:
    """How far (x, y) the cells' centroids lie from those at rest, on average."""
    y, x = np.indices(rest.shape)
    shifts = []
    for disc in discs:
        # Only what is well above the surroundings, so that the disc's border does not matter.
        threshold = (rest[disc].min() + rest[disc].max()) / 2
        places = []
        for image in (rest, mean):
            weight = np.clip(image[disc] - threshold, 0, None)
            places.append(
                [np.average(x[disc], weights=weight), np.average(y[disc], weights=weight)]
            )
        shifts.append(np.subtract(places[1], places[0]))
    return np.asarray(np.mean(shifts, axis=0))


def lonely_cells(plan: RecordingPlan, inside: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Mark discs about the cells that have no neighbor near and lie well inside."""
    y, x = np.indices(inside.shape)
    centers, reach = plan.scene.centers, plan.scene.radii.max(axis=1) + 3
    discs = []
    for k, (cx, cy) in enumerate(centers):
        apart = np.hypot(*(centers - centers[k]).T) - reach - reach[k]
        apart[k] = np.inf
        disc = np.hypot(x - cx, y - cy) <= reach[k]
        whole = disc.sum() > 0.98 * np.pi * reach[k] ** 2
        if whole and inside[disc].all() and apart.min() > -2:
            discs.append(disc)
    return discs


def control_shift(recording: Recording) -> NDArray[np.float64]:
    """Measure a known shift by both methods: (2, 2), one row each."""
    plan, rest = recording.plan, recording.rest_image
    y, x = np.mgrid[: rest.shape[0], : rest.shape[1]]
    p = plan.parameters
    moved = p.pmt_offset + p.gain * plan.scene.evaluate(x - 0.05, y + 0.03)
    lonely = lonely_cells(plan, seen_disc(rest.shape, plan.center))
    return np.array(
        [correlation_shift(rest, moved, plan.center), centroid_shift(rest, moved, lonely)]
    )


# (c) center


def measure_centers(seeds: range, quick: bool) -> list[dict[str, Any]]:
    shape, n_frames = ((96, 96), 150) if quick else ((256, 256), 400)
    stimulus = CENTER_STIMULUS[:3] if quick else CENTER_STIMULUS
    found = []
    for photons in (10.0, 1.0):
        for seed in seeds:
            turn = np.random.default_rng(seed).uniform(0, 2 * np.pi)
            offset = CENTER_OFFSET * np.array([np.cos(turn), np.sin(turn)])
            parameters = {
                "shape": shape,
                "n_frames": n_frames,
                "stimulus": stimulus,
                "center_offset": tuple(offset),
                "photons_per_pixel": photons,
                "seed": seed,
            }
            found.append({"photons": photons, "seed": seed} | center_error(parameters))
    print_table(
        f"(c) Center of rotation, {n_frames} frames of {shape[0]} x {shape[1]}, "
        f"{CENTER_OFFSET:g} px off, photon noise and calcium activity",
        ("photons per cell's pixel", "seed", "error px", "its own sd px", "CPU s", "trusted"),
        [tuple(row.values()) for row in found],
    )
    return found


def center_error(parameters: dict[str, Any]) -> dict[str, Any]:
    """Simulate a session on disk, parse it, and find its center."""
    plan = plan_recording(**parameters)
    with tempfile.TemporaryDirectory() as folder:
        files = simulate_session(folder, threads=2, **parameters)
        angles = parsed_angles(plan, Path(folder))
        with open_movie(files["movie"]) as movie:
            warm_up(angles)
            started = time.process_time()
            found = estimate_center(movie, angles, threads=2).calibration
            cpu = time.process_time() - started
    error = np.hypot(found.center[0] - plan.center[0], found.center[1] - plan.center[1])
    assert found.center_sd is not None
    return {
        "error_px": float(error),
        "sd_px": float(np.hypot(*found.center_sd)),
        "cpu_s": cpu,
        "trusted": found.trusted,
    }


def warm_up(angles: Angles) -> None:
    """Load or compile the kernel outside the time that is measured."""
    few = np.zeros((1, 8, 8), np.uint16)
    derotate_frames(
        few,
        line_maps(np.ones((1, 8)), (3.5, 3.5)),
        timing=angles.timing(),
        dtype=np.float32,
        keep_seen=True,
    )


def verdicts(results: dict[str, Any]) -> list[tuple[str, float, str, float]]:
    rows: list[tuple[str, float, str, float]] = []
    for kind, rms, top in (("no faults", 0.02, 0.1), ("faults", 0.05, 0.3)):
        row = next(
            r for r in results["angles"]
            if r["signals"] == kind and r["lines"] == "rotating lines"
        )  # fmt: skip
        rows.append((f"angle error, {kind}: rms, rotating lines (degrees)", row["rms"], "<=", rms))
        rows.append((f"angle error, {kind}: max (degrees)", row["max"], "<=", top))
        rows.append((f"lines without an angle, {kind}", float(row["unknown"]), "<=", 0))
    for row in results["fidelity"]:
        name = f"{row['scan']}, {row['interpolation']}"
        psnr, brightness = (45, 2) if row["interpolation"] == "linear" else (54, 0.5)
        rows.append((f"{name}: PSNR of the worst frame (dB)", row["psnr_min"], ">=", psnr))
        rows.append((f"{name}: holes", float(row["holes"]), "<=", 0))
        shift = max(row["shift_correlation"], row["shift_centroids"])
        rows.append((f"{name}: shift of the mean (px)", shift, "<=", 0.02))
        text = f"{name}: brightness of the worst cell (%)"
        rows.append((text, row["brightness_max"], "<=", brightness))
    for photons, target in ((10.0, 0.05), (1.0, 0.15)):
        own = [row for row in results["center"] if row["photons"] == photons]
        name = f"center, {photons:g} photons"
        rows.append((f"{name}: worst error (px)", max(r["error_px"] for r in own), "<=", target))
        if photons == 10:
            rows.append((f"{name}: worst CPU time (s)", max(r["cpu_s"] for r in own), "<=", 8))
    return rows


if __name__ == "__main__":
    main()
