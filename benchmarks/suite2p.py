"""Cells that the real Suite2p finds in a derotated session, against the truth of the simulator.

The same scene is recorded turning and at rest. Suite2p runs on the export of the derotated movie,
of the one as recorded, and of the one at rest, in an environment of its own: --python names its
Python. Without it only the exports are made. An ROI and a cell match if they are within 3 px of
each other; each has one partner at most. A cell that the frame's edge cuts lies where its visible
part does. An ROI without a partner, wherever it lies, is a false one. Cells count if they lie
wholly within the disc that is always seen. The trace is F - 0.7 Fneu against the true calcium. A
frame is registered if Suite2p's shift is within 1 px of the truth: none, but for the movie
"shaken", the derotated one with each frame displaced by up to a few pixels, and with --noise added.

With --parts the export of a session with two channels, or with two planes, is run instead: are the
cells of the functional channel, and of each plane, found in their own place, and is each mean image
that Suite2p made that of its own channel and plane? Channel 2 calibrates, channel 1 is functional.
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
    load,
    make_session,
    options,
    print_table,
    print_verdicts,
    processes,
    rotations,
    write_json,
)

FRAME_RATE = 6.74
STEPS = ("parse_signals", "interpolate_angles", "estimate_center", "estimate_plane",
         "derotate_movie")  # fmt: skip
MOVIES = ("derotated", "as recorded", "at rest", "shaken")
PARTS: dict[str, dict[str, Any]] = {
    "channels": {
        "recording": {"channels": 2},
        "movie": {"channel": 2, "channels": "all", "n_channels": 2},
        "export": {"functional_channel": 1},
    },
    "planes": {
        "recording": {"planes": 2, "frame_rate": 2 * FRAME_RATE},
        "movie": {"plane": 1, "planes": "all", "n_planes": 2, "n_channels": 1},
        "export": {},
    },
}
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
    parser.add_argument(
        "--parts", nargs="+", choices=list(PARTS), default=[],
        help="export sessions with two channels, with two planes, and nothing else",
    )  # fmt: skip
    parser.add_argument("--folder", type=Path, help="for temporary files; kept if it is given")
    given = parser.parse_args()
    if given.quick:
        given.size, given.frames, given.seeds = 64, 100, [0]
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        results = measure_parts(folder, given) if given.parts else measure(folder, given)
    if given.parts:
        print_parts(results, given)
        write_json(given.json, results)
        return
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
    run_step, call = processes(quick=given.quick)
    for seed in given.seeds:
        place = folder / f"seed{seed}"
        call(simulate, place, given.size, given.frames, seed)
        for step in STEPS:
            run_step(step, place / "turning")
        if "shaken" in given.movies:
            call(shake, place, seed, given.noise)
        for movie, fill in wanted:
            suite2p = place / f"{movie} {fill}".replace(" ", "_") / "suite2p"
            call(export, place, movie, fill, suite2p)
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


def measure_parts(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Export sessions with two channels or planes, and let Suite2p run on them."""
    results: dict[str, Any] = {"suite2p": "Suite2p", "parts": []}
    run_step, call = processes(quick=given.quick)
    for part in given.parts:
        for seed in given.seeds:
            place = folder / f"{part}{seed}"
            call(simulate_parts, place, given.size, given.frames, seed, part)
            steps = [*STEPS, *(["derotate_planes"] if part == "planes" else []), "export_suite2p"]
            for step in steps:
                run_step(step, place / "turning")
            exported = place / "turning" / "suite2p"
            # Suite2p 1.x replaces what was written for 0.14.
            row: dict[str, Any] = {
                "part": part,
                "seed": seed,
                **call(exported_facts, exported),
            }
            if given.python:
                results["suite2p"] = run_suite2p(given.python, exported)
                row["planes"] = call(score_parts, place, exported, part)
            results["parts"].append(row)
    return results


def simulate_parts(folder: Path, size: int, n_frames: int, seed: int, part: str) -> None:
    """Record a session with two channels or planes, and what is true of each."""
    from derotation.simulate import plan_recording

    own = PARTS[part]
    n_planes = own["recording"].get("planes", 1)
    parameters = {
        "shape": (size, size),
        "n_frames": n_frames * n_planes,
        "frame_rate": FRAME_RATE,
        "center_offset": (5, -4),
        "n_cells": max(round(60 * (size / 256) ** 2), 4),
        "seed": seed,
        "stimulus": rotations(n_frames, FRAME_RATE),
        **own["recording"],
    }
    turning = folder / "turning"
    turning.mkdir(parents=True)
    make_session(turning, **parameters)
    config = json.loads((turning / "config.yaml").read_text())
    config |= {"movie": own["movie"], "export": own["export"]}
    (turning / "config.yaml").write_text(json.dumps(config, indent=2))
    plan = plan_recording(**parameters)
    for plane in range(n_planes):
        layer = plan.layer(plane=plane + 1)
        images = {"image": layer.rest_image}
        if part == "channels":
            images["other_image"] = plan.layer(channel=2).rest_image
        np.savez(
            folder / f"plane{plane}.npz", centers=layer.scene.centers, radii=layer.scene.radii,
            activity=layer.activity[plane::n_planes], center=plan.center, **images,
        )  # fmt: skip


