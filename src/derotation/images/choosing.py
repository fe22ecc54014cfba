"""Which frames of a session are compared: those at rest, and turned ones at all angles."""

import logging

import numpy as np
from numpy.typing import NDArray

from derotation.errors import CenterError
from derotation.images.offset import estimate_pmt_offset, lit_frames
from derotation.io.movie import Movie
from derotation.maps.line_maps import LineAngles
from derotation.numerics.by_rows import by_rows
from derotation.numerics.degrees import wrapped
from derotation.numerics.thinning import thinned
from derotation.signals.angles import Angles

__all__ = [
    "FRAMES_AT_ONCE",
    "MIN_FRAMES",
    "choose_frames",
    "lit_ones",
    "reference_frames",
    "spread",
]

logger = logging.getLogger(__name__)

# Frames at rest that are averaged to the reference.
MAX_REST_FRAMES = 100
# A frame tells about the center only by |I - R(a)| = 2 |sin(a / 2)|; this is 11.5 degrees.
MIN_LEVERAGE = 0.2
ANGLE_BINS = 72
MIN_FRAMES = 8
# Where nothing rests at angle 0, this part of the frames, those nearest to it, make the reference.
NEAR_ZERO, MIN_NEAR_ZERO = 0.06, 3
# Frames that are kept in memory, as recorded.
MAX_BYTES = 300e6
FRAMES_AT_ONCE = 4


def reference_frames(angles: LineAngles) -> NDArray[np.int64]:
    """Choose the frames that show the sample at rest at angle 0, or else nearest to that.

    Parameters
    ----------
    angles : Angles
        Angles of all lines.

    Returns
    -------
    ndarray of shape (n,)
        Numbers of frames, ascending. If none was at rest at angle 0: the 6 % of the usable frames
        that lie nearest to it, at least 3, whether they turn or not; none if no frame is usable.
    """
    rest = np.flatnonzero(angles.at_rest)
    if len(rest):
        return rest.astype(np.int64)
    usable = np.flatnonzero(angles.line_usable.all(axis=1))
    away = by_rows(_from_zero, angles.line_angles)[usable]
    n = max(round(NEAR_ZERO * len(usable)), MIN_NEAR_ZERO)
    nearest = usable[np.argsort(away, kind="stable")[:n]]
    return np.sort(nearest).astype(np.int64)


def _from_zero(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tell how far the farthest line of each frame lies from angle 0, degrees."""
    return np.asarray(np.abs(wrapped(lines)).max(axis=1))


def choose_frames(
    angles: Angles, n_frames: int, movie: Movie
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose frames at rest, and turned ones that spread evenly over the circle."""
    usable, middle = angles.line_usable.all(axis=1), angles.middle
    leverage = np.abs(2 * np.sin(np.deg2rad(np.where(usable, middle, 0.0)) / 2))
    turned = usable & (leverage >= MIN_LEVERAGE)
    if turned.sum() < MIN_FRAMES:
        msg = (
            f"only {int(turned.sum())} frames were recorded more than 11 degrees away from angle "
            f"0, but {MIN_FRAMES} are needed to tell how the sample turns; give the center as "
            "center.fixed, or a calibration in the sample sheet"
        )
        raise CenterError(msg)
    rest = reference_frames(angles)
    affordable = int(MAX_BYTES // (movie.shape[1] * movie.shape[2] * movie.dtype.itemsize))
    if affordable < n_frames:
        logger.info("%d frames are compared instead of %d, to save memory", affordable, n_frames)
    candidates = np.flatnonzero(turned)
    wanted = max(min(n_frames, affordable), MIN_FRAMES)
    return thinned(rest, MAX_REST_FRAMES), spread(candidates, middle[candidates], wanted)


def lit_ones(
    movie: Movie, rest: NDArray[np.int64], turned: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Leave out frames that were recorded without light: the laser off, the shutter closed."""
    numbers = np.concatenate([rest, turned])
    offset = estimate_pmt_offset(movie)
    means = [
        movie.read(block).mean(axis=(1, 2), dtype=np.float64)
        for block in np.array_split(numbers, -(-len(numbers) // FRAMES_AT_ONCE))
    ]
    brightness = np.concatenate(means)
    lit = lit_frames(brightness - offset)
    if lit.all() or not (brightness > offset).any():
        return rest, turned
    logger.warning("%d of %d frames are dark and are left out", np.count_nonzero(~lit), len(lit))
    lit_rest, lit_turned = rest[lit[: len(rest)]], turned[lit[len(rest) :]]
    if not len(lit_rest) or len(lit_turned) < MIN_FRAMES:
        msg = (
            f"of the frames to compare, only {len(lit_rest)} at rest and {len(lit_turned)} turned "
            f"ones are lit; at least 1 and {MIN_FRAMES} are needed. Was the laser on? Else give "
            "the center as center.fixed, or a calibration in the sample sheet"
        )
        raise CenterError(msg)
    return lit_rest, lit_turned


def spread(numbers: NDArray[np.intp], angles: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Keep at most n, taking turns among bins of the circle: rests at one angle do not dominate."""
    bins = np.floor(np.mod(angles, 360.0) / (360.0 / ANGLE_BINS)).astype(np.int64)
    rank = np.empty(len(numbers))
    for b in np.unique(bins):
        members = np.flatnonzero(bins == b)
        # Within a bin, first the ends and the middle of the session, then what lies between.
        order = np.argsort(np.argsort(_van_der_corput(len(members)), kind="stable"))
        rank[members[order]] = np.arange(len(members))
    # Among frames of the same rank, bins far from each other come first.
    bin_order = np.argsort(np.argsort(_van_der_corput(ANGLE_BINS), kind="stable"))
    chosen = np.lexsort((bin_order[bins], rank))[:n]
    return np.asarray(np.sort(numbers[chosen]), dtype=np.int64)


def _van_der_corput(n: int) -> NDArray[np.float64]:
    """Give n points that fill [0, 1) evenly at every stage (radical inverse in base 2)."""
    points, scale, rest = np.zeros(n), 0.5, np.arange(n)
    while rest.any():
        points += scale * (rest % 2)
        rest, scale = rest // 2, scale / 2
    return points
