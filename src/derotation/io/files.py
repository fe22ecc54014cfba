"""Files that appear whole or not at all, and the order in which numbered files belong."""

import contextlib
import errno
import json
import logging
import math
import os
import re
import secrets
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from derotation.errors import InputError

__all__ = [
    "TiffStackWriter",
    "natural_sort",
    "npz_entry",
    "save_npz",
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

# Offsets in a classic TIFF end at 4 GiB; some readers stop at 4e9. The page tables need room too.
_CLASSIC_LIMIT_BYTES = 3_900_000_000
_PAGE_TABLE_BYTES = 512

# What ImageJ itself can hold; other types, and BigTIFFs, are described in OME-XML, which Fiji's
# Bio-Formats reads.
_IMAGEJ_DTYPES = frozenset({np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32)})
_OME_DTYPES = frozenset(map(np.dtype, ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8")))


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
            raise _named(error, ", ".join(map(str, targets))) from error
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


def _named(error: OSError, path: str) -> OSError:
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
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in prepared.items():
            with archive.open(npz_entry(name), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)


def npz_entry(name: str) -> zipfile.ZipInfo:
    """Name an array of an `.npz`, with a fixed date: the same arrays give the same bytes.

    Numpy's own writer leaves the date to the Python version.
    """
    return zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))


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


