"""The composed map of any line at its own time: the one place where corrections come together.

A recorded sample at p = (x, y) of a line with the angle a, recorded at the time t, belongs at

    movement( sample corrections( P R(a) P^-1 (microscope corrections(p) - c) + c ) - d(t) )

with R(a) = [[cos a, sin a], [-sin a, cos a]] on (x, y), a in degrees and positive if the sample
had turned clockwise on a screen whose y axis points down, c the center in pixels, P the
foreshortening of a tilted plane, and d(t) the displacement of the sample within its own plane. The
angle is the one that the motor's signals tell a lag after the line was recorded.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derotation.maps import transforms
from derotation.maps.resample import Derotated, derotate_frames
from derotation.maps.timing import LineTiming
from derotation.numerics.pages import release, rows_of

__all__ = ["Displaced", "LineAngles", "LineMaps", "Placement"]

Maps = NDArray[np.float64]
NDFloat = NDArray[np.float64]
Frames = slice | NDArray[np.integer[Any]] | NDArray[np.bool_]

# Steps that find the line which saw a place; each leaves a quarter of the error at usual speeds.
LINE_STEPS = 8


class LineAngles(Protocol):
    """What is asked of the angles of lines (:class:`derotation.signals.angles.Angles`)."""

    @property
    def line_angles(self) -> NDFloat:
        """Degrees, shape (frame, line); NaN where a line must not be used."""

    @property
    def line_usable(self) -> NDArray[np.bool_]:
        """Which lines have an angle, shape (frame, line)."""

    @property
    def line_times_s(self) -> NDFloat:
        """The moment to which each angle belongs, seconds, shape (frame, line)."""

    def times_of(self, frames: Frames) -> NDFloat:
        """Tell these moments of some frames."""

    @property
    def lag_ms(self) -> float:
        """The lag by which they have been shifted already."""

    @property
    def at_rest(self) -> NDArray[np.bool_]:
        """Which frames show the sample at rest at angle 0, shape (frame,)."""

    @property
    def middle(self) -> NDFloat:
        """Angle of each frame's middle line, degrees, shape (frame,)."""

    def shifted(self, lag_ms: float) -> Self:
        """Give each line the angle that was told later by a lag."""

    def timing(self) -> LineTiming:
        """Tell when the samples within a line were recorded."""


class Displaced(Protocol):
    """Where the sample was (:class:`derotation.motion_correction.motion.Motion`)."""

    @property
    def corrected(self) -> bool:
        """Whether that matters."""

    def displacement(self, times_s: ArrayLike) -> NDFloat:
        """Give the displacement (x, y) in the sample's own frame at some times (s): (..., 2)."""


