"""How much light a pixel gets, told by its noise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["photons_per_pixel"]

# Pixels of about the same brightness are taken together; so many groups tell a line.
GROUPS = 20
# The brightest pixels lie on edges of cells, where the slightest movement passes for noise.
SHARE = 0.9


def photons_per_pixel(first: NDArray[Any], second: NDArray[Any]) -> float | None:
    """Estimate how many photons a pixel detects in a frame, on average over the picture.

    Parameters
    ----------
    first, second : ndarray of shape (pair, y, x)
        Frames as recorded of a sample at rest; each of `second` shortly after that of `first`, so
        that the two differ by noise alone.

    Returns
    -------
    float or None
        Photons per pixel and frame; None if the noise does not grow with the brightness, so that
        it tells nothing.

    Notes
    -----
    The variance of a count of photons is its mean, so gray values have the variance
    ``a + g (mean - offset)``: the slope g is the gray values of one photon [1]_. What a detector
    adds to the noise of photons (its pulses differ in height) makes them fewer: they are as many
    as an ideal detector would have to count for the same noise. The offset is the mean of the
    darkest 1 % of the pixels, so that a picture without any dark place has more of them than it
    is said to.

    .. [1] J. R. Janesick, "Photon Transfer", SPIE Press (2007).
    """
    if len(first) == 0:
        return None
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    mean = ((a + b) / 2).mean(axis=0).ravel()
    variance = ((a - b) ** 2 / 2).mean(axis=0).ravel()
    known = np.isfinite(mean) & np.isfinite(variance)
    order = np.argsort(mean[known])
    mean, variance = mean[known][order], variance[known][order]
    kept = max(int(SHARE * len(mean)), 1)
    groups = [group for group in np.array_split(np.arange(kept), GROUPS) if len(group)]
    means = np.array([mean[group].mean() for group in groups])
    variances = np.array([variance[group].mean() for group in groups])
    if len(groups) < 3 or np.ptp(means) <= 0:
        return None
    slope = float(np.polyfit(means, variances, 1)[0])
    # A slope within its own scatter says nothing.
    scatter = variances - np.polyval(np.polyfit(means, variances, 1), means)
    if slope * np.ptp(means) <= 2 * scatter.std():
        return None
    offset = mean[: max(len(mean) // 100, 1)].mean()
    return float((mean.mean() - offset) / slope)
