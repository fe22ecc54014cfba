"""One cell after the other: its change of fluorescence, its tuning, its responses."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from derotation.cells.blocks import Blocks
from derotation.cells.dff import brightness_by_angle, delta_f_over_f
from derotation.cells.rois import Rois
from derotation.cells.rotations import Rotations, aligned, mean_by_kind
from derotation.cells.table import CellTable
from derotation.cells.traces import TraceFiles
from derotation.cells.tuning import N_ANGLES, Tuning, call, tuning_of
from derotation.maps.line_maps import Displaced

__all__ = ["TRACES", "Study"]

NDFloat = NDArray[np.float64]

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
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
            rotation_end_s=self.rotations.end_s,
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
            f"{what}_verdict": called.verdict,
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
