"""Step ``parse_signals``: the times of lines, frames, ticks and rotations in analog signals."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from derotation.errors import InputError
from derotation.images.following.into_events import events_with_seen_angle
from derotation.io.angle_table import AngleTable, read_angle_table
from derotation.io.movie import Movie
from derotation.io.signals import AnalogSignals, open_signals, signal_options
from derotation.io.stimulus import Stimulus, read_stimulus, stimulus_options
from derotation.maps.timing import LineTiming
from derotation.movie_angles.after_stall import find_angles_after_stalls
from derotation.movie_angles.clock_choice import choose_clock_frames
from derotation.movie_angles.delays import find_delays
from derotation.movie_angles.directions import find_directions
from derotation.plots.signals import plot_measured_angle, plot_signals
from derotation.signals.events import Events, Repair
from derotation.signals.parse import parse_signals
from derotation.signals.repairs import turn_word
from derotation.signals.roles import REQUIRED_ROLES
from derotation.signals.rows import Rows, check_lines, read_rows
from derotation.signals.without_signals import events_without_signals
from derotation.steps import outputs as outputs_base
from derotation.steps.inputs import open_session_movie, save_plot, settle

__all__ = ["Outputs", "run"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Outputs(outputs_base.Outputs):
    """The files that the step writes."""

    events: Annotated[Path, "events.npz"]
    summary: Annotated[Path, "events.json"]
    plot: Annotated[Path, "plots/signals.png"]


# Frame rates in a file's metadata are often rounded; a wrong sampling rate is far off.
_RATE_TOLERANCE = 0.02
# That of the signals' file itself is not.
_STATED_TOLERANCE = 1e-3
# A last frame that is not whole is usual where a recording is stopped by hand.
_MISSING_FRAMES = 2


def run(
    *,
    movie: Movie | str | Path,
    signals: str | Path | None,
    stimulus: str | Path | None,
    protocol: Literal["full", "incremental", "free"],
    config: Mapping[str, Any],
    outputs: Outputs,
    angle_table: str | Path | None = None,
    threads: int = 1,
) -> Events:
    """Find all events of a session and bring them to agree with its movie.

    Parameters
    ----------
    movie : Movie or path
        The movie's TIFF, or a pattern for several; or the movie, opened. Only its size and its
        metadata are read, and some frames if the signals leave open which clock frames are the
        movie's, or the angle after a stall; all of them if the angle's source is the movie.
    signals : path or None
        The analog signals; None if a table has an angle for each frame or line, or the movie
        tells the angle, and nothing else was recorded.
    stimulus : path or None
        The table of speeds and directions; without one, speeds are those measured, and directions
        come from a channel, from ``angles.direction`` or, in the protocol full, from the movie.
    protocol : {"full", "incremental", "free"}
        What the motor did.
    config : mapping
        The configuration; its sections ``signals``, ``scan`` and ``movie`` are read, and of
        ``angles`` what says where the angle comes from.
    outputs : Outputs
        Where files go.
    angle_table : path, optional
        The table of angles, for the source ``table``.
    threads : int
        Number of threads with which the source ``movie`` compares frames.

    Returns
    -------
    Events
        What was written.

    Raises
    ------
    DerotationError
        If a file cannot be read, or signals and movie disagree by more than can be repaired.
    """
    chosen = config["signals"]
    source = (config.get("angles") or {}).get("source") or "ticks"
    recorded = None if signals is None else _open(signals, chosen, source)
    table = None if stimulus is None else read_stimulus(stimulus, **stimulus_options(chosen))
    written = None
    if source == "table" and angle_table is not None:
        written = read_angle_table(angle_table)
    with open_session_movie(movie, config) as opened:
        lines = settle(
            "scan.lines_per_frame",
            config["scan"]["lines_per_frame"],
            opened.metadata.lines_per_frame,
            opened.shape[1],
        )
        check_lines(opened, lines)
        rows = read_rows(opened.shape[1], config["scan"].get("rows"))
        if recorded is None:
            found = _without_signals(opened, lines, rows, written, config, source)
        else:
            found = _parsed(recorded, opened, lines, rows, table, written, protocol, config)
            found = _with_frame_rate_checked(found, opened, config["scan"].get("frame_rate"))
            found = _with_sampling_rate_checked(found, recorded.stated_rate)
        if source == "movie":
            timing = _timing(opened, found, config)
            found = events_with_seen_angle(found, opened, timing, threads)
        elif recorded is None:
            found = find_delays(opened, found, protocol=protocol)
        else:
            found = find_directions(opened, found)
            found = choose_clock_frames(opened, found, protocol=protocol)
            found = find_angles_after_stalls(opened, found, protocol=protocol)
    found = _with_missing_end_said(found, opened)
    found.save(outputs.events, outputs.summary)
    if recorded is None:
        save_plot(lambda: plot_measured_angle(found), outputs.plot)
    else:
        save_plot(
            lambda: plot_signals(*_as_used(recorded, found), word=turn_word(protocol)),
            outputs.plot,
        )
    return found


def _open(signals: str | Path, chosen: Mapping[str, Any], source: str) -> AnalogSignals:
    """Open the signals with the channels that the angle's source needs."""
    return open_signals(
        signals,
        required=REQUIRED_ROLES.get(source, REQUIRED_ROLES["ticks"]),
        **signal_options(chosen),
    )


