"""Responses aligned to the start of each rotation, by speed and direction."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rotations", "aligned", "mean_by_kind"]

NDFloat = NDArray[np.float64]

BEFORE_S, AFTER_S = 2.0, 3.0
# Across more than so many samples that are missing nothing is interpolated.
MAX_GAP = 2.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rotations:
    """When the sample turned, how fast and which way; by time."""

    start_s: NDFloat
    """Seconds from the first sample of the analog signals, shape (n,)."""
    end_s: NDFloat
    """The same, shape (n,)."""
    speed: NDFloat
    """Degrees per second, above 0, shape (n,)."""
    direction: NDFloat
    """1 or -1, shape (n,)."""

    def __len__(self) -> int:
        return len(self.start_s)

    def kinds(self) -> tuple[NDFloat, NDArray[np.int64]]:
        """Tell which speeds and directions there are, and of which kind each rotation is.

        Returns
        -------
        kinds : ndarray of shape (k, 2)
            Speed and direction, ascending.
        kind : ndarray of shape (n,)
        """
        pairs = np.stack([np.round(self.speed), self.direction], axis=1)
        kinds, kind = np.unique(pairs, axis=0, return_inverse=True)
        return kinds, kind.reshape(-1).astype(np.int64)

    def times(self, frame_rate: float) -> NDFloat:
        """Choose times (s) against a start at which all rotations are looked at: one per frame."""
        if not len(self):
            return np.empty(0)
        length = float(np.max(self.end_s - self.start_s))
        n_before, n_after = round(BEFORE_S * frame_rate), round((length + AFTER_S) * frame_rate)
        return np.arange(-n_before, n_after + 1) / frame_rate


def aligned(trace: NDFloat, time_s: NDFloat, rotations: Rotations, times: NDFloat) -> NDFloat:
    """Read a trace at times against the start of each rotation.

    Parameters
    ----------
    trace, time_s : ndarray of shape (frame,)
        Values and their own times (s); NaN where they are not known.
    rotations : Rotations
    times : ndarray of shape (t,)
        See :meth:`Rotations.times`.

    Returns
    -------
    ndarray of shape (n, t)
        Linear between samples; NaN beside gaps, before the first and after the last sample.
    """
    known = np.isfinite(trace) & np.isfinite(time_s)
    wanted = rotations.start_s[:, np.newaxis] + times
    if known.sum() < 2:
        return np.full(wanted.shape, np.nan)
    at, values = time_s[known], trace[known]
    found = np.interp(wanted, at, values, left=np.nan, right=np.nan)
    after = np.clip(np.searchsorted(at, wanted), 1, len(at) - 1)
    gap = at[after] - at[after - 1]
    found[gap > MAX_GAP * float(np.median(np.diff(time_s[np.isfinite(time_s)])))] = np.nan
    return np.asarray(found)


def mean_by_kind(responses: NDFloat, kind: NDArray[np.int64], n_kinds: int) -> NDFloat:
    """Average the responses (n, t) to rotations of each kind: (n_kinds, t); NaN where none is."""
    means = np.full((n_kinds, responses.shape[1]), np.nan)
    for k in range(n_kinds):
        own = responses[kind == k]
        n = np.isfinite(own).sum(axis=0)
        total = np.nansum(own, axis=0)
        means[k] = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
    return means
