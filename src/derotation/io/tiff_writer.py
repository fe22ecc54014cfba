"""Movies written as TIFF, frame by frame."""

import contextlib
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from derotation.errors import InputError
from derotation.io.files import disk_error, whole_file, write_array

__all__ = ["TiffStackWriter"]

# Offsets in a classic TIFF end at 4 GiB; some readers stop at 4e9. The page tables need room too.
_CLASSIC_LIMIT_BYTES = 3_900_000_000
_PAGE_TABLE_BYTES = 512

# What ImageJ itself opens with the right values; other types, and BigTIFFs, are told in OME-XML,
# which Fiji's Bio-Formats reads.
_IMAGEJ_DTYPES = frozenset(map(np.dtype, ("u1", "u2", "i2", "i4", "u4", "f4")))
_OME_DTYPES = frozenset(map(np.dtype, ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8")))


class TiffStackWriter:
    """Write a movie, block by block, as one contiguous uncompressed TIFF.

    The file appears under its name only when the ``with`` block ends and every frame has been
    written. It is a classic TIFF below 3.9 GB and a BigTIFF above; a classic one of a type that
    ImageJ knows (all but int8 and float64) carries ImageJ's own description, any other an
    OME-XML, which Fiji's Bio-Formats reads: frames are time there, with their interval in seconds
    and the size of a pixel in micrometers. Each frame is a page of its own, so that every TIFF
    reader finds all of them.

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
            raise disk_error(error, str(self.path)) from error
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

        described = self._for_imagej() if self._is_for_imagej else self._for_ome()
        try:
            with tifffile.TiffWriter(
                temporary, bigtiff=self.is_bigtiff, ome=not self._is_for_imagej
            ) as writer:
                place = writer.write(
                    shape=self.shape,
                    dtype=self.dtype,
                    photometric="minisblack",
                    **described,
                    returnoffset=True,
                )
        except OSError as error:
            raise disk_error(error, str(self.path)) from error
        if place is None:  # pragma: no cover - only for pages that are not contiguous
            raise InputError(f"{self.path}: the pixels would not be contiguous.")
        return int(place[0])

    @property
    def _is_for_imagej(self) -> bool:
        return not self.is_bigtiff and self.dtype in _IMAGEJ_DTYPES

    def _for_imagej(self) -> dict[str, Any]:
        """Describe the movie in ImageJ's words.

        Lines of ``key=value``, the first of which tells what they are. ImageJ holds pixels of
        int16 as unsigned ones and shows them by a calibration, c0 + c1 * value.
        """
        n_frames = self.shape[0]
        told: dict[str, Any] = {"ImageJ": "1.11a", "images": n_frames}
        if n_frames > 1:
            told |= {"frames": n_frames, "hyperstack": "true", "mode": "grayscale", "loop": "false"}
        if self.frame_interval_s is not None:
            told["finterval"] = float(self.frame_interval_s)
        if self.pixel_size_um is not None:
            told["unit"] = "um"
        if self.dtype == np.int16:
            told |= {"cf": 0, "c0": -32768, "c1": 1, "vunit": "gray value"}
        lines = [f"{key}={value}" for key, value in {**told, **self.description}.items()]
        described: dict[str, Any] = {
            "description": ("\n".join(lines) + "\n").encode(),
            "metadata": None,
        }
        if self.pixel_size_um is None:
            return described
        per_um = 1 / self.pixel_size_um
        # No unit of the file's own: ImageJ takes the one of its description.
        return described | {"resolution": (per_um, per_um), "resolutionunit": "NONE"}

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
