"""Undo uneven light in recorded frames."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["evenly_lit"]


def evenly_lit(
    frames: NDArray[Any], gain: NDArray[np.float32], offset: float
) -> NDArray[np.float32]:
    """Undo uneven illumination: ``offset + gain * (recorded - offset)``.

    Parameters
    ----------
    frames : ndarray of shape (frame, y, x)
        As recorded.
    gain : ndarray of shape (y, x)
        Factor at each pixel of the microscope's field.
    offset : float
        What the detector gives without light, gray values.

    Returns
    -------
    ndarray of shape (frame, y, x)
        The kernel rounds them to integers again.
    """
    lit = frames.astype(np.float32)
    lit -= np.float32(offset)
    lit *= gain
    lit += np.float32(offset)
    return lit
