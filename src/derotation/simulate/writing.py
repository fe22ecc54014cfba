"""Simulated recordings on disk, as a rig would leave them, with the truth beside them."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from derotation.errors import InputError
from derotation.simulate.cell_tuning import KINDS, CellTuning
from derotation.simulate.faults import Faults
from derotation.simulate.formats import MovieFormat, MoviePlan, write_movie, write_signals_as
from derotation.simulate.plan import RecordingPlan
from derotation.simulate.recording import Recording, plan_recording
from derotation.simulate.signals import NPY_CHANNELS, appears_whole, write_signals
from derotation.simulate.window import View

__all__ = ["simulate_session", "write_recording"]

logger = logging.getLogger(__name__)

SignalsFormat = Literal["npy", "bin", "h5", "wavesurfer", "tdms", "mat", "csv"]

# What files are called that other programs know by their ending, or that are folders.
_MOVIE_NAMES = {"tif": "movie.tif", "scanbox": "movie.sbx", "h5": "movie.h5", "nwb": "movie.nwb"}
_SIGNALS_SUFFIX = {"wavesurfer": "h5"}

# A classic TIFF addresses 4 GB; some room is left for its directories.
_CLASSIC_TIFF_BYTES = 3.9e9


def simulate_session(
    folder: str | Path,
    *,
    signals_format: SignalsFormat = "npy",
    movie_format: MovieFormat = "tif",
    frames_per_chunk: int | None = None,
    **parameters: Any,
) -> dict[str, Path]:
    """Simulate a recording straight to disk, chunk by chunk, in bounded memory.

    Parameters
    ----------
    folder : str or Path
        Where to write; made if needed. Files appear there when all of them are whole.
    signals_format : {"npy", "bin", "h5", "wavesurfer", "tdms", "mat", "csv"}
        ``signals.npy``: float32 volts (4, n); ``signals.bin``: interleaved int16, 6 channels; else
        what other programs write, with the channels named.
    movie_format : {"tif", "prairie", "thor_tif", "thor_raw", "scanbox", "h5", "nwb"}
        One TIFF, or what other programs write, see `derotation.simulate.formats`.
    frames_per_chunk : int, optional
        Frames held in memory at a time; None: about 32 MB.
    **parameters
        Those of `derotation.simulate.parameters.RecordingParameters`.

    Returns
    -------
    dict of str to Path
        The files written: ``movie``, ``signals``, ``stimulus`` (protocol ``full`` only),
        ``truth`` (.npz) and ``summary`` (.json).

    Raises
    ------
    InputError
        If a parameter is unknown or out of its range.
    """
    plan = plan_recording(**parameters)
    chunks = plan.chunks(frames_per_chunk)
    return _write(plan, chunks, Path(folder), signals_format, movie_format)


def write_recording(
    recording: Recording,
    folder: str | Path,
    signals_format: SignalsFormat = "npy",
    movie_format: MovieFormat = "tif",
) -> dict[str, Path]:
    """Write a recording that was simulated in memory; see `simulate_session` for the files."""
    chunks = iter([(0, recording.movie)])
    return _write(recording.plan, chunks, Path(folder), signals_format, movie_format)


def _write(
    plan: RecordingPlan,
    chunks: Iterator[tuple[int, NDArray[Any]]],
    folder: Path,
    signals_format: SignalsFormat,
    movie_format: MovieFormat,
) -> dict[str, Path]:
    for key, value, allowed in (
        ("signals_format", signals_format, get_args(SignalsFormat)),
        ("movie_format", movie_format, get_args(MovieFormat)),
    ):
        if value not in allowed:
            raise InputError(f"{key} must be one of {', '.join(allowed)}, not '{value}'")
    folder.mkdir(parents=True, exist_ok=True)
    paths = {
        "movie": folder / _MOVIE_NAMES.get(movie_format, "movie"),
        "signals": folder / f"signals.{_SIGNALS_SUFFIX.get(signals_format, signals_format)}",
        "truth": folder / "truth.npz",
        "summary": folder / "truth.json",
    }
    if plan.parameters.protocol == "full":
        paths["stimulus"] = folder / "stimulus.csv"
    with contextlib.ExitStack() as stack:
        # A movie may be several files, or a folder: it is made beside its place and moved there.
        parts = {
            name: stack.enter_context(appears_whole(path))
            for name, path in paths.items()
            if name != "movie"
        }
        aside = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".movie-", dir=folder)))
        _write_movie(aside / paths["movie"].name, plan, chunks, movie_format)
        if signals_format == "npy" or signals_format == "bin":
            write_signals(parts["signals"], plan.analog, signals_format)
        else:
            analog = plan.analog
            write_signals_as(
                parts["signals"], signals_format, NPY_CHANNELS, analog.blocks(), analog.n_samples,
                analog.sampling_rate,
            )  # fmt: skip
        if "stimulus" in parts:
            _write_stimulus(parts["stimulus"], plan.stimulus)
        _write_truth(parts["truth"], plan)
        summary = json.dumps(_summary(plan), indent=2) + "\n"
        parts["summary"].write_text(summary, encoding="utf-8")
        for made in aside.iterdir():
            target = folder / made.name
            if target.is_dir():
                shutil.rmtree(target)
            made.replace(target)
    logger.info("simulated %d frames into %s", plan.n_frames, folder)
    return paths


def _write_movie(
    path: Path,
    plan: RecordingPlan,
    chunks: Iterator[tuple[int, NDArray[Any]]],
    movie_format: MovieFormat,
) -> None:
    """Stream the movie into its files."""
    import tifffile

    p = plan.parameters
    dtype = np.dtype(p.dtype)
    size = float(np.prod(plan.shape)) * dtype.itemsize

    def pages() -> Iterator[NDArray[Any]]:
        with tqdm(total=plan.n_frames, desc="simulating", unit="frame", disable=None) as bar:
            for _, block in chunks:
                yield from block
                bar.update(len(block))

    several = p.channels * p.planes > 1
    if movie_format == "tif" and not several:
        with tifffile.TiffWriter(path, bigtiff=size > _CLASSIC_TIFF_BYTES) as tiff:
            tiff.write(pages(), shape=plan.shape, dtype=dtype, photometric="minisblack")
        return
    about = MoviePlan(
        n_times=plan.n_frames // p.planes, n_planes=p.planes, n_channels=p.channels,
        shape=plan.shape[1:], dtype=dtype.name, frame_rate=p.frame_rate,
        line_period_s=plan.line_period, bidirectional=p.bidirectional,
    )  # fmt: skip
    volumes = plan.volumes() if several else (page[None, None] for page in pages())
    write_movie(path, movie_format, volumes, about)


def _write_stimulus(path: Path, stimulus: NDArray[np.float64]) -> None:
    rows = [f"{speed:g},{int(direction)}" for speed, direction in stimulus]
    path.write_text("\n".join(["speed,direction", *rows]) + "\n", encoding="utf-8")


def _write_truth(path: Path, plan: RecordingPlan) -> None:
    injected = {f"injected_{name}": np.asarray(value) for name, value in plan.injected.items()}
    p = plan.parameters
    others = {
        f"rest_image_plane{plane}_ch{channel}": plan.layer(plane=plane, channel=channel).rest_image
        for plane in range(1, p.planes + 1)
        for channel in range(1, p.channels + 1)
        if (plane, channel) != (1, 1)
    }
    arrays: dict[str, Any] = {
        "line_angles": plan.line_angles,
        "line_start": plan.line_start,
        "center": np.array(plan.center),
        "plane_angle": plan.parameters.plane_angle,
        "plane_orientation": plan.plane_orientation,
        "movement": plan.movement,
        "tick_time": plan.ticks.time,
        "tick_rotation": plan.ticks.rotation,
        "tick_turned": plan.ticks.turned,
        "rotation_start": plan.rotation_start,
        "rotation_end": plan.rotation_end,
        "rotation_direction": plan.rotation_direction,
        "rotation_speed": plan.rotation_speed,
        "activity": plan.activity,
        "cell_kind": np.array(KINDS)[plan.tuned.kind],
        "cell_preferred_angle": plan.tuned.preferred_angle,
        "cell_slope": plan.tuned.slope,
        "displacement": plan.displacement,
        "light": plan.light,
        "cell_centers": plan.cell_centers,
        "cell_radii": plan.scene.radii,
        "rest_image": plan.rest_image,
        **others,
        **injected,
    }
    with path.open("wb") as file:
        np.savez(file, **arrays)


def _summary(plan: RecordingPlan) -> dict[str, Any]:
    """Describe the truth for people, and for programs that need only a few numbers of it."""
    p = plan.parameters
    names = [
        name
        for name in p.__dataclass_fields__
        if name not in ("scene", "faults", "view", "sample_motion", "tuning")
    ]
    faults = p.faults if isinstance(p.faults, Faults) else Faults(**p.faults)
    scene = "random" if p.scene is None else "given"
    return {
        "parameters": {
            **{name: _plain(getattr(p, name)) for name in names},
            "faults": asdict(faults),
            "view": asdict(p.view) if isinstance(p.view, View) else None,
            "sample_motion": asdict(plan.sample_motion),
            "tuning": asdict(p.tuning if isinstance(p.tuning, CellTuning) else CellTuning()),
            "scene": scene,
        },
        "n_frames": plan.n_frames,
        "n_samples": plan.analog.n_samples,
        "center": list(plan.center),
        "plane_angle": p.plane_angle,
        "plane_orientation": plan.plane_orientation,
        "movement": plan.movement.tolist(),
        "line_period_s": plan.line_period,
        "line_duration_s": plan.line_duration,
        "rotation_start_s": plan.rotation_start.tolist(),
        "rotation_end_s": plan.rotation_end.tolist(),
        "rotation_direction": plan.rotation_direction.tolist(),
        "rotation_speed": plan.rotation_speed.tolist(),
        "injected": {name: _plain(value) for name, value in plan.injected.items()},
    }


def _plain(value: Any) -> Any:
    """Turn arrays, tuples and mappings into what JSON knows."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {"kind": type(value).__name__, **_plain(asdict(value))}
    return value if value is None or isinstance(value, str | int | float) else repr(value)
