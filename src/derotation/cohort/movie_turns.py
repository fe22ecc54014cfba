"""Whether a movie turns when the motor does, or is one of another recording."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from derotation.cohort.mistakes.mistake import Settings
from derotation.numerics.binning import binned
from derotation.signals.look import SignalsLook

if TYPE_CHECKING:
    from derotation.io.movie import Movie

__all__ = ["turns_otherwise"]

# Frames before the motor turns, those of each rest or rotation after that, and how many of these
# are compared; with fewer frames nothing is told.
MOST_FIRST, MOST_FRAMES, LEAST_FRAMES, MOST_PARTS = 24, 10, 5, 8
# Angles (degrees) at which a frame does not look like one at rest.
TURNED = (60.0, 300.0)
FULL_TURN = 360.0
# A mean correlation counts if it is so many times its standard error, and at least this.
SURE, STRUCTURE = 6.0, 0.05
# As parts of that of frames at rest: a frame that looks alike has more, one that is turned less.
AS_AT_REST, AS_TURNED = 0.7, 0.5
# Standard errors by which a mean has to be beyond them.
ERRORS = 2.0
# The clock's frames are the movie's if their numbers differ by less than this part, or so many.
SAME_COUNT, SAME_FRAMES = 0.005, 2
# Pictures are compared with so many pixels along a side, without what is coarser than so many.
SIDE, COARSE = 48, 9
ASKED = "is the movie of this recording, and are its frames all that the frame clock counts?"

Frames = NDArray[np.int64]


def turns_otherwise(look: SignalsLook, said: Settings, movie: "Movie") -> str:
    """Compare frames at which the motor rests with some at which it is turned.

    Only the first stretch of the signals is looked at, and only where it is clear which of the
    clock's frames are the movie's.

    Parameters
    ----------
    look : SignalsLook
        The signals.
    said : Settings
        What is said about the session.
    movie : Movie
        The movie, opened.

    Returns
    -------
    str
        What is worth a look; empty if the movie turns with the motor, or if nothing can be told.
    """
    found = _frames_to_compare(look, said)
    if found is None:
        return ""
    first, rests, rotations = found
    pictures = _pictures(movie, first, MOST_FIRST)
    sums = pictures.sum(axis=0)
    usual, error = _mean(np.array([_correlation(one, sums - one) for one in pictures]))
    if not usual > max(SURE * error, STRUCTURE):
        return ""

    def alike(frames: NDArray[np.int64]) -> tuple[float, float]:
        own = _pictures(movie, frames, MOST_FRAMES)
        return _mean(np.array([_correlation(one, sums) for one in own]))

    still = [mean - ERRORS * sd > AS_AT_REST * usual for mean, sd in map(alike, rotations)]
    if any(still):
        return (
            f"while the motor turned, frames look as at rest (rotation {still.index(True) + 1} of "
            f"those that were compared): {ASKED}"
        )
    moved = [mean + ERRORS * sd < AS_TURNED * usual for mean, sd in map(alike, rests)]
    if any(moved):
        return (
            f"while the motor rested after a whole turn, frames do not look as before it: {ASKED}"
        )
    return ""


def _frames_to_compare(
    look: SignalsLook, said: Settings
) -> tuple[Frames, list[Frames], list[Frames]] | None:
    """Choose frames before the motor turns, at each rest after whole turns, and far turned ones."""
    clock = next(iter(look.of_kind("frame_clock")), None)
    ticks = next(iter(look.of_kind("rotation_ticks")), None)
    interval = look.clocks.frame_interval
    if clock is None or ticks is None or not interval or said.source != "ticks":
        return None
    if said.frames_given or said.degrees_per_rotation != FULL_TURN or not _is_counted(look, said):
        return None
    if said.protocol not in ("full", "incremental"):
        return None
    begin = clock.pulses.rises(0).astype(np.float64)
    begin = begin[begin + interval <= look.stretches[0][1]]
    rises = ticks.pulses.rises(0)
    before, after = (np.searchsorted(rises, begin + shift) for shift in (-interval, 2 * interval))
    resting = before == after
    count = np.searchsorted(rises, begin + interval / 2)
    angle = count * said.rotation_increment
    # Rests and what lies between them, in turns.
    part = np.cumsum(np.diff(resting, prepend=resting[:1]))
    if said.protocol == "full":
        # Each rotation begins anew, whatever ticks were lost before it.
        starts = np.array([count[resting & (part <= k)].max(initial=0) for k in part])
        angle = (count - starts) * said.rotation_increment
    home = resting & (angle % FULL_TURN < said.rotation_increment) & (count > 0)
    far = (angle % FULL_TURN > TURNED[0]) & (angle % FULL_TURN < TURNED[1])
    first = np.flatnonzero(resting & (count == 0))
    if len(first) < LEAST_FRAMES:
        return None
    return first, _parts(home, part), _parts(far, part)


def _parts(chosen: NDArray[np.bool_], part: NDArray[np.int64]) -> list[Frames]:
    """Give the chosen frames of each rest or rotation that has enough of them."""
    found = [np.flatnonzero(chosen & (part == k)) for k in np.unique(part)]
    return [frames for frames in found if len(frames) >= LEAST_FRAMES][:MOST_PARTS]


def _is_counted(look: SignalsLook, said: Settings) -> bool:
    """Tell whether the clock counts the movie's frames and no others."""
    (clock, *_), interval = look.of_kind("frame_clock"), look.clocks.frame_interval
    rises = np.concatenate([clock.pulses.rises(k) for k in range(len(look.stretches))])
    if len(rises) < 2 or not interval or said.n_clock_frames is None:
        return False
    n = (rises[-1] - rises[0]) / interval + 1
    return bool(abs(n - said.n_clock_frames) < max(SAME_FRAMES, SAME_COUNT * said.n_clock_frames))


def _pictures(movie: "Movie", clock_frames: Frames, most: int) -> NDArray[np.float64]:
    """Read some frames, small and without what is coarse: brightness and the edge of the field."""
    # Slow to import, and only needed here.
    from scipy.ndimage import uniform_filter

    frames = np.unique(np.minimum(clock_frames // movie.n_planes, len(movie) - 1))
    if len(frames) > most:
        frames = frames[np.linspace(0, len(frames) - 1, most).astype(int)]
    read = np.nan_to_num(movie.read(frames).astype(np.float64))
    small = np.asarray(binned(read, max(1, min(read.shape[1:]) // SIDE)), np.float64)
    return np.asarray(small - uniform_filter(small, (0, COARSE, COARSE)))


def _mean(values: NDArray[np.float64]) -> tuple[float, float]:
    """Give a mean with its standard error."""
    if len(values) < 2:
        return float("nan"), float("nan")
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    a, b = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0
