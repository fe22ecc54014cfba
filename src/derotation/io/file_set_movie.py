"""The frames of one plane and channel of a recording that says where they are."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from derotation.io.file_set import FileSet
from derotation.io.lazy_movie import Movie
from derotation.io.plane_and_channel import Asked, choose

__all__ = ["movie_of_set"]


def movie_of_set(found: FileSet, asked: Asked) -> Movie:
    """Take the frames of one plane and channel out of a recording that says where they are."""
    notes = list(found.notes)
    file, page, times, channels = found.file, found.page, found.times, found.channels
    metadata, n_recorded, stride = found.metadata, found.n_recorded, found.clock_stride
    stated = file.shape[1:]
    wanted = (asked.n_planes or stated[0], asked.n_channels or stated[1])
    if wanted != stated:
        notes.append(
            f"The files say that they hold {stated[0]} planes and {stated[1]} channels; "
            f"n_planes = {wanted[0]} and n_channels = {wanted[1]} were asked for and used."
        )
        n_used = file.size // math.prod(wanted) * math.prod(wanted)
        file, page = (a.ravel()[:n_used].reshape(-1, *wanted) for a in (file, page))
        times, n_recorded = np.arange(len(file), dtype=np.int64), len(file)
        stride = wanted[0]
        channels = tuple(range(1, wanted[1] + 1))
        if metadata.frame_rate is not None:
            rate = metadata.frame_rate * wanted[0] / stated[0]
            metadata = replace(metadata, frame_rate=rate)
    path, n_planes = found.sources[0].path, wanted[0]
    channel = choose(path, "channel", channels, asked.channel)
    plane = choose(path, "plane", tuple(range(1, n_planes + 1)), asked.plane)
    index = channels.index(channel)
    n_clock = n_recorded * stride
    return Movie(
        sources=found.sources,
        frame_file=np.ascontiguousarray(file[:, plane - 1, index]),
        frame_page=np.ascontiguousarray(page[:, plane - 1, index]),
        clock_index=_clock_of(found, times, stride, plane, n_planes),
        n_clock_frames=n_clock,
        metadata=replace(
            metadata, frames_written=n_clock, channels_saved=channels, n_planes=n_planes
        ),
        channel=channel,
        plane=plane,
        n_planes=n_planes,
        notes=notes,
        choose=lambda c, p: movie_of_set(found, replace(asked, channel=c, plane=p)),
    )


def _clock_of(
    found: FileSet, times: NDArray[np.int64], stride: int, plane: int, n_planes: int
) -> NDArray[np.int64]:
    """Return the frame of the clock in which a plane, counted from 1, was recorded at each time."""
    slot = np.full(len(times), plane - 1, dtype=np.int64)
    if found.both_ways and n_planes == found.file.shape[1]:
        slot[times % 2 == 1] = n_planes - plane
    return np.asarray((times - times[0]) * stride + slot)
