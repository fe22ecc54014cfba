"""Step ``measure_cells``: what the cells of a session say, and when each was scanned."""

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration
from derotation.cells.measure import GivenTraces, measure_cells
from derotation.cells.reading import Suite2pCells, read_rois, read_suite2p, rois_of_blobs
from derotation.cells.rois import Rois, without_overlap
from derotation.cells.rotations import Rotations
from derotation.cells.table import CellTable
from derotation.errors import InputError
from derotation.io.files import write_json
from derotation.io.movie import open_movie
from derotation.io.seen import SeenPixels
from derotation.maps.line_maps import LineMaps
from derotation.plots.cells import plot_cell_responses, plot_cell_tuning
from derotation.signals.angles import Angles
from derotation.signals.events import Events
from derotation.signals.repairs import turn_word
from derotation.steps import outputs as outputs_base
from derotation.steps.channels import ChannelFiles, channel_files, in_export_order, plane_folders
from derotation.steps.exporting import DerotatedFiles
from derotation.steps.inputs import load_motion, read_movement, save_plot

__all__ = ["Outputs", "run"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Outputs(outputs_base.Outputs):
    """The files that the step writes."""

    table: Annotated[Path, "cells.csv"]
    """A row per cell."""
    traces: Annotated[Path, "cells.npz"]
    """Traces, times, masks and curves."""
    summary: Annotated[Path, "cells.json"]
    """What was found, for people."""
    tuning: Annotated[Path, "plots/cell_tuning.png"]
    responses: Annotated[Path, "plots/cell_responses.png"]


def run(
    *,
    files: DerotatedFiles,
    statistics: str | Path,
    events: Events | str | Path,
    protocol: Literal["full", "incremental", "free"],
    config: Mapping[str, Any],
    outputs: Outputs,
    rois: str | Path | None = None,
    suite2p: str | Path | None = None,
    planes: str | Path | None = None,
    movement: str | Path | None = None,
    motion: str | Path | None = None,
    threads: int = 1,
) -> CellTable:
    """Measure the cells of a session.

    Parameters
    ----------
    files : DerotatedFiles
        Those of the session.
    statistics : path
        What the step ``derotate_movie`` learned about the movie.
    events : Events or path
        What the step ``parse_signals`` wrote: when the sample turned.
    protocol : {"full", "incremental", "free"}
        What the motor did.
    config : mapping
        The configuration; its section ``cells`` is read, and the keys ``export.scale``,
        ``export.functional_channel``, ``export.suite2p.tau``, ``movie.channel`` and
        ``movie.plane``.
    outputs : Outputs
        Where files go.
    rois : path, optional
        The file with the ROIs, if ``cells.rois`` names one.
    suite2p : path, optional
        The session's folder ``suite2p``, if ``cells.rois`` is ``suite2p``.
    planes : path, optional
        The folder of further planes, which tells which of Suite2p's planes this one is.
    movement : path, optional
        The movement against the session's reference.
    motion : path, optional
        How the sample moved during the session.
    threads : int
        Threads that share the frames.

    Returns
    -------
    CellTable

    Raises
    ------
    DerotationError
        If a file cannot be read, or if the files do not belong together.
    """
    cells, export = config["cells"], config["export"]
    moved = load_motion(motion)
    line_maps = LineMaps.of(
        Angles.load(files.angles),
        Calibration.load(files.calibration),
        movement=None if movement is None else read_movement(movement),
        motion=moved,
    )
    chosen = in_export_order(
        ChannelFiles(number=config["movie"]["channel"], movie=files.movie, mean=files.mean),
        channel_files(files.channels, files.channel_means),
        export["functional_channel"],
    )[0]
    mean, coverage = tifffile.imread(chosen.mean), tifffile.imread(files.coverage)
    offset = _offset(chosen, files, statistics, mean, coverage)
    with ExitStack() as stack:
        movie = stack.enter_context(open_movie(chosen.movie, n_planes=1, n_channels=1))
        seen = stack.enter_context(SeenPixels(files.seen))
        shape = (len(movie), movie.shape[1], movie.shape[2])
        plane = _plane(suite2p, planes, config)
        regions, found = _regions(cells, rois, plane, shape, mean, coverage)
        scale, given = float(export["scale"]), None
        if found is not None:
            given = GivenTraces(
                fluorescence=found.fluorescence / scale - offset,
                neuropil=found.neuropil / scale - offset,
            )
        table = measure_cells(
            movie,
            seen,
            line_maps,
            regions,
            outputs.traces,
            mean=mean,
            offset=offset,
            rotations=_rotations(events if isinstance(events, Events) else Events.load(events)),
            whole_turns=protocol == "full",
            decay_s=float(export["suite2p"]["tau"]),
            motion=moved,
            given=given,
            config=cells,
            threads=threads,
        )
    table.save(outputs.table)
    save_plot(lambda: plot_cell_tuning(table, regions, mean), outputs.tuning)
    save_plot(lambda: plot_cell_responses(table, word=turn_word(protocol)), outputs.responses)
    tuned = {what: int(np.sum(table.columns[f"{what}_tuned"])) for what in ("angle", "velocity")}
    write_json(outputs.summary, {"statement": table.statement, "cells": len(table), "tuned": tuned})
    return table


def _offset(
    chosen: ChannelFiles,
    files: DerotatedFiles,
    statistics: str | Path,
    mean: NDArray[np.float32],
    coverage: NDArray[np.float32],
) -> float:
    """Tell what the detector gives without light: of a further channel its mean image tells."""
    if chosen.movie == files.movie:
        with np.load(statistics, allow_pickle=False) as learned:
            return float(learned["offset"])
    never = coverage == 0
    if never.any():
        return float(mean[never][0])
    dark = float(np.quantile(mean, 0.001))
    logger.warning(
        "What the detector of channel %s gives without light is not known: %g, its darkest pixels, "
        "is taken",
        chosen.number, dark,
    )  # fmt: skip
    return dark


def _plane(
    suite2p: str | Path | None, planes: str | Path | None, config: Mapping[str, Any]
) -> Path | None:
    """Name the folder that Suite2p has made of this plane."""
    if suite2p is None:
        return None
    calibrating = config["movie"]["plane"] or 1
    numbers = sorted({calibrating, *plane_folders(planes)})
    return Path(suite2p, f"plane{numbers.index(calibrating)}")


def _regions(
    cells: Mapping[str, Any],
    rois: str | Path | None,
    plane: Path | None,
    shape: tuple[int, int, int],
    mean: NDArray[np.float32],
    coverage: NDArray[np.float32],
) -> tuple[Rois, Suite2pCells | None]:
    """Read the ROIs; also the traces of Suite2p, if these are wanted."""
    wanted = cells["rois"]
    if wanted == "blobs":
        return rois_of_blobs(mean, coverage > 0), None
    if wanted == "suite2p":
        if plane is None:
            msg = "cells.rois is suite2p, but the folder in which Suite2p has worked is not given"
            raise InputError(msg)
        found = read_suite2p(plane, shape)
        logger.info("%d cells of Suite2p in %s", len(found.rois), plane)
        return found.rois, found if cells["traces"] == "suite2p" else None
    if rois is None:
        msg = f"cells.rois is {wanted!r}, but no file is given"
        raise InputError(msg)
    return without_overlap(read_rois(rois, shape[1:])), None


def _rotations(events: Events) -> Rotations:
    """Give the rotations by time."""
    rate = events.sampling_rate
    return Rotations(
        start_s=np.asarray(events.rotation_start, np.float64) / rate,
        end_s=np.asarray(events.rotation_end, np.float64) / rate,
        speed=np.abs(np.asarray(events.rotation_speed, np.float64)),
        direction=np.asarray(events.rotation_direction, np.float64),
    )
