"""Columns of MATLAB files of version 4 to 7."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.io.foreign.listing import Column, Listing, matrix_columns, plain_dtype, the_only_one

__all__ = ["MatlabColumns"]


class MatlabColumns:
    """MATLAB files of version 4 to 7, whose variables are read whole."""

    def __init__(self, path: Path, dataset: str | None, n_expected: int | None) -> None:
        from scipy.io import loadmat, whosmat

        try:
            variables = [found for found in whosmat(path) if not found[0].startswith("__")]
        except NotImplementedError as error:
            raise InputError(
                f"{path} says that it is a MATLAB 7.3 file, but holds no HDF5; it is cut off or "
                "damaged. Copy it again, or save it in MATLAB with the option '-v7'."
            ) from error
        there = [name for name, _, _ in variables]
        if dataset is None:
            numbers = [
                (name, shape)
                for name, shape, kind in variables
                if kind in _MATLAB_NUMBERS and math.prod(shape) > 1
            ]
            names = [name for name, _ in numbers]
            if len(names) > 1 and all(min(shape) == 1 for _, shape in numbers):
                # One variable per column.
                self._name = "/"
            else:
                structs = [name for name, _, kind in variables if kind == "struct"]
                self._name = the_only_one(path, "variable", names or structs)
                names = [self._name]
        else:
            self._name, names = dataset, [dataset]
            if dataset not in there:
                found = ", ".join(there) or "nothing"
                raise InputError(f"{path}: there is no variable {dataset}; found {found}.")
        content = loadmat(path, variable_names=names)
        self._columns: list[Column] = []
        self._values: list[NDArray[Any]] = []
        for name in names:
            value = content[name]
            if value.dtype.names and value.size == 1:
                for field in value.dtype.names:
                    self._take(path, field, np.asarray(value[field].item()), 1)
            elif len(names) > 1:
                self._take(path, name, value, 1)
            else:
                self._take(path, None, value, n_expected)
        if not self._columns:
            raise InputError(f"{path}: {self._name} holds no columns of numbers.")

    def close(self) -> None:
        """Let go of the file."""
        self._values = []

    def listing(self) -> Listing:
        """List the columns."""
        dtype = np.result_type(*(values.dtype for values in self._values))
        return Listing(dataset=self._name, columns=tuple(self._columns), dtype=plain_dtype(dtype))

    def read(
        self, start: int, stop: int, wanted: Sequence[int]
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Give a stretch of each wanted column, with its index."""
        for index in wanted:
            yield index, self._values[index][start:stop]

    def _take(self, path: Path, name: str | None, value: Any, n_expected: int | None) -> None:
        if value.dtype.kind not in "biuf" or (not value.size and name is not None):
            if name is None:
                raise InputError(
                    f"{path}: {self._name} has shape {value.shape} and type {value.dtype}; a "
                    "matrix of numbers was expected."
                )
            return
        along_first, n, length = matrix_columns(value.shape, n_expected, f"{path}: {name}")
        rows = value.reshape(1, -1) if n == 1 and along_first else value if along_first else value.T
        for row in rows:
            self._columns.append(Column(name=name, n_values=length))
            self._values.append(row)


_MATLAB_NUMBERS = frozenset(
    {"double", "single", "logical"}
    | {f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64)}
)
