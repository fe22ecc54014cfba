"""What is known of each cell of a session, as a table."""

import csv
import io
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.cells.chance import MIN_BLOCKS
from derotation.cells.tuning import LEVEL
from derotation.io.files import write_text

__all__ = ["COLUMNS", "CellTable"]

NDFloat = NDArray[np.float64]

COLUMNS = (
    "roi", "x_px", "y_px", "pixels", "neuropil_pixels", "seen_frames", "time_in_frame_s", "noise",
    "angle_tuned", "angle_verdict", "angle_q", "angle_p", "angle_variance", "preferred_angle_deg",
    "vector_length", "peak_angle_deg", "peak_dff", "width_deg",
    "velocity_tuned", "velocity_verdict", "velocity_q", "velocity_p", "velocity_variance",
    "slope_per_100_deg_per_s", "speed_slope_per_100_deg_per_s",
)  # fmt: skip


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
    rotation_end_s: NDFloat
    """When it ended, shape (rotation,)."""
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
        bright = [self.columns[f"{what}_verdict"] == "brightness" for what in ("angle", "velocity")]
        brightness = int(np.sum(bright[0] | bright[1]))
        if not n:
            return "There are no cells."
        said = (
            f"Of {_many(n, 'cell')}, {angle} are tuned to the angle and {velocity} to the angular "
            f"velocity (false discovery rate {LEVEL:.0%})"
        )
        if brightness:
            said += f"; of {_many(brightness, 'other')} brightness explains what looks like tuning"
        said += "."
        if np.any(self.columns["angle_verdict"] == "single turn"):
            return f"{said} A single turn, or a short recording, tells no tuning."
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


def _many(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _said(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.6g}"
    return str(value)