def exported_facts(exported: Path) -> dict[str, Any]:
    """Say what was exported, before Suite2p changes it."""
    plane = exported / "plane0"
    ops = np.load(plane / "ops.npy", allow_pickle=True).item()
    return {
        "nplanes": ops["nplanes"],
        "nchannels": ops["nchannels"],
        "functional_chan": ops["functional_chan"],
        "data_chan2": (plane / "data_chan2.bin").exists(),
        "fs": ops["fs"],
    }


def score_parts(folder: Path, exported: Path, part: str) -> list[dict[str, Any]]:
    """Compare what Suite2p made of each plane, or channel, with the truth of each."""
    rows = []
    for place in sorted(exported.glob("plane*")):
        found = score_plane(folder / f"{place.name}.npz", place)
        truth = np.load(folder / f"{place.name}.npz")
        ops = np.load(place / "ops.npy", allow_pickle=True).item()
        if "meanImg" not in ops:  # Suite2p 1.x
            ops |= np.load(place / "reg_outputs.npy", allow_pickle=True).item()
        if part == "channels":
            own, other = ops["meanImg"], ops["meanImg_chan2"]
            # Each mean image against the truth of its own channel, and of the other one.
            found["own"] = min(
                alike(own, truth["image"], truth), alike(other, truth["other_image"], truth)
            )
            found["other"] = max(
                alike(own, truth["other_image"], truth), alike(other, truth["image"], truth)
            )
            found["red_cells"] = int(np.load(place / "redcell.npy")[:, 0].sum())
        else:
            swapped = np.load(folder / f"plane{1 - int(place.name[-1])}.npz")
            found["own"] = alike(ops["meanImg"], truth["image"], truth)
            found["other"] = alike(ops["meanImg"], swapped["image"], truth)
        rows.append({"plane": place.name, **found})
    return rows


def alike(image: np.ndarray, expected: np.ndarray, truth: Any) -> float:
    """Correlate two pictures within the disc that is always seen."""
    rows, columns = np.indices(image.shape)
    x, y = truth["center"]
    radius = min(x, y, image.shape[1] - 1 - x, image.shape[0] - 1 - y)
    disc = np.hypot(columns - x, rows - y) <= radius
    return float(np.corrcoef(image[disc], expected[disc])[0, 1])


def print_parts(results: dict[str, Any], given: argparse.Namespace) -> None:
    """Print what was exported, what Suite2p found, and compare with the targets."""
    facts = ("part", "seed", "nplanes", "nchannels", "functional_chan", "data_chan2", "fs")
    print_table(
        f"Exported: {given.frames} times of {given.size} x {given.size} pixels",
        facts,
        [[row[fact] for fact in facts] for row in results["parts"]],
    )
    scored = [
        {"part": row["part"], "seed": row["seed"], **plane}
        for row in results["parts"]
        for plane in row.get("planes", [])
    ]
    if not scored:
        return
    print_table(
        f"{results['suite2p']}; {load()}",
        ("part", "seed", "plane", "ROIs", "cells", "found", "false", "r", "mean image: own truth",
         "the other's", "red cells"),
        [
            (row["part"], row["seed"], row["plane"], row["rois"], row["cells"], row["found"],
             row["false"], float(np.median(row["correlations"] or [np.nan])), row["own"],
             row["other"], row.get("red_cells", ""))
            for row in scored
        ],
    )  # fmt: skip
    targets: list[tuple[str, float, str, float]] = []
    for part in given.parts:
        own = [row for row in scored if row["part"] == part]
        n_cells = sum(row["cells"] for row in own)
        traces = np.concatenate([row["correlations"] for row in own])
        targets += [
            (f"{part}: cells found (%)", 100 * sum(r["found"] for r in own) / n_cells, ">=", 90.0),
            (f"{part}: median correlation of traces", float(np.median(traces)), ">=", 0.9),
            (f"{part}: least likeness with the own truth", min(r["own"] for r in own), ">=", 0.9),
            (f"{part}: most with the other's", max(r["other"] for r in own), "<=", 0.5),
        ]
    results["targets"] = print_verdicts(targets)


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
    truth = folder / ("rest.npz" if movie == "at rest" else "turning.npz")
    moved = np.load(folder / "shifts.npy") if movie == "shaken" else None
    return score_plane(truth, plane, moved)


def score_plane(told: Path, plane: Path, moved: np.ndarray | None = None) -> dict[str, Any]:
    """Compare what Suite2p found in a plane with the truth; `moved` is how frames were shifted."""
    truth = np.load(told)
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
    if moved is not None:
        shifts = shifts - moved
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
