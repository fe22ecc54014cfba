"""Samples that live: is their motion found, is the center, and is nothing invented?

Simulated sessions with drift (0.7 px), jitter (0.6 px) and a part that follows the motor (0.9 px at
100 degrees/s), also half and twice of that, with 10 and with 1 photon, and sessions that hold
still. Beside the displacement's error stands the least that photons allow to whoever knows the
scene and how the sample moves (Cramer and Rao); beside the center's error the best that any
estimate could do with the same frames (generalized least squares with the true covariance of the
motion): what jitter does while the sample turns cannot be told from a wrong center, and only
averages out over the time of turning. Times are of the process, with one thread.

Pictures: the mean of turning frames and the traces of the true cells, for a sample that holds still
and for one that moves, with and without motion correction. With --suite2p PYTHON, in whose
environment Suite2p is installed, what its own registration makes of the export stands beside it.

Strained: what one displacement for the whole field leaves if the sample is stretched and sheared.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import _session
import numpy as np
from _common import add_quick, load, options, print_table, print_verdicts, write_json
from _deforming import deforming_row
from _motion_pictures import picture_rows
from numpy.typing import NDArray

from derotation.calibration.center import estimate_center
from derotation.cohort.config import validate_config
from derotation.io.movie import Movie, open_movie
from derotation.maps.transforms import rotation_matrices
from derotation.motion_correction.estimate import estimate_motion
from derotation.numerics.degrees import wrapped
from derotation.signals.angles import Angles, interpolate_angles
from derotation.simulate import RecordingPlan, plan_recording, simulate_session
from derotation.streaming.single_pass import derotate_movie

STIMULUS = ((200, 1), (100, -1), (150, -1), (50, 1), (200, -1), (150, 1), (100, 1), (50, -1))
# Kind, protocol, photons, and how the session differs from those above.
KINDS: tuple[tuple[str, str, float, dict[str, Any]], ...] = (
    ("tilt 15, lag 3 ms", "full", 10.0, {"plane_angle": 15.0, "lag_ms": 3.0}),
    ("full", "full", 10.0, {}),
    ("full, 512 px", "full", 10.0, {"shape": (512, 512), "n_cells": 240}),
    ("incremental", "incremental", 10.0, {}),
    ("incremental, 1 photon", "incremental", 1.0, {}),
    ("free", "free", 10.0, {"stimulus": (), "n_frames": 320}),
    ("free, 1 photon", "free", 1.0, {"stimulus": (), "n_frames": 320}),
)
RATE = {"signals": {"sampling_rate": 50_000}}
# Photons, and the largest strain.
STRAINS = ((10.0, 0.0), (10.0, 0.0025), (10.0, 0.005), (1.0, 0.0), (1.0, 0.005))
PARTS = ("motion", "still", "bound", "calibrated", "pictures", "strained", "cost")
JITTER, DRIFT, FOLLOWS = 0.6, 0.7, 1.8
FRAME_NOISE = 0.05
# The least uncertainty of a displacement is that of so many bands of lines in so many frames.
LEAST_BANDS, LEAST_FRAMES = 32, 15
# Short sessions that hold still begin with another seed than the others.
STILL_SEED = 4000
NDFloat = NDArray[np.float64]


def main() -> None:
    parser = options(__doc__)
    add_quick(parser)
    parser.add_argument("--seeds", type=int, default=3, help="sessions of each kind")
    parser.add_argument(
        "--still", type=int, default=20, help="sessions of the part still, of each size"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--kinds", nargs="+", help="of the part calibrated; default: all")
    parser.add_argument(
        "--photons", nargs="+", type=float, default=[10.0, 1.0], help="of the part pictures"
    )
    parser.add_argument("--suite2p", metavar="PYTHON", help="one in whose environment Suite2p is")
    given = parser.parse_args()
    figures: dict[str, Any] = {}
    targets: list[Target] = []
    for part in given.only:
        figures[part], own = globals()[f"{part}_part"](given)
        targets += own
    # What no session was about has no figure, and no target.
    figures["targets"] = print_verdicts(
        [(name, value, how, limit) for name, value, how, limit in targets if value is not None]
    )
    print(load())
    write_json(given.json, figures)


Target = tuple[str, float | None, str, float]
Part = tuple[Any, list[Target]]


def motion_part(given: argparse.Namespace) -> Part:
    """Displacement and center of samples that move much, little and not at all."""
    cases = [
        ("still", 0.0, 10.0, 0.4),
        ("still, 1 photon", 0.0, 1.0, 0.4),
        ("half", 0.5, 10.0, 0.4),
        ("as described", 1.0, 10.0, 0.4),
        ("twice", 2.0, 10.0, 0.4),
        ("1 photon", 1.0, 1.0, 0.4),
        ("quick jitter", 1.0, 10.0, 0.15),
    ]
    if given.quick:
        cases = [cases[0], cases[3]]
    size = {"pixels": 96 if given.quick else 256, "short": given.quick}
    rows = [measured(*case, seed, **size) for case in cases for seed in seeds(given)]
    print_rows("Motion and center", ("kind", "rest_px", "turning_px", "least_px", "inside",
               "center_px", "center_sd", "best_px", "trusted", "corrected", "cost"),
               rows)  # fmt: skip
    living = [row for row in rows if row["size"] > 0]
    still = [row for row in rows if row["size"] == 0]
    bright = [row for row in living if row["photons"] == 10 and row["kind"] != "quick jitter"]
    dim = [row for row in living if row["photons"] == 1]
    quick = [row for row in living if row["kind"] == "quick jitter"]
    bright_still = [row for row in still if row["photons"] == 10]

    def inside(chosen: list[dict[str, Any]]) -> float | None:
        return float(np.mean([row["inside"] for row in chosen])) if chosen else None

    ratio = float(
        np.sqrt(np.mean([row["center_px"] ** 2 for row in living]))
        / np.sqrt(np.mean([row["best_px"] ** 2 for row in living]))
    )
    over_least = float(
        np.sqrt(np.mean([row["rest_px"] ** 2 for row in bright]))
        / np.sqrt(np.mean([row["least_px"] ** 2 for row in bright]))
    )
    return rows, [
        ("motion at rest, 10 photons (px rms)", worst(bright, "rest_px"), "<=", 0.05),
        ("motion while turning, 10 photons (px rms)", worst(bright, "turning_px"), "<=", 0.08),
        ("1 photon (px rms)", worst(dim, "turning_px"), "<=", 0.15),
        ("quick jitter (px rms)", worst(quick, "turning_px"), "<=", 0.25),
        ("invented (px rms, 10 photons)", worst(bright_still, "found_px"), "<=", 0.02),
        ("displacement's error at rest over the least possible", over_least, "<=", 1.3),
        ("still sessions corrected", float(sum(r["corrected"] for r in still)), "<=", 0),
        ("sessions not trusted", float(sum(not r["trusted"] for r in rows)), "<=", 0),
        ("center, 10 photons (px)", worst(bright, "center_px"), "<=", 0.03),
        ("center's error over the best possible", ratio, "<=", 1.3),
        ("intervals of living samples that hold", inside(living), ">=", 0.9),
        ("intervals of still samples that hold", inside(still), ">=", 0.9),
    ]


def still_part(given: argparse.Namespace) -> Part:
    """Many short sessions that hold still: is anything invented, is anything applied?"""
    tables = []
    for pixels in (112,) if given.quick else (256, 112):
        rows = [measured("still", 0.0, 10.0, 0.4, STILL_SEED + seed, pixels=pixels, short=True)
                for seed in range(1 if given.quick else given.still)]  # fmt: skip
        found = np.array([row["found_px"] for row in rows])
        tables.append({
            "pixels": pixels, "sessions": len(rows), "median_px": np.median(found),
            "rms_px": rms(found), "most_px": found.max(),
            "above 0.02 px": int((found > 0.02).sum()),
            "inside": float(np.mean([row["inside"] for row in rows])),
            "corrected": sum(row["corrected"] for row in rows),
        })  # fmt: skip
    print_rows("Samples that hold still", tuple(tables[0]), tables)
    corrected = float(sum(own["corrected"] for own in tables))
    invented = tables[0]["rms_px"] if tables[0]["pixels"] == 256 else None
    return tables, [
        ("invented (px rms over all short sessions of 256 px)", invented, "<=", 0.02),
        ("short still sessions corrected", corrected, "<=", 0),
        ("intervals of short still sessions that hold", least_of(tables, "inside"), ">=", 0.9),
    ]


def calibrated_part(given: argparse.Namespace) -> Part:
    """All steps up to the quality figures, by protocol."""
    kinds = [kind for kind in KINDS if given.kinds is None or kind[0] in given.kinds]
    if given.quick and given.kinds is None:
        kinds = [kinds[0], *(kind for kind in kinds if kind[0] == "free")]
    rows = [calibration_row(*kind, seed, quick=given.quick)
            for kind in kinds for seed in seeds(given)]  # fmt: skip
    print_rows("Samples that live, calibrated and judged", ("kind", "center_px", "center_sd",
               "tilt", "lag_ms", "trusted", "flag", "rest_px", "turning_px"), rows)  # fmt: skip
    tilted = [row for row in rows if row["kind"].startswith("tilt")]
    bright = [row for row in rows if not row["kind"].endswith("1 photon")]
    rested = [row for row in bright if row["rest_px"] is not None]
    return rows, [
        ("tilt (degrees)", worst(tilted, "tilt_error"), "<=", 0.2),
        ("lag (ms)", worst(tilted, "lag_error"), "<=", 0.3),
        ("motion at rest, by protocol (px rms)", worst(rested, "rest_px"), "<=", 0.05),
        ("the same while turning (px rms)", worst(bright, "turning_px"), "<=", 0.08),
        ("flagged", float(sum(r["flag"] != "ok" for r in rows)), "<=", 0),
        ("not trusted", float(sum(not r["trusted"] for r in rows)), "<=", 0),
    ]


def pictures_part(given: argparse.Namespace) -> Part:
    """Means of turning frames and traces of cells, beside those of a sample that holds still."""
    rows = []
    for photons in given.photons[:1] if given.quick else given.photons:
        for seed in seeds(given):
            parameters = living(given, photons, seed, seed=600 + seed)
            with tempfile.TemporaryDirectory() as name:
                found = picture_rows(Path(name), parameters, given.suite2p, both=seed == 0,
                                     quick=given.quick)  # fmt: skip
            rows += [{"photons": photons, "seed": seed, "moved_px": "", **row} for row in found]
    print_rows("Pictures", ("photons", "seed", "movie", "mean", "noiseless", "trace", "moved_px"),
               rows)  # fmt: skip
    of = {(row["photons"], row["seed"], row["movie"]): row for row in rows}
    sessions = {(row["photons"], row["seed"]) for row in rows}

    def least(figure: str, movie: str) -> float:
        return min(of[*session, "corrected"][figure] - of[*session, movie][figure]
                   for session in sessions)  # fmt: skip

    targets: list[Target] = []
    for movie in ("still", "true path"):
        targets += [
            (f"mean against: {movie}", least("mean", movie), ">=", -0.001),
            (f"traces against: {movie}", least("trace", movie), ">=", -0.005),
        ]
    if given.suite2p is not None:
        rival = "not corrected, Suite2p"
        targets += [
            ("mean against: Suite2p's registration", least("mean", rival), ">=", 0.0),
            ("the same without noise", least("noiseless", rival), ">=", 0.0),
            ("traces against: Suite2p's registration", least("trace", rival), ">=", 0.0),
        ]
    return rows, targets


def strained_part(given: argparse.Namespace) -> Part:
    """What a rigid correction leaves of a sample that is strained."""
    rows = []
    for photons, strain in STRAINS[:1] + STRAINS[2:3] if given.quick else STRAINS:
        with tempfile.TemporaryDirectory() as name:
            own = living(given, photons, 0, seed=650)
            rows.append(deforming_row(Path(name) / "s", own, strain, quick=given.quick))
    print_rows("A strained sample", ("photons", "strain", "field_px", "rigid_bound_px",
               "affine_bound_px", "mean", "trace"), rows)  # fmt: skip
    return rows, []


def cost_part(given: argparse.Namespace) -> Part:
    """Computing time."""
    cost = cost_of_long(quick=given.quick)
    return cost, [("time over derotate_movie's, 3200 frames", cost, "<=", 0.5)]


def seeds(given: argparse.Namespace) -> range:
    return range(1 if given.quick else given.seeds)


def worst(chosen: list[dict[str, Any]], name: str) -> float | None:
    return float(np.max([row[name] for row in chosen])) if chosen else None


def least_of(chosen: list[dict[str, Any]], name: str) -> float:
    return float(min(row[name] for row in chosen))


def print_rows(title: str, names: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    print_table(title, names, [[row[name] for name in names] for row in rows])


def living(
    given: argparse.Namespace, photons: float, motion_seed: int, **changed: Any
) -> dict[str, Any]:
    """Give the parameters of a session with motion as described."""
    pixels = 112 if given.quick else 256
    return {
        "shape": (pixels, pixels), "stimulus": STIMULUS[:2] if given.quick else STIMULUS,
        "rest_between_s": 1.0, "center_offset": (5.0, -3.0), "n_cells": 60 * pixels**2 // 256**2,
        "photons_per_pixel": photons,
        "sample_motion": {
            "drift": DRIFT, "jitter": JITTER, "jitter_s": 0.4, "seed": motion_seed,
            "per_velocity": [0.4 * FOLLOWS, 0.3 * FOLLOWS],
        },
    } | changed  # fmt: skip


def measured(
    kind: str, size: float, photons: float, jitter_s: float, seed: int, *,
    pixels: int, short: bool,
) -> dict[str, Any]:  # fmt: skip
    """Simulate a session and compare what is found with the truth."""
    parameters: dict[str, Any] = {
        "shape": (pixels, pixels), "stimulus": STIMULUS[:3] if short else STIMULUS,
        "rest_between_s": 1.0, "center_offset": (5.0, -3.0), "n_cells": 60 * pixels**2 // 256**2,
        "photons_per_pixel": photons, "seed": 500 + seed, "threads": 2,
        "sample_motion": {
            "drift": DRIFT * size, "jitter": JITTER * size, "jitter_s": jitter_s, "seed": seed,
            "per_velocity": [0.4 * FOLLOWS * size, 0.3 * FOLLOWS * size],
        },
    }  # fmt: skip
    plan = plan_recording(**parameters)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate_session(folder, **parameters)
        with open_movie(folder / "movie.tif") as movie:
            angles = read_angles(folder, movie)
            center = estimate_center(movie, angles).calibration
            began = time.process_time()
            found = estimate_motion(movie, angles, center)
            took = time.process_time() - began
            began = time.process_time()
            derotate_movie(movie, angles, center, folder / "derotated.tif", motion=found.motion)
            cost = took / (time.process_time() - began)
    truth = plan.displacement - plan.displacement[angles.at_rest].mean(axis=(0, 1))
    error = found.motion.displacement(angles.line_times_s) - truth
    # A center that is wrong by e leaves (I - R(a)) e, which is made up for here: no error.
    wrong = np.subtract(center.center, plan.center)
    leverage = np.eye(2) - rotation_matrices(plan.line_angles)
    error = error - leverage @ wrong
    inside = np.abs(error) < 1.96 * np.interp(
        angles.line_times_s, found.motion.time_s, found.motion.sd
    )[..., np.newaxis]  # fmt: skip
    return {
        "kind": kind, "size": size, "photons": photons,
        "rest_px": rms(error[angles.at_rest]), "turning_px": rms(error[~angles.at_rest]),
        "inside": float(np.mean(inside)),
        "least_px": least_motion_sd(plan, size, jitter_s),
        "found_px": rms(np.stack([found.motion.x, found.motion.y])),
        "center_px": float(np.hypot(*wrong) / np.sqrt(2)),
        "center_sd": float(np.mean(center.center_sd or (np.nan,))),
        "best_px": best_center_sd(
            plan, jitter=JITTER * size, jitter_s=jitter_s, drift=DRIFT * size, follows=size > 0
        ),
        "trusted": center.trusted,
        "corrected": found.corrected, "cost": cost,
    }  # fmt: skip


def calibration_row(
    kind: str, protocol: str, photons: float, changed: dict[str, Any], seed: int, *, quick: bool
) -> dict[str, Any]:
    """Take a session of a sample that lives through all steps."""
    pixels = 96 if quick else 256
    parameters: dict[str, Any] = {
        "shape": (pixels, pixels), "stimulus": STIMULUS[:2] if quick else STIMULUS,
        "rest_between_s": 1.0,
        "center_offset": (5.0, -3.0), "n_cells": 60 * pixels**2 // 256**2,
        "photons_per_pixel": photons, "seed": 700 + seed, "threads": 2, "protocol": protocol,
        "sample_motion": {
            "drift": DRIFT, "jitter": JITTER, "jitter_s": 0.4, "seed": seed,
            "per_velocity": [0.4 * FOLLOWS, 0.3 * FOLLOWS],
        },
    } | changed  # fmt: skip
    if quick and "n_frames" in parameters:
        parameters["n_frames"] = 100
    look_for = RATE | {"plane": {"correct": "auto"}, "angles": {"lag_ms": "auto"}}
    if protocol == "free":
        # Turned by hand, as it were: rests now and then, but hardly at angle 0.
        duration = parameters["n_frames"] / 6.74 + 1
        parameters["motion"] = {
            "free_turning": {"duration": duration, "top_speed": 200, "change_s": 1, "seed": seed}
        }
        look_for |= {"angles": {"source": "table", "lag_ms": "auto"}}
    if quick:  # what these samples do not have
        look_for |= {"wobble": {"correct": "never"}, "illumination": {"correct": "never"}}
    plan = plan_recording(**parameters)
    with tempfile.TemporaryDirectory() as name:
        simulate_session(Path(name), **parameters)
        at = np.arange(0, plan.line_start[-1, -1] + 1, 0.005)
        np.save(Path(name) / _session.TABLE, np.column_stack([at, plan.motor.angle(at)]))
        done = _session.process(Path(name), look_for, protocol, bidirectional=False)
    assert done.motion is not None
    angles, found = done.angles, done.calibration
    wrong = np.subtract(found.center, plan.center)
    # Without a table of turns, angles are counted from the first frame on, and so is the sample
    # drawn: as much displaced, but along axes turned by the same angle.
    begun = float(np.nanmedian(wrapped(angles.line_angles - plan.line_angles)))
    truth = plan.displacement @ rotation_matrices(begun).T
    rests = bool(angles.at_rest.any())
    if rests:
        truth = truth - truth[angles.at_rest].mean(axis=(0, 1))
    error = done.motion.motion.displacement(angles.line_times_s) - truth
    error = error - (np.eye(2) - rotation_matrices(angles.line_angles)) @ wrong
    if not rests:
        # Nobody can tell where a sample lies that is displaced all the time.
        error = error - error.mean(axis=(0, 1))
    tilt, lag = parameters.get("plane_angle", 0.0), parameters.get("lag_ms", 0.0)
    return {
        "kind": kind, "center_px": float(np.hypot(*wrong) / np.sqrt(2)),
        "center_sd": float(np.mean(found.center_sd or (np.nan,))), "tilt": found.plane_angle,
        "tilt_error": abs(found.plane_angle - tilt), "lag_ms": found.lag_ms,
        "lag_error": abs(found.lag_ms - lag), "trusted": found.trusted,
        "flag": done.quality.flag, "advice": done.quality.advice,
        "rest_px": rms(error[angles.at_rest]) if rests else None,
        "turning_px": rms(error[~angles.at_rest]),
    }  # fmt: skip


def cost_of_long(*, quick: bool) -> float:
    """Computing time of the estimate in units of derotate_movie's, in a session of usual length."""
    stimulus = STIMULUS[:2] if quick else STIMULUS * 10
    pixels = 64 if quick else 256
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate_session(
            folder, shape=(pixels, pixels), stimulus=stimulus, rest_between_s=1.0, n_cells=40,
            photons_per_pixel=10.0, seed=499, threads=2,
            sample_motion={"drift": DRIFT, "jitter": JITTER, "jitter_s": 0.4, "seed": 9},
        )  # fmt: skip
        with open_movie(folder / "movie.tif") as movie:
            angles = read_angles(folder, movie)
            center = estimate_center(movie, angles).calibration
            began = time.process_time()
            found = estimate_motion(movie, angles, center)
            took = time.process_time() - began
            began = time.process_time()
            derotate_movie(movie, angles, center, folder / "derotated.tif", motion=found.motion)
            return took / (time.process_time() - began)


