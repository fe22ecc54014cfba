"""Measure where one tile lies against a neighbor, from what both of them show.

First the displacement is searched on a grid of whole pixels by normalized correlation that leaves
blank pixels out (Padfield 2012), about the place where the stage should have brought the tile. Then
it is refined to a small fraction of a pixel from the slopes of the picture (Lucas and Kanade
1981), with a gain, a slope of the gain and an offset between the two tiles left free. Everywhere in
this package a displacement is (row, column), pixels: position of the second tile minus that of the
first.

References
----------
D. Padfield, "Masked object registration in the Fourier domain", IEEE Trans. Image Process. 21,
2706-2718 (2012). B. D. Lucas, T. Kanade, "An iterative image registration technique", Proc. IJCAI
674-679 (1981).
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from derotation.mosaic.correlation import Part, correlate
from derotation.mosaic.resample import read_between
from derotation.numerics.binning import binned
from derotation.numerics.parabola import top_offset
from derotation.numerics.regression import explain

__all__ = ["Overlap", "Picture", "blank_pixels", "measure_overlap", "overlap_area"]

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Smoothing (px) before slopes are compared: photon noise lives at the pixel's scale.
SMOOTHING = 1.5
# What is correlated is about as large as a cell (px): finer is noise, coarser is illumination.
BAND = (1.5, 8.0)
# The coarse search bins squares of pixels, so that about so many are left along a tile's side.
COARSE_SIDE = 192
# A smoothed picture has fewer independent pixels; each second one in x and y is compared.
STRIDE = 2
MAX_ITERATIONS = 12
CONVERGED_PX = 0.002
# The refinement starts within a pixel or two; what goes further has followed something else.
MAX_WANDER_PX = 4.0
# Displacements at which less is left of the expected overlap are not looked at.
MIN_AREA_FRACTION = 0.25
MIN_PIXELS = 150
# Peaks closer to the best one than this (px) belong to it.
PEAK_RADIUS_PX = 6.0
# A second peak so high, as a part of the best one, makes a match ambiguous.
AMBIGUOUS = 0.85
MIN_CORRELATION = 0.25
# A correlation by chance is 1 / sqrt(independent pixels); the best of many places is 4 times it.
SIGNIFICANT = 4.5
# What model and interpolation leave in the best of cases (px).
FLOOR_PX = 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """A tile prepared for being compared with others."""

    smooth: Image
    """The tile, smoothed with blank pixels left out (row, column)."""
    spline: Image
    """Coefficients of the cubic spline through it."""
    slopes: tuple[Image, Image]
    """Its slopes along rows and columns."""
    inside: Image
    """1 where smoothing met no blank pixel, falling to 0."""
    band: Image
    """What is as large as a cell, in squares of `bin` pixels, 0 where blank."""
    band_mask: Image
    """1 where `band` is known."""
    bin: int
    """Pixels per square, each way."""

    @classmethod
    def prepare(cls, image: ArrayLike, mask: ArrayLike | None = None) -> "Picture":
        """Prepare a tile.

        Parameters
        ----------
        image : array of shape (rows, columns)
            The tile.
        mask : array of bool, optional
            True where it was seen; by default what :func:`blank_pixels` leaves.
        """
        pixels = np.asarray(image, np.float32)
        seen = ~blank_pixels(pixels) if mask is None else np.asarray(mask, np.bool_)
        filled = np.where(seen, pixels, np.float32(0))
        smooth, inside = _smoothed(filled, seen.astype(np.float32), SMOOTHING)
        # Far from what was seen the spline must not swing: the mean stands there.
        level = float(filled[seen].mean()) if seen.any() else 0.0
        smooth = np.where(inside > 0.01, smooth, np.float32(level))
        slope_rows, slope_columns = np.gradient(smooth)
        side = max(int(min(pixels.shape) // COARSE_SIDE), 1)
        known, coarse = _binned(filled, seen, side)
        fine, near = _smoothed(coarse, known, BAND[0] / side)
        wide, _ = _smoothed(coarse, known, BAND[1] / side)
        usable = (near > 0.9).astype(np.float32)
        return cls(
            smooth=smooth,
            spline=ndimage.spline_filter(smooth, order=3, output=np.float32, mode="mirror"),
            slopes=(np.asarray(slope_rows), np.asarray(slope_columns)),
            inside=inside,
            band=(fine - wide) * usable,
            band_mask=usable,
            bin=side,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.smooth.shape[0], self.smooth.shape[1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overlap:
    """What was measured in the overlap of two tiles."""

    first: int
    """Number of the first tile."""
    second: int
    """Number of the second tile."""
    displacement: Floats
    """Position (row, column) of the second tile minus that of the first, pixels; NaN if unknown."""
    information: Floats
    """Inverse covariance of the displacement, 1/px², shape (2, 2); 0 if unknown."""
    correlation: float
    """Likeness of the two tiles there, -1 to 1."""
    rival: float
    """Likeness at the best place elsewhere."""
    n_pixels: int
    """Pixels that both tiles saw."""
    problem: str | None = None
    """Why the displacement is not to be trusted; None if it is."""

    @property
    def ok(self) -> bool:
        """Whether the displacement can be trusted by itself."""
        return self.problem is None


def blank_pixels(image: ArrayLike) -> Mask:
    """Find the pixels that hold no picture: NaN, or a flat area that reaches the rim.

    Derotation leaves corners that hold one value, whichever the blank value is; a recorded picture
    is nowhere the same over 3 x 3 pixels, since it is noisy.

    Parameters
    ----------
    image : array of shape (rows, columns)
        A tile.

    Returns
    -------
    ndarray of bool
        True where blank.
    """
    pixels = np.asarray(image, np.float32)
    unknown = ~np.isfinite(pixels)
    level = np.where(unknown, np.float32(np.inf), pixels)
    flat = ndimage.maximum_filter(level, 3) == ndimage.minimum_filter(level, 3)
    if not flat.any():
        return unknown
    areas, n = ndimage.label(flat)
    rim = np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]])
    at_rim = np.zeros(n + 1, np.bool_)
    at_rim[rim] = True
    at_rim[0] = False
    blank = ndimage.binary_dilation(at_rim[areas], np.ones((3, 3), np.bool_))
    return np.asarray(blank | unknown)


def overlap_area(shape: tuple[int, int], displacement: ArrayLike) -> float:
    """Tell how many pixels two tiles of a shape share at a displacement (row, column)."""
    rows, columns = np.asarray(shape, np.float64) - np.abs(np.asarray(displacement, np.float64))
    return float(max(rows, 0.0) * max(columns, 0.0))


def measure_overlap(
    one: Picture,
    other: Picture,
    expected: ArrayLike,
    reach: float,
    *,
    numbers: tuple[int, int] = (0, 1),
) -> Overlap:
    """Find the displacement of a tile against a neighbor.

    Parameters
    ----------
    one, other : Picture
        The two tiles.
    expected : array of 2
        Displacement (row, column) at which to look, pixels.
    reach : float
        How far from there to look, pixels, in rows and in columns.
    numbers : tuple of int
        What the tiles are called in the result.

    Returns
    -------
    Overlap
        With a `problem` if the tiles share too little, look nothing like each other there, or
        look as much alike at another place.
    """
    expected = np.asarray(expected, np.float64)
    found = _search(one, other, expected, max(reach, 1.0))
    nothing = Overlap(
        first=numbers[0], second=numbers[1],
        displacement=np.full(2, np.nan), information=np.zeros((2, 2)),
        correlation=0.0, rival=0.0, n_pixels=0,
        problem="the tiles share too few pixels that were seen",
    )  # fmt: skip
    if found is None:
        return nothing
    start, correlation, rival, n_pixels = found
    coarse = dataclasses.replace(
        nothing, displacement=start, correlation=correlation, rival=rival, n_pixels=n_pixels
    )
    chance = SIGNIFICANT / np.sqrt(max(n_pixels / (4 * np.pi * BAND[0] ** 2), 1.0))
    if chance >= 1:
        return dataclasses.replace(coarse, problem="the overlap is too small to tell")
    if correlation < max(MIN_CORRELATION, chance):
        return dataclasses.replace(
            coarse,
            problem=f"the tiles are not alike (correlation {correlation:.2f}, by chance up to "
            f"{chance:.2f})",
        )
    refined = _refine(one, other, start)
    if refined is None:
        return dataclasses.replace(coarse, problem="the displacement could not be refined")
    displacement, information, likeness = refined
    problem = None
    if np.abs(displacement - start).max() > MAX_WANDER_PX:
        problem = "the refinement did not settle"
    elif rival > AMBIGUOUS * correlation:
        problem = f"ambiguous: {rival / correlation:.0%} as much alike at another place"
    return dataclasses.replace(
        coarse,
        displacement=displacement,
        information=information,
        correlation=likeness,
        problem=problem,
    )


def _search(
    one: Picture, other: Picture, expected: Floats, reach: float
) -> tuple[Floats, float, float, int] | None:
    """Correlate the parts that may overlap; give the best place, its likeness and its rival's."""
    side = one.bin
    middle = np.rint(expected / side).astype(int)
    steps = int(np.ceil(reach / side))
    # Both parts in coordinates in which the expected displacement is none.
    a, b = _cut_out(one, middle, steps), _cut_out(other, -middle, steps)
    if a is None or b is None:
        return None
    # The value at k is for b moved by k against a, both as cut out.
    offset = middle - np.asarray(a.start) + np.asarray(b.start)
    likeness, n = correlate(a, b, offset, steps)
    enough = n * side**2 >= MIN_PIXELS
    enough &= n >= MIN_AREA_FRACTION * max(n[steps, steps], 1.0)
    likeness[~enough] = -1.0
    row, column = np.unravel_index(int(np.argmax(likeness)), likeness.shape)
    best = float(likeness[row, column])
    if best <= -1.0:
        return None
    top = np.array([_top(likeness[:, column], int(row)), _top(likeness[row], int(column))])
    displacement = (middle + top - steps) * side
    return (
        displacement,
        best,
        _rival(likeness, (int(row), int(column)), PEAK_RADIUS_PX / side),
        int(n[row, column] * side**2),
    )


