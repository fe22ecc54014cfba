"""Frames that cell detection had better leave out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.angles import Angles

__all__ = ["DEFAULTS", "LOW_COVERAGE", "frame_speeds", "reasons"]

DEFAULTS: dict[str, Any] = {"min_coverage": 0.5, "max_speed": None}
LOW_COVERAGE = "coverage below export.bad_frames.min_coverage"


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
    change = np.abs(np.diff(angles.line_angles, axis=1))
    time = np.diff(angles.line_start, axis=1) / angles.sampling_rate
    speeds = np.full(len(change), np.nan)
    known = np.isfinite(change).any(axis=1)
    speeds[known] = np.nanmedian(change[known] / time[known], axis=1)
    return speeds


def reasons(angles: Angles, config: Mapping[str, Any]) -> dict[str, NDArray[np.bool_]]:
    """Say which frames are bad by their angles, and why.

    Parameters
    ----------
    angles : Angles
        Angles of all lines.
    config : mapping
        ``max_speed`` (degrees per second, or None for no limit).

    Returns
    -------
    dict
        Per reason, in plain words, which frames it concerns (frame,).
    """
    found: dict[str, NDArray[np.bool_]] = {}
    found["lines without a usable angle"] = np.asarray(~np.isfinite(angles.line_angles).all(axis=1))
    if config["max_speed"] is not None:
        too_fast = np.asarray(np.nan_to_num(frame_speeds(angles)) > config["max_speed"])
        found["faster than export.bad_frames.max_speed"] = too_fast
    return found
