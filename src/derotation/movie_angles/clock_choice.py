"""Which of the frames that the clocks count are the movie's, as the movie shows it.

Where the clocks count some frames more than the movie has, the signals do not tell whether they
come before it, after it, or were lost in the middle of it. While the sample turns, the movie does:
a frame that is turned back by the angles of another one is less like the sample at rest.
"""

import dataclasses
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.geometry import Geometry, best_correlated
from derotation.errors import CenterError
from derotation.images.sample import read_sample
from derotation.io.movie import Movie
from derotation.maps.line_maps import LineMaps
from derotation.maps.transforms import image_center
from derotation.movie_angles.likeness import (
    clearly_above,
    correlations,
    every_nth,
    mean_frame,
    noise_of,
    read_small,
    rough_center,
    sign_that_fits,
)
from derotation.numerics.degrees import is_whole_turn, wrapped
from derotation.signals.angles import interpolate_angles
from derotation.signals.events import Events
from derotation.signals.repairs import Repair, counted

__all__ = ["choose_clock_frames"]

logger = logging.getLogger(__name__)

NDFloat = NDArray[np.float64]
Correlate = Callable[[NDArray[np.intp]], NDFloat]

# A frame tells which of the clocks' frames it is if their angles differ by so much (degrees).
TELLING = 0.5
# Frames that are compared at once, at most.
MOST_FRAMES = 120
# A frame that was lost has to explain so much correlation, and so many standard deviations of what
# a frame correlates by chance.
CHANGE, CHANGE_ERRORS = 0.1, 4.0
# Without a rest, one offset has to fit better than others by so many standard errors.
MIN_ERRORS = 3.0
# Without a rest, frames within so many degrees of one angle serve as one, if there are so many:
# rather the nearer ones. Angles that are tried.
SLOW, MIN_SLOW, MOST_LEVELS = (1.5, 3.0, 6.0, 10.0), 6, 200
# Parts of a session that are compared with each other.
N_PARTS = 4
# Places of a lost frame are as good as the best one if they fit less well by no more than this.
SAME_ERRORS = 3.0
# What the signals' repairs say about frames is replaced by what the movie says.
_GUESSES = ("clock_frame_dropped", "clock_frame_extrapolated")


@dataclass(frozen=True, slots=True)
class _Run:
    """Successive frames of the movie that go with the clocks' frames so much later."""

    first: int
    offset: int


