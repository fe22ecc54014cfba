"""What the queue of a SLURM cluster says about earlier runs of the workflow.

If the Snakemake that submitted jobs is killed, they go on. A second one knows nothing of them: it
would submit the same steps again, and both would write the same files.
"""

import logging
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from derotation.errors import DerotationError

__all__ = ["ClusterError", "ClusterJob", "ask_slurm", "check_queue", "unfinished_jobs"]

logger = logging.getLogger(__name__)

_SHOWN = 5
_TRIES = 3
_FORMAT = "%i|%j|%T|%Z|%k"
# The state of a job whose processes have been told to end, and how long that may take.
_ENDING, _ENDING_S, _PAUSE_S = "COMPLETING", 60.0, 2.0


class ClusterError(DerotationError, RuntimeError):
    """The cluster is not in a state in which jobs should be submitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterJob:
    """A job that waits or runs."""

    number: str
    """SLURM's number of the job."""
    run: str
    """Name of all jobs that one Snakemake submitted."""
    state: str
    """SLURM's word for it, such as RUNNING."""
    task: str
    """What Snakemake noted about it: ``rule_``, the name of its group or rule, and more."""


def unfinished_jobs(folder: str | os.PathLike[str]) -> list[ClusterJob]:
    """Ask SLURM for this user's jobs that wait or run in a working directory.

    Parameters
    ----------
    folder : path
        The directory from which they were submitted.

    Returns
    -------
    list of ClusterJob
        In the order of SLURM.

    Raises
    ------
    ClusterError
        If SLURM does not answer.
    """
    here = Path(folder).resolve()
    jobs = []
    for line in ask_slurm("squeue", "--me", "--noheader", f"--format={_FORMAT}").splitlines():
        number, run, state, directory, task = line.split("|", maxsplit=4)
        if Path(directory).resolve() == here:
            jobs.append(ClusterJob(number=number, run=run, state=state, task=task))
    return jobs


def check_queue(
    folder: str | os.PathLike[str], planned: Iterable[str], status_command: str = "sacct"
) -> None:
    """Refuse to submit steps on which a job of an earlier run still works.

    Parameters
    ----------
    folder : path
        The working directory.
    planned : iterable of str
        Names of the groups, and of rules without one, that are about to be submitted.
    status_command : {"sacct", "squeue"}
        How Snakemake is going to ask for the state of its jobs.

    Raises
    ------
    ClusterError
        If there are such jobs: it says which, and what to do. Also if SLURM does not answer, or
        cannot answer `status_command`.
    """
    if status_command == "sacct":
        _check_accounting()
    names = {f"rule_{name}_" for name in planned}
    jobs = _in_the_way(folder, names)
    deadline = monotonic() + _ENDING_S
    # What was canceled takes some seconds to end.
    while any(job.state == _ENDING for job in jobs) and monotonic() < deadline:
        logger.info("Waiting for jobs of an earlier run that are about to end")
        sleep(_PAUSE_S)
        jobs = _in_the_way(folder, names)
    if not jobs:
        return
    shown = [f"  {job.number}  {job.state}  {job.task.removeprefix('rule_')}" for job in jobs]
    if len(jobs) > _SHOWN:
        shown[_SHOWN:] = [f"  and {len(jobs) - _SHOWN} more"]
    runs = ",".join(sorted({job.run for job in jobs}))
    raise ClusterError(
        "Nothing was submitted: jobs of an earlier run are still in the queue, and work on the "
        "same sessions:\n"
        + "\n".join(shown)
        + f"\nEnd them with\n  scancel --me --name={runs}\nor wait until they are gone from\n"
        f"  squeue --me --name={runs}\nThen give the same command again (docs/interrupted.md)."
    )


def _in_the_way(folder: str | os.PathLike[str], names: Iterable[str]) -> list[ClusterJob]:
    """List unfinished jobs on the steps whose notes begin with one of some names."""
    return [
        job
        for job in unfinished_jobs(folder)
        # SLURM can be told to forget what was noted about a job: then it may be any step.
        if not job.task.startswith("rule_") or any(f"{job.task}_".startswith(n) for n in names)
    ]


def _check_accounting() -> None:
    """Refuse to wait for ever: without accounting, sacct never says that a job has ended."""
    try:
        ask_slurm("sacct", "--allocations", "--noheader", "--starttime=now")
    except ClusterError as error:
        raise ClusterError(
            f"{error}\nSo Snakemake could not see how its jobs end. If this cluster keeps no "
            "accounts, let it ask squeue: add the line\n  slurm-status-command: squeue\n"
            "to profiles/slurm/config.yaml (docs/cluster.md)."
        ) from None


def ask_slurm(*command: str) -> str:
    """Run a command of SLURM.

    Parameters
    ----------
    *command : str
        The command and its options.

    Returns
    -------
    str
        What it says on stdout.

    Raises
    ------
    ClusterError
        If it is not there, does not answer, or fails: with what it says on stderr.
    """
    try:
        for _ in range(_TRIES):
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
            # A busy controller hangs up, and the command dies of that (SIGPIPE).
            if done.returncode >= 0:
                break
    except FileNotFoundError:
        raise ClusterError(
            f"there is no command {command[0]} here: start Snakemake on a computer from which "
            "jobs can be submitted to SLURM."
        ) from None
    except subprocess.TimeoutExpired:
        raise ClusterError(f"{command[0]} did not answer within two minutes.") from None
    if done.returncode:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise ClusterError(f"{command[0]} failed: {said}")
    return done.stdout
