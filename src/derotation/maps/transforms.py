"""Affine maps, one per line: the common language of all corrections.

A map takes a recorded position (x, y), x = column and y = row with pixel centers at integers, to
the place in the output where the sample found there belongs. It is a 2x3 array ``A | t`` with
``out = A @ (x, y) + t``. Whatever the pipeline estimates (rotation, tilt of the rotation plane,
movement against a reference) is such a map; maps are composed, and the movie is resampled once.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.numerics.degrees import cosine, cosine_and_sine

__all__ = [
    "PlaneOutput",
    "apply",
    "apply_to_grid",
    "binned",
    "compose",
    "identity_lines",
    "image_center",
    "invert",
    "line_maps",
    "plane_matrix",
    "rotation_matrices",
    "translations",
    "wobble_shifts",
]

Maps = NDArray[np.float64]
PlaneOutput = Literal["scan", "sample"]


def image_center(shape: tuple[int, ...]) -> tuple[float, float]:
    """Give the center (x, y) of an image whose last two axes are (height, width), in pixels."""
    height, width = shape[-2:]
    return (width - 1) / 2, (height - 1) / 2


def rotation_matrices(angles: ArrayLike) -> NDArray[np.float64]:
    """Make the 2x2 matrices on (x, y) that turn lines back.

    Parameters
    ----------
    angles : array_like of shape (...)
        Angles of lines in degrees. A positive angle means that the sample had turned clockwise
        on a screen whose y axis points down; the matrix turns it back.

    Returns
    -------
    ndarray of shape (..., 2, 2)
        Exact at multiples of 90 degrees, so that samples at rest stay where they are.
    """
    turned = np.asarray(angles, dtype=np.float64)
    cos, sin = cosine_and_sine(turned)
    return _matrices(cos, sin, -sin, cos)


def _matrices(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Put numbers of shape (...) into matrices of shape (..., 2, 2), by rows."""
    matrices = np.empty((*a.shape, 2, 2))
    matrices[..., 0, 0], matrices[..., 0, 1] = a, b
    matrices[..., 1, 0], matrices[..., 1, 1] = c, d
    return matrices


def plane_matrix(plane_angle: float, plane_orientation: float) -> NDArray[np.float64]:
    """Make the 2x2 matrix on (x, y) by which a tilted plane is foreshortened in the picture.

    Parameters
    ----------
    plane_angle : float
        Tilt of the rotation plane against the scanning plane, degrees in (-90, 90).
    plane_orientation : float
        Direction along which the picture is foreshortened by ``cos(plane_angle)``, in degrees
        from +x (right) towards +y (down).

    Returns
    -------
    ndarray of shape (2, 2)
        Symmetric; the identity when `plane_angle` is 0.
    """
    along = np.array(cosine_and_sine(plane_orientation))
    return np.asarray(np.eye(2) - (1 - cosine(plane_angle)) * np.outer(along, along))


def line_maps(
    line_angles: ArrayLike,
    center: tuple[float, float],
    plane_angle: float = 0.0,
    plane_orientation: float = 0.0,
    plane_output: PlaneOutput = "scan",
) -> Maps:
    """Make the maps that undo a rotation about a center, in a plane that may be tilted.

    With P the foreshortening of the plane and R(a) the matrix that turns a line back, a recorded
    sample goes to ``P R(a) P^-1 (p - c) + c`` (`plane_output` "scan", the picture as it was at
    rest) or to ``R(a) P^-1 (p - c) + c`` ("sample", the picture as seen along the axis).

    Parameters
    ----------
    line_angles : array_like of shape (...)
        Angles of the lines in degrees; NaN where a line must not be used.
    center : tuple of float
        Center of rotation (x, y) in pixels.
    plane_angle, plane_orientation : float
        Tilt and orientation of the rotation plane in degrees, see :func:`plane_matrix`.
    plane_output : {"scan", "sample"}
        The plane in which the output is drawn.

    Returns
    -------
    ndarray of shape (..., 2, 3)
        Exactly the identity for lines at angle 0 (multiples of 360) when the output is "scan".
    """
    matrices = rotation_matrices(line_angles)
    if plane_angle != 0:
        foreshorten = plane_matrix(plane_angle, plane_orientation)
        stretch = np.linalg.inv(foreshorten)
        # At rest the product P P^-1 is the identity only up to rounding, but a frame at rest has
        # to come back bit for bit.
        at_rest = np.all(matrices == np.eye(2), axis=(-2, -1))
        matrices = matrices @ stretch
        if plane_output == "scan":
            matrices = foreshorten @ matrices
            matrices[at_rest] = np.eye(2)
    pivot = np.asarray(center, dtype=np.float64)
    shifts = pivot - matrices @ pivot
    return np.concatenate([matrices, shifts[..., np.newaxis]], axis=-1)


