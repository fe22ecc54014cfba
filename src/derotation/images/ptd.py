"""Figures of merit of a derotated movie that need no truth."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist

from derotation.errors import InputError
from derotation.images.blob_detection import Blobs
from derotation.images.blob_tracks import cluster_blobs
from derotation.images.blobs import BlobDetection

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MostDetectedBlob", "most_detected_blob", "ptd_of_most_detected_blob"]

logger = logging.getLogger(__name__)

# Cells are told apart well enough by three scales; each further one costs as much as these.
DEFAULT_BLOB_LOG: dict[str, Any] = {"min_sigma": 3.0, "max_sigma": 8.0, "num_sigma": 3}
DEFAULT_DBSCAN: dict[str, Any] = {"eps": 5.0, "min_samples": 2}
# Only the strongest blobs take part: when the center is wrong each one draws a circle, and the
# circles of weak ones would join all blobs to one group.
MAX_BLOBS = 20
# A blob that is seen in fewer images than this does not show that the sample stands still.
MIN_SHARE = 0.5
# A threshold at or above this leaves hardly any blob in an image that is scaled to 0..1.
HIGH_THRESHOLD = 0.4
DEBUG_PLOT = "most_detected_blob.png"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MostDetectedBlob:
    """The blob that is seen in most images of a derotated sample."""

    ptd: float
    """Point-to-point distance in pixels; lower is better."""
    images: NDArray[np.intp]
    """Numbers of the images, one per detection, shape (m,)."""
    positions: NDArray[np.float64]
    """Places (x, y) in pixels, shape (m, 2)."""
    n_images: int
    """Number of images that were searched."""

    @property
    def share(self) -> float:
        """Part of the images in which it is seen, 0 to 1."""
        return len(np.unique(self.images)) / self.n_images


def ptd_of_most_detected_blob(
    mean_images_by_angle: ArrayLike,
    plot: bool = True,
    blob_log_kwargs: Mapping[str, Any] | None = None,
    debug_plots_folder: str | os.PathLike[str] | None = None,
    image_names: Sequence[str] = (DEBUG_PLOT,),
    DBSCAN_max_distance: float | None = None,  # noqa: N803 - as users know it
    clipping_percentiles: Sequence[float] | None = None,
    *,
    dbscan_kwargs: Mapping[str, Any] | None = None,
    seen: ArrayLike | None = None,
    threads: int = 1,
) -> float:
    """Measure how far the most detected blob moves from angle to angle (point-to-point distance).

    Blobs are detected in the mean image of each angle and grouped by their places; the group seen
    in most images wins. If the sample stands still, its members lie on one point.

    Parameters
    ----------
    mean_images_by_angle : array_like of shape (n, y, x)
        Derotated mean images, one per angle; NaN is not seen.
    plot : bool
        Whether to save a picture; only where `debug_plots_folder` is given.
    blob_log_kwargs : mapping, optional
        Arguments of `skimage.feature.blob_log` that replace ours: ``min_sigma`` 3, ``max_sigma``
        8, ``num_sigma`` 3, ``threshold`` 0.08. Images are scaled to 0..1 before, whatever their
        brightness, and the brightest round blob responds with about 0.5: thresholds for raw counts
        do not fit.
    debug_plots_folder : path, optional
        Where to save the picture; it is made if it does not exist.
    image_names : sequence of str
        Name of the picture, ``most_detected_blob.png``; or two names: for where the blob was
        detected in the whole image, and for its places from close by.
    DBSCAN_max_distance : float, optional
        Distance in pixels within which detections are neighbors (5).
    clipping_percentiles : sequence of two float, optional
        Values of each image below the first percentile and above the second are clipped before
        blobs are detected; by default none, since images are scaled anyway.
    dbscan_kwargs : mapping, optional
        ``eps``: as `DBSCAN_max_distance`; ``min_samples``: number of neighbors, itself included,
        from which on a detection is the core of a group (2).
    seen : array_like of bool of shape (n, y, x), optional
        Pixels that hold something; all by default.
    threads : int
        Number of threads that share the images.

    Returns
    -------
    float
        Mean distance of all pairs of members of the group, pixels; lower is better. Always finite:
        without any group it is the diagonal of the images. A group that is seen in less than half
        of the images is not a sample that stands still, but chance: ``eps`` times the share that
        is missing to the half is added.

    Raises
    ------
    InputError
        If the shapes do not agree, or an argument is not known.

    Notes
    -----
    Of a center that is wrong by e, the point turned by a is wrong by 2 e sin(a / 2): all pairs of
    angles tell more about e than neighbors, whose distance is lost in the noise at small steps.
    """
    if len(image_names) not in (1, 2) or isinstance(image_names, str):
        raise InputError(f"image_names is {image_names!r}; expected one name or two")
    images = np.asarray(mean_images_by_angle)
    if clipping_percentiles is not None:
        images = _clipped(images, clipping_percentiles)
    grouping = dict(dbscan_kwargs or {})
    if DBSCAN_max_distance is not None:
        grouping["eps"] = float(DBSCAN_max_distance)
    blob = most_detected_blob(
        images, blob_log_kwargs=blob_log_kwargs, dbscan_kwargs=grouping, seen=seen, threads=threads
    )[0]
    if plot and debug_plots_folder is not None:
        folder = Path(debug_plots_folder)
        folder.mkdir(parents=True, exist_ok=True)
        wanted = [("far", "near")] if len(image_names) == 1 else [("far",), ("near",)]
        for name, panels in zip(image_names, wanted, strict=True):
            _plot(images, blob, panels).savefig(folder / name, dpi=120)
    return blob.ptd


def most_detected_blob(
    mean_images: ArrayLike,
    *,
    blob_log_kwargs: Mapping[str, Any] | None = None,
    dbscan_kwargs: Mapping[str, Any] | None = None,
    seen: ArrayLike | None = None,
    threads: int = 1,
) -> tuple[MostDetectedBlob, list[Blobs]]:
    """Find the most detected blob; arguments as for :func:`ptd_of_most_detected_blob`.

    Returns
    -------
    MostDetectedBlob
        Without members if there is no blob.
    list of Blobs
        All blobs that took part, per image.
    """
    settings = DEFAULT_DBSCAN | dict(dbscan_kwargs or {})
    if unknown := sorted(settings.keys() - DEFAULT_DBSCAN.keys()):
        raise InputError(
            f"dbscan_kwargs holds {', '.join(unknown)}; known are {', '.join(DEFAULT_DBSCAN)}"
        )
    images = np.asarray(mean_images)
    options = DEFAULT_BLOB_LOG | dict(blob_log_kwargs or {})
    detection = BlobDetection(blob_log_params=options, threads=threads)
    found = [blobs.first(MAX_BLOBS) for blobs in detection.detect(images, seen)]
    diagonal = float(np.hypot(*images.shape[1:]))
    blob = _winner(found, settings, diagonal)
    threshold = options.get("threshold")
    if not len(blob.images) and threshold is not None and threshold >= HIGH_THRESHOLD:
        logger.warning(
            "No blob was detected with the threshold %g. It is compared with images scaled to "
            "0..1, in which the brightest round blob responds with about 0.5; leave it out.",
            threshold,
        )
    return blob, found


def _winner(
    found: Sequence[Blobs], settings: Mapping[str, Any], diagonal: float
) -> MostDetectedBlob:
    groups = cluster_blobs(found, eps=settings["eps"], min_samples=settings["min_samples"])
    groups = [group for group in groups if len(group[0]) > 1]
    if not groups:
        return MostDetectedBlob(
            ptd=diagonal,
            images=np.empty(0, np.intp),
            positions=np.empty((0, 2)),
            n_images=len(found),
        )
    image, positions = groups[0]
    share = len(np.unique(image)) / len(found)
    missing = max(MIN_SHARE - share, 0.0) / MIN_SHARE
    return MostDetectedBlob(
        ptd=min(float(pdist(positions).mean()) + settings["eps"] * missing, diagonal),
        images=image,
        positions=positions,
        n_images=len(found),
    )


def _clipped(images: NDArray[Any], percentiles: Sequence[float]) -> NDArray[Any]:
    if len(percentiles) != 2 or not 0 <= percentiles[0] < percentiles[1] <= 100:
        raise InputError(
            f"clipping_percentiles is {percentiles!r}; expected two numbers from 0 to 100, the "
            "lower one first"
        )
    low, high = np.nanpercentile(images, percentiles, axis=(1, 2), keepdims=True)
    return np.asarray(np.clip(images, low, high))


def _plot(images: NDArray[Any], blob: MostDetectedBlob, panels: Sequence[str]) -> "Figure":
    """Show where the blob was detected on the mean of all images, from far and from near."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.25 * len(panels), 4), layout="constrained")
    axes = dict(zip(panels, np.atleast_1d(figure.subplots(1, len(panels))), strict=True))
    mean = np.nan_to_num(np.mean(images, axis=0))
    low, high = np.quantile(mean, [0.01, 0.998])
    for axis in axes.values():
        axis.imshow(mean, cmap="gray", vmin=low, vmax=max(high, low + 1e-9))
        axis.plot(*blob.positions.T, ".", color="#E69F00", markersize=4)
        axis.set(xlabel="x (px)", ylabel="y (px)")
    if "near" in axes:
        if len(blob.positions):
            x, y = np.median(blob.positions, axis=0)
            reach = max(12.0, 1.5 * float(np.ptp(blob.positions, axis=0).max()))
            axes["near"].set(xlim=(x - reach, x + reach), ylim=(y + reach, y - reach))
        axes["near"].set_title(
            f"distance {blob.ptd:.2f} px; in {100 * blob.share:.0f} % of the images", fontsize=10
        )
    if "far" in axes:
        axes["far"].set_title("most detected blob", fontsize=10)
    return figure
