"""A mosaic: tiles where the stage says they are, and as they are put together."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from derotation.mosaic.blend import Mosaic, blend_tiles
from derotation.mosaic.build import MosaicResult, Tile, build_mosaic
from derotation.plots.mosaic import plot_overlaps, plot_tiles
from derotation.simulate import CutTiles, cut_tiles, stage_matrix, window_scene
from figures.style import BLUE, GRAY, ORANGE, Figure, figure, show

SIDE, STEP = 128, 100
NAMES = ("a", "b", "c", "d", "e", "f", "g", "h", "i")
# How far from the rim of a tile steps are shown (px).
FAR = 16


@cache
def example() -> tuple[CutTiles, MosaicResult]:
    """Cut nine tiles from a window with a stage that is turned and does not repeat well."""
    rng = np.random.default_rng(5)
    ideal = np.array([(i, j) for i in range(3) for j in range(3)]) * STEP
    places = ideal @ stage_matrix(1.5, 0.5, 0.98).T + rng.normal(0, 1.5, ideal.shape)
    places += 8 - places.min(axis=0)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - np.array([0.56, 0.46])[:, None, None]
    light = np.exp(-(x**2 + y**2) / (2 * 0.55**2))
    tiles = cut_tiles(
        window_scene((360, 360), seed=5, brightness=60.0), places, (SIDE, SIDE), rng=rng,
        illumination=light, brightness=rng.uniform(0.8, 1.2, len(places)),
    )  # fmt: skip
    result = build_mosaic(
        [
            Tile(name=name, image=image, coverage=None, stage_um=(2.0 * column, 2.0 * row))
            for name, image, (row, column) in zip(NAMES, tiles.images, ideal, strict=True)
        ],
        2.0,
    )
    return tiles, result


def pasted() -> Mosaic:
    """Paste the tiles where the stage says, one over the other's half."""
    tiles, result = example()
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    near = (SIDE / 2 - np.maximum(np.abs(x), np.abs(y))) > 3
    return blend_tiles(
        lambda k: (tiles.images[k], near.astype(np.float32)), result.placement.motor, (SIDE, SIDE)
    )


def mosaic() -> Figure:
    """Compare a mosaic by the stage alone with what build_mosaic makes."""
    _, result = example()
    drawn = figure(11, 4.4)
    before, after, places = drawn.subplots(1, 3)
    limits = (100.0, 2600.0)
    show(before, pasted().image, "where the stage says, averaged as recorded", limits)
    show(after, result.mosaic.image, "as put together by build_mosaic", limits)
    plot_tiles(result, places)
    return drawn


def mosaic_seams() -> Figure:
    """Draw steps of brightness around the rims of tiles."""
    _, result = example()
    drawn = figure(8, 3.2)
    rows, columns = drawn.subplots(1, 2, sharey=True)
    for axis, ax, name in ((0, rows, "upper and lower"), (1, columns, "left and right")):
        for image, color, label in (
            (pasted(), ORANGE, "by the stage, as recorded"),
            (result.mosaic, BLUE, "build_mosaic"),
        ):
            distance, step = steps(image, axis)
            ax.plot(distance, step, color=color, label=label)
        ax.axvline(0, color=GRAY, linewidth=0.8)
        ax.set(xlabel="distance from the rim of a tile (px)", title=f"{name} rims")
    rows.set(ylabel="mean step to the next pixel (counts)")
    rows.set_ylim(bottom=0)
    columns.legend(fontsize=8)
    return drawn


def steps(found: Mosaic, axis: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Average the steps between neighboring pixels by their distance from a rim."""
    count, image = found.count.astype(int), found.image
    step = np.diff(image, axis=axis)
    rim = (np.diff(count, axis=axis) != 0) & np.isfinite(step)
    # Rims along the other axis only: distance is counted across them.
    lines = ndimage.distance_transform_edt(~rim, return_distances=False, return_indices=True)
    place = np.indices(rim.shape)
    away = (place - lines)[axis]
    straight = ((place - lines)[1 - axis] == 0) & np.isfinite(step)
    distances = np.arange(-FAR, FAR + 1)
    means = [float(np.abs(step[straight & (away == d)]).mean()) for d in distances]
    return distances, np.array(means)


def mosaic_overlaps() -> Figure:
    """Show the picture of the overlaps as the workflow makes it."""
    return plot_overlaps(example()[1])
