"""Traces of cells, as the page's scripts read them: small enough to be part of the page."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.cells import VERDICTS
from derotation.errors import InputError
from derotation.io.results import read_npz

__all__ = ["cells_for_page"]

# Samples of all cells together; four bytes each, and a third more as text.
MAX_SAMPLES = 80_000
ARRAYS = ("roi", "x_px", "y_px", "time_s", "seen", "angle_deg", "velocity_deg_per_s")
# What is shown of a cell, the first one that is there.
VALUES = {"dff": "dF/F", "fluorescence": "fluorescence, gray values"}
# Whole numbers of 16 bits: one that stands for "not known", and the largest of the others.
UNKNOWN, LARGEST = -32768, 32000


def cells_for_page(path: str | Path) -> str:
    """Turn ``cells.npz`` into JSON.

    Parameters
    ----------
    path : path
        What the step ``measure_cells`` wrote.

    Returns
    -------
    str
        Place, outline and samples of each cell. Of long sessions every second sample, or every
        third, and so on: as many as fit. Values are rounded to 1/32000 of their range.

    Raises
    ------
    InputError
        If the file cannot be read, or an array is not there or has another shape.
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
    every = max(-(-n * n_frames // MAX_SAMPLES), 1)
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
        "angle": [_packed(row % 360, 360.0) for row in arrays["angle_deg"][:, chosen]],
        "velocity": [_packed(row) for row in arrays["velocity_deg_per_s"][:, chosen]],
        "outline": _outlines(arrays, n),
        "said": _said(arrays, n),
    }
    return json.dumps(content, separators=(",", ":"))


def _said(arrays: dict[str, NDArray[Any]], n: int) -> list[str]:
    """Say for each cell whether it is tuned, and why not, if the file tells."""
    said = [""] * n
    for what, name, unit in (
        ("angle", "preferred_angle_deg", "preferred angle {:.0f} degrees"),
        ("velocity", "slope_per_100_deg_per_s", "dF/F changes by {:+.2f} per 100 degrees/s"),
    ):
        wanted = [f"{what}_{figure}" for figure in ("verdict", "q", "variance")]
        if not {*wanted, name} <= arrays.keys():
            continue
        for k in range(n):
            verdict, q, variance = (arrays[figure][k] for figure in wanted)
            figures = [f"q = {q:.2g}"] if np.isfinite(q) else []
            if verdict == "tuned":
                figures += [f"{variance:.0%} of their variance", unit.format(arrays[name][k])]
            told = f" ({', '.join(figures)})" if figures else ""
            is_it = "tuned" if verdict == "tuned" else "not called tuned"
            why = VERDICTS.get(str(verdict), str(verdict))
            said[k] += f"{what.capitalize()}: {is_it}, {why}{told}. "
    return [text.strip() for text in said]


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


def _packed(values: NDArray[Any], top: float | None = None) -> dict[str, Any]:
    """Write numbers as whole ones of 16 bits, and what one of these stands for."""
    known = np.isfinite(values)
    if top is None:
        top = float(np.abs(values[known]).max()) if known.any() else 1.0
    unit = max(top, 1e-12) / LARGEST
    whole = np.where(known, np.round(np.nan_to_num(values) / unit), UNKNOWN).astype("<i2")
    return {"unit": unit, "data": base64.b64encode(whole.tobytes()).decode("ascii")}


def _outlines(arrays: dict[str, NDArray[Any]], n: int) -> list[list[int]]:
    """List for each cell the pixels of its mask: column, row, column, row, and so on."""
    if not {"mask_roi", "mask_row", "mask_column"} <= arrays.keys():
        return [[] for _ in range(n)]
    pairs = np.stack([arrays["mask_column"], arrays["mask_row"]], axis=1).astype(int)
    owner = arrays["mask_roi"].astype(int)
    # Masks name their cell by its number, or else by its place.
    numbers = arrays["roi"].astype(int)
    keys = numbers if np.isin(owner, numbers).all() else np.arange(n)
    return [pairs[owner == key].ravel().tolist() for key in keys.tolist()]
