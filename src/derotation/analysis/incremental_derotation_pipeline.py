"""A session with one slow turn in small steps, from its raw files to a movie that stands still."""

import logging
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from derotation.analysis.full_derotation_pipeline import FullPipeline
from derotation.analysis.pipeline_keys import Protocol
from derotation.images.mean_images import MeanImages, mean_images_at_rest
from derotation.io.files import write_text
from derotation.io.movie import Movie
from derotation.io.tiff_writer import TiffStackWriter
from derotation.signals.angles import Angles

__all__ = ["IncrementalPipeline"]

logger = logging.getLogger(__name__)


class IncrementalPipeline(FullPipeline):
    """Derotate a session in which the sample turned once, in small steps with rests.

    Configuration, steps, attributes and files are those of `FullPipeline`, with these differences:
    no stimulus table is needed; ``center_method`` can be ellipse; and the mean image of the
    recorded frames at each rest is kept. The calibration that a run writes can be used by the
    full sessions of the same day.

    Parameters
    ----------
    config : mapping or path
        See `FullPipeline`. ``degrees_per_step`` is the size of a step (10 degrees), ``rot_deg``
        that of the whole turn.
    threads : int, optional
        Threads that share the work on frames; by default as many as there are cores to use.

    Attributes
    ----------
    mean_images : MeanImages
        Mean of the recorded frames at each rest, with the angles of the rests.

    Raises
    ------
    ConfigError
        With everything that is wrong with the configuration, one line each.

    Notes
    -----
    Beside the files of `FullPipeline` a run writes to `debug_plots_folder`: ``mean_images.tif``,
    one image per angle, and ``mean_images.csv`` with the angle of each image and its number of
    frames.
    """

    protocol: ClassVar[Protocol] = "incremental"

    def run(self) -> None:
        """Do all steps; then average the frames of each rest."""
        super().run()
        with self.open_movie() as movie:
            self.mean_images = self.compute_mean_images(movie, self.angles)
        self.save_mean_images(self.mean_images)

    def compute_mean_images(self, movie: Movie, angles: Angles) -> MeanImages:
        """Average the recorded frames that stand at each angle of a rest.

        Parameters
        ----------
        movie : Movie
            The recorded movie.
        angles : Angles

        Returns
        -------
        MeanImages
            Angles at which no frame stands are left out; the log says which these are.

        Raises
        ------
        InputError
            If no frame stands at any angle.
        """
        wanted = self._rest_angles()
        found = mean_images_at_rest(movie, angles, targets=wanted, missing="skip")
        absent = np.setdiff1d(wanted, found.angles.round(6))
        if len(absent):
            logger.warning(
                "No mean image at %s degrees: no frame stands there. Was the recording cut short, "
                "or does degrees_per_step differ?",
                ", ".join(f"{angle:g}" for angle in absent),
            )
        return found

    def save_mean_images(self, mean_images: MeanImages) -> None:
        """Write the mean images as one TIFF, and a table that says which is which.

        Parameters
        ----------
        mean_images : MeanImages
        """
        stack = mean_images.images
        path = self.settings.plots_folder / "mean_images.tif"
        n_images, height, width = stack.shape
        with TiffStackWriter(path, (n_images, height, width), stack.dtype) as writer:
            writer.write(stack)
        rows = zip(mean_images.angles, mean_images.counts, strict=True)
        table = [f"{k},{angle:.10g},{count}\n" for k, (angle, count) in enumerate(rows)]
        write_text(path.with_suffix(".csv"), "image,angle,frames\n" + "".join(table))

    def _rest_angles(self) -> NDArray[np.float64]:
        """Angles of all rests in one turn, 0 <= angle < 360, ascending."""
        section = self.settings.sections["angles"]
        step = float(section["degrees_per_step"])
        turned = np.arange(0, self.settings.degrees + step / 2, step) * section["direction_sign"]
        return np.unique(np.mod(turned, 360).round(6) % 360)
