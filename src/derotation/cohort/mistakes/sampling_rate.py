"""A sampling rate that the movie's frame rate or the table's speeds contradict."""

from collections.abc import Iterable

import numpy as np

from derotation.cohort.mistakes.mistake import Mistake, Settings
from derotation.cohort.mistakes.turns import SPEED_ERROR, speeds_fit, turn_fits
from derotation.signals.look import SignalsLook
from derotation.signals.look_keys import rounded_rate
from derotation.signals.look_motor import MotorLook
from derotation.signals.repairs import plain_number

__all__ = ["unproved_rate", "wrong_rate"]

# The clocks' frame rate and the movie's differ by a mistake if by more than this; a little less is
# worth a look.
WRONG_RATE, ODD_RATE = 0.2, 0.03
# What a file says of its own sampling rate is exact, but for its digits.
STATED_RATE = 1e-3
# Rotations are too fast by one small factor if they differ from it by less than this part.
SAME_SPEED = 0.01
# Factors by which a sampling rate is wrong, where only speeds tell it.
FACTORS = (2.0, 2.5, 4.0, 5.0, 10.0, 100.0, 1000.0)
# Frames per second that no scanner makes.
RATES = (0.02, 5000.0)


def wrong_rate(look: SignalsLook, said: Settings) -> Mistake | None:
    """Say that the sampling rate is wrong, by what files say or by the speeds of the table."""
    if said.stated_rate and abs(said.sampling_rate / said.stated_rate - 1) > STATED_RATE:
        return Mistake(
            key="signals.sampling_rate",
            text=f"signals.sampling_rate is {plain_number(said.sampling_rate)}, but the signals' "
            f"file says {plain_number(said.stated_rate)}. Write signals.sampling_rate: "
            f"{plain_number(said.stated_rate)}, or null to take what each file says",
        )
    if said.frame_rate and look.clocks.frame_interval:
        return _by_frame_rate(look, said)
    if said.stated_rate:
        return None
    by_speeds = _by_speeds(look, said)
    if by_speeds is not None:
        return by_speeds
    interval, rate = look.clocks.frame_interval, said.sampling_rate
    if interval and not RATES[0] < rate / interval < RATES[1]:
        way = 1000 if rate / interval <= RATES[0] else 1 / 1000
        return Mistake(
            key="signals.sampling_rate",
            text=f"with signals.sampling_rate {plain_number(rate)} the frame clock counts "
            f"{plain_number(rate / interval, 3)} frames per second, which no scanner does. "
            f"The key is in Hz: is {rounded_rate(rate * way)} meant?",
        )
    return None


def unproved_rate(look: SignalsLook, said: Settings) -> str:
    """Say that nothing tells whether the sampling rate is right; empty if something does."""
    interval = look.clocks.frame_interval
    if interval is None or said.stated_rate or said.frame_rate:
        return ""
    motor = look.motor
    if motor is not None and motor.protocol == "full" and speeds_fit(motor, said):
        return ""
    return (
        "no file says how many frames were made per second: by signals.sampling_rate "
        f"{plain_number(said.sampling_rate)} it is {plain_number(said.sampling_rate / interval, 3)}"
        ". If the microscope made another number, the key is wrong; write scan.frame_rate to have "
        "it compared"
    )


def _by_frame_rate(look: SignalsLook, said: Settings) -> Mistake | None:
    """Compare what the frame clock counts with what is said of the frame rate."""
    interval, rate = look.clocks.frame_interval, said.sampling_rate
    assert interval
    assert said.frame_rate
    if look.has_frame_interval(rate / said.frame_rate):
        return None
    implied = said.frame_rate * interval
    factor, whose = rate / implied, said.frame_rate_from
    shown = (
        f"with signals.sampling_rate {plain_number(rate)} the frame clock counts "
        f"{plain_number(rate / interval, 4)} frames per second, but {whose} says "
        f"{plain_number(said.frame_rate, 4)}"
    )
    is_wrong = max(factor, 1 / factor) > 1 + WRONG_RATE
    if not is_wrong and abs(factor - 1) <= ODD_RATE:
        return None
    if said.stated_rate:
        # So the frame rate is what is wrong.
        return Mistake(
            key="movie",
            text=f"{shown}. The signals' file says the sampling rate itself: is it the movie of "
            f"this recording, and is the frame rate right that {whose} says?",
            is_problem=False,
        )
    if is_wrong:
        return Mistake(
            key="signals.sampling_rate",
            text=f"{shown}: {_times(factor)}. Write signals.sampling_rate: "
            f"{rounded_rate(implied)}, if {whose} is right",
        )
    return Mistake(
        key="signals.sampling_rate",
        text=f"{shown}. If that is right, signals.sampling_rate is {plain_number(implied)}",
        is_problem=False,
    )


