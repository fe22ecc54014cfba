"""Rows of text tables."""

from collections.abc import Sequence
from pathlib import Path

from derotation.errors import InputError

__all__ = ["check_cells"]


def check_cells(path: Path, line: int, row: Sequence[str], header: Sequence[str]) -> None:
    """Refuse a row with more cells than the first line has: its numbers would move by a column.

    Parameters
    ----------
    path : Path
        The table.
    line : int
        Number of the row's line in it, from 1.
    row, header : sequence of str
        Cells of the row and of the first line; empty ones at the row's end do not count.

    Raises
    ------
    InputError
        If there are more.
    """
    n_cells = max((k for k, cell in enumerate(row, start=1) if cell.strip()), default=0)
    if n_cells > len(header):
        raise InputError(
            f"{path}, line {line}: {n_cells} cells, where the first line has {len(header)}. Are "
            "these decimal commas? Write decimals with points; commas separate columns."
        )
