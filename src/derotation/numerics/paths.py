"""A path through noisy places, as smooth as the places themselves say that it is.

The displacement along x and along y is a smooth random process with a time constant (Matern with
3/2) plus a random walk; both are Markov processes of few variables, so that Kalman's filter and a
smoother find the path that is most likely, and how well it is known, in one pass there and back
[1]_. How far and how fast the sample moves, and by how much single places are worse than they say,
is chosen by the highest likelihood.

.. [1] S. Särkkä, A. Solin, "Applied Stochastic Differential Equations", Cambridge University Press
   (2019), chapter 12.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.numerics.minimum import lowest_by_simplex, lowest_within

__all__ = ["Path", "Roughness", "covariance", "smooth"]

NDFloat = NDArray[np.float64]

# A jump is looked for in medians over so many frames before and after, and is at least so large
# (px, and in units of what such differences usually are). Then the path may go anywhere.
JUMP_FRAMES, MIN_JUMP_PX, MIN_JUMP_SD = 5, 1.5, 8.0
# ... and so much of it happens within two frames.
MIN_SUDDEN = 0.6
JUMPED_PX2 = 1e3
# A place further from the path than this (standard deviations) counts for less.
OUTLIER_SD = 4.0
# The likelihood is that of at most so many places, of evenly spread stretches: of few to begin
# with.
FEW_PLACES, MAX_PLACES, STRETCHES = 480, 1600, 4
# What the filter says is kept for so many times at once.
TIMES_AT_ONCE = 4096
SHORTEST_S, LONGEST_S = 0.05, 5.0
SMALLEST_PX, LARGEST_PX = 1e-3, 30.0
SMALLEST_WALK, LARGEST_WALK = 1e-7, 30.0
SCALES = (0.5, 30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roughness:
    """How the sample moves."""

    size_px: float
    """Root mean square of the quick part, along x and along y."""
    constant_s: float
    """Its time constant."""
    walk_px2: float
    """Variance that the slow part gains per second."""
    scale: float
    """By so much the variance of measured places is larger than they say."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Path:
    """A path through places."""

    places: NDFloat
    """Displacement (x, y) at each time, px, shape (n, 2)."""
    sd: NDFloat
    """Its standard uncertainty, shape (n, 2)."""
    roughness: Roughness
    """How smooth the path was taken to be."""
    gain: float
    """By how much the logarithm of the likelihood is higher than if nothing moved."""
    jumps: NDArray[np.int64]
    """Numbers of the frames before which the sample jumped."""


def covariance(time_s: NDFloat, found: Roughness) -> NDFloat:
    """Give the covariance of a path along x (or y) between some times (s).

    Returns
    -------
    ndarray of shape (2 n, 2 n)
        Of the displacement (px) at each time, and then of the velocity (px/s) at each time.
    """
    later = time_s[:, np.newaxis] - time_s
    apart, rate = np.abs(later), np.sqrt(3) / found.constant_s
    decay = found.size_px**2 * np.exp(-rate * apart)
    # A random walk has no beginning: it is told from its mean over the times.
    walk = -found.walk_px2 * apart / 2
    walk = walk - walk.mean(axis=0) - walk.mean(axis=1, keepdims=True) + walk.mean()
    places = decay * (1 + rate * apart) + walk
    across = rate**2 * later * decay
    velocities = rate**2 * (1 - rate * apart) * decay
    return np.block([[places, across], [across.T, velocities]])


