"""Columns of a file of any kind: listed, or written into a plain file."""

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from derotation.io.foreign.hdf5 import Hdf5Columns
from derotation.io.foreign.listing import Listing
from derotation.io.foreign.matlab import MatlabColumns
from derotation.io.foreign.tdms import TdmsColumns
from derotation.io.foreign.text import TextColumns

__all__ = ["list_columns", "unpack_columns", "unpack_stretches"]

#: What files end with that are read here, and what they are.
KINDS = {
    ".csv": "text",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".nwb": "HDF5",
    ".mat": "MATLAB",
    ".tdms": "TDMS",
}
# Samples of all columns that are in memory at a time.
_BLOCK_SAMPLES = 2**22


def list_columns(path: Path, dataset: str | None, n_expected: int | None) -> Listing:
    """Look which columns a file holds.

    Parameters
    ----------
    path
        The file.
    dataset
        Name of a dataset, group or variable; None where there is only one that can be meant.
    n_expected
        How many columns a matrix should have, which tells its orientation;
        :data:`~derotation.io.foreign.listing.TABLE`: it is a table; None: the longer axis is time.

    Returns
    -------
    Listing

    Raises
    ------
    InputError
        If there is no such dataset, or none or several that may be meant.
    ConfigError
        If the library that reads such files is not installed.
    """
    opened = _open(path, dataset, n_expected)
    try:
        return opened.listing()
    finally:
        opened.close()


def unpack_columns(
    path: Path,
    dataset: str | None,
    n_expected: int | None,
    wanted: tuple[int, ...],
    target: Path,
) -> int:
    """Write columns to a plain file, one after the other.

    Parameters
    ----------
    path, dataset, n_expected
        See :func:`list_columns`.
    wanted
        Which columns, by their indices from 0, each once.
    target
        The file to be written, in the listing's dtype.

    Returns
    -------
    int
        Values of each column: those of the shortest.
    """
    opened = _open(path, dataset, n_expected)
    try:
        listing = opened.listing()
        n_values = min(listing.columns[index].n_values for index in wanted)
        dtype = np.dtype(listing.dtype)
        with target.open("r+b") as file:
            os.truncate(file.fileno(), len(wanted) * n_values * dtype.itemsize)
            step = max(1, _BLOCK_SAMPLES // len(listing.columns))
            for start in range(0, n_values, step):
                stop = min(start + step, n_values)
                for index, values in opened.read(start, stop, wanted):
                    file.seek((wanted.index(index) * n_values + start) * dtype.itemsize)
                    file.write(np.ascontiguousarray(values, dtype).tobytes())
        return n_values
    finally:
        opened.close()


def unpack_stretches(
    path: Path,
    dataset: str | None,
    n_expected: int | None,
    wanted: tuple[int, ...],
    stretches: tuple[tuple[int, int], ...],
    target: Path,
) -> int:
    """Write stretches of columns to a plain file, all columns of one stretch before the next.

    Parameters
    ----------
    path, dataset, n_expected
        See :func:`list_columns`.
    wanted
        Which columns, by their indices from 0, each once.
    stretches
        First value, and the one after the last; ascending, within all columns.
    target
        The file to be written, in the listing's dtype.

    Returns
    -------
    int
        Values of all stretches of one column.
    """
    opened = _open(path, dataset, n_expected)
    try:
        listing = opened.listing()
        dtype = np.dtype(listing.dtype)
        lengths = [stop - start for start, stop in stretches]
        with target.open("r+b") as file:
            os.truncate(file.fileno(), len(wanted) * sum(lengths) * dtype.itemsize)
            step = max(1, _BLOCK_SAMPLES // len(listing.columns))
            for start, stop in _pieces(opened, stretches, step):
                for index, values in opened.read(start, stop, wanted):
                    for k, (first, last) in enumerate(stretches):
                        own = values[max(first - start, 0) : max(last - start, 0)]
                        if first >= stop or not len(own):
                            continue
                        before = len(wanted) * sum(lengths[:k]) + wanted.index(index) * lengths[k]
                        file.seek((before + max(start - first, 0)) * dtype.itemsize)
                        file.write(np.ascontiguousarray(own, dtype).tobytes())
        return sum(lengths)
    finally:
        opened.close()


def _pieces(
    opened: "Hdf5Columns | MatlabColumns | TdmsColumns | TextColumns",
    stretches: Sequence[tuple[int, int]],
    step: int,
) -> Iterator[tuple[int, int]]:
    """Cut stretches into pieces that fit into memory; text is read from its start on."""
    if isinstance(opened, TextColumns):
        stretches = [(0, stretches[-1][1])]
    for start, stop in stretches:
        for first in range(start, stop, step):
            yield (
                first,
                first + step if isinstance(opened, TextColumns) else min(first + step, stop),
            )


def _open(
    path: Path, dataset: str | None, n_expected: int | None
) -> "Hdf5Columns | MatlabColumns | TdmsColumns | TextColumns":
    warnings.simplefilter("ignore")
    kind = KINDS[path.suffix.lower()]
    if kind == "text":
        return TextColumns(path)
    if kind == "TDMS":
        return TdmsColumns(path, dataset)
    if kind == "MATLAB" and not _is_hdf5(path):
        return MatlabColumns(path, dataset, n_expected)
    return Hdf5Columns(path, dataset, n_expected)


def _is_hdf5(path: Path) -> bool:
    """Tell whether a MATLAB file is one of version 7.3; its HDF5 part begins behind a header."""
    with path.open("rb") as stream:
        head = stream.read(520)
    return b"\x89HDF\r\n\x1a\n" in (head[:8], head[512:520])
