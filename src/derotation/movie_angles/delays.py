"""The delay between a table of one angle per frame and the movie, rotation by rotation.

Where the angle of each frame was noted by a program and not by a clock, it may lag behind the movie
or run ahead of it, by up to a frame or two, and differently in each rotation (as in the recordings
of Hennestad et al. 2021).
"""

import dataclasses
import logging
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from derotation.io.movie import Movie
from derotation.movie_angles.likeness import (
    clearly_above,
    correlations,
    every_nth,
    mean_frame,
    noise_of,
    read_small,
    sign_that_fits,
)
from derotation.numerics.degrees import wrapped
from derotation.numerics.parabola import top_offset
from derotation.signals.angles import angle_trace, interpolate_angles
from derotation.signals.events import Events
from derotation.signals.repairs import Repair

__all__ = ["find_delays"]

logger = logging.getLogger(__name__)

NDFloat = NDArray[np.float64]

# Delays that are tried, in frames.
REACH, STEP = 2.5, 0.25
# Frames of a rotation that are compared, at most, and those at rest that are needed.
MOST_FRAMES, MIN_REST = 24, 3
# At rest the angle is within this of 0 (degrees), and so much has to change from frame to frame.
AT_ZERO, TELLING = 0.2, 0.5
# Delays below this (frames) are none.
LEAST = 0.05


def find_delays(
    movie: Movie,
    events: Events,
    *,
    protocol: Literal["full", "incremental", "free"],
    threads: int = 1,
) -> Events:
    """Let the movie say by how much the table's angles come too early or too late.

    Parameters
    ----------
    movie : Movie
        Some frames at rest, and of each rotation, are read.
    events : Events
        With an angle per frame and nothing else.
    protocol : {"full", "incremental", "free"}
        What the motor did.
    threads : int
        Threads that share the frames.

    Returns
    -------
    Events
        In which the angles of each rotation come when the movie shows them, with a repair that
        says by how much. Rotations whose delay cannot be told have none; without a rest at angle
        0 nothing is done.
    """
    angles = interpolate_angles(events, protocol=protocol)
    lines = angles.line_angles
    still = np.isfinite(lines).all(axis=1) & (np.abs(wrapped(lines)).max(axis=1) < AT_ZERO)
    rest = np.flatnonzero(still & (angles.rotation < 0))
    if len(rest) < MIN_REST or not events.n_rotations:
        return events
    picture = mean_frame(movie, rest)
    turning = np.flatnonzero(_tells(lines))
    sign = sign_that_fits(movie, picture, lines[None], turning, threads)
    found = np.zeros(events.n_rotations)
    for k in range(events.n_rotations):
        own = every_nth(turning[angles.rotation[turning] == k], MOST_FRAMES)
        if len(own) >= MIN_REST:
            found[k] = _delay(movie, picture, events, lines, own, sign, threads)
    if not found.any():
        return events
    return _shifted(events, found)


def _tells(lines: NDFloat) -> NDArray[np.bool_]:
    """Tell which frames would look otherwise with the angles of the next one."""
    middle = lines[:, lines.shape[1] // 2]
    step = np.abs(wrapped(np.gradient(middle))) if len(middle) > 1 else np.zeros(len(middle))
    return np.asarray(np.isfinite(lines).all(axis=1) & (np.nan_to_num(step) > TELLING))


def _delay(
    movie: Movie,
    picture: NDArray[np.float32],
    events: Events,
    lines: NDFloat,
    own: NDArray[np.intp],
    sign: int,
    threads: int,
) -> float:
    """Find the delay of one rotation, in frames; 0 if none is clear."""
    trace, period = angle_trace(events), _frame_period(events)
    time = events.line_start[own] + events.line_duration / 2
    here = trace.at(time)[0]
    delays = np.arange(-REACH, REACH + STEP / 2, STEP)
    choices = [lines[own] + (trace.at(time + delay * period)[0] - here) for delay in delays]
    known = np.isfinite(choices).all(axis=(0, 2))
    if np.count_nonzero(known) < MIN_REST:
        return 0.0
    frames = read_small(movie, own[known])
    fits = correlations(picture, frames, [sign * choice[known] for choice in choices], threads)
    mean = fits.mean(axis=1)
    top = int(np.argmax(mean))
    at_zero = int(np.argmin(np.abs(delays)))
    if not 0 < top < len(delays) - 1:
        return 0.0
    delay = float(delays[top] + STEP * top_offset(*mean[top - 1 : top + 2]))
    clear = top == at_zero or clearly_above(fits[top] - fits[at_zero], noise_of(fits))
    return delay if clear and abs(delay) >= LEAST else 0.0


def _frame_period(events: Events) -> float:
    return float(np.median(np.diff(events.frame_start)))


def _shifted(events: Events, delays: NDFloat) -> Events:
    """Let the angles of each rotation come earlier by its delay (frames)."""
    borders = (events.rotation_end[:-1] + events.rotation_start[1:]) / 2
    of_knot = np.searchsorted(borders, events.knot_time)
    time = np.maximum.accumulate(events.knot_time - delays[of_knot] * _frame_period(events))
    shift = delays * _frame_period(events)
    shown = ", ".join(f"{delay:.2f}" for delay in delays[:12]) + (", ..." * (len(delays) > 12))
    ms = float(np.abs(shift).max()) / events.sampling_rate * 1e3
    text = (
        "The angles of the table do not come when the movie shows them. By the movie, those of the "
        f"rotations come late by {shown} frames (up to {ms:.0f} ms), which is corrected."
    )
    logger.warning("%s", text)
    repair = Repair(
        code="table_delays", channel="angles", count=int(np.count_nonzero(delays)), text=text
    )
    return dataclasses.replace(
        events,
        knot_time=time,
        rotation_start=events.rotation_start - shift,
        rotation_end=events.rotation_end - shift,
        repairs=(*events.repairs, repair),
    )
