"""ROIs from files of other programs, and from blobs of the mean image."""

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import ArrayLike, NDArray

from derotation.cells import ROI_FILES
from derotation.cells.rois import Rois
from derotation.errors import ROIFILE_MISSING, InputError
from derotation.images.blob_detection import detect_blobs

__all__ = ["Suite2pCells", "read_rois", "read_suite2p", "rois_of_blobs"]

logger = logging.getLogger(__name__)

# Kinds of ImageJ's ROIs that hold an area; others are lines, points, or nothing.
AREAS = ("POLYGON", "RECT", "OVAL", "FREEHAND", "TRACED")
# A blob's scale times this is its radius.
RADIUS = 2**0.5


class Suite2pCells(NamedTuple):
    """What Suite2p found in a plane: the ROIs that it takes for cells."""

    rois: Rois
    """Numbered as in ``stat.npy``, from 0 on."""
    fluorescence: NDArray[np.float32]
    """``F.npy`` of these, shape (n, frame)."""
    neuropil: NDArray[np.float32]
    """``Fneu.npy`` of these, shape (n, frame)."""


def read_suite2p(folder: str | Path, shape: tuple[int, int, int]) -> Suite2pCells:
    """Read what Suite2p left in the folder of a plane.

    Parameters
    ----------
    folder : path
        The folder ``plane0``.
    shape : tuple of int
        Frames, height and width of the movie that it looked at.

    Returns
    -------
    Suite2pCells
        Those with a 1 in the first column of ``iscell.npy``; pixels that Suite2p marks as
        overlapping are left out, as in its own traces.

    Raises
    ------
    InputError
        If a file is missing or holds something else, or is about another movie.
    """
    place = Path(folder)
    stat = _load(place / "stat.npy", pickled=True)
    if stat.ndim != 1 or not all(isinstance(one, dict) for one in stat):
        msg = f"{place / 'stat.npy'} is no list of ROIs as Suite2p writes it; run Suite2p again"
        raise InputError(msg)
    chosen = np.ones(len(stat), np.bool_)
    if (place / "iscell.npy").exists():
        listed = np.asarray(_load(place / "iscell.npy"), np.float64)
        if listed.ndim not in (1, 2) or len(listed) != len(stat):
            msg = (
                f"{place / 'iscell.npy'} has the shape {listed.shape}, but stat.npy holds "
                f"{len(stat)} ROIs: a row for each was expected. Run Suite2p again"
            )
            raise InputError(msg)
        chosen = (listed if listed.ndim == 1 else listed[:, 0]) > 0
    fluorescence, neuropil = (_load(place / name) for name in ("F.npy", "Fneu.npy"))
    expected = (len(stat), shape[0])
    for name, traces in (("F.npy", fluorescence), ("Fneu.npy", neuropil)):
        if traces.shape != expected:
            msg = (
                f"{place / name} has the shape {traces.shape}, but {expected} (ROIs of stat.npy, "
                "frames of the movie) was expected: it is of another movie. Run Suite2p again"
            )
            raise InputError(msg)
    pixels, weights = [], []
    for k, one in enumerate(stat):
        row, column, weight = _suite2p_roi(place / "stat.npy", k, one, shape[1:])
        pixels.append(np.stack([row, column]))
        weights.append(np.maximum(weight, 0))
    found = Rois.of(
        [pixels[k] for k in np.flatnonzero(chosen)],
        shape[1:],
        weights=[weights[k] for k in np.flatnonzero(chosen)],
        number=np.flatnonzero(chosen),
    )
    return Suite2pCells(
        rois=found,
        fluorescence=np.asarray(fluorescence[found.number], np.float32),
        neuropil=np.asarray(neuropil[found.number], np.float32),
    )


