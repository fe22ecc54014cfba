"""The versions of all software that a result depends on."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import derotation

__all__ = ["software_versions"]

PACKAGES = (
    "snakemake",
    "snakemake-executor-plugin-slurm",
    "numpy",
    "scipy",
    "numba",
    "scikit-image",
    "pandas",
    "tifffile",
    "matplotlib",
)


@cache
def software_versions() -> Mapping[str, Any]:
    """Name the versions of all software that a result depends on.

    Found out once: they stay as they are while a program runs.

    Returns
    -------
    mapping
        ``derotation``, ``python``, ``platform``, each of the main packages (None: not
        installed), and ``git``: the commit of the clone that the library runs from, and whether
        files in it were modified; None outside a clone.
    """
    versions: dict[str, Any] = {"derotation": derotation.__version__, "git": _commit()}
    versions |= {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def _commit() -> dict[str, Any] | None:
    """Ask git for the commit of the clone that holds the library, if it does."""
    root = Path(derotation.__file__).resolve().parents[2]
    # The library may be installed within a folder that belongs to another repository.
    if not (root / ".git").exists():
        return None
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return None
    return {"commit": commit.strip(), "modified": bool(changes.strip())}


def _git(root: Path, *arguments: str) -> str | None:
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", root, *arguments],
            env=environment, capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
