import dataclasses

import numpy as np
import pytest

from derotation.calibration.center_by_blobs import find_center_bayesian, find_center_ellipse
from derotation.errors import CenterError, InputError
from derotation.plots.bayesian import plot_bayesian_center
from derotation.plots.ellipse import plot_ellipse_center


def test_ellipses_tell_center_and_plane(incremental, tmp_path):
    recording, movie, angles = incremental
    result = find_center_ellipse(movie, angles)
    assert result.center == pytest.approx(recording.center, abs=0.15)
    assert np.all(
        np.abs(np.subtract(result.center, recording.center)) < 4 * np.array(result.center_sd)
    )
    assert result.fit.plane_angle == pytest.approx(25, abs=1)
    assert result.fit.plane_orientation == pytest.approx(40, abs=2)
    assert result.fit.plane_significant
    assert result.trusted
    assert "tilted by 2" in result.statement
    assert result.image.shape == recording.movie.shape[1:]
    plot_ellipse_center(result).savefig(tmp_path / "ellipse.png")


def test_ellipses_need_rests(incremental, full):
    _, movie, angles, _ = full
    with pytest.raises(CenterError, match="stands at 1 angles only"):
        find_center_ellipse(movie, angles)
    _, movie, angles = incremental
    with pytest.raises(InputError, match="no frame was recorded at 10 degrees"):
        find_center_ellipse(movie, angles, targets=[0, 10])


@pytest.fixture(scope="module")
def found(full):
    _, movie, angles, timing = full
    return find_center_bayesian(movie, angles, timing=timing, n_iter=6, delta_center=8.0)


def test_bayesian_search_finds_the_center(full, found, tmp_path):
    recording, *_ = full
    assert found.center == pytest.approx(recording.center, abs=0.2)
    assert found.trusted
    assert found.center_sd is not None
    assert max(found.center_sd) < 0.2
    assert found.phases[:9] == ("start", *["explore"] * 2, *["search"] * 6)
    assert set(found.phases[9:]) <= {"refine"}
    table = found.evaluations
    assert table.shape == (len(found.phases), 3)
    assert np.array_equal(table[0, :2], [63.5, 55.5])
    assert found.ptd == table[:, 2].min() == found.best_so_far[-1] <= table[0, 2]
    assert np.all(np.abs(table[:, :2] - table[0, :2]) <= 8)
    # Centers are floats, not pixels.
    assert np.all(table[1:, :2] != np.round(table[1:, :2]), axis=1).sum() >= 3
    plot_bayesian_center(found).savefig(tmp_path / "bayesian.png")


def test_same_seed_same_table(full, found):
    _, movie, angles, timing = full
    again = find_center_bayesian(
        movie, angles, timing=timing, n_iter=6, delta_center=8.0, threads=2
    )
    np.testing.assert_array_equal(again.evaluations, found.evaluations)


def test_never_worse_than_the_start(full):
    recording, movie, angles, timing = full
    result = find_center_bayesian(
        movie, angles, timing=timing, n_iter=1, init_points=1, seed=3, refine=False,
        biased_center=recording.center, n_angles=12,
    )  # fmt: skip
    assert result.center == recording.center
    assert result.phases[np.argmin(result.evaluations[:, 2])] == "start"


def test_center_out_of_reach_is_not_trusted(full, caplog):
    recording, movie, angles, timing = full
    x, y = recording.center
    result = find_center_bayesian(
        movie, angles, timing=timing, n_iter=2, delta_center=2.0, biased_center=(x + 6, y),
        n_angles=12,
    )  # fmt: skip
    assert not result.trusted
    assert "cannot be trusted" in caplog.text
    assert "delta_center" in result.statement


def test_what_cannot_be_searched(full):
    _, movie, angles, _ = full
    still = dataclasses.replace(angles, line_angles=np.zeros_like(angles.line_angles))
    with pytest.raises(CenterError, match="hardly"):
        find_center_bayesian(movie, still)
    with pytest.raises(InputError, match="delta_center is 0"):
        find_center_bayesian(movie, angles, delta_center=0)
    with pytest.raises(InputError, match="biased_center"):
        find_center_bayesian(movie, angles, biased_center=(np.nan, 3.0))
