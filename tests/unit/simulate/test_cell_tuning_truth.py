"""Simulated cells that follow the angle or the velocity, and shadows, against closed forms."""

import json

import numpy as np
import pytest

from derotation.errors import InputError
from derotation.simulate.cell_tuning import CellTuning, draw_tuned_cells
from derotation.simulate.recording import plan_recording, simulate_recording
from derotation.simulate.writing import simulate_session

SMALL = {
    "shape": (24, 40),
    "n_cells": 8,
    "frame_rate": 20.0,
    "rest_before_s": 0.3,
    "rest_between_s": 0.3,
    "rest_after_s": 0.3,
    "sampling_rate": 5000.0,
    "tick_ms": 0.4,
    "calcium": False,
}


def test_without_tuning_nothing_changes():
    plain = simulate_recording(**SMALL)
    tuned = simulate_recording(**SMALL, tuning={"seed": 3})
    np.testing.assert_array_equal(plain.movie, tuned.movie)


def test_a_cell_is_most_active_at_its_angle():
    plan = plan_recording(**SMALL, tuning={"angle": 3, "decay_s": 0.0, "width": 40})
    middle = plan.line_start[:, 12] + plan.line_duration / 2
    angle = plan.motor.angle(middle)
    for cell in np.flatnonzero(plan.tuned.kind == 1):
        away = np.abs((angle - plan.tuned.preferred_angle[cell] + 180) % 360 - 180)
        added = plan.activity[:, cell] - 1
        assert np.all(added[away > 120] < 0.01)
        at_half = np.interp(20, np.sort(away), added[np.argsort(away)])
        assert at_half == pytest.approx(0.75, abs=0.05)
    untuned = plan.activity[:, plan.tuned.kind == 0]
    assert np.all(untuned == 1)


def test_a_velocity_cell_has_its_slope():
    plan = plan_recording(**SMALL, tuning={"velocity": 2, "decay_s": 0.0, "slope": 0.4})
    middle = plan.line_start[:, 12] + plan.line_duration / 2
    turned = plan.motor.angle(middle + 0.01) - plan.motor.angle(middle - 0.01)
    velocity = ((turned + 180) % 360 - 180) / 0.02
    for cell in np.flatnonzero(plan.tuned.kind == 2):
        slope = plan.tuned.slope[cell]
        assert 0.2 <= abs(slope) <= 0.4
        expected = 1 + slope * velocity / 100
        assert np.abs(plan.activity[:, cell] - expected).max() < 0.03


def test_the_indicator_decays_as_it_should():
    tuned = draw_tuned_cells(CellTuning(velocity=1, decay_s=0.5, slope=0.4), 1, 1)
    time = np.arange(0, 4, 0.05)

    def angle(t):
        return np.where(t < 1, 50 * t, 50.0)

    added = tuned.activity(time, angle)[:, 0]
    before = tuned.slope[0] * 0.5
    after = time > 1.05
    expected = before * np.exp(-(time[after] - 1) / 0.5)
    np.testing.assert_allclose(added[after], expected, atol=0.02 * abs(before))


def test_a_shadow_dims_cell_and_surroundings_alike():
    quiet = {"photons_per_pixel": None, "dtype": "float64"}
    dim, lit = (
        plan_recording(**SMALL, **quiet, tuning={"light": n, "shadow": 0.4}) for n in (1, 0)
    )
    (cell,) = np.flatnonzero(dim.tuned.kind == 3)
    angle = dim.motor.angle(dim.line_start[:, 12])
    frame = int(np.argmin(np.abs((angle - dim.tuned.preferred_angle[cell] + 180) % 360 - 180)))
    share = dim.photons(frame) / lit.photons(frame)
    rows, columns = np.mgrid[:24, :40]
    x, y = dim.place_in_sample(columns, rows, dim.sample_angles(frame))
    away = np.hypot(x - dim.cell_centers[cell, 0], y - dim.cell_centers[cell, 1])
    radius = np.sqrt(dim.scene.radii[cell].prod())
    near = away < 1.5 * radius
    if near.any():
        assert share[near].max() < 0.75
        assert np.ptp(share[near]) < 0.1
    assert np.all(np.abs(share[away > 6 * radius] - 1) < 0.01)
    # Nothing is active.
    assert np.all(dim.activity == 1)


def test_the_truth_is_written(tmp_path):
    tuning = {"angle": 2, "velocity": 1, "light": 1}
    paths = simulate_session(tmp_path, **SMALL, tuning=tuning)
    with np.load(paths["truth"]) as truth:
        kinds = truth["cell_kind"]
        assert sorted(kinds[kinds != "none"]) == ["angle", "angle", "light", "velocity"]
        assert np.isfinite(truth["cell_preferred_angle"]).sum() == 3
        assert np.isfinite(truth["cell_slope"]).sum() == 1
    summary = json.loads(paths["summary"].read_text())
    assert summary["parameters"]["tuning"]["angle"] == 2


def test_cells_are_tuned_alike_in_all_sessions():
    plans = [plan_recording(**SMALL, seed=k, tuning={"angle": 3}) for k in (0, 1)]
    np.testing.assert_array_equal(
        plans[0].tuned.preferred_angle[:8], plans[1].tuned.preferred_angle[:8]
    )


@pytest.mark.parametrize(
    ("tuning", "says"),
    [
        ({"angle": 9}, "asks for 9 cells, but the picture has 8"),
        ({"angle": -1}, "must not be below 0"),
        ({"shadow": 1.0}, "must be below 1"),
        ({"width": 360.0}, "must be above 0 and below 360"),
        ({"angles": 3}, "unknown tuning 'angles'"),
    ],
)
def test_what_cannot_be_is_refused(tuning, says):
    with pytest.raises(InputError, match=says):
        plan_recording(**SMALL, tuning=tuning)
