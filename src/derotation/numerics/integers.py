"""Numbers as integers of a given type, without wrapping around."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["clipped"]


def clipped(values: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Cast whole numbers to an integer type; what it cannot hold becomes the nearest it can.

    Parameters
    ----------
    values : ndarray
        Integers, or floats that are already rounded.
    dtype : dtype
        An integer type.

    Returns
    -------
    ndarray
        Same shape, of `dtype`.
    """
    kind = np.dtype(dtype)
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    if values.dtype.kind in "iu":
        # NumPy 2.0 refuses limits that the integers at hand cannot hold themselves.
        own = np.iinfo(values.dtype)
        limits = max(low, int(own.min)), min(high, int(own.max))
        return np.asarray(np.clip(values, *limits)).astype(kind)
    # The largest integer may be no float: rounded up it would wrap around.
    float_kind = np.result_type(values.dtype, np.float32)
    top = float_kind.type(high)
    if int(top) > high:
        top = np.nextafter(top, float_kind.type(0))
    whole = np.asarray(np.clip(values, float_kind.type(low), top)).astype(kind)
    if int(top) < high:
        whole = np.where(values > top, kind.type(high), whole)
    return whole
