"""Rests, rotations, steps and windows of a session: what figures along it are measured on."""

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from derotation.numerics.by_rows import by_rows
from derotation.signals.angles import Angles

__all__ = ["MAX_SEGMENTS", "Segments"]

# What lasts longer (seconds) is cut into equal windows.
WINDOW_S = 10.0
# More segments than these are merged, each with some before and after it, rests apart from others.
MAX_SEGMENTS = 60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segments:
    """The segments of a session, in the order in which they begin.

    A segment is a rest at angle 0 (or whole turns from it), or what lies between two of them: a
    rotation, or a step with the rest after it. In long sessions, some rests (or rotations) that
    follow each other are one segment.
    """

    of_frame: NDArray[np.int64]
    """Segment of each frame, -1 where no line has an angle, shape (frame,)."""
    rest: NDArray[np.bool_]
    """Which segments are rests, shape (segment,)."""
    rotation: NDArray[np.int64]
    """First rotation (step) within each segment, counted from 0; -1 at rest, shape (segment,)."""
    last_rotation: NDArray[np.int64]
    """The last one, shape (segment,)."""

    @classmethod
    def of(cls, angles: Angles) -> Self:
        """Divide a session.

        Parameters
        ----------
        angles : Angles
            Angles of all lines, as the movie is derotated with them.

        Returns
        -------
        Segments
        """
        known = by_rows(lambda lines: np.isfinite(lines).any(axis=1), angles.line_angles)
        at_rest = angles.at_rest
        longest = max(int(WINDOW_S * angles.frame_rate), 1)
        label = np.full(len(known), -1, np.int64)
        n = 0
        for first, end in _runs(known, at_rest, angles.rotation):
            n_windows = -(-(end - first) // longest)
            bounds = np.linspace(first, end, n_windows + 1).round().astype(int)
            for start, stop in itertools.pairwise(bounds.tolist()):
                label[start:stop] = n
                n += 1
        label[~known] = -1
        label = _compact(label)
        together = 2
        merged = label
        while merged.max(initial=-1) >= MAX_SEGMENTS:
            merged = _merged(label, at_rest, together)
            together += 1
        return cls._described(merged, at_rest, angles.rotation)

    @classmethod
    def _described(
        cls, label: NDArray[np.int64], at_rest: NDArray[np.bool_], rotation: NDArray[np.int32]
    ) -> Self:
        n = int(label.max(initial=-1)) + 1
        rest, first, last = np.zeros(n, np.bool_), np.full(n, -1), np.full(n, -1)
        for k in range(n):
            own = label == k
            rest[k] = bool(at_rest[own].all())
            turning = rotation[own & (rotation >= 0)]
            if not rest[k] and len(turning):
                first[k], last[k] = turning.min(), turning.max()
        return cls(of_frame=label, rest=rest, rotation=first, last_rotation=last)

    def __len__(self) -> int:
        return len(self.rest)

    def frames(self, k: int) -> NDArray[np.int64]:
        """Give the numbers of a segment's frames, ascending."""
        return np.flatnonzero(self.of_frame == k).astype(np.int64)

    def only(self, usable: NDArray[np.bool_]) -> Self:
        """Leave out some frames (those without light, for instance); segments may become empty."""
        return dataclasses.replace(self, of_frame=np.where(usable, self.of_frame, -1))


def _runs(
    known: NDArray[np.bool_], at_rest: NDArray[np.bool_], rotation: NDArray[np.int32]
) -> list[tuple[int, int]]:
    """Give first frame and end of each rest, rotation and step."""
    starts = [0]
    within = -1
    for frame in range(len(known)):
        edge = frame > 0 and at_rest[frame] != at_rest[frame - 1]
        new = rotation[frame] >= 0 and within >= 0 and rotation[frame] != within
        if edge or (new and not at_rest[frame]):
            starts.append(frame)
            within = -1
        if rotation[frame] >= 0:
            within = int(rotation[frame])
    return list(zip(starts, [*starts[1:], len(known)], strict=True)) if len(known) else []


def _merged(
    label: NDArray[np.int64], at_rest: NDArray[np.bool_], together: int
) -> NDArray[np.int64]:
    """Make one segment of the rests, and one of the others, of so many successive ones."""
    merged = np.where(label >= 0, 2 * (label // together) + ~at_rest, -1)
    return _compact(merged)


def _compact(label: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give segments numbers from 0 on, by their first frames."""
    names, first, inverse = np.unique(label, return_index=True, return_inverse=True)
    order = np.argsort(np.where(names >= 0, first, -1), kind="stable")
    number = np.empty(len(names), np.int64)
    number[order] = np.arange(len(names))
    if len(names) and (names < 0).any():
        number -= 1
    return np.asarray(number[inverse.ravel()], np.int64)
