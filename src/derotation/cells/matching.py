"""The same cell in several sessions: ROIs of one field of view, matched one to one."""

import csv
import io
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from derotation.cells.rois import Rois
from derotation.io.files import write_text

__all__ = ["MatchedCells", "match_cells"]

logger = logging.getLogger(__name__)

NDFloat = NDArray[np.float64]
NDInt = NDArray[np.int64]

# Pairs that score less are no pairs.
MIN_SCORE = 0.25
# Displaced copies: so many, each by so much (px), in units of the largest distance of a pair.
N_COPIES = 8
COPY_DISTANCE = 4.0
# A displacement that all have in common is taken away if so many pairs tell it.
MIN_PAIRS = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatchedCells:
    """Which ROIs of several sessions are one cell: a row per ROI, ordered by cells."""

    cell: NDInt
    """Number of the cell, from 1 on; the same for ROIs that are one. Shape (row,)."""
    session: tuple[str, ...]
    """The session of each row."""
    roi: NDInt
    """Number of the ROI in its session, shape (row,)."""
    place: NDFloat
    """Centroid (x, y) in the reference's picture, px, shape (row, 2)."""
    score: NDFloat
    """Likeness to the cell as other sessions showed it, 0 to 1; NaN where it was seen first."""
    probability: NDFloat
    """Chance that it is the same cell, from the scores of displaced copies; NaN as `score`."""
    false_matches: dict[str, float]
    """Part of a session's matches that is expected to be wrong, by sessions: displaced copies make
    so many matches that score as high as the worst one."""

    @property
    def sessions_of_cell(self) -> NDInt:
        """In how many sessions the cell of each row was found, shape (row,)."""
        return np.asarray(np.bincount(self.cell, minlength=1)[self.cell], np.int64)

    def save(self, path: str | os.PathLike[str], reference: str = "") -> None:
        """Write a table; see :meth:`text`."""
        write_text(path, self.text(reference))

    def text(self, reference: str = "", *, header: bool = True) -> str:
        """Give the rows as a table of comma-separated values."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        if header:
            writer.writerow(
                [
                    "reference", "cell", "session", "roi", "x_px", "y_px", "sessions", "score",
                    "probability",
                ]
            )  # fmt: skip
        for k, n in enumerate(self.sessions_of_cell.tolist()):
            numbers = [
                "" if np.isnan(value) else f"{value:.4g}"
                for value in (self.score[k], self.probability[k])
            ]
            x, y = (f"{value:.3f}" for value in self.place[k])
            writer.writerow(
                [reference, int(self.cell[k]), self.session[k], int(self.roi[k]), x, y, n, *numbers]
            )
        return stream.getvalue()


def match_cells(
    rois: Mapping[str, Rois],
    maps: Mapping[str, ArrayLike] | None = None,
    *,
    farthest: float = 6.0,
) -> MatchedCells:
    """Find the same cells in several sessions.

    Parameters
    ----------
    rois : mapping of str to Rois
        By sessions, the reference first.
    maps : mapping of str to array_like of shape (2, 3) or (3, 3), optional
        Map (x, y) from a session's picture to that of the reference, for those that are not drawn
        there already.
    farthest : float
        ROIs whose centroids lie further apart are not one cell, px.

    Returns
    -------
    MatchedCells

    Notes
    -----
    One session after the other is matched with the cells that were found before, in whichever
    session, so that a cell may be silent in the reference. Pairs are chosen so that the sum of
    scores is highest (Hungarian method [1]_); the score is the mean of the overlap (intersection
    over union) and of the nearness of centroids. What all pairs of a session are displaced by is
    taken away before. How many matches are false is estimated by copies of the session's ROIs that
    are displaced by several cells, as the distribution of scores by chance: the probability of a
    pair is 1 - (chance that a displaced ROI scores as high) / (chance that a ROI does); the idea of
    such a probability is that of [2]_.

    References
    ----------
    .. [1] H. W. Kuhn, "The Hungarian method for the assignment problem", Nav. Res. Logist. Q. 2,
       83-97 (1955), doi:10.1002/nav.3800020109
    .. [2] L. Sheintuch et al., "Tracking the same neurons across multiple days in Ca2+ imaging
       data", Cell Rep. 21, 1102-1115 (2017), doi:10.1016/j.celrep.2017.10.013
    """
    shape = next(iter(rois.values())).shape
    there = {
        name: own if maps is None or name not in maps else own.carried(maps[name], shape)
        for name, own in rois.items()
    }
    cells: list[Rois] = []
    rows: list[tuple[int, str, int, float, float, float, float]] = []
    false = {}
    for name, own in there.items():
        known = _joined(cells, shape)
        own = own.take(np.arange(len(own)))
        shift = _common_shift(known, own, farthest)
        pairs, scores = _pairs(known, own, farthest, shift)
        chance = _scores_by_chance(known, own, farthest, shift)
        probability = _probability(scores, chance)
        false[name] = 1 - float(probability.min()) if len(probability) else 0.0
        partner = dict(zip(pairs[:, 1].tolist(), range(len(pairs)), strict=True))
        places = own.centroids - shift
        for k in range(len(own)):
            pair = partner.get(k)
            single = own.take([k])
            if pair is None:
                cells.append(single)
                cell, score, sure = len(cells), np.nan, np.nan
            else:
                cell = int(pairs[pair, 0]) + 1
                # As it was seen last: cells change slowly.
                cells[cell - 1] = single
                score, sure = float(scores[pair]), float(probability[pair])
            rows.append((cell, name, int(own.number[k]), *places[k].tolist(), score, sure))
    rows.sort(key=lambda row: row[0])
    matched = MatchedCells(
        cell=np.array([row[0] for row in rows], np.int64),
        session=tuple(row[1] for row in rows),
        roi=np.array([row[2] for row in rows], np.int64),
        place=np.array([row[3:5] for row in rows], np.float64).reshape(-1, 2),
        score=np.array([row[5] for row in rows], np.float64),
        probability=np.array([row[6] for row in rows], np.float64),
        false_matches=false,
    )
    several = len(np.unique(matched.cell[matched.sessions_of_cell > 1]))
    logger.info(
        "%d cells, %d of them in several of %d sessions; matches that are expected to be wrong: %s",
        len(cells), several, len(rois),
        ", ".join(f"{name} {part:.1%}" for name, part in false.items()),
    )  # fmt: skip
    return matched


def _joined(cells: list[Rois], shape: tuple[int, int]) -> Rois:
    """Put ROIs of one cell each together."""
    return Rois.of(
        [np.stack([cell.row, cell.column]) for cell in cells],
        shape,
        weights=[cell.weight for cell in cells],
    )


def _pairs(known: Rois, own: Rois, farthest: float, shift: NDFloat) -> tuple[NDInt, NDFloat]:
    """Choose pairs (index among the known, index among the own), and give their scores."""
    if not len(known) or not len(own):
        return np.empty((0, 2), np.int64), np.empty(0)
    moved = np.rint(shift).astype(np.int64)
    if moved.any():
        first, second = known.centroids, own.centroids - shift
        own = _displaced(own, -moved)
    else:
        first, second = known.centroids, own.centroids - shift
    score = _scores(known, own, first, second, farthest)
    chosen = np.stack(linear_sum_assignment(-score), axis=1)
    reached = score[chosen[:, 0], chosen[:, 1]]
    kept = reached >= MIN_SCORE
    return chosen[kept].astype(np.int64), reached[kept]


def _scores(known: Rois, own: Rois, first: NDFloat, second: NDFloat, farthest: float) -> NDFloat:
    """Score all pairs: 0 where centroids lie too far apart, (known, own)."""
    masks = [one.sparse.astype(bool).astype(np.float64) for one in (known, own)]
    common = (masks[0] @ masks[1].T).toarray()
    union = known.n_pixels[:, np.newaxis] + own.n_pixels[np.newaxis, :] - common
    away = np.linalg.norm(first[:, np.newaxis] - second[np.newaxis], axis=2)
    near = np.clip(1 - away / farthest, 0, 1)
    return np.where(away <= farthest, 0.5 * common / np.maximum(union, 1) + 0.5 * near, 0.0)


def _displaced(rois: Rois, by: NDInt) -> Rois:
    """Move all by whole pixels (x, y); what leaves the picture is kept, at its border."""
    height, width = rois.shape
    return Rois(
        number=rois.number,
        start=rois.start,
        row=np.clip(rois.row + by[1], 0, height - 1),
        column=np.clip(rois.column + by[0], 0, width - 1),
        weight=rois.weight,
        shape=rois.shape,
    )


def _common_shift(known: Rois, own: Rois, farthest: float) -> NDFloat:
    """Tell by how much (x, y) a session's ROIs lie off, as the median of nearest pairs."""
    nothing = np.zeros(2)
    if len(known) < MIN_PAIRS or len(own) < MIN_PAIRS:
        return nothing
    tree, places = cKDTree(known.centroids), own.centroids
    shift = nothing
    for _ in range(3):
        away, nearest = tree.query(places - shift)
        near = np.asarray(away <= farthest)
        if near.sum() < MIN_PAIRS:
            return nothing
        shift = np.median(places[near] - known.centroids[np.asarray(nearest)[near]], axis=0)
    return np.asarray(shift)


def _scores_by_chance(known: Rois, own: Rois, farthest: float, shift: NDFloat) -> NDFloat:
    """Give the scores of pairs with copies of the ROIs that are displaced."""
    scores = [np.empty(0)]
    for k in range(N_COPIES):
        turn = 2 * np.pi * k / N_COPIES
        way = COPY_DISTANCE * farthest * np.array([np.cos(turn), np.sin(turn)])
        moved = _displaced(own, np.rint(way).astype(np.int64))
        scores.append(_pairs(known, moved, farthest, shift)[1])
    return np.concatenate(scores)


def _probability(scores: NDFloat, chance: NDFloat) -> NDFloat:
    """Tell how likely each pair is one cell: 1 - (chance scores as high) / (all as high)."""
    if not len(scores):
        return np.empty(0)
    order = np.argsort(-scores)
    as_high = np.arange(1, len(scores) + 1)
    by_chance = np.array([np.sum(chance >= scores[k]) for k in order]) / N_COPIES
    sure = 1 - np.minimum(by_chance / as_high, 1)
    found = np.empty(len(scores))
    # A higher score is never less sure.
    found[order] = np.maximum.accumulate(sure[::-1])[::-1]
    return found
