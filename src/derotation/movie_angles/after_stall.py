"""By how much a rotation turned that stalled: the rest after it against the rest before.

The motor's ticks do not tell it, but both rests are in the movie.
"""

import dataclasses
import logging
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from derotation.io.movie import Movie
from derotation.movie_angles.likeness import correlations, mean_frame, sign_that_fits, turn_left
from derotation.numerics.by_rows import by_rows
from derotation.numerics.degrees import is_whole_turn, wrapped
from derotation.signals.angles import Angles, interpolate_angles
from derotation.signals.events import Events
from derotation.signals.repairs import Repair

__all__ = ["find_angles_after_stalls"]

logger = logging.getLogger(__name__)

NDFloat = NDArray[np.float64]

# The circle is searched in such steps (degrees).
COARSE = 3.0
# What is found has to correlate by so much more than anything further away than this (degrees).
DISTINCT, FAR = 0.1, 12.0
MIN_CORRELATION = 0.5
# If it is this near to the last tick, the sample stayed where the ticks end (degrees).
STAYED = 1.0
MIN_FRAMES = 3


def find_angles_after_stalls(
    movie: Movie,
    events: Events,
    *,
    protocol: Literal["full", "incremental", "free"],
    threads: int = 1,
) -> Events:
    """Let the movie say at which angle the sample rests after each rotation that was lost.

    Parameters
    ----------
    movie : Movie
        Some frames at rest before and after are read.
    events : Events
        With rotations after which the angle is not known; else nothing is done.
    protocol : {"full", "incremental", "free"}
        What the motor did.
    threads : int
        Threads that share the frames.

    Returns
    -------
    Events
        Whose lines have angles after these rotations, too, with a repair for each; only those
        recorded between the stall and the next rest have none. Where the movie does not tell it,
        the angle stays unknown.
    """
    for k in np.flatnonzero(np.isfinite(events.rotation_lost)):
        found = _turned(movie, events, int(k), protocol, threads)
        if found is None:
            break
        events = _with_turn(events, int(k), *found)
    return events


def _turned(
    movie: Movie,
    events: Events,
    k: int,
    protocol: Literal["full", "incremental", "free"],
    threads: int,
) -> tuple[float, float] | None:
    """Tell by how many degrees rotation `k` turned, and how well that fits; None: untold."""
    before = interpolate_angles(events, protocol=protocol)
    still = np.flatnonzero(before.line_usable.all(axis=1) & _resting(before))
    after = _frames_after(events, k)
    still = still[is_whole_turn(before.line_angles[still]).all(axis=1)]
    if len(still) < MIN_FRAMES or len(after) < MIN_FRAMES:
        return None
    rest, picture = mean_frame(movie, still), mean_frame(movie, after)
    base = _base(before, events, k)
    height = picture.shape[0]

    def fits(tried: NDFloat) -> NDFloat:
        choices = [np.full((1, height), angle) for angle in tried]
        return correlations(rest, picture[None], choices, threads)[:, 0]

    coarse = np.arange(0, 360, COARSE)
    found = fits(coarse)
    best = float(coarse[np.argmax(found)])
    far = np.abs(wrapped(coarse - best)) > FAR
    if found.max() < MIN_CORRELATION or found.max() - found[far].max() < DISTINCT:
        return None
    angle = best + turn_left(rest, picture, best)
    if abs(angle - best) > COARSE:
        return None
    turning = np.flatnonzero(before.turned)
    # The configuration may say the wrong sign, or one that is not known here.
    wired = sign_that_fits(movie, rest, before.line_angles[None], turning, threads)
    sign = -int(events.rotation_direction[k]) * wired
    turned = float(np.mod(sign * (angle - wired * base), 360.0))
    ticks = float(events.rotation_turned[k])
    if abs(wrapped(turned - ticks)) < STAYED:
        turned = ticks
    return turned, float(found.max())


def _resting(angles: Angles) -> NDArray[np.bool_]:
    swept = by_rows(lambda lines: np.ptp(np.nan_to_num(lines), axis=1), angles.line_angles)
    return np.asarray(swept == 0)


def _frames_after(events: Events, k: int) -> NDArray[np.intp]:
    """Choose frames at rest after a rotation and before the next one."""
    latency = 0.05 * events.sampling_rate
    begin = events.rotation_end[k] + latency
    last = k + 1 == events.n_rotations
    end = np.inf if last else events.rotation_start[k + 1] - latency
    return np.flatnonzero((events.frame_start > begin) & (events.frame_end < end))


def _base(angles: Angles, events: Events, k: int) -> float:
    """Give the angle at rest before a rotation, degrees."""
    before = np.flatnonzero(
        (events.frame_end < events.rotation_start[k]) & angles.line_usable.all(axis=1)
    )
    return float(angles.line_angles[before[-1], -1]) if len(before) else 0.0


def _with_turn(events: Events, k: int, turned: float, fit: float) -> Events:
    """Take over what was found, and say so."""
    seen = events.rotation_seen_to_turn.copy()
    seen[k] = turned
    lost, rate = float(events.rotation_lost[k]), events.sampling_rate
    end = float(events.rotation_end[k])
    text = (
        f"Rotation {k + 1} stalled, or was stopped, at {lost / rate:.3f} s. By the movie at rest "
        f"after it, it had turned by {turned:.1f} degrees (correlation with the sample at rest: "
        f"{fit:.2f}): from {end / rate:.3f} s on angles count from there. In between they are not "
        "known."
    )
    logger.warning("%s", text)
    repair = Repair(
        code="angle_after_stall",
        channel="rotation_ticks",
        count=1,
        text=text,
        places=(lost / rate,),
    )
    return dataclasses.replace(
        events, rotation_seen_to_turn=seen, repairs=(*events.repairs, repair)
    )
