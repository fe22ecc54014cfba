"""Say what was mended within rotations, and which are not as they should be."""

import numpy as np

from derotation.errors import SignalError
from derotation.signals.repairs import counted
from derotation.signals.rotation_blocks import FoundBlocks
from derotation.signals.rotation_numbering import Rotation
from derotation.signals.rotation_table import (
    SPEED_TOLERANCE,
    increment_implied,
    said_sampling_rate,
)


def report_ticks(found: FoundBlocks, rotations: list[Rotation]) -> None:
    """Report what was mended within rotations."""
    trains = [(k, r.ticks) for k, r in enumerate(rotations) if r.ticks is not None]
    duplicated = np.concatenate([np.zeros(0), *(t.duplicated for _, t in trains)])
    inserted = np.concatenate([np.zeros(0), *(t.time[t.inserted] for _, t in trains)])
    if len(duplicated):
        found.report.repair(
            "duplicated_ticks_dropped",
            "rotation_ticks",
            f"{counted(len(duplicated), 'tick')} too many for the rhythm of their rotations "
            "(doubled or stray): left out.",
            duplicated,
        )
    if len(inserted):
        found.report.repair(
            "missing_ticks_inserted",
            "rotation_ticks",
            f"{counted(len(inserted), 'tick')} missing within rotations: put into the gaps.",
            inserted,
        )
    for k, train in trains:
        if train.unexplained:
            what = "fewer" if train.unexplained > 0 else "more"
            found.report.anomaly(
                "ticks_spread",
                "rotation_ticks",
                f"{found.rules.word.capitalize()} {k + 1} has "
                f"{counted(abs(train.unexplained), 'tick')} {what} than "
                f"{found.rules.increment:g} degrees per tick say, without a gap or a doubled "
                "tick to explain it: its ticks were spread evenly over it. Check "
                "signals.rotation_increment and signals.degrees_per_rotation.",
                [rotations[k].start],
                count=abs(train.unexplained),
            )


def check_rotations(found: FoundBlocks, rotations: list[Rotation]) -> None:
    """Report rotations that are unusable or not as asked for; refuse if none is usable."""
    lost = [(k, r) for k, r in enumerate(rotations) if r.problem]
    cause = _common_cause(found, rotations) if lost else ""
    if cause:
        # It explains all others.
        found.report.anomaly("rotation_increment", "rotation_ticks", cause, count=len(lost))
        found.report.anomalies.insert(0, found.report.anomalies.pop())
    for k, rotation in [] if cause else lost:
        after = "The lines recorded during it get no angle."
        if np.isfinite(rotation.lost_from):
            after = (
                "The motor may have stalled, or was stopped: from "
                f"{rotation.lost_from / found.rate:.3f} s on the angle is not known, also after "
                "this rotation, and the lines recorded then get none."
            )
        found.report.anomaly(
            "rotation_unusable",
            "rotation_ticks",
            f"{found.rules.word.capitalize()} {k + 1} is unusable: {rotation.problem}. {after}",
            [rotation.start],
        )
    if not any(rotation.ticks is not None for rotation in rotations):
        word = found.rules.word
        reasons = "\n".join(f"{word} {k + 1}: {r.problem}" for k, r in lost[:20])
        none = f"no usable {word} among {len(rotations)}."
        advice = "Check signals.rotation_increment, signals.degrees_per_rotation and the cable."
        said = f"{cause} So there is {none}" if cause else f"{none} {advice}"
        raise SignalError(f"rotation_ticks: {said}\n{reasons}")
    if found.rules.protocol == "incremental":
        _check_whole_turn(found, rotations)
        return
    sound = [rotation for rotation in rotations if not rotation.problem]
    measured = np.array([rotation.measured_speed for rotation in sound])
    asked = np.array([rotation.speed for rotation in sound])
    if found.stimulus is not None and said_sampling_rate(measured, asked, found.report):
        return
    for k, rotation in enumerate(rotations):
        off = abs(rotation.measured_speed - rotation.speed)
        if not rotation.problem and off > SPEED_TOLERANCE * rotation.speed:
            found.report.anomaly(
                "speed_differs",
                "rotation_ticks",
                f"Rotation {k + 1} reached {rotation.measured_speed:.1f} degrees/s, the "
                f"stimulus table says {rotation.speed:g}.",
                [rotation.start],
            )


def _common_cause(found: FoundBlocks, rotations: list[Rotation]) -> str:
    """Say which increment, or size of the steps, explains the ticks of all rotations."""
    if found.expected is None:
        return ""
    first = np.searchsorted(found.pulses, [rotation.start for rotation in rotations])
    after = np.searchsorted(found.pulses, [rotation.stop for rotation in rotations], "right")
    own = [found.pulses[a:b] for a, b in zip(first, after, strict=True)]
    steps = found.rules.protocol == "incremental"
    rules = found.rules
    return increment_implied(
        own, found.expected, rules.increment, steps=steps, degrees=rules.degrees
    )


def _check_whole_turn(found: FoundBlocks, rotations: list[Rotation]) -> None:
    """Say if the steps of the incremental protocol do not add up to the turn."""
    total = sum(rotation.turned for rotation in rotations)
    step = rotations[0].turned
    if found.rules.degrees is not None and abs(total - found.rules.degrees) > 0.5 * step:
        found.report.anomaly(
            "turn_incomplete",
            "rotation_on",
            f"{counted(len(rotations), 'step')} of {step:g} degrees add up to {total:g} "
            f"degrees, not to the {found.rules.degrees:g} of signals.degrees_per_rotation. "
            "Angles count from the first rest of the recording.",
            count=1,
        )
