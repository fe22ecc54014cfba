"""All files below a folder, and which of its folders are recordings."""

import fnmatch
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from derotation.cohort.contents import Contents
from derotation.io.files import natural_sort
from derotation.io.movie import is_recording
from derotation.settings.defaults import complete

__all__ = ["Patterns", "Tree", "is_blueprint", "listed_paths", "matches_any"]

SUBJECT, SESSION = "sub-*", "ses-*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """How files and folders are recognized, by their names; upper and lower case are alike.

    Attributes
    ----------
    movie, signals, stimulus, angles : tuple of str
        Names of files, such as ``*.tif``. A file that may be signals or a stimulus table by its
        name is looked into where that matters.
    incremental, free : tuple of str
        A session whose path below the searched folder, or whose movie, matches one of these has
        the protocol ``incremental``, or ``free``. All others are ``full``, but for those with a
        table of angles and no stimulus table, which are ``free``.
    exclude : tuple of str
        Names of folders that are not searched.
    name : {"folder", "path"}
        Whether a session is called by its own folder, or by all folders that lead to it.
    """

    movie: tuple[str, ...]
    signals: tuple[str, ...]
    stimulus: tuple[str, ...]
    angles: tuple[str, ...]
    incremental: tuple[str, ...]
    free: tuple[str, ...]
    exclude: tuple[str, ...]
    name: Literal["folder", "path"]

    @classmethod
    def from_config(cls, section: Mapping[str, Any] | None = None) -> Self:
        """Take them from the section ``discover`` of a configuration; what is missing, by default.

        Raises
        ------
        ConfigError
            If an option is not allowed.
        """
        given = complete("discover", section)
        lists = {key: tuple(value) for key, value in given.items() if key != "name"}
        return cls(name=given["name"], **lists)


@dataclass(slots=True)
class Tree:
    """All files below a folder, and which folders are recordings."""

    root: Path
    patterns: Patterns
    contents: Contents
    source: str = "ticks"
    """What tells the angle, as the key ``angles.source`` says."""
    files: dict[Path, list[Path]] = field(init=False, default_factory=dict)
    recordings: list[Path] = field(init=False, default_factory=list)
    whole: set[Path] = field(init=False, default_factory=set)
    """Recordings that are folders as a whole."""
    pictures: list[Path] = field(init=False, default_factory=list)
    """Single pictures that are no movies."""

    def __post_init__(self) -> None:
        visited: set[str] = set()
        for name, folders, files in os.walk(self.root, followlinks=True):
            folder = Path(name)
            # A link that leads back up would be followed for ever.
            visited.add(os.path.realpath(name))
            folders[:] = [
                f for f in folders
                if not matches_any(f, self.patterns.exclude)
                and os.path.realpath(folder / f) not in visited
            ]  # fmt: skip
            self.files[folder] = [folder / file for file in files if not file.startswith(".")]
        self.whole = {folder for folder in self.files if self._is_whole(folder)}
        # What lies within such a folder, reference images for example, is no movie of its own.
        holds = [
            folder for folder in self.files
            if folder in self.whole
            or (not self.whole.intersection(folder.parents) and self.movies(folder))
        ]  # fmt: skip
        self.recordings = natural_sort(self._without_pictures(holds))

    def _without_pictures(self, holds: list[Path]) -> list[Path]:
        """Leave out folders of which the only movie is one picture, beside or around others."""
        kept = []
        for folder in holds:
            files = [] if folder in self.whole else self.movies(folder)
            near = [o for o in holds if o != folder
                    and (o.is_relative_to(folder) or o.is_relative_to(folder.parent))]  # fmt: skip
            if near and len(files) == 1 and self.contents.is_picture(files[0]):
                self.pictures.append(files[0])
            else:
                kept.append(folder)
        return kept or holds

    def _is_whole(self, folder: Path) -> bool:
        """Tell whether a folder is one movie; not if only some of its TIFFs are wanted."""
        files = self.files[folder]
        images = [file for file in files if file.suffix.lower() in (".tif", ".tiff")]
        wanted = all(matches_any(file.name, self.patterns.movie) for file in images)
        described = any(file.suffix.lower() == ".xml" for file in files)
        return described and wanted and is_recording(folder)

    def movies(self, folder: Path) -> list[Path]:
        """List the files of movies in a folder."""
        found = self.pick(self.files[folder], self.patterns.movie)
        return [file for file in found if self.contents.may_be_movie(file)]

    def pick(self, files: Iterable[Path], patterns: Sequence[str]) -> list[Path]:
        """Take the files whose names match, in natural order."""
        return natural_sort(file for file in files if matches_any(file.name, patterns))

    def below(self, folder: Path, recording: Path) -> list[Path]:
        """List the files below a folder, without those that belong to another recording."""
        others = [r for r in self.recordings if r != recording and r not in recording.parents]
        return [
            file
            for home, files in self.files.items()
            if home.is_relative_to(folder)
            and not any(home.is_relative_to(other) for other in others)
            for file in files
        ]

    def holds_others(self, folder: Path, recording: Path) -> bool:
        """Tell whether another recording lies in a folder or below it."""
        return any(r != recording and r.is_relative_to(folder) for r in self.recordings)


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a name matches a pattern; upper and lower case are alike."""
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def is_blueprint(folder: Path) -> bool:
    """Tell whether a folder is a session of a NeuroBlueprint tree."""
    return matches_any(folder.name, [SESSION]) and matches_any(folder.parent.name, [SUBJECT])


def listed_paths(paths: Sequence[Path]) -> str:
    """Name the first four paths, and say how many more there are."""
    shown = ", ".join(str(path) for path in paths[:4])
    return f"{shown} and {len(paths) - 4} more" if len(paths) > 4 else shown
