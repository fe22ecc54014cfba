"""The angle at which each line was recorded, straight from the ticks of the motor."""

import dataclasses
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, partial
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import ConfigError
from derotation.io.files import save_npz, write_text
from derotation.io.results import check_arrays, open_result
from derotation.maps.timing import LineReference, LineTiming
from derotation.numerics.by_rows import by_rows
from derotation.numerics.degrees import is_whole_turn, wrapped
from derotation.numerics.pages import release, rows_of
from derotation.settings.defaults import complete
from derotation.signals.events import Events
from derotation.signals.tick_trace import trace_of_ticks
from derotation.signals.trace import AngleFlag, AngleTrace, find_segments, trace_of_knots

__all__ = ["AngleFlag", "Angles", "angle_trace", "interpolate_angles"]

logger = logging.getLogger(__name__)

_KIND = "derotation angles"
_VERSION = 1
_SCALARS = (
    "line_duty", "sampling_rate", "frame_rate", "line_reference", "lag_ms", "bidirectional",
    "phase_px", "scan_told",
)  # fmt: skip
_FRACTION = {"start": 0.0, "middle": 0.5, "end": 1.0}
# A step that differs from the configured one by this part of it is said.
_STEP_TOLERANCE = 0.02
# Tables of all lines, which are mapped when they are loaded: those of an hour take hundreds of MB.
_OF_LINES = ("line_angles", "line_start", "line_usable", "flags")
# What a file has to hold; an angle that nobody knows is NaN.
_FINITE = (
    "line_duty",
    "sampling_rate",
    "frame_rate",
    "lag_ms",
    "phase_px",
    "line_start",
    "frame_start",
    "rotation",
)
_AXES = {
    **dict.fromkeys(_OF_LINES, ("frame", "line")),
    **dict.fromkeys(("frame_angles", "frame_start", "rotation", "direction", "speed"), ("frame",)),
    **dict.fromkeys(_SCALARS, ()),
}

