"""Measure how derotated frames differ from the sample at rest: by a shift, or by an affine map.

Frames that were recorded while the sample was turned are derotated by the maps of a guess. What a
frame is then still off says how far off the guess is; the package
:mod:`derotation.calibration` explains it.
"""

import dataclasses
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from derotation.errors import CenterError
from derotation.images.offset import estimate_pmt_offset, lit_frames
from derotation.io.movie import Movie
from derotation.maps import transforms
from derotation.maps.resample import LineTiming, derotate_frames
from derotation.numerics.binning import binned
from derotation.numerics.degrees import is_whole_turn, wrapped
from derotation.numerics.parabola import top_offset
from derotation.signals.angles import Angles

__all__ = [
    "Affine",
    "Registration",
    "Sample",
    "affine_maps",
    "choose_frames",
    "explain",
    "radius",
    "read_sample",
]

logger = logging.getLogger(__name__)

Maps = NDArray[np.float64]

# Frames at rest that are averaged to the reference, and the parts in which they are kept to tell
# how well the reference is known.
MAX_REST_FRAMES = 100
REST_PARTS = 8
# A frame tells about the center only by |I - R(a)| = 2 |sin(a / 2)|; this is 11.5 degrees.
MIN_LEVERAGE = 0.2
ANGLE_BINS = 72
MIN_FRAMES = 8
# Frames that are kept in memory, as recorded.
MAX_BYTES = 300e6
FRAMES_AT_ONCE = 4
# Before frames are compared they are smoothed (px): photon noise lives at the pixel's scale.
SMOOTHING = 1.5
COARSE_SMOOTHING = (1.5, 8.0)
# Part of the picture's width over which the window falls to 0.
TAPER = 0.125
# A smoothed frame has fewer independent pixels; only each second one in x and y is compared.
STRIDE = 2
# Nuisance regressors: the reference, alone and times x and y (light may fall off unevenly), and 1.
N_NUISANCE = 4
N_AFFINE = 6
# Pixels that differ by more than this many standard deviations count for less (Cauchy's weights).
CAUCHY = 3.0
REWEIGHTINGS = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """What of a session is compared."""

    reference: NDArray[np.float32]
    """Mean image of the sample at rest, shape (y, x)."""
    parts: NDArray[np.float32]
    """Mean images of successive parts of the frames at rest minus the reference, (part, y, x)."""
    numbers: NDArray[np.int64]
    """Numbers of the turned frames in the movie, ascending."""
    frames: NDArray[Any]
    """The turned frames as recorded, shape (n, y, x)."""
    line_angles: NDArray[np.float64]
    """Degrees, shape (n, y)."""
    line_speeds: NDArray[np.float64]
    """Change of the angle, degrees per second, shape (n, y)."""
    time_s: NDArray[np.float64]
    """When each frame began, seconds, shape (n,)."""
    n_rest: int
    """Frames at rest that make up the reference."""

    @property
    def middle(self) -> NDArray[np.float64]:
        """Angle of each frame's middle line, degrees."""
        return self.line_angles[:, self.line_angles.shape[1] // 2]

    def turned_over(self) -> "Sample":
        """Give the turned frames the opposite angles."""
        return dataclasses.replace(
            self, line_angles=-self.line_angles, line_speeds=-self.line_speeds
        )

    def select(self, which: NDArray[Any]) -> "Sample":
        """Keep some of the turned frames."""
        return dataclasses.replace(
            self,
            numbers=self.numbers[which],
            frames=self.frames[which],
            line_angles=self.line_angles[which],
            line_speeds=self.line_speeds[which],
            time_s=self.time_s[which],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Affine:
    """Affine displacement of derotated frames against the sample at rest.

    What lies at q in the sample at rest is seen at q + t + B (q - m) / r in the derotated frame,
    with m the image's center and r half its smaller side: all six parameters (tx, ty, Bxx, Bxy,
    Byx, Byy) are pixels, those of B at the distance r.
    """

    values: NDArray[np.float64]
    """Shape (n, 6); NaN where a frame could not be compared."""
    information: NDArray[np.float64]
    """Inverse covariance if noise were the only error, shape (n, 6, 6)."""
    reference: NDArray[np.float64]
    """What each part of the reference, taken alone, would add to the values: (n, part, 6)."""


def radius(shape: tuple[int, ...]) -> float:
    """Give the distance (px) from the image's center at which B is told, see :class:`Affine`."""
    return min(shape[-2:]) / 2


def read_sample(movie: Movie, angles: Angles, n_frames: int) -> Sample:
    """Read the frames at rest and up to `n_frames` turned ones, evenly spread over the circle.

    Raises
    ------
    CenterError
        If there are no frames at rest or too few turned ones, or if they are dark.
    """
    rest, turned = choose_frames(angles, n_frames, movie)
    rest, turned = _lit_ones(movie, rest, turned)
    parts = np.array_split(rest, min(REST_PARTS, len(rest)))
    means = np.stack([_mean_image(movie, part) for part in parts])
    sizes = np.array([len(part) for part in parts], np.float64)
    reference = np.tensordot(sizes / sizes.sum(), means, 1).astype(np.float32)
    return Sample(
        reference=reference,
        parts=(means - reference).astype(np.float32),
        numbers=turned,
        frames=movie.read(turned),
        line_angles=np.asarray(angles.line_angles[turned]),
        line_speeds=line_speeds(angles, turned),
        time_s=angles.frame_start[turned] / angles.sampling_rate,
        n_rest=len(rest),
    )


def choose_frames(
    angles: Angles, n_frames: int, movie: Movie
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose frames at rest, and turned ones that spread evenly over the circle."""
    usable = angles.line_usable.all(axis=1)
    at_rest = usable & is_whole_turn(angles.line_angles).all(axis=1)
    middle = angles.line_angles[:, angles.line_angles.shape[1] // 2]
    leverage = np.abs(2 * np.sin(np.deg2rad(np.where(usable, middle, 0.0)) / 2))
    turned = usable & (leverage >= MIN_LEVERAGE)
    if not at_rest.any():
        msg = (
            "no frame was recorded at rest at angle 0, so there is nothing to compare turned "
            "frames with; give the center as center.fixed, or a calibration in the sample sheet"
        )
        raise CenterError(msg)
    if turned.sum() < MIN_FRAMES:
        msg = (
            f"only {int(turned.sum())} frames were recorded more than 11 degrees away from rest, "
            f"but {MIN_FRAMES} are needed to tell how the sample turns; give the center as "
            "center.fixed, or a calibration in the sample sheet"
        )
        raise CenterError(msg)
    rest = np.flatnonzero(at_rest)
    affordable = int(MAX_BYTES // (movie.shape[1] * movie.shape[2] * movie.dtype.itemsize))
    if affordable < n_frames:
        logger.info("%d frames are compared instead of %d, to save memory", affordable, n_frames)
    candidates = np.flatnonzero(turned)
    wanted = max(min(n_frames, affordable), MIN_FRAMES)
    return _thin(rest, MAX_REST_FRAMES), spread(candidates, middle[candidates], wanted)


def _lit_ones(
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


def most_turned(sample: Sample, n: int) -> NDArray[np.int64]:
    """Choose up to n frames far from 0 and 180 degrees, where a turn back looks like no turn."""
    middle = sample.middle
    strength = np.abs(np.sin(np.deg2rad(middle)))
    enough = min(0.5, float(np.sort(strength)[-min(8, len(strength))]))
    candidates = np.flatnonzero(strength >= enough)
    return spread(candidates, middle[candidates], n)


def _thin(numbers: NDArray[np.intp], n: int) -> NDArray[np.int64]:
    """Keep at most n of them, evenly spread."""
    if len(numbers) <= n:
        return numbers.astype(np.int64)
    return np.asarray(numbers[np.linspace(0, len(numbers) - 1, n).round().astype(int)], np.int64)


def _van_der_corput(n: int) -> NDArray[np.float64]:
    """Give n points that fill [0, 1) evenly at every stage (radical inverse in base 2)."""
    points, scale, rest = np.zeros(n), 0.5, np.arange(n)
    while rest.any():
        points += scale * (rest % 2)
        rest, scale = rest // 2, scale / 2
    return points


def _mean_image(movie: Movie, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    total = np.zeros(movie.shape[1:], np.float64)
    for block in np.array_split(numbers, -(-len(numbers) // FRAMES_AT_ONCE)):
        total += movie.read(block).sum(axis=0, dtype=np.float64)
    return total / len(numbers)


def line_speeds(angles: Angles, frames: NDArray[np.int64]) -> NDArray[np.float64]:
    """Tell the speed at each line of some frames from its neighbors, degrees per second."""
    step = wrapped(np.diff(angles.line_angles[frames], axis=1))
    speed = step / (np.diff(angles.line_start[frames], axis=1) / angles.sampling_rate)
    ends = np.concatenate([speed[:, :1], speed, speed[:, -1:]], axis=1)
    return np.asarray((ends[:, 1:] + ends[:, :-1]) / 2)


class Registration:
    """Compares derotated frames with the sample at rest."""

    def __init__(self, sample: Sample, timing: LineTiming, threads: int) -> None:
        self.sample = sample
        self._timing, self._threads = timing, threads
        self._regressors: dict[float, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
        self._window = _window(sample.reference.shape)
        image = self._window * _bandpass(sample.reference)
        self._spectrum = np.conj(fft.rfft2(image))
        self._norm = float(np.linalg.norm(image))

    def shifts(self, maps: Maps) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Find shifts of any size, and how alike the pictures then are.

        Parameters
        ----------
        maps : ndarray of shape (n, y, 2, 3)
            Map of each line of each frame of the sample.

        Returns
        -------
        shifts : ndarray of shape (n, 2)
            Shift (x, y) of the derotated frame against the sample at rest, pixels.
        likeness : ndarray of shape (n,)
            Correlation at that shift, up to 1.
        """
        shifts, likeness = np.empty((len(maps), 2)), np.empty(len(maps))

        def measure(k: int, frame: NDArray[np.float32], seen: NDArray[np.bool_]) -> None:
            shifts[k], likeness[k], _ = self.peak(frame, seen)

        self._each_frame(maps, measure)
        return shifts, likeness

    def affine(self, maps: Maps, *, smoothing: float = SMOOTHING, iterations: int = 1) -> Affine:
        """Find the affine map that is left, from the gradients of the reference.

        Parameters
        ----------
        maps : ndarray of shape (n, y, 2, 3)
            Map of each line of each frame of the sample.
        smoothing : float
            Displacements of up to about twice this (px) and the size of cells are found.
        iterations : int
            Each further one derotates the frames by the maps found so far, and looks again.
        """
        n = len(maps)
        values = np.zeros((n, N_AFFINE))
        information = np.empty((n, N_AFFINE, N_AFFINE))
        reference = np.empty((n, len(self.sample.parts), N_AFFINE))

        def measure(k: int, frame: NDArray[np.float32], seen: NDArray[np.bool_]) -> None:
            step, information[k], reference[k] = self.gradients(frame, seen, smoothing)
            values[k] += step

        self._regressors_at(smoothing)  # once, rather than in each thread
        shape = self.sample.reference.shape
        for _ in range(iterations):
            undo = transforms.invert(affine_maps(np.nan_to_num(values), shape))
            self._each_frame(transforms.compose(undo[:, np.newaxis], maps), measure)
        return Affine(values=values, information=information, reference=reference)

    def _each_frame(
        self,
        maps: Maps,
        measure: Callable[[int, NDArray[np.float32], NDArray[np.bool_]], None],
    ) -> None:
        def look(first: int) -> None:
            part = slice(first, first + FRAMES_AT_ONCE)
            derotated = derotate_frames(
                self.sample.frames[part],
                maps[part],
                timing=self._timing,
                dtype=np.float32,
                keep_seen=True,
            )
            assert derotated.seen is not None
            for k, (frame, seen) in enumerate(zip(derotated.frames, derotated.seen, strict=True)):
                measure(first + k, frame, seen)

        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(look, range(0, len(maps), FRAMES_AT_ONCE)))

    def peak(
        self, frame: NDArray[np.float32], seen: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], float, float]:
        """Find the shift at which a frame is most like the reference.

        Parameters
        ----------
        frame : ndarray of shape (y, x)
        seen : ndarray of bool of shape (y, x)

        Returns
        -------
        shift : ndarray of shape (2,)
            (x, y) in pixels.
        likeness : float
            Correlation there, up to 1.
        distinction : float
            By how many standard deviations of the correlation at all shifts it stands out.
        """
        filled = np.where(seen, frame, frame[seen].mean() if seen.any() else 0)
        inside = ndimage.uniform_filter(seen.astype(np.float32), 9) > 0.999
        image = _bandpass(filled.astype(np.float32)) * inside * self._window
        correlation = fft.irfft2(fft.rfft2(image) * self._spectrum, s=frame.shape)
        y, x = np.unravel_index(np.argmax(correlation), correlation.shape)
        shift = np.array([_top(correlation[y], int(x)), _top(correlation[:, x], int(y))])
        norm = float(np.linalg.norm(image)) * self._norm
        highest, mean = float(correlation[y, x]), float(np.mean(correlation))
        # By a scalar product, which takes a tenth of the time of numpy.std.
        squares = float(np.vdot(correlation, correlation)) / correlation.size
        spread_out = float(np.sqrt(max(squares - mean**2, 0.0)))
        if norm <= 0 or spread_out <= 0:
            return shift, 0.0, 0.0
        return shift, highest / norm, (highest - mean) / spread_out

    def gradients(
        self, frame: NDArray[np.float32], seen: NDArray[np.bool_], smoothing: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Explain a frame by the reference, its slopes and a constant (Lucas and Kanade 1981).

        Parameters
        ----------
        frame : ndarray of shape (y, x)
        seen : ndarray of bool of shape (y, x)
        smoothing : float
            As for :meth:`affine`.

        Returns
        -------
        values, information, reference
            As in :class:`Affine`, of one frame.
        """
        regressors, parts = self._regressors_at(smoothing)
        border = int(np.ceil(smoothing))
        weight = ndimage.gaussian_filter(seen.astype(np.float32), smoothing)
        smooth = ndimage.gaussian_filter(np.where(seen, frame, np.float32(0)), smoothing)
        weight[:border] = weight[-border:] = 0
        weight[:, :border] = weight[:, -border:] = 0
        weight, smooth = weight[::STRIDE, ::STRIDE], smooth[::STRIDE, ::STRIDE]
        inside = (weight > 0.99).ravel()
        nothing = (
            np.full(N_AFFINE, np.nan),
            np.zeros((N_AFFINE, N_AFFINE)),
            np.zeros((len(parts), N_AFFINE)),
        )
        known = regressors[:, inside].astype(np.float64)
        if known.shape[1] < 4 * len(known):
            return nothing
        target = smooth.ravel()[inside] / weight.ravel()[inside]
        try:
            solution, inverse, near = explain(known, target)
        except np.linalg.LinAlgError:
            return nothing
        gain = solution[0]
        if gain <= 0:
            return nothing
        # White noise that was smoothed is alike within 4 pi smoothing^2 pixels.
        alike = max(4 * np.pi * smoothing**2 / STRIDE**2, 1.0)
        rest = target - solution @ known
        noise = float(np.mean(near * rest**2)) * alike
        covariance = inverse[N_NUISANCE:, N_NUISANCE:] * max(noise, 1e-30) / gain**2
        response = inverse[N_NUISANCE:] @ ((known * near) @ parts[:, inside].T)
        return -solution[N_NUISANCE:] / gain, np.linalg.inv(covariance), response.T

    def _regressors_at(self, smoothing: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Make the regressors (10, pixel), and the parts of the reference, smoothed alike."""
        if smoothing not in self._regressors:
            smooth = ndimage.gaussian_filter(self.sample.reference, smoothing)
            slope_y, slope_x = np.gradient(smooth)
            height, width = smooth.shape
            x, y = transforms.image_center(smooth.shape)
            along_x = np.broadcast_to((np.arange(width) - x) / radius(smooth.shape), smooth.shape)
            along_y = ((np.arange(height) - y) / radius(smooth.shape))[:, np.newaxis] + 0 * along_x
            images = [
                smooth, np.ones_like(smooth), smooth * along_x, smooth * along_y,
                slope_x, slope_y,
                slope_x * along_x, slope_x * along_y, slope_y * along_x, slope_y * along_y,
            ]  # fmt: skip
            parts = [ndimage.gaussian_filter(part, smoothing) for part in self.sample.parts]
            self._regressors[smoothing] = (_thinned(images), _thinned(parts))
        return self._regressors[smoothing]


def explain(
    known: NDArray[np.float64], target: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Explain a picture by regressors (k, pixel), with little regard to pixels that differ much.

    Cells that are active in this frame, but were not at rest, are such pixels: without them the
    errors of bright pictures are three times smaller.

    Returns
    -------
    coefficients, inverse of the normal matrix, weight of each pixel
    """
    scale = np.maximum(np.linalg.norm(known, axis=1), 1e-30)
    even = known / scale[:, np.newaxis]
    near = np.ones_like(target)
    for _ in range(REWEIGHTINGS + 1):
        weighted = even * near
        inverse = np.linalg.inv(weighted @ even.T)
        solution = inverse @ (weighted @ target)
        used = near
        rest = target - solution @ even
        usual = 1.4826 * float(np.median(np.abs(rest)))
        near = 1 / (1 + (rest / max(CAUCHY * usual, 1e-12)) ** 2)
    return solution / scale, inverse / np.outer(scale, scale), used


def binned_sample(sample: Sample, factor: int) -> Sample:
    """Make pictures smaller by averaging squares of so many pixels."""
    if factor == 1:
        return sample
    return dataclasses.replace(
        sample,
        reference=binned(sample.reference, factor),
        parts=binned(sample.parts, factor),
        frames=binned(sample.frames, factor),
        line_angles=binned_line_angles(sample.line_angles, factor),
        line_speeds=_binned_line_speeds(sample.line_speeds, factor),
    )


def binned_line_angles(line_angles: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Give the angles of lines that are averages of so many.

    Parameters
    ----------
    line_angles : ndarray of shape (n, y)
        Degrees.
    factor : int
        Lines that are averaged; lines that are left over are dropped.

    Returns
    -------
    ndarray of shape (n, y // factor)
        The angle halfway between the first and the last of them. Not their mean, which would fail
        where the angle is reset by whole turns.
    """
    n_lines = line_angles.shape[1] // factor * factor
    first, last = line_angles[:, :n_lines:factor], line_angles[:, factor - 1 : n_lines : factor]
    return np.asarray(first + wrapped(last - first) / 2)


def _binned_line_speeds(line_speeds: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Average the speeds of so many lines."""
    n_lines = line_speeds.shape[1] // factor
    cut = line_speeds[:, : n_lines * factor]
    return np.asarray(cut.reshape(len(line_speeds), n_lines, factor).mean(axis=2))


def affine_maps(values: NDArray[np.float64], shape: tuple[int, ...]) -> Maps:
    """Make maps of shape (..., 2, 3) from parameters of shape (..., 6), see :class:`Affine`."""
    matrices = np.eye(2) + values[..., 2:].reshape(*values.shape[:-1], 2, 2) / radius(shape)
    pivot = np.array(transforms.image_center(shape))
    shifts = pivot - matrices @ pivot + values[..., :2]
    return np.concatenate([matrices, shifts[..., np.newaxis]], axis=-1)


def affine_values(maps: Maps, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Give the parameters of maps, the opposite of :func:`affine_maps`."""
    pivot = np.array(transforms.image_center(shape))
    shifts = transforms.apply(maps, pivot) - pivot
    matrices = (maps[..., :2] - np.eye(2)) * radius(shape)
    return np.concatenate([shifts, matrices.reshape(*maps.shape[:-2], 4)], axis=-1)


def _thinned(images: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    kept = [np.asarray(image)[::STRIDE, ::STRIDE].ravel() for image in images]
    return np.asarray(np.stack(kept), dtype=np.float32)


def _bandpass(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep what is about as large as a cell."""
    fine, coarse = (ndimage.gaussian_filter(image, s) for s in COARSE_SMOOTHING)
    return np.asarray(fine - coarse)


def _window(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Make a window that falls to 0 at the borders, so that they do not correlate.

    Tukey's. Not that of SciPy: loading scipy.signal takes longer than all that is done with it.
    """
    y, x = (_taper(n) for n in shape)
    return np.asarray(np.outer(y, x), dtype=np.float32)


def _taper(n: int) -> NDArray[np.float64]:
    place = np.linspace(0.0, 1.0, n)
    to_border = np.minimum(place, 1.0 - place)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.minimum(to_border / TAPER, 1.0)))


def _top(values: NDArray[np.floating[Any]], peak: int) -> float:
    """Refine the place of a maximum by a parabola; places beyond the middle are negative."""
    n = len(values)
    before, here, after = (float(values[(peak + k) % n]) for k in (-1, 0, 1))
    top = peak + float(top_offset(before, here, after))
    return top - n if top > n / 2 else top
