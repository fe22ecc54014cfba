"""Analog signals of a recording, mapped into memory and never copied as a whole."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import ConfigError, SignalError
from derotation.io.columns import ForeignColumns, column_index
from derotation.io.foreign import KINDS
from derotation.numerics.pages import release
from derotation.settings.spelling import did_you_mean

__all__ = [
    "OPTIONAL_ROLES",
    "ROLES",
    "AnalogSignals",
    "BinLayout",
    "open_signals",
    "signal_options",
]

#: What the channels are for, in the documented order of a `.npy` file.
ROLES = ("line_clock", "frame_clock", "rotation_on", "rotation_ticks")

#: What further channels may be for; they are there if channel_order names them.
OPTIONAL_ROLES = (
    "direction",
    "quadrature_a",
    "quadrature_b",
    "quadrature_index",
    "angle_voltage",
)


class AnalogSignals:
    """Channels of one recording by their role, read from disk when looked at.

    Made by :func:`open_signals`.

    Parameters
    ----------
    path
        The file the samples come from.
    samples
        Array of shape (n_channels, n_samples), memory-mapped; or the columns of a foreign file,
        which are unpacked when they are first looked at.
    rows
        Row of `samples` for each role.
    gain, offset
        Volts are ``gain * raw + offset``; one number, or one for each row.
    """

    def __init__(
        self,
        path: Path,
        samples: "NDArray[Any] | LazyRows",
        rows: Mapping[str, int],
        *,
        gain: float | Sequence[float] = 1.0,
        offset: float | Sequence[float] = 0.0,
    ) -> None:
        self._path = path
        self._stored = samples
        self._rows = dict(rows)
        self._gain = gain
        self._offset = offset

    @property
    def _samples(self) -> NDArray[Any]:
        """The samples of all channels, unpacked now if they have to be."""
        return self._stored.array() if isinstance(self._stored, LazyRows) else self._stored

    def __repr__(self) -> str:
        return (
            f"AnalogSignals('{self._path}', n_samples={self.n_samples}, "
            f"dtype={self._stored.dtype}, roles={self.roles})"
        )

    @property
    def path(self) -> Path:
        """The file the samples come from."""
        return self._path

    @property
    def foreign(self) -> ForeignColumns | None:
        """The columns of a file of another program, listed already; None for other files."""
        return self._stored.file if isinstance(self._stored, LazyRows) else None

    @property
    def stated_rate(self) -> float | None:
        """Samples per second as the file says it, Hz; None if it does not."""
        return self.foreign.listing.sampling_rate if self.foreign else None

    def sampling_rate(self, given: float | None) -> float:
        """Settle the samples per second.

        Parameters
        ----------
        given
            The key ``signals.sampling_rate``, Hz; None: as the file says.

        Returns
        -------
        float
            Hz.

        Raises
        ------
        ConfigError
            If neither says it.
        """
        rate = given or self.stated_rate
        if rate is None:
            raise ConfigError(
                f"signals.sampling_rate is null, and {self.path} does not say it either: give the "
                "samples per second."
            )
        return rate

    @property
    def n_samples(self) -> int:
        """Number of samples of each channel."""
        return int(self._stored.shape[1])

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that have a channel."""
        return tuple(self._rows)

    def raw(self, role: str) -> NDArray[Any]:
        """Return the stored samples of one channel without reading them.

        Parameters
        ----------
        role
            One of :attr:`roles`.

        Returns
        -------
        ndarray of shape (n_samples,)
            A read-only view of the file, strided where channels are interleaved, in the file's
            dtype; booleans are seen as uint8. Only files in the byte order of another machine
            or in float16, which compiled code cannot read, are copied (to the native order, or
            to float32).

        Raises
        ------
        SignalError
            If there is no such role.
        """
        view = self._row(role)
        if view.dtype.kind == "b":
            return view.view(np.uint8)
        if not view.dtype.isnative or view.dtype == np.float16:
            dtype = np.float32 if view.dtype.itemsize == 2 and view.dtype.kind == "f" else None
            return view.astype(dtype or view.dtype.newbyteorder("="))
        return view

    def scale(self, role: str) -> tuple[float, float]:
        """Return how raw samples become volts.

        Parameters
        ----------
        role
            One of :attr:`roles`.

        Returns
        -------
        gain, offset : float
            ``volts = gain * raw + offset``; (1, 0) for `.npy`.

        Raises
        ------
        SignalError
            If there is no such role.
        """
        row = self._number(role)
        gain, offset = (
            value if isinstance(value, int | float) else float(value[row])
            for value in (self._gain, self._offset)
        )
        return gain, offset

    def channel_number(self, role: str) -> int:
        """Return which channel of the file has a role, counted from 1.

        Parameters
        ----------
        role
            One of :attr:`roles`.

        Raises
        ------
        SignalError
            If there is no such role.
        """
        row = self._number(role)
        columns = self._stored.columns if isinstance(self._stored, LazyRows) else None
        return (row if columns is None else columns[row]) + 1

    def release(self) -> None:
        """Let go of the pages that were read from the file; they are read again when needed.

        Whoever goes through a long recording calls it from time to time, since a page that was
        looked at otherwise stays in memory.
        """
        if isinstance(self._stored, LazyRows) and not self._stored.is_read:
            return
        release(self._samples)

    def volts(self, role: str, start: int = 0, stop: int | None = None) -> NDArray[np.float64]:
        """Read a stretch of one channel in volts.

        Parameters
        ----------
        role
            One of :attr:`roles`.
        start, stop
            First sample, and the one after the last; as in slicing.

        Returns
        -------
        ndarray of shape (stop - start,)
            A new float64 array.

        Raises
        ------
        SignalError
            If there is no such role.
        """
        stretch = self._row(role)[start:stop].astype(np.float64)
        gain, offset = self.scale(role)
        stretch *= gain
        stretch += offset
        return stretch

    def swapped(self, first: str, second: str) -> "AnalogSignals":
        """Return the same recording with two roles exchanged.

        Parameters
        ----------
        first, second
            Roles whose channels are the other way round in the file.

        Returns
        -------
        AnalogSignals
            A new view of the same file.

        Raises
        ------
        SignalError
            If there is no such role.
        """
        self._number(first)
        self._number(second)
        rows = {**self._rows, first: self._rows[second], second: self._rows[first]}
        return AnalogSignals(self._path, self._stored, rows, gain=self._gain, offset=self._offset)

    def _row(self, role: str) -> NDArray[Any]:
        """Return the view of one channel as it is stored."""
        row: NDArray[Any] = self._samples[self._number(role)]
        return row

    def _number(self, role: str) -> int:
        """Return the row of a channel."""
        if role not in self._rows:
            raise SignalError(
                f"{self._path}: no channel has the role '{role}'; there are {_listed(self.roles)}."
            )
        return self._rows[role]


