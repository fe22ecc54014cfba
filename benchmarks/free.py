"""Samples that turn in any way: the angle of each source, and what the movie tells without a rest.

    python benchmarks/free.py [--quick] [--only angles | movies]

Angles: quadrature encoder, table and voltage against the simulated motion, per line. Movies of the
protocol free, 12 px off center, 10 photons per pixel, known angles: a sinusoid that is never at
rest, a sample turned freely, and one that is tilted; center, tilt, and the mean of all derotated
frames against the noiseless sample.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from _common import add_quick, load, options, print_table, print_verdicts, write_json
from numpy.typing import NDArray

from derotation.calibration import Calibration
from derotation.calibration.center import estimate_center
from derotation.calibration.plane import estimate_plane
from derotation.io.angle_table import read_angle_table
from derotation.io.movie import Movie, open_movie
from derotation.io.signals import AnalogSignals
from derotation.maps.discs import seen_radius
from derotation.maps.line_maps import LineMaps
from derotation.signals.angles import Angles, interpolate_angles
from derotation.signals.parse import parse_signals
from derotation.simulate import FreeTurning, Recording, Sinusoid, simulate_recording
from derotation.simulate.free_motion import Motion
from derotation.simulate.rig_signals import pulse_volts, quadrature_pulses, voltage_samples

RATE = 50_000
OFF_CENTER = (12 / np.sqrt(2), -12 / np.sqrt(2))
COUNTS = (1000, 4000, 8000)
CLOCKS = ("line_clock", "frame_clock")
SINUSOID = Sinusoid(amplitude=90, frequency=0.1)


def main() -> int:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--only", choices=("angles", "movies"))
    asked = parser.parse_args()
    print(load())
    figures: dict[str, Any] = {"targets": []}
    checks: list[tuple[str, float, str, float]] = []
    if asked.only != "movies":
        figures["angles"] = rows = angle_rows(5.0 if asked.quick else 20.0)
        header = ("source", "motion", "rms (degrees)", "largest", "target")
        print_table("Angle of each line", header, [list(row.values()) for row in rows])
        checks += [
            (f"{row['source']}, {row['motion']}: rms (degrees)", row["rms"], "<=", row["target"])
            for row in rows
        ]
    if asked.only != "angles":
        figures["movies"] = rows = [
            movie_row(name, asked) for name in ("sinusoid", "free", "tilted")
        ]
        columns = ("movie", "frames", "center error (px)", "said (px)", "tilt found", "correlation",
                  "seconds")  # fmt: skip
        print_table("Movies", columns, [list(row.values()) for row in rows])
        if not asked.quick:
            checks += _movie_checks({row["movie"]: row for row in rows})
    figures["targets"] = print_verdicts(checks)
    write_json(asked.json, figures)
    return 0


def _movie_checks(of: Mapping[str, dict[str, Any]]) -> list[tuple[str, float, str, float]]:
    return [
        ("sinusoid: center error (px)", of["sinusoid"]["center_px"], "<=", 0.05),
        ("free: center error (px)", of["free"]["center_px"], "<=", 0.1),
        ("free: correlation of the mean", of["free"]["correlation"], ">=", 0.99),
        ("tilted: error of 15 degrees", abs(of["tilted"]["tilt"] - 15), "<=", 1.0),
    ]


# Angles


def motions(seconds: float) -> dict[str, Motion]:
    return {"sinusoid": SINUSOID, "free": FreeTurning(duration=seconds, top_speed=300, seed=4)}


def angle_rows(seconds: float) -> list[dict[str, Any]]:
    """Compare the angles that each source tells with the motion, line by line."""
    rows = []
    for name, motion in motions(seconds).items():
        recording = simulate_recording(
            protocol="free", motion=motion, n_frames=int(10 * seconds), shape=(64, 8), n_cells=1,
            frame_rate=10, sampling_rate=RATE, calcium=False, lead_s=0.2, tail_s=0.2,
        )  # fmt: skip
        duration = recording.plan.analog.n_samples / RATE
        for counts in COUNTS:
            pulses = quadrature_pulses(
                motion, counts_per_turn=counts, duration=duration, bounce=0.1
            )
            volts = pulse_volts(
                pulses, n_samples=recording.plan.analog.n_samples, sampling_rate=RATE
            )
            settings = {"source": "quadrature", "quadrature": {"counts_per_turn": counts}}
            target = 360 / counts / 4  # a quarter of a count
            source = f"quadrature, {counts} counts"
            rows.append(_angle_row(source, name, recording, volts, settings, target))
        volts = {
            "angle_voltage": voltage_samples(
                motion, degrees_per_volt=36, range_v=(-5.0, 5.0), sampling_rate=RATE,
                n_samples=recording.plan.analog.n_samples, noise_v=0.005,
            )
        }  # fmt: skip
        settings = {"source": "voltage", "voltage": {"degrees_per_volt": 36}}
        rows.append(_angle_row("voltage, 5 mV of noise", name, recording, volts, settings, 0.05))
        rows.append(_angle_row("table over time", name, recording, {}, {"source": "table"}, 0.02))
    return rows


def _angle_row(
    source: str,
    name: str,
    recording: Recording,
    channels: Mapping[str, NDArray[np.floating[Any]]],
    settings: Mapping[str, Any],
    target: float,
) -> dict[str, Any]:
    analog = recording.plan.analog
    rows = {role: np.asarray(analog.channel(role), np.float32) for role in CLOCKS} | dict(channels)
    table = None
    if settings["source"] == "table":
        rows["spare"] = np.zeros(analog.n_samples, np.float32)
        with tempfile.TemporaryDirectory() as folder:
            at = np.arange(0, analog.n_samples / RATE, 0.005)
            motion = recording.plan.motor
            path = Path(folder) / "angles.npy"
            np.save(path, np.column_stack([at, motion.angle(at)]))
            table = read_angle_table(path)
    signals = AnalogSignals(
        Path("signals.npy"),
        np.stack(list(rows.values())).astype(np.float32),
        {role: k for k, role in enumerate(rows)},
    )
    events = parse_signals(
        signals, n_frames=len(recording.movie), lines_per_frame=64, sampling_rate=RATE,
        protocol="free", angles=settings, table=table,
    )  # fmt: skip
    found = interpolate_angles(events, protocol="free", config=settings).line_angles
    off = (found - recording.line_angles + 180) % 360 - 180
    # Angle 0 is that of the first frame.
    off -= np.mean(off)
    return {
        "source": source,
        "motion": name,
        "rms": float(np.std(off)),
        "largest": float(np.abs(off).max()),
        "target": target,
    }


# Movies


def movie_row(name: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Find center and tilt of a movie, and average its derotated frames."""
    side, n_frames = (64, 50) if asked.quick else (192, 300)
    motion: Motion = SINUSOID
    if name != "sinusoid":
        motion = FreeTurning(duration=n_frames / 10 + 1, top_speed=300, seed=4, rest_fraction=0.0)
    recording = simulate_recording(
        protocol="free", motion=motion, n_frames=n_frames, shape=(side, side), frame_rate=10,
        photons_per_pixel=10, center_offset=tuple(np.multiply(OFF_CENTER, side / 192)),
        plane_angle=15 if name == "tilted" else 0, plane_orientation=30, n_cells=side // 3, seed=6,
        scene_seed=2,
    )  # fmt: skip
    angles = angles_of(recording)
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "movie.tif"
        tifffile.imwrite(path, recording.movie, photometric="minisblack")
        with open_movie(path) as movie:
            center = estimate_center(movie, angles)
            plane = estimate_plane(movie, angles, center.calibration)
            seconds = time.process_time() - begin
            calibration = plane.calibration
            correlation = mean_correlation(movie, angles, calibration, recording)
    error = np.hypot(*np.subtract(calibration.center, recording.center))
    sd = calibration.center_sd or (np.nan, np.nan)
    return {
        "movie": name,
        "frames": n_frames,
        "center_px": float(error),
        "sd_px": float(np.hypot(*sd)),
        "tilt": float(calibration.plane_angle),
        "correlation": correlation,
        "seconds": seconds,
    }


