"""Read and check the sample sheet: a tab-separated table with one row per session.

All that is wrong is reported at once, with the file, the row as a spreadsheet or an editor counts
it (the header is row 1), and the column.
"""

import glob
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from derotation.cohort.sheet_files import own_folder, read_cells
from derotation.errors import ConfigError
from derotation.settings.schema import Schema, find_problems, sheet_schema
from derotation.settings.spelling import did_you_mean, nearest

__all__ = ["SampleSheet", "Session", "check_sample_sheet", "read_sample_sheet"]

logger = logging.getLogger(__name__)

# A session's folder lies in results/ beside what the workflow makes for the whole cohort.
RESERVED_NAMES = ("cohort", "mosaic", "report", "run")
# Columns that hold paths; ~/ in front of them is the user's own folder.
PATHS = ("movie", "signals", "stimulus", "angles", "calibration")
# An error quotes cells, which may be of any length.
MAX_SENTENCE = 600


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Session:
    """One row of the sample sheet.

    Attributes
    ----------
    name : str
        The session's name, unique within the sheet.
    row : int
        The row in the sheet; the header is row 1.
    protocol : {"full", "incremental", "free"}
        What the motor did.
    movie : str
        The path of a TIFF, or a pattern for several.
    signals : str
        The path of the analog signals; empty if there are none.
    angles : str or None
        The path of a table of angles.
    rig : str or None
        The rig of the configuration whose keys hold for this session.
    stimulus : str or None
        The path of the table of speeds and directions.
    calibration : str or None
        Another session's name, or the path of a calibration file; None: from this session.
    reference : str or None
        The session to whose field of view this one is aligned.
    mosaic : str or None
        The group of sessions that make up one mosaic.
    stage_x_um, stage_y_um : float or None
        Position of the microscope's stage in micrometers.
    extra : mapping of str to str
        All other columns, as they stand in the sheet.
    """

    name: str
    row: int
    protocol: Literal["full", "incremental", "free"]
    movie: str
    signals: str = ""
    angles: str | None = None
    rig: str | None = None
    stimulus: str | None = None
    calibration: str | None = None
    reference: str | None = None
    mosaic: str | None = None
    stage_x_um: float | None = None
    stage_y_um: float | None = None
    extra: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def movie_files(self) -> list[str]:
        """List the movie's files in the order of acquisition.

        Returns
        -------
        list of str
            Sorted by the numbers in the names; a path without a pattern stands there even if
            nothing exists at it yet.
        """
        from derotation.io.movie import movie_files

        if not self.movie:
            return [self.movie]
        # A path without a pattern stays as it is written.
        files = [str(file) for file in movie_files(self.movie)]
        return files if len(files) != 1 or is_pattern(self.movie) else [self.movie]

    def as_row(self) -> dict[str, str | float]:
        """Give the row's cells by column, the empty ones left out."""
        columns = [item.name for item in fields(self) if item.name not in ("name", "row", "extra")]
        known = {column: getattr(self, column) for column in columns}
        cells = {"session": self.name} | known | dict(self.extra)
        return {column: cell for column, cell in cells.items() if cell not in (None, "")}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleSheet:
    """All sessions of a cohort, by name, in the order of the sheet.

    Attributes
    ----------
    path : Path
        The sheet's file.
    sessions : mapping of str to Session
        The rows.
    how : str
        How the file was read, in plain words; empty for tab-separated text.
    """

    path: Path
    sessions: Mapping[str, Session]
    how: str = ""

    def __getitem__(self, name: str) -> Session:
        if name not in self.sessions:
            hint = did_you_mean(name, self.names) or "."
            raise ConfigError(f'{self.path}: there is no session "{name}"{hint}')
        return self.sessions[name]

    def __iter__(self) -> Iterator[Session]:
        return iter(self.sessions.values())

    def __len__(self) -> int:
        return len(self.sessions)

    @property
    def names(self) -> list[str]:
        """The sessions' names."""
        return list(self.sessions)

    def line(self, session: Session, column: str, text: str) -> str:
        """Put file, row, session and column in front of what is wrong with a cell."""
        return f"{self.path}, row {session.row} (session {session.name}), column {column}: {text}"


