"""Step ``match_cells``: the same cell in all sessions of one field of view."""

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from derotation.cells.matching import match_cells
from derotation.cells.rois import Rois
from derotation.errors import InputError
from derotation.io.files import write_text
from derotation.io.results import check_arrays, read_npz
from derotation.plots.cells import plot_matched_cells
from derotation.steps.inputs import save_plot

__all__ = ["read_cell_masks", "run"]

logger = logging.getLogger(__name__)


def run(
    *,
    cells: Mapping[str, Mapping[str, str | Path]],
    means: Mapping[str, str | Path],
    config: Mapping[str, Any],
    table: str | Path,
    plots: str | Path,
) -> None:
    """Match the cells of sessions that share a field of view.

    Parameters
    ----------
    cells : mapping of str to mapping of str to path
        For each reference, ``cells.npz`` of all its sessions by their names, its own first if it
        has one. Aligned movies are drawn in the reference's field of view already.
    means : mapping of str to path
        The mean image of each session.
    config : mapping
        The configuration; the key ``cells.match_px`` is read.
    table : path
        ``cells_matched.csv``.
    plots : path
        The folder for a picture per reference.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    text = ""
    for reference, files in cells.items():
        rois = {name: read_cell_masks(file) for name, file in files.items()}
        logger.info("Cells in the field of view of %s, in %s", reference, ", ".join(rois))
        matched = match_cells(rois, farthest=config["cells"]["match_px"])
        text += matched.text(reference, header=not text)
        images = {name: tifffile.imread(means[name]) for name in rois}
        Path(plots).mkdir(parents=True, exist_ok=True)
        draw = partial(plot_matched_cells, matched, rois, images)
        save_plot(draw, Path(plots, f"{reference}.png"))
    write_text(table, text)


def read_cell_masks(path: str | Path) -> Rois:
    """Read the ROIs of ``cells.npz``.

    Raises
    ------
    InputError
        If the file holds something else.
    """
    arrays = read_npz(path, "the cells of a session")
    axes: dict[str, tuple[str, ...]] = {"roi": ("roi",), "picture_shape": ("two",)}
    axes |= dict.fromkeys(("mask_roi", "mask_row", "mask_column", "mask_weight"), ("pixel",))
    check_arrays(path, arrays, axes, tuple(axes))
    number, owner = arrays["roi"].astype(np.int64), arrays["mask_roi"]
    height, width = arrays["picture_shape"].tolist()
    parts = [np.flatnonzero(owner == one) for one in number]
    found = Rois.of(
        [np.stack([arrays["mask_row"][part], arrays["mask_column"][part]]) for part in parts],
        (height, width),
        weights=[arrays["mask_weight"][part] for part in parts],
        number=number,
    )
    if len(found) != len(number):
        msg = f"{path}: some cells have no pixels within {width} x {height} px. Make it again."
        raise InputError(msg)
    return found
