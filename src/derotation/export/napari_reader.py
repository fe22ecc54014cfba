"""A session's results as layers of napari: movies, mean picture, center, motion of the sample.

What napari calls is named in ``derotation/napari.yaml``. Movies are mapped, not read: their frames
come from the disk when they are shown.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration
from derotation.io.movie import open_movie
from derotation.motion_correction.motion import Motion
from derotation.signals.angles import Angles

__all__ = ["get_reader", "read_session"]

Layer = tuple[NDArray[Any], dict[str, Any], str]
MOVIE = "derotated.tif"
SHOWN = (0.01, 0.998)


def get_reader(
    path: str | os.PathLike[str] | Sequence[str],
) -> Callable[[str | os.PathLike[str]], list[Layer]] | None:
    """Give what reads a path, as napari asks it.

    Parameters
    ----------
    path : path or list of paths
        What is to be opened.

    Returns
    -------
    callable or None
        :func:`read_session` for a session's folder (``results/<session>``) or the ``derotated.tif``
        in it; None for all else.
    """
    if not isinstance(path, str | os.PathLike):
        return None
    return read_session if _movie_of(Path(path)) is not None else None


def read_session(path: str | os.PathLike[str]) -> list[Layer]:
    """Read a session's results as layers.

    Parameters
    ----------
    path : path
        A session's folder, or its ``derotated.tif``.

    Returns
    -------
    list of (data, keywords, kind)
        The derotated movie (frame, y, x), mapped; those of further channels; the mean picture; the
        center of rotation as a point; and, if the sample moved, its way as a track through the
        center. Scales are seconds per frame and micrometers per pixel, where they are known.

    Raises
    ------
    FileNotFoundError
        If there is no derotated movie.
    DerotationError
        If a file of the session cannot be read.
    """
    movie = _movie_of(Path(path))
    if movie is None:
        msg = f"{path}: there is no {MOVIE}; choose the folder of a session in results/"
        raise FileNotFoundError(msg)
    folder = movie.parent
    interval, size = _steps(movie)
    unit = "pixel" if size is None else "um"
    in_plane = {"scale": (size or 1.0,) * 2, "units": (unit,) * 2, "axis_labels": ("y", "x")}
    in_time = {
        "scale": (interval or 1.0, *in_plane["scale"]),
        "units": ("pixel" if interval is None else "s", *in_plane["units"]),
        "axis_labels": ("t", "y", "x"),
    }
    layers = [_image(movie, folder / "images" / "mean.tif", in_time, folder.name)]
    for further in sorted(folder.glob("channels/derotated_ch*.tif")):
        name = f"{folder.name} {further.stem.removeprefix('derotated_')}"
        layers.append(_image(further, None, {**in_time, "visible": False}, name))
    mean = folder / "images" / "mean.tif"
    if mean.exists():
        layers.append(_image(mean, mean, {**in_plane, "visible": False}, f"{folder.name} mean"))
    if (folder / "calibration.json").exists():
        calibration = Calibration.load(folder / "calibration.json")
        layers.append(_center(calibration, in_plane))
        if (folder / "motion.npz").exists():
            motion = Motion.load(folder / "motion.npz")
            angles = Angles.load(folder / "angles.npz")
            layers.append(_way(calibration, motion, angles, in_time))
    return layers


def _movie_of(path: Path) -> Path | None:
    """Find the derotated movie: the path itself, or in the folder."""
    movie = path / MOVIE if path.is_dir() else path
    own = movie.parent / "calibration.json", movie.parent / "angles.npz"
    is_session = movie.name == MOVIE and movie.is_file() and any(file.exists() for file in own)
    return movie if is_session else None


def _steps(movie: Path) -> tuple[float | None, float | None]:
    """Tell seconds from frame to frame, and micrometers from pixel to pixel."""
    with open_movie(movie, n_planes=1, n_channels=1) as opened:
        rate = opened.metadata.frame_rate
        return None if rate is None else 1 / rate, opened.metadata.pixel_size_um


def _image(path: Path, mean: Path | None, how: dict[str, Any], name: str) -> Layer:
    import tifffile

    pixels: NDArray[Any] = tifffile.memmap(path, mode="r")
    if len(how["scale"]) == 3 and pixels.ndim == 2:
        pixels = pixels[np.newaxis]
    if len(how["scale"]) == 2 and pixels.ndim == 3:
        pixels = pixels[0]
    # Said here, since napari would look through the movie for it.
    shown = (
        tifffile.imread(mean) if mean is not None and mean.exists() else pixels[len(pixels) // 2]
    )
    low, high = (float(value) for value in np.nanquantile(shown, SHOWN))
    limits = (low, max(high, low + 1e-6))
    return pixels, {"name": name, "contrast_limits": limits, "colormap": "gray", **how}, "image"


def _center(calibration: Calibration, how: dict[str, Any]) -> Layer:
    x, y = calibration.center
    keywords = {"name": "center of rotation", "symbol": "cross", "size": 5, "face_color": "#E69F00"}
    return np.array([[y, x]]), {**keywords, **how}, "points"


def _way(calibration: Calibration, motion: Motion, angles: Angles, how: dict[str, Any]) -> Layer:
    """Give the way of the sample, drawn from the center: rows of (track, frame, y, x)."""
    x, y = calibration.center
    times = angles.line_times_s[:, angles.line_times_s.shape[1] // 2]
    moved = motion.displacement(times)
    frames = np.arange(len(times), dtype=np.float64)
    rows = np.column_stack([np.zeros_like(frames), frames, y + moved[:, 1], x + moved[:, 0]])
    return rows, {"name": "motion of the sample", "tail_length": 50, **how}, "tracks"
