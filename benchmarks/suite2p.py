"""Cells that the real Suite2p finds in a derotated session, against the truth of the simulator.

The same scene is recorded turning and at rest. Suite2p runs on the export of the derotated movie,
of the one as recorded, and of the one at rest, in an environment of its own: --python names its
Python. Without it only the exports are made. An ROI and a cell match if they are within 3 px of
each other; each has one partner at most. A cell that the frame's edge cuts lies where its visible
part does. An ROI without a partner, wherever it lies, is a false one. Cells count if they lie
wholly within the disc that is always seen. The trace is F - 0.7 Fneu against the true calcium. A
frame is registered if Suite2p's shift is within 1 px of the truth: none, but for the movie
"shaken", the derotated one with each frame displaced by up to a few pixels, and with --noise added.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
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

FRAME_RATE = 6.74
STEPS = ("parse_signals", "interpolate_angles", "estimate_center", "estimate_plane",
         "derotate_movie")  # fmt: skip
MOVIES = ("derotated", "as recorded", "at rest", "shaken")
MATCH_PX = 3.0
# A torchvision built for another PyTorch than the one installed misses operators that only Cellpose
# would need; without their names torchvision cannot be imported, and without it Suite2p cannot.
RUNNER = """
import importlib.util, pathlib, re, runpy, sys
# Where this is started, `suite2p` may be this benchmark.
sys.path.remove("")
import torch
try:
    import torchvision
except (RuntimeError, ImportError):
    for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    home = pathlib.Path(importlib.util.find_spec("torchvision").origin).parent
    source = (home / "_meta_registrations.py").read_text()
    library = torch.library.Library("torchvision", "DEF")
    for name in re.findall(r'register_fake\\("torchvision::(\\w+)"\\)', source):
        library.define(f"{name}(Tensor a, Tensor b, float c) -> Tensor")
torch.set_num_threads(2)
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--python", help="a Python in whose environment Suite2p is installed")
    parser.add_argument("--frames", type=int, default=1500)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--fill", nargs="+", default=["mean_image"], help="values of export.fill to try"
    )
    parser.add_argument("--movies", nargs="+", choices=MOVIES, default=list(MOVIES[:3]))
    parser.add_argument(
        "--noise", type=float, default=0.0, help="of the movie shaken, in SD of the mean image"
    )
    parser.add_argument("--folder", type=Path, help="for temporary files; kept if it is given")
    given = parser.parse_args()
    if given.quick:
        given.size, given.frames, given.seeds = 64, 100, [0]
    with tempfile.TemporaryDirectory() as temporary:
        results = measure(given.folder or Path(temporary), given)
    rows = [row for row in results["movies"] if "cells" in row]
    if rows:
        print_table(
            f"{results['suite2p']}, {len(given.seeds)} sessions of {given.frames} frames of "
            f"{given.size} x {given.size}; {load()}",
            ("movie", "fill", "ROIs", "cells", "found", "%", "false", "r", "registered %",
             "minutes"),
            [
                (row["movie"], row["fill"], row["rois"], row["cells"], row["found"],
                 row["percent"], row["false"], row["correlation"], row["registered_pct"],
                 row["minutes"])
                for row in rows
            ],
        )  # fmt: skip
        results["targets"] = verdicts(rows)
    else:
        exported = [(row["movie"], row["fill"], row["megabytes"]) for row in results["movies"]]
        print_table("Exported", ("movie", "fill", "MB"), exported)
    write_json(given.json, results)


