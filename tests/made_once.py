"""What is dear to make is made once, for all processes in which the tests of a run are spread."""

import fcntl
import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

Made = TypeVar("Made")


def made_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]
) -> Made:
    """Make something in a folder unless another process of this run has made it.

    Whoever comes first makes it, and the others wait. Tests only look at it: one that changes
    files needs a copy of them.

    Parameters
    ----------
    tmp_path_factory
        Pytest's fixture.
    name : str
        Which names it in this run.
    make : callable
        Called with the path of a folder, which is not there yet. What it returns is pickled.

    Returns
    -------
    made
        What `make` returned.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # of the whole run
    place = base / "made_once" / name
    place.mkdir(parents=True, exist_ok=True)
    kept = place / "made.pickle"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            # A folder of its own: programs of one that was killed may still write into theirs.
            written = place / "made.part"
            written.write_bytes(pickle.dumps(make(Path(tempfile.mkdtemp(dir=place)) / "files")))
            written.replace(kept)
        made: Made = pickle.loads(kept.read_bytes())
        return made
