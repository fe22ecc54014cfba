"""Traces of cells, as the page's scripts read them: small enough to be part of the page."""

import base64
import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.cells import VERDICTS
from derotation.errors import InputError
from derotation.io.results import read_npz

__all__ = ["cells_for_page"]

# Samples of all cells together: four bytes each with angle and velocity, a third more as text.
MAX_SAMPLES = 40_000
# Samples of one cell: more than a screen has pixels.
MAX_FRAMES = 8_000
ARRAYS = ("roi", "x_px", "y_px", "time_s", "seen", "angle_deg", "velocity_deg_per_s")
# What is shown of a cell, the first one that is there.
VALUES = {"dff": "dF/F", "fluorescence": "fluorescence, gray values"}
# What a cell may follow, and how: columns of `cells.csv` by the names that the page has for them.
FOLLOWED = {
    "angle": {"peak": "peak_angle_deg"},
    "velocity": {"slope": "slope_per_100_deg_per_s", "speed": "speed_slope_per_100_deg_per_s"},
}
# The largest whole number of so many bytes; the least one stands for "not known".
LARGEST = {1: 127, 2: 32767}


def cells_for_page(path: str | Path) -> str:
    """Turn ``cells.npz`` into JSON.

    Parameters
    ----------
    path : path
        What the step ``measure_cells`` wrote.

    Returns
    -------
    str
        Place, outline and samples of each cell, and what it follows if ``cells.csv`` beside the
        file says so. Of long sessions every second sample, or every third, and so on: as many as
        fit. Values are rounded to 1/32767 of the largest one, angles to 1.4 degrees and velocities
        to 1/127: finer than a screen shows.

    Raises
    ------
    InputError
        If a file cannot be read, an array is not there or has another shape, or if the table is
        of other cells.
    """
    arrays = read_npz(path, "cells")
    value = next((name for name in VALUES if name in arrays), None)
    missing = [name for name in ARRAYS if name not in arrays]
    if missing or value is None:
        missing += [] if value else ["dff"]
        raise InputError(
            f"{path}: there is no {', '.join(missing)}. Delete it to have it made anew."
        )
    n, n_frames = arrays[value].shape
    for name in ("time_s", "seen", "angle_deg", "velocity_deg_per_s"):
        if arrays[name].shape != (n, n_frames):
            raise InputError(
                f"{path}: {name} has shape {arrays[name].shape}, {value} has {(n, n_frames)}. "
                "Delete the file to have it made anew."
            )
    every = max(-(-n * n_frames // MAX_SAMPLES), -(-n_frames // MAX_FRAMES), 1)
    chosen = slice(None, None, every)
    seen = np.asarray(arrays["seen"], bool)[:, chosen]
    samples = np.where(seen, arrays[value][:, chosen], np.nan)
    content: dict[str, Any] = {
        "names": [int(number) for number in arrays["roi"]],
        "x": _rounded(arrays["x_px"]),
        "y": _rounded(arrays["y_px"]),
        "value": VALUES[value],
        "every": every,
        "frames": int(samples.shape[1]),
        "time_s": _rounded(_times(arrays["time_s"][:, chosen])),
        "samples": [_packed(row) for row in samples],
        "angle": [
            _packed((row + 180) % 360 - 180, 1, 180.0) for row in arrays["angle_deg"][:, chosen]
        ],
        "velocity": [_packed(row, 1) for row in arrays["velocity_deg_per_s"][:, chosen]],
        "outline": _outlines(arrays, n),
        "follows": _follows(Path(path).with_name("cells.csv"), arrays["roi"]),
    }
    return json.dumps(content, separators=(",", ":"))


def _times(times: NDArray[Any]) -> NDArray[np.float64]:
    """Give each frame the time in the middle of its cells', or one between its neighbors'."""
    known = np.isfinite(times).any(axis=0)
    if not known.any():
        return np.full(times.shape[1], np.nan)
    frames = np.arange(times.shape[1])
    middle = np.nanmedian(times[:, known], axis=0)
    return np.asarray(np.interp(frames, frames[known], middle))


def _rounded(values: NDArray[Any]) -> list[float | None]:
    return [round(v, 3) if np.isfinite(v) else None for v in np.asarray(values, float).tolist()]


def _packed(values: NDArray[Any], n_bytes: int = 2, top: float | None = None) -> dict[str, Any]:
    """Write numbers as whole ones of a few bytes, and what one of these stands for."""
    known = np.isfinite(values)
    if top is None:
        top = float(np.abs(values[known]).max()) if known.any() else 1.0
    largest = LARGEST[n_bytes]
    unit = float(f"{max(top, 1e-12) / largest:.7g}")
    rounded = np.round(np.nan_to_num(values) / unit).clip(-largest, largest)
    whole = np.where(known, rounded, -largest - 1).astype(f"<i{n_bytes}")
    packed = base64.b64encode(whole.tobytes()).decode("ascii")
    return {"unit": unit, "data": packed}


def _follows(path: Path, numbers: NDArray[Any]) -> dict[str, Any] | None:
    """Read what each cell is tuned to; None if there is no table, which only the step writes."""
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    told: dict[str, Any] = {}
    try:
        if [int(row["roi"]) for row in rows] != [int(number) for number in numbers]:
            raise InputError(
                f"{path}: the cells are not those of cells.npz. Delete both to have them made anew."
            )
        for what, how in FOLLOWED.items():
            columns = {"q": f"{what}_q", "variance": f"{what}_variance"} | how
            told[what] = {
                "tuned": [int(row[f"{what}_tuned"] == "true") for row in rows],
                "light": [int(row[f"{what}_verdict"] == "brightness") for row in rows],
                "why": [VERDICTS[row[f"{what}_verdict"]] for row in rows],
            } | {key: [_significant(row[name]) for row in rows] for key, name in columns.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} does not hold what it should ({type(error).__name__}: {error}). Delete it to "
            "have it made anew."
        ) from error
    return told


def _significant(text: str) -> float | None:
    """Read a number, with as many digits as a person reads; None if it is not known."""
    value = float(text) if text else math.nan
    return float(f"{value:.3g}") if math.isfinite(value) else None


def _outlines(arrays: dict[str, NDArray[Any]], n: int) -> list[list[int]]:
    """List for each cell the rows of its mask: row, first column, number of pixels, and so on."""
    if not {"mask_roi", "mask_row", "mask_column"} <= arrays.keys():
        return [[] for _ in range(n)]
    row, column = (arrays[f"mask_{name}"].astype(int) for name in ("row", "column"))
    owner = arrays["mask_roi"].astype(int)
    # Masks name their cell by its number, or else by its place.
    numbers = arrays["roi"].astype(int)
    keys = numbers if np.isin(owner, numbers).all() else np.arange(n)
    order = np.lexsort((column, row, owner))
    row, column, owner = row[order], column[order], owner[order]
    follows = (np.diff(owner) == 0) & (np.diff(row) == 0) & (np.diff(column) == 1)
    start = np.flatnonzero(np.concatenate([[True], ~follows])) if len(owner) else np.empty(0, int)
    runs = np.stack([row[start], column[start], np.diff(np.append(start, len(owner)))], axis=1)
    edges = np.searchsorted(owner[start], keys), np.searchsorted(owner[start], keys, "right")
    return [runs[a:b].ravel().tolist() for a, b in zip(*edges, strict=True)]
