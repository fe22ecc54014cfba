"""The sample at rest, with which all frames are compared: the mean of frames at rest."""

import logging
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.images.bidi_phase import estimate_bidi_phase
from derotation.images.choosing import reference_frames
from derotation.images.offset import lit_frames
from derotation.io.movie import Movie
from derotation.light.gain import evenly_lit
from derotation.maps.line_maps import LineMaps
from derotation.numerics.means import mean_of_known
from derotation.numerics.thinning import thinned

__all__ = ["Rest", "ScanPhase", "average_rest"]

logger = logging.getLogger(__name__)

# Frames that are read before the others, how many of them are derotated at once, and how much
# memory they may take (bytes).
MAX_REST_FRAMES = 60
REST_AT_ONCE = 8
MAX_BYTES = 64e6
# Parts of the session for which the phase of the scan is told.
PHASE_PARTS = 6


class ScanPhase(NamedTuple):
    """The phase of the scan in successive parts of a session; NaN where it cannot be told."""

    frames: NDArray[np.int64]
    """First and last frame of each part, (part, 2)."""
    px: NDArray[np.float64]
    """By how much odd lines lie further right than even ones, (part,)."""
    sd_px: NDArray[np.float64]
    """Its standard uncertainty, (part,)."""


class Rest(NamedTuple):
    """The mean of frames at rest; NaN where none saw a pixel."""

    raw: NDArray[np.float64]
    """As recorded, (y, x)."""
    own: NDArray[np.float64]
    """Derotated within the session's own field of view; what none saw is as recorded."""
    derotated: NDArray[np.float64]
    """As the derotated movie shows it."""
    numbers: NDArray[np.int64]
    """The frames that were averaged."""
    phase: ScanPhase


def average_rest(
    movie: Movie,
    line_maps: LineMaps,
    gain: NDArray[np.float32] | None,
    offset: float,
    threads: int,
) -> Rest:
    """Average frames at rest, but for dark ones; NaN if there are none."""
    numbers = reference_frames(line_maps.angles)
    if not len(numbers):
        logger.warning("No frame has known angles: there is nothing to compare with")
        nothing = np.full(movie.shape[1:], np.nan)
        return Rest(nothing, nothing, nothing, numbers, _phase_along(numbers, np.empty((0, 0, 0))))
    frame_bytes = movie.shape[1] * movie.shape[2] * movie.dtype.itemsize
    chosen = thinned(numbers, min(MAX_REST_FRAMES, max(int(MAX_BYTES // frame_bytes), 1)))
    frames = movie.read(chosen)
    known = np.isfinite(frames)
    brightness: NDArray[np.float64] = np.mean(frames, axis=(1, 2), dtype=np.float64, where=known)
    lit = lit_frames(np.asarray(brightness - offset))
    if not lit.any():
        lit[:] = True
    frames, chosen = frames[lit], chosen[lit]
    total: NDArray[np.float64] = np.sum(frames, axis=0, dtype=np.float64, where=known[lit])
    count = known[lit].sum(axis=0)
    raw = mean_of_known(total, count)
    within = line_maps.without_movement()
    own = _mean_derotated(frames, chosen, within, threads)
    own = np.where(np.isfinite(own), own, raw)
    phase = _phase_along(chosen, frames)
    if gain is None and line_maps.movement is None:
        return Rest(raw, own, own, chosen, phase)
    even = frames if gain is None else evenly_lit(frames, gain, offset)
    derotated = _mean_derotated(even, chosen, line_maps, threads)
    return Rest(raw, own, derotated, chosen, phase)


def _phase_along(numbers: NDArray[np.int64], frames: NDArray[Any]) -> ScanPhase:
    """Tell the phase of the scan in each part of the session from frames at one angle."""
    shares = np.array_split(np.arange(len(numbers)), PHASE_PARTS)
    parts = [share for share in shares if len(share)]
    phase, sd = np.full(len(parts), np.nan), np.full(len(parts), np.nan)
    for k, part in enumerate(parts):
        try:
            found = estimate_bidi_phase(np.mean(frames[part], axis=0, dtype=np.float64))
        except InputError:  # the picture is too small
            continue
        if found.trusted:
            phase[k], sd[k] = found.phase_px, found.sd_px
    ends = [[numbers[part[0]], numbers[part[-1]]] for part in parts]
    return ScanPhase(np.array(ends, np.int64).reshape(-1, 2), phase, sd)


def _mean_derotated(
    frames: NDArray[Any], numbers: NDArray[np.int64], line_maps: LineMaps, threads: int
) -> NDArray[np.float64]:
    """Average derotated frames over those that saw a pixel; NaN where none did."""
    total, count = np.zeros(frames.shape[1:]), np.zeros(frames.shape[1:], np.int64)
    for first in range(0, len(frames), REST_AT_ONCE):
        part = slice(first, first + REST_AT_ONCE)
        found = line_maps.derotate(
            frames[part], numbers[part], dtype=np.float32, threads=threads, keep_seen=True
        )
        assert found.seen is not None
        known = found.seen & np.isfinite(found.frames)
        total += np.sum(found.frames, axis=0, dtype=np.float64, where=known)
        count += known.sum(axis=0)
    return mean_of_known(total, count)