def measure(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Simulate, derotate, export, and let Suite2p run on each export; sum over the seeds."""
    wanted = [(movie, fill) for movie in given.movies
              for fill in (given.fill if movie in ("derotated", "shaken") else ["-"])]  # fmt: skip
    results: dict[str, Any] = {"suite2p": "Suite2p", "sessions": []}
    for seed in given.seeds:
        place = folder / f"seed{seed}"
        elsewhere(simulate, place, given.size, given.frames, seed)
        for step in STEPS:
            run_step(step, place / "turning")
        if "shaken" in given.movies:
            elsewhere(shake, place, seed, given.noise)
        for movie, fill in wanted:
            suite2p = place / f"{movie} {fill}".replace(" ", "_") / "suite2p"
            elsewhere(export, place, movie, fill, suite2p)
            size = (suite2p / "plane0" / "data.bin").stat().st_size / 1e6
            row = {"seed": seed, "movie": movie, "fill": fill, "megabytes": size}
            if given.python:
                began = time.perf_counter()
                results["suite2p"] = run_suite2p(given.python, suite2p)
                row["minutes"] = (time.perf_counter() - began) / 60
                row |= score(place, movie, suite2p / "plane0")
            results["sessions"].append(row)
    results["movies"] = [
        summed([row for row in results["sessions"] if (row["movie"], row["fill"]) == which])
        for which in wanted
    ]
    return results


def summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the sessions of one kind of movie together."""
    total = {key: rows[0][key] for key in ("movie", "fill")}
    counts = ("megabytes", "minutes", "rois", "cells", "found", "false")
    total |= {key: sum(row[key] for row in rows) for key in counts if key in rows[0]}
    if "cells" in total:
        correlations = np.concatenate([row["correlations"] for row in rows])
        total["correlation"] = float(np.median(correlations)) if len(correlations) else np.nan
        total["percent"] = 100 * total["found"] / total["cells"]
        total["registered_pct"] = float(np.mean([row["registered_pct"] for row in rows]))
    return total


def simulate(folder: Path, size: int, n_frames: int, seed: int) -> None:
    """Record the same scene turning and at rest."""
    from derotation.simulate import plan_recording

    common = {
        "shape": (size, size),
        "n_frames": n_frames,
        "frame_rate": FRAME_RATE,
        "center_offset": (5, -4),
        "n_cells": max(round(60 * (size / 256) ** 2), 4),
        "seed": seed,
    }
    turning = common | {"stimulus": rotations(n_frames, FRAME_RATE)}
    scene = plan_recording(**turning).scene
    at_rest = common | {"scene": scene, "stimulus": []}
    for name, parameters in (("turning", turning), ("rest", at_rest)):
        (folder / name).mkdir(parents=True)
        make_session(folder / name, **parameters)
        plan = plan_recording(**parameters)
        np.savez(folder / f"{name}.npz", centers=scene.centers, radii=scene.radii,
                 activity=plan.activity, center=plan.center)  # fmt: skip


def shake(folder: Path, seed: int, noise: float) -> None:
    """Displace each derotated frame, and what it saw, by whole pixels, and add noise."""
    import tifffile

    from derotation.io.seen import SeenPixels, SeenWriter

    turning = folder / "turning"
    movie = tifffile.imread(turning / "derotated.tif")
    rng = np.random.default_rng(seed)
    time = np.arange(len(movie))
    sway = 3 * np.stack([np.sin(time / 37), np.cos(time / 53)], axis=1)
    shifts = np.rint(sway + rng.normal(0, 0.7, sway.shape)).astype(int)
    sd = noise * float(tifffile.imread(turning / "images/mean.tif").std())
    with (
        SeenPixels(turning / "seen.npz") as seen,
        SeenWriter(folder / "shaken.npz", movie.shape) as writer,
    ):
        masks = seen.read(0, len(movie))
        for frame, mask, shift in zip(movie, masks, shifts, strict=True):
            noisy = np.clip(frame + rng.normal(0, sd, frame.shape), 0, np.iinfo(np.int16).max)
            frame[:] = np.roll(np.rint(noisy), shift, (0, 1))
            mask[:] = np.roll(mask, shift, (0, 1))
        writer.write(masks)
    tifffile.imwrite(folder / "shaken.tif", movie)
    np.save(folder / "shifts.npy", shifts)


def export(folder: Path, movie: str, fill: str, place: Path) -> None:
    """Export a movie; one that is not derotated is exported as if it had been recorded at rest."""
    import dataclasses

    import tifffile

    from derotation.cohort.config import load_config
    from derotation.io.seen import SeenWriter
    from derotation.signals.angles import Angles
    from derotation.steps import export_suite2p
    from derotation.steps.exporting import DerotatedFiles
    from derotation.streaming.statistics import Statistics

    turning = folder / "turning"
    config = load_config(turning / "config.yaml")
    source = folder / "rest" if movie == "at rest" else turning
    files = {"movie": turning / "derotated.tif", "angles": turning / "angles.npz",
             "mean": turning / "images/mean.tif", "coverage": turning / "images/coverage.tif",
             "seen": turning / "seen.npz", "statistics": turning / "statistics.npz"}  # fmt: skip
    if movie in ("derotated", "shaken"):
        config["export"]["fill"] = float(fill) if fill[0].isdigit() else fill
        if movie == "shaken":
            files |= {"movie": folder / "shaken.tif", "seen": folder / "shaken.npz"}
    else:
        place.mkdir(parents=True)
        told = Angles.load(turning / "angles.npz")
        still = np.zeros_like(told.line_angles)
        learned = Statistics.load(turning / "statistics.npz")
        files = {"movie": source / "movie.tif"}
        files |= {name: place / f"{name}.tif" for name in ("mean", "coverage")}
        files |= {name: place / f"{name}.npz" for name in ("angles", "seen", "statistics")}
        dataclasses.replace(told, line_angles=still, frame_angles=still[:, 0]).save(files["angles"])
        size = told.line_angles.shape[1]
        for name in ("mean", "coverage"):
            tifffile.imwrite(files[name], np.ones((size, size), np.float32))
        everything = np.ones((len(still), size, size), np.bool_)
        with SeenWriter(files["seen"], everything.shape) as writer:
            writer.write(everything)
        whole = np.ones(len(still))
        dataclasses.replace(learned, coverage=whole, brightness=whole).save(files["statistics"])
    export_suite2p.run(
        files=DerotatedFiles.among(files | {"calibration": turning / "calibration.json"}),
        statistics=files["statistics"],
        session=place.parent.name,
        config=config,
        folder=place,
    )


def run_suite2p(python: str, place: Path) -> str:
    """Run the exported script; returns the version of Suite2p."""
    log = place / "suite2p.log"
    with log.open("w") as stream:
        subprocess.run(
            [python, "-c", RUNNER, str(place / "run_suite2p.py")],
            check=True, stdout=stream, stderr=subprocess.STDOUT,
        )  # fmt: skip
    return "Suite2p " + json.loads((place / "suite2p_run.json").read_text())["suite2p"]


def score(folder: Path, movie: str, plane: Path) -> dict[str, Any]:
    """Compare what Suite2p found with the truth."""
    truth = np.load(folder / ("rest.npz" if movie == "at rest" else "turning.npz"))
    stat = np.load(plane / "stat.npy", allow_pickle=True)
    traces = np.load(plane / "F.npy") - 0.7 * np.load(plane / "Fneu.npy")
    ops = np.load(plane / "ops.npy", allow_pickle=True).item()
    size = ops["Ly"]
    places = np.array([np.average((roi["xpix"], roi["ypix"]), axis=1, weights=roi["lam"])
                       for roi in stat])  # fmt: skip
    roi_of = partners(places, visible_places(truth["centers"], truth["radii"].mean(axis=1), size))
    center = truth["center"]
    radius = min(*center, size - 1 - center[0], size - 1 - center[1])
    distance = np.hypot(*(truth["centers"] - center).T)
    wanted = np.flatnonzero(distance + truth["radii"].max(axis=1) <= radius)
    found = [cell for cell in wanted if cell in roi_of]
    good = np.ones(len(traces[0]), bool)
    good[np.load(plane.parent / "bad_frames.npy")] = False
    correlations = [
        float(np.corrcoef(traces[roi_of[cell]][good], truth["activity"][good, cell])[0, 1])
        for cell in found
    ]
    if "xoff" not in ops:  # Suite2p 1.x
        ops |= np.load(plane / "reg_outputs.npy", allow_pickle=True).item()
    shifts = np.stack([ops["yoff"], ops["xoff"]], axis=1)
    if movie == "shaken":
        shifts = shifts - np.load(folder / "shifts.npy")
        shifts = shifts - np.median(shifts, axis=0)
    return {
        "rois": len(stat),
        "cells": len(wanted),
        "found": len(found),
        "false": len(stat) - len(roi_of),
        "correlations": correlations,
        "registered_pct": 100 * float(np.mean(np.hypot(*shifts.T) <= 1)),
    }


def visible_places(centers: np.ndarray, radii: np.ndarray, size: int) -> np.ndarray:
    """Give the center of the part of each round cell that lies in the frame; far away for none."""
    places = np.full(centers.shape, np.inf)
    steps = np.linspace(-1, 1, 41)
    disc = np.stack(np.meshgrid(steps, steps), axis=-1)[np.hypot(*np.meshgrid(steps, steps)) <= 1]
    for cell, (center, radius) in enumerate(zip(centers, radii, strict=True)):
        points = center + radius * disc
        inside = points[np.all((points >= -0.5) & (points <= size - 0.5), axis=1)]
        if len(inside):
            places[cell] = inside.mean(axis=0)
    return places


def partners(rois: np.ndarray, cells: np.ndarray) -> dict[int, int]:
    """Pair ROIs and cells (x, y), the nearest first; gives the ROI of each cell that has one."""
    gaps = np.hypot(*(rois[:, None] - cells[None]).transpose(2, 0, 1))
    roi_of: dict[int, int] = {}
    for roi, cell in zip(*np.unravel_index(np.argsort(gaps, axis=None), gaps.shape), strict=True):
        if gaps[roi, cell] > MATCH_PX:
            break
        if cell not in roi_of and roi not in roi_of.values():
            roi_of[int(cell)] = int(roi)
    return roi_of


def verdicts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare with the targets what holds for the derotated movie."""
    of = {(row["movie"], row["fill"]): row for row in rows}
    rest = of.get(("at rest", "-"))
    targets = []
    for (movie, fill), row in of.items():
        if movie != "derotated":
            continue
        targets += [
            (f"cells found, fill {fill} (%)", row["percent"], ">=", 90.0),
            (f"median correlation of traces, fill {fill}", row["correlation"], ">=", 0.9),
        ]
        if rest is not None:
            targets.append((f"false ROIs, fill {fill}", row["false"], "<=", 1.1 * rest["false"]))
    return print_verdicts(targets)


if __name__ == "__main__":
    main()
