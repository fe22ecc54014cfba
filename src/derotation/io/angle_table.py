"""Angles that were written down by something else: over time, per frame, or per line."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.io.text_rows import check_cells

__all__ = ["AngleTable", "read_angle_table"]

_TIME = ("time", "time_s", "t", "seconds")
_ANGLE = ("angle", "angles", "rotation_angle", "degrees", "deg")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AngleTable:
    """What a table of angles holds."""

    angle: NDArray[np.float64]
    """Degrees: shape (n,) over time or per frame, (n_frames, n_lines) per line."""
    time: NDArray[np.float64] | None
    """Seconds on the clock of the signals, shape (n,); None: one angle per frame or line."""
    path: Path


def read_angle_table(path: str | os.PathLike[str]) -> AngleTable:
    """Read a table of angles.

    Parameters
    ----------
    path
        A `.csv` with a column ``angle`` (degrees) and, unless it has a row per frame, ``time``
        (seconds since the first sample of the signals); a `.npy` of shape (n,) or (n_frames,
        n_lines) with angles, or (n, 2) with times and angles; or a `.mat` with the variables
        ``angle`` and, perhaps, ``time``.

    Returns
    -------
    AngleTable

    Raises
    ------
    InputError
        If it is missing or unreadable, lacks the column, holds what is no number, or times that do
        not ascend.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; check the path of the table of angles.")
    match path.suffix.lower():
        case ".csv":
            time, angle = _read_csv(path)
        case ".npy":
            time, angle = _read_npy(path)
        case ".mat":
            time, angle = _read_mat(path)
        case suffix:
            raise InputError(
                f"{path}: a table of angles is read from .csv, .npy or .mat, not from '{suffix}'."
            )
    return AngleTable(
        angle=_checked(path, "angle", angle), time=_checked_time(path, time, angle), path=path
    )


def _read_csv(path: Path) -> tuple[NDArray[Any] | None, NDArray[Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            lines = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a .csv table ({error}).") from error
    header = [cell.strip().lower() for cell in lines[0][1]] if lines else []
    angle, time = _column(header, _ANGLE), _column(header, _TIME)
    if angle is None:
        raise InputError(
            f"{path} has the columns {', '.join(header) or 'none'}; one named angle is needed "
            "(degrees), and one named time (s) unless there is a row per frame."
        )
    for number, row in lines[1:]:
        check_cells(path, number, row, header)
    values = [_numbers(path, lines[1:], column) for column in (time, angle) if column is not None]
    return (values[0] if time is not None else None), values[-1]


def _column(header: list[str], names: tuple[str, ...]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _numbers(path: Path, lines: list[tuple[int, list[str]]], column: int) -> NDArray[np.float64]:
    values = np.empty(len(lines))
    for k, (number, row) in enumerate(lines):
        cell = row[column].strip() if column < len(row) else ""
        try:
            values[k] = float(cell) if cell else np.nan
        except ValueError as error:
            raise InputError(f"{path}, line {number}: '{cell}' is no number.") from error
    return values


def _read_npy(path: Path) -> tuple[NDArray[Any] | None, NDArray[Any]]:
    try:
        values = np.load(path, allow_pickle=False)
    except Exception as error:  # a damaged header raises all kinds
        raise InputError(f"{path} cannot be read as a .npy file ({error}).") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        raise InputError(f"{path} holds no numbers.")
    if values.ndim == 2 and values.shape[1] == 2:
        return values[:, 0], values[:, 1]
    return None, values


def _read_mat(path: Path) -> tuple[NDArray[Any] | None, NDArray[Any]]:
    from scipy.io import loadmat

    try:
        found = {name.lower(): value for name, value in loadmat(path).items()}
    except Exception as error:  # a damaged file raises all kinds
        raise InputError(
            f"{path} cannot be read as a .mat file up to version 7 ({error})."
        ) from error
    angle = next((found[name] for name in _ANGLE if name in found), None)
    time = next((found[name] for name in _TIME if name in found), None)
    if angle is None:
        names = ", ".join(name for name in found if not name.startswith("__"))
        raise InputError(f"{path} has the variables {names or 'none'}; one named angle is needed.")
    angle = np.squeeze(angle)
    return (None if time is None else np.ravel(time)), angle


def _checked(path: Path, what: str, values: NDArray[Any]) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {what} holds no numbers ({error}).") from error
    if numbers.ndim not in (1, 2) or numbers.size == 0:
        raise InputError(f"{path}: {what} has the shape {numbers.shape}; a column is expected.")
    if np.isinf(numbers).any() or np.isnan(numbers).all():
        raise InputError(f"{path}: {what} holds infinite numbers, or none at all.")
    return numbers


def _checked_time(
    path: Path, time: NDArray[Any] | None, angle: NDArray[Any]
) -> NDArray[np.float64] | None:
    if time is None:
        return None
    seconds = _checked(path, "time", time)
    if seconds.shape != np.shape(angle):
        raise InputError(f"{path}: {len(seconds)} times and {np.shape(angle)} angles.")
    wrong = np.flatnonzero(~(np.diff(seconds) > 0))
    if len(wrong):
        k = int(wrong[0])
        raise InputError(
            f"{path}: times have to ascend, but {seconds[k + 1]:g} s follows {seconds[k]:g} s "
            f"(row {k + 2})."
        )
    return seconds
