"""Measure by what one picture differs from a reference: by a shift, or by an affine map.

:mod:`derotation.images.registration` does this with frames that it derotates by a guess.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.maps import transforms
from derotation.numerics.parabola import top_offset
from derotation.numerics.regression import explain, weighted_products
from derotation.numerics.smoothing import smoothed

__all__ = [
    "N_AFFINE",
    "SMOOTHING",
    "Comparison",
    "affine_maps",
    "affine_values",
    "radius",
]

Maps = NDArray[np.float64]

# Before frames are compared they are smoothed (px): photon noise lives at the pixel's scale.
SMOOTHING = 1.5
COARSE_SMOOTHING = (1.5, 8.0)
# Part of the picture's width over which the window falls to 0.
TAPER = 0.125
# A smoothed frame has fewer independent pixels; only each second one in x and y is compared. Large
# pictures (px) have more than enough: of the pixels within two standard deviations of the smoothing
# only one is, and at least each so many-th one.
STRIDE, MOST_STRIDE, LARGE = 2, 4, 256
# Nuisance regressors: the reference, alone and times x and y (light may fall off unevenly), and 1.
N_NUISANCE = 4
N_AFFINE = 6


def radius(shape: tuple[int, ...]) -> float:
    """Give the distance (px) from the image's center at which B is told, see :class:`Affine`."""
    return min(shape[-2:]) / 2


class Comparison:
    """Compares pictures with a reference.

    Parameters
    ----------
    reference : ndarray of shape (y, x)
    parts : ndarray of shape (part, y, x), optional
        What parts of the reference, taken alone, differ from it; by default there are none.
    """

    def __init__(
        self, reference: NDArray[np.float32], parts: NDArray[np.float32] | None = None
    ) -> None:
        # Pixels that no frame at rest recorded (NaN) are compared with nothing.
        self._known = np.isfinite(reference)
        if not self._known.all():
            usual = np.float32(reference[self._known].mean() if self._known.any() else 0)
            reference = np.where(self._known, reference, usual)
            parts = None if parts is None else np.nan_to_num(parts, posinf=0, neginf=0)
        self.reference = reference
        self.parts = np.zeros((1, *reference.shape), np.float32) if parts is None else parts
        self._regressors: dict[float, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
        self._window = _window(reference.shape)
        from scipy import fft  # slow to import; what only asks for names does without

        image = self._window * _bandpass(reference)
        self._spectrum = np.conj(fft.rfft2(image))
        self._norm = float(np.linalg.norm(image))

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
        correlation : float
            Correlation there, up to 1.
        distinction : float
            By how many standard deviations of the correlation at all shifts it stands out.
        """
        seen = seen & self._known
        filled = np.where(seen, frame, frame[seen].mean() if seen.any() else 0)
        inside = smoothed(seen, COARSE_SMOOTHING[0]) > 0.999
        image = _bandpass(filled.astype(np.float32)) * inside * self._window
        from scipy import fft

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
            Displacements of up to about twice this (px) and the size of cells are found.

        Returns
        -------
        values, information, reference
            As in :class:`derotation.images.registration.Affine`, of one frame.
        """
        regressors, parts = self.regressors_at(smoothing)
        seen, stride = seen & self._known, _stride(smoothing, frame.shape)
        weight = smoothed(seen, smoothing, stride)
        smooth = smoothed(np.where(seen, frame, np.float32(0)), smoothing, stride)
        border = -(-int(np.ceil(smoothing)) // stride)
        inside = weight > 0.99
        inside[:border] = inside[_beyond(frame.shape[0], smoothing, stride) :] = False
        inside[:, :border] = inside[:, _beyond(frame.shape[1], smoothing, stride) :] = False
        inside = inside.ravel()
        nothing = (
            np.full(N_AFFINE, np.nan),
            np.zeros((N_AFFINE, N_AFFINE)),
            np.zeros((len(parts), N_AFFINE)),
        )
        n = np.count_nonzero(inside)
        if n < 4 * len(regressors):
            return nothing
        target = (smooth / np.maximum(weight, 1e-3)).ravel()
        try:
            found = explain(regressors, target, inside)
        except np.linalg.LinAlgError:
            return nothing
        gain = found.coefficients[0]
        if gain <= 0:
            return nothing
        # White noise that was smoothed is alike within 4 pi smoothing^2 pixels.
        alike = max(4 * np.pi * smoothing**2 / stride**2, 1.0)
        noise = float(found.near @ found.rest**2) / n * alike
        covariance = found.inverse[N_NUISANCE:, N_NUISANCE:] * max(noise, 1e-30) / gain**2
        response = found.inverse[N_NUISANCE:] @ weighted_products(regressors, found.near, parts)
        return -found.coefficients[N_NUISANCE:] / gain, np.linalg.inv(covariance), response.T

    def regressors_at(self, smoothing: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Make the regressors (10, pixel), and the parts of the reference, smoothed alike."""
        if smoothing not in self._regressors:
            smooth = smoothed(self.reference, smoothing)
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
            stride = _stride(smoothing, smooth.shape)
            thin = [np.asarray(image)[::stride, ::stride].ravel() for image in images]
            parts = [smoothed(part, smoothing, stride).ravel() for part in self.parts]
            self._regressors[smoothing] = (np.stack(thin).astype(np.float32), np.stack(parts))
        return self._regressors[smoothing]


def _stride(smoothing: float, shape: tuple[int, ...]) -> int:
    """Tell each how many-th pixel is compared."""
    if min(shape) < LARGE:
        return STRIDE
    return min(max(int(2 * smoothing), STRIDE), MOST_STRIDE)


def _beyond(n: int, smoothing: float, stride: int) -> int:
    """Give the first of the thinned pixels that lies at the far border of n."""
    return -(-(n - int(np.ceil(smoothing))) // stride)


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


def _bandpass(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep what is about as large as a cell."""
    fine, coarse = (smoothed(image, s) for s in COARSE_SMOOTHING)
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
