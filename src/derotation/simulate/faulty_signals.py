"""Pulses of all channels of the analog signals, with their faults."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.simulate.motor import Motor, Ticks
from derotation.simulate.parameters import RecordingParameters, faults_of
from derotation.simulate.signals import AnalogPlan, Pulses

__all__ = ["faulty_table", "plan_signals"]


def plan_signals(
    p: RecordingParameters,
    motor: Motor,
    ticks: Ticks,
    line_start: NDArray[np.float64],
    n_samples: int,
) -> tuple[AnalogPlan, dict[str, Any]]:
    """Pulses of all channels with their faults, and what the faults did."""
    faults = faults_of(p)
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
    faults = faults_of(p)
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
    faults = faults_of(p)
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
    faults = faults_of(p)
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


def faulty_table(stimulus: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """Stimulus table with rows too many (the first ones again) or too few."""
    if rows > 0:
        return np.concatenate([stimulus, np.resize(stimulus, (rows, 2))])
    return stimulus[: max(len(stimulus) + rows, 0)]
