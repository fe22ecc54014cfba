"""Rotations beside the stimulus table: which row each one is, and what their speeds say."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from derotation.signals.repairs import Report, table

__all__ = ["SPEED_TOLERANCE", "fitting_rows", "said_sampling_rate", "table_of_rotations"]

SPEED_TOLERANCE = 0.05
# Speeds of all rotations differ from the table's by one factor if they agree so well on it.
SAME_FACTOR = 0.02


def fitting_rows(
    measured: NDArray[np.float64], cut: NDArray[np.bool_], asked: NDArray[np.float64]
) -> list[int]:
    """List the rows of the table that may be the first rotation's.

    Parameters
    ----------
    measured : ndarray of shape (n,)
        Speed of each rotation, degrees/s.
    cut : ndarray of bool, shape (n,)
        Rotations cut at an edge of the recording, whose speed is not compared.
    asked : ndarray of shape (m,)
        Speeds of the table, m >= n.

    Returns
    -------
    list of int
    """
    n = len(measured)
    rows = []
    for row in range(len(asked) - n + 1):
        own = asked[row : row + n]
        if np.all(cut | (np.abs(measured - own) <= SPEED_TOLERANCE * own)):
            rows.append(row)
    return rows


def said_sampling_rate(
    measured: NDArray[np.float64], asked: NDArray[np.float64], report: Report
) -> bool:
    """Say which sampling rate the speeds imply, if all differ from the table's by one factor.

    Parameters
    ----------
    measured, asked : ndarray of shape (n,)
        Speeds of usable rotations, degrees/s.
    report : Report
        Takes it.

    Returns
    -------
    bool
        Whether it was said.
    """
    if len(measured) < 2:
        return False
    factor = asked / measured
    usual = float(np.median(factor))
    if abs(usual - 1) <= SPEED_TOLERANCE or np.any(np.abs(factor / usual - 1) > SAME_FACTOR):
        return False
    implied = float(f"{report.sampling_rate * usual:.3g}")
    report.anomaly(
        "sampling_rate",
        "rotation_ticks",
        f"All {len(measured)} rotations reached {1 / usual:.3g} times the speed that the stimulus "
        f"table says. If the table is right, signals.sampling_rate is {implied:g}, not "
        f"{report.sampling_rate:g} (or signals.rotation_increment is wrong by this factor).",
        count=len(measured),
    )
    return True


def table_of_rotations(
    rows: Sequence[tuple[float, float, int, float, float, bool]],
    speed: NDArray[np.float64],
    direction: NDArray[np.int8],
) -> str:
    """Lay out what was found beside what was asked for.

    Parameters
    ----------
    rows : sequence of (start, stop, ticks, degrees, speed, cut)
        Of each rotation, in seconds, degrees and degrees/s.
    speed, direction : ndarray of shape (m,)
        Of the stimulus table.

    Returns
    -------
    str
    """
    shown: list[tuple[str, ...]] = []
    for k in range(max(len(rows), len(speed))):
        found: tuple[str, ...] = ("-",) * 5
        if k < len(rows):
            start, stop, n, degrees, measured, cut = rows[k]
            last = f"{measured:.1f}" + (" (cut)" if cut else "")
            found = (f"{start:.3f}", f"{stop:.3f}", str(n), f"{degrees:.1f}", last)
        asked: tuple[str, ...] = ("-", "-")
        if k < len(speed):
            asked = (f"{speed[k]:g}", f"{direction[k]:+d}")
        shown.append((str(k + 1), *found, *asked))
    header = ("row", "start s", "end s", "ticks", "degrees", "degrees/s", "table", "direction")
    return table(header, shown)
