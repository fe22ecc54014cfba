"""What the report's player shows: a session's frames, as recorded and derotated, as one small file.

The page's scripts (``report/templates/player.js``) read what is written here.
"""

import base64
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derotation.io.files import write_text
from derotation.numerics.binning import binned
from derotation.numerics.smoothing import smoothed
from derotation.numerics.thinning import thinned
from derotation.plots.animation import SideBySide, choose_frames, turned_path
from derotation.signals.angles import Angles

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["SEEN_WIDTH", "WIDTH", "PlayerFrames", "choose_player_frames", "save_player"]

# Frames of a session that can be looked at, besides those of one turn.
N_FRAMES = 110
# Width of a frame and of the mean image in the page, pixels; a mask of what was seen is coarser.
WIDTH, MEAN_WIDTH, SEEN_WIDTH, THUMBNAIL_WIDTH = 256, 512, 48, 72
# Bytes of all frames, before they become text, which is a third longer.
MAX_BYTES = 600_000
# How far frames are smoothed (pixels) and WebP's quality, until they are small enough; then they
# get fewer pixels. Photon noise is most of a frame's bytes, and hides more than a little blur.
EFFORTS = ((0.0, 75), (0.7, 75), (1.0, 60), (1.4, 50))
# Of a picture of WebP, along a side.
MOST_PIXELS = 16383
# Points of the curve of the angle.
N_POINTS = 2000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlayerFrames:
    """What there is to be looked at in a session."""

    frames: NDArray[np.int64]
    """Numbers of the frames (n,)."""
    shown: SideBySide
    """These frames, of averaged squares of pixels; the center, too, is in their pixels."""
    scale: int
    """Width of such a square, pixels of the movie."""
    seen: NDArray[np.bool_]
    """Which squares of pixels, larger ones, the derotated frames saw (n, y, x)."""
    seen_scale: int
    """Width of such a square, pixels of the movie."""
    mean: NDArray[Any]
    """Mean of the derotated movie (y, x)."""
    raw_mean: NDArray[Any]
    """Mean of the movie as recorded (y, x)."""
    photons: float | None
    """Photons per pixel and frame; None if they could not be told."""


def choose_player_frames(angles: Angles) -> NDArray[np.int64]:
    """Choose frames of the whole session, and those of one turn.

    Parameters
    ----------
    angles : Angles

    Returns
    -------
    ndarray of int
        Numbers of frames, ascending: all of a short session, else some that are spread evenly over
        the time and over the way that the sample turned, and the turn of
        :func:`derotation.plots.animation.choose_frames`.
    """
    n = len(angles.frame_angles)
    if n <= N_FRAMES:
        return np.arange(n)
    path = turned_path(angles.frame_angles)
    # Rests are long: half of the frames are spread over time, half over the angles.
    way = np.arange(n) / (n - 1) + path / max(path[-1], 1e-9)
    spread = np.searchsorted(way, np.linspace(0, way[-1], N_FRAMES) - 1e-9)
    return np.unique(np.concatenate([spread.clip(0, n - 1), choose_frames(angles)]))


def save_player(content: PlayerFrames, angles: Angles, path: str | Path) -> None:
    """Write ``player.json``, which the report's page takes in as it is.

    Parameters
    ----------
    content : PlayerFrames
    angles : Angles
        All of the session, for the curve of the angle.
    path : path
        The file, which appears whole or not at all.
    """
    text = json.dumps(_as_json(content, angles), separators=(",", ":"), allow_nan=False)
    write_text(path, text)