def _cut_out(picture: Picture, shift: NDArray[np.int64], steps: int) -> Part | None:
    """Cut out what may be shared at a shift of so many steps more or less; None if too little."""
    bounds = [
        (max(0, s - steps), min(n, n + s + steps))
        for s, n in zip(shift, picture.band.shape, strict=True)
    ]
    if any(stop - start < 4 for start, stop in bounds):
        return None
    window = tuple(slice(start, stop) for start, stop in bounds)
    return Part(picture.band[window], picture.band_mask[window], [start for start, _ in bounds])


def _rival(likeness: Floats, best: tuple[int, int], radius: float) -> float:
    """Give the highest peak that does not belong to the best one."""
    peaks = (ndimage.maximum_filter(likeness, 3, mode="nearest") == likeness) & (likeness > 0)
    rows, columns = np.nonzero(peaks)
    far = np.hypot(rows - best[0], columns - best[1]) > max(radius, 1.5)
    return float(likeness[rows[far], columns[far]].max()) if far.any() else 0.0


def _top(values: Floats, peak: int) -> float:
    """Refine the place of a maximum, unless it lies at the end of what was looked at."""
    if not 0 < peak < len(values) - 1 or values[peak - 1] <= -1 or values[peak + 1] <= -1:
        return float(peak)
    before, here, after = (float(value) for value in values[peak - 1 : peak + 2])
    return peak + float(top_offset(before, here, after))


