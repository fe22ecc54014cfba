"""Arrays that an earlier step wrote, read back from a `.npz`."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError

__all__ = ["check_arrays", "open_result", "read_npz"]


def read_npz(
    path: str | os.PathLike[str], what: str, *, only: Collection[str] | None = None
) -> dict[str, NDArray[Any]]:
    """Read the arrays of a `.npz`.

    Parameters
    ----------
    path
        The file.
    what
        What it should hold, for the message.
    only
        Names of the arrays that are wanted, if they are there; by default all.

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
            names = [name for name in archive.files if only is None or name in only]
            return {name: archive[name] for name in names}
    except Exception as error:
        # A damaged archive makes zipfile, zlib and NumPy's parser of headers raise many things.
        raise InputError(
            f"{os.fspath(path)} cannot be read as {what} ({error}). Make it again."
        ) from error


def open_result(
    path: str | os.PathLike[str], kind: str, version: int, *, only: Collection[str] | None = None
) -> dict[str, NDArray[Any]]:
    """Read a `.npz` that holds a result of a given kind; `only` as for :func:`read_npz`.

    Raises
    ------
    InputError
        If it cannot be read, holds something else, or was written by a later version.
    """
    values = read_npz(path, kind, only=None if only is None else {*only, "kind", "version"})
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
        if name in finite and not (array.dtype.kind in "biuf" and np.isfinite(array).all()):
            raise InputError(
                f"{os.fspath(path)}: {name} holds values that are no finite numbers. Make it again."
            )
