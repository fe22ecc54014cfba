"""A folder that Suite2p takes at once, for its 1.x and its 0.14 generation."""

import contextlib
import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation import __version__
from derotation.export import run_suite2p
from derotation.export.frames import FilledFrames
from derotation.export.rectangle import largest_rectangle
from derotation.export.suite2p_settings import PlaneFacts, make_db, make_ops, make_settings
from derotation.io.files import whole_files, write_array, write_json, write_out
from derotation.io.seen import SeenPixels

__all__ = ["FILES", "Suite2pExport", "export_suite2p"]

logger = logging.getLogger(__name__)

# In the order in which they appear: Suite2p takes a folder for ready when it finds db.npy and
# settings.npy, or ops.npy, so these come last.
FILES = (
    "plane0/data.bin",
    "bad_frames.npy",
    "plane0/reg_outputs.npy",
    "run_suite2p.py",
    "plane0/settings.npy",
    "plane0/ops.npy",
    "plane0/db.npy",
    "export.json",
)
# Of an earlier export, which may have had more of them.
_BINARIES = {"data.bin", "data_raw.bin", "data_chan2.bin", "data_chan2_raw.bin"}
# What Suite2p leaves in a plane's folder; of no use with another movie beside it.
_RESULTS = (
    "stat.npy", "F.npy", "Fneu.npy", "F_chan2.npy", "Fneu_chan2.npy", "spks.npy", "iscell.npy",
    "redcell.npy", "detect_outputs.npy", "zcorr.npy", "Fall.mat", "run.log",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Suite2pExport:
    """What was found while a movie was exported."""

    bad_frames: NDArray[np.int64]
    """Numbers of the frames to be left out, from 0."""
    reasons: dict[str, int]
    """How many frames are bad, per reason."""
    always_seen: NDArray[np.bool_]
    """Pixels that all other frames saw (y, x)."""
    rectangle: tuple[tuple[int, int], tuple[int, int]] | None
    """The largest rectangle of them: first and behind the last row and column; None: no pixel."""
    value_range: tuple[float, float]
    """Least and largest gray value."""


def export_suite2p(
    frames: FilledFrames,
    seen: SeenPixels,
    facts: PlaneFacts,
    folder: str | Path,
    *,
    second: FilledFrames | None = None,
    bad_frames: Mapping[str, NDArray[np.bool_]] | None = None,
    config: Mapping[str, Any] | None = None,
    about: Mapping[str, Any] | None = None,
    frames_per_chunk: int | None = None,
) -> Suite2pExport:
    """Write a folder that Suite2p takes at once.

    Parameters
    ----------
    frames : FilledFrames
        The derotated movie without holes.
    seen : SeenPixels
        Which of its pixels were seen.
    facts : PlaneFacts
        What Suite2p has to know about it.
    folder : path
        The folder ``suite2p``; its ``plane0/`` holds the movie. None of the files appears before
        all are whole. Results that Suite2p left there move to ``earlier/``: they belong to another
        movie, but may hold cells that somebody chose by hand. Of several planes (see `facts`)
        ``plane0`` is to be exported last: the files beside the planes' folders are then its own.
    second : FilledFrames, optional
        Another channel of the same recording, which becomes ``data_chan2.bin``.
    bad_frames : mapping, optional
        Which frames (frame,) Suite2p is to leave out, by reason; see
        :func:`derotation.export.bad_frames.bad_frames`.
    config : mapping, optional
        ``settings`` and ``ops``, values by Suite2p's own names.
    about : mapping, optional
        More for ``export.json``: where the movie comes from.
    frames_per_chunk : int, optional
        Frames held in memory at a time.

    Returns
    -------
    Suite2pExport

    Raises
    ------
    InputError
        If the movie's values do not fit into 16 bits.
    """
    options = {"settings": {}, "ops": {}} | dict(config or {})
    place = Path(folder)
    settings = make_settings(facts, options["settings"])  # may refuse; before any work
    plane = f"plane{facts.plane}"
    binaries = {key: f"{plane}/{name}" for key, name in facts.binaries.items()}
    others = (name.replace("plane0", plane) for name in FILES)
    names = tuple(dict.fromkeys([*binaries.values(), *others]))
    with whole_files(place / name for name in names) as temporaries:
        to = dict(zip(names, temporaries, strict=True))
        means = {}
        for movie, mean, suffix in ((frames, "meanImg", ""), (second, "meanImg_chan2", "_chan2")):
            if movie is not None:
                keys = (f"reg_file{suffix}", f"raw_file{suffix}")
                copies = [to[binaries[key]] for key in keys if key in binaries]
                means[mean] = _write_movie(movie, facts, copies, frames_per_chunk)
        found = _look_at(seen, bad_frames or {}, frames.value_range)
        # Where Suite2p does not register, nothing else tells it what the second channel shows.
        ranges = _ranges(found, facts) | (means if second is not None else {})
        np.save(to["bad_frames.npy"], found.bad_frames)
        _save_dict(to[f"{plane}/reg_outputs.npy"], ranges)
        _save_dict(to[f"{plane}/settings.npy"], settings)
        _save_dict(to[f"{plane}/ops.npy"], make_ops(facts, ranges, options["ops"]))
        _save_dict(to[f"{plane}/db.npy"], make_db(facts))
        shutil.copyfile(Path(run_suite2p.__file__), to["run_suite2p.py"])
        write_json(to["export.json"], _summary(found, facts, frames, ranges) | dict(about or {}))
        _remove_earlier(place, facts)
    return found


def _write_movie(
    frames: FilledFrames, facts: PlaneFacts, binaries: list[Path], frames_per_chunk: int | None
) -> NDArray[np.float32]:
    """Write a channel's movie, and its copy if there is to be one; give its mean, if needed."""
    total = np.zeros((facts.height, facts.width))
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(path.open("wb", buffering=0)) for path in binaries]
        for block in frames.blocks(frames_per_chunk):
            if len(facts.channels) > 1:  # else nobody asks for it
                total += block.sum(axis=0, dtype=np.int64)
            for stream in streams:
                write_array(stream, block)
                write_out(stream)
    expected = facts.n_frames * facts.height * facts.width * 2
    for path in binaries:
        if path.stat().st_size != expected:
            size = path.stat().st_size
            msg = f"{path} has {size} bytes, but {expected} were written; is the disk full?"
            raise OSError(msg)
    return (total / facts.n_frames).astype(np.float32)


