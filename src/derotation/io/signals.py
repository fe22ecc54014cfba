"""Analog signals of a recording, mapped into memory and never copied as a whole."""

import mmap
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import SignalError

__all__ = ["OPTIONAL_ROLES", "ROLES", "AnalogSignals", "open_signals"]

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

# A 16-bit converter over -10 to 10 V: volts = -10 + 20 (v + 2**15) / 2**16.
_BIN_DTYPE = np.dtype("<i2")
_BIN_GAIN = 20.0 / 2**16
_BIN_OFFSET = -10.0 + 20.0 * 2**15 / 2**16

_TRANSPOSED_HINT = " Samples seem to run along the first axis; save the transposed array."


class AnalogSignals:
    """Channels of one recording by their role, read from disk when looked at.

    Made by :func:`open_signals`.

    Parameters
    ----------
    path
        The file the samples come from.
    samples
        Array of shape (n_channels, n_samples), memory-mapped.
    rows
        Row of `samples` for each role.
    gain, offset
        Volts are ``gain * raw + offset``.
    """

    def __init__(
        self,
        path: Path,
        samples: NDArray[Any],
        rows: Mapping[str, int],
        *,
        gain: float = 1.0,
        offset: float = 0.0,
    ) -> None:
        self._path = path
        self._samples = samples
        self._rows = dict(rows)
        self._gain = gain
        self._offset = offset

    def __repr__(self) -> str:
        return (
            f"AnalogSignals('{self._path}', n_samples={self.n_samples}, "
            f"dtype={self._samples.dtype}, roles={self.roles})"
        )

    @property
    def path(self) -> Path:
        """The file the samples come from."""
        return self._path

    @property
    def n_samples(self) -> int:
        """Number of samples of each channel."""
        return int(self._samples.shape[1])

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
        self._row(role)
        return self._gain, self._offset

    def release(self) -> None:
        """Let go of the pages that were read from the file; they are read again when needed.

        Whoever goes through a long recording calls it from time to time, since a page that was
        looked at otherwise stays in memory.
        """
        owner: object = self._samples
        while isinstance(owner, np.ndarray):
            # Private changes of a copy-on-write map would be lost.
            if isinstance(owner, np.memmap) and getattr(owner, "mode", None) == "c":
                return
            owner = owner.base
        if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            owner.madvise(mmap.MADV_DONTNEED)

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
        stretch *= self._gain
        stretch += self._offset
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
        self._row(first)
        self._row(second)
        rows = {**self._rows, first: self._rows[second], second: self._rows[first]}
        return AnalogSignals(self._path, self._samples, rows, gain=self._gain, offset=self._offset)

    def _row(self, role: str) -> NDArray[Any]:
        """Return the view of one channel as it is stored."""
        if role not in self._rows:
            raise SignalError(
                f"{self._path}: no channel has the role '{role}'; there are {_listed(self.roles)}."
            )
        row: NDArray[Any] = self._samples[self._rows[role]]
        return row


def open_signals(
    path: str | os.PathLike[str],
    *,
    channel_order: Sequence[str] = ROLES,
    channel_names: Mapping[str, str | None] | None = None,
    required: Sequence[str] = ROLES,
) -> AnalogSignals:
    """Open the analog signals of a recording.

    Parameters
    ----------
    path
        A `.npy` of shape (n_channels, n_samples) in any real number type, taken as volts, or a
        `.bin` of interleaved little-endian int16, with volts = -10 + 20 (v + 2^15) / 2^16.
    channel_order
        Names of the file's channels, in the file's order; all of them, also those not needed.
    channel_names
        Name of the channel for each of :data:`ROLES` and :data:`OPTIONAL_ROLES`. A role that is
        left out has the channel of its own name; None: there is no such channel.
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
    rows = _rows(path, tuple(channel_order), dict(channel_names or {}), required)
    if path.is_dir():
        raise SignalError(f"{path} is a folder; the analog signals are one .npy or .bin file.")
    if not path.exists():
        raise SignalError(f"{path} does not exist; check the path of the analog signals.")
    match path.suffix.lower():
        case ".npy":
            return AnalogSignals(path, _open_npy(path, channel_order), rows)
        case ".bin":
            samples = _open_bin(path, channel_order)
            return AnalogSignals(path, samples, rows, gain=_BIN_GAIN, offset=_BIN_OFFSET)
    raise SignalError(
        f"{path}: analog signals are read from .npy or .bin, not from '{path.suffix}' files."
    )


def _rows(
    path: Path, order: tuple[str, ...], names: dict[str, str | None], required: Sequence[str]
) -> dict[str, int]:
    """Find the row of each role."""
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
    rows: dict[str, int] = {}
    for role in known:
        name = names.get(role, role)
        if name is None or (name not in order and name == role and role not in required):
            continue
        if name not in order:
            raise SignalError(
                f"{path}: the channel '{name}', wanted as {role}, is not among "
                f"signals.channel_order: {_listed(order)}. Correct signals.channel_names or "
                f"signals.channel_order; if there is none, set signals.channel_names.{role} to "
                "null."
            )
        rows[role] = order.index(name)
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
    except (OSError, ValueError, EOFError) as error:
        raise SignalError(
            f"{path} cannot be read as a .npy file ({error}). It may be cut off, or hold "
            "something else."
        ) from error
    if samples.dtype.kind not in "biuf":
        raise SignalError(f"{path} holds {samples.dtype}; analog signals are real numbers.")
    if samples.ndim != 2 or len(samples) != len(order):
        transposed = samples.ndim == 2 and samples.shape[1] == len(order)
        channels = f"{len(samples)} channels" if samples.ndim == 2 else "not two dimensions"
        raise SignalError(
            f"{path} has shape {samples.shape}, that is {channels}, but signals.channel_order "
            f"names {len(order)} ({_listed(order)}), so ({len(order)}, n) was expected."
            + (_TRANSPOSED_HINT if transposed else "")
        )
    if samples.shape[1] == 0:
        raise SignalError(f"{path} is empty: its shape is {samples.shape}.")
    # A plain array over the same map: slicing a memmap object costs more, and gains nothing.
    return samples.view(np.ndarray)


def _open_bin(path: Path, order: Sequence[str]) -> NDArray[Any]:
    """Map a `.bin` after comparing its size with the names."""
    n_bytes = path.stat().st_size
    if n_bytes == 0:
        raise SignalError(f"{path} is empty.")
    sample_bytes = len(order) * _BIN_DTYPE.itemsize
    if n_bytes % sample_bytes:
        raise SignalError(
            f"{path} has {n_bytes} bytes, which is no multiple of {sample_bytes} "
            f"({len(order)} channels x {_BIN_DTYPE.itemsize} bytes, {n_bytes % sample_bytes} are "
            f"left over). Either signals.channel_order ({_listed(order)}) does not name every "
            "channel, or the file is cut off."
        )
    try:
        flat = np.memmap(path, dtype=_BIN_DTYPE, mode="r")
    except OSError as error:
        raise SignalError(f"{path} cannot be read ({error}).") from error
    return flat.view(np.ndarray).reshape(-1, len(order)).T


def _listed(names: Sequence[str]) -> str:
    """Join names for a message."""
    return ", ".join(map(str, names))
