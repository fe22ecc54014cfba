"""Find blobs in the mean images at each angle, and follow them over the turn.

Images are scaled before blobs are looked for: slow changes of brightness are taken away and what is
left runs from 0 to 1 between two percentiles, so that thresholds do not depend on the gain. Large
images are binned and the number of candidates is limited, so that the work is bounded whatever the
images hold.

Positions are (x, y) in pixels, pixel centers at integers.
"""

import functools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, sparse
from scipy.spatial import cKDTree

from derotation.errors import InputError
from derotation.images.ellipses import (
    BlobTracks,
    SharedEllipses,
    fit_shared_ellipses,
    foreshortening,
)
from derotation.maps import transforms
from derotation.numerics.parabola import top_offset

__all__ = [
    "BlobDetection",
    "Blobs",
    "cluster_blobs",
    "detect_blobs",
    "even_light",
    "link_blobs",
    "link_in_place",
]

logger = logging.getLogger(__name__)

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
# Tracking: votes for the center are counted in bins of this side (px).
VOTE_BIN = 2.0
VOTE_BLOBS = 15
VOTE_PAIRS = 300
# Two images tell the center by |I - R(d)| = 2 |sin(d / 2)| of the turn d between them.
MIN_LEVERAGE = 0.5
# Planes that are tried (see `foreshortening`): up to a tilt of 50 degrees.
PLANE_STEP = 0.04
MAX_PLANE = 0.22
N_STARTS = 3
# With this part of all blobs linked, no other start is tried.
ENOUGH = 0.4
# How far from its predicted place a blob may be (px) as the model becomes better.
REACHES = (6.0, 3.5, 2.5)
# A track must hold this part of the images, and its positions scatter by no more than this (px).
MIN_TRACK = 0.25
MAX_SCATTER = 1.5
SEED = 0


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


