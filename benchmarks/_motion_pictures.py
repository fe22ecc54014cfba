"""What motion leaves in the picture: the mean of turning frames and the traces of the true cells.

The same scene is recorded holding still and moving. The moving one is derotated with the true path
and center (the same photons, as good as it gets), with motion correction, and without it. If there
is a Python with Suite2p, what it makes of the exports by its own registration (the exported
settings, without the search for cells) is measured in the same way.
"""

import dataclasses
from pathlib import Path
from typing import Any

import _step
import numpy as np
import tifffile
from _common import make_session
from numpy.typing import NDArray
from scipy import ndimage, optimize
from suite2p import run_suite2p

from derotation.calibration.calibration import Calibration
from derotation.cohort.config import load_config
from derotation.io.movie import open_movie
from derotation.maps.discs import seen_radius
from derotation.motion_correction.estimate import estimate_motion
from derotation.motion_correction.motion import Motion
from derotation.signals.angles import Angles
from derotation.simulate import RecordingPlan, plan_recording
from derotation.steps import derotate_movie, export_suite2p
from derotation.steps.exporting import DerotatedFiles
from derotation.steps.inputs import no_plots

CALIBRATING = (_step.parse_signals, _step.interpolate_angles, _step.estimate_center,
               _step.estimate_plane)  # fmt: skip
MOVIES = ("true path", "corrected", "not corrected")
# Farther than the sample moves from what not all frames saw, px.
MARGIN = 6.0
# Surroundings of a cell: a ring from and to so many pixels from its rim.
RING = 2.0, 7.0
ONLY_REGISTRATION = {"do_detection": False, "do_deconvolution": False, "do_regmetrics": False}
NDFloat = NDArray[np.float64]


def picture_rows(
    folder: Path,
    parameters: dict[str, Any],
    suite2p: str | None,
    *,
    both: bool = False,
    quick: bool = False,
) -> list[dict[str, Any]]:
    """Measure pictures and traces of a sample that moves, and of the same one that holds still.

    Parameters
    ----------
    folder : Path
        For temporary files.
    parameters : dict
        Those of the session, with ``sample_motion``.
    suite2p : str or None
        A Python in whose environment Suite2p is installed.
    both : bool
        Whether Suite2p registers the corrected movie, too.
    quick : bool
        As of :func:`derotated`.

    Returns
    -------
    list of dict
        For each movie: ``movie``, what `measured_picture` gives, and ``moved_px``, what Suite2p
        moved (rms).
    """
    still, moving = folder / "still", folder / "moving"
    calm = {name: value for name, value in parameters.items() if name != "sample_motion"}
    make_session(made(still), **calm)
    make_session(made(moving), **parameters)
    plan = plan_recording(**parameters)
    rows = [
        measured_picture(still, derotated(still, "corrected", quick=quick), plan)
        | {"movie": "still"}
    ]
    for name in MOVIES:
        place = derotated(moving, name, plan, quick=quick)
        rows.append(measured_picture(moving, place, plan) | {"movie": name})
        if suite2p is not None and name in ("not corrected", "corrected" if both else ""):
            shifts = registered(moving, place, suite2p)
            row = measured_picture(moving, place, plan, written_by_suite2p=True)
            rows.append(row | {"movie": f"{name}, Suite2p", "moved_px": shifts})
    return rows


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


@no_plots()
def derotated(
    folder: Path, movie_name: str, truth: RecordingPlan | None = None, *, quick: bool = False
) -> Path:
    """Calibrate a session unless that was done, and derotate it; gives the folder of the movie.

    A quick run does not look for tilt and wobble, which takes longer than all the rest.
    """
    config = load_config(folder / "config.yaml")
    if quick:
        config["plane"]["correct"] = config["wobble"]["correct"] = "never"
    if not (folder / "calibration.json").exists():
        for step in CALIBRATING:
            step(folder, config, 1)
    calibration = Calibration.load(folder / "calibration.json")
    angles = Angles.load(folder / "angles.npz")
    place = folder / movie_name.replace(" ", "_")
    motion = None
    if movie_name == "corrected":
        with open_movie(folder / "movie.tif") as movie:
            motion = estimate_motion(movie, angles, calibration).motion
        motion.save(folder / "motion.npz")
    elif movie_name == "true path":
        assert truth is not None
        calibration = dataclasses.replace(calibration, center=truth.center)
        motion = true_path(truth, angles)
    derotate_movie.run(
        movie=folder / "movie.tif", angles=angles, calibration=calibration, config=config,
        outputs=derotate_movie.Outputs.within(place), motion=motion,
    )  # fmt: skip
    return place


def true_path(plan: RecordingPlan, angles: Angles) -> Motion:
    """Give the motion as it was, at each line."""
    path = plan.displacement.reshape(-1, 2)
    return Motion(
        time_s=angles.line_times_s.ravel(), x=path[:, 0], y=path[:, 1], sd=np.zeros(len(path)),
        lost=np.zeros(plan.n_frames, np.bool_), left_px=0.0, corrected=True,
    )  # fmt: skip


