"""A whole recording with known truth: movie, analog signals and stimulus table.

A recording is first *planned* (when every line, tick and pulse comes, what is in the sample), then
*rendered*. The plan is small; movie and signals are rendered stretch by stretch from it, so that a
recording of any length can be written to disk in bounded memory. Each pixel is the scene's value at
the place of the sample that was under the beam at the pixel's own time.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.numerics.degrees import wrapped
from derotation.numerics.integers import clipped
from derotation.settings.spelling import did_you_mean
from derotation.simulate.cell_tuning import CellTuning, TunedCells, draw_tuned_cells
from derotation.simulate.faults import Faults
from derotation.simulate.free_motion import Motion, crossings, motion_of
from derotation.simulate.motor import Motor, Ticks, full_protocol, incremental_protocol
from derotation.simulate.sample_motion import SampleMotion
from derotation.simulate.scene import Scene, random_scene
from derotation.simulate.signals import NPY_CHANNELS, AnalogPlan, Pulses
from derotation.simulate.window import View

__all__ = [
    "Recording",
    "RecordingParameters",
    "RecordingPlan",
    "plan_recording",
    "simulate_recording",
]

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 32 * 2**20
ILLUMINATIONS = ("even", "uneven", "gradient", "shadow", "sector")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingParameters:
    """Parameters of a simulated recording, all with defaults.

    Parameters
    ----------
    protocol : {"full", "incremental", "free"}
        ``full``: the rotations of ``stimulus`` with rests; ``incremental``: one turn in steps;
        ``free``: as ``motion`` says.
    motion : Motion or mapping, optional
        Protocol ``free``: the angle as a function of time (s), see
        `derotation.simulate.free_motion`; or its name with its parameters, as in ``{"sinusoid":
        {"amplitude": 90, "frequency": 0.1}}``. The ticks come at each multiple of the increment,
        whatever the direction; the rotation-on signal stays low.
    shape : tuple of int
        Height (lines) and width (pixels) of a frame.
    n_frames : int, optional
        Frames of the movie. None: as long as the protocol. More than the protocol needs: the
        sample rests at the end.
    frame_rate : float
        Frames per second, Hz.
    line_period_ms : float, optional
        Time from line to line, milliseconds. None: such that ``flyback_ms`` is left of a frame.
    flyback_ms : float, optional
        Pause after the last line of a frame, milliseconds. None: 2 % of the frame, or what
        ``line_period_ms`` leaves. Only one of the two can be given.
    line_duty : float
        Fraction of the line period in which pixels are recorded, 0..1.
    line_clock_duty : float, optional
        Fraction of the line period in which the line clock is high; None: ``line_duty``.
    bidirectional : bool
        Odd lines of a frame are scanned from right to left; they are stored the right way round.
    bidi_phase : float
        What odd lines recorded lies so many pixels further right than it should; only with
        ``bidirectional``.
    lead_s, tail_s : float
        Time of the analog signals before the first and after the last frame, seconds.
    sampling_rate : float
        Of the analog signals, Hz.
    rotation_increment : float
        Degrees per encoder tick.
    stimulus : sequence of (speed, direction)
        Protocol ``full``: speed (degrees/s) and direction (+1, -1) of each rotation.
    degrees_per_rotation : float
        Degrees of each rotation (``full``) or of the whole turn (``incremental``).
    degrees_per_step, step_speed, step_rest_s : float
        Protocol ``incremental``: degrees of a step, its speed (degrees/s), the rest after it (s).
    rotation_on_per_step : bool
        Protocol ``incremental``: the rotation-on signal is high during each step rather than
        during the whole turn.
    rest_before_s, rest_between_s, rest_after_s : float
        Rests before the first, between two and after the last rotation, seconds, of the movie.
    acceleration : float
        Of the motor, degrees/s².
    direction_sign : {1, -1}
        -1 for a rig whose direction is wired the other way round.
    lag_ms : float
        Delay of ticks and rotation-on signal against the motor, milliseconds.
    rotation_on_margin_ms : float
        The rotation-on signal rises so much before the motor starts and falls so much after it
        stops, milliseconds.
    tick_ms : float
        Duration of a tick's pulse, milliseconds; shorter where ticks come faster.
    center_offset : tuple of float
        Center of rotation minus center of the image, (x, y), pixels.
    plane_angle : float
        Tilt of the sample's plane of rotation against the image plane, degrees, 0..80.
    plane_orientation : float
        Direction along which the tilt foreshortens the picture, degrees from +x towards +y.
    wobble : sequence of 4-vectors
        Displacement of the sample as Fourier terms of the angle: row k = 1, 2, ... holds
        (Cx, Cy, Sx, Sy), pixels, and adds C (cos(k a) - 1) + S sin(k a), zero at rest.
    movement_shift : tuple of float
        By how much the field of view has moved against that of a session with the same scene but
        no movement: shift (x, y) that takes the middle of this session's picture to that of the
        other one, pixels.
    movement_rotation : float
        The same as a rotation about the middle, degrees clockwise.
    movement_what : {"sample", "scanner"}
        What has moved. ``sample``: the sample lies differently on its stage, the axis of rotation
        is where it was in the picture. ``scanner``: the picture moved against stage and sample, so
        that the center, the plane's orientation and the wobble move with it.
    sample_motion : SampleMotion or mapping
        How the sample moves in its own plane, leaves the focus and bleaches during the recording.
    n_cells : int
        Cells whose center is in the picture at rest.
    scene : Scene, optional
        A scene to use instead of a random one, in photons per pixel as it is.
    view : View or mapping, optional
        Where the session looks at a window that it shares with others; None: a sample of its own.
        Without effect if a `scene` is given.
    scene_options : mapping
        Further arguments of `derotation.simulate.scene.random_scene` (``blur``, ``radius``, ...).
    calcium : bool
        Whether the cells have transients.
    calcium_rate : float
        Transients per cell and second, Hz.
    tuning : CellTuning or mapping
        How many cells follow the angle or the velocity, or lie in a shadow that does.
    photons_per_pixel : float, optional
        Photons that a typical cell gives at baseline in one pixel. None: no noise at all, and a
        typical cell has a brightness of 1; with a float ``dtype`` the movie then holds the exact
        counts, with an integer one take a high ``gain``.
    gain : float
        Counts per photon.
    pmt_offset : float
        Counts without light.
    read_noise : float
        Standard deviation of the electronic noise, counts; none without photon noise.
    illumination : {"even", "uneven", "gradient", "shadow", "sector"}
        Light that is fixed in the microscope's frame, not in the sample's. ``uneven``: falls off
        from a point a little off the middle; ``gradient``: from one side to the other; ``shadow``:
        a soft dark spot; ``sector``: a dark wedge with soft edges.
    illumination_strength : float, optional
        How much darker the darkest pixel of the field is than the brightest, 0..1 (excluded).
        None: 0.5, and for ``uneven`` about 0.6.
    dtype : {"uint8", "uint16", "int16", "float32", "float64"}
        Of the movie. Integers are rounded and clipped to their range.
    logic_level_v : float
        Volts of a high signal.
    signal_noise_v : float
        Standard deviation of the analog noise, volts.
    faults : Faults or mapping
        Faults to inject.
    seed : int
        Everything random follows from it.
    scene_seed : int, optional
        The sample follows from it instead, so that two recordings can show the same one.
    channels : {1, 2}
        2: beside the cells a second channel records markers that never change, turned alike.
    planes : int
        Planes that take turns, each with cells and markers of its own, all about the same axis:
        plane 1 is recorded in the frames 0, ``planes``, ... of the frame clock.
    threads : int
        Threads that render frames; changes nothing but the time.
    """

    protocol: Literal["full", "incremental", "free"] = "full"
    motion: Motion | Mapping[str, Any] | None = None
    shape: tuple[int, int] = (256, 256)
    n_frames: int | None = None
    frame_rate: float = 6.74
    line_period_ms: float | None = None
    flyback_ms: float | None = None
    line_duty: float = 0.9
    line_clock_duty: float | None = None
    bidirectional: bool = False
    bidi_phase: float = 0.0
    lead_s: float = 0.5
    tail_s: float = 0.5
    sampling_rate: float = 50_000.0
    rotation_increment: float = 0.2
    stimulus: Sequence[tuple[float, int]] = ((200.0, 1), (200.0, -1))
    degrees_per_rotation: float = 360.0
    degrees_per_step: float = 10.0
    step_speed: float = 20.0
    step_rest_s: float = 1.0
    rotation_on_per_step: bool = False
    rest_before_s: float = 2.0
    rest_between_s: float = 2.0
    rest_after_s: float = 2.0
    acceleration: float = 155.0
    direction_sign: int = 1
    lag_ms: float = 0.0
    rotation_on_margin_ms: float = 1.0
    tick_ms: float = 0.2
    center_offset: tuple[float, float] = (0.0, 0.0)
    plane_angle: float = 0.0
    plane_orientation: float = 0.0
    wobble: Sequence[Sequence[float]] = ()
    movement_shift: tuple[float, float] = (0.0, 0.0)
    movement_rotation: float = 0.0
    movement_what: Literal["sample", "scanner"] = "sample"
    sample_motion: SampleMotion | Mapping[str, Any] = field(default_factory=SampleMotion)
    n_cells: int = 60
    scene: Scene | None = None
    view: View | Mapping[str, Any] | None = None
    scene_options: Mapping[str, Any] = field(default_factory=dict)
    calcium: bool = True
    calcium_rate: float = 0.1
    tuning: CellTuning | Mapping[str, Any] = field(default_factory=CellTuning)
    photons_per_pixel: float | None = 10.0
    gain: float = 20.0
    pmt_offset: float = 100.0
    read_noise: float = 5.0
    illumination: Literal["even", "uneven", "gradient", "shadow", "sector"] = "even"
    illumination_strength: float | None = None
    dtype: str = "uint16"
    logic_level_v: float = 5.0
    signal_noise_v: float = 0.0
    faults: Faults | Mapping[str, Any] = field(default_factory=Faults)
    seed: int = 0
    scene_seed: int | None = None
    channels: int = 1
    planes: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        # A configuration file gives lists.
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "center_offset", tuple(float(n) for n in self.center_offset))
        shift = tuple(float(n) for n in self.movement_shift)
        object.__setattr__(self, "movement_shift", shift)
        _check_choice("movement_what", self.movement_what, ("sample", "scanner"))
        _check_choice("protocol", self.protocol, ("full", "incremental", "free"))
        if isinstance(self.motion, Mapping):
            object.__setattr__(self, "motion", motion_of(self.motion))
        if (self.protocol == "free") != (self.motion is not None):
            raise InputError(
                "a motion is needed for the protocol free, and for no other; found protocol "
                f"{self.protocol} and motion {self.motion}"
            )
        if self.protocol == "free" and self.n_frames is None:
            raise InputError("the protocol free needs n_frames: nothing else says when it is over")
        _check_choice("illumination", self.illumination, ILLUMINATIONS)
        if self.channels not in (1, 2):
            raise InputError(f"channels must be 1 or 2, not {self.channels}")
        if self.planes < 1:
            raise InputError(f"planes must be at least 1, not {self.planes}")
        strength = self.illumination_strength
        if strength is not None and not 0 <= strength < 1:
            raise InputError(
                f"illumination_strength must be at least 0 and below 1, not {strength}"
            )
        _check_choice("dtype", self.dtype, ("uint8", "uint16", "int16", "float32", "float64"))
        height, width = self.shape
        if height < 1 or width < 1:
            raise InputError(f"shape must be positive (height, width), not {self.shape}")
        for name in ("frame_rate", "sampling_rate", "gain", "logic_level_v", "tick_ms"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("line_duty", "line_clock_duty"):
            duty = getattr(self, name)
            if duty is not None and not 0 < duty <= 1:
                raise InputError(f"{name} must be above 0 and at most 1, not {duty}")
        if self.bidi_phase != 0 and not self.bidirectional:
            raise InputError(
                f"bidi_phase is {self.bidi_phase}, but only a bidirectional scan has a phase; set "
                "bidirectional or leave bidi_phase at 0"
            )
        if not 0 <= self.plane_angle <= 80:
            raise InputError(f"plane_angle must be 0..80 degrees, not {self.plane_angle}")
        if self.photons_per_pixel is not None and not self.photons_per_pixel > 0:
            raise InputError(
                f"photons_per_pixel must be above 0, not {self.photons_per_pixel}; "
                "None makes a recording without noise."
            )
        if self.line_period_ms is not None and self.flyback_ms is not None:
            raise InputError("give line_period_ms or flyback_ms, not both: the frame is their sum")
        if self.line_period_s * height > 1 / self.frame_rate * (1 + 1e-9):
            raise InputError(
                f"{height} lines of {self.line_period_s * 1e3:.6g} ms do not fit into a frame of "
                f"{1e3 / self.frame_rate:.6g} ms; lower line_period_ms or frame_rate."
            )
        if self.line_period_s <= 0:
            raise InputError("flyback_ms leaves no time for the lines of a frame; lower it.")
        if not isinstance(self.faults, Faults):
            _check_names("faults", self.faults, [f.name for f in fields(Faults)])
            object.__setattr__(self, "faults", Faults(**self.faults))
        if not isinstance(self.sample_motion, SampleMotion):
            known = [f.name for f in fields(SampleMotion)]
            _check_names("sample_motion", self.sample_motion, known)
            object.__setattr__(self, "sample_motion", SampleMotion(**self.sample_motion))
        if not isinstance(self.tuning, CellTuning):
            _check_names("tuning", self.tuning, [f.name for f in fields(CellTuning)])
            object.__setattr__(self, "tuning", CellTuning(**self.tuning))
        if self.view is not None and not isinstance(self.view, View):
            _check_names("view", self.view, [f.name for f in fields(View)])
            object.__setattr__(self, "view", View(**self.view))

    @property
    def line_period_s(self) -> float:
        """Time from line to line, seconds."""
        if self.line_period_ms is not None:
            return self.line_period_ms / 1e3
        frame_period = 1 / self.frame_rate
        flyback = 0.02 * frame_period if self.flyback_ms is None else self.flyback_ms / 1e3
        return (frame_period - flyback) / self.shape[0]


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
        return _sample_motion(self.parameters)

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """A rendered recording and its plan, which is the truth.

    Parameters
    ----------
    movie : ndarray of shape (n_frames, height, width)
        The raw movie; of several channels the first, of several planes all in turn.
    signals : ndarray of shape (4, n_samples)
        Volts, float32: line clock, frame clock, rotation on, rotation ticks.
    plan : RecordingPlan
        The truth.
    """

    movie: NDArray[Any]
    signals: NDArray[np.float32]
    plan: RecordingPlan

    @property
    def sampling_rate(self) -> float:
        """Sampling rate of the signals, Hz."""
        return self.plan.parameters.sampling_rate

    @property
    def stimulus(self) -> NDArray[np.float64]:
        """Stimulus table (speed, direction), shape (n_rows, 2)."""
        return self.plan.stimulus

    @property
    def center(self) -> tuple[float, float]:
        """True center of rotation (x, y), pixels."""
        return self.plan.center

    @property
    def line_angles(self) -> NDArray[np.float64]:
        """True angle in the middle of each line, degrees, shape (n_frames, height)."""
        return self.plan.line_angles

    @property
    def line_start(self) -> NDArray[np.float64]:
        """True start of each line, seconds, shape (n_frames, height)."""
        return self.plan.line_start

    @property
    def activity(self) -> NDArray[np.float64]:
        """True calcium traces, shape (n_frames, n_cells); 1 is the baseline."""
        return self.plan.activity

    @property
    def rest_image(self) -> NDArray[np.float64]:
        """Counts of the evenly lit, noise-free sample at rest with all cells at baseline."""
        return self.plan.rest_image


def simulate_recording(**parameters: Any) -> Recording:
    """Simulate a whole recording in memory.

    A pixel recorded at the time t at p = (x, y) shows the sample's value at
    ``R(a) (p - center) + center``, R(a) = [[cos a, sin a], [-sin a, cos a]], with the motor's angle
    a at that very time (and tilt, wobble and movement as asked for): what a derotation has to undo.
    Angles are degrees, positive where the sample had turned clockwise on a screen whose y axis
    points down; a rotation of the direction +1 takes them from 0 to -360. Lengths are pixels, times
    seconds where a name ends in ``_s``.

    Parameters
    ----------
    **parameters
        Those of `RecordingParameters`, by name; all have defaults.

    Returns
    -------
    Recording

    Raises
    ------
    InputError
        If a parameter is unknown or out of its range.

    See Also
    --------
    derotation.simulate.writing.simulate_session : The same to disk, in bounded memory.
    """
    plan = plan_recording(**parameters)
    movie = np.empty(plan.shape, plan.parameters.dtype)
    for first, block in plan.chunks():
        movie[first : first + len(block)] = block
    signals = np.stack([plan.analog.channel(name) for name in NPY_CHANNELS])
    return Recording(movie=movie, signals=signals, plan=plan)


def plan_recording(**parameters: Any) -> RecordingPlan:
    """Plan a recording without rendering it; takes what `simulate_recording` takes."""
    _check_names("parameter", parameters, [f.name for f in fields(RecordingParameters)])
    p = RecordingParameters(**parameters)
    motor = _plan_motor(p)
    n_frames, n_samples = _plan_duration(p, motor)
    height, width = p.shape
    line_start = (
        p.lead_s
        + np.arange(n_frames)[:, None] / p.frame_rate
        + np.arange(height)[None, :] * p.line_period_s
    )
    line_duration = p.line_duty * p.line_period_s
    center = ((width - 1) / 2 + p.center_offset[0], (height - 1) / 2 + p.center_offset[1])
    scene = p.scene if p.scene is not None else _plan_scene(p, center)
    movement, scanner = _plan_movement(p, center), p.movement_what == "scanner"
    wobble = np.array(p.wobble, np.float64).reshape(-1, 4)
    motion, ticks = _plan_motion(p, motor, n_samples)
    ticks = Ticks(time=ticks.time + p.lag_ms / 1e3, rotation=ticks.rotation, turned=ticks.turned)
    first_move = [int(np.flatnonzero(motor.rotation == r)[0]) for r in range(motor.n_rotations)]
    last_move = [int(np.flatnonzero(motor.rotation == r)[-1]) for r in range(motor.n_rotations)]
    analog, injected = _plan_signals(p, motor, ticks, line_start, n_samples)
    stimulus = np.column_stack([motor.speed[first_move], motor.direction[first_move]])
    further = tuple(_plan_layer(p, center, k, n_frames) for k in range(1, p.channels * p.planes))
    tuned = draw_tuned_cells(_tuning(p), scene.n_cells, min(p.n_cells, scene.n_cells))
    activity = _plan_brightness(p, scene.n_cells, n_frames)
    if np.any(tuned.kind > 0):
        middle = line_start[:, height // 2] + line_duration / 2
        activity += tuned.activity(middle, motion.angle)
    return RecordingPlan(
        parameters=p,
        n_frames=n_frames,
        scene=scene,
        activity=activity,
        tuned=tuned,
        light=_sample_motion(p).light(np.linspace(0, 1, n_frames)),
        illumination=_plan_illumination(p),
        motor=motion,
        center=_carried(movement, center) if scanner else center,
        plane_orientation=p.plane_orientation - (p.movement_rotation if scanner else 0.0),
        wobble=_carried_wobble(movement, wobble) if scanner else wobble,
        movement=movement,
        line_start=line_start,
        line_period=p.line_period_s,
        line_duration=line_duration,
        line_angles=motion.angle(line_start + line_duration / 2),
        ticks=ticks,
        rotation_start=motor.start[first_move],
        rotation_end=motor.end[last_move],
        rotation_direction=motor.direction[first_move],
        rotation_speed=motor.speed[first_move],
        stimulus=_faulty_table(stimulus, _faults(p).stimulus_rows),
        analog=analog,
        injected=injected,
        further=further,
    )


def _plan_layer(
    p: RecordingParameters, center: tuple[float, float], number: int, n_frames: int
) -> tuple[Scene, NDArray[np.float64]]:
    """Plan what another channel or plane shows: cells, or markers that never change."""
    is_marker = number % p.channels == 1
    own = replace(
        p,
        n_cells=max(1, p.n_cells // 3) if is_marker else p.n_cells,
        calcium=p.calcium and not is_marker,
        scene_options={**p.scene_options, "nucleus_depth": 0.0} if is_marker else p.scene_options,
        view=None,
        seed=_other_seed(p.seed, number),
        scene_seed=None if p.scene_seed is None else _other_seed(p.scene_seed, number),
    )
    scene = _plan_scene(own, center)
    return scene, _plan_brightness(own, scene.n_cells, n_frames)


def _other_seed(seed: int, number: int) -> int:
    """Draw a seed for another channel or plane."""
    return int(np.random.default_rng([seed, 4, number]).integers(2**31))


def _faults(p: RecordingParameters) -> Faults:
    """Faults of the parameters, which accept a mapping but always hold the dataclass."""
    return p.faults if isinstance(p.faults, Faults) else Faults(**p.faults)


def _sample_motion(p: RecordingParameters) -> SampleMotion:
    """Motion of the parameters, which accept a mapping but always hold the dataclass."""
    given = p.sample_motion
    return given if isinstance(given, SampleMotion) else SampleMotion(**given)


def _tuning(p: RecordingParameters) -> CellTuning:
    """Tuning of the parameters, which accept a mapping but always hold the dataclass."""
    return p.tuning if isinstance(p.tuning, CellTuning) else CellTuning(**p.tuning)


def _plan_motion(
    p: RecordingParameters, motor: Motor, n_samples: int
) -> tuple[Motor | Motion, Ticks]:
    """Give the angle at any time, and the encoder's ticks."""
    if p.motion is None or isinstance(p.motion, Mapping):
        return motor, motor.ticks(p.rotation_increment)
    time, _ = crossings(p.motion, p.rotation_increment, 0.0, n_samples / p.sampling_rate, step=2e-4)
    turned = np.asarray(np.arange(1, len(time) + 1) * p.rotation_increment, np.float64)
    return p.motion, Ticks(time=time, rotation=np.zeros(len(time), np.int32), turned=turned)


