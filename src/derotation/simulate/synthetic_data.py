"""Two cells that are turned and turned back: the smallest end-to-end check of a derotation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.simulate.line_scanning_microscope import Rotator

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from derotation.images.ellipses.shared import SharedEllipses

__all__ = ["SyntheticData"]

_BRIGHT = 255
_DIM = 128


class SyntheticData:
    """A picture of two discs, turned in steps and sinusoidally, and turned back.

    Parameters
    ----------
    center_of_bright_cell, center_of_dimmer_cell : tuple of int
        Centers (x, y) of the discs, pixels, before padding.
    pad : int
        Pixels added on each side, which gives a turned sample more room.
    background_value : int
        Value of all pixels outside the discs, 0..255. Above 0 it tells them from pixels that
        nothing was known of.
    lines_per_frame : int
        Side of the square picture before padding, pixels.
    second_cell : bool
        Whether there is a dimmer disc.
    radius : int
        Radius of the discs, pixels.
    num_frames : int
        Frames of the stack.
    center_of_rotation_offset : tuple of float
        Center of rotation minus center of the picture, (x, y), pixels.
    rotation_plane_angle : float
        Tilt of the plane of rotation, degrees.
    rotation_plane_orientation : float
        Direction along which the tilt foreshortens, degrees from +x towards +y.
    plots : bool
        Whether `integration_pipeline` saves figures.
    plots_folder : str or Path
        Where it saves them.

    Attributes
    ----------
    image : ndarray of shape (side, side)
        The picture at rest, uint8, padded.
    image_stack : ndarray of shape (num_frames, side, side)
        The picture once per frame.
    incremental_angles, sinusoidal_angles : ndarray of shape (num_frames * side,)
        Angle of each line, degrees.
    rotated_stack_incremental, rotated_stack_sinusoidal : ndarray of shape (num_frames, side, side)
        The stack as recorded while it turned.
    derotated_sinusoidal : ndarray of shape (num_frames, side, side)
        The sinusoidally turned stack, turned back.
    center_of_rotation : tuple of float
        True center (x, y), pixels of the padded picture.
    center : tuple of float
        The same.
    fitted_center : tuple of float
        The center (x, y) found from the stack turned in steps.
    rotation_plane_angle, rotation_plane_orientation : float
        As given; after `integration_pipeline`, where there is a tilt, as found from the stack
        turned in steps, rounded to 0.1 degrees. The sinusoidally turned stack is turned back by
        these.

    Notes
    -----
    The stacks, angles and `derotated_sinusoidal` are set by `integration_pipeline`. After padding,
    `lines_per_frame` and the centers of the cells are those of the padded picture.
    """

    def __init__(
        self,
        center_of_bright_cell: tuple[int, int] = (50, 10),
        center_of_dimmer_cell: tuple[int, int] = (60, 60),
        pad: int = 0,
        background_value: int = 80,
        lines_per_frame: int = 100,
        second_cell: bool = True,
        radius: int = 5,
        num_frames: int = 100,
        center_of_rotation_offset: tuple[float, float] = (0, 0),
        rotation_plane_angle: float = 0,
        rotation_plane_orientation: float = 0,
        plots: bool = False,
        *,
        plots_folder: str | Path = "debug",
    ) -> None:
        if pad < 0 or lines_per_frame < 1 or num_frames < 1 or not 0 <= background_value <= 255:
            raise InputError(
                "SyntheticData needs pad >= 0, lines_per_frame >= 1, num_frames >= 1 and a "
                f"background_value of 0..255; found {pad}, {lines_per_frame}, {num_frames} and "
                f"{background_value}."
            )
        self.pad = pad
        self.center_of_bright_cell = (
            center_of_bright_cell[0] + pad,
            center_of_bright_cell[1] + pad,
        )
        self.center_of_dimmer_cell = (
            center_of_dimmer_cell[0] + pad,
            center_of_dimmer_cell[1] + pad,
        )
        self.background_value = background_value
        self.lines_per_frame = lines_per_frame + 2 * pad
        self.second_cell = second_cell
        self.radius = radius
        self.num_frames = num_frames
        self.center_of_rotation_offset = center_of_rotation_offset
        self.rotation_plane_angle = rotation_plane_angle
        self.rotation_plane_orientation = rotation_plane_orientation
        self._true_plane = (rotation_plane_angle, rotation_plane_orientation)
        self.plots = plots
        self.plots_folder = Path(plots_folder)
        middle = (self.lines_per_frame - 1) / 2
        self.center_of_rotation = (
            middle + center_of_rotation_offset[0],
            middle + center_of_rotation_offset[1],
        )
        self.center = self.center_of_rotation
        self.image = self.create_sample_image_with_cells()
        self.image_stack: NDArray[np.uint8]
        self.incremental_angles: NDArray[np.float64]
        self.sinusoidal_angles: NDArray[np.float64]
        self.rotated_stack_incremental: NDArray[Any]
        self.rotated_stack_sinusoidal: NDArray[Any]
        self.derotated_sinusoidal: NDArray[Any]
        self.fitted_center: tuple[float, float]

    def integration_pipeline(self) -> None:
        """Turn the stack in steps and sinusoidally, and turn the latter back.

        It is turned back about the center, and in the plane, that the stack turned in steps tells.
        The results are the attributes of the class. Figures are saved if `plots` is set.
        """
        # The kernels are imported here: they are compiled, and not needed to make the data.
        from derotation.derotate_by_line import derotate_an_image_array_line_by_line

        self.image = self.create_sample_image_with_cells()
        self.image_stack = self.create_image_stack()
        self.incremental_angles, self.sinusoidal_angles = self.create_rotation_angles(
            self.image_stack.shape
        )
        self.rotated_stack_incremental = self._rotate(self.incremental_angles)
        self.rotated_stack_sinusoidal = self._rotate(self.sinusoidal_angles)
        self.fitted_center = self.get_center_of_rotation(
            self.rotated_stack_incremental, self.incremental_angles
        )
        tilted = self._true_plane[0] != 0
        if tilted:
            fit = self._fit_turn(self.rotated_stack_incremental, self.incremental_angles)
            self.rotation_plane_angle = round(fit.plane_angle, 1)
            self.rotation_plane_orientation = round(fit.plane_orientation, 1)
        self.derotated_sinusoidal = derotate_an_image_array_line_by_line(
            self.rotated_stack_sinusoidal,
            self.sinusoidal_angles,
            center=self.fitted_center,
            use_homography=tilted,
            rotation_plane_angle=self.rotation_plane_angle,
            rotation_plane_orientation=self.rotation_plane_orientation,
        )
        if self.plots:
            self._save_plots()

    def get_center_of_rotation(
        self, rotated_stack_incremental: NDArray[Any], incremental_angles: NDArray[np.float64]
    ) -> tuple[float, float]:
        """Find the center of rotation from the stack that turned in steps.

        Parameters
        ----------
        rotated_stack_incremental : ndarray of shape (num_frames, side, side)
            The stack as recorded.
        incremental_angles : ndarray of shape (num_frames * side,)
            Angle of each line, degrees.

        Returns
        -------
        tuple of float
            (x, y), pixels: the common center of the ellipses that the cells draw.

        Raises
        ------
        InputError
            If the cells cannot be followed over the turn.
        """
        return self._fit_turn(rotated_stack_incremental, incremental_angles).center

    @staticmethod
    def _fit_turn(
        rotated_stack_incremental: NDArray[Any], incremental_angles: NDArray[np.float64]
    ) -> SharedEllipses:
        """Fit the ellipses that the cells draw: their center, and the tilt of their plane."""
        from derotation.images.blobs import BlobDetection
        from derotation.images.ellipses.shared import fit_shared_ellipses
        from derotation.images.mean_images import mean_images_of_arrays

        lines = incremental_angles.reshape(rotated_stack_incremental.shape[:2])
        means = mean_images_of_arrays(rotated_stack_incremental, lines)
        tracks = BlobDetection().track_blobs(means.images, means.angles, seen=means.seen)
        return fit_shared_ellipses(tracks)

    def create_sample_image_with_cells(self) -> NDArray[np.uint8]:
        """Draw the discs on the background, padding included; uint8, square."""
        side = self.lines_per_frame
        image = np.full((side, side), self.background_value, np.uint8)
        cells = [(self.center_of_bright_cell, _BRIGHT)]
        if self.second_cell:
            cells.append((self.center_of_dimmer_cell, _DIM))
        y, x = np.ogrid[:side, :side]
        for (center_x, center_y), value in cells:
            image[(x - center_x) ** 2 + (y - center_y) ** 2 <= self.radius**2] = value
        return image

    def create_image_stack(self) -> NDArray[np.uint8]:
        """Repeat the picture once per frame; shape (num_frames, side, side)."""
        return np.repeat(self.image[None], self.num_frames, axis=0)

    @staticmethod
    def create_rotation_angles(
        image_stack_shape: tuple[int, ...],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Make the angles of all lines for both kinds of turning.

        Parameters
        ----------
        image_stack_shape : tuple of int
            Shape (n_frames, n_lines, n_pixels) of the stack.

        Returns
        -------
        tuple of ndarray
            36 steps of 10 degrees from 0 to 350, equally long (the last one as long as it takes);
            and one period of a sine of 360 degrees. Each of length n_frames * n_lines, degrees.
        """
        n_lines = image_stack_shape[0] * image_stack_shape[1]
        step = np.minimum(np.arange(n_lines) // max(n_lines // 36, 1), 35)
        phase = np.linspace(0, 2 * np.pi, n_lines)
        return step * 10.0, 360.0 * np.sin(phase)

    def plot_original_image(self) -> Figure:
        """Show the picture at rest with the center of rotation."""
        figure, axes = _figure(1)
        axes[0].imshow(self.image, cmap="gray", vmin=0, vmax=255)
        axes[0].plot(*self.center_of_rotation, "r+")
        axes[0].set_title("sample at rest; center of rotation")
        return figure

    def plot_angles(self) -> Figure:
        """Show the angle of each line for both kinds of turning."""
        figure, axes = _figure(2, width=4)
        pairs = (("in steps", self.incremental_angles), ("sinusoidal", self.sinusoidal_angles))
        for ax, (title, angles) in zip(axes, pairs, strict=True):
            ax.plot(angles)
            ax.set(title=title, xlabel="line", ylabel="angle (degrees)")
        return figure

    def plot_a_few_rotated_frames(self) -> Figure:
        """Show four frames of each turned stack."""
        figure, axes = _figure(8)
        stacks = (
            ("in steps", self.rotated_stack_incremental),
            ("sinusoidal", self.rotated_stack_sinusoidal),
        )
        for row, (title, stack) in enumerate(stacks):
            self._show_frames(axes[4 * row : 4 * row + 4], stack, title)
        return figure

    def plot_derotated_frames(self) -> Figure:
        """Show four frames of the stack that was turned back."""
        figure, axes = _figure(4)
        self._show_frames(axes, self.derotated_sinusoidal, "turned back")
        return figure

    def plot_mean_projection(self) -> Figure:
        """Show the mean of the turned stack beside that of the stack turned back."""
        figure, axes = _figure(2)
        stacks = (("turned", self.rotated_stack_sinusoidal), ("back", self.derotated_sinusoidal))
        for ax, (title, stack) in zip(axes, stacks, strict=True):
            ax.imshow(stack.mean(axis=0), cmap="gray", vmin=0, vmax=255)
            ax.set_title(f"mean, {title}")
        return figure

    def _rotate(self, angles: NDArray[np.float64]) -> NDArray[Any]:
        return Rotator(
            angles,
            self.image_stack,
            center_offset=self.center_of_rotation_offset,
            rotation_plane_angle=self._true_plane[0],
            rotation_plane_orientation=self._true_plane[1],
        ).rotate_by_line()

    def _show_frames(self, axes: list[Any], stack: NDArray[Any], title: str) -> None:
        for ax, frame in zip(axes, np.linspace(0, len(stack) - 1, 4).astype(int), strict=True):
            ax.imshow(stack[frame], cmap="gray", vmin=0, vmax=255)
            ax.set_title(f"{title}, frame {frame}")

    def _save_plots(self) -> None:
        self.plots_folder.mkdir(parents=True, exist_ok=True)
        for plot in (
            self.plot_original_image,
            self.plot_angles,
            self.plot_a_few_rotated_frames,
            self.plot_derotated_frames,
            self.plot_mean_projection,
        ):
            name = plot.__name__.removeprefix("plot_")
            plot().savefig(self.plots_folder / f"{name}.png")


def _figure(n_axes: int, width: float = 3) -> tuple[Figure, list[Any]]:
    """Make a figure with up to four axes in a row, without any window."""
    from matplotlib.figure import Figure

    n_columns = min(n_axes, 4)
    n_rows = -(-n_axes // n_columns)
    figure = Figure(figsize=(width * n_columns, 3 * n_rows), layout="constrained")
    return figure, list(figure.subplots(n_rows, n_columns, squeeze=False).ravel())
