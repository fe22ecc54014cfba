"""How much frames correlate with the sample at rest if they are turned back by given angles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.geometry import Geometry, best_correlated, coarse_center
from derotation.images.comparison import radius
from derotation.images.registration import Registration
from derotation.images.sample import Lines, Sample
from derotation.io.movie import Movie
from derotation.maps import transforms
from derotation.maps.line_maps import Placement
from derotation.maps.timing import LineTiming
from derotation.maps.transforms import image_center
from derotation.numerics.binning import binned

__all__ = [
    "clearly_above",
    "correlations",
    "every_nth",
    "mean_frame",
    "noise_of",
    "read_small",
    "rough_center",
    "sign_that_fits",
    "turn_left",
]

# Pictures are compared at about this size (px).
SIZE = 128
FRAMES_AT_ONCE = 16
# One choice fits better than another by so many standard errors, and by so much correlation.
# Most of the frames have to say so.
MIN_ERRORS, MIN_DIFFERENCE, MOST = 4.0, 0.01, 0.75
# How pictures are smoothed (px) to tell by how much they are turned, and how often they are looked
# at for that.
FINE_SMOOTHING, FINE_ROUNDS = 2.0, 6
# Frames that tell the sign of the angles.
SIGN_FRAMES = 16


def mean_frame(movie: Movie, numbers: NDArray[np.intp], most: int = 64) -> NDArray[np.float32]:
    """Average at most so many frames, evenly spread over those given; shape (y, x)."""
    chosen = every_nth(numbers, most)
    total = np.zeros(movie.shape[1:])
    for first in range(0, len(chosen), FRAMES_AT_ONCE):
        total += movie.read(chosen[first : first + FRAMES_AT_ONCE]).sum(axis=0, dtype=np.float64)
    return (total / len(chosen)).astype(np.float32)


def read_small(movie: Movie, numbers: NDArray[np.intp]) -> NDArray[np.float32]:
    """Read some frames at the size at which they are compared, a few at a time: (n, y, x)."""
    parts = [
        _as_small(movie.read(numbers[first : first + FRAMES_AT_ONCE]), movie.shape[1:])
        for first in range(0, len(numbers), FRAMES_AT_ONCE)
    ]
    return np.concatenate(parts).astype(np.float32)


def _factor(shape: tuple[int, ...]) -> int:
    """Tell by how much pictures are binned before they are compared."""
    return max(min(shape) // SIZE, 1)


def _as_small(frames: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Bin frames, unless they are smaller than pictures of a shape already."""
    factor = _factor(shape)
    return frames if factor == 1 or frames.shape[-2:] != shape[-2:] else binned(frames, factor)


