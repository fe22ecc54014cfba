"""The plan of a recording: when everything happens, what is in the sample, and its rendering.

The plan is small; the movie is rendered frame by frame from it. Each pixel is the scene's value at
the place of the sample that was under the beam at the pixel's own time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.numerics.integers import clipped
from derotation.simulate.cell_tuning import CellTuning, TunedCells, draw_tuned_cells
from derotation.simulate.free_motion import Motion
from derotation.simulate.motor import Motor, Ticks
from derotation.simulate.parameters import RecordingParameters, sample_motion_of
from derotation.simulate.sample_motion import SampleMotion
from derotation.simulate.scene import Scene
from derotation.simulate.signals import AnalogPlan

__all__ = ["RecordingPlan"]

_CHUNK_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordingPlan:
    """When everything happens and what is in the sample: a recording before it is rendered.

    All times are in seconds since the first sample of the analog signals.

    Parameters
    ----------
    parameters : RecordingParameters
        What it was planned from.
    n_frames : int
        Frames of the movie.
    scene : Scene
        The sample.
    activity : ndarray of shape (n_frames, n_cells)
        Factor on each cell's amplitude during each frame; 1 is the baseline. The focus is in it.
    tuned : TunedCells
        Which cells follow what.
    light : ndarray of shape (n_frames,)
        Factor on all light in each frame: 1, and less once the sample has bleached.
    illumination : ndarray of shape (height, width)
        Factor on the brightness at each raw pixel.
    motor : Motor or Motion
        The true angle at any time.
    center : tuple of float
        Center of rotation (x, y), pixels.
    plane_orientation : float
        Direction of the foreshortening in this session's picture, degrees.
    wobble : ndarray of shape (n, 4)
        Wobble in this session's picture, pixels.
    movement : ndarray of shape (3, 3)
        Takes a place (x, y) of this session's picture at rest to where it lies in that of a session
        without movement.
    line_start : ndarray of shape (n_frames, height)
        Start of each line.
    line_period, line_duration : float
        From line to line, and the part of it in which pixels are recorded.
    line_angles : ndarray of shape (n_frames, height)
        True angle in the middle of each line, degrees.
    ticks : Ticks
        Encoder ticks of a flawless rig (but with the lag), also those outside the recording.
    rotation_start, rotation_end : ndarray of shape (n_rotations,)
        True start and end of the motor's rotations.
    rotation_direction, rotation_speed : ndarray of shape (n_rotations,)
        Direction (+1, -1) and top speed (degrees/s) of each rotation.
    stimulus : ndarray of shape (n_rows, 2)
        The stimulus table as it is given to the user: speed, direction; with its faults.
    analog : AnalogPlan
        The analog signals, with their faults.
    injected : dict
        What each fault did, by its name: times in seconds (``dropped_ticks``, ``stray_ticks``,
        ``duplicated_ticks``, ``off_glitches`` as rows of start and stop), places
        (``missing_line_pulses``: lines counted from 0 over all frames, ``nan_samples``, the index
        of the rotation for ``starts_within_rotation`` and ``ends_within_rotation``), or counts.
    further : tuple of (Scene, activity)
        What is in the sample in all other channels and planes; see `layer`.
    number : int
        Number of the channel and plane that this plan is about; see `layer`.
    """

    parameters: RecordingParameters
    n_frames: int
    scene: Scene
    activity: NDArray[np.float64]
    tuned: TunedCells
    light: NDArray[np.float64]
    illumination: NDArray[np.float64]
    motor: Motor | Motion
    center: tuple[float, float]
    plane_orientation: float
    wobble: NDArray[np.float64]
    movement: NDArray[np.float64]
    line_start: NDArray[np.float64]
    line_period: float
    line_duration: float
    line_angles: NDArray[np.float64]
    ticks: Ticks
    rotation_start: NDArray[np.float64]
    rotation_end: NDArray[np.float64]
    rotation_direction: NDArray[np.int8]
    rotation_speed: NDArray[np.float64]
    stimulus: NDArray[np.float64]
    analog: AnalogPlan
    injected: dict[str, Any]
    further: tuple[tuple[Scene, NDArray[np.float64]], ...] = ()
    number: int = 0

    def layer(self, *, plane: int = 1, channel: int = 1) -> RecordingPlan:
        """Give the plan of one channel and plane, as if all frames were of it.

        Those of plane 1 and channel 1 are the plan's own scene and activity.
        """
        number = (plane - 1) * self.parameters.channels + channel - 1
        if number == 0:
            return replace(self, further=())
        scene, activity = self.further[number - 1]
        tuned = draw_tuned_cells(CellTuning(), scene.n_cells, 0)
        return replace(self, scene=scene, activity=activity, tuned=tuned, number=number, further=())

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the movie (n_frames, height, width)."""
        return (self.n_frames, *self.parameters.shape)

    @property
    def rest_image(self) -> NDArray[np.float64]:
        """Counts of the evenly lit, noise-free sample at rest with all cells at baseline."""
        return self._counts(self._resting_scene())

    def resting_frame(self, frame: int) -> NDArray[np.float64]:
        """Compute the counts that a frame would have had at angle 0 without noise, evenly lit."""
        return self._counts(self._resting_scene(self.activity[frame]) * self.light[frame])

    @property
    def displacement(self) -> NDArray[np.float64]:
        """Displacement (x, y) of the sample in its own frame in the middle of each line, pixels.

        Shape (n_frames, height, 2); see `derotation.simulate.sample_motion.SampleMotion`.
        """
        return self.displacement_at(self.line_start + self.line_duration / 2)

    def displacement_at(self, time: ArrayLike) -> NDArray[np.float64]:
        """Displacement (x, y) of the sample in its own frame at given times (s): (..., 2)."""
        first = float(self.line_start[0, 0])
        return self.sample_motion.displacement(time, self.motor.angle, first)

    @property
    def sample_motion(self) -> SampleMotion:
        """How the sample moves and changes."""
        return sample_motion_of(self.parameters)

    def _resting_scene(self, activity: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        rows, columns = np.mgrid[: self.parameters.shape[0], : self.parameters.shape[1]]
        return self._scene_at(columns, rows, activity)

    def _scene_at(
        self, x: ArrayLike, y: ArrayLike, activity: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Brightness at places of this session's picture at rest."""
        if not np.array_equal(self.movement, np.eye(3)):  # without one, not even rounding may move
            along, down = np.asarray(x, np.float64), np.asarray(y, np.float64)
            (a, b, c), (d, e, f) = self.movement[:2]
            x, y = a * along + b * down + c, d * along + e * down + f
        return self.scene.evaluate(x, y, activity)

    @property
    def cell_centers(self) -> NDArray[np.float64]:
        """Where the cells lie in this session's picture at rest (x, y), pixels."""
        linear, shift = self.movement[:2, :2], self.movement[:2, 2]
        return np.asarray(np.linalg.solve(linear, (self.scene.centers - shift).T).T)

    def pixel_times(self, frame: int) -> NDArray[np.float64]:
        """Time at which each pixel of a frame was recorded, seconds; shape (height, width)."""
        height, width = self.parameters.shape
        along = (np.arange(width) + 0.5) / width
        fraction = np.broadcast_to(along, (height, width))
        if self.parameters.bidirectional:
            backward = (np.arange(height) % 2 == 1)[:, None]
            fraction = np.where(backward, 1 - fraction, fraction)
        return np.asarray(self.line_start[frame][:, None] + fraction * self.line_duration)

    def sample_angles(self, frame: int) -> NDArray[np.float64]:
        """Compute the true angle of each pixel of a frame, degrees; shape (height, width)."""
        return self.motor.angle(self.pixel_times(frame))

    def place_in_sample(
        self, x: ArrayLike, y: ArrayLike, angle: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where in the sample at rest the raw position (x, y) lies at an angle (degrees)."""
        a = np.radians(np.asarray(angle, np.float64))
        shift_x, shift_y = self._wobble(a)
        dx = np.asarray(x, np.float64) - shift_x - self.center[0]
        dy = np.asarray(y, np.float64) - shift_y - self.center[1]
        dx, dy = self._foreshorten(dx, dy, 1 / self._squeeze)
        cos, sin = np.cos(a), np.sin(a)
        dx, dy = cos * dx + sin * dy, cos * dy - sin * dx
        dx, dy = self._foreshorten(dx, dy, self._squeeze)
        return dx + self.center[0], dy + self.center[1]

    def place_in_picture(
        self, x: ArrayLike, y: ArrayLike, angle: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where the point (x, y) of the sample at rest is seen at an angle (degrees)."""
        a = np.radians(np.asarray(angle, np.float64))
        dx, dy = np.asarray(x) - self.center[0], np.asarray(y) - self.center[1]
        dx, dy = self._foreshorten(dx, dy, 1 / self._squeeze)
        cos, sin = np.cos(a), np.sin(a)
        dx, dy = cos * dx - sin * dy, cos * dy + sin * dx
        dx, dy = self._foreshorten(dx, dy, self._squeeze)
        shift_x, shift_y = self._wobble(a)
        return dx + shift_x + self.center[0], dy + shift_y + self.center[1]

    @property
    def _squeeze(self) -> float:
        return math.cos(math.radians(self.parameters.plane_angle))

    def _foreshorten(
        self, dx: NDArray[np.float64], dy: NDArray[np.float64], factor: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scale the component along the plane's orientation by a factor."""
        if factor == 1:
            return dx, dy
        orientation = math.radians(self.plane_orientation)
        ux, uy = math.cos(orientation), math.sin(orientation)
        along = (factor - 1) * (dx * ux + dy * uy)
        return dx + along * ux, dy + along * uy

    def _wobble(
        self, angle_rad: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        shift_x, shift_y = np.zeros_like(angle_rad), np.zeros_like(angle_rad)
        for k, (cos_x, cos_y, sin_x, sin_y) in enumerate(self.wobble, start=1):
            cos, sin = np.cos(k * angle_rad) - 1, np.sin(k * angle_rad)
            shift_x = shift_x + cos_x * cos + sin_x * sin
            shift_y = shift_y + cos_y * cos + sin_y * sin
        return shift_x, shift_y

    def _counts(self, photons: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.parameters.pmt_offset + self.parameters.gain * photons

    def photons(self, frame: int) -> NDArray[np.float64]:
        """Photons expected at each pixel of a raw frame, float64; shape (height, width)."""
        rows, columns = np.mgrid[: self.parameters.shape[0], : self.parameters.shape[1]]
        if self.parameters.bidi_phase != 0:
            columns = columns - self.parameters.bidi_phase * (rows % 2)
        start = float(self.line_start[frame, 0])
        stop = float(self.line_start[frame, -1]) + self.line_period
        angle: NDArray[np.float64] | np.float64
        if self.motor.moving(start, stop):
            angle = self.sample_angles(frame)
        else:
            angle = np.float64(self.motor.angle(start))
        if np.any(angle != 0):
            x, y = self.place_in_sample(columns, rows, angle)
        else:  # not even rounding may move the sample at rest
            x, y = columns.astype(np.float64), rows.astype(np.float64)
        if self.sample_motion.moves:
            moved = self._pixel_displacement(frame)
            x, y = x - moved[..., 0], y - moved[..., 1]
        light = self.illumination * self.light[frame]
        if np.any(self.tuned.kind == 3):
            radii = np.sqrt(self.scene.radii.prod(axis=1))
            light = light * self.tuned.shadows(x, y, angle, self.cell_centers, radii)
        return np.asarray(self._scene_at(x, y, self.activity[frame]) * light)

    def _pixel_displacement(self, frame: int) -> NDArray[np.float64]:
        """Displacement (x, y) at each pixel's own time; (height, width, 2).

        Linear between the ends of each line, which is right to a millionth of a pixel (a jump
        takes a line).
        """
        begin = self.line_start[frame][:, None]
        ends = self.displacement_at(begin + np.array([0.0, self.line_duration]))
        along = ((self.pixel_times(frame) - begin) / self.line_duration)[..., None]
        return np.asarray((1 - along) * ends[:, :1] + along * ends[:, 1:])

    def frame(self, frame: int) -> NDArray[Any]:
        """Render one frame of channel 1 in the movie's dtype; shape (height, width)."""
        plane = frame % self.parameters.planes
        if self.further and plane:
            return self.layer(plane=plane + 1).frame(frame)
        p = self.parameters
        photons = self.photons(frame)
        if p.photons_per_pixel is None:
            counts = self._counts(photons)
        else:
            # Each frame has its own stream, so that chunks and threads change nothing.
            own = [self.number] if self.number else []
            rng = np.random.default_rng([p.seed, 1, frame, *own])
            counts = self._counts(rng.poisson(photons).astype(np.float64))
            counts += p.read_noise * rng.standard_normal(counts.shape)
        dtype = np.dtype(p.dtype)
        if dtype.kind in "iu":
            return clipped(np.rint(counts), dtype)
        return counts.astype(dtype)

    def chunks(self, frames_per_chunk: int | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
        """Render the movie: yield (first frame, block of frames), about 32 MB at a time."""
        itemsize = np.dtype(self.parameters.dtype).itemsize
        size = itemsize * self.parameters.shape[0] * self.parameters.shape[1]
        n = frames_per_chunk or max(1, _CHUNK_BYTES // size)
        with ThreadPoolExecutor(self.parameters.threads) as pool:
            for first in range(0, self.n_frames, n):
                frames = range(first, min(first + n, self.n_frames))
                yield first, np.stack(list(pool.map(self.frame, frames)))

    def volumes(self) -> Iterator[NDArray[Any]]:
        """Render the frames of all planes and channels: (plane, channel, y, x) for each time."""
        p = self.parameters
        places = [(plane, channel) for plane in range(p.planes) for channel in range(p.channels)]
        layers = [self.layer(plane=plane + 1, channel=channel + 1) for plane, channel in places]
        with ThreadPoolExecutor(p.threads) as pool:
            for first in range(0, self.n_frames, p.planes):
                frames = [first + plane for plane, _ in places]
                rendered = list(pool.map(lambda layer, frame: layer.frame(frame), layers, frames))
                yield np.stack(rendered).reshape(p.planes, p.channels, *p.shape)