def smooth(
    time_s: NDFloat,
    places: NDFloat,
    variances: NDFloat,
    frame: NDArray[np.int64],
    *,
    jumps: bool = True,
    drawn: NDFloat | None = None,
) -> Path:
    """Find the path through measured places.

    Parameters
    ----------
    time_s : ndarray of shape (n,)
        When they were measured, ascending, s.
    places : ndarray of shape (n, 2)
        Displacement (x, y), px; NaN where nothing could be measured.
    variances : ndarray of shape (n, 2)
        Of x and y, px²; infinite where nothing could be measured.
    frame : ndarray of shape (n,)
        The frame that each belongs to, ascending.
    jumps : bool
        Look for jumps between frames that follow upon each other.
    drawn : ndarray of shape (m,), optional
        Times at which the path is told, ascending, s; by default those at which places were
        measured.

    Returns
    -------
    Path
        Known at all these times; where nothing was measured its uncertainty grows.
    """
    known = np.asarray(np.isfinite(places).all(axis=1) & np.isfinite(variances).all(axis=1))
    values = np.where(known[:, np.newaxis], places, 0.0)
    spread = np.where(known[:, np.newaxis], variances, np.inf)
    jumped = _jumps(values, spread, frame) if jumps else np.empty(0, np.int64)
    # It may have jumped before any place of these two frames.
    loose = np.where(np.isin(frame, np.concatenate([jumped - 1, jumped])), JUMPED_PX2, 0.0)
    if known.sum() < 4:
        nothing = Roughness(size_px=0.0, constant_s=1.0, walk_px2=0.0, scale=1.0)
        shape = (len(time_s if drawn is None else drawn), 2)
        return Path(
            places=np.zeros(shape), sd=np.full(shape, np.inf), roughness=nothing,
            gain=0.0, jumps=jumped,
        )  # fmt: skip
    worse = _strays(values, known, frame)
    few, more = _stretches(len(time_s), FEW_PLACES), _stretches(len(time_s), MAX_PLACES)
    rough = _most_likely(time_s, values, spread * worse, loose, few)
    path, sd = _path(time_s, values, spread * worse * rough.scale, loose, rough)
    worse = _outlying(values, path, rough.scale * spread, known)
    found = _most_likely(time_s, values, spread * worse, loose, more, rough)
    still = _at_rest(time_s, values, spread * worse, loose, more)
    likely = [
        _likelihood(time_s, values, spread * worse, loose, own, more) for own in (found, still)
    ]
    gain = max(likely[0] - likely[1], 0.0)
    if gain == 0:
        found = still
    path, sd = _path(time_s, values, spread * worse * found.scale, loose, found)
    worse = _outlying(values, path, found.scale * spread, known)
    variance = spread * worse * found.scale
    if drawn is None:
        path, sd = _path(time_s, values, variance, loose, found)
    else:
        path, sd = _drawn(drawn, time_s, values, variance, loose, found)
    return Path(places=path, sd=sd, roughness=found, gain=gain, jumps=jumped)


def _drawn(
    drawn: NDFloat,
    time_s: NDFloat,
    values: NDFloat,
    variance: NDFloat,
    loose: NDFloat,
    found: Roughness,
) -> tuple[NDFloat, NDFloat]:
    """Find the path at other times than those of the places: there nothing was measured."""
    m = len(drawn)
    times = np.concatenate([time_s, drawn])
    order = np.argsort(times, kind="stable")
    every = np.concatenate([values, np.zeros((m, 2))])[order]
    spread = np.concatenate([variance, np.full((m, 2), np.inf)])[order]
    # Jumps happen before places that were measured, not before each of these times once more.
    jumps = np.concatenate([loose, np.zeros(m)])[order]
    path, sd = _path(times[order], every, spread, jumps, found)
    wanted = order >= len(time_s)
    return path[wanted], sd[wanted]


def _outlying(
    values: NDFloat, path: NDFloat, variance: NDFloat, known: NDArray[np.bool_]
) -> NDFloat:
    """Tell by how much places count for less that lie far from a path."""
    with np.errstate(invalid="ignore"):
        away = np.abs(values - path) / np.sqrt(variance)
    away = np.where(known[:, np.newaxis], away, 0.0).max(axis=1, keepdims=True)
    return np.asarray(np.broadcast_to(np.maximum(away / OUTLIER_SD, 1.0) ** 2, values.shape))


def _frame_means(
    values: NDFloat, spread: NDFloat, frame: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDFloat]:
    """Average the places of each frame in which something was measured."""
    numbers, first = np.unique(frame, return_index=True)
    weight = np.where(np.isfinite(spread), 1 / np.where(np.isfinite(spread), spread, 1.0), 0.0)
    total = np.add.reduceat(weight, first)
    lit = np.flatnonzero(total.min(axis=1) > 0)
    return numbers[lit], np.add.reduceat(weight * values, first)[lit] / total[lit]


