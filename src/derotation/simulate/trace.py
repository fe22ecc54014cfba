"""Analog signals for a motor whose angle was measured rather than planned.

With these a real angle trace, or any other one, can be put through the whole pipeline.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.errors import InputError
from derotation.simulate.signals import AnalogPlan, Pulses

__all__ = ["signals_from_line_angles"]

_MARGIN_S = 0.001
_TICK_S = 0.0002


def signals_from_line_angles(
    line_angles: ArrayLike,
    *,
    line_period_s: float,
    frame_period_s: float | None = None,
    line_duty: float = 0.9,
    sampling_rate: float = 50_000.0,
    rotation_increment: float = 0.2,
    lead_s: float = 0.5,
    tail_s: float = 0.5,
    logic_level_v: float = 5.0,
    signal_noise_v: float = 0.0,
    seed: int = 0,
) -> tuple[AnalogPlan, NDArray[np.float64]]:
    """Make the analog signals that a rig would have given for known angles of all lines.

    Parameters
    ----------
    line_angles : array_like of shape (n_frames, n_lines)
        Angle in the middle of each line, degrees: 0 at rest, and whole turns from 0 to 360 or -360
        that never turn back. The first line and the last one are at rest.
    line_period_s : float
        Time from line to line, seconds.
    frame_period_s : float, optional
        Time from frame to frame, seconds; ``n_lines * line_period_s`` if not given.
    line_duty : float
        Fraction of the line period in which pixels are recorded and the line clock is high.
    sampling_rate : float
        Of the signals, Hz.
    rotation_increment : float
        Degrees per encoder tick.
    lead_s, tail_s : float
        Time of the signals before the first and after the last frame, seconds.
    logic_level_v, signal_noise_v : float
        Volts of a high signal; standard deviation of the noise, volts.
    seed : int
        Seed of the noise.

    Returns
    -------
    plan : AnalogPlan
        For `derotation.simulate.signals.write_signals`.
    stimulus : ndarray of shape (n_rotations, 2)
        Top speed (degrees/s) and direction (+1 for a turn to -360) of each turn.

    Raises
    ------
    InputError
        If the trace does not begin and end at rest, or the lines do not fit into a frame.
    """
    angles = np.asarray(line_angles, np.float64)
    if angles.ndim != 2 or angles.size == 0 or not np.all(np.isfinite(angles)):
        raise InputError(
            f"line_angles must be finite numbers of shape (frames, lines), not {angles.shape}"
        )
    n_frames, n_lines = angles.shape
    frame_period = n_lines * line_period_s if frame_period_s is None else frame_period_s
    if frame_period < n_lines * line_period_s * (1 - 1e-9):
        raise InputError(
            f"{n_lines} lines of {line_period_s} s do not fit into a frame of {frame_period} s"
        )
    line_start = (
        lead_s
        + np.arange(n_frames)[:, None] * frame_period
        + np.arange(n_lines)[None, :] * line_period_s
    )
    duration = line_duty * line_period_s
    on, ticks, stimulus = _turns(
        (line_start + duration / 2).ravel(), angles.ravel(), rotation_increment
    )
    frame_start, frame_stop = line_start[:, 0], line_start[:, -1] + duration
    starts = line_start.ravel()
    width = np.minimum(_TICK_S, 0.4 * np.diff(ticks, append=np.inf))
    plan = AnalogPlan(
        sampling_rate=sampling_rate,
        n_samples=math.ceil((frame_start[-1] + frame_period + tail_s) * sampling_rate),
        pulses={
            "line_clock": Pulses(start=starts, stop=starts + duration),
            "frame_clock": Pulses(start=frame_start, stop=frame_stop),
            "rotation_on": Pulses(start=on[:, 0] - _MARGIN_S, stop=on[:, 1] + _MARGIN_S),
            "rotation_ticks": Pulses(start=ticks, stop=ticks + width),
            "camera": Pulses(start=frame_start, stop=frame_stop),
            "photodiode": Pulses(start=on[:, 0], stop=on[:, 1]),
        },
        logic_level=logic_level_v,
        noise=signal_noise_v,
        seed=seed,
    )
    return plan, stimulus


def _turns(
    time: NDArray[np.float64], angle: NDArray[np.float64], increment: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Find the turns of a trace: on-periods (n, 2), tick times, and speed with direction (n, 2)."""
    moving = np.concatenate([[0], (angle != 0).astype(np.int8), [0]])
    firsts, lasts = np.flatnonzero(np.diff(moving) == 1), np.flatnonzero(np.diff(moving) == -1)
    on, ticks, stimulus = [], [np.zeros(0)], []
    for first, last in zip(firsts, lasts, strict=True):
        if first == 0 or last == angle.size:
            raise InputError(
                "the trace begins or ends within a turn; give it lines at rest (angle 0) there"
            )
        sign = int(np.sign(angle[first]))
        # The last line at rest is at 0; the first one at rest after the turn has made it whole.
        turned = np.concatenate([[0.0], sign * angle[first:last], [360.0]])
        when = time[first - 1 : last + 1]
        turned = np.maximum.accumulate(turned)  # an encoder does not turn back
        marks = np.arange(1, round(360 / increment) + 1, dtype=np.float64) * increment
        ticks.append(_first_reached(marks, turned, when))
        on.append((when[0], when[-1]))
        speed = np.gradient(turned, when)
        stimulus.append((float(np.percentile(speed, 95)), -sign))
    return (
        np.asarray(on, np.float64).reshape(-1, 2),
        np.concatenate(ticks),
        np.asarray(stimulus, np.float64).reshape(-1, 2),
    )


def _first_reached(
    marks: NDArray[np.float64], turned: NDArray[np.float64], when: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Find when a rising trace first reaches each mark; it is straight from line to line."""
    # A trace that stands still has no inverse; the first line at or past the mark has one.
    after = np.clip(np.searchsorted(turned, marks - 1e-9), 1, turned.size - 1)
    before = after - 1
    share = np.clip((marks - turned[before]) / (turned[after] - turned[before]), 0, 1)
    return np.asarray(when[before] + share * (when[after] - when[before]))
