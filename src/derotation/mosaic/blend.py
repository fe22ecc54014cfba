"""Put placed tiles into one picture: evenly bright, without seams, with a map of who saw what."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from derotation.errors import InputError
from derotation.mosaic.balance import Balance
from derotation.mosaic.resample import read_between

__all__ = ["Mosaic", "blend_tiles", "feather", "seam_ratio"]

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Cubic splines reach that far: next to a blank pixel they would mix it in.
RIM_PX = 3
MAX_PIXELS = 4e8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mosaic:
    """The picture that tiles make up."""

    image: Image
    """Counts, in the brightness of a usual tile (row, column); NaN where no tile has been."""
    labels: NDArray[np.uint16]
    """Number of the tile, from 1 on, that counts most for each pixel; 0 where there is none."""
    count: NDArray[np.uint8]
    """How many tiles saw each pixel."""
    places: Floats
    """Where in the picture each tile's first pixel lies (row, column), shape (n, 2)."""


def feather(mask: Mask, coverage: NDArray[Any] | None = None) -> Image:
    """Give each pixel of a tile the weight with which it counts: its distance to the rim.

    Parameters
    ----------
    mask : ndarray of bool
        Pixels that can be used.
    coverage : ndarray, optional
        Part of the frames that saw each pixel, 0 to 1; the weight is multiplied by it.

    Returns
    -------
    ndarray of float32
        0 outside and next to the rim, 1 where the tile counts most.
    """
    framed = np.pad(mask, 1)
    distance = ndimage.distance_transform_edt(framed)[1:-1, 1:-1] - RIM_PX
    weight = np.maximum(distance, 0.0)
    if coverage is not None:
        weight *= coverage
    top = float(weight.max())
    return np.asarray(weight / top if top > 0 else weight, np.float32)


def blend_tiles(
    read: Callable[[int], tuple[Image, Image]],
    positions: Floats,
    shape: tuple[int, int],
    balance: Balance | None = None,
) -> Mosaic:
    """Resample placed tiles, once, and average them with their weights.

    Parameters
    ----------
    read : callable
        Gives the tile of a number, and its weights as :func:`feather` makes them: two arrays of
        shape (rows, columns). Tiles are read one after the other.
    positions : ndarray of shape (n, 2)
        Where the tiles lie, pixels (row, column).
    shape : tuple of int
        Rows and columns of a tile.
    balance : Balance, optional
        How bright the tiles are.

    Returns
    -------
    Mosaic

    Raises
    ------
    InputError
        If the positions are so far apart that the picture would not fit into memory.
    """
    lowest = np.floor(positions.min(axis=0))
    places = positions - lowest
    size = (np.ceil(places.max(axis=0)) + shape).astype(int)
    if float(size[0]) * float(size[1]) > MAX_PIXELS:
        msg = (
            f"the mosaic would have {size[0]} x {size[1]} pixels; check the positions of the stage "
            "(micrometers) and the size of a pixel"
        )
        raise InputError(msg)
    total, weights, heaviest = (np.zeros(size, np.float32) for _ in range(3))
    labels, count = np.zeros(size, np.uint16), np.zeros(size, np.uint8)
    light = None if balance is None else balance.illumination(shape)
    for k, place in enumerate(places):
        image, weight = read(k)
        if balance is not None and light is not None:
            offset = 0.0 if np.isnan(balance.offset) else balance.offset
            image = (image - np.float32(offset)) / (light * np.float32(balance.gains[k]))
            image += np.float32(offset)
        moved, importance, corner = _moved(image, weight, place)
        window = tuple(slice(a, a + n) for a, n in zip(corner, moved.shape, strict=True))
        total[window] += moved * importance
        weights[window] += importance
        count[window] += importance > 0
        ahead = importance > heaviest[window]
        labels[window][ahead] = k + 1
        heaviest[window][ahead] = importance[ahead]
    np.divide(total, weights, out=total, where=weights > 0)
    total[weights == 0] = np.nan
    return Mosaic(image=total, labels=labels, count=count, places=places)


def _moved(image: Image, weight: Image, place: Floats) -> tuple[Image, Image, list[int]]:
    """Resample a tile at the mosaic's pixels; give it with its weights and its corner."""
    corner = np.floor(place).astype(int)
    part = place - corner
    size = (image.shape[0] + int(part[0] > 0), image.shape[1] + int(part[1] > 0))
    used = weight > 0
    level = float(image[used].mean()) if used.any() else 0.0
    filled = np.where(ndimage.binary_dilation(used, iterations=RIM_PX), image, np.float32(level))
    moved = read_between(filled, -part, size)
    importance = read_between(weight, -part, size, order=1, beyond="constant")
    return moved, importance, [int(c) for c in corner]


def seam_ratio(image: Image, labels: NDArray[np.uint16], away: int = 10) -> float:
    """Compare the picture's steps at the rims of tiles with those next to them.

    Parameters
    ----------
    image : ndarray of shape (rows, columns)
        The mosaic.
    labels : ndarray of shape (rows, columns)
        What changes where a border is to be looked for: the tile that counts most, or the set of
        tiles that saw a pixel. 0 where there is none.
    away : int
        Steps up to so far from a border (pixels) are what those at the border are compared with.

    Returns
    -------
    float
        Mean step between neighboring pixels across borders, over the mean step nearby: 1 if
        nothing is to be seen of the borders; NaN if there are none.
    """
    across, nearby = [], []
    for axis in (0, 1):
        step = np.abs(np.diff(image, axis=axis))
        one, other = (
            np.take(labels, np.arange(a, labels.shape[axis] - 1 + a), axis) for a in (0, 1)
        )
        seen = (one > 0) & (other > 0) & np.isfinite(step)
        border = (one != other) & seen
        around = ndimage.binary_dilation(border, iterations=away) & seen
        around &= ~ndimage.binary_dilation(border, iterations=2)
        across.append(step[border])
        nearby.append(step[around])
    at, beside = np.concatenate(across), np.concatenate(nearby)
    return float(at.mean() / beside.mean()) if len(at) and len(beside) else float("nan")
