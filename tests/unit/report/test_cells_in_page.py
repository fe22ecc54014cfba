"""Traces of cells reach the page as they are in the file, but for rounding."""

import base64
import json

import numpy as np
import pytest

from derotation.cells import VERDICTS
from derotation.errors import InputError
from derotation.report import cells
from derotation.report.cells import cells_for_page
from played_session import make_cell_table, make_cells


def unpacked(packed, n_bytes=2):
    whole = np.frombuffer(base64.b64decode(packed["data"]), f"<i{n_bytes}")
    unknown = -(2 ** (8 * n_bytes - 1))
    return np.where(whole == unknown, np.nan, whole * packed["unit"])


def test_each_sample_keeps_its_value_its_angle_and_whether_it_was_seen(tmp_path):
    make_cells(tmp_path / "cells.npz")
    truth = np.load(tmp_path / "cells.npz")
    page = json.loads(cells_for_page(tmp_path / "cells.npz"))
    assert page["names"] == [7, 9]
    assert page["every"] == 1
    assert page["value"] == "dF/F"
    for k in range(2):
        for name, array, step in (
            ("samples", "dff", 4 / 32000), ("angle", "angle_deg", 180 / 127),
            ("velocity", "velocity_deg_per_s", 18 / 127),
        ):  # fmt: skip
            off = unpacked(page[name][k], 2 if name == "samples" else 1) - truth[array][k]
            off = (off + 180) % 360 - 180 if name == "angle" else off
            np.testing.assert_array_equal(np.isnan(off), np.isnan(truth[array][k]))
            assert np.nanmax(np.abs(off)) <= 0.51 * step
    # Of a frame that no cell saw, the time is known from its neighbors.
    np.testing.assert_allclose(page["time_s"], np.arange(40))
    # Row, first column, number of pixels.
    assert page["outline"] == [[30, 20, 1, 31, 20, 1], [40, 50, 1]]
    # Without the table nothing is said of tuning.
    assert page["follows"] is None


def test_outlines_are_the_masks_row_by_row(tmp_path):
    make_cells(tmp_path / "cells.npz")
    arrays = dict(np.load(tmp_path / "cells.npz"))
    rng = np.random.default_rng(0)
    masks = rng.random((2, 9, 11)) < 0.6
    cell, row, column = np.nonzero(masks)
    order = rng.permutation(len(cell))
    arrays |= {"mask_roi": np.array([7, 9])[cell][order], "mask_row": row[order],
               "mask_column": column[order]}  # fmt: skip
    np.savez(tmp_path / "cells.npz", **arrays)
    page = json.loads(cells_for_page(tmp_path / "cells.npz"))
    for mask, runs in zip(masks, page["outline"], strict=True):
        drawn = np.zeros(mask.shape, bool)
        for y, x, n in np.reshape(runs, (-1, 3)).tolist():
            assert not drawn[y, x : x + n].any()
            drawn[y, x : x + n] = True
        np.testing.assert_array_equal(drawn, mask)


def test_what_a_cell_follows_is_as_the_table_says(tmp_path):
    make_cells(tmp_path / "cells.npz")
    make_cell_table(tmp_path / "cells.csv")
    follows = json.loads(cells_for_page(tmp_path / "cells.npz"))["follows"]
    assert follows["angle"] == {
        "tuned": [1, 0], "light": [0, 1], "q": [0.00123, 0.02], "variance": [0.384, None],
        "peak": [134.0, 12.0],
        "why": [VERDICTS["tuned"], VERDICTS["brightness"]],
    }  # fmt: skip
    assert follows["velocity"]["q"] == [0.41, None]
    assert follows["velocity"]["speed"] == [0.5, None]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("9,", "8,"), "not those of cells.npz"),
        (("angle_q", "q"), "KeyError"),
        (("0.00123", "soon"), "ValueError"),
        (("\n9,", "\n"), "does not hold|not those"),
    ],
)
def test_a_table_that_does_not_belong_to_the_traces_is_named(tmp_path, change, said):
    make_cells(tmp_path / "cells.npz")
    make_cell_table(tmp_path / "cells.csv")
    text = (tmp_path / "cells.csv").read_text()
    assert change[0] in text
    (tmp_path / "cells.csv").write_text(text.replace(*change))
    with pytest.raises(InputError, match=said):
        cells_for_page(tmp_path / "cells.npz")


def test_one_cell_of_a_long_recording_is_not_larger_than_many(tmp_path):
    n = 30_000
    time = np.arange(n, dtype=float)[None]
    np.savez(
        tmp_path / "cells.npz", roi=[1], x_px=[5.0], y_px=[5.0], time_s=time / 7.3,
        seen=np.ones((1, n), bool), angle_deg=time % 360, velocity_deg_per_s=time * 0,
        dff=np.sin(time),
    )  # fmt: skip
    assert len(cells_for_page(tmp_path / "cells.npz")) < 200_000


def test_a_long_session_is_thinned_and_says_so(tmp_path, monkeypatch):
    make_cells(tmp_path / "cells.npz")
    monkeypatch.setattr(cells, "MAX_SAMPLES", 30)
    page = json.loads(cells_for_page(tmp_path / "cells.npz"))
    assert page["every"] == 3
    assert page["frames"] == 14
    assert page["time_s"] == [3.0 * k for k in range(14)]
    np.testing.assert_allclose(unpacked(page["samples"][0]), 0.3 * np.arange(14), atol=1e-3)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seen": None}, "there is no seen"),
        ({"dff": None, "fluorescence": None}, "there is no dff"),
        ({"seen": np.ones((2, 3), bool)}, "seen has shape"),
    ],
)
def test_what_is_missing_is_named(tmp_path, changed, said):
    make_cells(tmp_path / "cells.npz")
    arrays = dict(np.load(tmp_path / "cells.npz")) | changed
    np.savez(tmp_path / "cells.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(InputError, match=said):
        cells_for_page(tmp_path / "cells.npz")


def test_fluorescence_stands_in_for_what_is_not_there_and_nothing_seen_is_no_error(tmp_path):
    make_cells(tmp_path / "cells.npz")
    arrays = dict(np.load(tmp_path / "cells.npz"))
    del arrays["dff"], arrays["mask_roi"]
    arrays |= {"seen": np.zeros((2, 40), bool), "time_s": np.full((2, 40), np.nan)}
    np.savez(tmp_path / "cells.npz", **arrays)
    page = json.loads(cells_for_page(tmp_path / "cells.npz"))
    assert page["value"].startswith("fluorescence")
    assert page["outline"] == [[], []]
    assert page["time_s"] == [None] * 40
