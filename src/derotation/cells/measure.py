"""What the ROIs of a session say: traces at their own times, and what each cell follows."""

import csv
import io
import logging
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.cells.blocks import Blocks, blocks_of
from derotation.cells.chance import MIN_BLOCKS
from derotation.cells.dff import brightness_by_angle, delta_f_over_f
from derotation.cells.extract import Extracted, extract
from derotation.cells.rois import Rois, neuropil_rings
from derotation.cells.rotations import Rotations, aligned, mean_by_kind
from derotation.cells.traces import TraceFiles
from derotation.cells.tuning import (
    LEVEL,
    N_ANGLES,
    Tuning,
    call,
    tuning_of,
    velocity_edges,
)
from derotation.errors import InputError
from derotation.io.files import write_text
from derotation.io.movie import Movie
from derotation.io.seen import SeenPixels
from derotation.maps.line_maps import Displaced, LineMaps
from derotation.settings.defaults import complete
from derotation.signals.angles import Angles

__all__ = ["CellTable", "GivenTraces", "measure_cells"]

logger = logging.getLogger(__name__)

NDFloat = NDArray[np.float64]

KIND, VERSION = "derotation cells", 1
# Frames that are written together.
FRAMES_AT_ONCE = 512

TRACES: Mapping[str, Any] = {
    "time_s": np.float64,
    "fluorescence": np.float32,
    "neuropil": np.float32,
    "dff": np.float32,
    "seen": np.float32,
    "neuropil_seen": np.float32,
    "angle_deg": np.float32,
    "velocity_deg_per_s": np.float32,
}

