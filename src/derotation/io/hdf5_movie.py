"""Movies in HDF5 and NWB files, read a stretch of frames at a time."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from derotation.errors import ConfigError, MovieError
from derotation.io.file_set import FileSet, file_set
from derotation.io.isolated import call_isolated
from derotation.io.metadata import MovieMetadata
from derotation.io.numbers import positive

__all__ = ["SUFFIXES", "holds_frames", "open_hdf5_movie"]

SUFFIXES = (".h5", ".hdf5", ".nwb")

_MOST_PAGE_BYTES = 2**28
_ADVICE = "Copy the file again from its source, or save the movie as a TIFF."


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A dataset of frames."""

    name: str
    """Its path in the file."""
    shape: tuple[int, int, int, int]
    """Times, planes, height and width."""
    dtype: str
    """Type of the pixels."""
    turned: bool
    """Whether columns come before rows, as in NWB."""
    rate: float | None
    """Times per second, if the file says."""
    is_nwb: bool
    """Whether it is an NWB file."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hdf5Frames:
    """Frames of one dataset; a page is one plane at one time."""

    path: Path
    """The file."""
    found: Found
    """Where they are."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.found.shape[2:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, in the byte order of this machine."""
        return np.dtype(self.found.dtype).newbyteorder("=")

    @property
    def n_pages(self) -> int:
        """Number of pages."""
        return self.found.shape[0] * self.found.shape[1]

    @property
    def page_bytes(self) -> int:
        """Bytes of one page."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def reader(self) -> "_Reader":
        """Open the file for reading."""
        return _Reader(self)


class _Reader:
    """Reads pages of one open file."""

    def __init__(self, source: Hdf5Frames) -> None:
        self._source = source

    def __enter__(self) -> Self:
        import h5py

        try:
            self._file = h5py.File(self._source.path, "r")
            self._data = self._file[self._source.found.name]
        except Exception as error:
            raise MovieError(f"{self._source.path} cannot be opened any more ({error}).") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read_into(self, pages: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Read pages, by their numbers from 0, into `out` (n, height, width)."""
        found = self._source.found
        n_planes = found.shape[1]
        # Neighbors are read in one go: a chunk of the file holds several frames.
        edges = [0, *(np.flatnonzero(np.diff(pages) != n_planes) + 1).tolist(), len(pages)]
        for first, last in itertools.pairwise(edges):
            time, plane = divmod(int(pages[first]), n_planes)
            try:
                out[first:last] = _frames(self._data, found, time, time + last - first, plane)
            except Exception as error:
                # Filters of HDF5 raise whatever they like.
                raise MovieError(
                    f"{self._source.path}: frames {time + 1} to {time + last - first} cannot be "
                    f"read ({error}). {_ADVICE}"
                ) from error


def _frames(data: Any, found: Found, start: int, stop: int, plane: int) -> NDArray[Any]:
    """Read consecutive times of a plane as (time, y, x)."""
    block = data[start:stop, ..., plane] if data.ndim == 4 else data[start:stop]
    return np.swapaxes(block, 1, 2) if found.turned else np.asarray(block)


def open_hdf5_movie(path: Path, dataset: str | None) -> FileSet:
    """Find the frames of a movie in an HDF5 or NWB file.

    Parameters
    ----------
    path
        The file.
    dataset
        Name of the dataset, where there are several of the shape (time, y, x). In NWB files the
        name of the series.

    Returns
    -------
    FileSet

    Raises
    ------
    MovieError
        If the file is damaged, or holds no movie, or several.
    ConfigError
        If h5py is not installed.
    """
    found: Found = call_isolated(
        find_frames, path, dataset, error=MovieError, what="a movie in HDF5"
    )
    n_times, n_planes = found.shape[:2]
    page = np.arange(n_times * n_planes, dtype=np.int64)
    time, plane = np.divmod(page, n_planes)
    source = Hdf5Frames(path=path, found=found)
    return file_set(
        [source],
        np.stack([np.zeros_like(page), page], axis=1),
        np.stack([time, plane, np.zeros_like(page)], axis=1),
        channels=(1,),
        metadata=MovieMetadata(
            source="nwb" if found.is_nwb else "hdf5",
            frame_rate=found.rate * n_planes if found.rate else None,
            n_planes=n_planes,
        ),
    )