class LazyRows:
    """Channels of a foreign file, which take time and room to unpack.

    Parameters
    ----------
    columns
        The file.
    wanted
        Indices of the columns that are rows here.
    """

    def __init__(self, columns: ForeignColumns, wanted: Sequence[int]) -> None:
        self._columns, self._wanted = columns, tuple(wanted)
        self._array: NDArray[Any] | None = None
        n_values = columns.listing.columns[self._wanted[0]].n_values
        self.shape = (len(self._wanted), n_values)
        self.dtype = np.dtype(columns.listing.dtype)

    @property
    def file(self) -> ForeignColumns:
        """The file."""
        return self._columns

    @property
    def columns(self) -> tuple[int, ...]:
        """The file's column behind each row, from 0."""
        return self._wanted

    @property
    def is_read(self) -> bool:
        """Whether they have been unpacked."""
        return self._array is not None

    def array(self) -> NDArray[Any]:
        """Return the samples (n_channels, n_samples); unpack them the first time."""
        if self._array is None:
            self._array = self._columns.read(self._wanted)
        return self._array


@dataclass(frozen=True, kw_only=True)
class BinLayout:
    """How a `.bin` holds its samples: interleaved integers, little-endian."""

    dtype: str = "int16"
    """Name of an integer type of 8 to 64 bits; ``>`` in front of it for big-endian."""
    header_bytes: int = 0
    """Bytes before the first sample."""
    range_v: tuple[float, float] = (-10.0, 10.0)
    """Volts of the lowest value of the type, and of that after its highest."""

    def numpy_dtype(self) -> np.dtype[Any]:
        """Return the type of the samples.

        Raises
        ------
        SignalError
            If it is no integer type.
        """
        try:
            found = np.dtype(self.dtype)
        except TypeError:
            found = np.dtype(object)
        if found.kind not in "iu":
            raise SignalError(
                f"signals.bin.dtype is '{self.dtype}'; an integer type such as int16 is expected."
            )
        return found if self.dtype.startswith(">") else found.newbyteorder("<")

    def scale(self) -> tuple[float, float]:
        """Return gain and offset: volts are ``gain * value + offset``."""
        limits = np.iinfo(self.numpy_dtype())
        low, high = self.range_v
        gain = (high - low) / (float(limits.max) - float(limits.min) + 1.0)
        return gain, low - gain * float(limits.min)


