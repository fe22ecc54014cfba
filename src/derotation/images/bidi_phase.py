"""Phase of bidirectional scanning: how far odd lines are displaced along x against even ones.

A scanner that records in both directions stores odd lines turned round. If the moment at which it
starts to record does not fit the mirror's motion, what odd lines show is displaced: edges look like
combs. While the sample is at rest this is a plain shift between two pictures that interleave, and
is measured here, with its uncertainty. See :class:`derotation.maps.timing.LineTiming` for the sign
and for the correction, which is part of the one resampling.

While the sample turns, odd lines of a bidirectional scan also pass a pixel up to one line period
earlier or later than they would in a scan in one direction: later on the left, earlier on the
right. The displacement that follows grows with the speed; it tells a bidirectional scan from one in
one direction even where the phase is 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.numerics.gaussian import smoothed_along

__all__ = [
    "BidiPhase",
    "ScanDirections",
    "estimate_bidi_phase",
    "tell_directions",
]

Array = NDArray[np.float64]
Spectrum = NDArray[np.complex128]

# Displacements that are searched, as a part of the picture's width, and how finely (px).
SEARCH = 0.1
SEARCH_STEP = 0.25
# Part of the width over which the window along a line falls to 0, on both sides together.
TAPER = 0.25
# Groups of neighboring lines from whose differences the uncertainty is told, and their least size.
MAX_GROUPS = 16
MIN_LINES = 16
MIN_FRAMES = 4
# Lines worked on at once, so that they stay in the processor's cache.
LINES = 32
LINES_PER_GROUP = 3
# Spectra are smoothed over so many frequencies (standard deviation).
SPECTRAL_SMOOTHING = 4.0
REFINEMENTS = 4
MOVES = 3
# A peak of the correlation that stands out by so many standard deviations of the rest is one.
MIN_PEAK = 6.0
# Directions are told if one of them is so much more likely than the other (natural logarithm of the
# ratio), and is not further off than this, or than so many standard uncertainties.
LIKELIER, FAR, FAR_ERRORS = 6.9, 0.5, 4.0
# What a center, a tilt or a lag that are not known yet may add to the uncertainty.
UNKNOWN_SD = 0.1
# Turning lines are smoothed along x before their slopes are taken (px).
SMOOTHING = 1.5
# What lies between two even lines is the cubic through four of them.
BETWEEN = np.array([-1.0, 9.0, 9.0, -1.0]) / 16


@dataclass(frozen=True, slots=True, kw_only=True)
class BidiPhase:
    """Displacement of odd lines against even ones."""

    phase_px: float
    """What odd lines recorded lies so many pixels further right than it should."""
    sd_px: float
    """Standard uncertainty, pixels."""
    peak: float
    """How far the correlation at this displacement stands out, in standard deviations of others."""

    @property
    def trusted(self) -> bool:
        """Whether the lines have enough in common for the phase to mean anything."""
        return bool(self.peak >= MIN_PEAK and np.isfinite(self.sd_px))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanDirections:
    """How far odd lines of turning frames behave as if they were scanned backwards."""

    backward: float
    """0 for a scan in one direction, 1 for a bidirectional one."""
    sd: float
    """Standard uncertainty."""

    @property
    def bidirectional(self) -> bool | None:
        """The answer, None if both are likely or neither is."""
        if not np.isfinite(self.sd + self.backward):
            return None
        variance = self.sd**2 + UNKNOWN_SD**2
        # The logarithm of how much likelier 1 is than 0, with normal errors.
        likelier = (self.backward - 0.5) / variance
        off = abs(self.backward - (likelier > 0))
        if abs(likelier) < LIKELIER or off > max(FAR, FAR_ERRORS * np.sqrt(variance)):
            return None
        return bool(likelier > 0)


def estimate_bidi_phase(images: ArrayLike) -> BidiPhase:
    """Estimate the phase of bidirectional scanning from pictures of the sample at rest.

    Parameters
    ----------
    images : array_like of shape (y, x) or (n, y, x)
        Mean images of frames at rest as recorded (of any angles, one for each rest or so), at least
        16 lines; together they tell one phase. NaN means "not recorded".

    Returns
    -------
    BidiPhase

    Raises
    ------
    InputError
        If the pictures are too small.

    Notes
    -----
    Each odd line is compared with the cubic between the even lines around it. The shift maximizes
    the correlation, each frequency weighed by the inverse of what is left there (noise, and what
    lines two pixels apart cannot tell); without interpolation along x there is no bias towards
    whole pixels. The uncertainty follows from how groups of neighboring lines disagree, so that it
    holds whatever the noise is.
    """
    odd, between = _odd_and_between(images)
    return _phase(odd, between)


def tell_directions(frames: ArrayLike, line_maps: ArrayLike, line_duty: float) -> ScanDirections:
    """Tell from turning frames whether they were scanned in both directions.

    Parameters
    ----------
    frames : array_like of shape (n, y, x)
        Frames as recorded while the sample turned, the faster the better; at least 16 lines, at
        least four frames.
    line_maps : array_like of shape (n, y, 2, 3)
        Map of each line, see :mod:`derotation.maps.transforms`; NaN for lines not to be used.
    line_duty : float
        Part of the line period in which the samples of a line are recorded.

    Returns
    -------
    ScanDirections

    Raises
    ------
    InputError
        If shapes do not agree, or there are too few frames.

    Notes
    -----
    With s the time from the middle of a line, in line periods, and v the velocity of the sample in
    the picture, in pixels per line, an odd line that is scanned backwards shows ``2 s v`` times the
    picture's gradient more than the mean of the lines beside it. The factor of that is estimated
    together with a phase and a difference in brightness. Gradients of a noisy picture would make
    the factor too small; so those of the lines at a distance of three, whose noise is another one,
    serve as instruments.
    """
    pictures, maps = np.asarray(frames), np.asarray(line_maps, dtype=np.float64)
    if pictures.ndim != 3 or min(pictures.shape[1:]) < MIN_LINES or len(pictures) < MIN_FRAMES:
        msg = (
            f"frames have the shape {pictures.shape}; to tell directions of scanning takes at "
            f"least {MIN_FRAMES} turning frames of {MIN_LINES} x {MIN_LINES} pixels"
        )
        raise InputError(msg)
    if maps.shape != (*pictures.shape[:2], 2, 3):
        msg = f"line_maps have the shape {maps.shape}; expected {(*pictures.shape[:2], 2, 3)}"
        raise InputError(msg)
    moments = [_moments(*both, line_duty) for both in zip(pictures, maps, strict=True)]
    crossed, told = (np.array(part) for part in zip(*moments, strict=True))
    if not np.all(np.isfinite(crossed)) or np.linalg.matrix_rank(crossed.sum(axis=0)) < 4:
        return ScanDirections(backward=float("nan"), sd=float("inf"))
    factors = np.linalg.solve(crossed.sum(axis=0), told.sum(axis=0))
    # What each frame adds, in a sandwich: frames have noise of their own.
    added = np.linalg.solve(crossed.sum(axis=0), (told - crossed @ factors).T)[0]
    sd = float(np.sqrt(np.sum(added**2) * len(added) / (len(added) - 1)))
    return ScanDirections(backward=float(factors[0]), sd=sd)


def _moments(frame: NDArray[Any], maps: Array, line_duty: float) -> tuple[Array, Array]:
    """Sum instruments times regressors (4, 4), and times what odd lines show more (4,)."""
    smooth = smoothed_along(frame, SMOOTHING)
    lines = np.arange(3, len(frame) - 3, 2)
    usable = np.isfinite(maps[lines - 1] + maps[lines] + maps[lines + 1]).all(axis=(1, 2))
    lines = lines[usable]
    s = line_duty / frame.shape[1] * (np.arange(frame.shape[1]) - 0.5 * (frame.shape[1] - 1))
    crossed, told = np.zeros((4, 4)), np.zeros(4)
    for first in range(0, len(lines), LINES):
        some = lines[first : first + LINES]
        move = 2 * s * _velocity(maps, some, frame.shape[1])
        regressors = _regressors(smooth, some, 1, move).reshape(4, -1)
        instruments = _regressors(smooth, some, 3, move).reshape(4, -1)
        more = smooth[some] - 0.5 * (smooth[some - 1] + smooth[some + 1])
        crossed += instruments @ regressors.T
        told += instruments @ more.ravel()
    return crossed, told


def _regressors(frame: Array, lines: NDArray[np.intp], distance: int, move: Array) -> Array:
    """Give effects of a move (2, line, x), of a phase, of the brightness, and 1: (4, line, x)."""
    above, below = frame[lines - distance], frame[lines + distance]
    mean = 0.5 * (above + below)
    along, across = np.gradient(mean, axis=1), (below - above) / (2 * distance)
    return np.stack([move[0] * along + move[1] * across, along, mean, np.ones_like(mean)])


def _velocity(maps: Array, lines: NDArray[np.intp], width: int) -> Array:
    """Velocity of the sample in the picture along some lines, px per line: (2, line, x)."""
    x = np.arange(width)
    change = 0.5 * (maps[lines + 1] - maps[lines - 1])
    y = lines[:, np.newaxis]
    moved = [change[:, k, 0, None] * x + change[:, k, 1, None] * y + change[:, k, 2, None]
             for k in range(2)]  # fmt: skip
    back = -np.linalg.inv(maps[lines][:, :, :2])
    return np.stack(
        [back[:, k, 0, None] * moved[0] + back[:, k, 1, None] * moved[1] for k in range(2)]
    )


def _odd_and_between(images: ArrayLike) -> tuple[Array, Array]:
    """Give the odd lines, and what the even ones around say about them, each (n, line, x)."""
    pictures = np.asarray(images, dtype=np.float64)
    pictures = pictures[np.newaxis] if pictures.ndim == 2 else pictures
    if pictures.ndim != 3 or min(pictures.shape[1:]) < MIN_LINES:
        msg = (
            f"images have the shape {np.shape(images)}; the phase of bidirectional scanning needs "
            f"(picture, y, x), at least {MIN_LINES} x {MIN_LINES} pixels"
        )
        raise InputError(msg)
    # Lines of even length, so that their spectrum ends at half the sampling rate.
    pictures = pictures[..., : pictures.shape[-1] // 2 * 2]
    even, odd = pictures[:, ::2], pictures[:, 1::2]
    n = even.shape[1] - 3
    between = sum(weight * even[:, k : k + n] for k, weight in enumerate(BETWEEN))
    odd = odd[:, 1 : n + 1]
    unknown = np.isnan(odd) | np.isnan(between)
    return _without_gaps(odd, unknown), _without_gaps(np.asarray(between), unknown)


def _without_gaps(lines: Array, unknown: NDArray[np.bool_]) -> Array:
    """Subtract each line's mean, and put 0 where nothing is known."""
    n_known = np.maximum((~unknown).sum(axis=-1, keepdims=True), 1)
    mean = np.where(unknown, 0.0, lines).sum(axis=-1, keepdims=True) / n_known
    return np.where(unknown, 0.0, lines - mean)


