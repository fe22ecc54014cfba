"""Detect bright blobs in an image, to a fraction of a pixel.

Images are scaled before blobs are looked for: slow changes of brightness are taken away and what is
left runs from 0 to 1 between two percentiles, so that thresholds do not depend on the gain. Large
images are binned and the number of candidates is limited, so that the work is bounded whatever the
images hold.

Positions are (x, y) in pixels, pixel centers at integers.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from derotation.errors import InputError
from derotation.numerics.parabola import top_offset

__all__ = ["Blobs", "detect_blobs", "even_light"]

Floats = NDArray[np.float64]

# Cells have radii of about 4 to 17 px; the threshold is relative to the scaled image.
DEFAULT_BLOB_LOG: dict[str, Any] = {
    "min_sigma": 3.0,
    "max_sigma": 12.0,
    "num_sigma": 5,
    "log_scale": True,
    "threshold": 0.08,
    "overlap": 0.5,
}
MAX_SIGMAS = 12
# The strongest blobs of an image that are kept.
MAX_BLOBS = 40
# Local maxima at the finest scale that are looked at: noise has one in about ten pixels, and
# pruning overlaps takes time and memory with their square.
MAX_PEAKS = 1500
# Longest side (px) in which blobs are looked for; larger images are binned.
MAX_SIDE = 512
# What is wider than so many times the largest blob is background.
BACKGROUND_WIDTH = 2.0
PERCENTILES = (1.0, 99.8)
# Contrast is evened out down to this part of the usual one; beyond, noise would become blobs.
MIN_CONTRAST = 0.5
# The same relative to the highest contrast: few blobs on an even background have no usual one.
MIN_OF_MAX = 0.3
# Blobs nearer to the border of what was seen than this (in sigmas) are cut off by it.
BORDER = 1.5
# The light that stays while the sample turns is told apart from the sample at this scale (px), and
# evened out down to this part of its highest value.
LIGHT_WIDTH = 16.0
MIN_LIGHT = 0.2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blobs:
    """Blobs in one image, the strongest first."""

    positions: Floats
    """(x, y) in pixels, shape (n, 2)."""
    sigmas: Floats
    """Scale at which the response is highest, pixels (radius / sqrt(2)), shape (n,)."""
    strengths: Floats
    """Response of the scaled image, about 0.5 for the brightest round blob, shape (n,)."""

    def __len__(self) -> int:
        return len(self.positions)

    def first(self, n: int) -> "Blobs":
        """Keep the n strongest ones."""
        return Blobs(
            positions=self.positions[:n], sigmas=self.sigmas[:n], strengths=self.strengths[:n]
        )


def detect_blobs(
    image: ArrayLike,
    seen: ArrayLike | None = None,
    *,
    blob_log_kwargs: Mapping[str, Any] | None = None,
    max_blobs: int = MAX_BLOBS,
) -> Blobs:
    """Detect bright blobs in one image, to a fraction of a pixel.

    Parameters
    ----------
    image : array_like of shape (y, x)
        Any brightness and offset; NaN is not seen.
    seen : array_like of bool of shape (y, x), optional
        Pixels that hold something; all by default.
    blob_log_kwargs : mapping, optional
        As `blob_log_params` of :class:`derotation.images.blobs.BlobDetection`.
    max_blobs : int
        The strongest ones are kept.

    Returns
    -------
    Blobs

    Raises
    ------
    InputError
        If the image is not two-dimensional, or blob_log does not know an argument.

    Notes
    -----
    Maxima of the scale-normalized Laplacian of Gaussians [1]_; place and scale are refined by
    parabolas through the neighbors of a maximum.

    References
    ----------
    .. [1] T. Lindeberg, "Feature detection with automatic scale selection", Int. J. Comput. Vis.
       30, 79-116 (1998), doi:10.1023/A:1008045108935
    """
    stack, masks = checked_stack(np.asarray(image)[np.newaxis], None if seen is None else [seen])
    options = DEFAULT_BLOB_LOG | dict(blob_log_kwargs or {})
    if "threshold_rel" in (blob_log_kwargs or {}) and "threshold" not in (blob_log_kwargs or {}):
        options["threshold"] = None
    bins = -(-max(stack.shape[1:]) // MAX_SIDE)
    small, known = _binned(stack[0], masks[0], bins)
    low, high = (float(np.max(options[key])) / bins for key in ("min_sigma", "max_sigma"))
    low, high = max(low, 0.5), max(high, low, 0.5)
    options["num_sigma"] = min(int(options["num_sigma"]), MAX_SIGMAS)
    scaled = scale_image(small, known, BACKGROUND_WIDTH * high)
    found = _blob_log(scaled, low, high, options)
    if not len(found):
        return Blobs(positions=np.empty((0, 2)), sigmas=np.empty(0), strengths=np.empty(0))
    positions, sigmas, strengths = _refine(scaled, found)
    inside = _inside(positions, sigmas, known)
    order = np.argsort(-strengths[inside], kind="stable")[:max_blobs]
    return Blobs(
        positions=(positions[inside][order] + 0.5) * bins - 0.5,
        sigmas=sigmas[inside][order] * bins,
        strengths=strengths[inside][order],
    )


def scale_image(image: NDArray[Any], seen: NDArray[np.bool_], width: float) -> NDArray[np.float64]:
    """Take away what changes more slowly than `width` (px), and scale what is left to a span of 1.

    The background is at 0, and contrast is evened out over the image.

    Pixels that were not seen, and an image without any structure, become 0.
    """
    values = np.where(seen, image, 0).astype(np.float64)
    # Both are smoothed in the same way, so that the border of what was seen leaves no edge.
    weight = _smooth(seen.astype(np.float64), width)
    background = _smooth(values, width) / np.maximum(weight, 1e-9)
    left = np.where(seen, values - background, 0)
    if not seen.any():
        return left
    left = left / _contrast(left, seen, 2 * width)
    low, high = np.percentile(left[seen], PERCENTILES)
    if not high > low:
        # A few small blobs on a flat background lie beyond the percentiles.
        low, high = float(left[seen].min()), float(left[seen].max())
    if not high - low > 1e-9 * max(float(np.abs(values).max()), 1e-300):
        return np.zeros_like(left)
    level = float(np.clip((0.0 - low) / (high - low), 0, 1))
    return np.asarray(np.where(seen, np.clip((left - low) / (high - low), 0, 1), level) - level)


def even_light(stack: NDArray[Any], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Even out light that stays where it is while the sample turns.

    Parameters
    ----------
    stack : ndarray of shape (n, y, x)
        Mean images as recorded, at angles spread over the turn.
    seen : ndarray of bool of shape (n, y, x)
        Pixels that hold something.

    Returns
    -------
    ndarray of shape (n, y, x)
        Without the background, and of one contrast. A gradient of the light pulls all blobs the
        same way, which no other part of the turn makes up for.
    """
    left = np.empty(stack.shape, np.float32)
    power = np.zeros(stack.shape[1:])
    count = np.zeros(stack.shape[1:])
    for k, (image, known) in enumerate(zip(stack, seen, strict=True)):
        values = np.where(known, image, 0).astype(np.float64)
        weight = _smooth(known.astype(np.float64), LIGHT_WIDTH)
        rest = values - _smooth(values, LIGHT_WIDTH) / np.maximum(weight, 1e-9)
        left[k] = np.where(known, rest, 0)
        power += left[k].astype(np.float64) ** 2
        count += known
    # Averaged over the turn, the sample is the same all around; what is left is the light.
    mean = _smooth(power, LIGHT_WIDTH) / np.maximum(_smooth(count, LIGHT_WIDTH), 1e-9)
    light = np.sqrt(np.maximum(mean, 0))
    least = MIN_LIGHT * float(light.max())
    if least > 0:
        left /= np.maximum(light, least).astype(np.float32)
    return left


