"""Place tiles: from the stage's positions, and from what neighbors share.

Every reliable overlap says where one tile lies against another. First all of them tell the linear
map from the stage to the picture (:mod:`derotation.mosaic.stage`). Then the places of all tiles are
fitted together, so that they agree with the overlaps, each with the weight that its correlation
gives it, and stay near to where the stage, seen through that map, says they are. An overlap that
contradicts the others is left out, and a tile without any stays where the stage says.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from derotation.errors import InputError
from derotation.mosaic.overlaps import Overlap, Picture, measure_overlap, overlap_area
from derotation.mosaic.stage import StageFit, fit_stage

__all__ = ["Placement", "find_neighbors", "measure_overlaps", "place_tiles"]

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]

# Tukey's biweight: residuals beyond so many standard deviations count nothing (as in _robust).
TUKEY = 4.685
LEAST_DISTANCE_ROUNDS, ROUNDS = 10, 30
DROPPED = 0.05
# The stated covariances hold noise only; overlaps are not told apart below this (px).
USUAL_ERROR_PX = 0.03
# A tile may leave the stage's place by several times what it usually does, if overlaps agree.
PRIOR_WIDENING = 3.0
LEAST_SCATTER_PX = 0.05
UNKNOWN_SCATTER_PX = 3.0
# Where a neighbor is sought again once the stage is known: within so many times its scatter.
SECOND_LOOK = 4.0
SECOND_LOOK_PX = 3.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """Where the tiles lie."""

    motor: Floats
    """Where the stage says the tiles are, pixels (row, column), shape (n, 2)."""
    positions: Floats
    """Where they are, in the same coordinates: the stage's own angle and scale are in it."""
    predicted: Floats
    """Where the stage says, seen through the fitted map, pixels, shape (n, 2)."""
    stage: StageFit
    """The fitted map."""
    overlaps: tuple[Overlap, ...]
    """All overlaps that were looked at; those that were left out have a problem."""
    residuals: Floats
    """Measured displacement minus that of the positions, pixels, (overlap, 2); NaN if unknown."""

    @property
    def refined(self) -> NDArray[np.bool_]:
        """Which tiles have an overlap that counts, shape (n,)."""
        found = np.zeros(len(self.motor), np.bool_)
        for overlap in self.overlaps:
            if overlap.ok:
                found[[overlap.first, overlap.second]] = True
        return found

    @property
    def residual_px(self) -> float:
        """Root mean square of the residuals' lengths of the overlaps that count; NaN if none."""
        used = np.array([overlap.ok for overlap in self.overlaps], np.bool_)
        if not used.any():
            return float("nan")
        return float(np.sqrt(np.mean(np.sum(self.residuals[used] ** 2, axis=1))))

    @property
    def scatter_px(self) -> float:
        """How far tiles lie from where stage and map say: root mean square, pixels."""
        off = (self.positions - self.predicted)[self.refined]
        return float(np.sqrt(np.mean(np.sum(off**2, axis=1)))) if len(off) else float("nan")


def find_neighbors(
    motor: ArrayLike, shape: tuple[int, int], min_overlap: float = 0.07
) -> list[tuple[int, int]]:
    """List the pairs of tiles that share enough, by where the stage says they are.

    Parameters
    ----------
    motor : array of shape (n, 2)
        Positions, pixels (row, column).
    shape : tuple of int
        Rows and columns of a tile.
    min_overlap : float
        Part of a tile's area that two neighbors share at least, 0 to 1.

    Returns
    -------
    list of tuple of int
        Numbers of the tiles, the smaller one first.
    """
    places = np.asarray(motor, np.float64).reshape(-1, 2)
    least = min_overlap * shape[0] * shape[1]
    return [
        (i, j)
        for i in range(len(places))
        for j in range(i + 1, len(places))
        if overlap_area(shape, places[j] - places[i]) >= least
    ]


def measure_overlaps(
    pictures: Sequence[Picture],
    pairs: Sequence[tuple[int, int]],
    expected: ArrayLike,
    reach: float,
    *,
    threads: int = 1,
) -> list[Overlap]:
    """Measure the displacement of each pair.

    Parameters
    ----------
    pictures : sequence of Picture
        The tiles.
    pairs : sequence of tuple of int
        Which to compare.
    expected : array of shape (n pairs, 2)
        Where to look, pixels (row, column).
    reach : float
        How far from there, pixels.
    threads : int
        Threads that share the pairs.
    """
    places = np.asarray(expected, np.float64).reshape(-1, 2)

    def measure(k: int) -> Overlap:
        i, j = pairs[k]
        return measure_overlap(pictures[i], pictures[j], places[k], reach, numbers=(i, j))

    if threads <= 1:
        return [measure(k) for k in range(len(pairs))]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(measure, range(len(pairs))))


