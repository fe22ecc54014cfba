"""A rotation stage with finite acceleration, in closed form.

Every turn has a trapezoidal speed (a triangular one if it is too short to reach full speed). Angle
and encoder ticks follow from formulas at any time: nothing is integrated or sampled.

The angle is the *angle of a line* as the whole package uses it: what turns the picture back. A
sample at a positive angle is turned clockwise on a screen with y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError

__all__ = ["Motor", "Ticks", "full_protocol", "incremental_protocol"]

DEFAULT_ACCELERATION = 155.0  # degrees/s², as measured on a real stage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ticks:
    """Pulses of the motor's encoder.

    Parameters
    ----------
    time : ndarray of shape (n,)
        Times, seconds, ascending.
    rotation : ndarray of shape (n,)
        Index of the rotation that the tick belongs to.
    turned : ndarray of shape (n,)
        Degrees turned since the rotation's start, always positive: 1, 2, ... increments.
    """

    time: NDArray[np.float64]
    rotation: NDArray[np.int32]
    turned: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Motor:
    """A schedule of moves; each move is a turn from rest to rest.

    Parameters
    ----------
    start : ndarray of shape (n_moves,)
        Time at which each move begins, seconds, ascending, no overlap.
    degrees : ndarray of shape (n_moves,)
        Degrees turned by each move, positive.
    speed : ndarray of shape (n_moves,)
        Top speed, degrees/s, positive.
    sign : ndarray of shape (n_moves,)
        +1 if the angle rises during the move, -1 if it falls.
    direction : ndarray of shape (n_moves,)
        Direction as the stimulus table says it, +1 or -1.
    rotation : ndarray of shape (n_moves,)
        Index of the rotation that each move is a part of: each its own in the protocol ``full``,
        all the same in ``incremental``.
    acceleration : float
        Degrees/s², positive.
    """

    start: NDArray[np.float64]
    degrees: NDArray[np.float64]
    speed: NDArray[np.float64]
    sign: NDArray[np.int8]
    direction: NDArray[np.int8]
    rotation: NDArray[np.int32]
    acceleration: float

    def __post_init__(self) -> None:
        if not self.acceleration > 0:
            raise InputError(f"acceleration must be above 0 degrees/s², not {self.acceleration}")
        if np.any(~(self.speed > 0)) or np.any(~(self.degrees > 0)):
            raise InputError(
                f"speeds {self.speed} (degrees/s) and degrees {self.degrees} must all be above 0; "
                "a direction is given by +1 or -1, not by the sign of the speed."
            )
        if np.any(self.start[1:] < self.end[:-1]):
            raise InputError("a move begins before the one before it has ended; lengthen the rests")

    @property
    def ramp(self) -> NDArray[np.float64]:
        """Time spent speeding up in each move, seconds."""
        # A short move never reaches its speed: it speeds up for half of its way.
        return np.minimum(self.speed / self.acceleration, np.sqrt(self.degrees / self.acceleration))

    @property
    def duration(self) -> NDArray[np.float64]:
        """Duration of each move, seconds."""
        ramp = self.ramp
        top = self.acceleration * ramp
        return 2 * ramp + (self.degrees - top * ramp) / top

    @property
    def end(self) -> NDArray[np.float64]:
        """Time at which each move ends, seconds."""
        return self.start + self.duration

    @property
    def n_rotations(self) -> int:
        """Number of rotations."""
        return int(self.rotation.max()) + 1 if self.rotation.size else 0

    @property
    def rest_angle(self) -> NDArray[np.float64]:
        """Angle before each move and after the last, degrees; shape (n_moves + 1,).

        Whole turns count for nothing, partial ones and incremental steps add up.
        """
        gain = np.where(self._whole_turns(), 0.0, self.sign * self.degrees)
        return np.concatenate([[0.0], np.cumsum(gain)])

    def _whole_turns(self) -> NDArray[np.bool_]:
        remainder = np.abs(self.degrees / 360 - np.round(self.degrees / 360))
        return remainder < 1e-9

    def angle(self, time: ArrayLike) -> NDArray[np.float64]:
        """Angle at given times.

        Parameters
        ----------
        time : array_like
            Seconds, any order, any shape.

        Returns
        -------
        ndarray
            Degrees, float64, same shape. Within a whole turn it runs from 0 to (not including)
            360 or -360; at the very end it is 0 again.
        """
        t = np.asarray(time, np.float64)
        n_begun = np.searchsorted(self.start, t, side="right")
        angle = np.array(self.rest_angle[n_begun])
        if self.start.size:
            move = np.maximum(n_begun - 1, 0)
            moving = (n_begun > 0) & (t < self.end[move])
            chosen = move[moving]
            begin = self.rest_angle[chosen]
            angle[moving] = begin + self.sign[chosen] * self.turned(chosen, t[moving])
        return angle

    def turned(self, move: int | NDArray[np.intp], time: ArrayLike) -> NDArray[np.float64]:
        """Degrees turned (always positive) since the start of a move, at times in seconds.

        Parameters
        ----------
        move : int or ndarray of int
            Index of the move, one for all times or one for each.
        time : array_like
            Seconds; before the move it has turned by 0, after it by all its degrees.

        Returns
        -------
        ndarray
            Degrees, of the shape of ``time``.
        """
        ramp, duration = self.ramp[move], self.duration[move]
        tau = np.clip(np.asarray(time, np.float64) - self.start[move], 0.0, duration)
        speeding = 0.5 * self.acceleration * np.minimum(tau, ramp) ** 2
        steady = self.acceleration * ramp * np.clip(tau - ramp, 0.0, duration - 2 * ramp)
        left = np.clip(duration - tau, 0.0, ramp)
        braking = 0.5 * self.acceleration * (ramp**2 - left**2)
        return np.asarray(speeding + steady + braking)

    def time_at(self, move: int, turned: ArrayLike) -> NDArray[np.float64]:
        """Time (seconds) at which a move has turned by so many degrees: the inverse of `turned`."""
        a, ramp, duration = self.acceleration, self.ramp[move], self.duration[move]
        total = self.degrees[move]
        s = np.clip(np.asarray(turned, np.float64), 0.0, total)
        in_ramp = 0.5 * a * ramp**2
        rising = np.sqrt(2 * np.minimum(s, in_ramp) / a)
        steady = np.clip(s - in_ramp, 0.0, total - 2 * in_ramp) / (a * ramp)
        falling = duration - np.sqrt(2 * np.minimum(total - s, in_ramp) / a)
        tau = np.where(s > total - in_ramp, falling, rising + steady)
        return np.asarray(self.start[move] + tau)

    def moving(self, begin: float, end: float) -> bool:
        """Tell whether the motor moves at any time between two times (seconds)."""
        return bool(np.any((self.start < end) & (self.end > begin)))

    def ticks(self, increment: float) -> Ticks:
        """Compute the encoder's ticks: tick k comes when a rotation has turned by k increments.

        Parameters
        ----------
        increment : float
            Degrees per tick, positive.

        Returns
        -------
        Ticks
            The last tick of a rotation of a whole number of increments comes at its very end.

        Raises
        ------
        InputError
            If the increment is not positive.
        """
        if not increment > 0:
            raise InputError(f"rotation_increment must be above 0 degrees, not {increment}")
        times, rotations, angles = [], [], []
        for rotation in range(self.n_rotations):
            before = 0.0  # degrees turned by the rotation's earlier moves
            for move in np.flatnonzero(self.rotation == rotation):
                after = before + self.degrees[move]
                # The tolerance keeps the tick on a boundary in the move that ends there.
                first = np.floor(before / increment + 1e-6) + 1
                last = np.floor(after / increment + 1e-6)
                turned = np.arange(first, last + 1) * increment
                times.append(self.time_at(int(move), turned - before))
                rotations.append(np.full(turned.size, rotation, np.int32))
                angles.append(turned)
                before = after
        return Ticks(
            time=np.concatenate([np.zeros(0), *times]),
            rotation=np.concatenate([np.zeros(0, np.int32), *rotations]),
            turned=np.concatenate([np.zeros(0), *angles]),
        )


def full_protocol(
    stimulus: Sequence[tuple[float, int]],
    *,
    first_start: float = 2.0,
    rest: float = 2.0,
    degrees: float = 360.0,
    acceleration: float = DEFAULT_ACCELERATION,
    direction_sign: int = 1,
) -> Motor:
    """Rotations at given speeds and directions with rests between them.

    Parameters
    ----------
    stimulus : sequence of (speed, direction)
        Speed in degrees/s, direction +1 or -1. Direction +1 takes the angle from 0 to -360.
    first_start : float
        Time of the first rotation's start, seconds.
    rest : float
        Rest between two rotations, seconds.
    degrees : float
        Degrees of each rotation; 360 returns to 0, others add up.
    acceleration : float
        Degrees/s².
    direction_sign : {1, -1}
        -1 for a rig whose direction is wired the other way round.

    Returns
    -------
    Motor

    Raises
    ------
    InputError
        If a direction is not +1 or -1, or a speed, angle or acceleration is not positive.
    """
    table = np.asarray(stimulus, np.float64).reshape(-1, 2)
    _check_directions(table[:, 1])
    return _schedule(
        degrees=np.full(len(table), float(degrees)),
        speed=table[:, 0],
        sign=(-table[:, 1] * _sign(direction_sign)).astype(np.int8),
        direction=table[:, 1].astype(np.int8),
        rotation=np.arange(len(table), dtype=np.int32),
        first_start=first_start,
        rest=rest,
        acceleration=acceleration,
    )


def incremental_protocol(
    *,
    first_start: float = 2.0,
    rest: float = 1.0,
    degrees: float = 360.0,
    step: float = 10.0,
    speed: float = 20.0,
    acceleration: float = DEFAULT_ACCELERATION,
    direction_sign: int = 1,
) -> Motor:
    """One turn in small steps with rests; the angle goes from 0 up to ``degrees``.

    Parameters
    ----------
    first_start : float
        Time of the first step's start, seconds.
    rest : float
        Rest between two steps, seconds.
    degrees, step : float
        Degrees of the whole turn and of one step; the turn is a whole number of steps.
    speed : float
        Top speed, degrees/s.
    acceleration : float
        Degrees/s².
    direction_sign : {1, -1}
        -1 makes the angle go down instead.

    Returns
    -------
    Motor

    Raises
    ------
    InputError
        If the turn is not a whole number of steps, or a quantity is not positive.
    """
    n_steps = round(degrees / step) if step > 0 else 0
    if n_steps < 1 or abs(n_steps * step - degrees) > 1e-9:
        raise InputError(
            f"a turn of {degrees} degrees is not a whole number of steps of {step} degrees"
        )
    sign: Literal[1, -1] = _sign(direction_sign)
    return _schedule(
        degrees=np.full(n_steps, float(step)),
        speed=np.full(n_steps, float(speed)),
        sign=np.full(n_steps, sign, np.int8),
        direction=np.full(n_steps, -sign, np.int8),
        rotation=np.zeros(n_steps, np.int32),
        first_start=first_start,
        rest=rest,
        acceleration=acceleration,
    )


def _schedule(
    *,
    degrees: NDArray[np.float64],
    speed: NDArray[np.float64],
    sign: NDArray[np.int8],
    direction: NDArray[np.int8],
    rotation: NDArray[np.int32],
    first_start: float,
    rest: float,
    acceleration: float,
) -> Motor:
    """Put moves one after another with rests of the same length between them."""

    def motor(start: NDArray[np.float64]) -> Motor:
        return Motor(
            start=start,
            degrees=degrees,
            speed=speed,
            sign=sign,
            direction=direction,
            rotation=rotation,
            acceleration=float(acceleration),
        )

    # The durations do not depend on the starts; far-apart ones keep this first motor valid.
    durations = motor(np.arange(len(speed), dtype=np.float64) * 1e9).duration
    waits = np.concatenate([[float(first_start)], durations[:-1] + rest])[: len(speed)]
    return motor(np.cumsum(waits, dtype=np.float64))


def _check_directions(directions: NDArray[np.float64]) -> None:
    wrong = sorted(set(directions.tolist()) - {1.0, -1.0})
    if wrong:
        raise InputError(f"directions must be 1 or -1, found {wrong}")


def _sign(direction_sign: int) -> Literal[1, -1]:
    if direction_sign == 1:
        return 1
    if direction_sign == -1:
        return -1
    raise InputError(f"direction_sign must be 1 or -1, not {direction_sign}")
