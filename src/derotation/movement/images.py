"""Pictures made comparable: what is valid in them, and their structure without the light's."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from derotation.calibration.calibration import Calibration
from derotation.errors import InputError
from derotation.numerics.smoothing import smoothed

__all__ = ["Picture", "as_image", "in_8_bits", "valid_pixels"]

# Background and contrast are taken over about a cell's surroundings (px, standard deviations).
BACKGROUND = 12.0
CONTRAST = 24.0
# Where the contrast is below this fraction of the usual one there is only noise to enlarge.
CONTRAST_FLOOR = 0.2
# The contrast is that of the picture smoothed by so much (px), and Gaussians end at so many
# standard deviations.
FINE = 1.5
TRUNCATE = 3.0
# A square of so many pixels that are exactly alike is no picture but a blank rim.
FLAT = 5
MIN_SIDE = 32


def as_image(given: ArrayLike | Calibration, name: str) -> NDArray[np.float32]:
    """Take the image of a calibration, or an array of shape (y, x), as float32.

    Raises
    ------
    InputError
        If there is no image, or none of at least 32 x 32 pixels.
    """
    if isinstance(given, Calibration):
        given = given.read_image()
    image = np.asarray(given)
    if image.ndim != 2 or min(image.shape) < MIN_SIDE or image.dtype.kind not in "biuf":
        msg = (
            f"{name} has the shape {image.shape} and the type {image.dtype}; expected one image "
            f"(y, x) of numbers, at least {MIN_SIDE} x {MIN_SIDE} pixels"
        )
        raise InputError(msg)
    return image.astype(np.float32)


def valid_pixels(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mark what belongs to the picture: neither NaN nor part of a rim of one value."""
    known = np.isfinite(image)
    filled = np.where(known, image, np.float32(np.nan_to_num(image[known].min(initial=0))))
    # What is left within reach of such a square belongs to the rim as well.
    rim = ndimage.binary_dilation(_flat(filled) | ~known, iterations=FLAT // 2)
    return np.asarray(~rim)


def _flat(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mark the middles of squares of one value: in each row, and from one row to the next."""
    height, width = image.shape
    wide = np.pad(image, FLAT // 2, mode="symmetric")
    beside = wide[:, 1:] == wide[:, :-1]
    rows = np.ones((len(wide), width), np.bool_)
    for k in range(FLAT - 1):
        rows &= beside[:, k : k + width]
    middle = wide[:, FLAT // 2 : FLAT // 2 + width]
    below = middle[1:] == middle[:-1]
    flat = rows[:height].copy()
    for k in range(FLAT - 1):
        flat &= rows[k + 1 : k + 1 + height]
        flat &= below[k : k + height]
    return flat


class Picture:
    """An image with its valid pixels and its structure.

    Parameters
    ----------
    image : ndarray of shape (y, x)

    Attributes
    ----------
    image : ndarray of float32, shape (y, x)
        Pixels that are not valid are 0.
    valid : ndarray of bool, shape (y, x)
    """

    def __init__(self, image: NDArray[np.float32]) -> None:
        self.valid = valid_pixels(image)
        self.image = np.where(self.valid, image, np.float32(0))
        self._inside = self.valid.astype(np.float32)
        self._structure: dict[float, NDArray[np.float32]] = {}
        self._even: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, pixels."""
        height, width = self.image.shape
        return height, width

    def structure(self, fine: float) -> NDArray[np.float32]:
        """Give the picture without its background and at one contrast everywhere.

        Parameters
        ----------
        fine : float
            Standard deviation (px) of the Gaussian by which noise is smoothed.

        Returns
        -------
        ndarray of float32, shape (y, x)
            Around 0, with a standard deviation of about 1; 0 where the picture is not valid.
        """
        if fine not in self._structure:
            background, contrast = self._light()
            band = (self._smoothed(self.image, fine) - background) * self._inside
            self._structure[fine] = np.asarray(band / contrast, np.float32)
        return self._structure[fine]

    def _light(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Give background and contrast around each pixel."""
        if self._even is None:
            background = self._smoothed(self.image, BACKGROUND)
            band = (self._smoothed(self.image, FINE) - background) * self._inside
            contrast = np.sqrt(self._smoothed(band * band, CONTRAST))
            usual = float(np.median(contrast[self.valid])) if self.valid.any() else 0.0
            contrast += max(CONTRAST_FLOOR * usual, 1e-12)
            self._even = background, contrast
        return self._even

    def _smoothed(self, image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
        """Smooth by a Gaussian that looks only at valid pixels."""
        smooth = smoothed(image, sigma, truncate=TRUNCATE)
        if not self.valid.all():
            weight = smoothed(self._inside, sigma, truncate=TRUNCATE)
            smooth /= np.maximum(weight, 1e-3)
        return smooth


def in_8_bits(image: NDArray[Any]) -> NDArray[np.float64]:
    """Bring an image to the scale 0 to 255 of 8-bit images.

    8-bit images stay as they are. Of all others the darkest 1 % become 0 and the brightest 0.2 %
    255, so that one hot pixel does not decide, and what lies between is scaled evenly.
    """
    values = np.asarray(image, np.float64)
    if image.dtype == np.uint8:
        return values
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, [0.01, 0.998]) if known.size else (0.0, 1.0)
    return np.asarray(np.clip((values - low) * (255 / max(high - low, 1e-30)), 0, 255))
