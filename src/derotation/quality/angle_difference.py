"""The angle that the picture shows, against the recorded one."""

import numpy as np
from numpy.typing import NDArray

from derotation.quality.along import Along
from derotation.quality.angle_faults import find_angle_fault
from derotation.quality.figures import Measured
from derotation.signals.angles import Angles
from derotation.signals.events import Events
from derotation.streaming.statistics import Statistics

__all__ = ["AGREE_DEG", "SIGNIFICANT", "angle_difference"]

# A difference, or a change of scale, of so many uncertainties is beyond doubt.
SIGNIFICANT = 4.0
# Seen and recorded angles (degrees) that differ by less than this agree; frames that tell it.
AGREE_DEG, MIN_CHECKED = 1.0, 6
# A difference larger than this (degrees) is more than a lag, a tilt or a wrong center leave; they
# are then mistaken for one.
MORE_THAN_A_LAG = 5.0
OF_THE_ANGLE = ("center_error_px", "tilt_left_px", "turn_left_deg")
# One that stays the same, within this part of it, while the sample rests and turns, is no matter of
# clocks, nor of a sample that moved.
STEADY = 0.2
OF_THE_CLOCK = ("clock_shift_frames", "rotations_flipped_pct", "sample_moved_px")
OF_THE_SIGN = ("direction_sign", "lost_frames_pct", "motion_left_px", "motion_speed_px",
               "rotation_error_deg")  # fmt: skip


def angle_difference(
    statistics: Statistics, angles: Angles, along: Along, events: Events, *, free: bool
) -> Measured:
    """Tell from when on the angle that the picture shows differs from the recorded one."""
    told = np.isfinite(statistics.angle_difference)
    frames = statistics.checked[told]
    size = np.abs(statistics.angle_difference[told])
    sd = statistics.angle_difference_sd[told]
    if len(frames) < MIN_CHECKED:
        return Measured(said="Not measured: too few frames show what the first ones do.")
    certain = np.where(size > SIGNIFICANT * sd, size, 0.0)
    # A frame alone may be mistaken; two in a row are not.
    pair = np.minimum(certain[:-1], certain[1:])
    value = float(pair.max())
    segment = along.segments.of_frame[frames]
    every = np.full(len(along), np.nan)
    for k in np.unique(segment[segment >= 0]):
        every[k] = float(np.median(size[segment == k]))
    if value < AGREE_DEG:
        said = (
            f"The angle that the picture shows is the recorded one, within {value:.2g} degrees in "
            f"{len(frames)} frames that were compared."
        )
        return Measured(value=value, said=said, along=every)
    seconds = (angles.frame_start - angles.frame_start[0]) / angles.sampling_rate
    said, explains = _difference(seconds[frames], size, pair)
    fault = find_angle_fault(
        seconds,
        angles.middle,
        statistics.checked,
        statistics.angle_difference,
        events.angle_source,
        free=free,
    )
    if fault is None:
        return Measured(value=value, said=said, explains=explains, along=every)
    # A wrong sign is what the figure of that name is about.
    others = () if fault.is_sign else OF_THE_SIGN
    return Measured(
        value=value,
        said=f"{fault.said} {said}",
        advice=fault.advice,
        explains=(*OF_THE_ANGLE, *OF_THE_CLOCK, *others),
        along=every,
    )


def _difference(
    seconds: NDArray[np.float64], size: NDArray[np.float64], pair: NDArray[np.float64]
) -> tuple[str, tuple[str, ...]]:
    """Say from when to when angles differ, and which figures that explains.

    `size` is the difference in each compared frame, `pair` that which two in a row agree on.
    """
    value = float(pair.max())
    differs = np.flatnonzero(pair >= max(AGREE_DEG, value / 4))
    first, last = int(differs[0]), int(differs[-1]) + 1
    begin, end = float(seconds[first]), float(seconds[last])
    usual = float(np.median(size[first : last + 1]))
    if last >= len(size) - 2:
        said = (
            f"From {begin:.1f} s on the seen angle differs by {usual:.1f} degrees from the "
            f"recorded one (at most {value:.1f})."
        )
    else:
        said = (
            f"Between {begin:.1f} and {end:.1f} s the seen angle differs by up to {value:.1f} "
            "degrees from the recorded one."
        )
    if value <= MORE_THAN_A_LAG:
        return said, ()
    steady = last - first > MIN_CHECKED and np.ptp(size[first + 1 : last]) < STEADY * usual
    return said, (*OF_THE_ANGLE, *OF_THE_CLOCK) if steady else OF_THE_ANGLE