def read_sample_sheet(
    path: str | Path,
    schema: Schema | None = None,
    *,
    simulated: Iterable[str] = (),
    check_files: bool = True,
) -> SampleSheet:
    """Read a sample sheet, or say everything that is wrong with it.

    Parameters
    ----------
    path : path
        The sheet.
    schema : mapping, optional
        The JSON schema of a row; by default that of this package.
    simulated : iterable of str
        Names of sessions whose files need not exist, since they are to be simulated.
    check_files : bool
        Whether to look for the raw files.

    Returns
    -------
    SampleSheet
        The sessions. Relative paths stay as they stand in the sheet: relative to the working
        directory.

    Raises
    ------
    ConfigError
        With everything that is wrong, one line each.
    """
    sheet, errors = check_sample_sheet(path, schema, simulated=simulated, check_files=check_files)
    if errors:
        raise ConfigError("\n".join(errors))
    return sheet


def check_sample_sheet(
    path: str | Path,
    schema: Schema | None = None,
    *,
    simulated: Iterable[str] = (),
    check_files: bool = True,
) -> tuple[SampleSheet, list[str]]:
    """Check a sample sheet without raising, for callers that collect more errors.

    Parameters
    ----------
    path : path
        The sheet.
    schema : mapping, optional
        The JSON schema of a row; by default that of this package.
    simulated : iterable of str
        Names of sessions whose files need not exist.
    check_files : bool
        Whether to look for the raw files.

    Returns
    -------
    sheet : SampleSheet
        The sessions that could be read; use it only if there are no errors.
    errors : list of str
        One line per error, with file, row and column.
    """
    path = own_folder(path)
    schema = sheet_schema() if schema is None else schema
    empty = SampleSheet(path=path, sessions={})
    try:
        columns, rows, how = _read_table(path)
        _check_columns(path, columns, schema)
    except ConfigError as error:
        return empty, [str(error)]
    if not rows:
        return empty, [
            f"{path}: there is no session in it, only the header. Write a row per session, or let "
            '"derotation discover RAW_FOLDER" do it.'
        ]

    check = _RowChecks(path, schema)
    parsed = [(row, check.parse(row, cells, columns)) for row, cells in rows]
    check.names(parsed)
    sessions = [_session(row, values, schema) for row, values in parsed]
    check.relations(sessions)
    if check_files:
        check.files([session for session in sessions if session.name not in set(simulated)])
    by_name = {session.name: session for session in sessions}
    sheet = SampleSheet(path=path, sessions=by_name, how=how)
    return sheet, [text for _, text in sorted(check.errors, key=lambda error: error[0])]


def is_pattern(path: str) -> bool:
    """Tell whether a path stands for several files; an existing file is never a pattern."""
    if not glob.has_magic(path):
        return False
    try:
        return not Path(path).exists()
    except OSError:
        return True


def _read_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]], str]:
    """Read the header, the rows that hold anything with their numbers, and how it was read."""
    rows, how = read_cells(path)
    lines = [(i, cells) for i, cells in enumerate(rows, 1) if any(cells)]
    if not lines:
        raise ConfigError(f"{path}: the sample sheet is empty; its first row names the columns.")
    _, header = lines[0]
    while header and not header[-1]:
        header.pop()
    # A row may be kept without being used, by a # before it.
    return header, [(row, cells) for row, cells in lines[1:] if not cells[0].startswith("#")], how


