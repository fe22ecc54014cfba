"""What comes and goes with a rhythm in a path: found in what the path does not foresee.

A heartbeat or breath moves the brain a little, and often. A path that is smooth enough to suppress
noise cannot follow it, unless it is told how often: then the beats of many seconds tell each other.
Differences between places and what was foreseen from those before are white if nothing is missing;
the highest peak of their spectrum is tried as a wave, and kept if the places are more likely
with it by far.
"""

from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from derotation.numerics.minimum import lowest_within
from derotation.numerics.roughness import (
    Places,
    Roughness,
    Wave,
    foreseen,
    likelihood,
    most_likely,
)

__all__ = ["told_size", "with_waves"]

NDFloat = NDArray[np.float64]

# So many waves are looked for along x and along y. Each has to raise the logarithm of the
# likelihood by this: about 10 is passed by chance once in a hundred times that 200 frequencies are
# tried.
MOST_WAVES, MIN_GAIN = 3, 15.0
# What is slower is followed anyway. Spectra are those of pieces of so many seconds.
SLOWEST_HZ, FASTEST_HZ, PIECE_S = 1.0, 20.0, 10.0
# How exactly a frequency is told: a hundredth of a period off within a piece.
RESOLVED_HZ = 1e-3
# In less than this (s) a few beats cannot be told from chance.
LEAST_S = 5.0
# The size of a wave is measured over so long (s) at most, and over so many beats at least.
AT_ONCE_S, LEAST_BEATS = 3.0, 3
# What repeats with the frames, or several times in each, is rather the measurement's than the
# sample's: so near (Hz) nothing is looked for.
WITH_FRAMES_HZ = 0.3
# What is tried for how long a wave lasts, and for its size, in units of the first guess.
LASTING, SIZES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0), (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)


@dataclass(frozen=True, slots=True, eq=False)
class _Spectrum:
    """Ready to tell how strong each of some frequencies is in stretches of places."""

    frequencies: NDFloat
    """Hz, (f,)."""
    pieces: list[tuple[slice, NDArray[np.complex128]]]
    """Pieces of the stretches, and what their n places are multiplied with, (f, n)."""


def with_waves(
    places: Places, parts: list[slice], found: Roughness, frame_s: float
) -> tuple[Roughness, float]:
    """Add waves for as long as each of them makes the places more likely by far.

    Parameters
    ----------
    places : Places
    parts : list of slice
        Stretches of them that are looked at.
    found : Roughness
        How the sample moves beside that.
    frame_s : float
        From a frame to the next, s.

    Returns
    -------
    found : Roughness
        With waves; without any, what was given.
    gain : float
        By how much the logarithm of the likelihood is higher.
    """
    if _lasted(places, parts) < LEAST_S:
        return found, 0.0
    spectrum = _spectrum(places, parts, frame_s)
    if not len(spectrum.frequencies):
        return found, 0.0
    better = found
    for axis in (0, 1):
        for _ in range(MOST_WAVES):
            wave = _loudest(places, parts, better, axis, spectrum)
            more = None if wave is None else _added(places, parts, better, axis, wave)
            if more is None:
                break
            better = more
    if better is found:
        return found, 0.0
    better = most_likely(places, parts, better)
    gain = likelihood(places, parts, better) - likelihood(places, parts, found)
    return (better, gain) if gain > 0 else (found, 0.0)


def told_size(time_s: NDFloat, path: NDFloat, wave: Wave) -> float:
    """Measure how far a wave moves a path along its axis.

    Its own size says how large such waves are on the whole, and is less if this one is more regular
    than it has to be.

    Parameters
    ----------
    time_s, path : ndarray of shape (n,)
        The path (px) that was found with the wave, at ascending times (s) that lie close enough to
        show it.
    wave : Wave

    Returns
    -------
    float
        Root mean square, px.
    """
    # Short, since it is only roughly known how fast a phase wanders.
    piece = max(min(wave.lasting_s / 3, AT_ONCE_S), LEAST_BEATS / wave.frequency_hz)
    squares = n_told = 0.0
    for first, stop in _pieces(time_s, piece):
        time = time_s[first:stop] - time_s[first]
        turn = 2 * np.pi * wave.frequency_hz * time
        # A line, and the wave with the phase that it has here.
        parts = np.stack([np.ones_like(time), time, np.cos(turn), np.sin(turn)], axis=1)
        if len(time) <= 2 * parts.shape[1] or time[-1] < piece / 3:
            continue
        _, _, *along = np.linalg.lstsq(parts, path[first:stop], rcond=None)[0]
        squares += len(time) * (along[0] ** 2 + along[1] ** 2) / 2
        n_told += len(time)
    # So much of a phase that wanders is still the same within a piece.
    turns = piece / wave.lasting_s
    kept = 2 * (np.exp(-turns) - 1 + turns) / turns**2
    return float(np.sqrt(squares / n_told / kept)) if n_told else wave.size_px


