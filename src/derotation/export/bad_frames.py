"""Frames that cell detection had better leave out."""

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.motion_correction.motion import Motion
from derotation.numerics.by_rows import by_rows
from derotation.settings.defaults import complete
from derotation.signals.angles import Angles
from derotation.signals.segments import Segments
from derotation.streaming.statistics import Statistics

__all__ = ["bad_frames", "frame_speeds", "in_bad_segments"]


def frame_speeds(angles: Angles) -> NDArray[np.float64]:
    """Measure how fast the sample turned during each frame.

    Parameters
    ----------
    angles : Angles
        Angles of all lines.

    Returns
    -------
    ndarray of shape (frame,)
        Degrees per second: the median from line to line, so that the jump by 360 degrees at the
        end of a turn counts for nothing. NaN where fewer than two lines have an angle.
    """

    def speeds(line_angles: NDArray[Any], line_start: NDArray[Any]) -> NDArray[np.float64]:
        change = np.abs(np.diff(line_angles, axis=1))
        time = np.diff(line_start, axis=1) / angles.sampling_rate
        known = np.isfinite(change).any(axis=1)
        told = np.full(len(change), np.nan)
        told[known] = np.nanmedian(change[known] / time[known], axis=1)
        return told

    return by_rows(speeds, angles.line_angles, angles.line_start)


def bad_frames(
    angles: Angles,
    statistics: Statistics,
    config: Mapping[str, Any] | None = None,
    *,
    segments: str | os.PathLike[str] | None = None,
    motion: Motion | None = None,
) -> dict[str, NDArray[np.bool_]]:
    """Say which frames are bad, and why.

    Parameters
    ----------
    angles : Angles
        Angles of all lines.
    statistics : Statistics
        What was learned about the frames.
    config : mapping, optional
        ``min_coverage`` (fraction; 0.5), ``max_speed`` (degrees per second, or None for no limit,
        which is the default) and ``segments`` (whether bad ones count; the default).
    segments : path, optional
        ``quality.csv``, which says which rests and rotations are bad.
    motion : Motion, optional
        How the sample moved, with the frames that no shift can mend.

    Returns
    -------
    dict
        Per reason, in plain words, which frames it concerns (frame,).
    """
    limits = complete("export.bad_frames", config)
    lines_known = by_rows(lambda lines: np.isfinite(lines).all(axis=1), angles.line_angles)
    dark = np.isfinite(statistics.brightness) & ~statistics.lit
    found = {
        "lines without a usable angle": np.asarray(~lines_known),
        "dark": np.asarray(dark),
    }
    if limits["max_speed"] is not None:
        too_fast = np.asarray(np.nan_to_num(frame_speeds(angles)) > limits["max_speed"])
        found["faster than export.bad_frames.max_speed"] = too_fast
    found["coverage below export.bad_frames.min_coverage"] = np.asarray(
        statistics.coverage < limits["min_coverage"]
    )
    if segments is not None and limits["segments"]:
        found["in rests or rotations that quality.csv calls bad"] = in_bad_segments(
            segments, angles
        )
    if motion is not None:
        found["unlike the others wherever they are shifted to (motion.csv)"] = motion.lost
    return found


def in_bad_segments(path: str | os.PathLike[str], angles: Angles) -> NDArray[np.bool_]:
    """Read which frames lie in segments that ``quality.csv`` calls bad.

    Parameters
    ----------
    path : path
        The table.
    angles : Angles
        Angles of all lines, as the movie was derotated with them: they divide the session.

    Returns
    -------
    ndarray of bool of shape (frame,)

    Raises
    ------
    InputError
        If it is no such table, or not of this session.
    """
    segments = Segments.of(angles)
    with Path(path).open(encoding="utf-8", newline="") as file:
        marks = [row.get("bad") for row in csv.DictReader(file)]
    if len(marks) != len(segments) or not {"0", "1"}.issuperset(map(str, marks)):
        msg = (
            f"{path}: expected {len(segments)} rows, each with 0 or 1 in the column bad; found "
            f"{len(marks)} rows; run measure_quality again"
        )
        raise InputError(msg)
    bad = np.array([mark == "1" for mark in marks] + [False])
    return np.asarray(bad[segments.of_frame] & (segments.of_frame >= 0))
