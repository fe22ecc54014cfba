"""The picture of a session at rest: the mean of its raw frames at angle 0."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.images.mean_images import mean_images_at_rest, mean_images_of_derotated
from derotation.io.movie import Movie
from derotation.io.tiff_writer import TiffStackWriter
from derotation.maps.line_maps import LineMaps
from derotation.signals.angles import Angles

__all__ = ["read_rest_image", "save_rest_image"]

logger = logging.getLogger(__name__)

# Frames that are averaged at most; noise hardly falls with more.
MAX_FRAMES = 100


def save_rest_image(
    path: str | Path,
    movie: Movie,
    line_maps: LineMaps,
    *,
    calibrated: bool = True,
    threads: int = 1,
) -> None:
    """Write the mean of the frames at rest as a TIFF.

    Where no frame was recorded at angle 0, turned ones are derotated, if the maps are those of a
    calibration that holds for this session.

    Raises
    ------
    InputError
        If there is neither a frame at rest nor a calibration.
    """
    angles = line_maps.angles
    assert isinstance(angles, Angles)
    try:
        found = mean_images_at_rest(movie, angles, targets=[0.0], max_frames=MAX_FRAMES)
    except InputError:
        if not calibrated:
            raise
        logger.warning("no frame was recorded at angle 0; derotated frames are averaged instead")
        found = mean_images_of_derotated(
            movie, line_maps, targets=[0.0], half_width=180.0, max_frames=MAX_FRAMES,
            threads=threads,
        )  # fmt: skip
    image = found.images[0]
    pixel_size = movie.metadata.pixel_size_um
    with TiffStackWriter(path, (1, *image.shape), np.float32, pixel_size_um=pixel_size) as writer:
        writer.write(image)


def read_rest_image(path: str | Path) -> NDArray[Any]:
    """Read what :func:`save_rest_image` wrote, shape (y, x).

    Raises
    ------
    InputError
        If the file cannot be read as one image.
    """
    import tifffile

    try:
        image = tifffile.imread(path).squeeze()
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read as an image: {error}; delete it to have it made again"
        raise InputError(msg) from error
    if image.ndim != 2:
        msg = f"{path} has the shape {image.shape}, expected one image (y, x)"
        raise InputError(msg)
    return np.asarray(image)