def choose_clock_frames(
    movie: Movie,
    events: Events,
    *,
    protocol: Literal["full", "incremental", "free"],
    threads: int = 1,
) -> Events:
    """Let the movie say which of the clocks' frames are its own.

    Parameters
    ----------
    movie : Movie
        Up to about 64 of its frames at rest and some hundreds of turned ones are read.
    events : Events
        With several `frame_offsets_possible`; else nothing is done.
    protocol : {"full", "incremental", "free"}
        What the motor did.
    threads : int
        Threads that share the frames.

    Returns
    -------
    Events
        With the frames that fit best, also if some were lost in the middle of the movie, and with a
        repair that says so. Frames of which it matters and cannot be told are marked as not known.
        If nothing fits clearly better, what the signals gave stays, and is an anomaly.
    """
    n_offsets = len(events.frame_offsets_possible)
    if n_offsets < 2:
        return events
    every = interpolate_angles(events.of_all_clock_frames(), protocol=protocol).line_angles
    n = len(events.line_start)
    # Views, since there are many lines: angles[k, i] are those of frame i, k frames later.
    angles = _by_offset(every, n)
    known = _by_offset(np.asarray(np.isfinite(every).all(axis=1)), n).all(axis=0)
    some = _by_offset(every[:, [0, every.shape[1] // 2, -1]], n)
    differ = np.nan_to_num(np.abs(wrapped(some - some[:1]))).max(axis=(0, 2))
    telling = np.flatnonzero(known & (differ > TELLING))
    if not len(telling):
        return _with_words(
            events, "It makes no difference: the sample rests, or hardly turns, meanwhile."
        )
    rest = np.flatnonzero(_by_offset(np.asarray(is_whole_turn(every).all(axis=1)), n).all(axis=0))
    if len(rest):
        return _by_picture(movie, events, angles, rest, telling, threads)
    for reach in SLOW:
        slow, level = _slowest(some, reach)
        if len(slow) < MIN_SLOW:
            continue
        # Views again: what is taken off is taken off the angles themselves.
        angles = _by_offset(every - level, n)
        found = _by_picture(movie, events, angles, slow, telling, threads)
        if all(one.code != "clock_frames_untold" for one in found.anomalies):
            return found
    return _without_rest(movie, events, protocol, int(telling[0]), threads)


def _slowest(some: NDFloat, reach: float) -> tuple[NDArray[np.intp], float]:
    """Find frames that show the sample at one angle, whichever of the clocks' frames they are.

    Parameters
    ----------
    some : ndarray of shape (n_offsets, n_frames, n)
        Angles of some lines of each frame, degrees, NaN where they are not known.
    reach : float
        Degrees within which they count as one.

    Returns
    -------
    frames : ndarray of int
        The frames.
    level : float
        Their angle, degrees.
    """
    of_frame = np.moveaxis(some, 1, 0).reshape(some.shape[1], -1)
    middle = of_frame[:, :1]
    still = np.flatnonzero((np.abs(wrapped(of_frame - middle)) < reach / 2).all(axis=1))
    if not len(still):
        return still, 0.0
    own = middle[still, 0]
    near = np.abs(wrapped(own[:, None] - own[every_nth(np.arange(len(own)), MOST_LEVELS)]))
    best = int(np.argmax((near < reach / 2).sum(axis=0)))
    frames = still[near[:, best] < reach / 2]
    level = float(own[every_nth(np.arange(len(own)), MOST_LEVELS)[best]])
    return frames, level + float(np.mean(wrapped(middle[frames, 0] - level)))


def _by_picture(
    movie: Movie,
    events: Events,
    angles: NDFloat,
    rest: NDArray[np.intp],
    telling: NDArray[np.intp],
    threads: int,
) -> Events:
    """Compare turned frames with the mean of those at angle 0.

    Parameters
    ----------
    angles : ndarray of shape (n_offsets, n_frames, n_lines)
        Angles of the lines of each frame, if it is so many frames of the clocks later.
    rest, telling : ndarray of int
        Frames at angle 0, and those of which it matters.
    """
    n = angles.shape[1]
    compared = np.setdiff1d(telling, rest)
    if not len(compared):
        return _untold(events, "no frame turns enough")
    picture = mean_frame(movie, rest)
    sign = sign_that_fits(movie, picture, angles, compared, threads)

    center = image_center(picture.shape)

    def correlate(numbers: NDArray[np.intp]) -> NDFloat:
        choices = sign * angles[:, numbers]
        return correlations(picture, read_small(movie, numbers), choices, threads, center=center)

    # If the clocks count one frame too few, none was lost in the movie.
    too_few = any(one.code == "clock_frame_extrapolated" for one in events.repairs)
    numbers = every_nth(compared, MOST_FRAMES)
    found = correlate(numbers)
    offsets = _path(found, np.inf if too_few else CHANGE + CHANGE_ERRORS * noise_of(found))
    # Once more about the center, which hardly depends on a few wrong angles.
    chosen = sign * angles[offsets, numbers]
    center = rough_center(picture, read_small(movie, numbers), chosen, threads)
    found = correlate(numbers)
    noise = noise_of(found)
    offsets = _path(found, np.inf if too_few else CHANGE + CHANGE_ERRORS * noise)
    if not _fits(found, offsets, noise):
        offsets = np.full(len(numbers), int(np.argmax(found.mean(axis=1))))
    if not _fits(found, offsets, noise):
        return _untold(
            events,
            f"frames fit as well with others (correlation with the sample at rest "
            f"{_listed(found.mean(axis=1))})",
        )
    unknown = np.zeros(n, np.bool_)
    for frames in _doubtful_ends(found, offsets, SAME_ERRORS * noise):
        unknown[_within(telling, numbers[frames[0]], numbers[frames[-1]] + 1)] = True
    runs = [_Run(0, int(offsets[0]))]
    for k in np.flatnonzero(np.diff(offsets)):
        before, after = int(offsets[k]), int(offsets[k + 1])
        bounds = (int(numbers[k]), int(numbers[k + 1]))
        first, last = _place_of_loss(correlate, compared, bounds, (before, after), noise)
        between = _within(telling, first, last)
        gap = np.abs(wrapped(angles[after, between] - angles[before, between])).max(axis=1)
        unknown[between[gap > TELLING]] = True
        runs.append(_Run(last, after))
    return _chosen(events, runs, unknown, float(found.max(axis=0).mean()), int(telling[0]))


def _without_rest(
    movie: Movie,
    events: Events,
    protocol: Literal["full", "incremental", "free"],
    telling: int,
    threads: int,
) -> Events:
    """Choose the offset with which frames fit best to those near angle 0, each derotated by it.

    For samples that are never slow. That a frame was lost in the middle cannot be told so.
    """
    place = Geometry.about(image_center(movie.shape))
    found: list[dict[int, float]] = []
    for offset in events.frame_offsets_possible:
        angles = interpolate_angles(events.with_frame_offset(offset), protocol=protocol)
        try:
            sample = read_sample(movie, LineMaps.of(angles, place), MOST_FRAMES)
        except CenterError as error:
            return _untold(events, str(error))
        values = best_correlated(sample, [place], threads)[1][0].tolist()
        found.append(dict(zip(sample.numbers.tolist(), values, strict=True)))
    common = sorted(set.intersection(*(set(one) for one in found)))
    every = np.array([[one[k] for k in common] for one in found])
    means = every.mean(axis=1)
    parts = np.array_split(np.arange(len(common)), N_PARTS)
    likely = [int(np.argmax(every[:, part].mean(axis=1))) for part in parts if len(part)]
    if likely[-1] > likely[0] and sorted(likely) == likely:
        at = likely.index(likely[-1])
        lost = counted(likely[-1] - likely[0], "frame")
        return _untold(
            events,
            f"no frame was recorded at rest, or slowly, and {lost} seem to be lost between frame "
            f"{common[parts[at - 1][0]]} and {common[parts[at][-1]]}",
        )
    best, second = np.argsort(means)[[-1, -2]]
    gain = every[best] - every[second]
    if gain.mean() < MIN_ERRORS * gain.std(ddof=1) / np.sqrt(len(gain)):
        return _untold(
            events,
            "no frame was recorded at rest, and frames fit as well with others (correlation "
            f"{_listed(means)})",
        )
    unknown = np.zeros(len(events.line_start), np.bool_)
    return _chosen(events, [_Run(0, int(best))], unknown, float(means[best]), telling)


def _within(numbers: NDArray[np.intp], first: int, end: int) -> NDArray[np.intp]:
    return numbers[(numbers >= first) & (numbers < end)]


def _by_offset(values: NDArray[Any], n: int) -> NDArray[Any]:
    """Give what belongs to n frames for each offset, shape (offset, n, ...), without copying."""
    windows = np.lib.stride_tricks.sliding_window_view(values, n, axis=0)
    return np.moveaxis(windows, -1, 1)


def _path(correlation: NDFloat, price: float) -> NDArray[np.int64]:
    """Find the offset of each frame that fits best, growing only, with few changes.

    By dynamic programming (Viterbi 1967): a path through the offsets collects the correlation of
    each frame and pays for each frame that is lost.
    """
    n_offsets, n = correlation.shape
    score, came = correlation[:, 0].copy(), np.zeros(correlation.shape, np.int64)
    steps = np.arange(n_offsets)[:, None] - np.arange(n_offsets)[None, :]
    cost = np.where(steps < 0, np.inf, np.where(steps > 0, price * np.maximum(steps, 1), 0.0))
    for k in range(1, n):
        all_ways = score[None, :] - cost
        came[:, k] = np.argmax(all_ways, axis=1)
        score = all_ways.max(axis=1) + correlation[:, k]
    path = np.empty(n, np.int64)
    state = int(np.argmax(score))
    for k in range(n - 1, -1, -1):
        path[k] = state
        state = int(came[state, k])
    return path


def _fits(correlation: NDFloat, path: NDArray[np.int64], noise: float) -> bool:
    """Tell whether each stretch of a path fits clearly better than any other offset does."""
    edges = np.flatnonzero(np.diff(path)) + 1
    for stretch in np.split(np.arange(len(path)), edges):
        own = correlation[path[stretch[0]], stretch]
        others = np.delete(correlation[:, stretch], path[stretch[0]], axis=0)
        if not all(clearly_above(own - other, noise) for other in others):
            return False
    return True


def _doubtful_ends(
    correlation: NDFloat, path: NDArray[np.int64], least: float
) -> list[NDArray[np.intp]]:
    """Find frames at either end that fit better with another offset, but too few to be sure.

    A frame may have been lost just after the first ones, or just before the last ones.
    """
    n_offsets, n = correlation.shape
    doubtful = []
    for end, others in ((0, range(path[0])), (-1, range(path[-1] + 1, n_offsets))):
        own = correlation[path[end]]
        gains = [np.cumsum((correlation[other] - own)[:: 1 if end == 0 else -1])
                 for other in others]  # fmt: skip
        if not gains:
            continue
        best = max(gains, key=np.max)
        if best.max() > least:
            m = int(np.argmax(best)) + 1
            doubtful.append(np.arange(m) if end == 0 else np.arange(n - m, n))
    return doubtful


def _place_of_loss(
    correlate: Correlate,
    telling: NDArray[np.intp],
    bounds: tuple[int, int],
    offsets: tuple[int, int],
    noise: float,
) -> tuple[int, int]:
    """Narrow down where a frame was lost.

    Returns
    -------
    first, last : int
        The first frame that may have the later offset, and the first that certainly has it.
    """
    reach = 8
    low, high = np.searchsorted(telling, bounds)
    own = telling[max(low - reach, 0) : high + 1 + reach]
    while True:
        asked = every_nth(own, MOST_FRAMES)
        found = correlate(asked)
        gain = found[offsets[1]] - found[offsets[0]]
        # Of all places, that after which the later offset gains most.
        total = np.append(np.cumsum(gain[::-1])[::-1], 0.0)
        good = np.flatnonzero(total >= total.max() - SAME_ERRORS * noise)
        first = int(asked[max(good[0] - 1, 0)]) + 1 if good[0] else int(asked[0])
        last = int(asked[min(good[-1], len(asked) - 1)])
        if len(asked) == len(own):
            return min(first, last), last
        low, high = np.searchsorted(own, (first, last))
        own = own[max(low - reach, 0) : high + 1 + reach]


def _chosen(
    events: Events, runs: list[_Run], unknown: NDArray[np.bool_], fit: float, telling: int
) -> Events:
    """Take the frames that were found, and say so."""
    n = len(events.line_start)
    index = np.arange(n)
    offset = np.zeros(n, np.int64)
    for run in runs:
        offset[run.first :] = run.offset
    n_extra = len(events.frame_offsets_possible) - 1
    before = "" if not runs[0].offset else (
        f"{counted(runs[0].offset, 'frame')} of the clocks left out before frame {telling} of the "
        "movie, where the sample begins to turn"
    )  # fmt: skip
    left = n_extra - runs[-1].offset
    after = f"{counted(left, 'frame')} left out at the end" if left else ""
    lost = [
        f"{counted(b.offset - a.offset, 'frame')} lost before frame {b.first} of the movie"
        for a, b in itertools.pairwise(runs)
    ]
    what = "; ".join(filter(None, [before, *lost, after]))
    found = f"The clocks count {counted(n_extra, 'frame')} that the movie does not have"
    if any(one.code == "clock_frame_extrapolated" for one in events.repairs):
        found = "The clocks count one frame fewer than the movie has"
        what = f"its {'last' if runs[0].offset else 'first'} one is without a pulse"
    key = ""
    if len(runs) == 1 and left + runs[0].offset == n_extra and not what.startswith("its"):
        key = f" (as by signals.frames: {{skip_start: {runs[0].offset}}})"
    doubt = ""
    if unknown.any():
        doubt = (
            f" Of {counted(int(unknown.sum()), 'frame')} next to that place it cannot be told: "
            "they get no angle."
        )
    text = (
        f"{found}. By what the movie shows, {what}{key}. Correlation with the sample at rest: "
        f"{fit:.2f}.{doubt}"
    )
    logger.warning("%s", text)
    chosen = events.with_clock_frames(index + offset)
    places = [float(chosen.frame_start[run.first]) / events.sampling_rate for run in runs[1:]]
    repair = Repair(
        code="clock_frames_by_movie",
        channel="frame_clock",
        count=n_extra,
        text=text,
        places=tuple(places),
    )
    kept = tuple(one for one in events.repairs if one.code not in _GUESSES)
    return dataclasses.replace(
        chosen,
        repairs=(*kept, repair),
        frame_unknown=unknown,
        frame_offsets_possible=(chosen.frame_offset,),
    )


def _with_words(events: Events, words: str) -> Events:
    """Add a sentence to what the signals' repair says."""
    repairs = tuple(
        dataclasses.replace(one, text=f"{one.text} {words}") if one.code in _GUESSES else one
        for one in events.repairs
    )
    return dataclasses.replace(events, repairs=repairs)


def _untold(events: Events, why: str) -> Events:
    """Say that the movie does not tell its frames, so that somebody looks at them."""
    text = (
        "Which frames of the clocks are the movie's cannot be told from the movie, either: "
        f"{why}. Say it by signals.frames."
    )
    logger.warning("%s", text)
    odd = Repair(
        code="clock_frames_untold",
        channel="frame_clock",
        count=len(events.frame_offsets_possible) - 1,
        text=text,
    )
    return dataclasses.replace(events, anomalies=(*events.anomalies, odd))


def _listed(values: NDFloat) -> str:
    return ", ".join(f"{value:.2f}" for value in values)
