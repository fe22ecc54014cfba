"""Mean images of the sample at each angle: as recorded, or derotated about a trial center.

As recorded they show where everything goes when the sample is turned; derotated they show what
still moves. An angle at which nothing was recorded is an error, or is left out if that is asked
for; it never becomes an image of NaN.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.io.movie import Movie
from derotation.maps.line_maps import LineAngles, LineMaps, Placement
from derotation.maps.shapes import check_lines
from derotation.maps.timing import LineTiming
from derotation.numerics.by_rows import by_rows
from derotation.numerics.degrees import wrapped
from derotation.numerics.means import mean_of_known
from derotation.numerics.thinning import thinned
from derotation.signals.angles import Angles

__all__ = [
    "DerotatedMeans",
    "MeanImages",
    "mean_images_at_rest",
    "mean_images_of_arrays",
    "mean_images_of_derotated",
]

logger = logging.getLogger(__name__)

Missing = Literal["error", "skip"]

# Lines of a frame at rest lie so close to its angle (degrees): half a tick of a usual encoder.
TOLERANCE = 0.1
# Frames read, or derotated, at once (bytes as float32).
BLOCK_BYTES = 32e6
# Frames that are kept in memory, as recorded, to be derotated about many trial centers (bytes).
KEPT_BYTES = 300e6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeanImages:
    """One mean image per angle."""

    angles: NDArray[np.float64]
    """Degrees in 0 <= angle < 360, ascending, shape (n,)."""
    images: NDArray[np.float32]
    """Mean images, shape (n, y, x). Pixels that no frame saw hold the mean of those seen."""
    counts: NDArray[np.int64]
    """Number of frames in each mean, at least 1, shape (n,)."""
    seen: NDArray[np.bool_]
    """Pixels that at least one frame saw, shape (n, y, x)."""

    def __len__(self) -> int:
        return len(self.angles)


def mean_images_at_rest(
    movie: Movie,
    angles: Angles,
    *,
    targets: ArrayLike | None = None,
    tolerance: float = TOLERANCE,
    near: float | None = None,
    max_frames: int | None = None,
    missing: Missing = "error",
) -> MeanImages:
    """Average the recorded frames that stand at each angle (protocol ``incremental``).

    Parameters
    ----------
    movie : Movie
        Only the frames that are used are read, block by block.
    angles : Angles
        Angles of all lines of the movie.
    targets : array_like of shape (n,), optional
        Angles in degrees, modulo 360. None: all angles at which the sample stood for a frame.
    tolerance : float
        A frame stands at an angle if all its lines lie within so many degrees of it.
    near : float, optional
        Frames whose lines all lie within so many degrees count too, with a weight that falls
        from 1 at `tolerance` to 0 at `near`. None: only frames that stand.
    max_frames : int, optional
        Use at most so many frames per angle, spread over the session.
    missing : {"error", "skip"}
        What to do about a target at which no frame stands.

    Returns
    -------
    MeanImages

    Raises
    ------
    InputError
        If movie and angles do not belong together, or if there is no frame at a target; the
        message names the angles that are missing and those at which frames stand.
    """
    check_lines(angles, movie.shape, str(movie.paths[0]))
    weights, wanted = _weigh_lines(
        angles.line_angles, angles.line_usable, targets, tolerance, near, missing
    )
    chosen = [thinned(np.flatnonzero(column > 0), max_frames) for column in weights.T]
    images = np.empty((len(wanted), *movie.shape[1:]), np.float32)
    for k, frames in enumerate(chosen):
        total = np.zeros(movie.shape[1:])
        for part in _blocks(frames, movie.shape):
            total += np.tensordot(weights[part, k], movie.read(part).astype(np.float64), 1)
        images[k] = total / weights[frames, k].sum()
    return MeanImages(
        angles=wanted,
        images=images,
        counts=np.array([len(frames) for frames in chosen], np.int64),
        seen=np.ones(images.shape, np.bool_),
    )


def mean_images_of_arrays(
    image_stack: ArrayLike,
    angles: ArrayLike,
    *,
    targets: ArrayLike | None = None,
    tolerance: float = TOLERANCE,
    near: float | None = None,
    missing: Missing = "error",
) -> MeanImages:
    """Average the frames of an array that stand at each angle.

    Parameters
    ----------
    image_stack : array_like of shape (frame, y, x)
        NaN pixels were not seen.
    angles : array_like of shape (frame,) or (frame, y)
        Angle of each frame, or of each of its lines, in degrees.
    targets, tolerance, near, missing
        As in :func:`mean_images_at_rest`.

    Returns
    -------
    MeanImages

    Raises
    ------
    InputError
        If the shapes do not agree, or if there is no frame at a target.
    """
    stack, given = np.asarray(image_stack), np.asarray(angles, np.float64)
    if stack.ndim != 3 or given.ndim not in (1, 2) or len(given) != len(stack):
        raise InputError(
            f"image_stack has the shape {stack.shape} and angles {given.shape}; expected "
            "(frame, y, x) and (frame,) or (frame, line), with as many frames"
        )
    lines = given.reshape(len(given), -1)
    weights, wanted = _weigh_lines(lines, np.isfinite(lines), targets, tolerance, near, missing)
    known = np.isfinite(stack)
    values = np.where(known, stack, 0)
    means = [_mean_of(values, known, column) for column in weights.T]
    return MeanImages(
        angles=wanted,
        images=np.stack([image for image, _ in means]),
        counts=np.count_nonzero(weights, axis=0).astype(np.int64),
        seen=np.stack([seen for _, seen in means]),
    )


def mean_images_of_derotated(
    movie: Movie,
    line_maps: LineMaps,
    *,
    targets: ArrayLike | int = 36,
    half_width: float | None = None,
    max_frames: int | None = None,
    missing: Missing = "error",
    threads: int = 1,
) -> MeanImages:
    """Derotate the frames of each angle and average them (protocol ``full``).

    Parameters
    ----------
    movie : Movie
        Only the frames that are used are read, block by block.
    line_maps : LineMaps
        Where all lines of the movie belong.
    targets : array_like of shape (n,), or int
        Angles in degrees, modulo 360: negative turns count for the same angles as positive ones.
        A number stands for so many angles evenly spaced over the turn, from 0 on.
    half_width : float, optional
        A frame belongs to the nearest target if the angle in its middle lies within so many
        degrees. None: half the smallest distance of two targets.
    max_frames : int, optional
        Use at most so many frames per angle, spread over the session.
    missing : {"error", "skip"}
        What to do about a target near which there is no frame.
    threads : int
        Threads that share the frames.

    Returns
    -------
    MeanImages

    Raises
    ------
    InputError
        If movie and angles do not belong together, or if there is no frame near a target.
    """
    groups, wanted = _group(movie, line_maps.angles, targets, half_width, max_frames, missing)
    means = [_derotated_mean(movie.read, frames, frames, line_maps, threads) for frames in groups]
    return _collect(means, groups, wanted)


class DerotatedMeans:
    """Mean images per angle, derotated about one trial center after the other.

    The frames that the mean images use are chosen and read once; each trial derotates only those.

    Parameters
    ----------
    movie : Movie
        The recorded movie.
    angles : Angles
        Angles of all its lines, as the signals tell them.
    timing : LineTiming, optional
        When the samples within a line are recorded; by default as `angles` says, in one direction.
    threads : int
        Threads that share the frames.
    n_angles : int
        Angles evenly spaced over the turn; those without any frame are left out.
    frames_per_angle : int
        Frames per angle; fewer if they would take more than 300 MB.

    Raises
    ------
    InputError
        If movie and angles do not belong together.
    """

    def __init__(
        self,
        movie: Movie,
        angles: Angles,
        *,
        n_angles: int = 36,
        frames_per_angle: int = 4,
        timing: LineTiming | None = None,
        threads: int = 1,
    ) -> None:
        frame_bytes = movie.shape[1] * movie.shape[2] * movie.dtype.itemsize
        affordable = int(KEPT_BYTES // (frame_bytes * n_angles))
        groups, self.angles = _group(
            movie, angles, n_angles, None, max(min(frames_per_angle, affordable), 1), "skip"
        )
        self.frames = np.concatenate(groups)
        """Numbers of the frames used, shape (n_frames,)."""
        self._recorded = movie.read(self.frames)
        self._all_angles = angles
        ends = np.cumsum([len(frames) for frames in groups])
        self._groups = [
            np.arange(end - len(frames), end) for end, frames in zip(ends, groups, strict=True)
        ]
        self._timing = timing
        self._threads = threads

    def __len__(self) -> int:
        return len(self.angles)

    def __call__(self, placement: Placement) -> MeanImages:
        """Derotate by a calibration, or by a guess of one, and average."""
        line_maps = LineMaps.of(self._all_angles, placement, timing=self._timing)
        means = [
            _derotated_mean(
                self._recorded.__getitem__, group, self.frames[group], line_maps, self._threads
            )
            for group in self._groups
        ]
        return _collect(means, self._groups, self.angles)


def difference(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Give a - b of angles in degrees, -180 <= difference < 180, broadcast."""
    return wrapped(np.subtract(a, b, dtype=np.float64))


