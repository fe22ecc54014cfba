"""Smooth functions over the microscope's field, of which the light is made."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.interpolate import BSpline

from derotation.calibration.calibration import Calibration
from derotation.maps import transforms

__all__ = ["Field"]

Floats = NDArray[np.float64]

# Pieces of the splines along the longer side of the field: as fine as the light is told.
PIECES = 12
DEGREE = 3
RADII, DIRECTIONS = 48, 90


class Field:
    """Smooth functions on the field of the microscope: cubic B-splines on squares.

    Parameters
    ----------
    calibration : Calibration
        It tells which places of the field lie around the center on one circle (or ellipse, if the
        plane is tilted): a part of the light that is the same all around looks like a part of the
        sample, and is left out of what is evaluated.
    """

    def __init__(self, calibration: Calibration) -> None:
        self.shape = calibration.image_shape
        self._center = np.array(calibration.center)
        self._plane = transforms.plane_matrix(
            calibration.plane_angle, calibration.plane_orientation
        )
        step = max(self.shape) / PIECES
        self._knots = [_knots(n - 1, max(round(n / step), 2)) for n in self.shape]
        self._sizes = [len(knots) - DEGREE - 1 for knots in self._knots]

    def __len__(self) -> int:
        return self._sizes[0] * self._sizes[1]

    @property
    def radius(self) -> float:
        """Radius of the largest circle (in the plane of rotation) that lies within the field."""
        around = _circle(360) @ self._plane.T
        height, width = self.shape
        room = np.where(around > 0, np.array([width - 1, height - 1]) - self._center, -self._center)
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(np.abs(around) > 1e-12, room / around, np.inf)
        return max(float(reach.min()), 1.0)

    def within_circle(self) -> NDArray[np.bool_]:
        """Mark the pixels (y, x) within the largest circle that lies within the field."""
        height, width = self.shape
        places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
        flat = (places - self._center) @ np.linalg.inv(self._plane).T
        return np.asarray(np.linalg.norm(flat, axis=-1) <= self.radius)

    def design(self, places: Floats) -> "sparse.csr_array":
        """Give the splines at places (n, 2), (x, y) in the field: a sparse matrix (n, len)."""
        parts = []
        for axis, knots in ((1, self._knots[0]), (0, self._knots[1])):
            last = float(knots[-1])
            matrix = BSpline.design_matrix(np.clip(places[:, axis], 0, last), knots, DEGREE)
            parts.append(
                (matrix.indices.reshape(-1, DEGREE + 1), matrix.data.reshape(-1, DEGREE + 1))
            )
        (rows, along_y), (columns, along_x) = parts
        n = len(places)
        indices = (rows[:, :, None] * self._sizes[1] + columns[:, None, :]).reshape(n, -1)
        values = (along_y[:, :, None] * along_x[:, None, :]).reshape(n, -1)
        start = np.arange(n + 1) * indices.shape[1]
        return sparse.csr_array((values.ravel(), indices.ravel(), start), shape=(n, len(self)))

    def unsymmetric(self, places: Floats) -> Floats:
        """Give the splines at places (n, 2) without what is the same all around: (n, len).

        Beyond the largest whole circle, where no place is seen from all sides, the splines are
        relative to that circle.
        """
        radii = np.linspace(0, self.radius, RADII)
        circles = self._center + radii[:, None, None] * (_circle(DIRECTIONS) @ self._plane.T)
        means = self.design(circles.reshape(-1, 2)).toarray()
        means = means.reshape(RADII, DIRECTIONS, -1).mean(axis=1)
        flat = (places - self._center) @ np.linalg.inv(self._plane).T
        at = np.minimum(np.linalg.norm(flat, axis=1) / radii[1], RADII - 1 - 1e-9)
        below = at.astype(int)
        above = (at - below)[:, None]
        around = (1 - above) * means[below] + above * means[below + 1]
        return np.asarray(self.design(places).toarray() - around)

    def roughness(self) -> Floats:
        """Give the matrix whose quadratic form is the roughness of a function: (len, len)."""
        y, x = (np.diff(np.eye(n), 2, axis=0) for n in self._sizes)
        rows, columns = (np.eye(n) for n in self._sizes)
        return np.asarray(np.kron(y.T @ y, columns) + np.kron(rows, x.T @ x))


def _knots(last: float, pieces: int) -> Floats:
    inner = np.linspace(0, last, pieces + 1)
    return np.concatenate([[0.0] * DEGREE, inner, [last] * DEGREE])


def _circle(n: int) -> Floats:
    around = np.arange(n) * (2 * np.pi / n)
    return np.stack([np.cos(around), np.sin(around)], axis=1)
