"""From the rotation-on signal, the ticks and the stimulus table to rotations."""

from derotation.io.stimulus import Stimulus
from derotation.signals.on_periods import check_polarity, drop_blips, mend_gaps
from derotation.signals.pulses import Pulses
from derotation.signals.repairs import Report
from derotation.signals.rotation_blocks import FoundBlocks, RotationRules
from derotation.signals.rotation_checks import check_rotations, report_ticks
from derotation.signals.rotation_numbering import Rotation, number_block, with_usual_turn
from derotation.signals.rotation_steps import split_into_steps
from derotation.signals.table_rows import align_rows, resolve_count, split_joined
from derotation.signals.tick_assignment import assign_ticks, drop_ringing

__all__ = ["DIRECTIONS_UNKNOWN", "Rotation", "RotationRules", "find_rotations"]

# The code of the anomaly that nothing tells directions.
DIRECTIONS_UNKNOWN = "directions_unknown"


def find_rotations(
    on: Pulses | None,
    ticks: Pulses,
    *,
    rules: RotationRules,
    stimulus: Stimulus | None,
    report: Report,
    n_samples: int | None = None,
    direction: Pulses | None = None,
) -> list[Rotation]:
    """Find all rotations and number their ticks.

    Parameters
    ----------
    on : Pulses or None
        The rotation-on signal; None: rotations are found from the ticks.
    ticks : Pulses
        The ticks.
    rules : RotationRules
        What a rotation is like.
    stimulus : Stimulus or None
        Needed for the protocol ``full``, unless `direction` is given.
    report : Report
        Takes repairs and anomalies.
    n_samples : int, optional
        Length of the recording; without rotation-on it tells whether the ticks go on to its end.
    direction : Pulses, optional
        A channel that is high while the motor turns in direction +1.

    Returns
    -------
    list of Rotation
        In the order of the recording; one for each row of the stimulus table.

    Raises
    ------
    SignalError
        If the rotations cannot be brought to agree with the stimulus table safely, or if none of
        them is usable.
    """
    if rules.protocol == "full" and stimulus is None and direction is None:
        report.anomaly(
            DIRECTIONS_UNKNOWN,
            "rotation_ticks",
            "Neither a stimulus table nor a channel named direction nor angles.direction says in "
            "which direction each rotation went: -1 was taken for all, unless the movie tells.",
            count=1,
        )
    if rules.protocol == "free" and stimulus is None and direction is None:
        report.anomaly(
            "one_direction_assumed",
            "rotation_ticks",
            "Ticks count degrees, but do not tell in which direction; all were taken to go the "
            "same way. A sample that turns back and forth needs a channel named direction; for one "
            "that does not, say so by angles.direction (1 or -1).",
            count=1,
        )
    found = FoundBlocks(on, ticks, rules, stimulus, report, n_samples, direction)
    return _find(found)


def _find(found: FoundBlocks) -> list[Rotation]:
    """Find all rotations and number their ticks."""
    check_polarity(found)
    mend_gaps(found)
    drop_blips(found)
    if found.rules.protocol == "incremental":
        split_into_steps(found)
    else:
        split_joined(found)
        resolve_count(found)
    assign_ticks(found)
    drop_ringing(found)
    first_row = align_rows(found)
    rotations = [
        number_block(found, block, first_row + index) for index, block in enumerate(found.blocks)
    ]
    rotations = with_usual_turn(found, rotations)
    report_ticks(found, rotations)
    check_rotations(found, rotations)
    return rotations