class BlobDetection:
    """Detect blobs in the mean images at each angle, and follow them.

    Parameters
    ----------
    debugging_plots : bool
        Whether to save a picture of the blobs found as ``blobs.png``.
    debug_plots_folder : path, optional
        Where; needed if `debugging_plots` is set. It is made if it does not exist.
    blob_log_params : mapping, optional
        Arguments of `skimage.feature.blob_log` that replace the defaults: ``min_sigma`` 3 and
        ``max_sigma`` 12 (pixels), ``num_sigma`` 5, ``log_scale`` True, ``threshold`` 0.08 (of the
        scaled image; the brightest round blob responds with about 0.5), ``overlap`` 0.5. With
        ``threshold_rel`` (fraction of the strongest response) given, ``threshold`` is not used.
    threads : int
        Number of threads that share the images.

    Raises
    ------
    InputError
        If pictures are wanted, but no folder is given.
    """

    def __init__(
        self,
        debugging_plots: bool = False,
        debug_plots_folder: str | os.PathLike[str] | None = None,
        blob_log_params: Mapping[str, Any] | None = None,
        *,
        threads: int = 1,
    ) -> None:
        if debugging_plots and debug_plots_folder is None:
            raise InputError("debugging_plots is set, but debug_plots_folder is not; give a folder")
        self.debugging_plots = debugging_plots
        self.debug_plots_folder = None if debug_plots_folder is None else Path(debug_plots_folder)
        self.blob_log_params = dict(blob_log_params or {})
        self.threads = threads

    def detect(self, image_stack: ArrayLike, seen: ArrayLike | None = None) -> list[Blobs]:
        """Detect the blobs in each image.

        Parameters
        ----------
        image_stack : array_like of shape (n, y, x)
            Mean images; NaN is not seen.
        seen : array_like of bool of shape (n, y, x), optional
            Pixels that hold something; all by default.

        Returns
        -------
        list of Blobs
            One per image, possibly empty.

        Raises
        ------
        InputError
            If the shapes do not agree, or blob_log does not know an argument.
        """
        stack, masks = _checked_stack(image_stack, seen)

        def work(k: int) -> Blobs:
            return detect_blobs(stack[k], masks[k], blob_log_kwargs=self.blob_log_params)

        with ThreadPoolExecutor(max(self.threads, 1)) as pool:
            found = list(pool.map(work, range(len(stack))))
        if self.debugging_plots:
            self._save_plot(stack, found)
        return found

    def get_coords_of_largest_blob(
        self, image_stack: ArrayLike, seen: ArrayLike | None = None
    ) -> "np.ma.MaskedArray[Any, np.dtype[np.float64]]":
        """Give the place of the largest blob in each image.

        Parameters
        ----------
        image_stack, seen
            As in :meth:`detect`.

        Returns
        -------
        masked array of shape (n, 2)
            (x, y) in pixels; masked where an image has no blob. Largest means widest (by sigma);
            among blobs equally wide within 5 %, the strongest.
        """
        found = self.detect(image_stack, seen)
        return _as_masked([None if not len(b) else b.positions[_largest(b)] for b in found])

    def get_coords_of_most_detected_blob(
        self,
        image_stack: ArrayLike,
        seen: ArrayLike | None = None,
        *,
        eps: float = 5.0,
        min_samples: int = 2,
    ) -> "np.ma.MaskedArray[Any, np.dtype[np.float64]]":
        """Give the place of the blob that is seen in most of a stack of derotated images.

        Parameters
        ----------
        image_stack, seen
            As in :meth:`detect`.
        eps, min_samples
            As in :func:`cluster_blobs`.

        Returns
        -------
        masked array of shape (n, 2)
            (x, y) in pixels, of the strongest member in each image; masked where it is not seen.
        """
        found = self.detect(image_stack, seen)
        clusters = cluster_blobs(found, eps=eps, min_samples=min_samples)
        if not clusters:
            return _as_masked([None] * len(found))
        image, positions = clusters[0]
        where = [positions[image == k] for k in range(len(found))]
        return _as_masked([members[0] if len(members) else None for members in where])

    def track_blobs(
        self,
        images: ArrayLike,
        angles: ArrayLike,
        *,
        seen: ArrayLike | None = None,
        plane: bool = True,
    ) -> BlobTracks:
        """Follow several blobs over the turn.

        The center and the tilt with which most blobs lie on ellipses are looked for; a blob's
        track is what then falls on one place when it is turned back. Tracks with few or scattered
        positions are left out.

        Parameters
        ----------
        images : array_like of shape (n, y, x)
            Mean images as recorded, at known angles.
        angles : array_like of shape (n,)
            Their angles in degrees.
        seen : array_like of bool of shape (n, y, x), optional
            Pixels that hold something; all by default.
        plane : bool
            Whether the plane of rotation may be tilted (up to about 50 degrees).

        Returns
        -------
        BlobTracks
            The largest blob first.

        Raises
        ------
        InputError
            If shapes do not agree, or if no blob can be followed.
        """
        stack, masks = _checked_stack(images, seen)
        turned = np.asarray(angles, np.float64)
        if turned.shape != (len(stack),) or not np.isfinite(turned).all():
            raise InputError(
                f"there are {len(stack)} images, but angles of shape {turned.shape}; expected one "
                "angle in degrees per image"
            )
        even = even_light(stack, masks)
        return link_blobs(self.detect(even, masks), turned, stack.shape[1:], plane=plane)

    def _save_plot(self, stack: NDArray[Any], found: Sequence[Blobs]) -> None:
        from matplotlib.figure import Figure

        assert self.debug_plots_folder is not None
        shown = np.unique(np.linspace(0, len(stack) - 1, min(len(stack), 6)).astype(int))
        figure = Figure(figsize=(3 * len(shown), 3.2), layout="constrained")
        for axis, k in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            low, high = np.nanquantile(stack[k], [0.01, 0.998])
            axis.imshow(stack[k], cmap="gray", vmin=low, vmax=max(high, low + 1e-9))
            for (x, y), sigma in zip(found[k].positions, found[k].sigmas, strict=True):
                around = np.linspace(0, 2 * np.pi, 40)
                r = sigma * np.sqrt(2)
                axis.plot(x + r * np.cos(around), y + r * np.sin(around), color="#E69F00", lw=0.8)
            axis.set_title(f"image {k}: {len(found[k])} blobs", fontsize=9)
            axis.set_axis_off()
        self.debug_plots_folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(self.debug_plots_folder / "blobs.png", dpi=120)


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
        As `blob_log_params` of :class:`BlobDetection`.
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
    stack, masks = _checked_stack(np.asarray(image)[np.newaxis], None if seen is None else [seen])
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


