"""Whether SLURM would take the jobs of a run, asked before any is submitted, and why they wait.

A wrong partition, an account that may not be used, or a limit would otherwise be found out job by
job, each after some attempts.
"""

import logging
import re
import shlex
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from derotation.jobs.cluster import ClusterError, ask_slurm

__all__ = ["Request", "check_submission", "merged_requests", "waiting_reasons", "watch_queue"]

logger = logging.getLogger(__name__)

# So many different requests are tried, the largest and the smallest: each takes a moment.
MAX_TRIED = 20
# Seconds until it is looked why jobs wait, between looks, and until the same is said again.
FIRST_LOOK_S, PAUSE_S, AGAIN_S = 300.0, 300.0, 3600.0

_OPTIONS = {
    "slurm_partition": "--partition",
    "slurm_account": "--account",
    "qos": "--qos",
    "constraint": "--constraint",
    "gres": "--gres",
    "clusters": "--clusters",
    "slurm_cluster": "--clusters",
    "cluster": "--clusters",
    "nodes": "--nodes",
}
# What a busy cluster says about any job; and that it has not yet said anything.
_PATIENCE = ("Resources", "Priority", "None", "BeginTime", "Dependency", "JobArrayTaskLimit")
# SLURM says the same of nodes that are too small as of ones that are not there for the moment.
_NO_NODE = "node configuration is not available"
_AWAY = re.compile(r"down|drain|maint|reserved|fail|boot|power|unknown|planned")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What one job asks SLURM for."""

    memory_mb: int = 0
    """Memory in MB; 0: not said."""
    minutes: int = 0
    """Time limit in minutes; 0: not said."""
    threads: int = 1
    """Processors."""
    options: tuple[str, ...] = ()
    """Partition, account and the like, as options of sbatch."""

    def command(self) -> list[str]:
        """Write the command that asks SLURM whether it would take such a job."""
        words = ["sbatch", "--test-only", *self.options, f"--cpus-per-task={self.threads}"]
        words += [f"--mem={self.memory_mb}"] if self.memory_mb else []
        words += [f"--time={self.minutes}"] if self.minutes else []
        return [*words, "--wrap=true"]


def merged_requests(jobs: Iterable[tuple[str, Mapping[str, Any], int]]) -> dict[str, Request]:
    """Tell what jobs ask for, some of which travel together.

    Parameters
    ----------
    jobs : iterable of (str, mapping, int)
        For each step the name of the job with which it is submitted, its resources in Snakemake's
        words (``mem_mb``, ``runtime``, ``slurm_partition``, ...) and its threads.

    Returns
    -------
    dict of str to Request
        By the name of the job: the most memory and threads of its steps, the sum of their times.
    """
    merged: dict[str, Request] = {}
    for name, resources, threads in jobs:
        other = merged.get(name, Request())
        merged[name] = Request(
            memory_mb=max(other.memory_mb, _whole(resources.get("mem_mb"))),
            minutes=other.minutes + _whole(resources.get("runtime")),
            threads=max(other.threads, threads),
            options=other.options or _options(resources),
        )
    return merged


def _whole(value: object) -> int:
    """Give a number; what is not known before a job runs counts as not said."""
    return value if isinstance(value, int) else 0


def _options(resources: Mapping[str, Any]) -> tuple[str, ...]:
    given = {_OPTIONS[key]: resources[key] for key in _OPTIONS if resources.get(key)}
    if "--account" in given:
        # Of several accounts the executor takes one after the other.
        given["--account"] = re.split(r"[,\s]+", str(given["--account"]).strip())[0]
    extra = shlex.split(str(resources.get("slurm_extra") or ""))
    return (*(f"{option}={value}" for option, value in given.items()), *extra)


def check_submission(requests: Mapping[str, Request]) -> None:
    """Ask SLURM whether it would take the jobs, without submitting any.

    Parameters
    ----------
    requests : mapping of str to Request
        What each job asks for, by its name.

    Raises
    ------
    ClusterError
        If SLURM would take none of them, in its own words. If it would refuse some of them only, or
        if the nodes are only away for the moment, that is logged as a warning.
    """
    by_request: dict[Request, list[str]] = {}
    for name, request in requests.items():
        by_request.setdefault(request, []).append(name)
    ordered = sorted(by_request, key=lambda r: (r.memory_mb, r.minutes, r.threads), reverse=True)
    # If SLURM would not even take the smallest, it would take none.
    tried = ordered if len(ordered) <= MAX_TRIED else [*ordered[: MAX_TRIED - 1], ordered[-1]]
    answers = {request: _refusal(request) for request in tried}
    refused = {request: words for request, words in answers.items() if words}
    final = {
        request: words
        for request, words in refused.items()
        if _NO_NODE not in words or not _nodes_are_away()
    }
    if final and len(final) == len(tried):
        request, words = next(iter(final.items()))
        raise ClusterError(
            f"Nothing was submitted: SLURM would take none of the jobs. To\n"
            f"  {shlex.join(request.command())}\nit answers\n  {words}\n"
            "Correct slurm_partition, slurm_account or the limits in profiles/slurm/config.yaml or "
            "in a profile of your own (docs/cluster.md)."
        )
    for request, words in refused.items():
        names = by_request[request]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        when = "would not take" if request in final else "has no node at the moment for"
        logger.warning("SLURM %s the job %s%s: %s", when, names[0], more, words)


def _refusal(request: Request) -> str:
    """Give SLURM's words if it would not take a job; empty if it would."""
    try:
        ask_slurm(*request.command())
    except ClusterError as error:
        _, _, said = str(error).partition(" failed: ")
        lines = [line.removeprefix("sbatch: error: ") for line in (said or str(error)).splitlines()]
        return "; ".join(line.strip() for line in lines if line.strip())
    return ""


