"""Judge a derotated session by figures that need no truth.

Each figure has two thresholds: from the first one on somebody should look, beyond the second one it
is bad. What is said then names what is likely wrong and what to do about it. Figures stand in the
order of causes: a wrong sign of the angles spoils all that come after it.
"""

import dataclasses
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from derotation.calibration.calibration import Calibration
from derotation.calibration.pictures import try_pictures
from derotation.images.choosing import MIN_FRAMES
from derotation.images.ptd import (
    DEFAULT_BLOB_LOG,
    DEFAULT_DBSCAN,
    MostDetectedBlob,
    most_detected_blob,
)
from derotation.io.files import write_json
from derotation.maps.line_maps import LineMaps
from derotation.motion_correction.motion import Motion
from derotation.numerics.binning import binned
from derotation.quality import causes
from derotation.quality.along import Along, measure_along
from derotation.quality.figures import SPECIFICATIONS, Measured, Specification
from derotation.quality.light import uneven_light
from derotation.quality.motion import apparent_center_error, motion_figures
from derotation.quality.residual import ResidualShift, measure_residual_shift
from derotation.quality.residual_calibration import (
    ResidualCalibration,
    find_residual,
    sample_from,
)
from derotation.quality.trials import Trials, try_angles
from derotation.settings.defaults import complete
from derotation.signals.angles import Angles
from derotation.signals.events import Events
from derotation.signals.segments import Segments
from derotation.streaming.statistics import Statistics

__all__ = ["SPECIFICATIONS", "Figure", "Quality", "Specification", "measure_quality"]

logger = logging.getLogger(__name__)

Flag = Literal["ok", "look", "bad", "none"]
Protocol = Literal["full", "incremental", "free"]

KIND = "derotation quality"
VERSION = 1
# A figure of what the calibration leaves counts only if it exceeds its uncertainty by so much. (In
# dim sessions with few turned frames it scatters by 1.3 times its uncertainty.)
SIGNIFICANT = 4.0
# Part of the picture that all angles have to see for its sharpness to be compared.
MIN_SEEN = 0.05
# Fewest and most mean images by angle in which a blob is looked for, and their size (px).
MIN_ANGLES, MAX_ANGLES = 3, 12
BLOB_SIZE = 256
# Stretches of dark frames that are named.
MAX_STRETCHES = 3
# Rows and columns are exchanged on trial if turned frames correlate less than this part of what
# frames at rest do.
UNLIKE = 0.9
# A picture that moved by so many px may have left the center or the angle wrong.
MOVED_PX = 1.0
# The worst rotation counts if it is worse than usual by so many standard errors, and by this part.
WORST_ERRORS, WORST_PART = 4.0, 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of merit of a session."""

    name: str
    title: str
    unit: str
    value: float | None
    """None if it could not be measured."""
    before: float | None
    """The raw movie's, where that makes sense and can be measured."""
    flag: Flag
    look: float | None
    """Threshold beyond which somebody should look; None: never."""
    bad: float | None
    """Threshold beyond which it is bad; None: never."""
    sentence: str
    """What was found, and what to look at if it is not ok."""
    explained_by: str | None = None
    """The figure that this one follows from; it then gives no advice of its own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quality:
    """What is to be said about a derotated session."""

    session: str
    protocol: Protocol
    figures: tuple[Figure, ...]
    residual: ResidualShift
    """Shift of the mean images by angle."""
    blob: MostDetectedBlob | None
    """The most detected blob in the derotated mean images; None if there are no such images."""
    raw_blob: MostDetectedBlob | None
    """The same in the raw ones."""
    along: Along
    """The figures along the session."""

    @property
    def flag(self) -> Flag:
        """The worst flag of all figures."""
        flags = {figure.flag for figure in self.figures}
        return "bad" if "bad" in flags else "look" if "look" in flags else "ok"

    @property
    def advice(self) -> list[str]:
        """The sentences of figures that are not ok, those of the worst causes first.

        A cause is as bad as the worst figure that follows from it; what follows from others is not
        among the sentences.
        """
        return [
            figure.sentence
            for flag in ("bad", "look")
            for figure in self.figures
            if figure.flag in ("look", "bad")
            and figure.explained_by is None
            and self._worst_of(figure) == flag
        ]

    def _worst_of(self, cause: Figure) -> Flag:
        """Give the worst flag of a figure and of all that follow from it."""
        flags = {f.flag for f in self.figures if f.explained_by == cause.name} | {cause.flag}
        return "bad" if "bad" in flags else "look"

    def __getitem__(self, name: str) -> Figure:
        return next(figure for figure in self.figures if figure.name == name)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``quality.json``."""
        content = {
            "kind": KIND,
            "version": VERSION,
            "session": self.session,
            "protocol": self.protocol,
            "flag": self.flag,
            "figures": [dataclasses.asdict(figure) for figure in self.figures],
            "advice": self.advice,
        }
        write_json(path, content)


