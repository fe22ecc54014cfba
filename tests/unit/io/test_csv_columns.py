"""Columns are written as pandas would, which is not loaded for that."""

import numpy as np
import pandas as pd

from derotation.io.csv_columns import write_columns


def test_tables_are_those_of_pandas(tmp_path):
    values = np.array([0.0, -1.5, 1234567.891, 1e-9, np.nan, 2 / 3])
    columns = {
        "frame": np.arange(6),
        "single": values.astype(np.float32),
        "double": values,
        "used": values > 0,
        "what, for": np.array(["first", "a, b", 'say "so"', "", "ü", "last"]),
    }
    write_columns(tmp_path / "own.csv", columns)
    expected = pd.DataFrame(columns).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    assert (tmp_path / "own.csv").read_text(encoding="utf-8") == expected


def test_tables_without_rows_have_titles(tmp_path):
    write_columns(tmp_path / "own.csv", {"x": np.empty(0), "y": np.empty(0)})
    assert (tmp_path / "own.csv").read_text(encoding="utf-8") == "x,y\n"
