"""Analog signals of a rig, made of pulses and written as volts in bounded memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError

__all__ = ["BIN_CHANNELS", "NPY_CHANNELS", "AnalogPlan", "Pulses", "write_signals"]

NPY_CHANNELS = ("line_clock", "frame_clock", "rotation_on", "rotation_ticks")
"""Rows of a simulated ``signals.npy``."""

BIN_CHANNELS = (
    "camera",
    "frame_clock",
    "line_clock",
    "photodiode",
    "rotation_on",
    "rotation_ticks",
)
"""Channels of a simulated ``signals.bin``, interleaved in this order."""

# Noise is drawn per block of so many samples, seeded by channel and block, so that any stretch of a
# signal is the same however it is cut and in whatever format it is written.
_BLOCK = 1 << 20
_CHANNEL_SEEDS = {
    name: number for number, name in enumerate((*NPY_CHANNELS, "camera", "photodiode"))
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pulses:
    """A digital signal: high in each half-open interval, low elsewhere.

    Parameters
    ----------
    start, stop : ndarray of shape (n,)
        Seconds, each ascending. Pulses that touch or overlap melt into one.
    """

    start: NDArray[np.float64]
    stop: NDArray[np.float64]

    def high(self, first: int, n_samples: int, sampling_rate: float) -> NDArray[np.bool_]:
        """State at the samples first ... first + n_samples - 1; sample i is at i / rate."""
        level = np.zeros(n_samples, np.int32)
        if n_samples:
            for edges, step in ((self.start, 1), (self.stop, -1)):
                before, here = _edge_samples(edges, first, n_samples, sampling_rate)
                level[0] += step * before
                np.add.at(level, here, step)
        return np.asarray(np.cumsum(level, out=level) > 0)


def _edge_samples(
    edges: NDArray[np.float64], first: int, n_samples: int, sampling_rate: float
) -> tuple[int, NDArray[np.int64]]:
    """Count the edges before a stretch of samples and place those within it.

    An edge is seen by the first sample at or after it. Only the edges near the stretch are looked
    at, so that a long recording with millions of them is cut into stretches at no cost.
    """
    begin = int(np.searchsorted(edges, (first - 1) / sampling_rate, side="left"))
    end = int(np.searchsorted(edges, (first + n_samples + 1) / sampling_rate, side="right"))
    samples = np.ceil(edges[begin:end] * sampling_rate - 1e-6).astype(np.int64) - first
    inside = (samples >= 0) & (samples < n_samples)
    return begin + int(np.count_nonzero(samples < 0)), samples[inside]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnalogPlan:
    """All that is needed to write the analog signals of a recording.

    Parameters
    ----------
    sampling_rate : float
        Hz.
    n_samples : int
        Samples per channel.
    pulses : mapping of str to Pulses
        Digital signal of each channel, by name.
    logic_level : float
        Volts of a high signal; low is 0 V.
    noise : float
        Standard deviation of the noise, volts.
    seed : int
        Seed of the noise.
    nan_samples : ndarray of int
        Samples of the rotation-ticks channel that are not a number.
    """

    sampling_rate: float
    n_samples: int
    pulses: Mapping[str, Pulses]
    logic_level: float = 5.0
    noise: float = 0.0
    seed: int = 0
    nan_samples: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def channel(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Volts of one channel for the samples start ... stop - 1, float32."""
        stop = self.n_samples if stop is None else min(stop, self.n_samples)
        parts = [
            self._block(name, block)[max(start - block * _BLOCK, 0) : max(stop - block * _BLOCK, 0)]
            for block in range(start // _BLOCK, -(-stop // _BLOCK))
        ]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def blocks(
        self, channels: tuple[str, ...] = NPY_CHANNELS
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield (first sample, volts of shape (n_channels, n)) for one stretch after another."""
        for block in range(-(-self.n_samples // _BLOCK)):
            yield block * _BLOCK, np.stack([self._block(name, block) for name in channels])

    def _block(self, name: str, block: int) -> NDArray[np.float32]:
        first = block * _BLOCK
        n = min(_BLOCK, self.n_samples - first)
        if name not in self.pulses:
            raise InputError(
                f"no signal is planned for channel '{name}'; there are {sorted(self.pulses)}"
            )
        volts = self.pulses[name].high(first, n, self.sampling_rate).astype(np.float32)
        volts *= np.float32(self.logic_level)
        if self.noise > 0:
            rng = np.random.default_rng([self.seed, _CHANNEL_SEEDS.get(name, 99), block])
            volts += np.float32(self.noise) * rng.standard_normal(n, dtype=np.float32)
        if name == "rotation_ticks" and self.nan_samples.size:
            here = (self.nan_samples >= first) & (self.nan_samples < first + n)
            volts[self.nan_samples[here] - first] = np.nan
        return volts


def write_signals(
    path: str | Path, plan: AnalogPlan, signals_format: Literal["npy", "bin"] = "npy"
) -> Path:
    """Write analog signals to disk, stretch by stretch, in bounded memory.

    Parameters
    ----------
    path : str or Path
        File to write; it appears when it is whole.
    plan : AnalogPlan
        The signals.
    signals_format : {"npy", "bin"}
        ``npy``: float32 volts of shape (4, n), rows `NPY_CHANNELS`. ``bin``: interleaved int16 of
        the channels `BIN_CHANNELS`, volts = -10 + 20 (v + 2**15) / 2**16.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If the format is unknown, or NaN cannot be written in it.
    """
    path = Path(path)
    if signals_format not in ("npy", "bin"):
        raise InputError(f"signals_format must be 'npy' or 'bin', not '{signals_format}'")
    if signals_format == "bin" and plan.nan_samples.size:
        raise InputError(
            "a .bin file holds int16 and cannot hold NaN; write signals_format='npy' instead."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with appears_whole(path) as temporary:
        if signals_format == "npy":
            _write_npy(temporary, plan)
        else:
            _write_bin(temporary, plan)
    return path


def _write_npy(path: Path, plan: AnalogPlan) -> None:
    # Not a memory map: its pages would count as memory of this process until the file is whole.
    shape = (len(NPY_CHANNELS), plan.n_samples)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": shape}
        )
        begin = file.tell()
        for first, volts in plan.blocks():
            for row, channel in enumerate(volts):
                file.seek(begin + 4 * (row * plan.n_samples + first))
                file.write(channel.astype("<f4", copy=False).tobytes())


def _write_bin(path: Path, plan: AnalogPlan) -> None:
    with path.open("wb") as file:
        for _, volts in plan.blocks(BIN_CHANNELS):
            interleaved = np.empty((volts.shape[1], len(BIN_CHANNELS)), np.int16)
            for column, row in enumerate(volts):
                interleaved[:, column] = volts_to_int16(row)
            interleaved.tofile(file)


def volts_to_int16(volts: NDArray[np.float32]) -> NDArray[np.int16]:
    """Digitize volts to the nearest step of a converter with a range of -10 V to 10 V."""
    steps = np.rint(volts * np.float32(65536 / 20))
    digital: NDArray[np.int16] = np.clip(steps, -32768, 32767).astype(np.int16)
    return digital


@contextlib.contextmanager
def appears_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it on success, remove it on failure."""
    temporary = path.with_name(f".{path.stem}.part{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
