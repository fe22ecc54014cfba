"""Calcium traces of the cells of a recording."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from derotation.simulate.parameters import RecordingParameters, sample_motion_of

__all__ = ["plan_brightness"]


def plan_brightness(p: RecordingParameters, n_cells: int, n_frames: int) -> NDArray[np.float64]:
    """Calcium traces, which a change of focus makes brighter and darker."""
    time = p.lead_s + np.arange(n_frames) / p.frame_rate
    return _plan_activity(p, n_cells, n_frames) * sample_motion_of(p).focus_factors(time, n_cells)


def _plan_activity(p: RecordingParameters, n_cells: int, n_frames: int) -> NDArray[np.float64]:
    """Calcium traces: sudden transients that decay, one value per frame and cell."""
    activity = np.ones((n_frames, n_cells))
    if not p.calcium:
        return activity
    rng = np.random.default_rng([p.seed, 3])
    rise, decay = 0.1, 0.8  # seconds, like a fast genetically encoded indicator
    time = np.arange(n_frames) / p.frame_rate
    history = 5 * decay  # transients that began before the movie
    duration = n_frames / p.frame_rate + history
    for cell in range(n_cells):
        n = rng.poisson(p.calcium_rate * duration)
        onsets = rng.uniform(-history, duration - history, n)
        sizes = rng.lognormal(0.0, 0.5, n)
        for onset, size in zip(onsets, sizes, strict=True):
            first = max(0, math.ceil(onset * p.frame_rate))
            last = min(n_frames, math.ceil((onset + 8 * decay) * p.frame_rate))
            tau = time[first:last] - onset
            activity[first:last, cell] += size * (1 - np.exp(-tau / rise)) * np.exp(-tau / decay)
    return activity
