"""When the motor turns, and how long a recording is."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from derotation.errors import InputError
from derotation.simulate.free_motion import Motion, crossings
from derotation.simulate.motor import Motor, Ticks, full_protocol, incremental_protocol
from derotation.simulate.parameters import RecordingParameters, faults_of

__all__ = ["plan_duration", "plan_motion", "plan_motor"]


def plan_motion(
    p: RecordingParameters, motor: Motor, n_samples: int
) -> tuple[Motor | Motion, Ticks]:
    """Give the angle at any time, and the encoder's ticks."""
    if p.motion is None or isinstance(p.motion, Mapping):
        return motor, motor.ticks(p.rotation_increment)
    time, _ = crossings(p.motion, p.rotation_increment, 0.0, n_samples / p.sampling_rate, step=2e-4)
    turned = np.asarray(np.arange(1, len(time) + 1) * p.rotation_increment, np.float64)
    return p.motion, Ticks(time=time, rotation=np.zeros(len(time), np.int32), turned=turned)


def plan_motor(p: RecordingParameters) -> Motor:
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
    if faults_of(p).starts_within_rotation and motor.start.size:
        first = motor.rotation == 0
        motor = schedule(-float(motor.end[first][-1] - motor.start[0]) / 2)
    return motor


def plan_duration(p: RecordingParameters, motor: Motor) -> tuple[int, int]:
    """Frames of the movie and samples of the signals."""
    rest = 0.0 if p.protocol == "free" else p.rest_before_s
    last = float(motor.end[-1]) if motor.end.size else p.lead_s + rest
    if faults_of(p).ends_within_rotation and motor.end.size:
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
    n_clock_frames = n_frames + max(faults_of(p).extra_clock_frames, 0)
    stop = p.lead_s + n_clock_frames / p.frame_rate + p.tail_s
    if faults_of(p).truncated_last_frame:
        stop += 0.5 / p.frame_rate
    return n_frames, math.ceil(stop * p.sampling_rate)