class TiffStackWriter:
    """Write a movie, block by block, as one contiguous uncompressed TIFF.

    The file appears under its name only when the ``with`` block ends and every frame has been
    written. It is a classic TIFF below 3.9 GB and a BigTIFF above; a classic one of a type that
    ImageJ knows (uint8, uint16, float32) carries ImageJ's own description, any other an OME-XML:
    Fiji shows seconds and micrometers for both. Each frame is a page of its own, so that every
    TIFF reader finds all of them.

    Parameters
    ----------
    path
        The file to be written.
    shape
        ``(n_frames, height, width)``, all at least 1.
    dtype
        Type of the pixels: integers of 8, 16 or 32 bits, or floats of 32 or 64.
    frame_interval_s
        Time from one frame to the next, in seconds, if known.
    pixel_size_um
        Width and height of a pixel in micrometers, if known.
    description
        Further names and values for the file's description (text and numbers only).

    Raises
    ------
    InputError
        If `shape` or `dtype` is not that of a movie.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with TiffStackWriter(f"{folder}/m.tif", (2, 3, 4), np.uint16) as writer:
    ...         for frame in np.ones((2, 3, 4), np.uint16):
    ...             writer.write(frame)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        shape: tuple[int, int, int],
        dtype: DTypeLike,
        *,
        frame_interval_s: float | None = None,
        pixel_size_um: float | None = None,
        description: Mapping[str, str | int | float] | None = None,
    ) -> None:
        self.path = Path(path)
        self.shape = _checked_shape(self.path, shape)
        self.dtype = np.dtype(dtype).newbyteorder("=")
        if self.dtype not in _OME_DTYPES:
            raise InputError(
                f"{self.path}: pixels of type {self.dtype} cannot be written; use integers of up "
                "to 32 bits, or floats of 32 or 64."
            )
        self.frame_interval_s = frame_interval_s
        self.pixel_size_um = pixel_size_um
        self.description = dict(description or {})
        self._n_written = 0
        self._stack = contextlib.ExitStack()
        self._stream: IO[bytes] | None = None

    @property
    def n_written(self) -> int:
        """Number of frames written so far."""
        return self._n_written

    @property
    def is_bigtiff(self) -> bool:
        """Whether the movie is too large for a classic TIFF."""
        n_frames, height, width = self.shape
        page_bytes = height * width * self.dtype.itemsize + _PAGE_TABLE_BYTES
        return n_frames * page_bytes > _CLASSIC_LIMIT_BYTES

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(whole_file(self.path))
            offset = self._write_headers(temporary)
            # Buffers would only copy: blocks are large. They would also put off disk errors.
            self._stream = stack.enter_context(temporary.open("r+b", buffering=0))
            self._stream.seek(offset)
            self._n_written = 0
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None and self._n_written != self.shape[0]:
            short = InputError(
                f"{self.path}: {self._n_written} of {self.shape[0]} frames were written, so the "
                "file was not made."
            )
            self._stack.__exit__(type(short), short, None)
            raise short
        self._stack.__exit__(kind, error, traceback)

    def write(self, block: NDArray[Any]) -> None:
        """Append frames.

        Parameters
        ----------
        block
            Frames of shape ``(n, height, width)``, or one frame ``(height, width)``, in the
            writer's dtype.

        Raises
        ------
        InputError
            If shape or dtype differ from the writer's, or if there are too many frames.
        OSError
            If the disk is full or the file cannot be written; the error names the file.
        """
        if self._stream is None or self._stream.closed:
            raise InputError(f"{self.path} is not open for writing; use the writer in a with.")
        frames = self._checked_block(block)
        if not len(frames):
            return
        try:
            write_array(self._stream, np.ascontiguousarray(frames))
        except OSError as error:
            raise _named(error, str(self.path)) from error
        self._n_written += len(frames)

    def _checked_block(self, block: NDArray[Any]) -> NDArray[Any]:
        """Return `block` with three dimensions after comparing it with what was announced."""
        frames = block[np.newaxis] if block.ndim == 2 else block
        if frames.ndim != 3 or frames.shape[1:] != self.shape[1:]:
            raise InputError(
                f"{self.path}: a block of shape {block.shape} does not fit into a movie of shape "
                f"{self.shape}."
            )
        # A cast could wrap values around; that is the caller's decision.
        if frames.dtype != self.dtype:
            raise InputError(
                f"{self.path}: a block of {frames.dtype} does not fit into a movie of "
                f"{self.dtype}; convert it first."
            )
        if self._n_written + len(frames) > self.shape[0]:
            raise InputError(
                f"{self.path}: {self._n_written + len(frames)} frames for a movie of "
                f"{self.shape[0]}."
            )
        return frames

    def _write_headers(self, temporary: Path) -> int:
        """Write everything but the pixels; return where these begin.

        The pixels are then written through an ordinary stream and not through a memory map,
        with which a full disk would end the whole process.
        """
        import tifffile

        imagej = not self.is_bigtiff and self.dtype in _IMAGEJ_DTYPES
        try:
            with tifffile.TiffWriter(
                temporary, bigtiff=self.is_bigtiff, imagej=imagej, ome=not imagej
            ) as writer:
                place = writer.write(
                    shape=self.shape,
                    dtype=self.dtype,
                    photometric="minisblack",
                    **(self._for_imagej() if imagej else self._for_ome()),
                    returnoffset=True,
                )
        except OSError as error:
            raise _named(error, str(self.path)) from error
        if place is None:  # pragma: no cover - only for pages that are not contiguous
            raise InputError(f"{self.path}: the pixels would not be contiguous.")
        return int(place[0])

    def _for_imagej(self) -> dict[str, Any]:
        """Describe the movie in ImageJ's words."""
        metadata: dict[str, Any] = {**self.description, "axes": "TYX"}
        if self.frame_interval_s is not None:
            metadata["finterval"] = float(self.frame_interval_s)
        if self.pixel_size_um is None:
            return {"metadata": metadata}
        per_um = 1 / self.pixel_size_um
        return {"metadata": metadata | {"unit": "um"}, "resolution": (per_um, per_um)}

    def _for_ome(self) -> dict[str, Any]:
        """Describe the movie in the words of OME-XML, and its pixels for plain TIFF readers."""
        told = (self.shape, str(self.dtype), self.frame_interval_s, self.pixel_size_um)
        metadata: dict[str, Any] = {
            "axes": "TYX",
            # By default random: equal movies shall be equal files.
            "UUID": uuid.uuid5(uuid.NAMESPACE_URL, f"{self.path.name} {told}").urn,
        }
        if self.description:
            metadata["Description"] = json.dumps(self.description)
        if self.frame_interval_s is not None:
            metadata |= {"TimeIncrement": float(self.frame_interval_s), "TimeIncrementUnit": "s"}
        if self.pixel_size_um is None:
            return {"metadata": metadata}
        for axis in "XY":
            metadata[f"PhysicalSize{axis}"] = float(self.pixel_size_um)
            metadata[f"PhysicalSize{axis}Unit"] = "µm"
        per_cm = 1e4 / self.pixel_size_um
        return {
            "metadata": metadata,
            "resolution": (per_cm, per_cm),
            "resolutionunit": "CENTIMETER",
        }


def _checked_shape(path: Path, shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the shape of a movie as plain integers."""
    if len(shape) != 3 or min(shape) < 1:
        raise InputError(
            f"{path}: a movie needs a shape (frames, height, width) without zeros, "
            f"not {tuple(shape)}."
        )
    n_frames, height, width = (int(size) for size in shape)
    return n_frames, height, width
