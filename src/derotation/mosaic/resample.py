"""Read a tile between its pixels."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["read_between"]

Image = NDArray[np.float32]


def read_between(
    image: Image,
    place: NDArray[np.float64],
    count: tuple[int, int],
    *,
    stride: int = 1,
    order: Literal[1, 3] = 3,
    beyond: Literal["mirror", "constant"] = "mirror",
    prefilter: bool = True,
) -> Image:
    """Read an image at evenly spaced places.

    Parameters
    ----------
    image : ndarray of shape (rows, columns)
        The image, or its spline coefficients if `prefilter` is False.
    place : ndarray of 2
        The first place (row, column).
    count : tuple of int
        How many places there are along rows and columns.
    stride : int
        From one place to the next, pixels.
    order : {1, 3}
        Linear or cubic.
    beyond : {"mirror", "constant"}
        What lies beyond the rim: a mirror image, or 0.
    prefilter : bool
        Whether the spline coefficients are still to be computed.
    """
    found = ndimage.affine_transform(
        image, np.full(2, float(stride)), offset=place, output_shape=count, output=np.float32,
        order=order, mode=beyond, prefilter=prefilter,
    )  # fmt: skip
    return np.asarray(found, np.float32)
