"""Correlation of pictures at all shifts, by Fourier transforms.

NumPy's transforms, some rows at a time: what they hand over then fits into memory that is at hand,
while that of a whole picture would be asked of the system each time. The transforms of SciPy are as
fast, but to load them takes a job longer than all of its pictures.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["correlate", "spectrum"]

Spectrum = NDArray[np.complexfloating[Any, Any]]

# Bytes that are transformed at a time; more than these an allocator asks of the system.
_BYTES = 1 << 16


def spectrum(image: NDArray[np.float32]) -> Spectrum:
    """Transform a reference for :func:`correlate`.

    Parameters
    ----------
    image : ndarray of shape (y, x)

    Returns
    -------
    ndarray of complex numbers of shape (x // 2 + 1, y)
        The conjugate of its spectrum; what belongs to x comes first.
    """
    transformed = _along_x(image)
    for some in _parts(transformed):
        transformed[some] = np.conj(np.fft.fft(transformed[some], axis=1))
    return transformed


def correlate(image: NDArray[np.float32], reference: Spectrum) -> NDArray[np.floating[Any]]:
    """Correlate a picture with a reference at all shifts.

    Parameters
    ----------
    image : ndarray of shape (y, x)
    reference : ndarray of shape (x // 2 + 1, y)
        What :func:`spectrum` gave for one of the same shape.

    Returns
    -------
    ndarray of shape (y, x)
        At [y, x] the sum over all pixels q of ``image[q + (y, x)] reference[q]``, beyond the
        borders from the other side.
    """
    height, width = image.shape
    product = _along_x(image)
    turned = np.empty((height, len(product)), product.dtype)
    for some in _parts(product):
        rows = np.fft.fft(product[some], axis=1)
        rows *= reference[some]
        turned[:, some] = np.fft.ifft(rows, axis=1).T
    out = np.empty((height, width), product.real.dtype)
    for some in _parts(turned):
        out[some] = np.fft.irfft(turned[some], n=width, axis=1)
    return out


def _along_x(image: NDArray[np.float32]) -> Spectrum:
    """Transform along x: shape (x // 2 + 1, y)."""
    height, width = image.shape
    # NumPy transforms in 64 bits before its version 2.
    kind = np.fft.rfft(image[:1], axis=1).dtype
    out = np.empty((width // 2 + 1, height), kind)
    for some in _parts(image):
        out[:, some] = np.fft.rfft(image[some], axis=1).T
    return out


def _parts(rows: NDArray[Any]) -> list[slice]:
    """Divide rows."""
    step = max(_BYTES // max(rows[:1].nbytes, 1), 1)
    return [slice(first, first + step) for first in range(0, len(rows), step)]
