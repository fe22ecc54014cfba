"""What became of each session and mosaic: done, failed for a reason, or not processed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from derotation.jobs.logs import last_error

__all__ = ["RunJobs", "State", "matching_state", "mosaic_states", "session_states"]

Status = Literal["done", "failed", "missing"]
Job = tuple[str, str]

# In the order in which they run.
STEPS = (
    "simulate_session",
    "parse_signals",
    "interpolate_angles",
    "estimate_center",
    "estimate_plane",
    "estimate_illumination",
    "estimate_motion",
    "average_rest",
    "align_session",
    "carry_calibration",
    "derotate_movie",
    "derotate_planes",
    "measure_quality",
    "export_suite2p",
    "export_tiff",
    "export_nwb",
    "run_suite2p",
    "measure_cells",
    "animate_session",
)
# The step of which a job belongs to a group of sessions instead of one.
MOSAIC_STEP = "build_mosaic"

_SILENT = "the job ended without saying why: it was killed, or the run was stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJobs:
    """How the jobs of one run ended, each named by its session (or mosaic) and its step."""

    failed: frozenset[Job] = frozenset()
    """Jobs that ended with an error or were killed."""
    unfinished: frozenset[Job] = frozenset()
    """Jobs that should have been done and were not, the failed ones included."""
    said: Mapping[Job, str] = field(default_factory=dict)
    """What Snakemake and SLURM said about failed jobs, in one line each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What became of one session or mosaic."""

    status: Status
    """``missing`` means that it was not processed, for instance since the run was cut off."""
    failed_step: str = ""
    """The step that failed; empty unless `status` is ``failed``."""
    reason: str = ""
    """In one line, why it is not done; empty if it is."""
    details: str = ""
    """All that the failed job said about its error."""
    log: str = ""
    """The failed job's log; empty if it has not begun to write one."""


def session_states(
    sessions: Mapping[str, Collection[str]],
    *,
    final_files: Mapping[str, Sequence[str]],
    logs: str | Path,
    jobs: RunJobs | None = None,
) -> dict[str, State]:
    """Tell what became of each session.

    Parameters
    ----------
    sessions : mapping of str to collection of str
        For each session, the sessions that it needs: for its calibration, or as its reference.
    final_files : mapping of str to sequence of paths
        The files that are there when a session is done.
    logs : path
        The folder with a folder of logs per session.
    jobs : RunJobs, optional
        How the jobs of the run ended. Without it, files and logs alone tell: a session is done
        if its final files are there, which may be those of an earlier run.

    Returns
    -------
    dict of str to State
        In the order of `sessions`.
    """
    jobs = jobs or RunJobs()
    pending = {session for session, step in jobs.unfinished if step != MOSAIC_STEP}
    states: dict[str, State] = {}
    for session in sessions:
        missing = [file for file in final_files[session] if not Path(file).exists()]
        failure = _failure(session, Path(logs), jobs, look_at_logs=bool(missing))
        if failure is not None:
            states[session] = failure
        elif missing or session in pending:
            states[session] = State(status="missing")
        else:
            states[session] = State(status="done")
    return {name: _with_reason(name, sessions[name], states) for name in states}


def mosaic_states(
    mosaics: Mapping[str, Sequence[str]], *, logs: str | Path, jobs: RunJobs | None = None
) -> dict[str, State]:
    """Tell what became of each mosaic.

    Parameters
    ----------
    mosaics : mapping of str to sequence of paths
        For each group of sessions the files that are there when its mosaic is built.
    logs : path
        The folder of the logs.
    jobs : RunJobs, optional
        How the jobs of the run ended.

    Returns
    -------
    dict of str to State
        In the order of `mosaics`.
    """
    jobs = jobs or RunJobs()
    states = {}
    for group, files in mosaics.items():
        job = (group, MOSAIC_STEP)
        missing = not all(Path(file).exists() for file in files)
        log = Path(logs, "mosaic", f"{group}.log")
        error = last_error(log) if missing or job in jobs.failed else None
        if error is not None or job in jobs.failed:
            states[group] = _failed(MOSAIC_STEP, log, error or jobs.said.get(job, _SILENT))
        elif missing or job in jobs.unfinished:
            reason = "it was not built in this run; each of its sessions has to be done first"
            states[group] = State(status="missing", reason=reason)
        else:
            states[group] = State(status="done")
    return states


def matching_state(results: str | Path, logs: str | Path) -> State:
    """Tell whether matching the cells of several sessions failed, by its table and its log."""
    log = Path(logs, "cohort", "match_cells.log")
    # With the table there, the log is an old one.
    error = None if Path(results, "cells_matched.csv").exists() else last_error(log)
    return State(status="done") if error is None else _failed("match_cells", log, error)


def _failed(step: str, log: Path | None, error: str) -> State:
    return State(
        status="failed",
        failed_step=step,
        reason=error.splitlines()[0],
        details=error,
        log=str(log or ""),
    )


def _failure(session: str, logs: Path, jobs: RunJobs, *, look_at_logs: bool) -> State | None:
    """Find the job that failed first, by what the run says or else by the logs."""
    failed = {step for name, step in jobs.failed if name == session} - {MOSAIC_STEP}
    ordered = sorted(failed, key=_place)
    for step in ordered or (_steps_with_logs(session, logs) if look_at_logs else []):
        log = logs / session / f"{step}.log"
        error = last_error(log)
        if error is not None:
            return _failed(step, log, error)
    if not ordered:
        return None
    step = _to_blame(session, ordered, logs, jobs)
    log = logs / session / f"{step}.log"
    said = jobs.said.get((session, step), _SILENT)
    return _failed(step, log if _is_written(log) else None, said)


def _to_blame(session: str, steps: Sequence[str], logs: Path, jobs: RunJobs) -> str:
    """Of jobs that were submitted as one, find the one that failed and named no error."""
    named = [step for step in steps if (session, step) in jobs.said]
    if len(named) == 1:
        return named[0]
    # The last that began is the one that was killed.
    begun = [step for step in steps if _is_written(logs / session / f"{step}.log")]
    return begun[-1] if begun else steps[0]


def _is_written(log: Path) -> bool:
    """Tell whether a job has begun: of one that has not, Snakemake makes an empty log."""
    return log.exists() and log.stat().st_size > 0


def _steps_with_logs(session: str, logs: Path) -> list[str]:
    return sorted((log.stem for log in (logs / session).glob("*.log")), key=_place)


def _place(step: str) -> tuple[int, str]:
    """Give a step's place in the order of steps; unknown ones come last."""
    return (STEPS.index(step) if step in STEPS else len(STEPS), step)


def _with_reason(name: str, needed: Iterable[str], states: Mapping[str, State]) -> State:
    """Say why a session was not processed."""
    state = states[name]
    if state.status != "missing":
        return state
    for other in needed:
        if other in states and states[other].status == "failed":
            reason = f"it needs {other}, which failed in {states[other].failed_step}"
            return State(status="missing", reason=reason)
    return State(status="missing", reason="it was not processed in this run")