class Placement(Protocol):
    """What puts lines in their place once their angle is known (a calibration, or a guess)."""

    @property
    def lag_ms(self) -> float:
        """Delay of the motor's signals against the scanner's, milliseconds."""

    def maps(self, angles: NDFloat, times_s: NDFloat) -> Maps:
        """Make the maps of lines with these angles (degrees) at these times (s): (..., 2, 3)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineMaps:
    """Where every line of a movie belongs, and when the samples within it were recorded.

    A sample at p = (x, y), in pixels, on a line with the angle a belongs, for a calibration of
    center c, tilt and wobble w only, at ``movement(P R(a) P^-1 (p - w(a) - c) + c)``; the equation
    with all parts stands at the top of this module. Angles are degrees, positive where the sample
    had turned clockwise on a screen whose y axis points down; times are seconds. A line's angle is
    the one that was told `lag_ms` after the line.

    Made by :meth:`of`. Whoever resamples frames or asks where something was recorded asks this.
    """

    angles: LineAngles
    """Angles of all lines, with the lag."""
    placement: Placement
    """Center, plane, and all other corrections."""
    timing: LineTiming
    """When the samples within a line are recorded."""
    movement: Maps | None = None
    """Map (2, 3) from this session's field of view to that of its reference."""
    motion: Displaced | None = None
    """Displacement of the sample over time; None if there is none that matters."""

    @classmethod
    def of(
        cls,
        angles: LineAngles,
        placement: Placement,
        *,
        timing: LineTiming | None = None,
        movement: ArrayLike | None = None,
        motion: Displaced | None = None,
    ) -> "LineMaps":
        """Put together what is known about the lines of a movie.

        Parameters
        ----------
        angles : Angles
            As the signals tell them; the placement's lag is applied here, once. Angles that were
            shifted by a lag before are taken as they are.
        placement : Placement
            A :class:`~derotation.calibration.calibration.Calibration`, or a guess of one.
        timing : LineTiming, optional
            When the samples within a line are recorded; by default as `angles` says.
        movement : array_like of shape (2, 3) or (3, 3), optional
            Map (x, y) from this session's field of view to that of its reference.
        motion : Motion, optional
            How the sample moved during the session; without effect unless it is to be corrected.

        Returns
        -------
        LineMaps
        """
        lagged = angles if angles.lag_ms else angles.shifted(placement.lag_ms)
        return cls(
            angles=lagged,
            placement=placement,
            timing=timing or angles.timing(),
            movement=None if movement is None else np.asarray(movement, np.float64)[:2],
            motion=motion if motion is not None and motion.corrected else None,
        )

    def without_movement(self) -> "LineMaps":
        """Give the maps within the session's own field of view."""
        return replace(self, movement=None)

    def __call__(self, frames: Frames = slice(None)) -> Maps:
        """Make the maps of all lines of some frames.

        Parameters
        ----------
        frames : slice or ndarray
            Numbers of frames; by default all.

        Returns
        -------
        ndarray of shape (frame, line, 2, 3)
            From recorded to output positions (x, y); NaN for lines that must not be used.
        """
        table = self.angles.line_angles
        maps = self.at(rows_of(table, frames), self.angles.times_of(frames))
        release(table)
        return maps

    def at(self, angles: ArrayLike, times_s: ArrayLike) -> Maps:
        """Make the maps of lines with these angles (degrees) at these times (s): (..., 2, 3)."""
        times = np.asarray(times_s, np.float64)
        maps = self.placement.maps(np.asarray(angles, np.float64), times)
        if self.motion is not None:
            maps[..., 2] -= self.motion.displacement(times)
        return maps if self.movement is None else transforms.compose(self.movement, maps)

    def derotate(self, raw: ArrayLike, frames: Frames, **how: Any) -> Derotated:
        """Put every line of some recorded frames back in its place.

        Parameters
        ----------
        raw : array_like of shape (frame, y, x)
            The frames as recorded.
        frames : slice or ndarray
            Their numbers in the movie.
        **how
            As for :func:`derotation.maps.resample.derotate_frames`: interpolation, blank, dtype,
            threads, keep_seen.

        Returns
        -------
        Derotated
        """
        return derotate_frames(raw, self(frames), timing=self.timing, **how)

    def recorded_at(self, points: NDFloat, frames: Frames) -> tuple[NDFloat, NDFloat]:
        """Tell where in recorded frames places of the output were seen, and at which angle.

        Parameters
        ----------
        points : ndarray of shape (p, 2)
            Places (x, y) in the derotated picture.
        frames : slice or ndarray
            Numbers of n frames.

        Returns
        -------
        places : ndarray of shape (n, p, 2)
            (x, y) in the recorded frame; may lie outside of it.
        angles : ndarray of shape (n, p)
            Angle of the line that saw it (or the nearest one), degrees.
        """
        line_angles = rows_of(self.angles.line_angles, frames)
        back = transforms.invert(self(frames))
        n, height = line_angles.shape
        frame = np.arange(n)[:, np.newaxis]
        line = np.broadcast_to(
            np.clip(np.rint(points[:, 1]), 0, height - 1).astype(int), (n, len(points))
        )
        for _ in range(LINE_STEPS):
            places = transforms.apply(back[frame, line], points)
            line = np.clip(np.nan_to_num(np.rint(places[..., 1])), 0, height - 1).astype(int)
        return places, line_angles[frame, line]

    def scanned_at(self, points: NDFloat, maps: Maps, width: int) -> NDFloat:
        """Tell when places of the output were scanned, to a fraction of a line.

        Parameters
        ----------
        points : ndarray of shape (n, p, 2)
            Places (x, y) in the derotated picture, those of each frame; NaN for none.
        maps : ndarray of shape (n, line, 2, 3)
            The maps of all lines of these n frames, see :meth:`at`.
        width : int
            Columns of a recorded frame, px.

        Returns
        -------
        ndarray of shape (n, p)
            Time in lines of the frame: 2.5 is the middle between the moments of lines 2 and 3, to
            which their angles belong (:attr:`LineAngles.line_times_s`). NaN where no usable line
            tells about a place.

        Notes
        -----
        Between two lines, maps change linearly with time, so that the time is found by one division
        once it is known between which two. A bidirectional scan sees a place of several lines'
        height in the middle of its lines, on average: that is what is told.
        """
        from derotation.maps.kernels.scanned import when_scanned  # compiled code, slow to load

        when = np.full(points.shape[:2], np.nan)
        if maps.shape[1] > 1:
            slope = 0.0 if self.timing.bidirectional else self.timing.line_duty / width
            late = self.timing.offset - slope * 0.5 * (width - 1)
            places = np.ascontiguousarray(points, np.float64)
            when_scanned(transforms.invert(maps), places, slope, late, when)
        return when
