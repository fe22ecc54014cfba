"""How far single frames are displaced in the sample's own frame.

Frames are averaged over squares of two pixels (which is enough for a displacement, and four times
faster), derotated by the calibration, smoothed, and explained by the reference and its slopes
(weighted least squares [1]_): only where both were seen, with noise that grows with the brightness,
with a brightness of its own for each small part of the picture, and with little regard to pixels
that differ much, since cells become active and leave the focus. A frame's lines are
divided into bands, each with a displacement of its own, since a frame takes a while.

.. [1] B. D. Lucas, T. Kanade, "An iterative image registration technique with an application to
   stereo vision", Proc. 7th IJCAI, 674-679 (1981).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from derotation.maps import transforms
from derotation.maps.line_maps import LineMaps
from derotation.maps.resample import derotate_frames
from derotation.maps.timing import LineTiming
from derotation.numerics.binning import binned
from derotation.numerics.pages import release, rows_of

__all__ = [
    "Frames",
    "Measured",
    "Reference",
    "bandpassed",
    "derotated",
    "in_blocks",
    "measure",
    "peaks",
    "side_by_side",
    "small_by",
    "small_maps",
]

NDFloat = NDArray[np.float64]
Images = NDArray[np.float32]

# Frames are averaged over squares of this side, if they are as large as this (px).
BINNING, BIN_ABOVE = 2, 96
SMOOTHING, TAPS = 0.7, 2
# Smoothed pixels are alike: only each second one in x and y is compared.
STRIDE = 2
BORDER = 3
# Side of the parts of the picture whose brightness may change by itself (small pixels), about: all
# are as large, since small ones take from the displacement what they tell about their brightness.
PART = 32
# This part of the pixels is compared: those with the steepest slopes. The others tell little: 0.7
# of them would be 1.5 % more exact, in 1.3 times the time.
STEEPEST = 0.5
# Bands of lines with a displacement of their own, and how many compared pixels each has at least.
BANDS, BAND_PIXELS = 8, 46
ROUNDS = 3
# Displacements up to this (small pixels) are found without looking for the peak first.
NEAR = 1.0
# What is as large as this or larger (in coarse pixels, each second one) is no cell.
COARSE, LARGEST = 2, 9
# The noise of pixels darker than this part of the mean counts like that.
DARKEST = 0.2
# Frames of so many pixels together are worked on at once.
PIXELS_AT_ONCE = 2**20
# Lines of a frame whose maps tell in which band a pixel was recorded.
ROWS = 9


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Derotated frames, small and smoothed."""

    images: Images
    """Shape (n, y, x); pixels that were not seen hold the mean."""
    usable: NDArray[np.bool_]
    """Where they can be compared, (n, y, x)."""
    rows: NDFloat
    """The row (a x + b y + c) of a frame in which a place was recorded, by some of its lines that
    are evenly spread from the first to the last, (n, line, 3)."""

    def __getitem__(self, which: slice | NDArray[Any]) -> "Frames":
        """Choose some of the frames."""
        return Frames(self.images[which], self.usable[which], self.rows[which])

    @classmethod
    def joined(cls, parts: "list[Frames]") -> "Frames":
        """Put those of several blocks one behind the other."""
        names = ("images", "usable", "rows")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def small_by(shape: tuple[int, ...]) -> int:
    """Tell the side of the squares that frames of a shape (..., y, x) are averaged over."""
    return BINNING if min(shape[-2:]) >= BIN_ABOVE else 1


def derotated(raw: NDArray[Any], maps: NDFloat, timing: LineTiming) -> Frames:
    """Derotate frames by what is known without motion, and smooth them.

    Parameters
    ----------
    raw : ndarray of shape (n, y, x)
        Frames as recorded.
    maps, timing
        Those of their small lines, see :func:`small_maps`.

    Returns
    -------
    Frames
    """
    from derotation.motion_correction import kernels

    factor = small_by(raw.shape)
    images = binned(raw, factor).astype(np.float32, copy=False)
    found = derotate_frames(
        images, maps, timing=timing, interpolation="linear", dtype=np.float32, keep_seen=True
    )
    assert found.seen is not None
    smooth = np.empty_like(found.frames)
    taps = np.exp(-0.5 * (np.arange(-TAPS, TAPS + 1) / SMOOTHING) ** 2).astype(np.float32)
    reach = int(np.ceil(2 * SMOOTHING))
    kernels.prepare_frames(found.frames, found.seen, taps / taps.sum(), reach, smooth)
    some = np.round(np.linspace(0, maps.shape[1] - 1, ROWS)).astype(int)
    return Frames(smooth, found.seen, transforms.invert(maps[:, some])[..., 1, :].copy())


