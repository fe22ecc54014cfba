"""A motor that did something else than the column protocol says."""

from derotation.cohort.mistakes.mistake import Mistake, Settings
from derotation.cohort.mistakes.turns import is_step, is_turn, rotations_seen
from derotation.signals.look import SignalsLook

__all__ = ["wrong_protocol"]


def wrong_protocol(look: SignalsLook, said: Settings) -> Mistake | None:
    """Say that the motor did something else than the sheet says."""
    motor = look.motor
    if motor is None or said.source != "ticks" or said.protocol == "free":
        return None
    if said.protocol == "full" and motor.protocol == "incremental" and is_step(motor, said):
        n = motor.step_ticks or 0
        return Mistake(
            key="protocol",
            text=f"the sheet says protocol full, but the motor turns in steps of {n} ticks "
            f"({n * said.rotation_increment:g} degrees by signals.rotation_increment) with rests "
            "between them. Write incremental in the column protocol",
        )
    if said.protocol == "incremental" and motor.protocol == "full" and is_turn(motor, said):
        n = motor.turn_ticks or 0
        return Mistake(
            key="protocol",
            text="the sheet says protocol incremental, but the motor makes "
            f"{rotations_seen(motor)} of {n} ticks, without steps. Write full in the "
            "column protocol, with a stimulus table",
        )
    if not motor.has_gate and motor.protocol == "free" and "rotation_on" in said.roles:
        return Mistake(
            key="protocol",
            text=f"the sheet says protocol {said.protocol}, but rotation_on (channel "
            f"{said.roles['rotation_on']}) never changes while ticks come. If the sample turned "
            "without a plan, write free in the column protocol; else look at the cable of "
            "rotation_on",
        )
    return None
