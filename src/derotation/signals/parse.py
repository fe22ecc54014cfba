"""From analog samples to events: clock times of lines, frames, ticks and rotations."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import ConfigError, InputError
from derotation.io.angle_table import AngleTable
from derotation.io.signals import AnalogSignals
from derotation.io.stimulus import Stimulus
from derotation.settings.defaults import complete
from derotation.signals.clock_frames import read_choice
from derotation.signals.clocks import Scan, read_scan
from derotation.signals.events import Events
from derotation.signals.levels import Levels
from derotation.signals.polarity import with_polarity, with_rotation_on_recognized
from derotation.signals.pulses import Pulses, always, find_pulses, no_pulses
from derotation.signals.quadrature import brought_back
from derotation.signals.repairs import Report, counted, turn_word
from derotation.signals.roles import digital_roles
from derotation.signals.rotations import Rotation, RotationRules, find_rotations
from derotation.signals.rows import Rows
from derotation.signals.sources import knot_arrays, measured_angle, segment_arrays
from derotation.signals.trace import MeasuredAngle

__all__ = ["parse_signals"]

Protocol = Literal["full", "incremental", "free"]
# Of these a channel without pulses counts as one that is not there.
_MAY_BE_FLAT = ("line_clock", "frame_clock", "direction", "quadrature_index")


def parse_signals(
    signals: AnalogSignals,
    *,
    n_frames: int,
    lines_per_frame: int,
    sampling_rate: float,
    protocol: Protocol,
    stimulus: Stimulus | None = None,
    clock_index: ArrayLike | None = None,
    n_clock_frames: int | None = None,
    config: Mapping[str, Any] | None = None,
    degrees_per_step: float | None = None,
    angles: Mapping[str, Any] | None = None,
    table: AngleTable | None = None,
    rows: Rows | None = None,
    line_period_s: float | None = None,
    flyback_lines: float = 0.0,
    n_columns: int | None = None,
) -> Events:
    """Find all events in the analog signals and bring them to agree with the movie.

    Parameters
    ----------
    signals : AnalogSignals
        The recording.
    n_frames : int
        Frames of the movie.
    lines_per_frame : int
        Lines of a frame.
    sampling_rate : float
        Of the signals, Hz.
    protocol : {"full", "incremental", "free"}
        Rotations at various speeds with rests, one turn in steps, or any rotation at all.
    stimulus : Stimulus, optional
        Speed and direction of each rotation. Without it speeds are those measured; where no channel
        tells the direction, either, it is -1 for all, which is an anomaly in ``full``.
    clock_index : array_like of shape (n_frames,), optional
        Which of the frames that the clock counts each frame of the movie is, from 0 on: the
        clock counts every plane. Default: all, in order.
    n_clock_frames : int, optional
        Frames that the clock should have counted; default: `n_frames`.
    config : mapping, optional
        The section ``signals`` of the configuration; keys that are missing have its defaults.
    degrees_per_step : float, optional
        Protocol ``incremental``: degrees of a step. Default: what most steps say.
    angles : mapping, optional
        The section ``angles`` of the configuration, for the angle's source.
    table : AngleTable, optional
        The table of angles, for the source ``table``.
    rows : Rows, optional
        Which lines are rows of the movie; default: all.
    line_period_s : float, optional
        From line to line, seconds, if the movie's metadata say so; used where no clock tells it.
    flyback_lines : float
        Time from a frame's last line to the next frame, in lines; used where no clock tells it.
    n_columns : int, optional
        Columns of the movie; they tell that rows and columns were exchanged.

    Returns
    -------
    Events
        With exactly `n_frames` frames, and one rotation per row of the stimulus table. All
        repairs are in it.

    Raises
    ------
    ConfigError
        If an option is not allowed.
    SignalError
        If the signals hold NaN, or too few levels or pulses; if clocks and movie or rotations and
        stimulus table disagree by more than can be repaired safely.
    """
    options = complete("signals", config)
    n_clock, index = _clock_frames(n_frames, clock_index, n_clock_frames)
    _check_arguments(sampling_rate, lines_per_frame, protocol)
    angles = complete("angles", angles)
    source = str(angles["source"])
    report = Report(sampling_rate=float(sampling_rate))
    found = _pulses(signals, sampling_rate, protocol, source, options)
    recognize = bool(options["recognize_clocks"])
    pulses = with_polarity(
        found,
        invert=options["invert"],
        recognize=recognize,
        n_samples=signals.n_samples,
        report=report,
    )
    scan = read_scan(
        pulses.pop("line_clock", no_pulses("line_clock")),
        pulses.pop("frame_clock", no_pulses("frame_clock")),
        n_frames=n_clock,
        n_lines=lines_per_frame,
        n_samples=signals.n_samples,
        recognize=recognize,
        report=report,
        choice=read_choice(options["frames"]),
        ticks=pulses["rotation_ticks"].start if "rotation_ticks" in pulses else (),
        line_period=None if line_period_s is None else line_period_s * sampling_rate,
        flyback_lines=flyback_lines,
        n_columns=n_columns if rows is None or rows.n == lines_per_frame else None,
    )
    counts = {f"{role}_pulses": len(own) for role, own in found.items()}
    levels = {role: _shown(own.levels) for role, own in found.items()}
    del found  # The line clock's pulses are many.
    rows = rows or Rows(n=lines_per_frame)
    rows.check(lines_per_frame, scan.frame_duration, scan.line_period)
    lines = _line_arrays(scan, rows, index)
    rotations: list[Rotation] = []
    measured = MeasuredAngle(
        time=np.zeros(0), angle=np.zeros(0), known=np.zeros(0, np.bool_), resolution=0.0
    )
    if source == "ticks":
        rotations = _rotations_of_ticks(
            pulses, signals.n_samples, options, protocol, stimulus, degrees_per_step, angles, report
        )
        _check_rotations_within_scan(scan, rotations, turn_word(protocol), report)
    else:
        measured = measured_angle(
            source, angles, signals, pulses, table, lines["line_start"], scan.line_duration, report
        )
        degrees = options["degrees_per_rotation"]
        no_index = source == "quadrature" and not len(pulses.get("quadrature_index") or ())
        if no_index and protocol == "full" and degrees is not None:
            measured = brought_back(measured, float(degrees), report)
    return Events(
        sampling_rate=float(sampling_rate),
        n_samples=signals.n_samples,
        **lines,
        **_tick_arrays(rotations),
        **(
            _rotation_arrays(rotations)
            if source == "ticks"
            else segment_arrays(measured, float(sampling_rate))
        ),
        **knot_arrays(source, measured),
        repairs=tuple(report.repairs),
        anomalies=tuple(report.anomalies),
        counts={
            **counts,
            "frames": n_frames,
            "lines": int(lines["line_start"].size),
            "rotations": len(rotations),
            "usable_rotations": sum(not rotation.problem for rotation in rotations),
            "ticks": sum(len(r.ticks.time) for r in rotations if r.ticks is not None),
        },
        levels=levels,
    )


def _pulses(
    signals: AnalogSignals,
    sampling_rate: float,
    protocol: Protocol,
    source: str,
    options: Mapping[str, Any],
) -> dict[str, Pulses]:
    """Find the pulses of all channels that are read, as they were recorded."""
    # Nobody asks a sample that turns freely whether it is in a rotation.
    may_be_flat = (*_MAY_BE_FLAT, "rotation_on") if protocol == "free" else _MAY_BE_FLAT
    roles = digital_roles(signals.roles, source)
    return find_pulses(
        signals, roles, options["thresholds"], sampling_rate, may_be_flat=may_be_flat
    )


def _line_arrays(scan: Scan, rows: Rows, index: NDArray[np.int64] | None) -> dict[str, Any]:
    """Give the fields of lines and frames: those of the movie's rows, and those to spare."""
    line_start = rows.of(scan.line_start, scan.line_period)
    repaired = rows.any_of(scan.line_repaired)
    n_spare = len(scan.spare_line_start)
    if index is not None:
        # Of several planes, a shift by one frame of the clock is another plane: none is kept.
        n_spare = 0
        line_start, repaired = line_start[index], repaired[index]
    return {
        "line_start": line_start,
        "line_repaired": repaired,
        "line_duration": scan.line_duration,
        "line_period": scan.line_period,
        "line_duration_measured": scan.line_duration_measured,
        "frame_start": line_start[:, 0].copy(),
        "frame_end": line_start[:, -1] + scan.line_duration,
        "frame_offset": scan.frame_offset if n_spare else 0,
        "frame_offsets_possible": tuple(range(n_spare + 1)),
        "spare_line_start": rows.of(scan.spare_line_start, scan.line_period)[:n_spare],
        "spare_line_repaired": rows.any_of(scan.spare_line_repaired)[:n_spare],
    }


