"""The stage's map, against numbers worked out by hand."""

import numpy as np
import pytest

from derotation.mosaic.stage import fit_stage, stage_angles
from derotation.simulate import stage_matrix


def test_angles_of_a_map():
    # Along the columns 100 px long and 30 degrees up; along the rows straight down, 50 px long.
    matrix = [[50, -50], [0, 50 * np.sqrt(3)]]
    found = stage_angles(matrix)
    assert found == pytest.approx(
        {"theta_deg": 30, "phi_deg": 120, "non_perpendicularity_deg": 30,
         "step_y": 50, "step_x": 100}
    )  # fmt: skip


@pytest.mark.parametrize(("angle", "skew"), [(0, 0), (1.5, 0.5), (-170, -3), (90, 2)])
def test_the_simulators_map_has_the_angles_asked_for(angle, skew):
    found = stage_angles(stage_matrix(angle, skew, (0.9, 1.1)))
    assert found["theta_deg"] == pytest.approx(angle)
    assert found["non_perpendicularity_deg"] == pytest.approx(skew)
    assert (found["step_y"], found["step_x"]) == pytest.approx((0.9, 1.1))


def test_a_fit_leaves_out_what_is_wrong_and_knows_its_error():
    rng = np.random.default_rng(0)
    true = stage_matrix(2.0, -1.0, 1.02)
    errors = []
    for _ in range(20):
        steps = rng.normal(0, 100, (24, 2))
        measured = steps @ true.T + rng.normal(0, 0.3, steps.shape)
        measured[5] += (20, -8)
        found = fit_stage(steps, measured, blocks=np.arange(24) // 2)
        assert not found.used[5]
        assert found.used.sum() >= 22
        assert found.scatter == pytest.approx(0.3, rel=0.4)
        doubt = found.angle_uncertainties()
        angles = stage_angles(found.matrix)
        errors.append((angles["theta_deg"] - 2) / doubt["theta_deg"])
        errors.append((angles["phi_deg"] - 89) / doubt["phi_deg"])
    assert 0.5 < np.sqrt(np.mean(np.square(errors))) < 1.6


def test_steps_on_a_line_tell_a_turn_and_a_scale():
    steps = np.array([(0, 10), (0, 20), (0, -10.0)])
    found = fit_stage(steps, 1.1 * steps @ stage_matrix(4.0).T)
    assert found.free == 2
    assert stage_angles(found.matrix) == pytest.approx(
        {"theta_deg": 4, "phi_deg": 90, "non_perpendicularity_deg": 0, "step_y": 1.1,
         "step_x": 1.1}, abs=1e-6
    )  # fmt: skip


def test_nothing_measured():
    found = fit_stage(np.zeros((0, 2)), np.zeros((0, 2)))
    np.testing.assert_array_equal(found.matrix, np.eye(2))
    assert found.free == 0
    assert found.rms == 0
    assert found.angle_uncertainties() is None
