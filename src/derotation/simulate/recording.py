"""A whole recording with known truth: movie, analog signals and stimulus table.

A recording is first *planned* (when every line, tick and pulse comes, what is in the sample), then
*rendered*. The plan is small; movie and signals are rendered stretch by stretch from it, so that a
recording of any length can be written to disk in bounded memory. Each pixel is the scene's value at
the place of the sample that was under the beam at the pixel's own time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.simulate.between_sessions import carried, carried_wobble, plan_movement
from derotation.simulate.calcium import plan_brightness
from derotation.simulate.cell_tuning import draw_tuned_cells
from derotation.simulate.faulty_signals import faulty_table, plan_signals
from derotation.simulate.illumination import plan_illumination
from derotation.simulate.motor import Ticks
from derotation.simulate.parameters import (
    RecordingParameters,
    check_names,
    faults_of,
    sample_motion_of,
    tuning_of,
)
from derotation.simulate.plan import RecordingPlan
from derotation.simulate.scene import Scene, random_scene
from derotation.simulate.schedule import plan_duration, plan_motion, plan_motor
from derotation.simulate.signals import NPY_CHANNELS
from derotation.simulate.window import View

__all__ = ["Recording", "plan_recording", "simulate_recording"]


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
    check_names("parameter", parameters, [f.name for f in fields(RecordingParameters)])
    p = RecordingParameters(**parameters)
    motor = plan_motor(p)
    n_frames, n_samples = plan_duration(p, motor)
    height, width = p.shape
    line_start = (
        p.lead_s
        + np.arange(n_frames)[:, None] / p.frame_rate
        + np.arange(height)[None, :] * p.line_period_s
    )
    line_duration = p.line_duty * p.line_period_s
    center = ((width - 1) / 2 + p.center_offset[0], (height - 1) / 2 + p.center_offset[1])
    scene = p.scene if p.scene is not None else _plan_scene(p, center)
    movement, scanner = plan_movement(p, center), p.movement_what == "scanner"
    wobble = np.array(p.wobble, np.float64).reshape(-1, 4)
    motion, ticks = plan_motion(p, motor, n_samples)
    ticks = Ticks(time=ticks.time + p.lag_ms / 1e3, rotation=ticks.rotation, turned=ticks.turned)
    first_move = [int(np.flatnonzero(motor.rotation == r)[0]) for r in range(motor.n_rotations)]
    last_move = [int(np.flatnonzero(motor.rotation == r)[-1]) for r in range(motor.n_rotations)]
    analog, injected = plan_signals(p, motor, ticks, line_start, n_samples)
    stimulus = np.column_stack([motor.speed[first_move], motor.direction[first_move]])
    further = tuple(_plan_layer(p, center, k, n_frames) for k in range(1, p.channels * p.planes))
    tuned = draw_tuned_cells(tuning_of(p), scene.n_cells, min(p.n_cells, scene.n_cells))
    activity = plan_brightness(p, scene.n_cells, n_frames)
    if np.any(tuned.kind > 0):
        middle = line_start[:, height // 2] + line_duration / 2
        activity += tuned.activity(middle, motion.angle)
    return RecordingPlan(
        parameters=p,
        n_frames=n_frames,
        scene=scene,
        activity=activity,
        tuned=tuned,
        light=sample_motion_of(p).light(np.linspace(0, 1, n_frames)),
        illumination=plan_illumination(p),
        motor=motion,
        center=carried(movement, center) if scanner else center,
        plane_orientation=p.plane_orientation - (p.movement_rotation if scanner else 0.0),
        wobble=carried_wobble(movement, wobble) if scanner else wobble,
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
        stimulus=faulty_table(stimulus, faults_of(p).stimulus_rows),
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
    return scene, plan_brightness(own, scene.n_cells, n_frames)


def _other_seed(seed: int, number: int) -> int:
    """Draw a seed for another channel or plane."""
    return int(np.random.default_rng([seed, 4, number]).integers(2**31))


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