def checked_stack(image_stack: ArrayLike, seen: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Take images (n, y, x) and the pixels of them that hold something, or say what is wrong."""
    stack = np.asarray(image_stack)
    if stack.ndim != 3 or stack.dtype.kind not in "biuf":
        raise InputError(
            f"images have the shape {stack.shape} and type {stack.dtype}; expected numbers of "
            "shape (image, y, x)"
        )
    known = np.isfinite(stack)
    if seen is not None:
        masks = np.asarray(seen, np.bool_)
        if masks.shape != stack.shape:
            raise InputError(f"seen has the shape {masks.shape}, but the images {stack.shape}")
        known &= masks
    return stack, known


def _contrast(left: Floats, seen: NDArray[np.bool_], width: float) -> Floats | float:
    """Measure the contrast around each pixel, but never far below the usual one.

    Uneven light pulls blobs towards where it is brighter, by up to half a pixel.
    """
    weight = np.maximum(_smooth(seen.astype(np.float64), width), 1e-9)
    # Rounding errors of the running sums may make them negative.
    contrast = np.sqrt(np.maximum(_smooth(left**2, width), 0) / weight)[seen]
    least = max(MIN_CONTRAST * float(np.median(contrast)), MIN_OF_MAX * float(contrast.max()))
    if not least > 0:
        return 1.0
    out = np.ones_like(left)
    out[seen] = np.maximum(contrast, least)
    return out


def _smooth(image: Floats, width: float) -> Floats:
    """Smooth as a Gaussian of this width does, about: two boxes cost the same for any width."""
    size = max(round(width * np.sqrt(6)), 1)
    return np.asarray(ndimage.uniform_filter(ndimage.uniform_filter(image, size), size))


def _binned(
    image: NDArray[Any], seen: NDArray[np.bool_], bins: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Average squares of pixels; rows and columns that are left over are dropped."""
    if bins == 1:
        return image, seen
    height, width = (n // bins for n in image.shape)
    cut = (slice(height * bins), slice(width * bins))
    blocks = (height, bins, width, bins)
    counts = seen[cut].reshape(blocks).sum(axis=(1, 3))
    values = np.where(seen, image, 0)[cut].reshape(blocks).sum(axis=(1, 3), dtype=np.float64)
    return values / np.maximum(counts, 1), counts > 0


def _blob_log(
    scaled: Floats, low: float, high: float, options: Mapping[str, Any]
) -> NDArray[np.float64]:
    """Call blob_log with a threshold that bounds its work: rows of y, x, sigma."""
    from skimage.feature import blob_log

    others = {
        key: value
        for key, value in options.items()
        if key not in ("min_sigma", "max_sigma", "threshold")
    }
    given = options.get("threshold")
    threshold = 0.0 if given is None else float(given)
    if threshold < DEFAULT_BLOB_LOG["threshold"]:
        threshold = max(_affordable_threshold(scaled, low), threshold)
    if given is None and "threshold_rel" in others:
        response = -(low**2) * ndimage.gaussian_laplace(scaled, low)
        threshold = max(threshold, float(others.pop("threshold_rel")) * float(response.max()))
    others.pop("threshold_rel", None)
    try:
        found = blob_log(  # type: ignore[no-untyped-call]
            scaled, min_sigma=low, max_sigma=high, threshold=threshold, **others
        )
    except TypeError as error:
        raise InputError(f"blob_log of scikit-image refused its arguments: {error}") from error
    return np.asarray(found, np.float64)


def _affordable_threshold(scaled: Floats, sigma: float) -> float:
    """Give the response that all but the strongest candidates stay below."""
    response = -(sigma**2) * ndimage.gaussian_laplace(scaled, sigma)
    peaks = response[(response == ndimage.maximum_filter(response, 3)) & (response > 0)]
    if len(peaks) <= MAX_PEAKS:
        return 1e-6
    return float(np.partition(peaks, -MAX_PEAKS)[-MAX_PEAKS])


def _refine(scaled: Floats, found: NDArray[np.float64]) -> tuple[Floats, Floats, Floats]:
    """Refine places and scales by parabolas: positions (x, y), sigmas, strengths."""
    levels = np.unique(found[:, 2])
    ratio = float(levels[1] / levels[0]) if len(levels) > 1 else 1.2
    margin = int(4 * levels[-1] * ratio) + 2
    padded = np.pad(scaled, margin, mode="reflect" if margin < min(scaled.shape) else "edge")
    windows, beside = np.empty((3, 3, len(found))), np.empty((2, len(found)))
    # Only around the blobs: responses of the whole image would cost more than finding them.
    for sigma in levels:
        which = np.flatnonzero(found[:, 2] == sigma)
        places = found[which, :2].astype(np.intp) + margin
        for y, x in np.ndindex(3, 3):
            windows[y, x, which] = _responses(padded, np.add(places, (y - 1, x - 1)), sigma)
        for side, other in enumerate((sigma / ratio, sigma * ratio)):
            beside[side, which] = _responses(padded, places, other)
    shift_x, shift_y = _quadratic_top(windows)
    along = _parabola_top(beside[0], windows[1, 1], beside[1])
    positions = np.column_stack([found[:, 1] + shift_x, found[:, 0] + shift_y])
    return positions, found[:, 2] * ratio**along, windows[1, 1]


def _responses(padded: Floats, places: NDArray[np.intp], sigma: float) -> Floats:
    """Compute the responses at places (row, column), shape (n, 2)."""
    kernel = _kernel(round(float(sigma), 6))
    rows, columns = (places - len(kernel) // 2).T
    around = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape)[rows, columns]
    return np.asarray(np.tensordot(around, kernel))


@functools.lru_cache(maxsize=64)
def _kernel(sigma: float) -> Floats:
    """Sample the scale-normalized negative Laplacian of a Gaussian; its sum is 0."""
    radius = int(4 * sigma)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1] / sigma
    squared = x**2 + y**2
    kernel = (2 - squared) * np.exp(-squared / 2) / (2 * np.pi * sigma**2)
    return np.asarray(kernel - kernel.mean())


def _quadratic_top(window: Floats) -> tuple[Floats, Floats]:
    """Find the top of the quadratic surface through windows (3, 3, n), at most 1 px off."""
    slope_x = (window[:, 2] - window[:, 0]).mean(axis=0) / 2
    slope_y = (window[2] - window[0]).mean(axis=0) / 2
    bend_x = (window[:, 2] - 2 * window[:, 1] + window[:, 0]).mean(axis=0)
    bend_y = (window[2] - 2 * window[1] + window[0]).mean(axis=0)
    twist = (window[2, 2] - window[2, 0] - window[0, 2] + window[0, 0]) / 4
    determinant = bend_x * bend_y - twist**2
    is_top = (bend_x < 0) & (bend_y < 0) & (determinant > 0)
    safe = np.where(is_top, determinant, 1.0)
    x = np.where(is_top, -(bend_y * slope_x - twist * slope_y) / safe, 0.0)
    y = np.where(is_top, -(bend_x * slope_y - twist * slope_x) / safe, 0.0)
    return np.clip(x, -1, 1), np.clip(y, -1, 1)


def _parabola_top(before: Floats, here: Floats, after: Floats) -> Floats:
    return np.asarray(np.clip(top_offset(before, here, after), -1, 1))


def _inside(positions: Floats, sigmas: Floats, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which blobs keep their distance from the border of what was seen."""
    depth = ndimage.distance_transform_edt(np.pad(seen, 1))[1:-1, 1:-1]
    x, y = np.clip(positions.round().astype(np.intp).T, 0, np.array(seen.shape[::-1])[:, None] - 1)
    return np.asarray(depth[y, x] > BORDER * sigmas)
