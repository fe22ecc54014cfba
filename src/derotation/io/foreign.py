"""Columns of numbers in files of other programs: HDF5, MATLAB, TDMS, text.

These functions run in the worker of :mod:`derotation.io.isolated`, since the libraries that read
such files may crash on damaged ones. What is read goes, a stretch at a time, into a plain file that
the caller maps into memory.
"""

import math
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from derotation.errors import ConfigError, InputError
from derotation.io.text import text_encoding
from derotation.io.text_rows import check_cells

__all__ = ["KINDS", "TABLE", "Column", "Listing", "list_columns", "unpack_columns"]

#: What files end with that are read here, and what they are.
KINDS = {
    ".csv": "text",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".nwb": "HDF5",
    ".mat": "MATLAB",
    ".tdms": "TDMS",
}

#: Instead of a number of columns: a matrix is a table, with its columns along the last axis.
TABLE = -1

# Samples of all columns that are in memory at a time.
_BLOCK_SAMPLES = 2**22
_MOST_COLUMNS = 4096
_TEXT_ROWS = 2**18
_HEAD_BYTES = 2**16
# A column of times, with its unit in its name, such as Prairie View's "Time(ms)".
_TIMES = re.compile(r"time[\s_]*[(\[]?\s*(s|sec|seconds|ms|us|µs)\s*[)\]]?$", re.IGNORECASE)
_SECONDS = {"m": 1e-3, "u": 1e-6, "µ": 1e-6}
# Times follow each other evenly to within this part of their interval, as far as digits tell.
_EVEN = 0.01


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