def measure_quality(
    statistics: Statistics,
    events: Events,
    angles: Angles,
    calibration: Calibration,
    *,
    session: str,
    protocol: Protocol,
    config: Mapping[str, Mapping[str, float | None]] | None = None,
    degrees_per_rotation: float | None = 360.0,
    motion: Motion | None = None,
    threads: int = 1,
) -> Quality:
    """Measure all figures of a session and judge them.

    Parameters
    ----------
    statistics : Statistics
        What was collected while the movie was derotated.
    events : Events
        What was found in the signals.
    angles : Angles
        Angles of all lines, as the signals tell them; the calibration's lag is applied here.
    calibration : Calibration
        The one that the movie was derotated with.
    session : str
        Its name.
    protocol : {"full", "incremental", "free"}
    config : mapping, optional
        Section ``quality`` of the configuration: for the names of figures, ``look`` and ``bad``.
        What is missing has its default.
    degrees_per_rotation : float, optional
        What one rotation, or the whole turn of the protocol incremental, was asked to turn; None
        if that is not known.
    motion : Motion, optional
        How the sample moved during the session; None if that was not looked for.
    threads : int
        Threads that share the images.

    Returns
    -------
    Quality

    Raises
    ------
    ConfigError
        If there is no such figure, or a threshold is no number.
    """
    line_maps = LineMaps.of(angles, calibration, motion=motion)
    lines = line_maps.angles
    assert isinstance(lines, Angles)
    thresholds = complete("quality", config)
    residual = measure_residual_shift(statistics, threads=threads)
    blob, raw_blob = _blobs(statistics, threads)
    turned = lines.turned
    found = _of_the_fit(statistics, line_maps, calibration, threads)
    along = measure_along(statistics, lines, found.trials, threads=threads)
    places = None
    if motion is not None and motion.corrected:
        places = motion.displacement(lines.line_times_s.mean(axis=1))
    moved = causes.sample_moved(along, statistics, angles, places, trusted=calibration.trusted)
    measured = {
        **_of_the_angles(found, along, lines),
        **found.left,
        "scan_directions_px": found.directions,
        "frame_rate_error_pct": causes.frame_rate_error(statistics, events, angles),
        "bidi_phase_px": causes.bidi_phase(statistics, angles),
        "saturated_pct": causes.saturated(statistics),
        **motion_figures(motion, lines),
        "sample_moved_px": moved,
        "bidi_phase_change_px": causes.bidi_phase_change(statistics, angles, along, moved),
        "zoom_change_pct": causes.zoom_change(along),
        "focus_sharpness": causes.focus_sharpness(along),
        "brightness_jump_pct": causes.brightness_jump(along),
        "brightness_fall_pct": causes.brightness_fall(along),
        "uneven_light_pct": uneven_light(statistics, calibration.center),
        "dark_frames_pct": _dark_frames(statistics, lines),
        "unusable_frames_pct": _unusable_frames(lines),
        "ticks_inserted_pct": _ticks_inserted(events),
        "lines_repaired_pct": _lines_repaired(events),
        "rotation_error_deg": _rotation_error(events, protocol, degrees_per_rotation),
        "anomalies": _anomalies(events),
        "angle_difference_deg": causes.angle_difference(
            statistics, angles, along, events, free=protocol == "free"
        ),
        "residual_shift_px": _residual_shift(residual, along),
        "rotating_correlation": _rotating_correlation(statistics, turned, along),
        "ptd_px": _ptd(blob, raw_blob),
        "sharpness_gain": _sharpness_gain(statistics),
        "coverage": _coverage(statistics, turned, along),
        "calibration_doubts": _calibration_doubts(calibration),
    }
    seeming = apparent_center_error(motion, lines)
    center_found = measured["center_error_px"].value
    if seeming is not None and (center_found is None or center_found < (seeming.value or 0)):
        measured["center_error_px"] = seeming
    judged = [_judged(spec, measured[spec.name], thresholds[spec.name]) for spec in SPECIFICATIONS]
    edge = min(statistics.rest.shape) / 2
    figures = _weighed(_movement_counts(judged, measured, edge), measured)
    for spec in SPECIFICATIONS:
        _blame(along, spec, measured[spec.name], thresholds[spec.name])
    quality = Quality(
        session=session,
        protocol=protocol,
        figures=figures,
        along=along,
        residual=residual,
        blob=blob,
        raw_blob=raw_blob,
    )
    for figure in quality.figures:
        level = logging.WARNING if figure.flag in ("look", "bad") else logging.INFO
        logger.log(level, "%s (%s): %s", figure.title, figure.flag, figure.sentence)
    return quality


