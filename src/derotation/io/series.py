"""What the names of files say that were given as one movie: one series, several, or with a hole.

Files of one series differ in the last number of their names alone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from derotation.errors import MovieError

__all__ = ["SeriesNames", "read_series"]

_LAST_NUMBER = re.compile(r"(.*?)(\d+)(\D*)")
# Numbers behind these words count channels, planes and the like, not parts of a movie.
_NO_TIME = re.compile(r"(?:^|[^a-z])(ch|chan|channel|c|z|plane|slice|roi|cam|camera)$", re.I)
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesNames:
    """What the names say."""

    missing: tuple[int, ...]
    """For each file how many seem to be missing right before it."""
    notes: tuple[str, ...]
    """What a person should know."""

    def missing_pages(self, paths: Sequence[Path], n_pages: Sequence[int]) -> list[int]:
        """Count the pages of the files that are missing before each file.

        Parameters
        ----------
        paths
            The files.
        n_pages
            Pages of each.

        Returns
        -------
        list of int
            For each file the pages missing right before it.

        Raises
        ------
        MovieError
            If files are missing of which nobody can tell how many pages they had.
        """
        if not any(self.missing):
            return [0] * len(paths)
        # The last file holds what is left.
        lengths = set(n_pages[:-1])
        if len(lengths) > 1:
            place = next(i for i, n in enumerate(self.missing) if n)
            raise MovieError(
                f"{self.missing[place]} files seem to be missing before {paths[place]}, going by "
                f"the numbers in the names, and the files differ in length ({min(lengths)} to "
                f"{max(lengths)} pages), so that it is not known how many frames are missing. Copy "
                "the missing files, or, if there never were any, rename the files without holes."
            )
        return [n * n_pages[0] for n in self.missing]

    def missing_note(self, paths: Sequence[Path], n_pages: Sequence[int]) -> list[str]:
        """Say which files are missing, and what was made of it."""
        places = [i for i, n in enumerate(self.missing) if n]
        if not places:
            return []
        n_files, n_lost = sum(self.missing), sum(self.missing_pages(paths, n_pages))
        were = "file is" if n_files == 1 else "files are"
        return [
            f"{n_files} {were} missing, going by the numbers in the names, the first before "
            f"{paths[places[0]].name}; the frame clock was taken to have counted their {n_lost} "
            f"{'page' if n_lost == 1 else 'pages'}."
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Name:
    path: Path
    before: str
    number: int
    after: str

    @property
    def series(self) -> tuple[Path, str, str]:
        return self.path.parent, self.before, self.after

    @property
    def words(self) -> tuple[str, str]:
        """The name without numbers."""
        return re.sub(r"\d+", "#", self.before).casefold(), self.after.casefold()


def read_series(paths: Sequence[Path]) -> SeriesNames:
    """Look whether files can be one movie.

    Parameters
    ----------
    paths
        The files in the order in which they are read.

    Returns
    -------
    SeriesNames

    Raises
    ------
    MovieError
        If they are those of several recordings, channels or planes side by side.
    """
    names = [_parse(path) for path in paths]
    known = [name for name in names if name is not None]
    series: dict[tuple[Path, str, str], list[_Name]] = {}
    for name in known:
        series.setdefault(name.series, []).append(name)
    notes = []
    if len(series) > 1:
        _refuse_side_by_side(list(series.values()))
        firsts = [members[0].path.name for members in series.values()]
        notes.append(
            f"The names of the files are those of {len(series)} series ({_listed(firsts)}); they "
            "were taken for one recording, one after the other."
        )
    missing = dict.fromkeys(paths, 0)
    for members in series.values():
        holes = _holes(members)
        if sum(holes.values()) > len(members):
            # More than half of a movie is hardly lost: the numbers mean something else.
            place = next(iter(holes))
            notes.append(
                f"The numbers in the names skip {holes[place]} before {place.name}; the files were "
                "taken to follow each other. Are files missing?"
            )
        else:
            missing |= holes
    return SeriesNames(missing=tuple(missing[path] for path in paths), notes=tuple(notes))


def _parse(path: Path) -> _Name | None:
    # Numbers of an ending such as .ome.tif2 say nothing.
    stem, dot, ending = path.name.partition(".")
    match = _LAST_NUMBER.fullmatch(stem)
    if match is None:
        return None
    before, digits, after = match.groups()
    return _Name(path=path, before=before, number=int(digits), after=f"{after}{dot}{ending}")


def _refuse_side_by_side(series: Sequence[Sequence[_Name]]) -> None:
    """Refuse series that count the same numbers under other words, or that are channels."""
    first = series[0]
    for other in series[1:]:
        shared = {name.number for name in first} & {name.number for name in other}
        what = None
        if first[0].words != other[0].words and len(shared) > 1:
            what = "recordings, or channels of one"
        elif shared and _counts_no_time(first[0].before, other[0].before):
            what = "channels or planes"
        if what is not None:
            patterns = [f"{one[0].before}*{one[0].after}" for one in (first, other)]
            raise MovieError(
                f"{first[0].path.parent}: the files are those of several {what}, side by side "
                f"({first[0].path.name} and {other[0].path.name}); write a pattern that matches "
                f"one of them into the sheet's column movie, {patterns[0]} or {patterns[1]} for "
                "example, or their channels into one file."
            )


def _counts_no_time(one: str, other: str) -> bool:
    """Tell whether two names first differ in a number that counts channels or planes."""
    split = [re.split(r"(\d+)", text) for text in (one, other)]
    for place, (a, b) in enumerate(zip(*split, strict=False)):
        if a != b:
            return place % 2 == 1 and bool(_NO_TIME.search(split[0][place - 1]))
    return False


def _holes(members: Sequence[_Name]) -> dict[Path, int]:
    """Count files missing before each, where the numbers otherwise count one by one."""
    numbers = np.array([name.number for name in members], np.int64)
    steps = np.diff(numbers)
    # Times of day and the like have holes everywhere.
    if len(steps) < 2 or (steps < 1).any() or 2 * np.count_nonzero(steps == 1) < len(steps):
        return {}
    return {members[i + 1].path: int(steps[i]) - 1 for i in np.flatnonzero(steps > 1).tolist()}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