def _nodes_are_away() -> bool:
    """Tell whether there are nodes that take no job for the moment."""
    try:
        states = ask_slurm("sinfo", "--noheader", "--Node", "--format=%T").split()
    except ClusterError:
        return False
    return any(_AWAY.search(state.lower()) for state in states)


def waiting_reasons(folder: str | Path) -> dict[str, int]:
    """Ask why jobs wait that were submitted from a folder, unless just for their turn.

    Parameters
    ----------
    folder : path
        The working directory.

    Returns
    -------
    dict of str to int
        How many jobs wait for each reason, in SLURM's words.

    Raises
    ------
    ClusterError
        If SLURM does not answer.
    """
    here = Path(folder).resolve()
    asked = ask_slurm("squeue", "--me", "--noheader", "--states=PENDING", "--format=%Z|%r")
    counts: dict[str, int] = {}
    for line in asked.splitlines():
        directory, _, reason = line.rpartition("|")
        if Path(directory).resolve() == here and reason not in _PATIENCE:
            counts[reason] = counts.get(reason, 0) + 1
    return counts


def watch_queue(folder: str | Path, log: logging.Logger) -> threading.Event:
    """Say from time to time why jobs wait that do not just wait for their turn.

    Parameters
    ----------
    folder : path
        The working directory.
    log : logging.Logger
        Where it is said, as a warning.

    Returns
    -------
    threading.Event
        Ends the watch when it is set.
    """
    end = threading.Event()

    def watch() -> None:
        said: dict[str, float] = {}
        pause = FIRST_LOOK_S
        while not end.wait(pause):
            pause = PAUSE_S
            try:
                reasons = waiting_reasons(folder)
            except ClusterError:
                continue  # a busy cluster answers the next time
            for reason, count in reasons.items():
                if monotonic() - said.get(reason, -AGAIN_S) >= AGAIN_S:
                    said[reason] = monotonic()
                    jobs = "1 job waits" if count == 1 else f"{count} jobs wait"
                    log.warning(f"{jobs} in the queue, and SLURM says why: {reason}")

    threading.Thread(target=watch, name="watch_queue", daemon=True).start()
    return end
