"""Rotations beside the stimulus table: which row each one is, and what their speeds say."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.signals.repairs import Report, plain_number, table

__all__ = [
    "SPEED_TOLERANCE",
    "fitting_rows",
    "increment_implied",
    "said_sampling_rate",
    "table_of_rotations",
    "unevenness",
]

SPEED_TOLERANCE = 0.05
# Speeds of all rotations differ from the table's by one factor if they agree so well on it.
SAME_FACTOR = 0.02
# Ticks of a rotation are wrong by more than this part if its increment is; most rotations then have
# as many as the others, and few of their intervals differ by this factor from the one before.
WRONG_COUNT, MOST_ALIKE, GAP, MOST_UNEVEN = 0.1, 0.75, 1.6, 0.1


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
        f"All {len(measured)} rotations reached {plain_number(1 / usual, 3)} times the speed that "
        f"the stimulus table says. If the table is right, signals.sampling_rate is "
        f"{plain_number(implied)}, not {plain_number(report.sampling_rate)} (or "
        "signals.rotation_increment is wrong by this factor).",
        count=len(measured),
    )
    # It explains all others.
    report.anomalies.insert(0, report.anomalies.pop())
    return True


def increment_implied(
    ticks: Sequence[NDArray[np.float64]],
    expected: int,
    increment: float,
    *,
    steps: bool,
    degrees: float | None = None,
) -> str:
    """Say which increment the ticks imply, if all rotations have too many or too few by one factor.

    Parameters
    ----------
    ticks : sequence of ndarray
        Times of all pulses within each rotation, or each step of an incremental session.
    expected : int
        Ticks that each should have.
    increment : float
        Degrees per tick that this is told from.
    steps : bool
        Whether they are steps.
    degrees : float, optional
        What all steps add up to. Where they do, the increment is right, and what is said of a
        step's degrees is wrong.

    Returns
    -------
    str
        Empty if there is no such factor. Ticks that are lost at random leave gaps, and are no
        matter of the increment.
    """
    counts = np.array([len(own) for own in ticks])
    if len(counts) < 2:
        return ""
    usual = float(np.median(counts))
    if usual < 3 or abs(usual / expected - 1) < WRONG_COUNT:
        return ""
    alike = np.abs(counts - usual) <= max(SAME_FACTOR * usual, 1)
    if alike.mean() < MOST_ALIKE or np.median([unevenness(own) for own in ticks]) > MOST_UNEVEN:
        return ""
    n, what = round(usual), "steps" if steps else "rotations"
    own, total = n * increment, len(counts) * n * increment
    if steps and degrees is not None and abs(total / degrees - 1) < SAME_FACTOR:
        return (
            f"Write angles.degrees_per_step: {own:g}. {int(alike.sum())} of {len(counts)} steps "
            f"have {n} ticks, evenly, where {expected} are expected: {own:g} degrees each with "
            f"signals.rotation_increment {increment:g}, and {total:g} in all, as "
            "signals.degrees_per_rotation says."
        )
    key = "angles.degrees_per_step" if steps else "signals.degrees_per_rotation"
    return (
        f"{int(alike.sum())} of {len(counts)} {what} have {n} ticks, evenly, where {expected} are "
        f"expected: signals.rotation_increment is likely {increment * expected / n:.4g}, not "
        f"{increment:g} (or {key} is wrong by this factor)."
    )


def unevenness(ticks: NDArray[Any]) -> float:
    """Give the part of the intervals between ticks that differ much from the one before."""
    gaps = np.diff(ticks)
    if len(gaps) < 2:
        return 0.0
    ratio = gaps[1:] / np.maximum(gaps[:-1], 1e-9)
    return float(np.mean((ratio > GAP) | (ratio < 1 / GAP)))


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
