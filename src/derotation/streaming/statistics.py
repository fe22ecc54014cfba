"""What was learned about a movie while it passed by, so that it is never read again.

A :class:`derotation.streaming.collector.Collector` has looked at each frame once, as recorded and
derotated; :mod:`derotation.quality.measure` judges a session by what it learned.
"""

import os
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.images.offset import lit_frames
from derotation.io.files import save_npz
from derotation.io.results import check_arrays, open_result

__all__ = ["FrameStatistics", "Statistics"]

_KIND = "derotation statistics"
_VERSION = 7
_SCALARS = (
    "side", "n_rest", "highest", "at_highest", "often_highest", "told_frame_rate", "offset",
)  # fmt: skip
_AXES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("coverage", "brightness", "correlation", "raw_correlation"), ("frame",)),
    **dict.fromkeys(("angle", "n_frames"), ("bin",)),
    **dict.fromkeys(("mean", "raw_mean", "seen"), ("bin", "square row", "square column")),
    **dict.fromkeys(("turned_mean", "raw_turned_mean", "rest", "raw_rest", "own_rest"), ("y", "x")),
    **dict.fromkeys(("phase_px", "phase_sd_px"), ("part",)),
    "phase_frames": ("part", "first and last"),
    **dict.fromkeys(("checked", "angle_difference", "angle_difference_sd"), ("checked frame",)),
    "checked_shift": ("checked frame", "x and y"),
    "kept": ("kept frame",),
    "kept_frames": ("kept frame", "y", "x"),
    "segment_mean": ("segment", "row", "column"),
    **dict.fromkeys(_SCALARS, ()),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameStatistics:
    """What is known about single frames, as in :class:`Statistics`."""

    coverage: NDArray[np.float64]
    """Fraction of the pixels inside the mask that were seen, shape (frame,)."""
    brightness: NDArray[np.float64]
    """Brightness in units of the sample at rest, shape (frame,)."""

    @property
    def lit(self) -> NDArray[np.bool_]:
        """Tell which frames were lit, see :func:`derotation.images.offset.lit_frames`: (frame,)."""
        return lit_frames(self.brightness)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Statistics:
    """What is known about a movie and its frames, besides the movie itself."""

    coverage: NDArray[np.float64]
    """Fraction of the pixels inside the mask that were seen, shape (frame,)."""
    brightness: NDArray[np.float64]
    """Brightness above the detector's offset of what each derotated frame saw, in units of the
    sample at rest in the same pixels, shape (frame,). About 1; near 0 where the laser was off. NaN
    where nothing was seen, or if no frame was recorded at rest."""
    correlation: NDArray[np.float64]
    """Correlation of each derotated frame with the sample at rest, over the pixels that both saw,
    shape (frame,); NaN where it is not defined."""
    raw_correlation: NDArray[np.float64]
    """The same of each frame as it was recorded, over all pixels."""
    angle: NDArray[np.float64]
    """Middle of each bin of angles in degrees, ascending, shape (bin,); only bins with frames."""
    n_frames: NDArray[np.int64]
    """Frames in each bin; those at rest at angle 0 are not among them, shape (bin,)."""
    side: int
    """Side of the squares of pixels that are averaged in images by angle, which are compared at
    about 256 pixels; rows and columns that are left over are dropped."""
    mean: NDArray[np.float32]
    """Mean of the derotated frames of each bin, shape (bin, y // side, x // side); NaN where there
    is a pixel that none saw."""
    raw_mean: NDArray[np.float32]
    """Mean of these frames as recorded, of the same shape."""
    seen: NDArray[np.bool_]
    """Squares of which at least half of a bin's frames saw each pixel, of the same shape."""
    turned_mean: NDArray[np.float32]
    """Mean of all derotated frames that were turned (y, x); NaN where none saw a pixel."""
    raw_turned_mean: NDArray[np.float32]
    """Mean of these frames as recorded (y, x)."""
    rest: NDArray[np.float32]
    """The sample at rest, as the derotated movie shows it (y, x): a mean of frames at rest; NaN
    outside the mask, where it was not seen, and everywhere if no frame was recorded at rest."""
    raw_rest: NDArray[np.float32]
    """The mean of the same frames as they were recorded (y, x)."""
    own_rest: NDArray[np.float32]
    """Their mean after derotation within the session's own field of view, neither moved to that of
    a reference nor masked or lit evenly (y, x): what recorded frames can be compared with. The
    pixels that none of them saw are as in `raw_rest`."""
    n_rest: int
    """Frames at rest that were averaged to it, 0 if there were none."""
    phase_frames: NDArray[np.int64]
    """First and last of these frames in successive parts of the session, shape (part, 2)."""
    phase_px: NDArray[np.float64]
    """What odd lines of these parts, as recorded, lie further right than even ones, pixels, shape
    (part,); NaN where that cannot be told."""
    phase_sd_px: NDArray[np.float64]
    """Its standard uncertainty."""
    kept: NDArray[np.int64]
    """Numbers of some turned frames, spread over angles, directions and the session, (n,)."""
    kept_frames: NDArray[Any]
    """These frames as they were recorded, shape (n, y, x)."""
    checked: NDArray[np.int64]
    """Numbers of the frames whose recorded angle was compared with the picture, shape (m,)."""
    angle_difference: NDArray[np.float64]
    """Seen minus recorded angle of these frames, degrees; NaN where nothing could be compared."""
    angle_difference_sd: NDArray[np.float64]
    """Its standard uncertainty, degrees."""
    checked_shift: NDArray[np.float64]
    """How much further right and down these frames, derotated, lie than the first ones of the
    session, pixels, shape (m, 2); NaN where nothing could be compared."""
    segment_mean: NDArray[np.float32]
    """Mean of the derotated frames of each segment (:class:`derotation.signals.segments.Segments`),
    of squares of pixels, shape (segment, y', x'); NaN where less than half of a square was seen."""
    highest: float
    """The highest value that was recorded."""
    at_highest: float
    """Fraction of all samples that have it."""
    often_highest: float
    """Fraction of the pixels that have it in at least a tenth of all frames."""
    told_frame_rate: float
    """Frames per second as the movie's files say, Hz; NaN if they do not."""
    offset: float
    """What the detector gives without light, gray values."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save everything as an uncompressed `.npz`."""
        arrays: dict[str, ArrayLike] = {"kind": _KIND, "version": _VERSION}
        arrays.update({item.name: getattr(self, item.name) for item in fields(self)})
        save_npz(path, **arrays)

    @staticmethod
    def load_of_frames(path: str | os.PathLike[str]) -> "FrameStatistics":
        """Load only what :meth:`save` wrote about single frames: a small part of a large file.

        Raises
        ------
        InputError
            If the file holds something else, or something is missing.
        """
        names = ("coverage", "brightness")
        values = open_result(path, _KIND, _VERSION, only=names)
        check_arrays(path, values, {name: _AXES[name] for name in names})
        return FrameStatistics(**values)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Load what :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file holds something else, or something is missing.
        """
        values: dict[str, Any] = open_result(path, _KIND, _VERSION)
        check_arrays(path, values, _AXES, ("side", "n_rest", "offset"))
        for name in _SCALARS:
            values[name] = values[name].item()
        return cls(**values)

    @property
    def lit(self) -> NDArray[np.bool_]:
        """Tell which frames were lit, see :func:`derotation.images.offset.lit_frames`: (frame,)."""
        return lit_frames(self.brightness)
