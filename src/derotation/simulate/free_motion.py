"""Angles as any function of time: sinusoids, a sample that the animal turns, a motor that stalls.

Each has the two methods of a :class:`~derotation.simulate.motor.Motor` that rendering needs
(``angle`` and ``moving``), so that a recording can be planned with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError

__all__ = ["FreeTurning", "Motion", "Sinusoid", "Stalled", "crossings", "motion_of"]

NDFloat = NDArray[np.float64]


class Motion(Protocol):
    """An angle at any time."""

    def angle(self, time: ArrayLike) -> NDFloat:
        """Angle at given times (s), degrees."""

    def moving(self, begin: float, end: float) -> bool:
        """Tell whether it changes between two times (s)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sinusoid:
    """Back and forth, without a rest.

    Parameters
    ----------
    amplitude : float
        Degrees from the middle to either side.
    frequency : float
        Hz.
    phase : float
        Degrees of the sinusoid at time 0.
    """

    amplitude: float
    frequency: float
    phase: float = 0.0

    def angle(self, time: ArrayLike) -> NDFloat:
        """Angle at given times (s), degrees."""
        t = np.asarray(time, np.float64)
        return np.asarray(
            self.amplitude * np.sin(2 * np.pi * self.frequency * t + np.radians(self.phase))
        )

    def moving(self, begin: float, end: float) -> bool:
        """Tell whether it changes between two times: always."""
        return True


class FreeTurning:
    """A sample turned at random speeds, with rests now and then, in closed form.

    The speed goes from one random value to the next along half a cosine, so that neither angle nor
    speed jumps.

    Parameters
    ----------
    duration : float
        Seconds; the angle stays as it is before and after.
    top_speed : float
        Speeds are drawn from -top_speed to top_speed, degrees/s.
    change_s : float
        Time from one speed to the next, s.
    rest_fraction : float
        Part of the speeds that are 0.
    seed : int
        Everything random follows from it.
    """

    def __init__(
        self,
        *,
        duration: float,
        top_speed: float = 300.0,
        change_s: float = 0.5,
        rest_fraction: float = 0.2,
        seed: int = 0,
    ) -> None:
        if not (duration > 0 and change_s > 0):
            raise InputError(f"duration ({duration}) and change_s ({change_s}) must be above 0 s")
        rng = np.random.default_rng([seed, 17])
        n = int(np.ceil(duration / change_s)) + 1
        speed = rng.uniform(-top_speed, top_speed, n)
        speed[rng.random(n) < rest_fraction] = 0.0
        speed[[0, -1]] = 0.0
        self._speed = speed
        self._step = change_s
        # Along half a cosine the mean speed is that of both ends.
        self._angle = np.concatenate([[0.0], np.cumsum((speed[:-1] + speed[1:]) / 2 * change_s)])

    def angle(self, time: ArrayLike) -> NDFloat:
        """Angle at given times (s), degrees."""
        t = np.clip(np.asarray(time, np.float64), 0, (len(self._speed) - 1) * self._step)
        k = np.minimum((t / self._step).astype(np.int64), len(self._speed) - 2)
        tau = t - k * self._step
        first, last = self._speed[k], self._speed[k + 1]
        middle, half = (first + last) / 2, (first - last) / 2
        wave = np.sin(np.pi * tau / self._step) * self._step / np.pi
        return np.asarray(self._angle[k] + middle * tau + half * wave)

    def moving(self, begin: float, end: float) -> bool:
        """Tell whether it changes between two times (s)."""
        first = max(int(begin / self._step), 0)
        last = int(np.ceil(end / self._step)) + 1
        return bool(np.any(self._speed[first : last + 1] != 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalled:
    """A motion that stops at some time, stays there, and goes on later from where it is.

    Parameters
    ----------
    motion : Motion
        What should have been.
    stall : float
        When it stops, s.
    resume : float
        When it goes on with what follows then, s.
    """

    motion: Motion
    stall: float
    resume: float

    def angle(self, time: ArrayLike) -> NDFloat:
        """Angle at given times (s), degrees."""
        t = np.asarray(time, np.float64)
        stopped = float(self.motion.angle(self.stall))
        skipped = float(self.motion.angle(self.resume))
        planned = np.asarray(self.motion.angle(t))
        later = planned - skipped + stopped
        return np.where(t < self.stall, planned, np.where(t < self.resume, stopped, later))

    def moving(self, begin: float, end: float) -> bool:
        """Tell whether it changes between two times (s)."""
        early = begin < self.stall and self.motion.moving(begin, min(end, self.stall))
        late = end > self.resume and self.motion.moving(max(begin, self.resume), end)
        return bool(early or late)


def crossings(
    motion: Motion, places: float, begin: float, end: float, step: float = 1e-3
) -> tuple[NDFloat, NDArray[np.int64]]:
    """Find when a motion passes the multiples of an angle.

    Parameters
    ----------
    motion : Motion
        Continuous: without the jumps of whole turns.
    places : float
        Degrees from one place to the next.
    begin, end : float
        Times between which is looked, s.
    step : float
        The angle passes a place at most once within it, s.

    Returns
    -------
    time : ndarray of shape (n,)
        Seconds, ascending.
    sector : ndarray of shape (n,)
        The sector, from place k to k + 1, that the motion is in afterwards.
    """
    grid = np.append(np.arange(begin, end, step), end)
    sector = np.floor(np.asarray(motion.angle(grid)) / places).astype(np.int64)
    changes = np.diff(sector)
    where = np.flatnonzero(changes)
    count = np.abs(changes[where])
    # Each passage of each place, the way the motion goes.
    cell = np.repeat(where, count)
    nth = np.arange(len(cell)) - np.repeat(np.cumsum(count) - count, count)
    sign = np.sign(changes[cell])
    target = (sector[cell] + np.where(sign > 0, 1 + nth, -nth)) * places
    low, high = grid[cell], grid[cell + 1]
    for _ in range(45):
        middle = (low + high) / 2
        before = sign * (np.asarray(motion.angle(middle)) - target) < 0
        low, high = np.where(before, middle, low), np.where(before, high, middle)
    return high, sector[cell] + sign * (nth + 1)


def motion_of(given: Mapping[str, Any]) -> Motion:
    """Make the motion that a configuration names.

    Parameters
    ----------
    given : mapping
        One of ``sinusoid`` and ``free_turning``, with its parameters.

    Returns
    -------
    Motion

    Raises
    ------
    InputError
        If there is no such motion, or a parameter is unknown.
    """
    kinds: dict[str, Any] = {"sinusoid": Sinusoid, "free_turning": FreeTurning}
    if len(given) != 1 or next(iter(given)) not in kinds:
        raise InputError(f"motion names one of {', '.join(kinds)}; found {', '.join(given)}")
    ((name, parameters),) = given.items()
    try:
        return cast(Motion, kinds[name](**parameters))
    except TypeError as error:
        raise InputError(f"motion {name}: {error}") from error
