"""The figures by which a derotated session is judged: what they are and what to do.

They stand in the order of causes: a wrong sign of the angles spoils all that come after it. Their
thresholds are settings: section ``quality`` of the configuration.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["SPECIFICATIONS", "Specification"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """What is fixed about a figure."""

    name: str
    """For programs; the key of its thresholds in the configuration."""
    title: str
    unit: str
    worse: Literal["high", "low"]
    """Which values are the worse ones."""
    meaning: str
    """What it is."""
    advice: str
    """What is likely wrong and what to do if it is not ok."""


SPECIFICATIONS = (
    Specification(
        name="direction_sign",
        title="Sign of the angles",
        unit="",
        worse="low",
        meaning="1 if turned frames fit with the sample at rest, -1 if they clearly fit better "
        "when they are turned the other way.",
        advice="The angles have the wrong sign: the picture turns twice as far instead of "
        "standing still. Flip angles.direction_sign.",
    ),
    Specification(
        name="clock_shift_frames",
        title="Shift of the clock",
        unit="frames",
        worse="high",
        meaning="By how many frames earlier or later the angles have to be taken for turned "
        "frames to fit best; 0 unless that is clearly better.",
        advice="The frame clock and the movie do not belong together: the movie lacks frames "
        "that the frame clock has counted, or has more of them. Look at the repairs of "
        "frame_clock in events.json, and whether a frame was lost when the movie was saved, cut "
        "or joined.",
    ),
    Specification(
        name="dark_frames_pct",
        title="Dark frames",
        unit="%",
        worse="high",
        meaning="Frames that are less than 0.3 times as bright as the brightest ones.",
        advice="Was the laser off, or the shutter closed? These frames show nothing of the "
        "sample; look at plots/coverage.png, and leave them out of the analysis.",
    ),
    Specification(
        name="unusable_frames_pct",
        title="Unusable frames",
        unit="%",
        worse="high",
        meaning="Frames in which some line has no angle; these lines stay blank.",
        advice="The ticks of a whole rotation could not be understood, or the recording cuts a "
        "rotation off: events.json names the rotation and says why; look at plots/signals.png.",
    ),
    Specification(
        name="ticks_inserted_pct",
        title="Missing ticks",
        unit="%",
        worse="high",
        meaning="Ticks of the motor that were missing in the signal and were inserted.",
        advice="Angles next to missing ticks are interpolated. Check the cable of "
        "rotation_ticks, signals.thresholds.rotation_ticks, and the sampling rate; the red "
        "triangles in plots/angles.png show where ticks were missing.",
    ),
    Specification(
        name="lines_repaired_pct",
        title="Repaired lines",
        unit="%",
        worse="high",
        meaning="Lines whose time was computed, since the line clock did not tell it.",
        advice="Look at the repairs of line_clock in events.json and at plots/signals.png.",
    ),
    Specification(
        name="rotation_error_deg",
        title="Degrees per rotation",
        unit="degrees",
        worse="high",
        meaning="By how much the degrees that the ticks tell differ from those asked for, in the"
        " worst rotation (of the protocol incremental: in the whole turn).",
        advice="Are signals.degrees_per_rotation and signals.rotation_increment those of the "
        "rig? Else the motor stopped early, or many ticks are missing: look at plots/angles.png.",
    ),
    Specification(
        name="anomalies",
        title="Oddities of the signals",
        unit="",
        worse="high",
        meaning="Kinds of oddities in the signals that were left as they are.",
        advice="They are listed under anomalies in events.json.",
    ),
    Specification(
        name="center_error_px",
        title="Error of the center",
        unit="px",
        worse="high",
        meaning="Distance of the center that was used from the one that fits best to some turned"
        " frames, if it is significant.",
        advice="Use center.method: registration, or a calibration of this very session.",
    ),
    Specification(
        name="tilt_left_px",
        title="Tilt left",
        unit="px",
        worse="high",
        meaning="By how much a tilt of the plane of rotation that is not corrected displaces "
        "points at the edge of the disc that is always seen, if it is significant.",
        advice="Set plane.correct: auto, or carry the calibration of an incremental session of "
        "the same day; plots/plane.png shows what was found.",
    ),
    Specification(
        name="turn_left_deg",
        title="Turn left in fast frames",
        unit="degrees",
        worse="high",
        meaning="By how much the fastest frames are left turned by a lag of the signals that is "
        "not corrected, if it is significant.",
        advice="The motor's signals come later (or earlier) than the motor moves: set "
        "angles.lag_ms: auto, and see whether line clock and frame clock are those of this movie.",
    ),
    Specification(
        name="residual_shift_px",
        title="Residual shift",
        unit="px",
        worse="high",
        meaning="Root mean square of the shift of the mean images at different angles against "
        "the sample at rest; before: of raw mean images turned back as a whole about the middle "
        "of the picture.",
        advice="Look at plots/residual_shift.png: a wave with one period per turn is a wrong "
        "center (center.method) or a wobbling axis (wobble.correct), with two a tilted plane "
        "(plane.correct).",
    ),
    Specification(
        name="rotating_correlation",
        title="Likeness of rotating frames",
        unit="",
        worse="low",
        meaning="Correlation of turned frames with the sample at rest, in units of that of "
        "frames at rest (medians); before: of raw frames.",
        advice="Turned frames do not show what frames at rest show: look at "
        "plots/contact_sheet.png and plots/mean_by_angle.png.",
    ),
    Specification(
        name="ptd_px",
        title="Spread of the most detected blob",
        unit="px",
        worse="high",
        meaning="Point-to-point distance (PTD) of the blob that is seen in most of the mean "
        "images by angle; before: in the raw ones.",
        advice="Cells do not stay in their places: look at plots/blob.png.",
    ),
    Specification(
        name="sharpness_gain",
        title="Sharpness gain",
        unit="",
        worse="low",
        meaning="Mean squared slope of the mean of all turned frames, derotated, in units of the"
        " raw one's.",
        advice="The mean image is hardly sharper than before: compare both in "
        "plots/before_after.png.",
    ),
    Specification(
        name="coverage",
        title="Coverage",
        unit="",
        worse="low",
        meaning="Part of the picture that a turned frame sees (median).",
        advice="Much of the picture turns out of the field of view: the center of rotation lies "
        "far from its middle. Bring the axis to the middle of the field, or analyze only what is "
        "always seen (images/coverage.tif).",
    ),
    Specification(
        name="calibration_doubts",
        title="Doubts about the calibration",
        unit="",
        worse="high",
        meaning="1 if the calibration says itself that it is not to be trusted.",
        advice="Look at plots/center.png, plots/plane.png and plots/wobble.png, or take the "
        "calibration of another session of the same day.",
    ),
)