def _weigh_lines(
    line_angles: NDArray[np.float64],
    usable: NDArray[np.bool_],
    targets: ArrayLike | None,
    tolerance: float,
    near: float | None,
    missing: Missing,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weigh each frame at each target: weights (frame, n), targets (n,)."""
    if tolerance < 0 or (near is not None and near <= tolerance):
        raise InputError(
            f"tolerance is {tolerance} and near is {near} degrees; the first must not be negative "
            "and the second must be larger than the first, or None"
        )
    whole = np.asarray(usable.all(axis=1))
    still = whole & (by_rows(partial(np.ptp, axis=1), line_angles) <= 2 * tolerance)
    middles = by_rows(lambda lines: lines.mean(axis=1), line_angles)
    standing = _standing(middles[still], tolerance)
    wanted = standing if targets is None else _targets(targets)
    if not len(wanted):
        raise InputError(
            f"in no frame do all lines lie within {tolerance:g} degrees of one angle, so there is "
            "no mean image of the sample at rest; mean images of derotated frames need no rests"
        )
    # Some lines for one target at a time: the whole table would be as large as a movie.
    weights = np.empty((len(line_angles), len(wanted)))
    for k, target in enumerate(wanted):
        distance = by_rows(partial(_farthest, target=target), line_angles)
        weights[:, k] = distance <= tolerance + 1e-9
        if near is not None:
            weights[:, k] = np.clip((near - distance) / (near - tolerance), 0, 1)
    weights[~whole] = 0
    return _without_missing(weights, wanted, standing, missing)


def _without_missing(
    weights: NDArray[np.float64],
    wanted: NDArray[np.float64],
    available: NDArray[np.float64],
    missing: Missing,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Leave out, or complain about, targets without frames."""
    there = (weights > 0).any(axis=0)
    if not there.all() and missing == "error":
        raise InputError(
            f"no frame was recorded at {_listed(wanted[~there])}; frames stand at "
            f"{_listed(available)}. Was the recording cut short, or does degrees_per_step differ?"
        )
    if not there.any():
        raise InputError(f"no frame was recorded at any of {_listed(wanted)}")
    return weights[:, there], wanted[there]


def _listed(angles: NDArray[np.float64]) -> str:
    """Name angles in a message."""
    shown = ", ".join(f"{angle:g}" for angle in angles[:40].round(2))
    more = f" and {len(angles) - 40} more" if len(angles) > 40 else ""
    return f"{shown or 'no angle'}{more} degrees" if len(angles) else "no angle"


def _targets(targets: ArrayLike | int) -> NDArray[np.float64]:
    """Sort targets into one turn; the same angle given twice counts once."""
    if isinstance(targets, int | np.integer):
        if targets < 1:
            raise InputError(f"the number of angles is {targets}; at least 1 is needed")
        return np.asarray(np.arange(targets) * (360.0 / int(targets)))
    given = np.atleast_1d(np.asarray(targets, np.float64)).ravel()
    if not np.isfinite(given).all() or not given.size:
        raise InputError(f"targets are {targets!r}; expected angles in degrees")
    return np.unique(np.round(np.mod(given, 360.0), 9) % 360.0)


def _farthest(line_angles: NDArray[np.float64], target: float) -> NDArray[np.float64]:
    """Tell how far the farthest line of each frame lies from an angle, degrees."""
    return np.asarray(np.abs(difference(line_angles, target)).max(axis=1))


def _standing(angles: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """Find the angles at which frames stand; those of n frames that do not turn, shape (n,)."""
    if not len(angles):
        return np.empty(0)
    # On the circle around one of the angles nothing is cut in two, unless rests fill the circle.
    first = angles[0]
    offset = np.sort(difference(angles, first))
    groups = np.split(offset, np.flatnonzero(np.diff(offset) > max(tolerance, 1e-6)) + 1)
    # Frames that were still settling must not draw the angle of the rest towards theirs.
    found = np.array([first + np.median(group) for group in groups])
    if len(found) > 1 and found[-1] - found[0] > 360.0 - max(tolerance, 1e-6):
        found = found[:-1]
    found[np.abs(difference(found, 0.0)) < tolerance / 2] = 0.0
    return np.sort(np.round(np.mod(found, 360.0), 6) % 360.0)


def _blocks(frames: NDArray[np.intp], shape: tuple[int, ...]) -> Iterator[NDArray[np.intp]]:
    size = max(int(BLOCK_BYTES // (4 * shape[-1] * shape[-2])), 1)
    for first in range(0, len(frames), size):
        yield frames[first : first + size]


def _group(
    movie: Movie,
    angles: LineAngles,
    targets: ArrayLike | int,
    half_width: float | None,
    max_frames: int | None,
    missing: Missing,
) -> tuple[list[NDArray[np.intp]], NDArray[np.float64]]:
    """Sort frames by the angle in their middle: frames per target, targets."""
    check_lines(angles, movie.shape, str(movie.paths[0]))
    wanted = _targets(targets)
    gaps = np.diff(wanted, append=wanted[0] + 360.0)
    reach = float(gaps.min()) / 2 if half_width is None else half_width
    usable = angles.line_usable.all(axis=1)
    middle = np.where(usable, angles.middle, 0.0)
    away = np.abs(difference(middle[:, np.newaxis], wanted))
    nearest = np.argmin(away, axis=1)
    # A little more than half the distance, so that what lies right between two is not lost.
    inside = usable & (away[np.arange(len(away)), nearest] <= reach + 1e-9)
    weights = (inside[:, np.newaxis] & (nearest[:, np.newaxis] == np.arange(len(wanted)))) * 1.0
    found = np.unique(np.round(np.mod(middle[usable], 360.0)) % 360.0)
    weights, wanted = _without_missing(weights, wanted, found, missing)
    return [thinned(np.flatnonzero(column), max_frames) for column in weights.T], wanted


def _derotated_mean(
    read: Callable[[NDArray[np.intp]], NDArray[Any]],
    places: NDArray[np.intp],
    frames: NDArray[np.intp],
    line_maps: LineMaps,
    threads: int,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Average derotated frames, which `read` finds at some places, where they saw something."""
    total: NDArray[np.float64] | float = 0.0
    count: NDArray[np.float64] | float = 0.0
    side = line_maps.angles.line_angles.shape[1]
    for part in _blocks(np.arange(len(frames)), (side, side)):
        derotated = line_maps.derotate(
            read(places[part]), frames[part], dtype=np.float32, threads=threads, keep_seen=True
        )
        assert derotated.seen is not None
        known = derotated.seen & np.isfinite(derotated.frames)
        total = total + np.sum(derotated.frames, axis=0, dtype=np.float64, where=known)
        count = count + known.sum(axis=0)
    return _divide(np.asarray(total), np.asarray(count))


def _mean_of(
    values: NDArray[Any], known: NDArray[np.bool_], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Average frames by their weights where they are known."""
    used = weights > 0
    total = np.tensordot(weights[used], values[used].astype(np.float64), 1)
    return _divide(total, np.tensordot(weights[used], known[used].astype(np.float64), 1))


def _divide(
    total: NDArray[np.float64], count: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Divide; what was not seen gets the mean of the rest, which no blob detector can mistake."""
    seen = count > 0
    mean = mean_of_known(total, count, 0.0)
    mean[~seen] = mean[seen].mean() if seen.any() else 0.0
    return mean.astype(np.float32), seen


def _collect(
    means: list[tuple[NDArray[np.float32], NDArray[np.bool_]]],
    groups: list[NDArray[np.intp]],
    wanted: NDArray[np.float64],
) -> MeanImages:
    return MeanImages(
        angles=wanted,
        images=np.stack([image for image, _ in means]),
        counts=np.array([len(frames) for frames in groups], np.int64),
        seen=np.stack([seen for _, seen in means]),
    )
