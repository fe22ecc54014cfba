"""Traces of cells reach the page as they are in the file, but for rounding."""

import base64
import json

import numpy as np
import pytest

from derotation.errors import InputError
from derotation.report import cells
from derotation.report.cells import cells_for_page
from played_session import make_cells


def unpacked(packed):
    whole = np.frombuffer(base64.b64decode(packed["data"]), "<i2")
    return np.where(whole == cells.UNKNOWN, np.nan, whole * packed["unit"])


def test_each_sample_keeps_its_value_its_angle_and_whether_it_was_seen(tmp_path):
    make_cells(tmp_path / "cells.npz")
    truth = np.load(tmp_path / "cells.npz")
    page = json.loads(cells_for_page(tmp_path / "cells.npz"))
    assert page["names"] == [7, 9]
    assert page["every"] == 1
    assert page["value"] == "dF/F"
    for k in range(2):
        for name, array, step in (
            ("samples", "dff", 4 / 32000), ("angle", "angle_deg", 360 / 32000),
            ("velocity", "velocity_deg_per_s", 18 / 32000),
        ):  # fmt: skip
            np.testing.assert_allclose(unpacked(page[name][k]), truth[array][k], atol=step)
    # Of a frame that no cell saw, the time is known from its neighbors.
    np.testing.assert_allclose(page["time_s"], np.arange(40))
    assert page["outline"] == [[20, 30, 20, 31], [50, 40]]


def test_a_long_session_is_thinned_and_says_so(tmp_path, monkeypatch):
    make_cells(tmp_path / "cells.npz")
    monkeypatch.setattr(cells, "MAX_SAMPLES", 30)
    page = json.loads(cells_for_page(tmp_path / "cells.npz"))
    assert page["every"] == 3
    assert page["frames"] == 14
    assert page["time_s"] == [3.0 * k for k in range(14)]
    np.testing.assert_allclose(unpacked(page["samples"][0]), 0.3 * np.arange(14), atol=1e-3)


def test_each_cell_says_whether_it_is_tuned_and_why_not(tmp_path):
    make_cells(tmp_path / "cells.npz")
    arrays = dict(np.load(tmp_path / "cells.npz"))
    assert json.loads(cells_for_page(tmp_path / "cells.npz"))["said"] == ["", ""]
    arrays |= {
        "angle_verdict": np.array(["tuned", "chance"]), "angle_q": np.array([0.012, 0.4]),
        "angle_variance": np.array([0.34, -0.1]), "preferred_angle_deg": np.array([150.2, 3.0]),
        "velocity_verdict": np.array(["few samples", "tuned"]), "velocity_q": np.array([np.nan, 0]),
        "velocity_variance": np.array([np.nan, 0.2]),
        "slope_per_100_deg_per_s": np.array([np.nan, -0.31]),
    }  # fmt: skip
    np.savez(tmp_path / "cells.npz", **arrays)
    first, second = json.loads(cells_for_page(tmp_path / "cells.npz"))["said"]
    assert first.startswith("Angle: tuned, ")
    assert "(q = 0.012, 34% of their variance, preferred angle 150 degrees)" in first
    assert "Velocity: not called tuned, it was seen too rarely, " in first
    assert "Angle: not called tuned, chance would do as well (q = 0.4)." in second
    assert "dF/F changes by -0.31 per 100 degrees/s" in second


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
