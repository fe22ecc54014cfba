"""Columns of numbers in a file of any kind, mapped into memory."""

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.io.foreign import (
    KINDS,
    Listing,
    list_columns,
    unpack_columns,
    unpack_stretches,
)
from derotation.io.isolated import call_isolated
from derotation.io.numbers import whole

__all__ = ["ForeignColumns", "column_index"]

# A slow disk reads so much in a second; what a damaged file may take is bounded all the same.
_BYTES_PER_S = 5e6
_LEAST_S = 8.0
# Variables of MATLAB files before version 7.3 are read whole, and have up to 2 GB.
_MATLAB_FACTOR = 3


class ForeignColumns:
    """Columns of a file of another program, unpacked when they are first looked at.

    Parameters
    ----------
    path
        A `.h5`, `.mat`, `.tdms` or `.csv`.
    dataset
        Name of the dataset, variable or group that holds the columns; None: the only one.
    n_expected
        See :func:`derotation.io.foreign.unpack.list_columns`.
    error
        The class of errors about this file.

    Raises
    ------
    InputError
        If the file cannot be read, or holds no columns of numbers.
    """

    def __init__(
        self,
        path: Path,
        *,
        dataset: str | None,
        n_expected: int | None,
        error: type[InputError],
    ) -> None:
        self.path = path
        self._arguments = (dataset, n_expected)
        self._error = error
        self.listing: Listing = self._call(list_columns, _LEAST_S)

    @property
    def names(self) -> list[str | None]:
        """The columns' names in the file; None for those that have none."""
        return [column.name for column in self.listing.columns]

    def read(self, wanted: Sequence[int]) -> NDArray[Any]:
        """Unpack some columns into a temporary file that nobody sees, and map it.

        Parameters
        ----------
        wanted
            Indices of the columns from 0; each once.

        Returns
        -------
        ndarray of shape (n_wanted, n_values)
            A read-only map; the file vanishes with it.

        Raises
        ------
        InputError
            If the file cannot be read.
        OSError
            If the folder for temporary files is full.
        """
        n_values, mapped = self._unpacked(unpack_columns, tuple(wanted))
        return mapped.reshape(len(wanted), n_values)

    def read_stretches(
        self, wanted: Sequence[int], stretches: Sequence[tuple[int, int]]
    ) -> list[NDArray[Any]]:
        """Unpack stretches of some columns, as :meth:`read` does whole ones.

        Parameters
        ----------
        wanted
            Indices of the columns from 0; each once.
        stretches
            First value, and the one after the last; ascending, within all columns.

        Returns
        -------
        list of ndarray of shape (n_wanted, n)
            One array for each stretch.
        """
        _, mapped = self._unpacked(unpack_stretches, tuple(wanted), tuple(stretches))
        ends = np.cumsum([len(wanted) * (stop - start) for start, stop in stretches])
        return [part.reshape(len(wanted), -1) for part in np.split(mapped, ends[:-1])]

    def _unpacked(self, unpack: Any, *arguments: Any) -> tuple[int, NDArray[Any]]:
        """Let `unpack` write into a file without a name, and map it."""
        timeout = _LEAST_S + self.path.stat().st_size / _BYTES_PER_S
        handle, name = tempfile.mkstemp(prefix="derotation-", suffix=".columns")
        os.close(handle)
        try:
            answer = self._call(unpack, timeout, *arguments, Path(name))
            mapped = np.memmap(name, dtype=self.listing.dtype, mode="r")
        finally:
            with contextlib.suppress(OSError):
                Path(name).unlink()
        return answer, mapped.view(np.ndarray)

    def _call(self, function: Any, timeout_s: float, *arguments: Any) -> Any:
        kind = KINDS[self.path.suffix.lower()]
        memory = 2**31 + (_MATLAB_FACTOR * 2**31 if kind == "MATLAB" else 0)
        return call_isolated(
            function,
            self.path,
            *self._arguments,
            *arguments,
            error=self._error,
            what=f"a {self.path.suffix} file ({kind})",
            timeout_s=timeout_s,
            memory_bytes=memory,
        )


def column_index(
    names: list[str | None], wanted: str | int, order: tuple[str, ...] | None = None
) -> int | None:
    """Find a column by name or number.

    Parameters
    ----------
    names
        Names of the columns; None where they have none.
    wanted
        A name, or a number counted from 1.
    order
        Names that the configuration gives to the columns, in their order.

    Returns
    -------
    int or None
        Index of the column from 0; None if there is none.
    """
    number = wanted if isinstance(wanted, int) else None
    if number is None and isinstance(wanted, str):
        for listed in (names, list(order) if order is not None else []):
            if wanted in listed:
                return listed.index(wanted)
        folded = [name.casefold() if name else None for name in names]
        if folded.count(wanted.casefold()) == 1:
            return folded.index(wanted.casefold())
        number = whole(wanted)
    if number is not None and 1 <= number <= len(names):
        return number - 1
    return None
