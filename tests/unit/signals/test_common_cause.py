"""What is wrong in all rotations by one factor is said once and first, with the key at fault."""

import numpy as np
import pytest

from derotation.errors import SignalError
from derotation.signals.parse import parse_signals
from derotation.signals.rotation_table import increment_implied
from unit.signal_factory import Rig, turns

STEADY = np.arange(1800.0) * 10


@pytest.mark.parametrize(("increment", "expected"), [(0.1, 3600), (0.4, 900), (1.0, 360)])
def test_an_increment_that_explains_all_rotations(increment, expected):
    said = increment_implied([STEADY, STEADY[:-1], STEADY], expected, increment, steps=False)
    assert "3 of 3 rotations have 1800 ticks, evenly" in said
    assert f"signals.rotation_increment is likely 0.2, not {increment:g}" in said
    said = increment_implied([STEADY[:50]] * 4, 25, 0.4, steps=True)
    assert "steps have 50 ticks" in said
    assert "angles.degrees_per_step" in said


def test_lost_ticks_are_no_matter_of_the_increment():
    rng = np.random.default_rng(1)
    lossy = [np.sort(rng.choice(STEADY, 900, replace=False)) for _ in range(4)]
    assert increment_implied(lossy, 1800, 0.2, steps=False) == ""
    # Nor is a motor that stops at other places, or one rotation alone, or all as it should be.
    assert increment_implied([STEADY[:n] for n in (900, 1200, 400)], 1800, 0.2, steps=False) == ""
    assert increment_implied([STEADY[:900]], 1800, 0.2, steps=False) == ""
    assert increment_implied([STEADY] * 3, 1800, 0.2, steps=False) == ""


@pytest.mark.parametrize(("n_steps", "degrees"), [(12, 360.0), (6, 180.0)])
def test_steps_that_add_up_to_the_turn_are_of_another_size(n_steps, degrees):
    # 150 ticks of 0.2 degrees are 30 degrees; 10 were expected.
    steps = [STEADY[:150]] * n_steps
    said = increment_implied(steps, 50, 0.2, steps=True, degrees=degrees)
    assert said.startswith("Write angles.degrees_per_step: 30. ")
    assert "likely" not in said
    # With an increment that is wrong they do not add up.
    said = increment_implied(steps, 100, 0.3, steps=True, degrees=degrees)
    assert "signals.rotation_increment is likely 0.2" in said


def parse(protocol, factor=1.0, step=60.0, **config):
    # One rotation-on per rotation, or per step of 60 degrees.
    degrees, table = (
        (360.0, [(200, 1), (100, -1)]) if protocol == "full" else (60.0, [(60, -1)] * 6)
    )
    source = Rig(turns(table, degrees=degrees), n_frames=60)
    return parse_signals(
        source.signals,
        n_frames=source.n_frames,
        lines_per_frame=source.n_lines,
        sampling_rate=source.rate * factor,
        protocol=protocol,
        stimulus=source.stimulus if protocol == "full" else None,
        config=config,
        degrees_per_step=step if protocol == "incremental" else None,
    )


def test_a_wrong_increment_is_said_instead_of_the_cable():
    with pytest.raises(SignalError, match=r"signals.rotation_increment is likely 0.2") as error:
        parse("full", rotation_increment=0.1)
    assert "cable" not in str(error.value)


def test_a_wrong_increment_stands_first_where_ticks_were_taken_for_bounces():
    # At twice the increment every second tick of the fastest rotation comes too soon.
    first = parse("full", rotation_increment=0.4).anomalies[0]
    assert "signals.rotation_increment is likely 0.2, not 0.4" in first.text


def test_a_wrong_increment_of_steps_stands_first_and_alone():
    events = parse("incremental", rotation_increment=0.1)
    first, *others = events.anomalies
    assert first.code == "rotation_increment"
    assert "signals.rotation_increment is likely 0.2, not 0.1" in first.text
    assert all(each.code != "rotation_unusable" for each in others)


def test_a_wrong_size_of_steps_stands_first():
    with pytest.raises(SignalError, match=r"^rotation_ticks: Write angles.degrees_per_step: 60\. "):
        parse("incremental", step=20.0)


def test_a_wrong_sampling_rate_stands_first():
    assert parse("full", factor=0.5).anomalies[0].code == "sampling_rate"
