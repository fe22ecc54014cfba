"""Make tiles equally bright where they overlap: a gain per tile, and light that falls off unevenly.

Where two tiles show the same sample, the logarithm of their ratio is the difference of their gains,
plus what the microscope's illumination differs between the two places in the field. All tiles of a
mosaic share the illumination; it is described by a paraboloid in logarithms, of which overlaps tell
the curvature. Counts without light (the detector's offset) are taken off first.

One thing no overlap can tell: whether the whole window is brighter towards one side, or all tiles
are lit from that side. The smallest correction is chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from derotation.mosaic.overlaps import Picture

__all__ = ["Balance", "balance_tiles"]

Floats = NDArray[np.float64]
Light = Literal["auto", "never"]

# Pixels of the smoothed overlaps that are compared: one in so many, each way.
STRIDE = 6
MIN_SAMPLES = 12
MAX_SAMPLES = 3000
# How far gains and fall-off may be from none without good reason (natural logarithm).
GAIN_SD, FIELD_SD = 0.5, 0.5
ROUNDS = 4
CAUCHY = 2.0
# The fall-off is corrected if it explains so much of what gains leave, or leaves so little.
WORTHWHILE = 0.9
# The detector's offset lies at most so far below the darkest pixels, as a part of the whole range.
OFFSET_REACH = 1.0
# Another offset than that of the darkest pixels has to leave less by this factor.
TELLING = 1.02


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Balance:
    """How bright tiles are against each other."""

    offset: float
    """Counts without light."""
    gains: Floats
    """Brightness of each tile; their geometric mean is 1, shape (n,)."""
    field: Floats
    """Coefficients of the logarithm of the illumination, see :meth:`illumination`, shape (5,)."""
    difference_before: float
    """Usual difference of two tiles where they overlap, as a part of their brightness."""
    difference_after: float
    """The same after the correction."""

    def illumination(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Give the relative illumination at each pixel of a tile; 1 in its middle."""
        rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
        return np.asarray(np.exp(_terms(rows, columns, shape) @ self.field), np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Samples:
    """Pairs of values of the same place in two tiles."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    one: Floats
    other: Floats
    terms: Floats
    """Illumination's terms at the place in the first tile minus those in the second, (n, 5)."""


def balance_tiles(
    pictures: Sequence[Picture],
    positions: Floats,
    pairs: Sequence[tuple[int, int]],
    *,
    offset: float | None = None,
    illumination: Light = "auto",
) -> Balance:
    """Estimate gains, illumination and offset from the overlaps.

    Parameters
    ----------
    pictures : sequence of Picture
        The tiles.
    positions : ndarray of shape (n, 2)
        Where they lie, pixels (row, column).
    pairs : sequence of tuple of int
        Neighbors whose overlap can be trusted.
    offset : float, optional
        Counts without light; None: from the overlaps, at most those of the darkest pixels.
    illumination : {"auto", "never"}
        Whether to look for light that falls off unevenly.

    Returns
    -------
    Balance
        Gains of 1 for tiles without overlaps.
    """
    n = len(pictures)
    samples = _collect(pictures, positions, pairs)
    if samples is None:
        return Balance(
            offset=float("nan") if offset is None else offset, gains=np.ones(n), field=np.zeros(5),
            difference_before=float("nan"), difference_after=float("nan"),
        )  # fmt: skip
    best = _fit(samples, n, offset, with_field=False)
    if illumination == "auto":
        both = _fit(samples, n, offset, with_field=True)
        best = both if both.rest < WORTHWHILE * best.rest else best
    return Balance(
        offset=best.offset,
        gains=np.exp(best.gains - best.gains.mean()),
        field=best.field,
        difference_before=_difference(samples, best.offset, np.zeros(n), np.zeros(5)),
        difference_after=_difference(samples, best.offset, best.gains, best.field),
    )


def _fit(samples: _Samples, n: int, offset: float | None, *, with_field: bool) -> "_Fitted":
    """Fit gains and perhaps illumination, with the offset that is given or suits them best."""
    model = _Model(samples, n, with_field=with_field)
    return model.fit(_find_offset(samples, model) if offset is None else offset)


def _terms(rows: Floats, columns: Floats, shape: tuple[int, int]) -> Floats:
    """Give the five terms of a paraboloid without its constant at places of a tile."""
    half = max(shape) / 2
    y = (rows - (shape[0] - 1) / 2) / half
    x = (columns - (shape[1] - 1) / 2) / half
    return np.stack([y, x, y * y, x * x, x * y], axis=-1)


def _collect(
    pictures: Sequence[Picture], positions: Floats, pairs: Sequence[tuple[int, int]]
) -> _Samples | None:
    """Read smoothed tiles at common places."""
    shape = pictures[0].shape
    parts = []
    for i, j in pairs:
        displacement = positions[j] - positions[i]
        start = np.maximum(np.ceil(displacement), 0).astype(int)
        stop = np.minimum(shape, np.floor(displacement).astype(int) + np.asarray(shape))
        if (stop - start).min() < 2:
            continue
        rows, columns = np.mgrid[start[0] : stop[0] : STRIDE, start[1] : stop[1] : STRIDE].reshape(
            2, -1
        )
        there = np.stack([rows - displacement[0], columns - displacement[1]])
        near = ndimage.map_coordinates(pictures[j].inside, there, order=1, mode="constant")
        seen = (near > 0.95) & (pictures[i].inside[rows, columns] > 0.95)
        if seen.sum() < MIN_SAMPLES:
            continue
        if seen.sum() > MAX_SAMPLES:
            chosen = np.flatnonzero(seen)
            seen = np.zeros_like(seen)
            seen[chosen[:: -(-len(chosen) // MAX_SAMPLES)]] = True
        rows, columns, there = rows[seen], columns[seen], there[:, seen]
        other = ndimage.map_coordinates(pictures[j].smooth, there, order=1, mode="nearest")
        terms = _terms(rows.astype(float), columns.astype(float), shape) - _terms(
            there[0], there[1], shape
        )
        count = len(rows)
        parts.append(
            (np.full(count, i), np.full(count, j), pictures[i].smooth[rows, columns], other, terms)
        )
    if not parts:
        return None
    first, second, one, other, terms = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _Samples(
        first=first, second=second, one=one.astype(np.float64), other=other.astype(np.float64),
        terms=terms,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fitted:
    offset: float
    gains: Floats
    field: Floats
    rest: float
    """Difference that is left, in counts."""


class _Model:
    """Least squares for the logarithms of gains and illumination, given the offset."""

    def __init__(self, samples: _Samples, n: int, *, with_field: bool) -> None:
        self._samples, self._n, self._with_field = samples, n, with_field
        level = np.median(np.concatenate([samples.one, samples.other]))
        self._least = 1e-3 * max(float(level), 1e-12)

    def fit(self, offset: float) -> _Fitted:
        """Fit with little regard to places where the tiles differ by more than brightness."""
        s, n = self._samples, self._n
        one = np.maximum(s.one - offset, self._least)
        other = np.maximum(s.other - offset, self._least)
        ratio = np.log(one / other)
        # In counts the noise is about even; in logarithms dark places are noisy.
        counts = (one + other) / 2
        columns = 5 if self._with_field else 0
        near = np.ones_like(ratio)
        solution = np.zeros(n + columns)
        rest = ratio
        for _ in range(ROUNDS):
            solution = self._solve(ratio, near * counts**2, columns)
            rest = ratio - solution[s.first] + solution[s.second]
            if columns:
                rest = rest - s.terms @ solution[n:]
            usual = 1.4826 * float(np.median(np.abs(rest * counts)))
            near = 1 / (1 + (rest * counts / max(CAUCHY * usual, 1e-12)) ** 2)
        field = solution[n:] if columns else np.zeros(5)
        left = float(np.sqrt(np.sum(near * (rest * counts) ** 2) / np.sum(near)))
        return _Fitted(offset=offset, gains=solution[:n], field=field, rest=left)

    def _solve(self, ratio: Floats, weight: Floats, columns: int) -> Floats:
        s, n = self._samples, self._n
        weight = weight / weight.mean()
        normal = np.zeros((n + columns, n + columns))
        moment = np.zeros(n + columns)
        np.add.at(normal, (s.first, s.first), weight)
        np.add.at(normal, (s.second, s.second), weight)
        np.add.at(normal, (s.first, s.second), -weight)
        np.add.at(normal, (s.second, s.first), -weight)
        np.add.at(moment, s.first, weight * ratio)
        np.add.at(moment, s.second, -weight * ratio)
        if columns:
            weighted = s.terms * weight[:, np.newaxis]
            normal[n:, n:] = weighted.T @ s.terms
            cross = np.zeros((n, columns))
            np.add.at(cross, s.first, weighted)
            np.add.at(cross, s.second, -weighted)
            normal[:n, n:], normal[n:, :n] = cross, cross.T
            moment[n:] = weighted.T @ ratio
        # Among what explains the overlaps as well, the smallest correction.
        prior = np.concatenate([np.full(n, GAIN_SD), np.full(columns, FIELD_SD)]) ** -2.0
        spread = max(float(np.var(ratio)), 1e-6)
        normal[np.diag_indices_from(normal)] += prior * spread
        return np.asarray(np.linalg.solve(normal, moment))


def _find_offset(samples: _Samples, model: _Model) -> float:
    """Find the counts without light with which the overlaps agree best."""
    values = np.concatenate([samples.one, samples.other])
    low, high = np.quantile(values, [0.001, 0.99])
    span = max(float(high - low), 1e-12)
    bounds = (float(low) - OFFSET_REACH * span, float(low) - 0.005 * span)

    def rest(offset: float) -> float:
        return model.fit(offset).rest

    found = optimize.minimize_scalar(
        rest, bounds=bounds, method="bounded", options={"xatol": span / 200}
    )
    # Tiles that are equally bright do not tell; then the darkest pixels have to do.
    if rest(bounds[1]) < TELLING * float(found.fun):
        return bounds[1]
    return float(found.x)


def _difference(samples: _Samples, offset: float, gains: Floats, field: Floats) -> float:
    """Tell by which part of their brightness two tiles usually differ."""
    one = (samples.one - offset) * np.exp(-gains[samples.first])
    other = (samples.other - offset) * np.exp(-gains[samples.second])
    # Only the difference of the illumination at the two places is at hand: half to each.
    half = np.exp(samples.terms @ field / 2)
    one, other = one / half, other * half
    brightness = float(np.mean(one + other)) / 2
    return float(np.median(np.abs(one - other))) / max(abs(brightness), 1e-12)
