"""Trouble made on purpose: Python imports this first in every job if its folder is in PYTHONPATH.

What happens is told by the name of the signals that a job opens, whichever library opens them.
"""

import os
import signal
import sys
from pathlib import Path


def crash() -> None:
    """Do what a library does that trusts a damaged file."""
    import ctypes

    ctypes.string_at(0)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run_out_of_memory() -> None:
    raise MemoryError


def lose_the_movie() -> None:
    """Take away a raw file of another session, which is processed later or just now."""
    Path("gone_movie.tif").unlink(missing_ok=True)


FAULTS = {
    "crash_signals.npy": crash,
    "kill_signals.npy": be_killed,
    "memory_signals.npy": run_out_of_memory,
    "good_signals.npy": lose_the_movie,
}


def watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        fault = FAULTS.get(Path(os.fsdecode(arguments[0])).name)
        if fault:
            fault()


if sys.orig_argv[-1].endswith(".parse_signals.py"):
    sys.addaudithook(watch)
