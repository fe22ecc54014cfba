"""What frames are compared with: the mean of derotated frames, built from the movie itself.

Some frames are derotated, those that are most alike are averaged to begin with (as Suite2p does
[1]_), all are laid upon that mean, and so on until they stay where they are. Nothing needs to have
been at rest.

.. [1] M. Pachitariu et al., "Suite2p: beyond 10,000 neurons with standard two-photon microscopy",
   bioRxiv 061507 (2017), doi:10.1101/061507
"""

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from derotation.io.movie import Movie
from derotation.maps.line_maps import LineMaps
from derotation.motion_correction.measure import (
    Frames,
    Images,
    Measured,
    Reference,
    bandpassed,
    derotated,
    in_blocks,
    measure,
    side_by_side,
    small_maps,
)
from derotation.numerics.thinning import thinned

__all__ = ["build_reference", "sample_frames"]

logger = logging.getLogger(__name__)

# The mean begins with so many frames that are most alike among some.
N_ALIKE, MOST_COMPARED = 20, 60
# Rounds end when displacements change by less than this (px, root mean square).
MAX_ROUNDS, SETTLED_PX = 4, 0.03
# A pixel is known if at least this part of the frames saw it.
MIN_SEEN = 0.25
# Frames that correlate less than this part of the usual are no part of the reference.
MIN_CORRELATION = 0.7
# Frames that correlate less than all but this part of those of the reference may lie elsewhere.
LEAST_ALIKE = 0.1

NDFloat = NDArray[np.float64]


def build_reference(frames: Frames, offset: float, factor: int, threads: int = 1) -> Reference:
    """Average derotated frames so that they lie upon each other.

    Parameters
    ----------
    frames : Frames
        Some frames, spread over the session.
    offset : float
        What the detector gives without light.
    factor : int
        Side of the squares of pixels that were averaged.
    threads : int
        Threads that share the frames.

    Returns
    -------
    Reference
    """
    n = len(frames.images)
    alike = _most_alike(frames)
    reference = Reference.of(_mean(frames[alike], np.zeros((len(alike), 2))), offset, factor)
    places = np.zeros((n, 2))
    for turn in range(MAX_ROUNDS):
        found = _measured(frames, reference, None if turn == 0 else places, threads)
        now = found.whole()
        good = np.isfinite(now).all(axis=1) & np.isfinite(found.correlation)
        if not good.any():
            break
        usual = float(np.median(found.correlation[good]))
        good &= found.correlation >= MIN_CORRELATION * usual
        now = np.where(good[:, np.newaxis], now, 0.0)
        # The mean is laid where its frames are on average: the rest would drift away with it.
        change = (now - places)[good]
        change -= change.mean(axis=0)
        places = now
        reference = Reference.of(_mean(frames[good], now[good] / factor), offset, factor)
        least = float(np.quantile(found.correlation[good], LEAST_ALIKE))
        reference = replace(reference, alike=least)
        moved = float(np.sqrt(np.mean(change**2)))
        logger.debug("Reference of the motion: frames moved by %.3f px (rms)", moved)
        if turn and moved < SETTLED_PX:
            break
    return reference


def _measured(
    frames: Frames, reference: Reference, starts: NDFloat | None, threads: int
) -> Measured:
    def look(part: slice) -> Measured:
        own = frames[part]
        return measure(own, reference, starts=None if starts is None else starts[part], bands=1)

    return Measured.joined(side_by_side(look, in_blocks(frames.images.shape), threads))


def _most_alike(frames: Frames) -> NDArray[np.int64]:
    """Choose the frame that is most like others, and these others."""
    looked = thinned(np.arange(len(frames.images)), MOST_COMPARED)
    everywhere = frames.usable.mean(axis=0) > 0.9
    flat = bandpassed(frames.images[looked], frames.usable[looked] & everywhere)
    flat = flat.reshape(len(looked), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    # Not `flat @ flat.T`: for so few numbers, threads of a linear algebra library cost more.
    correlation = np.einsum("ik,jk->ij", flat, flat)
    np.fill_diagonal(correlation, -1)
    most = min(N_ALIKE, len(looked) - 1)
    order = np.argsort(-correlation, axis=1)[:, :most]
    score = np.take_along_axis(correlation, order, axis=1).mean(axis=1)
    best = int(np.argmax(score))
    return np.asarray(looked[np.unique(np.append(order[best], best))], np.int64)


def _mean(frames: Frames, places: NDFloat) -> Images:
    """Average frames laid upon each other; places (n, 2) are (x, y) in small pixels.

    Frames are interpolated linearly: they have been smoothed before.
    """
    total = np.zeros(frames.images.shape[1:])
    count = np.zeros_like(total)
    height, width = frames.images.shape[1:]
    for image, usable, (x, y) in zip(frames.images, frames.usable, places, strict=True):
        column, row = int(np.floor(x)), int(np.floor(y))
        fx, fy = np.float32(x - column), np.float32(y - row)
        # Pixels (y, x) of the mean, and the four of the frame between which each of them lies.
        top, bottom = max(-row, 0), min(height - 1 - row, height)
        left, right = max(-column, 0), min(width - 1 - column, width)
        if bottom <= top or right <= left:
            continue
        here = slice(top + row, bottom + row + 1), slice(left + column, right + column + 1)
        own, there = image[here], usable[here]
        along = own[:, :-1] + fx * (own[:, 1:] - own[:, :-1])
        value = along[:-1] + fy * (along[1:] - along[:-1])
        seen = there[:-1, :-1] & there[1:, :-1] & there[:-1, 1:] & there[1:, 1:]
        total[top:bottom, left:right] += np.where(seen, value, 0)
        count[top:bottom, left:right] += seen
    mean = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=count >= max(MIN_SEEN * len(places), 1))
    return mean.astype(np.float32)


def sample_frames(
    movie: Movie, numbers: NDArray[np.int64], line_maps: LineMaps, threads: int
) -> Frames:
    """Read and derotate frames of these numbers."""
    maps, timing = small_maps(line_maps, numbers, movie.shape)

    def look(part: slice) -> Frames:
        return derotated(movie.read(numbers[part]), maps[part], timing)

    parts = side_by_side(look, in_blocks((len(numbers), *movie.shape[1:])), threads)
    return Frames.joined(parts)
