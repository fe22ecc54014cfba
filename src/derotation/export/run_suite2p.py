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


def planes() -> list[Path]:
    """List the folders of the planes; stop if one is missing."""
    count = np.load(FOLDER / "plane0" / "db.npy", allow_pickle=True).item()["nplanes"]
    found = [FOLDER / f"plane{number}" for number in range(count)]
    for plane in found:
        if not (plane / "db.npy").exists():
            sys.exit(f"{plane} is missing; have the step export_suite2p make the folder again.")
    return found


def load(name: str, plane: Path) -> Any:
    """Read one of the dictionaries beside the movie of a plane."""
    return np.load(plane / name, allow_pickle=True).item()


def binaries(facts: dict[str, Any]) -> dict[str, str]:
    """Name the movie's files: one per channel, and a copy of each if there is one."""
    suffixes = ["", "_chan2"] if facts.get("nchannels", 1) > 1 else [""]
    names = {f"reg_file{suffix}": f"data{suffix}.bin" for suffix in suffixes}
    if facts.get("keep_movie_raw"):
        names |= {f"raw_file{suffix}": f"data{suffix}_raw.bin" for suffix in suffixes}
    return names


def save_here(name: str, content: dict[str, Any], plane: Path) -> dict[str, Any]:
    """Write a dictionary with the paths of the place where the folder is now."""
    content |= {
        "save_path0": str(FOLDER.parent),
        "save_folder": FOLDER.name,
        "data_path": [str(FOLDER)],  # where Suite2p looks for bad_frames.npy
        "save_path": str(plane),
    }
    content |= {key: str(plane / name) for key, name in binaries(content).items()}
    # Renamed at the end: a run that is stopped here leaves the file that was exported.
    temporary = plane / f".{os.getpid()}.{name}"
    np.save(temporary, np.array(content, dtype=object), allow_pickle=True)
    temporary.replace(plane / name)
    return content


def check_size(facts: dict[str, Any], plane: Path) -> None:
    """Stop if the movie is not whole: Suite2p would take zeros for what is missing."""
    expected = facts["nframes"] * facts["Ly"] * facts["Lx"] * 2
    for name in binaries(facts).values():
        found = (plane / name).stat().st_size if (plane / name).exists() else 0
        if found != expected:
            sys.exit(
                f"{plane / name} has {found} bytes, but {facts['nframes']} frames of "
                f"{facts['Ly']} x {facts['Lx']} pixels need {expected}. Copy it again, or have the "
                "step export_suite2p make it again."
            )


def there(name: str) -> list[Path]:
    """List the files of this name that Suite2p made."""
    return [plane / name for plane in planes() if (plane / name).exists()]


def merged(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """Put settings over Suite2p's defaults, section by section."""
    out = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else value
    return out


def run_generation_1(suite2p: Any, changes: dict[str, Any]) -> None:
    """Run Suite2p 1.x."""
    settings = merged(suite2p.default_settings(), load("settings.npy", FOLDER / "plane0"))
    for plane in planes():
        check_size(save_here("db.npy", load("db.npy", plane), plane), plane)
    place = {"save_path0": str(FOLDER.parent), "save_folder": FOLDER.name}
    suite2p.run_s2p(db=place | {"data_path": [str(FOLDER)]}, settings=merged(settings, changes))


def run_generation_0(suite2p: Any, changes: dict[str, Any]) -> None:
    """Run Suite2p 0.14."""
    told = [save_here("ops.npy", load("ops.npy", plane), plane) for plane in planes()]
    ops = told[0]
    if "registration" in ops:
        sys.exit(
            f"{FOLDER / 'plane0' / 'ops.npy'} was written by Suite2p 1.x and is of no use for "
            "0.14; have the step export_suite2p make the folder again."
        )
    for each, plane in zip(told, planes(), strict=True):
        check_size(each, plane)
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
    rois = [np.load(path, allow_pickle=True) for path in there("stat.npy")]
    cells = [np.load(path)[:, 0].sum() for path in there("iscell.npy")]
    said = {
        "suite2p": version("suite2p"),
        "rois": sum(len(each) for each in rois),
        "cells": int(sum(cells)),
        "seconds": round(time.time() - began, 1),
    }
    text = json.dumps(said, indent=2)
    (FOLDER / "suite2p_run.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    # Settings by Suite2p's own names: for 1.x with their section, such as
    # {"detection": {"threshold_scaling": 0.8}}, for 0.14 without it: {"threshold_scaling": 0.8}.
    main({})
