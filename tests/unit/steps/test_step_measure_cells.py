"""The steps measure_cells and match_cells on files, as rules call them."""

import csv
import json

import numpy as np
import pytest
import tifffile

from derotation.calibration.calibration import Calibration
from derotation.cohort.config import validate_config
from derotation.errors import ConfigError, InputError
from derotation.steps import (
    derotate_movie,
    interpolate_angles,
    match_cells,
    measure_cells,
    parse_signals,
    simulate_session,
)
from derotation.steps.exporting import DerotatedFiles

SHAPE = (48, 64)
TINY = {
    "shape": SHAPE,
    "frame_rate": 10,
    "sampling_rate": 10000,
    "stimulus": [[100, 1], [150, -1]],
    "rest_before_s": 1,
    "rest_between_s": 0.5,
    "rest_after_s": 0.5,
    "n_cells": 12,
    "scene_options": {"radius": [3, 4]},
}
LABELS = np.zeros(SHAPE, np.uint16)
LABELS[20:25, 30:36], LABELS[30:34, 20:25] = 3, 8


def settings(**cells):
    return validate_config({"signals": {"sampling_rate": 10000}, "cells": cells})


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A session up to its derotated movie."""
    folder = tmp_path_factory.mktemp("session")
    raw = simulate_session.run(folder=folder / "raw", protocol="full", config=TINY)
    config = settings()
    parse_signals.run(
        movie=raw["movie"], signals=raw["signals"], stimulus=raw["stimulus"], protocol="full",
        config=config, outputs=parse_signals.Outputs.within(folder),
    )  # fmt: skip
    interpolate_angles.run(
        events=folder / "events.npz", movie=raw["movie"], protocol="full", config=config,
        outputs=interpolate_angles.Outputs.within(folder),
    )  # fmt: skip
    center = ((SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2)
    Calibration(center=center, image_shape=SHAPE, method="truth").save(folder / "calibration.json")
    derotate_movie.run(
        movie=raw["movie"], angles=folder / "angles.npz", calibration=folder / "calibration.json",
        config=config,
        outputs=derotate_movie.Outputs.within(
            folder, channels=None, channel_means=None, channels_plot=None
        ),
    )  # fmt: skip
    return folder


def measured(session, folder, config, **files):
    outputs = measure_cells.Outputs.within(folder)
    table = measure_cells.run(
        files=DerotatedFiles.within(session, channels=None, channel_means=None),
        statistics=session / "statistics.npz",
        events=session / "events.npz",
        protocol="full",
        config=config,
        outputs=outputs,
        **files,
    )
    return table, outputs


def suite2p_results(folder, n_frames):
    plane = folder / "plane0"
    plane.mkdir()
    rows, columns = np.nonzero(LABELS == 3)
    roi = {"ypix": rows, "xpix": columns, "lam": np.ones(len(rows))}
    np.save(plane / "stat.npy", np.array([roi], dtype=object))
    for name in ("F", "Fneu"):
        trace = np.random.default_rng(0).normal(500, 5, (1, n_frames))
        np.save(plane / f"{name}.npy", trace.astype(np.float32))
    return folder


def test_cells_of_a_file_are_measured(session, tmp_path):
    tifffile.imwrite(tmp_path / "rois.tif", LABELS)
    config = settings(rois="rois.tif")
    table, outputs = measured(session, tmp_path / "out", config, rois=tmp_path / "rois.tif")
    rows = list(csv.DictReader(outputs.table.read_text().splitlines()))
    assert [row["roi"] for row in rows] == ["3", "8"]
    told = json.loads(outputs.summary.read_text())
    assert told["cells"] == 2
    assert told["statement"] == table.statement
    assert outputs.tuning.stat().st_size > 5000
    assert outputs.responses.stat().st_size > 5000
    with np.load(outputs.traces) as arrays:
        assert arrays["response"].shape[1] == 2
        assert np.array_equal(np.unique(arrays["mask_roi"]), [3, 8])


def test_blobs_need_no_file(session, tmp_path):
    table, _ = measured(session, tmp_path, settings(rois="blobs"))
    assert len(table) > 2


def test_cells_of_suite2p_are_measured_in_the_movie_or_taken(session, tmp_path):
    with np.load(session / "angles.npz") as angles:
        n_frames = len(angles["frame_start"])
    folder = suite2p_results(tmp_path, n_frames)
    _, own = measured(session, tmp_path / "own", settings(), suite2p=folder)
    config = settings(traces="suite2p")
    _, taken = measured(session, tmp_path / "taken", config, suite2p=folder)
    with np.load(own.traces) as ours, np.load(taken.traces) as theirs:
        np.testing.assert_array_equal(ours["time_s"], theirs["time_s"])
        given = np.load(folder / "plane0" / "F.npy")
        with np.load(session / "statistics.npz") as learned:
            offset = float(learned["offset"])
        known = np.isfinite(theirs["fluorescence"])
        assert known.mean() > 0.9
        np.testing.assert_allclose(theirs["fluorescence"][known], given[known] - offset, rtol=1e-4)
        assert np.nanmax(np.abs(ours["fluorescence"] - theirs["fluorescence"])) > 10


def test_an_export_made_anew_asks_for_suite2p(session, tmp_path):
    with pytest.raises(InputError, match="earlier results lie in suite2p/earlier: run Suite2p"):
        measured(session, tmp_path / "out", settings(), suite2p=tmp_path)


def test_what_is_asked_for_has_to_be_given(session, tmp_path):
    with pytest.raises(InputError, match="no file is given"):
        measured(session, tmp_path, settings(rois="x.tif"))
    with pytest.raises(InputError, match="the folder in which Suite2p has worked is not given"):
        measured(session, tmp_path, settings())


def test_traces_of_suite2p_need_its_rois():
    with pytest.raises(ConfigError, match=r"cells\.traces.*suite2p"):
        settings(rois="blobs", traces="suite2p")


def test_cells_of_two_sessions_are_matched(session, tmp_path):
    tifffile.imwrite(tmp_path / "rois.tif", LABELS)
    config = settings(rois="rois.tif")
    _, outputs = measured(session, tmp_path / "out", config, rois=tmp_path / "rois.tif")
    mean = session / "images" / "mean.tif"
    match_cells.run(
        cells={"a": {"a": outputs.traces, "b": outputs.traces}},
        means={"a": mean, "b": mean},
        config=config,
        table=tmp_path / "cells_matched.csv",
        plots=tmp_path / "cells_matched",
    )
    rows = list(csv.DictReader((tmp_path / "cells_matched.csv").read_text().splitlines()))
    assert [(row["cell"], row["session"], row["roi"]) for row in rows] == [
        ("1", "a", "3"), ("1", "b", "3"), ("2", "a", "8"), ("2", "b", "8"),
    ]  # fmt: skip
    assert (tmp_path / "cells_matched" / "a.png").exists()
    (tmp_path / "damaged.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read as the cells of a session"):
        match_cells.read_cell_masks(tmp_path / "damaged.npz")
