"""What happened to a session, told from its segments and from frames with other angles."""

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.pictures import OtherPicture
from derotation.errors import InputError
from derotation.images.bidi_phase import estimate_bidi_phase, tell_directions
from derotation.maps.line_maps import LineMaps
from derotation.quality.along import Along
from derotation.quality.angle_faults import find_angle_fault
from derotation.quality.figures import Measured
from derotation.quality.jumps import find_jump
from derotation.quality.trials import Trials
from derotation.signals.angles import Angles
from derotation.signals.events import Events
from derotation.streaming.statistics import Statistics

__all__ = [
    "angle_difference",
    "bidi_phase",
    "bidi_phase_change",
    "brightness_fall",
    "brightness_jump",
    "clock_shift",
    "direction_sign",
    "focus_sharpness",
    "frame_rate_error",
    "other_picture",
    "rotations_flipped",
    "sample_moved",
    "saturated",
    "scan_directions",
    "zoom_change",
]

# A displacement of this size (px) is none.
STILL = 0.1
# A picture that moved farther than this (px) is not mended by a shift: where it moved against the
# microscope, the center did, too.
MOST_MENDED_PX = 8.0
# One that moved farther than this leaves doubts about the calibration.
MOST_UNTRUSTED_PX = 2.0
# A jump explains shifts if it leaves this part of what a steady drift leaves.
JUMP = 0.6
# So many uncertainties make a change of scale.
SIGNIFICANT = 4.0
PHASE_ERRORS = 3.0
# The phase has changed if a part of the session differs by so many uncertainties, and this (px).
PHASE_CHANGE_ERRORS, PHASE_CHANGE_PX = 4.0, 0.2
# Parts whose phase is known worse (px) have too little light: there another shift may fit as well.
PHASE_MAX_SD = 0.1
# Pixels, and fewest frames, that tell the directions of scanning.
DIRECTION_PIXELS, MIN_DIRECTION_FRAMES = 4e6, 12
# Fast frames: this quantile of the turn within a frame.
FAST = 0.9
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
MIN_SEGMENT_FRAMES = 4
# This part of a change of brightness has to happen at once to be a jump.
AT_ONCE = 0.6
# If so many more samples have the highest value than would by chance, they are saturated.
MIN_AT_HIGHEST = 50
NO_REST = "Not measured: there are not two rests to compare."


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
        return Measured(value=0.0, said="No rotation fits better turned the other way.")
    of_frame = along.segments.of_frame
    share = 100 * float(np.mean(np.isin(of_frame, flipped)))
    turned = trials.sign == -1
    numbers = sorted({n + 1 for k in flipped for n in (along.segments.rotation[k],) if n >= 0})
    names = _listed(numbers) if numbers else _listed([int(k) + 1 for k in flipped])
    many = len(flipped) > 1
    rows = (
        f"are rows {names} of the stimulus table exchanged?"
        if many
        else f"is the direction in row {names} of the stimulus table wrong?"
    )
    return Measured(
        value=share,
        said=f"Rotation{'s' if many else ''} {names} ({_time(along, int(flipped[0]))}"
        f"{' and later' if many else ''}) fit{'' if many else 's'} only turned the other way: "
        f"{rows} (Correlation with the sample at rest {trials.opposite[turned].mean():.2f} instead "
        f"of {trials.own[turned].mean():.2f}.)",
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
    differs = np.flatnonzero(pair >= max(AGREE_DEG, value / 4))
    first, last = int(differs[0]), int(differs[-1]) + 1
    seconds = (angles.frame_start[frames] - angles.frame_start[0]) / angles.sampling_rate
    begin, end = float(seconds[first]), float(seconds[last])
    usual = float(np.median(size[first : last + 1]))
    if last >= len(frames) - 2:
        said = (
            f"From {begin:.1f} s on the seen angle differs by {usual:.1f} degrees from the "
            f"recorded one (at most {value:.1f})."
        )
    else:
        said = (
            f"Between {begin:.1f} and {end:.1f} s the seen angle differs by up to {value:.1f} "
            "degrees from the recorded one."
        )
    explains: tuple[str, ...] = ()
    if value > MORE_THAN_A_LAG:
        explains = OF_THE_ANGLE
        within = size[first + 1 : last]
        if last - first > MIN_CHECKED and np.ptp(within) < STEADY * usual:
            explains = (*OF_THE_ANGLE, *OF_THE_CLOCK)
    fault = find_angle_fault(
        (angles.frame_start - angles.frame_start[0]) / angles.sampling_rate,
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
    if not angles.at_rest.any():
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
    if not angles.at_rest.any() or len(told) < 2:
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


def sample_moved(
    along: Along,
    statistics: Statistics,
    angles: Angles,
    moved: NDArray[np.float64] | None = None,
    *,
    trusted: bool = True,
) -> Measured:
    """Tell how rests are shifted against the first one: by a jump, or by a drift.

    Without two rests, single frames that were compared with the session's first ones tell a jump.

    Parameters
    ----------
    along : Along
        Figures of the derotated movie.
    statistics : Statistics
        What was collected while it was derotated.
    angles : Angles
        Angles of all lines, as they were used.
    moved : ndarray of shape (frame, 2), optional
        By how much each frame was shifted (x, y) to correct the sample's motion, px.
    trusted : bool
        Whether the calibration is.

    Returns
    -------
    Measured
        What is left is the value, unless the picture moved so far that a shift cannot mend it, or
        so far that the calibration cannot be trusted.
    """
    rests = along.rests[np.isfinite(along.shift[along.rests]).all(axis=1)]
    if len(rests) < 2:
        return _frames_moved(statistics, angles)
    left = along.shift[rests] - along.shift[rests[0]]
    if moved is None:
        value, said = _how_moved(along, rests, left)
        return Measured(value=value, said=said, along=_between(along, rests, np.hypot(*left.T)))
    was = np.stack([moved[along.first[k] : along.last[k] + 1].mean(axis=0) for k in rests])
    whole = left + was - was[0]
    before, said = _how_moved(along, rests, whole)
    value = float(np.hypot(*left.T).max())
    if before < STILL:
        return Measured(value=value, said=said, along=_between(along, rests, np.hypot(*left.T)))
    if before > MOST_MENDED_PX:
        said = f"{said} That is too far to be corrected as motion: the center may have moved, too."
        value, left = before, whole
    elif before > MOST_UNTRUSTED_PX and not trusted:
        said = f"{said} Frames were shifted as motion, but the center may have moved, too."
        value, left = before, whole
    else:
        said = f"{said} That is corrected; {value:.2f} px are left."
    every = _between(along, rests, np.hypot(*left.T))
    return Measured(value=value, before=before, said=said, along=every)


def _how_moved(
    along: Along, rests: NDArray[np.int64], shift: NDArray[np.float64]
) -> tuple[float, str]:
    """Say how far rests are shifted, and in which way."""
    length = np.hypot(*shift.T)
    worst = int(np.argmax(length))
    value = float(length[worst])
    if value < STILL:
        return value, f"All rests lie within {value:.2f} px of the first one."
    time = (along.start_s[rests] + along.stop_s[rests]) / 2
    jump, left = _best_jump(shift)
    drift = shift - np.stack([np.polyval(np.polyfit(time, s, 1), time) for s in shift.T], axis=1)
    steady = float(np.sum(drift**2))
    if len(rests) < 4 or left < JUMP * steady or left < len(rests) * STILL**2:
        from_rest = int(rests[jump])
        dx, dy = shift[jump:].mean(axis=0) - shift[:jump].mean(axis=0)
        # It may have happened within a rest, whose picture then still lies where the others do.
        since = float(along.start_s[rests[jump - 1]])
        said = (
            f"The picture lies {_offset(dx, dy)} from "
            f"{along.name(from_rest)} on ({_time(along, from_rest)}): the sample or the objective "
            f"moved between {since:.1f} and {along.start_s[from_rest]:.1f} s."
        )
    elif length[-1] < value / 3:
        away = np.flatnonzero(length > value / 2)
        first, last = int(rests[away[0]]), int(rests[away[-1]])
        said = (
            f"The picture lies {_offset(*shift[worst])} from {along.name(first)} to "
            f"{along.name(last)} ({along.start_s[first]:.1f} to {along.stop_s[last]:.1f} s) and "
            "comes back: the sample or the objective moved."
        )
    else:
        said = (
            f"The picture drifts: in {along.place(int(rests[worst]))} it lies "
            f"{_offset(*shift[worst])} than in the first rest."
        )
    return value, said


def _frames_moved(statistics: Statistics, angles: Angles) -> Measured:
    """Tell whether frames lie elsewhere from some time on."""
    told = np.isfinite(statistics.checked_shift).all(axis=1)
    told &= np.abs(statistics.angle_difference) < AGREE_DEG
    frames = statistics.checked[told]
    found = find_jump(statistics.checked_shift[told], angles.middle[frames])
    if found is None:
        return Measured(said=f"{NO_REST} Single frames show no jump.")
    seconds = (angles.frame_start[frames] - angles.frame_start[0]) / angles.sampling_rate
    value = float(np.hypot(*found.offset))
    return Measured(
        value=value,
        said=f"The picture lies {_offset(*found.offset)} from {seconds[found.first]:.1f} s (frame "
        f"{frames[found.first]}) on: the sample or the objective moved between "
        f"{seconds[found.first - 1]:.1f} and {seconds[found.first]:.1f} s.",
        explains=("calibration_doubts",),
    )


def zoom_change(along: Along) -> Measured:
    """Tell whether the picture's scale changes."""
    rests = along.rests[np.isfinite(along.scale_pct[along.rests])]
    if len(rests) < 2:
        return Measured(said=NO_REST)
    # Activity may change the scale of one rest; a zoom lasts longer.
    change = _of_three(along.scale_pct[rests] - along.scale_pct[rests[0]])
    sure = np.abs(change) > SIGNIFICANT * along.scale_sd_pct[rests]
    value = float(np.max(np.abs(change[sure]), initial=0.0))
    if value == 0.0:
        most = float(np.abs(change).max())
        return Measured(value=0.0, said=f"The scale does not change ({most:.1f} % may be chance).")
    worst = int(np.argmax(np.where(sure, np.abs(change), 0.0)))
    first = int(np.flatnonzero(sure & (np.abs(change) > value / 2))[0])
    larger = "larger" if change[worst] > 0 else "smaller"
    every = _between(along, rests, np.where(sure, np.abs(change), 0.0))
    return Measured(
        value=value,
        said=f"The picture is {value:.1f} % {larger} from {along.name(int(rests[first]))} on "
        f"({_time(along, int(rests[first]))}): the zoom changed.",
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
        judged[others] = _of_three(sharpness[others])
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
        f"from {along.name(first)} on ({_time(along, first)})"
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


def _of_three(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the median of each value and its two neighbors; two values stay as they are."""
    if len(values) < 3:
        return values
    padded = np.pad(values, 1, mode="edge")
    return np.asarray(np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0))


def _between(
    along: Along, rests: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give each segment the value of its rest, or the larger one of the rests on both sides."""
    places = np.searchsorted(rests, np.arange(len(along)), side="right") - 1
    before, after = np.maximum(places, 0), np.minimum(places + 1, len(rests) - 1)
    between = np.maximum(values[before], values[after])
    between[rests] = values
    return np.asarray(between)


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


def _best_jump(shift: NDArray[np.float64]) -> tuple[int, float]:
    """Find before which value a jump explains most, and the sum of squares that it leaves."""
    left = [
        float(sum(np.sum((part - part.mean(axis=0)) ** 2) for part in (shift[:k], shift[k:])))
        for k in range(1, len(shift))
    ]
    best = int(np.argmin(left))
    return best + 1, left[best]


def _offset(dx: float, dy: float) -> str:
    """Say by how much something lies further where; what is no displacement is not said."""
    x, y = ("right" if dx >= 0 else "left"), ("down" if dy >= 0 else "up")
    if abs(dy) < STILL:
        return f"{abs(dx):.1f} px further {x}"
    if abs(dx) < STILL:
        return f"{abs(dy):.1f} px further {y}"
    return f"{abs(dx):.1f}, {abs(dy):.1f} px further {x} and {y}"


def _time(along: Along, k: int) -> str:
    return f"{along.start_s[k]:.1f} s, frame {along.first[k]}"


def _frames(shift: int) -> str:
    return f"{_count(shift, 'frame')} {'later' if shift > 0 else 'earlier'}"


def _count(n: int, what: str) -> str:
    number = {1: "one", 2: "two", 3: "three", 4: "four"}.get(abs(n), str(abs(n)))
    return f"{number} {what}{'' if abs(n) == 1 else 's'}"


def _listed(numbers: list[int]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} and {last}" if most else last
