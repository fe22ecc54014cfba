"""What a simulated recording is asked to be like, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from derotation.errors import InputError
from derotation.settings.spelling import did_you_mean
from derotation.simulate.cell_tuning import CellTuning
from derotation.simulate.faults import Faults
from derotation.simulate.free_motion import Motion, motion_of
from derotation.simulate.sample_motion import SampleMotion
from derotation.simulate.scene import Scene
from derotation.simulate.window import View

__all__ = [
    "ILLUMINATIONS",
    "RecordingParameters",
    "check_names",
    "faults_of",
    "sample_motion_of",
    "tuning_of",
]

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
        _check_motion(self)
        _check_light(self)
        _check_ranges(self)
        _check_line_timing(self)
        self._take_mapping("faults", Faults)
        self._take_mapping("sample_motion", SampleMotion)
        self._take_mapping("tuning", CellTuning)
        if self.view is not None:
            self._take_mapping("view", View)

    def _take_mapping(
        self, name: str, kind: type[Faults] | type[SampleMotion] | type[CellTuning] | type[View]
    ) -> None:
        """Make the dataclass of a parameter that was given as a mapping."""
        given = getattr(self, name)
        if not isinstance(given, kind):
            check_names(name, given, [f.name for f in fields(kind)])
            object.__setattr__(self, name, kind(**given))

    @property
    def line_period_s(self) -> float:
        """Time from line to line, seconds."""
        if self.line_period_ms is not None:
            return self.line_period_ms / 1e3
        frame_period = 1 / self.frame_rate
        flyback = 0.02 * frame_period if self.flyback_ms is None else self.flyback_ms / 1e3
        return (frame_period - flyback) / self.shape[0]


def faults_of(p: RecordingParameters) -> Faults:
    """Faults of the parameters, which accept a mapping but always hold the dataclass."""
    return p.faults if isinstance(p.faults, Faults) else Faults(**p.faults)


def sample_motion_of(p: RecordingParameters) -> SampleMotion:
    """Motion of the parameters, which accept a mapping but always hold the dataclass."""
    given = p.sample_motion
    return given if isinstance(given, SampleMotion) else SampleMotion(**given)


def tuning_of(p: RecordingParameters) -> CellTuning:
    """Tuning of the parameters, which accept a mapping but always hold the dataclass."""
    return p.tuning if isinstance(p.tuning, CellTuning) else CellTuning(**p.tuning)


def _check_motion(p: RecordingParameters) -> None:
    """Refuse a motion without the protocol free, and the other way round."""
    if (p.protocol == "free") != (p.motion is not None):
        raise InputError(
            "a motion is needed for the protocol free, and for no other; found protocol "
            f"{p.protocol} and motion {p.motion}"
        )
    if p.protocol == "free" and p.n_frames is None:
        raise InputError("the protocol free needs n_frames: nothing else says when it is over")


def _check_light(p: RecordingParameters) -> None:
    """Check the light that is fixed in the microscope's frame."""
    _check_choice("illumination", p.illumination, ILLUMINATIONS)
    strength = p.illumination_strength
    if strength is not None and not 0 <= strength < 1:
        raise InputError(f"illumination_strength must be at least 0 and below 1, not {strength}")


def _check_ranges(p: RecordingParameters) -> None:
    """Check what has to lie within a range or among few values."""
    if p.channels not in (1, 2):
        raise InputError(f"channels must be 1 or 2, not {p.channels}")
    if p.planes < 1:
        raise InputError(f"planes must be at least 1, not {p.planes}")
    _check_choice("dtype", p.dtype, ("uint8", "uint16", "int16", "float32", "float64"))
    height, width = p.shape
    if height < 1 or width < 1:
        raise InputError(f"shape must be positive (height, width), not {p.shape}")
    for name in ("frame_rate", "sampling_rate", "gain", "logic_level_v", "tick_ms"):
        if not getattr(p, name) > 0:
            raise InputError(f"{name} must be above 0, not {getattr(p, name)}")
    for name in ("line_duty", "line_clock_duty"):
        duty = getattr(p, name)
        if duty is not None and not 0 < duty <= 1:
            raise InputError(f"{name} must be above 0 and at most 1, not {duty}")
    if p.bidi_phase != 0 and not p.bidirectional:
        raise InputError(
            f"bidi_phase is {p.bidi_phase}, but only a bidirectional scan has a phase; set "
            "bidirectional or leave bidi_phase at 0"
        )
    if not 0 <= p.plane_angle <= 80:
        raise InputError(f"plane_angle must be 0..80 degrees, not {p.plane_angle}")
    if p.photons_per_pixel is not None and not p.photons_per_pixel > 0:
        raise InputError(
            f"photons_per_pixel must be above 0, not {p.photons_per_pixel}; "
            "None makes a recording without noise."
        )


def _check_line_timing(p: RecordingParameters) -> None:
    """Refuse lines that do not fit into a frame."""
    if p.line_period_ms is not None and p.flyback_ms is not None:
        raise InputError("give line_period_ms or flyback_ms, not both: the frame is their sum")
    height = p.shape[0]
    if p.line_period_s * height > 1 / p.frame_rate * (1 + 1e-9):
        raise InputError(
            f"{height} lines of {p.line_period_s * 1e3:.6g} ms do not fit into a frame of "
            f"{1e3 / p.frame_rate:.6g} ms; lower line_period_ms or frame_rate."
        )
    if p.line_period_s <= 0:
        raise InputError("flyback_ms leaves no time for the lines of a frame; lower it.")


def _check_choice(name: str, value: object, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise InputError(f"{name} must be one of {', '.join(allowed)}; found {value!r}")


def check_names(what: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse names that are not known, with the likeliest meant."""
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or f"; known are {', '.join(known)}"
            raise InputError(f"unknown {what} '{name}' of a simulated recording{hint}")
