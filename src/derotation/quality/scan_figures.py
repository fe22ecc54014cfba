"""How the microscope scanned: rates, directions, phase; and the detector's highest value."""

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.images.bidi_phase import estimate_bidi_phase, tell_directions
from derotation.maps.line_maps import LineMaps
from derotation.quality.along import Along
from derotation.quality.figures import Measured
from derotation.signals.angles import Angles
from derotation.signals.events import Events
from derotation.streaming.statistics import Statistics

__all__ = ["bidi_phase", "bidi_phase_change", "frame_rate_error", "saturated", "scan_directions"]

PHASE_ERRORS = 3.0
# The phase has changed if a part of the session differs by so many uncertainties, and this (px).
PHASE_CHANGE_ERRORS, PHASE_CHANGE_PX = 4.0, 0.2
# Parts whose phase is known worse (px) have too little light: there another shift may fit as well.
PHASE_MAX_SD = 0.1
# Pixels, and fewest frames, that tell the directions of scanning.
DIRECTION_PIXELS, MIN_DIRECTION_FRAMES = 4e6, 12
# Fast frames: this quantile of the turn within a frame.
FAST = 0.9
# If so many more samples have the highest value than would by chance, they are saturated.
MIN_AT_HIGHEST = 50


def frame_rate_error(statistics: Statistics, events: Events, angles: Angles) -> Measured:
    """Compare rates with what the movie's files and the stimulus table say."""
    found: list[tuple[float, str]] = []
    told = statistics.told_frame_rate
    if np.isfinite(told) and told > 0:
        error = 100 * (angles.frame_rate / told - 1)
        found.append((
            abs(error),
            f"The clocks tell {angles.frame_rate:.4g} frames per second, the movie's files "
            f"{told:.4g} ({error:+.2f} %).",
        ))  # fmt: skip
    asked, measured = events.rotation_speed, events.rotation_measured_speed
    if asked is not None and measured is not None:
        ratio = np.asarray(measured, np.float64) / np.where(np.asarray(asked) > 0, asked, np.nan)
        ratio = ratio[np.isfinite(ratio)]
        if len(ratio) >= 2 and np.ptp(ratio) < 0.02:
            error = 100 * (float(np.median(ratio)) - 1)
            found.append((
                abs(error),
                f"By the ticks, rotations are {error:+.2f} % faster than the stimulus table says.",
            ))  # fmt: skip
    if not found:
        return Measured(said="Not measured: no file tells the frame rate or the speeds.")
    worst, said = max(found)
    return Measured(value=worst, said=said)


def saturated(statistics: Statistics) -> Measured:
    """Tell how many samples have the highest value."""
    share = 100 * statistics.at_highest
    n_samples = statistics.rest.size * len(statistics.coverage)
    often = 100 * statistics.often_highest
    if statistics.at_highest * n_samples < MIN_AT_HIGHEST:
        return Measured(
            value=0.0, said=f"The highest value, {statistics.highest:g}, is hardly ever recorded."
        )
    return Measured(
        value=share,
        said=f"{share:.2g} % of all samples have the highest value, {statistics.highest:g}: they "
        f"are saturated. {often:.2g} % of the pixels are so in a tenth of the frames or more.",
    )


def scan_directions(
    statistics: Statistics, line_maps: LineMaps, fitting: NDArray[np.int64]
) -> Measured:
    """Tell whether turning frames contradict the directions of scanning that were used.

    `fitting` are the numbers of the kept frames whose angles are theirs.
    """
    angles = line_maps.angles
    assert isinstance(angles, Angles)
    turned = np.ptp(angles.line_angles[fitting], axis=1)
    height, width = statistics.rest.shape
    # Large pictures tell it by fewer frames; the fastest ones tell most.
    most = max(int(DIRECTION_PIXELS / (height * width)), MIN_DIRECTION_FRAMES)
    fastest = np.argsort(-turned, kind="stable")[:most]
    numbers = np.sort(fitting[fastest[turned[fastest] > 0]])
    frames = statistics.kept_frames[np.isin(statistics.kept, numbers)]
    try:
        found = tell_directions(frames, line_maps(numbers), angles.line_duty)
    except InputError as error:
        return Measured(said=f"Not measured: {error}.")
    per_line = float(np.deg2rad(np.quantile(turned[turned > 0], FAST))) / (height - 1)
    at_stake = angles.line_duty * per_line * min(height, width) / 2
    used = "both directions" if angles.bidirectional else "one direction"
    behave = (
        f"odd lines of turning frames behave as if {found.backward:.2f} ± {found.sd:.2f} of them "
        "were scanned backwards (0: one direction, 1: both)"
    )
    if found.bidirectional is None:
        says = f"The movie does not tell in which directions lines were scanned ({behave})"
        if angles.scan_told:
            return Measured(value=0.0, said=f"{says}.")
        return Measured(
            value=at_stake,
            said=f"{says}, nor does its file, nor scan.bidirectional: one direction is assumed. If "
            f"it was both, samples at the edge of fast frames lie {at_stake:.2f} px off.",
        )
    if found.bidirectional == angles.bidirectional:
        return Measured(value=0.0, said=f"Lines were scanned in {used}, as the movie shows.")
    return Measured(
        value=at_stake,
        said=f"The movie was derotated as scanned in {used}, but shows the opposite: {behave}. "
        f"Samples at the edge of fast frames lie {at_stake:.2f} px off.",
    )


