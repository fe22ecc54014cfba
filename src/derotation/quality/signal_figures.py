"""Figures of what the signals told."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from derotation.quality.figures import Measured
from derotation.signals.angles import Angles
from derotation.signals.events import Events
from derotation.signals.repairs import turn_word

__all__ = [
    "Protocol",
    "anomalies",
    "lines_repaired",
    "rotation_error",
    "ticks_inserted",
    "unusable_frames",
]

Protocol = Literal["full", "incremental", "free"]


def unusable_frames(angles: Angles) -> Measured:
    """Count the frames with lines that have no angle."""
    unusable: NDArray[np.bool_] = np.any(~angles.line_usable, axis=1)
    return Measured(
        value=100 * float(np.mean(unusable)),
        said=f"{int(unusable.sum())} of {len(unusable)} frames have lines without an angle.",
    )


def ticks_inserted(events: Events) -> Measured:
    """Count the ticks that were missing."""
    n, total = int(events.tick_inserted.sum()), len(events.tick_inserted)
    if not total:
        return Measured(said="Not measured: there are no ticks.")
    share = 100 * n / total
    return Measured(
        value=share,
        said=f"{n} of {total} ticks ({share:.1f} %) were missing and have been inserted.",
    )


def lines_repaired(events: Events) -> Measured:
    """Count the lines whose time was computed."""
    share = 100 * float(events.line_repaired.mean())
    return Measured(
        value=share, said=f"The time of {share:.1f} % of the lines was computed, not measured."
    )


def rotation_error(
    events: Events, protocol: Protocol, degrees_per_rotation: float | None
) -> Measured:
    """Compare what was turned with what was asked for."""
    turned: NDArray[np.float64] = np.atleast_1d(events.rotation_turned[events.rotation_usable])
    if protocol == "free":
        return Measured(said="Not measured: the protocol free asks for no angle.")
    if degrees_per_rotation is None or turned.size == 0:
        return Measured(
            said="Not measured: signals.degrees_per_rotation is null, or no "
            f"{turn_word(protocol)} is usable."
        )
    if protocol == "incremental":
        turned = np.asarray([float(np.sum(turned))])
    error = np.abs(turned - degrees_per_rotation)
    worst = float(turned[np.argmax(error)])
    what = "The whole turn" if protocol == "incremental" else "The worst rotation"
    return Measured(
        value=float(error.max()),
        said=f"{what} turned by {worst:.1f} degrees; {degrees_per_rotation:g} were asked for.",
    )


def anomalies(events: Events) -> Measured:
    """Count the oddities in the signals."""
    n = len(events.anomalies)
    texts = " ".join(anomaly.text for anomaly in events.anomalies[:2])
    said = f"{_counted(n, 'oddity', 'oddities')} in the signals: {texts}" if n else ""
    return Measured(value=n, said=said or "There is nothing odd in the signals.")


def _counted(n: int, one: str, many: str | None = None) -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"