def every_nth(numbers: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Keep at most so many of some numbers, evenly spread."""
    if len(numbers) <= most:
        return numbers
    return np.asarray(numbers[np.linspace(0, len(numbers) - 1, most).round().astype(int)], np.intp)


def correlations(
    rest: NDArray[np.float32],
    frames: NDArray[np.generic],
    choices: Sequence[NDArray[np.float64]] | NDArray[np.float64],
    threads: int = 1,
    *,
    center: tuple[float, float] | None = None,
) -> NDArray[np.float64]:
    """Turn frames back by several choices of their angles, and correlate them with a picture.

    The correlation is taken at its peak, wherever that is: the center need not be known.

    Parameters
    ----------
    rest : ndarray of shape (y, x)
        The sample at rest, at angle 0.
    frames : ndarray of shape (n, y, x)
        Frames as recorded, or as :func:`read_small` gives them.
    choices : sequence of ndarray of shape (n, y), or ndarray of shape (n_choices, n, y)
        Angles of their lines, degrees.
    threads : int
        Threads that share the frames.
    center : tuple of float, optional
        Center (x, y), pixels, where it is roughly known: frames that lie far off it keep more of
        the sample in the picture. Default: that of the picture.

    Returns
    -------
    ndarray of shape (n_choices, n)
    """
    factor = _factor(rest.shape)
    small, few = binned(rest, factor), _as_small(frames, rest.shape)
    # With binned pixels, as in derotation.maps.transforms.binned.
    at = image_center(rest.shape) if center is None else center
    place = Geometry.about(((at[0] + 0.5) / factor - 0.5, (at[1] + 0.5) / factor - 0.5))
    samples = (_sample(small, few, _lines(angles).binned(factor)) for angles in choices)
    return np.stack([best_correlated(sample, [place], threads)[1][0] for sample in samples])


def rough_center(
    rest: NDArray[np.float32],
    frames: NDArray[np.generic],
    angles: NDArray[np.float64],
    threads: int = 1,
) -> tuple[float, float]:
    """Find the center of rotation to a few pixels, though some angles may be wrong.

    Parameters
    ----------
    rest, frames, threads
        As for :func:`correlations`.
    angles : ndarray of shape (n, y)
        Angles of the frames' lines, degrees.

    Returns
    -------
    tuple of float
        (x, y) in pixels; that of the picture if what is found lies outside of it.
    """
    factor = _factor(rest.shape)
    small, few = binned(rest, factor), _as_small(frames, rest.shape)
    middle = image_center(small.shape)
    sample = _sample(small, few, _lines(angles).binned(factor))
    x, y = coarse_center(Registration(sample, threads), Geometry.about(middle)).center
    inside = 0 <= x < small.shape[1] and 0 <= y < small.shape[0]
    x, y = (float(x), float(y)) if inside else middle
    return (x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5


def turn_left(rest: NDArray[np.float32], picture: NDArray[np.float32], angle: float) -> float:
    """Tell by how much a picture at rest is left turned that was turned back by an angle.

    Parameters
    ----------
    rest : ndarray of shape (y, x)
        The sample at rest, at angle 0.
    picture : ndarray of shape (y, x)
        The sample at rest at another angle.
    angle : float
        That angle within some degrees.

    Returns
    -------
    float
        Degrees to be added to it.
    """
    sample = _sample(rest, picture[None], _lines(np.full((1, len(rest)), angle)))
    registration = Registration(sample, 1)
    guess = _Shifted(Geometry.about(image_center(rest.shape)))
    shift = registration.shifts(guess)[0][0]
    guess = _Shifted(guess.placement, (float(shift[0]), float(shift[1])))
    values = registration.affine(guess, smoothing=FINE_SMOOTHING, iterations=FINE_ROUNDS).values[0]
    x_by_y, y_by_x = values[3] / radius(rest.shape), values[4] / radius(rest.shape)
    return float(np.rad2deg((y_by_x - x_by_y) / 2))


@dataclass(frozen=True, slots=True)
class _Shifted:
    """A placement after which pictures are shifted back."""

    placement: Placement
    shift: tuple[float, float] = (0.0, 0.0)
    lag_ms: float = 0.0

    def maps(
        self, angles: NDArray[np.float64], times_s: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        maps = self.placement.maps(angles, times_s)
        return transforms.compose(transforms.translations(-np.asarray(self.shift)), maps)


def _lines(angles: NDArray[np.float64]) -> Lines:
    still = np.zeros_like(angles)
    return Lines(
        line_angles=angles, line_speeds=still, line_times_s=still, sample_timing=LineTiming()
    )


def _sample(rest: NDArray[np.float32], frames: NDArray[np.generic], lines: Lines) -> Sample:
    return Sample(
        reference=rest,
        parts=np.zeros((1, *rest.shape), np.float32),
        numbers=np.arange(len(frames)),
        frames=frames,
        lines=lines,
        time_s=np.arange(len(frames), dtype=np.float64),
        n_rest=1,
    )


def sign_that_fits(
    movie: Movie,
    rest: NDArray[np.float32],
    choices: NDArray[np.float64],
    numbers: NDArray[np.intp],
    threads: int = 1,
) -> int:
    """Tell with which sign angles fit better: the configured one may be wrong, as others find.

    Parameters
    ----------
    movie : Movie
    rest : ndarray of shape (y, x)
        The sample at rest, at angle 0.
    choices : ndarray of shape (n_choices, n_frames, y)
        Angles of the lines of all frames, degrees.
    numbers : ndarray of shape (n,)
        Frames that turn, of which a few are compared.
    threads : int
        Threads that share them.

    Returns
    -------
    {1, -1}
    """
    some = every_nth(numbers, SIGN_FRAMES)
    if not len(some):
        return 1
    frames = read_small(movie, some)
    plus, minus = (
        correlations(rest, frames, sign * choices[:, some], threads).mean(axis=1).max()
        for sign in (1, -1)
    )
    return 1 if plus >= minus else -1


def noise_of(correlation: NDArray[np.float64]) -> float:
    """Tell by how much the difference of two choices scatters from frame to frame.

    Parameters
    ----------
    correlation : ndarray of shape (n_choices, n)

    Returns
    -------
    float
        The largest of all pairs of neighboring choices, from successive frames.
    """
    if correlation.shape[1] < 3:
        return 0.0
    steps = np.diff(np.diff(correlation, axis=0), axis=1)
    # The usual deviation from the median, as a standard deviation of single frames.
    usual = np.median(np.abs(steps - np.median(steps, axis=1, keepdims=True)), axis=1)
    return 1.4826 * float(usual.max()) / float(np.sqrt(2))


def clearly_above(gain: NDArray[np.float64], noise: float) -> bool:
    """Tell whether gains of several frames are more than chance.

    Parameters
    ----------
    gain : ndarray of shape (n,)
        By how much each frame correlates more.
    noise : float
        Standard deviation of one of them by chance.

    Notes
    -----
    How much a frame gains depends on its speed, so that the scatter of the gains says nothing.
    """
    if len(gain) < 2 or np.mean(gain > 0) < MOST:
        return False
    return bool(gain.mean() > max(MIN_DIFFERENCE, MIN_ERRORS * noise / np.sqrt(len(gain))))
