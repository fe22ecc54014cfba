"""The folders in which jobs keep what nobody asked for: temporary files, and compiled code.

A full disk or a folder that may not be written would otherwise end a run with a traceback of some
library that names neither.
"""

import atexit
import logging
import os
import shutil
import tempfile
from pathlib import Path

from derotation.errors import DerotationError

__all__ = ["FolderError", "check_temporary_folder", "use_writable_cache"]

logger = logging.getLogger(__name__)

# As much as a small file of results; a disk that is nearly full is said by the step that fills it.
_BYTES = 100_000
_PACKAGE = Path(__file__).parents[1]


class FolderError(DerotationError, OSError):
    """A folder that jobs need cannot be written."""


def check_temporary_folder() -> None:
    """Refuse to begin with a temporary folder that takes nothing any more.

    Raises
    ------
    FolderError
        If there is none, or if it is full or may not be written: with what to do.
    """
    advice = "make room there, or name a folder on another disk: export TMPDIR=/path/to/folder"
    # Python itself looks for another folder in silence; the programs that jobs call do not.
    asked = os.environ.get("TMPDIR")
    try:
        folder = asked or tempfile.gettempdir()
    except OSError as error:
        raise FolderError(f"no temporary folder can be written ({error.strerror}); {advice}") from (
            error
        )
    problem = _trouble(Path(folder))
    if problem:
        raise FolderError(f"the temporary folder {folder} cannot be written ({problem}); {advice}")


def use_writable_cache() -> None:
    """Have Numba keep its compiled code where it can be written.

    It lies beside the code, or else in the user's cache; if neither takes it, in a temporary folder
    of this process, which is said in the log, since each job then compiles again. To be called
    before Numba is imported.

    Raises
    ------
    FolderError
        If none can be written.
    """
    given = os.environ.get("NUMBA_CACHE_DIR")
    beside = _PACKAGE / "maps" / "__pycache__"
    user = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "numba"
    temporary = Path(tempfile.gettempdir())
    first = Path(given) if given else beside
    troubles = {}
    for folder in (first, user, temporary):
        problem = _trouble(folder)
        if problem is None:
            break
        troubles[folder] = problem
    else:
        tried = ", ".join(f"{folder} ({problem})" for folder, problem in troubles.items())
        raise FolderError(
            f"there is no folder for compiled code, tried: {tried}; make room in one of them, or "
            "name another one: export NUMBA_CACHE_DIR=/path/to/folder"
        )
    if folder == temporary:
        # A folder of its own: code that somebody else could have put there must not be run.
        folder = Path(tempfile.mkdtemp(prefix="derotation-numba-", dir=temporary))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        tried = ", ".join(f"{folder} ({problem})" for folder, problem in troubles.items())
        logger.warning(
            "Compiled code is kept in %s for this job alone, since %s cannot be written: each job "
            "compiles it again, which takes longer.", folder, tried,
        )  # fmt: skip
    if folder != first:
        os.environ["NUMBA_CACHE_DIR"] = str(folder)


def _trouble(folder: Path) -> str | None:
    """Say why nothing can be written into a folder; None if it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(bytes(_BYTES))
            stream.flush()
    except OSError as error:
        return error.strerror or str(error)
    return None
