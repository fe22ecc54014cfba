"""A real two-photon movie, turned by a real motor's angle trace, through the whole workflow.

DATA_FOLDER holds `kenyon_cells_2p_cycle1.tif` (the sample: 53 frames of 260 x 348 at 2.88 Hz, not
rotating), `angles_per_line.npy` (the angle of a rotation stage at each line of another recording:
two turns with rests) and real ScanImage files (`scanimage*.tif`). They come from public
repositories under licenses of their own and are not part of this one.

Each pixel of the recorded movie is sampled from the sample's frame of that time at the angle of
the pixel's own time, by cubic spline interpolation (scipy), which shares nothing with the kernel.
The sample's frames are repeated in a cycle until both turns are over. Analog signals are made from
the angles; movie, signals and stimulus table are then one session of a cohort that Snakemake runs.

With --motion the sample is displaced in its own plane, too, by a sum of sines of time, whose
periods, phases and directions follow from each of --seeds; the steps are then run without
Snakemake. What the brain itself did in the recorded frames is found in the session without it, and
is subtracted. A wrong center displaces derotated frames, which motion correction makes up for: what
is left of the error beside that is told, too.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _session
import numpy as np
import tifffile
from _cohort import add_python, snakemake
from _common import ROOT, add_quick, load, options, print_table, write_config, write_json
from numpy.typing import NDArray
from scipy import ndimage
from skimage.metrics import normalized_root_mse
from skimage.registration import phase_cross_correlation

from derotation.io.movie import open_movie
from derotation.maps.resample import derotate_frames
from derotation.maps.timing import LineTiming
from derotation.maps.transforms import line_maps, rotation_matrices
from derotation.simulate import signals_from_line_angles, write_signals

SAMPLE, TRACE = "kenyon_cells_2p_cycle1.tif", "angles_per_line.npy"
SAMPLE_LINE_MS = 1.336  # of the sample's microscope
# The microscope whose stage it was: frames of 256 lines, and a way back of 1.73 lines after each,
# during which the stage turned on (seen in the trace, whose steps between frames are 2.73 times as
# long as those within). Its first line is the last one of a frame.
TRACE_FRAME_S, TRACE_LINES, TRACE_PAUSE_LINES = 1 / 6.74, 256, 1.73
PIXEL_UM = 0.4397
LINE_DUTY = 0.9
SAMPLING_RATE = 50_000.0
CENTER_OFFSET = (7.3, -4.6)  # from the middle of the picture, px
# Sines of the motion that is put in, and the range of their periods, s.
N_SINES, PERIODS_S = 3, (2.5, 25.0)
# Degrees from either end of a turn within which the trace jumps by a whole tick from line to line.
TRACE_JUMPS = 1.0
# Counts added to the sample, so that the spline's undershoot beside bright pixels is not cut off.
PEDESTAL = 200
SESSION = "real"
NOT_MEASURED = ("plane", "wobble", "illumination", "motion_correction")


@dataclass(frozen=True)
class Session:
    """What is put into the workflow, which is the truth."""

    sample: NDArray[np.uint16]
    """What each frame would have shown at rest, (n_frames, height, width)."""
    recorded: NDArray[np.uint16]
    angles: NDArray[np.float64]
    """In the middle of each line, degrees, (n_frames, height)."""
    center: tuple[float, float]
    line_period_s: float
    displacement: NDArray[np.float64]
    """What was put in at the middle of each line, px, (n_frames, height, 2)."""


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("data", type=Path, metavar="DATA_FOLDER")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "real_data",
        help="folder for the session and its results; default: %(default)s",
    )  # fmt: skip
    parser.add_argument(
        "--line-period", type=float, default=SAMPLE_LINE_MS, metavar="MS",
        help="time from line to line; default: the sample's own, %(default)s ms; 0.5757 gives the "
        "degrees per line of the trace's own microscope",
    )  # fmt: skip
    parser.add_argument(
        "--motion", type=float, default=0.0, metavar="PX",
        help="root mean square of the motion of the sample that is put in; default: none",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of that motion")
    add_quick(parser)
    add_python(parser)
    given = parser.parse_args()
    check_inputs(parser, given)
    if given.motion:
        follow(given)
        return
    session = turn_sample(given.data, given.line_period / 1e3)
    write_session(session, given.output, corrections=not given.quick)
    # What comes after derotation is not measured here.
    wanted = [f"results/{SESSION}/derotated.tif"] if given.quick else []
    run_workflow(given.output, wanted, given.python)
    results = measure(session, given.output)
    report(session, results)
    draw(session, given.output)
    results["scanimage"] = read_scanimage(given.data)
    write_json(given.json, results)


def follow(given: argparse.Namespace) -> None:
    """Put motion into the session, and compare what is found with what is found without."""
    line_period_s = given.line_period / 1e3
    still = found_in(turn_sample(given.data, line_period_s), given.output / "still")
    rows = [{"motion": "the sample's own", **about_center(*still), **nothing_put_in(still[1])}]
    for seed in given.seeds:
        session = turn_sample(given.data, line_period_s, given.motion, seed)
        moved = found_in(session, given.output / f"moved{seed}")
        row = {"motion": f"put in, seed {seed}", **about_center(*moved)}
        rows.append(row | about_motion(session, moved[1], still[1]))
    print_table(
        f"Motion in a real sample (px; rms along x or y, but for the center); {load()}",
        tuple(rows[0]), [tuple(row.values()) for row in rows],
    )  # fmt: skip
    scores = np.array(
        [row[f"{axis} error"] / row[f"{axis} stated"] for row in rows for axis in "xy"]
    )
    print(f"center's errors in units of the stated uncertainty: {rms(scores):.2f} rms, "
          f"{np.mean(np.abs(scores) < 1.96):.2f} within 1.96")  # fmt: skip
    write_json(given.json, {"rows": rows})


def found_in(session: Session, folder: Path) -> tuple[Session, _session.Processed]:
    """Run the steps on a session."""
    write_session(session, folder)
    sections = {"signals": {"sampling_rate": SAMPLING_RATE}}
    return session, _session.process(folder / "raw", sections, "full", bidirectional=False)


def about_center(session: Session, done: _session.Processed) -> dict[str, Any]:
    """Compare a center, along x and y, with the truth."""
    found = done.calibration
    error, sd = np.subtract(found.center, session.center), found.center_sd or (np.nan, np.nan)
    return {
        "x error": float(error[0]), "x stated": float(sd[0]),
        "y error": float(error[1]), "y stated": float(sd[1]), "trusted": found.trusted,
    }  # fmt: skip


def paths(done: _session.Processed) -> NDArray[np.float64]:
    """Give the path that was found at each line, but for its mean at rest, (frame, line, 2)."""
    assert done.motion is not None
    path = done.motion.motion.displacement(done.angles.line_times_s)
    return np.asarray(path - path[done.angles.at_rest].mean(axis=(0, 1)))


def nothing_put_in(done: _session.Processed) -> dict[str, Any]:
    """Tell how the sample moved by itself."""
    assert done.motion is not None
    nan = float("nan")
    return {
        "moved": rms(paths(done)), "at rest": nan, "turning": nan, "but for the center": nan,
        "corrected": done.motion.corrected,
    }  # fmt: skip


def about_motion(
    session: Session, moved: _session.Processed, still: _session.Processed
) -> dict[str, Any]:
    """Compare a path with what was put in, beside the sample's own."""
    assert moved.motion is not None
    rest = moved.angles.at_rest
    put = session.displacement - session.displacement[rest].mean(axis=(0, 1))
    error = paths(moved) - paths(still) - put
    # A center that is wrong by e displaces what is derotated by (I - R(a)) e.
    apart = np.subtract(moved.calibration.center, still.calibration.center)
    of_center = (np.eye(2) - rotation_matrices(session.angles)) @ apart
    return {
        "moved": rms(put), "at rest": rms(error[rest]), "turning": rms(error[~rest]),
        "but for the center": rms((error - of_center)[~rest]),
        "corrected": moved.motion.corrected,
    }  # fmt: skip


def rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))


def check_inputs(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    for name in (SAMPLE, TRACE):
        if not (given.data / name).is_file():
            parser.error(f"{given.data} holds no {name}")


# the session


def turn_sample(data: Path, line_period_s: float, motion: float = 0.0, seed: int = 0) -> Session:
    """Record the sample line by line while it turns, and moves by so many px (rms)."""
    movie = tifffile.imread(data / SAMPLE)
    height, width = movie.shape[1:]
    angles = resample_trace(np.load(data / TRACE), line_period_s, height)
    n_frames = len(angles)
    sample = movie[np.arange(n_frames) % len(movie)] + np.uint16(PEDESTAL)
    center = ((width - 1) / 2 + CENTER_OFFSET[0], (height - 1) / 2 + CENTER_OFFSET[1])
    print(
        f"{SAMPLE}: {movie.shape}, frames repeated in a cycle to {n_frames}; two turns of the "
        f"real stage, {np.abs(np.diff(np.unwrap(angles.ravel(), period=360))).max():.3g} degrees "
        f"from line to line at most, about {center}; {load()}"
    )

    # The angle at each pixel's time: straight from the middle of one line to that of the next.
    along = ((np.arange(width) + 0.5) / width - 0.5) * LINE_DUTY
    when = np.arange(angles.size).reshape(angles.shape)[:, :, np.newaxis] + along
    unwrapped = np.unwrap(angles.ravel(), period=360)
    moved = displaced(when * line_period_s, motion, seed)
    recorded = sample.copy()
    y, x = np.mgrid[:height, :width].astype(np.float64)
    for f in np.flatnonzero(np.any(angles != 0, axis=1) | (motion > 0)):
        turned = np.deg2rad(np.interp(when[f], np.arange(angles.size), unwrapped))
        cos, sin = np.cos(turned), np.sin(turned)
        dx, dy = x - center[0], y - center[1]
        places = [
            cos * dy - sin * dx + center[1] - moved[f, ..., 1],
            cos * dx + sin * dy + center[0] - moved[f, ..., 0],
        ]
        values = ndimage.map_coordinates(
            sample[f].astype(np.float64), places, order=3, mode="constant", cval=PEDESTAL
        )
        recorded[f] = np.clip(np.rint(values), 0, 65535)
    return Session(
        sample=sample, recorded=recorded, angles=angles, center=center,
        line_period_s=line_period_s, displacement=moved[:, :, width // 2],
    )  # fmt: skip


def displaced(seconds: NDArray[np.float64], size: float, seed: int) -> NDArray[np.float64]:
    """Tell where the sample is at any time, px, shape (..., 2)."""
    rng = np.random.default_rng([seed, 31])
    path = np.zeros((*seconds.shape, 2))
    for period in np.exp(rng.uniform(*np.log(PERIODS_S), N_SINES)):
        phase, direction = rng.uniform(0, 2 * np.pi, 2)
        wave = np.sin(2 * np.pi * seconds / period + phase)
        path += wave[..., np.newaxis] * np.array([np.cos(direction), np.sin(direction)])
    return np.asarray(size * path / np.sqrt(np.mean(path**2)))


def resample_trace(
    trace: NDArray[np.float64], line_period_s: float, n_lines: int
) -> NDArray[np.float64]:
    """Tell the trace's angle in the middle of each line of another microscope; whole frames."""
    frame, line = np.divmod(np.arange(len(trace)) - 1, TRACE_LINES)
    seconds = TRACE_FRAME_S * (frame + line / (TRACE_LINES + TRACE_PAUSE_LINES))
    n_frames = int(seconds[-1] / (line_period_s * n_lines))
    when = np.arange(n_frames * n_lines) * line_period_s
    unwrapped = np.unwrap(trace, period=360)
    # What the trace had come to when it last stood still counts as 0.
    at_rest = np.maximum.accumulate(np.where(trace == 0, np.arange(len(trace)), 0))
    base = unwrapped[at_rest[np.searchsorted(seconds, when, side="right") - 1]]
    angles = np.interp(when, seconds, unwrapped) - base
    return np.asarray(angles.reshape(n_frames, n_lines))


def write_session(session: Session, folder: Path, *, corrections: bool = True) -> None:
    """Write raw files, configuration and sample sheet, as a user would have them.

    `corrections`: whether to look for what is not measured here: tilt, uneven light and motion.
    """
    raw = folder / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    height = session.recorded.shape[1]
    tifffile.imwrite(
        raw / "movie.tif",
        session.recorded,
        imagej=True,
        resolution=(1 / PIXEL_UM, 1 / PIXEL_UM),
        metadata={"axes": "TYX", "finterval": height * session.line_period_s, "unit": "um"},
    )
    plan, stimulus = signals_from_line_angles(
        session.angles,
        line_period_s=session.line_period_s,
        line_duty=LINE_DUTY,
        sampling_rate=SAMPLING_RATE,
        signal_noise_v=0.05,
    )
    write_signals(raw / "signals.npy", plan)
    rows = [f"{speed:.6g},{direction:.0f}" for speed, direction in stimulus]
    table = "\n".join(["speed,direction", *rows]) + "\n"
    (raw / "stimulus.csv").write_text(table, encoding="utf-8")
    write_config(folder, SAMPLING_RATE)
    if not corrections:
        path = folder / "config.yaml"
        never = {name: {"correct": "never"} for name in NOT_MEASURED}
        path.write_text(json.dumps(json.loads(path.read_text()) | never, indent=2))
    columns = ("session", "protocol", "movie", "signals", "stimulus")
    row = (SESSION, "full", "raw/movie.tif", "raw/signals.npy", "raw/stimulus.csv")
    sheet = "\t".join(columns) + "\n" + "\t".join(row) + "\n"
    (folder / "sessions.tsv").write_text(sheet, encoding="utf-8")


def run_workflow(folder: Path, wanted: list[str], python: Sequence[str]) -> None:
    folder = folder.resolve()
    environment = {k: v for k, v in os.environ.items() if k != "SNAKEMAKE_PROFILE"}
    with (folder / "snakemake.log").open("wb") as said:
        done = subprocess.run(
            snakemake(folder, "--cores", "2", *wanted, python=python),
            cwd=folder, env=environment, stdout=said, stderr=said, check=False,
        )  # fmt: skip
    if done.returncode:
        log = (folder / "snakemake.log").read_text(errors="replace")
        sys.exit(f"the workflow failed:\n{log}")


# figures


def measure(session: Session, folder: Path) -> dict[str, Any]:
    """Compare what the workflow made with what was put in."""
    found = folder / "results" / SESSION
    angles = np.load(found / "angles.npz")["line_angles"]
    calibration = json.loads((found / "calibration.json").read_text(encoding="utf-8"))
    derotated = tifffile.imread(found / "derotated.tif")
    rotating = np.any(session.angles != 0, axis=1)
    moving = (session.angles != 0).ravel()
    error = ((angles - session.angles + 180) % 360 - 180).ravel()
    turned = np.abs(session.angles.ravel())
    within = (turned > TRACE_JUMPS) & (turned < 360 - TRACE_JUMPS)
    off = np.subtract(calibration["center"], session.center)
    inside, window = discs(session)
    ideal = with_truth(session, rotating)
    frames = {
        "as recorded": session.recorded[rotating],
        "derotated": derotated[rotating],
        "derotated with the true angles and center": ideal,
    }
    sample = session.sample[rotating]
    return {
        "load": load(),
        "n_frames": len(session.angles),
        "rotating_frames": int(rotating.sum()),
        "angle_rms": float(np.sqrt(np.mean(error[moving] ** 2))),
        "angle_max": float(np.abs(error).max()),
        "angle_max_within": float(np.abs(error[within]).max()),
        "center_error_px": float(np.hypot(*off)),
        "center_sd_px": calibration["center_sd"],
        "center_statement": calibration["statement"],
        "frames": {name: compare(movie, sample, inside, window) for name, movie in frames.items()},
        "rest_unchanged": bool(np.array_equal(derotated[~rotating], session.recorded[~rotating])),
        "sharpness_gain": sharpness(derotated[rotating], inside)
        / sharpness(session.recorded[rotating], inside),
        "sharpness_of_sample": sharpness(sample, inside)
        / sharpness(session.recorded[rotating], inside),
        "sharpness_gain_whole_movie": sharpness(derotated, inside)
        / sharpness(session.recorded, inside),
    }


def discs(session: Session) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Mark the disc about the center that is always seen, and make a smooth window of it."""
    height, width = session.recorded.shape[1:]
    x, y = session.center
    radius = min(x, y, width - 1 - x, height - 1 - y) - 1
    y_grid, x_grid = np.mgrid[:height, :width]
    distance = np.hypot(x_grid - x, y_grid - y)
    return distance <= radius, np.cos(0.5 * np.pi * np.clip(distance / radius, 0, 1)) ** 2


def with_truth(session: Session, rotating: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Derotate with what the workflow has to find out."""
    done = derotate_frames(
        session.recorded[rotating],
        line_maps(session.angles[rotating], session.center),
        timing=LineTiming(line_duty=LINE_DUTY),
        blank=PEDESTAL,
    )
    return np.asarray(done.frames)


def compare(
    frames: NDArray[np.uint16],
    sample: NDArray[np.uint16],
    inside: NDArray[np.bool_],
    window: NDArray[np.float64],
) -> dict[str, float]:
    """Each frame against the sample's own frame, noise and all, and the means of both."""
    pairs = [(s[inside] - float(PEDESTAL), f[inside] - float(PEDESTAL))
             for s, f in zip(sample, frames, strict=True)]  # fmt: skip
    correlation = [float(np.corrcoef(s, f)[0, 1]) for s, f in pairs]
    nrmse = [float(normalized_root_mse(s, f)) for s, f in pairs]
    shifts = [shift(s, f, window) for s, f in zip(sample, frames, strict=True)]
    means = sample.mean(axis=0), frames.mean(axis=0)
    return {
        "correlation_median": float(np.median(correlation)),
        "correlation_min": min(correlation),
        "nrmse_median": float(np.median(nrmse)),
        "shift_median_px": float(np.median(shifts)),
        "shift_max_px": max(shifts),
        "mean_correlation": float(np.corrcoef(means[0][inside], means[1][inside])[0, 1]),
        "mean_shift_px": shift(*means, window),
    }


def shift(one: NDArray[Any], other: NDArray[Any], window: NDArray[np.float64]) -> float:
    """Distance between two pictures, px, by upsampled cross-correlation."""
    shown = [window * (image - np.average(image, weights=window)) for image in (one, other)]
    found, _, _ = phase_cross_correlation(*shown, upsample_factor=100, normalization=None)
    return float(np.hypot(*found))


def sharpness(frames: NDArray[np.uint16], inside: NDArray[np.bool_]) -> float:
    """Mean squared slope of the mean image, slightly smoothed against noise."""
    smooth = ndimage.gaussian_filter(frames.mean(axis=0), 1.0)
    return float(np.mean(sum(slope**2 for slope in np.gradient(smooth))[inside]))


def report(session: Session, results: dict[str, Any]) -> None:
    print_table(
        f"{results['n_frames']} frames, {results['rotating_frames']} of them rotating",
        ("figure", "value"),
        [
            ("angle error of rotating lines, rms (degrees)", results["angle_rms"]),
            ("angle error of all lines, max (degrees)", results["angle_max"]),
            (
                f"  more than {TRACE_JUMPS:g} degree from the ends of a turn",
                results["angle_max_within"],
            ),
            ("center error (px)", results["center_error_px"]),
            ("  its own uncertainty, x", results["center_sd_px"][0]),
            ("  its own uncertainty, y", results["center_sd_px"][1]),
            ("frames at rest unchanged", results["rest_unchanged"]),
            ("sharpness of the mean of rotating frames, gain", results["sharpness_gain"]),
            ("  the same if derotation were perfect", results["sharpness_of_sample"]),
            ("  gain of the mean of the whole movie", results["sharpness_gain_whole_movie"]),
        ],
    )
    print(results["center_statement"])
    print_table(
        "Rotating frames against the sample's own frames, in the disc that is always seen",
        ("frames", "corr. median", "min", "NRMSE median", "shift px, median", "max",
         "mean image: corr.", "shift px"),
        [(name, *figures.values()) for name, figures in results["frames"].items()],
    )  # fmt: skip


def draw(session: Session, folder: Path) -> None:
    """Save the picture: sample, recorded and derotated, mean of rotating frames and one frame."""
    from matplotlib.figure import Figure

    derotated = tifffile.imread(folder / "results" / SESSION / "derotated.tif")
    rotating = np.any(session.angles != 0, axis=1)
    one = np.argmax(np.ptp(session.angles, axis=1) * (session.angles.min(axis=1) > 0))
    movies = {
        "the sample": session.sample,
        "as recorded": session.recorded,
        "derotated": derotated,
    }
    figure = Figure(figsize=(12, 6.6), layout="constrained")
    axes = figure.subplots(2, 3)
    for column, (name, movie) in enumerate(movies.items()):
        for row, (what, image) in enumerate(
            ((f"mean of {rotating.sum()} rotating frames", movie[rotating].mean(axis=0)),
             (f"frame {one}", movie[one]))
        ):  # fmt: skip
            reference = session.sample[rotating].mean(axis=0) if row == 0 else session.sample[one]
            low, high = np.quantile(reference, [0.01, 0.995])
            ax = axes[row, column]
            ax.imshow(image, cmap="gray", vmin=low, vmax=high)
            ax.plot(*session.center, "+", color="#E69F00", markersize=10)
            ax.set_title(f"{name}: {what}", fontsize=10)
            ax.set_axis_off()
    path = folder / "before_after.png"
    figure.savefig(path, dpi=120)
    print(f"\npicture: {path}")


# ScanImage


def read_scanimage(data: Path) -> dict[str, Any]:
    """Open the real ScanImage files and print what their headers say."""
    found = {}
    for path in sorted(data.glob("scanimage*.tif")):
        with open_movie(path) as movie:
            frames = movie.read([0, len(movie) - 1])
            found[path.name] = {
                "shape": movie.shape,
                "dtype": str(movie.dtype),
                "range of the first and last frame": [int(frames.min()), int(frames.max())],
                "channel": movie.channel,
                **dataclasses.asdict(movie.metadata),
                "notes": movie.notes,
            }
        print_table(path.name, ("", ""), [(k, str(v)) for k, v in found[path.name].items()])
    if not found:
        print(f"\nno ScanImage files (scanimage*.tif) in {data}")
    return found


if __name__ == "__main__":
    main()
