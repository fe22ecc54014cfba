"""The figures by which a derotated session is judged: what they are and what to do.

They stand in the order of causes: a wrong sign of the angles spoils all that come after it. Their
thresholds are settings: section ``quality`` of the configuration.
"""

from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

__all__ = ["SPECIFICATIONS", "Measured", "Specification"]

# What is wrong if turned frames do not lie where they should; many causes lead to these.
_PLACES = (
    "center_error_px", "tilt_left_px", "turn_left_deg", "residual_shift_px", "rotating_correlation",
    "ptd_px", "sharpness_gain", "calibration_doubts",
)  # fmt: skip
_SEEN = "angle_difference_deg"


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
    explains: tuple[str, ...] = ()
    """Figures that follow from this one, if it is not ok: they give no advice of their own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """What came out for a figure, before it is judged."""

    value: float | None = None
    before: float | None = None
    said: str
    """What was found; or why nothing was, without a value."""
    cause: str = ""
    """What this session shows about the cause, said only if the figure is not ok."""
    advice: str | None = None
    """What to do about that; None: what usually helps."""
    explains: tuple[str, ...] = ()
    """Figures that follow from this one in this session, besides those that always do."""
    along: NDArray[Any] | None = None
    """The figure of each segment; NaN where it says nothing about one."""


SPECIFICATIONS = (
    Specification(
        name="other_picture",
        title="Rows and columns",
        unit="",
        worse="high",
        meaning="1 if turned frames clearly fit better with rows and columns exchanged, or with "
        "the lines from the last to the first.",
        advice="The movie is not stored as it was scanned: lines have to be rows, the first one on "
        "top. Was it flipped, turned or transposed when it was saved? movie.undo undoes that; "
        "angles.direction_sign may have to be set anew.",
        explains=("direction_sign", "rotations_flipped_pct", "clock_shift_frames", _SEEN, *_PLACES),
    ),
    Specification(
        name="direction_sign",
        title="Sign of the angles",
        unit="",
        worse="low",
        meaning="1 if turned frames fit with the sample at rest, -1 if they clearly fit better "
        "when they are turned the other way.",
        advice="The angles have the wrong sign: the picture turns twice as far instead of "
        "standing still. Flip angles.direction_sign.",
        explains=("rotations_flipped_pct", "clock_shift_frames", _SEEN, *_PLACES),
    ),
    Specification(
        name="rotations_flipped_pct",
        title="Rotations turned the wrong way",
        unit="%",
        worse="high",
        meaning="Frames in rotations that clearly fit better turned the other way, while others "
        "do not.",
        advice="Each of these turns twice as far instead of standing still. Compare their "
        "directions in the stimulus table with what the motor did.",
        explains=("clock_shift_frames", _SEEN, *_PLACES),
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
        explains=(_SEEN, *_PLACES),
    ),
    Specification(
        name="frame_rate_error_pct",
        title="Error of the rates",
        unit="%",
        worse="high",
        meaning="By how much the frame rate that the clocks tell differs from the one that the "
        "movie's files tell, or the speeds that the ticks tell from those of the stimulus table, "
        "whichever is more.",
        advice="Is signals.sampling_rate right, do the signals belong to this movie, and is "
        "signals.rotation_increment that of the rig?",
        explains=("turn_left_deg", _SEEN),
    ),
    Specification(
        name="dark_frames_pct",
        title="Dark frames",
        unit="%",
        worse="high",
        meaning="Frames that are less than 0.3 times as bright as the brightest ones.",
        advice="Was the laser off, or the shutter closed? These frames show nothing of the "
        "sample; look at plots/coverage.png, and leave them out of the analysis.",
        explains=("brightness_jump_pct", "brightness_fall_pct", "rotating_correlation"),
    ),
    Specification(
        name="saturated_pct",
        title="Saturated samples",
        unit="%",
        worse="high",
        meaning="Samples that have the highest value of the movie, if many have.",
        advice="The detector or its digitizer cannot tell these brightnesses apart, so that "
        "activity of bright cells is cut off: record with a lower gain or less laser power.",
        explains=(
            "uneven_light_pct",
            "focus_sharpness",
            "rotating_correlation",
            "ptd_px",
            "sharpness_gain",
            "residual_shift_px",
            "tilt_left_px",
        ),
    ),
    Specification(
        name="motion_left_px",
        title="Motion of the sample left",
        unit="px",
        worse="high",
        meaning="Root mean square of the sample's displacement in its own plane that is not "
        "corrected, beyond noise; before: of all its displacement.",
        advice="Set motion_correction.correct: auto if that is never; else frames say other things "
        "than the path through them (plots/motion.png): too little light, or no motion of the "
        "sample as a whole.",
        explains=("rotating_correlation", "ptd_px", "sharpness_gain"),
    ),
    Specification(
        name="motion_speed_px",
        title="Speed of the sample's motion",
        unit="px",
        worse="high",
        meaning="How far the sample moves in the time of one frame, at its fastest.",
        advice="Lines of one frame are torn apart, and only in part put back: fix the animal's "
        "head better, or record faster; plots/motion.png shows when.",
    ),
    Specification(
        name="lost_frames_pct",
        title="Frames that no shift can mend",
        unit="%",
        worse="high",
        meaning="Frames that look unlike the others wherever they are shifted to.",
        advice="The sample left the plane, or jumped within the frame; motion.csv lists these "
        "frames, and the export for Suite2p calls them bad.",
    ),
    Specification(
        name="bidi_phase_change_px",
        title="Change of the phase of the scan",
        unit="px",
        worse="high",
        meaning="By how much the displacement of odd lines against even ones at rest changes "
        "between parts of the session, if it is significant.",
        advice="One phase is corrected throughout. Did the scanner warm up, or was its phase set "
        "anew meanwhile? Analyze the parts before and after that apart.",
        explains=("bidi_phase_px", *_PLACES),
    ),
    Specification(
        name="sample_moved_px",
        title="Movement of the sample",
        unit="px",
        worse="high",
        meaning="By how much the rest that lies farthest off is shifted against the first one, "
        "after motion was corrected, or before that if it is too far to be corrected.",
        advice="Derotation puts lines back about a center that does not move: analyze the parts "
        "before and after that apart, or correct small motion (motion_correction); see "
        "plots/quality_over_time.png.",
        explains=("zoom_change_pct", "focus_sharpness", _SEEN, *_PLACES),
    ),
    Specification(
        name="zoom_change_pct",
        title="Change of scale",
        unit="%",
        worse="high",
        meaning="By how much the picture of a later rest is larger or smaller than that of the "
        "first one, at most.",
        advice="The zoom was changed, or the sample came nearer to the objective: analyze the "
        "parts before and after that apart.",
        explains=("focus_sharpness", _SEEN, *_PLACES),
    ),
    Specification(
        name="focus_sharpness",
        title="Sharpness of the worst segment",
        unit="",
        worse="low",
        meaning="Fine detail of the mean image of the least sharp rest (or rotation), in units of "
        "the sharpest ones.",
        advice="The sample went out of focus, or the picture is blurred by movement: leave these "
        "frames out, see plots/quality_over_time.png.",
        explains=_PLACES,
    ),
    Specification(
        name="brightness_jump_pct",
        title="Jump of brightness",
        unit="%",
        worse="high",
        meaning="Largest change of the brightness from one rest to the next.",
        advice="Was the laser's power or the detector's gain changed? Traces jump there: see "
        "plots/coverage.png.",
        explains=("brightness_fall_pct",),
    ),
    Specification(
        name="brightness_fall_pct",
        title="Bleaching",
        unit="%",
        worse="high",
        meaning="By how much the brightness falls from the session's beginning to its end, "
        "smoothly.",
        advice="The dye bleaches, or immersion is lost; angles and center are not concerned. "
        "Traces need a baseline that falls, too; less laser power keeps the dye.",
    ),
    Specification(
        name="unusable_frames_pct",
        title="Unusable frames",
        unit="%",
        worse="high",
        meaning="Frames in which some line has no angle; these lines stay blank.",
        advice="The ticks of a whole rotation could not be understood, or the recording cuts a "
        "rotation off: events.json names the rotation and says why; look at plots/signals.png.",
        explains=("anomalies", "rotation_error_deg", "coverage"),
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
        explains=("turn_left_deg", "anomalies"),
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
        name="scan_directions_px",
        title="Directions of the scan",
        unit="px",
        worse="high",
        meaning="By how much samples at the edge of fast frames are displaced, if turning frames "
        "contradict the directions of scanning that were used; by how much they may be, if nothing "
        "tells the directions.",
        advice="Set scan.bidirectional as the microscope scanned: true if every second line was "
        "recorded on the mirror's way back, else false.",
        explains=("bidi_phase_px",),
    ),
    Specification(
        name="angle_difference_deg",
        title="Seen against recorded angle",
        unit="degrees",
        worse="high",
        meaning="By how much the angle that the picture shows differs from the recorded one, "
        "against the session's first frames, in at least two of those that were compared in a row.",
        advice="The sample turned otherwise than the signals say: a rotation that the encoder "
        "missed, an angle after a stall, or a coupling that slips. Leave these frames out, or take "
        "the angle from the picture (angles.source: movie).",
        explains=_PLACES[3:],
    ),
    Specification(
        name="bidi_phase_px",
        title="Phase of the scan left",
        unit="px",
        worse="high",
        meaning="By how much odd lines are displaced against even ones at rest, beyond what is "
        "corrected, if it is significant.",
        advice="Set scan.bidi_phase: auto, and see whether scan.bidirectional is right: rows are "
        "no lines of the scan any more once the movie is derotated.",
        explains=_PLACES,
    ),
    Specification(
        name="center_error_px",
        title="Error of the center",
        unit="px",
        worse="high",
        meaning="Distance of the center that was used from the one that fits best to some turned"
        " frames, if it is significant.",
        advice="Use center.method: registration, or a calibration of this very session.",
        explains=_PLACES[1:],
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
        explains=(_SEEN, *_PLACES[2:]),
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
        explains=(_SEEN, *_PLACES[3:7]),
    ),
    Specification(
        name="uneven_light_pct",
        title="Uneven light",
        unit="%",
        worse="high",
        meaning="By how much the brightness of places changes while they turn under light that is "
        "not even (rms), as the derotated movie shows it: a false dF/F.",
        advice="Set illumination.correct: auto; plots/illumination.png shows the light.",
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
        "frames at rest (medians), in the worst rotation if that is clearly worse than others; "
        "before: of raw frames.",
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
        meaning="Part of the picture that a turned frame sees (median), in the rotation or step "
        "where it is least.",
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
