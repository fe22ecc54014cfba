"""The sampling rate of analog signals, from a frame rate that is known."""

import logging
from collections.abc import Mapping

import numpy as np

from derotation.errors import SignalError
from derotation.io.signals import AnalogSignals
from derotation.signals.pulses import find_pulses

__all__ = ["find_sampling_rate"]

logger = logging.getLogger(__name__)

# Frame rates are given with a few digits; a wrong rate is far off.
TOLERANCE = 0.02


def find_sampling_rate(
    signals: AnalogSignals,
    *,
    frame_rate: float | None,
    sampling_rate: float | None = None,
    thresholds: Mapping[str, float | None] | None = None,
) -> float:
    """Tell the sampling rate from how many samples lie between two pulses of the frame clock.

    Parameters
    ----------
    signals : AnalogSignals
        The recording. Clocks that are exchanged are told by their numbers of pulses.
    frame_rate : float or None
        Pulses of the frame clock per second, Hz. At least one of the two rates is needed.
    sampling_rate : float, optional
        If it is known (Hz), it is returned after comparing it with the frame clock.
    thresholds : mapping of str to float or None, optional
        Volts above which a channel counts as high; None or missing: told from the signal.

    Returns
    -------
    float
        Samples per second, Hz.

    Raises
    ------
    SignalError
        If the frame clock has no pulses apart, or if the two rates contradict each other.
    """
    if frame_rate is None:
        if sampling_rate is None:
            msg = "neither frame_rate nor sampling_rate is known; give at least one of them (Hz)."
            raise SignalError(msg)
        return sampling_rate
    # The rate is only needed for places in messages; with 1 Hz these are samples.
    pulses = find_pulses(signals, ("line_clock", "frame_clock"), thresholds or {}, 1.0)
    frames = min(pulses.values(), key=len)
    if len(frames) < 2:
        if sampling_rate is not None:
            logger.info("The frame clock has no gaps, so sampling_rate could not be checked.")
            return sampling_rate
        msg = (
            f"{signals.path}: the frame clock has {len(frames)} pulses, so the sampling rate "
            "cannot be told from frame_rate; give sampling_rate (Hz) as well."
        )
        raise SignalError(msg)
    interval = float(np.median(np.diff(frames.start)))
    found = interval * frame_rate
    if sampling_rate is None:
        logger.info(
            "Sampling rate: %.6g Hz (%g frames per second, %g samples from frame to frame)",
            found, frame_rate, interval,
        )  # fmt: skip
        return found
    if abs(found / sampling_rate - 1) > TOLERANCE:
        msg = (
            f"{signals.path}: sampling_rate is {sampling_rate:g} Hz and frame_rate {frame_rate:g} "
            f"Hz, but the frame clock pulses every {interval:g} samples: with this frame rate the "
            f"sampling rate would be {found:.6g} Hz, with this sampling rate the frame rate "
            f"{sampling_rate / interval:.5g} Hz. Correct one of them, or leave it out."
        )
        raise SignalError(msg)
    return sampling_rate
