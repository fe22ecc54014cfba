"""A look at a signals file before anything runs: what its channels are, and what it suggests.

Only the first 20 s and three further places are read, so that it takes a moment whatever the file's
size, and nobody has to say what the channels are for.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from derotation.errors import SignalError
from derotation.io.channels import Channels, Stretch, open_channels
from derotation.io.signals import BinLayout
from derotation.signals.look_kinds import ChannelLook, ClocksLook, Kind, find_kinds
from derotation.signals.look_layout import guess_layout
from derotation.signals.look_motor import MOST_STEP_TICKS, MotorLook, look_at_motor, usual_count
from derotation.signals.look_pulses import look_at_pulses

__all__ = ["SignalsLook", "look_at_file", "look_at_signals", "places_to_look"]

# Seconds that are read at the begin of a file and at three further places.
FIRST_S, FURTHER_S = 20.0, 10.0
# The rate that is assumed for that where none is known, and bounds for one that may be wrong.
ASSUMED_RATE = 50_000.0
LEAST_SAMPLES, MOST_SAMPLES = 2**20, 2**22
# Values of all channels that are in memory at a time.
MOST_VALUES = 2**25
FULL_TURN = 360.0


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
        motor=look_at_motor(looks),
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
