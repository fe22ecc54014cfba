"""Whether rotations and steps are as large and as fast as is said."""

import numpy as np

from derotation.cohort.mistakes.mistake import Settings
from derotation.signals.look import SignalsLook
from derotation.signals.look_motor import MotorLook

__all__ = [
    "SPEED_ERROR",
    "WRONG_TURN",
    "is_step",
    "is_turn",
    "rotations_seen",
    "speeds_fit",
    "steps_add_up",
    "steps_fit",
    "turn_fits",
]

# A factor explains speeds if it leaves less than this, as a part.
SPEED_ERROR = 0.05
# A rotation's ticks add up to its degrees within this part of them.
WRONG_TURN = 0.12


def turn_fits(motor: MotorLook | None, said: Settings) -> bool:
    """Tell whether the ticks of a rotation add up to its degrees."""
    if motor is None or motor.turn_ticks is None or said.degrees_per_rotation is None:
        return True
    turned = motor.turn_ticks * said.rotation_increment
    return abs(turned / said.degrees_per_rotation - 1) < WRONG_TURN


def speeds_fit(motor: MotorLook, said: Settings) -> bool:
    """Tell whether each rotation reaches a speed of the stimulus table."""
    if not said.speeds or not len(motor.whole_intervals):
        return False
    seen = said.rotation_increment * said.sampling_rate / motor.whole_intervals
    asked = np.asarray(said.speeds, np.float64)
    return bool(np.all(np.abs(seen[:, np.newaxis] / asked - 1).min(axis=1) < SPEED_ERROR))


def steps_fit(motor: MotorLook, said: Settings) -> bool:
    """Tell whether the steps of an incremental session are as large as is said."""
    if motor.step_ticks is None or said.protocol != "incremental":
        return False
    turned = motor.step_ticks * said.rotation_increment
    return abs(turned / said.degrees_per_step - 1) < WRONG_TURN


def steps_add_up(look: SignalsLook, motor: MotorLook, said: Settings) -> bool:
    """Tell whether all ticks of an incremental session are seen to add up to its degrees."""
    if said.degrees_per_rotation is None or motor.turn_ticks is None:
        return False
    if motor.turn_ticks != motor.step_ticks:
        return turn_fits(motor, said)
    # One rotation-on for each step: nothing may be left out.
    turned = int(motor.whole_ticks.sum()) * said.rotation_increment
    return len(look.stretches) == 1 and abs(turned / said.degrees_per_rotation - 1) < WRONG_TURN


def is_step(motor: MotorLook, said: Settings) -> bool:
    """Tell steps from rotations, which may be short, by the size that they should have."""
    if motor.step_ticks is None:
        return False
    if motor.turn_ticks != motor.step_ticks or said.degrees_per_rotation is None:
        return True
    # One rotation-on for each step looks like short rotations.
    turned = motor.step_ticks * said.rotation_increment
    return abs(turned / said.degrees_per_rotation - 1) > WRONG_TURN


def is_turn(motor: MotorLook, said: Settings) -> bool:
    """Tell whole turns that follow each other from one slow turn without rests, or from steps."""
    n = motor.turn_ticks
    if n is None:
        return False
    degrees = said.degrees_per_rotation or 360.0
    return abs(n * said.rotation_increment / degrees - 1) < WRONG_TURN


def rotations_seen(motor: MotorLook) -> str:
    """Count the rotations that were seen whole, in words."""
    n = len(motor.whole_ticks)
    return "one rotation" if n == 1 else f"{n} rotations"
