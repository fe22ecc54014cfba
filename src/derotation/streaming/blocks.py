"""Consecutive frames on their way: read, derotated, written."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from derotation.io.movie import Movie
from derotation.io.seen import SeenWriter
from derotation.io.tiff_writer import TiffStackWriter
from derotation.maps.line_maps import LineMaps
from derotation.maps.resample import derotate_frames
from derotation.streaming.channels import Light

__all__ = ["Block", "derotated_blocks", "read_together", "writing"]


class Block(NamedTuple):
    """Consecutive frames, the first of them numbered start."""

    start: int
    raw: NDArray[Any]
    derotated: NDArray[Any]
    seen: NDArray[np.bool_]
    further: list[tuple[NDArray[Any], NDArray[np.bool_]]]
    """The derotated frames of each further channel, and their pixels that hold something."""


def read_together(
    movies: Sequence[Movie], frames_per_chunk: int
) -> Iterator[tuple[int, list[NDArray[Any]]]]:
    """Read the same frames of several channels, chunk by chunk."""
    for chunks in zip(*(movie.chunks(frames_per_chunk) for movie in movies), strict=True):
        yield chunks[0][0], [frames for _, frames in chunks]


def derotated_blocks(
    blocks: Iterator[tuple[int, list[NDArray[Any]]]],
    line_maps: LineMaps,
    lights: Sequence[Light],
    mask: NDArray[np.bool_],
    **how: Any,
) -> Iterator[Block]:
    """Derotate blocks of frames of all channels, and blank what lies outside the mask.

    What a line saw it saw in all channels, so that only the first one is asked; but floats may be
    NaN in one channel alone.
    """
    for start, channels in blocks:
        maps = line_maps(slice(start, start + len(channels[0])))
        done: list[tuple[NDArray[Any], NDArray[np.bool_]]] = []
        for raw, light in zip(channels, lights, strict=True):
            derotated = derotate_frames(
                light.even(raw),
                maps,
                timing=line_maps.timing,
                blank=light.blank,
                keep_seen=not done or raw.dtype.kind == "f",
                **how,
            )
            seen = done[0][1] if derotated.seen is None else derotated.seen
            if not mask.all():
                derotated.frames[:, ~mask] = light.blank
                seen[:, ~mask] = False
            done.append((derotated.frames, seen))
        yield Block(start, channels[0], *done[0], done[1:])


@contextlib.contextmanager
def writing(
    outputs: Sequence[str | os.PathLike[str] | None],
    seen_output: str | os.PathLike[str] | None,
    movie: Movie,
    kind: np.dtype[Any],
    frame_rate: float,
) -> Iterator[Callable[[Block], None]]:
    """Open what is to be written, a TIFF for each channel; gives what writes a block."""
    with contextlib.ExitStack() as stack:
        tiffs = [
            None
            if output is None
            else stack.enter_context(
                TiffStackWriter(
                    output,
                    movie.shape,
                    kind,
                    frame_interval_s=1 / frame_rate,
                    pixel_size_um=movie.metadata.pixel_size_um,
                )
            )
            for output in outputs
        ]
        masks = None
        if seen_output is not None:
            masks = stack.enter_context(SeenWriter(seen_output, movie.shape))

        def write(block: Block) -> None:
            further = [frames for frames, _ in block.further]
            for tiff, frames in zip(tiffs, [block.derotated, *further], strict=True):
                if tiff is not None:
                    tiff.write(frames)
            if masks is not None:
                masks.write(block.seen)

        yield write
