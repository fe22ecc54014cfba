"""Arrays that an earlier step wrote, read back from a `.npz`."""

import math
import os
import struct
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.numerics.by_rows import by_rows

__all__ = ["check_arrays", "open_result", "read_npz"]

# Read at a time to compare a checksum.
_BYTES_AT_A_TIME = 1 << 20


def read_npz(
    path: str | os.PathLike[str], what: str, *, mapped: Collection[str] = ()
) -> dict[str, NDArray[Any]]:
    """Read all arrays of a `.npz`.

    Parameters
    ----------
    path
        The file.
    what
        What it should hold, for the message.
    mapped
        Names of large arrays that are mapped, for reading only, rather than read: a table of a
        number per line of an hour has hundreds of MB. Only possible if
        :func:`~derotation.io.files.save_npz` wrote them, without compression; else they are read.

    Returns
    -------
    dict of str to ndarray
        The arrays by name.

    Raises
    ------
    InputError
        If the file is missing, damaged or something else.
    """
    try:
        # NumPy would leave a file open that it cannot make sense of.
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {
                name: _mapped(stream, archive, name) if name in mapped else archive[name]
                for name in archive.files
            }
    except Exception as error:
        # A damaged archive makes zipfile, zlib and NumPy's parser of headers raise many things.
        raise InputError(
            f"{os.fspath(path)} cannot be read as {what} ({error}). Make it again."
        ) from error


def _mapped(stream: IO[bytes], archive: NpzFile, name: str) -> NDArray[Any]:
    """Map an array of an `.npz`, or read it if it is stored in another way."""
    assert archive.zip is not None
    info = archive.zip.getinfo(f"{name}.npy")
    with archive.zip.open(info) as entry:
        version = np.lib.format.read_magic(entry)
        if version != (1, 0):
            return archive[name]
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(entry)
        begin = entry.tell()
        n_bytes = math.prod(shape) * dtype.itemsize
        too_short = begin + n_bytes > info.file_size
        # Read once, since the checksum is compared at the end: what is damaged is not mapped.
        while entry.read(_BYTES_AT_A_TIME):
            pass
    stream.seek(info.header_offset)
    name_bytes, extra_bytes = struct.unpack("<26xHH", stream.read(30))
    begin += info.header_offset + 30 + name_bytes + extra_bytes
    if (
        info.compress_type != zipfile.ZIP_STORED
        or by_columns
        or dtype.hasobject
        or too_short
        or not n_bytes
        or begin % dtype.itemsize
    ):
        return archive[name]
    # A plain array over the map: slicing a memmap object costs more, and gains nothing.
    return np.memmap(stream, dtype, "r", begin, shape).view(np.ndarray)


def open_result(
    path: str | os.PathLike[str], kind: str, version: int, *, mapped: Collection[str] = ()
) -> dict[str, NDArray[Any]]:
    """Read a `.npz` that holds a result of a given kind; `mapped` as for :func:`read_npz`.

    Raises
    ------
    InputError
        If it cannot be read, holds something else, or was written by a later version.
    """
    values = read_npz(path, kind, mapped=mapped)
    if str(values.pop("kind", "")) != kind:
        raise InputError(f"{os.fspath(path)} holds no {kind}; it has {', '.join(values)}.")
    found = values.pop("version", -1)
    if not np.array_equal(found, version):
        raise InputError(
            f"{os.fspath(path)} holds {kind} of version {found}; this software reads version "
            f"{version}. Make it again."
        )
    return values


def check_arrays(
    path: str | os.PathLike[str],
    values: Mapping[str, Any],
    shapes: Mapping[str, tuple[str, ...]],
    finite: Collection[str] = (),
) -> None:
    """Refuse results whose arrays do not fit together.

    Parameters
    ----------
    path
        The file they were read from.
    values
        Arrays by name.
    shapes
        The axes of each array that has to be there, by name: () for a number. An axis of one name
        has one length wherever it occurs.
    finite
        Names of those whose values must be finite numbers.

    Raises
    ------
    InputError
        If one is missing, or has another shape or type.
    """
    lengths: dict[str, int] = {}
    for name, axes in shapes.items():
        if name not in values:
            raise InputError(f"{os.fspath(path)} lacks {name}. Make it again.")
        array = np.asarray(values[name])
        expected = tuple(
            lengths.setdefault(axis, n) for axis, n in zip(axes, array.shape, strict=False)
        )
        if array.ndim != len(axes) or array.shape != expected:
            raise InputError(
                f"{os.fspath(path)}: {name} has shape {array.shape}; the axes ({', '.join(axes)}) "
                f"of lengths {lengths} were expected. Make it again."
            )
        if name in finite and not (array.dtype.kind in "biuf" and _all_finite(array)):
            raise InputError(
                f"{os.fspath(path)}: {name} holds values that are no finite numbers. Make it again."
            )


def _all_finite(array: NDArray[Any]) -> bool:
    """Tell whether all numbers are finite."""
    rows = np.atleast_1d(array)
    return bool(
        by_rows(lambda some: np.isfinite(some).reshape(len(some), -1).all(axis=1), rows).all()
    )
