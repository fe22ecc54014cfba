"""The angle from a quadrature encoder: two channels that are high by turns, and an index."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.errors import ConfigError, SignalError
from derotation.signals.pulses import Pulses
from derotation.signals.repairs import Report, counted
from derotation.signals.trace import MeasuredAngle, find_segments

__all__ = ["Counts", "brought_back", "count_quadrature", "quadrature_angle"]

NDFloat = NDArray[np.float64]

# State of (A, B) as the count modulo 4: low low, high low, high high, low high.
_STATE = np.array([[0, 3], [1, 2]], np.int64)
# An interval that is this many times longer than the one beside it is a rest, or nearly.
SLOW = 2.0
# Fewer counts than this are no turn: the index pulse itself lasts for one or two.
FEWEST_COUNTS = 16
# A rotation that ends further away than this from where it should (degrees) does so on purpose.
FURTHEST_OFF = 5.0
# Many missed edges are another fault than noise.
MAX_MISSED_PART = 0.02


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts:
    """Where between two counts the encoder was, and when; times in samples."""

    time: NDFloat
    """Times at which the encoder passed from a count to the next, shape (n,)."""
    place: NDFloat
    """The place passed: k + 0.5 between the counts k and k + 1, shape (n,)."""
    first: int
    """Count at the beginning, 0."""
    last: int
    """Count at the end."""
    n_missed: int
    """Edges that are missing, since both channels changed between two samples."""
    n_bounced: int
    """Edges that went back and forth about one place."""


def count_quadrature(a: Pulses, b: Pulses) -> Counts:
    """Follow an encoder edge by edge.

    Parameters
    ----------
    a, b : Pulses
        The channels; A rises before B where the count grows.

    Returns
    -------
    Counts

    Notes
    -----
    Each edge of either channel is one count, so that a bouncing edge goes back and forth between
    two counts and adds nothing. Where both channels change at once, an edge was missed; the encoder
    is supposed to have gone on in the direction in which it turned.
    """
    from derotation.signals.quadrature_kernels import followed

    both = [_edges(own) for own in (a, b)]
    edge = np.concatenate([own for own, _ in both])
    level = np.concatenate([own for _, own in both])
    channel = np.repeat([0, 1], [len(own) for own, _ in both])
    order = np.lexsort((channel, edge))
    edge, channel, level = edge[order], channel[order], level[order]
    begin = (int(a.begins_high), int(b.begins_high))
    time, place, last, n_missed = followed(edge, channel, level, begin, _STATE)
    time, place, n_bounced = _without_bounces(time, place)
    return Counts(
        time=time, place=place, first=0, last=int(last), n_missed=int(n_missed), n_bounced=n_bounced
    )


def _edges(pulses: Pulses) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List the edges of a channel and its level after each; the recording's ends are none."""
    start = pulses.start[1:] if pulses.begins_high else pulses.start
    stop = pulses.stop[:-1] if pulses.ends_high else pulses.stop
    edge = np.concatenate([start, stop]).astype(np.int64)
    return edge, np.repeat(np.array([1, 0], np.int64), [len(start), len(stop)])


def _without_bounces(time: NDFloat, place: NDFloat) -> tuple[NDFloat, NDFloat, int]:
    """Keep the first and the last of edges that pass the same place again and again."""
    if len(time) < 2:
        return time, place, 0
    same = np.abs(np.diff(place)) < 0.25
    inner = np.concatenate([[False], same]) & np.concatenate([same, [False]])
    return time[~inner], place[~inner], int(np.count_nonzero(inner))


def quadrature_angle(
    a: Pulses,
    b: Pulses,
    index: Pulses | None,
    *,
    counts_per_turn: int | None,
    n_samples: int,
    report: Report,
) -> MeasuredAngle:
    """Tell the angle over time from a quadrature encoder.

    Parameters
    ----------
    a, b : Pulses
        The channels.
    index : Pulses or None
        One pulse per turn.
    counts_per_turn : int or None
        Edges of both channels together in one turn; None: told from the index.
    n_samples : int
        Length of the recording.
    report : Report
        Takes missed and bouncing edges, and what the index says.

    Returns
    -------
    MeasuredAngle
        Between two edges the angle goes straight from one place to the next. Where the encoder
        stays on a count for long, it is taken to stand in the middle of it.

    Raises
    ------
    ConfigError
        If nothing tells the counts per turn.
    SignalError
        If far too many edges are missing.
    """
    counts = count_quadrature(a, b)
    n = len(counts.time)
    if n < 2:
        raise SignalError(
            f"quadrature_a and quadrature_b: {n} edges in the whole recording. Check "
            "signals.channel_order, the cables and the thresholds."
        )
    if counts.n_missed > MAX_MISSED_PART * n:
        raise SignalError(
            f"quadrature_a and quadrature_b: both change at once at {counts.n_missed} of {n} "
            "edges, so the count cannot be followed. Record the signals at a higher sampling rate, "
            "or check that the two channels are not the same."
        )
    _report_edges(counts, report)
    marks = None if index is None or not len(index) else _index_marks(index, counts)
    per_turn = counts_per_turn or _counts_per_turn(marks)
    time, place = _with_rests(counts, n_samples)
    if marks is not None and len(marks[0]) > 1:
        place = _corrected(time, place, marks, per_turn, report)
    scale = 360.0 / per_turn
    return MeasuredAngle(
        time=time,
        angle=place * scale,
        known=np.ones(len(time) - 1, np.bool_),
        resolution=scale,
    )


