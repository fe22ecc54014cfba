"""The angle from the movie alone, and recorded angles checked by it.

Sessions are simulated (10 photons in a typical cell's pixel, other seeds than those with which the
method was made) and followed without signals: error of the angle per line, largest error of a
frame (a jump, or whole turns that were missed, would be one), error of the center, and whether
stated uncertainties hold. With ``--data FOLDER`` the real turn of ``rotating_3p_20frames.npz`` as
well: neither its angle nor its center is told beforehand.
"""

import logging
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from _common import add_quick, options, print_table, print_verdicts, write_json
from numpy.typing import NDArray

from derotation.calibration.geometry import Geometry
from derotation.errors import AngleError
from derotation.images.following.recorded import check_angles
from derotation.images.following.seen_angle import see_angle
from derotation.io.movie import open_movie
from derotation.maps.line_maps import LineMaps
from derotation.maps.timing import LineTiming
from derotation.simulate import simulate_recording

NDFloat = NDArray[np.float64]

SEED = 700
FRAME_RATE = 6.74
FULL = ((200, 1), (150, -1), (100, 1), (50, -1))
COMMON = {"center_offset": (5.0, -4.0), "lead_s": 0.1, "tail_s": 0.1, "n_cells": 40}
RESTS = {"rest_before_s": 1.0, "rest_between_s": 1.0, "rest_after_s": 1.0}
# Name, what is simulated, degrees rms per line that are allowed (None: no target).
CASES: tuple[tuple[str, Mapping[str, Any], float | None], ...] = (
    ("18 degrees/s, 6.74 Hz, 20 turns",
     {"stimulus": ((18, 1),), "degrees_per_rotation": 7200.0}, 0.1),
    ("100 degrees/s, 30 Hz, 3 turns",
     {"stimulus": ((100, -1),), "degrees_per_rotation": 1080.0, "frame_rate": 30.0}, 0.15),
    ("full: 50 to 200 degrees/s, 6.74 Hz", {"stimulus": FULL}, 0.5),
    ("the same, 1 photon", {"stimulus": FULL, "photons_per_pixel": 1.0}, None),
    ("the same, motor of 2000 degrees/s²", {"stimulus": FULL, "acceleration": 2000.0}, 0.5),
)  # fmt: skip
QUICK = ("full, two rotations", {"stimulus": FULL[:2]}, 0.5)


class Fast:
    """A motion too fast to be followed."""

    def angle(self, time: Any) -> NDFloat:
        return 400.0 * np.asarray(time, np.float64)

    def moving(self, begin: float, end: float) -> bool:
        return True


class Recorded:
    """Angles of lines as :class:`derotation.maps.line_maps.LineMaps` asks for them."""

    lag_ms = 0.0

    def __init__(self, line_angles: NDFloat, times_s: NDFloat) -> None:
        self.line_angles, self.line_times_s = line_angles, times_s
        self.line_usable = np.isfinite(line_angles)

    def times_of(self, frames: Any) -> NDFloat:
        return np.asarray(self.line_times_s[frames])

    def shifted(self, lag_ms: float) -> "Recorded":
        return self

    def timing(self) -> LineTiming:
        return LineTiming(line_duty=0.9)


def simulate(folder: Path, size: int, seed: int, **parameters: Any) -> tuple[Any, NDFloat, NDFloat]:
    """Simulate a session; its recording, the middles of its lines (s) and the true angles."""
    recording = simulate_recording(
        **{**COMMON, **RESTS, **parameters}, shape=(size, size), seed=seed
    )
    tifffile.imwrite(folder / "movie.tif", recording.movie, photometric="minisblack")
    duty = recording.plan.parameters.line_duty * recording.plan.parameters.line_period_s
    angles = recording.line_angles
    true = np.unwrap(angles.ravel(), period=360).reshape(angles.shape)
    return recording, recording.line_start + duty / 2, true


