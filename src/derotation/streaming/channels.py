"""Several channels in one pass: what their gray values mean, and their mean images."""

import logging
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from derotation.images.offset import estimate_pmt_offset
from derotation.io.movie import Movie
from derotation.light.gain import evenly_lit
from derotation.numerics.means import mean_of_known

__all__ = ["FurtherChannel", "FurtherMeans", "Light"]

logger = logging.getLogger(__name__)


class FurtherChannel(NamedTuple):
    """A channel that is derotated beside the one that calibrates."""

    movie: Movie
    """Its frames, as many as those of the other channel and of the same size and type."""
    output: str | os.PathLike[str] | None
    """The TIFF to be written, whole or not at all; None to compute only its mean."""


class Light(NamedTuple):
    """What a channel's gray values mean."""

    gain: NDArray[np.float32] | None
    """Factor that makes up for uneven illumination, (y, x)."""
    offset: float
    """What the detector gives without light."""
    blank: float
    """Value of the pixels that no line saw."""

    @classmethod
    def of_first(
        cls,
        gain: NDArray[np.float32] | None,
        offset: float,
        blank: float | None,
        dark: float,
    ) -> "Light":
        """Take the offset that is given; `dark`, the level of the darkest pixels, if no blank."""
        return cls(gain, offset, _blank(blank, dark, "Pixels"))

    @classmethod
    def of_further(
        cls, movie: Movie, gain: NDArray[np.float32] | None, blank: float | None
    ) -> "Light":
        """Tell a further channel's own level without light."""
        dark = estimate_pmt_offset(movie)
        return cls(gain, dark, _blank(blank, dark, f"In channel {movie.channel}, pixels"))

    def even(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Make up for uneven illumination."""
        return raw if self.gain is None else evenly_lit(raw, self.gain, self.offset)


def _blank(given: float | None, dark: float, which: str) -> float:
    if given is None:
        logger.info("%s that no line saw get %g, the level of the darkest pixels", which, dark)
    return dark if given is None else given


class FurtherMeans:
    """Mean images of further channels, summed up block by block.

    Parameters
    ----------
    channels : sequence of FurtherChannel
    shape : tuple of int
        Height and width of a frame.
    """

    def __init__(self, channels: Sequence[FurtherChannel], shape: tuple[int, int]) -> None:
        self._channels = channels
        self._totals = np.zeros((len(channels), *shape))
        self._counts = np.zeros((len(channels), *shape), np.int64)

    def add(self, blocks: Sequence[tuple[NDArray[Any], NDArray[np.bool_]]]) -> None:
        """Add derotated frames (n, y, x) of each channel, where they hold something."""
        for total, count, block in zip(self._totals, self._counts, blocks, strict=True):
            for frame, there in zip(*block, strict=True):
                np.add(total, frame, out=total, where=there)
                count += there

    def images(self, lights: Sequence[Light]) -> dict[int, NDArray[np.float32]]:
        """Give each channel's mean (y, x) by its number; blank where no frame holds anything."""
        return {
            channel.movie.channel: mean_of_known(total, count, light.blank).astype(np.float32)
            for channel, light, total, count in zip(
                self._channels, lights, self._totals, self._counts, strict=True
            )
        }

    def warn_of_gaps(self, n_seen: int) -> None:
        """Say where a channel holds nothing although the first does: seen.npz tells one."""
        for channel, count in zip(self._channels, self._counts, strict=True):
            missing = n_seen - int(count.sum())
            if missing > 0:
                logger.warning(
                    "Channel %d was not recorded (NaN) in %d of the %d pixels that the calibrating "
                    "channel saw; they are blank in its movie, and its mean leaves them out, but "
                    "seen.npz counts them as seen",
                    channel.movie.channel, missing, n_seen,
                )  # fmt: skip
