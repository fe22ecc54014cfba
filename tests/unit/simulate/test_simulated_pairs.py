"""Pairs of mean images, and recordings of a field of view that has moved."""

import numpy as np
import pytest

from derotation.simulate import plan_recording, simulate_pair

SAME = {"shape": (40, 56), "frame_rate": 10, "stimulus": ((200.0, 1),), "n_cells": 15,
        "center_offset": (4.0, -3.0), "scene_seed": 5}  # fmt: skip
MOVED = {"movement_shift": (5.0, -3.0), "movement_rotation": 10.0}


def test_a_pair_shows_the_same_sample_moved():
    # Without noise and dark cells, both images are one function of place, up to the light.
    pair = simulate_pair(1, size=96, frames=10**6, dimmed=0, rotation=0, scale=0, shift=6)
    x, y = pair.matrix[:2, 2].round().astype(int)
    one = pair.ref[20 + y : 70 + y, 20 + x : 70 + x]
    assert np.corrcoef(one.ravel(), pair.moved[20:70, 20:70].ravel())[0, 1] > 0.9
    assert pair.corner_error(pair.matrix) == 0
    off = pair.matrix + np.array([[0, 0, 3], [0, 0, 4], [0, 0, 0]])
    assert pair.corner_error(off) == pytest.approx(5)


@pytest.mark.parametrize("what", ["sample", "scanner"])
@pytest.mark.parametrize("plane_angle", [0.0, 30.0])
def test_cells_lie_where_the_movement_says(what, plane_angle):
    same = SAME | {"plane_angle": plane_angle, "plane_orientation": 20.0}
    still = plan_recording(seed=1, **same)
    moved = plan_recording(seed=2, movement_what=what, **same, **MOVED)
    np.testing.assert_array_equal(still.scene.centers, moved.scene.centers)
    there = np.column_stack([moved.cell_centers, np.ones(still.scene.n_cells)])
    np.testing.assert_allclose((there @ moved.movement.T)[:, :2], still.cell_centers, atol=1e-9)
    # What is drawn there is what lies there.
    x, y = moved.cell_centers[:3].T
    brightness = moved._scene_at(x, y, None)
    np.testing.assert_allclose(brightness, still.scene.evaluate(*still.cell_centers[:3].T))
    if what == "sample":
        assert moved.center == still.center
    else:
        x, y, _ = moved.movement @ [*moved.center, 1]
        assert (x, y) == pytest.approx(still.center)
    if plane_angle == 0 or what == "scanner":
        np.testing.assert_allclose(moved.movement[:2, :2] @ moved.movement[:2, :2].T, np.eye(2),
                                   atol=1e-12)  # fmt: skip


def test_without_a_movement_nothing_changes():
    plan = plan_recording(seed=1, **SAME)
    np.testing.assert_array_equal(plan.rest_image, plan._counts(plan.scene.on_grid((40, 56))))
