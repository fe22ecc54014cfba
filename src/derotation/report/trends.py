"""What drifts from session to session, as small charts."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from derotation.report.sessions import Measure, SessionReport
from derotation.report.words import number, quantity

__all__ = ["Chart", "Dot", "Mark", "charts"]

# Columns of the sample sheet that tell when a session was recorded, the first one that is there.
WHEN = ("date", "day", "recorded", "time")
# What is never below zero.
POSITIVE = ("tilt", "residual", "photons")
# In units of the chart's viewBox, within its margins.
WIDTH, HEIGHT = 220.0, 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A session in a chart."""

    session: str
    """Its name."""
    verdict: str
    """What became of it."""
    x: float
    """Place from the left, 0 to `WIDTH`."""
    y: float
    """Place from the top, 0 to `HEIGHT`."""
    reach: tuple[float, float] | None
    """Top and bottom of twice its standard uncertainty; None if that is not known."""
    words: str
    """What a person reads at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A round value beside a chart."""

    y: float
    """Place from the top, 0 to `HEIGHT`."""
    text: str
    """The value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One value of all sessions in their order."""

    title: str
    """What is drawn."""
    meaning: str
    """What a person can tell from it."""
    unit: str
    """Unit of the value."""
    marks: tuple[Mark, ...]
    """Round values on the way from the bottom to the top."""
    dots: tuple[Dot, ...]
    """The sessions whose value is known."""
    first: str
    """What stands below the first session: its day, or its name."""
    last: str
    """The same of the last one."""


# Name of the measure: title, unit, meaning.
KINDS: Mapping[str, tuple[str, str, str]] = {
    "center_x": (
        "Center, x",
        "px",
        "Where the axis of rotation lies in the picture, from the left. A step: the objective or "
        "the motor was touched. Sessions that take the center from another one are left out.",
    ),
    "center_y": (
        "Center, y",
        "px",
        "Where the axis of rotation lies in the picture, from the top.",
    ),
    "tilt": (
        "Tilt",
        "degrees",
        "Angle between the plane of rotation and the plane that is scanned; 0 where no tilt could "
        "be told from none.",
    ),
    "residual": (
        "Residual shift",
        "px",
        "How far the mean images at different angles still lie apart after derotation.",
    ),
    "photons": (
        "Photons",
        "per pixel and frame",
        "Light at rest, told by the noise. It falls if the dye bleaches or the immersion is lost.",
    ),
}


def charts(sessions: Sequence[SessionReport]) -> list[Chart]:
    """Draw what may drift over a cohort.

    Parameters
    ----------
    sessions : sequence of SessionReport
        They are drawn in the order of the column ``date``, ``day``, ``recorded`` or ``time`` of
        the sample sheet, the first of these that is there; else in the order of the sheet.

    Returns
    -------
    list of Chart
        One for each value that at least two sessions have.
    """
    when = next((name for name in WHEN if any(name in s.row for s in sessions)), None)
    ordered = list(sessions)
    if when is not None:
        ordered.sort(key=lambda session: _in_order(session.row.get(when)))
    return list(_charts(ordered, when))


def _in_order(value: str | float | None) -> tuple[int, float, str]:
    """Sort numbers as numbers, then words; days as 2024-03-09 come in their order."""
    text = str(value if value is not None else "")
    try:
        return (0, float(text), "")
    except ValueError:
        return (1, 0.0, text) if text else (2, 0.0, "")


def _charts(sessions: Sequence[SessionReport], when: str | None) -> Iterator[Chart]:
    for name, (title, unit, meaning) in KINDS.items():
        known = [
            (place, session, session.trends[name])
            for place, session in enumerate(sessions)
            if name in session.trends and math.isfinite(session.trends[name].value)
        ]
        if len(known) < 2:
            continue
        low, high = _span([measure for *_, measure in known], positive=name in POSITIVE)

        def height(value: float, low: float = low, high: float = high) -> float:
            return HEIGHT * (1 - min(max((value - low) / (high - low), 0), 1))

        dots = []
        for place, session, measure in known:
            label = f"{session.name}: {quantity(measure.value, unit)}"
            reach = None
            if measure.sd is not None and math.isfinite(measure.sd):
                label += f" ± {number(measure.sd)}"
                reach = (
                    height(measure.value + 2 * measure.sd),
                    height(measure.value - 2 * measure.sd),
                )
            if when is not None:
                label += f" ({when} {session.row.get(when, 'not said')})"
            dots.append(
                Dot(
                    session=session.name,
                    verdict=session.verdict,
                    x=WIDTH * (place + 0.5) / len(sessions),
                    y=height(measure.value),
                    reach=reach,
                    words=label,
                )
            )
        ends = [
            str(session.row.get(when, session.name)) if when is not None else session.name
            for session in (sessions[0], sessions[-1])
        ]
        yield Chart(
            title=title,
            meaning=meaning,
            unit=unit,
            marks=tuple(Mark(y=height(value), text=text) for value, text in _round(low, high)),
            dots=tuple(dots),
            first=ends[0],
            last=ends[1],
        )


def _round(low: float, high: float) -> Iterator[tuple[float, str]]:
    """Choose round values between two others: at least two, as few as there are."""
    power = 10.0 ** math.floor(math.log10(high - low))
    for step in (power * factor for factor in (5, 2, 1, 0.5, 0.2, 0.1)):
        # What a division leaves of a whole number.
        whole = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
        if len(whole) > 1:
            digits = max(-math.floor(math.log10(step) + 1e-9), 0)
            yield from ((k * step, f"{k * step:.{digits}f}") for k in whole)
            return


def _span(measures: Sequence[Measure], *, positive: bool) -> tuple[float, float]:
    """Choose what a chart shows: all values, and uncertainties as far as they are usual."""
    values = [measure.value for measure in measures]
    sds = [m.sd for m in measures if m.sd is not None and math.isfinite(m.sd)]
    usual = statistics.median(sds) if sds else 0.0
    low, high = min(values) - 2 * usual, max(values) + 2 * usual
    # A chart of values that are equal but for rounding would show the rounding.
    least = max(1e-3 * abs(high), 1e-3)
    if high - low < least:
        low, high = low - least, high + least
    margin = 0.05 * (high - low)
    return max(low - margin, 0.0) if positive else low - margin, high + margin
