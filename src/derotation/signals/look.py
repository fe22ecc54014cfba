"""A look at a signals file before anything runs: what its channels are, and what it suggests.

Only the first 20 s and three further places are read, so that it takes a moment whatever the file's
size, and nobody has to say what the channels are for.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from derotation.errors import SignalError
from derotation.io.channels import Channels, Stretch, open_channels
from derotation.io.signals import BinLayout
from derotation.signals.look_kinds import ClocksLook, Kind, find_kinds
from derotation.signals.look_layout import guess_layout
from derotation.signals.look_pulses import ChannelPulses, look_at_pulses
from derotation.signals.rotation_table import unevenness

__all__ = [
    "ChannelLook",
    "MotorLook",
    "SignalsLook",
    "look_at_file",
    "look_at_signals",
    "places_to_look",
    "suggested_keys",
]

# Seconds that are read at the begin of a file and at three further places.
FIRST_S, FURTHER_S = 20.0, 10.0
# The rate that is assumed for that where none is known, and bounds for one that may be wrong.
ASSUMED_RATE = 50_000.0
LEAST_SAMPLES, MOST_SAMPLES = 2**20, 2**22
# Values of all channels that are in memory at a time.
MOST_VALUES = 2**25
# A gap between ticks so many times as long as those beside it is a rest.
REST = 6.0
# Rotations turn alike, and steps do, if their ticks differ by less than this part, or so many.
ALIKE, ALIKE_TICKS = 0.02, 2
# Rotations with fewer ticks are the steps of an incremental session.
MOST_STEP_TICKS = 150
# Ticks of a whole turn as encoders and motors have them; a count this close to one means it.
USUAL_TICKS = (
    100, 180, 200, 256, 360, 400, 500, 512, 720, 800, 900, 1000, 1024, 1200, 1440, 1600, 1800, 2000,
    2048, 2400, 2500, 3000, 3200, 3600, 4000, 4096, 4800, 5000, 6400, 7200, 8000, 8192, 9000, 10000,
    12800, 16384, 18000, 20000, 25600, 36000, 51200,
)  # fmt: skip
NEAR = 0.012
# More of the intervals than this differ from their neighbors if ticks are missing or doubled.
UNEVEN = 0.05
# Ticks over which a speed is measured.
CRUISE_TICKS = 16
FULL_TURN = 360.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChannelLook:
    """One channel of a file."""

    number: int
    """Its number, from 1."""
    name: str | None
    """What the file calls it."""
    kind: Kind
    """What it is, by its pulses."""
    pulses: ChannelPulses
    """Levels and pulses."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MotorLook:
    """What the ticks say about the motor."""

    protocol: Literal["full", "incremental", "free"]
    """The protocol that they look like."""
    whole_ticks: NDArray[np.int64]
    """Ticks of each rotation-on that was seen whole."""
    whole_intervals: NDArray[np.float64]
    """Its usual time from tick to tick at its full speed, samples."""
    n_first: int
    """How many of these are the recording's first, none of which was missed."""
    step_ticks: int | None
    """Ticks of one step, if they come in equal steps with rests between them."""
    has_gate: bool
    """Whether a channel says when the motor turns."""
    is_even: bool
    """Whether ticks follow each other evenly, so that none are missing or doubled."""

    @property
    def turn_ticks(self) -> int | None:
        """Ticks of one rotation, if all that were seen whole have about as many."""
        found = self.whole_ticks
        if not len(found):
            return None
        usual = float(np.median(found))
        alike = np.abs(found - usual) <= max(ALIKE * usual, ALIKE_TICKS)
        return round(usual) if alike.mean() >= 0.75 else None