def _as_json(content: PlayerFrames, angles: Angles) -> dict[str, Any]:
    shown, seen = content.shown, content.seen
    low, high = _limits(shown)
    sheets, factor = _sheets(shown, (low, high))
    height, width = (n // factor for n in shown.raw.shape[1:])
    mean, smaller = _picture(content.mean, MEAN_WIDTH)
    every = thinned(np.arange(len(angles.frame_angles)), N_POINTS)
    speeds = angles.line_speeds(content.frames)
    middle = speeds.shape[1] // 2
    return {
        "kind": "derotation player",
        "version": 1,
        "width": width,
        "height": height,
        "columns": _columns(len(shown.raw), width, height),
        "scale": content.scale * factor,
        "center": [(value + 0.5) / factor - 0.5 for value in shown.center],
        "low": low,
        "high": high,
        "raw": sheets[0],
        "derotated": sheets[1],
        "frame": content.frames.tolist(),
        "time_s": _numbers(shown.times, 3),
        "angle_deg": _numbers(shown.angles, 2),
        "velocity_deg_per_s": _numbers(speeds[:, middle], 1),
        "seen": {
            "scale": content.seen_scale,
            "width": seen.shape[2],
            "height": seen.shape[1],
            "bits": base64.b64encode(np.packbits(seen.ravel()).tobytes()).decode("ascii"),
        },
        "path": {
            "time_s": _numbers(angles.frame_start[every] / angles.sampling_rate, 3),
            "angle_deg": _numbers(angles.frame_angles[every], 2),
        },
        "rotations": list(_rotations(angles)),
        "mean": {"uri": mean, "scale": smaller},
        "thumbnails": [
            _picture(image, THUMBNAIL_WIDTH)[0] for image in (content.raw_mean, content.mean)
        ],
        "photons": _numbers(np.array([content.photons], float), 3)[0],
    }


def _limits(shown: SideBySide) -> tuple[float, float]:
    """Choose the values shown as black and white, also where nothing is known."""
    values = (shown.raw, shown.derotated)
    return shown.limits() if any(np.isfinite(movie).any() for movie in values) else (0.0, 1.0)


def _sheets(shown: SideBySide, limits: tuple[float, float]) -> tuple[tuple[str, str], int]:
    """Pack the frames as well as they may be: both sheets, and how much smaller they became."""
    factor = 1
    while True:
        movies = [binned(movie, factor) for movie in (shown.raw, shown.derotated)]
        for smoothing, quality in EFFORTS:
            # A part of the frames tells how large all of them become.
            some = [_encoded(movie[::8], limits, smoothing, quality) for movie in movies]
            share = len(movies[0][::8]) / len(movies[0])
            if sum(map(len, some)) / share <= MAX_BYTES:
                break
        else:
            if movies[0].shape[2] > WIDTH // 4:
                factor *= 2
                continue
        raw, derotated = (_uri(_encoded(movie, limits, smoothing, quality)) for movie in movies)
        return (raw, derotated), factor


def _encoded(
    movie: NDArray[np.floating[Any]], limits: tuple[float, float], smoothing: float, quality: int
) -> bytes:
    smooth: NDArray[np.floating[Any]] = movie
    if smoothing:
        smooth = np.stack([smoothed(frame, smoothing) for frame in np.nan_to_num(movie)])
    return _webp(_sheet(_grays(smooth, *limits)), quality)


def _columns(n_frames: int, width: int, height: int) -> int:
    """So many frames stand side by side: a picture of WebP has at most 16383 pixels, both ways."""
    rows = max(MOST_PIXELS // height, 1)
    wanted = max(math.ceil(math.sqrt(n_frames)), math.ceil(n_frames / rows), 1)
    return min(wanted, max(MOST_PIXELS // width, 1))


def _sheet(movie: NDArray[np.uint8]) -> "Image":
    """Put frames into one picture, row by row."""
    from PIL import Image

    n, height, width = movie.shape
    columns = _columns(n, width, height)
    rows = math.ceil(n / columns)
    sheet = np.zeros((rows * columns, height, width), np.uint8)
    sheet[:n] = movie
    tiled = sheet.reshape(rows, columns, height, width).swapaxes(1, 2)
    return Image.fromarray(tiled.reshape(rows * height, columns * width))


def _grays(images: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    scaled = np.nan_to_num((images - low) / (high - low) * 255)
    return scaled.clip(0, 255).round().astype(np.uint8)


def _picture(image: NDArray[Any], width: int) -> tuple[str, int]:
    """Write an image at most so wide; also say how many of its pixels became one."""
    factor = math.ceil(image.shape[1] / width)
    small = binned(image, factor)
    values = small[np.isfinite(small)]
    low, high = np.quantile(values, [0.01, 0.998]) if values.size else (0.0, 1.0)
    return _uri(_webp(_gray_image(_grays(small, low, max(high, low + 1e-9))), 80)), factor


def _gray_image(values: NDArray[np.uint8]) -> "Image":
    from PIL import Image

    return Image.fromarray(values)


def _webp(picture: "Image", quality: int) -> bytes:
    stream = io.BytesIO()
    picture.convert("RGB").save(stream, "WEBP", quality=quality, method=1)
    return stream.getvalue()


def _uri(content: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(content).decode('ascii')}"


def _numbers(values: NDArray[np.floating[Any]], digits: int) -> list[float | None]:
    """Round numbers; what is not known becomes null, as JSON has no NaN."""
    return [round(value, digits) if math.isfinite(value) else None for value in values.tolist()]


def _rotations(angles: Angles) -> Iterator[Sequence[float | None]]:
    """Give start and end of each rotation (s), its direction and its speed (deg/s)."""
    numbers = np.unique(angles.rotation[angles.rotation >= 0])
    for number in numbers.tolist():
        frames = np.flatnonzero(angles.rotation == number)
        times = angles.frame_start[[frames[0], frames[-1]]] / angles.sampling_rate
        told = [angles.direction[frames[0]], angles.speed[frames[0]]]
        end = times[1] + 1 / angles.frame_rate
        yield _numbers(np.array([times[0], end, *told]), 3)
