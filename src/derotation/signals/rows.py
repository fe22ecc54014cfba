"""Which of the lines that the clocks count are the rows of the movie."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derotation.errors import ConfigError, InputError, SignalError
from derotation.io.movie import Movie

__all__ = ["Rows", "check_lines", "read_rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of a frame among its lines."""

    n: int
    """Rows of the movie's frames."""
    first: int = 0
    """Line of the first row, from 0 on."""
    step: int = 1
    """Lines that were averaged into one row."""
    is_given: bool = False
    """Whether the user says so."""

    def check(self, n_lines: int, frame_duration: float | None, line_period: float) -> None:
        """Refuse rows that are not lines of the frame, and lines of which nobody says anything.

        Parameters
        ----------
        n_lines : int
            Lines of a frame.
        frame_duration : float or None
            How long the frame clock is high, samples, if it is while lines are scanned.
        line_period : float
            From line to line, samples.

        Raises
        ------
        ConfigError
            If the rows reach beyond the last line.
        SignalError
            If lines were scanned that are not in the movie, and ``scan.rows`` does not say which.
        """
        last = self.first + self.n * self.step
        if last > n_lines:
            raise ConfigError(
                f"scan.rows is {{first: {self.first}, step: {self.step}}}: {self.n} rows of the "
                f"movie would reach to line {last}, but a frame has {n_lines} lines."
            )
        if self.is_given or n_lines == self.n or frame_duration is None:
            return
        scanned = round(frame_duration / line_period)
        if scanned > self.n + 1:
            raise SignalError(
                f"The movie's frames have {self.n} rows, but the frame clock is high for {scanned} "
                f"of {n_lines} lines, so the movie was cropped or binned. Say which lines its rows "
                "are: scan.rows: {first: n} for the line of the first row (0 if rows are missing "
                "at the bottom), {step: 2} if every two lines were averaged."
            )

    def of(self, lines: NDArray[Any], line_period: float) -> NDArray[np.float64]:
        """Give the start of each row of the starts of lines, shape (n_frames, n_lines).

        That of averaged lines lies between theirs.
        """
        rows = lines[:, self.first : self.first + self.n * self.step : self.step]
        if self.step == 1:
            return np.ascontiguousarray(rows, np.float64)
        return np.asarray(rows + (self.step - 1) / 2 * line_period)

    def any_of(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tell for each row whether one of its lines is marked."""
        own = flags[:, self.first : self.first + self.n * self.step]
        return np.asarray(own.reshape(len(flags), self.n, self.step).any(axis=2))


def read_rows(n: int, given: Mapping[str, int] | None) -> Rows:
    """Read ``scan.rows``; `n` rows are in the movie."""
    given = {key: value for key, value in (given or {}).items() if value is not None}
    return Rows(n=n, first=given.get("first", 0), step=given.get("step", 1), is_given=bool(given))


def check_lines(movie: Movie, n_lines: int) -> None:
    """Refuse fewer lines per frame than the movie has rows.

    Parameters
    ----------
    movie : Movie
        The movie.
    n_lines : int
        Lines of a frame, as the configuration or the movie's metadata say.

    Raises
    ------
    InputError
        If rows would have no time, or if rows and columns were exchanged.
    """
    _, height, width = movie.shape
    if n_lines >= height:
        return
    if n_lines == width:
        raise InputError(
            f"{movie.paths[0]} has frames of {height} rows and {width} columns, but {n_lines} "
            "lines per frame are expected (by scan.lines_per_frame, or by the movie's metadata): "
            "rows and columns were exchanged, or the pictures turned by 90 degrees, when it was "
            "saved. Set movie.undo: [transpose]; if they were turned rather than exchanged, "
            "flip_rows or flip_columns belongs after it."
        )
    raise InputError(
        f"{movie.paths[0]} has frames of {height} rows, but only {n_lines} lines per frame are "
        "expected (by scan.lines_per_frame, or by the movie's metadata). Each row needs the "
        f"time of its line: set scan.lines_per_frame to {height}, or to more if the clock also "
        "counts lines that are not saved."
    )
