"""All that is measured of a session's cells, as files and as a table."""

import csv

import numpy as np
import pytest
from derotated_cells import derotated

from derotation.cells.dff import sliding_baseline
from derotation.cells.measure import GivenTraces, measure_cells
from derotation.cells.rois import Rois
from derotation.cells.table import COLUMNS
from derotation.cells.traces import TraceFiles
from derotation.errors import InputError
from derotation.io.movie import open_movie
from derotation.io.seen import SeenPixels


def measured(session, output, rois=None, **more):
    with (
        open_movie(session.folder / "derotated.tif") as movie,
        SeenPixels(session.folder / "seen.npz") as seen,
    ):
        return measure_cells(
            movie, seen, session.line_maps, session.rois if rois is None else rois, output,
            mean=session.mean, offset=session.offset, rotations=session.rotations,
            decay_s=0.8, **more,
        )  # fmt: skip


@pytest.fixture(scope="module")
def active(tmp_path_factory):
    """A session with cells of all kinds, and what was measured of it."""
    session = derotated(
        tmp_path_factory.mktemp("active"),
        shape=(96, 96),
        n_cells=16,
        stimulus=[(200, 1), (100, -1), (150, -1), (100, 1), (200, -1), (150, 1)],
        tuning={"angle": 5, "velocity": 4},
        photons_per_pixel=20,
        seed=7,
    )
    table = measured(session, session.folder / "cells.npz", threads=2)
    with np.load(session.folder / "cells.npz") as arrays:
        return session, table, dict(arrays)


def test_traces_are_the_calcium(active):
    session, table, arrays = active
    assert len(table) >= 6
    truth = session.plan.activity[:, arrays["roi"]].T
    for dff, calcium in zip(arrays["dff"], truth, strict=True):
        known = np.isfinite(dff)
        assert known.mean() > 0.99
        assert np.corrcoef(dff[known], calcium[known])[0, 1] > 0.93


def test_cells_follow_what_they_were_made_to(active):
    session, table, arrays = active
    kind = session.plan.tuned.kind[arrays["roi"]]
    for number, what in ((1, "angle"), (2, "velocity")):
        called = table.columns[f"{what}_tuned"]
        assert called[kind == number].all()
        # Six rotations: what other cells do by themselves may look like it.
        assert called[kind != number].sum() <= 1
    truth = session.plan.tuned.preferred_angle[arrays["roi"]]
    away = (table.columns["preferred_angle_deg"] - truth + 180) % 360 - 180
    assert np.median(np.abs(away[kind == 1])) < 12
    # Relative to the baseline, which lies below 1 in a cell that is silenced, too.
    activity = session.plan.activity[:, arrays["roi"]].T
    base = np.array([np.median(sliding_baseline(one, 6.74)) for one in activity])
    slopes = table.columns["slope_per_100_deg_per_s"] / session.plan.tuned.slope[arrays["roi"]]
    slopes = slopes * base
    assert np.all(np.abs(slopes[kind == 2] - 1) < 0.4)


def test_the_arrays_are_those_that_others_read(active):
    session, table, arrays = active
    n, frames = len(table), session.plan.n_frames
    for name in ("time_s", "fluorescence", "neuropil", "dff", "seen", "angle_deg",
                 "velocity_deg_per_s"):  # fmt: skip
        assert arrays[name].shape == (n, frames)
    assert np.all((arrays["seen"] >= 0) & (arrays["seen"] <= 1))
    assert arrays["x_px"].shape == arrays["y_px"].shape == arrays["roi"].shape == (n,)
    flat = [arrays[f"mask_{name}"] for name in ("roi", "row", "column", "weight")]
    assert len({len(array) for array in flat}) == 1
    assert np.allclose(np.bincount(flat[0], flat[3])[arrays["roi"]], 1)
    assert np.array_equal(arrays["response"].shape[1:], (6, len(arrays["response_time_s"])))
    assert np.array_equal(arrays["response_kind"][:, 0], np.repeat([100, 150, 200], 2))


def test_a_rotation_is_answered_after_it_begins(active):
    session, table, arrays = active
    kind = session.plan.tuned.kind[arrays["roi"]]
    for cell in np.flatnonzero(kind == 2):
        slope = session.plan.tuned.slope[arrays["roi"][cell]]
        for k, (_, direction) in enumerate(arrays["response_kind"]):
            # The direction +1 takes the angle down.
            rises = slope * -direction > 0
            time, response = arrays["response_time_s"], arrays["response"][cell, k]
            before = np.nanmean(response[(time > -1) & (time < -0.2)])
            during = np.nanmean(response[(time > 1.0) & (time < 2.0)])
            assert (during > before) == rises
    assert table.response.shape == arrays["response"].shape