COLUMNS = (
    "roi", "x_px", "y_px", "pixels", "neuropil_pixels", "seen_frames", "time_in_frame_s", "noise",
    "angle_tuned", "angle_q", "angle_p", "angle_variance", "preferred_angle_deg",
    "vector_length", "peak_angle_deg", "peak_dff", "width_deg",
    "velocity_tuned", "velocity_q", "velocity_p", "velocity_variance",
    "slope_per_100_deg_per_s", "speed_slope_per_100_deg_per_s",
    "angle_is_brightness", "velocity_is_brightness",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTraces:
    """Traces that another program made, instead of those of the movie."""

    fluorescence: NDArray[np.float32]
    """Gray values above the detector's offset, shape (ROI, frame)."""
    neuropil: NDArray[np.float32]
    """The same of the neuropil."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellTable:
    """What is known of each cell: one value per ROI in each column."""

    columns: dict[str, NDArray[Any]]
    """By their names in ``cells.csv``, shape (n,) each."""
    angle_curve: NDFloat
    """Change of fluorescence at 36 angles (5, 15, ... degrees), shape (n, 36)."""
    velocity_curve: NDFloat
    """The same in 11 bins of velocities, shape (n, 11)."""
    velocity_edges: NDFloat
    """Edges of these bins, degrees per second, shape (12,)."""
    response: NDFloat
    """Mean response aligned to the start of rotations of each kind, shape (n, kind, time)."""
    response_time_s: NDFloat
    """Time against the start of the rotation, shape (time,)."""
    response_kind: NDFloat
    """Speed (degrees per second) and direction of each kind of rotation, shape (kind, 2)."""
    rotation_start_s: NDFloat
    """When each rotation began, shape (rotation,)."""
    rotation_kind: NDArray[np.int64]
    """Of which kind it is, shape (rotation,)."""

    def __len__(self) -> int:
        return len(self.columns["roi"])

    @property
    def statement(self) -> str:
        """What was found, in a sentence."""
        n = len(self)
        angle, velocity = (
            int(np.sum(self.columns[f"{what}_tuned"])) for what in ("angle", "velocity")
        )
        brightness = int(
            np.sum(self.columns["angle_is_brightness"] | self.columns["velocity_is_brightness"])
        )
        if not n:
            return "There are no cells."
        said = (
            f"Of {n} cells, {angle} are tuned to the angle and {velocity} to the angular velocity "
            f"(false discovery rate {LEVEL:.0%}); of {brightness} others what looks like tuning is "
            "explained by brightness."
        )
        if not np.isfinite(self.columns["angle_variance"]).any():
            return f"{said} A single turn tells no tuning to the angle."
        if len(self.rotation_start_s) < MIN_BLOCKS:
            said += f" With fewer than {MIN_BLOCKS} rotations all this is rough."
        return said

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``cells.csv``: a row per cell; empty where a number is not known."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for k in range(len(self)):
            writer.writerow([_said(self.columns[name][k]) for name in COLUMNS])
        write_text(path, stream.getvalue())


def _said(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.6g}"
    return str(value)


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
        study = _Study(
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
        pixels = {
            "mask_roi": np.repeat(rois.number, rois.n_pixels),
            "mask_row": rois.row,
            "mask_column": rois.column,
            "mask_weight": rois.weight,
        }
        x, y = rois.centroids.T
        traces.save(
            output,
            {
                "kind": KIND,
                "version": VERSION,
                "statement": table.statement,
                "roi": rois.number,
                "x_px": x,
                "y_px": y,
                "picture_shape": rois.shape,
                **pixels,
                "angle_curve": table.angle_curve,
                "angle_curve_deg": (np.arange(N_ANGLES) + 0.5) * 360 / N_ANGLES,
                "velocity_curve": table.velocity_curve,
                "velocity_edges_deg_per_s": table.velocity_edges,
                "response": table.response.astype(np.float32),
                "response_time_s": table.response_time_s,
                "response_kind": table.response_kind,
                "rotation_start_s": table.rotation_start_s,
                "rotation_kind": table.rotation_kind,
                "angle_tuned": table.columns["angle_tuned"],
                "velocity_tuned": table.columns["velocity_tuned"],
            },
        )
    logger.info("%s", table.statement)
    return table


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Study:
    """What is needed to study one cell after the other."""

    traces: TraceFiles
    settings: Mapping[str, Any]
    frame_rate: float
    frame_s: NDFloat
    blocks: Blocks
    edges: NDFloat
    decay_s: float
    rotations: Rotations
    motion: Displaced | None

    def table(self, rois: Rois, rings: Rois, threads: int) -> CellTable:
        """Study all cells."""
        kinds, kind = self.rotations.kinds()
        times = self.rotations.times(self.frame_rate)
        tunings, facts, responses = [], [], []
        with ThreadPoolExecutor(threads) as pool:
            for first in range(0, len(rois), threads):
                some = range(first, min(first + threads, len(rois)))
                rows = [{name: self.traces.row(name, k) for name in TRACES} for k in some]
                studied = list(pool.map(self._study, rows))
                for k, row, (tuning, dff, fact) in zip(some, rows, studied, strict=True):
                    self.traces.write_row("dff", k, dff)
                    single = aligned(dff, row["time_s"], self.rotations, times)
                    responses.append(mean_by_kind(single, kind, len(kinds)))
                    tunings.append(tuning)
                    facts.append(fact)
        columns = _columns(rois, rings, tunings, facts)
        n = len(rois)
        return CellTable(
            columns=columns,
            angle_curve=np.reshape([t.angle_curve for t in tunings], (n, N_ANGLES)),
            velocity_curve=np.reshape(
                [t.velocity_curve for t in tunings], (n, len(self.edges) - 1)
            ),
            velocity_edges=self.edges,
            response=np.reshape(responses, (n, len(kinds), len(times))),
            response_time_s=times,
            response_kind=kinds,
            rotation_start_s=self.rotations.start_s,
            rotation_kind=kind,
        )

    def _study(self, row: dict[str, NDFloat]) -> tuple[Tuning, NDFloat, dict[str, float]]:
        """Give the tuning of a cell, its change of fluorescence, and what else is said of it."""
        f, n, angle = row["fluorescence"], row["neuropil"], row["angle_deg"]
        light = brightness_by_angle(n, angle, self.frame_rate)
        lit = (f / light, n / light)
        match self.settings["light"]:
            case "neuropil":
                shown = lit
            case "roi":
                own = brightness_by_angle(f, angle, self.frame_rate, quiet=True)
                shown = (f / own, n / light)
            case _:
                shown = (f, n)
        dff, corrected = self._dff(*shown), self._dff(*lit)
        tuning = tuning_of(
            dff,
            corrected,
            angle,
            row["velocity_deg_per_s"],
            frame_rate=self.frame_rate,
            blocks=self.blocks,
            edges=self.edges,
            decay_s=self.decay_s,
            nuisance=self._nuisance(row),
        )
        steps = np.diff(dff)
        steps = steps[np.isfinite(steps)]
        facts = {
            "seen_frames": float(np.mean(np.isfinite(dff))) if len(dff) else np.nan,
            "time_in_frame_s": float(np.nanmedian(row["time_s"] - self.frame_s))
            if np.isfinite(row["time_s"]).any()
            else np.nan,
            # Noise of single samples: activity changes slowly.
            "noise": float(np.median(np.abs(steps))) / 0.6745 / 2**0.5 if len(steps) else np.nan,
        }
        return tuning, dff, facts

    def _dff(self, fluorescence: NDFloat, neuropil: NDFloat) -> NDFloat:
        return delta_f_over_f(
            fluorescence,
            neuropil,
            self.frame_rate,
            neuropil_weight=self.settings["neuropil_weight"],
            method=self.settings["baseline"],
            window_s=self.settings["baseline_s"],
            percentile=self.settings["baseline_percentile"],
        )

    def _nuisance(self, row: dict[str, NDFloat]) -> NDFloat:
        """Give what else changes brightness: how much was seen, and where the sample was."""
        columns = [row["seen"]]
        if self.motion is not None:
            moved = self.motion.displacement(np.nan_to_num(row["time_s"]))
            columns += [moved[:, 0], moved[:, 1]]
        return np.stack(columns, axis=1)


def _columns(
    rois: Rois, rings: Rois, tunings: list[Tuning], facts: list[dict[str, float]]
) -> dict[str, NDArray[Any]]:
    """Put together the columns of ``cells.csv``."""

    def told(name: str) -> NDArray[Any]:
        return np.array([getattr(tuning, name) for tuning in tunings])

    x, y = rois.centroids.T
    columns: dict[str, NDArray[Any]] = {
        "roi": rois.number,
        "x_px": x,
        "y_px": y,
        "pixels": rois.n_pixels,
        "neuropil_pixels": rings.n_pixels,
    }
    for name in ("seen_frames", "time_in_frame_s", "noise"):
        columns[name] = np.array([fact[name] for fact in facts], np.float64)
    kinds: tuple[Literal["angle"], Literal["velocity"]] = ("angle", "velocity")
    for what in kinds:
        called = call(tunings, what)
        columns |= {
            f"{what}_p": told(f"{what}_p").astype(np.float64),
            f"{what}_q": called.q,
            f"{what}_tuned": called.tuned,
            f"{what}_is_brightness": called.brightness,
            f"{what}_variance": told(f"{what}_variance").astype(np.float64),
        }
    names = {
        "preferred_angle_deg": "preferred_angle",
        "vector_length": "vector_length",
        "peak_angle_deg": "peak_angle",
        "peak_dff": "peak",
        "width_deg": "width",
        "slope_per_100_deg_per_s": "slope",
        "speed_slope_per_100_deg_per_s": "speed_slope",
    }
    return columns | {column: told(name) for column, name in names.items()}
