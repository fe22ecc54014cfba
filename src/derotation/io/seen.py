"""Which pixels of each derotated frame were seen: a bit for each of them, in one small file.

A blank pixel cannot be told from the movie itself, in which a seen pixel may hold the same value by
chance. Masks are plain, so that compression leaves a few hundredths of their bits.
"""

import contextlib
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.io.files import npz_entry, whole_file

__all__ = ["SeenPixels", "SeenWriter"]

_KIND = "derotation seen pixels"
_VERSION = 1
# Frames that are compressed together; a file must not depend on the chunks it was written in.
_BLOCK = 16
_FASTEST = 1
# No axis of a movie is longer: a size that says so is damaged.
_MOST = 2**31


def _name(block: int) -> str:
    return f"frames_{block * _BLOCK:09d}"


def _write_array(archive: zipfile.ZipFile, name: str, array: ArrayLike) -> None:
    """Add an array to an ``.npz``, compressed."""
    content = io.BytesIO()
    np.lib.format.write_array(content, np.asarray(array), allow_pickle=False)
    archive.writestr(npz_entry(name), content.getvalue(), zipfile.ZIP_DEFLATED, _FASTEST)


class SeenWriter:
    """Writes the masks of a movie's frames, as they come, into an ``.npz``.

    The file appears under its name only when the ``with`` block ends and every frame has been
    written. Its arrays ``frames_000000000``, ``frames_000000016`` and so on hold up to 16 frames
    each as `numpy.packbits` gives them, shape (frame, y, ceil(x / 8)).

    Parameters
    ----------
    path : path
        The file to be written.
    shape : tuple of int
        (frames, height, width) of the movie.
    """

    def __init__(self, path: str | os.PathLike[str], shape: tuple[int, int, int]) -> None:
        self.path, self.shape = Path(path), shape
        self._n_blocks, self._n_written = 0, 0
        self._waiting: list[NDArray[np.uint8]] = []
        self._stack = contextlib.ExitStack()
        self._archive: zipfile.ZipFile | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(whole_file(self.path))
            archive = stack.enter_context(zipfile.ZipFile(temporary, "w"))
            about: dict[str, ArrayLike] = {"kind": _KIND, "version": _VERSION, "shape": self.shape}
            for name, value in about.items():
                _write_array(archive, name, value)
            self._archive, self._stack = archive, stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._stack.__exit__(kind, error, traceback)
            return
        with self._stack:
            self._write_blocks(at_least=1)
            if self._n_written != self.shape[0]:
                msg = f"{self.path}: {self._n_written} of {self.shape[0]} frames were written"
                raise InputError(msg)

    def write(self, seen: NDArray[np.bool_]) -> None:
        """Append the masks (n, y, x) of consecutive frames."""
        self._waiting.extend(np.packbits(seen, axis=2))
        self._n_written += len(seen)
        self._write_blocks(at_least=_BLOCK)

    def _write_blocks(self, at_least: int) -> None:
        assert self._archive is not None
        while len(self._waiting) >= at_least:
            _write_array(self._archive, _name(self._n_blocks), np.stack(self._waiting[:_BLOCK]))
            del self._waiting[:_BLOCK]
            self._n_blocks += 1


class SeenPixels:
    """Reads what :class:`SeenWriter` wrote, a few frames at a time.

    Parameters
    ----------
    path : path
        The file ``seen.npz``; it stays open until :meth:`close`, or the end of a ``with`` block.

    Raises
    ------
    InputError
        If the file cannot be read, or holds something else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with contextlib.ExitStack() as stack:
            try:
                # NumPy would leave a file open that it cannot make sense of.
                stream = stack.enter_context(self.path.open("rb"))
                archive = stack.enter_context(np.load(stream, allow_pickle=False))
                kind, version = str(archive["kind"]), int(archive["version"])
                n_frames, height, width = archive["shape"].tolist()
            except Exception as error:
                # A damaged archive makes zipfile and NumPy's parser of headers raise many things.
                raise self._unreadable(str(error)) from error
            if (kind, version) != (_KIND, _VERSION):
                raise self._unreadable(f"it holds {kind} of version {version}")
            if not all(0 < size <= _MOST for size in (n_frames, height, width)):
                raise self._unreadable(f"it says ({n_frames}, {height}, {width})")
            self._archive, self._stack = archive, stack.pop_all()
        self.shape: tuple[int, int, int] = (n_frames, height, width)
        # Who reads on from within a block of frames need not unpack it again.
        self._last: tuple[int, NDArray[np.uint8]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def read(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Give the masks of the frames `start` to `stop` (stop - start, y, x)."""
        bits = np.unpackbits(self._packed(start, stop), axis=2, count=self.shape[2])
        return bits.view(np.bool_)

    def holes(self, start: int, stop: int) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Give those of the frames `start` to `stop` that did not see all, counted from `start`.

        Each with the pixels that it did not see, shape (y, x).
        """
        packed, width = self._packed(start, stop), self.shape[2]
        all_seen = np.packbits(np.ones(width, np.bool_))
        for k in np.flatnonzero((packed != all_seen).any(axis=(1, 2))).tolist():
            yield k, np.unpackbits(~packed[k], axis=1, count=width).view(np.bool_)

    def _packed(self, start: int, stop: int) -> NDArray[np.uint8]:
        blocks = range(start // _BLOCK, -(-stop // _BLOCK))
        packed = np.concatenate([self._block(number) for number in blocks])
        first = start - blocks.start * _BLOCK
        return packed[first : first + stop - start]

    def always(self, frames: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tell which pixels (y, x) all of the marked frames (frame,) saw; all if none is marked."""
        _, height, width = self.shape
        packed = np.full((height, -(-width // 8)), 255, np.uint8)
        for number in range(-(-self.shape[0] // _BLOCK)):
            marked = frames[number * _BLOCK : (number + 1) * _BLOCK]
            packed &= np.bitwise_and.reduce(self._block(number)[marked], axis=0, initial=255)
        return np.unpackbits(packed, axis=1, count=width).view(np.bool_)

    def _block(self, number: int) -> NDArray[np.uint8]:
        if self._last is not None and self._last[0] == number:
            return self._last[1]
        try:
            packed = np.asarray(self._archive[_name(number)], np.uint8)
        except Exception as error:
            raise self._unreadable(str(error)) from error
        n_frames, height, width = self.shape
        expected = (min(_BLOCK, n_frames - number * _BLOCK), height, -(-width // 8))
        if packed.shape != expected:
            raise self._unreadable(f"a part of it has shape {packed.shape}, not {expected}")
        self._last = number, packed
        return packed

    def _unreadable(self, why: str) -> InputError:
        return InputError(f"{self.path} cannot be read ({why}); run derotate_movie again")