def _jumps(values: NDFloat, spread: NDFloat, frame: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the frames in which or before which the sample jumped, and stayed there."""
    numbers, mean = _frame_means(values, spread, frame)
    if len(numbers) < 4 * JUMP_FRAMES:
        return np.empty(0, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(mean, JUMP_FRAMES, axis=0)
    middle = np.median(windows, axis=-1)
    steps = np.hypot(*(middle[JUMP_FRAMES:] - middle[:-JUMP_FRAMES]).T)
    # A jump happens within a frame or between two; a slope takes longer.
    within = np.hypot(*(mean[2:] - mean[:-2]).T)[JUMP_FRAMES - 2 : 1 - JUMP_FRAMES]
    limit = max(MIN_JUMP_PX, MIN_JUMP_SD * float(np.median(steps)))
    large = (steps > limit) & (within > MIN_SUDDEN * steps)
    groups = np.split(np.flatnonzero(large), np.flatnonzero(np.diff(np.flatnonzero(large)) > 1) + 1)
    sudden = np.hypot(*np.diff(mean, axis=0).T)[JUMP_FRAMES - 1 :]
    best = [int(group[np.argmax(sudden[group])]) for group in groups if len(group)]
    return np.asarray(numbers[np.array(best, np.int64) + JUMP_FRAMES], np.int64)


def _strays(values: NDFloat, known: NDArray[np.bool_], frame: NDArray[np.int64]) -> NDFloat:
    """Tell by how much places count for less that lie far from those of the frames around."""
    from scipy import ndimage

    worse = np.ones_like(values)
    if known.sum() < 4 * JUMP_FRAMES:
        return worse
    numbers, mean = _frame_means(values, np.where(known[:, np.newaxis], 1.0, np.inf), frame)
    usual = ndimage.median_filter(mean, (JUMP_FRAMES, 1), mode="nearest")
    at = np.clip(np.searchsorted(numbers, frame), 0, len(numbers) - 1)
    away = np.abs(values - usual[at])
    spread = 1.4826 * np.median(away[known], axis=0)
    far = away / np.maximum(2 * OUTLIER_SD * spread, 1e-12)
    return np.where(known[:, np.newaxis], np.maximum(far.max(axis=1, keepdims=True), 1.0) ** 2, 1.0)


def _stretches(n: int, most: int) -> list[slice]:
    """Choose so many of n places, in stretches that are evenly spread."""
    if n <= most:
        return [slice(0, n)]
    each = most // STRETCHES
    return [slice(s, s + each) for s in np.linspace(0, n - each, STRETCHES).astype(int).tolist()]


def _most_likely(
    time_s: NDFloat,
    values: NDFloat,
    spread: NDFloat,
    loose: NDFloat,
    parts: list[slice],
    near: Roughness | None = None,
) -> Roughness:
    """Choose the parameters by which the places are most likely, near some that are known."""
    low = np.log([SMALLEST_PX, SHORTEST_S, SMALLEST_WALK, SCALES[0]])
    high = np.log([LARGEST_PX, LONGEST_S, LARGEST_WALK, SCALES[1]])

    def unlikely(logs: list[float]) -> float:
        inside = np.clip(logs, low, high)
        found = _roughness(inside)
        total = _likelihood(time_s, values, spread, loose, found, parts)
        return -total + float(np.sum((logs - inside) ** 2)) * 100

    usual = min(max(float(np.sqrt(np.median(np.var(values, axis=0)))), 2e-3), 5.0)
    starts = [np.log([usual, constant, 1e-3, 1.0]) for constant in (0.2, 1.0)]
    if near is not None:
        starts = [np.log([near.size_px, near.constant_s, near.walk_px2, near.scale])]
    tried = [
        lowest_by_simplex(unlikely, start.tolist(), xtol=0.03, ftol=0.05, most_calls=150)
        for start in starts
    ]
    best, _ = min(tried, key=lambda found: found[1])
    return _roughness(np.clip(best, low, high))


def _at_rest(
    time_s: NDFloat, values: NDFloat, spread: NDFloat, loose: NDFloat, parts: list[slice]
) -> Roughness:
    """Choose the noise by which the places are most likely if nothing moved."""

    def still(log_scale: float) -> Roughness:
        return _roughness(np.log([SMALLEST_PX, 1.0, SMALLEST_WALK, np.exp(log_scale)]))

    def unlikely(log_scale: float) -> float:
        return -_likelihood(time_s, values, spread, loose, still(log_scale), parts)

    low, high = np.log(SCALES).tolist()
    return still(lowest_within(unlikely, low, high))


def _roughness(logs: NDFloat) -> Roughness:
    size, constant, walk, scale = np.exp(logs).tolist()
    return Roughness(size_px=size, constant_s=constant, walk_px2=walk, scale=scale)


def _likelihood(
    time_s: NDFloat,
    values: NDFloat,
    spread: NDFloat,
    loose: NDFloat,
    found: Roughness,
    parts: list[slice],
) -> float:
    """Tell how likely some stretches of the places are, as a logarithm."""
    from derotation.numerics import path_kernels

    ends = np.array([[part.start, part.stop] for part in parts], np.int64)
    likelihood = path_kernels.path_likelihood(
        time_s, values, spread, loose, ends,
        found.size_px, found.constant_s, found.walk_px2, found.scale,
    )  # fmt: skip
    return float(likelihood)


def _path(
    time_s: NDFloat, values: NDFloat, variance: NDFloat, loose: NDFloat, found: Roughness
) -> tuple[NDFloat, NDFloat]:
    from derotation.numerics import path_kernels

    places, uncertain = np.empty_like(values), np.empty_like(values)
    for k in (0, 1):
        path_kernels.smooth_path(
            time_s, np.ascontiguousarray(values[:, k]), np.ascontiguousarray(variance[:, k]), loose,
            found.size_px, found.constant_s, found.walk_px2, TIMES_AT_ONCE,
            places[:, k], uncertain[:, k],
        )  # fmt: skip
    return places, np.sqrt(uncertain, out=uncertain)
