"""Place and blend tiles cut from a simulated window of which everything is known.

A grid of 4 x 3 tiles of 256 x 256 pixels with an overlap of 20 %, by a stage that is turned by 1.5
degrees against the scanner, with a skew of 0.5 degrees and a scale of 0.98. The light is uneven
(half as bright in the far corner), a typical cell gives 10 photons per pixel. Angles and scale come
from `derotation.mosaic.motor`, places from `derotation.mosaic.tiles`. Errors are medians over the
seeds; those of places are without the common shift, which nothing can tell.
"""

import dataclasses
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _common import (
    add_quick,
    load,
    options,
    print_table,
    print_verdicts,
    processes,
    write_json,
)  # fmt: skip
from skimage.registration import phase_cross_correlation

from derotation.mosaic.blend import Mosaic, blend_tiles, feather, seam_ratio
from derotation.mosaic.build import MosaicResult, Tile, build_mosaic
from derotation.mosaic.motor import compute_registration_refinements, estimate_affine_from_pairs
from derotation.mosaic.overlaps import Picture
from derotation.mosaic.tiles import place_tiles
from derotation.simulate import CutTiles, Scene, cut_tiles, stage_matrix, window_scene

ANGLE, SKEW, SCALE, OVERLAP = 1.5, 0.5, 0.98, 0.2
PHOTONS = 10.0
# Those of 20 to 25 were used while the method was made.
SEEDS = range(100, 105)
PERIOD_PX = 14


@dataclass(frozen=True, kw_only=True)
class Case:
    """A grid and what is wrong with it."""

    name: str
    disc: bool = False
    stage_error_px: float = 0.0
    spoiled: bool = False
    """Two tiles are empty, and one overlap shows a pattern that repeats itself."""
    target_px: float = 0.1


