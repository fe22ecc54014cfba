"""The angle that a source measures which does not count ticks."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.io.angle_table import AngleTable
from derotation.io.signals import AnalogSignals
from derotation.signals.pulses import Pulses
from derotation.signals.quadrature import quadrature_angle
from derotation.signals.repairs import Report
from derotation.signals.table_angle import table_angle
from derotation.signals.trace import MeasuredAngle, find_segments
from derotation.signals.voltage import voltage_angle

if TYPE_CHECKING:
    from derotation.signals.events import Events

__all__ = ["knot_arrays", "measured_angle", "resting", "segment_arrays", "with_angle"]


def measured_angle(
    source: str,
    angles: Mapping[str, Any],
    signals: AnalogSignals,
    pulses: Mapping[str, Pulses],
    table: AngleTable | None,
    line_start: NDArray[np.float64],
    line_duration: float,
    report: Report,
) -> MeasuredAngle:
    """Read the angle from a source that measures it.

    Parameters
    ----------
    source : {"quadrature", "voltage", "table", "movie"}
    angles : mapping
        The section ``angles`` of the configuration, complete.
    signals : AnalogSignals
    pulses : mapping of str to Pulses
        Of the digital channels.
    table : AngleTable or None
        For the source ``table``.
    line_start : ndarray of shape (n_frames, n_lines)
        When the movie's lines were scanned, samples.
    line_duration : float
        Samples.
    report : Report
        Takes repairs.

    Returns
    -------
    MeasuredAngle
        For the source movie a sample at rest, until somebody has looked at the movie.
    """
    if source == "movie":
        return resting(line_start)
    if source == "quadrature":
        return quadrature_angle(
            pulses["quadrature_a"],
            pulses["quadrature_b"],
            pulses.get("quadrature_index"),
            counts_per_turn=angles["quadrature"]["counts_per_turn"],
            n_samples=signals.n_samples,
            report=report,
        )
    if source == "voltage":
        return voltage_angle(
            signals,
            degrees_per_volt=angles["voltage"]["degrees_per_volt"],
            offset_v=angles["voltage"]["offset"],
            max_acceleration=float(angles["voltage"]["max_acceleration"]),
            sampling_rate=report.sampling_rate,
            report=report,
        )
    if table is None:
        raise InputError(
            "angles.source is table, but the session has none: give the path of a .csv, .npy or "
            ".mat in the column angles of the sample sheet."
        )
    return table_angle(table, line_start, line_duration, report.sampling_rate)


def resting(line_start: NDArray[np.float64]) -> MeasuredAngle:
    """Give the angle of a sample that rests while lines (frame, line) are scanned, samples."""
    return MeasuredAngle(
        time=np.array([line_start[0, 0], line_start[-1, -1]]),
        angle=np.zeros(2),
        known=np.ones(1, np.bool_),
        resolution=0.0,
    )


def with_angle(events: "Events", source: str, measured: MeasuredAngle) -> "Events":
    """Let another source tell the angle of a session."""
    return dataclasses.replace(
        events,
        **segment_arrays(measured, events.sampling_rate),
        **knot_arrays(source, measured),
    )


def knot_arrays(source: str, measured: MeasuredAngle) -> dict[str, Any]:
    """Give the fields of the events that keep a measured angle."""
    return {
        "angle_source": source,
        "knot_time": measured.time,
        "knot_angle": measured.angle,
        "knot_known": measured.known,
        "knot_resolution": measured.resolution,
    }


def segment_arrays(measured: MeasuredAngle, sampling_rate: float) -> dict[str, Any]:
    """Give the fields of the events that describe rotations, told from a measured angle.

    A rotation lasts from rest to rest; its direction is that in which it turned on the whole.
    """
    found = find_segments(measured.time, measured.angle, sampling_rate, measured.resolution)
    turned = found.after - found.before
    return {
        "rotation_start": found.start,
        "rotation_end": found.stop,
        "rotation_direction": np.where(turned > 0, -1, 1).astype(np.int8),
        "rotation_speed": found.speed,
        "rotation_measured_speed": found.speed,
        "rotation_usable": np.ones(len(turned), np.bool_),
        "rotation_turned": np.abs(turned),
    }
