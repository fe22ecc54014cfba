"""What the workflow needs of a computer and its software, and whether it is there."""

import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import derotation
from derotation.jobs.computer import memory_mb, n_cores
from derotation.jobs.folders import FolderError, check_temporary_folder
from derotation.jobs.versions import software_versions
from derotation.settings.shipped import workflow_file
from derotation_installation import mixture

__all__ = ["Finding", "examine"]

# The extras of this package, and what each of them brings.
_EXTRAS = {
    "formats": ("h5py", "nptdms"),
    "napari": ("napari",),
    "nwb": ("pynwb",),
    "zarr": ("zarr",),
    "slurm": ("snakemake_executor_plugin_slurm",),
}
_SLURM = ("sbatch", "squeue", "scancel", "sacct")
# A job of the smallest session asks for 1.5 GB.
_LEAST_MEMORY_MB, _LEAST_FREE_GB = 2000, 5.0
_SUITE2P = "from importlib.metadata import version; import suite2p; print(version('suite2p'))"
# Importing Suite2p loads PyTorch, which may lie on a slow disk.
_SUITE2P_S = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    topic : str
        What was looked at.
    found : str
        What was found, in one line.
    advice : str
        What to do about it; empty if all is well.
    """

    topic: str
    found: str
    advice: str = ""


def examine(config: Mapping[str, Any]) -> list[Finding]:
    """Look at the computer, the installed software and the disks.

    Parameters
    ----------
    config : mapping
        The checked configuration: it says where results go and whether Suite2p is run.

    Returns
    -------
    list of Finding
        In the order in which they are read. Nothing is wrong if none has advice.
    """
    return [check(config) for check in _CHECKS]


def _system(config: Mapping[str, Any]) -> Finding:
    advice = ""
    if platform.system() == "Windows":
        advice = "install WSL (wsl --install), and all of this within it"
    return Finding(topic="system", found=platform.platform(), advice=advice)


def _package(config: Mapping[str, Any]) -> Finding:
    said = mixture(search=True)
    if said is not None:
        found, _, advice = said.partition("; ")
        return Finding(topic="derotation", found=found, advice=advice)
    folder = Path(derotation.__file__).parent
    linked = folder not in workflow_file().parents
    how = f"a link to the checkout {folder.parents[1]}" if linked else f"installed in {folder}"
    return Finding(topic="derotation", found=f"{derotation.__version__}, {how}")


def _versions(config: Mapping[str, Any]) -> Finding:
    versions = software_versions()
    packages = {name: text for name, text in versions.items() if name not in _SAID_ELSEWHERE}
    found = ", ".join(f"{name} {text or 'missing'}" for name, text in packages.items())
    return Finding(topic="software", found=found)


_SAID_ELSEWHERE = ("derotation", "git", "platform", "snakemake-executor-plugin-slurm")


def _extras(config: Mapping[str, Any]) -> Finding:
    there = {
        name: all(find_spec(module) is not None for module in modules)
        for name, modules in _EXTRAS.items()
    }
    missing = [name for name, found in there.items() if not found]
    found = ", ".join(name for name, found in there.items() if found) or "none"
    if missing:
        # No advice: who needs them is told by what needs them.
        found += f" (not installed: {', '.join(missing)})"
    return Finding(topic="extras", found=found)


def _computer(config: Mapping[str, Any]) -> Finding:
    memory = memory_mb()
    advice = ""
    if memory < _LEAST_MEMORY_MB:
        advice = "small sessions alone will go through; use a computer with 8 GB or more"
    found = f"{n_cores()} cores, {memory / 1000:.1f} GB of memory"
    return Finding(topic="computer", found=found, advice=advice)


def _results(config: Mapping[str, Any]) -> Finding:
    wanted = Path(config["pathvars"]["results"]).absolute()
    folder = next(path for path in (wanted, *wanted.parents) if path.exists())
    free = shutil.disk_usage(folder).free / 1e9
    advice = ""
    if free < _LEAST_FREE_GB:
        advice = "make room, or set pathvars.results to another disk"
    return Finding(topic="results", found=f"{wanted}, {free:.0f} GB free", advice=advice)


def _temporary(config: Mapping[str, Any]) -> Finding:
    try:
        check_temporary_folder()
    except FolderError as error:
        found, _, advice = str(error).partition("; ")
        return Finding(topic="temporary files", found=found, advice=advice)
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free / 1e9
    return Finding(topic="temporary files", found=f"{folder}, {free:.0f} GB free")


def _slurm(config: Mapping[str, Any]) -> Finding:
    there = [name for name in _SLURM if shutil.which(name)]
    if not there:
        found = "no commands of SLURM here (needed only for --profile slurm)"
        return Finding(topic="cluster", found=found)
    missing = [name for name in _SLURM if name not in there]
    found = f"SLURM: {', '.join(there)}" + (f"; missing: {', '.join(missing)}" if missing else "")
    advice = ""
    if missing == ["sacct"]:
        advice = 'add "slurm-status-command: squeue" to profiles/slurm/config.yaml'
    elif missing:
        advice = "load the module of SLURM, or log in to a node from which jobs are submitted"
    elif find_spec(_EXTRAS["slurm"][0]) is None:
        # Nothing to be mended: there are people on a cluster who work on one computer.
        found += "; --profile slurm needs pip install 'derotation-workflow[slurm]'"
    return Finding(topic="cluster", found=found, advice=advice)


def _suite2p(config: Mapping[str, Any]) -> Finding:
    chosen = config["export"]["suite2p"]
    if not chosen["run"]:
        found = "not run by the workflow (export.suite2p.run is false)"
        return Finding(topic="Suite2p", found=found)
    python = chosen["python"]
    try:
        done = subprocess.run(
            [python, "-c", _SUITE2P],
            text=True, capture_output=True, timeout=_SUITE2P_S, check=False,
        )  # fmt: skip
        said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()[-1:]
    except (OSError, subprocess.TimeoutExpired) as error:
        said, done = [str(error)], None
    if done is None or done.returncode != 0:
        return Finding(
            topic="Suite2p",
            found=f"{python} cannot import it ({''.join(said)})",
            advice="set export.suite2p.python to a Python that has it (docs/suite2p.md)",
        )
    return Finding(topic="Suite2p", found=f"{''.join(said)} in {python}")


_CHECKS: tuple[Callable[[Mapping[str, Any]], Finding], ...] = (
    _system,
    _package,
    _versions,
    _extras,
    _computer,
    _results,
    _temporary,
    _slurm,
    _suite2p,
)
