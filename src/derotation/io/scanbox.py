"""Recordings of Scanbox: a `.sbx` of raw frames, described by a `.mat` of the same name."""

from pathlib import Path
from typing import Any

import numpy as np

from derotation.errors import MovieError
from derotation.io.file_set import FileSet, file_set
from derotation.io.isolated import call_isolated
from derotation.io.metadata import MovieMetadata
from derotation.io.raw_frames import RawFrames

__all__ = ["open_scanbox"]

_MOST_SIDE = 2**15
# Channels by the code of older versions: both, the first, the second.
_CHANNELS_OF_CODE = {1: (1, 2), 2: (1,), 3: (2,)}


def open_scanbox(path: Path) -> FileSet:
    """Find out where the frames of a recording lie.

    Parameters
    ----------
    path
        The `.sbx`.

    Returns
    -------
    FileSet

    Raises
    ------
    MovieError
        If the file or its description is missing or damaged.
    """
    description = path.with_suffix(".mat")
    if not description.is_file():
        raise MovieError(
            f"{path} is described by {description.name}, which is not beside it; copy it there."
        )
    info = call_isolated(
        read_info, description, error=MovieError, what="the description of a Scanbox movie"
    )
    height, width = info["lines"], info["columns"]
    if not (0 < height <= _MOST_SIDE and 0 < width <= _MOST_SIDE):
        raise MovieError(
            f"{description} is damaged: it says that frames are {width} x {height} pixels."
        )
    channels = info["channels"]
    stored = np.dtype("<u2")
    frame_bytes = height * width * len(channels) * stored.itemsize
    n_frames, rest = divmod(path.stat().st_size, frame_bytes)
    if not n_frames:
        raise MovieError(
            f"{path} is cut off: it has {rest} bytes, and one frame of {width} x {height} pixels "
            f"and {len(channels)} channels has {frame_bytes}."
        )
    notes = []
    if rest:
        notes.append(
            f"{path.name} is cut off: {n_frames} whole frames found and used; the last {rest} "
            "bytes make none."
        )
    n_channels, n_planes = len(channels), info["planes"]
    page = np.arange(n_frames * n_channels, dtype=np.int64)
    frame, channel = np.divmod(page, n_channels)
    time, plane = np.divmod(frame, n_planes)
    source = RawFrames(
        path=path, shape=(height, width), n_pages=len(page), stored=stored,
        n_interleaved=n_channels, inverted=True,
    )  # fmt: skip
    line_rate = info["resonance"] * (2 if info["bidirectional"] else 1)
    return file_set(
        [source],
        np.stack([np.zeros_like(page), page], axis=1),
        np.stack([time, plane, channel], axis=1),
        channels=channels,
        metadata=MovieMetadata(
            source="scanbox",
            frame_rate=line_rate / height if line_rate else None,
            lines_per_frame=height,
            bidirectional=info["bidirectional"],
            n_planes=n_planes,
            line_period_s=1 / line_rate if line_rate else None,
            software="Scanbox",
        ),
        n_more=1 if rest and n_planes == 1 else 0,
        notes=notes,
    )


def read_info(path: Path) -> dict[str, Any]:
    """Read the description; called where a crash of the library does no harm."""
    from scipy.io import loadmat

    content = loadmat(path, squeeze_me=True, struct_as_record=False, variable_names=["info"])
    if "info" not in content:
        raise MovieError(f"{path} holds no 'info'; it does not describe a Scanbox movie.")
    info = content["info"]
    bidirectional = int(getattr(info, "scanmode", 1)) == 0
    size = np.atleast_1d(getattr(info, "sz", [0, 796]))
    lines = int(size[0]) or int(info.recordsPerBuffer) * (2 if bidirectional else 1)
    n_chan = int(getattr(getattr(info, "chan", None), "nchan", 0))
    code = int(getattr(info, "channels", -1))
    channels = tuple(range(1, n_chan + 1)) if n_chan else _CHANNELS_OF_CODE.get(code, (1,))
    planes = 1
    if int(getattr(info, "volscan", 0)):
        planes = max(1, np.atleast_1d(getattr(info, "otwave", [])).size)
    return {
        "lines": lines,
        "columns": int(size[1]),
        "channels": channels[:8],
        "planes": planes,
        "bidirectional": bidirectional,
        "resonance": _finite(getattr(info, "resfreq", 0.0)),
    }


def _finite(value: Any) -> float:
    number = float(value)
    return number if np.isfinite(number) and number > 0 else 0.0
