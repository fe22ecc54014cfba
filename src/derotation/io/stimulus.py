"""The stimulus table: how fast and in which direction each rotation was asked to go."""

import csv
import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.io.columns import ForeignColumns, column_index
from derotation.io.foreign import KINDS, TABLE
from derotation.io.text import decode_text
from derotation.io.text_rows import check_cells
from derotation.settings.spelling import did_you_mean

__all__ = ["Stimulus", "read_stimulus", "stimulus_options"]

_COLUMNS = ("speed", "direction")
_MAT_NAME = "stimulus_random"
_MOST_BYTES = 2**24
# Signals may lie in the same file.
_MOST_FOREIGN_BYTES = 2**40

Reader = Callable[[Sequence[int]], NDArray[Any]]


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


def read_stimulus(
    path: str | os.PathLike[str],
    *,
    columns: Mapping[str, str | int] | None = None,
    dataset: str | None = None,
) -> Stimulus:
    """Read a stimulus table.

    Parameters
    ----------
    path
        A `.csv`, `.h5`, `.tdms`, `.mat` or `.npy` with a row per rotation and the columns `speed`
        (degrees per second) and `direction` (1 or -1), other columns being ignored; or a MATLAB
        file with the matrix `stimulus_random`: column 1 is the speed, and a positive value in
        column 3 means direction -1, any other +1.
    columns
        Names of the columns, or their numbers, counted from 1, by what they hold: `speed`,
        `direction`. What is left out has the column of its own name.
    dataset
        Dataset, variable or group that holds the table, where there are several.

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
    given = dict(columns or {})
    wanted: dict[str, str | int] = {column: given.get(column, column) for column in _COLUMNS}
    if path.is_dir():
        raise InputError(f"{path} is a folder; the stimulus table is one file, as .csv or .mat.")
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path of the stimulus table.")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _read_csv(path, wanted)
    if suffix == ".npy":
        return _from_columns(path, wanted, *_npy_columns(path))
    if suffix == ".mat" and not given and dataset in (None, _MAT_NAME):
        try:
            return _read_mat(path)
        except InputError as missing:
            table = None if dataset else _table_of_variables(path)
            if table is None:
                raise missing
            return _from_columns(path, wanted, table.names, table.read)
    if suffix in KINDS:
        table = _open_table(path, dataset)
        return _from_columns(path, wanted, table.names, table.read)
    raise InputError(
        f"{path}: a stimulus table is read from .npy, {', '.join(KINDS)}, not from "
        f"'{path.suffix}' files."
    )


def stimulus_options(section: Mapping[str, Any]) -> dict[str, Any]:
    """Take what :func:`read_stimulus` needs out of the configuration's section ``signals``."""
    given = section.get("stimulus", {})
    columns = {name: given[name] for name in _COLUMNS if given.get(name, name) != name}
    return {"columns": columns, "dataset": given.get("dataset")}


