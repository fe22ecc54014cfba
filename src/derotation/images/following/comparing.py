"""What a frame says about the angle at its lines, and about a shift, against a mean image.

A frame that was derotated with an angle that is wrong by d (radians) at the time of a line shows
the sample S at q as ``S(q) + d (gx (y - cy) - gy (x - cx))``, with (gx, gy) the slopes of S and
(cx, cy) the center: d is fitted as the spline that acts at the frame's lines.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.images.following.spline import ORDER, Knots
from derotation.maps.resample import derotate_frames
from derotation.maps.timing import LineTiming
from derotation.numerics.regression import explain
from derotation.numerics.smoothing import smoothed

__all__ = ["Placed", "Reference", "Said", "compare", "placed"]

NDFloat = NDArray[np.float64]
Picture = NDArray[np.float32]

# Only each second pixel of smoothed pictures is compared.
STRIDE = 2
# Smoothed pixels count if so much of what was averaged had been seen.
SEEN = 0.99
# Fewer pixels than this tell nothing.
MIN_PIXELS = 100
# Nuisances: the mean image, alone and times x and y (light may fall off unevenly), and 1.
N_NUISANCE = 4
# Pixels of the mean image that fewer frames saw than this part of them are not compared.
MIN_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placed:
    """A frame put in its place."""

    frame: Picture
    seen: NDArray[np.bool_]
    line: Picture
    """The line (fractional) that saw each pixel."""


def placed(frame: NDArray[Any], maps: NDFloat, timing: LineTiming, *, lines: bool = True) -> Placed:
    """Derotate a frame, and tell which line saw what.

    Parameters
    ----------
    frame : ndarray of shape (y, x)
    maps : ndarray of shape (y, 2, 3)
        Of its lines.
    timing : LineTiming
    lines : bool
        Whether the lines are asked for.

    Returns
    -------
    Placed
    """
    own = maps[np.newaxis]
    found = derotate_frames(
        frame[np.newaxis],
        own,
        timing=timing,
        interpolation="linear",  # the fastest; pictures are smoothed before they are compared
        dtype=np.float32,
        keep_seen=True,
    )
    assert found.seen is not None
    line = np.zeros((0, 0), np.float32)
    if lines:
        # Interpolating is exact for numbers that rise from line to line.
        number = np.arange(frame.shape[0], dtype=np.float32)
        ramp = np.repeat(number[:, np.newaxis], frame.shape[1], axis=1)[np.newaxis]
        line = derotate_frames(ramp, own, timing=timing, interpolation="linear").frames[0]
    return Placed(frame=found.frames[0], seen=found.seen[0], line=line)


@dataclass(eq=False)
class Reference:
    """The mean of derotated frames."""

    total: NDFloat
    """Sum of what was seen, shape (y, x)."""
    count: NDFloat
    """How often each pixel was seen, shape (y, x)."""
    n_frames: int
    """Frames it is made of."""
    _smoothed: dict[float, tuple[Picture, Picture, Picture, NDArray[np.bool_]]] = field(
        default_factory=dict
    )

    @classmethod
    def none(cls, shape: tuple[int, int]) -> "Reference":
        """Begin with nothing."""
        return cls(np.zeros(shape), np.zeros(shape), 0)

    def with_frame(self, one: Placed) -> "Reference":
        """Add a frame."""
        return self._changed(one, 1)

    def without(self, one: Placed) -> "Reference":
        """Take a frame out again."""
        return self._changed(one, -1)

    def _changed(self, one: Placed, sign: int) -> "Reference":
        total = self.total + sign * np.where(one.seen, one.frame, 0)
        return Reference(total, self.count + sign * one.seen, self.n_frames + sign)

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Pixels that enough frames saw."""
        return np.asarray(self.count >= max(MIN_SHARE * self.n_frames, 1))

    @cached_property
    def mean(self) -> Picture:
        """The mean image; 0 where it is not known."""
        mean = np.where(self.known, self.total / np.maximum(self.count, 1), 0)
        return np.asarray(mean, np.float32)

    def smoothed(self, smoothing: float) -> tuple[Picture, Picture, Picture, NDArray[np.bool_]]:
        """Give the smoothed picture, its slopes in x and y, and where they are known."""
        if smoothing not in self._smoothed:
            picture, known = _smooth(self.mean, self.known, smoothing)
            slope_y, slope_x = np.gradient(picture)
            thinned = [_thin(np.asarray(part)) for part in (picture, slope_x, slope_y)]
            self._smoothed[smoothing] = (thinned[0], thinned[1], thinned[2], _thin(known))
        return self._smoothed[smoothing]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Said:
    """What a frame says: normal equations for steps of coefficients (degrees) and a shift (px)."""

    first: int
    """The first coefficient."""
    normal: NDFloat
    """Shape (m + 2, m + 2), the last two belong to the shift."""
    moment: NDFloat
    """Shape (m + 2,)."""
    correlation: float
    """Of the frame, as it was placed, with the mean image."""

    def without_shift(self, sd: float) -> tuple[NDFloat, NDFloat]:
        """Take the shift out of the equations; it is known to be 0 up to `sd` (px)."""
        shift = self.normal[-2:, -2:] + np.eye(2) / sd**2
        across = np.linalg.solve(shift, self.normal[-2:, :-2]).T
        return (
            self.normal[:-2, :-2] - across @ self.normal[-2:, :-2],
            self.moment[:-2] - across @ self.moment[-2:],
        )

    def together(self, sd: float) -> tuple[float, float]:
        """Tell the step (degrees) of all coefficients at once, and its standard uncertainty."""
        normal, moment = self.without_shift(sd)
        total = max(float(normal.sum()), 1e-30)
        return float(moment.sum()) / total, total**-0.5

    def shift(self, step: NDFloat, sd: float) -> NDFloat:
        """Tell the shift (px) if the coefficients take a step."""
        known = self.normal[-2:, -2:] + np.eye(2) / sd**2
        left = self.moment[-2:] - self.normal[-2:, :-2] @ step
        return np.asarray(np.linalg.solve(known, left))


