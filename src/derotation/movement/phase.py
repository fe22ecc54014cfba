"""A first guess of the movement from spectra: shift by correlation, turn by log-polar maps."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from derotation.maps import transforms
from derotation.movement.images import Picture

__all__ = ["find_shift", "find_turn"]

NDFloat = NDArray[np.float64]

# Structure smoothed by so much (px) is compared.
SMOOTHING = 1.5
# The log-polar map of a spectrum: so many rows for half a turn, between these parts of the highest
# frequency; below are large structures (light), above is noise.
ANGLES = 720
RADII = 400
FREQUENCIES = (0.02, 0.35)
# A spectrum is the same after half a turn.
HALF_TURNS = (0.0, 180.0)


def find_shift(ref: Picture, moved: Picture, start: NDFloat) -> tuple[NDFloat, float]:
    """Find the shift that is left after a map, to about a pixel.

    Parameters
    ----------
    ref, moved : Picture
    start : ndarray of shape (3, 3)
        A map from moved to reference without its shift.

    Returns
    -------
    matrix : ndarray of shape (3, 3)
        The map with the shift; whether to believe it is for others to judge.
    peak : float
        How far the correlation stands out, standard deviations.
    """
    shape = tuple(fft.next_fast_len(2 * n, real=True) for n in ref.shape)
    x, y = transforms.apply_to_grid(transforms.invert(start[:2]), ref.shape)
    drawn = ndimage.map_coordinates(moved.structure(SMOOTHING), [y, x], order=1)
    spectra = [fft.rfft2(image, shape) for image in (ref.structure(SMOOTHING), drawn)]
    correlation = fft.irfft2(spectra[0] * np.conj(spectra[1]), shape)
    row, column = np.unravel_index(int(np.argmax(correlation)), correlation.shape)
    shift_y, shift_x = (
        int(k) - n if k > n // 2 else int(k) for k, n in zip((row, column), shape, strict=True)
    )
    spread = float(correlation.std())
    peak = float(correlation[row, column] - correlation.mean()) / spread if spread > 0 else 0.0
    shifted = np.array([[1, 0, shift_x], [0, 1, shift_y], [0, 0, 1]]) @ start
    return shifted, peak


def find_turn(ref: Picture, moved: Picture) -> NDFloat:
    """Find rotation and scale from the amplitudes of the spectra, which no shift changes [1]_.

    Returns
    -------
    ndarray of shape (3, 3)
        Map from moved to reference about the middle of the image, without the shift.

    References
    ----------
    .. [1] B. S. Reddy and B. N. Chatterji, "An FFT-based technique for translation, rotation, and
       scale-invariant image registration", IEEE Trans. Image Process. 5, 1266-1271 (1996),
       doi:10.1109/83.506761
    """
    polar = [_log_polar(picture) for picture in (ref, moved)]
    spectra = [fft.rfft2(image, (ANGLES, 2 * RADII)) for image in polar]
    correlation = fft.irfft2(spectra[0] * np.conj(spectra[1]), (ANGLES, 2 * RADII))
    row, column = np.unravel_index(int(np.argmax(correlation)), correlation.shape)
    angle = (row if row <= ANGLES // 2 else row - ANGLES) * 180.0 / ANGLES
    step = np.log(FREQUENCIES[1] / FREQUENCIES[0]) / RADII
    stretch = float(np.exp((column if column <= RADII else column - 2 * RADII) * step))
    guesses = []
    for half_turn in HALF_TURNS:
        # A larger picture has a smaller spectrum.
        turned = _about_middle(angle + half_turn, 1 / stretch, ref.shape)
        guesses.append((find_shift(ref, moved, turned)[1], turned))
    return max(guesses, key=lambda guess: guess[0])[1]


def _about_middle(angle: float, scale: float, shape: tuple[int, int]) -> NDFloat:
    """Make the map that turns (degrees clockwise) and scales about the middle of the image."""
    matrix = np.eye(3)
    matrix[:2, :2] = scale * transforms.rotation_matrices(-angle)
    middle = np.array(transforms.image_center(shape))
    matrix[:2, 2] = middle - matrix[:2, :2] @ middle
    return matrix


def _log_polar(picture: Picture) -> NDFloat:
    """Map a spectrum's amplitudes: angle down (half a turn), logarithm of frequency across."""
    side = fft.next_fast_len(2 * max(picture.shape))
    window = np.outer(*(np.hanning(n) for n in picture.shape))
    spectrum = np.abs(fft.fft2(picture.structure(SMOOTHING) * window, (side, side)))
    radius = np.geomspace(*FREQUENCIES, RADII) * side
    angle = np.deg2rad(np.arange(ANGLES) * 180.0 / ANGLES)[:, np.newaxis]
    where = [radius * np.sin(angle), radius * np.cos(angle)]
    polar = ndimage.map_coordinates(np.log1p(spectrum), where, order=1, mode="grid-wrap")
    # What all pictures have in common at a frequency tells no rotation.
    return np.asarray(polar - polar.mean(axis=0), np.float64)
