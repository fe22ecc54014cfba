"""Where the tiles of a grid lie: ideally, and by the map of a stage."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from derotation.errors import InputError

__all__ = [
    "Shape",
    "compute_affine_output_shape",
    "compute_affine_positions",
    "compute_motor_positions",
    "grid_steps",
    "rows_and_columns",
]

Position = tuple[float, float]
Shape = Sequence[int]


def compute_motor_positions(
    nx: int,
    ny: int,
    tile_shape: Shape,
    overlap_fraction: float,
    scale_factor: float = 1.0,
    rotation_deg: float = 0.0,
) -> tuple[list[Position], float, float]:
    """Compute the positions of an ideal grid.

    Parameters
    ----------
    nx, ny : int
        Rows and columns of tiles.
    tile_shape : tuple of int
        (planes, rows, columns) of a tile, or (rows, columns).
    overlap_fraction : float
        Part of a tile that it shares with its neighbor, 0 to 1.
    scale_factor : float
        Factor on the steps.
    rotation_deg : float
        Angle by which the grid is turned about its first tile, degrees; with v = (row, column) a
        position becomes R v, R = [[cos, -sin], [sin, cos]].

    Returns
    -------
    positions : list of (row, column)
        Pixels, row by row; the first one is (0, 0).
    step_y, step_x : float
        Distance of neighbors along rows and columns before the turn, pixels.

    Notes
    -----
    Neither is rounded, though integers are documented elsewhere under this name: a step cut to
    whole pixels puts the last of twenty tiles up to 19 px off. Where whole pixels are needed, round
    the positions (``numpy.rint``), not the steps: none is then off by more than half a pixel.

    Examples
    --------
    >>> compute_motor_positions(2, 2, (1, 100, 80), 0.2)
    ([(0.0, 0.0), (0.0, 64.0), (80.0, 0.0), (80.0, 64.0)], 80.0, 64.0)
    """
    step_y, step_x = (step * scale_factor for step in grid_steps(tile_shape, overlap_fraction))
    cos, sin = math.cos(math.radians(rotation_deg)), math.sin(math.radians(rotation_deg))
    transform = np.array([[cos * step_y, -sin * step_x], [sin * step_y, cos * step_x]])
    return compute_affine_positions(nx, ny, transform), step_y, step_x


def compute_affine_positions(nx: int, ny: int, transform: ArrayLike) -> list[Position]:
    """Compute the positions of a grid's tiles from the map A.

    Parameters
    ----------
    nx, ny : int
        Rows and columns of tiles.
    transform : array of shape (2, 2)
        From a tile's number (i, j) to its position (row, column), pixels.

    Returns
    -------
    list of (row, column)
        Pixels, row by row; not rounded.

    Examples
    --------
    >>> compute_affine_positions(2, 2, [[80, -2], [3, 64]])
    [(0.0, 0.0), (-2.0, 64.0), (80.0, 3.0), (78.0, 67.0)]
    """
    (a, b), (c, d) = np.asarray(transform, np.float64).tolist()
    # Adding 0 turns a negative zero into an ordinary one.
    return [(a * i + b * j + 0.0, c * i + d * j + 0.0) for i in range(nx) for j in range(ny)]


def compute_affine_output_shape(
    nx: int, ny: int, tile_shape: Shape, transform: ArrayLike
) -> tuple[int, int, int]:
    """Compute how large a picture has to be to hold all tiles of a grid.

    Parameters
    ----------
    nx, ny : int
        Rows and columns of tiles.
    tile_shape : tuple of int
        (planes, rows, columns) of a tile, or (rows, columns).
    transform : array of shape (2, 2)
        The map A.

    Returns
    -------
    (planes, rows, columns)
        Of the box around all tiles, in whole pixels.

    Examples
    --------
    >>> compute_affine_output_shape(2, 2, (1, 100, 80), [[80, -2], [3, 64]])
    (1, 182, 147)
    """
    height, width = rows_and_columns(tile_shape)
    corners = {(i, j) for i in (0, nx - 1) for j in (0, ny - 1)}
    places = np.array(sorted(corners)) @ np.asarray(transform, np.float64).T
    # What rounding errors leave must not make a picture a pixel larger.
    size = np.ptp(places, axis=0) + np.array([height, width])
    rows, columns = np.ceil(size - 1e-9)
    return (int(tile_shape[0]) if len(tile_shape) == 3 else 1, int(rows), int(columns))


def rows_and_columns(tile_shape: Shape) -> tuple[int, int]:
    """Give rows and columns of a tile."""
    if len(tile_shape) not in (2, 3) or min(tile_shape) < 1:
        msg = f"tile_shape has to be (planes, rows, columns) or (rows, columns), not {tile_shape}"
        raise InputError(msg)
    return int(tile_shape[-2]), int(tile_shape[-1])


def grid_steps(tile_shape: Shape, overlap_fraction: float) -> tuple[float, float]:
    """Give the distance of neighbors along rows and columns, pixels."""
    height, width = rows_and_columns(tile_shape)
    if not 0 <= overlap_fraction < 1:
        raise InputError(f"overlap_fraction has to be from 0 to below 1, not {overlap_fraction}")
    return height * (1.0 - overlap_fraction), width * (1.0 - overlap_fraction)
