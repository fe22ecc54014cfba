"""Columns of HDF5 files: matrices, groups, MATLAB 7.3, NWB and WaveSurfer."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.io.foreign.listing import (
    TABLE,
    Column,
    Listing,
    import_reader,
    matrix_columns,
    plain_dtype,
    positive_number,
    the_only_one,
)

__all__ = ["Hdf5Columns"]


class Hdf5Columns:
    """HDF5 files: a matrix, a group of columns, or a sweep of WaveSurfer."""

    def __init__(self, path: Path, dataset: str | None, n_expected: int | None) -> None:
        h5py = import_reader("h5py", "h5py", path)
        self._path, self._h5py = path, h5py
        self._file = h5py.File(path, "r")
        sweeps = [name for name in self._file if name.startswith("sweep_")]
        self._is_wavesurfer = "header" in self._file and bool(sweeps)
        if dataset is None:
            dataset = self._only(sweeps)
        found = self._file.get(dataset)
        if found is None:
            raise InputError(
                f"{path}: there is no dataset '{dataset}'; found {', '.join(self._numeric())}."
            )
        self._name = dataset
        if isinstance(found, h5py.Group) and self._is_wavesurfer:
            self._take_sweep(found)
        elif isinstance(found, h5py.Group):
            self._take_group(found)
        else:
            self._check_numbers(found)
            shape = found.shape
            # MATLAB stores a matrix the other way round.
            turned = n_expected == TABLE and path.suffix.lower() == ".mat"
            first, n, length = matrix_columns(
                shape[::-1] if turned else shape, n_expected, f"{path}: {dataset}"
            )
            first = first or turned
            self._parts = [(found, first, n)]
            self._columns = [Column(name=None, n_values=length) for _ in range(n)]

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def listing(self) -> Listing:
        """List the columns."""
        dtypes = [part.dtype for part, _, _ in self._parts]
        return Listing(
            dataset=self._name,
            columns=tuple(self._columns),
            dtype=plain_dtype(np.result_type(*dtypes)),
            sampling_rate=self._sampling_rate(),
        )

    def _sampling_rate(self) -> float | None:
        """Look where WaveSurfer, or a series of NWB, says it."""
        if self._is_wavesurfer:
            said = self._header("AcquisitionSampleRate", "Acquisition/SampleRate")
            return positive_number(said[0]) if said else None
        start = self._parts[0][0].parent.get("starting_time")
        return None if start is None else positive_number(start.attrs.get("rate"))

    def read(
        self, start: int, stop: int, wanted: Sequence[int]
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Give a stretch of each wanted column, with its index."""
        first = 0
        for part, along_first, n in self._parts:
            own = [index - first for index in wanted if first <= index < first + n]
            if own and part is self._digital:
                # One bit of each word is one channel.
                words = _stretch(part, start, stop)
                yield from ((first + bit, (words >> bit) & 1) for bit in own)
            elif own and n == 1:
                yield first, _stretch(part, start, stop)
            elif own:
                block = part[:, start:stop] if along_first else part[start:stop].T
                yield from ((first + row, block[row]) for row in own)
            first += n

    _digital: Any = None

    def _numeric(self) -> list[str]:
        """Return the names of all datasets of numbers, but for those that MATLAB hides."""
        names: list[str] = []

        def visit(name: str, item: Any) -> None:
            numbers = isinstance(item, self._h5py.Dataset) and item.dtype.kind in "biuf"
            if numbers and not name.startswith("#") and item.size > 1 and len(names) < 200:
                names.append(name)

        self._file.visititems(visit)
        return names

    def _only(self, sweeps: list[str]) -> str:
        if self._is_wavesurfer:
            return the_only_one(self._path, "sweep", sweeps)
        names = self._numeric()
        vectors = [name for name in names if max(self._file[name].shape) == self._file[name].size]
        groups = {name.rpartition("/")[0] for name in names}
        if len(names) > 1 and len(vectors) == len(names) and len(groups) == 1:
            # One column per dataset.
            return groups.pop() or "/"
        return the_only_one(self._path, "dataset", names)

    def _check_numbers(self, found: Any) -> None:
        if found.dtype.kind not in "biuf":
            raise InputError(
                f"{self._path}: {found.name} holds {found.dtype}; real numbers were expected."
            )

    def _take_group(self, group: Any) -> None:
        names = [
            name
            for name, item in group.items()
            if isinstance(item, self._h5py.Dataset) and item.dtype.kind in "biuf" and item.size
        ]
        if not names:
            raise InputError(f"{self._path}: the group {self._name} holds no columns of numbers.")
        self._parts, self._columns = [], []
        for name in names:
            item = group[name]
            _, n, length = matrix_columns(item.shape, 1, f"{self._path}: {item.name}")
            if n == 1:
                self._parts.append((item, True, 1))
                self._columns.append(Column(name=name, n_values=length))

    def _take_sweep(self, sweep: Any) -> None:
        """Take analog channels with their names and scales, and the bits of digital ones."""
        self._parts, self._columns = [], []
        if "analogScans" in sweep:
            scans = sweep["analogScans"]
            names = self._header("AIChannelNames", "Acquisition/AnalogChannelNames")
            active = self._header("IsAIChannelActive", "Acquisition/IsAnalogChannelActive")
            names = _active(names, active)
            scales = self._header("AIChannelScales", "Acquisition/AnalogChannelScales")
            scales = _active(scales, active)
            given = self._header("AIScalingCoefficients", "Acquisition/AnalogScalingCoefficients")
            _, n, length = matrix_columns(scans.shape, len(names) or None, scans.name)
            coefficients = _coefficients(given, n)
            self._parts.append((scans, scans.shape[0] == n, n))
            for i in range(n):
                scale = float(scales[i]) if i < len(scales) and scales[i] else 1.0
                constant, linear = coefficients[i]
                self._columns.append(
                    Column(
                        name=str(names[i]) if i < len(names) else None,
                        n_values=length,
                        gain=linear / scale,
                        offset=constant / scale,
                    )
                )
        if "digitalScans" in sweep:
            scans = sweep["digitalScans"]
            names = self._header("DIChannelNames", "Acquisition/DigitalChannelNames")
            names = _active(
                names, self._header("IsDIChannelActive", "Acquisition/IsDigitalChannelActive")
            )
            n_bits = min(len(names), 8 * scans.dtype.itemsize)
            if n_bits:
                self._digital = scans
                self._parts.append((scans, True, n_bits))
                self._columns += [
                    Column(name=str(name), n_values=int(scans.size)) for name in names[:n_bits]
                ]
        if not self._columns:
            raise InputError(f"{self._path}: {self._name} holds no analogScans or digitalScans.")

    def _header(self, *names: str) -> list[Any]:
        """Return an entry of WaveSurfer's header, whose place differs between versions."""
        for name in names:
            item = self._file["header"].get(name)
            if isinstance(item, self._h5py.Dataset):
                values = np.atleast_1d(np.squeeze(item[()]))
                return [v.decode() if isinstance(v, bytes) else v for v in values]
        return []


def _stretch(vector: Any, start: int, stop: int) -> NDArray[Any]:
    """Read a part of a dataset that is a vector, whichever of its axes is the long one."""
    long = int(np.argmax(vector.shape))
    where = tuple(slice(start, stop) if axis == long else 0 for axis in range(vector.ndim))
    return np.asarray(vector[where])


def _active(values: list[Any], flags: list[Any]) -> list[Any]:
    """Keep what belongs to the channels that were recorded."""
    if len(flags) != len(values):
        return values
    return [value for value, flag in zip(values, flags, strict=True) if flag]


def _coefficients(given: list[Any], n: int) -> list[tuple[float, float]]:
    """Return constant and slope of each channel; higher powers are below a converter's noise."""
    table = np.asarray(given, np.float64) if given else np.empty((0, 0))
    if table.ndim == 1 and n == 1 and table.size >= 2:
        table = table[None]
    if table.ndim == 2 and table.shape[0] != n and table.shape[1] == n:
        table = table.T
    if table.ndim != 2 or table.shape[0] != n or table.shape[1] < 2:
        return [(0.0, 1.0)] * n
    return [(float(row[0]), float(row[1])) for row in table]