def _refine(one: Picture, other: Picture, start: Floats) -> tuple[Floats, Floats, float] | None:
    """Follow the slopes from `start` on; give displacement, its information and the likeness."""
    displacement, result = start.copy(), None
    for _ in range(MAX_ITERATIONS):
        step = _step(one, other, displacement)
        if step is None or np.abs(step[0]).max() > MAX_WANDER_PX:
            return None
        move, information, likeness = step
        displacement = displacement + move
        result = (displacement, information, likeness)
        if np.abs(displacement - start).max() > MAX_WANDER_PX:
            break
        if np.abs(move).max() < CONVERGED_PX:
            break
    return result


def _step(
    one: Picture, other: Picture, displacement: Floats
) -> tuple[Floats, Floats, float] | None:
    """Explain the second tile by the first one, its slopes, and a gain that changes evenly."""
    start = np.maximum(np.ceil(displacement), 0).astype(int)
    stop = np.minimum(one.shape, np.floor(displacement).astype(int) + np.asarray(other.shape))
    count = -(-(stop - start) // STRIDE)
    if count.min() < 3:
        return None
    window = tuple(slice(a, b, STRIDE) for a, b in zip(start, stop, strict=True))
    place = start - displacement
    size = (int(count[0]), int(count[1]))
    target = read_between(other.spline, place, size, stride=STRIDE, prefilter=False)
    near = read_between(other.inside, place, size, stride=STRIDE, order=1, beyond="constant")
    seen = (near > 0.98) & (one.inside[window] > 0.98)
    if seen.sum() * STRIDE**2 < MIN_PIXELS:
        return None
    rows, columns = np.nonzero(seen)
    image = one.smooth[window][seen].astype(np.float64)
    level = image - image.mean()
    height = _evened(rows)
    width = _evened(columns)
    known = np.stack([
        image, np.ones_like(image), level * height, level * width, height, width,
        one.slopes[0][window][seen], one.slopes[1][window][seen],
    ])  # fmt: skip
    values = target[seen].astype(np.float64)
    try:
        solution, inverse, near_values, rest = explain(known, values)
    except np.linalg.LinAlgError:
        return None
    gain = float(solution[0])
    if gain <= 0:
        return None
    alike = max(4 * np.pi * SMOOTHING**2 / STRIDE**2, 1.0)
    noise = float(np.mean(near_values * rest**2)) * alike
    covariance = inverse[-2:, -2:] * max(noise, 1e-30) / gain**2 + FLOOR_PX**2 * np.eye(2)
    spread = float(values.std())
    likeness = float(np.sqrt(max(0.0, 1 - float(np.mean(rest**2)) / max(spread**2, 1e-30))))
    return solution[-2:] / gain, np.asarray(np.linalg.inv(covariance)), likeness


def _evened(numbers: NDArray[np.intp]) -> Floats:
    """Scale numbers to about -1..1."""
    spread = max(float(np.ptp(numbers)) / 2, 1.0)
    return np.asarray((numbers - numbers.mean()) / spread)


def _smoothed(image: Image, mask: Image, width: float) -> tuple[Image, Image]:
    """Smooth what is not blank; also give how much of each pixel's surroundings was seen."""
    weight = ndimage.gaussian_filter(mask, width, mode="constant", truncate=3.0)
    total = ndimage.gaussian_filter(image * mask, width, mode="constant", truncate=3.0)
    smooth = np.divide(total, weight, out=np.zeros_like(total), where=weight > 1e-4)
    # Beyond the rim nothing was seen either: next to it only one side counts, which moves the
    # picture, so that the rim is left out like the surroundings of blank pixels.
    return smooth, weight


def _binned(image: Image, mask: Mask, side: int) -> tuple[Image, Image]:
    """Average squares of pixels; a square counts if most of it was seen."""
    if side == 1:
        return mask.astype(np.float32), image
    part = binned(mask, side)
    mean = np.divide(binned(image, side), part, out=np.zeros_like(part), where=part > 0)
    known = (part > 0.6).astype(np.float32)
    return known, mean * known
