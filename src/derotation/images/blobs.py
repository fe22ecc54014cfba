"""Find blobs in the mean images at each angle, and follow them over the turn.

How they are found: :mod:`derotation.images.blob_detection`; how they are followed:
:mod:`derotation.images.blob_tracks`. Positions are (x, y) in pixels, pixel centers at integers.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.images.blob_detection import Blobs, checked_stack, detect_blobs, even_light
from derotation.images.blob_tracks import (
    cluster_blobs,
    link_blobs,
    link_in_place,  # noqa: F401 (documented as a part of this module before)
)
from derotation.images.ellipses.tracks import BlobTracks

__all__ = ["BlobDetection"]


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
        stack, masks = checked_stack(image_stack, seen)

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
            As in :func:`derotation.images.blob_tracks.cluster_blobs`.

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
        stack, masks = checked_stack(images, seen)
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


def _largest(blobs: Blobs) -> int:
    """Choose the widest blob; of several equally wide ones the strongest, which comes first."""
    return int(np.argmax(blobs.sigmas >= 0.95 * blobs.sigmas.max()))


def _as_masked(
    places: Sequence[NDArray[np.float64] | None],
) -> "np.ma.MaskedArray[Any, np.dtype[np.float64]]":
    data = np.array([(0.0, 0.0) if place is None else place for place in places]).reshape(-1, 2)
    mask = np.array([[place is None] * 2 for place in places]).reshape(-1, 2)
    return np.ma.MaskedArray(data, mask=mask)