def wobble_shifts(angles: ArrayLike, wobble: ArrayLike) -> NDArray[np.float64]:
    """Compute by how much a wobbling axis shifts the recorded picture.

    Parameters
    ----------
    angles : array_like of shape (...)
        Angles in degrees.
    wobble : array_like of shape (n, 4)
        Row k = 1, 2, ... holds (Cx, Cy, Sx, Sy) in pixels, which add
        ``C (cos(k a) - 1) + S sin(k a)``.

    Returns
    -------
    ndarray of shape (..., 2)
        Shift (x, y) in pixels; exactly 0 at angle 0 (multiples of 360).
    """
    turned = np.asarray(angles, dtype=np.float64)
    rows = np.asarray(wobble, dtype=np.float64).reshape(-1, 4)
    shifts = np.zeros((*turned.shape, 2))
    for k, row in enumerate(rows, start=1):
        cos, sin = cosine_and_sine(k * turned)
        shifts += row[:2] * (cos - 1)[..., np.newaxis]
        shifts += row[2:] * sin[..., np.newaxis]
    return shifts


def identity_lines(n_lines: int) -> Maps:
    """Give identity maps for a frame at rest, shape (n_lines, 2, 3)."""
    return line_maps(np.zeros(n_lines), (0.0, 0.0))


def compose(outer: ArrayLike, inner: ArrayLike) -> Maps:
    """Compose maps: first `inner`, then `outer`; leading axes are broadcast.

    Parameters
    ----------
    outer, inner : array_like of shape (..., 2, 3)

    Returns
    -------
    ndarray of shape (..., 2, 3)
    """
    second, first = np.asarray(outer, dtype=np.float64), np.asarray(inner, dtype=np.float64)
    composed = second[..., :2] @ first
    composed[..., 2] += second[..., 2]
    return composed


def binned(maps: ArrayLike, factor: int) -> Maps:
    """Express maps in pixels that are averages of squares of `factor` x `factor` pixels."""
    full = np.asarray(maps, dtype=np.float64)
    corner = np.full(2, (factor - 1) / 2)
    small = full.copy()
    small[..., 2] = (apply(full, corner) - corner) / factor
    return small


def translations(shifts: ArrayLike) -> Maps:
    """Make maps of shape (..., 2, 3) that shift by (x, y), pixels, shape (..., 2)."""
    moved = np.asarray(shifts, dtype=np.float64)
    maps = np.zeros((*moved.shape, 3))
    maps[..., :2] = np.eye(2)
    maps[..., 2] = moved
    return maps


def invert(maps: ArrayLike) -> Maps:
    """Invert maps of shape (..., 2, 3); NaN stays NaN, a singular map becomes NaN."""
    forward = np.asarray(maps, dtype=np.float64)
    a, b, c, d = (forward[..., i, j] for i in (0, 1) for j in (0, 1))
    determinant = a * d - b * c
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(determinant == 0, np.nan, 1 / determinant)
    matrix = _matrices(scale * d, scale * -b, scale * -c, scale * a)
    shift = -(matrix @ forward[..., 2:])
    return np.concatenate([matrix, shift], axis=-1)


def apply_to_grid(
    one_map: ArrayLike, shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move all pixels (y, x) of an image by one map of shape (2, 3).

    Returns
    -------
    x, y : ndarray of shape (y, x)
        Where they go.
    """
    (a, b, c), (d, e, f) = np.asarray(one_map, dtype=np.float64)
    y, x = np.arange(shape[0])[:, np.newaxis], np.arange(shape[1])
    return a * x + (b * y + c), d * x + (e * y + f)


def apply(maps: ArrayLike, points: ArrayLike) -> NDArray[np.float64]:
    """Move points (x, y) of shape (..., 2) by maps of shape (..., 2, 3), broadcast."""
    forward, where = np.asarray(maps, dtype=np.float64), np.asarray(points, dtype=np.float64)
    return (forward[..., :2] @ where[..., np.newaxis])[..., 0] + forward[..., 2]
