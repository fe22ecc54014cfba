"""Let the movie tell the angle of a session."""

import dataclasses
import logging

import numpy as np

from derotation.images.following.seen_angle import SeenAngle, see_angle
from derotation.io.movie import Movie
from derotation.maps.timing import LineTiming
from derotation.signals.events import Events
from derotation.signals.repairs import Repair
from derotation.signals.sources import with_angle
from derotation.signals.trace import MeasuredAngle

__all__ = ["events_with_seen_angle"]

logger = logging.getLogger(__name__)

# What is seen scatters about a resting sample by so many standard uncertainties.
SCATTER = 3.0
# The moment that the timing's reference means, as a part of the time in which a line is recorded.
_FRACTION = {"start": 0.0, "middle": 0.5, "end": 1.0}


def events_with_seen_angle(
    events: Events, movie: Movie, timing: LineTiming, threads: int = 1
) -> Events:
    """Take the angle from the movie, where no signal tells it.

    Parameters
    ----------
    events : Events
        With the times of the movie's lines.
    movie : Movie
        All of its frames are read, several times.
    timing : LineTiming
        When the samples within a line were recorded.
    threads : int
        Number of threads.

    Returns
    -------
    Events
        With a repair that says how well the angle is known, and an anomaly if it was lost; lines
        of frames in which it was lost have no angle.

    Raises
    ------
    AngleError
        If it cannot be followed at all.
    """
    late = _FRACTION[timing.line_reference] * timing.line_duty * events.line_period
    times_s = (events.line_start + late) / events.sampling_rate
    seen = see_angle(movie, times_s, timing=timing, threads=threads)
    time_s, angle, known = seen.trace()
    measured = MeasuredAngle(
        time=time_s * events.sampling_rate,
        angle=angle,
        known=known,
        resolution=SCATTER * float(np.nanmedian(seen.sd)),
    )
    told = with_angle(events, "movie", measured)
    notes = {doubt: _notes(seen, doubt) for doubt in (False, True)}
    return dataclasses.replace(
        told,
        repairs=(*told.repairs, *notes[False]),
        anomalies=(*told.anomalies, *notes[True]),
    )


def _notes(seen: SeenAngle, doubt: bool) -> list[Repair]:
    """Say what was found as events say it."""
    return [
        Repair(
            code=f"angle_{verdict.code}",
            channel="movie",
            count=int(verdict.figures["n"]),
            text=verdict.sentence,
        )
        for verdict in seen.verdicts
        if verdict.doubt is doubt
    ]
