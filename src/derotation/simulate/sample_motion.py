"""A sample that lives: it moves in its own plane, leaves the focus, and bleaches, in closed form.

Everything is a function of time that can be asked at any moment, so that each pixel of a simulated
recording shows the sample where it was at the pixel's own time. Directions are those of the sample
(x to the right and y down in the picture at rest): they turn with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.numerics.degrees import wrapped

__all__ = ["SampleMotion"]

NDFloat = NDArray[np.float64]
Angle = Callable[[NDFloat], NDFloat]

# Cosines that a random movement is made of.
N_COSINES = 96
# Within so many seconds a heart or breath comes early or late.
RHYTHM_S = 5.0
# Speed and acceleration of the motor are differences over so long (s): tissue follows a jerk late.
SPEED_STEP_S, ACCELERATION_STEP_S = 0.01, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleMotion:
    """How the sample moves and changes.

    Parameters
    ----------
    drift : float
        Slow random movement over the whole recording, root mean square along x and along y, px.
    drift_s : float
        Its time constant, s.
    jitter : float
        Quick random movement, root mean square along x and along y, px.
    jitter_s : float
        Its time constant, s: the correlation over a time t is (1 + u) exp(-u), with
        u = sqrt(3) t / jitter_s (Matern with 3/2), so that the movement is smooth.
    per_velocity : tuple of float
        Displacement (x, y) at 100 degrees/s, px; to the other side when the motor turns back.
    per_acceleration : tuple of float
        Displacement (x, y) at 100 degrees/s², px.
    jumps : sequence of (float, float, float)
        Sudden displacements that stay: time (s) after the first line of the movie, x and y (px).
    rhythms : sequence of (float, float, float)
        What comes and goes as with the heart or with breathing: frequency (Hz), and the amplitude
        along x and y (px). The phase wanders by about a radian in 5 s.
    focus : float
        A slow change of focus makes each cell brighter and darker by this fraction, 0 to 1
        (excluded), each at a time of its own.
    focus_s : float
        Period of that, s.
    bleaching : float
        Part of all light that is lost until the last frame, 0 to 1 (excluded), exponentially.
    seed : int
        Everything random follows from it.
    """

    drift: float = 0.0
    drift_s: float = 60.0
    jitter: float = 0.0
    jitter_s: float = 0.4
    per_velocity: tuple[float, float] = (0.0, 0.0)
    per_acceleration: tuple[float, float] = (0.0, 0.0)
    jumps: Sequence[tuple[float, float, float]] = ()
    rhythms: Sequence[tuple[float, float, float]] = ()
    focus: float = 0.0
    focus_s: float = 30.0
    bleaching: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("drift", "jitter"):
            if getattr(self, name) < 0:
                raise InputError(f"sample_motion.{name} is {getattr(self, name)}; it must be >= 0")
        for name in ("drift_s", "jitter_s", "focus_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"sample_motion.{name} is {getattr(self, name)}; it must be > 0")
        for name in ("focus", "bleaching"):
            if not 0 <= getattr(self, name) < 1:
                msg = f"sample_motion.{name} is {getattr(self, name)}; expected 0 to below 1"
                raise InputError(msg)
        for name in ("per_velocity", "per_acceleration"):
            pair = tuple(float(value) for value in getattr(self, name))
            if len(pair) != 2:
                raise InputError(f"sample_motion.{name} is {pair}; expected two numbers (x, y)")
            object.__setattr__(self, name, pair)
        jumps = tuple(tuple(float(value) for value in jump) for jump in self.jumps)
        if any(len(jump) != 3 for jump in jumps):
            raise InputError(f"sample_motion.jumps is {jumps}; expected (time, x, y) for each jump")
        object.__setattr__(self, "jumps", jumps)
        rhythms = tuple(tuple(float(value) for value in rhythm) for rhythm in self.rhythms)
        if any(len(rhythm) != 3 or not rhythm[0] > 0 for rhythm in rhythms):
            msg = (
                f"sample_motion.rhythms is {rhythms}; expected (frequency above 0, x, y) for each "
                "rhythm"
            )
            raise InputError(msg)
        object.__setattr__(self, "rhythms", rhythms)

    @property
    def moves(self) -> bool:
        """Whether the sample is displaced at all."""
        parts = (*self.per_velocity, *self.per_acceleration, self.drift, self.jitter)
        return any(parts) or len(self.jumps) > 0 or len(self.rhythms) > 0

    def displacement(self, time: ArrayLike, angle: Angle, first_s: float) -> NDFloat:
        """Tell where the sample is.

        Parameters
        ----------
        time : array_like of shape (...)
            Seconds since the first sample of the analog signals.
        angle : callable
            Gives the motor's angle, in degrees, at such times.
        first_s : float
            When the first line of the movie begins, s.

        Returns
        -------
        ndarray of shape (..., 2)
            Displacement (x, y) in the sample's own frame, px: what lies at q in the sample that
            holds still lies at q plus this.
        """
        t = np.asarray(time, np.float64)
        moved = np.zeros((*t.shape, 2))
        for size, constant, stream in (
            (self.drift, self.drift_s, 1),
            (self.jitter, self.jitter_s, 2),
        ):
            if size:
                moved += size * _random(t, constant, np.random.default_rng([self.seed, 21, stream]))
        if any(self.per_velocity):
            h = SPEED_STEP_S
            speed = wrapped(angle(t + h) - angle(t - h)) / (2 * h)
            moved += speed[..., np.newaxis] / 100 * np.array(self.per_velocity)
        if any(self.per_acceleration):
            h = ACCELERATION_STEP_S
            ahead, behind = wrapped(angle(t + h) - angle(t)), wrapped(angle(t) - angle(t - h))
            change = (ahead - behind) / h**2
            moved += change[..., np.newaxis] / 100 * np.array(self.per_acceleration)
        for k, (frequency, x, y) in enumerate(self.rhythms):
            wander = _random(t, RHYTHM_S, np.random.default_rng([self.seed, 21, 4, k]))[..., 0]
            beat = np.sin(2 * np.pi * frequency * t + wander)
            moved += beat[..., np.newaxis] * np.array([x, y])
        for when, x, y in self.jumps:
            moved += (t - first_s >= when)[..., np.newaxis] * np.array([x, y])
        return moved

    def focus_factors(self, time: ArrayLike, n_cells: int) -> NDFloat:
        """Give the factor on each cell's brightness at some times (s): (time, cell)."""
        t = np.asarray(time, np.float64)
        if not self.focus:
            return np.ones((len(t), n_cells))
        phase = np.random.default_rng([self.seed, 21, 3]).uniform(0, 2 * np.pi, n_cells)
        wave = np.sin(2 * np.pi * t[:, np.newaxis] / self.focus_s + phase)
        return np.asarray(1 + self.focus * wave)

    def light(self, progress: ArrayLike) -> NDFloat:
        """Give the factor on all light, from 0 (first frame) to 1 (last frame)."""
        return np.asarray((1 - self.bleaching) ** np.asarray(progress, np.float64))


def _random(time: NDFloat, constant: float, rng: np.random.Generator) -> NDFloat:
    """Draw a smooth random path (..., 2) of mean square 1 as a sum of cosines.

    Their frequencies follow the Matern spectrum, which is Student's t distribution with 3 degrees
    of freedom. The amplitudes are equal, so that the mean square over a long time is just 1.
    """
    frequency = rng.standard_t(3, (N_COSINES, 2)) / constant
    phase = rng.uniform(0, 2 * np.pi, (N_COSINES, 2))
    path = np.zeros((*time.shape, 2))
    for own_frequency, own_phase in zip(frequency, phase, strict=True):
        path += np.cos(time[..., np.newaxis] * own_frequency + own_phase)
    return np.asarray(path * np.sqrt(2 / N_COSINES))
