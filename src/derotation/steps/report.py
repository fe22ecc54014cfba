"""Step ``report``: what became of a cohort, as a page, a table and a record of the run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from derotation.cohort.calibrations import calibration_in_use
from derotation.cohort.rigs import rig_config
from derotation.cohort.signal_failure import find_cause
from derotation.jobs.logs import last_error
from derotation.report.page import PageContent, write_page
from derotation.report.record import write_record
from derotation.report.sessions import CohortReport, Row, collect_mosaic, collect_session
from derotation.report.states import (
    RunJobs,
    State,
    matching_state,
    mosaic_states,
    session_states,
)
from derotation.report.table import write_cohort_table

__all__ = ["run"]

# Steps that are not explained by what is said about the signals, or have explained themselves.
_NOT_EXPLAINED = ("simulate_session", "parse_signals", "run_suite2p", "report")


def run(
    *,
    rows: Sequence[Row],
    final_files: Mapping[str, Sequence[str]],
    config: Mapping[str, Any],
    captions: Mapping[str, str],
    results: str | Path,
    logs: str | Path,
    benchmarks: str | Path,
    mosaics: Mapping[str, Sequence[str]] | None = None,
    jobs: RunJobs | None = None,
    threads: int = 1,
) -> CohortReport:
    """Write ``report.html``, ``cohort.tsv`` and the folder ``run`` into the results.

    Parameters
    ----------
    rows : sequence of mappings
        The sessions' cells in the sample sheet, by column.
    final_files : mapping of str to sequence of paths
        For each session the files that are there when it is done.
    config : mapping
        The whole configuration, with all defaults. Its section ``report`` is read, and ``sessions``
        is the sample sheet.
    captions : mapping of str to str
        Captions of the plots, reStructuredText by the plot's name.
    results, logs, benchmarks : path
        The folders with a folder per session.
    mosaics : mapping of str to sequence of paths, optional
        For each group of sessions the files that are there when its mosaic is built.
    jobs : RunJobs, optional
        How the jobs of a run ended that did not reach its end.
    threads : int
        Threads that make pictures smaller.

    Returns
    -------
    CohortReport
        What the page says.

    Raises
    ------
    DerotationError
        If a file of a session does not hold what it should.
    """
    names = [str(row["session"]) for row in rows]
    needs = {
        name: [str(row[key]) for key in ("calibration", "reference") if key in row]
        for name, row in zip(names, rows, strict=True)
    }
    states = session_states(needs, final_files=final_files, logs=logs, jobs=jobs)
    sessions = (
        collect_session(
            row,
            _with_cause(row, states[name], config),
            results=results,
            benchmarks=benchmarks,
            calibration=calibration_in_use(
                name, str(row.get("calibration", "")), names, config, results=str(results)
            ),
            played=config["report"]["animation"],
        )
        for name, row in zip(names, rows, strict=True)
    )
    built = mosaic_states(mosaics or {}, logs=logs, jobs=jobs)
    cohort = CohortReport(
        sessions=tuple(sessions),
        mosaics=tuple(collect_mosaic(name, built[name], results=results) for name in built),
        matching=matching_state(results, logs),
    )
    content = PageContent(
        config=config,
        captions=captions,
        max_megabytes=config["report"]["max_megabytes"],
        finished=jobs is None,
    )
    write_record(Path(results, "run"), config=config, sheet=config["sessions"])
    write_cohort_table(Path(results, "cohort.tsv"), cohort.sessions)
    write_page(results, cohort, content, threads=threads)
    return cohort


def _with_cause(row: Row, state: State, config: Mapping[str, Any]) -> State:
    """Say first which mistake in configuration or sheet made a step fail that read no signals.

    The step that reads them has said so itself.
    """
    if state.status != "failed" or state.failed_step in _NOT_EXPLAINED:
        return state
    if not state.log or last_error(state.log) is None:
        # It was killed, or no job at all: that is no matter of settings.
        return state
    rig, stimulus = row.get("rig"), row.get("stimulus")
    cause = find_cause(
        str(row["movie"]),
        str(row.get("signals") or ""),
        str(stimulus) if stimulus else None,
        str(row["protocol"]),
        rig_config(config, str(rig) if rig else None),
    )
    if not cause:
        return state
    return replace(state, reason=cause, details=f"{cause}.\n{state.details}")