def place_tiles(
    pictures: Sequence[Picture],
    motor: ArrayLike,
    *,
    reach: float | None = None,
    min_overlap: float = 0.07,
    threads: int = 1,
) -> Placement:
    """Find where tiles lie.

    Parameters
    ----------
    pictures : sequence of Picture
        The tiles, all of one shape.
    motor : array of shape (n, 2)
        Where the stage says they are, pixels (row, column).
    reach : float, optional
        How far from there neighbors are sought, pixels; by default a tenth of a tile's smaller
        side.
    min_overlap : float
        Part of a tile's area that two neighbors share at least.
    threads : int
        Threads that share the pairs.

    Returns
    -------
    Placement

    Raises
    ------
    InputError
        If tiles and positions are not of one number, or the tiles not of one shape.
    """
    places = np.asarray(motor, np.float64).reshape(-1, 2)
    shapes = {picture.shape for picture in pictures}
    if len(places) != len(pictures) or len(shapes) != 1:
        found = ", ".join(f"{h} x {w}" for h, w in sorted(shapes))
        msg = (
            f"{len(pictures)} tiles of {found} pixels have {len(places)} positions; a mosaic "
            "needs one position per tile, and tiles of one size"
        )
        raise InputError(msg)
    (shape,) = shapes
    reach = min(shape) / 10 if reach is None else reach
    pairs = find_neighbors(places, shape, min_overlap)
    expected = np.array([places[j] - places[i] for i, j in pairs]).reshape(-1, 2)
    overlaps = measure_overlaps(pictures, pairs, expected, reach, threads=threads)
    placement = _solve(places, overlaps)
    again = _look_again(pictures, placement, threads)
    return placement if again is None else _solve(places, again)


def _look_again(
    pictures: Sequence[Picture], placement: Placement, threads: int
) -> list[Overlap] | None:
    """Measure what failed once more, close to where the tiles must be by now."""
    if not any(overlap.ok for overlap in placement.overlaps):
        return None
    near = max(SECOND_LOOK_PX, SECOND_LOOK * np.nan_to_num(placement.stage.scatter))
    overlaps = list(placement.overlaps)
    failed = [k for k, overlap in enumerate(overlaps) if not overlap.ok]
    pairs = [(overlaps[k].first, overlaps[k].second) for k in failed]
    expected = np.array([placement.positions[j] - placement.positions[i] for i, j in pairs])
    found = measure_overlaps(pictures, pairs, expected, near, threads=threads)
    mended = False
    for k, overlap in zip(failed, found, strict=True):
        if overlap.ok and np.abs(overlap.displacement - expected[failed.index(k)]).max() < near:
            overlaps[k], mended = overlap, True
    # Those that were dropped for contradicting others must be judged anew with the rest.
    return overlaps if mended else None


def _solve(motor: Floats, overlaps: Sequence[Overlap]) -> Placement:
    """Fit map and positions to the overlaps that can be trusted."""
    overlaps = list(overlaps)
    good = [k for k, overlap in enumerate(overlaps) if overlap.ok]
    ends = np.array([(overlaps[k].first, overlaps[k].second) for k in good], np.int64)
    ends = ends.reshape(-1, 2)
    measured = np.array([overlaps[k].displacement for k in good]).reshape(-1, 2)
    information = np.array([_tempered(overlaps[k].information) for k in good]).reshape(-1, 2, 2)
    steps = motor[ends[:, 1]] - motor[ends[:, 0]] if good else np.zeros((0, 2))
    stage = fit_stage(steps, measured, information, blocks=ends[:, 0])
    predicted = motor @ stage.matrix.T
    beyond = measured - steps @ stage.matrix.T
    scatter = _stage_scatter(stage, information)
    off, weights = _fit_offsets(ends, beyond, information, len(motor), scatter)
    suspect = stage.weights < DROPPED
    kept = _confirmed(ends, weights >= DROPPED, suspect)
    if (kept != (weights >= DROPPED)).any():
        off, _ = _fit_offsets(
            ends, beyond, information * kept[:, np.newaxis, np.newaxis], len(motor), scatter
        )
    positions = predicted + off
    residuals = np.array(
        [o.displacement - (positions[o.second] - positions[o.first]) for o in overlaps]
    ).reshape(-1, 2)
    for k, keep in zip(good, kept, strict=True):
        if not keep:
            away = float(np.hypot(*residuals[k]))
            problem = f"contradicts the other overlaps by {away:.1f} px"
            overlaps[k] = replace(overlaps[k], problem=problem)
    return Placement(
        motor=motor, positions=positions, predicted=predicted, stage=stage,
        overlaps=tuple(overlaps), residuals=residuals,
    )  # fmt: skip


