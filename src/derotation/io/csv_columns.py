"""Write columns of numbers and words as a table that every program reads."""

import csv
import io
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.io.files import write_text

__all__ = ["write_columns"]


def write_columns(path: str | os.PathLike[str], columns: Mapping[str, NDArray[Any]]) -> None:
    """Write a comma-separated table, whole or not at all.

    Parameters
    ----------
    path : str or path-like
    columns : mapping of str to ndarray of shape (n,)
        By title, all of one length. Six digits of a number with a fraction are kept; NaN becomes an
        empty cell, truth True or False.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(_cells(np.asarray(own)) for own in columns.values()), strict=True))
    write_text(path, text.getvalue())


def _cells(values: NDArray[Any]) -> list[str]:
    if values.dtype.kind == "f":
        return ["" if np.isnan(value) else f"{value:.6g}" for value in values.tolist()]
    return [str(value) for value in values.tolist()]
