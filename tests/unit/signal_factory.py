"""Small analog recordings by closed-form formulas, with their truth; independent of the simulator.

Times are in seconds. A turn speeds up evenly, turns evenly and slows down evenly.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from derotation.io.signals import ROLES, AnalogSignals
from derotation.io.stimulus import Stimulus


@dataclass
class Turn:
    start: float
    speed: float = 200.0
    direction: int = 1
    degrees: float = 360.0
    acceleration: float = 1000.0

    @property
    def ramp(self):
        return min(self.speed / self.acceleration, np.sqrt(self.degrees / self.acceleration))

    @property
    def end(self):
        top = self.acceleration * self.ramp
        return self.start + self.ramp + self.degrees / top

    def turned(self, t):
        """Degrees turned at time t."""
        a, ramp, length = self.acceleration, self.ramp, self.end - self.start
        t = np.clip(np.asarray(t, float) - self.start, 0, length)
        early = a * t**2 / 2
        steady = a * ramp**2 / 2 + a * ramp * (t - ramp)
        late = self.degrees - a * (length - t) ** 2 / 2
        return np.where(t < ramp, early, np.where(t < length - ramp, steady, late))

    def times(self, turned):
        """When the motor has turned so far, by bisection."""
        turned = np.asarray(turned, float)
        low, high = np.full(turned.shape, self.start), np.full(turned.shape, self.end)
        for _ in range(60):
            middle = (low + high) / 2
            low = np.where(self.turned(middle) < turned, middle, low)
            high = np.where(self.turned(middle) < turned, high, middle)
        return high

    def ticks(self, increment=0.2):
        return self.times(np.arange(1, round(self.degrees / increment) + 1) * increment - 1e-12)


def turns(stimulus, start=0.5, rest=0.5, **options):
    """Turns with rests between them; stimulus: pairs of speed and direction."""
    made = []
    for speed, direction in stimulus:
        made.append(Turn(start, speed=speed, direction=direction, **options))
        start = made[-1].end + rest
    return made


@dataclass
class Rig:
    """A recording; change its lists of pulses (start, stop) before asking for `signals`."""

    turns: list
    rate: float = 50_000.0
    n_frames: int = 12
    n_lines: int = 16
    line_s: float = 1e-3
    flyback_s: float = 4e-3
    duty: float = 0.8
    lead_s: float = 0.02
    duration: float | None = None
    level: float = 5.0
    base: float = 0.0
    noise: float = 0.0
    seed: int = 0
    tick_s: float = 1e-4
    pulses: dict = field(default_factory=dict)

    def __post_init__(self):
        period = self.n_lines * self.line_s + self.flyback_s
        frames = self.lead_s + np.arange(self.n_frames) * period
        self.line_start = frames[:, None] + np.arange(self.n_lines) * self.line_s
        lines = self.line_start.ravel()
        active = (self.n_lines - 1 + self.duty) * self.line_s
        ticks = np.concatenate([np.zeros(0), *(turn.ticks() for turn in self.turns)])
        # Short enough to be over before the next one comes.
        width = np.minimum(self.tick_s, 0.4 * np.diff(ticks, append=np.inf))
        self.pulses = {
            "line_clock": np.column_stack([lines, lines + self.duty * self.line_s]),
            "frame_clock": np.column_stack([frames, frames + active]),
            "rotation_on": np.array([(turn.start, turn.end + 1e-3) for turn in self.turns]).reshape(
                -1, 2
            ),
            "rotation_ticks": np.column_stack([ticks, ticks + width]),
        }
        if self.duration is None:
            last = max(turn.end for turn in self.turns) if self.turns else 0.0
            self.duration = max(last + 0.3, frames[-1] + period + 0.02)

    @property
    def ticks(self):
        return self.pulses["rotation_ticks"][:, 0]

    def drop(self, role, which):
        self.pulses[role] = np.delete(self.pulses[role], which, axis=0)

    def add(self, role, pulses):
        both = np.concatenate([self.pulses[role], np.atleast_2d(pulses)])
        self.pulses[role] = both[np.argsort(both[:, 0])]

    def angle(self, t):
        """True angle, degrees."""
        t = np.asarray(t, float)
        angle = np.zeros(t.shape)
        base = 0.0
        for turn in self.turns:
            angle = np.where(t >= turn.start, base - turn.direction * turn.turned(t), angle)
            base += 0.0 if turn.degrees % 360 == 0 else -turn.direction * turn.degrees
            angle = np.where(t >= turn.end, base, angle)
        return angle

    def channel(self, role):
        n = round(self.duration * self.rate)
        high = np.zeros(n + 1, int)
        for sign, column in ((1, 0), (-1, 1)):
            edges = np.ceil(np.asarray(self.pulses[role])[:, column] * self.rate - 1e-6)
            np.add.at(high, np.clip(edges, 0, n).astype(int), sign)
        return np.cumsum(high)[:n] > 0

    def volts(self):
        rng = np.random.default_rng(self.seed)
        high = np.array([self.channel(role) for role in ROLES])
        volts = (self.base + self.level * high).astype(np.float32)
        if self.noise:
            volts += self.noise * rng.standard_normal(volts.shape, dtype=np.float32)
        return volts

    @property
    def signals(self):
        return as_signals(self.volts())

    @property
    def stimulus(self):
        return as_stimulus([(turn.speed, turn.direction) for turn in self.turns])


def as_signals(samples, order=ROLES, **scale):
    rows = {role: order.index(role) for role in ROLES}
    return AnalogSignals(Path("signals.npy"), np.asarray(samples), rows, **scale)


def as_stimulus(rows):
    table = np.array(rows, float).reshape(-1, 2)
    return Stimulus(
        speed=table[:, 0], direction=table[:, 1].astype(np.int8), path=Path("stimulus.csv")
    )