def measure_plane(statistics: Statistics, angles: Angles) -> dict[str, Measured]:
    """Measure what is reported of a further plane, which has the calibration of another one.

    Parameters
    ----------
    statistics : Statistics
        What was collected while the plane was derotated.
    angles : Angles
        Angles of its lines, as they were used.

    Returns
    -------
    dict of str to Measured
        The figures ``sharpness_gain`` and ``coverage``.
    """
    return {
        "sharpness_gain": _sharpness_gain(statistics),
        "coverage": _usual_coverage(statistics, angles.turned),
    }


def _judged(
    spec: Specification, measured: Measured, thresholds: Mapping[str, float | None]
) -> Figure:
    """Compare a figure with its thresholds and say what that means."""
    look, bad = (thresholds[key] for key in ("look", "bad"))
    flag: Flag = "none"
    if measured.value is not None:
        flag = "ok"
        if _worse(spec, measured.value, look):
            flag = "look"
        if _worse(spec, measured.value, bad):
            flag = "bad"
    sentence = measured.said
    if flag in ("look", "bad"):
        advice = spec.advice if measured.advice is None else measured.advice
        sentence = " ".join(filter(None, [measured.said, measured.cause, advice]))
    return Figure(
        name=spec.name,
        title=spec.title,
        unit=spec.unit,
        value=measured.value,
        before=measured.before,
        flag=flag,
        look=look,
        bad=bad,
        sentence=sentence,
    )


def _movement_counts(
    figures: list[Figure], measured: Mapping[str, Measured], edge: float
) -> list[Figure]:
    """Let somebody look at a movement that was mended if it left the center or the angle wrong.

    Where the picture moved as a whole, the center did, too: motion correction makes up for that,
    but not within frames. What is left then is no lag, and no wrong center, if it is smaller than
    the movement was; `edge` is how far (px) from the center a turn counts.
    """
    of = {figure.name: figure for figure in figures}
    moved = of["sample_moved_px"]
    if moved.flag != "ok" or (moved.before or 0.0) < MOVED_PX:
        return figures
    turned = np.deg2rad(of["turn_left_deg"].value or 0.0) * edge
    left = {"turn_left_deg": 2 * turned, "center_error_px": of["center_error_px"].value or 0.0}
    assert moved.before is not None
    if not any(of[name].flag in ("look", "bad") and px < moved.before for name, px in left.items()):
        return figures
    said = f"{moved.sentence} The center of rotation has moved in the picture with it."
    advice = next(spec.advice for spec in SPECIFICATIONS if spec.name == moved.name)
    doubtful = dataclasses.replace(moved, flag="look", sentence=f"{said} {advice}")
    return [doubtful if figure is moved else figure for figure in figures]


def _weighed(figures: list[Figure], measured: Mapping[str, Measured]) -> tuple[Figure, ...]:
    """Find out which figures follow from others: a cause comes before what it leads to."""
    wrong = {figure.name for figure in figures if figure.flag in ("look", "bad")}
    explained_by: dict[str, str] = {}
    for spec in SPECIFICATIONS:
        if spec.name in wrong:
            # What this very session shows counts for more than what is usual.
            for name in wrong.intersection(measured[spec.name].explains):
                explained_by.setdefault(name, spec.name)
    for spec in SPECIFICATIONS:
        if spec.name in wrong and spec.name not in explained_by:
            for name in wrong.intersection(spec.explains):
                explained_by.setdefault(name, spec.name)
    titles = {spec.name: spec.title for spec in SPECIFICATIONS}
    return tuple(
        dataclasses.replace(
            figure,
            explained_by=explained_by[figure.name],
            sentence=f"{measured[figure.name].said} This is likely due to "
            f"another figure: {titles[explained_by[figure.name]]}.",
        )
        if figure.name in explained_by
        else figure
        for figure in figures
    )