def _stage_scatter(stage: StageFit, information: Floats) -> float:
    """Tell how far a tile may lie from where the stage says, in one direction, pixels."""
    if not np.isfinite(stage.scatter):
        return UNKNOWN_SCATTER_PX
    noise = float(np.mean(np.trace(np.linalg.inv(information), axis1=1, axis2=2))) / 2
    # An overlap's displacement is off by two tiles' errors.
    beyond = np.sqrt(max(stage.scatter**2 - noise, 0.0) / 2)
    return max(PRIOR_WIDENING * float(beyond), LEAST_SCATTER_PX)


def _tempered(information: Floats) -> Floats:
    """Widen a covariance by what it does not hold."""
    return np.asarray(np.linalg.inv(np.linalg.inv(information) + USUAL_ERROR_PX**2 * np.eye(2)))


def _fit_offsets(
    ends: NDArray[np.int64], beyond: Floats, information: Floats, n: int, scatter: float
) -> tuple[Floats, Floats]:
    """Fit each tile's offset from where the stage says; robust against wrong overlaps.

    Returns
    -------
    offsets of shape (n, 2), weights of the overlaps from 0 to 1
    """
    weights = (information[:, 0, 0] > 0).astype(np.float64)
    known = weights > 0
    near = np.ones(n)
    offsets = np.zeros((n, 2))
    for turn in range(ROUNDS):
        normal, moment = _normal_equations(ends, beyond, information, weights, n)
        normal[np.arange(2 * n), np.arange(2 * n)] += np.repeat(near, 2) / scatter**2
        offsets = np.asarray(np.linalg.solve(normal, moment).reshape(n, 2))
        rest = beyond - (offsets[ends[:, 1]] - offsets[ends[:, 0]])
        length = np.sqrt(np.einsum("ni,nij,nj->n", rest, information, rest) / 2)
        usual = float(np.median(length[known])) / 0.83 if known.any() else 1.0
        scale = max(usual, 1.0)
        if turn < LEAST_DISTANCE_ROUNDS:
            weights = np.where(known, 1 / np.maximum(length / scale, 0.5), 0.0)
        else:
            inside = np.clip(length / (TUKEY * scale), 0, 1)
            weights = np.where(known, (1 - inside**2) ** 2, 0.0)
        # A tile that several overlaps find elsewhere may be there: stages lose steps.
        near = 1 / (1 + np.sum(offsets**2, axis=1) / (3 * scatter) ** 2)
    return offsets, weights


def _normal_equations(
    ends: NDArray[np.int64], beyond: Floats, information: Floats, weights: Floats, n: int
) -> tuple[Floats, Floats]:
    """Write what the overlaps say about the offsets as a matrix (2n, 2n) and a right-hand side."""
    normal = np.zeros((n, 2, n, 2))
    moment = np.zeros((n, 2))
    for (i, j), value, own, weight in zip(ends, beyond, information, weights, strict=True):
        block = weight * own
        normal[i, :, i] += block
        normal[j, :, j] += block
        normal[i, :, j] -= block
        normal[j, :, i] -= block
        moment[j] += block @ value
        moment[i] -= block @ value
    return normal.reshape(2 * n, 2 * n), moment.reshape(2 * n)


def _confirmed(
    ends: NDArray[np.int64], used: NDArray[np.bool_], suspect: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Leave out overlaps that are far from what the stage does and that no loop confirms."""
    kept = used.copy()
    for k in np.flatnonzero(used & suspect):
        others = kept.copy()
        others[k] = False
        n = int(ends.max()) + 1
        links = coo_array((np.ones(int(others.sum())), tuple(ends[others].T)), shape=(n, n))
        _, groups = connected_components(links, directed=False)
        if groups[ends[k, 0]] != groups[ends[k, 1]]:
            kept[k] = False
    return kept
