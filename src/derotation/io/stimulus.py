"""The stimulus table: how fast and in which direction each rotation was asked to go."""

import csv
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError

__all__ = ["Stimulus", "read_stimulus"]

_COLUMNS = ("speed", "direction")
_MAT_NAME = "stimulus_random"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stimulus:
    """Rotations that were asked for, in the order of the recording."""

    speed: NDArray[np.float64]
    """Speed of each rotation in degrees per second, shape (n,), positive."""
    direction: NDArray[np.int8]
    """Direction of each rotation, shape (n,): +1 goes from 0 to -360 degrees, -1 to +360."""
    path: Path
    """The file it was read from."""

    def __len__(self) -> int:
        return len(self.speed)


def read_stimulus(path: str | os.PathLike[str]) -> Stimulus:
    """Read a stimulus table.

    Parameters
    ----------
    path
        A `.csv` with the columns `speed` (degrees per second) and `direction` (1 or -1), other
        columns being ignored; or a MATLAB `.mat` (up to version 7) with the matrix
        `stimulus_random`: column 0 is the speed, and a positive value in column 2 means
        direction -1, any other +1.

    Returns
    -------
    Stimulus
        One entry per rotation.

    Raises
    ------
    InputError
        If the file is missing, unreadable or empty, lacks a column, or holds a speed that is
        not a positive number or a direction other than 1 and -1. The message names the row.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; the stimulus table is one .csv or .mat file.")
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path of the stimulus table.")
    match path.suffix.lower():
        case ".csv":
            return _read_csv(path)
        case ".mat":
            return _read_mat(path)
    raise InputError(
        f"{path}: a stimulus table is read from .csv or .mat, not from '{path.suffix}' files."
    )


def _read_csv(path: Path) -> Stimulus:
    """Read the table by hand, so that each message can name the line of the file."""
    try:
        # Spreadsheets put a byte order mark before the first column's name.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a .csv table ({error}).") from error
    lines = [(number, row) for number, row in lines if any(row)]
    if not lines:
        raise InputError(f"{path} is empty; it needs the columns {_listed(_COLUMNS)}.")
    _, header = lines[0]
    columns = _find_columns(path, header)
    if len(lines) == 1:
        raise InputError(f"{path} has a header but no rows; it needs one row per rotation.")
    speed, direction = [], []
    for number, row in lines[1:]:
        where = f"{path}, line {number}"
        if len(row) <= max(columns):
            raise InputError(f"{where}: {len(row)} cells, where the header has {len(header)}.")
        speed.append(_checked_speed(where, _number(where, "speed", row[columns[0]])))
        direction.append(_checked_direction(where, _number(where, "direction", row[columns[1]])))
    return _stimulus(path, speed, direction)


def _find_columns(path: Path, header: Sequence[str]) -> tuple[int, int]:
    """Find where `speed` and `direction` stand."""
    names = [name.casefold() for name in header]
    for column in _COLUMNS:
        if names.count(column) != 1:
            problem = "is missing" if column not in names else "is there more than once"
            hint = ""
            if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
                hint = " Separate the columns by commas."
            raise InputError(
                f"{path}: the column '{column}' {problem}; found {_listed(header)}, "
                f"expected {_listed(_COLUMNS)}.{hint}"
            )
    return names.index("speed"), names.index("direction")


def _number(where: str, column: str, text: str) -> float:
    """Turn a cell into a number."""
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{where}: {column} is '{text}', a number was expected.") from None


def _checked_speed(where: str, value: float) -> float:
    """Return a speed that a motor can have."""
    if not (math.isfinite(value) and value > 0):
        raise InputError(
            f"{where}: speed is {value:g}; it must be a positive number of degrees per second "
            "(which way the sample turns is told by the direction)."
        )
    return value


def _checked_direction(where: str, value: float) -> int:
    """Return a direction of 1 or -1."""
    if value not in (1.0, -1.0):
        raise InputError(f"{where}: direction is {value:g}; it must be 1 or -1.")
    return int(value)


def _read_mat(path: Path) -> Stimulus:
    """Read the matrix `stimulus_random`."""
    matrix = _load_mat(path)
    if matrix.ndim != 2 or matrix.shape[1] < 3 or matrix.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: {_MAT_NAME} has shape {matrix.shape} and type {matrix.dtype}; a matrix of "
            "numbers with at least 3 columns was expected."
        )
    if len(matrix) == 0:
        raise InputError(f"{path}: {_MAT_NAME} is empty; it needs one row per rotation.")
    speed, direction = [], []
    for index, row in enumerate(matrix.astype(np.float64), start=1):
        where = f"{path}, {_MAT_NAME} row {index}"
        speed.append(_checked_speed(where, float(row[0])))
        # NaN is not greater than 0, and would pass for direction +1.
        if not math.isfinite(row[2]):
            raise InputError(f"{where}: column 3 (direction) is {row[2]:g}, a number was expected.")
        direction.append(-1 if row[2] > 0 else 1)
    return _stimulus(path, speed, direction)


def _load_mat(path: Path) -> NDArray[Any]:
    """Load the one variable that is needed."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(path)
    except NotImplementedError as error:
        raise InputError(
            f"{path} is a MATLAB 7.3 file, which is HDF5 inside and is not read here; save it in "
            f"MATLAB with save('{path.name}', '{_MAT_NAME}', '-v7')."
        ) from error
    except (OSError, ValueError, TypeError, MatReadError) as error:
        raise InputError(f"{path} cannot be read as a .mat file ({error}).") from error
    if _MAT_NAME not in content:
        found = [name for name in content if not name.startswith("__")]
        raise InputError(
            f"{path}: there is no variable {_MAT_NAME}; found {_listed(found) or 'nothing'}."
        )
    return np.asarray(content[_MAT_NAME])


def _stimulus(path: Path, speed: Sequence[float], direction: Sequence[int]) -> Stimulus:
    """Put the columns together."""
    return Stimulus(
        speed=np.asarray(speed, dtype=np.float64),
        direction=np.asarray(direction, dtype=np.int8),
        path=path,
    )


def _listed(names: Sequence[str]) -> str:
    """Join names for a message."""
    return ", ".join(names)
