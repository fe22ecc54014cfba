"""Turn a given stack of images as a line-scanning microscope would have recorded it."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from derotation.errors import InputError
from derotation.numerics.integers import clipped

__all__ = ["Rotator"]


class Rotator:
    """Records a stack of images line by line while the sample turns.

    Line by line, the image is sampled where the beam met the turned sample; a whole line is
    recorded at one angle. Derotating the result with the same angles and center undoes it.
    (For a simulation with a sample of known formula, photon noise and the time within each line see
    `derotation.simulate.recording.simulate_recording`.)

    Parameters
    ----------
    angles : array_like of shape (n_frames * n_lines,) or (n_frames, n_lines)
        Angle of each line, degrees: what turns it back. At a positive angle the sample has turned
        clockwise on a screen with y down.
    image_stack : array_like of shape (n_frames, n_lines, n_pixels)
        The sample at rest, one image per frame; frames need not be square.
    center_offset : tuple of float
        Center of rotation minus center of the image, (x, y), pixels. The center of the image is
        ((width - 1) / 2, (height - 1) / 2).
    rotation_plane_angle : float
        Tilt of the plane of rotation against the image plane, degrees, at least 0, below 90.
    rotation_plane_orientation : float
        Direction along which the tilt foreshortens the picture, degrees from +x towards +y.
    blank_pixel_val : float, optional
        Value where the sample was not known; the smallest of the stack if not given.
    order : int
        Order of the spline interpolation of the images, 0 (nearest) to 5; 1 is bilinear.

    Raises
    ------
    InputError
        If the stack is not three-dimensional, if there is not one angle per line (elsewhere an
        AssertionError is documented for this), or an argument is out of its range.
    """

    def __init__(
        self,
        angles: ArrayLike,
        image_stack: ArrayLike,
        center_offset: tuple[float, float] = (0, 0),
        rotation_plane_angle: float = 0,
        rotation_plane_orientation: float = 0,
        blank_pixel_val: float | None = None,
        *,
        order: Literal[0, 1, 2, 3, 4, 5] = 1,
    ) -> None:
        stack = np.asarray(image_stack)
        if stack.ndim != 3:
            raise InputError(
                f"image_stack has {stack.ndim} dimensions, shape {stack.shape}; it must be "
                "(frames, lines, pixels). A single image is given as image[None]."
            )
        per_line = np.asarray(angles, np.float64)
        if per_line.size != stack.shape[0] * stack.shape[1]:
            raise InputError(
                f"there are {per_line.size} angles, but {stack.shape[0]} frames x "
                f"{stack.shape[1]} lines = {stack.shape[0] * stack.shape[1]}; give one per line."
            )
        if not 0 <= rotation_plane_angle < 90:
            raise InputError(
                f"rotation_plane_angle must be 0 or more and below 90, not {rotation_plane_angle}"
            )
        if order not in range(6):
            raise InputError(f"order must be 0, 1, ... 5, not {order}")
        self.image_stack: NDArray[Any] = stack
        self.angles = per_line.reshape(stack.shape[:2])
        self.center_offset = (float(center_offset[0]), float(center_offset[1]))
        self.center = (
            (stack.shape[2] - 1) / 2 + self.center_offset[0],
            (stack.shape[1] - 1) / 2 + self.center_offset[1],
        )
        self.rotation_plane_angle = float(rotation_plane_angle)
        self.rotation_plane_orientation = float(rotation_plane_orientation)
        self.order = order
        self.blank_pixel_val = (
            self.get_blank_pixels_value() if blank_pixel_val is None else float(blank_pixel_val)
        )

    def rotate_by_line(self) -> NDArray[Any]:
        """Record the stack line by line at the given angles.

        Returns
        -------
        ndarray of shape (n_frames, n_lines, n_pixels)
            In the dtype of the stack; integers are rounded and clipped to their range. Lines at
            angle 0 are those of the stack, bit for bit.
        """
        recorded = self.image_stack.copy()
        for frame in tqdm(range(len(recorded)), desc="rotating", unit="frame", disable=None):
            turned = self.angles[frame] != 0
            if turned.any():
                lines = self._sample(
                    self.image_stack[frame],
                    np.flatnonzero(turned),
                    self.angles[frame][turned],
                    self.center,
                )
                recorded[frame][turned] = lines
        return recorded

    def rotate_sample(
        self,
        image: ArrayLike,
        angle: float,
        center: tuple[float, float] | None = None,
    ) -> NDArray[Any]:
        """Turn a whole image by one angle, clockwise on a screen with y down if positive.

        Parameters
        ----------
        image : array_like of shape (height, width)
            Image of the sample at rest.
        angle : float
            Degrees.
        center : tuple of float, optional
            Center of rotation (x, y), pixels; that of the rotator if not given.

        Returns
        -------
        ndarray of shape (height, width)
            In the dtype of the image.
        """
        picture = np.asarray(image)
        rows = np.arange(picture.shape[0])
        return self._sample(picture, rows, np.full(rows.size, float(angle)), center or self.center)

    def get_blank_pixels_value(self) -> float:
        """Get the value that pixels without a known sample get by default: the stack's minimum."""
        return float(np.min(self.image_stack))

    def _sample(
        self,
        image: NDArray[Any],
        rows: NDArray[np.intp],
        angles: NDArray[np.float64],
        center: tuple[float, float],
    ) -> NDArray[Any]:
        """Record some lines of one image, each at its angle; shape (n_rows, width)."""
        from scipy.ndimage import map_coordinates

        x, y = self._places(rows, np.arange(image.shape[1]), angles, center)
        values = map_coordinates(
            image.astype(np.float64),
            np.stack([y, x]),
            order=self.order,
            mode="constant",
            cval=self.blank_pixel_val,
        )
        if image.dtype.kind in "iu":
            return clipped(np.rint(values), image.dtype)
        return np.asarray(values.astype(image.dtype))

    def _places(
        self,
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
        angles: NDArray[np.float64],
        center: tuple[float, float],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where in the sample at rest each pixel of the lines lies: x and y, (n_rows, width)."""
        a = np.radians(angles)[:, None]
        cos, sin = np.cos(a), np.sin(a)
        dx = columns[None, :].astype(np.float64) - center[0]
        dy = rows[:, None].astype(np.float64) - center[1]
        squeeze = math.cos(math.radians(self.rotation_plane_angle))
        dx, dy = self._stretch(dx, dy, 1 / squeeze)
        dx, dy = cos * dx + sin * dy, cos * dy - sin * dx
        dx, dy = self._stretch(dx, dy, squeeze)
        return _on_pixels(dx + center[0]), _on_pixels(dy + center[1])

    def _stretch(
        self, dx: NDArray[np.float64], dy: NDArray[np.float64], factor: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scale what lies along the plane's orientation by a factor."""
        orientation = math.radians(self.rotation_plane_orientation)
        ux, uy = math.cos(orientation), math.sin(orientation)
        along = (factor - 1) * (dx * ux + dy * uy)
        return dx + along * ux, dy + along * uy


def _on_pixels(coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take away rounding errors, which would push the outermost pixels out of the image."""
    nearest = np.rint(coordinates)
    return np.where(np.abs(coordinates - nearest) < 1e-9, nearest, coordinates)
