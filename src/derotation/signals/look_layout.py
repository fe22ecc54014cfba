"""How many channels a `.bin` holds, and of which integers: what makes its channels coherent.

Such a file says nothing about itself. Read with the right number of channels, a sample is nearly
always like the one before it on the same channel; with another number, neighbors are of different
channels. Read as the right integers, channels are pulses between two levels as logic has them.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import SignalError
from derotation.io.channels import open_channels
from derotation.io.signals import BinLayout
from derotation.signals.look_kinds import find_kinds
from derotation.signals.look_pulses import look_at_pulses

__all__ = ["BinGuess", "coherent_channels", "guess_layout", "judge_layout"]

# Types that are tried, the commonest first.
DTYPES = ("int16", "uint16", "int32", "uint32", ">i2", ">u2", ">i4", "int8", "uint8")
MOST_CHANNELS = 24
# Bytes of each place that is looked at, and the places.
PLACE_BYTES, PLACES = 2**18, 4
# Samples of the fewest channels whose pulses are looked at.
PULSE_SAMPLES = 2**17
# A lag is one of a channel with itself if this part, at most, of what is gained by it is missing.
NEAR_BEST = 0.15
# Best and worst lag differ by this factor if there is anything to tell.
CONTRAST = 3.0
# Volts of logic: what lies between its levels, and the lower one.
LOGIC_STEP, LOGIC_LOW = (1.0, 12.0), (-1.5, 2.0)
# Pulses per sample: more are noise.
MOST_PULSES = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class BinGuess:
    """A way to read a `.bin`."""

    n_channels: int
    """Number of channels."""
    layout: BinLayout
    """Type of the integers, header and range."""
    n_logic: int
    """Channels with pulses between two levels as logic has them."""
    has_clocks: bool
    """Whether a line clock and a frame clock are among them."""

    @property
    def rank(self) -> tuple[bool, int, float]:
        """What makes one guess better than another."""
        return self.has_clocks, self.n_logic, self.n_logic / self.n_channels


def guess_layout(
    path: str | os.PathLike[str], given: BinLayout | None = None, *, fixed: bool = False
) -> BinGuess | None:
    """Tell the number of channels of a `.bin`, and the type of its integers.

    Parameters
    ----------
    path
        The file.
    given
        Header and range, and the type that is taken if another one is no better.
    fixed
        Whether that type is certain.

    Returns
    -------
    BinGuess or None
        None if no way of reading it makes a channel of logic.
    """
    path, given = Path(path), given or BinLayout()
    dtypes = [given.dtype] if fixed else [given.dtype, *(d for d in DTYPES if d != given.dtype)]
    guesses = []
    for dtype in dtypes:
        layout = replace(given, dtype=dtype)
        n = coherent_channels(path, layout)
        if n is not None:
            guesses.append(judge_layout(path, n, layout))
    best = max(guesses, key=lambda guess: guess.rank, default=None)
    return best if best and best.n_logic else None


def judge_layout(path: str | os.PathLike[str], n_channels: int, layout: BinLayout) -> BinGuess:
    """Tell how many channels look like logic if a `.bin` is read in one way."""
    channels = open_channels(path, n_channels=n_channels, layout=layout)
    size = min(PULSE_SAMPLES, channels.n_samples)
    starts = sorted({0, max((channels.n_samples - size) // 2, 0)})
    stretches = [(start, start + size) for start in starts]
    if len(stretches) == 2 and stretches[0][1] >= stretches[1][0]:
        stretches = [(0, stretches[1][1])]
    blocks = channels.read(stretches)
    pulses = [look_at_pulses([b[k] for b in blocks], stretches) for k in range(n_channels)]
    logic = [
        p for p in pulses
        if p.n_pulses and p.n_pulses < MOST_PULSES * p.n_samples
        and LOGIC_STEP[0] <= p.high - p.low <= LOGIC_STEP[1]
        and LOGIC_LOW[0] <= p.low <= LOGIC_LOW[1]
    ]  # fmt: skip
    kinds, _ = find_kinds(logic)
    return BinGuess(
        n_channels=n_channels,
        layout=layout,
        n_logic=len(logic),
        has_clocks={"line_clock", "frame_clock"} <= set(kinds),
    )


def coherent_channels(path: str | os.PathLike[str], layout: BinLayout) -> int | None:
    """Find after how many values a `.bin` is most alike, which is its number of channels.

    Parameters
    ----------
    path
        The file.
    layout
        Type of its integers.

    Returns
    -------
    int or None
        None if the file is too quiet to tell.
    """
    change = np.zeros(MOST_CHANNELS)
    for values in _places(Path(path), layout):
        room = np.empty_like(values)
        for lag in range(1, MOST_CHANNELS + 1):
            apart = np.subtract(values[lag:], values[:-lag], out=room[lag:])
            change[lag - 1] += np.abs(apart, out=apart).mean()
    best, worst = change.min(), change.max()
    if not worst > CONTRAST * best:
        return None
    return int(np.flatnonzero(change <= best + NEAR_BEST * (worst - best))[0]) + 1


def _places(path: Path, layout: BinLayout) -> Sequence[NDArray[np.float64]]:
    """Read values of some places, as parts of the type's range."""
    dtype = layout.numpy_dtype()
    size = (path.stat().st_size - layout.header_bytes) // dtype.itemsize
    if size < 1:
        behind = f" behind the {layout.header_bytes} bytes of its header" if size < 0 else ""
        raise SignalError(f"{path} is empty: it holds no samples{behind}.")
    values: Any = np.memmap(path, dtype, "r", offset=layout.header_bytes, shape=(size,))
    length = min(PLACE_BYTES // dtype.itemsize, size)
    starts = np.linspace(0, size - length, PLACES if size > PLACES * length else 1).astype(int)
    unit = float(np.iinfo(dtype).max)
    found = [np.asarray(values[a : a + length], np.float64) / unit for a in starts]
    return [block for block in found if len(block) > MOST_CHANNELS]
