"""What the columns ``nwb_...`` of the sample sheet say about the experiment of each session."""

from collections.abc import Mapping
from typing import Any

from derotation.cohort.sample_sheet import SampleSheet, Session
from derotation.settings.schema import Schema, find_problems
from derotation.settings.spelling import did_you_mean

__all__ = ["PREFIX", "check_nwb_columns", "nwb_of_session"]

PREFIX = "nwb_"


def nwb_of_session(session: Session, section: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Give the section ``nwb`` as it holds for a session.

    Parameters
    ----------
    session : Session
        The row; its columns ``nwb_...`` hold before the section.
    section : mapping
        The section ``nwb`` of the configuration.
    schema : mapping
        The JSON schema of that section.

    Returns
    -------
    dict
    """
    return {**section, **_told_by(session, schema)}


def check_nwb_columns(sheet: SampleSheet, schema: Schema) -> list[str]:
    """Say what is wrong with the columns ``nwb_...``, one line each.

    Parameters
    ----------
    sheet : SampleSheet
    schema : mapping
        The JSON schema of the section ``nwb``.

    Returns
    -------
    list of str
    """
    known = [f"{PREFIX}{key}" for key in schema["properties"]]
    asked = {column for session in sheet for column in session.extra if column.startswith(PREFIX)}
    errors = []
    for column in sorted(asked - set(known)):
        hint = did_you_mean(column, known) or f" Known are {', '.join(known)}."
        errors.append(f"{sheet.path}, row 1: there is no column {column}.{hint}")
    for session in sheet:
        for problem in find_problems(_told_by(session, schema), schema):
            column = f"{PREFIX}{problem.path[0]}" if problem.path else PREFIX
            if column in known:
                errors.append(sheet.line(session, column, problem.text))
    return errors


def _told_by(session: Session, schema: Schema) -> dict[str, Any]:
    """Read the cells of a row as what the section holds: texts, numbers, lists."""
    keys = schema["properties"]
    named = {column.removeprefix(PREFIX): column for column in session.extra}
    return {
        key: _value(session.extra[named[key]], keys[key])
        for key in keys
        if key in named and named[key] == f"{PREFIX}{key}" and session.extra[named[key]]
    }


def _value(cell: str, rules: Schema) -> Any:
    kinds = rules["type"]
    if kinds == "array":
        return [part.strip() for part in cell.split(";") if part.strip()]
    if "number" in kinds:
        try:
            return float(cell)
        except ValueError:
            return cell
    return cell
