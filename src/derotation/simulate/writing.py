"""Simulated recordings on disk, as a rig would leave them, with the truth beside them."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from derotation.errors import InputError
from derotation.simulate.faults import Faults
from derotation.simulate.recording import Recording, RecordingPlan, plan_recording
from derotation.simulate.signals import appears_whole, write_signals
from derotation.simulate.window import View

__all__ = ["simulate_session", "write_recording"]

logger = logging.getLogger(__name__)

SignalsFormat = Literal["npy", "bin"]

# A classic TIFF addresses 4 GB; some room is left for its directories.
_CLASSIC_TIFF_BYTES = 3.9e9


def simulate_session(
    folder: str | Path,
    *,
    signals_format: SignalsFormat = "npy",
    frames_per_chunk: int | None = None,
    **parameters: Any,
) -> dict[str, Path]:
    """Simulate a recording straight to disk, chunk by chunk, in bounded memory.

    Parameters
    ----------
    folder : str or Path
        Where to write; made if needed. Files appear there when all of them are whole.
    signals_format : {"npy", "bin"}
        ``signals.npy``: float32 volts (4, n); ``signals.bin``: interleaved int16, 6 channels.
    frames_per_chunk : int, optional
        Frames held in memory at a time; None: about 32 MB.
    **parameters
        Those of `derotation.simulate.recording.RecordingParameters`.

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
    return _write(plan, plan.chunks(frames_per_chunk), Path(folder), signals_format)


def write_recording(
    recording: Recording, folder: str | Path, signals_format: SignalsFormat = "npy"
) -> dict[str, Path]:
    """Write a recording that was simulated in memory; see `simulate_session` for the files."""
    return _write(recording.plan, iter([(0, recording.movie)]), Path(folder), signals_format)


def _write(
    plan: RecordingPlan,
    chunks: Iterator[tuple[int, NDArray[Any]]],
    folder: Path,
    signals_format: SignalsFormat,
) -> dict[str, Path]:
    if signals_format not in ("npy", "bin"):
        raise InputError(f"signals_format must be 'npy' or 'bin', not '{signals_format}'")
    folder.mkdir(parents=True, exist_ok=True)
    paths = {
        "movie": folder / "movie.tif",
        "signals": folder / f"signals.{signals_format}",
        "truth": folder / "truth.npz",
        "summary": folder / "truth.json",
    }
    if plan.parameters.protocol == "full":
        paths["stimulus"] = folder / "stimulus.csv"
    with contextlib.ExitStack() as stack:
        parts = {name: stack.enter_context(appears_whole(path)) for name, path in paths.items()}
        _write_movie(parts["movie"], plan, chunks)
        write_signals(parts["signals"], plan.analog, signals_format)
        if "stimulus" in parts:
            _write_stimulus(parts["stimulus"], plan.stimulus)
        _write_truth(parts["truth"], plan)
        summary = json.dumps(_summary(plan), indent=2) + "\n"
        parts["summary"].write_text(summary, encoding="utf-8")
    logger.info("simulated %d frames into %s", plan.n_frames, folder)
    return paths


def _write_movie(
    path: Path, plan: RecordingPlan, chunks: Iterator[tuple[int, NDArray[Any]]]
) -> None:
    """Stream the movie into one uncompressed TIFF."""
    import tifffile

    dtype = np.dtype(plan.parameters.dtype)
    size = float(np.prod(plan.shape)) * dtype.itemsize

    def pages() -> Iterator[NDArray[Any]]:
        with tqdm(total=plan.n_frames, desc="simulating", unit="frame", disable=None) as bar:
            for _, block in chunks:
                yield from block
                bar.update(len(block))

    with tifffile.TiffWriter(path, bigtiff=size > _CLASSIC_TIFF_BYTES) as tiff:
        tiff.write(pages(), shape=plan.shape, dtype=dtype, photometric="minisblack")


def _write_stimulus(path: Path, stimulus: NDArray[np.float64]) -> None:
    rows = [f"{speed:g},{int(direction)}" for speed, direction in stimulus]
    path.write_text("\n".join(["speed,direction", *rows]) + "\n", encoding="utf-8")


def _write_truth(path: Path, plan: RecordingPlan) -> None:
    injected = {f"injected_{name}": np.asarray(value) for name, value in plan.injected.items()}
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
        "cell_centers": plan.cell_centers,
        "cell_radii": plan.scene.radii,
        "rest_image": plan.rest_image,
        **injected,
    }
    with path.open("wb") as file:
        np.savez(file, **arrays)


def _summary(plan: RecordingPlan) -> dict[str, Any]:
    """Describe the truth for people, and for programs that need only a few numbers of it."""
    p = plan.parameters
    names = [name for name in p.__dataclass_fields__ if name not in ("scene", "faults", "view")]
    faults = p.faults if isinstance(p.faults, Faults) else Faults(**p.faults)
    scene = "random" if p.scene is None else "given"
    return {
        "parameters": {
            **{name: _plain(getattr(p, name)) for name in names},
            "faults": asdict(faults),
            "view": asdict(p.view) if isinstance(p.view, View) else None,
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
    return value
