"""Step ``build_mosaic``: the sessions of a group as one picture of the window."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.io.files import whole_file, write_json, write_text
from derotation.io.movie import open_movie, recording_metadata
from derotation.mosaic.build import MosaicResult, Tile, build_mosaic
from derotation.mosaic.stage import stage_angles
from derotation.plots.mosaic import plot_mosaic, plot_overlaps
from derotation.steps.inputs import save_plot
from derotation.steps.outputs import Files

__all__ = ["Outputs", "run"]

logger = logging.getLogger(__name__)

SAME_SIZE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Outputs(Files):
    """The files that the step writes, named after the group."""

    image: Path
    """The mosaic: float32, NaN where no session has been, OME-TIFF with the size of a pixel."""
    labels: Path
    """Which session counts most for each pixel: uint16, 0 where there is none, else the session's
    ``label``."""
    summary: Path
    """All that is known, as JSON."""
    table: Path
    """The sessions' offsets."""
    plot: Path
    overlaps_plot: Path


def run(
    *,
    group: str,
    sessions: Sequence[Mapping[str, Any]],
    means: Sequence[str | Path],
    coverages: Sequence[str | Path],
    config: Mapping[str, Any],
    outputs: Outputs,
    threads: int = 1,
) -> MosaicResult:
    """Put the mean images of a group's sessions together.

    Parameters
    ----------
    group : str
        The group's name.
    sessions : sequence of mappings
        Of each session its ``name``, ``stage_x_um`` and ``stage_y_um`` (None: as the movie's
        metadata say), and ``movie``, its first raw file.
    means, coverages : sequence of paths
        The sessions' ``images/mean.tif`` and ``images/coverage.tif``, in the same order.
    config : mapping
        The configuration; its section ``mosaic`` is read.
    outputs : Outputs
        Where files go.
    threads : int
        Threads that share the overlaps.

    Returns
    -------
    MosaicResult

    Raises
    ------
    DerotationError
        If a position or the size of a pixel is not known, or the sessions do not fit together.
    """
    settings = config["mosaic"]
    tiles, sizes = [], {}
    for session, mean, coverage in zip(sessions, means, coverages, strict=True):
        with open_movie(mean) as opened:
            sizes[str(mean)] = opened.metadata.pixel_size_um
        tiles.append(
            Tile(
                name=session["name"],
                image=_read(mean),
                coverage=_read(coverage),
                stage_um=_stage_position(session),
            )
        )
    pixel_size = _pixel_size(settings["pixel_size_um"], sizes)
    result = build_mosaic(tiles, pixel_size, settings, threads=threads)
    _write_image(outputs.image, result.mosaic.image, result, group)
    _write_image(outputs.labels, result.mosaic.labels, result, group)
    write_json(outputs.summary, _summary(group, result))
    write_text(outputs.table, _table(result))
    save_plot(lambda: plot_mosaic(result, group), outputs.plot)
    save_plot(lambda: plot_overlaps(result), outputs.overlaps_plot)
    return result


def _read(path: str | Path) -> NDArray[np.float32]:
    return np.asarray(np.squeeze(tifffile.imread(path)), np.float32)


def _stage_position(session: Mapping[str, Any]) -> tuple[float, float]:
    """Give the position (x, y) of the sheet, or that of the movie's metadata."""
    given = session["stage_x_um"], session["stage_y_um"]
    if None not in given:
        return float(given[0]), float(given[1])
    position = recording_metadata(session["movie"]).stage_position_um or ()
    if len(position) < 2:
        msg = (
            f"{session['movie']} (session {session['name']}): its metadata hold no position of the "
            "stage; write stage_x_um and stage_y_um into the sample sheet"
        )
        raise InputError(msg)
    logger.info("%s: stage at %s um, from the metadata", session["name"], position[:2])
    return float(position[0]), float(position[1])


def _pixel_size(configured: float | None, found: Mapping[str, float | None]) -> float:
    """Settle on one size of a pixel."""
    if configured is not None:
        for path, size in found.items():
            if size is not None and not math.isclose(size, configured, rel_tol=SAME_SIZE):
                logger.warning(
                    "%s says that a pixel measures %.4g um; mosaic.pixel_size_um (%.4g) is used",
                    path, size, configured,
                )  # fmt: skip
        return float(configured)
    known = {path: size for path, size in found.items() if size is not None}
    if len(known) < len(found):
        path = next(path for path, size in found.items() if size is None)
        msg = f"{path}: the size of a pixel is not known; give it as mosaic.pixel_size_um"
        raise InputError(msg)
    (first, expected), *others = known.items()
    for path, size in others:
        if not math.isclose(size, expected, rel_tol=SAME_SIZE):
            msg = (
                f"{path}: its pixels measure {size:.4g} um, those of {first} {expected:.4g} um; "
                "the sessions of a mosaic need one size. If the metadata are wrong, give "
                "mosaic.pixel_size_um"
            )
            raise InputError(msg)
    return expected


