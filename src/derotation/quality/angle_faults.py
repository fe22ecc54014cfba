"""What is wrong with recorded angles, told by how those that the picture shows differ from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derotation.numerics.degrees import wrapped

__all__ = ["AngleFault", "find_angle_fault"]

NDFloat = NDArray[np.float64]

# Seen and recorded angles that differ by less (degrees) agree; by more, they do not.
AGREE, DIFFER = 2.0, 4.0
# An angle that changes by less (degrees) stands still.
STILL = 0.2
# Frames that tell something.
MIN_FRAMES = 4
# A constant ratio is believed if it leaves this much (degrees, median), out of a recorded range of
# that many degrees, and if the ratio 1 leaves so many times more.
LEFT, MIN_RANGE, TIMES = 3.0, 20.0, 3.0
LARGEST_RATIO, RATIO_STEP_DEG = 12.0, 2.0
# Ratios this near to a special one are that one.
NEAR_RATIO = 0.03
# Steps between frames (degrees) whose direction is compared, and how well they have to fit.
STEPS, STEP_FITS, STEP_LEFT = (3.0, 150.0), 0.15, 3.0
# This part of the steps has to fit one direction or the other, and this part each.
FIT_EITHER, FIT_EACH = 0.8, 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class AngleFault:
    """What happened to the recorded angle."""

    said: str
    """A sentence with what was found."""
    advice: str
    """What to do."""
    is_sign: bool = False
    """Whether nothing but the sign is wrong."""


def find_angle_fault(
    time_s: NDFloat,
    recorded: NDFloat,
    checked: NDArray[np.int64],
    difference: NDFloat,
    source: str,
    *,
    free: bool = True,
) -> AngleFault | None:
    """Find a cause by which seen angles differ from the recorded ones.

    Parameters
    ----------
    time_s : ndarray of shape (n_frames,)
        When frames began, seconds.
    recorded : ndarray of shape (n_frames,)
        Recorded angles, degrees; NaN where there is none.
    checked : ndarray of int, shape (n,)
        Numbers of the frames that were compared.
    difference : ndarray of shape (n,)
        Seen minus recorded angles, degrees, modulo whole turns.
    source : str
        What tells the angle (``angles.source``).
    free : bool
        Whether the sample may turn any way; else single rotations may be called by the wrong
        direction, which is another figure's matter.

    Returns
    -------
    AngleFault or None
        None if no such cause explains them.
    """
    turned = _unwrapped(recorded)
    told = np.isfinite(difference) & np.isfinite(turned[checked])
    checked, difference = checked[told], difference[told]
    if len(checked) < 2 * MIN_FRAMES or np.median(np.abs(difference)) < AGREE / 4:
        at_least = len(checked) >= 2 * MIN_FRAMES and np.max(np.abs(difference)) > DIFFER
        if not at_least:
            return None
    own = turned[checked]
    return (
        _stuck(time_s, turned, checked, difference, source)
        or _clipped(time_s, own, checked, difference, source)
        or _ratio(own, difference, source)
        or (_directions(own, difference, source) if free else None)
    )


def _unwrapped(recorded: NDFloat) -> NDFloat:
    """Join turns; angles that are not known are left out."""
    turned = np.array(recorded, np.float64)
    known = np.isfinite(turned)
    turned[known] = np.unwrap(turned[known], period=360)
    return turned


def _stuck(
    time_s: NDFloat,
    turned: NDFloat,
    checked: NDArray[np.int64],
    difference: NDFloat,
    source: str,
) -> AngleFault | None:
    """Tell a recorded angle that does not change any more though the picture turns."""
    known = np.flatnonzero(np.isfinite(turned))
    changing = known[np.abs(turned[known] - turned[known[-1]]) > STILL]
    if not len(changing):
        return None
    since = int(changing[-1]) + 1
    after = checked >= since
    if np.count_nonzero(after) < MIN_FRAMES or np.count_nonzero(~after) < MIN_FRAMES:
        return None
    goes_on = np.abs(wrapped(difference[after] - difference[after][0])).max() > DIFFER
    if not goes_on or np.median(np.abs(difference[~after])) > AGREE:
        return None
    what = {
        "voltage": "the voltage of the position does not change any more: its cable or the "
        "sensor failed",
        "quadrature": "the encoder does not count any more: a channel or its cable failed",
        "ticks": "the motor's ticks have ended: the encoder or its cable failed",
        "table": "the table has one and the same angle from there on",
    }.get(source, "nothing is recorded any more")
    return AngleFault(
        said=f"From {time_s[since]:.1f} s (frame {since}) on the recorded angle stays at "
        f"{turned[known[-1]]:.1f} degrees, but the picture goes on turning: {what}.",
        advice="Leave the frames after that out, or take the angle from the picture "
        "(angles.source: movie).",
    )


def _clipped(
    time_s: NDFloat,
    own: NDFloat,
    checked: NDArray[np.int64],
    difference: NDFloat,
    source: str,
) -> AngleFault | None:
    """Tell a recorded angle that does not go beyond a value at which the picture goes on."""
    for end, word in ((own.max(), "highest"), (own.min(), "lowest")):
        at_end = np.abs(own - end) < STILL
        if np.count_nonzero(at_end) < MIN_FRAMES or np.count_nonzero(~at_end) < MIN_FRAMES:
            continue
        beyond = np.abs(difference[at_end]) > DIFFER
        inside = np.median(np.abs(difference[~at_end])) < AGREE
        if np.count_nonzero(beyond) < MIN_FRAMES or not inside:
            continue
        first = checked[at_end][beyond][0]
        what = (
            "the voltage reaches the end of the range of its amplifier or converter"
            if source == "voltage"
            else "what records it has reached the end of its range"
        )
        return AngleFault(
            said=f"The recorded angle never goes beyond {end:.1f} degrees, its {word} value, while "
            f"the picture does, by up to {np.abs(difference[at_end]).max():.0f} degrees (first at "
            f"{time_s[first]:.1f} s, frame {first}): {what}.",
            advice="Record with a smaller gain or a larger range of the input; leave the frames at "
            "that angle out, or take the angle from the picture (angles.source: movie).",
        )
    return None


def _ratio(own: NDFloat, difference: NDFloat, source: str) -> AngleFault | None:
    """Tell a constant ratio between seen and recorded angle."""
    span = float(np.ptp(own))
    if span < MIN_RANGE:
        return None
    step = RATIO_STEP_DEG / span
    ratios = np.arange(-LARGEST_RATIO, LARGEST_RATIO + step, step)
    fits = _fits(ratios, own, difference)
    near = ratios[int(np.argmax(fits))] + np.linspace(-step, step, 201)
    ratio = float(near[int(np.argmax(_fits(near, own, difference)))])
    left, with_one = (_left(value, own, difference) for value in (ratio, 1.0))
    if left > LEFT or with_one < TIMES * left or abs(ratio - 1) < NEAR_RATIO / 10:
        return None
    # Another ratio that fits about as well means that too few frames tell it.
    rivals = np.abs(ratios - ratio) > 20 * step
    if np.any(fits[rivals] > 1 - (1 - fits.max()) * 2):
        return None
    if abs(ratio) < NEAR_RATIO:
        return AngleFault(
            said=f"The recorded angle goes through {span:.0f} degrees, but the picture does not "
            "turn at all.",
            advice="Did the sample stay still while the motor turned (a loose coupling), or do the "
            "signals belong to another movie? There is nothing to derotate.",
        )
    if abs(ratio + 1) < NEAR_RATIO:
        return AngleFault(
            said="The picture turns as far as the recorded angle says, but the other way.",
            advice="Set the other angles.direction_sign"
            + (" (channels A and B may be exchanged)." if source == "quadrature" else "."),
            is_sign=True,
        )
    return AngleFault(
        said=f"The picture turns {abs(ratio):.4g} times as far as the recorded angle says"
        + (", and the other way." if ratio < 0 else "."),
        advice=_scale_advice(ratio, source),
    )


def _scale_advice(ratio: float, source: str) -> str:
    """Name the key by which angles are scaled, and its likely value."""
    other = " and the other angles.direction_sign" if ratio < 0 else ""
    size = abs(ratio)
    match source:
        case "quadrature":
            return (
                "Is angles.quadrature.counts_per_turn that of the encoder (edges of A and B "
                f"together)? It is likely {1 / size:.4g} times the present value{other}."
            )
        case "voltage":
            return (
                "Is angles.voltage.degrees_per_volt right? It is likely "
                f"{size:.4g} times the present value{other}."
            )
        case "ticks":
            return (
                "Is signals.rotation_increment that of the motor? It is likely "
                f"{size:.4g} times the present value{other}."
            )
        case _:
            radians = abs(size * np.pi / 180 - 1) < NEAR_RATIO
            unit = " (radians instead of degrees)" if radians else ""
            return f"The table's angles have to be multiplied by {ratio:.4g}{unit}."


def _fits(ratios: NDFloat, own: NDFloat, difference: NDFloat) -> NDFloat:
    """Tell how well ratios fit, from 0 to 1, whatever the angle of the first frames."""
    fits = np.empty(len(ratios))
    for first in range(0, len(ratios), 4096):
        some = slice(first, first + 4096)
        left = np.deg2rad(difference - (ratios[some, None] - 1) * own)
        fits[some] = np.abs(np.exp(1j * left).mean(axis=1))
    return fits


def _left(ratio: float, own: NDFloat, difference: NDFloat) -> float:
    """Give what a ratio leaves: the median of the absolute difference, degrees."""
    left = np.deg2rad(difference - (ratio - 1) * own)
    middle = np.angle(np.exp(1j * left).mean())
    return float(np.median(np.abs(wrapped(np.rad2deg(left - middle)))))


def _directions(own: NDFloat, difference: NDFloat, source: str) -> AngleFault | None:
    """Tell motion back and forth of which the source records no direction."""
    if source != "ticks":
        return None
    steps = np.diff(own)
    told = (np.abs(steps) > STEPS[0]) & (np.abs(steps) < STEPS[1])
    if np.count_nonzero(told) < 2 * MIN_FRAMES:
        return None
    seen = wrapped(steps + np.diff(difference))[told]
    steps = steps[told]
    most = STEP_FITS * np.abs(steps) + STEP_LEFT
    along, against = (np.abs(wrapped(seen - sign * steps)) < most for sign in (1, -1))
    share = float(np.mean(along | against))
    if share < FIT_EITHER or min(np.mean(along), np.mean(against)) < FIT_EACH:
        return None
    return AngleFault(
        said=f"The picture turns one way in {np.mean(along):.0%} of the steps that were compared "
        f"and the other way in {np.mean(against):.0%}, as far as the recorded angle says.",
        advice="Ticks alone do not tell the direction: record a channel with the direction "
        "(angles.direction: channel) or an encoder with two channels, or take the angle from the "
        "picture (angles.source: movie). No angles.direction_sign helps.",
    )
