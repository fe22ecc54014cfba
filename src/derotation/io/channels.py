"""The channels of a signals file before anybody has said what they are for."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import SignalError
from derotation.io.columns import ForeignColumns
from derotation.io.foreign import KINDS
from derotation.io.signals import BinLayout

__all__ = ["Channels", "open_channels"]

#: First sample, and the one after the last.
Stretch = tuple[int, int]
# More channels than this are no matrix of signals whose axes can be told apart.
MOST_CHANNELS = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Channels:
    """All channels of a file, by their numbers; nothing of them is in memory."""

    path: Path
    """The file."""
    names: tuple[str | None, ...]
    """What the file calls each channel; None where it says nothing."""
    n_samples: int
    """Samples of each channel."""
    stored: str
    """How they are stored, in plain words."""
    layout: BinLayout | None
    """How a `.bin` is read; None for all other files."""
    reader: Callable[[Sequence[Stretch]], list[NDArray[np.float32]]]
    """Reads stretches, see :meth:`read`."""
    stated_rate: float | None = None
    """Samples per second as the file says it, Hz."""

    def __len__(self) -> int:
        return len(self.names)

    def read(self, stretches: Sequence[Stretch]) -> list[NDArray[np.float32]]:
        """Read stretches of all channels.

        Parameters
        ----------
        stretches
            Ascending, none of them overlapping another.

        Returns
        -------
        list of ndarray of shape (n_channels, n)
            Volts, one array for each stretch.
        """
        return self.reader(stretches)


def open_channels(
    path: str | os.PathLike[str],
    *,
    n_channels: int | None = None,
    layout: BinLayout | None = None,
    dataset: str | None = None,
    listed: ForeignColumns | None = None,
) -> Channels:
    """Open a signals file of which nobody has said what its channels are.

    Parameters
    ----------
    path
        A file as :func:`derotation.io.signals.open_signals` reads it.
    n_channels
        How many channels it holds. Needed for a `.bin`, which does not say it; elsewhere it only
        tells which axis of a matrix is time, which is the longer one if this is None.
    layout
        How a `.bin` holds its samples.
    dataset
        Where in the file the channels are, if it holds several things.
    listed
        The columns of a file of another program, if they are listed already.

    Returns
    -------
    Channels

    Raises
    ------
    SignalError
        If the file is missing or unreadable, or no matrix of channels.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise SignalError(f"{path} {what}; name a file of analog signals.")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _npy(path, n_channels)
    if suffix == ".bin":
        return _bin(path, n_channels or 1, layout or BinLayout())
    if suffix in KINDS:
        return _foreign(path, listed or _columns(path, n_channels, dataset))
    raise SignalError(
        f"{path}: analog signals are read from .npy, .bin, {', '.join(KINDS)}, not from "
        f"'{path.suffix}' files."
    )


def _npy(path: Path, n_channels: int | None) -> Channels:
    try:
        samples = np.lib.format.open_memmap(path, mode="r").view(np.ndarray)
    except MemoryError:
        raise
    except Exception as error:
        # A damaged header makes NumPy raise whatever Python's own parser does.
        raise SignalError(f"{path} cannot be read as a .npy file ({error}).") from error
    if samples.dtype.kind not in "biuf" or samples.ndim not in (1, 2) or not samples.size:
        raise SignalError(
            f"{path} has shape {samples.shape} and type {samples.dtype}; a matrix of channels x "
            "samples of real numbers was expected."
        )
    shape = samples.shape
    matrix = np.atleast_2d(samples)
    if len(matrix) != n_channels and (
        matrix.shape[1] == n_channels or len(matrix) > matrix.shape[1]
    ):
        matrix = matrix.T
    if len(matrix) > MOST_CHANNELS:
        raise SignalError(f"{path} has shape {shape}; channels x samples were expected.")
    turned = " (samples along the first axis)" if matrix.shape != shape else ""
    return Channels(
        path=path,
        names=(None,) * len(matrix),
        n_samples=matrix.shape[1],
        stored=f"a matrix of {' x '.join(map(str, shape))} {samples.dtype}{turned}",
        layout=None,
        reader=lambda stretches: [_volts(matrix[:, a:b], 1.0, 0.0) for a, b in stretches],
    )


def _bin(path: Path, n_channels: int, layout: BinLayout) -> Channels:
    dtype, header = layout.numpy_dtype(), layout.header_bytes
    n_samples = (path.stat().st_size - header) // (dtype.itemsize * n_channels)
    if n_samples < 1:
        raise SignalError(f"{path} is empty.")
    flat = np.memmap(path, dtype, "r", offset=header, shape=(n_samples, n_channels))
    matrix = flat.view(np.ndarray).T
    gain, offset = layout.scale()
    return Channels(
        path=path,
        names=(None,) * n_channels,
        n_samples=n_samples,
        stored=f"{n_channels} channels in turns, {layout.dtype}",
        layout=layout,
        reader=lambda stretches: [_volts(matrix[:, a:b], gain, offset) for a, b in stretches],
    )


def _columns(path: Path, n_channels: int | None, dataset: str | None) -> ForeignColumns:
    return ForeignColumns(path, dataset=dataset, n_expected=n_channels, error=SignalError)


def _foreign(path: Path, opened: ForeignColumns) -> Channels:
    columns = opened.listing.columns
    n_samples = min(column.n_values for column in columns)
    if not n_samples:
        raise SignalError(f"{path} is empty: its channels have no samples.")

    def read(stretches: Sequence[Stretch]) -> list[NDArray[np.float32]]:
        raw = opened.read_stretches(range(len(columns)), stretches)
        gain = np.array([[column.gain] for column in columns])
        offset = np.array([[column.offset] for column in columns])
        return [_volts(block, gain, offset) for block in raw]

    where = f" in {opened.listing.dataset}" if opened.listing.dataset.strip("/") else ""
    return Channels(
        path=path,
        names=tuple(column.name for column in columns),
        n_samples=n_samples,
        stored=f"{len(columns)} columns of {path.suffix}{where}",
        layout=None,
        reader=read,
        stated_rate=opened.listing.sampling_rate,
    )


def _volts(raw: NDArray[Any], gain: Any, offset: Any) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and said so
        volts = raw * gain
        volts += offset
        return np.ascontiguousarray(volts, np.float32)