def _suite2p_roi(
    path: Path, number: int, roi: Mapping[str, Any], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Give rows, columns and weights of a ROI's pixels, but for those that it shares."""
    try:
        row, column = (np.asarray(roi[name], np.int64) for name in ("ypix", "xpix"))
        weight = np.asarray(roi["lam"], np.float64)
    except KeyError as error:
        msg = f"{path}, ROI {number}: it lacks {error}; run Suite2p again"
        raise InputError(msg) from error
    shared = np.asarray(roi.get("overlap", np.zeros(len(row))), np.bool_)
    if not row.shape == column.shape == weight.shape == shared.shape or row.ndim != 1:
        msg = (
            f"{path}, ROI {number}: ypix, xpix, lam and overlap hold {row.size}, {column.size}, "
            f"{weight.size} and {shared.size} pixels; as many were expected. Run Suite2p again"
        )
        raise InputError(msg)
    if not np.isfinite(weight).all():
        msg = f"{path}, ROI {number}: lam holds what is no number; run Suite2p again"
        raise InputError(msg)
    inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    if not inside.all():
        msg = (
            f"{path}, ROI {number} lies outside the picture ({shape[1]} x {shape[0]} px): it is of "
            "another movie. Run Suite2p again"
        )
        raise InputError(msg)
    own = ~shared if not shared.all() else np.ones(len(row), np.bool_)
    return row[own], column[own], weight[own]


def _load(path: Path, *, pickled: bool = False) -> Any:
    """Load an array; Suite2p's list of ROIs is the only one that holds objects."""
    if not path.is_file():
        msg = (
            f"{path} is missing, so that there are no ROIs of Suite2p. If the export was made "
            "anew, earlier results lie in suite2p/earlier: run Suite2p again"
        )
        raise InputError(msg)
    try:
        return np.load(path, allow_pickle=pickled)
    except Exception as error:
        # Damaged files make NumPy and pickle raise many things.
        msg = f"{path} cannot be read as an array of NumPy; run Suite2p again"
        raise InputError(msg) from error


def read_rois(path: str | Path, shape: tuple[int, int]) -> Rois:
    """Read ROIs from a file.

    Parameters
    ----------
    path : path
        A picture of labels (``.tif`` or ``.npy``, (y, x), 0 where there is no ROI), a stack of
        masks (n, y, x), or ROIs of ImageJ (``.zip``, ``.roi``), which need the package roifile.
    shape : tuple of int
        Height and width of the derotated picture.

    Returns
    -------
    Rois
        Numbered as in the picture, or from 1 on.

    Raises
    ------
    InputError
        If the file cannot be read, holds no ROI, or is of another size.
    """
    file = Path(path)
    kind = file.suffix.lower()
    if kind not in ROI_FILES:
        msg = f"{file}: ROIs can be read from {', '.join(ROI_FILES)}, not from {kind or 'this'}"
        raise InputError(msg)
    if not file.is_file():
        msg = f"{file} is missing; it should hold the session's ROIs (cells.rois)"
        raise InputError(msg)
    if kind in (".zip", ".roi"):
        found = _imagej(file, shape)
    else:
        found = _of_picture(file, _picture(file, kind), shape)
    if not len(found):
        msg = f"{file} holds no ROI within the picture ({shape[1]} x {shape[0]} px)"
        raise InputError(msg)
    return found


def _picture(file: Path, kind: str) -> NDArray[Any]:
    try:
        return np.load(file, allow_pickle=False) if kind == ".npy" else tifffile.imread(file)
    except Exception as error:
        # Both raise many things.
        msg = f"{file} cannot be read as a picture of ROIs ({error})"
        raise InputError(msg) from error


def _of_picture(file: Path, picture: NDArray[Any], shape: tuple[int, int]) -> Rois:
    if picture.ndim not in (2, 3) or picture.shape[-2:] != shape or picture.dtype.kind not in "biu":
        msg = (
            f"{file}: found {picture.dtype} of the shape {picture.shape}, expected whole numbers "
            f"of the shape {shape} (a label per pixel), or (n, {shape[0]}, {shape[1]}): a mask each"
        )
        raise InputError(msg)
    if picture.size and picture.min() < 0:
        msg = (
            f"{file}: found numbers down to {picture.min()}; 0 is expected where there is no ROI, "
            "and numbers from 1 on where there are"
        )
        raise InputError(msg)
    if picture.ndim == 2:
        return Rois.of_labels(picture)
    for k, mask in enumerate(picture, 1):
        if len(np.unique(mask[mask > 0])) > 1:
            msg = (
                f"{file}, page {k}: found several numbers above 0. Of several pages each is the "
                "mask of one ROI; a picture of labels has one page"
            )
            raise InputError(msg)
    return Rois.of([np.stack(np.nonzero(mask)) for mask in picture], shape)


def _imagej(file: Path, shape: tuple[int, int]) -> Rois:
    if find_spec("roifile") is None:
        msg = f"{file}: {ROIFILE_MISSING}"
        raise InputError(msg)
    import roifile

    try:
        read = roifile.roiread(file)
    except Exception as error:
        # It raises what the bytes make of its parser.
        msg = f"{file} cannot be read as ROIs of ImageJ ({error})"
        raise InputError(msg) from error
    listed = read if isinstance(read, list) else [read]
    areas = [one.roitype.name in AREAS for one in listed]
    others = sorted({one.roitype.name.lower() for one, is_area in zip(listed, areas, strict=True)
                     if not is_area})  # fmt: skip
    if others:
        logger.warning(
            "%s: %d of %d ROIs hold no area (%s) and are left out",
            file, areas.count(False), len(listed), ", ".join(others),
        )  # fmt: skip
    numbers = np.flatnonzero(areas)
    return Rois.of(
        [_pixels_of(listed[k], shape) for k in numbers], shape, number=np.asarray(numbers) + 1
    )


def _pixels_of(roi: Any, shape: tuple[int, int]) -> NDArray[np.int64]:
    """List the pixels (2, p) whose middle lies within a ROI of ImageJ.

    ImageJ counts from the corner of the first pixel, so that its middle is at 0.5. Several outlines
    of one ROI make holes where they lie over each other.
    """
    import roifile

    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    if roi.roitype == roifile.ROI_TYPE.OVAL:
        radius_y, radius_x = (roi.bottom - roi.top) / 2, (roi.right - roi.left) / 2
        middle_y, middle_x = (roi.bottom + roi.top) / 2, (roi.right + roi.left) / 2
        inside = ((y - middle_y) / radius_y) ** 2 + ((x - middle_x) / radius_x) ** 2 <= 1
        return np.stack(np.nonzero(inside))
    from skimage.measure import points_in_poly

    outlines = roi.coordinates(multi=True)
    inside = np.zeros(shape, np.bool_)
    for outline in outlines if isinstance(outlines, list) else [outlines]:
        (left, top), (right, bottom) = np.floor(outline.min(0)), np.ceil(outline.max(0))
        part = (
            slice(max(int(top), 0), max(int(bottom), 0)),
            slice(max(int(left), 0), max(int(right), 0)),
        )
        points = np.stack([x[part].ravel(), y[part].ravel()], axis=1)
        if len(points):
            within = points_in_poly(points, outline)  # type: ignore[no-untyped-call]
            inside[part] ^= within.reshape(inside[part].shape)
    return np.stack(np.nonzero(inside))


def rois_of_blobs(image: ArrayLike, seen: ArrayLike | None = None) -> Rois:
    """Take the blobs of a picture for ROIs: a disc each, a pixel belongs to the nearest one.

    Parameters
    ----------
    image : array_like of shape (y, x)
        The mean of the derotated movie.
    seen : array_like of bool, shape (y, x), optional
        Pixels that hold something.

    Returns
    -------
    Rois
        The strongest first.
    """
    picture = np.asarray(image)
    found = detect_blobs(picture, seen, max_blobs=10_000)
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    nearest, labels = np.full(picture.shape, np.inf), np.zeros(picture.shape, np.int64)
    for k, ((at_x, at_y), sigma) in enumerate(zip(found.positions, found.sigmas, strict=True)):
        radius = RADIUS * sigma
        part = (
            slice(max(int(at_y - radius) - 1, 0), int(at_y + radius) + 2),
            slice(max(int(at_x - radius) - 1, 0), int(at_x + radius) + 2),
        )
        away = np.hypot(x[part] - at_x, y[part] - at_y) / radius
        own = (away <= 1) & (away < nearest[part])
        labels[part][own], nearest[part][own] = k + 1, away[own]
    logger.info("%d blobs of the mean image are taken for ROIs", len(found))
    return Rois.of_labels(labels)