def registered(folder: Path, place: Path, suite2p: str) -> float:
    """Have Suite2p register the export of a derotated movie; tells what it moved (rms, px)."""
    config = load_config(folder / "config.yaml")
    config["export"]["suite2p"]["settings"] = {"run": ONLY_REGISTRATION}
    files = DerotatedFiles.within(
        place, angles=folder / "angles.npz", calibration=folder / "calibration.json",
        channels=None, channel_means=None,
    )  # fmt: skip
    export_suite2p.run(
        files=files, statistics=place / "statistics.npz", session=place.name, config=config,
        folder=place / "suite2p",
    )  # fmt: skip
    run_suite2p(suite2p, place / "suite2p")
    found = np.load(place / "suite2p" / "plane0" / "reg_outputs.npy", allow_pickle=True).item()
    shifts = np.stack([found["xoff"], found["yoff"]]).astype(float)
    return float(np.sqrt(np.mean(shifts**2)))


def measured_picture(
    folder: Path, place: Path, plan: RecordingPlan, *, written_by_suite2p: bool = False
) -> dict[str, Any]:
    """Compare a movie with the truth, within the disc that all frames saw.

    Parameters
    ----------
    folder, place : Path
        Those of the session and of its movie.
    plan : RecordingPlan
        The truth.
    written_by_suite2p : bool
        Whether the movie is the one that Suite2p registered.

    Returns
    -------
    dict
        ``mean``: correlation of the mean of turning frames with the noiseless sample after its best
        shift; ``noiseless``: the same as it would be with very many frames (Spearman and Brown),
        since what interpolates twice smooths noise and is alike for that alone; ``trace``: mean
        over cells of their traces' correlation with the true activity.
    """
    if written_by_suite2p:
        path = place / "suite2p" / "plane0" / "data.bin"
        frames = np.fromfile(path, np.int16).reshape(plan.shape)
    else:
        frames = tifffile.imread(place / "derotated.tif")
    turning = ~Angles.load(folder / "angles.npz").at_rest
    mean = frames[turning].mean(axis=0, dtype=np.float64)
    inside = _distance(plan.center, mean.shape) <= _radius(plan)
    shift, correlation = best_shift(mean, plan.rest_image, inside)
    numbers = np.flatnonzero(turning)
    halves = [frames[numbers[k::2]].mean(axis=0, dtype=np.float64)[inside] for k in (0, 1)]
    alike = float(np.corrcoef(halves)[0, 1])
    return {
        "mean": correlation,
        "noiseless": correlation / float(np.sqrt(2 * alike / (1 + alike))),
        "trace": float(np.mean(trace_correlations(frames, shift, plan))),
    }


def best_shift(mean: NDFloat, truth: NDFloat, inside: NDArray[np.bool_]) -> tuple[NDFloat, float]:
    """Find where the truth is most like a picture: its shift (x, y) and the correlation there."""
    own = mean[inside]

    def unlike(shift: NDFloat) -> float:
        moved = ndimage.shift(truth, shift[::-1], order=3, mode="nearest")
        return -float(np.corrcoef(own, moved[inside])[0, 1])

    simplex = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    options = {"xatol": 0.005, "fatol": 1e-7, "initial_simplex": simplex}
    found = optimize.minimize(unlike, np.zeros(2), method="Nelder-Mead", options=options)
    return np.asarray(found.x), -float(found.fun)


def trace_correlations(frames: NDArray[Any], shift: NDFloat, plan: RecordingPlan) -> NDFloat:
    """Correlate the trace of each cell within the disc, less its surroundings, with the truth."""
    radii = np.sqrt(plan.scene.radii.prod(axis=1))
    away = np.hypot(*(plan.cell_centers - plan.center).T)
    near = [_distance(center + shift, plan.shape[1:]) for center in plan.cell_centers]
    cells = np.any([d < r + RING[0] for d, r in zip(near, radii, strict=True)], axis=0)
    found = []
    for cell in np.flatnonzero(away + radii + RING[1] <= _radius(plan)):
        rim = near[cell] - radii[cell]
        weights = np.clip(0.5 - rim, 0, 1)
        ring = (rim >= RING[0]) & (rim < RING[1]) & ~cells
        inside = weights > 0
        own = frames[:, inside] @ (weights[inside] / weights.sum())
        around = frames[:, ring].mean(axis=1) if ring.any() else 0.0
        truth = plan.activity[:, cell]
        if np.ptp(truth) > 0:
            found.append(float(np.corrcoef(own - 0.7 * around, truth)[0, 1]))
    return np.array(found)


def _distance(point: Any, shape: tuple[int, ...]) -> NDFloat:
    """Distance of each pixel (y, x) from a point (x, y)."""
    y, x = np.indices(shape[-2:])
    return np.asarray(np.hypot(x - point[0], y - point[1]))


def _radius(plan: RecordingPlan) -> float:
    """Radius of the disc in which pictures are compared, px."""
    return seen_radius(plan.center, plan.shape[1:]) - MARGIN
