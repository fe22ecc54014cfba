"""What figures share that compare segments: medians of neighbors, values between rests, times."""

import numpy as np
from numpy.typing import NDArray

from derotation.quality.along import Along

__all__ = ["NO_REST", "between_rests", "median_of_three", "time_of"]

NO_REST = "Not measured: there are not two rests to compare."


def median_of_three(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the median of each value and its two neighbors; two values stay as they are."""
    if len(values) < 3:
        return values
    padded = np.pad(values, 1, mode="edge")
    return np.asarray(np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0))


def between_rests(
    along: Along, rests: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give each segment the value of its rest, or the larger one of the rests on both sides."""
    places = np.searchsorted(rests, np.arange(len(along)), side="right") - 1
    before, after = np.maximum(places, 0), np.minimum(places + 1, len(rests) - 1)
    between = np.maximum(values[before], values[after])
    between[rests] = values
    return np.asarray(between)


def time_of(along: Along, k: int) -> str:
    """Say when a segment begins."""
    return f"{along.start_s[k]:.1f} s, frame {along.first[k]}"
