"""What the steps share that find a movement between two pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from derotation.movement.detect import Detection, find_movement, movement_from_points
from derotation.movement.judge import Limits

__all__ = ["movement_between"]


def movement_between(
    ref: NDArray[Any],
    moved: NDArray[Any],
    settings: Mapping[str, Any],
    *,
    pairs: Sequence[NDArray[Any]] | None = None,
    source: str = "",
) -> Detection:
    """Find the movement between two pictures as the configuration says.

    Parameters
    ----------
    ref, moved : ndarray of shape (y, x)
        The pictures; NaN is not seen.
    settings : mapping
        Section ``movement`` of the configuration.
    pairs : two ndarrays of shape (n, 2), optional
        Points (x, y) in the one picture and in the other, used instead of the method.
    source : str
        Where these are from.

    Returns
    -------
    Detection

    Raises
    ------
    DetectionFailedError
        If no movement is found that can be believed.
    """
    transform = settings["transform"]
    if pairs is not None:
        return movement_from_points(ref, moved, *pairs, transform=transform, src=source)
    limits = Limits(max_rotation=settings["max_rotation"], max_scale=settings["max_scale"])
    return find_movement(ref, moved, settings["method"], transform=transform, limits=limits)