def _blame(
    along: Along,
    spec: Specification,
    measured: Measured,
    thresholds: Mapping[str, float | None],
) -> None:
    """Note in which segments a figure is not ok."""
    if measured.along is None:
        return
    for k, value in enumerate(measured.along.tolist()):
        bad = _worse(spec, value, thresholds["bad"])
        if bad or _worse(spec, value, thresholds["look"]):
            along.blame([k], spec.name, bad=bad)


def _worse(spec: Specification, value: float, threshold: float | None) -> bool:
    if threshold is None:
        return False
    return value > threshold if spec.worse == "high" else value < threshold


# What the calibration and the angles leave


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fit:
    """What some turned frames say about angles and calibration."""

    trials: Trials | None
    picture: Measured
    directions: Measured
    left: dict[str, Measured]
    reason: str = ""
    """Why there are no trials."""


def _of_the_fit(
    statistics: Statistics, line_maps: LineMaps, calibration: Calibration, threads: int
) -> _Fit:
    """Measure what some turned frames say about angles and calibration."""
    angles = line_maps.angles
    assert isinstance(angles, Angles)
    sample = sample_from(statistics, line_maps)
    if sample is None:
        reason = (
            "Not measured: there is no frame at rest to compare."
            if statistics.n_rest == 0
            else "Not measured: too few frames of the turned sample can be compared."
        )
        nothing = Measured(said=reason)
        return _Fit(
            trials=None,
            picture=nothing,
            directions=nothing,
            left=dict.fromkeys(_FROM_RESIDUAL, nothing),
            reason=reason,
        )
    rotation = Segments.of(angles).of_frame[sample.numbers]
    trials = try_angles(sample, angles, calibration, rotation=rotation, threads=threads)
    rest, own, _ = _likeness(statistics, angles.turned)
    other = None
    fits = np.where(trials.sign == 1, trials.own, trials.opposite)
    if rest and own is not None and own < UNLIKE * rest and not trials.shift.any():
        other = try_pictures(sample, calibration.center, threads=threads)
    if other is not None and other.correlation < np.mean(fits):
        other = None
    picture = causes.other_picture(other)
    if other is not None or trials.flip_fits or abs(trials.shift).astype(bool).mean() > 0.8:
        nothing = Measured(said="Not measured: the angles do not belong to the frames.")
        return _Fit(
            trials=trials,
            picture=picture,
            directions=nothing,
            left=dict.fromkeys(_FROM_RESIDUAL, nothing),
        )
    # Frames that fit other angles tell nothing about the calibration.
    fitting = np.flatnonzero((trials.sign == 1) & (trials.shift == 0))
    left = None
    if len(fitting) >= MIN_FRAMES:
        left = find_residual(sample.select(fitting), calibration, threads=threads)
    nothing = Measured(
        said="Not measured: turned frames do not correlate enough with the sample at rest."
    )
    return _Fit(
        trials=trials,
        picture=picture,
        directions=causes.scan_directions(statistics, line_maps, sample.numbers[fitting]),
        left={
            name: nothing if left is None else measure(left)
            for name, measure in _FROM_RESIDUAL.items()
        },
    )


def _of_the_angles(found: _Fit, along: Along, angles: Angles) -> dict[str, Measured]:
    """Say whether frames fit other angles than their own."""
    if found.trials is None:
        names = ("direction_sign", "rotations_flipped_pct", "clock_shift_frames")
        nothing = Measured(said=found.reason)
        return dict.fromkeys(names, nothing) | {"other_picture": found.picture}
    return {
        "other_picture": found.picture,
        "direction_sign": causes.direction_sign(found.trials),
        "rotations_flipped_pct": causes.rotations_flipped(found.trials, along),
        "clock_shift_frames": causes.clock_shift(found.trials, angles, along),
    }


