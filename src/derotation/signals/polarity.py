"""Channels that are low where others are high: turned over, and recognized by how they idle."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from derotation.errors import ConfigError
from derotation.signals.pulses import Pulses, usual_interval
from derotation.signals.repairs import Report

__all__ = ["inverted", "with_polarity", "with_rotation_on_recognized"]

# A channel idles where it keeps its level for longer than this many of its periods.
IDLE_PERIODS = 1.5
# Gaps this short between pulses may vanish between two samples, so that pulses melt at random.
MAX_HIDDEN_GAP_SAMPLES = 2
# Rotation-on is inverted if at least this part of the ticks comes while it is low.
MOST_TICKS = 0.9


def inverted(pulses: Pulses, n_samples: int) -> Pulses:
    """Turn a channel over: high where it was low.

    Parameters
    ----------
    pulses : Pulses
    n_samples : int
        Length of the recording.

    Returns
    -------
    Pulses
        With the same levels, since these are those of the voltage.
    """
    dtype = pulses.start.dtype
    edges = np.column_stack([pulses.start, pulses.stop]).ravel()
    edges = edges[1:] if pulses.begins_high else np.concatenate([np.zeros(1, dtype), edges])
    edges = edges[:-1] if pulses.ends_high else np.append(edges, dtype.type(n_samples))
    return replace(
        pulses,
        start=edges[::2],
        stop=edges[1::2],
        begins_high=not pulses.begins_high,
        ends_high=not pulses.ends_high,
    )


def with_polarity(
    pulses: Mapping[str, Pulses],
    *,
    invert: Collection[str],
    recognize: bool,
    n_samples: int,
    report: Report,
) -> dict[str, Pulses]:
    """Turn over the channels that are active low.

    Parameters
    ----------
    pulses : mapping of str to Pulses
        By role.
    invert : collection of str
        Roles of the channels that the user calls inverted.
    recognize : bool
        Whether the clocks and the ticks are also recognized by the level at which they idle,
        before the first pulse and after the last one. (Rotation-on, which is as often high as
        low, is recognized by the ticks.)
    n_samples : int
        Length of the recording.
    report : Report
        Takes what was recognized.

    Returns
    -------
    dict of str to Pulses

    Raises
    ------
    ConfigError
        If `invert` names a channel that there is not.
    """
    unknown = sorted(set(invert) - set(pulses))
    if unknown:
        raise ConfigError(
            f"signals.invert names {', '.join(unknown)}, which is not among the channels that are "
            f"read: {', '.join(pulses)}."
        )
    found = {}
    for role, own in pulses.items():
        turn = role in invert
        if not turn and recognize and role != "rotation_on" and _idles_high(own, n_samples):
            turn = True
            report.repair(
                "inverted",
                role,
                f"{role} is active low (inverted): it is high before its first pulse or after its "
                "last one. It was turned over. Name it in signals.invert if that is right.",
                count=1,
            )
        found[role] = inverted(own, n_samples) if turn else own
    return found


def _idles_high(pulses: Pulses, n_samples: int) -> bool:
    """Tell whether a channel keeps the high level at the ends of the recording, never the low."""
    if len(pulses) < 4:
        return False
    period, low = usual_interval(pulses.start), pulses.usual_gap
    if low <= MAX_HIDDEN_GAP_SAMPLES:
        return False
    least = IDLE_PERIODS * period
    first = pulses.stop[0] if pulses.begins_high else pulses.start[0]
    last = n_samples - (pulses.start[-1] if pulses.ends_high else pulses.stop[-1])
    idle = [(first, pulses.begins_high), (last, pulses.ends_high)]
    levels = {high for lasts, high in idle if lasts > least}
    return levels == {True} and low < period


def with_rotation_on_recognized(
    on: Pulses, ticks: Pulses, n_samples: int, report: Report
) -> Pulses:
    """Turn rotation-on over if all ticks come while it is low.

    Parameters
    ----------
    on, ticks : Pulses
        Rotation-on and the ticks.
    n_samples : int
        Length of the recording.
    report : Report
        Takes it.

    Returns
    -------
    Pulses
    """
    if len(ticks) < 3 or not len(on):
        return on
    at = np.searchsorted(on.start, ticks.start, side="right") - 1
    high = (at >= 0) & (ticks.start < on.stop[np.maximum(at, 0)])
    if np.count_nonzero(~high) < MOST_TICKS * len(ticks):
        return on
    report.repair(
        "inverted",
        "rotation_on",
        f"rotation_on is active low (inverted): {np.count_nonzero(~high)} of {len(ticks)} ticks "
        "come while it is low. It was turned over. Name it in signals.invert if that is right.",
        count=1,
    )
    return inverted(on, n_samples)
