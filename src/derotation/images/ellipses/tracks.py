"""Where blobs were seen at each angle, and how much of the turn that covers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["BlobTracks", "covered"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlobTracks:
    """Where each of several blobs was seen at each angle."""

    angles: Floats
    """Degrees, shape (n_angles,)."""
    positions: Floats
    """(x, y) in pixels, shape (n_tracks, n_angles, 2); 0 where the blob was not found."""
    found: NDArray[np.bool_]
    """Whether the blob was found, shape (n_tracks, n_angles)."""
    sigmas: Floats
    """Median scale of each blob, pixels (radius / sqrt(2)), shape (n_tracks,); largest first."""

    def __len__(self) -> int:
        return len(self.positions)


def covered(angles: ArrayLike) -> float:
    """Tell how many degrees of the turn angles cover: a full turn less the largest gap."""
    turned = np.sort(np.mod(np.asarray(angles, np.float64).ravel(), 360.0))
    if not turned.size:
        return 0.0
    return 360.0 - float(np.diff(turned, append=turned[0] + 360.0).max())
