"""In which direction each rotation went, where neither a table nor a channel says it."""

import dataclasses
import logging

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.io.movie import Movie
from derotation.movie_angles.likeness import (
    clearly_above,
    correlations,
    every_nth,
    mean_frame,
    read_small,
)
from derotation.numerics.degrees import is_whole_turn
from derotation.signals.angles import interpolate_angles
from derotation.signals.events import Events
from derotation.signals.repairs import Repair
from derotation.signals.rotations import DIRECTIONS_UNKNOWN

__all__ = ["find_directions"]

logger = logging.getLogger(__name__)

# Turned frames of a rotation that are compared, at most.
MOST_FRAMES = 16


def find_directions(movie: Movie, events: Events, *, threads: int = 1) -> Events:
    """Let the movie say in which direction each rotation went.

    Parameters
    ----------
    movie : Movie
        Some frames at rest, and of each rotation, are read.
    events : Events
        Of the protocol full, with directions that nothing told; else nothing is done.
    threads : int
        Threads that share the frames.

    Returns
    -------
    Events
        With directions, and a repair that says so.

    Raises
    ------
    InputError
        If the movie does not tell the direction of a rotation.
    """
    if all(one.code != DIRECTIONS_UNKNOWN for one in events.anomalies):
        return events
    n = len(events.line_start)
    angles = interpolate_angles(events.of_all_clock_frames(), protocol="full")
    # Which of the clocks' frames are the movie's may be open, too.
    offsets = range(len(events.frame_offsets_possible))
    at_rest = np.stack([angles.at_rest[k : k + n] for k in offsets]).all(axis=0)
    rest = np.flatnonzero(at_rest)
    if not len(rest) or not is_whole_turn(events.rotation_turned[events.rotation_usable]).all():
        raise InputError(_ask("rotations are no whole turns, or there is no rest between them"))
    picture = mean_frame(movie, rest)
    direction = events.rotation_direction.copy()
    for k in np.flatnonzero(events.rotation_usable):
        own = _turned(angles.line_angles, angles.rotation, int(k))
        own = every_nth(own[(own >= offsets[-1]) & (own < n)], MOST_FRAMES)
        if not len(own):
            continue  # Nobody will ask.
        lines, frames = angles.line_angles[own], [own - offset for offset in offsets]
        as_is, other = (
            _best([correlations(picture, read_small(movie, some), [sign * lines], threads)[0]
                   for some in frames])
            for sign in (1, -1)
        )  # fmt: skip
        if clearly_above(other - as_is, 0.0):
            direction[k] *= -1
        elif not clearly_above(as_is - other, 0.0):
            raise InputError(_ask(f"rotation {k + 1} looks alike in either direction"))
    signs = ", ".join(f"{sign:+d}" for sign in direction)
    text = (
        "Neither a stimulus table nor a channel says in which directions the rotations went: by "
        f"the movie, they are {signs}, with speeds as measured."
    )
    logger.warning("%s", text)
    repair = Repair(
        code="directions_by_movie", channel="rotation_ticks", count=len(direction), text=text
    )
    return dataclasses.replace(
        events,
        rotation_direction=direction,
        repairs=(*events.repairs, repair),
        anomalies=tuple(one for one in events.anomalies if one.code != DIRECTIONS_UNKNOWN),
    )


def _best(found: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Choose the correlations that are highest on the whole."""
    return max(found, key=np.mean)


def _turned(
    line_angles: NDArray[np.float64], rotation: NDArray[np.int32], k: int
) -> NDArray[np.intp]:
    """Choose frames of a rotation that look otherwise if they are turned the other way."""
    known = np.isfinite(line_angles).all(axis=1)
    middle = np.nan_to_num(line_angles[:, line_angles.shape[1] // 2])
    return np.flatnonzero(
        (rotation == k) & known & (np.abs(np.sin(np.deg2rad(middle))) > np.sin(np.deg2rad(15)))
    )


def _ask(why: str) -> str:
    return (
        "Nothing tells in which directions the rotations went, and the movie does not, either: "
        f"{why}. Give the session a stimulus table, or set angles.direction."
    )