def rms(values: NDFloat) -> float:
    """Root mean square along one axis, px."""
    return float(np.sqrt(np.mean(values**2)))


def read_angles(folder: Path, movie: Movie) -> Angles:
    """Parse the signals of a session and interpolate its angles."""
    events = _session.read_events(folder, movie, validate_config(RATE), "full")
    return interpolate_angles(events, protocol="full")


def bound_part(given: argparse.Namespace) -> Part:
    """What decides how well any estimate can know the center of a sample that moves."""
    one_way = tuple((speed, 1) for speed, _ in STIMULUS)
    slow = tuple((50, direction) for _, direction in STIMULUS)
    cases: tuple[tuple[str, Any, dict[str, float]], ...] = (
        ("as described", STIMULUS, {}),
        ("2 turns", STIMULUS[:2], {}),
        ("32 turns", STIMULUS * 4, {}),
        ("all in one direction", one_way, {}),
        ("all at 50 degrees/s", slow, {}),
        ("no drift", STIMULUS, {"drift": 0.0}),
        ("twice the drift", STIMULUS, {"drift": 2 * DRIFT}),
        ("half the jitter", STIMULUS, {"jitter": JITTER / 2}),
        ("no jitter", STIMULUS, {"jitter": 0.0}),
        ("frames four times as noisy", STIMULUS, {"noise": 4 * FRAME_NOISE}),
        ("four bands of lines each", STIMULUS, {"bands": 4}),
    )
    rows = []
    for name, stimulus, changed in cases[:2] if given.quick else cases:
        plan = plan_recording(stimulus=stimulus, rest_between_s=1.0, shape=(256, 256), n_cells=1)
        turning = np.abs(np.diff(np.unwrap(plan.line_angles[:, 0], period=360))) > 0.1
        seconds = float(turning.sum() / plan.parameters.frame_rate)
        # Jitter as so many independent looks: (1 + u) exp(-u) lasts 4 / sqrt(3) time constants, and
        # a look tells each component of the center twice, (I - R)'(I - R) being 2 I over a turn.
        looks = seconds / (4 / np.sqrt(3) * 0.4)
        by_hand = changed.get("jitter", JITTER) / np.sqrt(2 * looks)
        rows.append({"case": name, "turning_s": seconds, "by_hand": float(by_hand),
                     "best_px": best_center_sd(plan, **changed)})  # fmt: skip
    print_rows("The best that is possible for the center (px)", tuple(rows[0]), rows)
    return rows, []


