"""Compare figures with their thresholds, and tell causes from what follows from them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from derotation.quality.along import Along
from derotation.quality.figures import SPECIFICATIONS, Measured, Specification

__all__ = ["Figure", "Flag", "blame", "flagged", "movement_counts", "weighed"]

# A picture that moved by so many px may have left the center or the angle wrong.
MOVED_PX = 1.0

Flag = Literal["ok", "look", "bad", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of merit of a session."""

    name: str
    title: str
    unit: str
    value: float | None
    """None if it could not be measured."""
    before: float | None
    """The raw movie's, where that makes sense and can be measured."""
    flag: Flag
    look: float | None
    """Threshold beyond which somebody should look; None: never."""
    bad: float | None
    """Threshold beyond which it is bad; None: never."""
    sentence: str
    """What was found, and what to look at if it is not ok."""
    explained_by: str | None = None
    """The figure that this one follows from; it then gives no advice of its own."""


def flagged(
    spec: Specification, measured: Measured, thresholds: Mapping[str, float | None]
) -> Figure:
    """Compare a figure with its thresholds and say what that means."""
    look, bad = (thresholds[key] for key in ("look", "bad"))
    flag: Flag = "none"
    if measured.value is not None:
        flag = "ok"
        if _worse(spec, measured.value, look):
            flag = "look"
        if _worse(spec, measured.value, bad):
            flag = "bad"
    sentence = measured.said
    if flag in ("look", "bad"):
        advice = spec.advice if measured.advice is None else measured.advice
        sentence = " ".join(filter(None, [measured.said, measured.cause, advice]))
    return Figure(
        name=spec.name,
        title=spec.title,
        unit=spec.unit,
        value=measured.value,
        before=measured.before,
        flag=flag,
        look=look,
        bad=bad,
        sentence=sentence,
    )


def movement_counts(
    figures: list[Figure], measured: Mapping[str, Measured], edge: float
) -> list[Figure]:
    """Let somebody look at a movement that was mended if it left the center or the angle wrong.

    Where the picture moved as a whole, the center did, too: motion correction makes up for that,
    but not within frames. What is left then is no lag, and no wrong center, if it is smaller than
    the movement was; `edge` is how far (px) from the center a turn counts.
    """
    of = {figure.name: figure for figure in figures}
    moved = of["sample_moved_px"]
    if moved.flag != "ok" or (moved.before or 0.0) < MOVED_PX:
        return figures
    turned = np.deg2rad(of["turn_left_deg"].value or 0.0) * edge
    left = {"turn_left_deg": 2 * turned, "center_error_px": of["center_error_px"].value or 0.0}
    assert moved.before is not None
    if not any(of[name].flag in ("look", "bad") and px < moved.before for name, px in left.items()):
        return figures
    said = f"{moved.sentence} The center of rotation has moved in the picture with it."
    advice = next(spec.advice for spec in SPECIFICATIONS if spec.name == moved.name)
    doubtful = dataclasses.replace(moved, flag="look", sentence=f"{said} {advice}")
    return [doubtful if figure is moved else figure for figure in figures]


def weighed(figures: list[Figure], measured: Mapping[str, Measured]) -> tuple[Figure, ...]:
    """Find out which figures follow from others: a cause comes before what it leads to."""
    wrong = {figure.name for figure in figures if figure.flag in ("look", "bad")}
    explained_by: dict[str, str] = {}
    for spec in SPECIFICATIONS:
        if spec.name in wrong:
            # What this very session shows counts for more than what is usual.
            for name in wrong.intersection(measured[spec.name].explains):
                explained_by.setdefault(name, spec.name)
    for spec in SPECIFICATIONS:
        if spec.name in wrong and spec.name not in explained_by:
            for name in wrong.intersection(spec.explains):
                explained_by.setdefault(name, spec.name)
    titles = {spec.name: spec.title for spec in SPECIFICATIONS}
    return tuple(
        dataclasses.replace(
            figure,
            explained_by=explained_by[figure.name],
            sentence=f"{measured[figure.name].said} This is likely due to "
            f"another figure: {titles[explained_by[figure.name]]}.",
        )
        if figure.name in explained_by
        else figure
        for figure in figures
    )


def blame(
    along: Along,
    spec: Specification,
    measured: Measured,
    thresholds: Mapping[str, float | None],
) -> None:
    """Note in which segments a figure is not ok."""
    if measured.along is None:
        return
    for k, value in enumerate(measured.along.tolist()):
        bad = _worse(spec, value, thresholds["bad"])
        if bad or _worse(spec, value, thresholds["look"]):
            along.blame([k], spec.name, bad=bad)


def _worse(spec: Specification, value: float, threshold: float | None) -> bool:
    if threshold is None:
        return False
    return value > threshold if spec.worse == "high" else value < threshold
