"""From tiles with the stage's positions to one picture of the window."""

import itertools
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.mosaic.balance import Balance, balance_tiles
from derotation.mosaic.blend import Mosaic, blend_tiles, feather, seam_ratio
from derotation.mosaic.overlaps import Picture, blank_pixels
from derotation.mosaic.stage import stage_angles
from derotation.mosaic.tiles import Placement, find_neighbors, measure_overlaps, place_tiles
from derotation.settings.defaults import complete

__all__ = ["DIRECTIONS", "MosaicResult", "Tile", "build_mosaic", "stage_to_pixels"]

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
Direction = Literal["right", "left", "down", "up"]

# Where (row, column) the field of view moves in the picture.
DIRECTIONS: dict[str, tuple[float, float]] = {
    "right": (0.0, 1.0),
    "left": (0.0, -1.0),
    "down": (1.0, 0.0),
    "up": (-1.0, 0.0),
}
# Other directions of the stage are tried on so many pairs at most.
PAIRS_TRIED = 8
# A tile's picture has to fill so much of it.
LEAST_SEEN = 0.02


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tile:
    """One field of view."""

    name: str
    """The session's name."""
    image: Image
    """The mean image (row, column)."""
    coverage: Image | None
    """Part of the frames that saw each pixel, 0 to 1; None: all of them saw all."""
    stage_um: tuple[float, float]
    """Position (x, y) of the stage, micrometers."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MosaicResult:
    """A mosaic with everything that is known about it."""

    names: tuple[str, ...]
    """The sessions, in the order of their labels 1, 2, ..."""
    stage_um: Floats
    """Positions (x, y) of the stage, micrometers, shape (n, 2)."""
    tile_shape: tuple[int, int]
    """Rows and columns of a tile."""
    pixel_size_um: float
    """Width of a pixel."""
    placement: Placement
    """Where the tiles lie."""
    balance: Balance
    """How bright they are."""
    mosaic: Mosaic
    """The picture."""
    outlines: tuple[NDArray[np.bool_], ...]
    """Which pixels of each tile were used."""
    seams: float
    """Steps across the tiles' borders over those elsewhere, see :func:`blend.seam_ratio`."""

    @property
    def n_used(self) -> int:
        """Overlaps that count."""
        return sum(overlap.ok for overlap in self.placement.overlaps)

    @property
    def statement(self) -> str:
        """What was found, in one paragraph for people."""
        placement, n = self.placement, len(self.placement.overlaps)
        left = [
            name for name, refined in zip(self.names, placement.refined, strict=True) if not refined
        ]
        if not self.n_used:
            return (
                f"None of {n} overlaps could be used: all tiles lie where the stage says. Check "
                "mosaic.x_axis, mosaic.y_axis and the size of a pixel."
            )
        text = (
            f"{self.n_used} of {n} overlaps were used; they agree to "
            f"{placement.residual_px:.2f} px. {self.stage_sentence()}"
        )
        if left:
            text += f" Left where the stage says, without a reliable overlap: {', '.join(left)}."
        return text

    def stage_sentence(self) -> str:
        """Say how the stage lies to the scanner."""
        stage = self.placement.stage
        angles = stage_angles(stage.matrix)
        if stage.free == 0:
            return "The overlaps do not tell how the stage lies to the scanner."
        doubt = stage.angle_uncertainties()
        theta = f"{angles['theta_deg']:.2f}"
        if doubt is not None:
            theta += f" ± {doubt['theta_deg']:.2f}"
        text = f"The stage is turned by {theta} degrees against the scanner"
        if stage.free == 4:
            text += (
                f", its axes are {angles['phi_deg']:.2f} degrees apart, and a step of 1 um is "
                f"{angles['step_x']:.4f} um (x) and {angles['step_y']:.4f} um (y) in the picture."
            )
        else:
            text += f", and a step of 1 um is {angles['step_x']:.4f} um in the picture."
        return text


def stage_to_pixels(
    stage_um: Floats, pixel_size_um: float, x_axis: str = "right", y_axis: str = "down"
) -> Floats:
    """Turn positions (x, y) of the stage into pixels (row, column).

    Parameters
    ----------
    stage_um : ndarray of shape (n, 2)
        Micrometers.
    pixel_size_um : float
        Width of a pixel.
    x_axis, y_axis : {"right", "left", "down", "up"}
        Where the field of view moves in the picture as the stage's x and y grow.
    """
    axes = np.array([DIRECTIONS[x_axis], DIRECTIONS[y_axis]])
    return np.asarray(np.asarray(stage_um, np.float64) @ axes / pixel_size_um)