def _center_error(left: ResidualCalibration) -> Measured:
    error = float(np.hypot(*left.center_error))
    sd = float(np.hypot(*left.center_sd))
    x, y = left.center
    if error < SIGNIFICANT * sd:
        return Measured(
            value=0.0,
            said=f"The center that was used fits, as far as {left.n_frames} frames tell: it is "
            f"{error:.2f} ± {sd:.2f} px from the one that fits best.",
        )
    return Measured(
        value=error,
        said=f"The center of rotation that fits best, x = {x:.2f}, y = {y:.2f} px, is {error:.2f} "
        f"± {sd:.2f} px from the one that was used.",
        cause="The center is wrong, or the sample has moved since it was found.",
    )


def _tilt_left(left: ResidualCalibration) -> Measured:
    if left.tilt_px < SIGNIFICANT * left.tilt_sd_px:
        return Measured(
            value=0.0,
            said=f"No tilt is left, as far as {left.n_frames} frames tell: {left.tilt_px:.2f} ± "
            f"{left.tilt_sd_px:.2f} px at the edge.",
        )
    return Measured(
        value=left.tilt_px,
        said=f"A tilt of the plane of rotation by {left.plane_angle:.1f} degrees along "
        f"{left.plane_orientation:.0f} degrees fits best; what of it is not corrected displaces "
        f"points by up to {left.tilt_px:.1f} ± {left.tilt_sd_px:.1f} px.",
    )


def _turn_left(left: ResidualCalibration) -> Measured:
    if left.lag_ms is None or left.lag_sd_ms is None:
        return Measured(said="Not measured: no frame was recorded while the sample turned.")
    turn, sd = left.lag_ms / 1e3 * left.top_speed, left.lag_sd_ms / 1e3 * left.top_speed
    if abs(turn) < SIGNIFICANT * sd:
        return Measured(
            value=0.0,
            said=f"The fastest frames ({left.top_speed:.0f} degrees/s) are not left turned: "
            f"{turn:.2f} ± {sd:.2f} degrees.",
        )
    return Measured(
        value=abs(turn),
        said=f"The fastest frames ({left.top_speed:.0f} degrees/s) are left turned by "
        f"{abs(turn):.2f} ± {sd:.2f} degrees, as by a lag of {left.lag_ms:.1f} ms.",
    )


_FROM_RESIDUAL = {
    "center_error_px": _center_error,
    "tilt_left_px": _tilt_left,
    "turn_left_deg": _turn_left,
}


# Signals


def _unusable_frames(angles: Angles) -> Measured:
    unusable: NDArray[np.bool_] = np.any(~angles.line_usable, axis=1)
    return Measured(
        value=100 * float(np.mean(unusable)),
        said=f"{int(unusable.sum())} of {len(unusable)} frames have lines without an angle.",
    )


def _ticks_inserted(events: Events) -> Measured:
    n, total = int(events.tick_inserted.sum()), len(events.tick_inserted)
    if not total:
        return Measured(said="Not measured: there are no ticks.")
    share = 100 * n / total
    return Measured(
        value=share,
        said=f"{n} of {total} ticks ({share:.1f} %) were missing and have been inserted.",
    )


def _lines_repaired(events: Events) -> Measured:
    share = 100 * float(events.line_repaired.mean())
    return Measured(
        value=share, said=f"The time of {share:.1f} % of the lines was computed, not measured."
    )


def _rotation_error(
    events: Events, protocol: Protocol, degrees_per_rotation: float | None
) -> Measured:
    turned: NDArray[np.float64] = np.atleast_1d(events.rotation_turned[events.rotation_usable])
    if protocol == "free":
        return Measured(said="Not measured: the protocol free asks for no angle.")
    if degrees_per_rotation is None or turned.size == 0:
        return Measured(
            said="Not measured: signals.degrees_per_rotation is null, or no rotation is usable."
        )
    if protocol == "incremental":
        turned = np.asarray([float(np.sum(turned))])
    error = np.abs(turned - degrees_per_rotation)
    worst = float(turned[np.argmax(error)])
    what = "The whole turn" if protocol == "incremental" else "The worst rotation"
    return Measured(
        value=float(error.max()),
        said=f"{what} turned by {worst:.1f} degrees; {degrees_per_rotation:g} were asked for.",
    )


def _anomalies(events: Events) -> Measured:
    n = len(events.anomalies)
    texts = " ".join(anomaly.text for anomaly in events.anomalies[:2])
    said = f"{_counted(n, 'oddity', 'oddities')} in the signals: {texts}" if n else ""
    return Measured(value=n, said=said or "There is nothing odd in the signals.")


# Frames


