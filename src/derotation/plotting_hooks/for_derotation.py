"""Hooks for :func:`derotation.derotate_by_line.derotate_an_image_array_line_by_line`.

Each call writes one picture. The folder is an argument, so bind it before handing a hook over::

    from functools import partial

    derotate_an_image_array_line_by_line(
        stack, angles,
        plotting_hook_line_addition=partial(line_addition, folder="lines"),
        plotting_hook_image_completed=partial(image_completed, folder="frames"),
    )
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["image_completed", "line_addition"]

DPI = 100


def line_addition(
    derotated_filled_image: NDArray[Any],
    rotated_line: NDArray[Any],
    image_counter: int,
    line_counter: int,
    angle: float,
    original_image: NDArray[Any],
    folder: str | Path = "debug_plots/lines",
    every: int = 1,
) -> Path | None:
    """Show the recorded frame, the line just added and the frame as rebuilt so far.

    Parameters
    ----------
    derotated_filled_image : ndarray of shape (y, x)
        The frame as rebuilt so far.
    rotated_line : ndarray of shape (y, x)
        The line alone in its place.
    image_counter, line_counter : int
        Numbers of the frame and the line, counted from 0.
    angle : float
        Angle of the line in degrees.
    original_image : ndarray of shape (y, x)
        The recorded frame.
    folder : str or Path
        Where the pictures go; made if it does not exist.
    every : int
        Draw each `every`-th line only.

    Returns
    -------
    Path or None
        The picture, or None for a line that is skipped.
    """
    if line_counter % every:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    recorded, line, rebuilt = figure.subplots(1, 3)
    low, high = float(np.min(original_image)), float(np.max(original_image))
    panels = (
        (recorded, original_image, f"recorded frame {image_counter}"),
        (line, rotated_line, f"line {line_counter} turned by {angle:.1f}°"),
        (rebuilt, derotated_filled_image, "rebuilt so far"),
    )
    for axis, image, title in panels:
        axis.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        axis.set_title(title, fontsize=10)
        axis.set_axis_off()
    recorded.axhline(line_counter, color="#E69F00", linewidth=1)
    return _save(figure, folder, f"frame_{image_counter:05d}_line_{line_counter:05d}.png")


def image_completed(
    derotated_image_stack: NDArray[Any],
    image_counter: int,
    frame_of_interest: int = 149,
    folder: str | Path = "debug_plots/frames",
) -> Path:
    """Show the frame just rebuilt; at the frame of interest also the maximum of all so far.

    Parameters
    ----------
    derotated_image_stack : ndarray of shape (frame, y, x)
        The stack, rebuilt up to frame `image_counter`.
    image_counter : int
        Number of the frame, counted from 0.
    frame_of_interest : int
        Frame at which the maximum projection is drawn, best the last one of the first rotation.
    folder : str or Path
        Where the pictures go; made if it does not exist.

    Returns
    -------
    Path
        The picture of the frame.
    """
    if image_counter == frame_of_interest:
        projection = derotated_image_stack[: image_counter + 1].max(axis=0)
        title = f"maximum of frames 0 to {image_counter}"
        _save_image(projection, title, folder, f"maximum_until_{image_counter:05d}.png")
    frame = derotated_image_stack[image_counter]
    return _save_image(
        frame, f"derotated frame {image_counter}", folder, f"frame_{image_counter:05d}.png"
    )


def _save_image(image: NDArray[Any], title: str, folder: str | Path, name: str) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), layout="constrained")
    axis = figure.subplots()
    axis.imshow(image, cmap="gray", interpolation="nearest")
    axis.set_title(title, fontsize=10)
    axis.set_axis_off()
    return _save(figure, folder, name)


def _save(figure: Any, folder: str | Path, name: str) -> Path:
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    return path
