"""The same cells in several sessions, against ROIs whose identity is known."""

import numpy as np
import pytest

from derotation.cells.matching import match_cells
from derotation.cells.rois import Rois
from derotation.maps import transforms

SHAPE = (200, 220)


def cells(n, seed):
    """Centers that keep some distance, and radii."""
    rng = np.random.default_rng(seed)
    centers = []
    while len(centers) < n:
        one = rng.uniform([8, 8], [SHAPE[1] - 8, SHAPE[0] - 8])
        if all(np.hypot(*(one - other)) > 9 for other in centers):
            centers.append(one)
    return np.array(centers), rng.uniform(3.5, 5.5, n)


def outlines(centers, radii, which, rng, noise=0.5):
    """ROIs as a program would draw them: a little off, a little larger or smaller."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    pixels = []
    for k in which:
        cx, cy = centers[k] + rng.normal(0, noise, 2)
        radius = radii[k] * rng.uniform(0.85, 1.15)
        pixels.append(np.stack(np.nonzero(np.hypot(x - cx, y - cy) <= radius)))
    return Rois.of(pixels, SHAPE, number=which)


def judged(matched):
    """The part of cells in both that were matched, and the part of matches that are wrong."""
    rows = {}
    for cell, session, roi in zip(matched.cell, matched.session, matched.roi, strict=True):
        rows.setdefault(session, {})[int(roi)] = int(cell)
    first, second = rows.values()
    common = set(first) & set(second)
    right = sum(first[k] == second[k] for k in common)
    made = len(set(first.values()) & set(second.values()))
    return right / len(common), (made - right) / max(made, 1)


def test_cells_are_found_again_after_a_movement():
    rng = np.random.default_rng(0)
    centers, radii = cells(120, 1)
    turn = np.radians(4)
    middle = np.array([SHAPE[1], SHAPE[0]]) / 2
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = np.column_stack([linear, middle - linear @ middle + [6.5, -4.7]])
    there = transforms.apply(transforms.invert(matrix), centers)
    first = outlines(centers, radii, rng.permutation(120)[:60], rng)
    second = outlines(there, radii, rng.permutation(120)[:60], rng)
    inside = second.take(second.n_pixels > 25)
    matched = match_cells({"a": first, "b": inside}, {"b": matrix})
    found, wrong = judged(matched)
    assert found >= 0.95
    assert wrong <= 0.02
    assert matched.false_matches["b"] < 0.5


def test_a_cell_may_be_silent_in_the_reference():
    rng = np.random.default_rng(2)
    centers, radii = cells(30, 3)
    rois = {
        name: outlines(centers, radii, np.array(which), rng)
        for name, which in {
            "a": range(10),
            "b": range(5, 20),
            "c": [0, *range(10, 20)],
        }.items()
    }
    matched = match_cells(rois)
    numbers = {
        (session, int(roi)): int(cell)
        for cell, session, roi in zip(matched.cell, matched.session, matched.roi, strict=True)
    }
    for k in range(10, 20):
        assert numbers["b", k] == numbers["c", k]
    assert numbers["a", 0] == numbers["c", 0]
    assert len(set(matched.cell)) == 20
    once = matched.sessions_of_cell == 1
    # Scores are those of pairs; the first sight of a cell has none.
    assert np.isnan(matched.score[once]).all()
    assert np.nanmin(matched.score) > 0.25


def test_what_all_have_in_common_is_taken_away():
    rng = np.random.default_rng(4)
    centers, radii = cells(60, 5)
    every = np.arange(60)
    moved = outlines(centers + np.array([3.2, -2.1]), radii, every, rng)
    matched = match_cells({"a": outlines(centers, radii, every, rng), "b": moved})
    assert judged(matched)[0] > 0.97
    there = matched.place[[session == "b" for session in matched.session]]
    order = matched.roi[[session == "b" for session in matched.session]]
    assert np.abs(np.median(there - centers[order], axis=0)).max() < 0.3


def test_other_cells_are_not_sure():
    rng = np.random.default_rng(6)
    one, other = cells(80, 7), cells(80, 8)
    every = np.arange(80)
    same = match_cells({"a": outlines(*one, every, rng), "b": outlines(*one, every, rng)})
    apart = match_cells({"a": outlines(*one, every, rng), "b": outlines(*other, every, rng)})
    assert np.nanmedian(same.probability) > 0.95
    assert same.false_matches["b"] < 0.4
    assert np.sum(apart.probability > 0.9) <= 4
    assert apart.false_matches["b"] > 0.6


def test_the_table_names_all(tmp_path):
    labels = np.zeros(SHAPE, int)
    labels[20:28, 30:38] = 7
    matched = match_cells({"a": Rois.of_labels(labels), "b": Rois.of_labels(labels)})
    matched.save(tmp_path / "matched.csv", "a")
    lines = (tmp_path / "matched.csv").read_text().splitlines()
    assert lines[0] == "reference,cell,session,roi,x_px,y_px,sessions,score,probability"
    assert lines[1] == "a,1,a,7,33.500,23.500,2,,"
    assert lines[2].startswith("a,1,b,7,33.500,23.500,2,1,")


@pytest.mark.parametrize("first", [True, False])
def test_a_session_without_cells_is_no_obstacle(first):
    labels = np.zeros(SHAPE, int)
    labels[20:28, 30:38] = 1
    none, some = Rois.of([], SHAPE), Rois.of_labels(labels)
    matched = match_cells({"a": none, "b": some} if first else {"a": some, "b": none})
    assert matched.cell.tolist() == [1]
