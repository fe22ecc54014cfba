"""Tell uneven illumination from the sample, correct it, and compare with evenly lit recordings.

Each pattern of light falls on the same simulated samples, with photon noise and active cells. The
light found is compared with the true one, both without what is the same all around the center,
which cannot be told. Rotating frames, derotated, are compared with the noise-free, evenly lit
sample at rest at that moment (times what is the same all around the center), in the disc that is
always seen; NRMSE is relative to the standard deviation of the sample there. `true light` is the
same with the gain of the true light: the best that any estimate could do, since dark places have
fewer photons.

With `--centers`, center, tilt and wobble are estimated with even and with uneven light, too.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from _common import add_quick, load, options, print_table, print_verdicts, write_json
from numpy.typing import NDArray
from scipy import ndimage

from derotation.calibration import Calibration
from derotation.calibration.center import estimate_center
from derotation.calibration.plane import estimate_plane
from derotation.calibration.wobble import estimate_wobble
from derotation.io.movie import Movie, open_movie
from derotation.io.signals import open_signals
from derotation.io.stimulus import read_stimulus
from derotation.light.illumination import estimate_illumination
from derotation.signals.angles import Angles, interpolate_angles
from derotation.signals.parse import parse_signals
from derotation.simulate import simulate_recording
from derotation.simulate.recording import Recording
from derotation.simulate.writing import write_recording
from derotation.streaming.single_pass import derotate_movie

PATTERNS = ("even", "uneven", "gradient", "shadow", "sector")
STIMULUS = ((200, 1), (100, -1), (200, -1), (100, 1), (50, 1))
# Of the evenly lit case.
TARGET = 1.2
# Frames that are compared, spread over those that rotate.
N_COMPARED = 40


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11, 12])
    parser.add_argument("--size", type=int, default=192, help="pixels along a side")
    parser.add_argument("--photons", type=float, default=10.0, help="of a typical cell's pixel")
    parser.add_argument("--centers", action="store_true")
    given = parser.parse_args()
    size, seeds = (64, given.seeds[:1]) if given.quick else (given.size, given.seeds)
    patterns = ("even", "uneven") if given.quick else PATTERNS
    rows, centers = [], []
    for seed in seeds:
        evenly_lit = float("nan")
        for pattern in patterns:
            row = measure(pattern, seed, size, given.photons, given.centers)
            centers += row.pop("geometry")
            if pattern == "even":
                evenly_lit = row["nrmse_corrected"]
            row["nrmse_evenly_lit"] = evenly_lit
            rows.append(row)
    columns = {
        "light": "pattern", "seed": "seed", "its rms (%)": "light_percent",
        "found": "uneven", "error rms (%)": "error_percent", "stated (%)": "stated_percent",
        "as recorded": "nrmse_recorded", "corrected": "nrmse_corrected",
        "true light": "nrmse_true_light", "evenly lit": "nrmse_evenly_lit",
        "explained": "explained", "CPU (s)": "cpu_s",
    }  # fmt: skip
    print_table(
        f"Light, and NRMSE of rotating frames ({load()})",
        tuple(columns),
        [[row[name] for name in columns.values()] for row in rows],
    )
    if centers:
        print_table(
            "Errors of center (px), tilt (degrees) and wobble (px)",
            ("light", "seed", "center x", "center y", "tilt", "wobble"),
            [[c[k] for k in ("pattern", "seed", "x", "y", "tilt", "wobble")] for c in centers],
        )
    uneven = [row for row in rows if row["pattern"] != "even"]
    even = [row for row in rows if row["pattern"] == "even"]
    default = [row for row in uneven if row["pattern"] == "uneven"]
    verdicts = print_verdicts(
        [
            ("NRMSE of corrected frames / evenly lit, uneven",
             max(r["nrmse_corrected"] / r["nrmse_evenly_lit"] for r in default), "<=", TARGET),
            ("the same / corrected by the true light, all patterns",
             max(r["nrmse_corrected"] / r["nrmse_true_light"] for r in uneven), "<=", TARGET),
            ("even light that was taken for uneven", sum(r["uneven"] for r in even), "<=", 0),
            ("uneven light that was missed", sum(not r["uneven"] for r in uneven), "<=", 0),
        ]
    )  # fmt: skip
    write_json(given.json, {"rows": rows, "geometry": centers, "targets": verdicts})


def measure(pattern: str, seed: int, size: int, photons: float, geometry: bool) -> dict[str, Any]:
    """Simulate a session, estimate its light, correct it and compare."""
    recording = simulate_recording(
        shape=(size, size),
        n_cells=max(60 * size**2 // 256**2, 15),
        center_offset=(0.03 * size, -0.02 * size),
        stimulus=STIMULUS[:3] if size < 100 else STIMULUS,
        illumination=pattern,
        photons_per_pixel=photons,
        seed=seed,
        threads=2,
    )
    true_light = without_symmetric_part(recording.plan.illumination, recording.center)
    inside = always_seen(recording)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_recording(recording, folder)
        with open_movie(folder / "movie.tif") as movie:
            angles = read_angles(folder, movie)
            calibration = Calibration(
                center=recording.center, image_shape=(size, size), method="fixed"
            )
            began = time.process_time()
            found = estimate_illumination(movie, angles, calibration, threads=1)
            cpu_s = time.process_time() - began
            gains = {
                "recorded": {},
                "corrected": {"gain": found.gain, "offset": found.offset},
                "true_light": {"gain": (1 / true_light).astype(np.float32), "offset": 100.0},
            }
            nrmse = {}
            for key, gain in gains.items():
                still = folder / f"{key}.tif"
                derotate_movie(movie, angles, calibration, still, threads=2, **gain)
                nrmse[f"nrmse_{key}"] = compare(recording, angles, still, true_light, inside)
            bias = list(geometry_errors(movie, angles, recording)) if geometry else []
    error = found.light[inside] / true_light[inside] - 1
    summary = found.dark_angles.summary()
    return {
        "pattern": pattern,
        "seed": seed,
        "light_percent": 100 * rms(true_light[inside] - 1),
        "uneven": bool(found.uneven),
        "error_percent": 100 * rms(error),
        "stated_percent": 100 * rms(found.light_sd[inside]),
        **nrmse,
        "explained": summary["blobs_explained_by_illumination"],
        "cpu_s": cpu_s,
        "geometry": [{"pattern": pattern, "seed": seed, **one} for one in bias],
    }


def read_angles(folder: Path, movie: Movie) -> Angles:
    """Parse the signals of a session and interpolate its angles."""
    events = parse_signals(
        open_signals(folder / "signals.npy"),
        n_frames=len(movie),
        lines_per_frame=movie.shape[1],
        sampling_rate=50_000,
        protocol="full",
        stimulus=read_stimulus(folder / "stimulus.csv"),
        config={},
    )
    return interpolate_angles(events, protocol="full")


def geometry_errors(
    movie: Movie, angles: Angles, recording: Recording
) -> Iterator[dict[str, float]]:
    """Estimate center, tilt and wobble; there is neither tilt nor wobble."""
    center = estimate_center(movie, angles, threads=2).calibration
    plane = estimate_plane(movie, angles, center, threads=2)
    wobble = estimate_wobble(movie, angles, plane.calibration, threads=2)
    x, y = wobble.calibration.center
    yield {
        "x": x - recording.center[0],
        "y": y - recording.center[1],
        "tilt": plane.calibration.plane_angle,
        "wobble": float(np.abs(wobble.curve).max()) if wobble.corrected else 0.0,
    }


def without_symmetric_part(light: NDArray[Any], center: tuple[float, float]) -> NDArray[Any]:
    """Divide light by its geometric mean along each circle, by sampling the circles."""
    logarithm = np.log(light)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    around = np.radians(np.arange(720) / 2)
    radii = np.arange(0, max(light.shape), 0.5)[:, None]
    circles = [center[1] + radii * np.sin(around), center[0] + radii * np.cos(around)]
    mean = ndimage.map_coordinates(logarithm, circles, order=3, mode="nearest").mean(axis=1)
    away = np.hypot(x - center[0], y - center[1])
    return np.exp(logarithm - np.interp(away, radii[:, 0], mean))


def always_seen(recording: Recording) -> NDArray[np.bool_]:
    """Mark the largest disc about the center that stays in the picture, less 1 px."""
    height, width = recording.movie.shape[1:]
    x, y = recording.center
    rows, columns = np.mgrid[:height, :width]
    return np.hypot(columns - x, rows - y) <= min(x, y, width - 1 - x, height - 1 - y) - 1


def compare(
    recording: Recording,
    angles: Angles,
    still: Path,
    true_light: NDArray[Any],
    inside: NDArray[np.bool_],
) -> float:
    """Give the mean NRMSE of rotating frames."""
    plan = recording.plan
    symmetric = plan.illumination / true_light
    rotating = np.flatnonzero(np.ptp(angles.line_angles, axis=1) > 0)
    chosen = rotating[np.linspace(0, len(rotating) - 1, N_COMPARED).round().astype(int)]
    errors = []
    for frame in np.unique(chosen):
        expected = 100 + (plan.resting_frame(int(frame)) - 100) * symmetric
        error = tifffile.imread(still, key=int(frame)).astype(float) - expected
        errors.append(rms(error[inside]) / float(np.std(expected[inside])))
    return float(np.mean(errors))


def rms(values: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


if __name__ == "__main__":
    main()
