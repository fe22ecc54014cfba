"""How much of this computer jobs may use."""

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["memory_for_jobs_mb", "memory_mb", "n_cores"]

# What is left to the system, Snakemake and whatever else is open.
_SHARE = 0.8
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def n_cores() -> int:
    """Count the cores that this process may use, which a scheduler or a container may limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS


def memory_mb() -> int:
    """Tell the memory that this process may use, in megabytes (10^6 bytes).

    It is that of the computer, or less if a container or a scheduler sets a limit.
    """
    computer = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([computer, *_limits()]) // 1_000_000


def memory_for_jobs_mb() -> int:
    """Tell what all jobs together may use: most of the memory, in megabytes."""
    return int(_SHARE * memory_mb())


def _limits() -> Iterator[int]:
    """Read the limits of the control groups that hold this process; Linux alone has them."""
    try:
        lines = _OWN_CGROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = _CGROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = _CGROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        own = root / path.lstrip("/")
        for folder in (own, *own.parents):
            if not folder.is_relative_to(root):
                break
            try:
                yield int((folder / name).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue  # no such group is seen from within a container; or "max": no limit
