"""How well the most detected blob stays at its place."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from derotation.images.ptd import (
    DEFAULT_BLOB_LOG,
    DEFAULT_DBSCAN,
    MostDetectedBlob,
    most_detected_blob,
)
from derotation.quality.figures import Measured
from derotation.streaming.statistics import Statistics

__all__ = [
    "MAX_ANGLES",
    "MIN_ANGLES",
    "most_detected_blobs",
    "point_to_point_distance",
]

# Fewest and most mean images by angle in which a blob is looked for. As many of those as recorded:
# of fewer ones, two that lie together by chance would do for the most detected blob.
MIN_ANGLES, MAX_ANGLES = 3, 12


def point_to_point_distance(
    blob: MostDetectedBlob | None, raw_blob: MostDetectedBlob | None
) -> Measured:
    """Tell how far apart the places of the most detected blob lie."""
    if blob is None or raw_blob is None:
        return Measured(said="Not measured: there are too few mean images by angle.")
    if not len(blob.images):
        return Measured(said="Not measured: no blob was detected in several mean images.")
    return Measured(
        value=blob.ptd,
        before=raw_blob.ptd if len(raw_blob.images) else None,
        said=f"The most detected blob is seen in {100 * blob.share:.0f} % of the mean images by "
        f"angle; its places lie {blob.ptd:.2f} px apart on average.",
    )


def most_detected_blobs(
    statistics: Statistics, threads: int
) -> tuple[MostDetectedBlob | None, MostDetectedBlob | None]:
    """Find the most detected blob in derotated and in raw mean images by angle."""
    if len(statistics.angle) < MIN_ANGLES:
        return None, None
    chosen = slice(None, None, -(-len(statistics.angle) // MAX_ANGLES))
    mean, raw_mean = statistics.mean[chosen], statistics.raw_mean[chosen]
    derotated = np.where(np.isfinite(mean), mean, statistics.offset)
    return (
        _most_detected(derotated, statistics.seen[chosen], statistics.side, threads),
        _most_detected(raw_mean, np.ones(raw_mean.shape, np.bool_), statistics.side, threads),
    )


def _most_detected(
    images: NDArray[np.float32], seen: NDArray[np.bool_], side: int, threads: int
) -> MostDetectedBlob:
    """Find the most detected blob in pictures of squares of so many pixels, in pixels."""
    scales = {key: DEFAULT_BLOB_LOG[key] / side for key in ("min_sigma", "max_sigma")}
    found = most_detected_blob(
        images,
        blob_log_kwargs=scales,
        dbscan_kwargs={"eps": DEFAULT_DBSCAN["eps"] / side},
        seen=seen,
        threads=threads,
    )[0]
    return dataclasses.replace(
        found, ptd=found.ptd * side, positions=found.positions * side + (side - 1) / 2
    )
