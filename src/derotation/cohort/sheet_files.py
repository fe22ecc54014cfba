"""The files that hold a sample sheet: text with tabs, commas or semicolons, or a spreadsheet."""

import codecs
import csv
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from derotation.errors import ConfigError

__all__ = ["own_folder", "read_cells", "sheet_text"]

SEPARATORS = {";": "semicolons", ",": "commas"}
SPREADSHEETS = (".xlsx", ".xlsm")


def own_folder(path: str | Path) -> Path:
    """Put the user's own folder in the place of ``~/``, as a shell does."""
    return Path(path).expanduser() if str(path)[:2] == "~/" else Path(path)


def read_cells(path: str | Path) -> tuple[list[list[str]], str]:
    """Read the cells of a sample sheet.

    Parameters
    ----------
    path : path
        Text whose columns are separated by tabs (or by commas or semicolons, if its first row has
        no tab), or the first sheet of an Excel file.

    Returns
    -------
    rows : list of list of str
        All rows, also empty ones, so that their numbers are those that a spreadsheet shows.
    how : str
        How it was read, if not as text with tabs; else empty.

    Raises
    ------
    ConfigError
        If it cannot be read; with the row.
    """
    path = own_folder(path)
    if path.suffix.lower() in SPREADSHEETS:
        return _excel_cells(path)
    rows = _rows(_decoded(path))
    first = next((row for row in rows if row.strip()), "")
    mark = "\t" if "\t" in first else next((mark for mark in SEPARATORS if mark in first), "\t")
    if mark == "\t":
        _check_quotes(path, [row.split("\t") for row in rows])
        return [[_cell(cell) for cell in row.split("\t")] for row in rows], ""
    cells = []
    for number, row in enumerate(rows, 1):
        if row.count('"') % 2:
            raise ConfigError(
                f"{path}, row {number}: a quotation mark is opened and not closed; take the line "
                "break out of the cell, or the mark."
            )
        cells.append([cell.strip() for cell in next(csv.reader([row], delimiter=mark), [])])
    return cells, f"{path} was read as text separated by {SEPARATORS[mark]}."


def sheet_text(path: str | Path) -> str:
    """Read a sample sheet as tab-separated text, whatever its file is.

    Parameters
    ----------
    path : path
        The sheet.

    Returns
    -------
    str
        Text with tabs as it stands in the file, without the mark that may stand before the first
        column's name.

    Raises
    ------
    ConfigError
        If it cannot be read.
    """
    path = own_folder(path)
    rows, how = read_cells(path)
    if not how:
        return _decoded(path)
    return "".join("\t".join(row) + "\n" for row in rows)


def _excel_cells(path: Path) -> tuple[list[list[str]], str]:
    """Read the first sheet of an Excel file."""
    try:
        import openpyxl
    except ImportError as error:
        raise ConfigError(
            f"{path} is read by openpyxl, which is not installed; run pip install openpyxl, or "
            "pip install 'derotation-workflow[excel]', or save the sheet as text with tabs."
        ) from error
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            sheet = book.worksheets[0]
            rows = [[_shown(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
            title, n_sheets = sheet.title, len(book.worksheets)
        finally:
            book.close()
    except MemoryError:
        raise
    except Exception as error:
        # A damaged file makes openpyxl raise whatever zip and XML do.
        raise ConfigError(
            f"{path}: this cannot be read as an Excel file ({error}); save it again."
        ) from error
    others = f"; its other {n_sheets - 1} sheets are not used" if n_sheets > 1 else ""
    return rows, f'{path} was read as an Excel file, sheet "{title}"{others}.'


def _shown(cell: Any) -> str:
    """Write a cell as the spreadsheet shows it: whole numbers without a point."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return re.sub(r"\s+", " ", str(cell)).strip()


def _decoded(path: Path) -> str:
    """Read text in UTF-8, or in the UTF-16 that spreadsheets may write."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: the sample sheet cannot be read ({error.strerror}).") from error
    # Spreadsheets put a mark before the first column's name.
    content = content.removeprefix(codecs.BOM_UTF8)
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    advice = "save the sample sheet as tab-separated text in UTF-8."
    try:
        text = content.decode("utf-16" if utf16 else "utf-8")
    except UnicodeDecodeError as error:
        before = "" if utf16 else content[: error.start].decode(errors="replace")
        where = "" if utf16 else f", row {len(_rows(before))}"
        raise ConfigError(f"{path}{where}: this is no text in UTF-8; {advice}") from error
    if "\0" in text:
        row = len(_rows(text[: text.index("\0")]))
        raise ConfigError(
            f"{path}, row {row}: there is a NUL character, which no text holds: the file is "
            f"damaged, or in another encoding; {advice}"
        )
    return text


def _rows(text: str) -> list[str]:
    """Split where every editor does; splitlines() would cut cells at a form feed, too."""
    return re.split("\r\n|\n|\r", text)


def _cell(text: str) -> str:
    """Take off the quotation marks that spreadsheets put around a cell; all others are content."""
    text = text.strip()
    inner = text[1:-1].replace('""', "")
    if len(text) >= 2 and text[0] == text[-1] == '"' and '"' not in inner:
        return text[1:-1].replace('""', '"').strip()
    return text


def _check_quotes(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Refuse a cell that a spreadsheet has spread over several rows, since it holds line breaks."""
    for number, (cells, following) in enumerate(pairwise(rows), 1):
        opened = cells[-1].strip()
        is_open = opened.startswith('"') and opened.count('"') % 2 == 1
        if is_open and any(following) and len(following) < len(cells):
            ends = any(cell.count('"') % 2 for row in rows[number:] for cell in row)
            if ends:
                raise ConfigError(
                    f"{path}, row {number}: the last cell begins with a quotation mark and goes on "
                    "in the next row; take the line break out of the cell, or the mark."
                )
