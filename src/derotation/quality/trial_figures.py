"""What frames tell that are tried otherwise: as another picture, with other angles."""

import numpy as np

from derotation.calibration.pictures import OtherPicture
from derotation.quality.along import Along
from derotation.quality.figures import Measured
from derotation.quality.segment_values import time_of
from derotation.quality.trials import Trials
from derotation.signals.angles import Angles

__all__ = ["clock_shift", "direction_sign", "other_picture", "rotations_flipped"]


def other_picture(found: OtherPicture | None) -> Measured:
    """Say whether another picture of the same data fits better."""
    if found is None:
        return Measured(value=0, said="Rows and columns are as they were scanned.")
    return Measured(
        value=1,
        said=f"Turned frames fit far better {found.words}: correlation with the sample at rest "
        f"{found.correlation:.2f} instead of {found.own:.2f}. To mend that, "
        f"{found.cure}.",
    )


def direction_sign(trials: Trials) -> Measured:
    """Say whether all frames fit turned the other way."""
    alike = (
        f"correlation with the sample at rest: {trials.correlation:.2f} as they are, "
        f"{trials.flipped:.2f} turned the other way"
    )
    if trials.flip_fits:
        return Measured(
            value=-1, said=f"Turned frames fit far better turned the other way ({alike})."
        )
    return Measured(value=1, said=f"Turned frames fit no better turned the other way ({alike}).")


def rotations_flipped(trials: Trials, along: Along) -> Measured:
    """Name rotations that fit only turned the other way."""
    flipped = np.flatnonzero(along.sign == -1)
    if trials.flip_fits or not len(flipped):
        return Measured(value=0.0, said=f"No {along.word} fits better turned the other way.")
    of_frame = along.segments.of_frame
    share = 100 * float(np.mean(np.isin(of_frame, flipped)))
    turned = trials.sign == -1
    numbers = sorted({n + 1 for k in flipped for n in (along.segments.rotation[k],) if n >= 0})
    names = _listed(numbers) if numbers else _listed([int(k) + 1 for k in flipped])
    many = len(flipped) > 1
    when = f"({time_of(along, int(flipped[0]))}{' and later' if many else ''})"
    if along.word == "step":
        asked = "."  # steps have no table that might be wrong
    elif many:
        asked = f": are rows {names} of the stimulus table exchanged?"
    else:
        asked = f": is the direction in row {names} of the stimulus table wrong?"
    return Measured(
        value=share,
        said=f"{along.word.capitalize()}{'s' if many else ''} {names} {when} "
        f"fit{'' if many else 's'} only turned the other way{asked} (Correlation with the sample "
        f"at rest {trials.opposite[turned].mean():.2f} instead of "
        f"{trials.own[turned].mean():.2f}.)",
        along=np.where(along.sign == -1, 100.0, 0.0),
    )


def clock_shift(trials: Trials, angles: Angles, along: Along) -> Measured:
    """Say from when on frames fit the angles of others."""
    shift = trials.shift
    if not shift.any():
        best = max(float(found.mean()) for found in trials.shifted.values())
        return Measured(
            value=0,
            said="No other frame's angles fit better (correlation with the sample at rest: "
            f"{trials.correlation:.2f}, with the angles of other frames up to {best:.2f}).",
        )
    worst = int(shift[np.argmax(np.abs(shift))])
    shifted = shift != 0
    fits = np.mean([trials.shifted[int(shift[k])][k] for k in np.flatnonzero(shifted)])
    alike = (
        f"correlation with the sample at rest {fits:.2f} instead of "
        f"{trials.own[shifted].mean():.2f}"
    )
    changes = np.flatnonzero(np.diff(np.concatenate([[0], shift])))
    telling = np.flatnonzero(trials.telling)
    seconds = (angles.frame_start - angles.frame_start[0]) / angles.sampling_rate
    if shift[0] and changes[0] == 0 and len(changes) == 1:
        said = (
            f"Frames fit best with the angles of {_frames(worst)} "
            f"({abs(worst) / angles.frame_rate * 1e3:.0f} ms): {alike}."
        )
        return Measured(value=abs(worst), said=said, along=np.abs(along.clock_shift).astype(float))
    parts = []
    for k in changes[:3].tolist():
        before = telling[telling < k]
        since = int(trials.numbers[before[-1]]) if len(before) else 0
        frame = int(trials.numbers[k])
        step = int(shift[k]) - (int(shift[k - 1]) if k else 0)
        what = (
            f"{_count(step, 'frame')} {'were' if step > 1 else 'was'} lost"
            if step > 0
            else f"{_count(step, 'frame')} too many came in"
        )
        fit = "their own angles" if not shift[k] else f"the angles of {_frames(int(shift[k]))}"
        parts.append(
            f"from {seconds[frame]:.1f} s (frame {frame}) on, frames fit {fit}: {what} between "
            f"{seconds[since]:.1f} and {seconds[frame]:.1f} s (frames {since} and {frame})"
        )
    said = "; ".join(parts)
    return Measured(
        value=abs(worst),
        said=f"{said[0].upper()}{said[1:]} ({alike}).",
        along=np.abs(along.clock_shift).astype(float),
    )


def _frames(shift: int) -> str:
    return f"{_count(shift, 'frame')} {'later' if shift > 0 else 'earlier'}"


def _count(n: int, what: str) -> str:
    number = {1: "one", 2: "two", 3: "three", 4: "four"}.get(abs(n), str(abs(n)))
    return f"{number} {what}{'' if abs(n) == 1 else 's'}"


def _listed(numbers: list[int]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} and {last}" if most else last
