"""Step ``parse_signals``: the times of lines, frames, ticks and rotations in analog signals."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from derotation.errors import InputError
from derotation.io.movie import Movie
from derotation.io.signals import AnalogSignals, open_signals, signal_options
from derotation.io.stimulus import read_stimulus, stimulus_options
from derotation.plots.signals import plot_signals
from derotation.signals.events import Events, Repair, parse_signals
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


def run(
    *,
    movie: Movie | str | Path,
    signals: str | Path,
    stimulus: str | Path | None,
    protocol: Literal["full", "incremental"],
    config: Mapping[str, Any],
    outputs: Outputs,
) -> Events:
    """Find all events of a session and bring them to agree with its movie.

    Parameters
    ----------
    movie : Movie or path
        The movie's TIFF, or a pattern for several; or the movie, opened. Only its size and its
        metadata are read.
    signals : path
        The analog signals.
    stimulus : path or None
        The table of speeds and directions; needed for the protocol full.
    protocol : {"full", "incremental"}
        What the motor did.
    config : mapping
        The configuration; its sections ``signals``, ``scan`` and ``movie`` are read, and for the
        protocol incremental the key ``angles.degrees_per_step``.
    outputs : Outputs
        Where files go.

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
    recorded = open_signals(signals, **signal_options(chosen))
    table = None if stimulus is None else read_stimulus(stimulus, **stimulus_options(chosen))
    with open_session_movie(movie, config) as opened:
        found = parse_signals(
            recorded,
            n_frames=opened.shape[0],
            lines_per_frame=_lines_per_frame(opened, config),
            sampling_rate=chosen["sampling_rate"],
            protocol=protocol,
            stimulus=table,
            clock_index=opened.clock_index,
            n_clock_frames=opened.n_clock_frames,
            config=chosen,
            degrees_per_step=(
                config["angles"]["degrees_per_step"] if protocol == "incremental" else None
            ),
        )
        found = _with_frame_rate_checked(_rows_only(found, opened.shape[1]), opened)
    found.save(outputs.events, outputs.summary)
    save_plot(plot_signals(*_as_used(recorded, found)), outputs.plot)
    return found


def _lines_per_frame(movie: Movie, config: Mapping[str, Any]) -> int:
    """Settle how many lines the clock counts per frame."""
    height = movie.shape[1]
    configured: int | None = config["scan"]["lines_per_frame"]
    lines = settle("scan.lines_per_frame", configured, movie.metadata.lines_per_frame, height)
    if lines < height:
        raise InputError(
            f"{movie.paths[0]} has frames of {height} rows, but only {lines} lines per frame are "
            "expected (by scan.lines_per_frame, or by the movie's metadata). Each row needs the "
            f"time of its line: set scan.lines_per_frame to {height}, or to more if the clock also "
            "counts lines that are not saved."
        )
    return lines


def _rows_only(events: Events, height: int) -> Events:
    """Leave out the lines after the last row: the scanner's way back, which is not saved."""
    unsaved = events.line_start.shape[1] - height
    if unsaved == 0:
        return events
    logger.info("The clock counts %d lines per frame that are not in the movie.", unsaved)
    line_start = events.line_start[:, :height]
    return replace(
        events,
        line_start=line_start,
        line_repaired=events.line_repaired[:, :height],
        frame_end=line_start[:, -1] + events.line_duration,
    )


def _as_used(signals: AnalogSignals, events: Events) -> tuple[AnalogSignals, Events]:
    """Name the clocks in the plot by what they are, if they were plugged the other way round."""
    if all(repair.code != "clocks_swapped" for repair in events.repairs):
        return signals, events
    line, frame = (events.levels[role] for role in ("line_clock", "frame_clock"))
    levels = events.levels | {"line_clock": frame, "frame_clock": line}
    return signals.swapped("line_clock", "frame_clock"), replace(events, levels=levels)


def _with_frame_rate_checked(events: Events, movie: Movie) -> Events:
    """Compare the clock with the metadata: they differ if signals.sampling_rate is wrong."""
    said = movie.metadata.frame_rate
    if said is None or len(events.frame_start) < 2:
        return events
    clock_frames = np.diff(movie.clock_index)
    measured = events.sampling_rate / float(np.median(np.diff(events.frame_start) / clock_frames))
    if abs(measured / said - 1) < _RATE_TOLERANCE:
        return events
    text = (
        f"The frame clock counts {measured:.4g} frames per second, but the movie's metadata say "
        f"{said:.4g}. If the metadata are right, signals.sampling_rate is "
        f"{events.sampling_rate * said / measured:.6g}, not {events.sampling_rate:g}."
    )
    logger.warning(text)
    odd = Repair(code="frame_rate", channel="frame_clock", count=1, text=text)
    return replace(events, anomalies=(*events.anomalies, odd))