def _read_csv(path: Path, wanted: Mapping[str, str | int]) -> Stimulus:
    """Read the table by hand, so that each message can name the line of the file."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(
                f"{path} has {path.stat().st_size / 1e6:.0f} MB, which no table of rotations has; "
                "check the path of the stimulus table."
            )
        reader = csv.reader(io.StringIO(decode_text(path.read_bytes()), newline=""))
        lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a .csv table ({error}).") from error
    lines = [(number, row) for number, row in lines if any(row)]
    if not lines:
        raise InputError(f"{path} is empty; it needs the columns {_listed(_COLUMNS)}.")
    _, header = lines[0]
    columns = _find_columns(path, header, wanted)
    if len(lines) == 1:
        raise InputError(f"{path} has a header but no rows; it needs one row per rotation.")
    speed, direction = [], []
    for number, row in lines[1:]:
        where = f"{path}, line {number}"
        check_cells(path, number, row, header)
        if len(row) <= max(columns):
            raise InputError(f"{where}: {len(row)} cells, where the header has {len(header)}.")
        speed.append(_checked_speed(where, _number(where, "speed", row[columns[0]])))
        direction.append(_checked_direction(where, _number(where, "direction", row[columns[1]])))
    return _stimulus(path, speed, direction)


def _find_columns(
    path: Path, header: Sequence[str], wanted: Mapping[str, str | int]
) -> tuple[int, int]:
    """Find where speed and direction stand."""
    folded = [name.casefold() for name in header]
    found = []
    for column in _COLUMNS:
        name = wanted[column]
        index = column_index(list(header), name)
        count = folded.count(str(name).casefold())
        if index is None or count > 1:
            problem = "is there more than once" if count > 1 else "is missing"
            hint = ""
            if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
                hint = " Separate the columns by commas."
            expected = [str(wanted[column]) for column in _COLUMNS]
            raise InputError(
                f"{path}: the column '{name}' {problem}; found {_listed(header)}, "
                f"expected {_listed(expected)}.{hint}"
            )
        found.append(index)
    return found[0], found[1]


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


def _npy_columns(path: Path) -> tuple[list[str | None], Reader]:
    """Read a matrix with a row per rotation, or a structured array."""
    try:
        table = np.load(path, allow_pickle=False, mmap_mode="r")
        names: list[str | None]
        if table.dtype.names:
            names = list(table.dtype.names)
            rows = [np.asarray(table[name], np.float64).ravel() for name in table.dtype.names]
        elif table.ndim == 2 and table.dtype.kind in "biuf":
            names = [None] * table.shape[1]
            rows = list(np.asarray(table, np.float64).T)
        else:
            raise InputError(
                f"{path} has shape {table.shape} and type {table.dtype}; a matrix of numbers with "
                "a row per rotation was expected."
            )
    except InputError:
        raise
    except Exception as error:
        # A damaged header makes NumPy raise whatever Python's own parser does.
        raise InputError(f"{path} cannot be read as a .npy file ({error}).") from error
    return names, lambda wanted: np.array([rows[index] for index in wanted])


def _open_table(path: Path, dataset: str | None) -> ForeignColumns:
    if path.stat().st_size > _MOST_FOREIGN_BYTES:
        raise InputError(
            f"{path} has {path.stat().st_size / 1e6:.0f} MB, which no table of rotations has; "
            "check the path of the stimulus table."
        )
    return ForeignColumns(path, dataset=dataset, n_expected=TABLE, error=InputError)


def _from_columns(
    path: Path, wanted: Mapping[str, str | int], names: list[str | None], read: Reader
) -> Stimulus:
    """Take speed and direction out of a table of numbers."""
    found = []
    for column in _COLUMNS:
        index = column_index(names, wanted[column])
        if index is None:
            named = [name for name in names if name]
            there = _listed(named) or f"{len(names)} without names"
            hint = did_you_mean(str(wanted[column]), named)
            raise InputError(
                f"{path}: the column '{wanted[column]}' is missing; found {there}{hint}. Say which "
                f"column holds the {column} with signals.stimulus.{column} (its name, or its "
                "number from 1)."
            )
        found.append(index)
    if found[0] == found[1]:
        raise InputError(f"{path}: one column is given for both speed and direction.")
    speed, direction = read(found)
    if not len(speed):
        raise InputError(f"{path} has no rows; it needs one row per rotation.")
    speeds, directions = [], []
    for number, (a, b) in enumerate(zip(speed, direction, strict=True), start=1):
        where = f"{path}, row {number}"
        speeds.append(_checked_speed(where, float(a)))
        directions.append(_checked_direction(where, float(b)))
    return _stimulus(path, speeds, directions)


def _read_mat(path: Path) -> Stimulus:
    """Read the matrix `stimulus_random`."""
    table = _open_table(path, _MAT_NAME)
    n_columns = len(table.names)
    n_rows = table.listing.columns[0].n_values if n_columns else 0
    if n_columns < 3:
        raise InputError(
            f"{path}: {_MAT_NAME} has shape ({n_rows}, {n_columns}); a matrix of numbers with at "
            "least 3 columns was expected."
        )
    if not n_rows:
        raise InputError(f"{path}: {_MAT_NAME} is empty; it needs one row per rotation.")
    speed, direction = [], []
    for index, (asked, way) in enumerate(zip(*table.read([0, 2]), strict=True), start=1):
        where = f"{path}, {_MAT_NAME} row {index}"
        speed.append(_checked_speed(where, float(asked)))
        # NaN is not greater than 0, and would pass for direction +1.
        if not math.isfinite(way):
            raise InputError(f"{where}: column 3 (direction) is {way:g}, a number was expected.")
        direction.append(-1 if way > 0 else 1)
    return _stimulus(path, speed, direction)


def _table_of_variables(path: Path) -> ForeignColumns | None:
    """Open a MATLAB file with a variable for each column; None if it is none."""
    try:
        table = _open_table(path, None)
    except InputError:
        return None
    return table if all(column in table.names for column in _COLUMNS) else None


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
