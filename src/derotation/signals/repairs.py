"""What was repaired in the signals and what looks odd, in plain words and with places.

Nothing is mended here: ticks are in :mod:`derotation.signals.ticks`, lines in
:mod:`derotation.signals.line_scanner`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

logger = logging.getLogger(__name__)

MAX_PLACES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """One kind of repair, or of oddity, with the number of times that it was met."""

    code: str
    """Short name for programs, like ``ticks_inserted``."""
    channel: str
    """The channel it concerns."""
    count: int
    """How many times."""
    text: str
    """What was found and what was done, in plain words."""
    places: tuple[float, ...] = ()
    """Where, in seconds since the first sample; the first 20."""

    def as_dict(self) -> dict[str, object]:
        """Give the fields for a JSON file."""
        return {
            "code": self.code,
            "channel": self.channel,
            "count": self.count,
            "text": self.text,
            "places_s": [round(place, 6) for place in self.places],
        }


@dataclass(slots=True)
class Report:
    """Collects repairs (the signals were mended) and anomalies (somebody should look at them)."""

    sampling_rate: float
    repairs: list[Repair] = field(default_factory=list)
    anomalies: list[Repair] = field(default_factory=list)

    def repair(
        self, code: str, channel: str, text: str, samples: ArrayLike = (), count: int | None = None
    ) -> None:
        """Note a repair; `samples` are its places, `count` their number unless given."""
        self.repairs.append(self._entry(code, channel, text, samples, count))
        logger.warning("%s: %s", channel, text)

    def anomaly(
        self, code: str, channel: str, text: str, samples: ArrayLike = (), count: int | None = None
    ) -> None:
        """Note something odd that was left as it is."""
        self.anomalies.append(self._entry(code, channel, text, samples, count))
        logger.warning("%s: %s", channel, text)

    def _entry(
        self, code: str, channel: str, text: str, samples: ArrayLike, count: int | None
    ) -> Repair:
        places = np.sort(np.atleast_1d(np.asarray(samples, np.float64)))
        return Repair(
            code=code,
            channel=channel,
            count=len(places) if count is None else int(count),
            text=text,
            places=tuple((places[:MAX_PLACES] / self.sampling_rate).tolist()),
        )


def table(header: Sequence[str], rows: Sequence[Sequence[object]], limit: int = 40) -> str:
    """Lay out rows under a header for a message, at most `limit` of them."""
    cells = [[str(cell) for cell in row] for row in (header, *rows[:limit])]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
    if len(rows) > limit:
        lines.append(f"... and {len(rows) - limit} more")
    return "\n".join(lines)


def counted(n: int, one: str, many: str | None = None) -> str:
    """Say how many, with the right plural."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def turn_word(protocol: str) -> str:
    """Say what one turn of the motor is called: a step, in the protocol incremental."""
    return "step" if protocol == "incremental" else "rotation"


def plain_number(value: float, digits: int = 6) -> str:
    """Write so many digits of a number as people do: 1000, not 1e+03."""
    return np.format_float_positional(float(f"{value:.{digits}g}"), trim="-")
