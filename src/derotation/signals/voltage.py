"""The angle from an analog channel whose voltage is proportional to it."""

import numpy as np
from numpy.typing import NDArray

from derotation.errors import ConfigError, SignalError
from derotation.io.signals import AnalogSignals
from derotation.signals.repairs import Report
from derotation.signals.trace import MeasuredAngle

__all__ = ["voltage_angle"]

NDFloat = NDArray[np.float64]

ROLE = "angle_voltage"
# Samples are averaged over blocks this long first (s), within which no motor turns far.
BLOCK_S = 1e-3
# Between two blocks the voltage has started anew if it differs by more than this part of its range.
WRAP = 0.5
# Samples read at a time.
CHUNK_SAMPLES = 1 << 21
# The longest time over which is averaged (s).
MAX_WINDOW_S = 0.2
# The noise is known to be this small at least: a step of a converter with 16 bits over 20 V.
LEAST_NOISE_V = 1e-4


def voltage_angle(
    signals: AnalogSignals,
    *,
    degrees_per_volt: float | None,
    offset_v: float | None,
    max_acceleration: float,
    sampling_rate: float,
    report: Report,
) -> MeasuredAngle:
    """Tell the angle over time from a voltage.

    Parameters
    ----------
    signals : AnalogSignals
        With a channel of the role ``angle_voltage``.
    degrees_per_volt : float or None
        None: told from where the voltage starts anew, once per turn.
    offset_v : float or None
        Voltage at which the angle is 0; None: 0 V.
    max_acceleration : float
        The strongest acceleration of the sample, degrees/s²: noise is averaged no longer than it
        allows.
    sampling_rate : float
        Hz.
    report : Report
        Takes what was found.

    Returns
    -------
    MeasuredAngle

    Raises
    ------
    SignalError
        If the channel holds samples that are no numbers.
    ConfigError
        If nothing tells the degrees per volt.

    Notes
    -----
    Averaging over a time T leaves noise that falls with the root of T, and cuts a corner of
    ``acceleration T² / 24``; the T at which both together are least is taken.
    """
    volts, spread, noise = _blocks(signals, sampling_rate)
    block = max(1, round(BLOCK_S * sampling_rate))
    range_v = float(volts.max() - volts.min())
    whole = _wrapping_range(volts, spread, range_v)
    if degrees_per_volt is None:
        if whole is None:
            raise ConfigError(
                f"{ROLE}: the voltage never starts anew (it goes from {volts.min():.4g} to "
                f"{volts.max():.4g} V), so the recording holds no whole turn that would tell the "
                "scale: set angles.voltage.degrees_per_volt."
            )
        degrees_per_volt = 360.0 / whole
        report.repair(
            "voltage_scale",
            ROLE,
            f"The voltage starts anew after {whole:.5g} V, which is one turn: "
            f"{degrees_per_volt:.5g} degrees per volt.",
            count=1,
        )
    turn_v = abs(360.0 / degrees_per_volt)
    # A block within which the voltage started anew says nothing.
    good = spread < WRAP * turn_v
    time: NDFloat = (np.arange(len(volts)) + 0.5).astype(np.float64) * block
    time, volts = time[good], volts[good]
    if len(volts) < 2:
        raise SignalError(f"{ROLE}: the recording is too short, or the channel only noise.")
    unwrapped = np.unwrap(volts, period=turn_v) if whole is not None else volts
    angle: NDFloat = np.asarray((unwrapped - (offset_v or 0.0)) * degrees_per_volt, np.float64)
    sigma = max(noise, LEAST_NOISE_V) * abs(degrees_per_volt)
    window = _window(sigma, max_acceleration, sampling_rate)
    smooth = _averaged(time, angle, window * sampling_rate)
    left = sigma / np.sqrt(max(window * sampling_rate, 1.0))
    return MeasuredAngle(
        time=time,
        angle=smooth,
        known=np.diff(time) < 20 * block,
        resolution=3 * left,
    )


def _blocks(signals: AnalogSignals, sampling_rate: float) -> tuple[NDFloat, NDFloat, float]:
    """Average the channel over short blocks; also how far each spreads, and the noise, V."""
    size = max(1, round(BLOCK_S * sampling_rate))
    from derotation.signals import voltage_kernels

    gain, offset = signals.scale(ROLE)
    view = signals.raw(ROLE)
    means, spreads, squares = [], [], []
    step = CHUNK_SAMPLES // size * size
    for first in range(0, signals.n_samples, step):
        chunk = np.ascontiguousarray(view[first : first + step], np.float32)
        mean, spread, square = voltage_kernels.block_statistics(chunk, size)
        if not np.isfinite(mean).all():
            bad = first + int(np.flatnonzero(~np.isfinite(mean))[0]) * size
            raise SignalError(
                f"{signals.path}: channel {ROLE} holds NaN or infinite samples, the first near "
                f"{bad / sampling_rate:.4g} s. Repair the recording or export it again."
            )
        means.append(mean)
        spreads.append(spread)
        squares.append(square)
        signals.release()
    # The median of blocks, so that wraps do not count as noise.
    noise = float(np.sqrt(np.median(np.concatenate(squares)))) * abs(gain)
    return (
        gain * np.concatenate(means) + offset,
        abs(gain) * np.concatenate(spreads),
        noise,
    )


def _wrapping_range(volts: NDFloat, spread: NDFloat, range_v: float) -> float | None:
    """Tell after how many volts the voltage starts anew; None if it never does."""
    good = np.flatnonzero(spread < WRAP * range_v)
    if len(good) < 4:
        return None
    own = volts[good]
    step = np.diff(own)
    jumps = np.flatnonzero(np.abs(step) > WRAP * range_v)
    jumps = jumps[(jumps >= 2) & (jumps < len(step) - 2)]
    if not len(jumps):
        return None
    # The sample turned on meanwhile, as fast as before and after.
    width = np.diff(good)
    before = (own[jumps] - own[jumps - 2]) / (good[jumps] - good[jumps - 2])
    after = (own[jumps + 3] - own[jumps + 1]) / (good[jumps + 3] - good[jumps + 1])
    moved = width[jumps] * (before + after) / 2
    return float(np.median(np.abs(step[jumps] - moved)))


def _window(sigma: float, acceleration: float, sampling_rate: float) -> float:
    """Choose the time over which is averaged, s."""
    windows = np.geomspace(BLOCK_S, MAX_WINDOW_S, 200)
    error = sigma**2 / (windows * sampling_rate) + (acceleration * windows**2 / 24) ** 2
    return float(windows[np.argmin(error)])


def _averaged(time: NDFloat, angle: NDFloat, window: float) -> NDFloat:
    """Average over a window around each block (an odd number of them, equal on both sides)."""
    half = int(window / float(np.median(np.diff(time))) / 2)
    if half < 1:
        return angle
    n = len(angle)
    total = np.concatenate([[0.0], np.cumsum(angle - angle[0])])
    at = np.arange(n)
    reach = np.minimum(half, np.minimum(at, n - 1 - at))
    return np.asarray((total[at + reach + 1] - total[at - reach]) / (2 * reach + 1) + angle[0])