def list_columns(path: Path, dataset: str | None, n_expected: int | None) -> Listing:
    """Look which columns a file holds.

    Parameters
    ----------
    path
        The file.
    dataset
        Name of a dataset, group or variable; None where there is only one that can be meant.
    n_expected
        How many columns a matrix should have, which tells its orientation; :data:`TABLE`: it is
        a table; None: the longer axis is time.

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
    opened: "_Hdf5 | _Matlab | _Tdms | _Text", stretches: Sequence[tuple[int, int]], step: int
) -> Iterator[tuple[int, int]]:
    """Cut stretches into pieces that fit into memory; text is read from its start on."""
    if isinstance(opened, _Text):
        stretches = [(0, stretches[-1][1])]
    for start, stop in stretches:
        for first in range(start, stop, step):
            yield first, first + step if isinstance(opened, _Text) else min(first + step, stop)


def _open(
    path: Path, dataset: str | None, n_expected: int | None
) -> "_Hdf5 | _Matlab | _Tdms | _Text":
    warnings.simplefilter("ignore")
    kind = KINDS[path.suffix.lower()]
    if kind == "text":
        return _Text(path)
    if kind == "TDMS":
        return _Tdms(path, dataset)
    if kind == "MATLAB" and not _is_hdf5(path):
        return _Matlab(path, dataset, n_expected)
    return _Hdf5(path, dataset, n_expected)


def _is_hdf5(path: Path) -> bool:
    """Tell whether a MATLAB file is one of version 7.3; its HDF5 part begins behind a header."""
    with path.open("rb") as stream:
        head = stream.read(520)
    return b"\x89HDF\r\n\x1a\n" in (head[:8], head[512:520])


def _import(name: str, package: str, path: Path) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"{path} is read by {package}, which is not installed; run pip install {package}, or "
            "pip install 'derotation-workflow[formats]'."
        ) from error


def _matrix_columns(
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


def _choose(path: Path, what: str, found: list[str]) -> str:
    """Return the only one, or ask."""
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(f"{path} holds no {what} of numbers.")
    shown = ", ".join(found[:20]) + (", ..." if len(found) > 20 else "")
    raise InputError(
        f"{path} holds several {what}s ({shown}); say which one is meant by its name (key dataset)."
    )


class _Hdf5:
    """HDF5 files: a matrix, a group of columns, or a sweep of WaveSurfer."""

    def __init__(self, path: Path, dataset: str | None, n_expected: int | None) -> None:
        h5py = _import("h5py", "h5py", path)
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
            first, n, length = _matrix_columns(
                shape[::-1] if turned else shape, n_expected, f"{path}: {dataset}"
            )
            first = first or turned
            self._parts = [(found, first, n)]
            self._columns = [Column(name=None, n_values=length) for _ in range(n)]

    def close(self) -> None:
        self._file.close()

    def listing(self) -> Listing:
        dtypes = [part.dtype for part, _, _ in self._parts]
        return Listing(
            dataset=self._name,
            columns=tuple(self._columns),
            dtype=_plain_dtype(np.result_type(*dtypes)),
            sampling_rate=self._sampling_rate(),
        )

    def _sampling_rate(self) -> float | None:
        """Look where WaveSurfer, or a series of NWB, says it."""
        if self._is_wavesurfer:
            said = self._header("AcquisitionSampleRate", "Acquisition/SampleRate")
            return _positive(said[0]) if said else None
        start = self._parts[0][0].parent.get("starting_time")
        return None if start is None else _positive(start.attrs.get("rate"))

    def read(
        self, start: int, stop: int, wanted: Sequence[int]
    ) -> Iterator[tuple[int, NDArray[Any]]]:
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
            return _choose(self._path, "sweep", sweeps)
        names = self._numeric()
        vectors = [name for name in names if max(self._file[name].shape) == self._file[name].size]
        groups = {name.rpartition("/")[0] for name in names}
        if len(names) > 1 and len(vectors) == len(names) and len(groups) == 1:
            # One column per dataset.
            return groups.pop() or "/"
        return _choose(self._path, "dataset", names)

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
            _, n, length = _matrix_columns(item.shape, 1, f"{self._path}: {item.name}")
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
            _, n, length = _matrix_columns(scans.shape, len(names) or None, scans.name)
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


def _plain_dtype(dtype: DTypeLike) -> str:
    """Return a type that compiled code reads: native, no booleans, no halves."""
    given = np.dtype(dtype)
    if given.kind == "b":
        return "u1"
    if given == np.float16:
        return "f4"
    return given.newbyteorder("=").str.lstrip("<>=|")


class _Matlab:
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
                self._name = _choose(path, "variable", names or structs)
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
        self._values = []

    def listing(self) -> Listing:
        dtype = np.result_type(*(values.dtype for values in self._values))
        return Listing(dataset=self._name, columns=tuple(self._columns), dtype=_plain_dtype(dtype))

    def read(
        self, start: int, stop: int, wanted: Sequence[int]
    ) -> Iterator[tuple[int, NDArray[Any]]]:
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
        along_first, n, length = _matrix_columns(value.shape, n_expected, f"{path}: {name}")
        rows = value.reshape(1, -1) if n == 1 and along_first else value if along_first else value.T
        for row in rows:
            self._columns.append(Column(name=name, n_values=length))
            self._values.append(row)


_MATLAB_NUMBERS = frozenset(
    {"double", "single", "logical"}
    | {f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64)}
)


class _Tdms:
    """TDMS files of National Instruments."""

    def __init__(self, path: Path, dataset: str | None) -> None:
        nptdms = _import("nptdms", "npTDMS", path)
        self._file = nptdms.TdmsFile.open(path)
        groups = self._file.groups()
        if dataset is not None:
            groups = [group for group in groups if group.name == dataset]
            if not groups:
                there = ", ".join(group.name for group in self._file.groups())
                raise InputError(f"{path}: there is no group '{dataset}'; found {there}.")
        channels = [
            channel
            for group in groups
            for channel in group.channels()
            if len(channel) and channel.dtype.kind in "biuf"
        ]
        if not channels:
            raise InputError(f"{path} holds no channels of numbers.")
        names = [channel.name for channel in channels]
        self._name = dataset or "/"
        self._channels = channels
        self._columns = [
            Column(
                name=c.name if names.count(c.name) == 1 else f"{c.group_name}/{c.name}",
                n_values=len(c),
            )
            for c in channels
        ]

    def close(self) -> None:
        self._file.close()

    def listing(self) -> Listing:
        intervals = [_positive(c.properties.get("wf_increment")) for c in self._channels]
        same = intervals[0] if len(set(intervals)) == 1 else None
        # Scaled values are doubles; four bytes hold what a converter knows.
        return Listing(
            dataset=self._name,
            columns=tuple(self._columns),
            dtype="f4",
            sampling_rate=1 / same if same else None,
        )

    def read(
        self, start: int, stop: int, wanted: Sequence[int]
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        for index in wanted:
            yield index, self._channels[index].read_data(offset=start, length=stop - start)


class _Text:
    """Text with columns separated by commas, with or without a line of names."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        self._encoding = text_encoding(head)
        first = head.decode(self._encoding, errors="replace").splitlines()
        cells = [cell.strip().strip('"') for cell in first[0].split(",")] if first else []
        if not any(cells):
            raise InputError(f"{path} is empty, or its first line is.")
        if len(first) > 1:
            check_cells(path, 2, first[1].split(","), cells)
        self._is_named = not all(map(_is_number, cells))
        self._names = cells if self._is_named else [None] * len(cells)
        self._n_values = sum(len(block) for block in self._blocks(_TEXT_ROWS))
        self._reading: Iterator[NDArray[np.float64]] | None = None

    def close(self) -> None:
        self._reading = None

    def listing(self) -> Listing:
        if not self._n_values:
            raise InputError(f"{self._path} has no rows of numbers.")
        columns = tuple(Column(name=name, n_values=self._n_values) for name in self._names)
        rate = self._sampling_rate()
        return Listing(dataset="", columns=columns, dtype="f8", sampling_rate=rate)

    def _sampling_rate(self) -> float | None:
        """Tell it from a column of times."""
        found = [(k, _TIMES.match(name or "")) for k, name in enumerate(self._names)]
        named = [(k, match[1].lower()) for k, match in found if match]
        if len(named) != 1:
            return None
        ((column, unit),) = named
        times = next(self._blocks(_TEXT_ROWS))[:, column] * _SECONDS.get(unit[0], 1.0)
        if len(times) < 2 or not np.all(np.isfinite(times)):
            return None
        interval = float(times[-1] - times[0]) / (len(times) - 1)
        even = times[0] + interval * np.arange(len(times))
        if interval <= 0 or np.abs(times - even).max() > max(1, _EVEN * len(times)) * interval:
            return None
        return float(f"{1 / interval:.9g}")

    def read(
        self, start: int, stop: int, wanted: Sequence[int]
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        # Text is only read from its start on; stretches of one size follow each other.
        if self._reading is None or start == 0:
            self._reading = self._blocks(stop - start)
        block = next(self._reading)
        yield from ((index, block[:, index]) for index in wanted)

    def _blocks(self, n_rows: int) -> Iterator[NDArray[np.float64]]:
        import pandas as pd

        try:
            with pd.read_csv(
                self._path, header=0 if self._is_named else None, encoding=self._encoding,
                dtype=np.float64, chunksize=n_rows, skipinitialspace=True, index_col=False,
            ) as reader:  # fmt: skip
                for frame in reader:
                    yield frame.to_numpy()
        except (ValueError, pd.errors.ParserError, UnicodeError) as error:
            raise InputError(
                f"{self._path} cannot be read as a table of numbers ({error}); numbers separated "
                "by commas are expected, below at most one line of names."
            ) from error


def _positive(value: Any) -> float | None:
    """Give a number that may be a rate or an interval."""
    try:
        number = float(np.squeeze(value))
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