def _plan_motor(p: RecordingParameters) -> Motor:
    """Schedule of the motor; its first rotation may begin before the recording does."""

    def schedule(first_start: float) -> Motor:
        if p.protocol == "free":
            return full_protocol([])
        if p.protocol == "incremental":
            return incremental_protocol(
                first_start=first_start,
                rest=p.step_rest_s,
                degrees=p.degrees_per_rotation,
                step=p.degrees_per_step,
                speed=p.step_speed,
                acceleration=p.acceleration,
                direction_sign=p.direction_sign,
            )
        return full_protocol(
            [(speed, direction) for speed, direction in p.stimulus],
            first_start=first_start,
            rest=p.rest_between_s,
            degrees=p.degrees_per_rotation,
            acceleration=p.acceleration,
            direction_sign=p.direction_sign,
        )

    motor = schedule(p.lead_s + p.rest_before_s)
    if _faults(p).starts_within_rotation and motor.start.size:
        first = motor.rotation == 0
        motor = schedule(-float(motor.end[first][-1] - motor.start[0]) / 2)
    return motor


def _plan_duration(p: RecordingParameters, motor: Motor) -> tuple[int, int]:
    """Frames of the movie and samples of the signals."""
    rest = 0.0 if p.protocol == "free" else p.rest_before_s
    last = float(motor.end[-1]) if motor.end.size else p.lead_s + rest
    if _faults(p).ends_within_rotation and motor.end.size:
        start = motor.start[motor.rotation == motor.rotation[-1]][0]
        stop = float(start + motor.end[-1]) / 2
        n_frames = math.floor((stop - p.lead_s) * p.frame_rate)
        n_frames = max(1, n_frames // p.planes) * p.planes
        return n_frames, math.ceil(stop * p.sampling_rate)
    needed = math.ceil((last + p.rest_after_s - p.lead_s) * p.frame_rate)
    whole = -(-needed // p.planes) * p.planes
    n_frames = whole if p.n_frames is None else int(p.n_frames)
    if n_frames % p.planes:
        raise InputError(f"n_frames is {n_frames}, which is no multiple of {p.planes} planes")
    if n_frames < math.ceil((last - p.lead_s) * p.frame_rate):
        raise InputError(
            f"n_frames is {n_frames}, but the protocol needs {needed} frames at {p.frame_rate} Hz "
            f"(its last rotation ends after {last - p.lead_s:.4g} s); give more frames, a lower "
            "frame_rate or fewer or faster rotations."
        )
    n_clock_frames = n_frames + max(_faults(p).extra_clock_frames, 0)
    stop = p.lead_s + n_clock_frames / p.frame_rate + p.tail_s
    if _faults(p).truncated_last_frame:
        stop += 0.5 / p.frame_rate
    return n_frames, math.ceil(stop * p.sampling_rate)


def _plan_movement(p: RecordingParameters, center: tuple[float, float]) -> NDArray[np.float64]:
    """Map from this session's picture to that of a session without movement, shape (3, 3)."""
    angle = math.radians(p.movement_rotation)
    movement = np.eye(3)
    movement[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    middle = np.array([(p.shape[1] - 1) / 2, (p.shape[0] - 1) / 2])
    movement[:2, 2] = middle + p.movement_shift - movement[:2, :2] @ middle
    if p.movement_what == "scanner" or p.plane_angle == 0:
        return movement
    # The sample is moved in its own plane, which the picture shows foreshortened.
    along = np.array([math.cos(math.radians(p.plane_orientation)),
                      math.sin(math.radians(p.plane_orientation))])  # fmt: skip
    squeeze = np.eye(3)
    squeeze[:2, :2] -= (1 - math.cos(math.radians(p.plane_angle))) * np.outer(along, along)
    squeeze[:2, 2] = center - squeeze[:2, :2] @ center
    return np.asarray(squeeze @ movement @ np.linalg.inv(squeeze))


def _carried(movement: NDArray[np.float64], point: tuple[float, float]) -> tuple[float, float]:
    """Where a point of the picture without movement lies in this session's."""
    x, y, _ = np.linalg.solve(movement, [*point, 1.0])
    return float(x), float(y)


def _carried_wobble(
    movement: NDArray[np.float64], wobble: NDArray[np.float64]
) -> NDArray[np.float64]:
    back = np.linalg.inv(movement[:2, :2])
    return np.concatenate([wobble[:, :2] @ back.T, wobble[:, 2:] @ back.T], axis=1)


def _plan_scene(p: RecordingParameters, center: tuple[float, float]) -> Scene:
    height, width = p.shape
    far = np.hypot(max(center[0], width - 1 - center[0]), max(center[1], height - 1 - center[1]))
    wobble = sum(2 * math.hypot(*row[:2]) + math.hypot(*row[2:]) for row in p.wobble)
    reach = (far + wobble) / math.cos(math.radians(p.plane_angle)) + 15.0
    brightness = 1.0 if p.photons_per_pixel is None else p.photons_per_pixel
    if isinstance(p.view, View):
        return p.view.scene(brightness, p.scene_options)
    options = {"reach": reach, **p.scene_options}
    return random_scene(
        p.shape,
        p.n_cells,
        np.random.default_rng([p.seed if p.scene_seed is None else p.scene_seed, 2]),
        brightness=brightness,
        center=center,
        **options,
    )


def _plan_brightness(p: RecordingParameters, n_cells: int, n_frames: int) -> NDArray[np.float64]:
    """Calcium traces, which a change of focus makes brighter and darker."""
    time = p.lead_s + np.arange(n_frames) / p.frame_rate
    return _plan_activity(p, n_cells, n_frames) * _sample_motion(p).focus_factors(time, n_cells)


def _plan_activity(p: RecordingParameters, n_cells: int, n_frames: int) -> NDArray[np.float64]:
    """Calcium traces: sudden transients that decay, one value per frame and cell."""
    activity = np.ones((n_frames, n_cells))
    if not p.calcium:
        return activity
    rng = np.random.default_rng([p.seed, 3])
    rise, decay = 0.1, 0.8  # seconds, like a fast genetically encoded indicator
    time = np.arange(n_frames) / p.frame_rate
    history = 5 * decay  # transients that began before the movie
    duration = n_frames / p.frame_rate + history
    for cell in range(n_cells):
        n = rng.poisson(p.calcium_rate * duration)
        onsets = rng.uniform(-history, duration - history, n)
        sizes = rng.lognormal(0.0, 0.5, n)
        for onset, size in zip(onsets, sizes, strict=True):
            first = max(0, math.ceil(onset * p.frame_rate))
            last = min(n_frames, math.ceil((onset + 8 * decay) * p.frame_rate))
            tau = time[first:last] - onset
            activity[first:last, cell] += size * (1 - np.exp(-tau / rise)) * np.exp(-tau / decay)
    return activity


def _plan_illumination(p: RecordingParameters) -> NDArray[np.float64]:
    """Brightness of the light at each raw pixel, at most 1."""
    height, width = p.shape
    rows, columns = np.mgrid[:height, :width]
    # From the middle of the field, in units of its width and height.
    x = (columns - 0.5 * (width - 1)) / width
    y = (rows - 0.5 * (height - 1)) / height
    # How much is missing (in terms of the logarithm).
    match p.illumination:
        case "even":
            return np.ones(p.shape)
        case "uneven":
            # Brightest a little off the middle, about half as bright in the far corner.
            missing = ((x + 0.05) ** 2 + (y - 0.1) ** 2) / (2 * 0.6**2)
        case "gradient":
            missing = math.cos(math.radians(30)) * x + math.sin(math.radians(30)) * y
        case "shadow":
            missing = np.exp(-((x - 0.2) ** 2 + (y + 0.15) ** 2) / (2 * 0.13**2))
        case "sector":
            away = np.abs(wrapped(np.degrees(np.arctan2(y, x)) - 35.0))
            missing = (
                1 / (1 + np.exp((away - 30.0) / 6.0)) / (1 + np.exp((0.15 - np.hypot(x, y)) / 0.03))
            )
    if p.illumination == "uneven" and p.illumination_strength is None:
        return np.asarray(np.exp(-missing))
    strength = 0.5 if p.illumination_strength is None else p.illumination_strength
    missing = (missing - missing.min()) / np.ptp(missing)
    return np.asarray((1 - strength) ** missing)


def _plan_signals(
    p: RecordingParameters,
    motor: Motor,
    ticks: Ticks,
    line_start: NDArray[np.float64],
    n_samples: int,
) -> tuple[AnalogPlan, dict[str, Any]]:
    """Pulses of all channels with their faults, and what the faults did."""
    faults = _faults(p)
    rng = np.random.default_rng([p.seed, 4])
    injected: dict[str, Any] = {}
    duration = n_samples / p.sampling_rate
    line_clock, frame_clock = _clocks(p, line_start, rng, injected)
    on_start, on_stop = _on_periods(p, motor)
    rotation_on = _on_with_glitches(p, on_start, on_stop, duration, rng, injected)
    tick_pulses = _faulty_ticks(p, ticks, on_start, on_stop, duration, rng, injected)
    if faults.starts_within_rotation:
        injected["starts_within_rotation"] = 0
    if faults.ends_within_rotation:
        injected["ends_within_rotation"] = motor.n_rotations - 1
    if faults.clocks_swapped:
        line_clock, frame_clock = frame_clock, line_clock
        injected["clocks_swapped"] = True
    nan_samples = np.zeros(0, np.int64)
    if faults.nan_samples:
        nan_samples = np.sort(rng.choice(n_samples, faults.nan_samples, replace=False))
        injected["nan_samples"] = nan_samples
    camera = np.arange(0.0, duration, 1 / 30)
    flips = np.arange(0.0, duration, 1.0)
    analog = AnalogPlan(
        sampling_rate=p.sampling_rate,
        n_samples=n_samples,
        pulses={
            "line_clock": line_clock,
            "frame_clock": frame_clock,
            "rotation_on": rotation_on,
            "rotation_ticks": tick_pulses,
            "camera": Pulses(start=camera, stop=camera + 0.01),
            "photodiode": Pulses(start=flips, stop=flips + 0.5),
        },
        logic_level=p.logic_level_v,
        noise=p.signal_noise_v,
        seed=p.seed,
        nan_samples=nan_samples,
    )
    return analog, injected


def _clocks(
    p: RecordingParameters,
    line_start: NDArray[np.float64],
    rng: np.random.Generator,
    injected: dict[str, Any],
) -> tuple[Pulses, Pulses]:
    """Line and frame clock with their faults."""
    faults = _faults(p)
    n_frames, height = line_start.shape
    n_clock_frames = n_frames + faults.extra_clock_frames
    if n_clock_frames < 1:
        raise InputError(
            f"faults.extra_clock_frames is {faults.extra_clock_frames}, but the movie has only "
            f"{n_frames} frames"
        )
    if faults.stimulus_rows:
        injected["stimulus_rows"] = faults.stimulus_rows
    if faults.extra_clock_frames:
        injected["extra_clock_frames"] = faults.extra_clock_frames
    total = n_clock_frames + int(faults.truncated_last_frame)
    frame_start = line_start[0, 0] + np.arange(total) / p.frame_rate
    lines = frame_start[:, None] + np.arange(height) * p.line_period_s
    line_start = lines.ravel()
    duty = p.line_duty if p.line_clock_duty is None else p.line_clock_duty
    line_stop = line_start + duty * p.line_period_s
    frame_stop = lines[:, -1] + p.line_duty * p.line_period_s
    if faults.line_clock_without_gaps:
        line_stop = line_start + p.line_period_s
        line_stop[height - 1 :: height] = lines[:, -1] + p.line_duty * p.line_period_s
        injected["line_clock_without_gaps"] = True
    if faults.frame_clock_without_gaps:
        frame_stop[:-1] = frame_start[1:]
        injected["frame_clock_without_gaps"] = True
    if faults.truncated_last_frame:
        n_lines = height // 2
        line_start, line_stop = (
            edges[: edges.size - height + n_lines] for edges in (line_start, line_stop)
        )
        frame_stop[-1] = line_stop[-1]
        injected["truncated_last_frame"] = n_lines
    if faults.missing_line_pulses:
        missing = np.sort(rng.choice(line_start.size, faults.missing_line_pulses, replace=False))
        injected["missing_line_pulses"] = missing
        line_start, line_stop = np.delete(line_start, missing), np.delete(line_stop, missing)
    return Pulses(start=line_start, stop=line_stop), Pulses(start=frame_start, stop=frame_stop)


def _on_periods(
    p: RecordingParameters, motor: Motor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rises and falls of the flawless rotation-on signal."""
    lag, margin = p.lag_ms / 1e3, p.rotation_on_margin_ms / 1e3
    if p.protocol == "incremental" and not p.rotation_on_per_step:
        start, stop = motor.start[:1], motor.end[-1:]
    else:
        start, stop = motor.start, motor.end
    return start + lag - margin, stop + lag + margin


def _on_with_glitches(
    p: RecordingParameters,
    start: NDArray[np.float64],
    stop: NDArray[np.float64],
    duration: float,
    rng: np.random.Generator,
    injected: dict[str, Any],
) -> Pulses:
    faults = _faults(p)
    if not faults.off_glitches:
        return Pulses(start=start, stop=stop)
    length = faults.off_glitch_ms / 1e3
    # One slot per glitch, wide enough that two of them never touch each other or an edge.
    slots = [
        begin
        for a, b in zip(np.maximum(start, 0), np.minimum(stop, duration), strict=True)
        for begin in np.arange(a + length, b - 3 * length, 3 * length)
    ]
    if len(slots) < faults.off_glitches:
        raise InputError(
            f"faults.off_glitches is {faults.off_glitches}, but the rotations have room for only "
            f"{len(slots)} of {faults.off_glitch_ms} ms"
        )
    chosen = np.sort(rng.choice(slots, faults.off_glitches, replace=False))
    off = chosen + rng.uniform(0, length, chosen.size)
    injected["off_glitches"] = np.column_stack([off, off + length])
    return Pulses(start=np.sort([*start, *(off + length)]), stop=np.sort([*stop, *off]))


def _faulty_ticks(
    p: RecordingParameters,
    ticks: Ticks,
    on_start: NDArray[np.float64],
    on_stop: NDArray[np.float64],
    duration: float,
    rng: np.random.Generator,
    injected: dict[str, Any],
) -> Pulses:
    """Pulses of the encoder with dropped, doubled and stray ones."""
    faults = _faults(p)
    time = ticks.time[(ticks.time >= 0) & (ticks.time < duration)]
    # A pulse is over well before the next one comes, however fast the motor turns.
    gap = np.diff(time, append=np.inf)
    width = np.minimum(p.tick_ms / 1e3, 0.4 * gap)
    pulses = [(time, width)]
    if faults.dropped_ticks:
        dropped = rng.random(time.size) < faults.dropped_ticks
        injected["dropped_ticks"] = time[dropped]
        pulses = [(time[~dropped], width[~dropped])]
    if faults.duplicated_ticks:
        twice = rng.random(time.size) < faults.duplicated_ticks
        if faults.dropped_ticks:
            twice &= ~dropped
        # The second pulse follows when the first is over, and ends before the next tick.
        again = time[twice] + width[twice] + np.minimum(0.25 * gap[twice], p.tick_ms / 1e3)
        injected["duplicated_ticks"] = again
        pulses.append((again, np.minimum(width[twice], 0.2 * gap[twice])))
    if faults.stray_ticks:
        stray = _times_at_rest(rng, faults.stray_ticks, on_start, on_stop, duration)
        injected["stray_ticks"] = stray
        pulses.append((stray, np.full(stray.size, p.tick_ms / 1e3)))
    start = np.concatenate([t for t, _ in pulses])
    stop = start + np.concatenate([w for _, w in pulses])
    return Pulses(start=np.sort(start), stop=np.sort(stop))


def _times_at_rest(
    rng: np.random.Generator,
    n: int,
    on_start: NDArray[np.float64],
    on_stop: NDArray[np.float64],
    duration: float,
) -> NDArray[np.float64]:
    """Draw n times at which the rotation-on signal is low, 20 ms away from its edges."""
    begin = np.concatenate([[0.0], on_stop]) + 0.02
    end = np.concatenate([on_start, [duration]]) - 0.02
    length = np.maximum(np.minimum(end, duration) - np.maximum(begin, 0), 0)
    if length.sum() <= 0:
        raise InputError("faults.stray_ticks are put at rest, but the recording has no rest")
    total = np.concatenate([[0.0], np.cumsum(length)])
    draw = np.sort(rng.uniform(0, total[-1], n))
    rest = np.minimum(np.searchsorted(total, draw, side="right") - 1, length.size - 1)
    return np.asarray(np.maximum(begin, 0)[rest] + draw - total[rest])


def _faulty_table(stimulus: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """Stimulus table with rows too many (the first ones again) or too few."""
    if rows > 0:
        return np.concatenate([stimulus, np.resize(stimulus, (rows, 2))])
    return stimulus[: max(len(stimulus) + rows, 0)]


def _check_choice(name: str, value: object, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise InputError(f"{name} must be one of {', '.join(allowed)}; found {value!r}")


def _check_names(what: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or f"; known are {', '.join(known)}"
            raise InputError(f"unknown {what} '{name}' of a simulated recording{hint}")
