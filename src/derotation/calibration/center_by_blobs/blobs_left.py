"""How wrong a center is, told by all blobs in images that were derotated about it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.images.blob_detection import Blobs
from derotation.images.blob_tracks import link_in_place
from derotation.maps import transforms

__all__ = ["error_by_blobs"]

Floats = NDArray[np.float64]

# Blobs are followed in the derotated images within this distance (px).
REACH = 6.0
TUKEY = 4.685


def error_by_blobs(
    blobs: Sequence[Blobs], angles: Floats, plane: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Fit how wrong the center is from all blobs in the derotated images: error, sd (x, y).

    Blob k at angle a is at q_k + (I - B(a)) e with B the map that turned it back. NaN if blobs
    cannot be followed.
    """
    chosen = _follow(blobs)
    if not chosen:
        return np.full(2, np.nan), np.full(2, np.nan)
    maps = transforms.line_maps(angles, (0.0, 0.0), *plane)[:, :, :2]
    lever = np.eye(2) - maps
    track = np.repeat(np.arange(len(chosen)), [len(image) for image, _ in chosen])
    image = np.concatenate([image for image, _ in chosen])
    places = np.concatenate([positions for _, positions in chosen])
    weights = np.ones(len(track))
    for iteration in range(15):
        # The blob's own place is the weighted mean of what is left.
        total = np.bincount(track, weights, len(chosen))[track, np.newaxis]
        centered = places - _sums(places, weights, track, len(chosen)) / total
        levers = lever[image].reshape(-1, 4)
        levers = (levers - _sums(levers, weights, track, len(chosen)) / total).reshape(-1, 2, 2)
        left = np.einsum("nip,niq,n->pq", levers, levers, weights)
        inverse = np.linalg.pinv(left, rcond=1e-6)
        error = inverse @ np.einsum("nip,ni,n->p", levers, centered, weights)
        residuals = centered - levers @ error
        distance = np.hypot(residuals[:, 0], residuals[:, 1])
        scale = max(float(np.median(distance)) / 1.1774, 0.02)
        if iteration < 5:
            weights = 1 / np.maximum(distance / scale, 0.2)
        else:
            weights = (1 - np.minimum(distance / (TUKEY * scale), 1) ** 2) ** 2 + 1e-12
    scores = np.einsum("nip,ni,n->np", levers, residuals, weights)
    per_track = np.stack([np.bincount(track, s, len(chosen)) for s in scores.T], -1)
    per_image = np.stack([np.bincount(image, s, len(angles)) for s in scores.T], -1)
    # Blobs and images as wholes scatter: both count, as in the fit of ellipses.
    middle = per_track.T @ per_track + per_image.T @ per_image
    sd = np.sqrt(np.diag(inverse @ middle @ inverse))
    return np.asarray(error), np.asarray(sd)


def _sums(values: Floats, weights: Floats, track: NDArray[Any], n: int) -> Floats:
    """Weighted sums over tracks, spread over their members again."""
    columns = [np.bincount(track, weights * column, n)[track] for column in values.T]
    return np.stack(columns, -1)


def _follow(blobs: Sequence[Blobs]) -> list[tuple[NDArray[np.intp], Floats]]:
    """Follow blobs in derotated images: those that stay within a few pixels of a common place."""
    return link_in_place(blobs, REACH, max(4, len(blobs) // 3))
