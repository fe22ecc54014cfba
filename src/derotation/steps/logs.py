"""What a job says: its log file, and an error that can be understood from its last line."""

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from derotation.errors import DerotationError

__all__ = ["failures", "job_log"]

_MARK = "ERROR: "


@contextmanager
def job_log(path: str | Path) -> Iterator[None]:
    """Send everything that a job says to its log file.

    Log messages, warnings and whatever is printed to stderr go to the file. An error that this
    package raised on purpose becomes one last paragraph that begins with ``ERROR``; the job
    ends with exit code 1. Other errors keep their traceback, since they are bugs or trouble with
    the computer.

    Parameters
    ----------
    path : path
        The log file; it is written anew.

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
    with path.open("w", encoding="utf-8", buffering=1) as stream:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        logging.captureWarnings(True)
        sys.stderr = stream
        try:
            yield
        except (DerotationError, OSError, MemoryError) as error:
            _say(error)
            raise SystemExit(1) from None
        except Exception as error:
            logging.exception("this was not foreseen; please report it with this log:")
            _say(error)
            raise SystemExit(1) from None
        finally:
            sys.stderr = stderr
            logging.captureWarnings(False)
            root.removeHandler(handler)
            root.setLevel(level)


def _say(error: BaseException) -> None:
    text = str(error) or "no more is known"
    kind = "" if isinstance(error, DerotationError) else f"{type(error).__name__}: "
    print(f"{_MARK}{kind}{text}", file=sys.stderr)


def failures(folder: str | Path, sessions: Iterable[str]) -> list[str]:
    """Collect from the logs which sessions failed, in which step and why.

    Parameters
    ----------
    folder : path
        The folder with one folder of logs per session.
    sessions : iterable of str
        The sessions to look at.

    Returns
    -------
    list of str
        One line per failed job, with the session, the step, the first line of the reason and
        the log that holds the rest.
    """
    lines = []
    for session in sessions:
        for log in sorted(Path(folder, session).glob("*.log")):
            said = log.read_text(encoding="utf-8", errors="replace").splitlines()
            reasons = [line.removeprefix(_MARK) for line in said if line.startswith(_MARK)]
            if reasons:
                lines.append(f"{session}, {log.stem}: {reasons[-1]} ({log})")
    return lines
