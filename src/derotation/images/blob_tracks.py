"""Group the blobs of several images by their places, and follow them over the turn.

The center and the tilt with which most blobs lie on ellipses are looked for; a blob's track is what
then falls on one place when it is turned back. Positions are (x, y) in pixels.
"""

import logging
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.spatial import cKDTree

from derotation.errors import InputError
from derotation.images.blob_detection import Blobs
from derotation.images.ellipses.positions import foreshortening
from derotation.images.ellipses.shared import SharedEllipses, fit_shared_ellipses
from derotation.images.ellipses.tracks import BlobTracks
from derotation.maps import transforms

__all__ = ["cluster_blobs", "link_blobs", "link_in_place"]

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]

# Votes for the center are counted in bins of this side (px).
VOTE_BIN = 2.0
VOTE_BLOBS = 15
VOTE_PAIRS = 300
# Two images tell the center by |I - R(d)| = 2 |sin(d / 2)| of the turn d between them.
MIN_LEVERAGE = 0.5
# Planes that are tried (see `foreshortening`): up to a tilt of 50 degrees.
PLANE_STEP = 0.04
MAX_PLANE = 0.22
N_STARTS = 3
# With this part of all blobs linked, no other start is tried.
ENOUGH = 0.4
# How far from its predicted place a blob may be (px) as the model becomes better.
REACHES = (6.0, 3.5, 2.5)
# A track must hold this part of the images, and its positions scatter by no more than this (px).
MIN_TRACK = 0.25
MAX_SCATTER = 1.5
SEED = 0


def cluster_blobs(
    blobs: Sequence[Blobs], *, eps: float = 5.0, min_samples: int = 2
) -> list[tuple[NDArray[np.intp], Floats]]:
    """Group the blobs of several images by their places (DBSCAN [1]_).

    Parameters
    ----------
    blobs : sequence of Blobs
        One per image.
    eps : float
        Distance in pixels within which two blobs are neighbors.
    min_samples : int
        A blob with so many neighbors, itself included, is the core of a group.

    Returns
    -------
    list of (image, positions)
        For each group the numbers of the images, shape (m,), and the places (x, y), shape (m, 2);
        the group seen in most images first, and among equals the most compact one.

    References
    ----------
    .. [1] M. Ester et al., "A density-based algorithm for discovering clusters in large spatial
       databases with noise", Proc. KDD 96, 226-231 (1996)
    """
    if not eps > 0 or min_samples < 1:
        raise InputError(f"eps is {eps} and min_samples {min_samples}; expected > 0 and >= 1")
    image = np.repeat(np.arange(len(blobs)), [len(b) for b in blobs])
    if not len(image):
        return []
    positions = np.concatenate([b.positions for b in blobs])
    pairs = cKDTree(positions).query_pairs(eps, output_type="ndarray")
    n_neighbors = 1 + np.bincount(pairs.ravel(), minlength=len(image))
    core = n_neighbors >= min_samples
    both = pairs[core[pairs].all(axis=1)]
    ones = np.ones(len(both), np.int8)
    graph = sparse.coo_array((ones, (both[:, 0], both[:, 1])), shape=(len(image), len(image)))
    _, label = sparse.csgraph.connected_components(graph, directed=False)
    label = np.where(core, label, -1)
    # What is no core itself joins a core nearby.
    for a, b in ((0, 1), (1, 0)):
        joins = pairs[core[pairs[:, a]] & ~core[pairs[:, b]]]
        label[joins[:, b]] = label[joins[:, a]]
    groups = [np.flatnonzero(label == name) for name in np.unique(label[label >= 0])]
    found = [(image[members], positions[members]) for members in groups]
    return sorted(
        found, key=lambda group: (-len(np.unique(group[0])), float(group[1].std(axis=0).sum()))
    )


def link_blobs(
    blobs: Sequence[Blobs], angles: Floats, shape: tuple[int, ...], *, plane: bool = True
) -> BlobTracks:
    """Follow blobs that were detected in images (height, width) at known angles.

    See :meth:`derotation.images.blobs.BlobDetection.track_blobs`.
    """
    least = max(5, int(np.ceil(MIN_TRACK * len(angles))))
    best: tuple[int, BlobTracks] | None = None
    for center, tilt in _starts(blobs, angles, shape, plane):
        tracks = _grow(blobs, angles, center, tilt, least, plane)
        if tracks is not None and (best is None or int(tracks.found.sum()) > best[0]):
            best = int(tracks.found.sum()), tracks
            # A wrong center or tilt would link a few blobs at most.
            if best[0] > ENOUGH * sum(len(b) for b in blobs):
                break
    if best is None:
        counts = [len(b) for b in blobs]
        raise InputError(
            f"no blob can be followed over the turn: {min(counts, default=0)} to "
            f"{max(counts, default=0)} blobs were detected per image, but none of them lies on an "
            f"ellipse in {least} of {len(angles)} images. Is there structure in the mean images, "
            "and do angles and movie belong together?"
        )
    logger.info(
        "%d blobs were followed, each in %d to %d of %d images",
        len(best[1]),
        best[1].found.sum(axis=1).min(),
        best[1].found.sum(axis=1).max(),
        len(angles),
    )
    return best[1]