def _lasted(places: Places, parts: list[slice]) -> float:
    """Tell for how long something was measured, s; a pause is no longer than a slow beat."""
    told = np.asarray(np.isfinite(places.variances).any(axis=1))
    steps = [np.diff(places.time_s[part][told[part]]) for part in parts]
    return sum(float(np.minimum(own, 1 / SLOWEST_HZ).sum()) for own in steps)


def _spectrum(places: Places, parts: list[slice], frame_s: float) -> _Spectrum:
    """Choose frequencies, and prepare pieces."""
    steps = np.diff(places.time_s)
    # Several places may have one time.
    between = float(np.median(steps[steps > 0]))
    tried = np.arange(SLOWEST_HZ, min(0.5 / between, FASTEST_HZ), 0.5 / PIECE_S)
    away = tried - np.maximum(np.round(tried * frame_s), 1) / frame_s
    frequencies = tried[np.abs(away) > WITH_FRAMES_HZ]
    pieces = []
    for part in parts:
        for first, stop in _pieces(places.time_s[part], PIECE_S):
            own = slice(part.start + first, part.start + stop)
            own_time = places.time_s[own] - places.time_s[own.start]
            waves = np.exp(-2j * np.pi * np.outer(frequencies, own_time))
            pieces.append((own, waves))
    return _Spectrum(frequencies, pieces)


def _pieces(time: NDFloat, about_s: float) -> list[tuple[int, int]]:
    """Divide times into pieces that last equally long, about so: where each begins and ends.

    There are none within a pause, however long it is.
    """
    lasts = time[-1] - time[0]
    n = max(round(lasts / about_s), 1)
    number = np.minimum((time - time[0]) * (n / max(lasts, about_s / 2)), n - 1).astype(np.int64)
    bounds = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(time)]
    return list(pairwise(bounds))


def _loudest(
    places: Places, parts: list[slice], found: Roughness, axis: int, spectrum: _Spectrum
) -> Wave | None:
    """Find the strongest wave in what is not foreseen; None if it is weak."""
    away = np.zeros(len(places.time_s))
    variance = np.full(len(places.time_s), np.nan)
    for part in parts:
        seen = foreseen(places[part], found, axis)
        told = np.isfinite(seen[:, 1])
        told[0] = False  # nothing is foreseen of the first one
        variance[part] = np.where(told, seen[:, 1], np.nan)
        away[part] = np.where(told, seen[:, 0] / np.sqrt(seen[:, 1]), 0.0)
    counts = np.array([np.isfinite(variance[piece]).sum() for piece, _ in spectrum.pieces])
    # Pieces in which nothing was measured tell nothing.
    told_of = [k for k, n in enumerate(counts) if n]
    if not told_of:
        return None
    counts = counts[told_of]
    # 1 on average if what is not foreseen is white.
    power = np.mean(
        [np.abs(np.einsum("fn,n->f", waves, away[piece])) ** 2 / n
         for (piece, waves), n in zip([spectrum.pieces[k] for k in told_of], counts, strict=True)],
        axis=0,
    )  # fmt: skip
    k = int(np.argmax(power))
    # The logarithm of the likelihood that a wave of just this power gains.
    if power[k] <= 1 or len(counts) * (power[k] - 1 - np.log(power[k])) < MIN_GAIN / 2:
        return None
    size = np.sqrt(2 * power[k] / np.mean(counts) * np.nanmedian(variance))
    return Wave(frequency_hz=float(spectrum.frequencies[k]), size_px=float(size), lasting_s=PIECE_S)


def _added(
    places: Places, parts: list[slice], found: Roughness, axis: int, first: Wave
) -> Roughness | None:
    """Add a wave near a first guess; None if the places are not more likely by far."""

    def joined(wave: Wave) -> Roughness:
        x, y = found.waves
        return replace(found, waves=((*x, wave), y) if axis == 0 else (x, (*y, wave)))

    def likely(wave: Wave) -> float:
        return likelihood(places, parts, joined(wave), (axis,))

    def unlikely(shift: float, near: Wave) -> float:
        return -likely(replace(near, frequency_hz=near.frequency_hz + shift))

    step, wave = 0.5 / PIECE_S, first
    for _ in range(2):
        shift = lowest_within(partial(unlikely, near=wave), -step, step, xtol=RESOLVED_HZ)
        wave = replace(wave, frequency_hz=wave.frequency_hz + shift)
        wave = max((replace(wave, lasting_s=PIECE_S * by) for by in LASTING), key=likely)
        wave = max((replace(wave, size_px=wave.size_px * by) for by in SIZES), key=likely)
    gain = likely(wave) - likelihood(places, parts, found, (axis,))
    return joined(wave) if gain >= MIN_GAIN else None