def _write_image(path: str | Path, image: NDArray[Any], result: MosaicResult, group: str) -> None:
    """Write one picture as an OME-TIFF."""
    size = result.pixel_size_um
    metadata = {
        "axes": "YX",
        "Name": group,
        "PhysicalSizeX": size,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": size,
        "PhysicalSizeYUnit": "µm",
    }
    # Readers that do not know OME find the size here.
    per_cm = 1e4 / size
    with whole_file(path) as temporary:
        tifffile.imwrite(
            temporary, image, ome=True, photometric="minisblack", metadata=metadata,
            resolution=(per_cm, per_cm), resolutionunit="CENTIMETER",
        )  # fmt: skip


COLUMNS = (
    "session", "label", "x_px", "y_px", "stage_x_um", "stage_y_um", "placed_by", "shift_x_px",
    "shift_y_px", "overlaps", "gain",
)  # fmt: skip


def _table(result: MosaicResult) -> str:
    """Write the table of offsets."""
    lines = ["\t".join(COLUMNS)]
    for row in _rows(result):
        lines.append("\t".join(_cell(row[name]) for name in COLUMNS))
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _rows(result: MosaicResult) -> list[dict[str, Any]]:
    """Tell of each session where it lies."""
    placement = result.placement
    shifts = placement.positions - placement.predicted
    rows = []
    for k, name in enumerate(result.names):
        own = [o for o in placement.overlaps if o.ok and k in (o.first, o.second)]
        rows.append(
            {
                "session": name,
                "label": k + 1,
                "x_px": round(float(result.mosaic.places[k, 1]), 4),
                "y_px": round(float(result.mosaic.places[k, 0]), 4),
                "stage_x_um": float(result.stage_um[k, 0]),
                "stage_y_um": float(result.stage_um[k, 1]),
                "placed_by": "overlaps" if own else "stage",
                "shift_x_px": round(float(shifts[k, 1]), 4),
                "shift_y_px": round(float(shifts[k, 0]), 4),
                "overlaps": len(own),
                "gain": round(float(result.balance.gains[k]), 5),
            }
        )
    return rows


def _summary(group: str, result: MosaicResult) -> dict[str, Any]:
    """Collect what the JSON file holds."""
    placement, balance = result.placement, result.balance
    height, width = result.mosaic.image.shape
    stage = placement.stage
    angles = stage_angles(stage.matrix)
    return {
        "kind": "derotation mosaic",
        "version": 1,
        "group": group,
        "statement": result.statement,
        "shape": [height, width],
        "pixel_size_um": result.pixel_size_um,
        "sessions": _rows(result),
        "stage": {
            "theta_deg": angles["theta_deg"],
            "phi_deg": angles["phi_deg"],
            "non_perpendicularity_deg": angles["non_perpendicularity_deg"],
            "scale_x": angles["step_x"],
            "scale_y": angles["step_y"],
            "uncertainty_deg": stage.angle_uncertainties(),
            "matrix_row_column": stage.matrix,
            "determined": {4: "angles and scales", 2: "angle and scale", 0: "nothing"}[stage.free],
            "scatter_px": placement.scatter_px,
        },
        "overlaps": [
            {
                "sessions": [result.names[overlap.first], result.names[overlap.second]],
                "used": overlap.ok,
                "problem": overlap.problem,
                "dx_px": overlap.displacement[1],
                "dy_px": overlap.displacement[0],
                "residual_x_px": residual[1],
                "residual_y_px": residual[0],
                "correlation": overlap.correlation,
                "pixels": overlap.n_pixels,
            }
            for overlap, residual in zip(placement.overlaps, placement.residuals, strict=True)
        ],
        "residual_px": placement.residual_px,
        "offset": balance.offset,
        "illumination": balance.field,
        "difference_before": balance.difference_before,
        "difference_after": balance.difference_after,
        "seams": result.seams,
    }
