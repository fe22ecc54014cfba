"""Read mosaic grids: all tiles of a grid, side by side without overlap, in one file.

Layouts that are understood:

- ``.ome.zarr`` (OME-NGFF 0.4 and 0.5, needs the optional package zarr): the first level of the
  first multiscale image, of shape (..., planes, rows, columns) with leading axes of length 1. Its
  chunks are the tiles.
- TIFF with four dimensions (nx, ny, rows, columns), or five (nx, ny, planes, rows, columns): a
  stack of tiles, row by row, as ``tifffile.imwrite(path, tiles)`` writes it.
- A tiled TIFF of two or three dimensions ([planes,] nx * rows, ny * columns): its TIFF tiles are
  the tiles, as ``tifffile.imwrite(path, grid, tile=(rows, columns))`` writes it.

Of several planes the middle one is used, and only that one is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError

__all__ = ["GridVolume", "open_grid"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GridVolume:
    """The middle plane of a mosaic grid."""

    path: Path
    """Where it comes from."""
    plane: NDArray[Any]
    """The plane, shape (nx * rows, ny * columns)."""
    tile_shape: tuple[int, int, int]
    """Planes, rows and columns of a tile in the file."""

    @property
    def nx(self) -> int:
        """Rows of tiles."""
        return int(self.plane.shape[0] // self.tile_shape[1])

    @property
    def ny(self) -> int:
        """Columns of tiles."""
        return int(self.plane.shape[1] // self.tile_shape[2])


def open_grid(path: str | PathLike[str]) -> GridVolume:
    """Read the middle plane of a mosaic grid.

    Parameters
    ----------
    path : path
        A ``.ome.zarr`` or a TIFF, see this module's description.

    Returns
    -------
    GridVolume

    Raises
    ------
    InputError
        If the file is missing, is of another kind, or does not say what its tiles are; or if it
        is a zarr and the package zarr is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path of the mosaic grid")
    name = path.name.lower()
    if name.endswith(".zarr"):
        return _open_zarr(path)
    if name.endswith((".tif", ".tiff", ".btf")):
        return _open_tiff(path)
    msg = f"{path}: mosaic grids are read from .ome.zarr and from .tif files only"
    raise InputError(msg)


def _open_zarr(path: Path) -> GridVolume:
    try:
        import zarr
    except ImportError:
        msg = (
            f"{path}: reading .ome.zarr needs the package zarr, which is not installed; run: "
            "pip install 'derotation-workflow[zarr]'"
        )
        raise InputError(msg) from None
    opened: Any = zarr.open(str(path), mode="r")
    array = _first_level(path, opened)
    leading = array.shape[:-3]
    if array.ndim < 3 or any(n != 1 for n in leading):
        msg = (
            f"{path}: an image of shape {tuple(array.shape)} was found, expected (planes, rows, "
            "columns), with leading axes of length 1 at most"
        )
        raise InputError(msg)
    tile_shape = tuple(int(n) for n in array.chunks[-3:])
    plane = np.asarray(array[(0,) * len(leading) + (array.shape[-3] // 2,)])
    return _checked(path, plane, tile_shape, "chunks")


def _first_level(path: Path, opened: Any) -> Any:
    """Find the full-size image of an OME-NGFF group, or take a bare array."""
    if hasattr(opened, "chunks"):
        return opened
    attributes = dict(opened.attrs)
    images = attributes.get("ome", attributes).get("multiscales")
    try:
        return opened[images[0]["datasets"][0]["path"]]
    except (TypeError, KeyError, IndexError):
        msg = f"{path}: this zarr group has no OME multiscale image (multiscales/datasets/path)"
        raise InputError(msg) from None


def _open_tiff(path: Path) -> GridVolume:
    import tifffile

    try:
        with tifffile.TiffFile(path) as tif:
            series = tif.series[0]
            shape = tuple(int(n) for n in series.shape)
            if len(shape) in (4, 5):
                return _stack_of_tiles(path, series.asarray(), shape)
            page = tif.pages.first
            if len(shape) in (2, 3) and page.is_tiled:
                middle = shape[0] // 2 if len(shape) == 3 else 0
                plane = np.asarray(tif.pages[middle].asarray())
                return _checked(path, plane, (1, page.tilelength, page.tilewidth), "TIFF tiles")
    except (tifffile.TiffFileError, OSError) as error:
        raise InputError(f"{path} cannot be read as a TIFF ({error})") from error
    msg = (
        f"{path}: a TIFF of shape {shape} does not say what its tiles are; expected (nx, ny, rows, "
        "columns), or a grid written in TIFF tiles of the size of a tile"
    )
    raise InputError(msg)


def _stack_of_tiles(path: Path, tiles: NDArray[Any], shape: Sequence[int]) -> GridVolume:
    """Put tiles (nx, ny, [planes,] rows, columns) side by side."""
    planes = shape[2] if len(shape) == 5 else 1
    middle = tiles[:, :, planes // 2] if len(shape) == 5 else tiles
    nx, ny, height, width = middle.shape
    plane = middle.transpose(0, 2, 1, 3).reshape(nx * height, ny * width)
    return _checked(path, plane, (planes, height, width), "tiles")


def _checked(path: Path, plane: NDArray[Any], tile_shape: Sequence[int], what: str) -> GridVolume:
    """Refuse a plane that is no whole number of tiles."""
    planes, height, width = (int(n) for n in tile_shape)
    if plane.shape[0] % height or plane.shape[1] % width:
        msg = (
            f"{path}: a plane of {plane.shape[0]} x {plane.shape[1]} pixels is no whole number of "
            f"tiles of {height} x {width}, as its {what} are"
        )
        raise InputError(msg)
    return GridVolume(path=path, plane=plane, tile_shape=(planes, height, width))