def build_mosaic(
    tiles: Sequence[Tile],
    pixel_size_um: float,
    config: Mapping[str, Any] | None = None,
    *,
    threads: int = 1,
) -> MosaicResult:
    """Place, balance and blend tiles.

    Parameters
    ----------
    tiles : sequence of Tile
        Two or more, all of one shape.
    pixel_size_um : float
        Width of a pixel, micrometers.
    config : mapping, optional
        ``x_axis`` and ``y_axis`` (see :func:`stage_to_pixels`), ``search_um`` (how far from the
        stage's position neighbors are sought; None: a tenth of a tile), ``min_overlap`` (part of a
        tile that two neighbors share at least), ``min_coverage`` (part of the frames that have to
        have seen a pixel) and ``illumination`` (auto, never).
    threads : int
        Threads that share the overlaps.

    Returns
    -------
    MosaicResult

    Raises
    ------
    InputError
        If there are fewer than two tiles, if they differ in shape, if one of them shows nothing, or
        if they only match with the stage's axes the other way round.
    """
    settings = complete("mosaic", config)
    shape = _common_shape(tiles)
    usable = [_usable(tile, settings["min_coverage"]) for tile in tiles]
    stage_um = np.array([tile.stage_um for tile in tiles], np.float64)
    motor = stage_to_pixels(stage_um, pixel_size_um, settings["x_axis"], settings["y_axis"])
    reach = None if settings["search_um"] is None else settings["search_um"] / pixel_size_um
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        pictures = list(pool.map(Picture.prepare, [tile.image for tile in tiles], usable))
    placement = place_tiles(
        pictures, motor, reach=reach, min_overlap=settings["min_overlap"], threads=threads
    )
    used = [(overlap.first, overlap.second) for overlap in placement.overlaps if overlap.ok]
    if len(used) <= len(placement.overlaps) / 2:
        _check_directions(pictures, stage_um, pixel_size_um, settings, reach, len(used), threads)
    _log_left_out(tiles, placement)
    balance = balance_tiles(
        pictures, placement.positions, used, illumination=settings["illumination"]
    )
    del pictures

    def read(k: int) -> tuple[Image, Image]:
        return tiles[k].image, feather(usable[k], tiles[k].coverage)

    mosaic = blend_tiles(read, placement.positions, shape, balance)
    result = MosaicResult(
        names=tuple(tile.name for tile in tiles),
        stage_um=stage_um,
        tile_shape=shape,
        pixel_size_um=pixel_size_um,
        placement=placement,
        balance=balance,
        mosaic=mosaic,
        outlines=tuple(usable),
        seams=seam_ratio(mosaic.image, mosaic.count.astype(np.uint16)),
    )
    logger.info("%s", result.statement)
    return result


def _common_shape(tiles: Sequence[Tile]) -> tuple[int, int]:
    """Return the shape of all tiles."""
    if len(tiles) < 2:
        raise InputError(f"a mosaic needs at least two tiles, but there are {len(tiles)}")
    first = tiles[0]
    for tile in tiles[1:]:
        if tile.image.shape != first.image.shape:
            found, needed = (" x ".join(map(str, t.image.shape)) for t in (tile, first))
            msg = (
                f"{tile.name} has {found} pixels, {first.name} {needed}; the sessions of a mosaic "
                "have to be of one size"
            )
            raise InputError(msg)
    return first.image.shape[0], first.image.shape[1]


def _usable(tile: Tile, min_coverage: float) -> NDArray[np.bool_]:
    """Mark the pixels of a tile that enough frames saw."""
    seen = ~blank_pixels(tile.image)
    if tile.coverage is not None:
        seen &= tile.coverage >= max(min_coverage, 1e-6)
    if seen.mean() < LEAST_SEEN:
        msg = (
            f"{tile.name}: only {seen.mean():.1%} of the mean image were seen by "
            f"{min_coverage:.0%} of the frames; lower mosaic.min_coverage, or take the session out "
            "of the mosaic"
        )
        raise InputError(msg)
    return seen


def _check_directions(
    pictures: Sequence[Picture],
    stage_um: Floats,
    pixel_size_um: float,
    settings: Mapping[str, Any],
    reach: float | None,
    n_used: int,
    threads: int,
) -> None:
    """Raise if the tiles match with the stage's axes pointing elsewhere."""
    shape = pictures[0].shape
    given = (settings["x_axis"], settings["y_axis"])
    for x_axis, y_axis in itertools.permutations(DIRECTIONS, 2):
        along_x, along_y = DIRECTIONS[x_axis], DIRECTIONS[y_axis]
        if (x_axis, y_axis) == given or abs(along_x[0]) == abs(along_y[0]):
            continue
        motor = stage_to_pixels(stage_um, pixel_size_um, x_axis, y_axis)
        pairs = find_neighbors(motor, shape, settings["min_overlap"])[:PAIRS_TRIED]
        if not pairs:
            continue
        expected = np.array([motor[j] - motor[i] for i, j in pairs])
        found = measure_overlaps(
            pictures, pairs, expected, min(shape) / 10 if reach is None else reach, threads=threads
        )
        n = sum(overlap.ok for overlap in found)
        if n > max(len(pairs) / 2, n_used):
            msg = (
                f"with mosaic.x_axis: {given[0]} and mosaic.y_axis: {given[1]} only {n_used} "
                f"overlaps match, but with x_axis: {x_axis} and y_axis: {y_axis} {n} of "
                f"{len(pairs)} do; set these two keys of the configuration"
            )
            raise InputError(msg)


def _log_left_out(tiles: Sequence[Tile], placement: Placement) -> None:
    for overlap in placement.overlaps:
        if not overlap.ok:
            logger.info(
                "the overlap of %s and %s was left out: %s",
                tiles[overlap.first].name, tiles[overlap.second].name, overlap.problem,
            )  # fmt: skip
