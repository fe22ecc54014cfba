"""What a job says: its log file, and an error that can be understood from its last line."""

import faulthandler
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from derotation.errors import DerotationError
from derotation.jobs.folders import use_writable_cache
from derotation.jobs.starting import load_plots_beside, rarely_collected
from derotation.numerics.linear_algebra import use_one_thread

__all__ = ["job_log", "last_error"]

_MARK = "ERROR: "
_PACKAGE = Path(__file__).parents[1]
# As Python's fault handler writes it, then the functions, the innermost first.
_CRASH = re.compile(r"^Fatal Python error: (.*)$", re.MULTILINE)
_FUNCTION = re.compile(r'^  File "(.*)", line (\d+) in (\w+)', re.MULTILINE)


@contextmanager
def job_log(path: str | Path, *, draws: bool = False) -> Iterator[None]:
    """Send everything that a job says to its log file.

    Log messages, warnings and whatever is printed to stderr go to the file. An error that this
    package raised on purpose becomes one last paragraph that begins with ``ERROR``; the job
    ends with exit code 1. Other errors keep their traceback, since they are bugs or trouble with
    the computer. A crash of a library that ends Python itself leaves the place where it happened.

    Parameters
    ----------
    path : path
        The log file; it is written anew.
    draws : bool
        The job makes figures: what draws them is loaded beside its work.

    Raises
    ------
    SystemExit
        With code 1, in place of every error.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A job whose Snakemake was killed may still write to the old one.
    path.unlink(missing_ok=True)
    root, stderr = logging.getLogger(), sys.stderr
    level = root.level
    with path.open("w", encoding="utf-8", buffering=1) as stream, rarely_collected():
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        logging.captureWarnings(True)
        sys.stderr = stream
        # Where somebody else listens for crashes, as a debugger does, it stays so.
        watches = not faulthandler.is_enabled()
        if watches:
            faulthandler.enable(stream, all_threads=False)
        try:
            use_writable_cache()
            use_one_thread()
            if draws:
                load_plots_beside()
            yield
        except (DerotationError, OSError, MemoryError) as error:
            _say(error)
            raise SystemExit(1) from None
        except Exception as error:
            logging.exception("this was not foreseen; please report it with this log:")
            _say(error)
            raise SystemExit(1) from None
        finally:
            if watches:
                faulthandler.disable()
            sys.stderr = stderr
            logging.captureWarnings(False)
            root.removeHandler(handler)
            root.setLevel(level)


def _say(error: BaseException) -> None:
    text = str(error) or "no more is known"
    kind = "" if isinstance(error, DerotationError) else f"{type(error).__name__}: "
    print(f"{_MARK}{kind}{text}", file=sys.stderr)


def last_error(log: str | Path) -> str | None:
    """Take out of a job's log the error that ended it.

    Parameters
    ----------
    log : path
        The log file, which need not exist.

    Returns
    -------
    str or None
        What the job said about its error, without the mark, or that a library crashed; None if
        there is neither.
    """
    try:
        text = Path(log).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    _, mark, error = f"\n{text}".rpartition(f"\n{_MARK}")
    if mark:
        return error.strip() or None
    if crash := _CRASH.search(text):
        return (
            f"a library crashed ({crash[1]}){_place(text[crash.end() :])}: most likely a file that "
            "it read is damaged; copy it again from where it was recorded."
        )
    return None


def _place(frames: str) -> str:
    """Name the function of this package in which a crash happened."""
    for file, line, function in _FUNCTION.findall(frames):
        if Path(file).is_relative_to(_PACKAGE):
            return f" in {function} ({Path(file).name}, line {line})"
    return ""