def open_signals(
    path: str | os.PathLike[str],
    *,
    channel_order: Sequence[str] = ROLES,
    channel_names: Mapping[str, str | int | None] | None = None,
    dataset: str | None = None,
    layout: BinLayout | None = None,
    required: Sequence[str] = ROLES,
) -> AnalogSignals:
    """Open the analog signals of a recording.

    Parameters
    ----------
    path
        A `.npy` of shape (n_channels, n_samples) or (n_samples, n_channels) in any real number
        type, taken as volts; a `.bin` of interleaved integers; a `.h5` (a matrix, a group of
        columns, or a sweep of WaveSurfer), `.mat` (a matrix, or a variable per channel), `.tdms`
        or `.csv`.
    channel_order
        Names of the file's channels, in the file's order; all of them, also those not needed. Not
        needed where the file itself names its channels.
    channel_names
        Name of the channel for each of :data:`ROLES` and :data:`OPTIONAL_ROLES`, or its number,
        counted from 1. A role that is left out has the channel of its own name; None: there is no
        such channel.
    dataset
        Dataset, variable or group that holds the channels, where there are several.
    layout
        How a `.bin` holds its samples; by default int16 for -10 to 10 V.
    required
        Roles that need a channel, unless `channel_names` says that there is none.

    Returns
    -------
    AnalogSignals
        The mapped file. Nothing but its header has been read.

    Raises
    ------
    SignalError
        If the file is missing, unreadable or empty, if it holds another number of channels than
        `channel_order`, or if a channel's name is not in `channel_order`.
    """
    path = Path(path)
    order, names = tuple(channel_order), dict(channel_names or {})
    _check_names(order, names)
    if path.is_dir():
        raise SignalError(f"{path} is a folder; the analog signals are one file, as .npy or .bin.")
    if not path.exists():
        raise SignalError(f"{path} does not exist; check the path of the analog signals.")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        samples = _open_npy(path, order)
        return AnalogSignals(
            path, samples, _rows(path, [None] * len(samples), order, names, required)
        )
    if suffix == ".bin":
        layout = layout or BinLayout()
        gain, offset = layout.scale()
        samples = _open_bin(path, order, layout)
        rows = _rows(path, [None] * len(samples), order, names, required)
        return AnalogSignals(path, samples, rows, gain=gain, offset=offset)
    if suffix in KINDS:
        return _open_foreign(path, order, names, dataset, required)
    raise SignalError(
        f"{path}: analog signals are read from .npy, .bin, {', '.join(KINDS)}, not from "
        f"'{path.suffix}' files."
    )


def signal_options(section: Mapping[str, Any]) -> dict[str, Any]:
    """Take what :func:`open_signals` needs out of the configuration's section ``signals``."""
    layout = section.get("bin", {})
    low, high = layout.get("range_v", BinLayout.range_v)
    return {
        "channel_order": section["channel_order"],
        "channel_names": section["channel_names"],
        "dataset": section.get("dataset"),
        "layout": BinLayout(
            dtype=layout.get("dtype", "int16"),
            header_bytes=layout.get("header_bytes", 0),
            range_v=(low, high),
        ),
    }


def _open_foreign(
    path: Path,
    order: tuple[str, ...],
    names: dict[str, str | int | None],
    dataset: str | None,
    required: Sequence[str],
) -> AnalogSignals:
    """Find the channels of a file of another program."""
    columns = ForeignColumns(path, dataset=dataset, n_expected=len(order), error=SignalError)
    found = _rows(path, columns.names, order, names, required)
    listed = [columns.listing.columns[index] for index in found.values()]
    lengths = {column.n_values for column in listed}
    if len(lengths) > 1:
        shown = ", ".join(
            f"{role} {column.n_values}" for role, column in zip(found, listed, strict=True)
        )
        raise SignalError(
            f"{path}: the channels have different numbers of samples ({shown}); all of them must "
            "be sampled at one rate."
        )
    if not min(lengths):
        raise SignalError(f"{path} is empty: its channels have no samples.")
    return AnalogSignals(
        path,
        LazyRows(columns, list(found.values())),
        {role: row for row, role in enumerate(found)},
        gain=[column.gain for column in listed],
        offset=[column.offset for column in listed],
    )


def _check_names(order: tuple[str, ...], names: dict[str, str | int | None]) -> None:
    """Check what the configuration says by itself."""
    if not order:
        raise SignalError("signals.channel_order is empty; name every channel of the file.")
    repeated = sorted({name for name in order if order.count(name) > 1})
    if repeated:
        raise SignalError(
            f"signals.channel_order names {_listed(repeated)} more than once; "
            "each channel needs a name of its own."
        )
    known = (*ROLES, *OPTIONAL_ROLES)
    unknown = [role for role in names if role not in known]
    if unknown:
        raise SignalError(
            f"signals.channel_names has the unknown role {_listed(unknown)}; "
            f"the roles are {_listed(known)}."
        )