def small_maps(
    line_maps: LineMaps, numbers: slice | NDArray[np.int64], shape: tuple[int, ...]
) -> tuple[NDFloat, LineTiming]:
    """Give maps and timing of the lines of small frames, whose pixels are averages.

    Parameters
    ----------
    line_maps : LineMaps
        Where lines belong; pixels are those of the full size.
    numbers : slice or ndarray
        Numbers of n frames in the movie.
    shape : tuple of int
        Their shape as recorded, (..., y, x).

    Returns
    -------
    maps : ndarray of shape (n, small line, 2, 3)
    timing : LineTiming
    """
    timing, factor = line_maps.timing, small_by(shape)
    if factor == 1:
        return line_maps(numbers), timing
    table = line_maps.angles.line_angles
    angles, times = rows_of(table, numbers), line_maps.angles.times_of(numbers)
    n_lines = angles.shape[1] // factor * factor
    each, when = (own[:, :n_lines].reshape(len(own), -1, factor) for own in (angles, times))
    # Between lines the angle changes by little, or by that and whole turns. Where all are the same,
    # the mean is so to the last bit: not even rounding may move frames at rest.
    turned = each - each[..., :1]
    turned -= 360 * np.round(turned / 360)
    maps = line_maps.at(each[..., 0] + turned.mean(axis=-1), when.mean(axis=-1))
    release(table)
    if timing.bidirectional:
        # Half of the lines lie further right; those of both directions share the mean time.
        if timing.phase_px:
            shift = transforms.translations(np.array([-timing.phase_px / 2, 0.0]))
            maps = transforms.compose(maps, shift)
        return transforms.binned(maps, factor), LineTiming()
    slower = LineTiming(line_duty=timing.line_duty / factor, line_reference=timing.line_reference)
    return transforms.binned(maps, factor), slower


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What frames are compared with."""

    image: Images
    """Small and smoothed, (y, x); NaN where the sample was not seen."""
    places: NDArray[np.int64]
    """Pixels (y, x) that are compared, those of each part of the picture together, (k, 2)."""
    parts: NDArray[np.int64]
    """Where each part begins among them, and where the last one ends, shape (p + 1,)."""
    columns: Images
    """What stands at these pixels, in units of the noise there: the light, its slopes along x and
    y, and 1; shape (4, k)."""
    spectrum: NDArray[np.complexfloating[Any, Any]]
    """With which a frame's is multiplied to find the peak of the correlation, see :func:`peaks`."""
    factor: int
    """Side of the squares of pixels that were averaged."""
    alike: float = np.inf
    """A frame that correlates at least so much lies where it is said to lie."""

    @classmethod
    def of(cls, image: Images, offset: float, factor: int) -> "Reference":
        """Prepare an image (y, x), NaN where it is not known; `offset`: the level without light."""
        known = np.isfinite(image)
        filled = np.where(known, image, image[known].mean() if known.any() else 0)
        slope_y, slope_x = (np.gradient(filled.astype(np.float64), axis=axis) for axis in (0, 1))
        inside = ndimage.minimum_filter(known, 3, mode="constant")
        inside[:BORDER] = inside[-BORDER:] = False
        inside[:, :BORDER] = inside[:, -BORDER:] = False
        grid = np.zeros_like(inside)
        grid[::STRIDE, ::STRIDE] = True
        y, x = np.nonzero(inside & grid)
        light = np.asarray(filled[y, x], np.float64) - offset
        usual = max(float(np.mean(light)) if len(light) else 1.0, 1e-6)
        noise = np.sqrt(np.maximum(light / usual, DARKEST))
        # Even pixels tell no displacement.
        steep = np.hypot(slope_x[y, x], slope_y[y, x]) / noise
        told = steep >= (np.quantile(steep, 1 - STEEPEST) if len(steep) else 0)
        y, x, light, noise = y[told], x[told], light[told], noise[told]
        rows, across = (max(round(side / PART), 1) for side in image.shape)
        part = (y * rows // image.shape[0]) * across + x * across // image.shape[1]
        order = np.argsort(part, kind="stable")
        y, x, part, light, noise = y[order], x[order], part[order], light[order], noise[order]
        starts = np.flatnonzero(np.diff(part, prepend=-1))
        columns = np.stack([light, slope_x[y, x], slope_y[y, x], np.ones_like(light)]) / noise
        coarse = bandpassed(filled.astype(np.float32)[np.newaxis], known[np.newaxis])
        return cls(
            image,
            np.stack([y, x], axis=1).astype(np.int64),
            np.append(starts, len(part)).astype(np.int64),
            np.ascontiguousarray(columns, np.float32),
            np.conj(fft.rfft2(coarse)),
            factor,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Displacements of frames, in pixels of the full size."""

    shifts: NDFloat
    """Displacement (x, y) in each band of lines, shape (n, band, 2); NaN where not measured."""
    information: NDFloat
    """Inverse covariance of these, 1/px², shape (n, band, 2, 2)."""
    gain: NDFloat
    """Brightness in units of the reference, (n,)."""
    correlation: NDFloat
    """Correlation with the reference at that displacement, (n,)."""
    share: NDFloat
    """Part of the pixels of the reference that were compared, (n,)."""
    brightness: NDFloat
    """Mean of the frame, the detector's offset included, (n,)."""
    lines: NDFloat
    """The recorded line at which each band was seen, on average, (n, band); NaN where not measured.
    The first and the last band lie further inside than their middles, since the border of the
    picture tells nothing."""

    def whole(self) -> NDFloat:
        """Average over the bands, shape (n, 2); NaN where not measured."""
        weight = np.einsum("nbii->nbi", self.information)
        total = weight.sum(axis=1)
        mean = np.full(total.shape, np.nan)
        pull = (weight * np.nan_to_num(self.shifts)).sum(axis=1)
        np.divide(pull, total, out=mean, where=total > 0)
        return mean

    @classmethod
    def joined(cls, parts: "list[Measured]") -> "Measured":
        """Put those of several blocks of frames one behind the other."""
        names = (
            "shifts", "information", "gain", "correlation", "share", "brightness", "lines",
        )  # fmt: skip
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def measure(
    frames: Frames,
    reference: Reference,
    *,
    starts: NDFloat | None = None,
    bands: int | None = None,
    rounds: int = ROUNDS,
) -> Measured:
    """Measure by how much frames are displaced against the reference.

    Parameters
    ----------
    frames : Frames
        n of them.
    reference : Reference
    starts : ndarray of shape (n, 2), optional
        Where to begin, px of the full size; by default at the peak of the correlation.
    bands : int, optional
        Bands of lines, each with a displacement of its own; by default as many as the pixels allow,
        8 at most.
    rounds : int
        Steps of Gauss and Newton, the last of them for the bands.

    Returns
    -------
    Measured
    """
    from derotation.motion_correction import kernels

    if bands is None:
        bands = min(max(len(reference.places) // BAND_PIXELS, 1), BANDS)
    if starts is None:
        return _from_both(frames, reference, bands, rounds)
    n = len(frames.images)
    begin = np.ascontiguousarray(starts, np.float64) / reference.factor
    out, information = np.empty((n, bands, 2)), np.empty((n, bands, 2, 2))
    lines, gain, correlation, share = np.empty((n, bands)), np.empty(n), np.empty(n), np.empty(n)
    kernels.measure_frames(
        frames.images, frames.usable, frames.rows, reference.places, reference.parts,
        reference.columns, begin, rounds, out, information, lines, gain, correlation, share,
    )  # fmt: skip
    # White noise that was smoothed is alike within 4 pi smoothing^2 pixels.
    alike = max(4 * np.pi * SMOOTHING**2 / STRIDE**2, 1.0)
    return Measured(
        out * reference.factor,
        information / (alike * reference.factor**2),
        gain,
        correlation,
        share,
        frames.images.mean(axis=(1, 2), dtype=np.float64),
        lines * reference.factor + 0.5 * (reference.factor - 1),
    )


def _from_both(frames: Frames, reference: Reference, bands: int, rounds: int) -> Measured:
    """Begin at no displacement, and at the correlation's peak in frames that look unlike then."""
    nowhere = np.zeros((len(frames.images), 2))
    near = measure(frames, reference, starts=nowhere, bands=bands, rounds=rounds)
    unlike = np.flatnonzero(~(near.correlation >= reference.alike))
    if not len(unlike):
        return near
    begin = peaks(frames[unlike], reference)
    away = np.abs(begin).max(axis=1, initial=0) > NEAR
    if not away.any():
        return near
    far, starts = unlike[away], begin[away] * reference.factor
    other = measure(frames[far], reference, starts=starts, bands=bands, rounds=rounds)
    before = np.nan_to_num(near.correlation[far], nan=-1.0)
    better = np.nan_to_num(other.correlation, nan=-1.0) > before
    for name in ("shifts", "information", "gain", "correlation", "share", "lines"):
        getattr(near, name)[far[better]] = getattr(other, name)[better]
    return near


def bandpassed(images: Images, usable: NDArray[np.bool_]) -> Images:
    """Keep each second pixel of images (n, y, x), without what is larger than cells.

    Where an image cannot be compared it is 0.
    """
    coarse = images[:, ::COARSE, ::COARSE]
    there = usable[:, ::COARSE, ::COARSE]
    return (coarse - ndimage.uniform_filter(coarse, (1, LARGEST, LARGEST))) * there


def peaks(frames: Frames, reference: Reference) -> NDFloat:
    """Find coarse displacements (small pixels) from the peak of the correlation, shape (n, 2)."""
    own = bandpassed(frames.images, frames.usable)
    height, width = own.shape[1:]
    reach = min(height, width) // 4
    correlation = fft.irfft2(fft.rfft2(own) * reference.spectrum, s=(height, width))
    near = np.roll(correlation, (reach, reach), (1, 2))[:, : 2 * reach + 1, : 2 * reach + 1]
    highest = np.argmax(near.reshape(len(near), -1), axis=1)
    y, x = np.unravel_index(highest, near.shape[1:])
    return np.stack([x - reach, y - reach], axis=1) * float(COARSE)


def in_blocks(shape: tuple[int, ...]) -> list[slice]:
    """Divide frames of a shape (n, y, x) into blocks that are worked on at once."""
    n, each = shape[0], max(PIXELS_AT_ONCE // (shape[1] * shape[2]), 1)
    return [slice(first, min(first + each, n)) for first in range(0, n, each)]


def side_by_side(work: Any, items: list[Any], threads: int) -> list[Any]:
    """Do some work on each item, in so many threads; results in the items' order."""
    if threads <= 1 or len(items) <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))
