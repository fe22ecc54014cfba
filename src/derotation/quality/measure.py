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

import numpy as np
from numpy.typing import NDArray

from derotation.calibration.calibration import Calibration
from derotation.images.ptd import MostDetectedBlob
from derotation.io.files import write_json
from derotation.maps.line_maps import LineMaps
from derotation.motion_correction.motion import Motion
from derotation.quality.along import Along, measure_along
from derotation.quality.angle_difference import angle_difference
from derotation.quality.blob_figures import most_detected_blobs, point_to_point_distance
from derotation.quality.calibration_figures import (
    angle_figures,
    calibration_doubts,
    fit_of_turned_frames,
)
from derotation.quality.change_figures import (
    brightness_fall,
    brightness_jump,
    focus_sharpness,
    zoom_change,
)
from derotation.quality.figures import SPECIFICATIONS, Measured, Specification
from derotation.quality.frame_figures import (
    coverage,
    dark_frames,
    residual_shift,
    rotating_correlation,
    sharpness_gain,
    usual_coverage,
)
from derotation.quality.judge import Figure, Flag, blame, flagged, movement_counts, weighed
from derotation.quality.jump_and_drift import sample_moved
from derotation.quality.light import uneven_light
from derotation.quality.motion import apparent_center_error, motion_figures
from derotation.quality.residual import ResidualShift, measure_residual_shift
from derotation.quality.scan_figures import (
    bidi_phase,
    bidi_phase_change,
    frame_rate_error,
    saturated,
)
from derotation.quality.signal_figures import (
    Protocol,
    anomalies,
    lines_repaired,
    rotation_error,
    ticks_inserted,
    unusable_frames,
)
from derotation.settings.defaults import complete
from derotation.signals.angles import Angles
from derotation.signals.events import Events
from derotation.signals.repairs import turn_word
from derotation.signals.segments import Segments
from derotation.streaming.statistics import Statistics

__all__ = ["SPECIFICATIONS", "Figure", "Quality", "Specification", "measure_quality"]

logger = logging.getLogger(__name__)

KIND = "derotation quality"
VERSION = 1


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
    blob, raw_blob = most_detected_blobs(statistics, threads)
    segments = Segments.of(lines)
    turned = np.asarray(lines.line_usable.all(axis=1) & ~segments.at_rest)
    found = fit_of_turned_frames(statistics, line_maps, calibration, segments, threads)
    along = measure_along(
        statistics, lines, segments, found.trials, word=turn_word(protocol), threads=threads
    )
    places = None
    if motion is not None and motion.corrected:
        places = motion.displacement(lines.frame_times_s)
    moved = sample_moved(along, statistics, angles, places, trusted=calibration.trusted)
    measured = {
        **angle_figures(found, along, lines),
        **found.left,
        "scan_directions_px": found.directions,
        **motion_figures(motion, lines),
        **_of_the_recording(statistics, events, angles, along, moved, free=protocol == "free"),
        **_of_the_light(statistics, lines, calibration, along),
        **_of_the_signals(events, lines, protocol, degrees_per_rotation),
        **_of_the_frames(statistics, turned, along),
        "residual_shift_px": residual_shift(residual, along),
        "ptd_px": point_to_point_distance(blob, raw_blob),
        "calibration_doubts": calibration_doubts(calibration),
    }
    seeming = apparent_center_error(motion, lines)
    center_found = measured["center_error_px"].value
    if seeming is not None and (center_found is None or center_found < (seeming.value or 0)):
        measured["center_error_px"] = seeming
    judged = [flagged(spec, measured[spec.name], thresholds[spec.name]) for spec in SPECIFICATIONS]
    edge = min(statistics.rest.shape) / 2
    figures = weighed(movement_counts(judged, measured, edge), measured)
    for spec in SPECIFICATIONS:
        blame(along, spec, measured[spec.name], thresholds[spec.name])
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


def _of_the_recording(
    statistics: Statistics,
    events: Events,
    angles: Angles,
    along: Along,
    moved: Measured,
    *,
    free: bool,
) -> dict[str, Measured]:
    """Measure what scanner, stage and sample did during the session."""
    return {
        "frame_rate_error_pct": frame_rate_error(statistics, events, angles),
        "bidi_phase_px": bidi_phase(statistics, angles),
        "sample_moved_px": moved,
        "bidi_phase_change_px": bidi_phase_change(statistics, angles, along, moved),
        "zoom_change_pct": zoom_change(along),
        "focus_sharpness": focus_sharpness(along),
        "angle_difference_deg": angle_difference(statistics, angles, along, events, free=free),
    }


def _of_the_light(
    statistics: Statistics, lines: Angles, calibration: Calibration, along: Along
) -> dict[str, Measured]:
    """Measure whether the picture was lit as it should be."""
    return {
        "saturated_pct": saturated(statistics),
        "brightness_jump_pct": brightness_jump(along),
        "brightness_fall_pct": brightness_fall(along),
        "uneven_light_pct": uneven_light(statistics, calibration.center),
        "dark_frames_pct": dark_frames(statistics, lines),
    }


def _of_the_signals(
    events: Events, lines: Angles, protocol: Protocol, degrees_per_rotation: float | None
) -> dict[str, Measured]:
    """Measure how good the signals were."""
    return {
        "unusable_frames_pct": unusable_frames(lines),
        "ticks_inserted_pct": ticks_inserted(events),
        "lines_repaired_pct": lines_repaired(events),
        "rotation_error_deg": rotation_error(events, protocol, degrees_per_rotation),
        "anomalies": anomalies(events),
    }


def _of_the_frames(
    statistics: Statistics, turned: NDArray[np.bool_], along: Along
) -> dict[str, Measured]:
    """Measure what the derotated frames are like."""
    return {
        "rotating_correlation": rotating_correlation(statistics, turned, along),
        "sharpness_gain": sharpness_gain(statistics),
        "coverage": coverage(statistics, turned, along),
    }


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
        "sharpness_gain": sharpness_gain(statistics),
        "coverage": usual_coverage(statistics, angles.turned),
    }