def matern(times: NDFloat, amount: float, constant: float) -> NDFloat:
    """Covariance of the simulator's smooth random movement between some times (s), px^2."""
    u = np.sqrt(3) * np.abs(times[:, None] - times) / constant
    return np.asarray(amount**2 * (1 + u) * np.exp(-u))


def least_motion_sd(plan: RecordingPlan, size: float, jitter_s: float) -> float:
    """The least uncertainty of the displacement at the lines of a frame at rest, px rms.

    Of drift and jitter whose amount and time are known, from the photons of the frame and of those
    around it, by whoever knows the scene without noise, and that no cell changes.
    """
    light = plan.photons(0)
    told = np.stack([k**2 / light for k in np.gradient(light)]).mean(axis=0).sum(axis=1)
    bands = [part for part in np.array_split(np.arange(len(told)), LEAST_BANDS) if len(part)]
    times = np.stack([plan.line_start[:LEAST_FRAMES, part].mean(axis=1) for part in bands], axis=1)
    noise = np.tile([1 / told[part].sum() for part in bands], LEAST_FRAMES)
    prior = matern(times.ravel(), JITTER * size, jitter_s)
    prior = prior + matern(times.ravel(), DRIFT * size, 60.0)
    left = prior - prior @ np.linalg.solve(prior + np.diag(noise), prior)
    middle = slice(LEAST_FRAMES // 2 * len(bands), (LEAST_FRAMES // 2 + 1) * len(bands))
    return float(np.sqrt(np.mean(np.diag(left)[middle])))


def best_center_sd(
    plan: RecordingPlan, *, jitter: float = JITTER, jitter_s: float = 0.4, drift: float = DRIFT,
    follows: bool = True, noise: float = FRAME_NOISE, bands: int = 1,
) -> float:  # fmt: skip
    """The least uncertainty of a center, px, along x or y.

    Frames at the angles a show (I - R(a)) e + m, e being the center's error and m the sample's
    motion, whose covariance over time is known here: generalized least squares is then the best
    linear unbiased estimate, and as m is nearly normal, nothing else does better (Cramer-Rao). A
    common shift and one along the velocity are unknown, too.

    Parameters
    ----------
    jitter, drift : float
        As simulated, px.
    noise : float
        With which a frame tells its place, px.
    bands : int
        Into so many parts a frame is divided, each of which is a measurement of its own.
    """
    height = plan.parameters.shape[0]
    lines = ((np.arange(bands) + 0.5) / bands * height).astype(int)
    angles, times = plan.line_angles[:, lines].ravel(), plan.line_start[:, lines].ravel()
    step = 0.01
    speed = np.mod(plan.motor.angle(times + step) - plan.motor.angle(times - step) + 180, 360) - 180
    leverage = np.eye(2) - rotation_matrices(angles)
    along = speed / (2 * step) / 200
    spread = 9 + bands * noise**2 * np.eye(len(times)) + 9 * np.outer(along, along) * follows
    for amount, constant in ((jitter, jitter_s), (drift, 60.0)):
        spread = spread + matern(times, amount, constant)
    normal = np.einsum("nia,nm,mib->ab", leverage, np.linalg.inv(spread), leverage)
    return float(np.sqrt(np.trace(np.linalg.inv(normal)) / 2))


if __name__ == "__main__":
    main()
