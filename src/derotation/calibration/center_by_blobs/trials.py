"""Trial centers, and how far blobs move when the mean images are derotated about each."""

import dataclasses
import logging

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.geometry import Geometry, tilt_to_vector
from derotation.errors import CenterError
from derotation.images.blob_detection import Blobs
from derotation.images.ellipses.tracks import covered
from derotation.images.mean_images import DerotatedMeans, MeanImages
from derotation.images.ptd import most_detected_blob

__all__ = ["MIN_ANGLES", "Trials"]

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]

MIN_ANGLES = 6


class Trials:
    """All centers tried so far."""

    def __init__(self, means: DerotatedMeans, plane: tuple[float, float], threads: int) -> None:
        if len(means) < MIN_ANGLES or covered(means.angles) < 60:
            raise CenterError(
                f"frames were recorded near {len(means)} of the angles only "
                f"({', '.join(f'{angle:g}' for angle in means.angles)} degrees), which hardly "
                "tells the center; give it as center.fixed, or a calibration in the sample sheet"
            )
        self.means, self.plane = means, plane
        self._threads = threads
        self.centers: list[Floats] = []
        self.ptds: list[float] = []
        self.phases: list[str] = []
        self._blobs: list[list[Blobs]] = []
        self._shares: list[float] = []

    @property
    def best(self) -> int:
        """Number of the best trial, the earliest among equals."""
        return int(np.argmin(self.ptds))

    @property
    def blobs(self) -> list[Blobs]:
        """Blobs per angle in the best trial."""
        return self._blobs[self.best]

    @property
    def share(self) -> float:
        """Part of the images in which the most detected blob of the best center is found."""
        return self._shares[self.best]

    @property
    def any_blob(self) -> bool:
        """Whether a blob was found about any center."""
        return max(self._shares) > 0

    def images(self, center: Floats) -> MeanImages:
        """Derotate the mean images about a center."""
        tilt = tilt_to_vector(*self.plane)
        return self.means(dataclasses.replace(Geometry.about(center), tilt=tilt))

    def evaluate(self, center: Floats, phase: str) -> float:
        """Try a center; returns its point-to-point distance."""
        means = self.images(center)
        blob, found = most_detected_blob(means.images, seen=means.seen, threads=self._threads)
        self.centers.append(np.array(center, np.float64))
        self.ptds.append(blob.ptd)
        self.phases.append(phase)
        self._blobs.append(found)
        self._shares.append(blob.share)
        logger.debug("%s: (%.2f, %.2f) px: %.3f px", phase, center[0], center[1], blob.ptd)
        return blob.ptd
