"""How often stated uncertainties hold: center, tilt, orientation, lag and wobble.

Small sessions are simulated to disk, each with its own tilt, lag, wobble, sample and noise. Signals
are parsed, and everything is estimated in the order of the workflow. An interval of 1.96 standard
uncertainties about an estimate should hold the truth in 95 of 100 sessions; at least 85 are asked.

Sessions without wobble tell about the center (a part of a wobble counts as center by definition).
"""

import logging
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from _common import add_quick, options, print_table, print_verdicts, write_json

from derotation.calibration import Calibration
from derotation.calibration.geometry import Geometry, coarse_center, refine
from derotation.calibration.lag import estimate_lag
from derotation.calibration.plane import estimate_plane
from derotation.calibration.wobble import estimate_wobble
from derotation.images.registration import Registration
from derotation.images.sample import read_sample
from derotation.io.movie import open_movie
from derotation.io.signals import open_signals
from derotation.io.stimulus import read_stimulus
from derotation.maps.line_maps import LineMaps
from derotation.maps.transforms import image_center, wobble_shifts
from derotation.signals.angles import Angles, interpolate_angles
from derotation.signals.parse import parse_signals
from derotation.simulate import simulate_session

SHAPE = (112, 112)
STIMULUS = ((150.0, 1), (200.0, -1), (120.0, -1), (180.0, 1))
PHOTONS = (2.0, 10.0, 100.0)
ENOUGH = 0.85
SMOOTHINGS = (2.5, 1.5, 1.5)  # px, one round each
CHANNELS = ("line_clock", "frame_clock", "rotation_on", "rotation_ticks")


def one_session(seed: int) -> dict[str, Any]:
    """Simulate a session and estimate everything; errors and stated uncertainties."""
    logging.disable(logging.WARNING)
    rng = np.random.default_rng(seed)
    wobbles = seed % 2 == 1
    truth = {
        "plane_angle": float(rng.uniform(8, 30)),
        "plane_orientation": float(rng.uniform(0, 180)),
        "lag_ms": float(rng.uniform(-4, 4)),
        "center_offset": tuple(rng.uniform(-4, 4, 2).tolist()),
        # Only what is no shift of the center, so that the truth can be compared.
        "wobble": [[0.0] * 4, rng.normal(0, 0.6, 4).tolist()] if wobbles else [],
    }
    with tempfile.TemporaryDirectory() as folder:
        files = simulate_session(
            Path(folder),
            shape=SHAPE,
            n_cells=30,
            stimulus=STIMULUS,
            rest_between_s=1.0,
            photons_per_pixel=PHOTONS[seed % len(PHOTONS)],
            seed=seed,
            **truth,
        )
        with open_movie(files["movie"]) as movie:
            return _estimate(movie, files, truth, PHOTONS[seed % len(PHOTONS)])


def _angles(movie: Any, files: dict[str, Path], lag_ms: float) -> Angles:
    events = parse_signals(
        open_signals(files["signals"], channel_order=CHANNELS),
        n_frames=movie.shape[0],
        lines_per_frame=movie.shape[1],
        sampling_rate=50_000.0,
        protocol="full",
        stimulus=read_stimulus(files["stimulus"]),
    )
    angles = interpolate_angles(events, protocol="full")
    if lag_ms:
        # Signals that come late tell the angle of a line so much later.
        shift = lag_ms / 1e3 * events.sampling_rate
        later = _with_line_start(events, events.line_start + shift)
        angles = interpolate_angles(later, protocol="full")
    return angles


def _with_line_start(events: Any, line_start: Any) -> Any:
    from dataclasses import replace

    return replace(events, line_start=line_start, frame_start=line_start[:, 0].copy())


def _estimate(
    movie: Any, files: dict[str, Path], truth: dict[str, Any], photons: float
) -> dict[str, Any]:
    angles = _angles(movie, files, 0.0)
    start = Calibration(
        center=image_center(SHAPE), image_shape=SHAPE, method="registration", center_sd=(1.0, 1.0)
    )
    plane = estimate_plane(movie, angles, start)
    lag = estimate_lag(movie, angles, plane.calibration)
    plane = estimate_plane(movie, angles, lag.calibration)
    wobble = estimate_wobble(movie, angles, plane.calibration)
    line_maps = LineMaps.of(angles, plane.calibration)
    registration = Registration(read_sample(movie, line_maps, 170), 1)
    start_of_center = coarse_center(registration, Geometry.of(plane.calibration))
    only_center = refine(registration, start_of_center, ("center",), SMOOTHINGS)

    center = np.array(image_center(SHAPE)) + truth["center_offset"]
    errors = {
        "tilt": (plane.plane_angle - truth["plane_angle"], plane.plane_sd[0]),
        "orientation": (
            (plane.plane_orientation - truth["plane_orientation"] + 90) % 180 - 90,
            plane.plane_sd[1],
        ),
        "lag": (lag.lag_ms - truth["lag_ms"], lag.lag_sd_ms),
    }
    if truth["wobble"]:
        true_curve = wobble_shifts(wobble.curve_angles, truth["wobble"])
        for angle in (90, 230):
            at = int(np.argmin(np.abs(wobble.curve_angles - angle)))
            for k, axis in enumerate("xy"):
                error = wobble.curve[at, k] - true_curve[at, k]
                errors[f"wobble {axis} at {angle}"] = (error, wobble.curve_sd[at, k])
    else:
        for k, axis in enumerate("xy"):
            error = only_center.geometry.center[k] - center[k]
            errors[f"center {axis}"] = (error, only_center.fit.sd[k])
    return {
        "photons": photons,
        "frames": movie.shape[0],
        "invented": bool(wobble.corrected and not truth["wobble"]),
        "missed": bool(truth["wobble"] and not wobble.corrected),
        "errors": {name: (float(e), float(s)) for name, (e, s) in errors.items()},
    }


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--sessions", type=int, default=100, help="number of sessions")
    parser.add_argument("--jobs", type=int, default=2, help="sessions at a time")
    given = parser.parse_args()
    seeds = range(4 if given.quick else given.sessions)
    with ProcessPoolExecutor(given.jobs) as pool:
        results = list(pool.map(one_session, seeds))
    names = sorted({name for r in results for name in r["errors"]})
    rows, held = [], {}
    for name in names:
        for photons in (*PHOTONS, None):
            pairs = np.array(
                [
                    r["errors"][name]
                    for r in results
                    if name in r["errors"] and photons in (None, r["photons"])
                ]
            ).reshape(-1, 2)
            if not len(pairs):
                continue
            inside = float(np.mean(np.abs(pairs[:, 0]) <= 1.96 * pairs[:, 1]))
            rms, sd = np.sqrt(np.mean(pairs**2, axis=0))
            label = "all" if photons is None else f"{photons:g}"
            rows.append((name, label, len(pairs), f"{rms:.4f}", f"{sd:.4f}", f"{inside:.2f}"))
            if photons is None:
                held[name] = inside
    print_table(
        "Stated uncertainties (px, degrees, ms)",
        ("quantity", "photons", "sessions", "rms error", "stated sd", "95 % held"),
        rows,
    )
    without = sum(not any("wobble" in name for name in r["errors"]) for r in results)
    print(f"\nwobbles invented: {sum(r['invented'] for r in results)} of {without}")
    print(f"wobbles not corrected: {sum(r['missed'] for r in results)} of {len(results) - without}")
    verdicts = print_verdicts((f"95 % held: {n}", h, ">=", ENOUGH) for n, h in held.items())
    if given.json:
        write_json(given.json, {"verdicts": verdicts, "sessions": results})


if __name__ == "__main__":
    main()
