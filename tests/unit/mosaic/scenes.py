"""Small grids of tiles cut from a simulated window, with the truth about them."""

from dataclasses import dataclass

import numpy as np

from derotation.simulate import CutTiles, cut_tiles, stage_matrix, window_scene

SIDE = 128
OVERLAP = 0.25


@dataclass(frozen=True)
class Grid:
    """Tiles of nx rows and ny columns."""

    nx: int
    ny: int
    ideal: np.ndarray
    matrix: np.ndarray
    tiles: CutTiles

    def volume(self, images=None):
        """Lay the tiles side by side."""
        images = self.tiles.images if images is None else images
        rows, columns = images.shape[1:]
        grid = images.reshape(self.nx, self.ny, rows, columns)
        return grid.transpose(0, 2, 1, 3).reshape(1, self.nx * rows, self.ny * columns)


def grid(nx=2, ny=3, *, seed=0, angle=1.5, skew=0.5, scale=0.98, error=0.0, photons=40.0, **more):
    """Cut a grid with a stage that is turned, skewed and off in scale."""
    rng = np.random.default_rng(seed)
    matrix = stage_matrix(angle, skew, scale)
    step = SIDE * (1 - OVERLAP)
    ideal = np.array([(i, j) for i in range(nx) for j in range(ny)]) * step
    places = ideal @ matrix.T + rng.normal(0, 1, ideal.shape) * error
    places += 15 - places.min(axis=0)
    shape = tuple(int(n) for n in np.ceil(places.max(axis=0)) + SIDE + 15)
    scene = window_scene(shape, seed=seed, brightness=photons)
    return Grid(nx, ny, ideal, matrix, cut_tiles(scene, places, (SIDE, SIDE), rng=rng, **more))


def uneven_light(shape=(SIDE, SIDE)):
    """Light that falls off from a place beside the middle of the field."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    y, x = rows / shape[0] - 0.58, columns / shape[1] - 0.45
    return np.exp(-(x**2 + y**2) / (2 * 0.6**2))


def rms_distance(found, true):
    """Tell how far positions are off, but for a shift of all of them."""
    off = np.asarray(found) - np.asarray(true)
    off = off - off.mean(axis=0)
    return float(np.sqrt(np.mean(np.sum(off**2, axis=1))))
