"""Run Suite2p on the recording in whose folder this file lies, with the settings that lie there.

    python run_suite2p.py

The Python must be one in which Suite2p is installed, 1.x or 0.14 (pip install suite2p). The folder
may have been moved or copied. To change a setting, use the section export.suite2p of the workflow's
configuration, or the last line of this file.
"""

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parent
PLANE = FOLDER / "plane0"


def load(name: str) -> Any:
    """Read one of the dictionaries beside the movie."""
    return np.load(PLANE / name, allow_pickle=True).item()


def binaries(facts: dict[str, Any]) -> dict[str, str]:
    """Name the movie's files: one per channel, and a copy of each if there is one."""
    suffixes = ["", "_chan2"] if facts.get("nchannels", 1) > 1 else [""]
    names = {f"reg_file{suffix}": f"data{suffix}.bin" for suffix in suffixes}
    if facts.get("keep_movie_raw"):
        names |= {f"raw_file{suffix}": f"data{suffix}_raw.bin" for suffix in suffixes}
    return names


def save_here(name: str, content: dict[str, Any]) -> dict[str, Any]:
    """Write a dictionary with the paths of the place where the folder is now."""
    content |= {
        "save_path0": str(FOLDER.parent),
        "save_folder": FOLDER.name,
        "data_path": [str(FOLDER)],  # where Suite2p looks for bad_frames.npy
        "save_path": str(PLANE),
    }
    content |= {key: str(PLANE / name) for key, name in binaries(content).items()}
    # Renamed at the end: a run that is stopped here leaves the file that was exported.
    temporary = PLANE / f".{os.getpid()}.{name}"
    np.save(temporary, np.array(content, dtype=object), allow_pickle=True)
    temporary.replace(PLANE / name)
    return content


def check_size(facts: dict[str, Any]) -> None:
    """Stop if the movie is not whole: Suite2p would take zeros for what is missing."""
    expected = facts["nframes"] * facts["Ly"] * facts["Lx"] * 2
    for name in binaries(facts).values():
        found = (PLANE / name).stat().st_size if (PLANE / name).exists() else 0
        if found != expected:
            sys.exit(
                f"{PLANE / name} has {found} bytes, but {facts['nframes']} frames of "
                f"{facts['Ly']} x {facts['Lx']} pixels need {expected}. Copy it again, or have the "
                "step export_suite2p make it again."
            )


def merged(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """Put settings over Suite2p's defaults, section by section."""
    out = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else value
    return out


def run_generation_1(suite2p: Any, changes: dict[str, Any]) -> None:
    """Run Suite2p 1.x."""
    settings = merged(suite2p.default_settings(), load("settings.npy"))
    check_size(save_here("db.npy", load("db.npy")))
    place = {"save_path0": str(FOLDER.parent), "save_folder": FOLDER.name}
    suite2p.run_s2p(db=place | {"data_path": [str(FOLDER)]}, settings=merged(settings, changes))


def run_generation_0(suite2p: Any, changes: dict[str, Any]) -> None:
    """Run Suite2p 0.14."""
    ops = save_here("ops.npy", load("ops.npy"))
    if "registration" in ops:
        sys.exit(
            f"{PLANE / 'ops.npy'} was written by Suite2p 1.x and is of no use for 0.14; have the "
            "step export_suite2p make the folder again."
        )
    check_size(ops)
    suite2p.run_s2p(ops=ops | changes)


def main(changes: dict[str, Any]) -> None:
    """Run whichever Suite2p is installed, and write down what came out."""
    try:
        import suite2p  # type: ignore[import-not-found]
    except ImportError as error:
        sys.exit(
            f"{sys.executable} cannot import Suite2p ({error}). Run this file with the Python of "
            "an environment in which it is installed (pip install suite2p)."
        )
    began = time.time()
    run = run_generation_1 if hasattr(suite2p, "default_settings") else run_generation_0
    run(suite2p, changes)
    stat, iscell = PLANE / "stat.npy", PLANE / "iscell.npy"
    said = {
        "suite2p": version("suite2p"),
        "rois": len(np.load(stat, allow_pickle=True)) if stat.exists() else 0,
        "cells": int(np.load(iscell)[:, 0].sum()) if iscell.exists() else 0,
        "seconds": round(time.time() - began, 1),
    }
    text = json.dumps(said, indent=2)
    (FOLDER / "suite2p_run.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    # Settings by Suite2p's own names: for 1.x with their section, such as
    # {"detection": {"threshold_scaling": 0.8}}, for 0.14 without it: {"threshold_scaling": 0.8}.
    main({})