def brought_back(measured: MeasuredAngle, degrees: float, report: Report) -> MeasuredAngle:
    """Bring the angle back at each rest, if it is known how far rotations go.

    Parameters
    ----------
    measured : MeasuredAngle
        From an encoder without an index, whose missed edges add up.
    degrees : float
        Rests lie at multiples of this from the first one.
    report : Report
        Takes what was corrected.

    Returns
    -------
    MeasuredAngle
        Corrected evenly from one rest to the next, where that is more than a count.
    """
    time, angle = measured.time, measured.angle
    found = find_segments(time, angle, report.sampling_rate, measured.resolution)
    if not len(found.start):
        return measured
    level = np.append(found.before, found.after[-1:])
    added = (np.diff(level) + degrees / 2) % degrees - degrees / 2
    near = np.abs(added) < min(FURTHEST_OFF, degrees / 4)
    off = np.concatenate([[0.0], np.cumsum(np.where(near, added, 0.0))])
    worst = float(np.abs(off).max())
    if worst <= measured.resolution:
        return measured
    begin = np.concatenate([time[:1], found.stop])
    end = np.concatenate([found.start, time[-1:]])
    at, by = np.column_stack([begin, end]).ravel(), np.repeat(off, 2)
    report.repair(
        "quadrature_rests",
        "quadrature_a",
        f"At rest the encoder was off by up to {worst:.3g} degrees from where rotations by "
        f"{degrees:g} degrees end, since edges were missed: corrected evenly from one rest to the "
        "next.",
        count=int(np.count_nonzero(near)),
    )
    return dataclasses.replace(measured, angle=angle - np.interp(time, at, by))


def _report_edges(counts: Counts, report: Report) -> None:
    if counts.n_missed:
        report.repair(
            "quadrature_missed",
            "quadrature_a",
            f"{counted(counts.n_missed, 'edge')} of the encoder missing: both channels changed "
            "between two samples. Put where the encoder would have passed had it gone on turning.",
            count=counts.n_missed,
        )
    if counts.n_bounced:
        report.repair(
            "quadrature_bounced",
            "quadrature_a",
            f"{counted(counts.n_bounced, 'edge')} of the encoder went back and forth about one "
            "place: left out, since they add nothing.",
            count=counts.n_bounced,
        )


def _index_marks(index: Pulses, counts: Counts) -> tuple[NDFloat, NDFloat]:
    """Tell where the encoder was in the middle of each index pulse."""
    whole = slice(int(index.begins_high), len(index) - int(index.ends_high))
    start, stop = index.start[whole], index.stop[whole]
    edges = np.interp(start, counts.time, counts.place)
    others = np.interp(stop, counts.time, counts.place)
    return (start + stop) / 2.0, np.asarray((edges + others) / 2)


def _counts_per_turn(marks: tuple[NDFloat, NDFloat] | None) -> int:
    """Tell the counts of a turn from one index pulse to the next."""
    if marks is not None and len(marks[1]) > 1:
        turns = np.abs(np.diff(marks[1]))
        turns = turns[turns > max(0.5 * turns.max(), FEWEST_COUNTS)]
        if len(turns):
            return round(float(np.median(turns)))
    raise ConfigError(
        "angles.quadrature.counts_per_turn is not given, and no index tells it: set it to the "
        "edges of both channels together in one turn (four times the lines of the disc)."
    )


def _with_rests(counts: Counts, n_samples: int) -> tuple[NDFloat, NDFloat]:
    """Add knots in the middle of counts on which the encoder stays for long."""
    time, place = counts.time, counts.place
    gap = np.diff(time)
    before = np.concatenate([[np.inf], gap[:-1]])
    after = np.concatenate([gap[1:], [np.inf]])
    beside = np.minimum(np.minimum(before, after), gap)
    slow = np.flatnonzero(gap > SLOW * 2 * beside)
    # A place k + 0.5 passed on the way up is left for the count k + 1.
    middle = np.where(
        place[slow] == place[slow + 1],
        place[slow] + 0.5 * np.sign(np.append(np.diff(place), 1)[np.maximum(slow - 1, 0)]),
        (place[slow] + place[slow + 1]) / 2,
    )
    added_time = np.concatenate(
        [[0.0], time[slow] + beside[slow], time[slow + 1] - beside[slow], [float(n_samples)]]
    )
    added_place = np.concatenate([[float(counts.first)], middle, middle, [float(counts.last)]])
    # Soon after the last edge, and until just before the first one.
    edge = float(np.median(gap))
    ends = [max(time[0] - edge, 0.5), min(time[-1] + edge, n_samples - 0.5)]
    added_time = np.concatenate([added_time, ends])
    added_place = np.concatenate([added_place, [float(counts.first), float(counts.last)]])
    every = np.concatenate([time, added_time])
    order = np.argsort(every, kind="stable")
    return every[order], np.concatenate([place, added_place])[order]


def _corrected(
    time: NDFloat,
    place: NDFloat,
    marks: tuple[NDFloat, NDFloat],
    per_turn: int,
    report: Report,
) -> NDFloat:
    """Bring the count back to whole turns at each index pulse."""
    at, counted_there = marks
    off = (counted_there - counted_there[0] + per_turn / 2) % per_turn - per_turn / 2
    # An index pulse that bounced, or noise, is no reason to jump.
    trusted = np.abs(off) < 0.05 * per_turn
    worst = float(np.abs(off[trusted]).max())
    if worst > 1:
        report.repair(
            "quadrature_index",
            "quadrature_index",
            f"At the index pulses the count was off by up to {worst:.1f} counts "
            f"({worst * 360 / per_turn:.3g} degrees): corrected evenly from one to the next.",
            count=int(np.count_nonzero(trusted)),
        )
    if worst <= 1:
        return place
    return np.asarray(place - np.interp(time, at[trusted], off[trusted]))