@dataclass(frozen=True, kw_only=True, eq=False)
class SignalsLook:
    """What is in a signals file, as far as the stretches that were read tell."""

    path: Path
    """The file."""
    stored: str
    """How it holds its channels, in plain words."""
    n_samples: int
    """Samples of each channel."""
    stretches: tuple[Stretch, ...]
    """What was read."""
    channels: tuple[ChannelLook, ...]
    """In the file's order."""
    clocks: ClocksLook
    """Lines and frames."""
    motor: MotorLook | None
    """What turns, by the ticks; None if no ticks were seen."""
    layout: BinLayout | None = None
    """How a `.bin` was read."""

    def of_kind(self, kind: Kind) -> list[ChannelLook]:
        """List the channels of a kind."""
        return [channel for channel in self.channels if channel.kind == kind]

    @cached_property
    def protocol(self) -> str | None:
        """The protocol that the file looks like; None if nothing tells the angle."""
        if self.motor:
            return self.motor.protocol
        angle = self.of_kind("quadrature_a") or self.of_kind("angle_voltage")
        return "free" if angle else None

    @cached_property
    def source(self) -> str | None:
        """What tells the angle, as the key ``angles.source`` calls it."""
        if self.of_kind("quadrature_a"):
            return "quadrature"
        if self.motor:
            return "ticks"
        return "voltage" if self.of_kind("angle_voltage") else None

    @cached_property
    def increment(self) -> float | None:
        """Degrees per tick, if a rotation is a whole turn; None if no rotation was seen whole."""
        motor = self.motor
        if motor is None or motor.protocol == "free" or motor.turn_ticks is None:
            return None
        if motor.turn_ticks <= MOST_STEP_TICKS and motor.protocol == "incremental":
            return None
        return FULL_TURN / usual_count(motor.turn_ticks)

    def sampling_rate(self, frame_rate: float | None) -> float | None:
        """Tell the sampling rate from the movie's frame rate (Hz); None if either is not known."""
        interval = self.clocks.frame_interval
        return frame_rate * interval if frame_rate and interval else None

    def has_frame_interval(self, samples: float) -> bool:
        """Tell whether some frames take so long, as where the scanner ran at other rates, too."""
        found = [c.pulses.intervals() for c in self.of_kind("frame_clock")]
        return any(np.mean(np.abs(own / samples - 1) < 0.02) > 0.1 for own in found if len(own))

    def n_frames(self) -> float | None:
        """About how many frames the clock counts in the whole file, if it never pauses."""
        interval = self.clocks.frame_interval
        return self.n_samples / interval if interval else None


def usual_count(n: int) -> int:
    """Give the count that motors have nearest to `n`; `n` itself if none is near."""
    nearest = min(USUAL_TICKS, key=lambda usual: abs(usual / n - 1))
    return nearest if abs(nearest / n - 1) < NEAR else n


