"""The derotated movie as a TIFF that Suite2p reads."""

from pathlib import Path

import numpy as np

from derotation.export.frames import FilledFrames
from derotation.io.tiff_writer import TiffStackWriter

__all__ = ["export_tiff"]


def export_tiff(
    frames: FilledFrames,
    path: str | Path,
    *,
    frame_rate: float,
    pixel_size_um: float | None = None,
    frames_per_chunk: int | None = None,
) -> None:
    """Write the filled movie as 16-bit integers, uncompressed, as Suite2p needs it.

    Suite2p reads compressed TIFFs as garbage without an error, halves unsigned 16-bit values, and
    takes every TIFF of a folder for a part of the recording: give the file a folder of its own.

    Parameters
    ----------
    frames : FilledFrames
        The derotated movie without holes.
    path : path
        The file to be written, whole or not at all.
    frame_rate : float
        Frames per second.
    pixel_size_um : float, optional
        Width of a pixel in micrometers.
    frames_per_chunk : int, optional
        Frames held in memory at a time.

    Raises
    ------
    InputError
        If the movie's values do not fit into 16 bits.
    """
    with TiffStackWriter(
        path,
        frames.movie.shape,
        np.int16,
        frame_interval_s=1 / frame_rate,
        pixel_size_um=pixel_size_um,
    ) as writer:
        for block in frames.blocks(frames_per_chunk):
            writer.write(block)
