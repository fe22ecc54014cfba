"""Ticks that do not add up to the degrees of a rotation or of a step."""

from derotation.cohort.mistakes.mistake import Mistake, Settings
from derotation.cohort.mistakes.turns import (
    rotations_seen,
    speeds_fit,
    steps_add_up,
    steps_fit,
    turn_fits,
)
from derotation.signals.look import SignalsLook
from derotation.signals.look_motor import MotorLook, usual_count

__all__ = ["wrong_increment"]

# Ticks are one per so many degrees at most, and steps at least.
ROUND_STEPS = (1.0, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.5, 8.0, 9.0, 10.0, 12.0, 15.0, 18.0, 20.0, 22.5,
               24.0, 30.0, 36.0, 40.0, 45.0, 60.0, 72.0, 90.0)  # fmt: skip


def wrong_increment(look: SignalsLook, said: Settings) -> Mistake | None:
    """Say that the ticks of a rotation do not add up to its degrees."""
    motor = look.motor
    if motor is None or said.source != "ticks" or said.protocol == "free" or not motor.is_even:
        return None
    step = motor.step_ticks
    n = motor.turn_ticks if motor.turn_ticks != step else None
    if said.protocol == "full" and motor.protocol == "incremental":
        return None
    degrees = said.degrees_per_rotation
    if n is not None and degrees is not None and not turn_fits(motor, said):
        turned = n * said.rotation_increment
        seen = _seen(motor, n)
        if speeds_fit(motor, said) or steps_fit(motor, said):
            by = "at the speeds of the stimulus table"
            if said.protocol == "incremental":
                by = "in steps as angles.degrees_per_step says"
            return Mistake(
                key="signals.degrees_per_rotation",
                text=f"{seen}: {turned:g} degrees with signals.rotation_increment "
                f"{said.rotation_increment:g}, {by}, but signals.degrees_per_rotation is "
                f"{degrees:g}. Write signals.degrees_per_rotation: {turned:g}",
            )
        return Mistake(
            key="signals.rotation_increment",
            text=f"{seen}: with signals.rotation_increment {said.rotation_increment:g} that is "
            f"{turned:g} degrees, not the {degrees:g} of signals.degrees_per_rotation. Write "
            f"signals.rotation_increment: {_increment(n, degrees):g}",
        )
    if step is None or said.protocol != "incremental" or steps_fit(motor, said):
        return None
    turned = step * said.rotation_increment
    if steps_add_up(look, motor, said):
        # So the increment is right.
        return Mistake(
            key="angles.degrees_per_step",
            text=f"Write angles.degrees_per_step: {turned:g}, not {said.degrees_per_step:g}: the "
            f"motor turns in steps of {step} ticks, which are {turned:g} degrees with "
            f"signals.rotation_increment {said.rotation_increment:g}, and all ticks add up to the "
            f"{degrees:g} of signals.degrees_per_rotation",
        )
    if any(abs(turned / size - 1) < 1 / step for size in ROUND_STEPS) and step > 1:
        also = (
            f", or signals.rotation_increment: {said.degrees_per_step / step:g} if the steps are "
            f"of {said.degrees_per_step:g} degrees"
        )
        return Mistake(
            key="angles.degrees_per_step",
            text=f"the motor turns in steps of {step} ticks: with signals.rotation_increment "
            f"{said.rotation_increment:g} these are {turned:g} degrees, but angles.degrees_per_step"
            f" is {said.degrees_per_step:g}. Write angles.degrees_per_step: {turned:g}{also}",
        )
    return Mistake(
        key="signals.rotation_increment",
        text=f"the motor turns in steps of {step} ticks: with signals.rotation_increment "
        f"{said.rotation_increment:g} these are {turned:g} degrees, not the "
        f"{said.degrees_per_step:g} of angles.degrees_per_step. Write signals.rotation_increment: "
        f"{said.degrees_per_step / step:g}",
    )


def _increment(n_ticks: int, degrees: float) -> float:
    """Give the degrees per tick that a motor has; a rotation may lack a tick or two."""
    per_turn = n_ticks * 360.0 / degrees
    return float(f"{360.0 / usual_count(round(per_turn)):.6g}")


def _seen(motor: MotorLook, n: int) -> str:
    one = len(motor.whole_ticks) == 1
    return f"{rotations_seen(motor)} of {n} ticks was seen" if one else (
        f"{rotations_seen(motor)} of {n} ticks each were seen"
    )  # fmt: skip
