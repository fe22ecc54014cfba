"""A sampling rate that the movie's frame rate or the table's speeds contradict."""

from collections.abc import Iterable

import numpy as np

from derotation.cohort.mistakes.settings import Mistake, Settings
from derotation.cohort.mistakes.turns import SPEED_ERROR, turn_fits
from derotation.signals.look import MotorLook, SignalsLook, rounded_rate
from derotation.signals.repairs import plain_number

__all__ = ["wrong_rate"]

# The clocks' frame rate and the movie's differ by a mistake if by more than this; a little less is
# worth a look.
WRONG_RATE, ODD_RATE = 0.2, 0.03
# Factors by which a sampling rate is wrong, where only speeds tell it.
FACTORS = (2.0, 2.5, 4.0, 5.0, 10.0, 100.0, 1000.0)
# Frames per second that no scanner makes.
RATES = (0.02, 5000.0)


def wrong_rate(look: SignalsLook, said: Settings) -> Mistake | None:
    """Say that the sampling rate is wrong, by the movie's frame rate or by the table's speeds."""
    interval = look.clocks.frame_interval
    rate = said.sampling_rate
    implied = look.sampling_rate(said.frame_rate)
    if said.frame_rate and look.has_frame_interval(rate / said.frame_rate):
        return None
    if said.frame_rate and implied is not None and interval:
        factor = rate / implied
        shown = (
            f"with signals.sampling_rate {plain_number(rate)} the frame clock counts "
            f"{plain_number(rate / interval, 4)} frames per second, but the movie's file says "
            f"{plain_number(said.frame_rate, 4)}"
        )
        if max(factor, 1 / factor) > 1 + WRONG_RATE:
            return Mistake(
                key="signals.sampling_rate",
                text=f"{shown}: {_times(factor)}. Write signals.sampling_rate: "
                f"{rounded_rate(implied)}, if the movie's file is right",
            )
        if abs(factor - 1) > ODD_RATE:
            return Mistake(
                key="signals.sampling_rate",
                text=f"{shown}. If that is right, signals.sampling_rate is {plain_number(implied)}",
                is_problem=False,
            )
        return None
    factor_of_speeds = _speed_factor(look.motor, said)
    if factor_of_speeds is not None and turn_fits(look.motor, said):
        assert look.motor is not None
        seen = said.rotation_increment * rate / look.motor.whole_intervals
        return Mistake(
            key="signals.sampling_rate",
            text=f"with signals.sampling_rate {plain_number(rate)} rotations reach "
            f"{_speeds(seen)} degrees/s, but the stimulus table says {_speeds(said.speeds or ())}: "
            f"{_times(factor_of_speeds)}. Write signals.sampling_rate: "
            f"{rounded_rate(rate / factor_of_speeds)}",
        )
    if interval and not RATES[0] < rate / interval < RATES[1]:
        way = 1000 if rate / interval <= RATES[0] else 1 / 1000
        return Mistake(
            key="signals.sampling_rate",
            text=f"with signals.sampling_rate {plain_number(rate)} the frame clock counts "
            f"{plain_number(rate / interval, 3)} frames per second, which no scanner does. "
            f"The key is in Hz: is {rounded_rate(rate * way)} meant?",
        )
    return None


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