def places_to_look(
    n_samples: int, n_channels: int, sampling_rate: float | None
) -> tuple[Stretch, ...]:
    """Choose the first 20 s of a file and three further places; a short one is read as a whole.

    Parameters
    ----------
    n_samples, n_channels : int
        Of the file.
    sampling_rate : float or None
        Hz, which may be wrong.

    Returns
    -------
    tuple of (int, int)
        Ascending; none touches the next.
    """
    rate = sampling_rate or ASSUMED_RATE
    most = min(MOST_SAMPLES, MOST_VALUES // n_channels)
    first, further = (
        int(min(max(seconds * rate, least), most * part))
        for seconds, least, part in (
            (FIRST_S, LEAST_SAMPLES, 0.4),
            (FURTHER_S, LEAST_SAMPLES // 2, 0.2),
        )
    )
    if n_samples <= 2 * first + 3 * further:
        return ((0, n_samples),)
    places = [(0, first)]
    for part in (0.35, 0.65, 1.0):
        middle = first + part * (n_samples - first) - further / 2
        start = int(min(max(middle, places[-1][1] + 1), n_samples - further))
        places.append((start, start + further))
    return tuple(places)


def look_at_signals(
    channels: Channels,
    *,
    sampling_rate: float | None = None,
    n_rows: int | None = None,
    frame_channel: int | None = None,
) -> SignalsLook:
    """Look what is on the channels of a file.

    Parameters
    ----------
    channels : Channels
        The file, see :func:`derotation.io.channels.open_channels`.
    sampling_rate : float, optional
        Hz; only says how many samples are read.
    n_rows : int, optional
        Rows of the movie's frames.
    frame_channel : int, optional
        Number of the frame clock's channel, from 1, as somebody says; believed where its pulses
        leave open what it is.

    Returns
    -------
    SignalsLook
    """
    stretches = places_to_look(channels.n_samples, len(channels), sampling_rate)
    blocks = channels.read(stretches)
    pulses = [look_at_pulses([b[k] for b in blocks], stretches) for k in range(len(channels))]
    kinds, clocks = find_kinds(pulses, n_rows, frame_channel and frame_channel - 1)
    looks = tuple(
        ChannelLook(number=k + 1, name=name, kind=kind, pulses=own)
        for k, (name, kind, own) in enumerate(zip(channels.names, kinds, pulses, strict=True))
    )
    return SignalsLook(
        path=channels.path,
        stored=channels.stored,
        n_samples=channels.n_samples,
        stretches=stretches,
        channels=looks,
        clocks=clocks,
        motor=_look_at_motor(looks),
        layout=channels.layout,
    )


def look_at_file(
    path: str | os.PathLike[str],
    *,
    n_channels: int | None = None,
    layout: BinLayout | None = None,
    dtype_is_certain: bool = False,
    dataset: str | None = None,
    sampling_rate: float | None = None,
    n_rows: int | None = None,
) -> tuple[SignalsLook, Channels]:
    """Look at a file about which as much is said as is known.

    Parameters
    ----------
    path
        A file as :func:`derotation.io.signals.open_signals` reads it.
    n_channels, layout, dataset
        See :func:`derotation.io.channels.open_channels`. What is not given of a `.bin` is told
        from its data.
    dtype_is_certain
        Whether the type in `layout` is; else others are tried.
    sampling_rate, n_rows
        See :func:`look_at_signals`.

    Returns
    -------
    look : SignalsLook
    channels : Channels
        The file as it was read.

    Raises
    ------
    SignalError
        If the file cannot be read, or if no number of channels makes those of a `.bin` coherent.
    """
    layout = layout or BinLayout()
    if Path(path).suffix.lower() == ".bin" and n_channels is None and Path(path).is_file():
        best = guess_layout(path, layout, fixed=dtype_is_certain)
        if best is None:
            raise SignalError(
                f"{path}: no number of channels and no type of integers makes channels with pulses "
                "of logic; give --channels and --dtype (signals.channel_order and signals.bin), "
                "--header-bytes if the file begins with a header, and --range-v."
            )
        n_channels, layout = best.n_channels, best.layout
    channels = open_channels(path, n_channels=n_channels, layout=layout, dataset=dataset)
    return look_at_signals(channels, sampling_rate=sampling_rate, n_rows=n_rows), channels


def _look_at_motor(channels: Sequence[ChannelLook]) -> MotorLook | None:
    """Tell from ticks and rotation-on what the motor does."""
    ticks = next((c.pulses for c in channels if c.kind == "rotation_ticks"), None)
    if ticks is None:
        return None
    gate = next((c.pulses for c in channels if c.kind == "rotation_on"), None)
    turns: list[tuple[bool, NDArray[np.int64]]] = []
    for k, stretch in enumerate(ticks.stretches):
        rises = ticks.rises(k)
        if gate is None:
            # Without a gate a rest parts rotations; those at the ends may have been cut.
            parts = _bursts(rises)
            turns += [(0 < i < len(parts) - 1, part) for i, part in enumerate(parts)]
            continue
        for start, stop in _open_times(gate, k, ticks):
            own = rises[(rises >= start) & (rises < stop)]
            turns.append((start > stretch[0] and stop < stretch[1], own))
    turns = [(whole, own) for whole, own in turns if len(own) > 1]
    steps = [burst for _, own in turns for burst in _bursts(own)[1:-1]] if gate else []
    step_ticks = _alike([len(step) for step in steps], least=2)
    whole = [own for is_whole, own in turns if is_whole and len(own) >= 4]
    intervals = np.array([_cruise(own) for own in whole])
    motor = MotorLook(
        protocol="full",
        whole_ticks=np.array([len(own) for own in whole], np.int64),
        whole_intervals=intervals,
        n_first=_n_first(turns, stretches_end=ticks.stretches[0][1]),
        step_ticks=step_ticks,
        has_gate=gate is not None,
        is_even=not whole or float(np.median([unevenness(own) for own in whole])) < UNEVEN,
    )
    if step_ticks is not None:
        return replace(motor, protocol="incremental")
    n = motor.turn_ticks
    alike = len(whole) >= 4 and np.ptp(intervals) <= 0.1 * np.median(intervals)
    if n is not None and n <= MOST_STEP_TICKS and alike:
        return replace(motor, protocol="incremental", step_ticks=n)
    if gate is None and (n is None or len(whole) < 2):
        return replace(motor, protocol="free")
    return motor


def _n_first(turns: Sequence[tuple[bool, NDArray[np.int64]]], stretches_end: int) -> int:
    """Count the rotations at the begin of the file that were seen whole, one after the other."""
    n = 0
    for whole, own in turns:
        if not whole or len(own) < 4 or own[0] >= stretches_end:
            break
        n += 1
    return n


def _open_times(gate: ChannelPulses, k: int, ticks: ChannelPulses) -> list[tuple[int, int]]:
    """List the times of a stretch in which rotation-on says that the motor turns."""
    start, stop = gate.start[k], gate.stop[k]
    rises = ticks.rises(k)
    at = np.searchsorted(start, rises, side="right") - 1
    high = (at >= 0) & (rises < stop[np.maximum(at, 0)]) if len(start) else np.zeros(len(rises))
    if np.mean(high) >= 0.5 or not len(rises):
        return list(zip(start.tolist(), stop.tolist(), strict=True))
    # Active low.
    first, last = gate.stretches[k]
    edges = [first, *np.column_stack([start, stop]).ravel().tolist(), last]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]


def _bursts(ticks: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Cut ticks where there is a rest: a gap much longer than those on both sides of it."""
    gaps = np.diff(ticks).astype(float)
    if len(gaps) < 3:
        return [ticks]
    beside = np.maximum(np.append(gaps[1:], 0), np.insert(gaps[:-1], 0, 0))
    return np.split(ticks, np.flatnonzero(gaps > REST * beside) + 1)


def _alike(counts: Sequence[int], least: int) -> int | None:
    """Give the usual count, if most are about that."""
    if len(counts) < least:
        return None
    usual = float(np.median(counts))
    near = np.abs(np.array(counts) - usual) <= max(ALIKE * usual, 1)
    return round(usual) if usual >= 2 and near.mean() >= 0.75 else None


def _cruise(ticks: NDArray[np.int64]) -> float:
    """Time from tick to tick at full speed: of the inner half, which has no ramps."""
    # Over several ticks, since few samples lie between two.
    step = min(CRUISE_TICKS, len(ticks) - 1)
    gaps = (ticks[step:] - ticks[:-step]) / step
    quarter = len(gaps) // 4
    return float(np.median(gaps[quarter : len(gaps) - quarter]))


def suggested_keys(look: SignalsLook, frame_rate: float | None = None) -> dict[str, Any]:
    """Give the keys of the configuration that a file suggests.

    Parameters
    ----------
    look : SignalsLook
    frame_rate : float, optional
        Of the movie as the frame clock counts, Hz; tells the sampling rate.

    Returns
    -------
    dict
        Nested as in the configuration; what the file does not tell is left out.
    """
    signals: dict[str, Any] = {}
    rate = look.sampling_rate(frame_rate)
    if rate:
        signals["sampling_rate"] = rounded_rate(rate)
    names = channel_names(look)
    if any(channel.name is None for channel in look.channels):
        signals["channel_order"] = names
    else:
        given = {c.kind: c.name for c in look.channels if c.kind in _ROLES}
        signals["channel_names"] = {kind: name for kind, name in given.items() if kind != name}
    missing = [kind for kind in ("line_clock", "frame_clock") if not look.of_kind(kind)]
    if look.source == "ticks" and not look.of_kind("rotation_on"):
        missing.append("rotation_on")
    if missing:
        signals.setdefault("channel_names", {}).update(dict.fromkeys(missing))
    if not signals.get("channel_names", True):
        del signals["channel_names"]
    if look.layout is not None:
        signals["bin"] = {"dtype": look.layout.dtype}
        if look.layout.header_bytes:
            signals["bin"]["header_bytes"] = look.layout.header_bytes
    if look.increment is not None:
        signals["rotation_increment"] = float(f"{look.increment:.6g}")
    keys: dict[str, Any] = {"signals": signals}
    angles: dict[str, Any] = {}
    if look.source not in (None, "ticks"):
        angles["source"] = look.source
    motor = look.motor
    if motor and motor.step_ticks and look.increment:
        angles["degrees_per_step"] = float(f"{motor.step_ticks * look.increment:.4g}")
    if angles:
        keys["angles"] = angles
    return keys


_ROLES = (
    "line_clock", "frame_clock", "rotation_on", "rotation_ticks", "direction", "quadrature_a",
    "quadrature_b", "angle_voltage",
)  # fmt: skip


def channel_names(look: SignalsLook) -> list[str]:
    """Name each channel by what it is, for ``signals.channel_order``; each name once."""
    names: list[str] = []
    for channel in look.channels:
        name: str = channel.kind if channel.kind in _ROLES or channel.kind == "camera" else "unused"
        if name in names or name == "unused":
            name = f"{name}_{channel.number}"
        names.append(name)
    return names


def rounded_rate(rate: float) -> float | int:
    """Round a measured rate to what a board would be set to: three digits, if those are near."""
    for digits in (1, 2, 3, 4):
        near = float(f"{rate:.{digits}g}")
        if abs(near / rate - 1) < 2e-3:
            return int(near) if near == int(near) else near
    return round(rate)
