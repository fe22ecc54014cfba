"""Bright blobs of an image as maxima of the scale-normalized Laplacian of Gaussians.

What :func:`skimage.feature.blob_log` gives, in 32 bits and several times faster; a job that looks
for blobs need not load scikit-image. See Lindeberg, "Feature detection with automatic scale
selection", Int. J. Comput. Vis. 30 (1998), 79-116.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["box_mean", "local_maxima", "responses", "scale_space_blobs"]

Floats = NDArray[np.float64]

# Gaussians reach so many standard deviations far.
TRUNCATE = 4.0
# Maxima for which there is room at first.
ROOM = 4096


def scale_space_blobs(
    image: NDArray[np.floating[Any]],
    *,
    min_sigma: float,
    max_sigma: float,
    num_sigma: int = 10,
    threshold: float = 0.2,
    overlap: float = 0.5,
    log_scale: bool = False,
    exclude_border: int | bool = False,
) -> Floats:
    """Find bright blobs; arguments as those of :func:`skimage.feature.blob_log`.

    Parameters
    ----------
    image : ndarray of shape (y, x)
    min_sigma, max_sigma : float
        Smallest and largest standard deviation of the Gaussian, pixels.
    num_sigma : int
        Number of standard deviations between them.
    threshold : float
        Responses have to be higher.
    overlap : float
        Of two blobs that share more than this part of the area of the smaller one the smaller one
        is left out, and of two equal ones the brighter one.
    log_scale : bool
        Whether standard deviations are in equal ratios rather than steps.
    exclude_border : int
        Blobs nearer to the border (px) are left out; none if False.

    Returns
    -------
    ndarray of shape (n, 3)
        Row, column and standard deviation of each, the strongest response first.
    """
    if log_scale:
        sigmas = np.logspace(np.log10(min_sigma), np.log10(max_sigma), num_sigma)
    else:
        sigmas = np.linspace(min_sigma, max_sigma, num_sigma)
    space = responses(image, sigmas)
    scale, row, column = local_maxima(space, threshold).T
    inside = np.minimum.reduce(
        [row, column, image.shape[0] - 1 - row, image.shape[1] - 1 - column]
    ) >= int(exclude_border)
    scale, row, column = scale[inside], row[inside], column[inside]
    order = np.lexsort((scale, column, row))
    order = order[np.argsort(-space[scale, row, column][order], kind="stable")]
    found = np.column_stack([row, column, sigmas[scale]])[order]
    return _without_overlaps(found, overlap)


def responses(image: NDArray[np.floating[Any]], sigmas: Floats) -> NDArray[np.float32]:
    """Compute the scale-normalized negative Laplacian of Gaussians.

    Parameters
    ----------
    image : ndarray of shape (y, x)
    sigmas : ndarray of shape (scale,)
        Standard deviations, pixels.

    Returns
    -------
    ndarray of shape (scale, y, x)
    """
    from derotation.images.blob_kernels import laplacian

    picture = np.ascontiguousarray(image, np.float32)
    out = np.empty((len(sigmas), *picture.shape), np.float32)
    for k, sigma in enumerate(sigmas):
        taps, bends = _taps(float(sigma))
        rows = np.empty((2, picture.shape[1] + 2 * (len(taps) - 1)), np.float32)
        laplacian(picture, taps, bends, rows, out[k])
    return out


@lru_cache(maxsize=64)
def _taps(sigma: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Make the halves of a Gaussian, and of its second derivative times the squared scale."""
    square = (np.arange(int(TRUNCATE * sigma + 0.5) + 1) / sigma) ** 2
    half = np.exp(-0.5 * square)
    half /= 2 * half.sum() - half[0]
    return half.astype(np.float32), ((square - 1) * half).astype(np.float32)


def local_maxima(space: NDArray[np.float32], threshold: float) -> NDArray[np.intp]:
    """Find local maxima of responses (scale, y, x): their places, shape (n, 3)."""
    from derotation.images import blob_kernels

    room = ROOM
    while True:
        places = np.empty((room, 3), np.intp)
        n = blob_kernels.local_maxima(space, np.float32(threshold), places)
        if n <= room:
            # What is the same everywhere has no maximum.
            return places[: 0 if n == space.size else n]
        room = n


def box_mean(image: NDArray[Any], size: int) -> Floats:
    """Average an image (y, x) over squares of pixels, mirrored beyond its borders."""
    from derotation.images import blob_kernels

    out = np.empty(image.shape)
    row = np.empty(image.shape[1] + 2 * size)
    blob_kernels.box_mean(np.ascontiguousarray(image, np.float64), size, out[0].copy(), row, out)
    return out


def _without_overlaps(found: Floats, overlap: float) -> Floats:
    """Leave out blobs of which others cover too much, pair by pair."""
    if not len(found):
        return found
    radius = np.sqrt(2) * found[:, 2]
    apart = np.hypot(*(found[:, np.newaxis, :2] - found[np.newaxis, :, :2]).transpose(2, 0, 1))
    one, other = np.nonzero(np.triu(apart < np.add.outer(radius, radius), 1))
    share = _shared(apart[one, other], radius[one], radius[other])
    kept = np.ones(len(found), np.bool_)
    for a, b in zip(one[share > overlap].tolist(), other[share > overlap].tolist(), strict=True):
        if kept[a] and kept[b]:
            kept[b if found[a, 2] > found[b, 2] else a] = False
    return found[kept]


def _shared(apart: Floats, one: Floats, other: Floats) -> Floats:
    """Give the part of the smaller of two discs (radii) that the larger one covers."""
    small, large = np.minimum(one, other), np.maximum(one, other)
    within = apart <= large - small
    d = np.where(within, large, apart)
    # Half the angles under which the chord is seen from both centers.
    in_small = np.arccos(np.clip((d**2 + small**2 - large**2) / (2 * d * small), -1, 1))
    in_large = np.arccos(np.clip((d**2 + large**2 - small**2) / (2 * d * large), -1, 1))
    kite = np.sqrt(
        np.maximum((large + small - d) * (d + small - large) * (d + large - small), 0)
        * (d + small + large)
    )
    area = small**2 * in_small + large**2 * in_large - kite / 2
    return np.asarray(np.where(within, 1.0, area / (np.pi * small**2)))
