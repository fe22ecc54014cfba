"""A movie whose frames are read when they are looked at, a chunk at a time."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError, MovieError
from derotation.io.metadata import MovieMetadata
from derotation.io.source import FrameReader, FrameSource

__all__ = ["UNDO", "Movie"]

#: What may have been done to pictures after they were scanned.
UNDO = ("transpose", "flip_rows", "flip_columns")
# Large enough that a disk streams, small enough that several copies fit anywhere.
_CHUNK_BYTES = 2**26


class Movie:
    """One plane and channel of a recording, read from disk when looked at.

    Made by :func:`open_movie`; a context manager. A file is open only while it is read.

    Parameters
    ----------
    sources
        The files.
    frame_file, frame_page
        File and page of each frame, shape (n_frames,).
    clock_index
        Frame of the clock in which each frame was recorded, shape (n_frames,).
    n_clock_frames
        Frames that the clock counted from the first to the last one in the files.
    metadata
        What the files say about the recording.
    channel, plane
        What was chosen, both counted from 1 (for ScanImage the microscope's channel number).
    n_planes
        Planes per volume.
    notes
        Everything that a person should know about how the files were understood.
    choose
        Gives the movie of another channel and plane of the same files.
    """

    def __init__(
        self,
        *,
        sources: Sequence[FrameSource],
        frame_file: NDArray[np.int64],
        frame_page: NDArray[np.int64],
        clock_index: NDArray[np.int64],
        n_clock_frames: int,
        metadata: MovieMetadata,
        channel: int,
        plane: int,
        n_planes: int,
        choose: "Callable[[int, int], Movie]",
        notes: Sequence[str] = (),
    ) -> None:
        self._sources = tuple(sources)
        self._frame_file = frame_file
        self._frame_page = frame_page
        self._clock_index = clock_index
        self._clock_index.flags.writeable = False
        self._n_clock_frames = n_clock_frames
        self._metadata = metadata
        self._channel = channel
        self._plane = plane
        self._n_planes = n_planes
        self._notes = tuple(notes)
        self._choose = choose
        self._undo: tuple[str, ...] = ()
        self._closed = False

    def __repr__(self) -> str:
        return (
            f"Movie('{self.paths[0]}'{', ...' if len(self.paths) > 1 else ''}, "
            f"shape={self.shape}, dtype={self.dtype}, source='{self.metadata.source}')"
        )

    def __len__(self) -> int:
        return len(self._frame_page)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Refuse to be read from now on."""
        self._closed = True

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, in the order of the recording."""
        return tuple(source.path for source in self._sources)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, height and width in pixels."""
        height, width = self._sources[0].shape
        exchanged = self._undo.count("transpose") % 2
        return (len(self), width, height) if exchanged else (len(self), height, width)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, in the byte order of this machine."""
        return self._sources[0].dtype

    @property
    def metadata(self) -> MovieMetadata:
        """What the files say about the recording."""
        return self._metadata

    @property
    def channel(self) -> int:
        """The channel that is read: ScanImage's own number, else counted from 1."""
        return self._channel

    @property
    def plane(self) -> int:
        """The plane that is read, counted from 1."""
        return self._plane

    @property
    def n_planes(self) -> int:
        """Planes per volume, without discarded ones."""
        return self._n_planes

    @property
    def channels(self) -> tuple[int, ...]:
        """All channels that the files hold, by the same numbers as `channel`."""
        return self._metadata.channels_saved or (self._channel,)

    def part(self, *, channel: int | None = None, plane: int | None = None) -> "Movie":
        """Give another channel or plane of the same recording, without opening its files again.

        Parameters
        ----------
        channel, plane
            What to read instead, counted as in :func:`open_movie`; None: as this movie does.

        Returns
        -------
        Movie
            To be closed for itself.

        Raises
        ------
        MovieError
            If the files hold no such channel or plane.
        """
        part = self._choose(
            self._channel if channel is None else channel,
            self._plane if plane is None else plane,
        )
        part._undo = self._undo
        return part

    @property
    def n_clock_frames(self) -> int:
        """Frames that the frame clock should have counted: all planes, flyback included."""
        return self._n_clock_frames

    @property
    def clock_index(self) -> NDArray[np.int64]:
        """Frame of the clock, from 0, in which each frame was recorded, shape (n_frames,)."""
        return self._clock_index

    @property
    def file_of_frame(self) -> NDArray[np.int64]:
        """Number, from 0, of the file in `paths` that holds each frame, shape (n_frames,)."""
        return self._frame_file

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about how the files were understood, in plain words."""
        return self._notes

    def add_note(self, note: str) -> None:
        """Add what a person should know, found by whoever looked at the frames."""
        self._notes = (*self._notes, note)

    @property
    def frames_per_chunk(self) -> int:
        """Default number of frames in a chunk, about 64 MB."""
        return max(1, _CHUNK_BYTES // max(1, self._sources[0].page_bytes))

    def chunks(self, frames_per_chunk: int | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
        """Read the whole movie piece by piece.

        Parameters
        ----------
        frames_per_chunk
            Number of frames in a piece; about 64 MB by default.

        Yields
        ------
        start : int
            Index of the first frame.
        block : ndarray of shape (n, height, width)
            A new array each time, in the movie's dtype.

        Raises
        ------
        InputError
            If `frames_per_chunk` is less than 1.
        MovieError
            If a page cannot be read, or if the movie is closed.
        """
        size = self.frames_per_chunk if frames_per_chunk is None else frames_per_chunk
        if size < 1:
            raise InputError(f"frames_per_chunk is {size}; it must be at least 1.")
        with _OpenFile(self._sources) as source:
            for start in range(0, len(self), size):
                frames = np.arange(start, min(start + size, len(self)))
                yield start, self._read(frames, source)

    def read(self, indices: ArrayLike | slice | SupportsIndex) -> NDArray[Any]:
        """Read some frames.

        Parameters
        ----------
        indices
            Indices of frames from 0, in any order, or a slice of them; one index is a movie of
            one frame.

        Returns
        -------
        ndarray of shape (n, height, width)
            The frames in the order asked for, in the movie's dtype.

        Raises
        ------
        InputError
            If an index is not one of the movie's.
        MovieError
            If a page cannot be read, or if the movie is closed.
        """
        if isinstance(indices, slice):
            frames = np.arange(len(self))[indices]
        else:
            frames = np.atleast_1d(np.asarray(indices))
        if frames.size == 0:
            return np.empty((0, *self.shape[1:]), dtype=self.dtype)
        if frames.ndim != 1 or frames.dtype.kind not in "iu":
            raise InputError(f"frames are chosen by whole numbers, not by {indices!r}.")
        if frames.min() < 0 or frames.max() >= len(self):
            raise InputError(
                f"frame {frames.max() if frames.max() >= len(self) else frames.min()} of "
                f"{self.paths[0]} was asked for; there are frames 0 to {len(self) - 1}."
            )
        with _OpenFile(self._sources) as source:
            return self._read(frames, source)

    def _read(self, frames: NDArray[Any], source: "_OpenFile") -> NDArray[Any]:
        """Read frames, opening one file after the other."""
        if self._closed:
            raise MovieError(f"{self.paths[0]} has been closed; open the movie again.")
        block = np.empty((len(frames), *self._sources[0].shape), dtype=self.dtype)
        files = self._frame_file[frames]
        edges = [0, *(np.flatnonzero(np.diff(files)) + 1).tolist(), len(frames)]
        for first, last in itertools.pairwise(edges):
            pages = self._frame_page[frames[first:last]]
            source.reader(int(files[first])).read_into(pages, block[first:last])
        if block.dtype.kind == "f":
            # What is infinite was not recorded either, and is marked like the rest of that.
            block[np.isinf(block)] = np.nan
        return _undone(block, self._undo)


def _undone(block: NDArray[Any], undo: Sequence[str]) -> NDArray[Any]:
    """Give frames as they were scanned."""
    for what in undo:
        match what:
            case "transpose":
                block = block.swapaxes(1, 2)
            case "flip_rows":
                block = block[:, ::-1]
            case "flip_columns":
                block = block[:, :, ::-1]
    return np.ascontiguousarray(block)


class _OpenFile:
    """Keeps at most one of several files open."""

    def __init__(self, sources: Sequence[FrameSource]) -> None:
        self._sources = sources
        self._stack = contextlib.ExitStack()
        self._index: int | None = None
        self._reader: FrameReader | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def reader(self, index: int) -> FrameReader:
        """Return the reader of one of the files."""
        if self._reader is None or self._index != index:
            self._stack.close()
            self._reader = self._stack.enter_context(self._sources[index].reader())
            self._index = index
        return self._reader
