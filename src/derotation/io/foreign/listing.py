"""Columns of numbers as any file may hold them, and how they are told apart."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from derotation.errors import ConfigError, InputError

__all__ = [
    "TABLE",
    "Column",
    "Listing",
    "import_reader",
    "matrix_columns",
    "plain_dtype",
    "positive_number",
    "the_only_one",
]

#: Instead of a number of columns: a matrix is a table, with its columns along the last axis.
TABLE = -1
_MOST_COLUMNS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of numbers."""

    name: str | None
    """Its name in the file, None if it has none."""
    n_values: int
    """Number of values."""
    gain: float = 1.0
    offset: float = 0.0
    """``gain * stored + offset`` is what the file means (volts of a converter, for example)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The columns of a file, or of a dataset in it."""

    dataset: str
    """Where they are."""
    columns: tuple[Column, ...]
    """One after the other."""
    dtype: str
    """Type of the values once unpacked."""
    sampling_rate: float | None = None
    """Values per second, if the file says it, Hz."""


def import_reader(name: str, package: str, path: Path) -> Any:
    """Import the library that reads a kind of files."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"{path} is read by {package}, which is not installed; run pip install {package}, or "
            "pip install 'derotation-workflow[formats]'."
        ) from error


def matrix_columns(
    shape: tuple[int, ...], n_expected: int | None, where: str
) -> tuple[bool, int, int]:
    """Return whether columns lie along the first axis, their number and length."""
    if len(shape) == 1:
        return True, 1, shape[0]
    if n_expected == TABLE and len(shape) == 2:
        return False, shape[1], shape[0]
    if n_expected == 1 and max(shape, default=0) == math.prod(shape):
        return True, 1, math.prod(shape)
    if len(shape) != 2:
        raise InputError(f"{where} has shape {shape}; a matrix of channels x samples was expected.")
    along_first = shape[0] == n_expected or (shape[1] != n_expected and shape[0] <= shape[1])
    n_columns, n_values = shape if along_first else shape[::-1]
    if n_columns > _MOST_COLUMNS:
        raise InputError(f"{where} has shape {shape}; a matrix of channels x samples was expected.")
    return along_first, n_columns, n_values


def the_only_one(path: Path, what: str, found: list[str]) -> str:
    """Return the only one, or ask."""
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(f"{path} holds no {what} of numbers.")
    shown = ", ".join(found[:20]) + (", ..." if len(found) > 20 else "")
    raise InputError(
        f"{path} holds several {what}s ({shown}); say which one is meant by its name (key dataset)."
    )


def plain_dtype(dtype: DTypeLike) -> str:
    """Return a type that compiled code reads: native, no booleans, no halves."""
    given = np.dtype(dtype)
    if given.kind == "b":
        return "u1"
    if given == np.float16:
        return "f4"
    return given.newbyteorder("=").str.lstrip("<>=|")


def positive_number(value: Any) -> float | None:
    """Give a number that may be a rate or an interval."""
    try:
        number = float(np.squeeze(value))
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
