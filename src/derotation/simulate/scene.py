"""A fluorescent sample that is a function of continuous coordinates.

The scene is a formula, not a picture: soft-edged elliptical cells with a dark nucleus on a smooth
neuropil. It can be asked for its brightness at any point, so a simulated microscope never
interpolates an image, and what it records is exact. It shares no code with the derotation kernels.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError

__all__ = ["Scene", "random_scene"]

# Beyond this many blur widths outside a cell's edge its profile is below 1e-7 of its brightness.
_REACH_IN_BLURS = 5.5
# Cells are looked up by square bins of this side (px): about the size of one cell with its reach.
_BIN_SIDE = 12.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """Cells on neuropil, evaluated at continuous coordinates.

    A cell is a soft-edged ellipse: with ``d`` the elliptical distance from its center and ``r`` its
    mean radius, its profile is ``(erf((r - d) / (sqrt(2) s)) + erf((r + d) / (sqrt(2) s))) / 2``,
    a box blurred by a Gaussian of width ``s`` (``blur``). It is smooth everywhere, also in the
    middle. The nucleus is the same profile with a smaller radius, subtracted. The neuropil is a sum
    of cubic B-spline bells with random weights on a square lattice.

    Parameters
    ----------
    centers : ndarray of shape (n_cells, 2)
        Centers (x, y) of the cells, pixels.
    radii : ndarray of shape (n_cells, 2)
        Semi-axes of the cells, pixels.
    orientations : ndarray of shape (n_cells,)
        Direction of the first semi-axis, degrees from +x towards +y.
    amplitudes : ndarray of shape (n_cells,)
        Brightness of the cells at baseline over the neuropil, photons per pixel.
    nucleus_fractions : ndarray of shape (n_cells,)
        Radius of the nucleus as a fraction of the cell's radius, 0..1.
    nucleus_depths : ndarray of shape (n_cells,)
        How much darker the nucleus is: 0 (no nucleus) to 1 (as dark as if there were no cell).
    blur : float
        Width (standard deviation) of the optical blur, pixels.
    background : float
        Uniform brightness, photons per pixel.
    neuropil_weights : ndarray of shape (n_rows, n_columns)
        Weights of the neuropil's bells, photons per pixel.
    neuropil_origin : tuple of float
        Position (x, y) of the first bell, pixels.
    neuropil_spacing : float
        Distance between neighboring bells, pixels.
    """

    centers: NDArray[np.float64]
    radii: NDArray[np.float64]
    orientations: NDArray[np.float64]
    amplitudes: NDArray[np.float64]
    nucleus_fractions: NDArray[np.float64]
    nucleus_depths: NDArray[np.float64]
    blur: float
    background: float
    neuropil_weights: NDArray[np.float64]
    neuropil_origin: tuple[float, float]
    neuropil_spacing: float

    @property
    def n_cells(self) -> int:
        """Number of cells, in the picture and around it."""
        return int(self.centers.shape[0])

    def evaluate(
        self, x: ArrayLike, y: ArrayLike, activity: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Brightness at the points (x, y) of the sample at rest.

        Parameters
        ----------
        x, y : array_like
            Coordinates, pixels; broadcast against each other.
        activity : array_like of shape (n_cells,), optional
            Factor on each cell's amplitude; 1 (the default) is the baseline.

        Returns
        -------
        ndarray
            Photons per pixel, float64, of the broadcast shape of ``x`` and ``y``.

        Raises
        ------
        InputError
            If ``activity`` does not hold one number per cell.
        """
        factors = np.ones(self.n_cells) if activity is None else np.asarray(activity, np.float64)
        if factors.shape != (self.n_cells,):
            raise InputError(
                f"activity has shape {factors.shape}, but the scene has {self.n_cells} cells; "
                "give one factor per cell."
            )
        xs, ys = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
        out = np.empty(xs.shape, np.float64)
        sum_scene = _compiled(_sum_scene)
        sum_scene(
            np.ascontiguousarray(xs).ravel(),
            np.ascontiguousarray(ys).ravel(),
            _cell_table(self, factors),
            *_bins(self),
            float(self.background),
            np.ascontiguousarray(self.neuropil_weights, np.float64),
            float(self.neuropil_origin[0]),
            float(self.neuropil_origin[1]),
            float(self.neuropil_spacing),
            out.reshape(-1),
        )
        return out

    def on_grid(
        self, shape: tuple[int, int], activity: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Brightness at the pixel centers of an image of ``shape`` (height, width) at rest."""
        rows, columns = np.mgrid[: shape[0], : shape[1]]
        return self.evaluate(columns, rows, activity)


def random_scene(
    shape: tuple[int, int],
    n_cells: int,
    rng: np.random.Generator,
    *,
    brightness: float = 1.0,
    center: tuple[float, float] | None = None,
    reach: float | None = None,
    radius: tuple[float, float] = (4.0, 7.0),
    blur: float = 1.4,
    nucleus_depth: float = 0.5,
    neuropil: float = 0.3,
    neuropil_spacing: float = 7.0,
    background: float = 0.05,
) -> Scene:
    """Draw a scene whose cells fill the image and the surroundings that a turn brings into view.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the image, pixels.
    n_cells : int
        Number of cells with their center in the image at rest. They come first in the scene;
        those around the image follow, at the same density.
    rng : numpy.random.Generator
        Source of randomness.
    brightness : float
        Brightness of a typical (median) cell at baseline, photons per pixel.
    center : tuple of float, optional
        Center of rotation (x, y), pixels; the middle of the image if not given.
    reach : float, optional
        Radius (pixels) around ``center`` that is filled; if not given, so much that every turn
        about ``center`` sees a populated sample.
    radius : tuple of float
        Smallest and largest mean radius of a cell, pixels.
    blur : float
        Width (standard deviation) of the optical blur, pixels.
    nucleus_depth : float
        Largest relative darkness of a nucleus, 0..1; each cell gets half of it or more.
    neuropil, background : float
        Mean brightness of the neuropil and uniform brightness, as a fraction of ``brightness``.
    neuropil_spacing : float
        Lattice spacing of the neuropil, pixels; its finest texture is about this large.

    Returns
    -------
    Scene

    Raises
    ------
    InputError
        If the shape, the number of cells or a size is not usable.
    """
    height, width = shape
    if height < 1 or width < 1 or n_cells < 0:
        raise InputError(f"a scene needs a positive shape and n_cells >= 0, not {shape}, {n_cells}")
    if not 0 < radius[0] <= radius[1] or blur <= 0 or neuropil_spacing <= 0:
        raise InputError(
            f"radius {radius}, blur {blur} and neuropil_spacing {neuropil_spacing} must be "
            "positive, and the radii in ascending order."
        )
    middle = ((width - 1) / 2, (height - 1) / 2) if center is None else center
    if reach is None:
        corners = np.array([(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)])
        reach = float(np.hypot(*(corners - np.asarray(middle)).T).max()) + 2 * radius[1]

    inside = _scatter(rng, n_cells, (0, width - 1), (0, height - 1), radius)
    n_around = round(n_cells / (width * height) * (2 * reach) ** 2)
    around = _scatter(
        rng,
        n_around,
        (middle[0] - reach, middle[0] + reach),
        (middle[1] - reach, middle[1] + reach),
        radius,
    )
    x, y = around.T
    in_image = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    centers = np.concatenate([inside, around[~in_image]])
    n = len(centers)

    mean_radius = rng.uniform(*radius, n)
    stretch = rng.uniform(1.0, 1.2, n)
    n_bells = math.ceil(2 * reach / neuropil_spacing) + 4
    return Scene(
        centers=centers,
        radii=np.column_stack([mean_radius * stretch, mean_radius / stretch]),
        orientations=rng.uniform(0, 180, n),
        amplitudes=brightness * rng.lognormal(0.0, 0.3, n),
        nucleus_fractions=rng.uniform(0.4, 0.55, n),
        nucleus_depths=nucleus_depth * rng.uniform(0.5, 1.0, n),
        blur=blur,
        background=background * brightness,
        neuropil_weights=neuropil * brightness * _neuropil_texture(rng, n_bells),
        neuropil_origin=(
            middle[0] - reach - 1.5 * neuropil_spacing,
            middle[1] - reach - 1.5 * neuropil_spacing,
        ),
        neuropil_spacing=neuropil_spacing,
    )


def _scatter(
    rng: np.random.Generator,
    n: int,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    radius: tuple[float, float],
) -> NDArray[np.float64]:
    """Draw n points that keep a distance where there is room for it; shape (n, 2)."""
    points = np.empty((n, 2))
    wished = 1.8 * (radius[0] + radius[1]) / 2
    for i in range(n):
        distance = wished
        while True:
            candidate = (rng.uniform(*x_range), rng.uniform(*y_range))
            gaps = np.hypot(*(points[:i] - candidate).T)
            if not np.any(gaps < distance):
                break
            # A crowded image must not loop forever: demand a little less after each refusal.
            distance *= 0.97
        points[i] = candidate
    return points


def _neuropil_texture(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Positive random weights of mean about 1 with fine and coarse structure; shape (n, n)."""
    fine = rng.normal(size=(n, n))
    coarse = np.kron(rng.normal(size=(n // 4 + 1, n // 4 + 1)), np.ones((4, 4)))[:n, :n]
    weights: NDArray[np.float64] = np.exp(0.4 * fine + 0.35 * coarse)
    return weights / float(np.exp(0.5 * (0.4**2 + 0.35**2)))


def _cell_table(scene: Scene, factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """One row per cell with what the kernel needs; shape (n_cells, 10)."""
    mean_radius = np.sqrt(scene.radii[:, 0] * scene.radii[:, 1])
    theta = np.radians(scene.orientations)
    width = math.sqrt(2.0) * scene.blur
    return np.column_stack(
        [
            scene.centers,
            np.cos(theta) * mean_radius / scene.radii[:, 0] / width,
            np.sin(theta) * mean_radius / scene.radii[:, 0] / width,
            -np.sin(theta) * mean_radius / scene.radii[:, 1] / width,
            np.cos(theta) * mean_radius / scene.radii[:, 1] / width,
            mean_radius / width,
            mean_radius * scene.nucleus_fractions / width,
            scene.amplitudes * factors / 2,
            scene.nucleus_depths,
        ]
    )


@functools.lru_cache(maxsize=8)  # the same scene is evaluated once per frame
def _bins(scene: Scene) -> tuple[NDArray[np.int64], NDArray[np.int64], int, int, float, float]:
    """List for each square bin the cells that reach into it.

    Returns
    -------
    tuple
        First entry of each bin in the list (length bins + 1), the list of cells, the numbers of
        bins in x and y, and the position (x, y) of the first bin's corner.
    """
    if scene.n_cells == 0:
        return np.zeros(2, np.int64), np.zeros(0, np.int64), 1, 1, 0.0, 0.0
    mean_radius = np.sqrt(scene.radii[:, 0] * scene.radii[:, 1])
    elongation = scene.radii.max(axis=1) / mean_radius
    reach = elongation * (mean_radius + _REACH_IN_BLURS * scene.blur)
    low = scene.centers - reach[:, None]
    high = scene.centers + reach[:, None]
    origin = low.min(axis=0)
    n_x, n_y = (np.ceil((high.max(axis=0) - origin) / _BIN_SIDE).astype(int)).tolist()
    first = ((low - origin) // _BIN_SIDE).astype(np.int64)
    last = np.minimum(((high - origin) // _BIN_SIDE).astype(np.int64), [n_x - 1, n_y - 1])
    members: list[list[int]] = [[] for _ in range(n_x * n_y)]
    for cell in range(scene.n_cells):
        for row in range(first[cell, 1], last[cell, 1] + 1):
            for column in range(first[cell, 0], last[cell, 0] + 1):
                members[row * n_x + column].append(cell)
    start = np.concatenate([[0], np.cumsum([len(cells) for cells in members])]).astype(np.int64)
    listed = np.array([cell for cells in members for cell in cells], np.int64)
    return start, listed, n_x, n_y, float(origin[0]), float(origin[1])


@functools.cache
def _compiled(function: Callable[..., None]) -> Any:
    """Compile on first use: importing the package must stay fast."""
    import numba

    return numba.njit(cache=True, nogil=True)(function)


def _sum_scene(  # type: ignore[no-untyped-def]
    xs,
    ys,
    cells,
    bin_start,
    bin_cells,
    n_x,
    n_y,
    bin_x,
    bin_y,
    background,
    weights,
    lattice_x,
    lattice_y,
    spacing,
    out,
):
    """Write the scene's brightness at the points (xs, ys) to out."""
    n_rows, n_columns = weights.shape
    for i in range(xs.size):
        x = xs[i]
        y = ys[i]
        total = background

        # Neuropil: the four times four bells that reach this point; the outermost bells go on
        # beyond the lattice, so that the field never ends.
        u = (x - lattice_x) / spacing
        v = (y - lattice_y) / spacing
        column = math.floor(u)
        row = math.floor(v)
        fu = u - column
        fv = v - row
        bu0 = (1 - fu) ** 3 / 6
        bu1 = (3 * fu**3 - 6 * fu**2 + 4) / 6
        bu2 = (-3 * fu**3 + 3 * fu**2 + 3 * fu + 1) / 6
        bu3 = fu**3 / 6
        c0 = min(max(column - 1, 0), n_columns - 1)
        c1 = min(max(column, 0), n_columns - 1)
        c2 = min(max(column + 1, 0), n_columns - 1)
        c3 = min(max(column + 2, 0), n_columns - 1)
        for k in range(4):
            if k == 0:
                bv = (1 - fv) ** 3 / 6
            elif k == 1:
                bv = (3 * fv**3 - 6 * fv**2 + 4) / 6
            elif k == 2:
                bv = (-3 * fv**3 + 3 * fv**2 + 3 * fv + 1) / 6
            else:
                bv = fv**3 / 6
            r = min(max(row - 1 + k, 0), n_rows - 1)
            total += bv * (
                bu0 * weights[r, c0]
                + bu1 * weights[r, c1]
                + bu2 * weights[r, c2]
                + bu3 * weights[r, c3]
            )

        bx = math.floor((x - bin_x) / _BIN_SIDE)
        by = math.floor((y - bin_y) / _BIN_SIDE)
        if 0 <= bx < n_x and 0 <= by < n_y:
            b = by * n_x + bx
            for k in range(bin_start[b], bin_start[b + 1]):
                cell = cells[bin_cells[k]]
                dx = x - cell[0]
                dy = y - cell[1]
                p = cell[2] * dx + cell[3] * dy
                q = cell[4] * dx + cell[5] * dy
                d = math.sqrt(p * p + q * q)  # elliptical distance in units of sqrt(2) blur
                if d > cell[6] + 3.9:
                    continue
                profile = math.erf(cell[6] - d) + math.erf(cell[6] + d)
                nucleus = math.erf(cell[7] - d) + math.erf(cell[7] + d)
                total += cell[8] * (profile - cell[9] * nucleus)
        out[i] = total
