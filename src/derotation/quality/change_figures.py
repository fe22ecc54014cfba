"""How the picture changed along the session: its scale, sharpness and brightness."""

import numpy as np
from numpy.typing import NDArray

from derotation.quality.along import Along
from derotation.quality.angle_difference import SIGNIFICANT
from derotation.quality.figures import Measured
from derotation.quality.segment_values import (
    NO_REST,
    between_rests,
    median_of_three,
    time_of,
)

__all__ = ["brightness_fall", "brightness_jump", "focus_sharpness", "zoom_change"]

MIN_SEGMENT_FRAMES = 4
# This part of a change of brightness has to happen at once to be a jump.
AT_ONCE = 0.6


def zoom_change(along: Along) -> Measured:
    """Tell whether the picture's scale changes."""
    rests = along.rests[np.isfinite(along.scale_pct[along.rests])]
    if len(rests) < 2:
        return Measured(said=NO_REST)
    # Activity may change the scale of one rest; a zoom lasts longer.
    change = median_of_three(along.scale_pct[rests] - along.scale_pct[rests[0]])
    sure = np.abs(change) > SIGNIFICANT * along.scale_sd_pct[rests]
    value = float(np.max(np.abs(change[sure]), initial=0.0))
    if value == 0.0:
        most = float(np.abs(change).max())
        return Measured(value=0.0, said=f"The scale does not change ({most:.1f} % may be chance).")
    worst = int(np.argmax(np.where(sure, np.abs(change), 0.0)))
    first = int(np.flatnonzero(sure & (np.abs(change) > value / 2))[0])
    larger = "larger" if change[worst] > 0 else "smaller"
    every = between_rests(along, rests, np.where(sure, np.abs(change), 0.0))
    return Measured(
        value=value,
        said=f"The picture is {value:.1f} % {larger} from {along.name(int(rests[first]))} on "
        f"({time_of(along, int(rests[first]))}): the zoom changed.",
        along=every,
    )


def focus_sharpness(along: Along) -> Measured:
    """Tell the sharpness of the least sharp rest, or of the least sharp rotations."""
    sharpness = np.where(along.n_frames >= MIN_SEGMENT_FRAMES, along.sharpness, np.nan)
    judged = np.full(len(along), np.nan)
    judged[along.rests] = sharpness[along.rests]
    # Rotations have fewer pixels that are always seen: three in turn have to agree.
    others = along.others[np.isfinite(sharpness[along.others])]
    if len(others) >= 5:
        judged[others] = median_of_three(sharpness[others])
    if np.isfinite(judged).sum() < 2:
        return Measured(said="Not measured: there are not two segments to compare.")
    worst = int(np.nanargmin(judged))
    value = float(judged[worst])
    if value > 0.9:
        return Measured(value=value, said="All segments are about as sharp.", along=judged)
    half = (1 + value) / 2
    first = int(np.flatnonzero(judged < half)[0])
    lasting = np.nanmedian(judged[first:]) < half
    where = (
        f"from {along.name(first)} on ({time_of(along, first)})"
        if lasting
        else f"in {along.place(worst)}"
    )
    return Measured(
        value=value,
        said=f"The picture has only {100 * value:.0f} % of its fine detail {where}: out of focus.",
        along=judged,
    )


def brightness_jump(along: Along) -> Measured:
    """Tell the largest sudden change of brightness."""
    which, values = _brightness(along)
    if len(which) < 3:
        return Measured(said="Not measured: there are too few segments to compare.")
    step, part, k = _largest_step(values)
    value = 100 * (1 - float(np.exp(-abs(step))))
    if part < AT_ONCE:
        value = 0.0
    if value < 10:
        return Measured(value=value, said="The brightness does not jump.")
    way = "falls" if step < 0 else "rises"
    at = int(which[k + 1])
    return Measured(
        value=value,
        said=f"The brightness {way} at once, from {values[k]:.2f} to {values[k + 1]:.2f} of that "
        f"of the sample at rest, before {along.place(at)}.",
    )


def brightness_fall(along: Along) -> Measured:
    """Tell by how much the brightness falls along the session."""
    which, values = _brightness(along)
    if len(which) < 2:
        return Measured(said="Not measured: there are too few segments to compare.")
    n = max(len(values) // 5, 1)
    first, last = float(np.median(values[:n])), float(np.median(values[-n:]))
    fall = 100 * (1 - last / first) if first > 0 else 0.0
    if fall < 10:
        return Measured(value=max(fall, 0.0), said="The brightness hardly falls.")
    return Measured(
        value=fall,
        said=f"The brightness falls by {fall:.0f} % along the session, smoothly, from "
        f"{along.start_s[which[0]]:.0f} to {along.stop_s[which[-1]]:.0f} s: bleaching.",
    )


def _brightness(along: Along) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Give the segments whose brightness is compared: rests if there are enough of them."""
    for which in (along.rests, along.others):
        known = which[np.isfinite(along.brightness[which]) & (along.brightness[which] > 0)]
        if len(known) >= 3:
            return known, along.brightness[known]
    return np.empty(0, np.int64), np.empty(0)


def _largest_step(values: NDArray[np.float64]) -> tuple[float, float, int]:
    """Give the largest step of the logarithm, its part of all change, and before which it is."""
    steps = np.diff(np.log(values))
    k = int(np.argmax(np.abs(steps)))
    # What steps on both sides do is the usual course, which is no jump.
    others = np.delete(steps, k)
    usual = float(np.median(others)) if len(others) else 0.0
    step = float(steps[k]) - usual
    part = abs(step) / max(float(np.abs(steps).sum()), 1e-12)
    return step, part, k
