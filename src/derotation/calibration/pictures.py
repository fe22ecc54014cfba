"""Pictures that are not stored as they were scanned: rows and columns exchanged, or upside down."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.calibration.geometry import Geometry, best_correlated
from derotation.images.sample import Sample, most_turned

__all__ = ["OtherPicture", "try_pictures"]

# Pictures are compared at about this size (px).
SIZE = 128
# Frames of which other pictures are tried.
N_PICTURES = 12
# Another picture fits better by so much correlation, and so many standard errors.
MIN_DIFFERENCE, MIN_ERRORS = 0.05, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherPicture:
    """Another picture of the same data that fits clearly better."""

    rows_reversed: bool
    """Lines from the last to the first."""
    exchanged: bool
    """Rows for columns."""
    opposite: bool
    """Whether angles have to be the opposite ones, too."""
    correlation: float
    """Mean correlation with the sample at rest."""
    own: float
    """The same of the pictures as they are."""

    @property
    def cure(self) -> str:
        """What to set, as the end of a sentence."""
        steps = [("transpose", self.exchanged), ("flip_rows", self.rows_reversed)]
        undo = ", ".join(name for name, holds in steps if holds)
        if not self.opposite:
            return f"set movie.undo: [{undo}]"
        # Turned by right angles, or scanned as it is but with angles of the wrong sign.
        return (
            f"set movie.undo: [{undo}, flip_columns], or, if left and right are as they were "
            f"scanned, movie.undo: [{undo}] and the other angles.direction_sign"
        )

    @property
    def words(self) -> str:
        """How the picture fits better."""
        said = (
            ("with rows and columns exchanged", self.exchanged),
            ("with the lines from the last to the first (upside down)", self.rows_reversed),
            ("turned the other way", self.opposite),
        )
        return " and ".join(text for text, holds in said if holds)


def try_pictures(sample: Sample, center: ArrayLike, *, threads: int = 1) -> OtherPicture | None:
    """Turn pictures upside down, exchange rows and columns, and see whether that fits better.

    A picture whose lines run otherwise than it is told keeps none of the movement within a frame;
    one that is the mirror image turns the other way besides.

    Parameters
    ----------
    sample : Sample
        Turned frames.
    center : array_like of shape (2,)
        Center (x, y) in pixels as far as it is known.
    threads : int
        Threads that share the frames.

    Returns
    -------
    OtherPicture or None
        None if none fits clearly better.
    """
    turned = sample.select(most_turned(sample, N_PICTURES))
    few = turned.binned(max(min(sample.shape) // SIZE, 1))
    center = np.asarray(center, np.float64)
    own = best_correlated(few, [Geometry.about(center)], threads)[1][0]
    best: tuple[float, OtherPicture] | None = None
    height, width = sample.shape
    for exchanged in (False, True):
        if exchanged and height != width:
            continue
        for rows_reversed in (False, True):
            if not (exchanged or rows_reversed):
                continue
            tried = _pictured(few, exchanged=exchanged, rows_reversed=rows_reversed)
            x, y = center[::-1] if exchanged else center
            geometry = Geometry.about((x, height - 1 - y if rows_reversed else y))
            for opposite in (False, True):
                asked = tried.turned_over() if opposite else tried
                found = best_correlated(asked, [geometry], threads)[1][0]
                if _clearly_better(found, own) and (best is None or found.mean() > best[0]):
                    picture = OtherPicture(
                        rows_reversed=rows_reversed,
                        exchanged=exchanged,
                        opposite=opposite,
                        correlation=float(found.mean()),
                        own=float(own.mean()),
                    )
                    best = (float(found.mean()), picture)
    return None if best is None else best[1]


def _pictured(sample: Sample, *, exchanged: bool, rows_reversed: bool) -> Sample:
    """Give the sample's pictures otherwise; lines keep their angles, in the order of time."""

    def other(images: NDArray[np.float32]) -> NDArray[np.float32]:
        images = images.swapaxes(-1, -2) if exchanged else images
        return np.ascontiguousarray(images[..., ::-1, :] if rows_reversed else images)

    return dataclasses.replace(
        sample,
        reference=other(sample.reference),
        parts=other(sample.parts),
        frames=other(sample.frames),
        rest=None,
    )


def _clearly_better(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Tell whether frames correlate more, and by more than chance."""
    gain = one - other
    if len(gain) < 2:
        return False
    error = float(np.std(gain, ddof=1)) / np.sqrt(len(gain))
    return bool(gain.mean() > max(MIN_DIFFERENCE, MIN_ERRORS * error))