def holds_frames(path: Path) -> bool:
    """Tell whether an HDF5 or NWB file holds a movie, or several.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    bool

    Raises
    ------
    MovieError
        If it cannot be read.
    ConfigError
        If h5py is not installed.
    """
    names: list[str] = call_isolated(name_datasets, path, error=MovieError, what="a movie in HDF5")
    return bool(names)


def name_datasets(path: Path) -> list[str]:
    """Name the datasets of frames; called where a crash of the library does no harm."""
    with _import_h5py(path).File(path, "r") as file:
        return _datasets_of_frames(file, "nwb_version" in file.attrs)


def find_frames(path: Path, dataset: str | None) -> Found:
    """Find and try the dataset; called where a crash of the library does no harm."""
    h5py = _import_h5py(path)
    with h5py.File(path, "r") as file:
        is_nwb = "nwb_version" in file.attrs
        data = _choose(path, file, dataset, is_nwb)
        if data.dtype.kind not in "uif" or data.dtype.itemsize > (
            8 if data.dtype.kind == "f" else 4
        ):
            raise MovieError(
                f"{path}: {data.name} has pixels of {data.dtype}; integers of up to 32 bits, or "
                "floats, are expected."
            )
        n_times, *sides = data.shape
        n_planes = sides.pop() if len(sides) == 2 + 1 else 1
        height, width = sides[::-1] if is_nwb else sides
        found = Found(
            name=data.name, shape=(n_times, n_planes, height, width), dtype=data.dtype.str,
            turned=is_nwb, rate=_rate(data) if is_nwb else None, is_nwb=is_nwb,
        )  # fmt: skip
        if not 0 < height * width * data.dtype.itemsize <= _MOST_PAGE_BYTES or not n_times:
            raise MovieError(f"{path}: {data.name} has shape {data.shape}, which no movie has.")
        for time in (0, n_times - 1):
            _frames(data, found, time, time + 1, 0)
    return found


def _import_h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ConfigError(
            f"{path} is read by h5py, which is not installed; run pip install h5py, or "
            "pip install 'derotation-workflow[formats]'."
        ) from error
    return h5py


def _datasets_of_frames(file: Any, is_nwb: bool) -> list[str]:
    """Name the datasets that have the shape of a movie, at most a hundred."""
    import h5py

    movies: list[str] = []

    def visit(name: str, item: Any) -> None:
        deep = (3, 4) if is_nwb else (3,)
        if isinstance(item, h5py.Dataset) and item.ndim in deep and item.dtype.kind in "uif":
            inside = name.startswith("acquisition/") and name.endswith("/data")
            if (inside or not is_nwb) and len(movies) < 100:
                movies.append(name)

    file.visititems(visit)
    return movies


def _choose(path: Path, file: Any, dataset: str | None, is_nwb: bool) -> Any:
    """Return the dataset of frames."""
    movies = _datasets_of_frames(file, is_nwb)
    if dataset is not None:
        wanted = (dataset, f"acquisition/{dataset}/data", f"{dataset}/data")
        movies = [name for name in movies if name in wanted or f"/{name}" == dataset]
        if len(movies) != 1:
            raise MovieError(
                f"{path}: movie.dataset is '{dataset}', but there is no such dataset of frames "
                "(time, y, x)."
            )
    if len(movies) != 1:
        what = f"several datasets of frames ({', '.join(movies)})" if movies else "no frames"
        raise MovieError(
            f"{path} holds {what}; a dataset of shape (time, y, x) is expected, and its name in "
            "movie.dataset where there are several."
        )
    return file[movies[0]]


def _rate(data: Any) -> float | None:
    """Return the rate of an NWB series, if it is regular."""
    start = data.parent.get("starting_time")
    return positive(start.attrs.get("rate")) if start is not None else None