def _rotations_of_ticks(
    pulses: Mapping[str, Pulses],
    n_samples: int,
    options: Mapping[str, Any],
    protocol: Protocol,
    stimulus: Stimulus | None,
    degrees_per_step: float | None,
    angles: Mapping[str, Any],
    report: Report,
) -> list[Rotation]:
    """Find the rotations that the motor's ticks and its rotation-on signal tell."""
    on, ticks = pulses.get("rotation_on"), pulses["rotation_ticks"]
    on = on if on is None or len(on) else None
    if on is not None and options["recognize_clocks"] and "rotation_on" not in options["invert"]:
        on = with_rotation_on_recognized(on, ticks, n_samples, report)
    asked = angles["direction"]
    direction = pulses.get("direction") if asked in ("auto", "channel") else None
    if asked == "channel" and direction is None:
        raise ConfigError(
            "angles.direction is channel, but no channel is named direction in "
            "signals.channel_order."
        )
    if asked == "table" and stimulus is None and protocol == "full":
        raise ConfigError("angles.direction is table, but the session has no stimulus table.")
    if asked in (1, -1):
        direction = always("direction", high=asked == 1, n_samples=n_samples)
    return find_rotations(
        on,
        ticks,
        rules=_rules(options, protocol, degrees_per_step),
        stimulus=stimulus if asked in ("auto", "table") else None,
        report=report,
        n_samples=n_samples,
        direction=direction,
    )


