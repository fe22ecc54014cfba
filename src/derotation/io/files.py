"""Files that appear whole or not at all, and the order in which numbered files belong."""

import contextlib
import errno
import json
import logging
import math
import os
import re
import secrets
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.numerics.pages import release

__all__ = [
    "disk_error",
    "natural_sort",
    "npz_entry",
    "save_npz",
    "visible",
    "whole_file",
    "whole_files",
    "write_array",
    "write_json",
    "write_out",
    "write_text",
]

logger = logging.getLogger(__name__)

# These can only come from writing, so the file being written can be blamed for them.
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


# Content of an `.npz` begins at multiples of so many bytes, as it does in a `.npy`.
ALIGNMENT = 64
# An entry's header without its name, but with the sizes of 64 bits; the extra field that pads it.
_ZIP_HEADER_BYTES, _ZIP_PADDING = 30 + 20, 0xD935


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file so that it appears whole or not at all.

    Parameters
    ----------
    path
        The file to be written. Its folder is made if there is none; an older file of this name
        stays until the new one is whole.

    Yields
    ------
    pathlib.Path
        A name in the same folder, hidden and with the same suffix, to write to.

    Raises
    ------
    InputError
        If `path` is a folder, or if nothing was written to the temporary name.
    OSError
        If the disk is full: the error names `path`. Whatever is raised inside the block,
        `KeyboardInterrupt` and `SystemExit` included, is passed on after the temporary file has
        been removed.
    """
    with whole_files([path]) as (temporary,):
        yield temporary


@contextlib.contextmanager
def whole_files(paths: Iterable[str | os.PathLike[str]]) -> Iterator[tuple[Path, ...]]:
    """Write several files so that none appears before all of them are whole.

    Parameters
    ----------
    paths
        The files to be written.

    Yields
    ------
    tuple of pathlib.Path
        A temporary name for each of them, as of :func:`whole_file`.

    Raises
    ------
    InputError
        If one of `paths` is a folder, or if nothing was written to one of the temporary names.
    OSError
        See :func:`whole_file`.
    """
    targets = tuple(Path(path) for path in paths)
    for target in targets:
        if target.is_dir():
            raise InputError(f"{target} is a folder; give the name of a file to write.")
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
    temporaries = tuple(_temporary_name(target) for target in targets)
    try:
        yield temporaries
        for temporary, target in zip(temporaries, targets, strict=True):
            if not temporary.exists():
                raise InputError(f"nothing was written for {target}, so it was not made.")
        for temporary, target in zip(temporaries, targets, strict=True):
            temporary.replace(target)
    except OSError as error:
        if error.errno in _DISK_ERRORS and error.filename not in map(str, targets):
            raise disk_error(error, ", ".join(map(str, targets))) from error
        raise
    finally:
        # After success nothing is left under these names.
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


def _temporary_name(target: Path) -> Path:
    """Name a hidden file beside `target`, with its suffix, that nothing else uses."""
    return target.with_name(f".{target.stem}.{os.getpid()}-{secrets.token_hex(4)}{target.suffix}")


def _remove_leftovers(target: Path) -> None:
    """Remove what a process that was killed has left under a temporary name: movies are large."""
    name = rf"\.{re.escape(target.stem)}\.(\d+)-[0-9a-f]{{8}}{re.escape(target.suffix)}"
    for file in target.parent.iterdir():
        match = re.fullmatch(name, file.name)
        if match and not _is_running(int(match[1])):
            logger.info("%s is removed: what wrote it was killed", file)
            file.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    """Tell whether there is a process of this number on this computer."""
    if os.name != "posix":  # there, asking would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def disk_error(error: OSError, path: str) -> OSError:
    """Return the same kind of error, naming the file that was being written."""
    if error.errno is None:
        return OSError(f"{path} could not be written: {error}")
    return OSError(error.errno, f"{os.strerror(error.errno)}; could not write", path)


def write_array(stream: IO[bytes], array: NDArray[Any]) -> None:
    """Write all of a contiguous array; the system may take it in several pieces."""
    view = array.data.cast("B")
    written = 0
    while written < len(view):
        written += stream.write(view[written:])


def write_out(stream: IO[bytes]) -> None:
    """Have the system write a large file to disk as it grows, and forget what is written.

    For files that nobody reads soon. Kept in memory, they would push out what the next steps read,
    and finding memory for them takes longer than writing them. Without a system that can be told so
    (Linux can), nothing happens.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write text as UTF-8, whole or not at all.

    Parameters
    ----------
    path
        The file to be written.
    text
        Its content. Line ends are written as they are.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: str | os.PathLike[str], obj: object) -> None:
    """Write JSON for people: indented, keys in the order given, whole or not at all.

    Parameters
    ----------
    path
        The file to be written.
    obj
        Nested mappings, sequences, arrays, strings, numbers (those of numpy as well), booleans,
        paths and None. NaN and infinities become null, since JSON has no word for them.

    Raises
    ------
    TypeError
        If `obj` holds anything else.
    OSError
        If the file cannot be written.
    """
    text = json.dumps(_plain(obj), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def _plain(obj: object) -> object:
    """Turn numpy's types, paths and non-finite numbers into what JSON can hold."""
    match obj:
        case None | bool() | int() | str():
            return obj
        case float():
            return obj if math.isfinite(obj) else None
        case np.generic() | np.ndarray():
            return _plain(obj.tolist())
        case os.PathLike():
            return os.fspath(obj)
        case Mapping():
            return {_plain_key(key): _plain(value) for key, value in obj.items()}
        case Sequence() | set() | frozenset() if not isinstance(obj, bytes | bytearray):
            return [_plain(item) for item in obj]
    raise TypeError(f"{type(obj).__name__} cannot be written as JSON.")


def _plain_key(key: object) -> str:
    """Return a mapping's key as text, as JSON needs it."""
    plain = _plain(key)
    return plain if isinstance(plain, str) else json.dumps(plain)


def save_npz(path: str | os.PathLike[str], /, **arrays: ArrayLike) -> None:
    """Save arrays in an uncompressed `.npz`: same arrays, same bytes.

    Parameters
    ----------
    path
        The file to be written, whole or not at all.
    **arrays
        The arrays by name, in the order given; scalars and strings are stored as arrays of no
        dimension.

    Raises
    ------
    InputError
        If an array holds Python objects, which only unpickling could read back.
    OSError
        If the file cannot be written.
    """
    prepared = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in prepared.items():
        if array.dtype.hasobject:
            raise InputError(
                f"array '{name}' for {os.fspath(path)} holds Python objects; "
                "store numbers, booleans or strings."
            )
    with (
        whole_file(path) as temporary,
        temporary.open("wb") as file,
        zipfile.ZipFile(file, "w") as archive,
    ):
        for name, array in prepared.items():
            with archive.open(npz_entry(name, file.tell()), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)
            release(array)


def npz_entry(name: str, at: int | None = None) -> zipfile.ZipInfo:
    """Name an array of an `.npz`, with a fixed date: the same arrays give the same bytes.

    Numpy's own writer leaves the date to the Python version.

    Parameters
    ----------
    name
        The array's name.
    at
        Where in the file the entry begins. If given, its content begins at a multiple of 64 bytes,
        so that arrays can be mapped (:func:`derotation.io.results.read_npz`); it must be written
        with ``force_zip64`` then.
    """
    entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    if at is not None:
        before = at + _ZIP_HEADER_BYTES + len(entry.filename.encode())
        padding = bytes(-(before + 4) % ALIGNMENT)
        entry.extra = struct.pack("<HH", _ZIP_PADDING, len(padding)) + padding
    return entry


def natural_sort(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Sort paths so that numbers in them count as numbers: `m_2.tif` before `m_10.tif`.

    Parameters
    ----------
    paths
        Paths in any order.

    Returns
    -------
    list of pathlib.Path
        The same paths, folder by folder in natural order.
    """
    return sorted((Path(path) for path in paths), key=_natural_key)


def visible(folder: Path, *patterns: str) -> list[Path]:
    """List the files in a folder that match, without hidden ones.

    Some systems leave a file ``._name`` beside each one that they copy.

    Parameters
    ----------
    folder
        The folder.
    patterns
        Such as ``*.tif``.

    Returns
    -------
    list of pathlib.Path
        In no order.
    """
    found = (path for pattern in patterns for path in folder.glob(pattern))
    return [path for path in found if not path.name.startswith(".")]


def _natural_key(path: Path) -> tuple[tuple[tuple[str | int, ...], ...], str]:
    """Split each part of a path into text and numbers, which then alternate at fixed places."""
    parts = tuple(
        tuple(
            int(piece) if index % 2 else piece.casefold()
            for index, piece in enumerate(re.split(r"([0-9]+)", part))
        )
        for part in path.parts
    )
    # The path itself settles ties such as m_01 and m_1.
    return parts, str(path)
