"""The cohort's table: one row per session, for a spreadsheet or a script."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from derotation.io.files import write_text
from derotation.report.sessions import SessionReport

__all__ = ["figure_names", "sheet_columns", "write_cohort_table"]

FIRST_COLUMNS = ("session", "protocol", "status", "failed_step", "reason", "flag")


def write_cohort_table(path: str | Path, sessions: Sequence[SessionReport]) -> None:
    """Write ``cohort.tsv``.

    Parameters
    ----------
    path : path
        The file, which appears whole or not at all.
    sessions : sequence of SessionReport
        One per row.

    Notes
    -----
    The columns are ``session``, ``protocol``, ``status`` (``done``, ``failed`` or ``missing``),
    ``failed_step``, ``reason``, ``flag`` (``ok``, ``look``, ``bad``; empty if nothing was
    measured), each figure of quality by its name, and the other columns of the sample sheet.
    What is not known is an empty cell.
    """
    figures = figure_names(sessions)
    others = [name for name in sheet_columns(sessions) if name not in FIRST_COLUMNS]
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
    writer.writerow([*FIRST_COLUMNS, *figures, *(_renamed(name, figures) for name in others)])
    for session in sessions:
        values = {figure.name: figure.value for figure in session.figures}
        writer.writerow(
            [
                session.name,
                session.row["protocol"],
                session.state.status,
                session.state.failed_step,
                session.state.reason,
                session.flag if session.flag != "none" else "",
                *(_cell(values.get(name)) for name in figures),
                *(_cell(session.row.get(name)) for name in others),
            ]
        )
    write_text(path, stream.getvalue())


def figure_names(sessions: Sequence[SessionReport]) -> list[str]:
    """Name the figures of quality of all sessions, in the order in which they are met."""
    return list(dict.fromkeys(figure.name for session in sessions for figure in session.figures))


def sheet_columns(sessions: Sequence[SessionReport]) -> list[str]:
    """Name the columns of the sample sheet that hold anything, in their order."""
    return list(dict.fromkeys(name for session in sessions for name in session.row))


def _renamed(column: str, figures: Sequence[str]) -> str:
    """Keep a column of the sheet apart from a figure of the same name."""
    return f"sheet_{column}" if column in figures else column


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.6g}"
