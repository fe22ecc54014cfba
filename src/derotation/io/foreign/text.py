"""Columns of text."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import InputError
from derotation.io.foreign.listing import Column, Listing
from derotation.io.text import text_encoding
from derotation.io.text_rows import check_cells

__all__ = ["TextColumns"]

_TEXT_ROWS = 2**18
_HEAD_BYTES = 2**16
# A column of times, with its unit in its name, such as Prairie View's "Time(ms)".
_TIMES = re.compile(r"time[\s_]*[(\[]?\s*(s|sec|seconds|ms|us|µs)\s*[)\]]?$", re.IGNORECASE)
_SECONDS = {"m": 1e-3, "u": 1e-6, "µ": 1e-6}
# Times follow each other evenly to within this part of their interval, as far as digits tell.
_EVEN = 0.01


class TextColumns:
    """Text with columns separated by commas, with or without a line of names."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        self._encoding = text_encoding(head)
        first = head.decode(self._encoding, errors="replace").splitlines()
        cells = [cell.strip().strip('"') for cell in first[0].split(",")] if first else []
        if not any(cells):
            raise InputError(f"{path} is empty, or its first line is.")
        if len(first) > 1:
            check_cells(path, 2, first[1].split(","), cells)
        self._is_named = not all(map(_is_number, cells))
        self._names = cells if self._is_named else [None] * len(cells)
        self._n_values = sum(len(block) for block in self._blocks(_TEXT_ROWS))
        self._reading: Iterator[NDArray[np.float64]] | None = None

    def close(self) -> None:
        """Let go of the file."""
        self._reading = None

    def listing(self) -> Listing:
        """List the columns."""
        if not self._n_values:
            raise InputError(f"{self._path} has no rows of numbers.")
        columns = tuple(Column(name=name, n_values=self._n_values) for name in self._names)
        rate = self._sampling_rate()
        return Listing(dataset="", columns=columns, dtype="f8", sampling_rate=rate)

    def _sampling_rate(self) -> float | None:
        """Tell it from a column of times."""
        found = [(k, _TIMES.match(name or "")) for k, name in enumerate(self._names)]
        named = [(k, match[1].lower()) for k, match in found if match]
        if len(named) != 1:
            return None
        ((column, unit),) = named
        times = next(self._blocks(_TEXT_ROWS))[:, column] * _SECONDS.get(unit[0], 1.0)
        if len(times) < 2 or not np.all(np.isfinite(times)):
            return None
        interval = float(times[-1] - times[0]) / (len(times) - 1)
        even = times[0] + interval * np.arange(len(times))
        if interval <= 0 or np.abs(times - even).max() > max(1, _EVEN * len(times)) * interval:
            return None
        return float(f"{1 / interval:.9g}")

    def read(
        self, start: int, stop: int, wanted: Sequence[int]
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Give a stretch of each wanted column, with its index."""
        # Text is only read from its start on; stretches of one size follow each other.
        if self._reading is None or start == 0:
            self._reading = self._blocks(stop - start)
        block = next(self._reading)
        yield from ((index, block[:, index]) for index in wanted)

    def _blocks(self, n_rows: int) -> Iterator[NDArray[np.float64]]:
        import pandas as pd

        try:
            with pd.read_csv(
                self._path, header=0 if self._is_named else None, encoding=self._encoding,
                dtype=np.float64, chunksize=n_rows, skipinitialspace=True, index_col=False,
            ) as reader:  # fmt: skip
                for frame in reader:
                    yield frame.to_numpy()
        except (ValueError, pd.errors.ParserError, UnicodeError) as error:
            raise InputError(
                f"{self._path} cannot be read as a table of numbers ({error}); numbers separated "
                "by commas are expected, below at most one line of names."
            ) from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
