"""Change of fluorescence against a sliding baseline, and what the angle does to brightness."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from derotation.cells.products import along
from derotation.numerics.degrees import wrapped

__all__ = ["Baseline", "brightness_by_angle", "delta_f_over_f", "sliding_baseline"]

NDFloat = NDArray[np.float64]
Baseline = Literal["percentile", "maximin"]

# A percentile of single samples would lie as far below the baseline as they are noisy: traces are
# smoothed over so long before (standard deviation of a Gaussian).
SMOOTH_S = 1.0
# The cell's own baseline is not known if it is a smaller part of the ROI's median.
LEAST_SHARE = 0.05
# Brightness by angle: cosines and sines of up to so many times the angle.
ORDER = 4
# It is known if so many of 36 bins of angles have samples.
MIN_BINS = 18
N_BINS = 36
# A ROI is quiet at the lowest of its samples at an angle: this part of them lies below.
QUIET = 0.25


def sliding_baseline(
    trace: NDFloat,
    frame_rate: float,
    *,
    method: Baseline = "percentile",
    window_s: float = 60.0,
    percentile: float = 8.0,
) -> NDFloat:
    """Tell the slowly changing level from which a trace rises.

    Parameters
    ----------
    trace : ndarray of shape (frame,)
        Brightness; NaN where it is not known.
    frame_rate : float
        Frames per second, Hz.
    method : {"percentile", "maximin"}
        percentile: of the smoothed trace, in windows about every quarter of a window, linear
        between them; maximin: the highest of the lowest values within a window.
    window_s : float
        Length of a window, s.
    percentile : float
        0 to 100.

    Returns
    -------
    ndarray of shape (frame,)
        NaN everywhere if nothing is known.

    Notes
    -----
    The trace is smoothed by a Gaussian of 1 s before, so that noise does not lower the baseline.
    """
    known = np.isfinite(trace)
    if not known.any():
        return np.full(len(trace), np.nan)
    smooth = _smoothed(trace, known, SMOOTH_S * frame_rate)
    window = max(round(window_s * frame_rate), 3)
    if method == "maximin":
        lowest = ndimage.minimum_filter1d(smooth, window)
        return np.asarray(ndimage.maximum_filter1d(lowest, window))
    step = max(window // 4, 1)
    nodes = np.arange(0, len(trace) + step - 1, step)
    levels = np.full(len(nodes), np.nan)
    for k, node in enumerate(nodes):
        part = slice(max(node - window // 2, 0), node + window // 2 + 1)
        own = smooth[part][known[part]]
        if len(own):
            levels[k] = np.percentile(own, percentile)
    told = np.isfinite(levels)
    return np.asarray(np.interp(np.arange(len(trace)), nodes[told], levels[told]))


def _smoothed(trace: NDFloat, known: NDArray[np.bool_], sigma: float) -> NDFloat:
    """Smooth what is known; across holes the nearest known values are taken."""
    if not known.all():
        frames = np.arange(len(trace))
        trace = np.interp(frames, frames[known], trace[known])
    return np.asarray(ndimage.gaussian_filter1d(trace, sigma, mode="nearest"))


def delta_f_over_f(
    fluorescence: NDFloat,
    neuropil: NDFloat,
    frame_rate: float,
    *,
    neuropil_weight: float = 0.7,
    method: Baseline = "percentile",
    window_s: float = 60.0,
    percentile: float = 8.0,
) -> NDFloat:
    """Tell the change of a ROI's fluorescence relative to its baseline.

    ``(F - F0 - w (N - N0)) / (F0 - w N0)`` with the baselines F0 and N0 of the ROI and of its
    neuropil: what the cell itself gives, relative to what it gives at its baseline.

    Parameters
    ----------
    fluorescence, neuropil : ndarray of shape (frame,)
        Brightness above the detector's offset; NaN where it is not known. A neuropil that is
        nowhere known is left out.
    frame_rate : float
        Frames per second, Hz.
    neuropil_weight : float
        w: how much of the neuropil the ROI shows, too.
    method, window_s, percentile
        See :func:`sliding_baseline`.

    Returns
    -------
    ndarray of shape (frame,)
        NaN where it is not known; everywhere if the baseline is not well above zero.
    """
    how = {"window_s": window_s, "percentile": percentile}
    base = sliding_baseline(fluorescence, frame_rate, method=method, **how)
    change = fluorescence - base
    if neuropil_weight and np.isfinite(neuropil).any():
        around = sliding_baseline(neuropil, frame_rate, method=method, **how)
        change = change - neuropil_weight * (neuropil - around)
        base = base - neuropil_weight * around
    known = np.isfinite(fluorescence)
    typical = float(np.median(fluorescence[known])) if known.any() else np.nan
    usable = (base > 0) & (base >= LEAST_SHARE * typical)
    return np.asarray(np.divide(change, base, out=np.full(len(change), np.nan), where=usable))


def brightness_by_angle(
    trace: NDFloat, angle: NDFloat, frame_rate: float, *, quiet: bool = False
) -> NDFloat:
    """Tell which part of a trace's brightness comes with the angle alone.

    Parameters
    ----------
    trace : ndarray of shape (frame,)
        Brightness above the detector's offset; NaN where it is not known.
    angle : ndarray of shape (frame,)
        Angle at each sample's time, degrees.
    frame_rate : float
        Frames per second, Hz.
    quiet : bool
        Look at the quarter of the samples at each angle that are darkest, so that an active cell
        tells the light and not its activity.

    Returns
    -------
    ndarray of shape (frame,)
        Factor at each sample; its logarithm is 0 on average over all angles. 1 where the angle is
        not known, and everywhere if less than half of all angles were seen.

    Notes
    -----
    A smooth function of the angle (cosines and sines of up to 4 times the angle) is fitted to the
    logarithm of medians in 36 bins, relative to the brightness over a few minutes.
    """
    factor = np.ones(len(trace))
    known = np.isfinite(trace) & np.isfinite(angle)
    if not known.any():
        return factor
    level = ndimage.gaussian_filter1d(
        np.interp(np.arange(len(trace)), np.flatnonzero(known), trace[known]),
        60 * frame_rate,
        mode="nearest",
    )
    known &= level > 0
    bins = (np.mod(angle[known], 360) // (360 / N_BINS)).astype(int) % N_BINS
    relative = trace[known] / level[known]
    middles, levels, counts = [], [], []
    for one in np.unique(bins):
        own = relative[bins == one]
        if quiet:
            own = own[own <= np.quantile(own, QUIET)]
        value = float(np.mean(own) if quiet else np.median(own))
        if value > 0:
            away = wrapped(angle[known][bins == one] - (one + 0.5) * 360 / N_BINS)
            middles.append((one + 0.5) * 360 / N_BINS + float(np.mean(away)))
            levels.append(np.log(value))
            counts.append(len(own))
    if len(middles) < MIN_BINS:
        return factor
    design = harmonics(np.array(middles), ORDER)
    design = np.concatenate([np.ones((len(design), 1)), design], axis=1)
    # Bins with many samples must not outweigh all others: the rest is one of them.
    weight = np.sqrt(np.minimum(counts, 4 * np.median(counts)))
    found, *_ = np.linalg.lstsq(design * weight[:, None], np.array(levels) * weight, rcond=1e-6)
    at = np.isfinite(angle)
    factor[at] = np.exp(along(harmonics(angle[at], ORDER), found[1:]))
    return factor


def harmonics(angle: NDFloat, order: int) -> NDFloat:
    """Give cosines and sines of up to `order` times an angle (degrees): (n, 2 * order)."""
    turns = np.radians(angle)[:, np.newaxis] * np.arange(1, order + 1)
    return np.concatenate([np.cos(turns), np.sin(turns)], axis=1)
