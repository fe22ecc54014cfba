"""A session through the steps of the workflow, without their files and plots."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derotation.calibration.calibration import Calibration
from derotation.calibration.center import estimate_center
from derotation.calibration.sequence import estimate_corrections
from derotation.calibration.sign import check_direction_sign
from derotation.cohort.config import validate_config
from derotation.images.scanning import estimate_scan, with_scan
from derotation.io.movie import Movie, open_movie
from derotation.io.signals import open_signals
from derotation.io.stimulus import read_stimulus
from derotation.light.illumination import estimate_illumination
from derotation.motion_correction.estimate import MotionEstimate, estimate_motion
from derotation.quality.measure import measure_quality
from derotation.signals.angles import Angles, interpolate_angles
from derotation.signals.events import Events
from derotation.signals.parse import parse_signals
from derotation.streaming.single_pass import derotate_movie


@dataclass(frozen=True)
class Processed:
    """What the steps found."""

    angles: Angles
    calibration: Calibration
    motion: MotionEstimate | None
    quality: Any


def process(
    folder: Path, sections: Mapping[str, Any], protocol: Any, *, bidirectional: bool | None = None
) -> Processed:
    """Do what the steps of the workflow do with ``movie.tif`` and ``signals.npy`` of a folder.

    `bidirectional`: what the movie's file says of its scan.
    """
    config = validate_config(dict(sections))
    with open_movie(folder / "movie.tif") as movie:
        events = read_events(folder, movie, config, protocol)
        angles = interpolate_angles(events, protocol=protocol, config=config["angles"])
        both = config["scan"]["bidirectional"]
        scan = estimate_scan(
            movie,
            angles,
            bidirectional=bidirectional if both is None else both,
            asked=config["scan"]["bidi_phase"],
        )
        angles = with_scan(angles, scan)
        if config["center"]["method"] != "fixed":
            check_direction_sign(movie, angles)
        found = estimate_center(movie, angles, config["center"]).calibration
        found, _ = estimate_corrections(movie, angles, found, config, session="s", threads=1)
        gain: dict[str, Any] = {}
        if config["illumination"]["correct"] == "auto":
            light = estimate_illumination(movie, angles, found, config["illumination"])
            if light.uneven:
                gain = {"gain": light.gain, "offset": light.offset}
        motion = None
        if config["motion_correction"]["correct"] == "auto":
            asked = {"n_frames": config["motion_correction"]["n_frames"]}
            motion = estimate_motion(movie, angles, found, asked)
        path = motion.motion if motion is not None else None
        result = derotate_movie(movie, angles, found, None, motion=path, **gain)
    quality = measure_quality(
        result.statistics,
        events,
        angles,
        found,
        session="s",
        protocol=protocol,
        config=config["quality"],
        motion=path,
    )
    return Processed(angles, found, motion, quality)


def read_events(folder: Path, movie: Movie, config: Mapping[str, Any], protocol: Any) -> Events:
    """Parse the signals of a folder; the stimulus table is read where there is one."""
    table = folder / "stimulus.csv"
    return parse_signals(
        open_signals(folder / "signals.npy"),
        n_frames=len(movie),
        lines_per_frame=movie.shape[1],
        sampling_rate=config["signals"]["sampling_rate"],
        protocol=protocol,
        stimulus=read_stimulus(table) if protocol == "full" else None,
        config=config["signals"],
    )