def _parsed(
    signals: AnalogSignals,
    movie: Movie,
    lines: int,
    rows: Rows,
    stimulus: Stimulus | None,
    table: AngleTable | None,
    protocol: Literal["full", "incremental", "free"],
    config: Mapping[str, Any],
) -> Events:
    """Find the events of the movie in its signals."""
    step = config["angles"]["degrees_per_step"] if protocol == "incremental" else None
    return parse_signals(
        signals,
        n_frames=movie.shape[0],
        lines_per_frame=lines,
        sampling_rate=signals.sampling_rate(config["signals"]["sampling_rate"]),
        protocol=protocol,
        stimulus=stimulus,
        clock_index=movie.clock_index,
        n_clock_frames=movie.n_clock_frames,
        config=config["signals"],
        degrees_per_step=step,
        angles=config.get("angles") or {},
        table=table,
        rows=rows,
        line_period_s=movie.metadata.line_period_s,
        flyback_lines=config["scan"].get("flyback_lines") or 0.0,
        n_columns=movie.shape[2],
    )


def _without_signals(
    movie: Movie,
    lines: int,
    rows: Rows,
    table: AngleTable | None,
    config: Mapping[str, Any],
    source: str,
) -> Events:
    """Time the lines by the frame rate alone."""
    if table is None and source != "movie":
        raise InputError(
            f"{movie.paths[0]}: the session has neither signals nor, with angles.source: table, a "
            "table of angles; give one of them in the sample sheet, or let the picture tell the "
            "angle with angles.source: movie."
        )
    scan = config["scan"]
    rate = settle("scan.frame_rate", scan.get("frame_rate"), movie.metadata.frame_rate, None)
    if rate is None:
        raise InputError(
            f"{movie.paths[0]} does not say its frame rate, and without signals nothing else does: "
            "set scan.frame_rate."
        )
    duty = settle("scan.line_duty", scan.get("line_duty"), movie.metadata.line_duty, None)
    return events_without_signals(
        table,
        clock_index=movie.clock_index,
        clock_rate=rate,
        lines_per_frame=lines,
        rows=rows,
        line_period_s=movie.metadata.line_period_s,
        flyback_lines=scan.get("flyback_lines"),
        line_duty=duty,
    )


def _timing(movie: Movie, events: Events, config: Mapping[str, Any]) -> LineTiming:
    """Tell when the samples within a line were recorded, as far as it is known by now."""
    scan, said = config["scan"], movie.metadata
    duty_said = None if events.line_duration_measured else said.line_duty
    measured = events.line_duration / events.line_period
    both = settle("scan.bidirectional", scan.get("bidirectional"), said.bidirectional, False)
    phase = scan.get("bidi_phase")
    return LineTiming(
        line_duty=settle("scan.line_duty", scan.get("line_duty"), duty_said, measured),
        bidirectional=both,
        phase_px=float(phase) if both and isinstance(phase, int | float) else 0.0,
        line_reference=(config.get("angles") or {}).get("line_reference") or "middle",
    )


def _as_used(signals: AnalogSignals, events: Events) -> tuple[AnalogSignals, Events]:
    """Name the clocks in the plot by what they are, if they were plugged the other way round."""
    if all(repair.code != "clocks_swapped" for repair in events.repairs):
        return signals, events
    line, frame = (events.levels[role] for role in ("line_clock", "frame_clock"))
    levels = events.levels | {"line_clock": frame, "frame_clock": line}
    return signals.swapped("line_clock", "frame_clock"), replace(events, levels=levels)


def _with_missing_end_said(events: Events, movie: Movie) -> Events:
    """Say that the movie lacks the end of what was recorded, as its files tell."""
    if len(movie.clock_index) < 2:
        return events
    per_frame = int(np.median(np.diff(movie.clock_index)))
    missing = (movie.n_clock_frames - 1 - int(movie.clock_index[-1])) // per_frame
    if missing < _MISSING_FRAMES:
        return events
    n = movie.shape[0]
    text = (
        f"The movie's files hold {n} frames, but {n + missing} were recorded: the last {missing} "
        "are missing. Was the recording interrupted, or the movie not copied whole? Copy it again."
    )
    logger.warning(text)
    odd = Repair(code="frames_missing", channel="frame_clock", count=missing, text=text)
    return replace(events, anomalies=(odd, *events.anomalies))


def _with_sampling_rate_checked(events: Events, stated: float | None) -> Events:
    """Compare the configuration with what the signals' file says itself."""
    if stated is None or abs(events.sampling_rate / stated - 1) < _STATED_TOLERANCE:
        return events
    text = (
        f"The signals' file says {stated:.9g} samples per second, but signals.sampling_rate is "
        f"{events.sampling_rate:.9g}, which was used. Write {stated:.9g}, or null to take what "
        "each file says."
    )
    logger.warning(text)
    odd = Repair(code="sampling_rate", channel="frame_clock", count=1, text=text)
    # It explains all others.
    return replace(events, anomalies=(odd, *events.anomalies))


def _with_frame_rate_checked(events: Events, movie: Movie, given: float | None = None) -> Events:
    """Compare the clock with what is said: they differ if signals.sampling_rate is wrong."""
    said, whose = (
        (given, "scan.frame_rate says")
        if given
        else (movie.metadata.frame_rate, "the movie's metadata say")
    )
    if said is None or len(events.frame_start) < 2:
        return events
    clock_frames = np.diff(movie.clock_index)
    measured = events.sampling_rate / float(np.median(np.diff(events.frame_start) / clock_frames))
    if abs(measured / said - 1) < _RATE_TOLERANCE:
        return events
    text = (
        f"The frame clock counts {measured:.4g} frames per second, but {whose} "
        f"{said:.4g}. If that is right, signals.sampling_rate is "
        f"{events.sampling_rate * said / measured:.6g}, not {events.sampling_rate:g}."
    )
    logger.warning(text)
    odd = Repair(code="frame_rate", channel="frame_clock", count=1, text=text)
    # It explains all others.
    return replace(events, anomalies=(odd, *events.anomalies))
