"""A log file for one run, without a trace in the logging of whoever calls."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["run_log"]

_PACKAGE = "derotation"
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _Onward(logging.Handler):
    """Hand records on to the handlers that would have got them without a log file."""

    def __init__(self, parent: logging.Logger, level: int) -> None:
        super().__init__(level)
        self._parent = parent

    def emit(self, record: logging.LogRecord) -> None:
        """Call the handlers of the parent; if there are none, Python's last resort."""
        self._parent.callHandlers(record)


@contextmanager
def run_log(path: Path, *, said: Callable[[str], str] = str) -> Iterator[None]:
    """Write what this package logs, from INFO on, to a file.

    What is shown elsewhere stays as it was: a console that shows warnings shows no more and no
    less of them. Afterwards nothing of this is left.

    Parameters
    ----------
    path : Path
        The log file; a later run with the same file adds to it.
    said : callable
        Puts each message into the reader's words.

    Raises
    ------
    OSError
        If the file cannot be written. What is raised inside is noted in the file and passed on.
    """
    logger = logging.getLogger(_PACKAGE)
    level, propagate, own = logger.level, logger.propagate, list(logger.handlers)
    shown = logger.getEffectiveLevel()

    def as_before(record: logging.LogRecord) -> bool:
        return record.levelno >= shown

    def in_words(record: logging.LogRecord) -> bool:
        record.msg, record.args = said(record.getMessage()), None
        return True

    file = logging.FileHandler(path, encoding="utf-8")
    file.setFormatter(logging.Formatter(_FORMAT))
    added: list[logging.Handler] = [file]
    if propagate and logger.parent is not None:
        added.append(_Onward(logger.parent, shown))
    try:
        for handler in own:
            handler.addFilter(as_before)
        for handler in added:
            handler.addFilter(in_words)
            logger.addHandler(handler)
        logger.setLevel(min(shown, logging.INFO))
        logger.propagate = False
        yield
    except BaseException:
        # Only the file: whoever called sees the error itself.
        file.handle(
            logger.makeRecord(
                _PACKAGE, logging.ERROR, __file__, 0, "The run ended early:", (), sys.exc_info()
            )
        )
        raise
    finally:
        logger.propagate = propagate
        logger.setLevel(level)
        for handler in added:
            logger.removeHandler(handler)
            handler.close()
        for handler in own:
            handler.removeFilter(as_before)