def link_in_place(
    blobs: Sequence[Blobs], reach: float, least: int
) -> list[tuple[NDArray[np.intp], Floats]]:
    """Join the blobs of derotated images that lie within `reach` (px) of a common place.

    Returns the images, shape (m,), and places, shape (m, 2), of each blob that is seen in at least
    `least` images; at most one place per image.
    """
    image, positions = _pooled(blobs)
    if not len(image):
        return []
    chosen = _common_places(positions, image, reach, least)
    return [(image[members], positions[members]) for members in chosen]


def _starts(
    blobs: Sequence[Blobs], angles: Floats, shape: tuple[int, ...], plane: bool
) -> list[tuple[Floats, Floats]]:
    """Vote for the center under each of many tilts: the best few (center, plane).

    In the stretched plane all is a pure rotation, and the two places p, q of one blob at angles
    that differ by d tell the center: (I - R) c = q - R p. Wrong pairs of blobs vote at random.
    """
    points = [b.first(VOTE_BLOBS).positions for b in blobs]
    ballots = _pairs(points, angles)
    if not ballots:
        return []
    p, q, turn = (np.concatenate(part) for part in zip(*ballots, strict=True))
    turns = transforms.rotation_matrices(turn).transpose(0, 2, 1)
    solve = np.linalg.inv(np.eye(2) - turns)
    ranked: list[tuple[float, Floats, Floats]] = []
    for tilt in _planes() if plane else [np.zeros(2)]:
        squeeze = foreshortening(tilt)
        stretch = np.linalg.inv(squeeze)
        from_, to = p @ stretch, q @ stretch
        centers = np.einsum("nij,nj->ni", solve, to - np.einsum("nij,nj->ni", turns, from_))
        height, center = _poll(centers @ squeeze, shape)
        ranked.append((height, center, tilt))
    ranked.sort(key=lambda entry: -entry[0])
    return [(center, tilt) for _, center, tilt in ranked[:N_STARTS]]


def _pairs(points: Sequence[Floats], angles: Floats) -> list[tuple[Floats, Floats, Floats]]:
    """Pair the blobs of two images with leverage: places in one, in the other, turn between."""
    first, second = np.triu_indices(len(angles), 1)
    turn = angles[second] - angles[first]
    useful = 2 * np.abs(np.sin(np.radians(turn) / 2)) >= MIN_LEVERAGE
    filled = np.array([len(p) > 0 for p in points])
    useful &= filled[first] & filled[second]
    chosen = np.flatnonzero(useful)
    if len(chosen) > VOTE_PAIRS:
        chosen = np.random.default_rng(SEED).choice(chosen, VOTE_PAIRS, replace=False)
    ballots = []
    for i in chosen:
        a, b = points[first[i]], points[second[i]]
        ballots.append(
            (
                np.repeat(a, len(b), axis=0),
                np.tile(b, (len(a), 1)),
                np.full(len(a) * len(b), turn[i]),
            )
        )
    return ballots


def _planes() -> list[Floats]:
    """Give planes that cover all tilts up to a limit evenly."""
    steps = np.arange(-MAX_PLANE, MAX_PLANE + 1e-9, PLANE_STEP)
    steps = steps - steps[np.argmin(np.abs(steps))]
    grid = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    return list(grid[np.hypot(*grid.T) <= MAX_PLANE])


def _poll(votes: Floats, shape: tuple[int, ...]) -> tuple[float, Floats]:
    """Count votes in and around the picture: how far the peak stands out, and where it is."""
    height, width = shape
    low = np.array([-0.25 * width, -0.25 * height])
    n_x, n_y = (int(1.5 * n / VOTE_BIN) + 1 for n in (width, height))
    x, y = np.floor((votes - low) / VOTE_BIN).T
    inside = (x >= 0) & (x < n_x) & (y >= 0) & (y < n_y)
    cell = (y[inside] * n_x + x[inside]).astype(np.intp)
    counts = np.bincount(cell, minlength=n_x * n_y).reshape(n_y, n_x).astype(np.float64)
    smooth = ndimage.gaussian_filter(counts, 1.2, mode="constant")
    excess = smooth - ndimage.gaussian_filter(counts, 12.0, mode="constant")
    row, column = np.unravel_index(np.argmax(excess), excess.shape)
    return float(excess[row, column]), low + (np.array([column, row]) + 0.5) * VOTE_BIN


