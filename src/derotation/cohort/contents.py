"""What a file holds, where its name does not tell: a movie, signals or a stimulus table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from derotation.errors import ConfigError, DerotationError, InputError
from derotation.io.columns import ForeignColumns
from derotation.io.foreign import KINDS
from derotation.io.hdf5_movie import SUFFIXES, holds_frames
from derotation.io.stimulus import read_stimulus

__all__ = ["Contents", "Role"]

#: What a file beside a movie may be.
Role = Literal["signals", "stimulus", "neither"]

# What such files are most often.
_TABLES = (".csv", ".mat")
# Signals of one second have more samples, and no table has as many rows.
_LEAST_SAMPLES = 1000
_HEAD_BYTES = 2**20
# Larger files are movies; to count their pages takes its time.
LARGEST_PICTURE = 2**27


class Contents:
    """Looks into files, into each of them once.

    Parameters
    ----------
    stimulus
        How a stimulus table is read: keywords of :func:`derotation.io.stimulus.read_stimulus`.
    """

    #: How the roles are called.
    words: Mapping[Role, str] = {
        "signals": "analog signals",
        "stimulus": "a stimulus table",
        "neither": "neither analog signals nor a stimulus table",
    }

    def __init__(self, stimulus: Mapping[str, Any]) -> None:
        self._stimulus = dict(stimulus)
        self._roles: dict[Path, Role] = {}
        self._movies: dict[Path, bool] = {}
        self.problems: list[str] = []
        """What kept files from being looked into, in plain words."""

    def may_be_movie(self, path: Path) -> bool:
        """Tell whether a file holds frames; those that hold nothing else are taken for movies.

        Parameters
        ----------
        path
            A file that is called as movies are.

        Returns
        -------
        bool
        """
        if path.suffix.lower() not in SUFFIXES:
            return True
        if path not in self._movies:
            self._movies[path] = self._holds_frames(path)
        return self._movies[path]

    def is_picture(self, path: Path) -> bool:
        """Tell whether a file holds a single picture, as an overview or a mean image does.

        Parameters
        ----------
        path
            A file that is called as movies are.

        Returns
        -------
        bool
            Not if it cannot be read.
        """
        from derotation.io.movie import open_movie

        try:
            if path.stat().st_size > LARGEST_PICTURE:
                return False
            with open_movie(path) as movie:
                return len(movie) == 1
        except (DerotationError, OSError):
            return False

    def usual_role(self, path: Path) -> Role:
        """Say what a file of this kind is most often."""
        return "stimulus" if path.suffix.lower() in _TABLES else "signals"

    def role(self, path: Path) -> Role:
        """Look what a file is.

        Parameters
        ----------
        path
            A file that may be signals or a stimulus table.

        Returns
        -------
        "signals", "stimulus" or "neither"
            The usual of its kind if it cannot be read, or holds several datasets.
        """
        if path not in self._roles:
            self._roles[path] = self._look(path)
        return self._roles[path]

    def _look(self, path: Path) -> Role:
        try:
            read_stimulus(path, **self._stimulus)
        except ConfigError as error:
            self._note(error)
            return self.usual_role(path)
        except InputError:
            pass
        else:
            return "stimulus"
        try:
            n_values = _longest(path)
        except (InputError, OSError):
            return self.usual_role(path)
        return "signals" if n_values >= _LEAST_SAMPLES else "neither"

    def _holds_frames(self, path: Path) -> bool:
        try:
            return holds_frames(path)
        except ConfigError as error:
            self._note(error)
        except InputError:
            # Damaged, or no HDF5 at all: if nothing better is found, the check says what is wrong.
            pass
        return False

    def _note(self, error: ConfigError) -> None:
        """Say once what is missing."""
        if not self.problems:
            self.problems.append(
                f"{error} Without it such files were taken for what they are most often."
            )


def _longest(path: Path) -> int:
    """Give the number of values of a file's longest column; of text no more than is needed.

    Raises
    ------
    InputError
        If that cannot be told.
    """
    suffix = path.suffix.lower()
    if not path.stat().st_size:
        raise InputError(f"{path} is empty.")
    if suffix == ".csv":
        with path.open("rb") as stream:
            return stream.read(_HEAD_BYTES).count(b"\n")
    if suffix == ".npy":
        return _npy_values(path)
    if suffix in KINDS:
        opened = ForeignColumns(path, dataset=None, n_expected=None, error=InputError)
        return max((column.n_values for column in opened.listing.columns), default=0)
    raise InputError(f"{path} is of a kind that is not looked into.")


def _npy_values(path: Path) -> int:
    try:
        shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    except Exception as error:
        # A damaged header makes NumPy raise whatever Python's own parser does.
        raise InputError(f"{path} cannot be read as a .npy file ({error}).") from error
    return max(shape, default=0)
