"""Progress that a user thinks in: sessions done of sessions to do."""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

__all__ = ["SessionProgress"]


class SessionProgress(logging.Handler):
    """Listens to Snakemake's messages and says when all jobs of a session are done.

    Parameters
    ----------
    sessions : mapping
        The session of each job that is to be run, by the job's number.
    logger : logging.Logger
        Snakemake's logger, which is listened to and which says it.
    """

    def __init__(self, sessions: Mapping[Any, str], logger: logging.Logger) -> None:
        super().__init__()
        self._sessions = dict(sessions)
        self._left = Counter(self._sessions.values())
        self._total = len(self._left)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Count a job that has finished; other messages are ignored."""
        if str(getattr(record, "event", None)) != "job_finished":
            return
        # Each job counts once.
        session = self._sessions.pop(getattr(record, "job_id", None), None)
        if session is None:
            return
        self._left[session] -= 1
        if not self._left[session]:
            del self._left[session]
            done = self._total - len(self._left)
            self._logger.info(f"Sessions done: {done} of {self._total} ({session} is ready)")