def _grow(
    blobs: Sequence[Blobs],
    angles: Floats,
    center: Floats,
    tilt: Floats,
    least: int,
    plane: bool,
) -> BlobTracks | None:
    """Link blobs by a model and fit the model to the tracks, in turns; None if none is left."""
    tracks: BlobTracks | None = None
    back: Callable[[Floats, Floats], Floats] = _turner(center, tilt)
    for reach in REACHES:
        tracks = _link(blobs, angles, back, reach, least)
        if tracks is None:
            return None
        try:
            fit = fit_shared_ellipses(tracks, plane=plane, start=center)
        except InputError:
            return None
        center = np.array(fit.center)
        back = _turner(center, _plane_of(fit))
    kept = _consistent(tracks, fit, least) if tracks is not None else None
    return kept


def _plane_of(fit: SharedEllipses) -> Floats:
    cos = np.cos(np.radians(fit.plane_angle))
    size = (1 - cos) / (1 + cos)
    twice = np.radians(2 * fit.plane_orientation)
    return np.asarray(size * np.array([np.cos(twice), np.sin(twice)]))


def _turner(center: Floats, tilt: Floats) -> Callable[[Floats, Floats], Floats]:
    """Make the function that turns places back to where they are at rest."""
    squeeze = foreshortening(tilt)
    stretch = np.linalg.inv(squeeze)

    def back(positions: Floats, angles: Floats) -> Floats:
        matrices = squeeze @ transforms.rotation_matrices(angles) @ stretch
        return np.asarray(np.einsum("nij,nj->ni", matrices, positions - center) + center)

    return back


def _link(
    blobs: Sequence[Blobs],
    angles: Floats,
    back: Callable[[Floats, Floats], Floats],
    reach: float,
    least: int,
) -> BlobTracks | None:
    """Join the blobs that fall on one place when turned back; one per image and track."""
    image, positions = _pooled(blobs)
    if not len(image):
        return None
    chosen = _common_places(back(positions, angles[image]), image, reach, least)
    if not chosen:
        return None
    sigmas = np.concatenate([b.sigmas for b in blobs])
    return _as_tracks(chosen, image, positions, sigmas, angles)


def _pooled(blobs: Sequence[Blobs]) -> tuple[NDArray[np.intp], Floats]:
    image = np.repeat(np.arange(len(blobs)), [len(b) for b in blobs])
    return image, np.concatenate([np.empty((0, 2)), *[b.positions for b in blobs]])


def _common_places(
    rest: Floats, image: NDArray[np.intp], reach: float, least: int
) -> list[NDArray[np.intp]]:
    """Group places that lie together in many images, those of most images first."""
    tree = cKDTree(rest)
    free = np.ones(len(image), np.bool_)
    near = tree.query_ball_point(rest, reach)
    popularity = np.array([len(set(image[members])) for members in near])
    chosen: list[NDArray[np.intp]] = []
    for seed in np.argsort(-popularity, kind="stable"):
        if popularity[seed] < least:
            break
        if not free[seed]:
            continue
        members = np.array([m for m in near[seed] if free[m]], np.intp)
        middle = np.median(rest[members], axis=0)
        members = np.array([m for m in tree.query_ball_point(middle, reach) if free[m]], np.intp)
        if not len(members):
            continue
        order = members[np.argsort(np.hypot(*(rest[members] - middle).T), kind="stable")]
        _, first = np.unique(image[order], return_index=True)
        if len(first) < least:
            continue
        # Other blobs as near are doubles of this one; they must not become tracks of their own.
        free[members] = False
        chosen.append(order[first])
    return chosen


def _as_tracks(
    chosen: Sequence[NDArray[np.intp]],
    image: NDArray[np.intp],
    positions: Floats,
    sigmas: Floats,
    angles: Floats,
) -> BlobTracks:
    where = np.zeros((len(chosen), len(angles), 2))
    found = np.zeros((len(chosen), len(angles)), np.bool_)
    for k, members in enumerate(chosen):
        where[k, image[members]] = positions[members]
        found[k, image[members]] = True
    sizes = np.array([np.median(sigmas[members]) for members in chosen])
    order = np.argsort(-sizes, kind="stable")
    return BlobTracks(
        angles=angles, positions=where[order], found=found[order], sigmas=sizes[order]
    )


def _consistent(tracks: BlobTracks, fit: SharedEllipses, least: int) -> BlobTracks | None:
    """Leave out tracks that do not lie on their ellipse."""
    away = np.hypot(*np.moveaxis(tracks.positions - fit.predicted, -1, 0))
    scatter = np.array(
        [np.median(d[f]) if f.any() else np.inf for d, f in zip(away, tracks.found, strict=True)]
    )
    keep = (scatter < MAX_SCATTER) & (tracks.found.sum(axis=1) >= least)
    if not keep.any():
        return None
    return BlobTracks(
        angles=tracks.angles,
        positions=tracks.positions[keep],
        found=tracks.found[keep],
        sigmas=tracks.sigmas[keep],
    )