def _dark_frames(statistics: Statistics, angles: Angles) -> Measured:
    known = np.isfinite(statistics.brightness)
    if not known.any():
        return Measured(said="Not measured: there is no frame at rest to compare with.")
    dark = known & ~statistics.lit
    share = 100 * float(dark.sum() / known.sum())
    if not dark.any():
        return Measured(value=0.0, said="All frames are lit.")
    seconds = (angles.frame_start - angles.frame_start[0]) / angles.sampling_rate
    stretches = _stretches(dark)
    where = ", ".join(
        f"{seconds[first]:.1f} to {seconds[last]:.1f} s"
        for first, last in stretches[:MAX_STRETCHES]
    )
    more = " and elsewhere" if len(stretches) > MAX_STRETCHES else ""
    return Measured(
        value=share, said=f"{share:.1f} % of the frames are dark ({where}{more} into the movie)."
    )


def _stretches(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Give first and last index of each run of True, the longest first."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]])))
    runs = [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]
    return sorted(runs, key=lambda run: run[0] - run[1])


def _residual_shift(residual: ResidualShift, along: Along) -> Measured:
    rms, before = residual.rms(), residual.raw_rms()
    n = len(residual.angle)
    if rms is None:
        return Measured(
            before=before,
            said=f"Not measurable: at only {residual.measurable} of {n} angles is the mean image "
            "alike enough to the sample at rest to tell a shift from chance.",
        )
    length = np.hypot(*along.shift.T)
    others = along.others[np.isfinite(length[along.others])]
    said = (
        f"The mean images at {residual.measurable} of {n} angles lie within {rms:.2f} px "
        "(rms) of the sample at rest"
    )
    if not len(others):
        return Measured(value=rms, before=before, said=f"{said}.")
    worst = int(others[np.argmax(length[others])])
    said = f"{said}; farthest off, by {length[worst]:.2f} px, lies {along.place(worst)}."
    return Measured(value=rms, before=before, said=said)


def _likeness(
    statistics: Statistics, turned: NDArray[np.bool_]
) -> tuple[float | None, float | None, float | None]:
    """Give the median correlation of frames at rest, of turned ones, and of raw turned ones."""
    lit = statistics.lit
    at_rest = lit & ~turned & (statistics.coverage > 0)
    return (
        _median(statistics.correlation[at_rest]),
        _median(statistics.correlation[lit & turned]),
        _median(statistics.raw_correlation[lit & turned]),
    )


def _rotating_correlation(
    statistics: Statistics, turned: NDArray[np.bool_], along: Along
) -> Measured:
    rest, own, raw = _likeness(statistics, turned)
    if rest is None or own is None or rest <= 0:
        return Measured(
            said="Not measured: there are no frames at rest, no turned ones, or nothing in them."
        )
    value = own / rest
    said = (
        f"Turned frames correlate with the sample at rest by {own:.2f} (median), frames at "
        f"rest by {rest:.2f}."
    )
    likeness = np.where(along.segments.rest | _means_fit(along), np.nan, along.likeness)
    others = np.flatnonzero(np.isfinite(likeness + along.likeness_sd))
    if len(others):
        worst = int(others[np.argmin(likeness[others])])
        least, sd = float(likeness[worst]), float(along.likeness_sd[worst])
        # The worst of several is lower by chance.
        if least < value - max(WORST_ERRORS * sd, WORST_PART * value):
            value = least
            said += (
                f" The worst is {along.place(worst)}: {100 * least:.0f} % of what frames at "
                "rest do."
            )
    every = likeness + WORST_ERRORS * along.likeness_sd
    return Measured(value=value, before=None if raw is None else raw / rest, said=said, along=every)


def _means_fit(along: Along) -> NDArray[np.bool_]:
    """Tell the segments whose mean image is as like the sample at rest as those of others are.

    Frames of one angle may correlate less than others only because their noise is smoothed less,
    or since less of the sample is seen; their mean has hardly any noise.
    """
    others = along.correlation[~along.segments.rest]
    usual = _median(others)
    if usual is None:
        return np.zeros(len(along), np.bool_)
    return np.asarray(along.correlation > (1 - WORST_PART) * usual)


def _ptd(blob: MostDetectedBlob | None, raw_blob: MostDetectedBlob | None) -> Measured:
    if blob is None or raw_blob is None:
        return Measured(said="Not measured: there are too few mean images by angle.")
    if not len(blob.images):
        return Measured(said="Not measured: no blob was detected in several mean images.")
    return Measured(
        value=blob.ptd,
        before=raw_blob.ptd if len(raw_blob.images) else None,
        said=f"The most detected blob is seen in {100 * blob.share:.0f} % of the mean images by "
        f"angle; its places lie {blob.ptd:.2f} px apart on average.",
    )


def _sharpness_gain(statistics: Statistics) -> Measured:
    always = np.isfinite(statistics.turned_mean) & np.isfinite(statistics.rest)
    if len(statistics.seen):
        always &= statistics.seen.all(axis=0)
    if not len(statistics.angle) or always.mean() < MIN_SEEN:
        return Measured(said="Not measured: hardly any part of the picture is always seen.")
    after, before = (
        _sharpness(image, always) for image in (statistics.turned_mean, statistics.raw_turned_mean)
    )
    if before <= 0:
        return Measured(said="Not measured: there is nothing in the picture.")
    gain = after / before
    return Measured(
        value=gain, said=f"The mean of all turned frames is {gain:.1f} times as sharp as before."
    )


def _sharpness(image: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    """Give the mean squared slope, slightly smoothed against noise."""
    filled = np.where(np.isfinite(image), image, image[inside].mean())
    slopes = np.gradient(ndimage.gaussian_filter(filled, 1.0))
    return float(
        np.mean((slopes[0] ** 2 + slopes[1] ** 2)[ndimage.binary_erosion(inside, iterations=3)])
    )


def _usual_coverage(statistics: Statistics, turned: NDArray[np.bool_]) -> Measured:
    median = _median(statistics.coverage[turned])
    if median is None:
        return Measured(
            said="Not measured: no usable frame was recorded while the sample was turned."
        )
    said = f"A turned frame sees {100 * median:.0f} % of the picture (median)."
    return Measured(value=median, said=said)


def _coverage(statistics: Statistics, turned: NDArray[np.bool_], along: Along) -> Measured:
    """Judge by the rotation or step that sees least, where there are several."""
    usual = _usual_coverage(statistics, turned)
    others = along.others[np.isfinite(along.coverage[along.others])]
    if usual.value is None or not len(others):
        return usual
    worst = int(others[np.argmin(along.coverage[others])])
    least = float(along.coverage[worst])
    return Measured(
        value=least,
        said=f"{usual.said[:-1]}; least is seen in {along.place(worst)}: {100 * least:.0f} %.",
        along=np.where(along.segments.rest, np.nan, along.coverage),
    )


def _calibration_doubts(calibration: Calibration) -> Measured:
    return Measured(value=float(not calibration.trusted), said=calibration.statement)


def _blobs(
    statistics: Statistics, threads: int
) -> tuple[MostDetectedBlob | None, MostDetectedBlob | None]:
    """Find the most detected blob in derotated and in raw mean images by angle."""
    if len(statistics.angle) < MIN_ANGLES:
        return None, None
    chosen = slice(None, None, -(-len(statistics.angle) // MAX_ANGLES))
    mean, raw_mean = statistics.mean[chosen], statistics.raw_mean[chosen]
    derotated = np.where(np.isfinite(mean), mean, statistics.offset)
    return (
        _most_detected(derotated, statistics.seen[chosen], threads),
        _most_detected(raw_mean, np.ones(raw_mean.shape, np.bool_), threads),
    )


def _most_detected(
    images: NDArray[np.float32], seen: NDArray[np.bool_], threads: int
) -> MostDetectedBlob:
    """Find the most detected blob; in large pictures, squares of pixels are averaged before.

    Blobs of the same size are looked for all the same, in a quarter of the time.
    """
    factor = max(min(images.shape[1:]) // BLOB_SIZE, 1)
    scales = {key: DEFAULT_BLOB_LOG[key] / factor for key in ("min_sigma", "max_sigma")}
    found = most_detected_blob(
        binned(images, factor).astype(np.float32),
        blob_log_kwargs=scales,
        dbscan_kwargs={"eps": DEFAULT_DBSCAN["eps"] / factor},
        seen=binned(seen, factor) == 1,
        threads=threads,
    )[0]
    return dataclasses.replace(
        found, ptd=found.ptd * factor, positions=found.positions * factor + (factor - 1) / 2
    )


def _median(values: NDArray[np.float64]) -> float | None:
    """Give the median of what is known; None if nothing is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None


def _counted(n: int, one: str, many: str | None = None) -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"
