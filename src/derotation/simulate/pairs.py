"""Two mean images of the same field of view on different days, with the known movement."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.simulate.scene import random_scene

__all__ = ["ImagePair", "simulate_pair"]

_PMT_OFFSET, _GAIN, _READ_NOISE = 100.0, 20.0, 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImagePair:
    """Two images and how they belong together.

    Parameters
    ----------
    ref, moved : ndarray of float32, shape (height, width)
        Mean images, counts.
    matrix : ndarray of shape (3, 3)
        Takes a place (x, y) in the moved image to that in the reference, pixels.
    """

    ref: NDArray[np.float32]
    moved: NDArray[np.float32]
    matrix: NDArray[np.float64]

    def corner_error(self, matrix: NDArray[np.float64]) -> float:
        """Largest distance (px) by which another map puts a corner of the image wrong."""
        height, width = self.ref.shape
        corners = np.array([[0, 0, 1], [width - 1, 0, 1], [0, height - 1, 1],
                            [width - 1, height - 1, 1]], np.float64)  # fmt: skip
        off = corners @ (np.asarray(matrix, np.float64) - self.matrix).T
        return float(np.hypot(off[:, 0], off[:, 1]).max())


def simulate_pair(
    seed: int,
    *,
    size: int = 512,
    rotation: float = 5.0,
    shift: float = 15.0,
    scale: float = 0.03,
    dimmed: float = 0.3,
    frames: int = 20,
    disc: bool = False,
    unrelated: bool = False,
) -> ImagePair:
    """Simulate two mean images between which the field of view has moved.

    The scene is a formula that is evaluated where each pixel looks, so that no image is
    interpolated. Each image has its own photon noise, its own uneven light and its own dark cells.

    Parameters
    ----------
    seed : int
        Everything random follows from it.
    size : int
        Height and width, pixels.
    rotation, shift, scale : float
        The largest rotation (degrees), shift of the middle in x and in y (pixels), and difference
        of the scale from 1; the movement is drawn evenly up to them, in both directions.
    dimmed : float
        Part of the cells that are dim or silent in one image, drawn for each image anew.
    frames : int
        Frames that make up the mean image; decides on the noise.
    disc : bool
        Only a disc as wide as the image is seen; the rim is blank.
    unrelated : bool
        The images show different fields of view.

    Returns
    -------
    ImagePair
    """
    rng = np.random.default_rng([seed, 17])
    n_cells = round(60 * (size / 256) ** 2)
    scenes = [
        random_scene((size, size), n_cells, rng, brightness=rng.uniform(2, 10), reach=0.85 * size)
        for _ in range(2 if unrelated else 1)
    ]
    angle, factor = (
        math.radians(rng.uniform(-rotation, rotation)),
        rng.uniform(1 - scale, 1 + scale),
    )
    cos, sin = factor * math.cos(angle), factor * math.sin(angle)
    middle = np.full(2, (size - 1) / 2)
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])
    matrix[:2, 2] = middle + rng.uniform(-shift, shift, 2) - matrix[:2, :2] @ middle
    y, x = np.mgrid[:size, :size].astype(np.float64)
    blank = np.hypot(x - middle[0], y - middle[1]) > size / 2 - 1
    images = []
    for scene, (a, b, _) in ((scenes[0], np.eye(3)), (scenes[-1], matrix)):
        silent = rng.random(scene.n_cells) < dimmed
        activity = np.where(silent, rng.uniform(0, 0.3, scene.n_cells), 1.0)
        photons = scene.evaluate(
            a[0] * x + a[1] * y + a[2], b[0] * x + b[1] * y + b[2], activity
        ) * _light(x / size, y / size, rng)
        counts = _PMT_OFFSET + _GAIN * rng.poisson(frames * photons) / frames
        counts += rng.normal(0, _READ_NOISE / math.sqrt(frames), counts.shape)
        images.append(np.where(blank & disc, _PMT_OFFSET, counts).astype(np.float32))
    return ImagePair(ref=images[0], moved=images[1], matrix=matrix)


def _light(
    x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Light that falls off from a random place, to a half at a distance of one image."""
    at_x, at_y = rng.uniform(0.2, 0.8, 2)
    return np.asarray(1 - 0.5 * np.clip(np.hypot(x - at_x, y - at_y), 0, 1))