def _by_speeds(look: SignalsLook, said: Settings) -> Mistake | None:
    """Compare how fast rotations were with the stimulus table."""
    motor, rate = look.motor, said.sampling_rate
    if motor is None or not turn_fits(motor, said):
        return None
    factor, small = _speed_factor(motor, said), _small_factor(motor, said)
    if factor is None and small is None:
        return None
    seen = said.rotation_increment * rate / motor.whole_intervals
    shown = (
        f"with signals.sampling_rate {plain_number(rate)} rotations reach {_speeds(seen)} "
        f"degrees/s, but the stimulus table says {_speeds(said.speeds or ())}"
    )
    if factor is not None:
        return Mistake(
            key="signals.sampling_rate",
            text=f"{shown}: {_times(factor)}. Write signals.sampling_rate: "
            f"{rounded_rate(rate / factor)}",
        )
    assert small is not None
    return Mistake(
        key="signals.sampling_rate",
        text=f"{shown}: {_times(small)}. If the motor keeps its speed so well, "
        f"signals.sampling_rate is {rounded_rate(rate / small)}",
        is_problem=False,
    )


def _small_factor(motor: MotorLook, said: Settings) -> float | None:
    """Tell by which small factor all of the first rotations are too fast or too slow."""
    n = min(motor.n_first, len(said.speeds or ()))
    if motor.protocol != "full" or n < 2:
        return None
    seen = said.rotation_increment * said.sampling_rate / motor.whole_intervals[:n]
    ratio = seen / np.asarray(said.speeds, np.float64)[:n]
    usual = float(np.median(ratio))
    alike = bool(np.all(np.abs(ratio / usual - 1) < SAME_SPEED))
    return usual if alike and ODD_RATE < abs(usual - 1) <= WRONG_RATE else None


def _speed_factor(motor: MotorLook | None, said: Settings) -> float | None:
    """Tell by which factor all rotations are too fast; None if they are not, or by several."""
    if motor is None or motor.protocol != "full" or not len(motor.whole_intervals):
        return None
    if not said.speeds:
        return None
    seen = said.rotation_increment * said.sampling_rate / motor.whole_intervals
    asked = np.asarray(said.speeds, np.float64)

    def fits(factor: float) -> bool:
        error = np.abs(seen[:, np.newaxis] / factor / asked - 1).min(axis=1)
        return bool(np.all(error < SPEED_ERROR))

    if fits(1.0):
        return None
    n = min(motor.n_first, len(asked))
    if n:
        # The first rotations are those of the table's first rows.
        ratio = seen[:n] / asked[:n]
        usual = float(np.median(ratio))
        known = [f for factor in FACTORS for f in (factor, 1 / factor)]
        sure = n > 1 or any(abs(usual / f - 1) < SPEED_ERROR for f in known)
        alike = np.all(np.abs(ratio / usual - 1) < SPEED_ERROR)
        return usual if sure and alike and abs(usual - 1) > WRONG_RATE else None
    found = [f for factor in FACTORS for f in (factor, 1 / factor) if fits(f)]
    return found[0] if len(found) == 1 else None


def _times(factor: float) -> str:
    """Say by how much something is too large or too small."""
    if factor >= 1:
        return f"{plain_number(factor, 3)} times as fast"
    return f"{plain_number(1 / factor, 3)} times as slow"


def _speeds(values: Iterable[float]) -> str:
    found = sorted({float(f"{value:.3g}") for value in values})
    shown = [plain_number(value) for value in found[:6]]
    return ", ".join(shown) + (", ..." if len(found) > 6 else "")
