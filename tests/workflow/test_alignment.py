"""Sessions that are aligned to a reference, and calibrations carried over a movement."""

import json

import numpy as np
import pytest
import tifffile
from tiny_cohort import COLUMNS, TINY, Cohort

from made_once import made_once

SAME = TINY | {
    "shape": [112, 128],
    "n_cells": 50,
    "center_offset": [3, -2],
    "photons_per_pixel": 100,
    "scene_seed": 9,
}
MOVED = {"movement_shift": [6, -4], "movement_rotation": 4}


def row(name, calibration, reference):
    folder = f"data/{name}"
    return (name, "full", f"{folder}/movie.tif", f"{folder}/signals.npy",
            f"{folder}/stimulus.csv", calibration, reference)  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory, library):
    return made_once(tmp_path_factory, "alignment", lambda folder: run(folder, library))


def run(folder, library):
    cohort = Cohort(folder, library)
    cohort.columns = (*COLUMNS, "reference")
    cohort.rows = [
        row("ref", "", ""),
        row("lain", "ref", "ref"),
        row("other", "ref", "ref"),
    ]
    cohort.config |= {
        "report": {"animation": False},
        "simulate": {
            "ref": SAME | {"seed": 1},
            "lain": SAME | MOVED | {"seed": 2},
            # Another sample: no movement can be found.
            "other": SAME | {"seed": 3, "scene_seed": 77},
        },
    }
    movies = (f"results/{name}/derotated.tif" for name in ("ref", "lain", "other"))
    return cohort, cohort.run(*movies)


def places(image, expected):
    """Find cells near where they are expected: the brightness's center within 4 px."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    found = []
    for at in expected:
        near = np.hypot(x - at[0], y - at[1]) <= 4
        weight = np.clip(image - np.median(image), 0, None) * near
        found.append([(x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()])
    return np.array(found)


def test_cells_of_an_aligned_session_lie_where_the_reference_has_them(done):
    cohort, _ = done
    truth = np.load(cohort.folder / "data" / "ref" / "truth.npz")
    inside = np.all(np.abs(truth["cell_centers"] - [63.5, 55.5]) < [40, 34], axis=1)
    gap = np.linalg.norm(
        truth["cell_centers"][:, None] - truth["cell_centers"][None], axis=2
    ) + 99 * np.eye(len(inside))
    alone = truth["cell_centers"][inside & (gap.min(axis=1) > 11)]
    assert len(alone) >= 5
    one, other = (
        tifffile.imread(cohort.folder / "results" / name / "images" / "mean.tif").squeeze()
        for name in ("ref", "lain")
    )
    apart = np.hypot(*(places(one, alone) - places(other, alone)).T)
    assert apart.max() < 0.5
    raw = tifffile.imread(cohort.folder / "results" / "lain" / "images" / "raw_mean.tif").squeeze()
    assert np.hypot(*(places(one, alone) - places(raw, alone)).T).max() > 0.5


def test_the_movement_is_the_true_one(done):
    cohort, _ = done
    folder = cohort.folder / "results" / "lain"
    truth = np.load(cohort.folder / "data" / "lain" / "truth.npz")
    movement = json.loads((folder / "movement.json").read_text())
    corners = np.array([[0, 0, 1], [127, 0, 1], [0, 111, 1], [127, 111, 1]])
    off = corners @ (np.array(movement["matrix"]) - truth["movement"]).T
    assert np.hypot(off[:, 0], off[:, 1]).max() < 0.4
    assert movement["reference"] == "ref"
    assert movement["correlation_after"] > movement["correlation_before"]
    assert movement["rotation_deg"] == pytest.approx(4, abs=0.1)
    assert (folder / "movement.cmc").exists()
    assert (folder / "plots" / "movement.png").stat().st_size > 10_000


def test_a_session_whose_movement_is_not_found_fails_alone(done):
    cohort, result = done
    assert result.returncode == 1
    log = (cohort.folder / "logs" / "other" / "align_session.log").read_text()
    last = log.strip().splitlines()[-1]
    assert last.startswith("ERROR: the movement of other against its reference ref was not found")
    assert "movement_failed.png" in last
    assert "table" in last
    folder = cohort.folder / "results" / "other"
    assert (folder / "plots" / "movement_failed.png").exists()
    assert not (folder / "movement.json").exists()
    assert not (folder / "derotated.tif").exists()
    assert (cohort.folder / "results" / "lain" / "derotated.tif").exists()


@pytest.fixture
def changed(done, tmp_path):
    """A copy of the cohort, to be changed."""
    return done[0].copied(tmp_path / "cohort")


def test_points_of_a_person_are_used(changed):
    cohort = changed
    truth = np.load(cohort.folder / "data" / "lain" / "truth.npz")
    moved = np.array([[30.0, 30, 1], [100, 40, 1], [50, 90, 1]])
    pairs = np.hstack([(moved @ truth["movement"].T)[:, :2], moved[:, :2]]).round(0)
    (cohort.folder / "config" / "points").mkdir(parents=True)
    table = cohort.folder / "config" / "points" / "lain.csv"
    rows = ["ref_x,ref_y,moved_x,moved_y", *(",".join(map(str, pair)) for pair in pairs)]
    table.write_text("\n".join(rows) + "\n")
    planned = cohort.planned("results/lain/movement.json")
    assert planned == {"align_session": 1}


def test_a_scanner_that_moves_takes_the_calibration_along(changed):
    cohort = changed
    assert "carry_calibration" not in cohort.planned("results/lain/movement.json")
    planned = cohort.planned("results/lain/derotated.tif", "--config", "movement={what: scanner}")
    assert planned["carry_calibration"] == 1
    assert planned["derotate_movie"] == 1
