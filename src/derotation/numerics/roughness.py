"""How smooth a path through noisy places is: chosen so that the places are most likely.

The displacement along x and along y is a smooth random process with a time constant (Matern with
3/2) plus a random walk plus waves that keep their phase for a while; all are Markov processes of
few variables, so that Kalman's filter tells in one pass how likely places are [1]_.

.. [1] S. Särkkä, A. Solin, "Applied Stochastic Differential Equations", Cambridge University Press
   (2019), chapter 12.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.numerics.minimum import lowest_by_simplex, lowest_within

__all__ = [
    "Places",
    "Roughness",
    "Wave",
    "foreseen",
    "likelihood",
    "most_likely",
    "most_likely_path",
    "still",
]

NDFloat = NDArray[np.float64]

SHORTEST_S, LONGEST_S = 0.05, 5.0
SMALLEST_PX, LARGEST_PX = 1e-3, 30.0
SMALLEST_WALK, LARGEST_WALK = 1e-7, 30.0
SCALES = (0.5, 30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """A part that comes and goes with a rhythm, as with the heart or with breathing."""

    frequency_hz: float
    """How often."""
    size_px: float
    """Its root mean square."""
    lasting_s: float
    """For about so long it keeps its phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roughness:
    """How the sample moves."""

    size_px: float
    """Root mean square of the quick part, along x and along y."""
    constant_s: float
    """Its time constant."""
    walk_px2: float
    """Variance that the slow part gains per second."""
    scale: float
    """By so much the variance of measured places is larger than they say."""
    waves: tuple[tuple[Wave, ...], tuple[Wave, ...]] = ((), ())
    """What comes and goes with a rhythm along x, and along y."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Places:
    """Where the sample was measured to be."""

    time_s: NDFloat
    """When, ascending, (n,)."""
    values: NDFloat
    """Displacement (x, y), px, (n, 2)."""
    variances: NDFloat
    """Of x and y, px², (n, 2); infinite where nothing was measured."""
    loose: NDFloat
    """Variance (px²) by which the sample may have jumped just before, (n,)."""

    def __getitem__(self, part: slice) -> "Places":
        """Choose a stretch of them."""
        return Places(
            time_s=self.time_s[part], values=self.values[part],
            variances=self.variances[part], loose=self.loose[part],
        )  # fmt: skip


def likelihood(
    places: Places, parts: list[slice], found: Roughness, axes: tuple[int, ...] = (0, 1)
) -> float:
    """Tell how likely some stretches of places are, along x and y (0 and 1), as a logarithm."""
    return _Likelihood(places, parts, axes)(found)


class _Likelihood:
    """The likelihood as a function of the parameters: what does not depend on them is made once."""

    def __init__(self, places: Places, parts: list[slice], axes: tuple[int, ...] = (0, 1)) -> None:
        self._time_s, self._loose = places.time_s, places.loose
        self._ends = np.array([[part.start, part.stop] for part in parts], np.int64)
        values, variances = (
            np.ascontiguousarray(own.T) for own in (places.values, places.variances)
        )
        self._measured = [(k, values[k], variances[k]) for k in axes]

    def __call__(self, found: Roughness) -> float:
        from derotation.numerics import path_kernels

        return float(
            sum(
                path_kernels.path_likelihood(
                    self._time_s, values, variances, self._loose, self._ends, found.size_px,
                    found.constant_s, found.walk_px2, _table(found.waves[k]), found.scale,
                )
                for k, values, variances in self._measured
            )
        )  # fmt: skip


def foreseen(places: Places, found: Roughness, axis: int) -> NDFloat:
    """Foresee each place along an axis from those before it.

    Returns
    -------
    ndarray of shape (n, 2)
        How far the place lies from what was foreseen (px), and the variance of that.
    """
    from derotation.numerics import path_kernels

    seen = np.empty_like(places.values)
    foresee: Any = path_kernels.foresee_path
    foresee(*_measured(places, found, axis), seen)
    return seen


def most_likely_path(places: Places, found: Roughness) -> tuple[NDFloat, NDFloat]:
    """Find the path (n, 2) that is most likely at the times of the places, and its uncertainty."""
    from derotation.numerics import path_kernels

    smooth: Any = path_kernels.smooth_path
    path, uncertain = np.empty_like(places.values), np.empty_like(places.values)
    for k in (0, 1):
        place, own = np.empty(len(path)), np.empty(len(path))
        smooth(*_measured(places, found, k), place, own)
        path[:, k], uncertain[:, k] = place, own
    return path, np.sqrt(uncertain, out=uncertain)


def _measured(places: Places, found: Roughness, axis: int) -> tuple[Any, ...]:
    """Give what the kernels take: places along an axis, and the parameters."""
    return (
        places.time_s, np.ascontiguousarray(places.values[:, axis]),
        found.scale * places.variances[:, axis], places.loose, found.size_px, found.constant_s,
        found.walk_px2, _table(found.waves[axis]),
    )  # fmt: skip


def most_likely(places: Places, parts: list[slice], near: Roughness | None = None) -> Roughness:
    """Choose the parameters by which the places are most likely, near some that are known.

    Waves are left as they are.
    """
    low = np.log([SMALLEST_PX, SHORTEST_S, SMALLEST_WALK, SCALES[0]])
    high = np.log([LARGEST_PX, LONGEST_S, LARGEST_WALK, SCALES[1]])
    waves = ((), ()) if near is None else near.waves
    likely = _Likelihood(places, parts)

    def unlikely(logs: list[float]) -> float:
        inside = np.clip(logs, low, high)
        outside = float(np.sum((logs - inside) ** 2))
        return -likely(_roughness(inside, waves)) + outside * 100

    usual = float(np.sqrt(np.median(np.var(places.values, axis=0))))
    usual = min(max(usual, 2e-3), 5.0)
    starts = [np.log([usual, constant, 1e-3, 1.0]) for constant in (0.2, 1.0)]
    if near is not None:
        starts = [np.log([near.size_px, near.constant_s, near.walk_px2, near.scale])]
    tried = [
        lowest_by_simplex(unlikely, start.tolist(), xtol=0.03, ftol=0.05, most_calls=150)
        for start in starts
    ]
    best, _ = min(tried, key=lambda found: found[1])
    return _roughness(np.clip(best, low, high), waves)


def still(places: Places, parts: list[slice]) -> Roughness:
    """Choose the noise by which the places are most likely if nothing moved."""

    def at_rest(log_scale: float) -> Roughness:
        return _roughness(np.log([SMALLEST_PX, 1.0, SMALLEST_WALK, np.exp(log_scale)]))

    low, high = np.log(SCALES).tolist()
    likely = _Likelihood(places, parts)
    return at_rest(lowest_within(lambda own: -likely(at_rest(own)), low, high))


def _roughness(
    logs: NDFloat, waves: tuple[tuple[Wave, ...], tuple[Wave, ...]] = ((), ())
) -> Roughness:
    size, constant, walk, scale = np.exp(logs).tolist()
    return Roughness(size_px=size, constant_s=constant, walk_px2=walk, scale=scale, waves=waves)


def _table(waves: tuple[Wave, ...]) -> NDFloat:
    """Put waves into a table, as the kernels take them: (wave, 3)."""
    rows = [[wave.frequency_hz, wave.size_px, wave.lasting_s] for wave in waves]
    return np.array(rows, np.float64).reshape(-1, 3)