def _clock_frames(
    n_frames: int, clock_index: ArrayLike | None, n_clock_frames: int | None
) -> tuple[int, NDArray[np.int64] | None]:
    """Check which clock frames the movie's frames are."""
    n_clock = n_frames if n_clock_frames is None else int(n_clock_frames)
    if n_frames < 1 or n_clock < n_frames:
        raise InputError(
            f"A movie of {n_frames} frames cannot belong to {n_clock} frames of the clock; there "
            "is at least one frame, and the clock counts each of them."
        )
    if clock_index is None:
        if n_clock != n_frames:
            raise InputError(
                f"The movie has {n_frames} frames and the clock should count {n_clock}: "
                "clock_index has to say which of them each frame of the movie is."
            )
        return n_clock, None
    index = np.asarray(clock_index, np.int64)
    if index.shape != (n_frames,) or index.min() < 0 or index.max() >= n_clock:
        raise InputError(
            f"clock_index has shape {index.shape} and values from {index.min()} to {index.max()}; "
            f"expected are {n_frames} values from 0 to {n_clock - 1}, one per frame of the movie."
        )
    if n_clock == n_frames and np.array_equal(index, np.arange(n_frames)):
        return n_clock, None
    return n_clock, index


def _check_arguments(sampling_rate: float, lines_per_frame: int, protocol: str) -> None:
    """Refuse arguments that make no sense."""
    if not (np.isfinite(sampling_rate) and sampling_rate > 0):
        raise InputError(f"sampling_rate is {sampling_rate} Hz; it must be above 0.")
    if lines_per_frame < 1:
        raise InputError(f"lines_per_frame is {lines_per_frame}; it must be at least 1.")
    if protocol not in ("full", "incremental", "free"):
        raise InputError(f"protocol is '{protocol}'; allowed are 'full', 'incremental' and 'free'.")


def _tick_arrays(rotations: Sequence[Rotation]) -> dict[str, Any]:
    """Chain the ticks of all usable rotations."""
    used = [(k, r, r.ticks) for k, r in enumerate(rotations) if r.ticks is not None]
    return {
        "tick_time": np.concatenate([np.zeros(0), *(t.time for _, _, t in used)]),
        "tick_rotation": np.concatenate(
            [np.zeros(0, np.int32), *(np.full(len(t.time), k, np.int32) for k, _, t in used)]
        ),
        "tick_angle": np.concatenate([np.zeros(0), *(r.tick_angle for _, r, _ in used)]),
        "tick_inserted": np.concatenate([np.zeros(0, np.bool_), *(t.inserted for _, _, t in used)]),
    }


def _rotation_arrays(rotations: Sequence[Rotation]) -> dict[str, Any]:
    """Collect the fields of rotations."""
    return {
        "rotation_start": np.array([r.start for r in rotations]),
        "rotation_end": np.array([r.stop for r in rotations]),
        "rotation_direction": np.array([r.direction for r in rotations], np.int8),
        "rotation_speed": np.array([r.speed for r in rotations]),
        "rotation_measured_speed": np.array([r.measured_speed for r in rotations]),
        "rotation_usable": np.array([not r.problem for r in rotations]),
        "rotation_turned": np.array([r.turned for r in rotations]),
        "rotation_lost": np.array([r.lost_from for r in rotations], np.float64),
    }


def _check_rotations_within_scan(
    scan: Scan, rotations: Sequence[Rotation], word: str, report: Report
) -> None:
    """Say which rotations no frame of the movie sees."""
    begin, end = scan.line_start[0, 0], scan.line_start[-1, -1] + scan.line_period
    unseen = [r for r in rotations if r.stop < begin or r.start > end]
    if unseen:
        report.anomaly(
            "rotations_without_frames",
            "rotation_on",
            f"{counted(len(unseen), word)} outside the time in which the microscope scanned.",
            [rotation.start for rotation in unseen],
        )


def _shown(levels: Levels) -> tuple[float, float, float]:
    """Give the levels of a channel that are kept; a flat one has no threshold of its own."""
    threshold = levels.threshold if np.isfinite(levels.threshold) else levels.high
    return levels.low, levels.high, threshold


def _rules(
    options: Mapping[str, Any], protocol: Protocol, degrees_per_step: float | None
) -> RotationRules:
    """Collect what the configuration says about rotations."""
    degrees = options["degrees_per_rotation"]
    return RotationRules(
        protocol=protocol,
        increment=float(options["rotation_increment"]),
        degrees=None if degrees is None else float(degrees),
        degrees_per_step=degrees_per_step,
        max_off_glitch_s=float(options["max_off_glitch_ms"]) / 1e3,
        max_missing_fraction=float(options["max_missing_tick_fraction"]),
    )