def angles_of(recording: Recording) -> Angles:
    """Give the true angles as a table of one per line tells them."""
    rate = recording.sampling_rate
    plan = recording.plan
    table_at = plan.line_start + plan.line_duration / 2
    true = plan.motor.angle(table_at)
    shape = true.shape
    return Angles(
        line_angles=true,
        frame_angles=true[:, shape[1] // 2],
        line_start=recording.line_start * rate,
        frame_start=recording.line_start[:, 0] * rate,
        line_duty=plan.line_duration / plan.line_period,
        line_reference="middle",
        sampling_rate=rate,
        frame_rate=10.0,
        line_usable=np.ones(shape, np.bool_),
        flags=np.full(shape, 2, np.uint8),
        rotation=np.zeros(shape[0], np.int32),
        direction=np.ones(shape[0]),
        speed=np.full(shape[0], 100.0),
    )


def mean_correlation(
    movie: Movie, angles: Angles, calibration: Calibration, recording: Recording
) -> float:
    """Correlate the mean of all derotated frames with the noiseless sample at rest."""
    maps = LineMaps.of(angles, calibration)
    total, count = np.zeros(movie.shape[1:]), np.zeros(movie.shape[1:])
    for first, block in movie.chunks(32):
        found = maps.derotate(
            block, slice(first, first + len(block)), dtype=np.float32, keep_seen=True
        )
        assert found.seen is not None
        total += np.where(found.seen, found.frames, 0).sum(axis=0)
        count += found.seen.sum(axis=0)
    x, y = recording.center
    yy, xx = np.indices(total.shape)
    inside = np.hypot(yy - y, xx - x) < seen_radius(np.asarray(recording.center), total.shape) - 1
    return correlated([total[inside] / count[inside], recording.plan.rest_image[inside]])


def correlated(pictures: Sequence[NDArray[np.float64]]) -> float:
    return float(np.corrcoef(pictures)[0, 1])


if __name__ == "__main__":
    sys.exit(main())