def cluster_blobs(
    blobs: Sequence[Blobs], *, eps: float = 5.0, min_samples: int = 2
) -> list[tuple[NDArray[np.intp], Floats]]:
    """Group the blobs of several images by their places (DBSCAN [1]_).

    Parameters
    ----------
    blobs : sequence of Blobs
        One per image.
    eps : float
        Distance in pixels within which two blobs are neighbors.
    min_samples : int
        A blob with so many neighbors, itself included, is the core of a group.

    Returns
    -------
    list of (image, positions)
        For each group the numbers of the images, shape (m,), and the places (x, y), shape (m, 2);
        the group seen in most images first, and among equals the most compact one.

    References
    ----------
    .. [1] M. Ester et al., "A density-based algorithm for discovering clusters in large spatial
       databases with noise", Proc. KDD 96, 226-231 (1996)
    """
    if not eps > 0 or min_samples < 1:
        raise InputError(f"eps is {eps} and min_samples {min_samples}; expected > 0 and >= 1")
    image = np.repeat(np.arange(len(blobs)), [len(b) for b in blobs])
    if not len(image):
        return []
    positions = np.concatenate([b.positions for b in blobs])
    pairs = cKDTree(positions).query_pairs(eps, output_type="ndarray")
    n_neighbors = 1 + np.bincount(pairs.ravel(), minlength=len(image))
    core = n_neighbors >= min_samples
    both = pairs[core[pairs].all(axis=1)]
    ones = np.ones(len(both), np.int8)
    graph = sparse.coo_array((ones, (both[:, 0], both[:, 1])), shape=(len(image), len(image)))
    _, label = sparse.csgraph.connected_components(graph, directed=False)
    label = np.where(core, label, -1)
    # What is no core itself joins a core nearby.
    for a, b in ((0, 1), (1, 0)):
        joins = pairs[core[pairs[:, a]] & ~core[pairs[:, b]]]
        label[joins[:, b]] = label[joins[:, a]]
    groups = [np.flatnonzero(label == name) for name in np.unique(label[label >= 0])]
    found = [(image[members], positions[members]) for members in groups]
    return sorted(
        found, key=lambda group: (-len(np.unique(group[0])), float(group[1].std(axis=0).sum()))
    )


def link_blobs(
    blobs: Sequence[Blobs], angles: Floats, shape: tuple[int, ...], *, plane: bool = True
) -> BlobTracks:
    """Follow blobs that were detected in images (height, width) at known angles.

    See :meth:`BlobDetection.track_blobs`.
    """
    least = max(5, int(np.ceil(MIN_TRACK * len(angles))))
    best: tuple[int, BlobTracks] | None = None
    for center, tilt in _starts(blobs, angles, shape, plane):
        tracks = _grow(blobs, angles, center, tilt, least, plane)
        if tracks is not None and (best is None or int(tracks.found.sum()) > best[0]):
            best = int(tracks.found.sum()), tracks
            # A wrong center or tilt would link a few blobs at most.
            if best[0] > ENOUGH * sum(len(b) for b in blobs):
                break
    if best is None:
        counts = [len(b) for b in blobs]
        raise InputError(
            f"no blob can be followed over the turn: {min(counts, default=0)} to "
            f"{max(counts, default=0)} blobs were detected per image, but none of them lies on an "
            f"ellipse in {least} of {len(angles)} images. Is there structure in the mean images, "
            "and do angles and movie belong together?"
        )
    logger.info(
        "%d blobs were followed, each in %d to %d of %d images",
        len(best[1]),
        best[1].found.sum(axis=1).min(),
        best[1].found.sum(axis=1).max(),
        len(angles),
    )
    return best[1]


# Detection.