def _phase(odd: Array, between: Array) -> BidiPhase:
    """Find the peak, then let the windows look at the same part of the sample, and refine.

    Windows that stay where they are would pull the shift towards 0.
    """
    shift, peak = _search(*_spectra(odd, between, 0.0))
    sd = float("inf")
    for _ in range(MOVES):
        shift, sd = _refine(*_spectra(odd, between, shift), shift)
    return BidiPhase(phase_px=shift, sd_px=sd, peak=peak)


def _spectra(odd: Array, between: Array, shift: float) -> tuple[Spectrum, Spectrum]:
    """Transform the windowed lines; the windows of odd ones lie `shift` further right."""
    width = odd.shape[-1]
    x = np.arange(width, dtype=np.float64)
    first, last = max(-shift, 0.0), width - 1 - max(shift, 0.0)
    odd = odd * _window(x - shift, first, last)
    between = between * _window(x, first, last)
    return np.fft.rfft(odd), np.fft.rfft(between)


def _window(x: Array, first: float, last: float) -> Array:
    """Rise from 0 to 1 and fall back between two places, as a cosine on both sides."""
    flank = TAPER / 2 * (last - first)
    inside = np.clip(np.minimum(x - first, last - x) / flank, 0.0, 1.0)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * inside))


def _search(odd: Spectrum, between: Spectrum) -> tuple[float, float]:
    """Find the highest peak of the whitened correlation, and how far it stands out."""
    power = _smooth(np.sqrt(_mean(np.abs(odd) ** 2) * _mean(np.abs(between) ** 2)))
    weights = np.divide(1.0, power, out=np.zeros_like(power), where=power > 0)
    weights[0] = 0.0
    cross = weights * np.mean(odd * between.conj(), axis=(0, 1))
    frequencies = _frequencies(odd)
    reach = max(2, int(SEARCH * odd.shape[-1]))
    shifts = np.arange(-reach, reach + SEARCH_STEP / 2, SEARCH_STEP)
    correlation = (cross * np.exp(1j * frequencies * shifts[:, np.newaxis])).real.sum(axis=1)
    best = int(np.argmax(correlation))
    # If lines have nothing in common the terms of the sum have random signs.
    noise = float(
        np.sqrt(np.sum(weights**2 * _mean(np.abs(odd) ** 2) * _mean(np.abs(between) ** 2)))
    )
    noise *= np.sqrt(0.5 / (odd.shape[0] * odd.shape[1]))
    return float(shifts[best]), float(correlation[best] / noise) if noise > 0 else 0.0


