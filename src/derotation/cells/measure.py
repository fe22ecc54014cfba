"""What the ROIs of a session say: traces at their own times, and what each cell follows."""

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.cells.blocks import Blocks, blocks_of
from derotation.cells.extract import Extracted, extract
from derotation.cells.rois import Rois, neuropil_rings
from derotation.cells.rotations import Rotations
from derotation.cells.study import TRACES, Study
from derotation.cells.table import CellTable
from derotation.cells.traces import TraceFiles
from derotation.cells.tuning import N_ANGLES, velocity_edges
from derotation.errors import InputError
from derotation.io.movie import Movie
from derotation.io.seen import SeenPixels
from derotation.maps.line_maps import Displaced, LineMaps
from derotation.settings.defaults import complete
from derotation.signals.angles import Angles

__all__ = ["GivenTraces", "measure_cells"]

logger = logging.getLogger(__name__)

NDFloat = NDArray[np.float64]

KIND, VERSION = "derotation cells", 1
# Frames that are written together.
FRAMES_AT_ONCE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTraces:
    """Traces that another program made, instead of those of the movie."""

    fluorescence: NDArray[np.float32]
    """Gray values above the detector's offset, shape (ROI, frame)."""
    neuropil: NDArray[np.float32]
    """The same of the neuropil."""


def measure_cells(
    movie: Movie,
    seen: SeenPixels,
    line_maps: LineMaps,
    rois: Rois,
    output: str | os.PathLike[str],
    *,
    mean: ArrayLike,
    offset: float,
    rotations: Rotations,
    whole_turns: bool = True,
    decay_s: float = 1.0,
    motion: Displaced | None = None,
    given: GivenTraces | None = None,
    config: Mapping[str, Any] | None = None,
    threads: int = 1,
) -> CellTable:
    """Measure what the ROIs of a derotated movie say, and write their traces.

    Parameters
    ----------
    movie : Movie
        The derotated movie.
    seen : SeenPixels
        Which of its pixels were seen.
    line_maps : LineMaps
        The maps by which it was derotated.
    rois : Rois
        Regions of its picture.
    output : path
        ``cells.npz``, written whole or not at all.
    mean : array_like of shape (y, x)
        Mean of the derotated movie, gray values.
    offset : float
        What the detector gives without light, gray values.
    rotations : Rotations
        When the sample turned; none in the protocol ``free``.
    whole_turns : bool
        Whether each of them is a turn of its own that comes back to where it began, so that they
        repeat each other; otherwise they are steps of one turn.
    decay_s : float
        Decay time of the calcium indicator, s.
    motion : Motion, optional
        How the sample moved: what it explains is no tuning.
    given : GivenTraces, optional
        Traces of another program; by default those of the movie are extracted.
    config : mapping, optional
        Section ``cells``.
    threads : int
        Threads that share the work.

    Returns
    -------
    CellTable

    Raises
    ------
    InputError
        If traces, movie and ROIs do not belong together.
    """
    settings = complete("cells", config)
    angles = line_maps.angles
    assert isinstance(angles, Angles)
    n_frames = len(movie)
    if given is not None and given.fluorescence.shape != (len(rois), n_frames):
        msg = (
            f"the traces have the shape {given.fluorescence.shape}, but there are {len(rois)} ROIs "
            f"and {n_frames} frames"
        )
        raise InputError(msg)
    rings = neuropil_rings(rois, settings["neuropil_gap"], settings["neuropil_width"])
    n_alone = int(np.sum(rings.n_pixels == 0))
    if n_alone:
        logger.warning(
            "%d of %d ROIs have no neuropil around them that is free of other ROIs; none is taken "
            "away from them",
            n_alone, len(rois),
        )  # fmt: skip
    frame_s = angles.frame_start / angles.sampling_rate
    blocks = _blocks(rotations, frame_s, angles.frame_rate, whole_turns)
    with TraceFiles(Path(output).parent, TRACES, len(rois), n_frames) as traces:
        parts = extract(
            movie, seen, line_maps, rois, rings, mean=mean, offset=offset, threads=threads
        )
        edges = velocity_edges(_write(traces, parts, given, settings["min_seen"]))
        study = Study(
            traces=traces,
            settings=settings,
            frame_rate=angles.frame_rate,
            frame_s=frame_s,
            blocks=blocks,
            edges=edges,
            decay_s=decay_s,
            rotations=rotations,
            motion=motion,
        )
        table = study.table(rois, rings, threads)
        traces.save(output, _arrays(table, rois))
    logger.info("%s", table.statement)
    return table


def _arrays(table: CellTable, rois: Rois) -> dict[str, Any]:
    """Give what ``cells.npz`` holds beside the traces."""
    return {
        "kind": KIND,
        "version": VERSION,
        "statement": table.statement,
        **table.columns,
        "picture_shape": rois.shape,
        "mask_roi": np.repeat(rois.number, rois.n_pixels),
        "mask_row": rois.row,
        "mask_column": rois.column,
        "mask_weight": rois.weight,
        "angle_curve": table.angle_curve,
        "angle_curve_deg": (np.arange(N_ANGLES) + 0.5) * 360 / N_ANGLES,
        "velocity_curve": table.velocity_curve,
        "velocity_edges_deg_per_s": table.velocity_edges,
        "response": table.response.astype(np.float32),
        "response_time_s": table.response_time_s,
        "response_kind": table.response_kind,
        "rotation_start_s": table.rotation_start_s,
        "rotation_end_s": table.rotation_end_s,
        "rotation_kind": table.rotation_kind,
    }


def _blocks(rotations: Rotations, frame_s: NDFloat, frame_rate: float, whole_turns: bool) -> Blocks:
    """Cut a recording into rotations."""
    n_frames = len(frame_s)
    if not whole_turns and len(rotations):
        # One turn in steps: it cannot be compared with others.
        return Blocks(edges=np.array([0, n_frames], np.int64))
    starts = np.interp(rotations.start_s, frame_s, np.arange(n_frames))
    return blocks_of(n_frames, frame_rate, starts)


def _write(
    traces: TraceFiles, parts: Iterator[Extracted], given: GivenTraces | None, least: float
) -> NDFloat:
    """Write what was extracted, NaN where too little was seen; give some velocities."""
    velocities = []
    waiting: dict[str, list[NDFloat]] = {}
    first, n_waiting = 0, 0

    def flush() -> None:
        for name, blocks in waiting.items():
            traces.write(name, first, np.concatenate(blocks, axis=1))
        waiting.clear()

    for part in parts:
        own = slice(part.start, part.start + part.time_s.shape[1])
        fluorescence, neuropil = part.fluorescence, part.neuropil
        if given is not None:
            fluorescence = given.fluorescence[:, own].astype(np.float64)
            neuropil = given.neuropil[:, own].astype(np.float64)
        told = np.isfinite(part.time_s) & np.isfinite(part.angle)
        values = {
            "time_s": part.time_s,
            "angle_deg": part.angle,
            "velocity_deg_per_s": part.velocity,
            "seen": part.seen,
            "neuropil_seen": part.ring_seen,
            "fluorescence": np.where(told & (part.seen >= least), fluorescence, np.nan),
            "neuropil": np.where(told & (part.ring_seen >= least), neuropil, np.nan),
        }
        for name, block in values.items():
            waiting.setdefault(name, []).append(block)
        velocities.append(part.velocity[:1].ravel())
        n_waiting += part.time_s.shape[1]
        if n_waiting >= FRAMES_AT_ONCE:
            flush()
            first, n_waiting = first + n_waiting, 0
    flush()
    return np.concatenate(velocities) if velocities else np.empty(0)