def _check_columns(path: Path, columns: Sequence[str], schema: Schema) -> None:
    doubled = sorted({column for column in columns if columns.count(column) > 1})
    if doubled:
        raise ConfigError(f"{path}, row 1: the column {doubled[0]!r} stands there twice.")
    known = list(schema["properties"])
    others = [column for column in columns if column not in known]
    missing = [column for column in schema["required"] if column not in columns]
    if missing:
        hints = [f"{column}{_similar(column, others)}" for column in missing]
        raise ConfigError(
            f"{path}, row 1: missing columns: {', '.join(hints)}. Found: {', '.join(columns)}."
        )
    for column in others:
        near = nearest(column, [name for name in known if name not in columns])
        if near:
            logger.warning(
                "%s, row 1: the column %s is kept but not used; if %s is meant, rename it.",
                path, column, near,
            )  # fmt: skip


def _similar(column: str, others: Sequence[str]) -> str:
    near = nearest(column, others)
    return f' (is "{near}" meant to be this?)' if near else ""


class _RowChecks:
    """The checks of one sheet's rows; collects what they find."""

    def __init__(self, path: Path, schema: Schema) -> None:
        self.path = path
        self.schema = schema
        self.errors: list[tuple[int, str]] = []

    def add(self, row: int, column: str | None, text: str, name: str | None = None) -> None:
        place = f"{self.path}, row {row}"
        place += f" (session {_shortened(name)})" if name else ""
        place += f", column {column}" if column else ""
        self.errors.append((row, f"{place}: {_shortened(text)}"))

    def parse(self, row: int, cells: Sequence[str], columns: Sequence[str]) -> dict[str, Any]:
        """Turn one row's cells into typed values, and compare them with the schema."""
        surplus = [cell for cell in cells[len(columns) :] if cell]
        if surplus:
            self.add(row, None, f'found "{surplus[0]}" right of the last column that has a name.')
        texts = {
            column: cell for column, cell in zip(columns, cells, strict=False) if column and cell
        }
        values = {column: self._typed(column, cell) for column, cell in texts.items()}
        problems = find_problems(values, self.schema)
        for problem in problems:
            text = problem.text
            if text.startswith("is missing"):
                text = text.replace("is missing; it has no default", "the cell is empty")
            self.add(row, str(problem.path[0]), text, texts.get("session"))
        wrong = {problem.path[0] for problem in problems}
        return {column: value for column, value in values.items() if column not in wrong}

    def _typed(self, column: str, cell: str) -> str | float:
        if self.schema["properties"].get(column, {}).get("type") != "number":
            # The user's own folder, as in a shell.
            return str(own_folder(cell)) if column in PATHS and cell[:2] == "~/" else cell
        try:
            return float(cell)
        except ValueError:
            return cell

    def names(self, rows: Sequence[tuple[int, dict[str, Any]]]) -> None:
        """Refuse names that would share a folder, also where case makes no difference."""
        seen: dict[str, tuple[int, str]] = {}
        for row, values in rows:
            name = values.get("session")
            if name is None:
                continue
            if name.lower() in RESERVED_NAMES:
                self.add(row, "session", f'"{name}" is a folder of the workflow; choose another.')
            first, same = seen.setdefault(name.lower(), (row, name))
            if first != row:
                how = "is also" if same == name else f'differs only in case from "{same}"'
                text = f'"{name}" {how} in row {first}; each session needs a name of its own.'
                self.add(row, "session", text)

    def relations(self, sessions: Sequence[Session]) -> None:
        """Check the columns that name other sessions."""
        by_name = {session.name: session for session in sessions}
        for session in sessions:
            if session.reference is not None:
                self._check_reference(session, by_name)
            if session.calibration is not None:
                self._check_calibration(session, by_name)

    def _check_reference(self, session: Session, by_name: Mapping[str, Session]) -> None:
        name = session.reference or ""
        other = by_name.get(name)
        if other is None:
            text = f'found "{name}", which is no session of this sheet{_guess(name, by_name)}'
        elif other is session:
            text = "names the session itself; leave the cell of a reference empty."
        elif other.reference is not None:
            text = f"{name} is itself aligned to {other.reference}; name that one here."
        else:
            return
        self.add(session.row, "reference", text, session.name)

    def _check_calibration(self, session: Session, by_name: Mapping[str, Session]) -> None:
        name = session.calibration or ""
        other = by_name.get(name)
        text = None
        if other is session:
            text = "names the session itself; leave the cell empty to calibrate it by itself."
        elif other is not None and other.calibration is not None:
            text = f"{name} is itself calibrated by {other.calibration}; name that one here."
        elif other is None and not is_file(name):
            text = f'found "{name}", which is neither a session of this sheet nor a file'
            text += _guess(name, by_name)
        elif other is None:
            text = _file_problem(name)
        if text:
            self.add(session.row, "calibration", text, session.name)

    def files(self, sessions: Iterable[Session]) -> None:
        """Look for the raw files."""
        for session in sessions:
            if is_pattern(session.movie) and not session.movie_files():
                text = f'no file matches "{session.movie}" ({_where(session.movie)}).'
                self.add(session.row, "movie", text, session.name)
            else:
                for file in session.movie_files():
                    self._check_file(session, "movie", file)
            self._check_file(session, "signals", session.signals)
            self._check_file(session, "angles", session.angles)
            self._check_file(session, "stimulus", session.stimulus)

    def _check_file(self, session: Session, column: str, text: str | None) -> None:
        if not text:
            return
        try:
            problem = _file_problem(text)
        except OSError as error:
            problem = f'"{text}" cannot be looked at: {error.strerror}.'
        if problem:
            self.add(session.row, column, problem, session.name)


