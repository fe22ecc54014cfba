"""Step ``export_tiff``: the filled movie as a TIFF that Suite2p reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derotation.export.tiff import export_tiff
from derotation.steps.exporting import DerotatedFiles, derotated_session

__all__ = ["run"]


def run(
    *,
    files: DerotatedFiles,
    config: Mapping[str, Any],
    output: str | Path,
    frames_per_chunk: int | None = None,
) -> None:
    """Write the derotated movie, filled where nothing was seen, as 16-bit integers.

    Of several channels it is the functional one.

    Parameters
    ----------
    files : DerotatedFiles
        The session's.
    config : mapping
        As for :func:`derotation.steps.exporting.derotated_session`.
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
    with derotated_session(files, config) as session:
        export_tiff(
            session.frames,
            output,
            frame_rate=session.angles.frame_rate,
            pixel_size_um=session.movie.metadata.pixel_size_um,
            frames_per_chunk=frames_per_chunk,
        )
