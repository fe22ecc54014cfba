"""Pictures of what cells say: tuning curves, responses to rotations, cells of several sessions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.cells import VERDICTS
from derotation.cells.matching import MatchedCells
from derotation.cells.rois import Rois
from derotation.cells.table import CellTable
from derotation.plots.colors import BLUE, GRAY, ORANGE
from derotation.signals.repairs import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_cell_responses", "plot_cell_tuning", "plot_matched_cells"]

N_SHOWN = 6
UNSEEN = "0.8"


def plot_cell_tuning(table: CellTable, rois: Rois, mean: ArrayLike) -> "Figure":
    """Show the cells in the mean image, and the curves of those whose tuning is clearest.

    Parameters
    ----------
    table : CellTable
    rois : Rois
        The ROIs of its rows.
    mean : array_like of shape (y, x)
        Mean of the derotated movie.

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 6.5), layout="constrained")
    (picture, curves), *_ = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.6))
    axes = picture.add_subplot()
    _show_image(axes, mean)
    axes.set_title("cells by what they follow", fontsize=10)
    angle, velocity = (
        np.asarray(table.columns[f"{what}_tuned"], np.bool_) for what in ("angle", "velocity")
    )
    groups = (
        (~angle & ~velocity, GRAY, "neither"),
        (angle, ORANGE, "angle"),
        (velocity & ~angle, BLUE, "velocity"),
    )
    for which, color, name in groups:
        if which.any():
            _outline(axes, rois.take(which), color)
            axes.plot([], [], color=color, label=f"{name} ({which.sum()})")
    if len(table):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=3, frameon=False)
    panels = curves.subplots(4, N_SHOWN // 2, squeeze=False)
    angles = (np.arange(table.angle_curve.shape[1]) + 0.5) * 360 / table.angle_curve.shape[1]
    middles = (table.velocity_edges[1:] + table.velocity_edges[:-1]) / 2
    for which, lines, at, color, label, rows in (
        (angle, table.angle_curve, angles, ORANGE, "angle (degrees)", panels[:2]),
        (velocity, table.velocity_curve, middles, BLUE, "velocity (degrees/s)", panels[2:]),
    ):
        what = "angle" if color == ORANGE else "velocity"
        best = np.argsort(-np.nan_to_num(table.columns[f"{what}_variance"], nan=-1.0))
        best = best[which[best]]
        for k, panel in enumerate(rows.ravel()):
            if k >= len(best):
                panel.axis("off")
                if k == 0:
                    panel.text(0, 0.5, _why_none(table, what), va="center", fontsize=9)
                continue
            cell = best[k]
            panel.plot(at, lines[cell], color=color, marker="." if color == BLUE else None)
            roi, q = table.columns["roi"][cell], table.columns[f"{what}_q"][cell]
            part = table.columns[f"{what}_variance"][cell]
            panel.set_title(f"ROI {roi}: q = {q:.2g}, {part:.0%} foretold", fontsize=9)
            panel.tick_params(labelsize=8)
            panel.spines[["top", "right"]].set_visible(False)
            if color == ORANGE:
                panel.set_xlim(0, 360)
                panel.set_xticks([0, 90, 180, 270, 360])
            panel.set_xlabel(label, fontsize=8)
            panel.set_ylabel("dF/F", fontsize=8)
    return figure


def _why_none(table: CellTable, what: str) -> str:
    """Say that no cell is tuned, and count the reasons."""
    said = f"no cell is tuned to the {what}"
    verdicts, counts = np.unique(table.columns[f"{what}_verdict"], return_counts=True)
    for verdict, n in zip(verdicts.tolist(), counts.tolist(), strict=True):
        said += f"\n{n}: {VERDICTS.get(verdict, verdict)}"
    return said


def plot_cell_responses(table: CellTable, *, word: str = "rotation") -> "Figure":
    """Show all cells' mean responses to rotations of each speed and direction, as rasters.

    Parameters
    ----------
    table : CellTable
    word : str
        What a rotation is called: a step, in the protocol incremental.

    Returns
    -------
    Figure
        Cells that answer alike stand together: ordered by when their mean response is highest.
    """
    from matplotlib.figure import Figure

    n_kinds = len(table.response_kind)
    figure = Figure(figsize=(12, 6.5), layout="constrained")
    if not len(table) or not n_kinds:
        axes = figure.add_subplot()
        axes.axis("off")
        axes.text(0.5, 0.5, f"there are no cells, or no {word}s", ha="center")
        return figure
    shown = min(n_kinds, 8)
    kinds = np.unique(np.linspace(0, n_kinds - 1, shown).astype(int))
    known = np.isfinite(table.response)
    rasters = np.where(known, table.response, 0.0)
    order = np.argsort(np.argmax(rasters.mean(axis=1), axis=1), kind="stable")
    top = float(np.quantile(np.abs(table.response[known]), 0.99)) if known.any() else 1.0
    panels = figure.subplots(
        2, len(kinds), squeeze=False, sharex=True, height_ratios=(3, 1), sharey="row"
    )
    time = table.response_time_s
    lasts = table.rotation_end_s - table.rotation_start_s
    for k, kind in enumerate(kinds):
        speed, direction = table.response_kind[kind]
        axes, below = panels[:, k]
        image = axes.imshow(
            table.response[order, kind],
            aspect="auto",
            cmap="RdBu_r",
            vmin=-top,
            vmax=top,
            extent=(time[0], time[-1], len(order), 0),
            interpolation="nearest",
        )
        axes.set_facecolor(UNSEEN)
        own = table.rotation_kind == kind
        turns = counted(int(own.sum()), word)
        axes.set_title(f"{speed:.0f} degrees/s\ndirection {direction:+.0f}, {turns}", fontsize=9)
        n = known[:, kind].sum(axis=0)
        mean = np.divide(rasters[:, kind].sum(axis=0), n, out=np.full(len(n), np.nan), where=n > 0)
        below.plot(time, mean, color="black", lw=1)
        for axis in (axes, below):
            axis.axvline(0, color="black", lw=0.8)
            axis.axvline(float(np.median(lasts[own])), color="black", lw=0.8, ls="--")
        below.set_xlabel("time from start (s)", fontsize=8)
        below.spines[["top", "right"]].set_visible(False)
    panels[0, 0].set_ylabel("cells, by the time of their peak")
    panels[1, 0].set_ylabel("mean dF/F of all cells")
    figure.colorbar(image, ax=panels[0, :].tolist(), label="dF/F (gray: not seen)", fraction=0.03)
    figure.supxlabel(f"solid line: the {word} begins; dashed: it ends", fontsize=8)
    return figure


def plot_matched_cells(
    matched: MatchedCells, rois: Mapping[str, Rois], images: Mapping[str, ArrayLike] | None = None
) -> "Figure":
    """Show the cells of several sessions in the reference's picture.

    Parameters
    ----------
    matched : MatchedCells
    rois : mapping of str to Rois
        The ROIs of each session, as they were matched.
    images : mapping of str to array_like of shape (y, x), optional
        A mean image for each session.

    Returns
    -------
    Figure
        A cell has the same color in each session; those that were found in one only are gray.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    names = list(rois)
    columns = min(len(names), 4)
    n_rows = -(-len(names) // columns)
    figure = Figure(figsize=(3.6 * columns, 3.9 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, columns, squeeze=False).ravel()
    often = matched.sessions_of_cell > 1
    palette = colormaps["tab20"]
    for panel, name in zip(panels, names, strict=False):
        own = rois[name]
        image = np.zeros(own.shape) if images is None else images[name]
        _show_image(panel, image)
        rows = [k for k, session in enumerate(matched.session) if session == name]
        index = {int(number): k for k, number in enumerate(own.number)}
        n_common = 0
        for k in rows:
            color = palette(int(matched.cell[k]) % 20) if often[k] else GRAY
            n_common += bool(often[k])
            _outline(panel, own.take([index[int(matched.roi[k])]]), color)
        panel.set_title(
            f"{name}: {n_common} of {len(rows)} cells\nfound in other sessions, too", fontsize=9
        )
    for panel in panels[len(names) :]:
        panel.axis("off")
    figure.supxlabel("the same color: the same cell; gray: found in one session only", fontsize=8)
    return figure


def _show_image(axes: "Axes", image: ArrayLike) -> None:
    picture = np.asarray(image, np.float64)
    known = picture[np.isfinite(picture)]
    low, high = np.percentile(known, [1, 99.5]) if len(known) else (0.0, 1.0)
    axes.imshow(picture, cmap="gray", vmin=low, vmax=max(high, low + 1e-9), interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])


def _outline(axes: "Axes", rois: Rois, color: Any) -> None:
    """Draw the border of each ROI."""
    for k in range(len(rois)):
        part = slice(rois.start[k], rois.start[k + 1])
        row, column = rois.row[part], rois.column[part]
        top, left = row.min() - 1, column.min() - 1
        mask: NDArray[np.float64] = np.zeros((np.ptp(row) + 3, np.ptp(column) + 3))
        mask[row - top, column - left] = 1
        y, x = np.arange(mask.shape[0]) + top, np.arange(mask.shape[1]) + left
        axes.contour(x, y, mask, levels=[0.5], colors=[color], linewidths=0.9)