CASES = (
    Case(name="whole tiles"),
    Case(name="discs", disc=True, target_px=0.2),
    Case(name="whole, stage error 3 px", stage_error_px=3.0, target_px=0.5),
    Case(name="discs, stage error 3 px", disc=True, stage_error_px=3.0, target_px=0.5),
    Case(name="whole, spoiled", spoiled=True),
    Case(name="discs, spoiled", disc=True, spoiled=True, target_px=0.2),
)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Tiles with the truth."""

    nx: int
    ny: int
    side: int
    ideal: np.ndarray
    scene: Scene
    tiles: CutTiles
    brightness: np.ndarray
    kept: np.ndarray
    """Tiles that show something."""


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--skip-speed", action="store_true", help="leave out the large mosaic")
    given = parser.parse_args()
    nx, ny, side = (2, 2, 128) if given.quick else (4, 3, 256)
    seeds = SEEDS[:2] if given.quick else SEEDS
    cases = [case for case in CASES if not (given.quick and case.spoiled)]
    accuracy = [measure(case, nx, ny, side, seeds) for case in cases]
    show(accuracy)
    fidelity = [compare(disc, nx, ny, side, seeds) for disc in (False, True)]
    print_table(
        "The mosaic against the window (part of its range)",
        ("tiles", "beyond noise", "whole error", "gains only", "seams", "seams by the stage alone"),
        [
            (f["tiles"], f["nrmse"], f["nrmse_noisy"], f["nrmse_gains_only"], f["seams"],
             f["seams_unbalanced"])
            for f in fidelity
        ],
    )  # fmt: skip
    speed = {}
    if not given.skip_speed:
        speed = run_large(*((3, 96) if given.quick else (10, 512)), quick=given.quick)
        print(
            f"\n{speed['tiles']} tiles of {speed['side']} x {speed['side']}: "
            f"{speed['wall_s']:.1f} s"
            f" ({speed['cpu_s']:.1f} s computing, two threads), {speed['peak_mb']:.0f} MB, places "
            f"to {speed['rms_px']:.3f} px; {load()}"
        )
    targets = verdicts(accuracy, fidelity, speed)
    write_json(
        given.json,
        {"accuracy": accuracy, "fidelity": fidelity, "speed": speed, "targets": targets},
    )


def verdicts(
    accuracy: list[dict[str, Any]], fidelity: list[dict[str, Any]], speed: dict[str, Any]
) -> list[dict[str, Any]]:
    """Compare all figures with their targets."""
    rows = []
    for case, figures in ((c, f) for f in accuracy for c in CASES if c.name == f["case"]):
        rows.append((f"{case.name}: places (px)", figures["places_px"], "<=", case.target_px))
        if not case.stage_error_px:
            rows += [
                (f"{case.name}: angle (degrees)", figures["angle"], "<=", 0.03),
                (f"{case.name}: skew (degrees)", figures["skew"], "<=", 0.03),
                (f"{case.name}: scale", figures["scale"], "<=", 0.001),
            ]
    rows += [(f"{f['tiles']}: NRMSE beyond noise", f["nrmse"], "<=", 0.02) for f in fidelity]
    rows += [(f"{f['tiles']}: seams", f["seams"], "<=", 1.1) for f in fidelity]
    if speed:
        rows.append(("large mosaic (s)", speed["wall_s"], "<=", 30))
        rows.append(("large mosaic (MB)", speed["peak_mb"], "<=", 1500))
    return print_verdicts(rows)


def show(accuracy: list[dict[str, Any]]) -> None:
    print_table(
        "Errors, medians over the seeds",
        ("case", "angle", "skew", "scale", "places", "worst seed", "integer + least squares"),
        [
            (f["case"], f["angle"], f["skew"], f["scale"], f["places_px"], f["worst_px"],
             f["plain_px"])
            for f in accuracy
        ],
    )  # fmt: skip


def make_grid(case: Case, nx: int, ny: int, side: int, seed: int) -> Grid:
    """Cut a grid from a window."""
    rng = np.random.default_rng(seed)
    ideal = np.array([(i, j) for i in range(nx) for j in range(ny)]) * side * (1 - OVERLAP)
    places = ideal @ stage_matrix(ANGLE, SKEW, SCALE).T
    places = places + rng.normal(0, 1, places.shape) * case.stage_error_px
    places += 12 - places.min(axis=0)
    size = tuple(int(n) for n in np.ceil(places.max(axis=0)) + side + 12)
    scene = window_scene(size, seed=seed, brightness=PHOTONS)
    brightness = rng.uniform(0.9, 1.1, len(places))
    tiles = cut_tiles(
        scene, places, (side, side), rng=rng, illumination=uneven_light(side), disc=case.disc,
        brightness=brightness,
    )  # fmt: skip
    kept = np.ones(len(places), bool)
    if case.spoiled:
        tiles, kept = spoil(tiles, ny, rng)
    return Grid(
        nx=nx, ny=ny, side=side, ideal=ideal, scene=scene, tiles=tiles, brightness=brightness,
        kept=kept,
    )  # fmt: skip


def uneven_light(side: int) -> np.ndarray:
    y, x = (np.mgrid[:side, :side] - np.array([0.6, 0.45])[:, None, None] * (side - 1)) / side
    return np.exp(-(x**2 + y**2) / (2 * 0.6**2))


def spoil(tiles: CutTiles, ny: int, rng: np.random.Generator) -> tuple[CutTiles, np.ndarray]:
    """Empty two tiles, and let the sample repeat itself where the first two overlap."""
    images = tiles.images.copy()
    kept = np.ones(len(images), bool)
    for k in (ny + 1, 3 * ny):
        dark = tiles.blank + 20.0 * rng.poisson(0.05 * PHOTONS, images[k].shape)
        images[k] = np.where(tiles.masks[k], dark, tiles.blank)
        kept[k] = False
    (top, left), side = tiles.positions[1], images.shape[1]
    right, bottom = tiles.positions[0, 1] + side, tiles.positions[ny, 0]
    rows, columns = np.mgrid[:side, :side]
    for k in np.flatnonzero(kept):
        y, x = rows + tiles.positions[k, 0], columns + tiles.positions[k, 1]
        there = (x > left - 2) & (x < right + 2) & (y > top - 9) & (y < bottom) & tiles.masks[k]
        wave = np.cos(2 * np.pi * y / PERIOD_PX) * np.cos(2 * np.pi * x / PERIOD_PX)
        images[k][there] = tiles.blank + 20.0 * rng.poisson(PHOTONS * (1.05 + wave[there]))
    return dataclasses.replace(tiles, images=images), kept


def measure(case: Case, nx: int, ny: int, side: int, seeds: Any) -> dict[str, Any]:
    """Place the tiles of a case for each seed."""
    errors = []
    for seed in seeds:
        grid = make_grid(case, nx, ny, side, seed)
        volume = lay_out(grid)
        pairs = compute_registration_refinements(volume, (1, side, side), nx, ny, OVERLAP)["pairs"]
        _, found = estimate_affine_from_pairs(pairs, (1, side, side), OVERLAP)
        step = side * (1 - OVERLAP) * SCALE
        pictures = [Picture.prepare(image) for image in grid.tiles.images]
        placement = place_tiles(pictures, grid.ideal, threads=2)
        true = grid.tiles.positions[grid.kept]
        errors.append(
            (
                abs(found["theta_deg"] - ANGLE),
                abs(found["phi_deg"] - 90 - SKEW),
                max(abs(found[name] / step - 1) * SCALE for name in ("step_x", "step_y")),
                rms(placement.positions[grid.kept] - true),
                rms(plain_places(grid)[grid.kept] - true),
            )
        )
    medians = np.median(errors, axis=0)
    names = ("angle", "skew", "scale", "places_px", "plain_px")
    return {
        "case": case.name, **dict(zip(names, medians.tolist(), strict=True)),
        "worst_px": max(error[3] for error in errors),
    }  # fmt: skip


def lay_out(grid: Grid) -> np.ndarray:
    """Lay the tiles side by side."""
    shape = (grid.nx, grid.ny, grid.side, grid.side)
    rows = grid.tiles.images.reshape(shape).transpose(0, 2, 1, 3)
    return rows.reshape(1, grid.nx * grid.side, grid.ny * grid.side)


def rms(off: np.ndarray) -> float:
    off = off - off.mean(axis=0)
    return float(np.sqrt(np.mean(np.sum(off**2, axis=1))))


def plain_places(grid: Grid) -> np.ndarray:
    """Place tiles as one would first think: whole pixels, and one least-squares map for all."""
    shared = round(grid.side * OVERLAP)
    steps, found = [], []
    for k in range(len(grid.ideal)):
        for other, along in ((k + 1, 1), (k + grid.ny, 0)):
            if other >= len(grid.ideal) or (along == 1 and other % grid.ny == 0):
                continue
            one, two = grid.tiles.images[k], grid.tiles.images[other]
            cut = (one[:, -shared:], two[:, :shared]) if along else (one[-shared:], two[:shared])
            shift, _, _ = phase_cross_correlation(*cut, normalization="phase")
            step = grid.ideal[other] - grid.ideal[k]
            steps.append(step)
            found.append(step + shift)
    solution, _, _, _ = np.linalg.lstsq(np.array(steps), np.array(found))
    return grid.ideal @ solution


def compare(disc: bool, nx: int, ny: int, side: int, seeds: Any) -> dict[str, Any]:
    """Compare mosaics with the window; medians over the seeds."""
    figures = []
    for seed in seeds:
        case = Case(name="", disc=disc, stage_error_px=1.0)
        grid = make_grid(case, nx, ny, side, seed)
        result = build(grid, {})
        flat = build(grid, {"illumination": "never"})
        clean = noise_free(grid, disc)
        again = reblended(grid, result, clean)
        bare = blend_tiles(
            lambda k, clean=clean: (clean.images[k], (feather(clean.masks[k]) > 0).astype("f4")),
            result.placement.motor,
            (side, side),
        )
        figures.append(
            {
                "nrmse": nrmse(grid, result, again.image),
                "nrmse_noisy": nrmse(grid, result, result.mosaic.image),
                "nrmse_gains_only": nrmse(grid, flat, reblended(grid, flat, clean).image),
                "seams": seams_of(again),
                "seams_unbalanced": seams_of(bare),
            }
        )
    medians = {name: float(np.median([f[name] for f in figures])) for name in figures[0]}
    return {"tiles": "discs" if disc else "whole tiles", **medians}


def build(grid: Grid, config: dict[str, Any]) -> MosaicResult:
    tiles = [
        Tile(name=str(k), image=image, coverage=None, stage_um=(place[1], place[0]))
        for k, (image, place) in enumerate(zip(grid.tiles.images, grid.ideal, strict=True))
    ]
    return build_mosaic(tiles, 1.0, config, threads=2)


def noise_free(grid: Grid, disc: bool) -> CutTiles:
    """Cut the same tiles without noise."""
    return cut_tiles(
        grid.scene, grid.tiles.positions, (grid.side, grid.side), rng=np.random.default_rng(0),
        photons=False, illumination=uneven_light(grid.side), disc=disc,
        brightness=grid.brightness,
    )  # fmt: skip


def reblended(grid: Grid, result: MosaicResult, clean: CutTiles) -> Mosaic:
    """Blend other tiles as those of a result were: with its places and its balance."""
    weights = [feather(mask) for mask in result.outlines]
    return blend_tiles(
        lambda k: (clean.images[k], weights[k]),
        result.placement.positions,
        (grid.side, grid.side),
        result.balance,
    )


def nrmse(grid: Grid, result: MosaicResult, image: np.ndarray) -> float:
    """Compare a mosaic with the window itself where it was seen, as a part of the window's range.

    Brightness as a whole is free (a factor and an offset), and so is the mosaic's common shift.
    """
    shift = (grid.tiles.positions - result.mosaic.places).mean(axis=0)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    true = grid.scene.evaluate(columns + shift[1], rows + shift[0])
    seen = np.isfinite(image)
    factor, offset = np.polyfit(image[seen], true[seen], 1)
    rest = factor * image[seen] + offset - true[seen]
    return float(np.sqrt(np.mean(rest**2)) / np.ptp(true[seen]))


def seams_of(mosaic: Mosaic) -> float:
    return seam_ratio(mosaic.image, mosaic.count.astype(np.uint16))


def run_large(n: int, side: int, *, quick: bool) -> dict[str, Any]:
    """Build a mosaic of n x n tiles in a process of its own, unless the run is a quick one."""
    _, call = processes(quick=quick)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiles.npz"
        call(make_large, path, n, side)
        return call(time_large, path, n, side)


def make_large(path: Path, n: int, side: int) -> None:
    """Cut the tiles; this is not timed."""
    grid = make_grid(Case(name="", stage_error_px=2.0), n, n, side, 100)
    np.savez(
        path, images=grid.tiles.images, ideal=grid.ideal, positions=grid.tiles.positions,
    )  # fmt: skip


def time_large(path: Path, n: int, side: int) -> dict[str, Any]:
    """Place, balance and blend; time and memory are those of the process."""
    with np.load(path) as saved:
        images, ideal, positions = saved["images"], saved["ideal"], saved["positions"]
    tiles = [
        Tile(name=str(k), image=image, coverage=None, stage_um=(place[1], place[0]))
        for k, (image, place) in enumerate(zip(images, ideal, strict=True))
    ]
    started, computing = time.perf_counter(), time.process_time()
    result = build_mosaic(tiles, 1.0, threads=2)
    wall, cpu = time.perf_counter() - started, time.process_time() - computing
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "tiles": n * n,
        "side": side,
        "wall_s": wall,
        "cpu_s": cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6,
        "rms_px": rms(result.placement.positions - positions),
        "overlaps": result.n_used,
    }


if __name__ == "__main__":
    main()