def test_the_table_has_a_row_per_cell(active, tmp_path):
    _, table, arrays = active
    table.save(tmp_path / "cells.csv")
    rows = list(csv.DictReader((tmp_path / "cells.csv").read_text().splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert [int(row["roi"]) for row in rows] == arrays["roi"].tolist()
    assert {row["angle_tuned"] for row in rows} == {"true", "false"}
    late = [float(row["time_in_frame_s"]) for row in rows]
    expected = np.nanmedian(arrays["time_s"] - arrays["time_s"][0, 0], axis=1)
    assert np.ptp(late) > 0.01
    assert len(expected) == len(late)


def test_a_static_sample_makes_no_activity(tmp_path):
    session = derotated(tmp_path, calcium=False, photons_per_pixel=None, gain=1000.0)
    measured(session, tmp_path / "cells.npz")
    with np.load(tmp_path / "cells.npz") as arrays:
        turning = np.abs(arrays["velocity_deg_per_s"]) > 5
        dff = arrays["dff"]
        bias = [d[t].mean() - d[~t].mean() for d, t in zip(dff, turning, strict=True)]
    assert np.abs(bias).max() < 0.01


def test_what_is_not_seen_is_not_known(turned, tmp_path):
    labels = np.zeros(turned.rois.shape, int)
    labels[1:6, 64:70] = 3
    rois = Rois.of_labels(labels)
    measured(turned, tmp_path / "cells.npz", rois, config={"min_seen": 0.9})
    with np.load(tmp_path / "cells.npz") as arrays:
        gone = arrays["seen"][0] < 0.9
        assert 0.1 < gone.mean() < 0.9
        assert np.array_equal(np.isnan(arrays["fluorescence"][0]), gone)
        assert np.isnan(arrays["dff"][0])[gone].all()
        assert np.isfinite(arrays["time_s"]).all()


def test_traces_of_others_are_taken_at_our_times(turned, tmp_path):
    shape = (len(turned.rois), turned.plan.n_frames)
    rng = np.random.default_rng(0)
    own = rng.normal(100, 1, shape).astype(np.float32)
    measured(turned, tmp_path / "cells.npz", given=GivenTraces(fluorescence=own, neuropil=own / 2))
    with np.load(tmp_path / "cells.npz") as arrays:
        np.testing.assert_array_equal(arrays["fluorescence"], own)
        np.testing.assert_array_equal(arrays["neuropil"], own / 2)
    given = GivenTraces(fluorescence=own[:, 1:], neuropil=own)
    with pytest.raises(InputError, match="the traces have the shape"):
        measured(turned, tmp_path / "cells.npz", given=given)


def test_no_cells_are_no_error(turned, tmp_path):
    table = measured(turned, tmp_path / "cells.npz", Rois.of([], turned.rois.shape))
    assert table.statement == "There are no cells."
    table.save(tmp_path / "cells.csv")
    assert (tmp_path / "cells.csv").read_text() == ",".join(COLUMNS) + "\n"
    with np.load(tmp_path / "cells.npz") as arrays:
        assert arrays["dff"].shape == (0, turned.plan.n_frames)


@pytest.mark.parametrize("light", ["neuropil", "roi"])
def test_uneven_light_is_taken_away_on_request(tmp_path, light):
    session = derotated(
        tmp_path, calcium=False, photons_per_pixel=None, gain=1000.0, illumination="gradient",
        stimulus=[(50, 1), (50, -1)],
    )  # fmt: skip
    scatter = {}
    for how in ("none", light):
        measured(session, tmp_path / "cells.npz", config={"light": how, "neuropil_weight": 0})
        with np.load(tmp_path / "cells.npz") as arrays:
            scatter[how] = np.nanstd(arrays["dff"], axis=1)
    assert np.median(scatter[light] / scatter["none"]) < 0.35


def test_trace_files_are_read_as_they_were_written(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 30))
    with TraceFiles(tmp_path, {"a": np.float64, "b": np.float32}, 4, 30) as traces:
        for first in range(0, 30, 7):
            traces.write("a", first, values[:, first : first + 7])
        for k in range(4):
            traces.write_row("b", k, values[k])
            np.testing.assert_array_equal(traces.row("a", k), values[k])
        traces.save(tmp_path / "traces.npz", {"roi": np.arange(4)})
    assert [path.name for path in tmp_path.iterdir()] == ["traces.npz"]
    with np.load(tmp_path / "traces.npz") as arrays:
        np.testing.assert_array_equal(arrays["a"], values)
        np.testing.assert_array_equal(arrays["b"], values.astype(np.float32))
        assert arrays["roi"].tolist() == [0, 1, 2, 3]