def _file_problem(text: str) -> str | None:
    """Say why a file cannot be read, or would not be; None if it can."""
    path = Path(text)
    if "{" in text or "}" in text:
        # Snakemake fills them in, in the names of all files, and there is no way to tell it not to.
        return f'found braces in "{text}", which Snakemake takes for a wildcard; rename it.'
    if not path.exists():
        return f'there is no file "{text}" ({_where(text)}).'
    if path.is_dir():
        return f'"{text}" is a folder, expected a file.'
    if path.stat().st_size == 0:
        return f'the file "{text}" is empty.'
    if not os.access(path, os.R_OK):
        return f'the file "{text}" may not be read by this user.'
    return None


def is_file(text: str) -> bool:
    """Tell whether there is such a file; what no file can be called is none."""
    try:
        return Path(text).is_file()
    except OSError:
        return False


def _shortened(text: str) -> str:
    """Leave out the middle of a sentence that quotes a cell of any length."""
    if len(text) <= MAX_SENTENCE:
        return text
    half = MAX_SENTENCE // 2
    return f"{text[:half]} [... {len(text) - 2 * half} characters ...] {text[-half:]}"


def _guess(name: str, choices: Iterable[str]) -> str:
    return did_you_mean(name, choices) or "."


def _where(path: str) -> str:
    """Say how far a path exists, since that is where the mistake sits."""
    if not Path(path).is_absolute():
        start = f"relative paths start at {Path.cwd()}"
    else:
        start = "absolute path"
    parents = [parent for parent in Path(path).parents if not glob.has_magic(str(parent))]
    missing = [parent for parent in parents if not parent.exists()]
    return f'{start}; the folder "{missing[-1]}" does not exist' if missing else start


def _session(row: int, values: Mapping[str, Any], schema: Schema) -> Session:
    """Make a session of a row, also of one with errors, so that all rows can be checked."""
    known = [name for name in schema["properties"] if name != "session"]
    needed = {"protocol": "full", "movie": "", "signals": ""}
    return Session(
        name=values.get("session", f"row {row}"),
        row=row,
        extra=MappingProxyType(
            {name: value for name, value in values.items() if name not in (*known, "session")}
        ),
        **(needed | {name: values[name] for name in known if name in values}),
    )
