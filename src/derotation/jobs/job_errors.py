"""What Snakemake and SLURM say about jobs that fail, in one line for the user.

:mod:`derotation.report.states` puts a failure's reason together from this and from the step's log
(:mod:`derotation.jobs.logs`).

A step names its errors in its log. But a job may also be refused by SLURM, be killed, or be taken
for failed by Snakemake: then the reason stands in Snakemake's messages alone, lost in their flood.
"""

import logging
import re
import shlex
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

__all__ = ["JobErrors", "plain_reason"]

# What SLURM wrote into a job's own log counts only near its end.
_TAIL_BYTES = 20_000
_SLURM_WORDS = re.compile(
    r"^(?:slurmstepd|srun|slurmd|sbatch): error: (.*(?:memory|oom|limit|cancel|node fail).*)$",
    re.IGNORECASE | re.MULTILINE,
)
_SIGNAL = re.compile(r"died with <Signals\.(\w+): \d+>")
_EXIT_CODE = re.compile(r"returned non-zero exit status (\d+)")
_FUTURE = re.compile(
    r"Output (?P<output>.+) has older modification time \((?P<made>[^)]*)\) "
    r"than input (?P<input>.+) \((?P<changed>[^)]*)\)\. "
)
_GONE = re.compile(r"Missing files after .*:\n(.+?) \(missing locally")
_REFUSED = re.compile(r"SLURM sbatch failed\. The error message was '(.*?)'\.?\n", re.DOTALL)
_STATUS = re.compile(r"SLURM-job '(\w+)' failed, SLURM status is: '(\w+)'")
_RULE = re.compile(r"^ *Error in rule (\w+):$", re.MULTILINE)
_PLACE = re.compile(r"^\w+ in (rule|file|group) .*:$")
_STATES = {
    "TIMEOUT": "it took longer than it was allowed to (runtime)",
    "OUT_OF_MEMORY": "it needed more memory than it was allowed to (mem_mb)",
    "CANCELLED": "somebody canceled it",
    "NODE_FAIL": "the node on which it ran failed",
    "BOOT_FAIL": "the node on which it should run did not start",
    "DEADLINE": "its deadline had passed",
}
_SIGNALS = {
    "SIGKILL": "it was killed (SIGKILL), by a person or since the computer's memory was used up",
    "SIGTERM": "it was told to end (SIGTERM)",
    "SIGXCPU": "it used more processor time than it was allowed to (SIGXCPU)",
    "SIGXFSZ": "it wrote a larger file than it was allowed to (SIGXFSZ)",
}

Job = tuple[str, str]


class JobErrors(logging.Handler):
    """Remembers what is said about jobs that fail, to be added to Snakemake's logger.

    Notes
    -----
    Snakemake writes an exception and then, in the same thread, that a job has failed; only the
    latter names the job. What it finds wrong after a job has ended names a file that the job made.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[int, str] = {}
        self._unclaimed: list[str] = []
        self._said: dict[Job, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Remember an exception; other messages are ignored."""
        if str(getattr(record, "event", None)) == "error":
            text = record.getMessage()
            self._last[threading.get_ident()] = text
            self._unclaimed.append(text)

    def job_failed(
        self, jobs: Iterable[Job], message: str | None = None, logs: Sequence[str | Path] = ()
    ) -> None:
        """Remember why jobs failed that were submitted as one.

        Parameters
        ----------
        jobs : iterable of (session, step)
            The jobs.
        message : str, optional
            What was said about them; without it, the exception that this thread wrote last.
        logs : sequence of paths
            Where SLURM may have written about them.
        """
        exception = self._last.pop(threading.get_ident(), None)
        if exception in self._unclaimed:
            self._unclaimed.remove(exception)
        tails = [_tail(log) for log in logs]
        words = [word for tail in tails for word in _telling(tail)]
        text = "\n".join(filter(None, [message or exception, *words]))
        named = {step for tail in tails for step in _RULE.findall(tail)}
        jobs = list(jobs)
        for job in jobs:
            # What an earlier attempt said no longer counts.
            self._said.pop(job, None)
        for job in [job for job in jobs if job[1] in named] or jobs:
            if text:
                self._said[job] = text

    def reasons(self, outputs: Mapping[Job, Iterable[str]]) -> dict[Job, str]:
        """Give the reasons of failed jobs, as far as something was said.

        Parameters
        ----------
        outputs : mapping of (session, step) to iterable of paths
            The files that each failed job should have made, by which the messages are found that
            name no job.

        Returns
        -------
        dict of (session, step) to str
            One line each.
        """
        found = {}
        for job, files in outputs.items():
            named = [text for text in self._unclaimed for file in files if _names(text, file)]
            text = self._said.get(job) or next(reversed(named), None)
            reason = plain_reason(text) if text else ""
            if reason:
                found[job] = reason
        return found


def plain_reason(text: str) -> str:
    """Say in one line what a message of Snakemake or of SLURM means.

    Parameters
    ----------
    text : str
        The message.

    Returns
    -------
    str
        SLURM's own words where it refused or ended a job; empty if the message holds nothing.
    """
    if refused := _REFUSED.search(text):
        own = "; ".join(line.strip() for line in refused[1].splitlines() if line.strip())
        return f"SLURM did not take the job: {own}"
    if words := _SLURM_WORDS.search(text):
        return f"SLURM ended the job: {words[1].strip()}"
    status = _STATUS.search(text)
    if status and status[2] in _STATES:
        return f"SLURM ended job {status[1]}: {status[2]}, {_STATES[status[2]]}"
    if future := _FUTURE.search(text):
        return (
            f"{future['input']} was changed at {future['changed'][:16]}, which is in the future, "
            "so that what is made of it looks outdated at once; set its time: "
            f"touch {shlex.quote(future['input'])}"
        )
    if gone := _GONE.search(text):
        return f"{gone[1]} is not there any more, but it was when the run began"
    if signal := _SIGNAL.search(text):
        return _SIGNALS.get(signal[1], f"a library crashed ({signal[1]}); is an input damaged?")
    if status:
        return f"SLURM ended job {status[1]}: {status[2]}"
    if code := _EXIT_CODE.search(text):
        return f"it ended with exit code {code[1]} before it could say why"
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not _PLACE.match(line) and line[:6] != 'File "']
    return lines[0] if lines else ""


def _names(text: str, file: str) -> bool:
    """Tell whether a message names a file, and not just one whose name begins like it."""
    return re.search(rf"(?<![\w/.-]){re.escape(file)}(?![\w/-])", text) is not None


def _tail(log: str | Path) -> str:
    """Read the end of a job's log, where SLURM and the Snakemake within the job write."""
    try:
        with Path(log).open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - _TAIL_BYTES))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""


def _telling(tail: str) -> list[str]:
    """Take the sentences out of a log that are known to tell why a job ended."""
    found = [pattern.search(tail) for pattern in (_SLURM_WORDS, _FUTURE, _GONE, _SIGNAL)]
    return [match[0] for match in found if match]