def _rows(
    path: Path,
    own_names: list[str | None],
    order: tuple[str, ...],
    names: dict[str, str | int | None],
    required: Sequence[str],
) -> dict[str, int]:
    """Find the row of each role: by the file's own names, by those of the order, or by number.

    The order serves files without names only: the places of named columns mean nothing (datasets of
    HDF5 are listed by the alphabet, variables of MATLAB as they were saved).
    """
    # A name that several columns share tells none of them.
    own_names = [name if own_names.count(name) == 1 else None for name in own_names]
    has_order = len(order) == len(own_names) and not any(own_names)
    rows: dict[str, int] = {}
    for role in (*ROLES, *OPTIONAL_ROLES):
        name = names.get(role, role)
        if name is None:
            continue
        index = column_index(own_names, name, order if has_order else None)
        if index is None and name == role and role not in required:
            continue
        if index is None:
            named = [name for name in own_names if name is not None]
            where = f"the file's channels: {_listed(named)}" if named else (
                f"signals.channel_order: {_listed(order)}"
            )  # fmt: skip
            counted = "" if has_order else f" (the file has {len(own_names)} channels)"
            hint = did_you_mean(str(name), named or order)
            advice = (
                "Correct signals.channel_names or signals.channel_order; if there is none, set "
                f"signals.channel_names.{role} to null."
            )
            if role in OPTIONAL_ROLES and role in required:
                # Wanted only since it is to tell the angle, so that there has to be one.
                advice = (
                    "angles.source asks for it: write there what tells the angle in this "
                    "recording, or name the channel in signals."
                    f"{'channel_names' if named or name != role else 'channel_order'}."
                )
            raise SignalError(
                f"{path}: the channel '{name}', wanted as {role}, is not among "
                f"{where}{counted}{hint}. {advice}"
            )
        rows[role] = index
    shared = [role for role in rows if list(rows.values()).count(rows[role]) > 1]
    if shared:
        raise SignalError(
            f"signals.channel_names gives one channel to {_listed(shared)}; "
            "each role needs a channel of its own."
        )
    return rows


def _open_npy(path: Path, order: Sequence[str]) -> NDArray[Any]:
    """Map a `.npy` after comparing its shape with the names."""
    try:
        samples = np.lib.format.open_memmap(path, mode="r")
    except MemoryError:
        raise
    except Exception as error:
        # A damaged header makes NumPy raise whatever Python's own parser does.
        raise SignalError(
            f"{path} cannot be read as a .npy file ({error}). It may be cut off, or hold "
            "something else."
        ) from error
    if samples.dtype.kind not in "biuf":
        raise SignalError(f"{path} holds {samples.dtype}; analog signals are real numbers.")
    if samples.ndim == 2 and len(samples) != len(order) and samples.shape[1] == len(order):
        # Samples run along the first axis.
        samples = samples.T
    if samples.ndim != 2 or len(samples) != len(order):
        channels = f"{len(samples)} channels" if samples.ndim == 2 else "not two dimensions"
        raise SignalError(
            f"{path} has shape {samples.shape}, that is {channels}, but signals.channel_order "
            f"names {len(order)} ({_listed(order)}), so ({len(order)}, n) was expected."
        )
    if samples.shape[1] == 0:
        raise SignalError(f"{path} is empty: its shape is {samples.shape}.")
    # A plain array over the same map: slicing a memmap object costs more, and gains nothing.
    return samples.view(np.ndarray)


def _open_bin(path: Path, order: Sequence[str], layout: BinLayout) -> NDArray[Any]:
    """Map a `.bin` after comparing its size with the names."""
    dtype, header = layout.numpy_dtype(), layout.header_bytes
    n_bytes = path.stat().st_size - header
    if n_bytes <= 0:
        after = f" after its header of {header} bytes" if header else ""
        raise SignalError(f"{path} is empty{after}.")
    sample_bytes = len(order) * dtype.itemsize
    if n_bytes % sample_bytes:
        raise SignalError(
            f"{path} has {n_bytes} bytes of samples, which is no multiple of {sample_bytes} "
            f"({len(order)} channels x {dtype.itemsize} bytes, {n_bytes % sample_bytes} are "
            f"left over). Either signals.channel_order ({_listed(order)}) does not name every "
            "channel, or signals.bin does not say how the file is laid out, or it is cut off."
        )
    try:
        flat = np.memmap(path, dtype=dtype, mode="r", offset=header)
    except (OSError, ValueError) as error:
        raise SignalError(f"{path} cannot be read ({error}).") from error
    return flat.view(np.ndarray).reshape(-1, len(order)).T


def _listed(names: Sequence[str]) -> str:
    """Join names for a message."""
    return ", ".join(map(str, names))