def _look_at(
    seen: SeenPixels,
    bad_frames: Mapping[str, NDArray[np.bool_]],
    value_range: tuple[float, float],
) -> Suite2pExport:
    """Put together what Suite2p is told about frames and pixels."""
    bad = np.any([np.zeros(seen.shape[0], np.bool_), *bad_frames.values()], axis=0)
    always = seen.always(~bad)
    return Suite2pExport(
        bad_frames=np.flatnonzero(bad).astype(np.int64),
        reasons={reason: int(which.sum()) for reason, which in bad_frames.items()},
        always_seen=always,
        rectangle=largest_rectangle(always),
        value_range=value_range,
    )


def _ranges(found: Suite2pExport, facts: PlaneFacts) -> dict[str, Any]:
    """Say where and when Suite2p may look for cells if it does not register the movie."""
    rectangle = found.rectangle
    if rectangle is None:
        logger.warning(
            "No pixel was seen by all frames that are not bad, so Suite2p will look for cells in "
            "the whole picture. Frames that saw little can be left out by "
            "export.bad_frames.min_coverage."
        )
        rectangle = ((0, facts.height), (0, facts.width))
    bad = np.zeros(facts.n_frames, np.bool_)
    bad[found.bad_frames] = True
    if bad.mean() >= 0.5:
        logger.warning(
            "%d of %d frames are bad (%s); Suite2p does not work well with more than half of them.",
            bad.sum(), len(bad), ", ".join(f"{n} {reason}" for reason, n in found.reasons.items()),
        )  # fmt: skip
    return {"yrange": [*rectangle[0]], "xrange": [*rectangle[1]], "badframes": bad}


def _summary(
    found: Suite2pExport, facts: PlaneFacts, frames: FilledFrames, ranges: Mapping[str, Any]
) -> dict[str, Any]:
    """Say in words and numbers what was exported."""
    return {
        "kind": "derotation suite2p export",
        "version": 1,
        "software": f"derotation-workflow {__version__}",
        "session": facts.session,
        "frames": facts.n_frames,
        "height": facts.height,
        "width": facts.width,
        "frame_rate_hz": facts.frame_rate,
        "tau_s": facts.tau,
        "diameter_px": facts.diameter,
        "registration_by_suite2p": facts.register,
        "channels": {"functional": facts.channels[0], "other": [*facts.channels[1:]]},
        "scale": frames.scale,
        "gray_values": [*found.value_range],
        "bad_frames": {"number": len(found.bad_frames)} | found.reasons,
        "always_seen": {
            "pixels": int(found.always_seen.sum()),
            "rows": ranges["yrange"],
            "columns": ranges["xrange"],
            "is_whole_frame_since_no_pixel_was_always_seen": found.rectangle is None,
        },
    }


def _save_dict(path: Path, content: Mapping[str, Any]) -> None:
    """Save a dictionary as Suite2p does, so that any NumPy from 1.24 on can read it."""
    np.save(path, np.array(dict(content), dtype=object), allow_pickle=True)


def _remove_earlier(folder: Path, facts: PlaneFacts) -> None:
    """Keep what is left of an earlier export from being taken for a part of this one."""
    plane = folder / f"plane{facts.plane}"
    gone = [path for path in folder.glob("plane[0-9]*") if int(path.name[5:]) >= facts.n_planes]
    _move_results_away(folder, [plane, *gone], by_plane=facts.n_planes > 1)
    for name in _BINARIES - set(facts.binaries.values()):
        (plane / name).unlink(missing_ok=True)
    for path in gone:
        shutil.rmtree(path)


def _move_results_away(folder: Path, planes: list[Path], *, by_plane: bool) -> None:
    """Keep what Suite2p made of an earlier export, where it cannot be taken for this one's."""
    names = [plane / name for plane in planes for name in _RESULTS]
    old = [path for path in [*names, folder / "suite2p_run.json"] if path.exists()]
    if not old:
        return
    target = folder / "earlier" / time.strftime("%Y-%m-%d_%H%M%S")
    for path in old:
        several = by_plane or path.parent.name != planes[0].name
        kept = target / path.relative_to(folder) if several else target / path.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        path.replace(kept)
    logger.info("Results of an earlier run of Suite2p were moved to %s", target)
