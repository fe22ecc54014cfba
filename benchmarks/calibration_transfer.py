"""Calibrate by an incremental session and derotate the full session of the same day with it.

Both are simulated with the same sample, a tilted plane, the center off the middle, photon noise
and active cells. What is left is the shift of the mean image of all turned frames in each sector
against the frames at rest, by upsampled phase correlation, which the calibration does not use.
"""

import tempfile
from pathlib import Path

import numpy as np
from _common import add_quick, options, print_table, write_json
from skimage.registration import phase_cross_correlation

from derotation.calibration import Calibration
from derotation.calibration.center import estimate_center
from derotation.calibration.plane import estimate_plane
from derotation.io.movie import Movie, open_movie
from derotation.io.signals import open_signals
from derotation.io.stimulus import read_stimulus
from derotation.maps.line_maps import LineMaps
from derotation.signals.angles import Angles, interpolate_angles
from derotation.signals.parse import parse_signals
from derotation.simulate import simulate_session

STIMULUS = ((200, 1), (100, -1), (200, -1), (100, 1))
TARGET_PX = 0.15
SECTOR = 30


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    given = parser.parse_args()
    # A quick run rests at each step for 3 frames instead of 6.
    size, rest_s = (96, 0.5) if given.quick else (256, 1.0)
    sample = {
        "shape": (size, size),
        "center_offset": (7.0 * size / 256, -5.0 * size / 256),
        "plane_angle": 25.0,
        "plane_orientation": 40.0,
        "n_cells": 60 if size > 100 else 25,
        "seed": 5,
        "threads": 2,
    }
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder) / "incremental", Path(folder) / "full"
        simulate_session(one, protocol="incremental", step_rest_s=rest_s, **sample)
        simulate_session(other, protocol="full", stimulus=STIMULUS, **sample)
        calibration = calibrate(one)
        rows = residual_shifts(other, calibration)
    print_table("Shift left in the full session", ("angle", "frames", "x (px)", "y (px)"), rows)
    worst = max(float(np.hypot(x, y)) for _, _, x, y in rows)
    print(f"largest: {worst:.3f} px (target {TARGET_PX})")
    write_json(given.json, {"rows": rows, "worst_px": worst, "target_px": TARGET_PX})


def read_angles(folder: Path, movie: Movie, protocol: str) -> Angles:
    """Parse the signals of a session and interpolate its angles."""
    table = folder / "stimulus.csv"
    events = parse_signals(
        open_signals(folder / "signals.npy"),
        n_frames=len(movie),
        lines_per_frame=movie.shape[1],
        sampling_rate=50_000,
        protocol=protocol,
        stimulus=read_stimulus(table) if table.exists() else None,
        config={},
    )
    return interpolate_angles(events, protocol=protocol)


def calibrate(folder: Path) -> Calibration:
    """Find center and plane of an incremental session."""
    with open_movie(folder / "movie.tif") as movie:
        angles = read_angles(folder, movie, "incremental")
        center = estimate_center(movie, angles, threads=2).calibration
        return estimate_plane(movie, angles, center, threads=2).calibration


def residual_shifts(folder: Path, calibration: Calibration) -> list[tuple]:
    """Derotate a full session; the shift that is left in each sector of angles."""
    with open_movie(folder / "movie.tif") as movie:
        angles = read_angles(folder, movie, "full")
        frames = movie.read(np.arange(len(movie)))
    derotated = LineMaps.of(angles, calibration).derotate(
        frames, slice(None), dtype=np.float32, threads=2, keep_seen=True
    )
    at_rest = angles.at_rest
    always = derotated.seen.all(axis=0)
    window = always * np.outer(*(np.hanning(n) for n in always.shape))
    reference = derotated.frames[at_rest].mean(axis=0)

    def prepared(image: np.ndarray) -> np.ndarray:
        return (image - image[always].mean()) * window

    rows = []
    sector = np.floor(np.mod(angles.frame_angles, 360) / SECTOR).astype(int)
    for k in range(360 // SECTOR):
        mine = ~at_rest & (sector == k)
        if not mine.any():
            continue
        mean = derotated.frames[mine].mean(axis=0)
        (y, x), _, _ = phase_cross_correlation(
            prepared(reference), prepared(mean), upsample_factor=200, normalization=None
        )
        rows.append((f"{k * SECTOR} to {(k + 1) * SECTOR}", int(mine.sum()), float(-x), float(-y)))
    return rows


if __name__ == "__main__":
    main()
