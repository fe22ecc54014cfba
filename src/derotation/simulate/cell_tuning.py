"""Cells that follow the angle or the velocity, and light that only looks like activity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.numerics.degrees import wrapped

__all__ = ["CellTuning", "TunedCells", "draw_tuned_cells"]

NDFloat = NDArray[np.float64]
Angle = Callable[[NDFloat], NDFloat]

KINDS = ("none", "angle", "velocity", "light")
# The motor is followed at so many points per second.
RATE = 200.0
# Shadows reach so far, in units of a cell's mean radius: over the neuropil around it, too.
SHADOW_REACH = 3.2
# The least brightness of a cell, in units of its baseline.
DARKEST = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTuning:
    """How many of a sample's cells follow what.

    Parameters
    ----------
    angle : int
        Cells that are active around an angle of the sample each.
    velocity : int
        Cells that follow the angular velocity, each with a slope and a sign of its own.
    light : int
        Cells that follow neither, but lie in a shadow that comes and goes with the angle, with
        the neuropil around them.
    size : float
        Activity at the preferred angle, in units of the baseline.
    width : float
        Width of the bump of activity half way down, degrees.
    slope : float
        Change of activity at 100 degrees/s, in units of the baseline: cells have 0.5 to 1 of it.
    shadow : float
        How much darker it becomes, 0 to 1 (excluded).
    decay_s : float
        Decay time of the indicator, s; 0: none.
    seed : int
        Which cells, and their angles and slopes, follow from it: the same in all sessions.
    """

    angle: int = 0
    velocity: int = 0
    light: int = 0
    size: float = 1.5
    width: float = 60.0
    slope: float = 1.0
    shadow: float = 0.4
    decay_s: float = 0.8
    seed: int = 0

    def __post_init__(self) -> None:
        for item in fields(self):
            if getattr(self, item.name) < 0:
                msg = f"tuning.{item.name} is {getattr(self, item.name)}; it must not be below 0"
                raise InputError(msg)
        if not self.shadow < 1:
            raise InputError(f"tuning.shadow is {self.shadow}; it must be below 1")
        if not 0 < self.width < 360:
            raise InputError(f"tuning.width is {self.width}; it must be above 0 and below 360")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TunedCells:
    """The truth about all cells of a scene."""

    tuning: CellTuning
    """What it was drawn from."""
    kind: NDArray[np.int8]
    """Index among none, angle, velocity and light, shape (n_cells,)."""
    preferred_angle: NDFloat
    """Angle of the highest activity or of the deepest shadow, degrees; else NaN, (n_cells,)."""
    slope: NDFloat
    """Change of activity at 100 degrees/s; NaN but for those that follow it, (n_cells,)."""

    def activity(self, time: NDFloat, angle: Angle) -> NDFloat:
        """Give what is added to the baseline of 1 at some times (s): (times, n_cells)."""
        # To load it takes a second, and few simulations have cells that are tuned.
        from scipy import signal

        added = np.zeros((len(time), len(self.kind)))
        tuned = np.flatnonzero((self.kind == 1) | (self.kind == 2))
        if not len(tuned):
            return added
        # The indicator remembers what was before the movie.
        start = float(time[0]) - 5 * self.tuning.decay_s - 2 / RATE
        fine = np.arange(start, float(time[-1]) + 2 / RATE, 1 / RATE)
        angles = np.asarray(angle(fine), np.float64)
        # After a whole turn the angle begins anew.
        velocity = np.gradient(np.unwrap(angles, period=360), fine)
        for cell in tuned:
            if self.kind[cell] == 1:
                drive = self.tuning.size * self._bump(angles - self.preferred_angle[cell])
            else:
                drive = np.maximum(self.slope[cell] * velocity / 100, DARKEST - 1)
            if self.tuning.decay_s:
                kept = float(np.exp(-1 / (RATE * self.tuning.decay_s)))
                drive, _ = signal.lfilter([1 - kept], [1, -kept], drive, zi=[kept * drive[0]])
            added[:, cell] = np.interp(time, fine, drive)
        return added

    def shadows(
        self, x: ArrayLike, y: ArrayLike, angle: ArrayLike, centers: NDFloat, radii: NDFloat
    ) -> NDFloat:
        """Give the factor on the light at places (x, y) of the sample at rest, at angles (degrees).

        centers (n_cells, 2) and mean radii (n_cells,) are those of the cells, pixels.
        """
        at_x, at_y, at_angle = np.broadcast_arrays(x, y, angle)
        factor = np.ones(at_x.shape)
        for cell in np.flatnonzero(self.kind == 3):
            depth = self.tuning.shadow * self._bump(at_angle - self.preferred_angle[cell])
            away = np.hypot(at_x - centers[cell, 0], at_y - centers[cell, 1])
            reach = SHADOW_REACH * radii[cell]
            # Flat over the cell and its surroundings, with a soft edge.
            factor *= 1 - depth / (1 + (away / reach) ** 8)
        return factor

    def _bump(self, away: NDFloat) -> NDFloat:
        """Give a bump around 0 degrees, 1 at its top."""
        sharp = np.log(2) / (1 - np.cos(np.radians(self.tuning.width / 2)))
        return np.asarray(np.exp(sharp * (np.cos(np.radians(wrapped(away))) - 1)))


def draw_tuned_cells(tuning: CellTuning, n_cells: int, n_inside: int) -> TunedCells:
    """Choose which cells follow what.

    Parameters
    ----------
    tuning : CellTuning
    n_cells : int
        Cells of the scene.
    n_inside : int
        Those of them that are in the picture at rest, which come first: the others follow nothing.

    Returns
    -------
    TunedCells

    Raises
    ------
    InputError
        If more cells are to follow something than there are.
    """
    wanted = (tuning.angle, tuning.velocity, tuning.light)
    if sum(wanted) > n_inside:
        msg = f"tuning asks for {sum(wanted)} cells, but the picture has {n_inside} (n_cells)"
        raise InputError(msg)
    rng = np.random.default_rng([tuning.seed, 6])
    kind = np.zeros(n_cells, np.int8)
    kind[rng.permutation(n_inside)[: sum(wanted)]] = np.repeat([1, 2, 3], wanted)
    angles = rng.uniform(0, 360, n_cells)
    slopes = tuning.slope * rng.uniform(0.5, 1, n_cells) * rng.choice([-1.0, 1.0], n_cells)
    return TunedCells(
        tuning=tuning,
        kind=kind,
        preferred_angle=np.where((kind == 1) | (kind == 3), angles, np.nan),
        slope=np.where(kind == 2, slopes, np.nan),
    )