def _refine(odd: Spectrum, between: Spectrum, shift: float) -> tuple[float, float]:
    """Climb to the top of the weighed correlation; returns the shift and its uncertainty."""
    frequencies = _frequencies(odd)
    cross = np.sum(odd * between.conj(), axis=0)
    weights, slopes, information = np.zeros_like(frequencies), np.zeros(1), 0.0
    for _ in range(REFINEMENTS):
        turned = np.exp(1j * frequencies * shift)
        left = _smooth(_mean(np.abs(odd * turned - between) ** 2))
        weights = np.divide(1.0, left, out=np.zeros_like(left), where=left > 0)
        weights[0] = 0.0
        slopes = -(weights * frequencies * (cross * turned).imag).sum(axis=-1)
        information = float((weights * frequencies**2 * (cross * turned).real).sum())
        if information <= 0:
            return shift, float("inf")
        shift += float(np.clip(slopes.sum() / information, -0.5, 0.5))
    n_groups = min(MAX_GROUPS, len(slopes) // LINES_PER_GROUP)
    groups = np.array([group.sum() for group in np.array_split(slopes, n_groups)])
    spread = float(np.sqrt(n_groups / (n_groups - 1) * np.sum((groups - groups.mean()) ** 2)))
    # Few groups tell the spread roughly: as the variance of Student's distribution.
    spread *= np.sqrt((n_groups - 1) / max(n_groups - 3, 1))
    known = _information(cross * np.exp(1j * frequencies * shift), frequencies, weights)
    return shift, spread / known if known > 0 else float("inf")


def _information(cross: Spectrum, frequencies: Array, weights: Array) -> float:
    """Tell the curvature of the correlation at its top, from lines that did not choose the top.

    In low light the top of a noisy curve is more curved than the curve is where the true shift
    lies. So each half of the lines is asked at the shift that the other half tells.
    """
    halves = np.array_split(cross, 2)
    total = 0.0
    for half, other in (halves, halves[::-1]):
        slope = -(weights * frequencies * other.imag).sum()
        information = (weights * frequencies**2 * other.real).sum()
        step = np.clip(slope / information, -0.5, 0.5) if information > 0 else 0.5
        turned = half * np.exp(1j * frequencies * step)
        total += float((weights * frequencies**2 * turned.real).sum())
    return total


def _frequencies(spectrum: Spectrum) -> Array:
    """Give the frequencies of a spectrum of real lines of even length, radians per pixel."""
    n = spectrum.shape[-1]
    return np.asarray(np.pi * np.arange(n) / (n - 1))


def _mean(power: Array) -> Array:
    return np.asarray(power.mean(axis=(0, 1)))


def _smooth(power: Array) -> Array:
    return smoothed_along(power, SPECTRAL_SMOOTHING)
