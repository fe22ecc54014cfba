"""Step ``export_tiff``: the filled movie as a TIFF that Suite2p reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derotation.export.tiff import export_tiff
from derotation.steps.exporting import derotated_session

__all__ = ["run"]


def run(
    *,
    movie: str | Path,
    seen: str | Path,
    angles: str | Path,
    calibration: str | Path,
    mean: str | Path,
    coverage: str | Path,
    config: Mapping[str, Any],
    output: str | Path,
    channels: str | Path | None = None,
    channel_means: str | Path | None = None,
    frames_per_chunk: int | None = None,
) -> None:
    """Write the derotated movie, filled where nothing was seen, as 16-bit integers.

    Of several channels it is the functional one.

    Parameters
    ----------
    movie, seen, angles, calibration, mean, coverage, config, channels, channel_means
        As for :func:`derotation.steps.export_suite2p.run`.
    output : path
        The TIFF, alone in its folder.
    frames_per_chunk : int, optional
        Frames held in memory at a time.

    Raises
    ------
    DerotationError
        If a file cannot be read, if the files do not belong together, or if the movie's values do
        not fit into 16 bits.
    """
    with derotated_session(
        movie=movie,
        seen=seen,
        angles=angles,
        calibration=calibration,
        mean=mean,
        coverage=coverage,
        config=config,
        channels=channels,
        channel_means=channel_means,
    ) as session:
        export_tiff(
            session.frames,
            output,
            frame_rate=session.angles.frame_rate,
            pixel_size_um=session.movie.metadata.pixel_size_um,
            frames_per_chunk=frames_per_chunk,
        )