def follow(path: Path, times_s: NDFloat, true: NDFloat, center: Any) -> dict[str, Any]:
    """Follow a movie and compare with the truth, but for the angle of its beginning."""
    started = time.process_time()
    with open_movie(path) as movie:
        seen = see_angle(movie, times_s, timing=LineTiming(line_duty=0.9))
    used = time.process_time() - started
    error = (seen.line_angles(times_s) - true)[seen.found]
    error -= np.median(error)
    middle = error[:, error.shape[1] // 2]
    return {
        "rms_deg": float(np.sqrt(np.mean(error**2))),
        "worst_frame_deg": float(np.abs(error.mean(axis=1)).max()),
        "sd_deg": float(np.nanmedian(seen.sd)),
        "held_95": float(np.mean(np.abs(middle) < 1.96 * seen.sd[seen.found])),
        "center_px": float(np.hypot(*(np.array(seen.center) - center))),
        "lost": int(np.count_nonzero(~seen.found)),
        "frames": len(seen.found),
        "cpu_ms": 1e3 * used / len(seen.found),
    }


def too_fast(folder: Path, size: int) -> str:
    """Say what is said of a sample that turns by 59 degrees a frame."""
    _, times_s, _ = simulate(
        folder, size, SEED, protocol="free", motion=Fast(), n_frames=40, frame_rate=FRAME_RATE
    )
    try:
        with open_movie(folder / "movie.tif") as movie:
            return see_angle(movie, times_s, timing=LineTiming(line_duty=0.9)).statement
    except AngleError as error:
        return f"refused: {error}"


def missed_rotation(folder: Path, size: int, seed: int) -> dict[str, Any]:
    """Check recorded angles of which the second rotation is missing, and the right ones."""
    recording, times_s, true = simulate(folder, size, seed, stimulus=FULL[1:3])
    turning = np.ptp(true, axis=1) > 0
    second = np.flatnonzero(turning)[np.flatnonzero(turning) > len(true) // 2]
    begin, end = int(second[0]), int(second[-1])
    broken = true.copy()
    broken[begin : end + 1] = true[begin - 1, -1]
    found = {}
    with open_movie(folder / "movie.tif") as movie:
        for name, angles in (("right", true), ("missed", broken)):
            maps = LineMaps.of(Recorded(angles, times_s), Geometry.about(recording.center))
            started = time.process_time()
            check = check_angles(movie, maps)
            wrong = np.abs(check.difference) > 1
            found[name] = {
                "largest_deg": float(np.nanmax(np.abs(check.difference))),
                "from_s": float(check.time_s[wrong].min(initial=np.inf)),
                "until_s": float(check.time_s[wrong].max(initial=-np.inf)),
                "cpu_s": time.process_time() - started,
                "frames": len(check.frames),
            }
    start = times_s[:, 0] - times_s[0, 0]
    found["missed"] |= {"true_from_s": float(start[begin]), "true_until_s": float(start[end])}
    return found


def real_turn(folder: Path, data: Path) -> dict[str, Any]:
    """Follow the real turn; the center is compared with that of a search by hand."""
    with np.load(data / "rotating_3p_20frames.npz") as archive:
        frames, angles = archive["frames"], archive["line_angles"].astype(np.float64)
    tifffile.imwrite(folder / "movie.tif", frames, photometric="minisblack")
    n, height = angles.shape
    times_s = (np.arange(n)[:, np.newaxis] + np.arange(height) / height) / FRAME_RATE
    true = np.unwrap(angles.ravel(), period=360).reshape(angles.shape)
    return follow(folder / "movie.tif", times_s, true, (127.5, 124.5))


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--size", type=int, default=128, help="of the frames, px")
    parser.add_argument("--seeds", type=int, nargs="+", default=[SEED])
    parser.add_argument("--data", type=Path, help="folder with rotating_3p_20frames.npz")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    size = 96 if given.quick else given.size
    rows, targets = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, parameters, target in (QUICK,) if given.quick else CASES:
            for seed in given.seeds:
                recording, times_s, true = simulate(folder, size, seed, **parameters)
                row = follow(folder / "movie.tif", times_s, true, recording.center)
                rows.append({"case": name, "seed": seed} | row)
            own = [row for row in rows if row["case"] == name]
            if target is not None:
                worst = max(row["rms_deg"] for row in own)
                targets.append((f"{name}: rms per line (degrees)", worst, "<=", target))
                jump = max(row["worst_frame_deg"] for row in own)
                targets.append((f"{name}: worst frame (degrees)", jump, "<=", 2.0))
        if given.data is not None:
            row = real_turn(folder, given.data)
            rows.append({"case": "real turn", "seed": 0} | row)
            targets.append(("real turn: rms per line (degrees)", row["rms_deg"], "<=", 1.0))
            targets.append(("real turn: center (px)", row["center_px"], "<=", 1.0))
        check = missed_rotation(folder, size, given.seeds[0])
        said = "" if given.quick else too_fast(folder, size)
    header = list(rows[0])
    print_table("The angle from the movie", header, [[row[key] for key in header] for row in rows])
    print("\nA rotation that the encoder missed:", check["missed"])
    print("The same session, recorded rightly:", check["right"])
    print(f"\n59 degrees a frame: {said}")
    late = abs(check["missed"]["from_s"] - check["missed"]["true_from_s"])
    targets += [
        ("missed rotation: from when on, error (s)", late, "<=", 1.0),
        ("missed rotation: largest difference (degrees)", check["missed"]["largest_deg"], ">=", 90),
        ("right angles: largest difference (degrees)", check["right"]["largest_deg"], "<=", 1.0),
    ]
    if said:
        targets.append(("59 degrees a frame: refused or lost", float("lost" in said or
                        "refused" in said), ">=", 1.0))  # fmt: skip
    verdicts = print_verdicts(targets)
    results = {"rows": rows, "check": check, "too_fast": said, "targets": verdicts}
    write_json(given.json, results)


if __name__ == "__main__":
    main()