def compare(
    one: Placed,
    reference: Reference,
    center: NDFloat,
    times: NDFloat,
    knots: Knots,
    smoothing: float,
) -> Said | None:
    """Compare a frame with the mean of others.

    Parameters
    ----------
    one : Placed
        The frame.
    reference : Reference
    center : ndarray of shape (2,)
        (x, y), pixels.
    times : ndarray of shape (y,)
        Of its lines.
    knots : Knots
        Of the spline.
    smoothing : float
        Displacements of up to about twice this (px) and the size of cells are found.

    Returns
    -------
    Said or None
        None if they have too little in common.
    """
    picture, known = (_thin(part) for part in _smooth(one.frame, one.seen, smoothing))
    mean, slope_x, slope_y, told = reference.smoothed(smoothing)
    inside = known & told
    if np.count_nonzero(inside) < MIN_PIXELS:
        return None
    y, x = np.nonzero(inside)
    target, same = (part[inside].astype(np.float64) for part in (picture, mean))
    along_x, along_y = (part[inside].astype(np.float64) for part in (slope_x, slope_y))
    turn = along_x * (STRIDE * y - center[1]) - along_y * (STRIDE * x - center[0])
    when = np.interp(_thin(one.line)[inside], np.arange(len(times)), times)
    interval, splines = knots.locate(when)
    first = int(interval.min())
    m = int(interval.max()) - first + ORDER
    design = np.zeros((m + 2 + N_NUISANCE, len(target)))
    pixel = np.arange(len(target))
    for k in range(ORDER):
        design[interval - first + k, pixel] = splines[:, k]
    design[:m] *= np.deg2rad(turn)
    height, width = known.shape
    falls = [same * (2 * x / width - 1), same * (2 * y / height - 1)]
    design[m:] = along_x, along_y, same, np.ones_like(same), *falls
    size = np.linalg.norm(design, axis=1)
    used = size > 1e-9 * size.max()
    used[m:] = True
    try:
        solution, _, near, left = explain(design[used], target)
    except np.linalg.LinAlgError:
        return None
    gain = float(solution[-N_NUISANCE])
    if not gain > 0:
        return None
    # White noise that was smoothed is alike within 4 pi smoothing^2 pixels.
    alike = max(4 * np.pi * smoothing**2 / STRIDE**2, 1.0)
    noise = max(float(near @ left**2 / near.sum()), 1e-30) * alike
    normal = (design * near) @ design.T / noise
    moment = (design * near) @ target / noise
    own, other = slice(0, m + 2), slice(m + 2, None)
    across = np.linalg.solve(normal[other, other], normal[other, own]).T
    centered = [part - part.mean() for part in (target, same)]
    norm = float(np.linalg.norm(centered[0]) * np.linalg.norm(centered[1]))
    return Said(
        first=first,
        normal=gain**2 * (normal[own, own] - across @ normal[other, own]),
        moment=gain * (moment[own] - across @ moment[other]),
        correlation=float(centered[0] @ centered[1]) / max(norm, 1e-30),
    )


def _smooth(
    picture: Picture, seen: NDArray[np.bool_], smoothing: float
) -> tuple[Picture, NDArray[np.bool_]]:
    """Smooth what was seen, and tell where it can be used."""
    weight = smoothed(seen, smoothing)
    smooth = smoothed(np.where(seen, picture, np.float32(0)), smoothing)
    known = weight > SEEN
    border = int(np.ceil(smoothing))
    known[:border] = known[-border:] = False
    known[:, :border] = known[:, -border:] = False
    return np.asarray(smooth / np.maximum(weight, 1e-3)), known


def _thin(picture: NDArray[Any]) -> NDArray[Any]:
    return picture[::STRIDE, ::STRIDE]
