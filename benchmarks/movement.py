"""Movements between mean images: found, how exactly, and refused where there is none.

Pairs of mean images of one simulated field of view: own noise, own uneven light, 30 % of the
cells dim or silent in each. The scene is a formula, evaluated where each pixel looks, so that the
truth is exact. What is measured is the largest error at a corner of the image.

With --carry, a calibration is carried over a movement of 10 px and 3 degrees of the scanner, and
used as it is after the same movement of the sample; what is left is measured as in
calibration_transfer.py. --data FOLDER adds pairs made from a real movie: the means of its odd and
of its even frames, one of them moved by a known map (cubic spline), and mirrored ones, which show
something else.
"""

import dataclasses
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from _common import add_quick, load, options, print_table, print_verdicts, write_json
from calibration_transfer import calibrate, read_angles, residual_shifts
from scipy import ndimage

from derotation.errors import DetectionFailedError
from derotation.images.mean_images import mean_images_at_rest
from derotation.io.movie import open_movie
from derotation.movement import update_calibration
from derotation.movement.detect import find_movement
from derotation.simulate import ImagePair, simulate_pair, simulate_session

WRONG_PX = 5.0
# Seeds from here on were not looked at while limits were chosen.
FIRST_SEED = 200_000
STUDIES = {
    "512 x 512, up to 5 degrees": {"size": 512},
    "512 x 512, up to 30 degrees": {"size": 512, "rotation": 30.0},
    "256 disc, up to 5 degrees": {"size": 256, "disc": True},
    "256 disc, up to 30 degrees": {"size": 256, "disc": True, "rotation": 30.0},
    "512 x 512, unrelated": {"size": 512, "unrelated": True},
    "256 disc, unrelated": {"size": 256, "disc": True, "unrelated": True},
}
REAL_MOVIE = "kenyon_cells_2p_cycle1.tif"
STIMULUS = ((200, 1), (100, -1), (200, -1), (100, 1))


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--pairs", type=int, default=100, help="pairs per study")
    parser.add_argument("--method", default="auto", help="as movement.method")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="with real movies")
    parser.add_argument("--carry", action="store_true", help="also carry calibrations over")
    given = parser.parse_args()
    n = 2 if given.quick else given.pairs
    started = load()
    rows = []
    for name, how in STUDIES.items():
        settings = how | ({"size": 160} if given.quick else {})
        pairs = (simulate_pair(FIRST_SEED + k, **settings) for k in range(n))
        rows.append(study(name, pairs, given.method, unrelated="unrelated" in settings))
    if given.data:
        real = tifffile.imread(given.data / REAL_MOVIE)
        for name, degrees, mirrored in (
            ("real, up to 5 degrees", 5.0, False),
            ("real, up to 30 degrees", 30.0, False),
            ("real, mirrored", 5.0, True),
        ):
            pairs = (real_pair(real, k, degrees, mirrored) for k in range(n))
            rows.append(study(name, pairs, given.method, unrelated=mirrored))
    print(f"method {given.method}, {n} pairs per study, {started}")
    header = [field.name for field in dataclasses.fields(Study)]
    print_table("Corner errors (px)", header, [dataclasses.astuple(row) for row in rows])
    carried = {}
    if given.carry:
        carried = carry(("scanner", "sample"), given.quick)
        print_table("Shift left with a calibration of another day (px)", ("moved", "largest"),
                    list(carried.items()))  # fmt: skip
    targets = print_verdicts(verdicts(rows, carried))
    write_json(
        given.json,
        {"studies": [dataclasses.asdict(row) for row in rows], "carried": carried,
         "targets": targets},
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Study:
    """What became of the pairs of one kind."""

    name: str
    pairs: int
    found: int
    refused: int
    wrong: int
    median: float
    p95: float
    largest: float
    seconds: float


def study(name: str, pairs: Iterable[Any], method: str, *, unrelated: bool) -> Study:
    errors, times, refused, wrong = [], [], 0, 0
    for pair in pairs:
        begun = time.process_time()
        try:
            found = find_movement(pair.ref, pair.moved, method)
        except DetectionFailedError:
            found = None
        times.append(time.process_time() - begun)
        if found is None:
            refused += 1
            continue
        errors.append(pair.corner_error(found.correction.matrix))
        # Whatever is found between unrelated images is wrong.
        wrong += unrelated or errors[-1] > WRONG_PX
    told = errors and not unrelated
    figures = np.quantile(errors, [0.5, 0.95, 1]) if told else [float("nan")] * 3
    return Study(name, len(times), len(errors), refused, int(wrong), *map(float, figures),
                 float(np.median(times)))  # fmt: skip


def real_pair(movie: np.ndarray, seed: int, degrees: float, mirrored: bool) -> ImagePair:
    """Two halves of a real recording, of which one is moved by a known map."""
    rng = np.random.default_rng([seed, 23])
    ref, other = (movie[k::2].mean(axis=0).astype(np.float64) for k in (0, 1))
    if mirrored:
        other = other[:, ::-1]
    height, width = ref.shape
    angle, scale = np.deg2rad(rng.uniform(-degrees, degrees)), rng.uniform(0.97, 1.03)
    matrix = np.eye(3)
    matrix[:2, :2] = scale * np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix[:2, 2] = middle + rng.uniform(-15, 15, 2) - matrix[:2, :2] @ middle
    y, x = np.mgrid[:height, :width]
    (a, b, c), (d, e, f) = matrix[:2]
    where = [d * x + e * y + f, a * x + b * y + c]
    moved = ndimage.map_coordinates(other, where, order=3, cval=np.nan)
    return ImagePair(ref=ref.astype(np.float32), moved=moved.astype(np.float32), matrix=matrix)


def carry(moved: tuple[str, ...], quick: bool) -> dict[str, float]:
    """Calibrate one session, move scanner or sample, and derotate the other session with it."""
    # A quick run rests at each step for 3 frames instead of 6.
    size, turns, rest_s = (96, STIMULUS[:2], 0.5) if quick else (256, STIMULUS, 1.0)
    sample = {
        "shape": (size, size),
        "center_offset": (7.0 * size / 256, -5.0 * size / 256),
        "n_cells": 60 if size > 100 else 30,
        "scene_seed": 5,
        "threads": 2,
    }
    left = {}
    with tempfile.TemporaryDirectory() as folder:
        one = Path(folder) / "day1"
        simulate_session(one, protocol="incremental", step_rest_s=rest_s, seed=5, **sample)
        image, calibration = rest_image(one, "incremental"), calibrate(one)
        for what in moved:
            other = Path(folder) / what
            simulate_session(
                other, protocol="full", stimulus=turns, seed=6, movement_shift=(8.0, -6.0),
                movement_rotation=3.0, movement_what=what, **sample,
            )  # fmt: skip
            now = rest_image(other, "full")
            movement = find_movement(image, now).correction
            rows = residual_shifts(other, update_calibration(calibration, now, movement, what=what))
            left[what] = max(float(np.hypot(x, y)) for _, _, x, y in rows)
    return left


def rest_image(folder: Path, protocol: str) -> np.ndarray:
    with open_movie(folder / "movie.tif") as movie:
        angles = read_angles(folder, movie, protocol)
        return mean_images_at_rest(movie, angles, targets=[0.0], max_frames=100).images[0]


def verdicts(rows: list[Study], carried: dict[str, float]) -> list[tuple[str, float, str, float]]:
    checks: list[tuple[str, float, str, float]] = []
    for row in rows:
        checks.append((f"{row.name}: wrong results", row.wrong, "<=", 0))
        if "unrelated" in row.name or "mirrored" in row.name:
            continue
        checks.append((f"{row.name}: refused", row.refused, "<=", 2))
        checks.append(
            (f"{row.name}: median (px)", row.median, "<=", 0.15 if "512" in row.name else 0.3)
        )
        if row.name.startswith("512"):
            checks.append((f"{row.name}: 95th percentile (px)", row.p95, "<=", 0.5))
            checks.append((f"{row.name}: time per pair (s)", row.seconds, "<=", 1.0))
    for what, left in carried.items():
        checks.append((f"{what} moved: shift left (px)", left, "<=", 0.2))
    return checks


if __name__ == "__main__":
    main()
