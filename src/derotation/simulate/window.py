"""A window that is larger than one field of view, and tiles cut from it as a stage would.

The window is one scene, a formula: every tile is evaluated at the places of its own pixels, so that
what two tiles share is the same sample without any interpolation. Positions of tiles are
(row, column) pixels of the window, as everywhere in :mod:`derotation.mosaic`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.simulate.scene import Scene, random_scene

__all__ = ["CutTiles", "View", "cut_tiles", "moved_scene", "stage_matrix", "window_scene"]

# Cells per pixel, as many as 60 in a picture of 256 x 256.
_DENSITY = 60 / 256**2


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Where a simulated session looks at a window that it shares with other sessions.

    Parameters
    ----------
    window : tuple of int
        Height and width of the window, pixels.
    position : tuple of float
        Place (x, y) in the window of the middle of the first pixel, pixels.
    seed : int
        Sessions with the same window and the same seed look at the same sample.
    """

    window: tuple[int, int] = (512, 512)
    position: tuple[float, float] = (0.0, 0.0)
    seed: int = 0

    def __post_init__(self) -> None:
        # A configuration file gives lists.
        object.__setattr__(self, "window", tuple(int(n) for n in self.window))
        object.__setattr__(self, "position", tuple(float(n) for n in self.position))

    def scene(self, brightness: float, options: Mapping[str, Any]) -> Scene:
        """Give the window's scene in the coordinates of the session's picture."""
        # A session at the border sees beyond it when it turns; how far must not depend on the
        # session, since all of them share the sample.
        margin = max(self.window) / 2
        whole = window_scene(
            self.window, seed=self.seed, brightness=brightness, margin=margin, **options
        )
        return moved_scene(whole, self.position)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CutTiles:
    """Tiles with the truth about them."""

    images: NDArray[np.float32]
    """The tiles, shape (n, rows, columns); pixels outside a disc hold `blank`."""
    masks: NDArray[np.bool_]
    """Which pixels were seen, shape (n, rows, columns)."""
    positions: NDArray[np.float64]
    """True place (row, column) in the window of each tile's first pixel, shape (n, 2)."""
    exact: NDArray[np.float32]
    """The same tiles evenly lit, of the same brightness and without noise."""
    blank: float
    """Counts without light."""


def stage_matrix(
    angle: float = 0.0, skew: float = 0.0, scale: float | tuple[float, float] = 1.0
) -> NDArray[np.float64]:
    """Make the linear map by which a stage moves the field of view, (row, column) to the same.

    Parameters
    ----------
    angle : float
        Between scanner and stage, degrees.
    skew : float
        By how much the angle between the stage's axes is more than 90 degrees.
    scale : float or (rows, columns)
        How long a step is that should be 1.
    """
    along_rows, along_columns = np.broadcast_to(np.asarray(scale, np.float64), 2)
    theta, rest = np.radians(angle), np.radians(90.0 + skew - angle)
    return np.array(
        [
            [along_rows * np.sin(rest), -along_columns * np.sin(theta)],
            [along_rows * np.cos(rest), along_columns * np.cos(theta)],
        ]
    )


def window_scene(
    shape: tuple[int, int],
    *,
    seed: int = 0,
    brightness: float = 1.0,
    margin: float = 20.0,
    density: float = _DENSITY,
    **options: Any,
) -> Scene:
    """Draw the sample below a window.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the window, pixels.
    seed : int
        Everything random follows from it.
    brightness : float
        Of a typical cell, photons per pixel.
    margin : float
        So far around the window there is sample, too (pixels).
    density : float
        Cells per pixel.
    **options
        Further arguments of :func:`derotation.simulate.scene.random_scene`.
    """
    height, width = int(shape[0]), int(shape[1])
    if min(height, width) < 8:
        raise InputError(f"a window needs at least 8 x 8 pixels, not {height} x {width}")
    return random_scene(
        (height, width),
        round(density * height * width),
        np.random.default_rng([seed, 7]),
        brightness=brightness,
        reach=max(height, width) / 2 + margin,
        **options,
    )


def moved_scene(scene: Scene, origin: Sequence[float]) -> Scene:
    """Give a scene in coordinates that begin at `origin` (x, y)."""
    x, y = (float(value) for value in origin)
    return replace(
        scene,
        centers=scene.centers - (x, y),
        neuropil_origin=(scene.neuropil_origin[0] - x, scene.neuropil_origin[1] - y),
    )


def cut_tiles(
    scene: Scene,
    positions: ArrayLike,
    shape: tuple[int, int],
    *,
    rng: np.random.Generator,
    photons: bool = True,
    illumination: ArrayLike | None = None,
    brightness: ArrayLike = 1.0,
    gain: float = 20.0,
    offset: float = 100.0,
    disc: bool = False,
) -> CutTiles:
    """Look at a window from several places.

    Parameters
    ----------
    scene : Scene
        The window's sample, photons per pixel.
    positions : array of shape (n, 2)
        Place (row, column) of each tile's first pixel.
    shape : tuple of int
        Rows and columns of a tile.
    rng : numpy.random.Generator
        Source of the photon noise.
    photons : bool
        Whether there is photon noise.
    illumination : array of shape (rows, columns), optional
        Factor on the brightness at each pixel of the microscope's field.
    brightness : float or array of shape (n,)
        Factor on the brightness of each tile.
    gain, offset : float
        Counts per photon and counts without light.
    disc : bool
        Whether only the largest disc in the tile was seen, as derotation leaves it.

    Returns
    -------
    CutTiles
    """
    places = np.asarray(positions, np.float64).reshape(-1, 2)
    light = np.ones(shape) if illumination is None else np.asarray(illumination, np.float64)
    factors = np.broadcast_to(np.asarray(brightness, np.float64), len(places))
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    radius = np.hypot(rows - (shape[0] - 1) / 2, columns - (shape[1] - 1) / 2)
    mask = radius <= (min(shape) - 1) / 2 if disc else np.ones(shape, np.bool_)
    images = np.empty((len(places), *shape), np.float32)
    exact = np.empty_like(images)
    for k, (row, column) in enumerate(places):
        expected = scene.evaluate(columns + column, rows + row)
        seen = expected * light * factors[k]
        counts = rng.poisson(seen) if photons else seen
        images[k] = np.where(mask, offset + gain * counts, offset)
        exact[k] = offset + gain * expected
    return CutTiles(
        images=images,
        masks=np.broadcast_to(mask, images.shape),
        positions=places,
        exact=exact,
        blank=offset,
    )
