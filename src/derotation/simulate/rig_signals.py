"""Signals of rigs without a ticking motor: encoders, position voltages, and clocks of all kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.simulate.free_motion import Motion, crossings
from derotation.simulate.signals import Pulses

__all__ = [
    "ClockOptions",
    "clock_pulses",
    "pulse_volts",
    "quadrature_pulses",
    "voltage_samples",
]

NDFloat = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOptions:
    """How the clocks differ from one pulse per line and one gate per frame of the movie.

    Parameters
    ----------
    focus_before, focus_after : sequence of int
        Frames of each block in which the scanner ran before, or after, the recording.
    pause_s : float
        Pause between blocks, s.
    focus_period : float
        Factor on the frame's time in those blocks.
    extra_before, extra_after : int
        Frames that the clocks count at either end and the movie does not have.
    lost : sequence of int
        Frames of the movie of which the frame clock has no pulse.
    lines_per_pulse : int
        2: a period clock, one pulse per two lines.
    unpulsed_last : int
        Last lines of each frame that have no pulse.
    trigger_ms : float, optional
        Pulses of the frame clock are so short instead of a gate.
    inverted : sequence of str
        Channels that are low where others are high.
    missing : sequence of str
        Clocks that were not recorded: their channel is flat.
    """

    focus_before: Sequence[int] = ()
    focus_after: Sequence[int] = ()
    pause_s: float = 0.7
    focus_period: float = 1.0
    extra_before: int = 0
    extra_after: int = 0
    lost: Sequence[int] = ()
    lines_per_pulse: int = 1
    unpulsed_last: int = 0
    trigger_ms: float | None = None
    inverted: Sequence[str] = ()
    missing: Sequence[str] = ()


def clock_pulses(
    options: ClockOptions,
    *,
    n_frames: int,
    n_lines: int,
    frame_period: float,
    line_period: float,
    line_duty: float = 0.9,
    lead_s: float = 0.5,
) -> tuple[dict[str, Pulses], NDFloat, float]:
    """Make the pulses of both clocks.

    Parameters
    ----------
    options : ClockOptions
        How they differ from those of a flawless rig.
    n_frames, n_lines : int
        Frames of the movie and lines of a frame.
    frame_period, line_period : float
        Seconds.
    line_duty : float
        Part of the line period in which pixels are recorded, and a line's pulse is high.
    lead_s : float
        Time before the first block, s.

    Returns
    -------
    pulses : dict of str to Pulses
        ``line_clock`` and ``frame_clock``, not yet turned over.
    line_start : ndarray of shape (n_frames, n_lines)
        Start of each line of the movie, s.
    end : float
        When the last block is over, s.
    """
    if options.lines_per_pulse not in (1, 2):
        raise InputError(f"lines_per_pulse must be 1 or 2, not {options.lines_per_pulse}")
    starts: list[NDFloat] = []
    scale: list[NDFloat] = []
    at = lead_s

    def block(n: int, factor: float) -> NDFloat:
        nonlocal at
        own: NDFloat = np.asarray(at + np.arange(n) * frame_period * factor, np.float64)
        starts.append(own)
        scale.append(np.full(n, factor))
        at = float(own[-1]) + frame_period * factor + options.pause_s if n else at
        return own

    for n in options.focus_before:
        block(n, options.focus_period)
    whole = block(n_frames + options.extra_before + options.extra_after, 1.0)
    movie = whole[options.extra_before : options.extra_before + n_frames]
    for n in options.focus_after:
        block(n, options.focus_period)
    frame, factor = np.concatenate(starts), np.concatenate(scale)
    lines = frame[:, None] + np.arange(n_lines) * line_period * factor[:, None]
    duration = np.broadcast_to(line_duty * line_period * factor[:, None], lines.shape)
    stop = lines[:, -1] + duration[:, -1]
    pulsed = slice(0, n_lines - options.unpulsed_last, options.lines_per_pulse)
    # The pulse of a period clock lasts for the first of its two lines.
    high = duration if options.lines_per_pulse == 1 else duration / line_duty
    frame_stop = stop if options.trigger_ms is None else frame + options.trigger_ms / 1e3
    kept = ~np.isin(frame, movie[list(options.lost)])
    return (
        {
            "line_clock": Pulses(
                start=lines[:, pulsed].ravel(), stop=(lines + high)[:, pulsed].ravel()
            ),
            "frame_clock": Pulses(start=frame[kept], stop=frame_stop[kept]),
        },
        movie[:, None] + np.arange(n_lines) * line_period,
        at,
    )


def quadrature_pulses(
    motion: Motion,
    *,
    counts_per_turn: int,
    duration: float,
    bounce: float = 0.0,
    bounce_s: float = 2e-4,
    offset_counts: float = 0.3,
    seed: int = 0,
) -> dict[str, Pulses]:
    """Make the channels of a quadrature encoder on the axis of a motion.

    Parameters
    ----------
    motion : Motion
        The angle; continuous.
    counts_per_turn : int
        Edges of both channels together in one turn, a multiple of 4.
    duration : float
        Seconds.
    bounce : float
        Part of the edges that bounce: the channel goes back and forth once more.
    bounce_s : float
        How long that takes, s, less where edges come faster.
    offset_counts : float
        Where between two counts the encoder stands at 0 degrees.
    seed : int
        Of the bounces.

    Returns
    -------
    dict of str to Pulses
        ``quadrature_a``, ``quadrature_b`` and ``quadrature_index`` (one count per turn).
    """
    if counts_per_turn % 4:
        raise InputError(f"counts_per_turn must be a multiple of 4, not {counts_per_turn}")
    step = 360.0 / counts_per_turn
    shifted = _Shifted(motion, offset_counts * step)
    time, sector = crossings(shifted, step, 0.0, duration, step=2e-4)
    first = int(np.floor(float(shifted.angle(0.0)) / step))
    rng = np.random.default_rng([seed, 23])
    if bounce > 0 and len(time):
        before = np.concatenate([[first], sector[:-1]])
        which = np.flatnonzero(rng.random(len(time)) < bounce)
        room = np.diff(time, append=duration)
        after = np.minimum(bounce_s, 0.3 * room)[which]
        time = np.concatenate([time, time[which] + after, time[which] + 2 * after])
        sector = np.concatenate([sector, before[which], sector[which]])
        order = np.argsort(time, kind="stable")
        time, sector = time[order], sector[order]
    every = np.concatenate([[first], sector])
    edges = np.concatenate([[0.0], time])
    phase = every % 4
    levels = {
        "quadrature_a": (phase == 1) | (phase == 2),
        "quadrature_b": (phase == 2) | (phase == 3),
        "quadrature_index": every % counts_per_turn == 0,
    }
    return {name: _pulses_of_levels(edges, high, duration) for name, high in levels.items()}


@dataclass(frozen=True, slots=True)
class _Shifted:
    motion: Motion
    by: float

    def angle(self, time: Any) -> NDFloat:
        return np.asarray(self.motion.angle(time)) + self.by

    def moving(self, begin: float, end: float) -> bool:
        return self.motion.moving(begin, end)


def _pulses_of_levels(edges: NDFloat, high: NDArray[np.bool_], end: float) -> Pulses:
    """Make pulses of a level from each edge to the next."""
    change = np.flatnonzero(np.diff(high.astype(np.int8), prepend=0, append=0))
    at = np.append(edges, end)[change]
    return Pulses(start=at[::2], stop=at[1::2])


def voltage_samples(
    motion: Motion,
    *,
    degrees_per_volt: float,
    offset_v: float = 0.0,
    range_v: tuple[float, float] | None = (0.0, 10.0),
    noise_v: float = 0.005,
    sampling_rate: float = 20_000.0,
    n_samples: int,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Sample a voltage that is proportional to the angle.

    Parameters
    ----------
    motion : Motion
        The angle.
    degrees_per_volt : float
    offset_v : float
        Voltage at 0 degrees.
    range_v : tuple of float or None
        The voltage starts anew at one end when it reaches the other; None: it never does.
    noise_v : float
        Standard deviation of the noise, V.
    sampling_rate : float
        Hz.
    n_samples : int
    seed : int
        Of the noise.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
    """
    time = np.arange(n_samples) / sampling_rate
    volts = np.asarray(motion.angle(time)) / degrees_per_volt + offset_v
    if range_v is not None:
        low, high = range_v
        volts = low + (volts - low) % (high - low)
    rng = np.random.default_rng([seed, 29])
    return (volts + noise_v * rng.standard_normal(n_samples)).astype(np.float32)


def pulse_volts(
    pulses: Mapping[str, Pulses],
    *,
    n_samples: int,
    sampling_rate: float,
    inverted: Sequence[str] = (),
    missing: Sequence[str] = (),
    logic_level: float = 5.0,
    noise_v: float = 0.0,
    seed: int = 0,
) -> dict[str, NDArray[np.float32]]:
    """Sample digital channels.

    Parameters
    ----------
    pulses : mapping of str to Pulses
        By channel.
    n_samples : int
    sampling_rate : float
        Hz.
    inverted, missing : sequence of str
        Channels that are low where others are high, and such as were not connected.
    logic_level, noise_v : float
        Volts of a high signal; standard deviation of the noise, V.
    seed : int
        Of the noise.

    Returns
    -------
    dict of str to ndarray of float32, shape (n_samples,)
    """
    volts = {}
    rng = np.random.default_rng([seed, 31])
    for name, own in pulses.items():
        high = own.high(0, n_samples, sampling_rate) != (name in inverted)
        level = np.zeros(n_samples) if name in missing else logic_level * high
        volts[name] = (level + noise_v * rng.standard_normal(n_samples)).astype(np.float32)
    return volts