def bidi_phase(statistics: Statistics, angles: Angles) -> Measured:
    """Tell by how much odd lines are displaced beyond what is corrected."""
    if statistics.n_rest == 0:
        return Measured(said="Not measured: there is no frame at rest.")
    try:
        found = estimate_bidi_phase(statistics.raw_rest)
    except InputError as error:
        return Measured(said=f"Not measured: {error}.")
    left = found.phase_px - angles.phase_px
    if not found.trusted or abs(left) < PHASE_ERRORS * found.sd_px:
        return Measured(
            value=0.0, said=f"Odd lines lie where even ones do (within {found.sd_px:.2f} px)."
        )
    return Measured(
        value=abs(left),
        said=f"Odd lines lie {abs(left):.2f} ± {found.sd_px:.2f} px further "
        f"{'right' if left > 0 else 'left'} than even ones, beyond the phase of "
        f"{angles.phase_px:.2f} px that is corrected.",
    )


def bidi_phase_change(
    statistics: Statistics, angles: Angles, along: Along, moved: Measured
) -> Measured:
    """Tell by how much the phase of the scan changes along the session.

    A sample that seems to have `moved` by no more than that seems so because of it.
    """
    sure = np.nan_to_num(statistics.phase_sd_px, nan=np.inf) < PHASE_MAX_SD
    told = np.flatnonzero(sure & np.isfinite(statistics.phase_px))
    if not along.segments.rest.any() or len(told) < 2:
        return Measured(said="Not measured: there are not two parts at rest to compare.")
    phase, sd = statistics.phase_px[told], statistics.phase_sd_px[told]
    usual = float(np.median(phase))
    off = np.abs(phase - usual)
    # All parts have as much light: none is known much better than the others.
    least = np.maximum(sd, np.median(sd))
    if not np.any(off > np.maximum(PHASE_CHANGE_ERRORS * least, PHASE_CHANGE_PX)):
        return Measured(
            value=0.0,
            said=f"The phase of the scan does not change ({np.ptp(phase):.2f} px at most).",
        )
    low, high = sorted((int(np.argmin(phase)), int(np.argmax(phase))))
    seconds = (angles.frame_start - angles.frame_start[0]) / angles.sampling_rate
    (first, last), (since, until) = statistics.phase_frames[told[[low, high]]]
    value = float(np.ptp(phase))
    return Measured(
        value=value,
        said=f"The phase of the scan changes within the session: odd lines lie {phase[low]:.2f} ± "
        f"{sd[low]:.2f} px further right than even ones from {seconds[first]:.1f} to "
        f"{seconds[last]:.1f} s, but {phase[high]:.2f} ± {sd[high]:.2f} px from "
        f"{seconds[since]:.1f} to {seconds[until]:.1f} s (frames {since} to {until}).",
        along=_of_segments(along, statistics.phase_frames[told], np.abs(phase - angles.phase_px)),
        explains=("sample_moved_px",) if (moved.value or 0.0) <= value else (),
    )


def _of_segments(
    along: Along, parts: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give each segment the largest of the values of the parts that it shares frames with."""
    shares = (parts[:, 0] <= along.last[:, np.newaxis]) & (
        parts[:, 1] >= along.first[:, np.newaxis]
    )
    return np.asarray(np.max(np.where(shares, values, 0.0), axis=1, initial=0.0))