def _checked_stack(image_stack: ArrayLike, seen: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
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


def _largest(blobs: Blobs) -> int:
    """Choose the widest blob; of several equally wide ones the strongest, which comes first."""
    return int(np.argmax(blobs.sigmas >= 0.95 * blobs.sigmas.max()))


def _as_masked(
    places: Sequence[NDArray[np.float64] | None],
) -> "np.ma.MaskedArray[Any, np.dtype[np.float64]]":
    data = np.array([(0.0, 0.0) if place is None else place for place in places]).reshape(-1, 2)
    mask = np.array([[place is None] * 2 for place in places]).reshape(-1, 2)
    return np.ma.MaskedArray(data, mask=mask)


# Tracking.


def _starts(
    blobs: Sequence[Blobs], angles: Floats, shape: tuple[int, ...], plane: bool
) -> list[tuple[Floats, Floats]]:
    """Vote for the center under each of many tilts: the best few (center, plane).

    In the stretched plane all is a pure rotation, and the two places p, q of one blob at angles
    that differ by d tell the center: (I - R) c = q - R p. Wrong pairs of blobs vote at random.
    """
    points = [b.first(VOTE_BLOBS).positions for b in blobs]
    ballots = _pairs(points, angles)
    if not ballots:
        return []
    p, q, turn = (np.concatenate(part) for part in zip(*ballots, strict=True))
    turns = transforms.rotation_matrices(turn).transpose(0, 2, 1)
    solve = np.linalg.inv(np.eye(2) - turns)
    ranked: list[tuple[float, Floats, Floats]] = []
    for tilt in _planes() if plane else [np.zeros(2)]:
        squeeze = foreshortening(tilt)
        stretch = np.linalg.inv(squeeze)
        from_, to = p @ stretch, q @ stretch
        centers = np.einsum("nij,nj->ni", solve, to - np.einsum("nij,nj->ni", turns, from_))
        height, center = _poll(centers @ squeeze, shape)
        ranked.append((height, center, tilt))
    ranked.sort(key=lambda entry: -entry[0])
    return [(center, tilt) for _, center, tilt in ranked[:N_STARTS]]


def _pairs(points: Sequence[Floats], angles: Floats) -> list[tuple[Floats, Floats, Floats]]:
    """Pair the blobs of two images with leverage: places in one, in the other, turn between."""
    first, second = np.triu_indices(len(angles), 1)
    turn = angles[second] - angles[first]
    useful = 2 * np.abs(np.sin(np.radians(turn) / 2)) >= MIN_LEVERAGE
    filled = np.array([len(p) > 0 for p in points])
    useful &= filled[first] & filled[second]
    chosen = np.flatnonzero(useful)
    if len(chosen) > VOTE_PAIRS:
        chosen = np.random.default_rng(SEED).choice(chosen, VOTE_PAIRS, replace=False)
    ballots = []
    for i in chosen:
        a, b = points[first[i]], points[second[i]]
        ballots.append(
            (
                np.repeat(a, len(b), axis=0),
                np.tile(b, (len(a), 1)),
                np.full(len(a) * len(b), turn[i]),
            )
        )
    return ballots


def _planes() -> list[Floats]:
    """Give planes that cover all tilts up to a limit evenly."""
    steps = np.arange(-MAX_PLANE, MAX_PLANE + 1e-9, PLANE_STEP)
    steps = steps - steps[np.argmin(np.abs(steps))]
    grid = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    return list(grid[np.hypot(*grid.T) <= MAX_PLANE])


def _poll(votes: Floats, shape: tuple[int, ...]) -> tuple[float, Floats]:
    """Count votes in and around the picture: how far the peak stands out, and where it is."""
    height, width = shape
    low = np.array([-0.25 * width, -0.25 * height])
    n_x, n_y = (int(1.5 * n / VOTE_BIN) + 1 for n in (width, height))
    x, y = np.floor((votes - low) / VOTE_BIN).T
    inside = (x >= 0) & (x < n_x) & (y >= 0) & (y < n_y)
    cell = (y[inside] * n_x + x[inside]).astype(np.intp)
    counts = np.bincount(cell, minlength=n_x * n_y).reshape(n_y, n_x).astype(np.float64)
    smooth = ndimage.gaussian_filter(counts, 1.2, mode="constant")
    excess = smooth - ndimage.gaussian_filter(counts, 12.0, mode="constant")
    row, column = np.unravel_index(np.argmax(excess), excess.shape)
    return float(excess[row, column]), low + (np.array([column, row]) + 0.5) * VOTE_BIN


def _grow(
    blobs: Sequence[Blobs],
    angles: Floats,
    center: Floats,
    tilt: Floats,
    least: int,
    plane: bool,
) -> BlobTracks | None:
    """Link blobs by a model and fit the model to the tracks, in turns; None if none is left."""
    tracks: BlobTracks | None = None
    back: Callable[[Floats, Floats], Floats] = _turner(center, tilt)
    for reach in REACHES:
        tracks = _link(blobs, angles, back, reach, least)
        if tracks is None:
            return None
        try:
            fit = fit_shared_ellipses(tracks, plane=plane, start=center)
        except InputError:
            return None
        center = np.array(fit.center)
        back = _turner(center, _plane_of(fit))
    kept = _consistent(tracks, fit, least) if tracks is not None else None
    return kept


def _plane_of(fit: SharedEllipses) -> Floats:
    cos = np.cos(np.radians(fit.plane_angle))
    size = (1 - cos) / (1 + cos)
    twice = np.radians(2 * fit.plane_orientation)
    return np.asarray(size * np.array([np.cos(twice), np.sin(twice)]))


def _turner(center: Floats, tilt: Floats) -> Callable[[Floats, Floats], Floats]:
    """Make the function that turns places back to where they are at rest."""
    squeeze = foreshortening(tilt)
    stretch = np.linalg.inv(squeeze)

    def back(positions: Floats, angles: Floats) -> Floats:
        matrices = squeeze @ transforms.rotation_matrices(angles) @ stretch
        return np.asarray(np.einsum("nij,nj->ni", matrices, positions - center) + center)

    return back


def _link(
    blobs: Sequence[Blobs],
    angles: Floats,
    back: Callable[[Floats, Floats], Floats],
    reach: float,
    least: int,
) -> BlobTracks | None:
    """Join the blobs that fall on one place when turned back; one per image and track."""
    image, positions = _pooled(blobs)
    if not len(image):
        return None
    chosen = _common_places(back(positions, angles[image]), image, reach, least)
    if not chosen:
        return None
    sigmas = np.concatenate([b.sigmas for b in blobs])
    return _as_tracks(chosen, image, positions, sigmas, angles)


def link_in_place(
    blobs: Sequence[Blobs], reach: float, least: int
) -> list[tuple[NDArray[np.intp], Floats]]:
    """Join the blobs of derotated images that lie within `reach` (px) of a common place.

    Returns the images, shape (m,), and places, shape (m, 2), of each blob that is seen in at least
    `least` images; at most one place per image.
    """
    image, positions = _pooled(blobs)
    if not len(image):
        return []
    chosen = _common_places(positions, image, reach, least)
    return [(image[members], positions[members]) for members in chosen]


def _pooled(blobs: Sequence[Blobs]) -> tuple[NDArray[np.intp], Floats]:
    image = np.repeat(np.arange(len(blobs)), [len(b) for b in blobs])
    return image, np.concatenate([np.empty((0, 2)), *[b.positions for b in blobs]])


def _common_places(
    rest: Floats, image: NDArray[np.intp], reach: float, least: int
) -> list[NDArray[np.intp]]:
    """Group places that lie together in many images, those of most images first."""
    tree = cKDTree(rest)
    free = np.ones(len(image), np.bool_)
    near = tree.query_ball_point(rest, reach)
    popularity = np.array([len(set(image[members])) for members in near])
    chosen: list[NDArray[np.intp]] = []
    for seed in np.argsort(-popularity, kind="stable"):
        if popularity[seed] < least:
            break
        if not free[seed]:
            continue
        members = np.array([m for m in near[seed] if free[m]], np.intp)
        middle = np.median(rest[members], axis=0)
        members = np.array([m for m in tree.query_ball_point(middle, reach) if free[m]], np.intp)
        if not len(members):
            continue
        order = members[np.argsort(np.hypot(*(rest[members] - middle).T), kind="stable")]
        _, first = np.unique(image[order], return_index=True)
        if len(first) < least:
            continue
        # Other blobs as near are doubles of this one; they must not become tracks of their own.
        free[members] = False
        chosen.append(order[first])
    return chosen


def _as_tracks(
    chosen: Sequence[NDArray[np.intp]],
    image: NDArray[np.intp],
    positions: Floats,
    sigmas: Floats,
    angles: Floats,
) -> BlobTracks:
    where = np.zeros((len(chosen), len(angles), 2))
    found = np.zeros((len(chosen), len(angles)), np.bool_)
    for k, members in enumerate(chosen):
        where[k, image[members]] = positions[members]
        found[k, image[members]] = True
    sizes = np.array([np.median(sigmas[members]) for members in chosen])
    order = np.argsort(-sizes, kind="stable")
    return BlobTracks(
        angles=angles, positions=where[order], found=found[order], sigmas=sizes[order]
    )


def _consistent(tracks: BlobTracks, fit: SharedEllipses, least: int) -> BlobTracks | None:
    """Leave out tracks that do not lie on their ellipse."""
    away = np.hypot(*np.moveaxis(tracks.positions - fit.predicted, -1, 0))
    scatter = np.array(
        [np.median(d[f]) if f.any() else np.inf for d, f in zip(away, tracks.found, strict=True)]
    )
    keep = (scatter < MAX_SCATTER) & (tracks.found.sum(axis=1) >= least)
    if not keep.any():
        return None
    return BlobTracks(
        angles=tracks.angles,
        positions=tracks.positions[keep],
        found=tracks.found[keep],
        sigmas=tracks.sigmas[keep],
    )