# Frames that tell the period of the scanner's lines.
PERIOD_FRAMES = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class Angles:
    """Angles of all lines and frames of a movie.

    An angle a, in degrees, is what turns the picture back: a sample at p = (x, y) belongs at
    ``R(a) (p - center) + center`` with R(a) = [[cos a, sin a], [-sin a, cos a]]; positive if the
    sample had turned clockwise on a screen with y down. A rotation whose direction is +1 takes it
    from 0 to -360, one of -1 from 0 to +360. At rest it is exactly that of the rest: 0.0 after
    whole turns. Times are samples of the analog signals, or seconds where a name ends in ``_s``.
    """

    line_angles: NDArray[np.float64]
    """Degrees, shape (n_frames, n_lines); NaN where `line_usable` is False."""
    frame_angles: NDArray[np.float64]
    """Degrees in the middle of each frame's active time, shape (n_frames,)."""
    line_start: NDArray[np.float64]
    """Samples, shape (n_frames, n_lines)."""
    frame_start: NDArray[np.float64]
    """Samples, shape (n_frames,)."""
    line_duty: float
    """Part of the line period in which pixels are recorded."""
    line_reference: LineReference
    """The moment of a line that its angle belongs to: start, middle or end of its active part."""
    sampling_rate: float
    """Samples per second, Hz."""
    frame_rate: float
    """Frames of the movie per second, Hz."""
    line_usable: NDArray[np.bool_]
    """False within unusable rotations, shape (n_frames, n_lines)."""
    flags: NDArray[np.uint8]
    """Bits of :class:`AngleFlag`, shape (n_frames, n_lines)."""
    rotation: NDArray[np.int32]
    """Rotation (step) in which each frame's middle lies, -1 at rest, shape (n_frames,)."""
    direction: NDArray[np.float64]
    """Direction of that rotation, NaN at rest, shape (n_frames,)."""
    speed: NDArray[np.float64]
    """Speed of that rotation in degrees per second, NaN at rest, shape (n_frames,)."""
    bidirectional: bool = False
    """Whether odd lines were scanned from right to left."""
    phase_px: float = 0.0
    """What odd lines recorded lies so many pixels further right than it should."""
    scan_told: bool = True
    """Whether files, the configuration or the movie tell in which directions lines were scanned;
    else one direction is assumed."""
    lag_ms: float = 0.0
    """The lag by which they have been shifted after they were told by the ticks, milliseconds."""

    @property
    def line_times_s(self) -> NDArray[np.float64]:
        """The moment to which each line's angle belongs, seconds, shape (n_frames, n_lines)."""
        return self.times_of(slice(None))

    def times_of(self, frames: slice | NDArray[Any]) -> NDArray[np.float64]:
        """Tell the moment to which each line's angle belongs, of some frames, seconds.

        Parameters
        ----------
        frames : slice or ndarray
            Numbers of frames.

        Returns
        -------
        ndarray of shape (n, line)
        """
        starts = rows_of(self.line_start, frames)
        times = np.asarray((starts + self._late) / self.sampling_rate)
        release(self.line_start)
        return times

    @cached_property
    def _late(self) -> float:
        """From the start of a line to the moment to which its angle belongs, samples."""
        # Asked for chunk by chunk: the scanner's period is told by some frames of a long movie.
        n_frames = len(self.line_start)
        frames = np.arange(0, n_frames, max(n_frames // PERIOD_FRAMES, 1))
        period = float(np.median(np.diff(rows_of(self.line_start, frames), axis=1)))
        return _FRACTION[self.line_reference] * self.line_duty * period

    @property
    def frame_times_s(self) -> NDArray[np.float64]:
        """The mean moment to which the angles of each frame's lines belong, s: (n_frames,)."""
        starts = by_rows(lambda some: some.mean(axis=1), self.line_start)
        return np.asarray((starts + self._late) / self.sampling_rate)

    @property
    def at_rest(self) -> NDArray[np.bool_]:
        """Which frames show the sample at rest at angle 0, or whole turns from it: (n_frames,)."""
        known = self.line_usable.all(axis=1)
        at_zero = by_rows(_all_at_zero, self.line_angles)
        return np.asarray(known & at_zero)

    @property
    def turned(self) -> NDArray[np.bool_]:
        """Which frames, all lines of them usable, show the sample turned, shape (n_frames,)."""
        return np.asarray(self.line_usable.all(axis=1) & ~self.at_rest)

    @property
    def middle(self) -> NDArray[np.float64]:
        """Angle of each frame's middle line, degrees, shape (n_frames,)."""
        row = self.line_angles.shape[1] // 2
        return by_rows(lambda lines: lines[:, row], self.line_angles)

    @property
    def swept(self) -> NDArray[np.float64]:
        """By how much the angles of each frame's lines differ, degrees, shape (n_frames,).

        NaN where a line has no angle.
        """
        return by_rows(partial(np.ptp, axis=1), self.line_angles)

    def line_speeds(self, frames: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Tell the speed at each line of some frames from its neighbors, degrees per second.

        Parameters
        ----------
        frames : ndarray of shape (n,)
            Numbers of frames.

        Returns
        -------
        ndarray of shape (n, line)
        """
        step = wrapped(np.diff(rows_of(self.line_angles, frames), axis=1))
        speed = step / (np.diff(rows_of(self.line_start, frames), axis=1) / self.sampling_rate)
        ends = np.concatenate([speed[:, :1], speed, speed[:, -1:]], axis=1)
        return np.asarray((ends[:, 1:] + ends[:, :-1]) / 2)

    def timing(self) -> LineTiming:
        """Tell when, and with which displacement, the samples within a line were recorded."""
        return LineTiming(
            line_duty=self.line_duty,
            bidirectional=self.bidirectional,
            phase_px=self.phase_px,
            line_reference=self.line_reference,
        )

    def shifted(self, lag_ms: float) -> Self:
        """Give each line the angle that was told for a time later by a lag.

        Parameters
        ----------
        lag_ms : float
            Delay of the motor's signals against the scanner's, milliseconds.

        Returns
        -------
        Angles
            Angles between the lines are interpolated linearly; at rest they do not change. Lines
            next to unusable ones become unusable.
        """
        if lag_ms == 0:
            return self
        lag = lag_ms / 1000 * self.sampling_rate
        time, told = self.line_start.ravel(), self.line_angles.ravel()

        def later(starts: NDArray[np.float64]) -> NDArray[np.float64]:
            angles = _told_later(time, told, starts + lag)
            release(told)
            return angles

        angles = by_rows(later, self.line_start, beside=True)
        usable = by_rows(np.isfinite, angles)
        flags = by_rows(_with_unusable, self.flags, usable)
        return dataclasses.replace(
            self,
            line_angles=angles,
            frame_angles=by_rows(lambda lines: lines[:, angles.shape[1] // 2], angles),
            line_usable=usable,
            flags=flags,
            lag_ms=self.lag_ms + lag_ms,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save everything as an uncompressed `.npz`."""
        arrays: dict[str, ArrayLike] = {"kind": _KIND, "version": _VERSION}
        arrays.update({item.name: getattr(self, item.name) for item in fields(self)})
        save_npz(path, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Load what :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file holds something else.
        """
        values: dict[str, Any] = open_result(path, _KIND, _VERSION, mapped=_OF_LINES)
        check_arrays(path, values, _AXES, _FINITE)
        for name in _SCALARS:
            values[name] = values[name].item()
        return cls(**values)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a table with a row per frame.

        Columns: ``frame`` (from 0 on); ``rotation_angle`` (degrees in the middle of the frame,
        empty if unusable); ``clock`` (first sample of the frame); ``direction``, ``speed`` and
        ``rotation_count`` (of the rotation, counted from 0, in which the frame's middle lies;
        empty at rest).
        """
        lines = ["frame,rotation_angle,clock,direction,speed,rotation_count"]
        for frame, angle in enumerate(self.frame_angles):
            shown = "" if np.isnan(angle) else repr(float(angle))
            lines.append(
                f"{frame},{shown},{round(self.frame_start[frame])},{self._rotation_cells(frame)}"
            )
        write_text(path, "\n".join(lines) + "\n")

    def _rotation_cells(self, frame: int) -> str:
        if self.rotation[frame] < 0:
            return ",,"
        return f"{self.direction[frame]:.0f},{self.speed[frame]:.10g},{self.rotation[frame]}"


def interpolate_angles(
    events: Events,
    *,
    protocol: Literal["full", "incremental", "free"],
    config: Mapping[str, Any] | None = None,
    line_duty: float | None = None,
) -> Angles:
    """Tell the angle of each line and frame.

    Parameters
    ----------
    events : Events
        The events of the recording.
    protocol : {"full", "incremental", "free"}
        As for :func:`derotation.signals.parse.parse_signals`.
    config : mapping, optional
        The section ``angles`` of the configuration; keys that are missing have its defaults. Its
        ``lag_ms`` is the delay of the motor's signals: a line has the angle that the ticks tell so
        much later.
    line_duty : float, optional
        Part of the line period in which pixels are recorded, above 0 and up to 1. Default: as
        measured from the line clock, else 1.

    Returns
    -------
    Angles

    Raises
    ------
    ConfigError
        If an option is not allowed.

    Notes
    -----
    All sources hand over the same: an angle at any time (an ``AngleTrace``). Between ticks it
    follows a monotone cubic; at rest it does not change at all. Rotations of whole turns return to
    the angle from which they began, others add up. A rotation that is unusable, but has come
    around, counts as having turned as far as it should have; after one that stalled the angle is
    not known. In the protocol ``free`` the angle of the first frame is 0, or that at the reading
    ``zero`` of a source that measures the angle.
    """
    options = complete("angles", config)
    reference = options["line_reference"]
    duty = _line_duty(events, line_duty)
    trace = angle_trace(events, options["direction_sign"], options["zero"])
    _check_steps(events, protocol, float(options["degrees_per_step"]))
    # What is seen in the picture comes without delay, and has the sign that the picture needs.
    seen = events.angle_source == "movie"
    lag = 0.0 if seen else _lag(options["lag_ms"]) / 1000 * events.sampling_rate
    delay = _FRACTION[reference] * duty * events.line_period + lag
    line_angles, flags = _lines(events, trace, delay)
    first_and_last = by_rows(lambda starts: starts[:, 0] + starts[:, -1], events.line_start)
    middle = (first_and_last + duty * events.line_period) / 2
    frame_angles, _, rotation = trace.at(middle + lag)
    frame_angles = np.where(events.frame_unknown, np.nan, frame_angles)
    if protocol == "free" and options["zero"] is None:
        first = _first_angle(line_angles)
        line_angles = by_rows(lambda lines: lines - first, line_angles, beside=True)
        frame_angles -= first
    return Angles(
        line_angles=line_angles,
        frame_angles=frame_angles,
        line_start=events.line_start,
        frame_start=events.frame_start,
        line_duty=duty,
        line_reference=reference,
        sampling_rate=events.sampling_rate,
        frame_rate=_frame_rate(events),
        line_usable=(flags & np.uint8(AngleFlag.UNUSABLE)) == 0,
        flags=flags,
        rotation=rotation,
        direction=_of_rotation(events.rotation_direction, rotation),
        speed=_of_rotation(events.rotation_speed, rotation),
    )


def _with_unusable(flags: NDArray[np.uint8], usable: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Mark the lines that have no angle, as well."""
    return flags | np.where(usable, np.uint8(0), np.uint8(AngleFlag.UNUSABLE))


def _all_at_zero(line_angles: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell in which frames all lines show the sample as at angle 0, shape (n_frames,)."""
    return np.asarray(is_whole_turn(line_angles).all(axis=1))


def _told_later(
    time: NDArray[np.float64], told: NDArray[np.float64], later: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Tell angles at other times than the lines' own; NaN next to lines without an angle.

    `time` and `told` are those of all lines, one after the other; `later` has any shape.
    """
    before = np.clip(np.searchsorted(time, later, side="right") - 1, 0, len(time) - 1)
    after = np.minimum(before + 1, len(time) - 1)
    # Of the whole session only what lies about these times is looked at.
    start = int(before.min())
    near = slice(start, int(after.max()) + 1)
    time, told, before, after = time[near], told[near], before - start, after - start
    known = np.isfinite(told)
    if not known.any():
        return np.full(later.shape, np.nan)
    # Over the end of a whole turn the angle jumps by 360 degrees, which is no motion.
    turns = np.zeros(len(told))
    turns[known] = np.round((np.unwrap(told[known], period=360) - told[known]) / 360)
    angles = np.interp(later, time[known], (told + 360 * turns)[known]) - 360 * turns[before]
    return np.where(known[before] & known[after], angles, np.nan)


def angle_trace(events: Events, direction_sign: int = 1, zero: float | None = None) -> AngleTrace:
    """Give the angle at any time, from whatever source the events come.

    Parameters
    ----------
    events : Events
    direction_sign : {1, -1}
        -1 flips the sign of all angles, unless the movie itself told them.
    zero : float, optional
        What a source that measures the angle reads where the angle of a line is 0, degrees;
        default: that of the first frame. Without effect on ticks, which only count.

    Returns
    -------
    AngleTrace
    """
    if events.angle_source == "ticks":
        return trace_of_ticks(events, direction_sign)
    direction_sign = 1 if events.angle_source == "movie" else direction_sign
    time, angle = events.knot_time, events.knot_angle
    segments = find_segments(time, angle, events.sampling_rate, events.knot_resolution)
    if zero is None:
        first = float(np.interp(events.frame_start[0], time, angle))
        resting = len(segments.before) and events.frame_start[0] <= segments.start[0]
        zero = float(segments.before[0]) if resting else first
    return trace_of_knots(time, angle, events.knot_known, segments, sign=direction_sign, zero=zero)


def _first_angle(line_angles: NDArray[np.float64]) -> float:
    """Give the angle of the first frame in which it is known."""
    known = np.flatnonzero(by_rows(lambda lines: np.isfinite(lines).all(axis=1), line_angles))
    return float(line_angles[known[0]].mean()) if len(known) else 0.0


def _of_rotation(values: NDArray[Any], rotation: NDArray[np.int32]) -> NDArray[np.float64]:
    """Give each frame its rotation's value; NaN at rest."""
    if not len(values):
        return np.full(len(rotation), np.nan)
    return np.where(rotation >= 0, values[rotation].astype(np.float64), np.nan)


def _lag(asked: float | str) -> float:
    """Tell the lag to correct here, ms; "auto" is estimated from the movie, later."""
    return 0.0 if asked == "auto" else float(asked)


def _line_duty(events: Events, asked: float | None) -> float:
    """Choose the part of a line in which pixels are recorded."""
    if asked is None:
        return events.line_duration / events.line_period
    if not 0 < asked <= 1:
        raise ConfigError(f"line_duty is {asked}; it must be above 0 and at most 1.")
    return float(asked)


def _check_steps(events: Events, protocol: str, degrees_per_step: float) -> None:
    """Say if steps are not as long as configured."""
    if protocol != "incremental":
        return
    usual = float(np.median(events.rotation_turned))
    if abs(usual - degrees_per_step) > _STEP_TOLERANCE * degrees_per_step:
        logger.warning(
            "Most steps turn by %g degrees, but angles.degrees_per_step is %g; the ticks are used.",
            usual,
            degrees_per_step,
        )


def _lines(
    events: Events, trace: AngleTrace, delay: float
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Tell angle and flags of all lines, some frames at a time."""
    flags = np.empty(events.line_start.shape, np.uint8)

    def told(
        start: NDArray[np.float64],
        repaired: NDArray[np.bool_],
        unknown: NDArray[np.bool_],
        own: NDArray[np.uint8],
    ) -> NDArray[np.float64]:
        angles, own[...], _ = trace.at(start + delay)
        own[repaired] |= np.uint8(AngleFlag.LINE_REPAIRED)
        own[(start < 0) | (start >= events.n_samples)] |= np.uint8(AngleFlag.EXTRAPOLATED)
        own[unknown] |= np.uint8(AngleFlag.UNUSABLE)
        angles[unknown] = np.nan
        return angles

    tables = events.line_start, events.line_repaired, events.frame_unknown, flags
    return by_rows(told, *tables, beside=True), flags


def _frame_rate(events: Events) -> float:
    """Rate of the movie's frames in Hz."""
    if len(events.frame_start) > 1:
        period = float(np.median(np.diff(events.frame_start)))
    else:
        period = events.line_start.shape[1] * events.line_period
    return events.sampling_rate / period
