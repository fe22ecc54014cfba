"""A picture of an ellipse and of the points that it was fitted to."""

import math
import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["plot_ellipse_fit_and_centers"]


def plot_ellipse_fit_and_centers(
    centers: ArrayLike,
    center_x: float,
    center_y: float,
    a: float,
    b: float,
    theta: float,
    image_stack: ArrayLike,
    debug_plots_folder: str | os.PathLike[str],
    saving_name: str = "ellipse_fit.png",
) -> Path:
    """Draw an ellipse, and the points that it was fitted to, on the maximum of some images.

    Parameters
    ----------
    centers : array_like of shape (n, 2)
        The points (x, y) in pixels; masked points and NaN are left out.
    center_x, center_y : float
        Center of the ellipse, pixels.
    a, b : float
        Its semi-axes, pixels.
    theta : float
        Direction of the axis `a`, radians from +x (right) towards +y (down).
    image_stack : array_like of shape (n, y, x)
        The images.
    debug_plots_folder : path
        Where the picture goes; made if it does not exist.
    saving_name : str
        Its name.

    Returns
    -------
    Path
        The picture.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Ellipse

    points = np.ma.filled(np.ma.asarray(centers, dtype=np.float64), np.nan)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axis = figure.subplots()
    axis.imshow(np.max(np.asarray(image_stack), axis=0), cmap="gray")
    axis.plot(*points.T, "o", color="#E69F00", markersize=4, label="largest blob at each angle")
    axis.add_patch(
        Ellipse(
            (center_x, center_y), 2 * a, 2 * b, angle=math.degrees(theta),
            fill=False, edgecolor="#56B4E9", label="fitted ellipse",
        )
    )  # fmt: skip
    axis.plot(center_x, center_y, "x", color="#009E73", markersize=9, label="its center")
    axis.legend(loc="upper right", fontsize=8)
    axis.set_axis_off()
    path = Path(debug_plots_folder) / saving_name
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
