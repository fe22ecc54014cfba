"""A path through noisy places, as smooth as the places themselves say that it is.

The displacement along x and along y is a random process of few variables
(:mod:`derotation.numerics.roughness`), so that Kalman's filter and a smoother find the path that is
most likely, and how well it is known, in one pass there and back. How far and how fast the sample
moves, what comes and goes with a rhythm, and by how much single places are worse than they say, is
chosen by the highest likelihood.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.numerics.rhythms import with_waves
from derotation.numerics.roughness import (
    Places,
    Roughness,
    likelihood,
    most_likely,
    most_likely_path,
    still,
)

__all__ = ["Path", "covariance", "smooth"]

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
# with. Places of a frame that follow upon each other sooner than so many seconds are averaged.
FEW_PLACES, MAX_PLACES, STRETCHES = 480, 1600, 4
SOONEST_S = 0.015


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
    rhythm: bool = False,
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
    rhythm : bool
        Look for what comes and goes with a rhythm, as a heartbeat or breathing.
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
    if known.sum() < 4:
        nothing = Roughness(size_px=0.0, constant_s=1.0, walk_px2=0.0, scale=1.0)
        shape = (len(time_s if drawn is None else drawn), 2)
        return Path(
            places=np.zeros(shape), sd=np.full(shape, np.inf), roughness=nothing,
            gain=0.0, jumps=jumped,
        )  # fmt: skip
    # It may have jumped before any place of these two frames.
    loose = np.where(np.isin(frame, np.concatenate([jumped - 1, jumped])), JUMPED_PX2, 0.0)

    def weighed(worse: NDFloat) -> Places:
        return Places(time_s=time_s, values=values, variances=spread * worse, loose=loose)

    every = weighed(_strays(values, known, frame))
    groups = _groups(time_s, frame)
    fewer = _measured_ones(_averaged(every, groups))
    rough = most_likely(fewer, _stretches(len(fewer.time_s), FEW_PLACES))
    every = weighed(_outlying(every, known, spread, rough))
    fewer = _measured_ones(_averaged(every, groups))
    more = _stretches(len(fewer.time_s), MAX_PLACES)
    found, nothing = most_likely(fewer, more, rough), still(fewer, more)
    gain = likelihood(fewer, more, found) - likelihood(fewer, more, nothing)
    if gain <= 0:
        found, gain = nothing, 0.0
    if rhythm:
        found, further = with_waves(fewer, more, found, _usual_step(time_s, frame))
        gain += further
    every = weighed(_outlying(every, known, spread, found))
    path, sd = most_likely_path(every, found) if drawn is None else _drawn(drawn, every, found)
    return Path(places=path, sd=sd, roughness=found, gain=gain, jumps=jumped)


def _usual_step(time_s: NDFloat, frame: NDArray[np.int64]) -> float:
    """Tell how long it usually takes from a frame to the next, s; all times for a single one."""
    _, first = np.unique(frame, return_index=True)
    steps = np.diff(time_s[first])
    # Times may be equal.
    some = steps[steps > 0]
    return float(np.median(some)) if len(some) else float(time_s[-1] - time_s[0])


def _groups(time_s: NDFloat, frame: NDArray[np.int64]) -> NDArray[np.int64]:
    """Tell where groups of places begin that are as good as one: soon after each other."""
    new_frame = np.flatnonzero(np.diff(frame, prepend=frame[0] - 1))
    since = time_s - np.repeat(time_s[new_frame], np.diff(np.append(new_frame, len(frame))))
    within = np.floor(since / SOONEST_S + 1e-6).astype(np.int64)
    new = np.diff(within, prepend=-1) != 0
    new[new_frame] = True
    return np.flatnonzero(new)


def _averaged(places: Places, groups: NDArray[np.int64]) -> Places:
    """Average the places of each group."""
    if len(groups) == len(places.time_s):
        return places
    told = np.isfinite(places.variances)
    weight = np.where(told, 1 / np.where(told, places.variances, 1.0), 0.0)
    total = np.add.reduceat(weight, groups)
    pull = np.add.reduceat(weight * places.values, groups)
    count = np.diff(np.append(groups, len(places.time_s)))
    some = total > 0
    return Places(
        time_s=np.add.reduceat(places.time_s, groups) / count,
        values=np.divide(pull, total, out=np.zeros_like(pull), where=some),
        variances=np.divide(1.0, total, out=np.full_like(total, np.inf), where=some),
        loose=np.maximum.reduceat(places.loose, groups),
    )


def _measured_ones(places: Places) -> Places:
    """Leave out times at which nothing was measured, which make nothing more or less likely.

    What is looked at would else lie by chance in the dark.
    """
    told = np.flatnonzero(np.isfinite(places.variances).any(axis=1))
    # It may have jumped at any of the times that are left out.
    jumped = np.diff(np.cumsum(places.loose)[told], prepend=0.0)
    return Places(
        time_s=places.time_s[told], values=places.values[told],
        variances=places.variances[told], loose=jumped,
    )  # fmt: skip


def _drawn(drawn: NDFloat, places: Places, found: Roughness) -> tuple[NDFloat, NDFloat]:
    """Find the path at other times than those of the places: there nothing was measured."""
    m = len(drawn)
    times = np.concatenate([places.time_s, drawn])
    order = np.argsort(times, kind="stable")
    every = Places(
        time_s=times[order],
        values=np.concatenate([places.values, np.zeros((m, 2))])[order],
        variances=np.concatenate([places.variances, np.full((m, 2), np.inf)])[order],
        # Jumps happen before places that were measured, not before each of these times once more.
        loose=np.concatenate([places.loose, np.zeros(m)])[order],
    )
    path, sd = most_likely_path(every, found)
    wanted = order >= len(places.time_s)
    return path[wanted], sd[wanted]


def _outlying(
    places: Places, known: NDArray[np.bool_], variances: NDFloat, found: Roughness
) -> NDFloat:
    """Tell by how much places count for less that lie far from the most likely path."""
    path, _ = most_likely_path(places, found)
    with np.errstate(invalid="ignore"):
        away = np.abs(places.values - path) / np.sqrt(found.scale * variances)
    away = np.where(known[:, np.newaxis], away, 0.0).max(axis=1, keepdims=True)
    return np.asarray(np.broadcast_to(np.maximum(away / OUTLIER_SD, 1.0) ** 2, path.shape))


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
